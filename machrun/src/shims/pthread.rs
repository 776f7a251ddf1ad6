//! Threads. Apple's structures are as large as glibc's or larger, so glibc's functions work on them, once
//! those that were initialised by a constant have been made glibc's.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Shim;
use crate::process::{self, Process};

pub(super) const SHIMS: &[Shim] = &[
    Shim("_pthread_create", create as *const ()),
    Shim("_pthread_mutex_init", mutex_init as *const ()),
    Shim("_pthread_mutex_lock", mutex_lock as *const ()),
    Shim("_pthread_mutex_trylock", mutex_trylock as *const ()),
    Shim("_pthread_mutex_unlock", libc::pthread_mutex_unlock as *const ()),
    Shim("_pthread_cond_wait", cond_wait as *const ()),
    Shim("_pthread_cond_signal", cond_signal as *const ()),
    Shim("_pthread_cond_broadcast", cond_broadcast as *const ()),
    Shim("_pthread_cond_timedwait", cond_timedwait as *const ()),
    Shim("_pthread_cond_timedwait_relative_np", cond_timedwait_relative as *const ()),
    Shim("_pthread_get_stackaddr_np", stack_end as *const ()),
    Shim("_pthread_get_stacksize_np", stack_size as *const ()),
    Shim("_pthread_threadid_np", thread_id as *const ()),
    Shim("_pthread_setname_np", set_name as *const ()),
    Shim("__tlv_atexit", at_thread_exit as *const ()),
];

type Start = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// What a new thread of a program is to do.
struct Begin {
    process: &'static Process,
    start: Start,
    argument: *mut c_void,
}

unsafe extern "C" fn create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    extern "C" fn begin(argument: *mut c_void) -> *mut c_void {
        // SAFETY: `create` has made it for this thread.
        let begin = unsafe { Box::from_raw(argument.cast::<Begin>()) };
        process::enter(begin.process);
        // SAFETY: the program wants it so.
        unsafe { (begin.start)(begin.argument) }
    }
    let begun = Box::into_raw(Box::new(Begin { process: process::current(), start, argument }));
    // SAFETY: the program's arguments, but for the thread's beginning, which is the one above.
    let code = unsafe { libc::pthread_create(thread, attributes, begin, begun.cast()) };
    if code != 0 {
        // SAFETY: no thread has got it.
        drop(unsafe { Box::from_raw(begun) });
    }
    code
}

/// The first words of what `PTHREAD_MUTEX_INITIALIZER` and `PTHREAD_COND_INITIALIZER` make.
const FRESH_MUTEX: u32 = 0x32aa_aba7;
const FRESH_COND: u32 = 0x3cb0_b1bb;

/// Makes a structure of Apple's constant one of glibc's constant: in both all other bytes are zero.
///
/// # Safety
///
/// It is a mutex or a condition variable of a program.
unsafe fn adopt<T>(object: *mut T, fresh: u32) {
    // SAFETY: the caller's promise. glibc changes the word atomically as well.
    let word = unsafe { AtomicU32::from_ptr(object.cast()) };
    let _ = word.compare_exchange(fresh, 0, Ordering::SeqCst, Ordering::Relaxed);
}

unsafe extern "C" fn mutex_init(
    mutex: *mut libc::pthread_mutex_t,
    attributes: *const libc::pthread_mutexattr_t,
) -> c_int {
    // SAFETY: the program's arguments.
    unsafe { libc::pthread_mutex_init(mutex, attributes) }
}

unsafe extern "C" fn mutex_lock(mutex: *mut libc::pthread_mutex_t) -> c_int {
    // SAFETY: the program's mutex.
    unsafe { adopt(mutex, FRESH_MUTEX) };
    // SAFETY: as above.
    unsafe { libc::pthread_mutex_lock(mutex) }
}

unsafe extern "C" fn mutex_trylock(mutex: *mut libc::pthread_mutex_t) -> c_int {
    // SAFETY: the program's mutex.
    unsafe { adopt(mutex, FRESH_MUTEX) };
    // SAFETY: as above; EBUSY is the same number on both systems.
    unsafe { libc::pthread_mutex_trylock(mutex) }
}

unsafe extern "C" fn cond_wait(cond: *mut libc::pthread_cond_t, mutex: *mut libc::pthread_mutex_t) -> c_int {
    // SAFETY: the program's condition variable.
    unsafe { adopt(cond, FRESH_COND) };
    // SAFETY: as above, and the mutex, which it has locked.
    unsafe { libc::pthread_cond_wait(cond, mutex) }
}

unsafe extern "C" fn cond_signal(cond: *mut libc::pthread_cond_t) -> c_int {
    // SAFETY: the program's condition variable.
    unsafe { adopt(cond, FRESH_COND) };
    // SAFETY: as above.
    unsafe { libc::pthread_cond_signal(cond) }
}

unsafe extern "C" fn cond_broadcast(cond: *mut libc::pthread_cond_t) -> c_int {
    // SAFETY: the program's condition variable.
    unsafe { adopt(cond, FRESH_COND) };
    // SAFETY: as above.
    unsafe { libc::pthread_cond_broadcast(cond) }
}

/// Waits until a time of the calendar.
unsafe extern "C" fn cond_timedwait(
    cond: *mut libc::pthread_cond_t,
    mutex: *mut libc::pthread_mutex_t,
    until: *const libc::timespec,
) -> c_int {
    /// `ETIMEDOUT` of Apple.
    const TIMED_OUT: c_int = 60;
    // SAFETY: the program's condition variable.
    unsafe { adopt(cond, FRESH_COND) };
    // SAFETY: as above, the mutex, which it has locked, and its time.
    match unsafe { libc::pthread_cond_timedwait(cond, mutex, until) } {
        libc::ETIMEDOUT => TIMED_OUT,
        code => code,
    }
}

unsafe extern "C" fn cond_timedwait_relative(
    cond: *mut libc::pthread_cond_t,
    mutex: *mut libc::pthread_mutex_t,
    time: *const libc::timespec,
) -> c_int {
    const SECOND: i64 = 1_000_000_000;
    // SAFETY: the program's time.
    let time = unsafe { *time };
    let mut until = super::system::now(libc::CLOCK_REALTIME);
    until.tv_nsec += time.tv_nsec;
    until.tv_sec = until.tv_sec.saturating_add(time.tv_sec).saturating_add(until.tv_nsec / SECOND);
    until.tv_nsec %= SECOND;
    // SAFETY: the program's arguments.
    unsafe { cond_timedwait(cond, mutex, &until) }
}

/// The end of the calling thread's stack with the higher address, and its size.
fn stack() -> (*mut c_void, usize) {
    let mut attributes = MaybeUninit::uninit();
    let (mut lowest, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: it has no precondition.
    let thread = unsafe { libc::pthread_self() };
    // SAFETY: the thread has attributes.
    if unsafe { libc::pthread_getattr_np(thread, attributes.as_mut_ptr()) } != 0 {
        return (lowest, size);
    }
    // SAFETY: glibc has written them.
    let mut attributes: libc::pthread_attr_t = unsafe { attributes.assume_init() };
    // SAFETY: as above.
    unsafe { libc::pthread_attr_getstack(&attributes, &mut lowest, &mut size) };
    // SAFETY: as above.
    unsafe { libc::pthread_attr_destroy(&mut attributes) };
    (lowest.wrapping_byte_add(size), size)
}

extern "C" fn stack_end(_thread: usize) -> *mut c_void {
    stack().0
}

extern "C" fn stack_size(_thread: usize) -> usize {
    stack().1
}

unsafe extern "C" fn thread_id(_thread: usize, id: *mut u64) -> c_int {
    // SAFETY: it has no precondition.
    let own = unsafe { libc::gettid() };
    // SAFETY: the program wants it there.
    unsafe { id.write(own as u64) };
    0
}

extern "C" fn set_name(_name: *const u8) -> c_int {
    0
}

/// Calls a destructor when the calling thread ends.
unsafe extern "C" fn at_thread_exit(destructor: unsafe extern "C" fn(*mut c_void), object: *mut c_void) {
    unsafe extern "C" {
        fn __cxa_thread_atexit_impl(
            destructor: unsafe extern "C" fn(*mut c_void),
            object: *mut c_void,
            library: *mut c_void,
        ) -> c_int;
        static __dso_handle: u8;
    }
    let library = (&raw const __dso_handle).cast_mut().cast();
    // SAFETY: the program's destructor; the program stays where it is.
    unsafe { __cxa_thread_atexit_impl(destructor, object, library) };
}
