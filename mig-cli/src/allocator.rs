//! The allocator of the command: lists of free blocks, a list a size and thread.
//!
//! A compiler makes many small things and drops them soon: tokens, names, lists. The allocator of the system
//! looks for the best place for each, and joins neighbours that are freed; that was a third of the
//! instructions of `mig rust`. Here a new block is the first of the list for its size, and goes back there
//! when it is freed. Large blocks, which are few, are left to the system.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

/// Sizes and addresses of blocks are multiples of this.
const STEP: usize = 16;
/// Larger blocks are the system's.
const LARGEST: usize = 1024;
/// New blocks are cut from memory of this size, which the system never gets back.
const CHUNK: usize = 1 << 16;

/// The blocks of all threads.
pub(crate) struct Blocks;

/// The blocks of a thread. A block that another thread frees is that thread's from then on.
struct Own {
    /// The first free block of each size, in steps. A free block begins with the address of the next one.
    free: [Cell<*mut u8>; LARGEST / STEP + 1],
    /// The part of the last chunk that is not cut into blocks yet, and how many bytes it has.
    rest: Cell<*mut u8>,
    left: Cell<usize>,
}

thread_local! {
    // Without a destructor, so that it lives as long as the thread.
    static OWN: Own = const {
        Own {
            free: [const { Cell::new(ptr::null_mut()) }; LARGEST / STEP + 1],
            rest: Cell::new(ptr::null_mut()),
            left: Cell::new(0),
        }
    };
}

/// The size of a block in steps; `None` if the block is the system's.
fn steps(layout: Layout) -> Option<usize> {
    (layout.size() <= LARGEST && layout.align() <= STEP).then(|| layout.size().div_ceil(STEP))
}

impl Own {
    /// A block of this size; null if there is no memory.
    fn take(&self, steps: usize) -> *mut u8 {
        let first = self.free[steps].get();
        if first.is_null() {
            return self.cut(steps * STEP);
        }
        // SAFETY: the block is free, so it holds what `put` has written there.
        self.free[steps].set(unsafe { first.cast::<*mut u8>().read() });
        first
    }

    /// A new block, cut from the last chunk or from another one; null if there is no memory.
    fn cut(&self, size: usize) -> *mut u8 {
        if self.left.get() < size {
            const LAYOUT: Layout = match Layout::from_size_align(CHUNK, STEP) {
                Ok(layout) => layout,
                Err(_) => panic!("powers of two"),
            };
            // SAFETY: the size is not zero.
            let chunk = unsafe { System.alloc(LAYOUT) };
            if chunk.is_null() {
                return chunk;
            }
            self.rest.set(chunk);
            self.left.set(CHUNK);
        }
        let block = self.rest.get();
        self.rest.set(block.wrapping_add(size));
        self.left.set(self.left.get() - size);
        block
    }

    /// # Safety
    ///
    /// The block has this size, [`Own::take`] of some thread has returned it, and nobody uses it any more.
    unsafe fn put(&self, steps: usize, block: *mut u8) {
        // SAFETY: the caller's promise; a block has room for an address.
        unsafe { block.cast::<*mut u8>().write(self.free[steps].get()) };
        self.free[steps].set(block);
    }
}

// SAFETY: a block is in the list of one thread, or in use; it is as large as its list says and lies at a
// multiple of `STEP`. Nothing here panics or allocates from itself.
unsafe impl GlobalAlloc for Blocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match steps(layout) {
            Some(steps) => OWN.with(|own| own.take(steps)),
            // SAFETY: the caller's promise.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match steps(layout) {
            Some(steps) => {
                let block = OWN.with(|own| own.take(steps));
                if !block.is_null() {
                    // SAFETY: the block is at least this large.
                    unsafe { block.write_bytes(0, layout.size()) };
                }
                block
            }
            // SAFETY: the caller's promise.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match steps(layout) {
            // SAFETY: the caller's promise; the layout says the list, as it did when the block was taken.
            Some(steps) => OWN.with(|own| unsafe { own.put(steps, block) }),
            // SAFETY: the caller's promise.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise is that this size is possible with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (steps(layout), steps(wanted)) {
            (Some(old), Some(new)) if old == new => block,
            // SAFETY: the caller's promise.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            _ => {
                // SAFETY: the caller's promise is that the size is not zero.
                let new = unsafe { self.alloc(wanted) };
                if !new.is_null() {
                    // SAFETY: both are at least this large, and only one of them was in use.
                    unsafe { ptr::copy_nonoverlapping(block, new, layout.size().min(size)) };
                    // SAFETY: the caller's promise.
                    unsafe { self.dealloc(block, layout) };
                }
                new
            }
        }
    }
}
