//! Which slots of a swap store are free, and where many of them lie side by side.

use alloc::collections::TryReserveError;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::segments::{Rewrite, SEGMENT, SEGMENTS_MIN, Segments};

const BITS: u64 = u64::BITS as u64;

/// Words of bits in a zone.
const ZONE_WORDS: usize = 8;

/// Slots in a zone of a device, which has them all side by side.
pub const ZONE: u64 = ZONE_WORDS as u64 * BITS;

/// Calls for fewer slots than this fill holes, so that long runs are left for those for many.
pub(super) const MANY: u64 = 16;

/// A bit for each slot, and above them what tells in a few steps where a free slot is, or a run of them,
/// whatever the size.
///
/// Everything is zero for a device whose slots are all free: memory that is never touched costs nothing where
/// the system gives zeros lazily.
pub(super) struct Slots {
    /// `taken[0]` has the bits of the slots, set for one that is not free; bit *n* of a level is set if word
    /// *n* of the one below is full.
    taken: Vec<Vec<u64>>,
    /// `shortage[0]` has for each zone by how much its [longest run](shortage) falls short of the best; a
    /// level above has the least of 64 each.
    shortage: Vec<Vec<u8>>,
    /// A bit for each zone that was written to since it was last [found empty](Self::take_empty_zone).
    written: Vec<u64>,
    usable: Range<u64>,
    /// Slots that were free at first.
    total: u64,
    /// Slots that are neither taken nor bad.
    free: u64,
    bad: Bad,
    /// Where the search starts for runs of many slots, and for fewer.
    heads: [u64; 2],
    /// Where they are, if they move. A run lies in one segment then.
    segments: Option<Segments>,
}

impl Slots {
    /// All slots of `usable` are free except those of `bad`, which are as if they did not exist.
    pub(super) fn new(usable: Range<u64>, bad: &[u32]) -> Result<Self, TryReserveError> {
        let taken = levels::<u64>(usable.end.div_ceil(BITS))?;
        let shortage = levels::<u8>(usable.end.div_ceil(ZONE))?;
        let written = Vec::<u64>::zeros(usable.end.div_ceil(ZONE).div_ceil(BITS) as usize)?;
        let (free, heads) = (usable.end, [usable.start; 2]);
        let (bad_slots, segments) = (Bad::new()?, None);
        let mut slots =
            Slots { taken, shortage, written, free, bad: bad_slots, heads, total: 0, usable, segments };
        // The bits after the last slot are no slots.
        let end = slots.usable.end;
        for beyond in end..slots.taken[0].len() as u64 * BITS {
            slots.set(beyond);
        }
        slots.note_zone(end.saturating_sub(1));
        for slot in (0..slots.usable.start).chain(bad.iter().map(|slot| u64::from(*slot))) {
            slots.take(slot);
        }
        slots.total = slots.free;
        Ok(slots)
    }

    /// Lets segments move, for which the last one that is whole is spared, if there are enough of them. True
    /// if they do. Those with slots that are none, or are `bad`, stay where they are.
    pub(super) fn move_segments(&mut self, bad: &[u32]) -> Result<bool, TryReserveError> {
        let words = &self.taken[0];
        let Some(spare) = words.iter().rposition(|word| *word == 0) else { return Ok(false) };
        if (words.len() as u64) < SEGMENTS_MIN {
            return Ok(false);
        }
        for slot in (0..SEGMENT).map(|at| spare as u64 * SEGMENT + at) {
            self.take(slot);
        }
        self.total = self.free;
        let mut segments = Segments::new(self.taken[0].len(), spare as u64)?;
        // The superblock is before the first slot, and its backup after the last one.
        let ends = [self.usable.start.saturating_sub(1), self.usable.end];
        ends.into_iter().chain(bad.iter().map(|slot| u64::from(*slot))).for_each(|slot| segments.fix(slot));
        self.segments = Some(segments);
        Ok(true)
    }

    /// A page has come to a slot that weighs this; or is about to go, if it is the negative.
    pub(super) fn weigh(&mut self, slot: u64, weight: u64) {
        if let Some(segments) = &mut self.segments {
            segments.weigh(slot, weight);
        }
    }

    /// Where a slot is on the device.
    pub(super) fn place(&self, slot: u64) -> u64 {
        self.segments.as_ref().map_or(slot, |segments| segments.place(slot))
    }

    /// The writes to slots that were taken together are done, whatever came of them.
    pub(super) fn end_write(&mut self, slots: &Range<u64>) {
        if let Some(segments) = &mut self.segments {
            segments.end_write(slots);
        }
    }

    /// Takes a segment to be written as a whole with up to this many new pages, if that makes a long write of
    /// short ones: there is no long run of slots, and a segment with much room.
    pub(super) fn begin_rewrite(&mut self, most: usize) -> Option<Rewrite> {
        if self.best() <= shortage_of(MANY) || (most as u64) < MANY {
            return None;
        }
        let segments = self.segments.as_mut()?;
        let segment = segments.emptiest(&self.taken[0], MANY)?;
        let rewrite = segments.begin(segment, self.taken[0][segment as usize], most);
        each(rewrite.first, rewrite.new | rewrite.idle).for_each(|slot| {
            self.take(slot);
        });
        self.note_written(rewrite.first);
        Some(rewrite)
    }

    /// The segment is where it was to go, or where it was before: then it stays there, if `fix` says so.
    /// Gives back the slots that have no pages.
    pub(super) fn end_rewrite(&mut self, rewrite: &Rewrite, is_moved: bool, fix: bool) {
        let Some(segments) = &mut self.segments else { return };
        if fix {
            segments.fix(rewrite.first);
        }
        let given_back = segments.end(rewrite, is_moved);
        let new = if is_moved { 0 } else { rewrite.new };
        each(rewrite.first, given_back | rewrite.idle | new).for_each(|slot| {
            self.put(slot);
        });
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn free(&self) -> u64 {
        self.free
    }

    pub(super) fn bad(&self) -> u64 {
        self.bad.count
    }

    /// Takes free slots that lie side by side: at least one, at most `most`, and as many as there are
    /// anywhere if `most` are many.
    pub(super) fn take_run(&mut self, most: usize) -> Option<Range<u64>> {
        let most = most as u64;
        // A device that prefers long writes gets none in pieces that could be whole.
        let is_many = most >= MANY || most > 1 && self.segments.is_some() && self.best() < NONE - 1;
        let head = self.heads[usize::from(is_many)];
        let run = if is_many { self.find_run(most, head) } else { self.find_slots(most, head) }?;
        for slot in run.clone() {
            self.free -= 1;
            self.set(slot);
        }
        // A run lies in one zone, or goes on in the next one.
        let ends = [run.start, run.end - 1];
        let zones = if ends[0] / ZONE == ends[1] / ZONE { &ends[..1] } else { &ends[..] };
        for slot in zones {
            self.note_zone(*slot);
            self.note_written(*slot);
        }
        self.heads[usize::from(is_many)] = run.end;
        self.begin_write(&run);
        Some(run)
    }

    fn begin_write(&mut self, slots: &Range<u64>) {
        if let Some(segments) = &mut self.segments {
            segments.begin_write(slots);
        }
    }

    /// Takes a slot far from this one, and far from what the same call with another `turn` takes.
    pub(super) fn take_elsewhere(&mut self, slot: u64, turn: u64) -> Option<u64> {
        let span = self.usable.end - self.usable.start;
        let from = self.usable.start + (slot - self.usable.start + span / 8 * (3 + 2 * turn)) % span;
        let found = self.next_free(from).or_else(|| self.next_free(0))?;
        self.take(found);
        self.note_written(found);
        self.begin_write(&(found..found + 1));
        Some(found)
    }

    fn note_written(&mut self, slot: u64) {
        let zone = slot / ZONE;
        self.written[(zone / BITS) as usize] |= 1 << (zone % BITS);
    }

    /// Takes all slots of a zone that was written to and is empty now, so that the device can be told.
    pub(super) fn take_empty_zone(&mut self) -> Option<Range<u64>> {
        let zone = (0..self.written.len() as u64).find_map(|at| {
            let mut left = self.written[at as usize];
            while left != 0 {
                let zone = at * BITS + u64::from(left.trailing_zeros());
                if self.is_empty(zone) {
                    return Some(zone);
                }
                left &= left - 1;
            }
            None
        })?;
        self.written[(zone / BITS) as usize] &= !(1 << (zone % BITS));
        let slots = zone * ZONE..(zone + 1) * ZONE;
        for slot in slots.clone() {
            self.take(slot);
        }
        Some(slots)
    }

    /// True if a whole zone is free.
    fn is_empty(&self, zone: u64) -> bool {
        let words = self.zone(zone);
        words.len() == ZONE_WORDS && words.iter().all(|word| *word == 0)
    }

    /// Gives a slot back. Returns its zone if there are no others in use.
    pub(super) fn put(&mut self, slot: u64) -> Option<u64> {
        if !self.usable.contains(&slot) || self.is_free(slot) {
            return None;
        }
        if self.segments.as_mut().is_some_and(|segments| segments.defer(slot)) {
            return None;
        }
        self.free += 1;
        let mut at = slot;
        for level in &mut self.taken {
            level[(at / BITS) as usize] &= !(1 << (at % BITS));
            at /= BITS;
        }
        self.note_zone(slot);
        let zone = slot / ZONE;
        let first = (zone * ZONE).max(self.usable.start) - zone * ZONE;
        let end = ((zone + 1) * ZONE).min(self.usable.end) - zone * ZONE;
        (next(self.zone(zone), first, u64::MAX) >= end).then_some(zone)
    }

    /// Does not give this slot, which is taken, out again for a while, because the device failed there. It is
    /// tried again when there is no other, or when [as many](Bad::MOST) others have failed since.
    pub(super) fn retire(&mut self, slot: u64) {
        if let Some(segments) = &mut self.segments {
            segments.fix(slot);
        }
        if let Some(oldest) = self.bad.push(slot) {
            self.put(oldest);
        }
    }

    /// Gives those slots that are bad a new chance. False if there are none.
    pub(super) fn try_bad_again(&mut self) -> bool {
        let mut any = false;
        while let Some(slot) = self.bad.pop() {
            self.put(slot);
            any = true;
        }
        any
    }

    fn is_free(&self, slot: u64) -> bool {
        self.taken[0].get((slot / BITS) as usize).is_some_and(|word| word & 1 << (slot % BITS) == 0)
    }

    /// Takes one slot if it is free.
    fn take(&mut self, slot: u64) -> bool {
        if !self.is_free(slot) {
            return false;
        }
        self.free -= 1;
        self.set(slot);
        self.note_zone(slot);
        true
    }

    fn set(&mut self, slot: u64) {
        let mut at = slot;
        for level in &mut self.taken {
            let word = &mut level[(at / BITS) as usize];
            *word |= 1 << (at % BITS);
            if *word != u64::MAX {
                break;
            }
            at /= BITS;
        }
    }

    fn zone(&self, zone: u64) -> &[u64] {
        let start = zone as usize * ZONE_WORDS;
        let words = &self.taken[0];
        &words[start.min(words.len())..(start + ZONE_WORDS).min(words.len())]
    }

    /// Notes how long a run the zone of this slot has now.
    fn note_zone(&mut self, slot: u64) {
        let mut at = (slot / ZONE) as usize;
        let mut value = shortage(self.zone(at as u64));
        for height in 0..self.shortage.len() {
            let level = &mut self.shortage[height];
            if level[at] == value {
                break;
            }
            level[at] = value;
            at /= BITS as usize;
            let start = at * BITS as usize;
            let end = (start + BITS as usize).min(level.len());
            value = level[start..end].iter().copied().min().unwrap_or(0);
        }
    }

    /// Free slots from the first one after `head` on that is followed by others, if any is.
    fn find_slots(&self, most: u64, head: u64) -> Option<Range<u64>> {
        let start = self.next_free(head).or_else(|| self.next_free(0))?;
        Some(self.run_at(start, most))
    }

    /// The run of free slots that begins here, up to this many, and in one segment if those move.
    fn run_at(&self, start: u64, most: u64) -> Range<u64> {
        let most = if self.segments.is_some() { most.min(SEGMENT - start % SEGMENT) } else { most };
        let end = (start..start + most).find(|slot| !self.is_free(*slot)).unwrap_or(start + most);
        start..end
    }

    /// A run of this many slots after `head`, or else before it, or else one of the longest.
    fn find_run(&self, most: u64, head: u64) -> Option<Range<u64>> {
        // The rest of the run that the last call began.
        let rest = self.run_at(head, most);
        if rest.end - rest.start == most {
            return Some(rest);
        }
        let enough = self.best().max(shortage_of(most));
        if enough >= NONE {
            return None;
        }
        let first = (head / ZONE) as usize;
        let zone = self.next_zone(first, enough).or_else(|| self.next_zone(0, enough))?;
        let (words, first) = (self.zone(zone), zone * ZONE);
        if self.segments.is_none() {
            return Some(longest_run(words, first, most));
        }
        let runs = words.chunks(1).zip(0..).map(|(word, at)| longest_run(word, first + at * BITS, most));
        // The first one of the longest.
        runs.reduce(|best, run| if run.end - run.start > best.end - best.start { run } else { best })
    }

    /// By how much the longest run of all falls short.
    fn best(&self) -> u8 {
        self.shortage.last().and_then(|top| top.first()).copied().unwrap_or(NONE)
    }

    /// The first zone from this one on that falls short by no more than this.
    fn next_zone(&self, from: usize, most: u8) -> Option<u64> {
        let fan = BITS as usize;
        let mut at = from;
        for (height, level) in self.shortage.iter().enumerate() {
            let end = (at / fan * fan + fan).min(level.len());
            if let Some(found) = level.get(at..end)?.iter().position(|value| *value <= most) {
                // Down again.
                let below = self.shortage[..height].iter().rev();
                let zone = below.fold(at + found, |parent, level| {
                    let start = parent * fan;
                    let end = (start + fan).min(level.len());
                    let child = level[start..end].iter().position(|value| *value <= most);
                    start + child.unwrap_or(0)
                });
                return Some(zone as u64);
            }
            at = at / fan + 1;
        }
        None
    }

    /// The first free slot from this one on.
    fn next_free(&self, from: u64) -> Option<u64> {
        let mut at = from;
        for (height, level) in self.taken.iter().enumerate() {
            let word = !level.get((at / BITS) as usize)? & (u64::MAX << (at % BITS));
            if word != 0 {
                let found = at - at % BITS + u64::from(word.trailing_zeros());
                return self.descend(height, found);
            }
            at = at / BITS + 1;
        }
        None
    }

    /// The first free slot below a bit that is not set. A word that does not exist has none, and comes last.
    fn descend(&self, height: usize, bit: u64) -> Option<u64> {
        let mut below = self.taken[..height].iter().rev();
        below.try_fold(bit, |word, level| {
            Some(word * BITS + u64::from((!level.get(word as usize)?).trailing_zeros()))
        })
    }
}

/// By how much the longest run of free slots in a zone falls short of 64: 0 if by nothing, 1 if it has 32 at
/// least, then 16, and so on; [`NONE`] if there is no free slot.
fn shortage(words: &[u64]) -> u8 {
    // As most zones of an empty device are.
    if words.contains(&0) {
        return 0;
    }
    let mut runs = Starts::of_one(words);
    let (mut shortage, mut length) = (NONE, 1);
    while shortage > 0 && runs.are_some() {
        shortage -= 1;
        runs = runs.followed(&runs, length);
        length = (length * 2).min(BITS as u32 / 2);
    }
    shortage
}

/// Where runs of some number of free slots begin in a zone: a bit for each such slot.
#[derive(Clone, Copy)]
struct Starts([u64; ZONE_WORDS]);

impl Starts {
    /// Runs of one: all slots that are free, of as many words as there are.
    fn of_one(words: &[u64]) -> Self {
        let mut starts = [0; ZONE_WORDS];
        starts.iter_mut().zip(words).for_each(|(start, word)| *start = !word);
        Self(starts)
    }

    /// Those of them that are followed by one of these, this many slots after they begin: 1 to 64.
    fn followed(&self, by: &Self, after: u32) -> Self {
        let mut following = [0; ZONE_WORDS + 1];
        following[..ZONE_WORDS].copy_from_slice(&by.0);
        // In two steps, as a word cannot be shifted by all of its bits.
        Self(core::array::from_fn(|at| {
            let (low, high) = (following[at], following[at + 1]);
            self.0[at] & (low >> (after - 1) >> 1 | high << (BITS as u32 - after))
        }))
    }

    fn are_some(&self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) != 0
    }

    /// The first one.
    fn first(&self) -> Option<u64> {
        let at = self.0.iter().position(|word| *word != 0)?;
        Some(at as u64 * BITS + u64::from(self.0[at].trailing_zeros()))
    }
}

fn shortage_of(run: u64) -> u8 {
    run.min(64).checked_ilog2().map_or(NONE, |log| (NONE - 1) - log as u8)
}

const NONE: u8 = 7;

/// The slots of the bits of a word, whose first one is this.
pub(super) fn each(first: u64, mut bits: u64) -> impl Iterator<Item = u64> {
    core::iter::from_fn(move || {
        let at = (bits != 0).then(|| u64::from(bits.trailing_zeros()))?;
        bits &= bits - 1;
        Some(first + at)
    })
}

/// The first bit from here on that is not set, or with `flip` of all ones the first one that is; the end if
/// there is none.
fn next(words: &[u64], from: u64, flip: u64) -> u64 {
    let mut at = from;
    while let Some(word) = words.get((at / BITS) as usize) {
        let rest = !(word ^ flip) >> (at % BITS);
        if rest != 0 {
            return at + u64::from(rest.trailing_zeros());
        }
        at += BITS - at % BITS;
    }
    words.len() as u64 * BITS
}

/// The first run of this many slots in a zone, or else the first of the longest. Those of more than
/// [`SEGMENT`] slots are as good as longer ones.
fn longest_run(words: &[u64], first: u64, most: u64) -> Range<u64> {
    let most = most.min(SEGMENT) as u32;
    // Runs of 1, 2, 4 and so on, as long as there are any.
    let mut powers = [Starts::of_one(words); BITS.ilog2() as usize + 1];
    let (mut longest, mut power) = (1, 0);
    while 2 * longest <= most {
        let longer = powers[power].followed(&powers[power], longest);
        if !longer.are_some() {
            break;
        }
        power += 1;
        powers[power] = longer;
        longest *= 2;
    }
    // And those of the next smaller ones that follow them.
    let mut starts = powers[power];
    for (shorter, runs) in powers[..power].iter().enumerate().rev() {
        let len = longest + (1 << shorter);
        let longer = if len <= most { starts.followed(runs, longest) } else { continue };
        if longer.are_some() {
            (starts, longest) = (longer, len);
        }
    }
    match starts.first() {
        Some(start) => first + start..first + start + u64::from(longest),
        None => first..first,
    }
}

/// Levels of zeros, each a 64th of the one below, up to a single one.
fn levels<T: Copy + Default>(mut count: u64) -> Result<Vec<Vec<T>>, TryReserveError>
where
    Vec<T>: Zeros,
{
    let mut levels = Vec::new();
    loop {
        levels.push(Vec::<T>::zeros(count.max(1) as usize)?);
        if count <= 1 {
            return Ok(levels);
        }
        count = count.div_ceil(BITS);
    }
}

/// Vectors of zeros.
pub(super) trait Zeros: Sized {
    /// This many zeros, which the allocator gives as such: nothing writes to the memory.
    fn zeros(count: usize) -> Result<Self, TryReserveError>;
}

macro_rules! zeros {
    ($($number:ty)*) => { $(
        impl Zeros for Vec<$number> {
            fn zeros(count: usize) -> Result<Self, TryReserveError> {
                // `vec!` asks for zeros, but ends the program if there is not enough memory.
                Vec::<$number>::new().try_reserve_exact(count)?;
                Ok(vec![0; count])
            }
        }
    )* };
}

zeros!(u8 u16 u32 u64);

/// Slots where the device failed, to be tried again later; the oldest first.
struct Bad {
    slots: Vec<u64>,
    oldest: usize,
    count: u64,
}

impl Bad {
    /// How many are remembered.
    const MOST: usize = 1024;

    fn new() -> Result<Self, TryReserveError> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(Self::MOST)?;
        Ok(Self { slots, oldest: 0, count: 0 })
    }

    /// Adds one. Returns the oldest one if there is no room for both.
    fn push(&mut self, slot: u64) -> Option<u64> {
        if self.slots.len() < Self::MOST {
            self.slots.push(slot);
            self.count += 1;
            return None;
        }
        let oldest = core::mem::replace(&mut self.slots[self.oldest], slot);
        self.oldest = (self.oldest + 1) % Self::MOST;
        Some(oldest)
    }

    fn pop(&mut self) -> Option<u64> {
        let slot = self.slots.pop()?;
        (self.oldest, self.count) = (0, self.count - 1);
        Some(slot)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    impl Slots {
        pub(in crate::store) fn start_at(&mut self, slot: u64) {
            self.heads = [slot; 2];
        }

        /// Panics if counts or summaries do not agree with the bits of the slots.
        pub(in crate::store) fn check(&self) {
            let zeros: u64 = self.taken[0].iter().map(|word| u64::from(word.count_zeros())).sum();
            assert_eq!(self.free, zeros);
            for pair in self.taken.windows(2) {
                for (at, word) in pair[0].iter().enumerate() {
                    assert_eq!(pair[1][at / 64] >> (at % 64) & 1 == 1, *word == u64::MAX);
                }
            }
            for zone in 0..self.shortage[0].len() {
                assert_eq!(self.shortage[0][zone], shortage(self.zone(zone as u64)), "zone {zone}");
            }
            for pair in self.shortage.windows(2) {
                for (at, least) in pair[1].iter().enumerate() {
                    let below = &pair[0][at * 64..(at * 64 + 64).min(pair[0].len())];
                    assert_eq!(below.iter().min(), Some(least));
                }
            }
        }
    }

    #[test]
    fn a_slot_takes_little_more_than_a_bit() {
        let slots = Slots::new(1..1 << 24, &[]).unwrap();
        let words: usize = slots.taken.iter().map(Vec::capacity).sum();
        let bytes: usize = slots.shortage.iter().map(Vec::capacity).sum();
        assert!(words * 64 + bytes * 8 < (1 << 24) * 104 / 100);
    }

    #[test]
    fn the_longest_run_of_a_zone() {
        for (words, expected) in [
            (&[0, 0][..], 0..64),
            (&[u64::MAX, u64::MAX], 0..0),
            (&[1, 0], 1..65),
            (&[!0 >> 1, 1 << 63], 63..127),
            (&[0b1001, !0], 4..64),
            (&[!0b0110_1110], 1..4),
        ] {
            assert_eq!(longest_run(words, 0, 64), expected, "{words:x?}");
            assert_eq!(shortage(words), shortage_of(expected.end - expected.start), "{words:x?}");
        }
        for (run, expected) in
            [(0, 7), (1, 6), (2, 5), (3, 5), (4, 4), (31, 2), (32, 1), (63, 1), (64, 0), (512, 0)]
        {
            assert_eq!(shortage_of(run), expected, "{run}");
        }
        assert_eq!(longest_run(&[0b1001, 0], 512, 2), 513..515);
        assert_eq!(longest_run(&[!0b0110_1110], 0, 9), 1..4);
    }

    proptest! {
        #[test]
        fn a_run_is_the_first_that_is_long_enough_or_longest(
            words in prop::collection::vec(prop_oneof![Just(0), Just(!0), any::<u64>(), any::<u64>().prop_map(|word| word & word << 1 & word << 2)], 1..=ZONE_WORDS),
            most in 1..=64_u64,
        ) {
            let is_free = |slot: u64| words[(slot / BITS) as usize] >> (slot % BITS) & 1 == 0;
            let end = words.len() as u64 * BITS;
            let len = |start: u64| (start..end.min(start + most)).take_while(|slot| is_free(*slot)).count() as u64;
            let longest = (0..end).map(len).max().unwrap();
            let start = (0..end).find(|start| len(*start) == longest).unwrap();
            prop_assert_eq!(longest_run(&words, 512, most), 512 + start..512 + start + longest);
            let longest = (0..end).map(|start| (start..end).take_while(|slot| is_free(*slot)).count()).max();
            prop_assert_eq!(shortage(&words), shortage_of(longest.unwrap() as u64));
        }
    }

    #[test]
    fn a_run_is_found_where_there_is_one_and_the_longest_where_there_is_none() {
        let mut slots = Slots::new(0..100_000, &[]).unwrap();
        while slots.take_run(64).is_some() {}
        assert_eq!(slots.free(), 0);
        // Every third slot, one run of 40 and one of 90.
        (0..100_000).step_by(3).for_each(|slot| {
            slots.put(slot);
        });
        (30_000..30_040).for_each(|slot| {
            slots.put(slot);
        });
        (70_001..70_091).for_each(|slot| {
            slots.put(slot);
        });
        slots.check();
        let lengths: Vec<_> = (0..4).map(|_| slots.take_run(64).unwrap()).collect();
        let long = |run: &Range<u64>| run.end - run.start;
        assert!(lengths.iter().take(1).all(|run| run.start >= 70_000 && long(run) == 64), "{lengths:?}");
        assert!(long(&lengths[1]) >= 26 && long(&lengths[2]) >= 26, "{lengths:?}");
        // A few slots do not cut the long runs up.
        let mut slots = Slots::new(0..10_000, &[]).unwrap();
        while slots.take_run(64).is_some() {}
        (0..10_000).step_by(2).for_each(|slot| {
            slots.put(slot);
        });
        (9000..9064).for_each(|slot| {
            slots.put(slot);
        });
        for _ in 0..1000 {
            assert!(slots.take_run(3).is_some());
        }
        assert_eq!(slots.take_run(64).map(|run| long(&run)), Some(64));
    }

    #[test]
    fn bad_slots_are_tried_again_when_there_are_no_others() {
        let mut slots = Slots::new(1..11, &[]).unwrap();
        for _ in 0..10 {
            let slot = slots.take_run(1).unwrap().start;
            slots.retire(slot);
        }
        assert_eq!((slots.free(), slots.bad(), slots.take_run(1)), (0, 10, None));
        assert!(slots.try_bad_again());
        assert_eq!((slots.free(), slots.bad()), (10, 0));
        assert!(!slots.try_bad_again());
    }

    #[test]
    fn no_more_than_some_are_bad_at_a_time() {
        let mut slots = Slots::new(0..5000, &[]).unwrap();
        for _ in 0..2000 {
            let slot = slots.take_run(1).unwrap().start;
            slots.retire(slot);
        }
        assert_eq!((slots.free(), slots.bad()), (5000 - 1024, 1024));
        slots.check();
    }

    #[test]
    fn a_zone_that_was_written_and_is_empty_is_found_once() {
        let mut slots = Slots::new(1..4 * ZONE, &[]).unwrap();
        assert_eq!(slots.take_empty_zone(), None);
        let taken: Vec<_> = core::iter::from_fn(|| slots.take_run(64)).flatten().collect();
        assert_eq!(slots.take_empty_zone(), None);
        taken.into_iter().for_each(|slot| {
            slots.put(slot);
        });
        let free = slots.free();
        // The first zone has the slot of the superblock.
        for zone in 1..4 {
            assert_eq!(slots.take_empty_zone(), Some(zone * ZONE..(zone + 1) * ZONE));
        }
        assert_eq!((slots.take_empty_zone(), slots.free()), (None, free - 3 * ZONE));
        slots.check();
    }

    #[test]
    fn places_elsewhere_are_far_apart() {
        let mut slots = Slots::new(1..80_001, &[]).unwrap();
        let first = slots.take_run(1).unwrap().start;
        let mut all: Vec<u64> = (0..3).map(|turn| slots.take_elsewhere(first, turn).unwrap()).collect();
        all.push(first);
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] > 5000), "{all:?}");
        let mut one = Slots::new(1..2, &[]).unwrap();
        assert_eq!((one.take_elsewhere(1, 0), one.take_elsewhere(1, 1)), (Some(1), None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn runs_are_taken_as_from_a_set(
            end in prop_oneof![9 => 2..10_u64, 9 => 60..70_u64, 9 => 4090..4100_u64, 1 => 262_140..262_150_u64],
            bad in prop::collection::vec(0..300_000_u32, 0..5),
            steps in prop::collection::vec((1..70_usize, any::<bool>(), any::<prop::sample::Index>(), 0..1000_usize), 1..60),
        ) {
            let mut slots = Slots::new(1..end, &bad).unwrap();
            let mut free: BTreeSet<u64> = (1..end).filter(|slot| !bad.iter().any(|bad| u64::from(*bad) == *slot)).collect();
            prop_assert_eq!(slots.total() as usize, free.len());
            let mut taken = Vec::new();
            for (most, put, which, times) in steps {
                if put {
                    for _ in 0..times.min(taken.len()) {
                        let slot = taken.swap_remove(which.index(taken.len()));
                        free.insert(slot);
                        slots.put(slot);
                        slots.put(slot);
                    }
                } else {
                    for _ in 0..times {
                        let Some(run) = slots.take_run(most) else {
                            prop_assert!(free.is_empty());
                            break;
                        };
                        prop_assert!(run.start < run.end && (run.end - run.start) as usize <= most);
                        for slot in run {
                            prop_assert!(free.remove(&slot));
                            taken.push(slot);
                        }
                    }
                }
                prop_assert_eq!(slots.free() as usize, free.len());
                slots.check();
            }
        }
    }
}
