//! Which threads are this library's, or at work for it.
//!
//! What the C library allocates for such a thread comes from glibc's `malloc`, because a thread that serves
//! page faults must not wait for one. The mark is a value of `pthread_setspecific`: to read it needs no
//! memory, unlike a thread-local variable of a library, whose first use may call `malloc`.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
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

/// While this lives, threads that are made take no signals: those are the program's. What a thread of ours
/// does wrong ends the process all the same, whatever handlers the program has.
pub(crate) struct Quiet(libc::sigset_t);

impl Quiet {
    pub(crate) fn begin() -> Self {
        let mut all = MaybeUninit::uninit();
        // SAFETY: it is filled in.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: the first set has been filled in, and the other one is.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
        // SAFETY: zeros are a set of signals, too.
        Self(unsafe { before.assume_init() })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: the set is one that there was.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

/// What a thread of ours is made with.
struct Attributes(libc::pthread_attr_t);

/// Bytes that nobody may touch below a stack.
const GUARD: usize = 4096;

/// Bytes of a stack, unless it is said.
const STACK: usize = 2 << 20;

impl Attributes {
    /// With a stack that is never given back. The child of a fork does not have the thread, and the C library
    /// would use its stack for another one there; but the thread is in lists still, as of those that wait
    /// for a lock, and these lists are on such stacks.
    fn with_stack(wanted: *const libc::pthread_attr_t) -> Option<Self> {
        let mut size = STACK;
        if !wanted.is_null() {
            // SAFETY: the attributes that a thread is to be made with.
            unsafe { libc::pthread_attr_getstacksize(wanted, &mut size) };
        }
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let flags = flags | libc::MAP_NORESERVE | libc::MAP_STACK;
        let size = size.next_multiple_of(GUARD);
        // SAFETY: new memory at an address of the system's choice.
        let stack = unsafe { system::mmap(ptr::null_mut(), GUARD + size, access, flags, -1, 0) };
        if stack == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: it has just been mapped, and nobody uses it.
        unsafe { system::mprotect(stack, GUARD, libc::PROT_NONE) };
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: they are filled in.
        let made = unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
        // SAFETY: they have been filled in, and the stack is nobody else's.
        let set = unsafe {
            libc::pthread_attr_setstack(attributes.as_mut_ptr(), stack.wrapping_byte_add(GUARD), size)
        };
        // SAFETY: as above.
        (made == 0 && set == 0).then(|| Self(unsafe { attributes.assume_init() }))
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
    let Some(mut own) = Attributes::with_stack(attributes) else { return libc::EAGAIN };
    let start = Box::into_raw(Box::new(Start { body, argument }));
    // SAFETY: the caller's promise; `begin` takes what it is given.
    let result = unsafe { create(thread, &raw mut own.0, begin, start.cast()) };
    if result != 0 {
        // SAFETY: there is no thread that has it.
        drop(unsafe { Box::from_raw(start) });
    }
    result
}
