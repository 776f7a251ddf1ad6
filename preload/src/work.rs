//! What the program's threads have done by a thread of this library.
//!
//! No thread of the program is ever at work in the kernel's half or in the pager. It could be at work on a
//! stack, with thread-local variables, or in a signal's handler whose memory is paged, and would wait for a
//! page with a lock held that the thread which brings the page is waiting for.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI32, AtomicU32};

use rustix::thread::futex;

use crate::{Mutex, descriptors, thread};

struct Job {
    work: Box<dyn FnOnce() + Send>,
    is_done: Arc<AtomicU32>,
}

static JOBS: Mutex<VecDeque<Job>> = Mutex::new(VecDeque::new());

/// Changes with each job.
static MADE: AtomicU32 = AtomicU32::new(0);

/// The number of the thread, as the system has it.
static THREAD: AtomicI32 = AtomicI32::new(0);

/// The number of the thread, whose descriptors are those of all threads of this library.
pub(crate) fn thread() -> i32 {
    THREAD.load(Relaxed)
}

/// What has become of the thread's beginning: nothing yet, an error, or all is well.
static BEGUN: AtomicU32 = AtomicU32::new(BEGINS);
const BEGINS: u32 = 0;
const FAILED: u32 = 1;
const WELL: u32 = 2;

/// Starts the thread, which has its own [descriptors] and this one of the program's. When this returns it
/// has.
pub(crate) fn start(keep: Option<RawFd>) -> std::io::Result<()> {
    BEGUN.store(BEGINS, Relaxed);
    let thread = std::thread::Builder::new().name("mach work".to_owned());
    let thread = thread.spawn(move || {
        // SAFETY: a number of this thread.
        THREAD.store(unsafe { libc::gettid() }, Relaxed);
        let own = descriptors::begin(keep);
        BEGUN.store(if own.is_ok() { WELL } else { FAILED }, Release);
        let _ = futex::wake(&BEGUN, futex::Flags::PRIVATE, 1);
        own?;
        loop {
            let made = MADE.load(Acquire);
            let job = JOBS.lock().pop_front();
            match job {
                Some(Job { work, is_done }) => {
                    work();
                    is_done.store(1, Release);
                    let _ = futex::wake(&is_done, futex::Flags::PRIVATE, 1);
                }
                None => drop(futex::wait(&MADE, futex::Flags::PRIVATE, made, None)),
            }
        }
    })?;
    while BEGUN.load(Acquire) == BEGINS {
        let _ = futex::wait(&BEGUN, futex::Flags::PRIVATE, BEGINS, None);
    }
    match BEGUN.load(Acquire) {
        WELL => Ok(()),
        _ => thread.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into())),
    }
}

/// Does something in a thread of this library, and waits until it is done.
pub(crate) fn done<R: Send>(what: impl FnOnce() -> R + Send) -> Option<R> {
    if !thread::is_of_program() {
        return Some(what());
    }
    let mut result = None;
    let into = &mut result;
    let work: Box<dyn FnOnce() + Send + '_> = Box::new(move || *into = Some(what()));
    // SAFETY: only the lifetime changes. What the job refers to lives until this returns, and that is when
    // the job is done.
    let work = unsafe { mem::transmute::<Box<dyn FnOnce() + Send + '_>, Box<dyn FnOnce() + Send>>(work) };
    let is_done = Arc::new(AtomicU32::new(0));
    JOBS.lock().push_back(Job { work, is_done: is_done.clone() });
    MADE.fetch_add(1, Release);
    let _ = futex::wake(&MADE, futex::Flags::PRIVATE, 1);
    while is_done.load(Acquire) == 0 {
        let _ = futex::wait(&is_done, futex::Flags::PRIVATE, 0, None);
    }
    result
}

/// Keeps every other thread out, for a fork.
pub(crate) fn lock() {
    mem::forget(JOBS.lock());
}

/// Forgets what threads of the parent have wanted done: they are not in the child of a fork.
///
/// # Safety
///
/// As [`unlock`].
pub(crate) unsafe fn forget() {
    // SAFETY: the caller's promise.
    let jobs = unsafe { &mut *JOBS.data_ptr() };
    mem::forget(mem::take(jobs));
}

/// Lets them in.
///
/// # Safety
///
/// This thread has called [`lock`], or its copy in the parent has.
pub(crate) unsafe fn unlock() {
    // SAFETY: the caller's promise.
    unsafe { JOBS.force_unlock() };
}
