//! Several devices as one store, which come and go while pages are kept.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use mig_runtime::platform::{Mutex, Platform};

use super::disk::{Disk, RUN};
use super::superblock::SLOTS_MAX;
use super::swap::{Counters, Slot, SwapStore};
use super::{Space, Store, StoreError};

/// Devices at a time.
pub const VOLUMES_MAX: usize = 64;

/// Keeps pages on any number of devices, up to [`VOLUMES_MAX`].
///
/// Pages go to the device with the highest priority that takes them; devices of one priority take turns, so
/// that what is written to them by different threads goes on at once. Where a device is full or fails, the
/// next one is tried.
///
/// A device is taken away in three steps: nothing is written to it once that has
/// [begun](Self::begin_removal); whoever has pages in it [moves](Store::is_leaving) them; and then it can be
/// [removed](Self::remove).
pub struct Volumes<D, P: Platform> {
    page_size: usize,
    all: Mutex<P, All<D, P>>,
    /// Which of several of one priority is next.
    turn: AtomicUsize,
}

/// The devices, each with the same index as long as it is there.
type All<D, P> = [Option<Arc<Volume<D, P>>>; VOLUMES_MAX];

struct Volume<D, P: Platform> {
    name: Box<str>,
    priority: u8,
    group: u32,
    /// The numbers of its slots, as places have them.
    slots: Range<u64>,
    is_leaving: AtomicBool,
    store: SwapStore<D, P>,
}

/// What is to be known of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    /// The name that it was added with.
    pub name: String,
    /// Devices of higher priorities are used first.
    pub priority: u8,
    /// What it belongs to, as was said when it was added.
    pub group: u32,
    /// Its room.
    pub space: Space,
    /// It is being taken away.
    pub is_leaving: bool,
    /// It has not failed wherever it was tried last.
    pub is_at_work: bool,
    /// What was done to it.
    pub counters: Counters,
}

/// Why a device could not be added or taken away. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeError {
    /// There is one with this name.
    NameTaken,
    /// There is none with this name.
    NoSuchName,
    /// Its pages have another size, in bytes.
    PageSize(usize),
    /// There are as many devices as there may be, or they are too large together.
    TooMany,
    /// There are pages in it.
    InUse,
}

impl fmt::Display for VolumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken => f.write_str("paging space of this name is in use already"),
            Self::NoSuchName => f.write_str("there is no paging space of this name"),
            Self::PageSize(size) => write!(f, "its pages have {size} bytes, unlike those of the pager"),
            Self::TooMany => {
                write!(f, "there are {VOLUMES_MAX} pieces of paging space, or they are too large together")
            }
            Self::InUse => f.write_str("there are pages in it still"),
        }
    }
}

impl core::error::Error for VolumeError {}

impl<D: Disk, P: Platform> Volumes<D, P> {
    /// A store of pages of this many bytes, without any room yet.
    pub fn new(page_size: usize) -> Self {
        Self { page_size, all: Mutex::<P, _>::new([const { None }; VOLUMES_MAX]), turn: AtomicUsize::new(0) }
    }

    /// Adds a device. Those of higher priorities are used first; `group` is for whoever wants to tell what
    /// belongs together.
    ///
    /// # Errors
    ///
    /// [`VolumeError`]; the device is closed then.
    pub fn add(
        &self,
        name: &str,
        store: SwapStore<D, P>,
        priority: u8,
        group: u32,
    ) -> Result<(), VolumeError> {
        if store.page_size() != self.page_size {
            return Err(VolumeError::PageSize(store.page_size()));
        }
        let count = store.header().slots;
        let (slots, is_leaving) = (0..0, AtomicBool::new(false));
        // Made before the lock is taken: threads that must not wait for memory take it, too.
        let mut volume = Arc::new(Volume { name: name.into(), priority, group, slots, is_leaving, store });
        let mut all = self.all.lock();
        if all.iter().flatten().any(|volume| *volume.name == *name) {
            return Err(VolumeError::NameTaken);
        }
        let place = all.iter().position(Option::is_none).ok_or(VolumeError::TooMany)?;
        let slots = free_numbers(&all[..], count).ok_or(VolumeError::TooMany)?;
        if let Some(volume) = Arc::get_mut(&mut volume) {
            volume.slots = slots;
        }
        all[place] = Some(volume);
        Ok(())
    }

    /// Begins to take a device away: nothing is written to it any more.
    ///
    /// # Errors
    ///
    /// [`VolumeError::NoSuchName`].
    pub fn begin_removal(&self, name: &str) -> Result<(), VolumeError> {
        self.named(name).map(|volume| volume.is_leaving.store(true, Relaxed))
    }

    /// Uses a device again that was to be taken away.
    ///
    /// # Errors
    ///
    /// [`VolumeError::NoSuchName`].
    pub fn cancel_removal(&self, name: &str) -> Result<(), VolumeError> {
        self.named(name).map(|volume| volume.is_leaving.store(false, Relaxed))
    }

    /// Takes a device away and closes it, once there are no pages in it. Nothing may be written to it any
    /// more.
    ///
    /// # Errors
    ///
    /// [`VolumeError::NoSuchName`], or [`VolumeError::InUse`] if there are pages in it.
    pub fn remove(&self, name: &str) -> Result<(), VolumeError> {
        let mut all = self.all.lock();
        let is_it =
            |volume: &Option<Arc<Volume<D, P>>>| volume.as_ref().is_some_and(|volume| *volume.name == *name);
        let place = all.iter_mut().find(|volume| is_it(volume)).ok_or(VolumeError::NoSuchName)?;
        // Nobody is about to write to it: whoever does has it, too, and gets it under this lock alone.
        let is_empty = |volume: &Arc<Volume<D, P>>| {
            volume.is_leaving.load(Relaxed)
                && Arc::strong_count(volume) == 1
                && volume.store.space().used() == 0
        };
        let volume = place.take_if(|volume| is_empty(volume)).ok_or(VolumeError::InUse)?;
        drop(all);
        drop(volume);
        Ok(())
    }

    /// What is to be known of each device, in the order in which they came.
    pub fn list(&self) -> Vec<VolumeInfo> {
        let all = self.all.lock().clone();
        all.iter().flatten().map(|volume| volume.info()).collect()
    }

    fn named(&self, name: &str) -> Result<Arc<Volume<D, P>>, VolumeError> {
        let all = self.all.lock();
        let volume = all.iter().flatten().find(|volume| *volume.name == *name);
        volume.cloned().ok_or(VolumeError::NoSuchName)
    }

    /// The device with a slot.
    fn with_slot(&self, slot: &Slot) -> Option<Arc<Volume<D, P>>> {
        let number = slot.number();
        self.all.lock().iter().flatten().find(|volume| volume.slots.contains(&number)).cloned()
    }

    /// The device to write to, of those whose bit in `tried` is not set.
    fn next(&self, tried: &mut u64, turn: usize) -> Option<Arc<Volume<D, P>>> {
        let all = self.all.lock();
        let order = (0..VOLUMES_MAX).map(|at| (at + turn) % VOLUMES_MAX);
        let candidates =
            order.filter(|at| *tried & 1 << at == 0).filter_map(|at| Some((at, all[at].as_ref()?)));
        let usable = candidates.filter(|(_, volume)| !volume.is_leaving.load(Relaxed));
        // The first of those with the highest priority.
        let (at, volume) =
            usable.reduce(|best, other| if other.1.priority > best.1.priority { other } else { best })?;
        *tried |= 1 << at;
        Some(volume.clone())
    }

    /// Writes pages to one device after the other, until one takes them.
    fn write_batch(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Slot, StoreError>)) {
        let mut left: [(usize, StoreError); RUN] = core::array::from_fn(|at| (at, StoreError::Full));
        let (mut count, mut tried) = (pages.len(), 0);
        let turn = self.turn.fetch_add(1, Relaxed) % VOLUMES_MAX;
        while count > 0 {
            let Some(volume) = self.next(&mut tried, turn) else { break };
            let mut batch: [&[u8]; RUN] = [&[]; RUN];
            batch.iter_mut().zip(&left[..count]).for_each(|(page, (at, _))| *page = pages[*at]);
            let before = left;
            let mut failed = 0;
            volume.store.write(&batch[..count], &mut |at, result| match result {
                Ok(slot) => done(before[at].0, Ok(slot.moved_by(volume.slots.start))),
                Err(error) => {
                    left[failed] = (before[at].0, error);
                    failed += 1;
                }
            });
            count = failed;
        }
        left[..count].iter().for_each(|(at, error)| done(*at, Err(*error)));
    }
}

/// As many numbers as this in a row that no device has.
fn free_numbers<D, P: Platform>(all: &[Option<Arc<Volume<D, P>>>], count: u64) -> Option<Range<u64>> {
    let is_free = |range: &Range<u64>| {
        let mut others = all.iter().flatten();
        range.end <= SLOTS_MAX
            && others.all(|other| other.slots.end <= range.start || range.end <= other.slots.start)
    };
    let after = all.iter().flatten().map(|volume| volume.slots.end);
    core::iter::once(0).chain(after).map(|start| start..start + count).find(is_free)
}

impl<D: Disk, P: Platform> Volume<D, P> {
    fn info(&self) -> VolumeInfo {
        VolumeInfo {
            name: (*self.name).into(),
            priority: self.priority,
            group: self.group,
            space: self.space(),
            is_leaving: self.is_leaving.load(Relaxed),
            is_at_work: self.store.is_at_work(),
            counters: self.store.counters(),
        }
    }

    /// One that is being taken away has no room but for what is in it.
    fn space(&self) -> Space {
        let space = self.store.space();
        match self.is_leaving.load(Relaxed) {
            true => Space { total: space.used(), ..Space::default() },
            false => space,
        }
    }
}

impl<D: Disk, P: Platform> Store for Volumes<D, P> {
    type Place = Slot;

    fn page_size(&self) -> usize {
        self.page_size
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Slot, StoreError>)) {
        for (at, batch) in pages.chunks(RUN).enumerate() {
            self.write_batch(batch, &mut |index, result| done(at * RUN + index, result));
        }
    }

    fn read(&self, place: &Slot, page: &mut [u8]) -> Result<(), StoreError> {
        match self.with_slot(place) {
            Some(volume) => volume.store.read(&place.moved_back_by(volume.slots.start), page),
            None => {
                page.fill(0);
                Err(StoreError::Corrupt)
            }
        }
    }

    fn read_each(
        &self,
        places: &[&Slot],
        pages: &mut [u8],
        done: &mut dyn FnMut(usize, Result<(), StoreError>),
    ) {
        let mut first = 0;
        while let Some(place) = places.get(first) {
            let volume = self.with_slot(place);
            let is_there = |place: &&&Slot| match &volume {
                Some(volume) => volume.slots.contains(&place.number()),
                None => false,
            };
            let count = places[first..].iter().take_while(is_there).count().max(1);
            let bytes = &mut pages[first * self.page_size..][..count * self.page_size];
            match &volume {
                Some(volume) => {
                    let slots = places[first..first + count].iter();
                    let slots: Vec<Slot> =
                        slots.map(|place| place.moved_back_by(volume.slots.start)).collect();
                    let slots: Vec<&Slot> = slots.iter().collect();
                    volume.store.read_each(&slots, bytes, &mut |at, result| done(first + at, result));
                }
                None => done(first, self.read(place, bytes)),
            }
            first += count;
        }
    }

    fn free(&self, place: Slot) {
        if let Some(volume) = self.with_slot(&place) {
            volume.store.free(place.moved_back_by(volume.slots.start));
        }
    }

    fn is_leaving(&self, place: &Slot) -> bool {
        self.with_slot(place).is_some_and(|volume| volume.is_leaving.load(Relaxed))
    }

    fn tidy(&self) -> bool {
        let mut tried = 0;
        core::iter::from_fn(|| self.next(&mut tried, 0)).any(|volume| volume.store.tidy())
    }

    fn stop_waiting(&self) {
        let all = self.all.lock().clone();
        all.iter().flatten().for_each(|volume| volume.store.stop_waiting());
    }

    fn space(&self) -> Space {
        let all = self.all.lock();
        all.iter().flatten().map(|volume| volume.space()).fold(Space::default(), |sum, space| Space {
            total: sum.total + space.total,
            free: sum.free + space.free,
            bad: sum.bad + space.bad,
            same_filled: 0,
        })
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::vec;

    use mig_runtime::platform::Std;

    use super::super::faulty::{FaultyDisk, STICKY};
    use super::super::{DiskError, superblock};
    use super::*;

    const PAGE: usize = 512;

    type Both = Volumes<FaultyDisk, Std>;

    fn device(pages: usize) -> SwapStore<FaultyDisk, Std> {
        let disk = FaultyDisk::new((pages + 2) * PAGE);
        superblock::format(&disk, PAGE, [7; 16]).unwrap();
        SwapStore::open(disk).unwrap()
    }

    fn page(seed: u64) -> Vec<u8> {
        (0..PAGE as u64 / 8).flat_map(|word| (seed << 32 | word).to_le_bytes()).collect()
    }

    fn write(all: &Both, seeds: Range<u64>) -> Vec<Result<Slot, StoreError>> {
        let pages: Vec<_> = seeds.map(page).collect();
        let slices: Vec<_> = pages.iter().map(|page| &page[..]).collect();
        let mut results: Vec<_> = pages.iter().map(|_| None).collect();
        all.write(&slices, &mut |at, result| assert!(results[at].replace(result).is_none()));
        results.into_iter().map(Option::unwrap).collect()
    }

    fn read(all: &Both, slot: &Slot) -> Result<Vec<u8>, StoreError> {
        let mut page = vec![0; PAGE];
        all.read(slot, &mut page).map(|()| page)
    }

    fn used(all: &Both) -> Vec<(String, u64)> {
        all.list().into_iter().map(|volume| (volume.name, volume.space.used())).collect()
    }

    fn is(name: &str, used: u64) -> (String, u64) {
        (name.into(), used)
    }

    #[test]
    fn the_highest_priority_is_filled_first_and_equal_ones_take_turns() {
        let all = Both::new(PAGE);
        assert_eq!(write(&all, 0..1), [Err(StoreError::Full)]);
        all.add("slow", device(100), 1, 0).unwrap();
        all.add("fast", device(30), 4, 0).unwrap();
        all.add("faster", device(30), 4, 0).unwrap();
        let mut stored = Vec::new();
        for at in 0..4 {
            stored.extend(write(&all, at * 10..at * 10 + 10));
        }
        let [slow, fast, faster] = used(&all).try_into().unwrap();
        assert_eq!((slow.1, fast.1 + faster.1), (0, 40));
        stored.extend(write(&all, 40..100));
        assert_eq!(used(&all), [is("slow", 40), is("fast", 30), is("faster", 30)]);
        stored.extend(write(&all, 100..160));
        stored.extend(write(&all, 160..163));
        assert_eq!(stored.split_off(160), [const { Err(StoreError::Full) }; 3]);
        for (seed, slot) in stored.iter().enumerate() {
            assert_eq!(read(&all, slot.as_ref().unwrap()), Ok(page(seed as u64)));
        }
        assert_eq!(all.space(), Space { total: 160, ..Space::default() });
        stored.into_iter().for_each(|slot| all.free(slot.unwrap()));
        assert_eq!(all.space(), Space { total: 160, free: 160, ..Space::default() });
    }

    #[test]
    fn a_device_that_fails_is_passed_by() {
        let all = Both::new(PAGE);
        let broken = device(50);
        broken
            .disk()
            .state()
            .faults
            .bad_writes
            .extend((0..60).map(|sector| (sector, (STICKY, DiskError::Io))));
        all.add("broken", broken, 9, 0).unwrap();
        all.add("sound", device(50), 0, 0).unwrap();
        assert!(write(&all, 0..30).iter().all(Result::is_ok));
        assert_eq!(used(&all), [is("broken", 0), is("sound", 30)]);
        let health: Vec<_> = all.list().iter().map(|volume| volume.is_at_work).collect();
        assert_eq!(health, [false, true]);
    }

    #[test]
    fn a_device_goes_when_its_pages_have_been_moved() {
        let all = Both::new(PAGE);
        all.add("first", device(20), 5, 0).unwrap();
        all.add("second", device(20), 0, 0).unwrap();
        let mut stored: Vec<_> = write(&all, 0..10).into_iter().map(Result::unwrap).collect();
        assert_eq!(all.remove("first"), Err(VolumeError::InUse));
        all.begin_removal("first").unwrap();
        assert_eq!(all.remove("first"), Err(VolumeError::InUse));
        assert_eq!(all.space(), Space { total: 30, free: 20, ..Space::default() });
        for slot in &mut stored {
            assert!(all.is_leaving(slot));
            let content = read(&all, slot).unwrap();
            let mut moved = None;
            all.write(&[&content], &mut |_, result| moved = result.ok());
            all.free(core::mem::replace(slot, moved.unwrap()));
            assert!(!all.is_leaving(slot));
        }
        assert_eq!(all.remove("first"), Ok(()));
        for (seed, slot) in stored.iter().enumerate() {
            assert_eq!(read(&all, slot), Ok(page(seed as u64)));
        }
        // Another one may have its numbers.
        all.add("first", device(20), 5, 0).unwrap();
        all.begin_removal("first").unwrap();
        all.cancel_removal("first").unwrap();
        let more = write(&all, 10..30);
        assert_eq!(used(&all), [is("first", 20), is("second", 10)]);
        for (seed, slot) in stored.iter().chain(more.iter().map(|slot| slot.as_ref().unwrap())).enumerate() {
            assert_eq!(read(&all, slot), Ok(page(seed as u64)));
        }
    }

    #[test]
    fn what_cannot_be_added_or_removed_changes_nothing() {
        let all = Both::new(PAGE);
        all.add("a", device(5), 0, 0).unwrap();
        assert_eq!(all.add("a", device(6), 0, 0), Err(VolumeError::NameTaken));
        let disk = FaultyDisk::new(10 * 1024);
        superblock::format(&disk, 1024, [7; 16]).unwrap();
        assert_eq!(all.add("b", SwapStore::open(disk).unwrap(), 0, 0), Err(VolumeError::PageSize(1024)));
        for result in [all.remove("b"), all.begin_removal("b"), all.cancel_removal("b")] {
            assert_eq!(result, Err(VolumeError::NoSuchName));
        }
        for at in 1..VOLUMES_MAX {
            all.add(&std::format!("{at}"), device(1), 0, 0).unwrap();
        }
        assert_eq!(all.add("b", device(6), 0, 0), Err(VolumeError::TooMany));
        assert_eq!(all.list().len(), VOLUMES_MAX);
        assert_eq!(all.space().total, 5 + 63);
    }
}
