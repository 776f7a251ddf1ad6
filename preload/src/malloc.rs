//! `malloc` and its kin, as the program calls them.
//!
//! A thread of this library gets glibc's memory, and so does the program until paging has begun and where
//! there is no room. Whose a piece of memory is its address says.

use std::ffi::{c_int, c_void};
use std::ptr;

use libc::size_t;

use crate::window::PAGE;
use crate::{heap, own, paging, system, thread};

/// True if memory for this thread is to be paged.
fn is_paged() -> bool {
    thread::is_of_program() && paging::is_on()
}

/// What `malloc` aligns to.
const ALIGN: usize = 16;

fn or_enomem(memory: *mut c_void) -> *mut c_void {
    if memory.is_null() {
        system::set_errno(libc::ENOMEM);
    }
    memory
}

fn allocate(align: usize, size: usize) -> *mut c_void {
    let memory = if is_paged() { heap::allocate(size, align) } else { ptr::null_mut() };
    if !memory.is_null() {
        return memory.cast();
    }
    or_enomem(if align <= ALIGN { own::malloc(size) } else { own::memalign(align, size) })
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: size_t) -> *mut c_void {
    allocate(ALIGN, size)
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: size_t, size: size_t) -> *mut c_void {
    if is_paged() {
        let Some(bytes) = count.checked_mul(size) else { return or_enomem(ptr::null_mut()) };
        let memory = heap::allocate_zeroed(bytes);
        if !memory.is_null() {
            return memory.cast();
        }
    }
    or_enomem(own::calloc(count, size))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(memory: *mut c_void) {
    if heap::has(memory.addr()) {
        // SAFETY: the program gives memory back that it has from here.
        unsafe { heap::free(memory.cast()) };
    } else {
        // SAFETY: as above, or null.
        unsafe { own::free(memory) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(memory: *mut c_void, size: size_t) -> *mut c_void {
    if memory.is_null() {
        return malloc(size);
    }
    if !heap::has(memory.addr()) {
        // SAFETY: the program's memory, from glibc.
        return or_enomem(unsafe { own::realloc(memory, size) });
    }
    if size == 0 {
        // SAFETY: as glibc does.
        unsafe { free(memory) };
        return ptr::null_mut();
    }
    // SAFETY: the program's memory, from the heap.
    or_enomem(unsafe { heap::reallocate(memory.cast(), size) }.cast())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn reallocarray(memory: *mut c_void, count: size_t, size: size_t) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise.
        Some(bytes) => unsafe { realloc(memory, bytes) },
        None => or_enomem(ptr::null_mut()),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(result: *mut *mut c_void, align: size_t, size: size_t) -> c_int {
    if !align.is_power_of_two() || align % size_of::<*mut c_void>() != 0 {
        return libc::EINVAL;
    }
    let memory = allocate(align, size);
    if memory.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller has a place for the result.
    unsafe { result.write(memory) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: size_t, size: size_t) -> *mut c_void {
    if !align.is_power_of_two() {
        system::set_errno(libc::EINVAL);
        return ptr::null_mut();
    }
    allocate(align, size)
}

#[unsafe(no_mangle)]
extern "C" fn memalign(align: size_t, size: size_t) -> *mut c_void {
    // As glibc, which takes the next power of two.
    aligned_alloc(align.checked_next_power_of_two().unwrap_or(0), size)
}

#[unsafe(no_mangle)]
extern "C" fn valloc(size: size_t) -> *mut c_void {
    allocate(PAGE, size)
}

#[unsafe(no_mangle)]
extern "C" fn pvalloc(size: size_t) -> *mut c_void {
    match size.checked_next_multiple_of(PAGE) {
        Some(size) => allocate(PAGE, size),
        None => or_enomem(ptr::null_mut()),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_usable_size(memory: *mut c_void) -> size_t {
    if heap::has(memory.addr()) {
        // SAFETY: the program's memory, from the heap.
        return unsafe { heap::usable(memory.cast()) };
    }
    // SAFETY: the program's memory, from glibc, or null.
    system::usable_size().map_or(0, |usable_size| unsafe { usable_size(memory) })
}

/// There is nothing to trim: pages that nobody touches leave by themselves.
#[unsafe(no_mangle)]
extern "C" fn malloc_trim(_keep: size_t) -> c_int {
    0
}
