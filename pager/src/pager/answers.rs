//! Answers to a request. They are decided on in its turn and sent after it, since the kernel may be called by
//! what it is sent, and send something that has to wait for the turn.

use alloc::sync::Arc;
use alloc::vec::Vec;

use mig_runtime::abi::Gnu;
use mig_runtime::platform::Platform;
use mig_runtime::{KernReturn, Kernel, OolMemory};

use super::entry::{Entry, Place, User};
use super::messages::MAX_PAGES;
use super::transfers::{Prepared, Source, SupplyJob};
use super::{Supplies, SwapPager};
use crate::object::{Asked, Origin, Request};
use crate::store::Store;

/// How many threads that supply pages in place have memory for that without asking for it.
const SPARE: usize = 4;

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
    fn supply_in_place(&self, jobs: Vec<SupplyJob<K, P, S>>) {
        let spare = self.spare.lock().pop();
        let memory = spare.map_or_else(|| OolMemory::allocate(&self.kernel, RUN * self.page_size), Ok);
        let Ok(mut memory) = memory else {
            // A thread that has some supplies them.
            return jobs.into_iter().for_each(|job| self.transfers.supply(job));
        };
        let mut ready: Vec<Prepared<K>> = Vec::with_capacity(jobs.len().min(RUN));
        let mut ended = Vec::with_capacity(jobs.len());
        for SupplyJob { entry, page, from, begun } in jobs {
            let at = ready.len() * self.page_size;
            let space = &mut memory[at..at + self.page_size];
            let prepared = match from {
                Source::Store(read) => self.read(&entry, page, read, space),
                _ => self.lend(&entry, page, space),
            };
            if let Some(prepared) = prepared {
                let goes_on = |last: &Prepared<K>| {
                    last.page + 1 == page
                        && last.is_precious() == prepared.is_precious()
                        && Arc::ptr_eq(&last.user, &prepared.user)
                };
                let goes_on = ready.last().is_none_or(goes_on);
                if !goes_on {
                    self.supply_run(&entry, &mut ready, &memory);
                    memory.copy_within(at..at + self.page_size, 0);
                }
                ready.push(prepared);
                if ready.len() == RUN {
                    self.supply_run(&entry, &mut ready, &memory);
                }
            }
            ended.push((entry, begun));
        }
        if let Some((entry, _)) = ended.last() {
            self.supply_run(entry, &mut ready, &memory);
        }
        self.keep_spare(memory);
        ended.into_iter().for_each(|(entry, begun)| self.transfer_ended(&entry, begun));
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

    /// Supplies pages that follow each other and stand at the beginning of `memory`.
    fn supply_run(&self, entry: &Entry<K, P, S>, ready: &mut Vec<Prepared<K>>, memory: &[u8]) {
        let Some(first) = ready.first() else { return };
        let data = &memory[..ready.len() * self.page_size];
        let sent = self.supply(&first.user, first.page, data, first.is_precious());
        ready.drain(..).for_each(|prepared| self.supplied(entry, &prepared, sent));
    }
}
