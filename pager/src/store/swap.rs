//! A store on a swap device.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mig_runtime::platform::{Mutex, Platform};

use super::disk::{self, Disk, DiskError, RUN};
use super::slots::Slots;
use super::superblock::{self, Header, HeaderError};
use super::{Space, Store, StoreError};

/// Keeps pages in the slots of a swap device.
///
/// A page is always written to a free slot, never over another page. Its checksum is in its place, a [`Slot`], not beside it on the device: whatever
/// a write that was lost, torn or misdirected left in the slot does not match.
///
/// A page whose write fails is written once more, to another slot. A slot that failed is not used again until the store is opened anew; if it
/// failed because the device had no room ([`DiskError::Full`]) it is, since there may be room later. A page that cannot be read, or does not
/// match, is read once more. A device that fails thus costs the pages that it fails for.
///
/// Memory is allocated when the store is opened, a little more than a bit for each slot, and not later.
pub struct SwapStore<D, P: Platform> {
    disk: D,
    header: Header,
    slots: Mutex<P, Slots>,
    counts: Counts,
}

/// The place of a page in a [`SwapStore`]: the number of a slot, and the checksum of what is in it.
#[must_use = "a page that is not freed takes space in the store"]
#[derive(Debug, PartialEq, Eq)]
pub struct Slot {
    /// Little-endian, in no more bytes than it takes: there is one for each page that is stored.
    number: [u8; 5],
    checksum: [u8; 4],
}

impl Slot {
    fn new(number: u32, page: &[u8]) -> Self {
        let [a, b, c, d] = number.to_le_bytes();
        Slot { number: [a, b, c, d, 0], checksum: crc32fast::hash(page).to_le_bytes() }
    }

    pub(super) fn number(&self) -> u32 {
        let [a, b, c, d, _] = self.number;
        u32::from_le_bytes([a, b, c, d])
    }
}

/// What a [`SwapStore`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Pages written.
    pub pages_written: u64,
    /// Runs of slots in which they were written: `pages_written / runs_written` tells how well pages that are written together lie together.
    pub runs_written: u64,
    /// Times that a slot failed to take a page.
    pub failed_slots: u64,
    /// Pages read.
    pub pages_read: u64,
    /// Times that a page could not be read, or not the one that was stored.
    pub failed_reads: u64,
}

#[derive(Default)]
struct Counts {
    pages_written: AtomicU64,
    runs_written: AtomicU64,
    failed_slots: AtomicU64,
    pages_read: AtomicU64,
    failed_reads: AtomicU64,
}

impl<D: Disk, P: Platform> SwapStore<D, P> {
    /// Opens a device that was [formatted](superblock::format). All its slots are free: pages do not outlive the store that they were written to.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] if the device is no swap space, or is damaged.
    pub fn open(disk: D) -> Result<Self, HeaderError> {
        let header = superblock::read(&disk)?;
        let slots = Slots::new(header.usable(), &header.bad).map_err(|_| HeaderError::Memory)?;
        Ok(SwapStore { disk, header, slots: Mutex::<P, _>::new(slots), counts: Counts::default() })
    }

    /// What the device says it is, and whether its superblocks are whole.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The device.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// What the store has done so far.
    pub fn counters(&self) -> Counters {
        Counters {
            pages_written: self.counts.pages_written.load(Relaxed),
            runs_written: self.counts.runs_written.load(Relaxed),
            failed_slots: self.counts.failed_slots.load(Relaxed),
            pages_read: self.counts.pages_read.load(Relaxed),
            failed_reads: self.counts.failed_reads.load(Relaxed),
        }
    }

    #[cfg(all(test, feature = "std"))]
    pub(super) fn slots(&self) -> mig_runtime::platform::MutexGuard<'_, P, Slots> {
        self.slots.lock()
    }

    fn offset(&self, slot: u32) -> u64 {
        u64::from(slot) * self.header.page_size as u64
    }

    /// Writes pages to runs of slots, as few as there are.
    fn write_batch(&self, batch: &Batch<'_>, done: &mut dyn FnMut(usize, Result<Slot, StoreError>)) {
        let mut at = 0;
        while at < batch.len {
            let Some(slots) = self.slots.lock().take_run(batch.len - at) else {
                return batch.indices[at..batch.len]
                    .iter()
                    .for_each(|&index| done(index, Err(StoreError::Full)));
            };
            let pages = &batch.pages[at..at + slots.len()];
            let mut results = [Ok(()); RUN];
            self.write_run(slots.start, pages, &mut results);
            for (((slot, page), result), index) in slots.zip(pages).zip(results).zip(&batch.indices[at..]) {
                let stored = match result {
                    Ok(()) => Ok(self.written(slot, page)),
                    Err(error) => self.write_elsewhere(slot, error, page),
                };
                done(*index, stored);
            }
            at += pages.len();
        }
    }

    /// Writes pages to slots that lie side by side. Those in `results` whose page was not written are set to the error.
    fn write_run(&self, start: u32, pages: &[&[u8]], results: &mut [Result<(), DiskError>; RUN]) {
        let mut at = 0;
        while at < pages.len() {
            self.counts.runs_written.fetch_add(1, Relaxed);
            let Err((written, error)) = disk::write(&self.disk, self.offset(start + at as u32), &pages[at..])
            else {
                return;
            };
            let alone = pages.len() - at == 1;
            at += written;
            // The error of many is not one of each: only a page that is written alone is known to have failed.
            results[at] = if alone { Err(error) } else { self.write_one(start + at as u32, pages[at]) };
            at += 1;
        }
    }

    fn write_one(&self, slot: u32, page: &[u8]) -> Result<(), DiskError> {
        self.counts.runs_written.fetch_add(1, Relaxed);
        disk::write(&self.disk, self.offset(slot), &[page]).map_err(|(_, error)| error)
    }

    /// Writes a page to another slot than the one that failed.
    fn write_elsewhere(&self, failed: u32, error: DiskError, page: &[u8]) -> Result<Slot, StoreError> {
        let other = self.slots.lock().take_run(1);
        self.give_up(failed, error);
        let slot = other.ok_or(error)?.start;
        match self.write_one(slot, page) {
            Ok(()) => Ok(self.written(slot, page)),
            Err(error) => {
                self.give_up(slot, error);
                Err(error.into())
            }
        }
    }

    fn written(&self, slot: u32, page: &[u8]) -> Slot {
        self.counts.pages_written.fetch_add(1, Relaxed);
        Slot::new(slot, page)
    }

    /// Does what the error of a slot asks for.
    fn give_up(&self, slot: u32, error: DiskError) {
        self.counts.failed_slots.fetch_add(1, Relaxed);
        let mut slots = self.slots.lock();
        match error {
            DiskError::Io => slots.retire(),
            DiskError::Full => slots.put(slot),
        }
    }

    /// Reads a page, once more if need be.
    fn read_slot(&self, slot: &Slot, page: &mut [u8]) -> Result<(), StoreError> {
        let result = self.read_once(slot, page).or_else(|_| self.read_once(slot, page));
        let count = if result.is_ok() { &self.counts.pages_read } else { &self.counts.failed_reads };
        count.fetch_add(1, Relaxed);
        // What was read instead may belong to somebody else.
        result.inspect_err(|_| page.fill(0))
    }

    fn read_once(&self, slot: &Slot, page: &mut [u8]) -> Result<(), StoreError> {
        disk::read(&self.disk, self.offset(slot.number()), page)?;
        let checksum = crc32fast::hash(page).to_le_bytes();
        if checksum == slot.checksum { Ok(()) } else { Err(StoreError::Corrupt) }
    }
}

impl<D: Disk, P: Platform> Store for SwapStore<D, P> {
    type Place = Slot;

    fn page_size(&self) -> usize {
        self.header.page_size
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Slot, StoreError>)) {
        let mut batch = Batch::new();
        for (index, &page) in pages.iter().enumerate() {
            if page.len() != self.page_size() {
                done(index, Err(StoreError::NotAPage));
                continue;
            }
            batch.push(index, page);
            if batch.len == RUN {
                self.write_batch(&batch, done);
                batch = Batch::new();
            }
        }
        self.write_batch(&batch, done);
    }

    fn read(&self, place: &Slot, page: &mut [u8]) -> Result<(), StoreError> {
        if page.len() != self.page_size() {
            return Err(StoreError::NotAPage);
        }
        self.read_slot(place, page)
    }

    fn free(&self, place: Slot) {
        self.slots.lock().put(place.number());
    }

    fn space(&self) -> Space {
        let slots = self.slots.lock();
        let [total, free, bad] = [slots.total(), slots.free(), slots.bad()].map(u64::from);
        Space { total, free, bad, same_filled: 0 }
    }
}

impl From<DiskError> for StoreError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Io => StoreError::Io,
            DiskError::Full => StoreError::Full,
        }
    }
}

/// Pages that go to the device together, with their indices in the caller's list.
struct Batch<'a> {
    pages: [&'a [u8]; RUN],
    indices: [usize; RUN],
    len: usize,
}

impl<'a> Batch<'a> {
    fn new() -> Self {
        Batch { pages: [&[]; RUN], indices: [0; RUN], len: 0 }
    }

    fn push(&mut self, index: usize, page: &'a [u8]) {
        self.pages[self.len] = page;
        self.indices[self.len] = index;
        self.len += 1;
    }
}
