//! What the clients do: write patterns and read them back, page by page.

use std::sync::atomic::{AtomicU64, Ordering};

use mach_vm::{AccessError, Paged};

use super::PAGE;

/// What all clients count together.
#[derive(Default)]
pub(crate) struct Tally {
    /// Accesses to pages that are done.
    pub(crate) done: AtomicU64,
    /// Pages that were not as they had been written.
    pub(crate) wrong: AtomicU64,
    /// Accesses that ended with a memory error.
    pub(crate) errors: AtomicU64,
}

/// How many accesses a client makes to a memory of this many pages.
pub(crate) fn accesses(pages: usize) -> u64 {
    // Each page once in order, as many by chance, each page once more.
    3 * pages as u64
}

/// A client with memory of its own.
pub(crate) struct Client<'a> {
    number: u64,
    memory: &'a Paged,
    tally: &'a Tally,
    /// How often each page has been written; `None` after a memory error, until it is written again.
    versions: Vec<Option<u64>>,
    random: u64,
}

/// One page in this many is never written. It is zero for ever.
const UNWRITTEN: usize = 16;

/// One page in this many is the same word over and over.
const SAME_FILLED: usize = 64;

/// How many accesses by chance a client knows of in advance, and tells the kernel.
const AHEAD: usize = 32;

impl<'a> Client<'a> {
    pub(crate) fn new(memory: &'a Paged, tally: &'a Tally, number: u64) -> Self {
        let versions = vec![Some(0); memory.len() / PAGE];
        Self { number, memory, tally, versions, random: mix(number) }
    }

    /// Writes every page, then reads and writes by chance, then reads every page.
    pub(crate) fn run(mut self) {
        let pages = self.versions.len();
        for page in 0..pages {
            self.write(page);
        }
        for first in (0..pages).step_by(AHEAD) {
            self.touch_by_chance(AHEAD.min(pages - first));
        }
        for page in 0..pages {
            self.read(page);
        }
    }

    /// Reads and writes pages by chance, this many times, as one that looks up many things at once does.
    fn touch_by_chance(&mut self, times: usize) {
        let pages = self.versions.len();
        let mut next = [(0, false); AHEAD];
        let next = &mut next[..times];
        for (page, write) in next.iter_mut() {
            self.random = mix(self.random);
            // Three of ten are writes.
            (*page, *write) = (self.random as usize % pages, self.random >> 32 & 0xff < 77);
        }
        next.sort_unstable();
        for run in next.chunk_by(|a, b| b.0 - a.0 <= 1) {
            self.memory.will_need(run[0].0 * PAGE..(run[run.len() - 1].0 + 1) * PAGE);
        }
        // Backwards: the one that was asked for last comes last, and then there is no more to wait for.
        for (page, write) in next.iter().rev() {
            if *write { self.write(*page) } else { self.read(*page) }
        }
    }

    fn write(&mut self, page: usize) {
        if page % UNWRITTEN == UNWRITTEN - 1 {
            return self.read(page);
        }
        let version = self.versions[page].unwrap_or(0) + 1;
        let mut content = [0; PAGE];
        words_mut(&mut content)
            .zip(self.pattern(page, version))
            .for_each(|(to, word)| *to = word.to_le_bytes());
        let written = self.memory.write_at(page * PAGE, &content);
        self.versions[page] = Some(version);
        self.done(page, written);
    }

    fn read(&mut self, page: usize) {
        let mut content = [0; PAGE];
        let read = self.memory.read_at(page * PAGE, &mut content);
        if let (Ok(()), Some(version)) = (read, self.versions[page]) {
            let pattern = self.pattern(page, version).map(u64::to_le_bytes);
            let is_right = words(&content).eq(pattern.take(PAGE / 8));
            self.tally.wrong.fetch_add(u64::from(!is_right), Ordering::Relaxed);
        }
        self.done(page, read);
    }

    fn done(&mut self, page: usize, result: Result<(), AccessError>) {
        if result.is_err() {
            self.versions[page] = None;
            self.tally.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.tally.done.fetch_add(1, Ordering::Relaxed);
    }

    /// The words of a page. Each is different from those of all other pages and versions, or they are all the
    /// same.
    fn pattern(&self, page: usize, version: u64) -> impl Iterator<Item = u64> + use<> {
        let step: u64 = if version == 0 || page % SAME_FILLED == 0 { 0 } else { 0x9e37_79b9_7f4a_7c15 };
        let object = self.number << 40;
        let first = if version == 0 { 0 } else { mix(object ^ (page as u64) << 16 ^ version) };
        (0..).map(move |at: u64| first.wrapping_add(step.wrapping_mul(at)))
    }
}

fn words(page: &[u8]) -> impl Iterator<Item = [u8; 8]> + '_ {
    page.chunks_exact(8).filter_map(|word| word.first_chunk().copied())
}

fn words_mut(page: &mut [u8]) -> impl Iterator<Item = &mut [u8; 8]> {
    page.chunks_exact_mut(8).filter_map(|word| word.first_chunk_mut())
}

/// A number that looks like chance (the finalizer of SplitMix64).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
