//! This library's own memory: glibc's `malloc`, under the names that nobody stands in front of.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

use libc::size_t;

unsafe extern "C" {
    fn __libc_malloc(size: size_t) -> *mut c_void;
    fn __libc_calloc(count: size_t, size: size_t) -> *mut c_void;
    fn __libc_realloc(pointer: *mut c_void, size: size_t) -> *mut c_void;
    fn __libc_memalign(align: size_t, size: size_t) -> *mut c_void;
    fn __libc_free(pointer: *mut c_void);
}

/// As `malloc`.
pub(crate) fn malloc(size: usize) -> *mut c_void {
    // SAFETY: any size may be asked for.
    unsafe { __libc_malloc(size) }
}

/// As `calloc`.
pub(crate) fn calloc(count: usize, size: usize) -> *mut c_void {
    // SAFETY: any size may be asked for.
    unsafe { __libc_calloc(count, size) }
}

/// As `memalign`.
pub(crate) fn memalign(align: usize, size: usize) -> *mut c_void {
    // SAFETY: any size may be asked for, and an alignment that is none is an error.
    unsafe { __libc_memalign(align, size) }
}

/// As `realloc`.
///
/// # Safety
///
/// As `realloc`: the memory is of this module.
pub(crate) unsafe fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { __libc_realloc(pointer, size) }
}

/// As `free`.
///
/// # Safety
///
/// As `free`: the memory is of this module.
pub(crate) unsafe fn free(pointer: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { __libc_free(pointer) }
}

struct Own;

/// What `malloc` aligns to.
const ALIGN: usize = 16;

// SAFETY: each function is the C library's, with its promises.
unsafe impl GlobalAlloc for Own {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let memory = match layout.align() <= ALIGN {
            true => malloc(layout.size()),
            false => memalign(layout.align(), layout.size()),
        };
        memory.cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGN {
            return calloc(1, layout.size()).cast();
        }
        // SAFETY: the caller's promise of the layout.
        let memory = unsafe { self.alloc(layout) };
        if !memory.is_null() {
            // SAFETY: it has just been allocated with this size.
            unsafe { memory.write_bytes(0, layout.size()) };
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, _layout: Layout) {
        // SAFETY: the caller has it from one of these functions.
        unsafe { free(memory.cast()) };
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGN {
            // SAFETY: the caller has it from one of these functions.
            return unsafe { realloc(memory.cast(), size) }.cast();
        }
        // SAFETY: the caller's promise of the layout and of the size.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as above.
        let to = unsafe { self.alloc(new) };
        if !to.is_null() {
            // SAFETY: two allocations, at least this long.
            unsafe { memory.copy_to_nonoverlapping(to, layout.size().min(size)) };
            // SAFETY: the caller gives it up.
            unsafe { self.dealloc(memory, layout) };
        }
        to
    }
}

#[global_allocator]
static OWN: Own = Own;
