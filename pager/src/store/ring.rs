//! Many writes to a file at once, by io_uring.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use io_uring::{IoUring, opcode, types};
use rustix::io::Errno;

use super::disk::RUN;

/// Rings, as many as there have been threads that write at once.
pub(super) struct Rings(Mutex<Vec<Ring>>);

/// A ring with room for all writes of a batch.
struct Ring(IoUring);

impl std::fmt::Debug for Rings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rings")
    }
}

impl Rings {
    /// `None` where the system does not have io_uring, or does not permit it.
    pub(super) fn new() -> Option<Self> {
        Some(Self(Mutex::new(std::vec![Ring::new()?])))
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
        let Some(mut ring) = free.or_else(Ring::new) else {
            // The system has no memory for one more ring.
            return writes.iter().enumerate().for_each(|(at, (offset, slices))| {
                done(at, rustix::io::retry_on_intr(|| rustix::io::pwritev(file, slices, *offset)));
            });
        };
        if ring.write(file, writes, done) {
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

    /// Returns false if the ring is of no use any more.
    fn write(
        &mut self,
        file: &File,
        writes: &[(u64, Vec<IoSlice<'_>>)],
        done: &mut dyn FnMut(usize, Result<usize, Errno>),
    ) -> bool {
        let mut results = [Err(Errno::IO); RUN];
        let mut left = 0;
        for (at, (offset, slices)) in writes.iter().enumerate().take(RUN) {
            // An `IoSlice` is laid out as an `iovec` is.
            let slices = (slices.as_ptr().cast(), slices.len() as u32);
            let entry = opcode::Writev::new(types::Fd(file.as_raw_fd()), slices.0, slices.1);
            let entry = entry.offset(*offset).build().user_data(at as u64);
            // SAFETY: the file, the slices and what they point to are borrowed for longer than this call,
            // which does not return while the system has an entry that is not completed.
            let pushed = unsafe { self.0.submission().push(&entry) };
            left += usize::from(pushed.is_ok());
        }
        let mut works = true;
        while left > 0 && works {
            let entered = self.0.submit_and_wait(left);
            // What is under way is waited for, whatever happens. Only where the system has taken nothing may
            // this end.
            works = entered.is_ok() || self.0.submission().len() < left;
            for completion in self.0.completion() {
                let written = usize::try_from(completion.result());
                results[completion.user_data() as usize % RUN] =
                    written.map_err(|_| Errno::from_raw_os_error(-completion.result()));
                left -= 1;
            }
        }
        results.into_iter().take(writes.len()).enumerate().for_each(|(at, result)| done(at, result));
        works
    }
}
