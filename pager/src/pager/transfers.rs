//! Transfers to and from the store: a queue, and what its threads do.
//!
//! A page that the kernel gets takes memory, which writing others frees. So the threads that supply pages may
//! have to wait for the kernel to find memory, and those that write must never wait for them.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use mig_runtime::abi::Gnu;
use mig_runtime::platform::{Condvar, Mutex, MutexGuard, Platform};
use mig_runtime::{KernReturn, Kernel, OolMemory};

use super::SwapPager;
use super::entry::{Entry, Place, Shared, User};
use crate::object::{AfterRead, AfterWrite, Begun, Drained, Origin, Read, ReadFailure, Ticket};
use crate::store::{Store, StoreError};

/// A page to be written.
pub(super) struct WriteJob<K: Kernel, P: Platform, S: Store> {
    pub(super) entry: Arc<Entry<K, P, S>>,
    pub(super) page: u64,
    pub(super) ticket: Ticket,
    pub(super) data: Shared<K, P>,
    pub(super) begun: Begun,
}

/// A page to be supplied.
pub(super) struct SupplyJob<K: Kernel, P: Platform, S: Store> {
    pub(super) entry: Arc<Entry<K, P, S>>,
    pub(super) page: u64,
    pub(super) from: Source<K, P, S>,
    pub(super) begun: Begun,
}

impl<K: Kernel, P: Platform, S: Store> SupplyJob<K, P, S> {
    /// Where the page is in the store, if it is to be read there.
    pub(super) fn stored(&self) -> Option<&Place<S>> {
        match &self.from {
            Source::Store(read) => Some(&read.place),
            Source::Write | Source::Return { .. } => None,
        }
    }
}

/// Where a page that is to be supplied is.
pub(super) enum Source<K: Kernel, P: Platform, S: Store> {
    /// On its way to the store. The job does not keep its memory there: that may be what the kernel waits
    /// for.
    Write,
    Store(Read<Place<S>>),
    /// Here, because the store does not take it: it goes back to the kernel.
    Return {
        returned: Returned<K, P, S>,
        ticket: Ticket,
    },
}

/// A page that the kernel has returned, and is to have back.
pub(super) enum Returned<K: Kernel, P: Platform, S: Store> {
    Data(Shared<K, P>),
    Place(Place<S>),
}

/// A page that is here, to be supplied to the kernel that wants it.
pub(super) struct Prepared<K: Kernel> {
    pub(super) user: Arc<User<K>>,
    pub(super) page: u64,
    pub(super) kind: Kind,
}

/// What a page is that is supplied, and what else has to be done if it does not get there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// On its way to the store.
    Lent(Ticket),
    Stored,
    /// Stored, and no longer kept.
    GivenAway(Ticket),
}

impl<K: Kernel> Prepared<K> {
    /// True if the kernel is to give it back in any case.
    pub(super) fn is_precious(&self) -> bool {
        self.kind != Kind::Stored
    }
}

/// How many times 64 pages of an object that is gone are forgotten before what else there is to do has its
/// turn.
const PIECE: usize = 16;

/// The most pages in one call of the store.
const MANY: usize = 64;

/// How long a page waits for others to be written with it. The memory of its message is free meanwhile, since
/// the page is in a buffer.
const GATHERING: Duration = Duration::from_millis(1);

/// How many requests of the kernel may wait before the queue takes more memory: more than there are threads
/// in a system as a rule.
const REQUESTS: usize = 1024;

/// How many pages of one object that is not the kernel's may be on their way. A kernel has no more threads
/// that wait for an object's pages, as a rule; whoever asks for more is told of an error, and may try again.
pub(super) const OTHERS_TRANSFERS: usize = 1024;

/// How many pages of all such objects may wait to be supplied. Beyond that an object has one at a time.
const OTHERS_SUPPLIES: usize = 4096;

/// What waits for a thread.
pub(super) struct Transfers<K: Kernel, P: Platform, S: Store> {
    queue: Mutex<P, Queue<K, P, S>>,
    more_to_supply: P::Condvar,
    more_to_supply_others: P::Condvar,
    more_to_write: P::Condvar,
    /// There are enough pages for the thread that gathers them, or something else to do.
    gathered: P::Condvar,
    /// How many pages of objects that are not the kernel's may be on their way back at once.
    others_returns: usize,
}

/// The kernel's objects have queues of their own: whoever else pages does not keep the kernel waiting.
struct Queue<K: Kernel, P: Platform, S: Store> {
    supplies: Supplies<K, P, S>,
    /// Of objects that are not the kernel's.
    other_supplies: Fair<SupplyJob<K, P, S>>,
    writes: VecDeque<WriteJob<K, P, S>>,
    /// The same. There are no more than such objects have buffers.
    other_writes: VecDeque<WriteJob<K, P, S>>,
    /// An object that is gone, whose pages are to be forgotten. It knows of the next one.
    forgotten: Option<Arc<Entry<K, P, S>>>,
    /// The last job was to forget pages.
    forgot: bool,
    /// There is little memory to note pages.
    notes_low: bool,
    /// A thread waits for pages to be written together.
    gathering: bool,
    /// How many pages of the kernel's objects, and of others, are not waited for any longer: half of their
    /// buffers at most, so that there are always some for what comes.
    enough: [usize; 2],
    stopped: bool,
}

/// Pages of the kernel's objects that are to be supplied, in the order in which they are.
struct Supplies<K: Kernel, P: Platform, S: Store> {
    /// There is nothing to read.
    at_hand: VecDeque<SupplyJob<K, P, S>>,
    /// They go back to the kernel, which makes room for others here.
    returns: VecDeque<SupplyJob<K, P, S>>,
    stored: VecDeque<SupplyJob<K, P, S>>,
}

/// Jobs of several objects: each has its turn, however many jobs another one has.
struct Fair<J> {
    /// Each with the number of its object.
    jobs: VecDeque<(u32, J)>,
    /// The object whose turn it was.
    last: u32,
}

impl<J> Fair<J> {
    fn push(&mut self, object: u32, job: J) {
        self.jobs.push_back((object, job));
    }

    /// The first job of the object that comes after the last one.
    fn pop(&mut self) -> Option<J> {
        let after_last = |at: &usize| self.jobs[*at].0.wrapping_sub(self.last).wrapping_sub(1);
        let next = (0..self.jobs.len()).min_by_key(after_last)?;
        let (object, job) = self.jobs.remove(next)?;
        self.last = object;
        Some(job)
    }
}

impl<K: Kernel, P: Platform, S: Store> Transfers<K, P, S> {
    /// An empty queue, with memory for as many writes and pages that go back as there can be. `enough` pages
    /// of the kernel's objects, or of others, are written without waiting for more.
    pub(super) fn new(internal: usize, external: usize, enough: [usize; 2]) -> Self {
        let queue = Queue {
            supplies: Supplies {
                at_hand: VecDeque::with_capacity(REQUESTS),
                returns: VecDeque::with_capacity(internal),
                stored: VecDeque::with_capacity(REQUESTS),
            },
            other_supplies: Fair { jobs: VecDeque::with_capacity(external), last: 0 },
            writes: VecDeque::with_capacity(internal),
            other_writes: VecDeque::with_capacity(external),
            forgotten: None,
            forgot: false,
            notes_low: false,
            gathering: false,
            enough,
            stopped: false,
        };
        Self {
            queue: Mutex::<P, _>::new(queue),
            more_to_supply: P::Condvar::default(),
            more_to_supply_others: P::Condvar::default(),
            more_to_write: P::Condvar::default(),
            gathered: P::Condvar::default(),
            others_returns: external,
        }
    }

    pub(super) fn supply(&self, job: SupplyJob<K, P, S>) {
        let mut queue = self.queue.lock();
        let Queue { supplies: Supplies { at_hand, returns, stored }, other_supplies, .. } = &mut *queue;
        let more = match (job.entry.origin, &job.from) {
            (Origin::External { .. }, _) => {
                other_supplies.push(job.entry.handle, job);
                &self.more_to_supply_others
            }
            (Origin::Internal, from) => {
                let jobs = match from {
                    Source::Write => at_hand,
                    Source::Store(read) if read.place.is_same_filled() => at_hand,
                    Source::Store(_) => stored,
                    Source::Return { .. } => returns,
                };
                jobs.push_back(job);
                &self.more_to_supply
            }
        };
        drop(queue);
        more.notify_one();
    }

    /// Takes memory for this many more pages of objects that are not the kernel's, and for as many again that
    /// threads queue which write and must not wait for any. The lock is not in hands meanwhile.
    pub(super) fn make_room(&self, more: usize) {
        let mut larger = VecDeque::new();
        loop {
            let mut queue = self.queue.lock();
            let jobs = &mut queue.other_supplies.jobs;
            let room = 2 * (jobs.len() + more) + self.others_returns;
            if jobs.capacity() >= room {
                return;
            }
            if larger.capacity() >= room {
                larger.append(jobs);
                return mem::swap(jobs, &mut larger);
            }
            drop(queue);
            larger.reserve(2 * room);
        }
    }

    /// True if one more page may be supplied of an object that is not the kernel's and has this many on their
    /// way.
    pub(super) fn takes_request(&self, on_their_way: usize) -> bool {
        match on_their_way {
            0 => true,
            1..OTHERS_TRANSFERS => self.queue.lock().other_supplies.jobs.len() < OTHERS_SUPPLIES,
            _ => false,
        }
    }

    /// Queues a write. [`wake_writers`](Self::wake_writers) has it done, once all of a message are here, so
    /// that they go to the store together.
    pub(super) fn write(&self, job: WriteJob<K, P, S>) {
        let mut queue = self.queue.lock();
        match job.entry.origin {
            Origin::Internal => queue.writes.push_back(job),
            Origin::External { .. } => queue.other_writes.push_back(job),
        }
    }

    pub(super) fn wake_writers(&self) {
        let queue = self.queue.lock();
        let more = match (queue.gathering, queue.may_gather()) {
            (true, true) => return,
            (true, false) => &self.gathered,
            (false, _) => &self.more_to_write,
        };
        drop(queue);
        more.notify_one();
    }

    /// Has the pages of an object forgotten.
    pub(super) fn forget(&self, entry: Arc<Entry<K, P, S>>) {
        let mut queue = self.queue.lock();
        let next = queue.forgotten.replace(entry.clone());
        entry.lock().next_forgotten = next;
        drop(queue);
        self.wake_writers();
    }

    pub(super) fn provide(&self) {
        self.queue.lock().notes_low = true;
        self.wake_writers();
    }

    /// Waits a moment for more pages to be written, where there are some, but few: a call of the store costs
    /// much the same for one page and for many.
    fn gather(&self, queue: &mut MutexGuard<'_, P, Queue<K, P, S>>) {
        if queue.gathering || !queue.may_gather() {
            return;
        }
        queue.gathering = true;
        let end = P::now().saturating_add(GATHERING.as_nanos() as u64);
        while queue.may_gather() {
            let left = end.saturating_sub(P::now());
            if left == 0 || !self.gathered.wait_for(queue, GATHERING.min(Duration::from_nanos(left))) {
                break;
            }
        }
        queue.gathering = false;
    }

    fn stop(&self) {
        self.queue.lock().stopped = true;
        for more in [&self.more_to_supply, &self.more_to_supply_others, &self.more_to_write, &self.gathered] {
            more.notify_all();
        }
    }
}

impl<K: Kernel, P: Platform, S: Store> Drop for Queue<K, P, S> {
    /// One by one: each object has the next one, and there may be many.
    fn drop(&mut self) {
        while self.next_forgotten().is_some() {}
    }
}

impl<K: Kernel, P: Platform, S: Store> Queue<K, P, S> {
    fn next_forgotten(&mut self) -> Option<Arc<Entry<K, P, S>>> {
        let entry = self.forgotten.take()?;
        self.forgotten = entry.lock().next_forgotten.take();
        Some(entry)
    }

    fn next_supply(&mut self) -> Option<SupplyJob<K, P, S>> {
        let Supplies { at_hand, returns, stored } = &mut self.supplies;
        [at_hand, returns, stored].into_iter().find_map(VecDeque::pop_front)
    }

    fn next_other_supply(&mut self) -> Option<SupplyJob<K, P, S>> {
        self.other_supplies.pop()
    }

    /// True if there are pages to be written and nothing else, and too few to be worth a call of the store.
    fn may_gather(&self) -> bool {
        let counts = [self.writes.len(), self.other_writes.len()];
        let is_few =
            counts != [0, 0] && counts.iter().zip(self.enough).all(|(count, enough)| *count < enough);
        is_few && !self.notes_low && self.forgotten.is_none() && !self.stopped
    }

    /// Takes what is next for a thread that writes; false if there is nothing.
    fn next_write(&mut self, batch: &mut Batch<K, P, S>) -> bool {
        batch.provide = mem::take(&mut self.notes_low);
        if batch.provide {
            return true;
        }
        // Before the writes, which may need the room, but not all at once: those are what the kernel waits
        // for.
        let writes = self.writes.len() + self.other_writes.len();
        if !mem::take(&mut self.forgot) || writes == 0 {
            batch.forgotten = self.next_forgotten();
            self.forgot = batch.forgotten.is_some();
            if self.forgot {
                return true;
            }
        }
        // The kernel's first.
        for writes in [&mut self.writes, &mut self.other_writes] {
            let room = batch.most - batch.jobs.len();
            batch.jobs.extend(writes.drain(..room.min(writes.len())));
        }
        // Side by side in the store if they are in the object.
        batch.jobs.sort_unstable_by_key(|job| (job.entry.handle, job.page));
        !batch.jobs.is_empty()
    }
}

/// What a thread that writes has to do at once, and memory for that, which is taken when it starts.
struct Batch<K: Kernel, P: Platform, S: Store> {
    most: usize,
    /// To take memory to note pages.
    provide: bool,
    forgotten: Option<Arc<Entry<K, P, S>>>,
    jobs: Vec<WriteJob<K, P, S>>,
    /// Those that no later write has overtaken, and their places when they are written.
    current: Vec<WriteJob<K, P, S>>,
    places: Vec<Option<Place<S>>>,
    /// Their pages, one after another.
    pages: Box<[u8]>,
}

impl<K: Kernel, P: Platform, S: Store> Batch<K, P, S> {
    fn new(most: usize, page_size: usize) -> Self {
        Self {
            most,
            provide: false,
            forgotten: None,
            jobs: Vec::with_capacity(most),
            current: Vec::with_capacity(most),
            places: Vec::with_capacity(most),
            pages: vec![0; most * page_size].into_boxed_slice(),
        }
    }
}

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// Supplies pages of the kernel's objects to whoever waits for them, as one of any number of threads,
    /// until [told to stop](Self::stop_transfers) and nothing is left to do. Pages are read into `memory`,
    /// which is of [`page_memory`](Self::page_memory). The kernel takes more for each of them.
    pub fn serve_supplies(&self, mut memory: OolMemory<K>) {
        self.serve_transfers(&self.transfers.more_to_supply, Queue::next_supply, |job| {
            self.transfer_supply(job, &mut memory);
        });
    }

    /// The same for objects that are not the kernel's.
    pub fn serve_other_supplies(&self, mut memory: OolMemory<K>) {
        self.serve_transfers(&self.transfers.more_to_supply_others, Queue::next_other_supply, |job| {
            self.transfer_supply(job, &mut memory);
        });
    }

    /// Writes pages to the store, and frees the room of objects that are gone, in the same way. On a machine
    /// that is short of memory it is what makes some free, so it takes memory at its start only.
    pub fn serve_writes(&self) {
        let mut batch = self.batch();
        let mut queue = self.transfers.queue.lock();
        let mut is_tidy = false;
        loop {
            self.transfers.gather(&mut queue);
            // Another thread gathers them.
            let is_left = queue.gathering && queue.may_gather();
            if !is_left && queue.next_write(&mut batch) {
                drop(queue);
                self.transfer_writes(&mut batch);
                is_tidy = false;
            } else if queue.stopped {
                return;
            } else if !is_tidy {
                drop(queue);
                is_tidy = !self.store.tidy();
            } else {
                self.transfers.more_to_write.wait(&mut queue);
                continue;
            }
            queue = self.transfers.queue.lock();
        }
    }

    fn batch(&self) -> Batch<K, P, S> {
        // The other half of the buffers is for what comes while these pages are written.
        let most = self.config.batch.min(self.config.buffers / 2);
        Batch::new(most.clamp(1, MANY), self.page_size)
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
    ) {
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
            transfer(job);
        }
    }

    /// Does one piece of the work of [`serve_supplies`](Self::serve_supplies),
    /// [`serve_other_supplies`](Self::serve_other_supplies) or [`serve_writes`](Self::serve_writes). False if
    /// there was none.
    pub fn transfer_one(&self, memory: &mut OolMemory<K>) -> bool {
        let mut batch = self.batch();
        let mut queue = self.transfers.queue.lock();
        if let Some(job) = queue.next_supply().or_else(|| queue.next_other_supply()) {
            drop(queue);
            self.transfer_supply(job, memory);
            return true;
        }
        let found = queue.next_write(&mut batch);
        drop(queue);
        if found {
            self.transfer_writes(&mut batch);
        }
        found
    }

    /// Ends [`serve_supplies`](Self::serve_supplies), [`serve_other_supplies`](Self::serve_other_supplies)
    /// and [`serve_writes`](Self::serve_writes).
    pub fn stop_transfers(&self) {
        self.transfers.stop();
    }

    /// Supplies a page, by way of `memory`.
    fn transfer_supply(&self, job: SupplyJob<K, P, S>, memory: &mut OolMemory<K>) {
        let SupplyJob { entry, page, from, begun } = job;
        match from {
            Source::Write => {
                let prepared = self.lend(&entry, page, memory);
                self.supply_prepared(&entry, prepared, memory);
            }
            Source::Store(read) => {
                let prepared = self.read(&entry, page, read, memory);
                self.supply_prepared(&entry, prepared, memory);
            }
            Source::Return { returned, ticket } => {
                self.hand_back_copy(&entry, page, returned, ticket, memory);
            }
        }
        self.transfer_ended(&entry, begun);
    }

    fn supply_prepared(&self, entry: &Entry<K, P, S>, prepared: Option<Prepared<K>>, memory: &[u8]) {
        if let Some(prepared) = prepared {
            let sent = self.supply(&prepared.user, prepared.page, memory, prepared.is_precious());
            self.supplied(entry, &prepared, sent);
        }
    }

    fn transfer_writes(&self, batch: &mut Batch<K, P, S>) {
        if mem::take(&mut batch.provide) {
            self.nodes.provide();
        } else if let Some(entry) = batch.forgotten.take() {
            self.forget_some(entry);
        } else {
            self.write(batch);
        }
        self.tell_of_space();
    }

    /// Gives back the places of an object that is gone, a piece at a time.
    fn forget_some(&self, entry: Arc<Entry<K, P, S>>) {
        for _ in 0..PIECE {
            let Some(places) = entry.lock().object.pages_mut().forget_some() else {
                let charged = mem::take(&mut entry.lock().charged);
                self.discharge_others(&entry, charged);
                return self.objects.gone(&entry);
            };
            places.for_each(|place| self.store.free(place));
        }
        self.transfers.forget(entry);
    }

    /// Writes pages, except those that were overtaken while they waited.
    fn write(&self, batch: &mut Batch<K, P, S>) {
        let Batch { jobs, current, places, pages, .. } = batch;
        for job in jobs.drain(..) {
            if job.entry.lock().object.pages_mut().is_current(job.page, job.ticket) {
                let start = current.len() * self.page_size;
                job.data.copy_to(&mut pages[start..start + self.page_size]);
                current.push(job);
            } else {
                self.written(job, None);
            }
        }
        if current.is_empty() {
            return;
        }

        self.counters.pages_a_write.count(current.len() as u64);
        let mut slices = [&[][..]; MANY];
        for (slice, page) in slices.iter_mut().zip(pages.chunks_exact(self.page_size)).take(current.len()) {
            *slice = page;
        }
        places.resize_with(current.len(), || None);
        self.store.write(&slices[..current.len()], &mut |at, result| match result {
            Ok(place) => places[at] = Some(place),
            Err(_) => self.counters.write_failures.count(),
        });
        for (job, place) in current.drain(..).zip(places.drain(..)) {
            self.written(job, place);
        }
    }

    /// What follows from a write.
    fn written(&self, job: WriteJob<K, P, S>, place: Option<Place<S>>) {
        self.counters.written.add(place.is_some() as u64);
        let ((after, read), user) = {
            let mut state = job.entry.lock();
            (state.object.written(job.page, job.ticket, place), state.rights.user.clone())
        };
        match after {
            AfterWrite::Stored { replaced, wanted } => {
                self.free(replaced);
                if let Some((wanted, begun)) = wanted.zip(read) {
                    let (entry, from) = (job.entry.clone(), Source::Store(wanted));
                    self.transfers.supply(SupplyJob { entry, page: job.page, from, begun });
                }
            }
            AfterWrite::Superseded(place) => {
                self.counters.superseded.count();
                self.free(place);
            }
            AfterWrite::Again(place) => {
                self.store.free(place);
                self.transfers.write(job);
                self.transfers.wake_writers();
                return;
            }
            AfterWrite::Precious => {}
            AfterWrite::HandBack(ticket) => {
                let WriteJob { entry, page, data, begun, .. } = job;
                self.give_back(entry, page, Returned::Data(data), ticket, begun);
                return;
            }
            AfterWrite::Lost { wanted } => self.count_lost(&job.entry, user.as_deref(), job.page, wanted),
        }
        self.transfer_ended(&job.entry, job.begun);
    }

    /// Gets a page that is on its way to the store, to be supplied.
    pub(super) fn lend(&self, entry: &Entry<K, P, S>, page: u64, memory: &mut [u8]) -> Option<Prepared<K>> {
        let (user, lent) = {
            let mut state = entry.lock();
            let user = state.rights.user.clone()?;
            (user, state.object.pages_mut().lend(page))
        };
        let (data, ticket) = lent?;
        data.copy_to(memory);
        Some(Prepared { user, page, kind: Kind::Lent(ticket) })
    }

    /// Reads a page, to be supplied.
    pub(super) fn read(
        &self,
        entry: &Entry<K, P, S>,
        page: u64,
        read: Read<Place<S>>,
        memory: &mut [u8],
    ) -> Option<Prepared<K>> {
        let result = self.store.read(&read.place, memory);
        self.was_read(entry, page, read, result)
    }

    /// What follows from a read.
    pub(super) fn was_read(
        &self,
        entry: &Entry<K, P, S>,
        page: u64,
        read: Read<Place<S>>,
        result: Result<(), StoreError>,
    ) -> Option<Prepared<K>> {
        let takes_room = !read.place.is_same_filled();
        let result = result.map_err(|error| match error {
            StoreError::Corrupt | StoreError::NotAPage => ReadFailure::Corrupt,
            StoreError::Io | StoreError::Full => ReadFailure::Transient,
        });
        self.counters.read_failures.add(result.is_err() as u64);
        let give_away = takes_room && self.is_short();
        let (after, user) = {
            let mut state = entry.lock();
            (state.object.pages_mut().read(page, read, result, give_away), state.rights.user.clone())
        };
        let kind = match after {
            AfterRead::Supply => Kind::Stored,
            AfterRead::GiveAway(ticket) => Kind::GivenAway(ticket),
            AfterRead::Error(place) => {
                self.counters.lost.add(place.is_some() as u64);
                self.free(place);
                if let Some(user) = user {
                    self.error(&user, page);
                }
                return None;
            }
            AfterRead::Superseded(place) => {
                self.store.free(place);
                return None;
            }
        };
        // Without a kernel nobody waits for it.
        let prepared = Prepared { user: user?, page, kind };
        self.counters.read.count();
        Some(prepared)
    }

    /// Takes note of whether the kernel has got a page.
    pub(super) fn supplied(&self, entry: &Entry<K, P, S>, prepared: &Prepared<K>, sent: bool) {
        let Prepared { user, page, kind } = prepared;
        let page = *page;
        match *kind {
            Kind::Lent(_) if sent => self.counters.supplied_early.count(),
            Kind::GivenAway(ticket) if sent => {
                self.counters.supplied_precious.count();
                let place = entry.lock().object.pages_mut().given_away(page, ticket);
                self.free(place);
            }
            Kind::Stored if sent => {}
            Kind::Stored => self.error(user, page),
            Kind::Lent(ticket) | Kind::GivenAway(ticket) => self.not_supplied(entry, user, page, ticket),
        }
    }

    /// Has a page given back that the store does not take: a transfer, which has begun.
    ///
    /// This thread may have the privilege to use what memory the kernel keeps in reserve. So it only gives
    /// back a page that is still in its message: the kernel takes a page for its copy, and has that of the
    /// message again right after. The others are for threads that may wait for memory.
    pub(super) fn give_back(
        &self,
        entry: Arc<Entry<K, P, S>>,
        page: u64,
        returned: Returned<K, P, S>,
        ticket: Ticket,
        begun: Begun,
    ) {
        let returned = match returned {
            Returned::Data(data) => match data.into_memory() {
                Ok(memory) => {
                    let supply = |user: &User<K>| user.control.supply(self.offset(page), &memory, true);
                    self.hand_back(&entry, page, ticket, supply);
                    drop(memory);
                    return self.transfer_ended(&entry, begun);
                }
                Err(data) => Returned::Data(data),
            },
            place @ Returned::Place(_) => place,
        };
        let from = Source::Return { returned, ticket };
        self.transfers.supply(SupplyJob { entry, page, from, begun });
    }

    /// Gives a page back to the kernel, by way of `memory`.
    fn hand_back_copy(
        &self,
        entry: &Entry<K, P, S>,
        page: u64,
        returned: Returned<K, P, S>,
        ticket: Ticket,
        memory: &mut OolMemory<K>,
    ) {
        match &returned {
            Returned::Data(data) => data.copy_to(memory),
            // It is one word over and over, which is read without a transfer.
            Returned::Place(place) => drop(self.store.read(place, memory)),
        }
        // The kernel may wait for that memory.
        self.discard(returned);
        self.hand_back(entry, page, ticket, |user| user.control.supply(self.offset(page), memory, true));
    }

    /// Gives a page back to the kernel, as precious, because the store does not take it.
    fn hand_back(
        &self,
        entry: &Entry<K, P, S>,
        page: u64,
        ticket: Ticket,
        supply: impl FnOnce(&User<K>) -> Result<(), KernReturn>,
    ) {
        let user = {
            let mut state = entry.lock();
            if !state.object.pages_mut().is_current(page, ticket) {
                // The kernel has returned another content since, against the rules.
                return;
            }
            state.rights.user.clone()
        };
        let user = user.as_deref();
        if user.is_some_and(|user| self.sent(supply(user))) {
            self.counters.handed_back.count();
        } else {
            self.lost(entry, user, page, ticket);
        }
    }

    pub(super) fn discard(&self, returned: Returned<K, P, S>) {
        if let Returned::Place(place) = returned {
            self.store.free(place);
        }
    }

    /// A page has not got to the kernel. Whoever waits for it is told so.
    fn not_supplied(&self, entry: &Entry<K, P, S>, user: &User<K>, page: u64, supply: Ticket) {
        let unanswered = entry.lock().object.pages_mut().not_supplied(page, supply);
        if unanswered {
            self.error(user, page);
        }
    }

    /// True if the store may not have room for one more page beside those that are on their way to it.
    pub(super) fn is_nearly_full(&self) -> bool {
        let internal = self.internal_buffers.capacity() - self.internal_buffers.free();
        self.store.space().free <= (internal + self.external_buffers.capacity()) as u64
    }

    /// True if the store has little room left.
    fn is_short(&self) -> bool {
        let space = self.store.space();
        space.free.saturating_mul(100) < space.total.saturating_mul(self.config.precious_below.into())
    }

    pub(super) fn free(&self, place: Option<Place<S>>) {
        if let Some(place) = place {
            self.store.free(place);
        }
    }

    /// A transfer has ended, and all that follows from it is done. What has waited for the last one is done
    /// now.
    pub(super) fn transfer_ended(&self, entry: &Arc<Entry<K, P, S>>, begun: Begun) {
        let mut state = entry.lock();
        let Some(drained) = state.object.transfer_ended(begun) else { return };
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
