//! A store on a swap device.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use mig_runtime::platform::{Mutex, Platform};

use super::disk::{self, Disk, DiskError, RUN};
use super::health::Health;
use super::protection::{Checksum, Protection};
use super::segments::{Rewrite, SEGMENT};
use super::slots::{MANY, Slots, each};
use super::superblock::{self, Header, HeaderError};
use super::{Space, Store, StoreError};

/// How many other places a page goes to whose slot has failed, before the device is taken for one that does
/// not work.
const OTHERS: u64 = 3;

/// How long a slot that failed is left alone while others are free, or nothing is.
const BAD_AGAIN: Duration = Duration::from_secs(1);

/// Keeps pages in the slots of a swap device.
///
/// A page is always written to a free slot, never over another page. Its checksum, or [what else](Protection)
/// is to tell it, is in its place, a [`Slot`], not beside it on the device: whatever a write that was lost,
/// torn or misdirected left in the slot does not match. Many pages that are written together go where many
/// slots lie side by side, and fewer fill the holes.
///
/// A page whose write fails is written to other places, far apart. Where one of them works, the slots that
/// failed are bad spots, which are tried again only when there are no others left or many have failed since.
/// Where none does it is an outage: no slot is given up, writes are refused ([`StoreError::Io`]) but for one
/// now and then, and all is as before once one of them works. A slot that failed because the device had no
/// room ([`DiskError::Full`]) is used again, since there may be room later.
///
/// A page that cannot be read, or does not match, is read once more; during an outage, for some seconds. A
/// device that fails thus costs the pages that it fails for.
///
/// Where the device [prefers long writes](Disk::prefers_long_writes) and free slots lie one by one, a segment
/// of 64 slots is read, and written with new pages in its free slots to a place where nothing is. Its pages
/// are only written again if they are what was stored.
///
/// Memory is allocated when the store is opened, a little more than a bit for each slot, and not later.
pub struct SwapStore<D, P: Platform, C = Checksum> {
    disk: D,
    protection: C,
    header: Header,
    slots: Mutex<P, Slots>,
    health: Health<P>,
    /// Memory for pages that are changed on their way: as much as there have been writers at once.
    copies: Mutex<P, Vec<Vec<u8>>>,
    /// When slots that failed were last given another chance.
    bad_tried: AtomicU64,
    rewriting: Option<Rewriting<P>>,
    counts: Counts,
}

/// What it takes to write segments as a whole.
struct Rewriting<P: Platform> {
    /// Memory for a segment, unless one is being written.
    memory: Mutex<P, Option<Box<[u8]>>>,
    /// How many times in a row a segment could not be written.
    failures: AtomicU64,
}

/// After this many there is no other try.
const REWRITES_FAILED: u64 = 4;

/// The place of a page in a [`SwapStore`]: the number of a slot, and what is kept of the page there: a
/// checksum, unless it is [said](Protection).
#[must_use = "a page that is not freed takes space in the store"]
#[derive(Debug, PartialEq, Eq)]
pub struct Slot<T = [u8; 4]> {
    /// Little-endian, in no more bytes than it takes: there is one for each page that is stored.
    number: [u8; 5],
    tag: T,
}

impl<T: Copy> Slot<T> {
    fn new(number: u64, tag: T) -> Self {
        let [a, b, c, d, e, ..] = number.to_le_bytes();
        Slot { number: [a, b, c, d, e], tag }
    }

    pub(super) fn number(&self) -> u64 {
        let [a, b, c, d, e] = self.number;
        u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
    }

    /// The same page, where the numbers of slots begin with this one.
    pub(super) fn moved_by(self, first: u64) -> Self {
        Self::new(self.number() + first, self.tag)
    }

    /// The slot in a device whose numbers begin with this one.
    pub(super) fn moved_back_by(&self, first: u64) -> Self {
        Self::new(self.number().wrapping_sub(first), self.tag)
    }
}

/// What a [`SwapStore`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Pages written.
    pub pages_written: u64,
    /// Runs of slots in which they were written: `pages_written / runs_written` tells how well pages that are
    /// written together lie together.
    pub runs_written: u64,
    /// Times that a slot failed to take a page.
    pub failed_slots: u64,
    /// Pages that were written once more, beside others, to make a long write of short ones. They are not
    /// part of `pages_written`.
    pub pages_rewritten: u64,
    /// Pages read.
    pub pages_read: u64,
    /// Times that a page could not be read, or not the one that was stored.
    pub failed_reads: u64,
    /// Times that the device stopped to work.
    pub outages: u64,
}

#[derive(Default)]
struct Counts {
    pages_written: AtomicU64,
    runs_written: AtomicU64,
    failed_slots: AtomicU64,
    pages_rewritten: AtomicU64,
    pages_read: AtomicU64,
    failed_reads: AtomicU64,
    outages: AtomicU64,
}

/// Told for each page, with its index in the caller's list.
type Done<'a, T> = dyn FnMut(usize, Result<Slot<T>, StoreError>) + 'a;

impl<D: Disk, P: Platform> SwapStore<D, P> {
    /// Opens a device that was [formatted](superblock::format). All its slots are free: pages do not outlive
    /// the store that they were written to.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] if the device is no swap space, or is damaged.
    pub fn open(disk: D) -> Result<Self, HeaderError> {
        let header = superblock::read(&disk)?;
        Self::with(disk, header, Checksum)
    }

    /// Opens a device without superblocks, all of which is for pages: somebody else answers for that. What it
    /// holds is lost.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] if it is too small, or cannot have pages of this size.
    pub fn raw(disk: D, page_size: usize) -> Result<Self, HeaderError> {
        let header = superblock::raw(&disk, page_size)?;
        Self::with(disk, header, Checksum)
    }
}

#[cfg(feature = "encryption")]
impl<D: Disk, P: Platform> SwapStore<D, P, super::Encryption<P>> {
    /// As [`open`](SwapStore::open), and encrypts every page, with keys of `random` bytes that are nowhere
    /// but in memory.
    ///
    /// # Errors
    ///
    /// As that.
    pub fn encrypted(disk: D, random: super::Random) -> Result<Self, HeaderError> {
        let header = superblock::read(&disk)?;
        let encryption = super::Encryption::new(header.slots, random).map_err(|_| HeaderError::Memory)?;
        Self::with(disk, header, encryption)
    }
}

impl<D: Disk, P: Platform, C: Protection> SwapStore<D, P, C> {
    fn with(disk: D, header: Header, protection: C) -> Result<Self, HeaderError> {
        let mut slots = Slots::new(header.usable(), &header.bad).map_err(|_| HeaderError::Memory)?;
        let rewrites = disk.prefers_long_writes()
            && C::IS_NUMBER
            && slots.move_segments(&header.bad).map_err(|_| HeaderError::Memory)?;
        let rewriting = rewrites.then(|| Rewriting {
            memory: Mutex::<P, _>::new(Some(vec![0; SEGMENT as usize * header.page_size].into_boxed_slice())),
            failures: AtomicU64::new(0),
        });
        Ok(SwapStore {
            disk,
            protection,
            header,
            slots: Mutex::<P, _>::new(slots),
            health: Health::default(),
            copies: Mutex::<P, _>::new(Vec::new()),
            bad_tried: AtomicU64::new(P::now()),
            rewriting,
            counts: Counts::default(),
        })
    }

    /// What the device says it is, and whether its superblocks are whole.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The device.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The same store on its device, whatever kind that is, so that [`Volumes`](super::Volumes) can have
    /// several kinds.
    pub fn boxed(self) -> SwapStore<Box<dyn Disk>, P, C> {
        SwapStore {
            disk: Box::new(self.disk),
            protection: self.protection,
            header: self.header,
            slots: self.slots,
            health: self.health,
            copies: self.copies,
            bad_tried: self.bad_tried,
            rewriting: self.rewriting,
            counts: self.counts,
        }
    }

    /// What is done to its pages.
    pub fn protection(&self) -> &C {
        &self.protection
    }

    /// False during an outage of the device: it has failed wherever it was tried, and is tried again now and
    /// then.
    pub fn is_at_work(&self) -> bool {
        self.health.is_good()
    }

    /// What the store has done so far.
    pub fn counters(&self) -> Counters {
        Counters {
            pages_written: self.counts.pages_written.load(Relaxed),
            runs_written: self.counts.runs_written.load(Relaxed),
            failed_slots: self.counts.failed_slots.load(Relaxed),
            pages_rewritten: self.counts.pages_rewritten.load(Relaxed),
            pages_read: self.counts.pages_read.load(Relaxed),
            failed_reads: self.counts.failed_reads.load(Relaxed),
            outages: self.counts.outages.load(Relaxed),
        }
    }

    #[cfg(all(test, feature = "std"))]
    pub(super) fn slots(&self) -> mig_runtime::platform::MutexGuard<'_, P, Slots> {
        self.slots.lock()
    }

    /// Where something is on the device that begins at this place of a slot.
    fn offset(&self, place: u64) -> u64 {
        place * self.header.page_size as u64
    }

    /// The place of a slot. Slots that were taken together have theirs side by side.
    fn place(&self, slot: u64) -> u64 {
        if self.rewriting.is_some() { self.slots.lock().place(slot) } else { slot }
    }

    /// The writes to slots that were taken together are done.
    fn end_write(&self, slots: &Range<u64>) {
        if self.rewriting.is_some() {
            self.slots.lock().end_write(slots);
        }
    }

    /// Writes pages, [`RUN`] at most, to runs of slots, as few as there are.
    fn write_batch(&self, pages: &[&[u8]], done: &mut Done<'_, C::Tag>) {
        let mut at = self.write_segments(pages, 0, done);
        let has_segments = at > 0;
        if self.disk.at_once() > 1 {
            at = self.write_at_once(pages, at, done);
        }
        while at < pages.len() {
            if !self.health.admits() {
                return (at..pages.len()).for_each(|at| done(at, Err(StoreError::Io)));
            }
            let Some(slots) = self.take_run(pages.len() - at) else {
                return (at..pages.len()).for_each(|at| done(at, Err(StoreError::Full)));
            };
            let len = (slots.end - slots.start) as usize;
            self.write_run(slots.start, &pages[at..at + len], &mut |offset, result| {
                done(at + offset, result)
            });
            self.end_write(&slots);
            at += len;
            if has_segments {
                at = self.write_segments(pages, at, done);
            }
        }
    }

    /// Writes pages into segments, from this one on, as long as that makes long writes of short ones. Returns
    /// which page is the next one.
    fn write_segments(&self, pages: &[&[u8]], start: usize, done: &mut Done<'_, C::Tag>) -> usize {
        let Some(rewriting) = &self.rewriting else { return start };
        let mut at = start;
        while (pages.len() - at) as u64 >= MANY
            && self.health.is_good()
            && rewriting.failures.load(Relaxed) < REWRITES_FAILED
        {
            // Another thread may be at it.
            let Some(mut memory) = rewriting.memory.lock().take() else { break };
            let mut done = |page, result| done(at + page, result);
            let written = self.write_segment(rewriting, &pages[at..], &mut memory, &mut done);
            *rewriting.memory.lock() = Some(memory);
            if written == 0 {
                break;
            }
            at += written;
        }
        at
    }

    /// Writes the first pages of these together with those of a segment. Returns how many that were.
    fn write_segment(
        &self,
        rewriting: &Rewriting<P>,
        pages: &[&[u8]],
        memory: &mut [u8],
        done: &mut Done<'_, C::Tag>,
    ) -> usize {
        let Some(rewrite) = self.slots.lock().begin_rewrite(pages.len()) else { return 0 };
        if !self.read_segment(&rewrite, memory) {
            // It has a bad spot.
            self.slots.lock().end_rewrite(&rewrite, false, true);
            return 0;
        }
        let mut pieces: [&[u8]; RUN] = [&[]; RUN];
        pieces
            .iter_mut()
            .zip(memory.chunks_exact(self.header.page_size))
            .for_each(|(piece, page)| *piece = page);
        let mut tags = [None; RUN];
        let new = || each(rewrite.first, rewrite.new);
        for (slot, (page, tag)) in new().zip(pages.iter().zip(&mut tags)) {
            let Some((bytes, number)) = self.protection.protect(slot, page, &mut []) else { continue };
            (pieces[(slot - rewrite.first) as usize], *tag) = (bytes, Some(number));
        }
        self.counts.runs_written.fetch_add(1, Relaxed);
        let is_moved = disk::write(&self.disk, self.offset(rewrite.to), &pieces).is_ok();
        self.slots.lock().end_rewrite(&rewrite, is_moved, false);
        if !is_moved {
            rewriting.failures.fetch_add(1, Relaxed);
            return 0;
        }
        rewriting.failures.store(0, Relaxed);
        self.counts.pages_rewritten.fetch_add(rewrite.kept.count_ones().into(), Relaxed);
        new().enumerate().for_each(|(at, slot)| done(at, self.written(slot, tags[at])));
        rewrite.new.count_ones() as usize
    }

    /// Reads a segment. False if its pages are not those that were stored there.
    fn read_segment(&self, rewrite: &Rewrite, memory: &mut [u8]) -> bool {
        let Rewrite { first, kept, from, sum, .. } = *rewrite;
        // From the first page to the last one.
        let pages = kept.trailing_zeros().min(63) as usize..(64 - kept.leading_zeros()) as usize;
        if pages.is_empty() {
            return true;
        }
        let bytes = pages.start * self.header.page_size..pages.end * self.header.page_size;
        let offset = self.offset(from + pages.start as u64);
        if disk::read(&self.disk, offset, &mut memory[bytes]).is_err() {
            return false;
        }
        let weights = each(first, kept).map(|slot| {
            let page = memory.chunks_exact(self.header.page_size).nth((slot - first) as usize);
            let (_, tag) = self.protection.protect(slot, page?, &mut [])?;
            Some(weight::<C>(slot, &tag))
        });
        weights.flatten().fold(0, u64::wrapping_add) == sum
    }

    /// Writes pages, from this one on, to as many runs of slots as there may be writes at once.
    /// Returns which page is the next one.
    fn write_at_once(&self, all: &[&[u8]], start: usize, done: &mut Done<'_, C::Tag>) -> usize {
        if !self.health.is_good() {
            return start;
        }
        let pages = &all[start..];
        let mut runs = [const { 0..0 }; RUN];
        let (mut count, mut len) = (0, 0);
        while len < pages.len() && count < self.disk.at_once().min(RUN) {
            let Some(run) = self.take_run(pages.len() - len) else { break };
            len += (run.end - run.start) as usize;
            runs[count] = run;
            count += 1;
        }
        let runs = &runs[..count];
        let mut tags = [None; RUN];
        let mut written = [0; RUN];
        // One run is written as always, and so is what cannot be protected.
        if count > 1 {
            let mut copies = self.copies(len);
            let mut protected: [&[u8]; RUN] = [&[]; RUN];
            let slots = runs.iter().cloned().flatten();
            if self.protect(slots, &pages[..len], &mut copies, &mut protected, &mut tags) {
                self.write_runs(runs, &protected[..len], &mut written);
            }
            self.keep_copies(copies);
        }
        let mut first = 0;
        for (run, written) in runs.iter().zip(written) {
            let count = (run.end - run.start) as usize;
            for (at, slot) in (first..first + written).zip(run.clone()) {
                done(start + at, self.written(slot, tags[at]));
            }
            // What the device has not taken is written as always, which finds out why.
            let rest = first + written..first + count;
            self.write_run(run.start + written as u64, &pages[rest.clone()], &mut |at, result| {
                done(start + rest.start + at, result);
            });
            self.end_write(run);
            first += count;
        }
        start + len
    }

    /// Writes pages to runs, all at once. Says of each run how many whole pages were written.
    fn write_runs(&self, runs: &[Range<u64>], pages: &[&[u8]], written: &mut [usize; RUN]) {
        let mut writes: [(u64, &[&[u8]]); RUN] = [(0, &[]); RUN];
        let mut rest = pages;
        for (write, run) in writes.iter_mut().zip(runs) {
            let (pages, after) = rest.split_at((run.end - run.start) as usize);
            *write = (self.offset(self.place(run.start)), pages);
            rest = after;
        }
        self.counts.runs_written.fetch_add(runs.len() as u64, Relaxed);
        self.disk.write_each_at(&writes[..runs.len()], &mut |at, result| {
            written[at] = result.map_or(0, |bytes| (bytes / self.header.page_size).min(writes[at].1.len()));
        });
    }

    /// Free slots that lie side by side. If there are none, those that failed some time ago.
    fn take_run(&self, most: usize) -> Option<Range<u64>> {
        let mut slots = self.slots.lock();
        slots.take_run(most).or_else(|| {
            let (now, before) = (P::now(), self.bad_tried.load(Relaxed));
            if now - before < BAD_AGAIN.as_nanos() as u64 || !slots.try_bad_again() {
                return None;
            }
            self.bad_tried.store(now, Relaxed);
            slots.take_run(most)
        })
    }

    /// Writes pages to slots that lie side by side.
    fn write_run(&self, start: u64, pages: &[&[u8]], done: &mut Done<'_, C::Tag>) {
        // Most runs are short where many slots are taken, and lists for 64 pages take longer than these.
        match pages.len() {
            1 => self.write_run_of::<1>(start, pages, done),
            2..=8 => self.write_run_of::<8>(start, pages, done),
            _ => self.write_run_of::<RUN>(start, pages, done),
        }
    }

    /// The same for up to `N` pages.
    fn write_run_of<const N: usize>(&self, start: u64, pages: &[&[u8]], done: &mut Done<'_, C::Tag>) {
        let mut at = 0;
        while at < pages.len() {
            let first = start + at as u64;
            let mut tags = [None; N];
            let (written, error) = match self.write_slots(first, &pages[at..], &mut tags) {
                Ok(()) => (pages.len() - at, None),
                Err((written, error)) => (written, Some(error)),
            };
            for (offset, tag) in tags[..written].iter().enumerate() {
                done(at + offset, self.written(first + offset as u64, *tag));
            }
            // The error of many is not one of each: only a page that is written alone is known to have
            // failed.
            let was_alone = pages.len() - at == 1;
            at += written;
            if let Some(error) = error {
                let slot = start + at as u64;
                let page = pages[at];
                let result = match if was_alone { Err(error) } else { self.write_one(slot, page) } {
                    Ok(tag) => self.written(slot, tag),
                    Err(error) => self.write_elsewhere(slot, error, page),
                };
                done(at, result);
                at += 1;
            }
            if !self.health.is_good() {
                // The others would fare no better.
                let mut slots = self.slots.lock();
                (start + at as u64..start + pages.len() as u64).for_each(|slot| self.put(&mut slots, slot));
                drop(slots);
                return (at..pages.len()).for_each(|at| done(at, Err(StoreError::Io)));
            }
        }
    }

    /// Writes up to `N` pages to slots that lie side by side.
    ///
    /// # Errors
    ///
    /// The number of pages that were written before the one that failed.
    fn write_slots<const N: usize>(
        &self,
        start: u64,
        pages: &[&[u8]],
        tags: &mut [Option<C::Tag>; N],
    ) -> Result<(), (usize, DiskError)> {
        let mut copies = self.copies(pages.len());
        let mut protected: [&[u8]; N] = [&[]; N];
        if !self.protect(start.., pages, &mut copies, &mut protected, tags) {
            return Err((0, DiskError::Io));
        }
        self.counts.runs_written.fetch_add(1, Relaxed);
        let result = disk::write(&self.disk, self.offset(self.place(start)), &protected[..pages.len()]);
        if !matches!(result, Err((0, _))) && !self.health.is_good() {
            self.health.worked();
        }
        self.keep_copies(copies);
        result
    }

    /// Makes of pages what goes to these slots, with the tag of each. False if one cannot be protected.
    fn protect<'a>(
        &self,
        slots: impl Iterator<Item = u64>,
        pages: &[&'a [u8]],
        copies: &'a mut [u8],
        protected: &mut [&'a [u8]],
        tags: &mut [Option<C::Tag>],
    ) -> bool {
        let mut copy = copies.chunks_exact_mut(self.header.page_size);
        for (at, (page, slot)) in pages.iter().zip(slots).enumerate() {
            let copy = copy.next().unwrap_or_default();
            let Some((bytes, tag)) = self.protection.protect(slot, page, copy) else { return false };
            (protected[at], tags[at]) = (bytes, Some(tag));
        }
        true
    }

    fn write_one(&self, slot: u64, page: &[u8]) -> Result<Option<C::Tag>, DiskError> {
        let mut tags = [None];
        self.write_slots(slot, &[page], &mut tags).map_err(|(_, error)| error).map(|()| tags[0])
    }

    /// Memory for this many pages, if they are changed.
    fn copies(&self, pages: usize) -> Vec<u8> {
        if !C::CHANGES {
            return Vec::new();
        }
        let mut copies = self.copies.lock().pop().unwrap_or_default();
        copies.resize(pages * self.header.page_size, 0);
        copies
    }

    fn keep_copies(&self, copies: Vec<u8>) {
        if C::CHANGES {
            self.copies.lock().push(copies);
        }
    }

    /// Gives a slot back.
    fn put(&self, slots: &mut Slots, slot: u64) {
        if let Some(zone) = slots.put(slot) {
            self.protection.zone_is_empty(zone);
        }
    }

    /// Writes a page to another slot than the one that failed, and finds out what has failed.
    fn write_elsewhere(
        &self,
        failed: u64,
        error: DiskError,
        page: &[u8],
    ) -> Result<Slot<C::Tag>, StoreError> {
        let mut all = [failed; 1 + OTHERS as usize];
        let (mut count, mut error) = (1, error);
        let mut written = None;
        for turn in 0..OTHERS {
            let Some(slot) = self.slots.lock().take_elsewhere(failed, turn) else { break };
            match self.write_one(slot, page) {
                Ok(tag) => {
                    written = Some((slot, tag));
                    break;
                }
                Err(other) => (all[count], count, error) = (slot, count + 1, other),
            }
        }
        self.counts.failed_slots.fetch_add(count as u64, Relaxed);
        // With nothing to compare it with, a slot that fails is a bad spot.
        let is_outage = written.is_none() && count > 1 && error == DiskError::Io;
        if is_outage && self.health.failed() {
            self.counts.outages.fetch_add(1, Relaxed);
        }
        let are_bad = !is_outage && error == DiskError::Io;
        let mut slots = self.slots.lock();
        for slot in &all[..count] {
            if are_bad {
                slots.retire(*slot);
            } else {
                self.put(&mut slots, *slot);
            }
        }
        drop(slots);
        let result = written.ok_or(StoreError::from(error)).and_then(|(slot, tag)| self.written(slot, tag));
        let others = all[1..count].iter().copied().chain(written.map(|(slot, _)| slot));
        others.for_each(|slot| self.end_write(&(slot..slot + 1)));
        result
    }

    /// The place of a page that has been written.
    fn written(&self, slot: u64, tag: Option<C::Tag>) -> Result<Slot<C::Tag>, StoreError> {
        self.counts.pages_written.fetch_add(1, Relaxed);
        if let (Some(_), Some(tag)) = (&self.rewriting, &tag) {
            self.slots.lock().weigh(slot, weight::<C>(slot, tag));
        }
        tag.map(|tag| Slot::new(slot, tag)).ok_or(StoreError::Io)
    }

    /// Reads pages that lie side by side by one transfer, and others at once if the device can do that. What
    /// is not right then is read as a single page, which finds out why.
    fn read_runs(
        &self,
        places: &[&Slot<C::Tag>],
        pages: &mut [u8],
        done: &mut dyn FnMut(usize, Result<(), StoreError>),
    ) {
        let size = self.header.page_size;
        let mut starts = [0; RUN];
        starts.iter_mut().zip(places).for_each(|(start, slot)| *start = self.place(slot.number()));
        let mut runs: [(u64, &mut [u8]); RUN] = core::array::from_fn(|_| (0, &mut [][..]));
        let mut is_read = [false; RUN];
        let mut lens = [0; RUN];
        let (mut count, mut rest) = (0, pages);
        for run in starts[..places.len()].chunk_by(|a, b| a + 1 == *b) {
            let (bytes, after) = rest.split_at_mut(run.len() * size);
            (lens[count], runs[count]) = (bytes.len(), (self.offset(run[0]), bytes));
            (count, rest) = (count + 1, after);
        }
        let most = self.disk.reads_at_once();
        if most > 1 && count > 1 {
            for (first, runs) in (0..).step_by(most).zip(runs[..count].chunks_mut(most)) {
                self.disk.read_each_at(runs, &mut |at, result| {
                    is_read[first + at] = result == Ok(lens[first + at]);
                });
            }
        } else {
            for (is_read, (offset, bytes)) in is_read.iter_mut().zip(&mut runs[..count]) {
                *is_read = disk::read(&self.disk, *offset, bytes).is_ok();
            }
        }
        let pages = runs[..count]
            .iter_mut()
            .zip(is_read)
            .flat_map(|((_, bytes), is_read)| bytes.chunks_exact_mut(size).map(move |page| (page, is_read)));
        for (at, ((page, is_read), slot)) in pages.zip(places).enumerate() {
            let is_it = is_read && self.protection.verify(slot.number(), &slot.tag, page);
            self.counts.pages_read.fetch_add(is_it.into(), Relaxed);
            done(at, if is_it { Ok(()) } else { self.read_slot(slot, page) });
        }
    }

    /// Reads a page, once more if need be.
    fn read_slot(&self, slot: &Slot<C::Tag>, page: &mut [u8]) -> Result<(), StoreError> {
        let mut place = self.place(slot.number());
        let mut result = self.read_once(slot, page);
        loop {
            // While it was read it may have gone to another place, and another page to this one.
            let before = core::mem::replace(&mut place, self.place(slot.number()));
            if result.is_ok() || place == before {
                break;
            }
            result = self.read_once(slot, page);
        }
        result = result.or_else(|_| self.read_once(slot, page));
        while result == Err(StoreError::Io) && self.is_out(page) && self.health.wait() {
            result = self.read_once(slot, page);
        }
        let count = if result.is_ok() { &self.counts.pages_read } else { &self.counts.failed_reads };
        count.fetch_add(1, Relaxed);
        // What was read instead may belong to somebody else.
        result.inspect_err(|_| page.fill(0))
    }

    /// Whether the device has stopped to work, rather than one of its slots: the superblock cannot be read
    /// either.
    fn is_out(&self, page: &mut [u8]) -> bool {
        if disk::read(&self.disk, 0, page).is_ok() {
            self.health.worked();
            return false;
        }
        if self.health.is_good() && self.health.failed() {
            self.counts.outages.fetch_add(1, Relaxed);
        }
        true
    }

    fn read_once(&self, slot: &Slot<C::Tag>, page: &mut [u8]) -> Result<(), StoreError> {
        disk::read(&self.disk, self.offset(self.place(slot.number())), page)?;
        let is_it = self.protection.verify(slot.number(), &slot.tag, page);
        if is_it { Ok(()) } else { Err(StoreError::Corrupt) }
    }
}

/// What a page weighs in the sum of its segment: another number in each slot, spread over all bits.
fn weight<C: Protection>(slot: u64, tag: &C::Tag) -> u64 {
    let number = u64::from(C::number(tag)) * SEGMENT + slot % SEGMENT;
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

impl<D: Disk, P: Platform, C: Protection> Store for SwapStore<D, P, C> {
    type Place = Slot<C::Tag>;

    fn page_size(&self) -> usize {
        self.header.page_size
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Self::Place, StoreError>)) {
        let is_page = |page: &[u8]| page.len() == self.page_size();
        for (first, batch) in (0..).step_by(RUN).zip(pages.chunks(RUN)) {
            if batch.iter().all(|page| is_page(page)) {
                self.write_batch(batch, &mut |at, result| done(first + at, result));
                continue;
            }
            for (at, page) in batch.iter().enumerate() {
                if is_page(page) {
                    self.write_batch(&[page], &mut |_, result| done(first + at, result));
                } else {
                    done(first + at, Err(StoreError::NotAPage));
                }
            }
        }
    }

    fn read(&self, place: &Self::Place, page: &mut [u8]) -> Result<(), StoreError> {
        if page.len() != self.page_size() {
            return Err(StoreError::NotAPage);
        }
        self.read_slot(place, page)
    }

    fn read_each(
        &self,
        places: &[&Self::Place],
        pages: &mut [u8],
        done: &mut dyn FnMut(usize, Result<(), StoreError>),
    ) {
        if let ([place], true) = (places, pages.len() == self.page_size()) {
            return done(0, self.read_slot(place, pages));
        }
        let batches = places.chunks(RUN).zip(pages.chunks_mut(RUN * self.header.page_size));
        for (first, (places, pages)) in (0..).step_by(RUN).zip(batches) {
            self.read_runs(places, pages, &mut |at, result| done(first + at, result));
        }
    }

    fn free(&self, place: Self::Place) {
        let slot = place.number();
        let mut slots = self.slots.lock();
        if self.rewriting.is_some() {
            slots.weigh(slot, weight::<C>(slot, &place.tag).wrapping_neg());
        }
        self.put(&mut slots, slot);
    }

    fn tidy(&self) -> bool {
        let Some(slots) = self.slots.lock().take_empty_zone() else { return false };
        let len = if self.rewriting.is_some() { SEGMENT } else { slots.end - slots.start };
        for first in slots.clone().step_by(len as usize) {
            self.disk.discard(self.offset(self.place(first)), self.offset(len));
        }
        let mut all = self.slots.lock();
        slots.for_each(|slot| self.put(&mut all, slot));
        true
    }

    fn stop_waiting(&self) {
        self.health.stop_waiting();
        self.disk.stop_waiting();
    }

    fn space(&self) -> Space {
        let slots = self.slots.lock();
        Space { total: slots.total(), free: slots.free(), bad: slots.bad(), same_filled: 0 }
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
