//! `mach_msg` and its successor.

use std::mem::MaybeUninit;

use mig_runtime::kernel::{Kernel, MsgCall};
use mig_runtime::{KernReturn, Name};

use super::memory;
use crate::machine::Task;
use crate::process;

/// Bytes of a header.
const HEADER: usize = 24;

const SEND: u64 = 1;
const RECEIVE: u64 = 2;
const LARGE: u64 = 4;
const SEND_TIMEOUT: u64 = 0x10;
const RECEIVE_TIMEOUT: u64 = 0x100;
/// `MACH64_SEND_KOBJECT_CALL`
const TO_KERNEL_OBJECT: u64 = 0x2_0000_0000;

/// The code of what XNU does to a program that sends what its policies forbid: `EXC_GUARD`, which ends it.
const KILLED: i32 = 137;

/// What ends a program, and as what XNU reports it. What else it refuses is an error code and nothing more.
const FATAL: [(KernReturn, &str); 1] =
    [(KernReturn::MACH_SEND_INVALID_OPTIONS, "kGUARD_EXC_INVALID_OPTIONS")];

pub(crate) unsafe extern "C" fn mach_msg(
    message: *mut u8,
    options: i32,
    send_size: u32,
    receive_size: u32,
    from: u32,
    timeout: u32,
    _notify: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { transfer(message, options as u32 as u64, send_size, receive_size, from, timeout) }
}

/// Takes the fields of the header from its arguments.
pub(crate) unsafe extern "C" fn mach_msg2_internal(
    message: *mut u8,
    options: u64,
    bits_and_send_size: u64,
    remote_and_local: u64,
    voucher_and_id: u64,
    descriptors_and_from: u64,
    receive_size_and_priority: u64,
    timeout: u64,
) -> i32 {
    let high = |pair: u64| (pair >> 32) as u32;
    let (send_size, from) = (high(bits_and_send_size), high(descriptors_and_from));
    if options & SEND != 0 {
        let words = [bits_and_send_size, remote_and_local, voucher_and_id];
        // SAFETY: a message that is sent has a header.
        unsafe { message.cast::<[u64; 3]>().write_unaligned(words) };
    }
    // SAFETY: the caller's promise.
    unsafe { transfer(message, options, send_size, receive_size_and_priority as u32, from, timeout as u32) }
}

/// # Safety
///
/// As [`Kernel::mach_msg`], for the program.
unsafe fn transfer(
    message: *mut u8,
    options: u64,
    send_size: u32,
    receive_size: u32,
    from: u32,
    timeout: u32,
) -> i32 {
    let has = |bit: u64| options & bit != 0;
    let known = SEND | RECEIVE | LARGE | SEND_TIMEOUT | RECEIVE_TIMEOUT;
    let call = MsgCall {
        send: has(SEND),
        receive: has(RECEIVE).then_some(Name(from)),
        send_timeout: has(SEND_TIMEOUT).then_some(timeout),
        receive_timeout: has(RECEIVE_TIMEOUT).then_some(timeout),
        large: has(LARGE),
        options: (options & !known) as u32,
        kernel_object: has(TO_KERNEL_OBJECT),
    };
    let send_size = if call.send { send_size as usize } else { 0 };
    let room = if call.receive.is_some() { receive_size as usize } else { 0 };
    if call.send && (send_size < HEADER || send_size % 4 != 0) {
        return KernReturn::MACH_SEND_MSG_TOO_SMALL.0;
    }
    // Of its own, as the kernel has one: the program's may begin between two words, or be moved in part.
    let mut buffer = vec![0_u64; send_size.div_ceil(8).max(room / 8)];
    let bytes = bytes_of(&mut buffer);
    // SAFETY: the program sends this many bytes.
    unsafe { std::ptr::copy_nonoverlapping(message, bytes.as_mut_ptr(), send_size) };
    let Err(code) = exchange(&process::current().task, &mut buffer, send_size, call) else {
        copy_back(message, &mut buffer, room);
        return 0;
    };
    // Of a message that is too large there is the header.
    copy_back(message, &mut buffer, send_size.max(room.min(HEADER)));
    if let Some((_, reason)) = FATAL.iter().find(|(fatal, _)| *fatal == code) {
        // SAFETY: the program has sent a header.
        let [.., id] = unsafe { message.cast::<[i32; 6]>().read_unaligned() };
        eprintln!("machrun: XNU ends the program: EXC_GUARD, {reason}, for the message {id}");
        kill();
    }
    code.0
}

fn kill() -> ! {
    let process = process::current();
    if process.is_first() {
        std::process::exit(KILLED);
    }
    process::exit(libc::SIGKILL)
}

/// The call, with the program's memory in the place of the kernel's.
fn exchange(task: &Task, buffer: &mut [u64], send_size: usize, call: MsgCall) -> Result<(), KernReturn> {
    if call.send {
        // The size that the kernel uses is that of the call.
        bytes_of(buffer)[4..8].copy_from_slice(&(send_size as u32).to_le_bytes());
        // SAFETY: the program answers for what it sends, as on a real kernel.
        let lending = unsafe { memory::lend(task, &mut bytes_of(buffer)[..send_size]) };
        match trap(task, buffer, call) {
            Err(code) if is_of_send(code) => {
                lending.refused(task, &mut bytes_of(buffer)[..send_size]);
                return Err(code);
            }
            result => {
                lending.sent();
                result?;
            }
        }
    } else {
        trap(task, buffer, call)?;
    }
    if call.receive.is_some() {
        memory::receive(task, bytes_of(buffer));
    }
    Ok(())
}

fn is_of_send(KernReturn(code): KernReturn) -> bool {
    const OF_RECEIVE: i32 = 0x4000;
    code & OF_RECEIVE == 0
}

fn trap(task: &Task, buffer: &mut [u64], call: MsgCall) -> Result<(), KernReturn> {
    // SAFETY: `u64` and `MaybeUninit<u64>` are laid out alike, and the kernel writes whole words.
    let buffer = unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [MaybeUninit<u64>]) };
    // SAFETY: all of the buffer is initialised. The kernel looks up every right and region that the message
    // names among those of this task, so that a program can spoil only its own.
    unsafe { task.mach_msg(buffer, call) }
}

fn bytes_of(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: words are bytes.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

fn copy_back(message: *mut u8, buffer: &mut [u64], len: usize) {
    let bytes = bytes_of(buffer);
    // SAFETY: the program's buffer has this many bytes: those that it sent, or those that it has room for.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), message, len.min(bytes.len())) };
}
