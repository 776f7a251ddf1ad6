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
type Sender = SendRight<Null>;
type Receiver = ReceiveRight<Null>;
type Create = fn(Sender, Receiver, u64, &Receiver, &Receiver, u64) -> Result<()>;
type Initialize = fn(&Sender, &Receiver, u64, &[u8]) -> Result<()>;
type Request = fn(&Sender, &Receiver, u64, u64, i32) -> Result<()>;
type Put = fn(&Sender, &[i32], &[u8]) -> Result<i32>;
type Get = fn(&Sender) -> Result<ArraysGetReply<Null>>;
type Demux = fn(&Server, &mut Received<'_, Null>, &mut Reply<'_, Null>) -> bool;

/// Calls generated functions, none of them inlined, as C's are not.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn run_messages(which: u32, count: u64) -> u64 {
    let create: Create = black_box(memory_object_default::memory_object_create);
    let initialize: Initialize = black_box(memory_object_default::memory_object_data_initialize);
    let request: Request = black_box(memory_object::memory_object_data_request);
    let put: Put = black_box(arrays::arrays_put);
    let get: Get = black_box(arrays::arrays_get);
    let demux: Demux = black_box(match which % 5 {
        0 | 1 => memory_object_default_server::<Null, Server>,
        2 => memory_object_server::<Null, Server>,
        _ => arrays_server::<Null, Server>,
    });
    let (page, numbers) = (black_box([0u8; 4096]), black_box([0i32; 8]));
    let (mut message, mut storage) = (MsgBuf::<8192>::new(), MsgBuf::<8192>::new());
    let server: Sender = right(0x103);
    let (control, name): (Receiver, Receiver) = (right(0x303), right(0x403));
    let mut good = 0;
    for _ in 0..count {
        good += u64::from(match which {
            0 => create(right(0x103), right(0x203), 0x10000, &control, &name, 4096).is_ok(),
            1 => initialize(&server, &control, 0x10000, &page).is_ok(),
            2 => request(&server, &control, 0x10000, 4096, 1).is_ok(),
            3 => put(&server, &numbers, &page).is_ok(),
            4 => get(&server).is_ok(),
            _ => serve_message(&mut message, &mut storage, demux),
        });
    }
    good
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
