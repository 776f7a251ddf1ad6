//! Transfers to and from the store: a queue, and what its threads do.
//!
//! Reading a page takes memory, which writing others frees. So the threads that read may have to wait for the kernel to find memory, and those
//! that write must never wait for them.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use mig_runtime::abi::Native;
use mig_runtime::platform::{Condvar, Mutex, Platform};
use mig_runtime::{Kernel, OolMemory};

use super::SwapPager;
use super::entry::{Entry, Shared};
use crate::object::{AfterRead, AfterWrite, Drained, Pages, Read, ReadFailure, Ticket};
use crate::store::{Store, StoreError, Stored};

/// A page to be written.
pub(super) struct WriteJob<K: Kernel, P: Platform> {
    pub(super) entry: Arc<Entry<K, P>>,
    pub(super) page: u64,
    pub(super) ticket: Ticket,
    pub(super) data: Shared<K, P>,
}

/// A page to be read.
pub(super) struct ReadJob<K: Kernel, P: Platform> {
    pub(super) entry: Arc<Entry<K, P>>,
    pub(super) page: u64,
    pub(super) read: Read<Stored>,
}

/// What waits for a thread.
pub(super) struct Transfers<K: Kernel, P: Platform> {
    queue: Mutex<P, Queue<K, P>>,
    more_to_read: P::Condvar,
    more_to_write: P::Condvar,
}

struct Queue<K: Kernel, P: Platform> {
    reads: VecDeque<ReadJob<K, P>>,
    writes: VecDeque<WriteJob<K, P>>,
    forgotten: Vec<Pages<Stored, Shared<K, P>>>,
    stopped: bool,
}

enum Job<K: Kernel, P: Platform> {
    Read(ReadJob<K, P>),
    Write(Vec<WriteJob<K, P>>),
    Forget(Pages<Stored, Shared<K, P>>),
}

impl<K: Kernel, P: Platform> Default for Transfers<K, P> {
    fn default() -> Self {
        let queue =
            Queue { reads: VecDeque::new(), writes: VecDeque::new(), forgotten: Vec::new(), stopped: false };
        Self {
            queue: Mutex::<P, _>::new(queue),
            more_to_read: P::Condvar::default(),
            more_to_write: P::Condvar::default(),
        }
    }
}

impl<K: Kernel, P: Platform> Transfers<K, P> {
    pub(super) fn read(&self, job: ReadJob<K, P>) {
        self.queue.lock().reads.push_back(job);
        self.more_to_read.notify_one();
    }

    pub(super) fn write(&self, jobs: Vec<WriteJob<K, P>>) {
        if !jobs.is_empty() {
            self.queue.lock().writes.extend(jobs);
            self.more_to_write.notify_one();
        }
    }

    pub(super) fn forget(&self, pages: Pages<Stored, Shared<K, P>>) {
        self.queue.lock().forgotten.push(pages);
        self.more_to_write.notify_one();
    }

    fn stop(&self) {
        self.queue.lock().stopped = true;
        self.more_to_read.notify_all();
        self.more_to_write.notify_all();
    }
}

impl<K: Kernel, P: Platform> Queue<K, P> {
    fn next_read(&mut self) -> Option<Job<K, P>> {
        self.reads.pop_front().map(Job::Read)
    }

    fn next_write(&mut self, batch: usize) -> Option<Job<K, P>> {
        // Before the writes, which may need the room.
        if let Some(pages) = self.forgotten.pop() {
            return Some(Job::Forget(pages));
        }
        if self.writes.is_empty() {
            return None;
        }
        let mut batch: Vec<_> = self.writes.drain(..batch.clamp(1, self.writes.len())).collect();
        // Side by side in the store if they are in the object.
        batch.sort_by_key(|job| (job.entry.handle, job.page));
        Some(Job::Write(batch))
    }
}

impl<K: Kernel<Abi = Native>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// Reads pages from the store for who waits for them, as one of any number of threads, until [told to stop](Self::stop_transfers) and
    /// nothing is left to do. It allocates memory for each page.
    pub fn serve_reads(&self) {
        self.serve_transfers(&self.transfers.more_to_read, Queue::next_read);
    }

    /// Writes pages to the store, and frees the room of objects that are gone, in the same way. On a machine that is short of memory it is what
    /// makes some free.
    pub fn serve_writes(&self) {
        self.serve_transfers(&self.transfers.more_to_write, |queue| queue.next_write(self.config.batch));
    }

    fn serve_transfers(&self, more: &P::Condvar, next: impl Fn(&mut Queue<K, P>) -> Option<Job<K, P>>) {
        loop {
            let job = {
                let mut queue = self.transfers.queue.lock();
                loop {
                    if let Some(job) = next(&mut queue) {
                        break job;
                    }
                    if queue.stopped {
                        return;
                    }
                    more.wait(&mut queue);
                }
            };
            self.transfer(job);
        }
    }

    /// Does one piece of the work of [`serve_reads`](Self::serve_reads) or [`serve_writes`](Self::serve_writes). False if there was none.
    pub fn transfer_one(&self) -> bool {
        let job = {
            let mut queue = self.transfers.queue.lock();
            queue.next_read().or_else(|| queue.next_write(self.config.batch))
        };
        match job {
            Some(job) => {
                self.transfer(job);
                true
            }
            None => false,
        }
    }

    /// Ends [`serve_reads`](Self::serve_reads) and [`serve_writes`](Self::serve_writes).
    pub fn stop_transfers(&self) {
        self.transfers.stop();
    }

    fn transfer(&self, job: Job<K, P>) {
        match job {
            Job::Read(job) => self.read(job),
            Job::Write(jobs) => self.write(jobs),
            Job::Forget(pages) => pages.into_places().for_each(|place| self.store.free(place)),
        }
    }

    /// Writes pages, except those that were overtaken while they waited.
    fn write(&self, jobs: Vec<WriteJob<K, P>>) {
        let is_current =
            |job: &WriteJob<K, P>| job.entry.lock().object.pages.is_current(job.page, job.ticket);
        let (jobs, overtaken): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_current);
        overtaken.into_iter().for_each(|job| self.written(job, None));
        if jobs.is_empty() {
            return;
        }

        self.counters.pages_a_write.count(jobs.len() as u64);
        let pages: Vec<&[u8]> = jobs.iter().map(|job| &**job.data).collect();
        let mut places: Vec<Option<Stored>> = jobs.iter().map(|_| None).collect();
        self.store.write(&pages, &mut |at, result| match result {
            Ok(place) => places[at] = Some(place),
            Err(_) => self.counters.write_failures.count(),
        });
        for (job, place) in jobs.into_iter().zip(places) {
            self.written(job, place);
        }
    }

    /// What follows from a write.
    fn written(&self, job: WriteJob<K, P>, place: Option<Stored>) {
        self.counters.written.add(place.is_some() as u64);
        let (after, user) = {
            let mut state = job.entry.lock();
            (state.object.pages.written(job.page, job.ticket, place), state.rights.user.clone())
        };
        match after {
            AfterWrite::Stored(place) => self.free(place),
            AfterWrite::Superseded(place) => {
                self.counters.superseded.count();
                self.free(place);
            }
            AfterWrite::Again(place) => {
                self.store.free(place);
                self.transfers.write(alloc::vec![job]);
                return;
            }
            AfterWrite::Precious => {}
            AfterWrite::Unstored(unstored) => {
                self.unstored(&job.entry, user.as_ref(), job.page, &job.data, unstored)
            }
        }
        self.transfer_ended(&job.entry);
    }

    /// Reads a page and supplies it.
    pub(super) fn read(&self, job: ReadJob<K, P>) {
        let ReadJob { entry, page, read } = job;
        let takes_room = read.place.same_filled().is_none();
        let (memory, result) = match self.read_page(&read.place) {
            Ok(memory) => (Some(memory), Ok(())),
            Err(failure) => {
                self.counters.read_failures.count();
                (None, Err(failure))
            }
        };
        let (after, user) = {
            let mut state = entry.lock();
            (state.object.pages.read(page, read, result), state.rights.user.clone())
        };
        match (after, user, memory) {
            (AfterRead::Supply, Some(user), Some(memory)) => {
                self.counters.read.count();
                let precious = takes_room && self.is_short();
                if self.supply(&user, page, memory, precious) && precious {
                    self.counters.supplied_precious.count();
                    let place = entry.lock().object.pages.give_away(page);
                    self.free(place);
                }
            }
            (AfterRead::Supply, ..) => {}
            (AfterRead::Error(place), user, _) => {
                self.counters.lost.add(place.is_some() as u64);
                self.free(place);
                if let Some(user) = user {
                    self.error(&user, page);
                }
            }
            (AfterRead::Superseded(place), ..) => self.store.free(place),
        }
        self.transfer_ended(&entry);
    }

    /// Reads a page.
    fn read_page(&self, place: &Stored) -> Result<OolMemory<K>, ReadFailure> {
        let mut memory =
            OolMemory::allocate(&self.kernel, self.page_size).map_err(|_| ReadFailure::Transient)?;
        match self.store.read(place, &mut memory) {
            Ok(()) => Ok(memory),
            Err(StoreError::Corrupt | StoreError::NotAPage) => Err(ReadFailure::Corrupt),
            Err(StoreError::Io | StoreError::Full) => Err(ReadFailure::Transient),
        }
    }

    /// True if the store has little room left.
    fn is_short(&self) -> bool {
        let space = self.store.space();
        space.free.saturating_mul(100) < space.total.saturating_mul(self.config.precious_below.into())
    }

    fn free(&self, place: Option<Stored>) {
        if let Some(place) = place {
            self.store.free(place);
        }
    }

    /// A transfer has ended, and all that follows from it is done. What has waited for the last one is done now.
    pub(super) fn transfer_ended(&self, entry: &Arc<Entry<K, P>>) {
        let mut state = entry.lock();
        let Some(drained) = state.object.transfer_ended() else { return };
        let ended = state.rights.ended.take();
        let user = match drained {
            Drained::ReleaseAndReady => {
                state.rights.user = state.rights.next.take();
                state.rights.user.clone()
            }
            Drained::Release | Drained::Forget => None,
        };
        drop(state);
        drop(ended);
        if let Some(user) = user {
            self.sent(user.control.ready());
        }
        if drained == Drained::Forget {
            self.forget(entry);
        }
    }
}
