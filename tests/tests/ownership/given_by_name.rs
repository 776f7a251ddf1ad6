//! A right goes to another task by its owner, and not by its number.
#![forbid(unsafe_code)]

use mig_runtime::Name;
use mig_runtime::kernel::RightKind;
use mig_runtime::kernel::local::Local;

fn give(task: &Local, other: &Local) {
    let _ = task.give(RightKind::Send, Name(5), other);
}

fn main() {}
