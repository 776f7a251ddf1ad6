//! What programs call of Apple's system library: glibc's function of the same name where both are alike, and
//! one of ours where they differ. Where there is neither, the program gets a function that prints the name of
//! what it has called, and ends it.

mod dispatch;
mod mach;
mod processes;
mod pthread;
mod system;

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::{LazyLock, Mutex};

use crate::lock::lock;
use crate::process::Process;

/// A function for programs: Apple's name of it, and its address.
pub(crate) struct Shim(pub(crate) &'static str, pub(crate) *const ());

/// glibc's functions that take and return what Apple's do, as far as Rust's library uses them. Missing are
/// those whose structures or constants differ.
const ALIKE: &[&str] = &[
    "_Unwind_Backtrace",
    "_Unwind_DeleteException",
    "_Unwind_GetDataRelBase",
    "_Unwind_GetIP",
    "_Unwind_GetIPInfo",
    "_Unwind_GetLanguageSpecificData",
    "_Unwind_GetRegionStart",
    "_Unwind_GetTextRelBase",
    "_Unwind_RaiseException",
    "_Unwind_Resume",
    "_Unwind_SetGR",
    "_Unwind_SetIP",
    "abort",
    "calloc",
    "chdir",
    "close",
    "dup",
    "dup2",
    "free",
    "getcwd",
    "getentropy",
    "getenv",
    "getpid",
    "gettimeofday",
    "getuid",
    "isatty",
    "lseek",
    "malloc",
    "memchr",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "munmap",
    "pause",
    "pipe",
    "posix_memalign",
    "pthread_attr_destroy",
    "pthread_attr_init",
    "pthread_attr_setstacksize",
    "pthread_cond_destroy",
    "pthread_detach",
    "pthread_getspecific",
    "pthread_join",
    "pthread_mutex_destroy",
    "pthread_mutexattr_destroy",
    "pthread_mutexattr_init",
    "pthread_mutexattr_settype",
    "pthread_self",
    "pthread_setspecific",
    "read",
    "readv",
    "realloc",
    "realpath",
    "sched_yield",
    "setenv",
    "strerror_r",
    "strlen",
    "unlink",
    "unsetenv",
    "usleep",
    "nanosleep",
    "write",
    "writev",
];

/// All of ours.
static OURS: LazyLock<HashMap<&'static str, usize>> = LazyLock::new(|| {
    let tables = [mach::SHIMS, dispatch::SHIMS, processes::SHIMS, pthread::SHIMS, system::SHIMS];
    tables.into_iter().flatten().map(|Shim(name, address)| (*name, *address as usize)).collect()
});

/// The address of a symbol, for a program of this process.
pub(crate) fn resolve(symbol: &str, process: &Process) -> usize {
    let variable = variable(symbol, process);
    variable.or_else(|| function(symbol)).unwrap_or_else(|| missing(symbol))
}

/// Data of the system library. What depends on the process lies there; the rest is the same for all.
fn variable(symbol: &str, process: &Process) -> Option<usize> {
    static PAGE_SIZE: u64 = 4096;
    static PAGE_MASK: u64 = 4095;
    let of_process = &process.variables;
    Some(match symbol {
        "_mach_task_self_" => &raw const of_process.task as usize,
        "_bootstrap_port" => &raw const of_process.bootstrap as usize,
        "_vm_page_size" => &raw const PAGE_SIZE as usize,
        "_vm_page_mask" | "_vm_kernel_page_mask" => &raw const PAGE_MASK as usize,
        _ => return None,
    })
}

/// Some of Apple's names end with the version of the function, after a dollar sign.
fn function(symbol: &str) -> Option<usize> {
    if let Some(&ours) = OURS.get(symbol) {
        return Some(ours);
    }
    let name = symbol.strip_prefix('_')?.split('$').next()?;
    if !ALIKE.contains(&name) {
        return None;
    }
    let name = CString::new(name).ok()?;
    // SAFETY: the name is a string of C.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address as usize)
}

/// Looks up a function that not every version of the library has: only ours are sure to be what the program
/// expects.
unsafe extern "C" fn dlsym(_handle: *mut c_void, name: *const c_char) -> *mut c_void {
    // SAFETY: the name is a string of C.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    OURS.get(format!("_{name}").as_str()).map_or(std::ptr::null_mut(), |&address| address as *mut c_void)
}

/// A function of its own for each symbol that there is nothing for.
fn missing(symbol: &str) -> usize {
    static MADE: Mutex<Vec<(String, usize)>> = Mutex::new(Vec::new());
    let mut made = lock(&MADE);
    if let Some((_, address)) = made.iter().find(|(known, _)| known == symbol) {
        return *address;
    }
    let name: &'static str = symbol.to_string().leak();
    let address = make_stub(name);
    made.push((symbol.to_string(), address));
    address
}

/// `mov rdi, name; mov rsi, its length; mov rax, is_missing; and rsp, -16; call rax`
fn make_stub(name: &'static str) -> usize {
    let words = [name.as_ptr() as u64, name.len() as u64, is_missing as *const () as u64];
    let moves: [[u8; 2]; 3] = [[0x48, 0xbf], [0x48, 0xbe], [0x48, 0xb8]];
    let mut code = Vec::new();
    for (opcode, word) in moves.iter().zip(words) {
        code.extend(opcode);
        code.extend(word.to_le_bytes());
    }
    code.extend([0x48, 0x83, 0xe4, 0xf0, 0xff, 0xd0]);
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new page, at an address of the system's choice.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return 0;
    }
    // SAFETY: the page is longer than the code.
    unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), page.cast(), code.len()) };
    // SAFETY: nobody else knows of the page.
    unsafe { libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC) };
    page as usize
}

unsafe extern "C" fn is_missing(name: *const u8, len: usize) -> ! {
    // SAFETY: the stub has the parts of a string that is never freed.
    let name = unsafe { std::slice::from_raw_parts(name, len) };
    eprintln!("machrun: the program calls {}, which it cannot do here", String::from_utf8_lossy(name));
    std::process::abort()
}
