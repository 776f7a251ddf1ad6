//! Files, memory, time and what a program knows of itself, where Apple's constants or structures are not
//! those of Linux.

use std::ffi::{c_char, c_int, c_long, c_void};

use super::Shim;
use crate::process;

pub(super) const SHIMS: &[Shim] = &[
    Shim("__NSGetArgc", argc as *const ()),
    Shim("__NSGetArgv", argv as *const ()),
    Shim("__NSGetEnviron", environ as *const ()),
    Shim("__NSGetExecutablePath", executable_path as *const ()),
    Shim("___error", errno as *const ()),
    Shim("___bzero", bzero as *const ()),
    Shim("_CCRandomGenerateBytes", random as *const ()),
    Shim("_clock_gettime", clock_gettime as *const ()),
    Shim("_sysconf", sysconf as *const ()),
    Shim("_mmap", mmap as *const ()),
    Shim("_fcntl", fcntl as *const ()),
    Shim("_dlsym", super::dlsym as *const ()),
    // A program finds no files: what it prints goes to files that are open.
    Shim("_open", no_file as *const ()),
    Shim("_stat$INODE64", no_file as *const ()),
    Shim("_fstat$INODE64", no_file as *const ()),
    Shim("_opendir$INODE64", no_folder as *const ()),
    // A guard page that cannot be read, signals that are ignored, file descriptors that are open: nothing
    // depends on them here.
    Shim("_mprotect", succeed as *const ()),
    Shim("_sigaltstack", succeed as *const ()),
    Shim("_sigaction", succeed as *const ()),
    Shim("_signal", succeed as *const ()),
    Shim("_sigemptyset", succeed as *const ()),
    Shim("_sigaddset", succeed as *const ()),
    Shim("_poll", succeed as *const ()),
    Shim("_sysctlbyname", fail as *const ()),
    // Backtraces: the system's libraries have no images here.
    Shim("__dyld_image_count", succeed as *const ()),
];

extern "C" fn argc() -> *const c_int {
    &raw const process::current().variables.argc
}

extern "C" fn argv() -> *const *const *const c_char {
    &raw const process::current().variables.argv
}

extern "C" fn environ() -> *mut *mut *mut c_char {
    unsafe extern "C" {
        static mut environ: *mut *mut c_char;
    }
    &raw mut environ
}

unsafe extern "C" fn executable_path(buffer: *mut c_char, size: *mut u32) -> c_int {
    // SAFETY: there is always a first argument.
    let path = unsafe { *process::current().variables.argv };
    // SAFETY: it is a string of C.
    let len = unsafe { libc::strlen(path) } + 1;
    // SAFETY: the program's variable.
    let room = unsafe { size.replace(len as u32) } as usize;
    if room < len {
        return -1;
    }
    // SAFETY: the buffer has room for it, as just tested.
    unsafe { std::ptr::copy_nonoverlapping(path, buffer, len) };
    0
}

extern "C" fn errno() -> *mut c_int {
    // SAFETY: each thread has one.
    unsafe { libc::__errno_location() }
}

unsafe extern "C" fn bzero(bytes: *mut u8, len: usize) {
    // SAFETY: the program's bytes.
    unsafe { std::ptr::write_bytes(bytes, 0, len) };
}

unsafe extern "C" fn random(bytes: *mut c_void, len: usize) -> c_int {
    // SAFETY: the program's bytes.
    let got = unsafe { libc::getrandom(bytes, len, 0) };
    if got == len as isize { 0 } else { -1 }
}

pub(super) fn now(clock: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is a variable of this function.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time
}

/// Of the clock that does not jump.
pub(super) fn nanoseconds() -> u64 {
    let time = now(libc::CLOCK_MONOTONIC);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Apple's clocks are the one of the calendar, 0, and several that do not jump.
unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut libc::timespec) -> c_int {
    let clock = if clock == 0 { libc::CLOCK_REALTIME } else { libc::CLOCK_MONOTONIC };
    // SAFETY: the program wants it there.
    unsafe { time.write(now(clock)) };
    0
}

/// The size of a page, and how many processors there are.
extern "C" fn sysconf(name: c_int) -> c_long {
    match name {
        29 => 4096,
        57 | 58 => std::thread::available_parallelism().map_or(1, |processors| processors.get() as c_long),
        _ => -1,
    }
}

unsafe extern "C" fn mmap(
    address: *mut c_void,
    len: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut c_void {
    /// `MAP_SHARED`, `MAP_PRIVATE` and `MAP_FIXED` are the same on both.
    const ALIKE: c_int = 0x13;
    const ANONYMOUS: c_int = 0x1000;
    let anonymous = if flags & ANONYMOUS != 0 { libc::MAP_ANONYMOUS } else { 0 };
    // SAFETY: the program's arguments.
    unsafe { libc::mmap(address, len, protection, flags & ALIKE | anonymous, file, offset) }
}

/// The flag that is dropped when another program is started: the same on both systems.
unsafe extern "C" fn fcntl(file: c_int, command: c_int, argument: c_int) -> c_int {
    match command {
        // SAFETY: no memory is meant.
        libc::F_GETFD | libc::F_SETFD => unsafe { libc::fcntl(file, command, argument) },
        _ => -1,
    }
}

extern "C" fn no_file() -> c_long {
    // SAFETY: each thread has one. ENOENT is the same number on both systems.
    unsafe { errno().write(libc::ENOENT) };
    -1
}

extern "C" fn no_folder() -> *const c_void {
    no_file();
    std::ptr::null()
}

extern "C" fn succeed() -> c_long {
    0
}

extern "C" fn fail() -> c_long {
    -1
}
