//! Segments of a device, which may be at other places than their numbers say.
//!
//! Where many slots are taken, few free ones lie side by side, and what is written together would go to many
//! places. So a segment with room is read, and written as a whole, with new pages in its free slots, to a
//! place where nothing is; the place that it had is the next one's. Its slots keep their numbers, so that
//! whoever has a page there need not be told.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;

use super::disk::RUN;
use super::slots::Zeros;

/// Slots in a segment: those of a word of bits.
pub(super) const SEGMENT: u64 = u64::BITS as u64;

const _: () = assert!(SEGMENT == RUN as u64, "a segment is written in one call");

/// A device with fewer segments than this has none to spare.
pub(super) const SEGMENTS_MIN: u64 = 64;

/// How many segments are looked at to find the emptiest.
const SEARCHED: usize = 4096;

/// Where the segments of a device are. Zeros say that each is where its number says.
pub(super) struct Segments {
    /// The place of each, as what it differs by from the number.
    moved: Vec<u32>,
    /// How many writes to slots of it are under way.
    writes: Vec<u16>,
    /// The sum of what the pages in each weigh.
    sums: Vec<u64>,
    /// A bit for each that stays where it is: it has slots that are not to be read or written.
    fixed: Vec<u64>,
    /// The place where nothing is.
    spare: u64,
    /// The segment that is being written as a whole, and those of its slots that were given back meanwhile.
    rewritten: Option<(u64, u64)>,
    /// Where the search for the emptiest one goes on.
    head: usize,
}

/// A segment that is to be written as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rewrite {
    /// The number of its first slot.
    pub(super) first: u64,
    /// Slots with pages, which are to be kept.
    pub(super) kept: u64,
    /// Slots for new pages.
    pub(super) new: u64,
    /// The other slots. They are taken meanwhile.
    pub(super) idle: u64,
    /// Where it is, and where it goes, as slots of the device.
    pub(super) from: u64,
    pub(super) to: u64,
    /// What its pages weigh.
    pub(super) sum: u64,
}

impl Segments {
    /// This many segments, each where its number says. All slots are to be taken of the one that is the first
    /// spare place.
    pub(super) fn new(count: usize, spare: u64) -> Result<Self, TryReserveError> {
        Ok(Self {
            moved: Vec::zeros(count)?,
            writes: Vec::zeros(count)?,
            sums: Vec::zeros(count)?,
            fixed: Vec::zeros(count.div_ceil(SEGMENT as usize))?,
            spare,
            rewritten: None,
            head: 0,
        })
    }

    /// A page has come to a slot that weighs this; or has gone, if it is the negative.
    pub(super) fn weigh(&mut self, slot: u64, weight: u64) {
        if let Some(sum) = self.sums.get_mut((slot / SEGMENT) as usize) {
            *sum = sum.wrapping_add(weight);
        }
    }

    /// Where a slot is on the device.
    pub(super) fn place(&self, slot: u64) -> u64 {
        let segment = slot / SEGMENT;
        let moved = self.moved.get(segment as usize).copied().unwrap_or(0);
        (segment ^ u64::from(moved)) * SEGMENT + slot % SEGMENT
    }

    /// The segment of this slot stays where it is from now on.
    pub(super) fn fix(&mut self, slot: u64) {
        let segment = slot / SEGMENT;
        if let Some(word) = self.fixed.get_mut((segment / SEGMENT) as usize) {
            *word |= 1 << (segment % SEGMENT);
        }
    }

    fn is_fixed(&self, segment: usize) -> bool {
        self.fixed[segment / SEGMENT as usize] >> (segment % SEGMENT as usize) & 1 != 0
    }

    /// Slots of one segment are going to be written.
    pub(super) fn begin_write(&mut self, slots: &Range<u64>) {
        self.writes[(slots.start / SEGMENT) as usize] += 1;
    }

    pub(super) fn end_write(&mut self, slots: &Range<u64>) {
        self.writes[(slots.start / SEGMENT) as usize] -= 1;
    }

    /// Defers that a slot is given back, if its segment is being written. True if so.
    pub(super) fn defer(&mut self, slot: u64) -> bool {
        match &mut self.rewritten {
            Some((segment, given_back)) if *segment == slot / SEGMENT => {
                *given_back |= 1 << (slot % SEGMENT);
                true
            }
            _ => false,
        }
    }

    /// The emptiest segment of some, with room for this many pages at least.
    pub(super) fn emptiest(&mut self, taken: &[u64], room: u64) -> Option<u64> {
        if self.rewritten.is_some() {
            return None;
        }
        let count = taken.len();
        let searched = (0..count.min(SEARCHED)).map(|at| (self.head + at) % count);
        let usable = searched.filter(|at| {
            u64::from(taken[*at].count_zeros()) >= room && self.writes[*at] == 0 && !self.is_fixed(*at)
        });
        let found = usable.max_by_key(|at| taken[*at].count_zeros());
        self.head = (self.head + SEARCHED) % count;
        found.map(|at| at as u64)
    }

    /// Begins to write a segment whose bits are these. The caller takes all of its slots.
    pub(super) fn begin(&mut self, segment: u64, taken: u64, most: usize) -> Rewrite {
        let first = segment * SEGMENT;
        let (mut new, mut idle) = (0, !taken);
        for _ in 0..most {
            let lowest = idle & idle.wrapping_neg();
            new |= lowest;
            idle ^= lowest;
        }
        self.rewritten = Some((segment, 0));
        let (from, to) = (self.place(first), self.spare * SEGMENT);
        Rewrite { first, kept: taken, new, idle, from, to, sum: self.sums[segment as usize] }
    }

    /// The segment is at its new place, or where it was. Returns which slots were given back meanwhile.
    pub(super) fn end(&mut self, rewrite: &Rewrite, is_moved: bool) -> u64 {
        let segment = rewrite.first / SEGMENT;
        if is_moved {
            self.moved[segment as usize] = (segment ^ self.spare) as u32;
            self.spare = rewrite.from / SEGMENT;
        }
        self.rewritten.take().map_or(0, |(_, given_back)| given_back)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::sync::Mutex;
    use std::{thread, vec};

    use mig_runtime::platform::Std;
    use proptest::prelude::*;

    use super::super::faulty::{FaultyDisk, STICKY};
    use super::super::{DiskError, Slot, Store, StoreError, SwapStore, superblock};
    use super::*;

    const PAGE: usize = 512;

    type Swap = SwapStore<FaultyDisk, Std>;

    fn store(pages: usize) -> Swap {
        let disk = FaultyDisk::new((pages + 2) * PAGE);
        disk.state().faults.prefers_long_writes = true;
        superblock::format(&disk, PAGE, [7; 16]).unwrap();
        Swap::open(disk).unwrap()
    }

    fn page(seed: u64) -> Vec<u8> {
        (0..PAGE as u64 / 8).flat_map(|word| (seed << 32 | word).to_le_bytes()).collect()
    }

    /// Pages that were stored, with what they are.
    type Held = Vec<(Slot, u64)>;

    fn write(store: &Swap, seeds: Range<u64>, held: &mut Held) -> usize {
        let pages: Vec<_> = seeds.clone().map(page).collect();
        let slices: Vec<_> = pages.iter().map(|page| &page[..]).collect();
        let before = held.len();
        store.write(&slices, &mut |at, result| {
            held.extend(result.ok().map(|slot| (slot, seeds.start + at as u64)))
        });
        held.len() - before
    }

    fn read(store: &Swap, slot: &Slot) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; PAGE];
        store.read(slot, &mut bytes).map(|()| bytes)
    }

    fn check(store: &Swap, held: &Held) {
        for (slot, seed) in held {
            assert_eq!(read(store, slot), Ok(page(*seed)), "page {seed} in {slot:?}");
        }
    }

    /// The same, with many pages in a call.
    fn check_together(store: &Swap, held: &[(Slot, u64)]) {
        for some in held.chunks(100) {
            let places: Vec<_> = some.iter().map(|(slot, _)| slot).collect();
            let mut bytes = vec![0; some.len() * PAGE];
            let mut told = 0;
            store.read_each(&places, &mut bytes, &mut |at, result| {
                assert_eq!(result, Ok(()), "page {} in {:?}", some[at].1, some[at].0);
                told += 1;
            });
            assert_eq!(told, some.len());
            for ((slot, seed), bytes) in some.iter().zip(bytes.chunks_exact(PAGE)) {
                assert_eq!(bytes, page(*seed), "page {seed} in {slot:?}");
            }
        }
    }

    /// As good as by chance, and the same each time.
    fn random(state: &mut u64) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize
    }

    /// A store of which every slot has been written, and half of them given back, any of them.
    fn half_full(pages: usize, state: &mut u64) -> (Swap, Held) {
        let (store, mut held) = (store(pages), Held::new());
        let free = store.space().free;
        assert_eq!(write(&store, 0..free, &mut held), free as usize);
        for _ in 0..free / 2 {
            store.free(held.swap_remove(random(state) % held.len()).0);
        }
        (store, held)
    }

    #[test]
    fn a_write_has_many_pages_where_half_of_the_slots_are_taken_by_chance() {
        let (store, mut held) = half_full(16_384, &mut 1);
        let before = store.counters();
        // As many as fill half of the room.
        for call in 0..64 {
            assert_eq!(write(&store, 100_000 + call * 64..100_064 + call * 64, &mut held), 64);
        }
        let after = store.counters();
        let [pages, runs] =
            [after.pages_written - before.pages_written, after.runs_written - before.runs_written];
        assert!(pages >= 16 * runs, "{pages} pages in {runs} writes");
        // A write has 64 slots, and no more pages are written again than there is room for others.
        assert!(after.pages_rewritten - before.pages_rewritten <= 64 * runs - pages);
        check(&store, &held);
    }

    #[test]
    fn a_write_has_many_pages_where_pages_are_replaced_by_chance() {
        let mut state = 5;
        let (store, mut held) = half_full(16_384, &mut state);
        let mut before = store.counters();
        for call in 0..1024_u64 {
            if call == 512 {
                before = store.counters();
            }
            for _ in 0..64 {
                store.free(held.swap_remove(random(&mut state) % held.len()).0);
            }
            assert_eq!(write(&store, 100_000 + call * 64..100_064 + call * 64, &mut held), 64);
        }
        let after = store.counters();
        let [pages, runs] =
            [after.pages_written - before.pages_written, after.runs_written - before.runs_written];
        assert!(pages >= 16 * runs, "{pages} pages in {runs} writes");
        check(&store, &held);
    }

    #[test]
    fn all_room_but_a_segment_can_be_used_and_comes_back() {
        let (store, mut held) = half_full(8192, &mut 2);
        let total = store.space().total;
        assert_eq!(total, 8192 - SEGMENT);
        let room = store.space().free;
        assert_eq!(write(&store, 50_000..50_000 + room + 10, &mut held), room as usize);
        check(&store, &held);
        held.into_iter().for_each(|(slot, _)| store.free(slot));
        assert_eq!(store.space().free, total);
        // Nothing but whole segments is free, wherever they are.
        let before = store.counters().runs_written;
        let mut held = Held::new();
        (0..100).for_each(|call| assert_eq!(write(&store, call * 64..call * 64 + 64, &mut held), 64));
        assert!(store.counters().runs_written - before <= 103);
        check(&store, &held);
    }

    #[test]
    fn pages_are_read_together_wherever_their_segments_are() {
        let (store, mut held) = half_full(8192, &mut 7);
        check_together(&store, &held);
        let room = store.space().free;
        assert_eq!(write(&store, 50_000..50_000 + room, &mut held), room as usize);
        assert!(store.counters().pages_rewritten > 0);
        check_together(&store, &held);
        held.sort_by_key(|(slot, _)| slot.number());
        for more_at_once in [0, 1, 3] {
            store.disk().state().faults.more_at_once = more_at_once;
            let before = store.disk().state().reads;
            check_together(&store, &held);
            // A hundred of them go in two calls, each of which is about two segments at most.
            let calls = (store.disk().state().reads - before) as usize;
            assert!(calls <= 4 * held.len().div_ceil(100), "{calls} reads of {} pages", held.len());
        }
    }

    #[test]
    fn a_page_that_the_device_has_changed_costs_no_other() {
        let (store, mut held) = half_full(8192, &mut 3);
        let (broken, seed) = held.swap_remove(1000);
        let place = store.slots().place(broken.number());
        store.disk().state().flip(place as usize * PAGE * 8 + 77);
        let room = store.space().free;
        assert_eq!(write(&store, 50_000..50_000 + room, &mut held), room as usize);
        assert!(store.counters().pages_rewritten > 0);
        assert_eq!(read(&store, &broken), Err(StoreError::Corrupt));
        check(&store, &held);
        // It is where it was, so that a device which has only read it wrongly gives it back.
        store.disk().state().flip(place as usize * PAGE * 8 + 77);
        assert_eq!(read(&store, &broken), Ok(page(seed)));
    }

    #[test]
    fn a_spare_place_that_cannot_be_written_costs_nothing() {
        let (store, mut held) = half_full(8192, &mut 4);
        let spare = (0..128).rev().map(|segment| segment * SEGMENT).find(|first| {
            held.iter().all(|(slot, _)| slot.number() / SEGMENT != first / SEGMENT)
                && *first + SEGMENT <= 8192
        });
        let sector = spare.unwrap() + 9;
        store.disk().state().faults.bad_writes.insert(sector, (STICKY, DiskError::Io));
        let room = store.space().free;
        assert_eq!(write(&store, 50_000..50_000 + room, &mut held), room as usize);
        assert_eq!(store.counters().pages_rewritten, 0);
        assert!(store.is_at_work());
        check(&store, &held);
    }

    #[test]
    fn pages_are_read_and_given_back_while_their_segments_move() {
        let (store, held) = half_full(8192, &mut 6);
        let held: Vec<_> = held.into_iter().map(|page| Mutex::new(Some(page))).collect();
        thread::scope(|scope| {
            for thread in 0..4_u64 {
                let (store, held) = (&store, &held);
                scope.spawn(move || {
                    let mut state = thread;
                    for call in 0..300 {
                        let first = 1_000_000 * (thread + 1) + call * 40;
                        let mut new = Held::new();
                        write(store, first..first + 40, &mut new);
                        check(store, &new);
                        check_together(store, &new);
                        for stored in new {
                            let at = random(&mut state) % held.len();
                            let mut place = held[at].lock().unwrap();
                            if let Some(old) = place.replace(stored) {
                                assert_eq!(read(store, &old.0), Ok(page(old.1)));
                                store.free(old.0);
                            }
                        }
                        let at = random(&mut state) % held.len();
                        if let Some((slot, seed)) = &*held[at].lock().unwrap() {
                            assert_eq!(read(store, slot), Ok(page(*seed)));
                        }
                    }
                });
            }
        });
        assert!(store.counters().pages_rewritten > 0);
        let kept: Held = held.into_iter().filter_map(|place| place.into_inner().unwrap()).collect();
        check(&store, &kept);
        let used = store.space().used();
        assert_eq!(used, kept.len() as u64);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_page_is_lost_whatever_the_device_does_not_take(
            steps in proptest::collection::vec((1..120_u64, 0..120_usize, any::<u64>()), 1..60),
            bad in proptest::collection::vec((0..4100_u64, any::<bool>()), 0..6),
        ) {
            let mut state = 9;
            let (store, mut held) = half_full(4160, &mut state);
            for (at, (sector, is_read)) in bad.into_iter().enumerate() {
                let times = [1, 3, STICKY][at % 3];
                let faults = &mut store.disk().state().faults;
                if is_read {
                    // Once: the pages are there.
                    faults.bad_reads.insert(sector, 1);
                } else {
                    faults.bad_writes.insert(sector, (times, DiskError::Io));
                }
            }
            for (at, (pages, freed, seed)) in steps.into_iter().enumerate() {
                state ^= seed;
                let first = 1_000_000 + at as u64 * 1000;
                let room = store.space().free;
                let written = write(&store, first..first + pages, &mut held);
                prop_assert!(written as u64 >= pages.min(room.saturating_sub(16)), "{written} of {pages}, {room} free");
                for _ in 0..freed.min(held.len()) {
                    store.free(held.swap_remove(random(&mut state) % held.len()).0);
                }
                let space = store.space();
                prop_assert_eq!(space.used(), held.len() as u64);
            }
            check(&store, &held);
        }
    }
}
