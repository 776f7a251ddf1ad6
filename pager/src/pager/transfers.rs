//! Transfers to and from the store: a queue, and what its threads do.
//!
//! A page that the kernel gets takes memory, which writing others frees. So the threads that supply pages may have to wait for the kernel to
//! find memory, and those that write must never wait for them.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use mig_runtime::abi::Native;
use mig_runtime::platform::{Condvar, Mutex, Platform};
use mig_runtime::{KernReturn, Kernel, OolMemory};

use super::SwapPager;
use super::entry::{Entry, ObjectPages, Place, Shared, User};
use crate::object::{AfterRead, AfterWrite, Drained, Read, ReadFailure, Ticket};
use crate::store::{Store, StoreError, Stored};

/// How many times 64 pages of an object that is gone are forgotten before what else there is to do has its turn.
const PIECE: usize = 16;

/// A page to be written.
pub(super) struct WriteJob<K: Kernel, P: Platform, S: Store> {
    pub(super) entry: Arc<Entry<K, P, S>>,
    pub(super) page: u64,
    pub(super) ticket: Ticket,
    pub(super) data: Shared<K, P>,
}

/// A page to be supplied.
pub(super) struct SupplyJob<K: Kernel, P: Platform, S: Store> {
    pub(super) entry: Arc<Entry<K, P, S>>,
    pub(super) page: u64,
    pub(super) from: Source<S::Place>,
}

/// Where a page that is to be supplied was when the kernel asked for it.
pub(super) enum Source<P> {
    /// On its way to the store. The job does not keep its memory there: that may be what the kernel waits for.
    Write,
    Store(Read<Stored<P>>),
}

impl<P> Source<P> {
    /// True if there is nothing to read.
    fn is_at_hand(&self) -> bool {
        match self {
            Self::Write => true,
            Self::Store(read) => read.place.is_same_filled(),
        }
    }
}

/// What waits for a thread.
pub(super) struct Transfers<K: Kernel, P: Platform, S: Store> {
    queue: Mutex<P, Queue<K, P, S>>,
    more_to_supply: P::Condvar,
    more_to_write: P::Condvar,
}

struct Queue<K: Kernel, P: Platform, S: Store> {
    /// Pages that are at hand. They go first.
    at_hand: VecDeque<SupplyJob<K, P, S>>,
    /// Pages to be read.
    stored: VecDeque<SupplyJob<K, P, S>>,
    writes: VecDeque<WriteJob<K, P, S>>,
    forgotten: VecDeque<ObjectPages<K, P, S>>,
    /// The last job was to forget pages.
    forgot: bool,
    /// There is little memory to note pages.
    notes_low: bool,
    stopped: bool,
}

/// What a thread that writes does.
enum Job<K: Kernel, P: Platform, S: Store> {
    Write(Vec<WriteJob<K, P, S>>),
    Forget(ObjectPages<K, P, S>),
    /// Take memory to note pages.
    Provide,
}

impl<K: Kernel, P: Platform, S: Store> Default for Transfers<K, P, S> {
    fn default() -> Self {
        let queue = Queue {
            at_hand: VecDeque::new(),
            stored: VecDeque::new(),
            writes: VecDeque::new(),
            forgotten: VecDeque::new(),
            forgot: false,
            notes_low: false,
            stopped: false,
        };
        Self {
            queue: Mutex::<P, _>::new(queue),
            more_to_supply: P::Condvar::default(),
            more_to_write: P::Condvar::default(),
        }
    }
}

impl<K: Kernel, P: Platform, S: Store> Transfers<K, P, S> {
    pub(super) fn supply(&self, job: SupplyJob<K, P, S>) {
        let mut queue = self.queue.lock();
        let jobs = if job.from.is_at_hand() { &mut queue.at_hand } else { &mut queue.stored };
        jobs.push_back(job);
        drop(queue);
        self.more_to_supply.notify_one();
    }

    pub(super) fn write(&self, jobs: Vec<WriteJob<K, P, S>>) {
        if !jobs.is_empty() {
            self.queue.lock().writes.extend(jobs);
            self.more_to_write.notify_one();
        }
    }

    pub(super) fn forget(&self, pages: ObjectPages<K, P, S>) {
        self.queue.lock().forgotten.push_back(pages);
        self.more_to_write.notify_one();
    }

    pub(super) fn provide(&self) {
        self.queue.lock().notes_low = true;
        self.more_to_write.notify_one();
    }

    fn stop(&self) {
        self.queue.lock().stopped = true;
        self.more_to_supply.notify_all();
        self.more_to_write.notify_all();
    }
}

impl<K: Kernel, P: Platform, S: Store> Queue<K, P, S> {
    fn next_supply(&mut self) -> Option<SupplyJob<K, P, S>> {
        self.at_hand.pop_front().or_else(|| self.stored.pop_front())
    }

    fn next_write(&mut self, batch: usize) -> Option<Job<K, P, S>> {
        if mem::take(&mut self.notes_low) {
            return Some(Job::Provide);
        }
        // Before the writes, which may need the room, but not all at once: those are what the kernel waits for.
        let forgot = mem::take(&mut self.forgot) && !self.writes.is_empty();
        if let Some(pages) = (!forgot).then(|| self.forgotten.pop_front()).flatten() {
            self.forgot = true;
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
    /// Supplies pages to who waits for them, as one of any number of threads, until [told to stop](Self::stop_transfers) and nothing is left to
    /// do. Pages are read into `memory`, which is of [`page_memory`](Self::page_memory). The kernel takes more for each of them.
    pub fn serve_supplies(&self, mut memory: OolMemory<K>) {
        let more = &self.transfers.more_to_supply;
        let supply = |job| self.transfer_supply(job, &mut memory);
        self.serve_transfers(more, Queue::next_supply, supply, || false);
    }

    /// Writes pages to the store, and frees the room of objects that are gone, in the same way. On a machine that is short of memory it is what
    /// makes some free.
    pub fn serve_writes(&self) {
        let next = |queue: &mut Queue<K, P, S>| queue.next_write(self.config.batch);
        let write = |job| self.transfer_write(job);
        self.serve_transfers(&self.transfers.more_to_write, next, write, || self.store.tidy());
    }

    /// Memory for a page, where a page begins.
    ///
    /// # Errors
    ///
    /// As `vm_allocate`.
    pub fn page_memory(&self) -> Result<OolMemory<K>, KernReturn> {
        OolMemory::allocate(&self.kernel, self.page_size)
    }

    fn serve_transfers<J>(
        &self,
        more: &P::Condvar,
        next: impl Fn(&mut Queue<K, P, S>) -> Option<J>,
        mut transfer: impl FnMut(J),
        tidy: impl Fn() -> bool,
    ) {
        let mut queue = self.transfers.queue.lock();
        let mut is_tidy = false;
        loop {
            if let Some(job) = next(&mut queue) {
                drop(queue);
                transfer(job);
                is_tidy = false;
            } else if queue.stopped {
                return;
            } else if !is_tidy {
                drop(queue);
                is_tidy = !tidy();
            } else {
                more.wait(&mut queue);
                continue;
            }
            queue = self.transfers.queue.lock();
        }
    }

    /// Does one piece of the work of [`serve_supplies`](Self::serve_supplies) or [`serve_writes`](Self::serve_writes). False if there was none.
    pub fn transfer_one(&self, memory: &mut OolMemory<K>) -> bool {
        let mut queue = self.transfers.queue.lock();
        if let Some(job) = queue.next_supply() {
            drop(queue);
            self.transfer_supply(job, memory);
            return true;
        }
        let job = queue.next_write(self.config.batch);
        drop(queue);
        job.map(|job| self.transfer_write(job)).is_some()
    }

    /// Ends [`serve_supplies`](Self::serve_supplies) and [`serve_writes`](Self::serve_writes).
    pub fn stop_transfers(&self) {
        self.transfers.stop();
    }

    /// Supplies a page, by way of `memory`.
    fn transfer_supply(&self, job: SupplyJob<K, P, S>, memory: &mut OolMemory<K>) {
        let SupplyJob { entry, page, from } = job;
        match from {
            Source::Write => self.lend(&entry, page, memory),
            Source::Store(read) => self.read(&entry, page, read, memory),
        }
        self.transfer_ended(&entry);
    }

    fn transfer_write(&self, job: Job<K, P, S>) {
        match job {
            Job::Write(jobs) => self.write(jobs),
            Job::Forget(pages) => self.forget_some(pages),
            Job::Provide => self.nodes.provide(),
        }
    }

    /// Gives back the places of an object that is gone, a piece at a time.
    fn forget_some(&self, mut pages: ObjectPages<K, P, S>) {
        for _ in 0..PIECE {
            let Some(places) = pages.forget_some() else { return };
            places.for_each(|place| self.store.free(place));
        }
        self.transfers.forget(pages);
    }

    /// Writes pages, except those that were overtaken while they waited.
    fn write(&self, jobs: Vec<WriteJob<K, P, S>>) {
        let is_current =
            |job: &WriteJob<K, P, S>| job.entry.lock().object.pages.is_current(job.page, job.ticket);
        let (jobs, overtaken): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_current);
        overtaken.into_iter().for_each(|job| self.written(job, None));
        if jobs.is_empty() {
            return;
        }

        self.counters.pages_a_write.count(jobs.len() as u64);
        let pages: Vec<&[u8]> = jobs.iter().map(|job| &**job.data).collect();
        let mut places: Vec<Option<Place<S>>> = jobs.iter().map(|_| None).collect();
        self.store.write(&pages, &mut |at, result| match result {
            Ok(place) => places[at] = Some(place),
            Err(_) => self.counters.write_failures.count(),
        });
        for (job, place) in jobs.into_iter().zip(places) {
            self.written(job, place);
        }
    }

    /// What follows from a write.
    fn written(&self, job: WriteJob<K, P, S>, place: Option<Place<S>>) {
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
                self.transfers.write(vec![job]);
                return;
            }
            AfterWrite::Precious => {}
            AfterWrite::Unstored(unstored) => {
                self.unstored(&job.entry, user.as_ref(), job.page, unstored, |page| {
                    page.copy_from_slice(&job.data);
                });
            }
        }
        self.transfer_ended(&job.entry);
    }

    /// Supplies a page that is on its way to the store.
    fn lend(&self, entry: &Arc<Entry<K, P, S>>, page: u64, memory: &mut OolMemory<K>) {
        let (user, lent) = {
            let mut state = entry.lock();
            let Some(user) = state.rights.user.clone() else { return };
            (user, state.object.lend(page))
        };
        match lent {
            Ok((data, ticket)) => {
                memory.copy_from_slice(&data);
                drop(data);
                if self.supply(&user, page, memory, true) {
                    self.counters.supplied_early.count();
                } else {
                    self.not_supplied(entry, &user, page, ticket);
                }
            }
            Err(request) => self.answer(entry, &user, page, request),
        }
    }

    /// Reads a page and supplies it.
    fn read(&self, entry: &Entry<K, P, S>, page: u64, read: Read<Place<S>>, memory: &mut OolMemory<K>) {
        let takes_room = !read.place.is_same_filled();
        let result = self.store.read(&read.place, memory).map_err(|error| match error {
            StoreError::Corrupt | StoreError::NotAPage => ReadFailure::Corrupt,
            StoreError::Io | StoreError::Full => ReadFailure::Transient,
        });
        self.counters.read_failures.add(result.is_err() as u64);
        let give_away = takes_room && self.is_short();
        let (after, user) = {
            let mut state = entry.lock();
            (state.object.pages.read(page, read, result, give_away), state.rights.user.clone())
        };
        match (after, user) {
            (AfterRead::Supply, Some(user)) => {
                self.counters.read.count();
                if !self.supply(&user, page, memory, false) {
                    self.error(&user, page);
                }
            }
            (AfterRead::GiveAway(ticket), Some(user)) => {
                self.counters.read.count();
                if self.supply(&user, page, memory, true) {
                    self.counters.supplied_precious.count();
                    let place = entry.lock().object.pages.given_away(page, ticket);
                    self.free(place);
                } else {
                    self.not_supplied(entry, &user, page, ticket);
                }
            }
            // No kernel is there to wait for it.
            (AfterRead::Supply | AfterRead::GiveAway(_), None) => {}
            (AfterRead::Error(place), user) => {
                self.counters.lost.add(place.is_some() as u64);
                self.free(place);
                if let Some(user) = user {
                    self.error(&user, page);
                }
            }
            (AfterRead::Superseded(place), _) => self.store.free(place),
        }
    }

    /// A page has not got to the kernel. Whoever waits for it is told so.
    pub(super) fn not_supplied(&self, entry: &Entry<K, P, S>, user: &User<K>, page: u64, supply: Ticket) {
        let unanswered = entry.lock().object.pages.not_supplied(page, supply);
        if unanswered {
            self.error(user, page);
        }
    }

    /// True if the store has little room left.
    fn is_short(&self) -> bool {
        let space = self.store.space();
        space.free.saturating_mul(100) < space.total.saturating_mul(self.config.precious_below.into())
    }

    fn free(&self, place: Option<Place<S>>) {
        if let Some(place) = place {
            self.store.free(place);
        }
    }

    /// A transfer has ended, and all that follows from it is done. What has waited for the last one is done now.
    pub(super) fn transfer_ended(&self, entry: &Arc<Entry<K, P, S>>) {
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
