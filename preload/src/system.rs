//! The functions that this library stands in front of, and those of the system beneath them.

use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::mem;
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Release};

use libc::{off_t, size_t};

type ThreadBody = extern "C" fn(*mut c_void) -> *mut c_void;

pub(crate) type PthreadCreate =
    unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, ThreadBody, *mut c_void) -> c_int;

pub(crate) type UsableSize = unsafe extern "C" fn(*mut c_void) -> size_t;

pub(crate) type SetLocale = unsafe extern "C" fn(c_int, *const c_char) -> *mut c_char;

/// The next function of a name.
struct Next {
    name: &'static CStr,
    found: AtomicPtr<c_void>,
}

impl Next {
    const fn new(name: &'static CStr) -> Self {
        Self { name, found: AtomicPtr::new(ptr::null_mut()) }
    }

    fn get(&self) -> Option<*mut c_void> {
        let mut found = self.found.load(Acquire);
        if found.is_null() {
            // SAFETY: a name that ends with a zero.
            found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
            self.found.store(found, Release);
        }
        (!found.is_null()).then_some(found)
    }
}

/// The C library's.
pub(crate) fn pthread_create() -> Option<PthreadCreate> {
    static NEXT: Next = Next::new(c"pthread_create");
    // SAFETY: the function of this name has this type.
    NEXT.get().map(|found| unsafe { mem::transmute::<*mut c_void, PthreadCreate>(found) })
}

/// The C library's `malloc_usable_size`.
pub(crate) fn usable_size() -> Option<UsableSize> {
    static NEXT: Next = Next::new(c"malloc_usable_size");
    // SAFETY: the function of this name has this type.
    NEXT.get().map(|found| unsafe { mem::transmute::<*mut c_void, UsableSize>(found) })
}

/// The C library's `setlocale`.
pub(crate) fn setlocale() -> Option<SetLocale> {
    static NEXT: Next = Next::new(c"setlocale");
    // SAFETY: the function of this name has this type.
    NEXT.get().map(|found| unsafe { mem::transmute::<*mut c_void, SetLocale>(found) })
}

/// Says of a call that failed why.
pub(crate) fn set_errno(error: c_int) {
    // SAFETY: a location of this thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { *errno = error };
}

/// Why a call has failed.
pub(crate) fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)
}

fn pointer(result: c_long) -> *mut c_void {
    // Also `MAP_FAILED`, which is -1.
    ptr::with_exposed_provenance_mut(result as usize)
}

/// As the function of this name.
///
/// # Safety
///
/// As the function of this name.
pub(crate) unsafe fn mmap(
    address: *mut c_void,
    len: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    pointer(unsafe { libc::syscall(libc::SYS_mmap, address, len, protection, flags, fd, offset) })
}

/// As the function of this name.
///
/// # Safety
///
/// As the function of this name.
pub(crate) unsafe fn munmap(address: *mut c_void, len: size_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_munmap, address, len) as c_int }
}

/// As the function of this name.
///
/// # Safety
///
/// As the function of this name.
pub(crate) unsafe fn madvise(address: *mut c_void, len: size_t, advice: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_madvise, address, len, advice) as c_int }
}

/// As the function of this name.
///
/// # Safety
///
/// As the function of this name.
pub(crate) unsafe fn mprotect(address: *mut c_void, len: size_t, protection: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_mprotect, address, len, protection) as c_int }
}

/// As the function of this name.
///
/// # Safety
///
/// As the function of this name.
pub(crate) unsafe fn mremap(
    address: *mut c_void,
    old: size_t,
    new: size_t,
    flags: c_int,
    to: *mut c_void,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    pointer(unsafe { libc::syscall(libc::SYS_mremap, address, old, new, flags, to) })
}

/// As the function of this name.
///
/// # Safety
///
/// As the function of this name.
pub(crate) unsafe fn mlock(address: *const c_void, len: size_t, flags: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_mlock2, address, len, flags) as c_int }
}

/// As the function of this name.
pub(crate) fn close(number: c_int) -> c_int {
    // SAFETY: whoever closes a descriptor does not use it any more.
    unsafe { libc::syscall(libc::SYS_close, number) as c_int }
}

/// As the function of this name.
pub(crate) fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) as c_int }
}

/// Ends the process at once.
pub(crate) fn exit(code: c_int) -> ! {
    loop {
        // SAFETY: nothing of this process goes on.
        unsafe { libc::syscall(libc::SYS_exit_group, code) };
    }
}
