//! The addresses of memory that is paged: one large piece that is reserved at the start, so that an address
//! says by itself whose it is.

use std::ffi::c_int;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};

use mach_vm::{Memory, Source, Vm, VmError};
use rustix::mm::{self, Advice, MapFlags, ProtFlags};

use crate::Mutex;
use crate::ranges::Ranges;
use crate::{system, work};

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// What the small allocations get at a time, and are aligned to.
pub(crate) const SEGMENT: usize = 64 << 20;

/// Segments that there may be.
pub(crate) const SEGMENTS: usize = 4096;

/// Bytes of each [`Part`].
const PART: usize = SEGMENT * SEGMENTS;

/// What addresses are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Segments of small allocations.
    Segments,
    /// Large allocations.
    Large,
    /// What is mapped.
    Mappings,
}

const PARTS: [Part; 3] = [Part::Segments, Part::Large, Part::Mappings];

/// The addresses, and those that are free in each part.
struct Window {
    start: usize,
    free: [Mutex<Ranges>; PARTS.len()],
}

static WINDOW: OnceLock<Window> = OnceLock::new();

/// Reserves the addresses. False if there are not as many.
pub(crate) fn reserve() -> bool {
    let len = PART * PARTS.len() + SEGMENT;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: new addresses, of the system's choice, without memory.
    let Ok(start) = (unsafe { mm::mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), flags) }) else {
        return false;
    };
    let start = start.expose_provenance().next_multiple_of(SEGMENT);
    let free = PARTS.map(|part| {
        let mut ranges = Ranges::default();
        let first = start + part as usize * PART;
        ranges.insert(first..first + PART);
        Mutex::new(ranges)
    });
    WINDOW.set(Window { start, free }).is_ok()
}

/// The part that an address is in.
pub(crate) fn part(address: usize) -> Option<Part> {
    let offset = address.checked_sub(WINDOW.get()?.start)?;
    PARTS.get(offset / PART).copied()
}

/// The number of the segment that an address is in.
pub(crate) fn segment(address: usize) -> usize {
    WINDOW.get().map_or(0, |window| address.saturating_sub(window.start) / SEGMENT).min(SEGMENTS - 1)
}

/// The part of a range that is in the window.
pub(crate) fn overlap(range: &Range<usize>) -> Range<usize> {
    let start = WINDOW.get().map_or(0, |window| window.start);
    let end = if start == 0 { 0 } else { start + PART * PARTS.len() };
    let first = range.start.clamp(start, end);
    first..range.end.clamp(first, end)
}

/// The locks of this module, for a fork.
pub(crate) fn locks() -> impl Iterator<Item = &'static Mutex<Ranges>> {
    WINDOW.get().into_iter().flat_map(|window| &window.free)
}

/// Says whether the children of this process get what is in the window.
pub(crate) fn give_to_children(give: bool) {
    let Some(window) = WINDOW.get() else { return };
    let start = ptr::with_exposed_provenance_mut(window.start);
    let advice = if give { Advice::LinuxDoFork } else { Advice::LinuxDontFork };
    // SAFETY: nothing in this memory changes. It fails for no memory that is mapped, as all of this is.
    let _ = unsafe { mm::madvise(start, PART * PARTS.len(), advice) };
}

/// Memory in the window.
pub(crate) struct Piece {
    /// `None` on its way from a parent to its child.
    memory: Option<Memory>,
    start: usize,
    len: usize,
    part: Part,
    /// What the program has made read-only, or has no access to.
    protected: Ranges,
}

impl Piece {
    /// New memory, all zeros, of whole pages.
    pub(crate) fn new(vm: &Vm, part: Part, len: usize) -> Option<Self> {
        let start = take(part, len)?;
        let address = NonNull::new(ptr::with_exposed_provenance_mut(start))?;
        // SAFETY: these addresses were reserved and free, and stay this piece's until it is dropped.
        let Ok(memory) = (unsafe { vm.allocate_at(address, len) }) else {
            give_back(part, start..start + len);
            return None;
        };
        let piece = Self { memory: Some(memory), start, len, part, protected: Ranges::default() };
        piece.keep_from_children();
        Some(piece)
    }

    /// Has the memory of a child, which is a copy of the parent's, paged by the child.
    ///
    /// # Safety
    ///
    /// This is the copy that a fork has made of the parent's, and nobody uses the memory at present.
    pub(crate) unsafe fn inherit(&mut self, vm: &Vm, source: Arc<dyn Source>) -> Result<(), VmError> {
        // The kernel's half of this is the parent's.
        std::mem::forget(self.memory.take());
        let address = NonNull::new(ptr::with_exposed_provenance_mut(self.start)).ok_or(VmError::BadRange)?;
        // SAFETY: the caller's promise.
        let memory = self.memory.insert(unsafe { vm.inherit_at(address, self.len, source) }?);
        for range in self.protected.iter() {
            // It is so already.
            memory.protect(range.start - self.start..range.end - self.start, false, || true)?;
        }
        self.keep_from_children();
        Ok(())
    }

    /// The child of a fork that nobody has prepared gets SIGSEGV, and not zeros in the place of pages that
    /// are not here.
    fn keep_from_children(&self) {
        let start = ptr::with_exposed_provenance_mut(self.start);
        // SAFETY: the memory is this piece's, and nothing in it changes. It fails for no memory that is
        // mapped.
        let _ = unsafe { mm::madvise(start, self.len, Advice::LinuxDontFork) };
    }

    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// As `mprotect`, for whole pages that are within this piece.
    ///
    /// # Errors
    ///
    /// As that.
    pub(crate) fn protect(&mut self, range: Range<usize>, protection: c_int) -> Result<(), c_int> {
        let (start, bytes) = (self.start, range.start - self.start..range.end - self.start);
        let writable = protection & libc::PROT_WRITE != 0;
        let mut error = 0;
        let mut change = || {
            let first = ptr::with_exposed_provenance_mut(start + bytes.start);
            // SAFETY: the program asks for that.
            let done = unsafe { system::mprotect(first, bytes.len(), protection) } == 0;
            error = if done { 0 } else { system::errno() };
            done
        };
        let memory = self.memory.as_mut();
        let done = work::done(|| memory.map(|memory| memory.protect(bytes.clone(), writable, &mut change)));
        match done.flatten() {
            Some(Ok(true)) if writable => self.protected.remove(range),
            Some(Ok(true)) => self.protected.insert(range),
            _ if error != 0 => return Err(error),
            _ => return Err(libc::EINVAL),
        }
        Ok(())
    }

    /// Makes the pages that are wholly within these addresses zeros, which take no room.
    pub(crate) fn discard(&mut self, range: Range<usize>) {
        let first = range.start.next_multiple_of(PAGE).max(self.start);
        let end = (range.end / PAGE * PAGE).min(self.start + self.len);
        if first >= end {
            return;
        }
        let bytes = first - self.start..end - self.start;
        // Whole pages of anonymous memory can be discarded.
        let _ = work::done(|| self.memory.as_mut().map(|memory| memory.discard(bytes)));
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let memory = self.memory.take();
        work::done(|| drop(memory));
        give_back(self.part, self.range());
    }
}

fn take(part: Part, len: usize) -> Option<usize> {
    let align = if part == Part::Segments { SEGMENT } else { PAGE };
    WINDOW.get()?.free[part as usize].lock().take(len, align)
}

fn give_back(part: Part, range: Range<usize>) {
    if let Some(window) = WINDOW.get() {
        window.free[part as usize].lock().insert(range);
    }
}
