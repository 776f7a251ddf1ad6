//! The generated Rust over a kernel that does nothing.

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mach_defs::gnu_x86_64::memory_object::{self, memory_object_server};
use mach_defs::gnu_x86_64::memory_object_default::{self, memory_object_default_server};
use mig_runtime::{
    CallError, MsgBuf, Name, Receive, ReceiveRight, Received, Reply, SendRight,
};

use crate::arrays::{self, ArraysGetReply, arrays_server};
use crate::null::{CALLS, Null, Server};

/// Calls case `which` `count` times, as `run_messages` of `driver.c`, and returns the time that it took.
///
/// # Panics
///
/// If a call fails.
pub(crate) fn run(which: u32, count: u64) -> Duration {
    CALLS.store(0, Ordering::Relaxed);
    let start = Instant::now();
    let good = run_messages(which, count);
    let time = start.elapsed();
    assert_eq!((good, CALLS.load(Ordering::Relaxed) >= count), (count, true), "every call ends well");
    time
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn run_messages(which: u32, count: u64) -> u64 {
    let (page, numbers) = (black_box([0u8; 4096]), black_box([0i32; 8]));
    let (mut message, mut storage) = (MsgBuf::<8192>::new(), MsgBuf::<8192>::new());
    let server = right::<SendRight<Null>>(0x103);
    let (control, name) = (right::<ReceiveRight<Null>>(0x303), right::<ReceiveRight<Null>>(0x403));
    let mut good = 0;
    for _ in 0..count {
        good += u64::from(match which {
            0 => create(right(0x103), right(0x203), 0x10000, &control, &name, 4096).is_ok(),
            1 => initialize(&server, &control, 0x10000, &page).is_ok(),
            2 => request(&server, &control, 0x10000, 4096, 1).is_ok(),
            3 => put(&server, &numbers, &page).is_ok(),
            4 => get(&server).is_ok(),
            5 | 6 => serve(&mut message, &mut storage, |request, reply| {
                memory_object_default_server(&Server, request, reply)
            }),
            7 => serve(&mut message, &mut storage, |request, reply| memory_object_server(&Server, request, reply)),
            _ => serve(&mut message, &mut storage, |request, reply| arrays_server(&Server, request, reply)),
        });
    }
    good
}

/// A right of which nobody keeps account.
fn right<R: mig_runtime::Right<Null>>(name: u32) -> R {
    // SAFETY: the kernel does nothing with rights.
    unsafe { R::from_raw(Null, Name(name)) }
}

#[inline(never)]
fn create(
    server: SendRight<Null>,
    object: ReceiveRight<Null>,
    size: u64,
    control: &ReceiveRight<Null>,
    name: &ReceiveRight<Null>,
    page_size: u64,
) -> Result<(), CallError<Null>> {
    memory_object_default::memory_object_create(server, object, size, control, name, page_size)
}

#[inline(never)]
fn initialize(
    object: &SendRight<Null>,
    control: &ReceiveRight<Null>,
    offset: u64,
    data: &[u8],
) -> Result<(), CallError<Null>> {
    memory_object_default::memory_object_data_initialize(object, control, offset, data)
}

#[inline(never)]
fn request(
    object: &SendRight<Null>,
    control: &ReceiveRight<Null>,
    offset: u64,
    length: u64,
    access: i32,
) -> Result<(), CallError<Null>> {
    memory_object::memory_object_data_request(object, control, offset, length, access)
}

#[inline(never)]
fn put(server: &SendRight<Null>, numbers: &[i32], bytes: &[u8]) -> Result<i32, CallError<Null>> {
    arrays::arrays_put(server, numbers, bytes)
}

#[inline(never)]
fn get(server: &SendRight<Null>) -> Result<ArraysGetReply<Null>, CallError<Null>> {
    arrays::arrays_get(server)
}

/// Receives a message, serves it, and answers it.
#[inline(never)]
fn serve<const N: usize>(
    message: &mut MsgBuf<N>,
    storage: &mut MsgBuf<N>,
    demux: impl FnOnce(&mut Received<'_, Null>, &mut Reply<'_, Null>) -> bool,
) -> bool {
    let Ok(mut request) = Received::receive(&Null, message.words(), Receive::from(Name(0x103))) else {
        return false;
    };
    let mut reply = Reply::new(&Null, storage.words());
    let known = demux(&mut request, &mut reply);
    known && reply.answer(request).is_ok()
}
