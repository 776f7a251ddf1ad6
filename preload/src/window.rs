//! The addresses of memory that is paged: one large piece that is reserved at the start, so that an address
//! says by itself whose it is.

use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use mach_vm::{Memory, Vm, VmError};
use rustix::mm::{self, Advice, MapFlags, ProtFlags};

use crate::lock::Mutex;
use crate::ranges::Ranges;
use crate::work;

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

/// Memory in the window.
pub(crate) struct Piece {
    memory: ManuallyDrop<Memory>,
    start: usize,
    len: usize,
    part: Part,
}

impl Piece {
    /// New memory, all zeros, of whole pages.
    pub(crate) fn new(vm: &Vm, part: Part, len: usize) -> Result<Self, VmError> {
        let window = WINDOW.get().ok_or(VmError::BadRange)?;
        let align = if part == Part::Segments { SEGMENT } else { PAGE };
        let start = window.free[part as usize].lock().take(len, align).ok_or(VmError::BadRange)?;
        let address = NonNull::new(ptr::with_exposed_provenance_mut(start)).ok_or(VmError::BadRange)?;
        // SAFETY: these addresses were reserved and free, and stay this piece's until it is dropped.
        match unsafe { vm.allocate_at(address, len) } {
            Ok(memory) => {
                let piece = Self { memory: ManuallyDrop::new(memory), start, len, part };
                piece.keep_from_children();
                Ok(piece)
            }
            Err(error) => {
                window.free[part as usize].lock().insert(start..start + len);
                Err(error)
            }
        }
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

    /// Makes the pages that are wholly within these addresses zeros, which take no room.
    pub(crate) fn discard(&mut self, range: Range<usize>) {
        let first = range.start.next_multiple_of(PAGE).max(self.start);
        let end = (range.end / PAGE * PAGE).min(self.start + self.len);
        if first < end {
            // Whole pages within the memory.
            let bytes = first - self.start..end - self.start;
            let memory = &mut self.memory;
            // Whole pages of anonymous memory can be discarded.
            let _ = work::done(|| memory.discard(bytes));
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        let memory = unsafe { ManuallyDrop::take(&mut self.memory) };
        work::done(|| drop(memory));
        if let Some(window) = WINDOW.get() {
            window.free[self.part as usize].lock().insert(self.range());
        }
    }
}
