//! What the notes of pages take, by an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use mach_pager::object::{Node, Nodes, Pages, Record, Records};
use mach_pager::store::{Slot, Stored};

struct Counting;

thread_local! {
    /// Of this thread alone: those of the harness allocate when they like. It may free what another one took.
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is passed on to `System`; counting changes nothing about it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get().wrapping_add(layout.size()));
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get().wrapping_sub(layout.size()));
        // SAFETY: the caller keeps the promises of `dealloc`, and `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// As many as there is memory for.
struct Heap;

/// The pages of this test are stored at once.
impl<L, D> Records<L, D> for Heap {
    fn put(&self, _record: Record<L, D>) -> u32 {
        unreachable!("no page is on its way")
    }

    fn take(&self, _at: u32) -> Record<L, D> {
        unreachable!("no page is on its way")
    }
}

impl<L> Nodes<L> for Heap {
    fn take(&self) -> Option<Box<Node<L>>> {
        Some(Box::new(Node::free(None)))
    }

    fn give(&self, node: Box<Node<L>>) {
        drop(node);
    }
}

/// As large as the place of a page in a swap store.
type Place = [u8; 9];

/// Bytes a page, with all these pages stored; a thousandth of them has one word over and over.
fn bytes_a_page(pages: impl Iterator<Item = u64> + Clone) -> f64 {
    let before = BYTES.get();
    let mut map = Pages::<Stored<Place>, ()>::new(4, Arc::new(Heap));
    for page in pages.clone() {
        let place =
            if page % 1000 == 0 { Stored::Same(page.to_le_bytes()) } else { Stored::In([page as u8; 9]) };
        assert_eq!(map.store(page, place), Ok(None));
    }
    let count = pages.clone().count();
    assert!(map.in_store(0).eq(pages));
    assert_eq!(map.count_in_store(), count as u64);
    let bytes = (BYTES.get() - before) as f64 / count as f64;
    assert_eq!(map.into_places().count(), count);
    assert_eq!(BYTES.get(), before, "all of it is given back");
    bytes
}

#[test]
fn a_stored_page_takes_ten_and_a_half_bytes_at_most() {
    assert_eq!(size_of::<Slot>(), size_of::<Place>());
    // A gibibyte of pages that follow each other; one that begins anywhere; and the worst there is, pages
    // that are far apart.
    let dense = bytes_a_page(0..1 << 18);
    let shifted = bytes_a_page((1 << 40) + 17..(1 << 40) + 17 + (1 << 18));
    let sparse = bytes_a_page((0..1000).map(|page| page << 24));
    println!("{dense:.2} bytes a page, {shifted:.2}, {sparse:.0} where each is alone");
    assert!(dense <= 10.5 && shifted <= 10.5, "{dense} and {shifted} bytes a page");
    assert!(sparse < 5.0 * 648.0, "{sparse} bytes a page");
}
