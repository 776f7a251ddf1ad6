//! The system library's functions on ports, memory and names, for the calling thread's process.

use std::ffi::{CStr, c_char};
use std::sync::Mutex;

use mig_runtime::kernel::local::Local;
use mig_runtime::kernel::{Kernel, Notification, PortKind, RightKind};
use mig_runtime::{KernReturn, Name, ReceiveRight};

use super::Shim;
use crate::lock::lock;
use crate::mach::objects::Thread;
use crate::mach::{memory, message};
use crate::machine::{Task, give, machine};
use crate::process;

/// Dispositions, and notifications by their ids; written down a second time, to test what the runtime asks
/// for.
const MAKE_SEND: u32 = 20;
const MAKE_SEND_ONCE: u32 = 21;
const PORT_DESTROYED: i32 = 69;
const NO_SENDERS: i32 = 70;
const DEAD_NAME: i32 = 72;
/// `MACH_NOTIFY_SEND_POSSIBLE`: dead-name, and at once if the name is dead already.
const SEND_POSSIBLE: i32 = 66;

/// The functions, by Apple's names.
pub(crate) const SHIMS: &[Shim] = &[
    Shim("_mach_msg", message::mach_msg as *const ()),
    Shim("_mach_msg2_internal", message::mach_msg2_internal as *const ()),
    Shim("_mach_port_allocate", port_allocate as *const ()),
    Shim("_mach_port_construct", port_construct as *const ()),
    Shim("_mach_port_deallocate", port_deallocate as *const ()),
    Shim("_mach_port_mod_refs", port_mod_refs as *const ()),
    Shim("_mach_port_insert_right", port_insert_right as *const ()),
    Shim("_mach_port_extract_right", port_extract_right as *const ()),
    Shim("_mach_port_move_member", port_move_member as *const ()),
    Shim("_mach_port_request_notification", port_request_notification as *const ()),
    Shim("_mig_get_reply_port", get_reply_port as *const ()),
    Shim("_mig_dealloc_reply_port", dealloc_reply_port as *const ()),
    Shim("_mach_thread_self", thread_self as *const ()),
    Shim("_mach_host_self", host_self as *const ()),
    Shim("_mach_vm_allocate", vm_allocate as *const ()),
    Shim("_mach_vm_deallocate", vm_deallocate as *const ()),
    Shim("_bootstrap_check_in", bootstrap_check_in as *const ()),
    Shim("_bootstrap_look_up", bootstrap_look_up as *const ()),
];

fn task() -> &'static Task {
    &process::current().task
}

fn code(result: Result<(), KernReturn>) -> i32 {
    result.map_or_else(|code| code.0, |()| 0)
}

/// Writes a result where the program wants it.
///
/// # Safety
///
/// `to` may be written.
unsafe fn answer<T>(result: Result<T, KernReturn>, to: *mut T) -> i32 {
    match result {
        Ok(value) => {
            // SAFETY: the caller's promise.
            unsafe { to.write(value) };
            0
        }
        Err(code) => code.0,
    }
}

unsafe extern "C" fn port_allocate(_task: u32, right: u32, name: *mut u32) -> i32 {
    let made = match right {
        1 => task().allocate_port(),
        3 => task().allocate_port_set(),
        _ => Err(KernReturn::KERN_INVALID_VALUE),
    };
    // SAFETY: the program wants the name there.
    unsafe { answer(made.map(|name| name.0), name) }
}

/// Of the options only the kind of the port is kept.
unsafe extern "C" fn port_construct(_task: u32, options: *const u32, context: u64, name: *mut u32) -> i32 {
    /// `MPO_REPLY_PORT`, `MPO_EXCEPTION_PORT`
    const REPLY: u32 = 0x1000;
    const EXCEPTION: u32 = 0x8000;
    // SAFETY: the options begin with their flags.
    let kind = match unsafe { *options } & (REPLY | EXCEPTION) {
        0 => PortKind::Plain,
        REPLY => PortKind::Reply,
        _ => PortKind::Exception,
    };
    let made = task().construct_port(kind).and_then(|name| {
        task().set_context(name, context)?;
        Ok(name.0)
    });
    // SAFETY: the program wants the name there.
    unsafe { answer(made, name) }
}

extern "C" fn port_deallocate(_task: u32, name: u32) -> i32 {
    // SAFETY: the program asks for it.
    code(unsafe { task().deallocate(Name(name)) })
}

extern "C" fn port_mod_refs(_task: u32, name: u32, right: u32, delta: i32) -> i32 {
    let kind = match (right, delta) {
        // SAFETY: the program asks for it, and answers for its names; so below.
        (0, 1) => return code(unsafe { task().copy_send(Name(name)) }),
        (0, -1) => RightKind::Send,
        (1, -1) => RightKind::Receive,
        (2, -1) => RightKind::SendOnce,
        (3, -1) => RightKind::PortSet,
        (4, -1) => RightKind::DeadName,
        _ => return KernReturn::KERN_INVALID_VALUE.0,
    };
    // SAFETY: the program asks for it.
    unsafe { task().release(kind, Name(name)) };
    0
}

extern "C" fn port_insert_right(_task: u32, name: u32, right: u32, disposition: u32) -> i32 {
    if (name, MAKE_SEND) != (right, disposition) {
        return KernReturn::KERN_INVALID_VALUE.0;
    }
    // SAFETY: the program asks for it.
    code(unsafe { task().make_send(Name(name)) })
}

unsafe extern "C" fn port_extract_right(
    _task: u32,
    name: u32,
    disposition: u32,
    right: *mut u32,
    kind: *mut u32,
) -> i32 {
    const SEND_ONCE: u32 = 18;
    if disposition != MAKE_SEND_ONCE {
        return KernReturn::KERN_INVALID_VALUE.0;
    }
    // SAFETY: the program wants the kind there.
    unsafe { kind.write(SEND_ONCE) };
    // SAFETY: the program asks for it.
    let made = unsafe { task().make_send_once(Name(name)) };
    // SAFETY: the program wants the name there.
    unsafe { answer(made.map(|name| name.0), right) }
}

extern "C" fn port_move_member(_task: u32, member: u32, set: u32) -> i32 {
    // SAFETY: the program asks for it.
    code(unsafe { task().move_member(Name(member), Name(set)) })
}

unsafe extern "C" fn port_request_notification(
    _task: u32,
    name: u32,
    id: i32,
    sync: u32,
    notify: u32,
    _disposition: u32,
    previous: *mut u32,
) -> i32 {
    let which = match id {
        PORT_DESTROYED => Notification::PortDestroyed,
        NO_SENDERS => Notification::NoSenders { sync },
        SEND_POSSIBLE => Notification::SendPossible,
        DEAD_NAME => Notification::DeadName,
        _ => return KernReturn::KERN_INVALID_VALUE.0,
    };
    // SAFETY: the program asks for it.
    let before = unsafe { task().request_notification(Name(name), which, Name(notify)) };
    // SAFETY: the program wants the name there.
    unsafe { answer(before.map(|name| name.0), previous) }
}

extern "C" fn get_reply_port() -> u32 {
    task().reply_port().unwrap_or_default().0
}

extern "C" fn dealloc_reply_port(name: u32) {
    // SAFETY: the program asks for it.
    unsafe { task().destroy_reply_port(Name(name)) };
}

extern "C" fn thread_self() -> u32 {
    Thread::current().and_then(|thread| give(&thread.port, task())).unwrap_or(0)
}

extern "C" fn host_self() -> u32 {
    give(&machine().host_port, task()).unwrap_or(0)
}

unsafe extern "C" fn vm_allocate(_task: u32, address: *mut u64, size: u64, _flags: i32) -> i32 {
    let made = match memory::allocate(size) {
        0 => Err(KernReturn::KERN_NO_SPACE),
        address => Ok(address),
    };
    // SAFETY: the program wants the address there.
    unsafe { answer(made, address) }
}

extern "C" fn vm_deallocate(_task: u32, address: u64, size: u64) -> i32 {
    memory::deallocate(address, size);
    0
}

/// Makes a port for a service. Here any name will do; launchd knows some.
unsafe extern "C" fn bootstrap_check_in(_bootstrap: u32, name: *const c_char, port: *mut u32) -> i32 {
    // SAFETY: the name is a string of C.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    let made = with_services(|services| {
        if services.iter().any(|(known, _)| known == name) {
            return Err(KernReturn::BOOTSTRAP_SERVICE_ACTIVE);
        }
        let receive = ReceiveRight::allocate(task())?;
        services.push((name.to_vec(), Local::transfer(receive.make_send()?, &machine().kernel)?));
        Ok(receive.into_raw().0)
    });
    // SAFETY: the program wants the name there.
    unsafe { answer(made, port) }
}

unsafe extern "C" fn bootstrap_look_up(_bootstrap: u32, name: *const c_char, port: *mut u32) -> i32 {
    // SAFETY: the name is a string of C.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    let found = with_services(|services| {
        let (_, service) =
            services.iter().find(|(known, _)| known == name).ok_or(KernReturn::BOOTSTRAP_UNKNOWN_SERVICE)?;
        Ok(Local::transfer(service.try_clone()?, task())?.into_raw().0)
    });
    // SAFETY: the program wants the name there.
    unsafe { answer(found, port) }
}

type Services = Vec<(Vec<u8>, mig_runtime::SendRight<Task>)>;

fn with_services<R>(work: impl FnOnce(&mut Services) -> R) -> R {
    let services: &Mutex<Services> = &machine().services;
    work(&mut lock(services))
}
