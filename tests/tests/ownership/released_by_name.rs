//! What ends or moves a right, or makes one, is not done by its number.
#![forbid(unsafe_code)]

use mig_runtime::kernel::RightKind;
use mig_runtime::kernel::local::Local;
use mig_runtime::{Kernel, Name, Notification};

fn main() {
    let task: Local = Local::new();
    let name = Name(5);
    task.release(RightKind::Send, name);
    task.destroy_reply_port(name);
    let _ = task.deallocate(name);
    let _ = task.copy_send(name);
    let _ = task.make_send(name);
    let _ = task.make_send_once(name);
    let _ = task.move_member(name, Name::NULL);
    let _ = task.request_notification(name, Notification::DeadName, Name::NULL);
    let _ = task.region_from_wire(0x1000, 16);
}
