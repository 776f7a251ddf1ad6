//! Starting and ending programs.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use super::Shim;
use crate::process;

pub(super) const SHIMS: &[Shim] = &[
    Shim("_exit", exit as *const ()),
    Shim("__exit", exit_at_once as *const ()),
    Shim("_posix_spawnp", spawn as *const ()),
    Shim("_waitpid", waitpid as *const ()),
    // A child has the signals of its parent and, below, no other files.
    Shim("_posix_spawnattr_init", no_attributes as *const ()),
    Shim("_posix_spawnattr_setflags", no_attributes as *const ()),
    Shim("_posix_spawnattr_setsigmask", no_attributes as *const ()),
    Shim("_posix_spawnattr_setsigdefault", no_attributes as *const ()),
    Shim("_posix_spawnattr_destroy", no_attributes as *const ()),
    Shim("_posix_spawn_file_actions_init", no_attributes as *const ()),
    Shim("_posix_spawn_file_actions_destroy", no_attributes as *const ()),
    Shim("_posix_spawn_file_actions_adddup2", not_done as *const ()),
    Shim("_posix_spawnattr_setpgroup", not_done as *const ()),
    Shim("_fork", no_fork as *const ()),
];

/// ENOTSUP and ENOENT of Apple.
const NOT_SUPPORTED: c_int = 45;
const NO_ENTRY: c_int = 2;

extern "C" fn exit(code: c_int) -> ! {
    if process::current().is_first() {
        std::process::exit(code);
    }
    process::exit((code & 0xff) << 8)
}

extern "C" fn exit_at_once(code: c_int) -> ! {
    if process::current().is_first() {
        // SAFETY: it ends this process.
        unsafe { libc::_exit(code) };
    }
    process::exit((code & 0xff) << 8)
}

unsafe extern "C" fn spawn(
    pid: *mut c_int,
    program: *const c_char,
    _actions: *const c_void,
    _attributes: *const c_void,
    mut arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    if environment != process::environment() {
        return NOT_SUPPORTED;
    }
    // The path is that of the program; what its first argument says otherwise it does not see.
    // SAFETY: the path is a string of C.
    let mut words = vec![CString::from(unsafe { CStr::from_ptr(program) })];
    loop {
        arguments = arguments.wrapping_add(1);
        // SAFETY: a null pointer ends the arguments, of which there is at least one.
        let argument = unsafe { *arguments };
        if argument.is_null() {
            break;
        }
        // SAFETY: an argument is a string of C.
        words.push(CString::from(unsafe { CStr::from_ptr(argument) }));
    }
    match process::spawn(words) {
        Ok(child) => {
            // SAFETY: the program wants it there.
            unsafe { pid.write(child) };
            0
        }
        Err(why) => {
            eprintln!("machrun: {why}");
            NO_ENTRY
        }
    }
}

unsafe extern "C" fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int {
    match process::with_pid(pid) {
        Some(child) if !child.is_first() => {
            let ended = child.wait();
            // SAFETY: the program wants it there.
            unsafe { status.write(ended) };
            pid
        }
        // SAFETY: the program's arguments.
        _ => unsafe { libc::waitpid(pid, status, options) },
    }
}

extern "C" fn no_attributes() -> c_int {
    0
}

extern "C" fn not_done() -> c_int {
    NOT_SUPPORTED
}

extern "C" fn no_fork() -> c_int {
    -1
}
