//! The foreign functions as the tests play them: each call is written down, and succeeds unless the test says
//! otherwise; or, on a thread that [plays on](play_on) a task of [`local`](crate::kernel::local), it is that
//! task's.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::vec::Vec;

use crate::abi::Apple64;
use crate::kern_return::KernReturn;
use crate::kernel::local::Local;
use crate::kernel::{Kernel, MsgCall, Name, PortKind, RightKind};

/// A call, with its arguments in the order of C; the task is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    MachMsg { options: u32, sent: Vec<u8>, receive_size: u32, receive: Name, timeout: u32 },
    MachMsg2Internal { sent: Vec<u8>, words: [u64; 7] },
    MachPortAllocate { right: u32 },
    MachPortConstruct { flags: u32 },
    BootstrapCheckIn { service: CString },
    BootstrapLookUp { service: CString },
    MachPortDeallocate { name: Name },
    MachPortModRefs { name: Name, right: u32, delta: i32 },
    MachPortInsertRight { name: Name, right: Name, disposition: u8 },
    MachPortExtractRight { name: Name, disposition: u8 },
    MachPortMoveMember { member: Name, set: Name },
    MachPortRequestNotification { name: Name, id: i32, sync: u32, notify: Name, disposition: u8 },
    MachThreadSelf,
    MachHostSelf,
    MigGetReplyPort,
    MigDeallocReplyPort { name: Name },
    MachVmAllocate { size: u64 },
    MachVmDeallocate { address: u64, size: u64 },
}

/// What a call does besides being written down.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// It returns this code.
    Code(i32),
    /// It returns success and this name.
    Name(u32),
    /// It returns this code and leaves these bytes in the buffer.
    Message(i32, Vec<u8>),
}

#[derive(Default)]
struct World {
    calls: Vec<Call>,
    answers: VecDeque<Answer>,
    memory: Vec<Vec<u64>>,
    /// `libSystem` is that of macOS 12 or before.
    old: bool,
}

std::thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
    static TASK: RefCell<Option<Local<Apple64>>> = const { RefCell::new(None) };
}

/// From now on this thread is one of this task.
pub(super) fn play_on(task: &Local<Apple64>) {
    TASK.set(Some(task.clone()));
}

/// From now on this thread has a `libSystem` without `mach_msg2_internal`.
pub(super) fn be_old() {
    WORLD.with_borrow_mut(|world| world.old = true);
}

fn task() -> Option<Local<Apple64>> {
    TASK.with_borrow(Clone::clone)
}

/// What the next calls of this thread do, in their order.
pub(super) fn answer(answers: impl IntoIterator<Item = Answer>) {
    WORLD.with_borrow_mut(|world| world.answers.extend(answers));
}

/// The calls of this thread since the last time.
pub(super) fn calls() -> Vec<Call> {
    WORLD.with_borrow_mut(|world| std::mem::take(&mut world.calls))
}

/// How many pieces of memory this thread has allocated and not given back.
pub(super) fn memory() -> usize {
    WORLD.with_borrow(|world| world.memory.len())
}

fn enter(call: Call) -> Option<Answer> {
    WORLD.with_borrow_mut(|world| {
        world.calls.push(call);
        world.answers.pop_front()
    })
}

fn result(call: Call) -> Result<(), KernReturn> {
    match enter(call) {
        None => Ok(()),
        Some(Answer::Code(code)) => KernReturn(code).ok(),
        Some(other) => panic!("{other:?} is no answer to this"),
    }
}

fn name(call: Call) -> Result<Name, KernReturn> {
    match enter(call) {
        None => Ok(Name(0x1003)),
        Some(Answer::Name(name)) => Ok(Name(name)),
        Some(Answer::Code(code)) => Err(KernReturn(code)),
        Some(other) => panic!("{other:?} is no answer to this"),
    }
}

pub(super) unsafe fn mach_msg(
    message: *mut u8,
    options: u32,
    send_size: u32,
    receive_size: u32,
    receive: Name,
    timeout: u32,
) -> KernReturn {
    if let Some(task) = task() {
        let has = |bit: u32| options & bit != 0;
        let call = MsgCall {
            send: has(0x1),
            receive: has(0x2).then_some(receive),
            send_timeout: has(0x10).then_some(timeout),
            receive_timeout: has(0x100).then_some(timeout),
            large: has(0x4),
            options: options & !0x117,
            kernel_object: false,
        };
        // SAFETY: the caller's promise.
        return unsafe { on_task(&task, message, send_size.max(receive_size), call) };
    }
    // SAFETY: the caller sends this many bytes.
    let sent = unsafe { std::slice::from_raw_parts(message, send_size as usize) }.to_vec();
    let call = Call::MachMsg { options, sent, receive_size, receive, timeout };
    // SAFETY: the caller's promise.
    unsafe { message_call(call, message, send_size.max(receive_size)) }
}

pub(super) unsafe fn mach_msg2_internal(message: *mut u8, words: [u64; 7]) -> Option<KernReturn> {
    if WORLD.with_borrow(|world| world.old) {
        return None;
    }
    let [options, bits, ports, voucher, descriptors, receive, timeout] = words;
    let low = |pair: u64| pair as u32;
    let high = |pair: u64| (pair >> 32) as u32;
    let (send_size, room) = (high(bits), high(bits).max(low(receive)));
    // SAFETY: the caller sends this many bytes.
    let sent = unsafe { std::slice::from_raw_parts(message, send_size as usize) }.to_vec();
    let word = |at: usize| u32::from_ne_bytes(core::array::from_fn(|i| sent[at + i]));
    let header = [low(bits), low(ports), high(ports), low(voucher), high(voucher)];
    assert_eq!(header, [0, 8, 12, 16, 20].map(word), "the arguments are those of the header");
    assert_eq!(low(descriptors), if word(0) >> 31 == 0 { 0 } else { word(24) });
    let Some(task) = task() else {
        // SAFETY: the caller's promise.
        return Some(unsafe { message_call(Call::MachMsg2Internal { sent, words }, message, room) });
    };
    let has = |bit: u64| options & bit != 0;
    let call = MsgCall {
        send: has(0x1),
        receive: has(0x2).then_some(Name(high(descriptors))),
        send_timeout: has(0x10).then_some(low(timeout)),
        receive_timeout: has(0x100).then_some(low(timeout)),
        large: has(0x4),
        options: low(options) & !0x117,
        kernel_object: has(0x2_0000_0000),
    };
    // SAFETY: the caller's promise.
    Some(unsafe { on_task(&task, message, room, call) })
}

/// # Safety
///
/// `message` is the buffer of a call, of `room` bytes.
unsafe fn on_task(task: &Local<Apple64>, message: *mut u8, room: u32, call: MsgCall) -> KernReturn {
    // SAFETY: the caller's buffer has this many words.
    let buffer = unsafe { std::slice::from_raw_parts_mut(message.cast(), room.div_ceil(8) as usize) };
    // SAFETY: the caller's promise.
    unsafe { task.mach_msg(buffer, call) }.into()
}

/// # Safety
///
/// `message` is the buffer of this call, of `room` bytes.
unsafe fn message_call(call: Call, message: *mut u8, room: u32) -> KernReturn {
    match enter(call) {
        None => KernReturn::KERN_SUCCESS,
        Some(Answer::Code(code)) => KernReturn(code),
        Some(Answer::Message(code, bytes)) => {
            assert!(bytes.len() <= room as usize, "it fits in the buffer");
            // SAFETY: the buffer has room for it, as just tested.
            unsafe { message.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
            KernReturn(code)
        }
        Some(other) => panic!("{other:?} is no answer to this"),
    }
}

pub(super) fn mach_task_self() -> Name {
    Name(0x203)
}

pub(super) fn mach_thread_self() -> Name {
    name(Call::MachThreadSelf).unwrap_or(Name::NULL)
}

pub(super) fn mach_host_self() -> Name {
    name(Call::MachHostSelf).unwrap_or(Name::NULL)
}

pub(super) fn mach_port_allocate(right: u32) -> Result<Name, KernReturn> {
    if let Some(task) = task() {
        return if right == 1 { task.allocate_port() } else { task.allocate_port_set() };
    }
    name(Call::MachPortAllocate { right })
}

pub(super) fn mach_port_construct(flags: u32) -> Result<Name, KernReturn> {
    if let Some(task) = task() {
        return task.construct_port(match flags {
            0 => PortKind::Plain,
            0x1000 => PortKind::Reply,
            0x8000 => PortKind::Exception,
            flags => panic!("{flags:#x}"),
        });
    }
    name(Call::MachPortConstruct { flags })
}

pub(super) fn bootstrap_check_in(service: &CStr) -> Result<Name, KernReturn> {
    name(Call::BootstrapCheckIn { service: service.into() })
}

pub(super) fn bootstrap_look_up(service: &CStr) -> Result<Name, KernReturn> {
    name(Call::BootstrapLookUp { service: service.into() })
}

pub(super) fn mach_port_deallocate(name: Name) -> Result<(), KernReturn> {
    if let Some(task) = task() {
        // SAFETY: as the call that stands for it.
        return unsafe { task.deallocate(name) };
    }
    result(Call::MachPortDeallocate { name })
}

pub(super) fn mach_port_mod_refs(name: Name, right: u32, delta: i32) -> Result<(), KernReturn> {
    if let Some(task) = task() {
        match (right, delta) {
            // SAFETY: as the call that stands for it.
            (0, 1) => return unsafe { task.copy_send(name) },
            // SAFETY: as above.
            (1, -1) => unsafe { task.release(RightKind::Receive, name) },
            // SAFETY: as above.
            _ => unsafe { task.release(RightKind::PortSet, name) },
        }
        return Ok(());
    }
    result(Call::MachPortModRefs { name, right, delta })
}

pub(super) fn mach_port_insert_right(name: Name, right: Name, disposition: u8) -> Result<(), KernReturn> {
    if let Some(task) = task() {
        assert_eq!((right, disposition), (name, 20));
        // SAFETY: as the call that stands for it.
        return unsafe { task.make_send(name) };
    }
    result(Call::MachPortInsertRight { name, right, disposition })
}

pub(super) fn mach_port_extract_right(of: Name, disposition: u8) -> Result<Name, KernReturn> {
    if let Some(task) = task() {
        assert_eq!(disposition, 21);
        // SAFETY: as the call that stands for it.
        return unsafe { task.make_send_once(of) };
    }
    name(Call::MachPortExtractRight { name: of, disposition })
}

pub(super) fn mach_port_move_member(member: Name, set: Name) -> Result<(), KernReturn> {
    if let Some(task) = task() {
        // SAFETY: as the call that stands for it.
        return unsafe { task.move_member(member, set) };
    }
    result(Call::MachPortMoveMember { member, set })
}

pub(super) fn mach_port_request_notification(
    of: Name,
    id: i32,
    sync: u32,
    notify: Name,
    disposition: u8,
) -> Result<Name, KernReturn> {
    name(Call::MachPortRequestNotification { name: of, id, sync, notify, disposition })
}

pub(super) fn mig_get_reply_port() -> Name {
    if let Some(task) = task() {
        return task.reply_port().unwrap_or_default();
    }
    name(Call::MigGetReplyPort).unwrap_or(Name::NULL)
}

pub(super) fn mig_dealloc_reply_port(name: Name) {
    if let Some(task) = task() {
        // SAFETY: as the call that stands for it.
        return unsafe { task.destroy_reply_port(name) };
    }
    let _ = result(Call::MigDeallocReplyPort { name });
}

pub(super) fn mach_vm_allocate(size: u64) -> Result<u64, KernReturn> {
    result(Call::MachVmAllocate { size })?;
    let mut memory = std::vec![0u64; (size as usize).div_ceil(8)];
    let address = memory.as_mut_ptr().expose_provenance() as u64;
    WORLD.with_borrow_mut(|world| world.memory.push(memory));
    Ok(address)
}

pub(super) unsafe fn mach_vm_deallocate(address: u64, size: u64) -> Result<(), KernReturn> {
    WORLD.with_borrow_mut(|world| {
        let begins_there = |memory: &Vec<u64>| memory.as_ptr().addr() as u64 == address;
        let index = world.memory.iter().position(begins_there).expect("it was allocated, and not given back");
        assert_eq!(
            world.memory.swap_remove(index).len(),
            (size as usize).div_ceil(8),
            "it is given back whole"
        );
    });
    result(Call::MachVmDeallocate { address, size })
}
