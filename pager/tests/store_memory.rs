//! A swap store allocates memory when it is opened, and not later.
#![cfg(feature = "std")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mach_pager::store::{Slot, Store, StoreError, file};
use mig_runtime::platform::Std;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is passed on to `System`; counting changes nothing about it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`, and `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn nothing_is_allocated_once_a_store_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("swap");
    file::format(&path, Some(1 << 20), false).unwrap();
    let pages: Vec<Vec<u8>> =
        (0..300_u32).map(|seed| (0..1024).flat_map(|at| (seed << 16 | at).to_le_bytes()).collect()).collect();
    let slices: Vec<&[u8]> = pages.iter().map(|page| &page[..]).collect();
    let mut results: Vec<Result<Slot, StoreError>> = Vec::with_capacity(pages.len());
    let mut back = vec![0; file::PAGE_SIZE];

    let store = file::open::<Std>(&path).unwrap();
    let before = ALLOCATIONS.get();
    for _ in 0..2 {
        store.write(&slices, &mut |_, result| results.push(result));
        for stored in results.drain(..).flatten() {
            store.read(&stored, &mut back).unwrap();
            store.free(stored);
        }
        assert_eq!(store.space().free, 254);
    }
    assert_eq!(ALLOCATIONS.get(), before);

    let _seen = Box::new(1);
    assert_eq!(ALLOCATIONS.get(), before + 1, "allocations are not counted");
}
