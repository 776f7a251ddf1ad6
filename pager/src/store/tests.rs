//! The swap store on a disk in memory, good and bad.

use std::boxed::Box;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use mig_runtime::platform::{Condvar, MutexGuard, Panicked, Platform, SpawnError, Std};
use proptest::prelude::*;

use super::disk::RUN;
use super::faulty::{Fate, FaultyDisk, SECTOR, STICKY};
use super::superblock::{self, Format, Header, HeaderError};
use super::*;

/// [`Std`] with a clock that stands still, unless somebody waits or sets it, in each thread.
struct Clocked;

std::thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Lets time go by.
fn pass(time: Duration) {
    NOW.set(NOW.get() + time);
}

/// Does not wait: the time goes by at once.
#[derive(Default)]
struct NoTime;

impl Condvar<<Std as Platform>::RawMutex> for NoTime {
    fn wait<T: ?Sized>(&self, _: &mut MutexGuard<'_, Std, T>) {
        panic!("nobody would end this");
    }
    fn wait_for<T: ?Sized>(&self, _: &mut MutexGuard<'_, Std, T>, limit: Duration) -> bool {
        pass(limit);
        false
    }
    fn notify_one(&self) {}
    fn notify_all(&self) {}
}

impl Platform for Clocked {
    type RawMutex = <Std as Platform>::RawMutex;
    type Condvar = NoTime;
    type Thread = <Std as Platform>::Thread;
    fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> Result<Self::Thread, SpawnError> {
        Std::spawn(name, body)
    }
    fn on_threads(name: &str, threads: NonZeroUsize, body: &(dyn Fn() + Sync)) {
        Std::on_threads(name, threads, body);
    }
    fn now() -> u64 {
        NOW.get().as_nanos() as u64
    }
    fn catch_unwind<R>(body: impl FnOnce() -> R) -> Result<R, Panicked> {
        Std::catch_unwind(body)
    }
}

const PAGE: usize = 1024;
const PAGE_SECTORS: u64 = (PAGE / SECTOR) as u64;
const UUID: [u8; 16] = *b"a uuid for tests";

type Swap = SwapStore<FaultyDisk, Clocked>;
type Both = SameFilled<Swap>;

fn formatted(pages: usize) -> FaultyDisk {
    let disk = FaultyDisk::new((pages + 2) * PAGE);
    superblock::format(&disk, PAGE, UUID).unwrap();
    disk
}

/// A store with room for this many pages. The first page is stored in slot 1.
fn store(pages: usize) -> Swap {
    Swap::open(formatted(pages)).unwrap()
}

/// A page that is like no other.
fn page(seed: u64) -> Vec<u8> {
    (0..PAGE as u64 / 8).flat_map(|word| (seed << 32 | word).to_le_bytes()).collect()
}

fn write<S: Store>(store: &S, pages: &[Vec<u8>]) -> Vec<Result<S::Place, StoreError>> {
    let slices: Vec<&[u8]> = pages.iter().map(|page| &page[..]).collect();
    let mut results: Vec<_> = pages.iter().map(|_| None).collect();
    store
        .write(&slices, &mut |index, result| assert!(results[index].replace(result).is_none(), "told twice"));
    results.into_iter().map(|result| result.expect("told once")).collect()
}

fn write_one<S: Store>(store: &S, page: &[u8]) -> Result<S::Place, StoreError> {
    write(store, &[page.to_vec()]).remove(0)
}

fn read<S: Store>(store: &S, stored: &S::Place) -> Result<Vec<u8>, StoreError> {
    let mut page = vec![0xee; store.page_size()];
    let result = store.read(stored, &mut page);
    assert!(
        result.is_ok() || page.iter().all(|&byte| byte == 0),
        "content is shown although it is not the page's"
    );
    result.map(|()| page)
}

/// Reads pages together, which have the content of these numbers.
fn read_each<S: Store>(store: &S, wanted: &[(&S::Place, u64)]) -> Vec<Result<(), StoreError>> {
    let mut pages = vec![0xee; wanted.len() * PAGE];
    let places: Vec<_> = wanted.iter().map(|(place, _)| *place).collect();
    let mut results = vec![None; wanted.len()];
    store.read_each(&places, &mut pages, &mut |index, result| {
        assert!(results[index].replace(result).is_none(), "told twice");
    });
    let results: Vec<_> = results.into_iter().map(|result| result.expect("told once")).collect();
    for ((result, (_, seed)), page) in results.iter().zip(wanted).zip(pages.chunks_exact(PAGE)) {
        let expected = if result.is_ok() { content(*seed) } else { vec![0; PAGE] };
        assert!(page == expected, "{seed}: {result:?}");
    }
    results
}

impl Swap {
    fn fail_writes(&self, slot: u64, times: u32, error: DiskError) {
        self.disk().state().faults.bad_writes.insert(slot * PAGE_SECTORS + 1, (times, error));
    }

    fn fail_reads(&self, slot: u64, times: u32) {
        self.disk().state().faults.bad_reads.insert(slot * PAGE_SECTORS + 1, times);
    }

    fn next_write(&self, fate: Fate) {
        self.disk().state().faults.next_writes.push_back(fate);
    }
}

#[test]
fn handles_are_small() {
    assert_eq!(size_of::<Slot>(), 9);
    assert_eq!(size_of::<Option<Stored<Slot>>>(), 10);
}

#[test]
fn pages_of_one_call_lie_side_by_side() {
    let store = store(200);
    let pages: Vec<_> = (0..192).map(page).collect();
    let stored = write(&store, &pages);
    for (page, stored) in pages.iter().zip(&stored) {
        assert_eq!(read(&store, stored.as_ref().unwrap()), Ok(page.clone()));
    }
    assert_eq!(
        store.counters(),
        Counters {
            pages_written: 192,
            runs_written: 192 / RUN as u64,
            pages_read: 192,
            ..Counters::default()
        }
    );
    assert_eq!(store.disk().state().bytes[PAGE..193 * PAGE], pages.concat());
}

#[test]
fn same_filled_pages_take_no_room_and_no_transfer() {
    let store = Both::new(store(1));
    let before = store.store().disk().state().writes;
    let (zero, word) = (vec![0; PAGE], b"\0\0\x01\0\0\0\0\x80".repeat(PAGE / 8));
    let mut stored = write(&store, &[zero.clone(), word.clone()]);
    stored.push(Ok(store.same_filled(&word).unwrap()));
    for (stored, page) in stored.iter().zip([&zero, &word, &word]) {
        let stored = stored.as_ref().unwrap();
        assert_eq!(*stored, Stored::Same(*page.first_chunk().unwrap()));
        assert_eq!(read(&store, stored).as_ref(), Ok(page));
        assert_eq!(store.read(stored, &mut [0; PAGE + 8]), Err(StoreError::NotAPage));
    }
    let state = store.store().disk().state();
    assert_eq!((state.writes, state.reads), (before, 2), "the superblocks were read");
    drop(state);
    assert_eq!(store.space(), Space { total: 1, free: 1, bad: 0, same_filled: 3 });
    stored.into_iter().for_each(|stored| store.free(stored.unwrap()));
    assert_eq!(store.space(), Space { total: 1, free: 1, bad: 0, same_filled: 0 });
    assert_eq!(store.same_filled(&page(1)), None);
    assert_eq!(store.store().counters(), Counters::default());
    // What is no page is not one for being the same all over.
    assert_eq!(write(&store, &[vec![0; PAGE - 8]]), [Err(StoreError::NotAPage)]);
}

#[test]
fn pages_that_take_room_are_told_under_their_own_index() {
    let store = Both::new(store(200));
    let pages: Vec<_> =
        (0..200).map(|seed| if seed % 3 == 0 { vec![seed as u8; PAGE] } else { page(seed) }).collect();
    let stored = write(&store, &pages);
    for (stored, page) in stored.iter().zip(&pages) {
        assert_eq!(read(&store, stored.as_ref().unwrap()).as_ref(), Ok(page));
    }
    assert_eq!(store.space(), Space { total: 200, free: 67, bad: 0, same_filled: 67 });
}

#[test]
fn a_full_store_refuses_only_what_does_not_fit() {
    let store = store(3);
    let pages: Vec<_> = (0..5).map(page).collect();
    let mut stored = write(&store, &pages);
    assert_eq!(stored.split_off(3), [Err(StoreError::Full), Err(StoreError::Full)]);
    assert_eq!(store.space(), Space { total: 3, ..Space::default() });
    store.free(stored.remove(1).unwrap());
    stored.push(write_one(&store, &pages[4]));
    for (stored, page) in stored.iter().zip([0, 2, 4]) {
        assert_eq!(read(&store, stored.as_ref().unwrap()), Ok(pages[page].clone()));
    }
    assert_eq!(store.counters().failed_slots, 0);
}

#[test]
fn buffers_of_another_length_are_refused() {
    let store = store(3);
    assert_eq!(
        write(&store, &[vec![1; PAGE - 1], vec![1; PAGE + 8], vec![]]),
        [const { Err(StoreError::NotAPage) }; 3]
    );
    let stored = write_one(&store, &page(1)).unwrap();
    assert_eq!(store.read(&stored, &mut [0; PAGE - 1]), Err(StoreError::NotAPage));
    assert_eq!(store.read(&stored, &mut [0; PAGE + 8]), Err(StoreError::NotAPage));
    assert_eq!(store.space().used(), 1);
}

#[test]
fn a_handle_of_a_larger_store_frees_nothing() {
    let (store, larger) = (store(3), store(40));
    let stored = write(&larger, &(0..40).map(page).collect::<Vec<_>>());
    stored.into_iter().skip(3).for_each(|stored| store.free(stored.unwrap()));
    assert_eq!(store.space(), Space { total: 3, free: 3, bad: 0, same_filled: 0 });
    store.slots().check();
}

#[test]
fn threads_share_a_store() {
    let store = store(100);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..50 {
                    let pages: Vec<_> = (0..25).map(|at| page(thread << 16 | round << 8 | at)).collect();
                    for (stored, page) in write(store, &pages).into_iter().zip(pages) {
                        let stored = stored.expect("there is room for the pages of all");
                        assert_eq!(read(store, &stored), Ok(page));
                        store.free(stored);
                    }
                }
            });
        }
    });
    assert_eq!(store.space(), Space { total: 100, free: 100, bad: 0, same_filled: 0 });
    assert_eq!((store.counters().pages_written, store.counters().pages_read), (5000, 5000));
    store.slots().check();
}

/// Both kinds of disks: those that end a transfer before a bad sector, and those that fail all of it.
fn with_one_bad_slot(slot: u64, times: u32, error: DiskError, all_or_nothing: bool) -> (Swap, Vec<Slot>) {
    let store = store(40);
    store.disk().state().faults.all_or_nothing = all_or_nothing;
    store.fail_writes(slot, times, error);
    let pages: Vec<_> = (0..20).map(page).collect();
    let stored: Vec<_> = write(&store, &pages).into_iter().map(Result::unwrap).collect();
    for (stored, page) in stored.iter().zip(pages) {
        assert_eq!(read(&store, stored), Ok(page));
    }
    assert_eq!(store.counters().pages_written, 20);
    (store, stored)
}

#[test]
fn a_page_whose_slot_is_bad_goes_elsewhere_and_the_slot_is_retired() {
    for all_or_nothing in [false, true] {
        for slot in [1, 7, 20] {
            let (store, stored) = with_one_bad_slot(slot, STICKY, DiskError::Io, all_or_nothing);
            assert_eq!(store.counters().failed_slots, 1);
            assert_eq!(store.space(), Space { total: 40, free: 19, bad: 1, same_filled: 0 });
            stored.into_iter().for_each(|stored| store.free(stored));
            assert_eq!(store.space().free, 39);
            // All others are in use now, so nothing may be written to the bad one.
            let again = write(&store, &(100..139).map(page).collect::<Vec<_>>());
            assert!(again.iter().all(Result::is_ok));
            assert_eq!(write_one(&store, &page(99)), Err(StoreError::Full));
            assert_eq!(store.counters().failed_slots, 1);
            // It is tried again later, in vain at first.
            pass(Duration::from_secs(2));
            assert_eq!(write_one(&store, &page(99)), Err(StoreError::Io));
            assert_eq!(store.space().bad, 1);
            store.disk().state().faults.bad_writes.clear();
            assert_eq!(write_one(&store, &page(99)), Err(StoreError::Full));
            pass(Duration::from_secs(2));
            let back = write_one(&store, &page(99)).unwrap();
            assert_eq!(read(&store, &back), Ok(page(99)));
            assert_eq!((store.space().bad, store.counters().outages), (0, 0));
        }
    }
}

#[test]
fn a_slot_that_fails_once_is_tried_again_alone() {
    let (store, _) = with_one_bad_slot(7, 1, DiskError::Io, true);
    assert_eq!(store.counters().failed_slots, 0);
    assert_eq!(store.space().bad, 0);
}

#[test]
fn a_slot_without_room_is_used_again_later() {
    let (store, stored) = with_one_bad_slot(7, STICKY, DiskError::Full, false);
    assert_eq!(store.counters().failed_slots, 1);
    assert_eq!(store.space(), Space { total: 40, free: 20, bad: 0, same_filled: 0 });
    stored.into_iter().for_each(|stored| store.free(stored));
    store.disk().state().faults.bad_writes.clear();
    assert!(write(&store, &(0..40).map(page).collect::<Vec<_>>()).iter().all(Result::is_ok));
}

#[test]
fn a_disk_that_fails_everywhere_costs_no_slot() {
    for (error, expected) in [(DiskError::Io, StoreError::Io), (DiskError::Full, StoreError::Full)] {
        let store = store(40);
        let kept: Vec<_> = write(&store, &(0..10).map(page).collect::<Vec<_>>());
        (11..42).for_each(|slot| store.fail_writes(slot, STICKY, error));
        let results = write(&store, &(10..20).map(page).collect::<Vec<_>>());
        assert!(results.iter().all(|result| *result == Err(expected)));
        assert_eq!(store.space(), Space { total: 40, free: 30, bad: 0, same_filled: 0 });
        assert_eq!(store.is_at_work(), error == DiskError::Full);
        for (kept, seed) in kept.iter().zip(0..) {
            assert_eq!(read(&store, kept.as_ref().unwrap()), Ok(page(seed)));
        }
    }
}

#[test]
fn an_outage_ends_and_everything_is_as_before() {
    let store = store(1000);
    let before: Vec<_> = write(&store, &(0..64).map(page).collect::<Vec<_>>());
    let all_fail = |fail: bool| {
        let mut state = store.disk().state();
        state.faults.bad_writes.clear();
        if fail {
            state.faults.bad_writes.extend((0..3000).map(|sector| (sector, (STICKY, DiskError::Io))));
        }
    };
    all_fail(true);
    let pages: Vec<_> = (100..164).map(page).collect();
    let mut attempts = 0;
    for _ in 0..79 {
        let writes = store.disk().state().writes;
        assert!(write(&store, &pages).iter().all(|result| *result == Err(StoreError::Io)));
        attempts += store.disk().state().writes - writes;
        assert_eq!(store.space(), Space { total: 1000, free: 936, bad: 0, same_filled: 0 });
        pass(Duration::from_millis(20));
    }
    // 1.6 s, in which pauses of 100, 200, 400 and 800 ms end: five times, each with the run, its first page
    // alone, and three other places.
    assert_eq!((attempts, store.counters().outages), (5 * 5, 1));
    all_fail(false);
    assert_eq!(write_one(&store, &page(1)), Err(StoreError::Io), "the pause is not over");
    pass(Duration::from_secs(10));
    let after = write(&store, &pages);
    assert!(store.is_at_work());
    for (stored, page) in
        after.iter().zip(&pages).chain(before.iter().zip(&(0..64).map(page).collect::<Vec<_>>()))
    {
        assert_eq!(read(&store, stored.as_ref().unwrap()).as_ref(), Ok(page));
    }
    assert_eq!(store.space(), Space { total: 1000, free: 936 - 64, bad: 0, same_filled: 0 });
}

#[test]
fn a_read_waits_for_the_end_of_an_outage_but_not_for_ever() {
    let store = store(10);
    let stored = write_one(&store, &page(1)).unwrap();
    let out = |times: u32| {
        let mut state = store.disk().state();
        state.faults.bad_reads.clear();
        state.faults.bad_reads.extend([0, PAGE_SECTORS].map(|sector| (sector, times)));
    };
    out(20);
    assert_eq!(read(&store, &stored), Ok(page(1)));
    assert_eq!((store.counters().outages, store.is_at_work()), (1, false), "a read tells nothing of writes");
    out(STICKY);
    assert_eq!(read(&store, &stored), Err(StoreError::Io));
    let waited = NOW.get();
    assert!(waited > Duration::from_secs(5) && waited < Duration::from_secs(7), "{waited:?}");
    assert_eq!(read(&store, &stored), Err(StoreError::Io));
    assert!(NOW.get() < waited + Duration::from_millis(100), "the next ones do not wait");
    out(0);
    assert_eq!(read(&store, &stored), Ok(page(1)));
}

#[test]
fn a_region_that_is_bad_is_left_alone() {
    let store = store(4000);
    // Half a megabyte in the middle of the device.
    (500..1000).for_each(|slot| store.fail_writes(slot, STICKY, DiskError::Io));
    for round in 0..40 {
        let results = write(&store, &(0..64).map(|seed| page(round * 64 + seed)).collect::<Vec<_>>());
        assert!(results.iter().all(Result::is_ok), "round {round}");
    }
    assert_eq!((store.counters().outages, store.space().bad), (0, 500));
}

#[test]
fn a_failed_write_with_no_slot_left_says_why_it_failed() {
    let store = store(1);
    store.fail_writes(1, STICKY, DiskError::Io);
    assert_eq!(write_one(&store, &page(1)), Err(StoreError::Io));
    assert_eq!(store.space(), Space { total: 1, free: 0, bad: 1, same_filled: 0 });
    assert_eq!(write_one(&store, &page(1)), Err(StoreError::Full));
}

#[test]
fn pages_that_are_written_together_lie_together_however_full_the_store_is() {
    let store = store(20_000);
    let mut held: Vec<_> = (0..312)
        .flat_map(|at| write(&store, &(at * 64..at * 64 + 64).map(page).collect::<Vec<_>>()))
        .collect();
    // A quarter goes, in pieces of 100 and one by one between them.
    for (at, slot) in core::mem::take(&mut held).into_iter().enumerate() {
        if at % 400 < 100 || at % 400 % 7 == 0 {
            store.free(slot.unwrap());
        } else {
            held.push(slot);
        }
    }
    let before = store.counters();
    for round in 0..50 {
        assert!(
            write(&store, &(0..64).map(|seed| page(round << 20 | seed)).collect::<Vec<_>>())
                .iter()
                .all(Result::is_ok)
        );
    }
    let runs = store.counters().runs_written - before.runs_written;
    assert!(runs <= 53, "{runs} runs: the holes are passed by");
}

#[test]
fn a_device_that_takes_many_writes_at_once_gets_all_of_a_batch() {
    for more_at_once in [0, RUN - 1] {
        let store = store(200);
        let mut stored: Vec<_> = write(&store, &(0..200).map(page).collect::<Vec<_>>());
        stored.drain(..).enumerate().for_each(|(at, slot)| {
            if at % 3 == 0 {
                store.free(slot.unwrap())
            }
        });
        // Every third slot is free. One of them fails, and another one fails once.
        store.disk().state().faults.more_at_once = more_at_once;
        store.fail_writes(31, STICKY, DiskError::Io);
        store.fail_writes(61, 1, DiskError::Io);
        let before = store.counters();
        let pages: Vec<_> = (300..360).map(page).collect();
        for (slot, page) in write(&store, &pages).iter().zip(&pages) {
            assert_eq!(read(&store, slot.as_ref().unwrap()).as_ref(), Ok(page));
        }
        let after = store.counters();
        assert_eq!(after.pages_written - before.pages_written, 60);
        assert_eq!((store.space().bad, store.space().free), (1, 67 - 60 - 1));
        store.slots().check();
    }
}

#[test]
fn a_device_is_told_of_the_room_that_is_empty() {
    let store = store(1200);
    assert!(!store.tidy());
    let stored = write(&store, &(0..1100).map(page).collect::<Vec<_>>());
    assert!(!store.tidy());
    stored.into_iter().for_each(|stored| store.free(stored.unwrap()));
    assert!(store.tidy() && !store.tidy());
    // One zone: the superblock is in the first one, and the last one is not a whole one.
    let page = PAGE as u64;
    assert_eq!(store.disk().state().discarded, [(512 * page, 512 * page)]);
    assert_eq!(store.space().free, 1200);
}

#[test]
fn a_page_that_cannot_be_read_leaves_the_others_readable() {
    let store = store(10);
    let stored: Vec<_> = write(&store, &(0..10).map(page).collect::<Vec<_>>());
    store.fail_reads(4, STICKY);
    for (seed, stored) in stored.iter().enumerate() {
        let expected = if seed == 3 { Err(StoreError::Io) } else { Ok(page(seed as u64)) };
        assert_eq!(read(&store, stored.as_ref().unwrap()), expected);
    }
    assert_eq!((store.counters().pages_read, store.counters().failed_reads), (9, 1));
    // Once is not enough to give up.
    store.fail_reads(4, 1);
    assert_eq!(read(&store, stored[3].as_ref().unwrap()), Ok(page(3)));
    assert_eq!((store.counters().pages_read, store.counters().failed_reads), (10, 1));
}

#[test]
fn pages_that_are_read_together_are_read_by_runs() {
    let store = store(10);
    let stored: Vec<_> = write(&store, &(0..10).map(content).collect::<Vec<_>>());
    store.fail_reads(4, STICKY);
    for more_at_once in [0, 1, 3] {
        store.disk().state().faults.more_at_once = more_at_once;
        let order = [7, 8, 9, 5, 0, 1];
        let places: Vec<_> = order.iter().map(|at| (stored[*at].as_ref().unwrap(), *at as u64)).collect();
        let before = store.disk().state().reads;
        assert_eq!(read_each(&store, &places), [const { Ok(()) }; 6]);
        assert_eq!(store.disk().state().reads - before, 3);
        let order = [1, 2, 3, 4, 6];
        let places: Vec<_> = order.iter().map(|at| (stored[*at].as_ref().unwrap(), *at as u64)).collect();
        assert_eq!(read_each(&store, &places), [Ok(()), Ok(()), Err(StoreError::Io), Ok(()), Ok(())]);
    }
}

#[test]
fn every_short_transfer_is_continued_from_the_last_whole_record() {
    for most in (1..PAGE * 5).step_by(101).chain([SECTOR - 1, SECTOR, SECTOR + 1, PAGE, 3 * PAGE]) {
        let store = store(4);
        store.disk().state().faults.most = Some(most);
        let stored = write(&store, &(0..4).map(page).collect::<Vec<_>>());
        if most < SECTOR {
            // Less than a record is nothing.
            assert!(stored.iter().all(|stored| *stored == Err(StoreError::Io)), "{most} bytes a call");
            continue;
        }
        for (stored, seed) in stored.iter().zip(0..) {
            assert_eq!(read(&store, stored.as_ref().unwrap()), Ok(page(seed)), "{most} bytes a call");
        }
        assert_eq!(store.space().used(), 4);
    }
}

#[test]
fn a_transfer_may_stall_once_and_not_twice() {
    let store = store(10);
    store.disk().state().faults.stalls = 1;
    let stored = write_one(&store, &page(1)).unwrap();
    store.disk().state().faults.stalls = 1;
    assert_eq!(read(&store, &stored), Ok(page(1)));
    assert_eq!(store.counters().failed_slots, 0);

    // Two for the slot, two for the other one.
    store.disk().state().faults.stalls = 4;
    assert!(write_one(&store, &page(2)).is_ok());
    assert_eq!(store.space().bad, 2);
    store.disk().state().faults.stalls = 4;
    assert_eq!(read(&store, &stored), Err(StoreError::Io));
    assert_eq!(read(&store, &stored), Ok(page(1)));
}

#[test]
fn a_device_that_reports_more_than_was_asked_is_not_believed() {
    struct Boastful;
    impl Disk for Boastful {
        fn size(&self) -> u64 {
            u64::MAX
        }
        fn record_size(&self) -> usize {
            SECTOR
        }
        fn read_at(&self, _: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
            Ok(buffer.len() + SECTOR)
        }
        fn write_at(&self, _: u64, _: &[&[u8]]) -> Result<usize, DiskError> {
            Ok(usize::MAX)
        }
        fn flush(&self) -> Result<(), DiskError> {
            Ok(())
        }
    }
    assert_eq!(disk::read(&Boastful, 0, &mut [0; SECTOR]), Err(DiskError::Io));
    assert_eq!(disk::write(&Boastful, 0, &[&[0; SECTOR]]), Err((0, DiskError::Io)));
    assert_eq!(superblock::read(&Boastful), Err(HeaderError::Disk(DiskError::Io)));
    assert_eq!(superblock::format(&Boastful, PAGE, UUID), Err(HeaderError::Disk(DiskError::Io)));
}

#[test]
fn a_lost_write_is_told_and_does_not_show_what_was_there() {
    let store = store(1);
    let secret = write_one(&store, &page(1)).unwrap();
    store.free(secret);
    store.next_write(Fate::Lost);
    let stored = write_one(&store, &page(2)).unwrap();
    assert_eq!(read(&store, &stored), Err(StoreError::Corrupt));
    assert_eq!(store.counters().failed_reads, 1);
}

#[test]
fn a_misdirected_write_is_told_for_both_pages() {
    let store = store(10);
    let first = write_one(&store, &page(1)).unwrap();
    let second = write_one(&store, &page(2)).unwrap();
    store.next_write(Fate::Misdirected(PAGE as u64));
    let third = write_one(&store, &page(3)).unwrap();
    assert_eq!(read(&store, &first), Err(StoreError::Corrupt));
    assert_eq!(read(&store, &second), Ok(page(2)));
    assert_eq!(read(&store, &third), Err(StoreError::Corrupt));
}

#[test]
fn a_torn_page_is_told() {
    let store = store(10);
    let old = write_one(&store, &page(1)).unwrap();
    store.free(old);
    for sectors in 0..PAGE / SECTOR {
        store.next_write(Fate::Torn(sectors * SECTOR));
        let stored = write_one(&store, &page(2)).unwrap();
        assert_eq!(read(&store, &stored), Err(StoreError::Corrupt));
    }
}

#[test]
fn every_bit_of_a_page_is_checked() {
    let store = store(1);
    let stored = write_one(&store, &page(1)).unwrap();
    for bit in PAGE * 8..2 * PAGE * 8 {
        store.disk().state().flip(bit);
        assert_eq!(read(&store, &stored), Err(StoreError::Corrupt), "bit {bit}");
        store.disk().state().flip(bit);
    }
    assert_eq!(read(&store, &stored), Ok(page(1)));
}

#[test]
fn a_device_that_ends_early_fails_for_the_slots_that_it_lacks() {
    let disk = FaultyDisk::claiming(6 * PAGE, 12 * PAGE as u64);
    // The backup has no place either.
    assert_eq!(superblock::format(&disk, PAGE, UUID), Err(HeaderError::Disk(DiskError::Io)));

    let whole = formatted(10);
    let store = Swap::open(whole).unwrap();
    store.disk().state().bytes.truncate(6 * PAGE);
    let results = write(&store, &(0..10).map(page).collect::<Vec<_>>());
    for (seed, result) in results.iter().enumerate() {
        match result {
            Ok(stored) => assert_eq!(read(&store, stored), Ok(page(seed as u64))),
            Err(error) => assert!(matches!(error, StoreError::Io | StoreError::Full)),
        }
    }
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
    assert_eq!(store.space().free + store.space().bad, 5);
}

#[test]
fn the_superblock_is_as_documented_and_in_both_places() {
    let disk = formatted(10);
    let bytes = &disk.state().bytes;
    let mut expected = Vec::from(b"MACHSWAP");
    for number in [1_u32, PAGE as u32, 12] {
        expected.extend(number.to_le_bytes());
    }
    expected.extend(UUID);
    expected.resize(508, 0);
    expected.extend(crc32fast::hash(&expected).to_le_bytes());
    expected.resize(PAGE, 0);
    assert_eq!(bytes[..PAGE], expected);
    assert_eq!(bytes[11 * PAGE..], expected);
    assert!(bytes[PAGE..11 * PAGE].iter().all(|byte| *byte == 0));
}

#[test]
fn a_device_of_many_tebibytes_is_used_to_its_end() {
    /// What was written, by offset.
    struct Sparse(std::sync::Mutex<std::collections::BTreeMap<u64, Vec<u8>>>, u64);
    impl Disk for Sparse {
        fn size(&self) -> u64 {
            self.1
        }
        fn record_size(&self) -> usize {
            SECTOR
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
            let all = self.0.lock().unwrap();
            let (start, bytes) = all.range(..=offset).next_back().ok_or(DiskError::Io)?;
            let from = bytes.get((offset - start) as usize..).ok_or(DiskError::Io)?;
            let len = buffer.len().min(from.len());
            buffer[..len].copy_from_slice(&from[..len]);
            Ok(len)
        }
        fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
            self.0.lock().unwrap().insert(offset, pieces.concat());
            Ok(pieces.iter().map(|piece| piece.len()).sum())
        }
        fn flush(&self) -> Result<(), DiskError> {
            Ok(())
        }
    }
    let tebi = 1 << 40;
    for (size, slots) in [(20 * tebi, 20 << 28), (300 * tebi, 1 << 36)] {
        let disk = Sparse(Default::default(), size);
        let header = superblock::format(&disk, 4096, UUID).unwrap();
        assert_eq!((header.slots, superblock::read(&disk)), (slots, Ok(header)));
    }
    let disk = Sparse(Default::default(), 20 * tebi);
    superblock::format(&disk, 4096, UUID).unwrap();
    // The test itself takes no more memory than it touches.
    let store = SwapStore::<_, Clocked>::open(disk).unwrap();
    let pages = [page(1).repeat(4), page(2).repeat(4)];
    let last = store.header().usable().end - 2;
    store.slots().start_at(last);
    let stored: Vec<_> = write(&store, &pages).into_iter().map(Result::unwrap).collect();
    assert_eq!(stored[1].number(), last + 1);
    for (stored, page) in stored.into_iter().zip(pages) {
        assert_eq!(read(&store, &stored), Ok(page));
        store.free(stored);
    }
    assert_eq!(store.space().free, (20 << 28) - 2);
}

#[test]
fn a_damaged_superblock_is_replaced_by_its_backup() {
    let whole = Header { format: Format::Ours, uuid: UUID, page_size: PAGE, slots: 12, bad: Vec::new() };
    let disk = formatted(10);
    assert_eq!(superblock::read(&disk).as_ref(), Ok(&whole));
    for bit in (0..SECTOR * 8).step_by(5) {
        disk.state().flip(bit);
        let expected = Header { format: Format::OursFromBackup, ..whole.clone() };
        assert_eq!(superblock::read(&disk), Ok(expected), "bit {bit} of the first one");
        disk.state().flip(11 * PAGE * 8 + bit);
        let error = if bit < 64 { HeaderError::NotSwap } else { HeaderError::Damaged };
        assert_eq!(superblock::read(&disk), Err(error), "bit {bit} of both");
        disk.state().flip(bit);
        let expected = Header { format: Format::OursWithoutBackup, ..whole.clone() };
        assert_eq!(superblock::read(&disk), Ok(expected), "bit {bit} of the backup");
        disk.state().flip(11 * PAGE * 8 + bit);
    }
    disk.state().faults.bad_reads.insert(0, STICKY);
    assert_eq!(superblock::read(&disk).unwrap().format, Format::OursFromBackup);
    disk.state().faults.bad_reads.insert(11 * PAGE_SECTORS, STICKY);
    assert_eq!(superblock::read(&disk), Err(HeaderError::Disk(DiskError::Io)));
    disk.state().faults.bad_reads.remove(&0);
    assert_eq!(superblock::read(&disk).unwrap().format, Format::OursWithoutBackup);
}

#[test]
fn the_backup_of_a_device_that_is_now_somebody_elses_is_not_used() {
    let disk = formatted(10);
    disk.state().bytes[..PAGE].fill(0);
    assert_eq!(superblock::read(&disk), Err(HeaderError::NotSwap));
    disk.state().bytes[..PAGE].fill(0x55);
    assert_eq!(superblock::read(&disk), Err(HeaderError::NotSwap));
}

#[test]
fn a_backup_is_known_by_its_place() {
    let disk = formatted(10);
    let mut state = disk.state();
    // Where the backup of a device with pages of four times the size would be.
    state.bytes.copy_within(..PAGE, 8 * PAGE);
    state.flip(100);
    state.flip(11 * PAGE * 8 + 100);
    drop(state);
    assert_eq!(superblock::read(&disk), Err(HeaderError::Damaged));
}

#[test]
fn a_format_that_fails_leaves_the_superblock_that_was_there() {
    let disk = formatted(10);
    let before = superblock::read(&disk).unwrap();
    for (slot, format) in [(0, Format::OursWithoutBackup), (11, Format::Ours)] {
        let disk = formatted(10);
        disk.state().faults.bad_writes.insert(slot * PAGE_SECTORS, (STICKY, DiskError::Io));
        assert_eq!(
            superblock::format(&disk, PAGE, *b"a uuid of others"),
            Err(HeaderError::Disk(DiskError::Io))
        );
        assert_eq!(superblock::read(&disk), Ok(Header { format, ..before.clone() }), "slot {slot} failed");
    }
}

#[test]
fn what_is_no_swap_space_is_refused() {
    for size in [0, 1, SECTOR, 8 * PAGE] {
        assert_eq!(superblock::read(&FaultyDisk::new(size)), Err(HeaderError::NotSwap));
    }

    let disk = formatted(10);
    disk.state().bytes.truncate(8 * PAGE);
    let cut = FaultyDisk::new(8 * PAGE);
    cut.state().bytes.copy_from_slice(&disk.state().bytes);
    assert_eq!(
        superblock::read(&cut),
        Err(HeaderError::CutShort { said: 12 * PAGE as u64, found: 8 * PAGE as u64 })
    );

    let disk = formatted(10);
    let mut state = disk.state();
    state.bytes[8] = 2;
    let checksum = crc32fast::hash(&state.bytes[..508]);
    state.bytes[508..512].copy_from_slice(&checksum.to_le_bytes());
    drop(state);
    assert_eq!(superblock::read(&disk), Err(HeaderError::Version(2)));
}

#[test]
fn pages_have_a_size_that_the_device_can_take() {
    for size in [0, 1, 256, 513, 1000, 131072, usize::MAX] {
        assert_eq!(
            superblock::format(&FaultyDisk::new(1 << 20), size, UUID),
            Err(HeaderError::PageSize(size))
        );
    }
    for size in [512, 4096, 65536] {
        let disk = FaultyDisk::new(1 << 20);
        let header = superblock::format(&disk, size, UUID).unwrap();
        assert_eq!(superblock::read(&disk), Ok(header));
        // Found without the first one to say the page size.
        disk.state().flip(100);
        assert_eq!(superblock::read(&disk).unwrap().page_size, size);
    }
    let small = FaultyDisk::new(3 * PAGE - SECTOR);
    assert_eq!(superblock::format(&small, PAGE, UUID), Err(HeaderError::TooSmall(3 * PAGE as u64 - 512)));
}

/// A swap device as `mkswap` makes it, with pages of 4096 bytes.
fn linux_swap(pages: usize, last_page: u32, bad: &[u32]) -> FaultyDisk {
    let disk = FaultyDisk::new(pages * 4096);
    let mut header = Vec::new();
    for number in [1, last_page, bad.len() as u32] {
        header.extend(number.to_le_bytes());
    }
    header.extend(UUID);
    header.resize(512, 0);
    header.extend(bad.iter().flat_map(|slot| slot.to_le_bytes()));
    let mut state = disk.state();
    state.bytes[1024..1024 + header.len()].copy_from_slice(&header);
    state.bytes[4086..4096].copy_from_slice(b"SWAPSPACE2");
    drop(state);
    disk
}

#[test]
fn a_swap_device_of_linux_is_used_up_to_its_last_page_and_around_its_bad_ones() {
    let store = Swap::open(linux_swap(12, 8, &[3, 4])).unwrap();
    assert_eq!((store.header().format, store.header().uuid), (Format::Linux, UUID));
    assert_eq!(store.space(), Space { total: 6, free: 6, bad: 0, same_filled: 0 });
    let pages: Vec<Vec<u8>> = (0..7).map(|seed| page(seed).repeat(4)).collect();
    let results = write(&store, &pages);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 6);
    let bytes = &store.disk().state().bytes;
    for (slot, page) in [1, 2, 5, 6, 7, 8].into_iter().zip(&pages) {
        assert_eq!(bytes[slot * 4096..][..4096], page[..], "slot {slot}");
    }
    assert!([3, 4, 9, 10, 11].iter().all(|slot| bytes[slot * 4096..][..4096].iter().all(|byte| *byte == 0)));
}

#[test]
fn a_swap_device_of_linux_that_makes_no_sense_is_refused() {
    let too_long = Swap::open(linux_swap(12, 12, &[]));
    assert_eq!(too_long.err(), Some(HeaderError::CutShort { said: 13 * 4096, found: 12 * 4096 }));
    assert_eq!(Swap::open(linux_swap(12, 0, &[])).err(), Some(HeaderError::TooSmall(12 * 4096)));
    let too_long = Swap::open(linux_swap(12, u32::MAX, &[]));
    assert_eq!(too_long.err(), Some(HeaderError::CutShort { said: 4096 << 32, found: 12 * 4096 }));
    let of_tomorrow = linux_swap(12, 11, &[]);
    of_tomorrow.state().bytes[1024] = 2;
    assert_eq!(Swap::open(of_tomorrow).err(), Some(HeaderError::NotSwap));
    let many_bad = linux_swap(12, 11, &[1]);
    many_bad.state().bytes[1024 + 8..][..4].copy_from_slice(&638_u32.to_le_bytes());
    assert_eq!(Swap::open(many_bad).err(), Some(HeaderError::NotSwap));
    // Bad slots that the device does not have.
    assert_eq!(Swap::open(linux_swap(12, 11, &[0, 12, u32::MAX, 5, 5])).unwrap().space().total, 10);
}

#[derive(Clone, Debug)]
enum Step {
    /// Pages by what they hold: a word over and over if it is small, else unlike any other.
    Write(Vec<u64>),
    Read(usize),
    Free(usize),
    Break {
        slot: u64,
        times: u32,
        write: bool,
        full: bool,
    },
    Mend,
}

fn step() -> impl Strategy<Value = Step> {
    let seed = prop_oneof![1 => 0..3_u64, 5 => 3..u64::from(u32::MAX)];
    prop_oneof![
        4 => prop::collection::vec(seed, 1..12).prop_map(Step::Write),
        3 => any::<usize>().prop_map(Step::Read),
        4 => any::<usize>().prop_map(Step::Free),
    ]
}

fn step_with_faults() -> impl Strategy<Value = Step> {
    let fault = (0..32_u64, prop_oneof![Just(1), Just(2), Just(STICKY)], any::<bool>(), any::<bool>());
    prop_oneof![
        8 => step(),
        1 => fault.prop_map(|(slot, times, write, full)| Step::Break { slot, times, write, full }),
        1 => Just(Step::Mend),
    ]
}

fn content(seed: u64) -> Vec<u8> {
    if seed < 3 { (seed * 0x0102_0304_0506_0708).to_ne_bytes().repeat(PAGE / 8) } else { page(seed) }
}

/// What holds at any time.
fn check(store: &Both, held: &[(Stored<Slot>, u64)]) {
    store.store().slots().check();
    let space = store.space();
    let slots: Vec<_> = held.iter().filter_map(|(stored, _)| number(stored)).collect();
    assert_eq!(space.same_filled, (held.len() - slots.len()) as u64);
    assert_eq!(space.used(), slots.len() as u64);
    let distinct: BTreeSet<_> = slots.iter().collect();
    assert_eq!(distinct.len(), slots.len(), "two pages have one slot");
    assert!(slots.iter().all(|slot| store.store().header().usable().contains(slot)));
}

fn number(stored: &Stored<Slot>) -> Option<u64> {
    match stored {
        Stored::In(slot) => Some(slot.number()),
        Stored::Same(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn on_a_good_disk_it_does_what_a_store_in_memory_does(
        more_at_once in 0..4_usize,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let (store, model) = (Both::new(store(30)), SameFilled::new(MemoryStore::<Std>::new(PAGE, 30)));
        store.store().disk().state().faults.more_at_once = more_at_once;
        let (mut held, mut kept) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Write(seeds) => {
                    let pages: Vec<_> = seeds.iter().map(|seed| content(*seed)).collect();
                    for ((ours, theirs), seed) in write(&store, &pages).into_iter().zip(write(&model, &pages)).zip(seeds) {
                        prop_assert_eq!(ours.as_ref().err(), theirs.as_ref().err());
                        held.extend(ours.ok().map(|stored| (stored, seed)));
                        kept.extend(theirs.ok());
                    }
                }
                Step::Read(at) if !held.is_empty() => {
                    let at = at % held.len();
                    let page = read(&store, &held[at].0);
                    prop_assert_eq!(page.as_ref(), Ok(&content(held[at].1)));
                    prop_assert_eq!(page, read(&model, &kept[at]));
                }
                Step::Free(at) if !held.is_empty() => {
                    let at = at % held.len();
                    store.free(held.swap_remove(at).0);
                    model.free(kept.swap_remove(at));
                }
                _ => {}
            }
            let wanted: Vec<_> = held.iter().map(|(stored, seed)| (stored, *seed)).collect();
            prop_assert!(read_each(&store, &wanted).iter().all(Result::is_ok));
            prop_assert_eq!(store.space(), model.space());
            check(&store, &held);
        }
        prop_assert_eq!(store.store().counters().failed_slots + store.store().counters().failed_reads, 0);
    }

    #[test]
    fn on_a_bad_disk_only_the_pages_that_it_fails_for_are_affected(
        all_or_nothing: bool,
        more_at_once in 0..4_usize,
        most in prop::option::of(SECTOR..8 * PAGE),
        steps in prop::collection::vec(step_with_faults(), 1..80),
    ) {
        let store = Both::new(store(30));
        store.store().disk().state().faults.all_or_nothing = all_or_nothing;
        store.store().disk().state().faults.more_at_once = more_at_once;
        store.store().disk().state().faults.most = most;
        let mut held: Vec<(Stored<Slot>, u64)> = Vec::new();
        for step in steps {
            let before = store.space();
            match step {
                Step::Write(seeds) => {
                    let pages: Vec<_> = seeds.iter().map(|seed| content(*seed)).collect();
                    // Or so it seems: neither a page nor the superblock could be read.
                    let is_out = !store.store().is_at_work();
                    let broken = is_out || !store.store().disk().state().faults.bad_writes.is_empty();
                    let needed = seeds.iter().filter(|seed| **seed >= 3).count() as u64;
                    for (result, seed) in write(&store, &pages).into_iter().zip(seeds) {
                        prop_assert!(result.is_ok() || broken || before.free < needed);
                        prop_assert!(result.is_ok() || seed >= 3, "a page without a slot cannot fail");
                        held.extend(result.ok().map(|stored| (stored, seed)));
                    }
                }
                Step::Read(at) if !held.is_empty() => {
                    let (stored, seed) = &held[at % held.len()];
                    let failing = number(stored).and_then(|slot| {
                        store.store().disk().state().faults.bad_reads.get(&(slot * PAGE_SECTORS + 1)).copied()
                    });
                    let result = read(&store, stored);
                    prop_assert!(result == Ok(content(*seed)) || result == Err(StoreError::Io) && failing > Some(1));
                }
                Step::Free(at) if !held.is_empty() => {
                    let at = at % held.len();
                    store.free(held.swap_remove(at).0);
                }
                Step::Break { slot, times, write: true, full } => {
                    store.store().fail_writes(slot, times, if full { DiskError::Full } else { DiskError::Io });
                }
                Step::Break { slot, times, .. } => store.store().fail_reads(slot, times),
                Step::Mend => {
                    store.store().disk().state().faults.bad_writes.clear();
                    store.store().disk().state().faults.bad_reads.clear();
                }
                _ => {}
            }
            pass(Duration::from_millis(30));
            check(&store, &held);
        }
        store.store().disk().state().faults = Default::default();
        for (stored, seed) in held {
            prop_assert_eq!(read(&store, &stored), Ok(content(seed)));
            store.free(stored);
        }
        let space = store.space();
        prop_assert_eq!(space.free + space.bad, 30);
    }
}
