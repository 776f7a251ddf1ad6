//! The program's allocations, in memory that is paged.
//!
//! Small ones live in a few heaps of dlmalloc, each with its lock, so that threads seldom meet; a thread
//! always takes the same one. Which heap an address belongs to is known by its segment. Large ones are memory
//! objects of their own, so that all of their pages go with them.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::{Acquire, Release};

use dlmalloc::{Allocator, Dlmalloc};

use crate::Mutex;
use crate::paging;
use crate::window::{self, PAGE, Part, Piece, SEGMENT, SEGMENTS};

/// An allocation of this many bytes is large.
const LARGE: usize = 1 << 20;

/// The pages of a small allocation of this many bytes are given back when it is freed.
const DISCARD: usize = 128 << 10;

/// After as many bytes have been freed in smaller pieces, the pages of free memory that is at least as long
/// are given back, this far around what was freed last.
const PURGE: usize = 256 << 10;
const AROUND: usize = 4 * PURGE;

/// What the heap keeps of its own at each end of free memory, at most.
const OWN: usize = 64;

/// The most that may be asked for.
const MOST: usize = isize::MAX as usize - (1 << 30);

const HEAPS: usize = 8;

/// Memory for the heap of this number.
struct Source(u8);

struct Heap {
    memory: Dlmalloc<Source>,
    /// Bytes that were freed since pages were given back.
    freed: usize,
}

static HEAP: [Mutex<Heap>; HEAPS] = {
    const fn heap(number: u8) -> Mutex<Heap> {
        Mutex::new(Heap { memory: Dlmalloc::new_with_allocator(Source(number)), freed: 0 })
    }
    [heap(0), heap(1), heap(2), heap(3), heap(4), heap(5), heap(6), heap(7)]
};

/// The number of the heap that has each segment.
static OWNERS: [AtomicU8; SEGMENTS] = [const { AtomicU8::new(0) }; SEGMENTS];

static SEGMENT_PIECES: Mutex<BTreeMap<usize, Piece>> = Mutex::new(BTreeMap::new());

static LARGE_PIECES: Mutex<BTreeMap<usize, Large>> = Mutex::new(BTreeMap::new());

struct Large {
    piece: Piece,
    /// What the program knows, which may be in the midst of a page for the sake of its alignment.
    address: usize,
}

impl Large {
    fn usable(&self) -> usize {
        self.piece.range().end - self.address
    }
}

// SAFETY: each segment is new memory in whole pages, which is never given back.
unsafe impl Allocator for Source {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let len = size.next_multiple_of(SEGMENT);
        let Some(piece) = paging::allocate(Part::Segments, len) else { return (ptr::null_mut(), 0, 0) };
        let start = piece.range().start;
        for at in (0..len).step_by(SEGMENT) {
            OWNERS[window::segment(start + at)].store(self.0, Release);
        }
        SEGMENT_PIECES.lock().insert(start, piece);
        (ptr::with_exposed_provenance_mut(start), len, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE
    }
}

/// The heap of this thread.
fn of_thread() -> &'static Mutex<Heap> {
    // SAFETY: a number of this thread.
    let number = unsafe { libc::pthread_self() };
    // The addresses of threads' stacks differ in their upper bits.
    &HEAP[(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61) as usize % HEAPS]
}

/// The heap that has an address.
fn of_address(address: usize) -> &'static Mutex<Heap> {
    &HEAP[usize::from(OWNERS[window::segment(address)].load(Acquire)) % HEAPS]
}

/// True if this is memory of this module.
pub(crate) fn has(address: usize) -> bool {
    matches!(window::part(address), Some(Part::Segments | Part::Large))
}

/// New memory with this alignment, a power of two; null if there is none.
pub(crate) fn allocate(size: usize, align: usize) -> *mut u8 {
    if size > MOST || align > MOST {
        return ptr::null_mut();
    }
    if size.saturating_add(align) >= LARGE {
        return allocate_large(size, align);
    }
    // SAFETY: the alignment is a power of two.
    unsafe { of_thread().lock().memory.c_memalign(align, size) }
}

/// The same, all zeros.
pub(crate) fn allocate_zeroed(size: usize) -> *mut u8 {
    let memory = allocate(size, 16);
    if !memory.is_null() && window::part(memory.addr()) == Some(Part::Segments) {
        // SAFETY: it has just been allocated with this size.
        unsafe { memory.write_bytes(0, size) };
    }
    memory
}

fn allocate_large(size: usize, align: usize) -> *mut u8 {
    // Pages are aligned to 4 KiB as they are.
    let spare = if align > PAGE { align } else { 0 };
    let Some(piece) = paging::allocate(Part::Large, (size + spare).max(1).next_multiple_of(PAGE)) else {
        return ptr::null_mut();
    };
    let start = piece.range().start;
    let address = start.next_multiple_of(align);
    LARGE_PIECES.lock().insert(start, Large { piece, address });
    ptr::with_exposed_provenance_mut(address)
}

/// Does something with the large allocation at an address.
fn with_large<R>(address: usize, what: impl FnOnce(&mut Large) -> R) -> Option<R> {
    let mut pieces = LARGE_PIECES.lock();
    let (_, large) = pieces.range_mut(..=address).next_back()?;
    (large.address == address).then(|| what(large))
}

/// Bytes of an allocation; none if it is no allocation.
///
/// # Safety
///
/// It is an address that this module has given and not got back.
pub(crate) unsafe fn usable(memory: *mut u8) -> usize {
    if window::part(memory.addr()) == Some(Part::Large) {
        return with_large(memory.addr(), |large| large.usable()).unwrap_or(0);
    }
    // The word before an allocation is the size of its chunk, whose lowest three bits are flags; of the chunk
    // this word is not the program's. Doug Lea's `malloc.c` has that in its first comment.
    let before = memory.cast::<usize>().wrapping_sub(1);
    // SAFETY: the caller's promise.
    let head = unsafe { before.read() };
    (head & !7) - size_of::<usize>()
}

/// Gives memory back.
///
/// # Safety
///
/// As [`usable`]; nobody uses it any more.
pub(crate) unsafe fn free(memory: *mut u8) {
    let address = memory.addr();
    if window::part(address) == Some(Part::Large) {
        let mut pieces = LARGE_PIECES.lock();
        let found = pieces.range(..=address).next_back();
        let start = found.filter(|(_, large)| large.address == address).map(|(start, _)| *start);
        let large = start.and_then(|start| pieces.remove(&start));
        drop(pieces);
        // Its pages go without the lock.
        return drop(large);
    }
    // SAFETY: the caller's promise.
    let size = unsafe { usable(memory) };
    if size >= DISCARD {
        discard(address + OWN..address + size - OWN);
    }
    let mut heap = of_address(address).lock();
    if size < DISCARD {
        heap.freed += size;
    }
    // SAFETY: the caller's promise, and nobody else is in the heap.
    let run = (heap.freed >= PURGE).then(|| unsafe { run_of(memory, size) });
    // SAFETY: the caller's promise; the heap is the one that it came from.
    unsafe { heap.memory.c_free(memory) };
    if let Some(run) = run.filter(|run| run.len() >= PURGE) {
        heap.freed = 0;
        // While the heap is locked, so that nobody has got any of it.
        if paging::is_short() {
            discard(
                (run.start + OWN).max(address.saturating_sub(AROUND))..(run.end - OWN).min(address + AROUND),
            );
        }
    }
}

/// The free memory that an allocation will be a part of, with what is free beside it.
///
/// # Safety
///
/// As [`usable`], and the heap is locked.
unsafe fn run_of(memory: *mut u8, size: usize) -> Range<usize> {
    // The words of a chunk are the size of the one before it, if that is free, and its own with the flags;
    // that of the next one follows the chunk. Beside the last one there is one that is not free.
    const BEFORE_IS_IN_USE: usize = 1;
    const IS_IN_USE: usize = 2;
    let words = memory.cast::<usize>();
    // SAFETY: the caller's promise.
    let [before, head] = [2, 1].map(|at| unsafe { words.wrapping_sub(at).read() });
    // SAFETY: the same of the next one.
    let next = unsafe { memory.wrapping_add(size).cast::<usize>().read() };
    let before = if head & BEFORE_IS_IN_USE == 0 { before } else { 0 };
    let next = if next & IS_IN_USE == 0 { next & !7 } else { 0 };
    let start = memory.addr() - 2 * size_of::<usize>();
    start - before..start + (head & !7) + next
}

/// Moves an allocation to one of another size, or leaves it where it is. Null if there is no memory; then it
/// is as it was.
///
/// # Safety
///
/// As [`free`], if the result is not null.
pub(crate) unsafe fn reallocate(memory: *mut u8, size: usize) -> *mut u8 {
    if size > MOST {
        return ptr::null_mut();
    }
    let address = memory.addr();
    let is_large = window::part(address) == Some(Part::Large);
    if !is_large && size < LARGE / 2 {
        // SAFETY: the caller's promise; the heap is the one that it came from.
        return unsafe { of_address(address).lock().memory.c_realloc(memory, size) };
    }
    // SAFETY: the caller's promise.
    let before = unsafe { usable(memory) };
    if size <= before && (size >= before / 4 || (is_large && size >= LARGE)) {
        if is_large {
            discard(address + size..address + before);
        }
        return memory;
    }
    // What grows once grows again: pages that nobody touches cost next to nothing.
    let room = if is_large || size >= LARGE { size + size / 2 } else { size };
    let to = allocate(room, 16);
    if !to.is_null() {
        // SAFETY: two allocations, each of them at least this long.
        unsafe { memory.copy_to_nonoverlapping(to, size.min(before)) };
        // SAFETY: the caller gives it up.
        unsafe { free(memory) };
    }
    to
}

/// Makes whole pages of allocations zeros that take no room.
pub(crate) fn discard(range: Range<usize>) {
    if !range.is_empty() {
        with_piece(range.start, |piece| piece.discard(range.clone()));
    }
}

/// As `mprotect`, of whole pages; `None` if there are no allocations.
pub(crate) fn protect(range: &Range<usize>, protection: c_int) -> Option<Result<(), c_int>> {
    let of_piece = |piece: &mut Piece| {
        let all = piece.range();
        let inside = range.start < all.end && range.end <= all.end;
        inside.then(|| piece.protect(range.clone(), protection))
    };
    with_piece(range.start, of_piece).flatten()
}

/// Does something with the piece before an address.
fn with_piece<R>(address: usize, what: impl FnOnce(&mut Piece) -> R) -> Option<R> {
    match window::part(address)? {
        Part::Segments => {
            SEGMENT_PIECES.lock().range_mut(..=address).next_back().map(|(_, piece)| what(piece))
        }
        Part::Large => {
            LARGE_PIECES.lock().range_mut(..=address).next_back().map(|(_, large)| what(&mut large.piece))
        }
        Part::Mappings => None,
    }
}

/// Does something with each piece of memory.
///
/// # Safety
///
/// This thread has called [`lock`], or its copy in the parent has, and no other thread uses this module.
pub(crate) unsafe fn each_piece(what: &mut dyn FnMut(&mut Piece)) {
    // SAFETY: the caller's promise.
    unsafe { &mut *SEGMENT_PIECES.data_ptr() }.values_mut().for_each(&mut *what);
    // SAFETY: the caller's promise.
    let large = unsafe { &mut *LARGE_PIECES.data_ptr() };
    large.values_mut().for_each(|large| what(&mut large.piece));
}

/// Keeps every other thread out, for a fork.
pub(crate) fn lock() {
    std::mem::forget(LARGE_PIECES.lock());
    HEAP.iter().for_each(|heap| std::mem::forget(heap.lock()));
    std::mem::forget(SEGMENT_PIECES.lock());
}

/// Lets them in.
///
/// # Safety
///
/// This thread has called [`lock`], or its copy in the parent has.
pub(crate) unsafe fn unlock() {
    // SAFETY: the caller's promise.
    unsafe { SEGMENT_PIECES.force_unlock() };
    for heap in &HEAP {
        // SAFETY: the caller's promise.
        unsafe { heap.force_unlock() };
    }
    // SAFETY: the caller's promise.
    unsafe { LARGE_PIECES.force_unlock() };
}
