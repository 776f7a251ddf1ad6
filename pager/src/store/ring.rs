//! Many transfers to and from a file at once, by io_uring.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use io_uring::{IoUring, opcode, squeue, types};
use rustix::io::Errno;

use super::disk::RUN;

/// Rings that no thread uses at present.
pub(super) struct Rings(Mutex<Vec<Ring>>);

/// How many there are. A thread that finds none transfers one run after the other.
const RINGS: usize = 4;

/// A ring with room for all transfers of a batch.
struct Ring(IoUring);

impl std::fmt::Debug for Rings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rings")
    }
}

impl Rings {
    /// All that there will be, since a host may care when descriptors are opened. `None` where the system
    /// does not have io_uring, or does not permit it.
    pub(super) fn new() -> Option<Self> {
        let rings: Option<Vec<Ring>> = (0..RINGS).map(|_| Ring::new()).collect();
        rings.map(|rings| Self(Mutex::new(rings)))
    }

    /// Writes to several places of a file, [`RUN`] at most, all at once, and returns when all are done.
    /// `done` is told how many bytes were written, by the index of the write.
    pub(super) fn write(
        &self,
        file: &File,
        writes: &[(u64, Vec<IoSlice<'_>>)],
        done: &mut dyn FnMut(usize, Result<usize, Errno>),
    ) {
        let free = self.free().pop();
        let Some(mut ring) = free else {
            return writes.iter().enumerate().for_each(|(at, (offset, slices))| {
                done(at, rustix::io::retry_on_intr(|| rustix::io::pwritev(file, slices, *offset)));
            });
        };
        // An `IoSlice` is laid out as an `iovec` is.
        let entries = writes.iter().map(|(offset, slices)| {
            let (slices, count) = (slices.as_ptr().cast(), slices.len() as u32);
            opcode::Writev::new(types::Fd(file.as_raw_fd()), slices, count).offset(*offset).build()
        });
        // SAFETY: the file, the slices and what they point to are borrowed for longer than this call.
        if unsafe { ring.transfer(entries, done) } {
            self.free().push(ring);
        }
    }

    /// Reads from several places of a file in the same way.
    pub(super) fn read(
        &self,
        file: &File,
        reads: &mut [(u64, &mut [u8])],
        done: &mut dyn FnMut(usize, Result<usize, Errno>),
    ) {
        let free = self.free().pop();
        let Some(mut ring) = free else {
            return reads.iter_mut().enumerate().for_each(|(at, (offset, bytes))| {
                done(at, rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut **bytes, *offset)));
            });
        };
        let entries = reads.iter_mut().map(|(offset, bytes)| {
            let (start, len) = (bytes.as_mut_ptr(), bytes.len() as u32);
            opcode::Read::new(types::Fd(file.as_raw_fd()), start, len).offset(*offset).build()
        });
        // SAFETY: the file and the bytes are borrowed for longer than this call, the bytes by nobody else.
        if unsafe { ring.transfer(entries, done) } {
            self.free().push(ring);
        }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Ring>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn new() -> Option<Self> {
        IoUring::new(RUN as u32).ok().map(Self)
    }

    /// Returns when all is done, and false if the ring is of no use any more.
    ///
    /// # Safety
    ///
    /// What the entries point to may be read or written by them for as long as this call.
    unsafe fn transfer(
        &mut self,
        entries: impl Iterator<Item = squeue::Entry>,
        done: &mut dyn FnMut(usize, Result<usize, Errno>),
    ) -> bool {
        let mut results = [Err(Errno::IO); RUN];
        let (mut count, mut left) = (0, 0);
        for (at, entry) in entries.enumerate().take(RUN) {
            // SAFETY: the caller's promise; this does not return while the system has an entry that is not
            // completed.
            let pushed = unsafe { self.0.submission().push(&entry.user_data(at as u64)) };
            left += usize::from(pushed.is_ok());
            count += 1;
        }
        let mut works = true;
        while left > 0 && works {
            let entered = self.0.submit_and_wait(left);
            // What is under way is waited for, whatever happens. Only where the system has taken nothing may
            // this end.
            works = entered.is_ok() || self.0.submission().len() < left;
            for completion in self.0.completion() {
                let bytes = usize::try_from(completion.result());
                results[completion.user_data() as usize % RUN] =
                    bytes.map_err(|_| Errno::from_raw_os_error(-completion.result()));
                left -= 1;
            }
        }
        results.into_iter().take(count).enumerate().for_each(|(at, result)| done(at, result));
        works
    }
}
