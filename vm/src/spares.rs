//! Frames of pages that have left, for pages that come.
//!
//! Memory that is given back to the system and taken anew is charged, cleared and mapped for each page. A
//! page that comes may as well be copied into a frame that has just become free, and be moved with it to its
//! place: one call of the system for all that lie side by side.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::lock::lock;
use crate::space::{PAGE, Space};
use crate::uffd::Uffd;

/// Fewer pages than this come by a copy of the system: to move them makes the processors forget where they
/// were, which costs as much as a new frame.
const LEAST: usize = 4;

/// With this many frames those of memory that comes go back to the system: pages also leave for good.
const MANY: usize = 64;

/// Memory that pages are moved out to, while nobody has any there.
#[derive(Default)]
pub(crate) struct Spares {
    stages: Mutex<Stages>,
    /// How many frames there are in all of it.
    frames: AtomicUsize,
}

#[derive(Default)]
struct Stages {
    empty: Vec<Space>,
    filled: Vec<Filled>,
}

/// Memory with frames in some of its slots.
struct Filled {
    stage: Space,
    /// Those of its first slots that may have any.
    len: usize,
    frames: usize,
    /// Slots that follow each other and have them, at least [`LEAST`].
    runs: Vec<Range<usize>>,
}

impl Filled {
    /// As many slots as there are, and no more than this, that follow each other and have frames.
    fn take(&mut self, most: usize) -> Range<usize> {
        let longest = (0..self.runs.len()).max_by_key(|at| self.runs[*at].len());
        let Some(at) = longest else { return 0..0 };
        let run = &mut self.runs[at];
        let taken = run.start..run.end.min(run.start + most);
        run.start = taken.end;
        if run.len() < LEAST {
            self.runs.swap_remove(at);
        }
        taken
    }
}

impl Spares {
    /// Memory without frames, for pages that are moved out; `None` if there is none.
    pub(crate) fn stage(&self) -> Option<Space> {
        lock(&self.stages).empty.pop()
    }

    /// Memory that nobody has pages in any more. Frames are left in these slots, which lie among the first
    /// `len`.
    pub(crate) fn add(&self, stage: Space, len: usize, mut left: Vec<usize>) {
        left.sort_unstable();
        let runs = left.chunk_by(|a, b| a + 1 == *b).filter(|run| run.len() >= LEAST);
        let mut runs: Vec<_> = runs.map(|run| run[0]..run[0] + run.len()).collect();
        if self.frames.fetch_add(left.len(), Relaxed) >= MANY {
            runs.clear();
        }
        self.put(Filled { stage, len, frames: left.len(), runs });
    }

    fn put(&self, filled: Filled) {
        if !filled.runs.is_empty() {
            return lock(&self.stages).filled.push(filled);
        }
        // SAFETY: nobody else knows this memory, and nobody has pages in it.
        unsafe { filled.stage.discard(0, filled.len) };
        self.frames.fetch_sub(filled.frames, Relaxed);
        lock(&self.stages).empty.push(filled.stage);
    }

    /// Copies pages into frames and moves them to their place, from this address on, which wakes whoever
    /// waits for one of them. Returns how many of the bytes are there.
    pub(crate) fn place(&self, memory: &Uffd, at: u64, data: &[u8]) -> usize {
        let (count, mut done) = (data.len() / PAGE, 0);
        while count - done >= LEAST {
            let filled = lock(&self.stages).filled.pop();
            let Some(mut filled) = filled else { break };
            let slots = filled.take(count - done);
            // SAFETY: the slots have frames, and nobody else knows them.
            let frames = unsafe { filled.stage.pages_mut(slots.start, slots.len()) };
            frames.copy_from_slice(&data[done * PAGE..][..frames.len()]);
            let (from, to) = (filled.stage.page(slots.start), at + (done * PAGE) as u64);
            let (moved, _) = memory.move_pages(to, from, slots.len());
            filled.frames -= moved;
            self.frames.fetch_sub(moved, Relaxed);
            self.put(filled);
            done += moved;
            if moved < slots.len() {
                break;
            }
        }
        done * PAGE
    }

    /// True if there are any.
    pub(crate) fn are_there(&self) -> bool {
        self.frames.load(Relaxed) > 0
    }

    /// Gives all frames back to the system if there are more than this. Those of memory that another thread
    /// takes some from at the moment are not among them.
    pub(crate) fn keep(&self, most: usize) {
        if self.frames.load(Relaxed) > most {
            let filled = std::mem::take(&mut lock(&self.stages).filled);
            filled.into_iter().for_each(|filled| self.put(Filled { runs: Vec::new(), ..filled }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spares(left: impl Iterator<Item = usize>) -> Spares {
        let (spares, stage) = (Spares::default(), Space::new(64 * PAGE, true).unwrap());
        let left: Vec<usize> = left.collect();
        for slot in &left {
            // SAFETY: the memory is this test's.
            unsafe { stage.pages_mut(*slot, 1) }.fill(1);
        }
        spares.add(stage, 64, left);
        spares
    }

    #[test]
    fn frames_that_lie_side_by_side_are_taken_together() {
        let spares = spares((20..26).chain(0..9).chain(16..17));
        assert_eq!(spares.frames.load(Relaxed), 16);
        let mut filled = lock(&spares.stages).filled.pop().unwrap();
        let taken: Vec<_> = [5, 16, 16, 16].map(|most| filled.take(most)).into();
        assert_eq!(taken, [0..5, 20..26, 5..9, 0..0]);
        filled.frames -= 15;
        spares.frames.fetch_sub(15, Relaxed);
        spares.put(filled);
        assert_eq!(spares.frames.load(Relaxed), 0, "a single one is no use");
        let stage = spares.stage().unwrap();
        // SAFETY: the memory is this test's.
        assert!(unsafe { stage.pages(0, 64) }.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn there_are_no_more_frames_than_there_is_room_for() {
        let spares = spares(0..16);
        spares.keep(16);
        assert!(spares.stage().is_none());
        spares.keep(15);
        assert_eq!((spares.frames.load(Relaxed), spares.stage().is_some()), (0, true));
    }

    #[test]
    fn pages_that_leave_for_good_leave_few_frames() {
        let spares = Spares::default();
        for _ in 0..10 {
            spares.add(Space::new(32 * PAGE, true).unwrap(), 32, (0..32).collect());
        }
        assert_eq!(spares.frames.load(Relaxed), MANY);
    }
}
