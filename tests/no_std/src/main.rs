//! Links the runtime, the bindings and the pager's library with `core` and `alloc` only.
//!
//! The standard library has a panic handler of its own, so this program could not be linked if any of them
//! used it. The C library gives it `main`, an allocator and `memcpy`; on a bare kernel the program brings
//! those itself.

#![no_std]
#![no_main]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};

use mach_defs as _;
use mach_pager as _;
use mig_runtime as _;

#[link(name = "c")]
unsafe extern "C" {
    fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
    fn free(pointer: *mut c_void);
    fn abort() -> !;
}

struct C;

// SAFETY: `aligned_alloc` returns null or memory of that size and alignment, which is its own until `free`.
unsafe impl GlobalAlloc for C {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size().next_multiple_of(layout.align());
        // SAFETY: an alignment is a power of two, and the size is a multiple of it.
        unsafe { aligned_alloc(layout.align(), size).cast() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _layout: Layout) {
        // SAFETY: it came from `aligned_alloc`.
        unsafe { free(pointer.cast()) }
    }
}

#[global_allocator]
static ALLOCATOR: C = C;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it has no precondition.
    unsafe { abort() }
}

/// The prebuilt `core` and `alloc` refer to it; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Does a small job with what was linked, so that the linker cannot leave it out.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    let words = alloc::vec![1u8; 3];
    if words.iter().sum::<u8>() == 3 { 0 } else { 1 }
}
