//! What each message of an object does.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use mig_runtime::abi::Native;
use mig_runtime::platform::Platform;
use mig_runtime::{KernReturn, Kernel, Name, Notification, OolMemory, ReceiveRight, SendRight, Seqno};

use super::SwapPager;
use super::control::Control;
use super::entry::{Admitted, Entry, Place, Rights, Shared, User};
use super::transfers::{Source, SupplyJob, WriteJob};
use crate::object::{Init, NoSenders, Origin, Phase, Request, Terminate, Unstored};
use crate::store::Store;

/// A message with more pages than this is refused. The kernel's have 32 at most.
const MAX_PAGES: u64 = 256;

/// The request port of a message, and the message's position there, if positions are counted.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) port: Name,
    pub(super) seqno: Option<Seqno>,
}

/// The memory of a message that pages stay in.
type Held<K> = Arc<OolMemory<K>>;

/// The pages of a message, and its memory if some of them stay in it.
type TakenMessage<K, P, S> = (Vec<Taken<K, P, S>>, Option<Held<K>>);

/// A returned page.
enum Taken<K: Kernel, P: Platform, S: Store> {
    /// It is in the store, without a transfer.
    Stored(Place<S>),
    /// It is to be written.
    Data(Shared<K, P>),
    /// There is no room for it: no buffer, and too many pages stay in their messages.
    Refused,
}

impl<K: Kernel<Abi = Native>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// `memory_object_create`
    pub(super) fn create(
        &self,
        at: At,
        port: ReceiveRight<K>,
        control: SendRight<K>,
        name: SendRight<K>,
        page_size: u64,
    ) -> Result<(), KernReturn> {
        self.counters.create.count();
        if at.port != self.manager.name() {
            // Only the kernel makes objects, and it knows where to say so.
            let entry = self.entry(at.port)?;
            drop(entry.turn(at.seqno));
            return Err(self.refused());
        }
        let ours = |name| name == self.manager.name() || self.find(name).is_some();
        let names = [port.name(), control.name(), name.name()];
        let valid = names.iter().all(|name| name.is_valid() && !ours(*name));
        let distinct = names[0] != names[1] && names[0] != names[2] && names[1] != names[2];
        if !valid || !distinct || page_size != self.page_size as u64 {
            return Err(self.refused());
        }
        let user = Arc::new(User { control: Control::of_kernel(control), name });
        let rights = Rights { user: Some(user), ..Rights::unused(port) };
        let entry = self.add_object(Origin::Internal, rights)?;
        self.watch(&entry, 0)
    }

    /// Asks to be told when nobody has a right to an object. If it is so already, the message comes at once.
    pub(super) fn watch(&self, entry: &Entry<K, P, S>, rights_made: u32) -> Result<(), KernReturn> {
        let port = entry.lock().rights.port.clone();
        port.request_notification(Notification::NoSenders { sync: rights_made }, &port).map(drop)
    }

    /// `memory_object_init`
    pub(super) fn init(
        &self,
        at: At,
        control: SendRight<K>,
        name: SendRight<K>,
        page_size: u64,
    ) -> Result<(), KernReturn> {
        self.counters.init.count();
        let entry = self.entry(at.port)?;
        let ours = control.name() == self.manager.name() || self.find(control.name()).is_some();
        let fits = page_size == self.page_size as u64 && !control.is_null() && !ours;
        let user = Arc::new(User { control: Control::of_anybody(control), name });
        let mut admitted = entry.turn(at.seqno).admit();
        let decision = if fits { admitted.state.object.init() } else { Init::Refuse };
        match decision {
            Init::Ready => admitted.state.rights.user = Some(user.clone()),
            Init::Later => admitted.state.rights.next = Some(user.clone()),
            Init::Refuse => {}
        }
        drop(admitted);
        match decision {
            Init::Ready => {
                self.sent(user.control.ready());
            }
            Init::Later => {}
            Init::Refuse => {
                // The control port may be one of our own.
                if !ours {
                    self.sent(user.control.destroy());
                }
                return Err(self.refused());
            }
        }
        Ok(())
    }

    /// `memory_object_terminate`
    pub(super) fn terminate(
        &self,
        at: At,
        control: ReceiveRight<K>,
        name: ReceiveRight<K>,
    ) -> Result<(), KernReturn> {
        self.counters.terminate.count();
        let entry = self.entry(at.port)?;
        let mut admitted = entry.turn(at.seqno).admit();
        let state = &mut *admitted.state;
        let from_user = state.rights.user.as_ref().is_some_and(|user| user.control.name() == control.name());
        let decision = if from_user { state.object.terminate() } else { Terminate::Refuse };
        if decision == Terminate::Refuse {
            drop(admitted);
            return Err(self.refused());
        }
        let ended = (state.rights.user.take(), [control, name]);
        let release =
            if decision == Terminate::Later { state.rights.ended.replace(ended) } else { Some(ended) };
        drop(admitted);
        drop(release);
        Ok(())
    }

    /// The no-senders notification.
    pub(super) fn no_senders(&self, at: At, asked_for: bool, rights_made: u32) -> Result<(), KernReturn> {
        self.counters.no_senders.count();
        let entry = self.entry(at.port)?;
        let mut admitted = entry.turn(at.seqno).admit();
        if !asked_for {
            drop(admitted);
            return Err(self.refused());
        }
        let decision = admitted.state.object.no_senders(rights_made);
        let made = admitted.state.object.rights_made();
        drop(admitted);
        match decision {
            NoSenders::Stale => self.watch(&entry, made)?,
            NoSenders::Forget => self.forget(&entry),
            NoSenders::Later => {}
        }
        Ok(())
    }

    /// `memory_object_data_request`
    pub(super) fn data_request(
        &self,
        at: At,
        control: SendRight<K>,
        offset: u64,
        length: u64,
    ) -> Result<(), KernReturn> {
        self.counters.data_request.count();
        let entry = self.entry(at.port)?;
        let mut admitted = entry.turn(at.seqno).admit();
        let user = self.sender(&admitted, &control)?;
        self.counters.requested.add(length / self.page_size as u64);
        let object = &mut admitted.state.object;
        let pages = self.pages(offset, length).filter(|pages| {
            let count = pages.end - pages.start;
            count <= MAX_PAGES && object.has_pages(pages.start, count)
        });
        let Some(pages) = pages else {
            drop(admitted);
            self.counters.errors.count();
            self.sent(user.control.error(offset, length));
            return Err(self.refused());
        };
        let answers: Vec<_> = pages.map(|page| (page, object.request(page))).collect();
        drop(admitted);
        for (page, request) in answers {
            self.answer(&entry, &user, page, request);
        }
        Ok(())
    }

    /// Answers a request, but for pages: this thread may have privileges, and would use up with them what the kernel keeps for emergencies.
    pub(super) fn answer(
        &self,
        entry: &Arc<Entry<K, P, S>>,
        user: &User<K>,
        page: u64,
        request: Request<Place<S>>,
    ) {
        let supply = |from| self.transfers.supply(SupplyJob { entry: entry.clone(), page, from });
        match request {
            Request::Unavailable => {
                self.counters.unavailable.count();
                self.sent(user.control.unavailable(self.offset(page), self.page_size));
            }
            Request::Lend => supply(Source::Write),
            Request::Read(read) => supply(Source::Store(read)),
            Request::Answered => self.counters.answered.count(),
            Request::Lost | Request::Unexpected => self.error(user, page),
        }
    }

    /// `memory_object_data_return`, or `memory_object_data_initialize` if `first`.
    pub(super) fn data_return(
        &self,
        at: At,
        control: SendRight<K>,
        offset: u64,
        data: OolMemory<K>,
        first: bool,
    ) -> Result<(), KernReturn> {
        let arrived = P::now();
        let counter = if first { &self.counters.data_initialize } else { &self.counters.data_return };
        counter.count();
        let entry = self.entry(at.port)?;
        let turn = entry.turn(at.seqno);
        let pages =
            self.pages(offset, data.len() as u64).filter(|pages| pages.end - pages.start <= MAX_PAGES);
        let Some(pages) = pages else { return Err(self.refused()) };
        let (taken, memory) = self.take(data, entry.origin);
        if memory.is_none() {
            self.counters.turnaround.count(P::now() - arrived);
        }

        let mut admitted = turn.admit();
        let sender = self.sender(&admitted, &control);
        let object = &mut admitted.state.object;
        let user = match sender {
            Ok(user) if object.has_pages(pages.start, taken.len() as u64) => user,
            _ => {
                drop(admitted);
                self.discard(taken);
                return Err(self.refused());
            }
        };
        let mut free = Vec::new();
        let mut writes = Vec::new();
        let mut back = Vec::new();
        for (page, taken) in pages.zip(taken) {
            self.counters.returned.count();
            if first && object.pages.was_written(page) {
                self.counters.superseded.count();
                if let Taken::Stored(place) = taken {
                    free.push(place);
                }
                continue;
            }
            match taken {
                Taken::Stored(place) => match object.pages.store(page, place) {
                    Ok(replaced) => {
                        self.counters.same_filled.count();
                        free.extend(replaced);
                        continue;
                    }
                    Err(place) => back.push((page, Taken::Stored(place))),
                },
                Taken::Data(data) => match object.pages.write(page, data.clone()) {
                    Some(ticket) => writes.push(WriteJob { entry: entry.clone(), page, ticket, data }),
                    None => back.push((page, Taken::Data(data))),
                },
                Taken::Refused => back.push((page, Taken::Refused)),
            }
            object.transfer_begins();
        }
        let refuse = |(page, taken)| {
            let (replaced, unstored) = object.pages.refuse(page);
            free.extend(replaced);
            (page, taken, unstored)
        };
        let back: Vec<_> = back.into_iter().map(refuse).collect();
        drop(admitted);
        if self.nodes.is_low() {
            self.transfers.provide();
        }

        free.into_iter().for_each(|place| self.store.free(place));
        self.transfers.write(writes);
        for (page, taken, unstored) in back {
            self.counters.unnoted.add(!matches!(taken, Taken::Refused) as u64);
            self.unstored(&entry, Some(&user), page, unstored, |content| match &taken {
                Taken::Stored(place) => drop(self.store.read(place, content)),
                Taken::Data(data) => content.copy_from_slice(data),
                Taken::Refused => {
                    let at = (self.offset(page) - offset) as usize;
                    let data = memory.as_ref().map_or(&[][..], |memory| &memory[at..at + self.page_size]);
                    content.copy_from_slice(data);
                }
            });
            self.discard(vec![taken]);
            self.transfer_ended(&entry);
        }
        Ok(())
    }

    /// Takes the pages of a message, and gives back its memory unless some of them must stay in it.
    ///
    /// An object that is not the kernel's waits for buffers, for none of its messages concerns the memory of the machine. When the last mapping of
    /// it goes the kernel returns all of its pages at once, and takes none of them back.
    fn take(&self, memory: OolMemory<K>, origin: Origin) -> TakenMessage<K, P, S> {
        let buffers = &self.internal_buffers;
        let copy = |page| {
            if let Some(place) = self.store.same_filled(page) {
                return Some(Taken::Stored(place));
            }
            let data = match origin {
                Origin::Internal => buffers.copy(page),
                Origin::External { .. } => Some(self.external_buffers.wait_and_copy(page)),
            };
            data.map(|data| Taken::Data(Arc::new(data)))
        };
        let mut taken: Vec<_> = memory.chunks_exact(self.page_size).map(copy).collect();
        if taken.iter().all(Option::is_some) {
            return (taken.into_iter().flatten().collect(), None);
        }
        let memory = Arc::new(memory);
        for (at, taken) in taken.iter_mut().enumerate().filter(|(_, taken)| taken.is_none()) {
            let start = at * self.page_size;
            let held = buffers.hold(&memory, start..start + self.page_size);
            self.counters.held.add(held.is_some() as u64);
            *taken = held.map(|data| Taken::Data(Arc::new(data)));
        }
        let taken = taken.into_iter().map(|taken| taken.unwrap_or(Taken::Refused)).collect();
        (taken, Some(memory))
    }

    fn discard(&self, taken: Vec<Taken<K, P, S>>) {
        for taken in taken {
            if let Taken::Stored(place) = taken {
                self.store.free(place);
            }
        }
    }

    /// `memory_object_data_unlock`: nothing was ever locked, but who asks shall not wait.
    pub(super) fn data_unlock(
        &self,
        at: At,
        control: SendRight<K>,
        offset: u64,
        length: u64,
    ) -> Result<(), KernReturn> {
        self.counters.data_unlock.count();
        let entry = self.entry(at.port)?;
        let admitted = entry.turn(at.seqno).admit();
        let user = self.sender(&admitted, &control)?;
        drop(admitted);
        self.sent(user.control.unlock(offset, length));
        Ok(())
    }

    /// The kernel that uses an object, if this message comes from it.
    fn sender(
        &self,
        admitted: &Admitted<'_, K, P, S>,
        control: &SendRight<K>,
    ) -> Result<Arc<User<K>>, KernReturn> {
        let state = &admitted.state;
        let user = state.rights.user.as_ref().filter(|user| user.control.name() == control.name());
        match user {
            Some(user) if state.object.phase() == Phase::Live => Ok(user.clone()),
            _ => Err(self.refused()),
        }
    }

    fn entry(&self, port: Name) -> Result<Arc<Entry<K, P, S>>, KernReturn> {
        self.find(port).ok_or_else(|| self.refused())
    }

    /// Counts a message that is refused. Nobody is told: no message of a kernel has a reply.
    fn refused(&self) -> KernReturn {
        self.counters.refused.count();
        KernReturn::KERN_INVALID_ARGUMENT
    }

    /// Supplies a page. True if the kernel has got it.
    pub(super) fn supply(&self, user: &User<K>, page: u64, memory: &OolMemory<K>, precious: bool) -> bool {
        let sent = self.sent(user.control.supply(self.offset(page), memory, precious));
        self.counters.supplied.add(sent as u64);
        sent
    }

    pub(super) fn error(&self, user: &User<K>, page: u64) {
        self.counters.errors.count();
        self.sent(user.control.error(self.offset(page), self.page_size as u64));
    }

    /// Does what is to be done with a page that cannot be stored.
    pub(super) fn unstored(
        &self,
        entry: &Entry<K, P, S>,
        user: Option<&Arc<User<K>>>,
        page: u64,
        unstored: Unstored,
        content: impl FnOnce(&mut [u8]),
    ) {
        let gone_back = || {
            let (Some(user), Ok(mut memory)) = (user, self.page_memory()) else { return false };
            content(&mut memory);
            self.sent(user.control.supply(self.offset(page), &memory, true))
        };
        if let Unstored::HandBack(ticket) = unstored {
            if gone_back() {
                self.counters.handed_back.count();
                return;
            }
            match user {
                Some(user) => self.not_supplied(entry, user, page, ticket),
                // No kernel is there to wait for it.
                None => drop(entry.lock().object.pages.not_supplied(page, ticket)),
            }
        }
        // An object of the kernel's that it does not use any more has no content to lose.
        let is_of_use = user.is_some() || entry.origin != Origin::Internal;
        self.counters.lost.add(is_of_use as u64);
    }

    /// Counts answers that do not get there: the kernel has gone, or does not listen.
    pub(super) fn sent(&self, result: Result<(), KernReturn>) -> bool {
        self.counters.unsent.add(result.is_err() as u64);
        result.is_ok()
    }
}
