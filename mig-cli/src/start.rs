//! The start of the command on Linux, in place of the standard library's.
//!
//! The library's reads `/proc/self/maps` and sets up a stack for the handler that names a stack overflow,
//! which was 6 % of the time of a small file. The compiler bounds how deep its input nests, so it needs no
//! such handler; an overflow would end the command by its signal. Everything else that the library does at
//! the start is done here.

use std::ffi::{c_char, c_int};
use std::panic;
use std::process;

/// The exit code of a Rust program after a panic.
const PANICKED: i32 = 101;

/// The function that the C library calls. The standard library gets the arguments from the C library by
/// itself.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    prepare();
    process::exit(panic::catch_unwind(crate::run).unwrap_or(PANICKED))
}

/// Opens the standard streams that are closed, since otherwise the next file that is opened would be taken
/// for one. Has a write to a pipe that nobody reads fail, where it would end the command.
fn prepare() {
    for stream in 0..3 {
        // SAFETY: this asks about a number.
        if unsafe { libc::fcntl(stream, libc::F_GETFD) } == -1 {
            // SAFETY: the path is a string of C. The file gets the lowest number that is free: this one.
            unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        }
    }
    // SAFETY: no handler is installed, and no other thread runs yet.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}
