//! Which threads are this library's, or at work for it.
//!
//! What the C library allocates for such a thread comes from glibc's `malloc`, because a thread that serves
//! page faults must not wait for one. The mark is a value of `pthread_setspecific`: to read it needs no
//! memory, unlike a thread-local variable of a library, whose first use may call `malloc`.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

use crate::system;

const NO_KEY: u32 = u32::MAX;

static KEY: AtomicU32 = AtomicU32::new(NO_KEY);

/// Makes the mark. Until then every thread counts as this library's. False if there is none to be had.
pub(crate) fn prepare() -> bool {
    let mut key = 0;
    // SAFETY: the values are no pointers, and need no destructor.
    if unsafe { libc::pthread_key_create(&mut key, None) } != 0 {
        return false;
    }
    KEY.store(key, Release);
    true
}

/// True if this thread is the program's, and not at work for this library.
pub(crate) fn is_of_program() -> bool {
    let key = KEY.load(Acquire);
    // SAFETY: the key has been made, and is never deleted.
    key != NO_KEY && unsafe { libc::pthread_getspecific(key) }.is_null()
}

fn mark(is_ours: bool) {
    let key = KEY.load(Acquire);
    if key != NO_KEY {
        let value = ptr::without_provenance(usize::from(is_ours));
        // SAFETY: the key has been made; the value is not followed.
        unsafe { libc::pthread_setspecific(key, value) };
    }
}

/// While this lives its thread is at work for this library.
pub(crate) struct AtWork {
    was_of_program: bool,
}

impl AtWork {
    pub(crate) fn begin() -> Self {
        let was_of_program = is_of_program();
        if was_of_program {
            mark(true);
        }
        Self { was_of_program }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if self.was_of_program {
            mark(false);
        }
    }
}

type Body = extern "C" fn(*mut c_void) -> *mut c_void;

/// What a thread is to do.
struct Start {
    body: Body,
    argument: *mut c_void,
}

/// A thread of ours is one before anything else happens in it.
extern "C" fn begin(start: *mut c_void) -> *mut c_void {
    mark(true);
    // SAFETY: `pthread_create` has made it, for this thread alone.
    let start = unsafe { Box::from_raw(start.cast::<Start>()) };
    let Start { body, argument } = *start;
    body(argument)
}

/// Threads that are made by ours are ours.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    body: Body,
    argument: *mut c_void,
) -> c_int {
    let Some(create) = system::pthread_create() else { return libc::EAGAIN };
    if is_of_program() || KEY.load(Acquire) == NO_KEY {
        // SAFETY: the caller's promise.
        return unsafe { create(thread, attributes, body, argument) };
    }
    let start = Box::into_raw(Box::new(Start { body, argument }));
    // SAFETY: the caller's promise; `begin` takes what it is given.
    let result = unsafe { create(thread, attributes, begin, start.cast()) };
    if result != 0 {
        // SAFETY: there is no thread that has it.
        drop(unsafe { Box::from_raw(start) });
    }
    result
}
