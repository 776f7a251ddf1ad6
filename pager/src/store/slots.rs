//! Which slots of a swap store are free.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;

const BITS: usize = u64::BITS as usize;

/// A bit for each slot, set if it is free, and above them bits for words that are not zero, up to a single word: whatever the size, a free slot is
/// found in a few steps. Slots are given out in ascending order from where the last ones were, so that what is stored together lies together.
pub(super) struct Slots {
    /// `levels[0]` is the bits of the slots; bit *n* of a level is set if word *n* of the one below is not zero.
    levels: Vec<Vec<u64>>,
    usable: Range<u32>,
    /// Slots that were free at first.
    total: u32,
    /// Slots that are neither taken nor bad.
    free: u32,
    /// Slots that were [retired](Self::retire).
    bad: u32,
    /// Where the search for free slots starts.
    head: usize,
}

impl Slots {
    /// All slots of `usable` are free except those of `bad`, which are as if they did not exist.
    pub(super) fn new(usable: Range<u32>, bad: &[u32]) -> Result<Self, TryReserveError> {
        let mut levels = Vec::new();
        let mut bits = usable.end as usize;
        loop {
            let level = ones(bits)?;
            bits = level.len();
            levels.push(level);
            if bits == 1 {
                break;
            }
        }
        let mut slots = Slots { levels, free: usable.end, bad: 0, head: 0, total: 0, usable };
        for slot in (0..slots.usable.start).chain(bad.iter().copied()) {
            slots.take(slot as usize);
        }
        slots.total = slots.free;
        Ok(slots)
    }

    pub(super) fn total(&self) -> u32 {
        self.total
    }

    pub(super) fn free(&self) -> u32 {
        self.free
    }

    pub(super) fn bad(&self) -> u32 {
        self.bad
    }

    /// Takes free slots that lie side by side: at least one, at most `most`.
    pub(super) fn take_run(&mut self, most: usize) -> Option<Range<u32>> {
        let start = self.next_free(self.head).or_else(|| self.next_free(0))?;
        let mut end = start;
        while end - start < most && self.take(end) {
            end += 1;
        }
        self.head = end;
        Some(start as u32..end as u32)
    }

    /// Gives a slot back.
    pub(super) fn put(&mut self, slot: u32) {
        let mut at = slot as usize;
        if !self.usable.contains(&slot) || self.is_free(at) {
            return;
        }
        self.free += 1;
        for level in &mut self.levels {
            level[at / BITS] |= 1 << (at % BITS);
            at /= BITS;
        }
    }

    /// Counts one of the slots that are taken as bad. It is never given out again, because nobody gives it back.
    pub(super) fn retire(&mut self) {
        self.bad += 1;
    }

    fn is_free(&self, at: usize) -> bool {
        self.levels[0].get(at / BITS).is_some_and(|word| word & 1 << (at % BITS) != 0)
    }

    /// Takes one slot if it is free.
    fn take(&mut self, slot: usize) -> bool {
        if !self.is_free(slot) {
            return false;
        }
        self.free -= 1;
        let mut at = slot;
        for level in &mut self.levels {
            let word = &mut level[at / BITS];
            *word &= !(1 << (at % BITS));
            if *word != 0 {
                break;
            }
            at /= BITS;
        }
        true
    }

    /// The first free slot from this one on.
    fn next_free(&self, from: usize) -> Option<usize> {
        let mut at = from;
        for (height, level) in self.levels.iter().enumerate() {
            let word = level.get(at / BITS)? & (u64::MAX << (at % BITS));
            if word != 0 {
                let found = at - at % BITS + word.trailing_zeros() as usize;
                return Some(self.descend(height, found));
            }
            at = at / BITS + 1;
        }
        None
    }

    /// The first free slot below a bit that is set.
    fn descend(&self, height: usize, bit: usize) -> usize {
        let below = self.levels[..height].iter().rev();
        below.fold(bit, |word, level| word * BITS + level[word].trailing_zeros() as usize)
    }
}

/// This many bits, all set, in at least one word.
fn ones(bits: usize) -> Result<Vec<u64>, TryReserveError> {
    let words = bits.div_ceil(BITS).max(1);
    let mut level = Vec::new();
    level.try_reserve_exact(words)?;
    level.resize(words, u64::MAX);
    level[words - 1] = match bits % BITS {
        0 if bits > 0 => u64::MAX,
        rest => !(u64::MAX << rest),
    };
    Ok(level)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    impl Slots {
        /// Panics if counts or summaries do not agree with the bits of the slots.
        pub(in crate::store) fn check(&self) {
            let ones: u32 = self.levels[0].iter().map(|word| word.count_ones()).sum();
            assert_eq!(self.free, ones);
            for pair in self.levels.windows(2) {
                for (at, word) in pair[0].iter().enumerate() {
                    assert_eq!(pair[1][at / BITS] >> (at % BITS) & 1 == 1, *word != 0);
                }
            }
        }
    }

    #[test]
    fn a_slot_takes_little_more_than_a_bit() {
        let slots = Slots::new(1..1 << 24, &[]).unwrap();
        let words: usize = slots.levels.iter().map(Vec::capacity).sum();
        assert!(words * BITS < (1 << 24) * 102 / 100);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn runs_are_taken_as_from_a_set(
            end in prop_oneof![9 => 2..10_u32, 9 => 60..70_u32, 9 => 4090..4100_u32, 1 => 262_140..262_150_u32],
            bad in prop::collection::vec(0..300_000_u32, 0..5),
            steps in prop::collection::vec((1..70_usize, any::<bool>(), any::<prop::sample::Index>(), 0..3000_usize), 1..60),
        ) {
            let mut slots = Slots::new(1..end, &bad).unwrap();
            let mut free: BTreeSet<u32> = (1..end).filter(|slot| !bad.contains(slot)).collect();
            prop_assert_eq!(slots.total() as usize, free.len());
            let mut taken = Vec::new();
            let mut head = 0;
            for (most, put, which, times) in steps {
                if put {
                    for _ in 0..times.min(taken.len()) {
                        let slot = taken.swap_remove(which.index(taken.len()));
                        slots.put(slot);
                        free.insert(slot);
                    }
                } else {
                    for _ in 0..times {
                        let start = free.range(head..).chain(&free).next().copied();
                        let run = slots.take_run(most);
                        prop_assert_eq!(run.as_ref().map(|run| run.start), start);
                        let Some(run) = run else { break };
                        prop_assert!(!run.is_empty() && run.len() <= most);
                        prop_assert!(run.len() == most || !free.contains(&run.end));
                        for slot in run.clone() {
                            prop_assert!(free.remove(&slot));
                            taken.push(slot);
                        }
                        head = run.end;
                    }
                }
                prop_assert_eq!(slots.free() as usize, free.len());
                slots.check();
            }
        }
    }
}
