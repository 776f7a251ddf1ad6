//! Answers to a request. They are decided on in its turn and sent after it, since the kernel may be called by
//! what it is sent, and send something that has to wait for the turn.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use mig_runtime::abi::Gnu;
use mig_runtime::platform::Platform;
use mig_runtime::{KernReturn, Kernel, OolMemory};

use super::entry::{Entry, Place, User};
use super::messages::MAX_PAGES;
use super::transfers::{Prepared, Source, SupplyJob};
use super::{Supplies, SwapPager};
use crate::object::{Asked, Origin, Request};
use crate::store::{Store, StoreError};

/// How many threads that supply pages in place have memory for that without asking for it.
const SPARE: usize = 8;

/// The most pages in one message, as many as a kernel returns in one.
const RUN: usize = 32;

/// What is to be answered, but for pages that other threads supply. That takes no memory.
pub(super) struct Answers<K: Kernel, P: Platform, S: Store> {
    first: u64,
    unavailable: Pages,
    errors: Pages,
    /// To be supplied by this thread.
    supplies: Vec<SupplyJob<K, P, S>>,
}

/// Some of the pages of a message, each counted from the first.
#[derive(Clone, Copy, Default)]
struct Pages([u64; MAX_PAGES as usize / 64]);

impl Pages {
    fn insert(&mut self, page: u64) {
        self.0[page as usize / 64] |= 1 << (page % 64);
    }

    fn iter(self) -> impl Iterator<Item = u64> {
        (0..MAX_PAGES).filter(move |page| self.0[*page as usize / 64] >> (page % 64) & 1 != 0)
    }
}

impl<K: Kernel, P: Platform, S: Store> Answers<K, P, S> {
    /// To a request whose first page this is.
    pub(super) fn new(first: u64) -> Self {
        Self { first, unavailable: Pages::default(), errors: Pages::default(), supplies: Vec::new() }
    }

    /// Answers that a page cannot be had.
    pub(super) fn refuse(&mut self, page: u64) {
        self.errors.insert(page - self.first);
    }
}

/// What those threads share.
pub(super) fn spare_memory<K: Kernel>(kernel: &K, page_size: usize) -> Result<Vec<OolMemory<K>>, KernReturn> {
    (0..SPARE).map(|_| OolMemory::allocate(kernel, RUN * page_size)).collect()
}

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// Takes note of how to answer for a page. Other threads are told of it at once if they are to supply it:
    /// this one may have privileges, and would use up with it what the kernel keeps for emergencies.
    pub(super) fn note_answer(
        &self,
        entry: &Arc<Entry<K, P, S>>,
        page: u64,
        (request, begun): Asked<Place<S>>,
        answers: &mut Answers<K, P, S>,
    ) {
        let from = match request {
            Request::Unavailable => return answers.unavailable.insert(page - answers.first),
            Request::Lost | Request::Unexpected => return answers.refuse(page),
            Request::Answered => return self.counters.answered.count(),
            Request::Lend => Source::Write,
            Request::Read(read) => Source::Store(read),
        };
        let Some(begun) = begun else { return };
        let job = SupplyJob { entry: entry.clone(), page, from, begun };
        if entry.origin == Origin::Internal && self.config.supplies == Supplies::InPlace {
            answers.supplies.push(job);
        } else {
            self.transfers.supply(job);
        }
    }

    /// Sends the answers, if the kernel is there still that has asked.
    pub(super) fn give_answers(&self, user: Option<&User<K>>, answers: Answers<K, P, S>) {
        let Answers { first, unavailable, errors, supplies } = answers;
        for page in unavailable.iter() {
            self.counters.unavailable.count();
            if let Some(user) = user {
                self.sent(user.control.unavailable(self.offset(first + page), self.page_size));
            }
        }
        if let Some(user) = user {
            errors.iter().for_each(|page| self.error(user, first + page));
        }
        if !supplies.is_empty() {
            self.supply_in_place(supplies);
        }
    }

    /// Supplies pages of one object, in their order.
    fn supply_in_place(&self, mut jobs: Vec<SupplyJob<K, P, S>>) {
        let spare = self.spare.lock().pop();
        let memory = spare.map_or_else(|| OolMemory::allocate(&self.kernel, RUN * self.page_size), Ok);
        let Ok(mut memory) = memory else {
            // A thread that has some supplies them.
            return jobs.into_iter().for_each(|job| self.transfers.supply(job));
        };
        while !jobs.is_empty() {
            let rest = jobs.split_off(jobs.len().min(RUN));
            self.supply_some(mem::replace(&mut jobs, rest), &mut memory);
        }
        self.keep_spare(memory);
    }

    /// The same for no more pages than there is memory for. Those that follow each other and are of a kind go
    /// in one message.
    fn supply_some(&self, jobs: Vec<SupplyJob<K, P, S>>, memory: &mut [u8]) {
        let results = self.read_stored(&jobs, memory);
        let mut ready = Vec::with_capacity(jobs.len());
        let mut ended = Vec::with_capacity(jobs.len());
        let pages = memory.chunks_exact_mut(self.page_size);
        for (at, ((job, result), space)) in jobs.into_iter().zip(results).zip(pages).enumerate() {
            let SupplyJob { entry, page, from, begun } = job;
            let prepared = match from {
                Source::Store(read) => self.was_read(&entry, page, read, result),
                _ => self.lend(&entry, page, space),
            };
            ready.extend(prepared.map(|prepared| (at, prepared)));
            ended.push((entry, begun));
        }
        let goes_on = |(at, last): &(usize, Prepared<K>), (next_at, next): &(usize, Prepared<K>)| {
            at + 1 == *next_at
                && last.page + 1 == next.page
                && last.is_precious() == next.is_precious()
                && Arc::ptr_eq(&last.user, &next.user)
        };
        for run in ready.chunk_by(goes_on) {
            let (at, first) = &run[0];
            let data = &memory[at * self.page_size..][..run.len() * self.page_size];
            let sent = self.supply(&first.user, first.page, data, first.is_precious());
            run.iter().for_each(|(at, prepared)| self.supplied(&ended[*at].0, prepared, sent));
        }
        ended.into_iter().for_each(|(entry, begun)| self.transfer_ended(&entry, begun));
    }

    /// Reads those pages that are in the store, each to its place in `memory`.
    fn read_stored(&self, jobs: &[SupplyJob<K, P, S>], memory: &mut [u8]) -> Vec<Result<(), StoreError>> {
        let mut results = vec![Ok(()); jobs.len()];
        let mut first = 0;
        for run in jobs.chunk_by(|a, b| a.stored().is_some() == b.stored().is_some()) {
            let places: Vec<_> = run.iter().filter_map(SupplyJob::stored).collect();
            let bytes = &mut memory[first * self.page_size..][..run.len() * self.page_size];
            self.store.read_each(&places, bytes, &mut |at, result| results[first + at] = result);
            first += run.len();
        }
        results
    }

    /// Keeps memory for the next time, unless there is enough.
    fn keep_spare(&self, memory: OolMemory<K>) {
        let mut spare = self.spare.lock();
        // There is room for these; what is not kept is given back without the lock.
        let left = if spare.len() < SPARE {
            spare.push(memory);
            None
        } else {
            Some(memory)
        };
        drop(spare);
        drop(left);
    }
}
