//! The generated Rust over a kernel that does nothing.

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mach_defs::gnu_x86_64::memory_object::{self, memory_object_server};
use mach_defs::gnu_x86_64::memory_object_default::{self, memory_object_default_server};
use mig_runtime::{CallError, MsgBuf, Name, Receive, ReceiveRight, Received, Reply, Right, SendRight};

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

type Result<T> = std::result::Result<T, CallError<Null>>;
type Demux = fn(&Server, &mut Received<'_, Null>, &mut Reply<'_, Null>) -> bool;

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn run_messages(which: u32, count: u64) -> u64 {
    let demux: Demux = black_box(match which % 5 {
        0 | 1 => memory_object_default_server::<Null, Server>,
        2 => memory_object_server::<Null, Server>,
        _ => arrays_server::<Null, Server>,
    });
    let (mut message, mut storage) = (MsgBuf::<8192>::new(), MsgBuf::<8192>::new());
    let c = Caller {
        server: right(0x103),
        object: Name(0x203),
        control: right(0x303),
        name: right(0x403),
        offset: 0x10000,
        size: 4096,
        access: 1,
        numbers: &black_box([0; 8]),
        bytes: &black_box([0; 4096]),
    };
    let mut good = 0;
    for _ in 0..count {
        good += u64::from(match which {
            0 => send_create(&c),
            1 => send_initialize(&c),
            2 => send_request(&c),
            3 => call_put(&c).is_ok(),
            4 => call_get(&c).is_ok(),
            _ => serve_message(&mut message, &mut storage, demux),
        });
    }
    good
}

/// A program that sends messages: what it has. Its functions are those of `driver.c`.
struct Caller<'a> {
    server: SendRight<Null>,
    object: Name,
    control: ReceiveRight<Null>,
    name: ReceiveRight<Null>,
    offset: u64,
    size: u64,
    access: i32,
    numbers: &'a [i32],
    bytes: &'a [u8],
}

#[inline(never)]
fn send_create(c: &Caller<'_>) -> bool {
    let (server, object): (SendRight<Null>, ReceiveRight<Null>) =
        (right(c.server.name().0), right(c.object.0));
    memory_object_default::memory_object_create(server, object, c.offset, &c.control, &c.name, c.size).is_ok()
}

#[inline(never)]
fn send_initialize(c: &Caller<'_>) -> bool {
    memory_object_default::memory_object_data_initialize(&c.server, &c.control, c.offset, c.bytes).is_ok()
}

#[inline(never)]
fn send_request(c: &Caller<'_>) -> bool {
    memory_object::memory_object_data_request(&c.server, &c.control, c.offset, c.size, c.access).is_ok()
}

#[inline(never)]
fn call_put(c: &Caller<'_>) -> Result<i32> {
    arrays::arrays_put(&c.server, c.numbers, c.bytes)
}

#[inline(never)]
fn call_get(c: &Caller<'_>) -> Result<ArraysGetReply<Null>> {
    arrays::arrays_get(&c.server)
}

/// A right of which nobody keeps account.
fn right<R: Right<Null>>(name: u32) -> R {
    // SAFETY: the kernel does nothing with rights.
    unsafe { R::from_raw(Null, Name(name)) }
}

/// A turn of a server's loop: receives a message, serves it, and answers it.
#[inline(never)]
fn serve_message(message: &mut MsgBuf<8192>, storage: &mut MsgBuf<8192>, demux: Demux) -> bool {
    let Ok(mut request) = Received::receive(&Null, message.words(), Receive::from(Name(0x103))) else {
        return false;
    };
    let mut reply = Reply::new(&Null, storage.words());
    let known = demux(&Server, &mut request, &mut reply);
    known && reply.answer(request).is_ok()
}
