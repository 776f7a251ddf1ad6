//! The device below a swap store, and whole transfers on top of its partial ones.

use alloc::boxed::Box;
use core::fmt;

/// A device that keeps bytes: a file, a disk.
///
/// Transfers start at a multiple of [`record_size`](Self::record_size) and are multiples of it. They may end
/// early, as those of real devices do; whoever calls goes on from the last whole record. The methods block
/// and may be called by many threads at once.
pub trait Disk: Send + Sync + 'static {
    /// Bytes on the device.
    fn size(&self) -> u64;

    /// Bytes in a record, the unit of transfer: a power of two.
    fn record_size(&self) -> usize;

    /// Reads bytes from `offset` on. Returns how many.
    ///
    /// # Errors
    ///
    /// [`DiskError::Io`]; what `buffer` holds then is undefined.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError>;

    /// Writes pieces one after the other from `offset` on. Returns how many bytes.
    ///
    /// # Errors
    ///
    /// [`DiskError`]; what the device holds then in that range is undefined.
    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError>;

    /// How many writes are worth having under way at once: more than 1 if
    /// [`write_each_at`](Self::write_each_at) is better than one write after the other.
    fn at_once(&self) -> usize {
        1
    }

    /// True if a transfer of a few pages takes about as long as one of many, as where something moves or is
    /// asked over a wire: the store then reads and writes pages again to make long writes of short ones.
    fn prefers_long_writes(&self) -> bool {
        false
    }

    /// Writes as [`write_at`](Self::write_at) does, to several places: each has an offset and its pieces, and
    /// there are no more than [`at_once`](Self::at_once). `done` is told what has become of each, by its
    /// index, in any order.
    fn write_each_at(&self, runs: &[(u64, &[&[u8]])], done: &mut dyn FnMut(usize, Result<usize, DiskError>)) {
        write_one_by_one(self, runs, done);
    }

    /// How many reads are worth having under way at once: more than 1 if [`read_each_at`](Self::read_each_at)
    /// is better than one read after the other.
    fn reads_at_once(&self) -> usize {
        1
    }

    /// Reads as [`read_at`](Self::read_at) does, from several places: each has an offset and a buffer, and
    /// there are no more than [`reads_at_once`](Self::reads_at_once). `done` is told what has become of each,
    /// by its index, in any order.
    fn read_each_at(
        &self,
        runs: &mut [(u64, &mut [u8])],
        done: &mut dyn FnMut(usize, Result<usize, DiskError>),
    ) {
        read_one_by_one(self, runs, done);
    }

    /// Returns when everything that was written is on the medium.
    ///
    /// # Errors
    ///
    /// [`DiskError`] if something written is not.
    fn flush(&self) -> Result<(), DiskError>;

    /// Nothing in this range is needed any more. What the device makes of that is up to it, and so is what is
    /// read there afterwards.
    fn discard(&self, _offset: u64, _len: u64) {}

    /// From now on no thread waits for the device where it does not work: whoever waits for it to be there
    /// again gets an error now, and so does each later transfer. Those under way with a device that works
    /// come to their end.
    fn stop_waiting(&self) {}
}

/// A device of any kind, so that devices of several kinds can be in one store.
impl Disk for Box<dyn Disk> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn record_size(&self) -> usize {
        (**self).record_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        (**self).read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        (**self).write_at(offset, pieces)
    }

    fn at_once(&self) -> usize {
        (**self).at_once()
    }

    fn prefers_long_writes(&self) -> bool {
        (**self).prefers_long_writes()
    }

    fn write_each_at(&self, runs: &[(u64, &[&[u8]])], done: &mut dyn FnMut(usize, Result<usize, DiskError>)) {
        (**self).write_each_at(runs, done);
    }

    fn reads_at_once(&self) -> usize {
        (**self).reads_at_once()
    }

    fn read_each_at(
        &self,
        runs: &mut [(u64, &mut [u8])],
        done: &mut dyn FnMut(usize, Result<usize, DiskError>),
    ) {
        (**self).read_each_at(runs, done);
    }

    fn flush(&self) -> Result<(), DiskError> {
        (**self).flush()
    }

    fn discard(&self, offset: u64, len: u64) {
        (**self).discard(offset, len);
    }

    fn stop_waiting(&self) {
        (**self).stop_waiting();
    }
}

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// The device failed.
    Io,
    /// The device has no room for what was written, as on a file with holes. It may have later.
    Full,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiskError::Io => "the device failed",
            DiskError::Full => "the device has no room left",
        })
    }
}

impl core::error::Error for DiskError {}

/// [`Disk::write_each_at`] of a device that has one write at a time.
pub(super) fn write_one_by_one<D: Disk + ?Sized>(
    disk: &D,
    runs: &[(u64, &[&[u8]])],
    done: &mut dyn FnMut(usize, Result<usize, DiskError>),
) {
    for (index, (offset, pieces)) in runs.iter().enumerate() {
        done(index, disk.write_at(*offset, pieces));
    }
}

/// [`Disk::read_each_at`] of a device that has one read at a time.
pub(super) fn read_one_by_one<D: Disk + ?Sized>(
    disk: &D,
    runs: &mut [(u64, &mut [u8])],
    done: &mut dyn FnMut(usize, Result<usize, DiskError>),
) {
    for (index, (offset, buffer)) in runs.iter_mut().enumerate() {
        done(index, disk.read_at(*offset, buffer));
    }
}

/// Pages that go to the device in one call, at most.
pub(super) const RUN: usize = 64;

/// Reads all of `buffer`.
pub(super) fn read(disk: &impl Disk, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
    let mut progress = Progress::new(disk, buffer.len());
    while !progress.complete() {
        let bytes = disk.read_at(offset + progress.done as u64, &mut buffer[progress.done..])?;
        progress.advance(bytes)?;
    }
    Ok(())
}

/// Writes pages of one length, [`RUN`] at most.
///
/// # Errors
///
/// The number of pages that were written before the one that failed.
pub(super) fn write(disk: &impl Disk, offset: u64, pages: &[&[u8]]) -> Result<(), (usize, DiskError)> {
    let page_size = pages.first().map_or(0, |page| page.len());
    let mut progress = Progress::new(disk, page_size * pages.len());
    while !progress.complete() {
        let (whole, part) = (progress.done / page_size, progress.done % page_size);
        let at = offset + progress.done as u64;
        let written = if part == 0 {
            disk.write_at(at, &pages[whole..])
        } else {
            write_rest(disk, at, &pages[whole..], part)
        };
        written
            .and_then(|bytes| progress.advance(bytes))
            .map_err(|error| (progress.done / page_size, error))?;
    }
    Ok(())
}

/// Writes pages but for the first bytes, which have been written.
#[cold]
fn write_rest(disk: &impl Disk, offset: u64, pages: &[&[u8]], done: usize) -> Result<usize, DiskError> {
    let mut pieces: [&[u8]; RUN] = [&[]; RUN];
    let pieces = &mut pieces[..pages.len()];
    pieces.copy_from_slice(pages);
    pieces[0] = &pieces[0][done..];
    disk.write_at(offset, pieces)
}

/// How far a transfer has come that the device may cut short.
struct Progress {
    done: usize,
    total: usize,
    record_size: usize,
    stalled: bool,
}

impl Progress {
    fn new(disk: &impl Disk, total: usize) -> Self {
        Progress { done: 0, total, record_size: disk.record_size(), stalled: false }
    }

    fn complete(&self) -> bool {
        self.done == self.total
    }

    /// Takes in how many bytes the device says it transferred. Twice no record, or more than there was, is an
    /// error of the device.
    fn advance(&mut self, bytes: usize) -> Result<(), DiskError> {
        let end = self.done.checked_add(bytes).filter(|end| *end <= self.total).ok_or(DiskError::Io)?;
        let done = end - end % self.record_size;
        if done == self.done && self.stalled {
            return Err(DiskError::Io);
        }
        self.stalled = done == self.done;
        self.done = done;
        Ok(())
    }
}
