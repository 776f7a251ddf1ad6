//! What each message of an object does.

use alloc::sync::Arc;
use core::mem;
use core::ops::Range;
use core::time::Duration;

use mig_runtime::abi::Gnu;
use mig_runtime::platform::{MutexGuard, Platform};
use mig_runtime::{
    DeadName, KernReturn, Kernel, NameOf, Notification, OolMemory, ReceiveRight, SendRight, Seqno,
};

use super::answers::Answers;
use super::control::Control;
use super::entry::{Admitted, Entry, Missed, Place, Rights, Shared, State, User};
use super::transfers::{OTHERS_TRANSFERS, Returned, WriteJob};
use super::{Supplies, SwapPager};
use crate::buffers::{Buffers, Held};
use crate::object::{Init, NoSenders, Origin, Phase, Terminate, Ticket, Unstored};
use crate::store::Store;

/// A message with more pages than this is refused. The kernel's have 32 at most.
pub(super) const MAX_PAGES: u64 = 256;

/// The request port of a message, and the message's position there, if positions are counted.
#[derive(Clone, Copy)]
pub(super) struct At<N> {
    pub(super) port: N,
    pub(super) seqno: Option<Seqno>,
}

/// A returned page.
enum Taken<K: Kernel, P: Platform, S: Store> {
    /// It is in the store, without a transfer.
    Stored(Place<S>),
    /// It is to be written.
    Data(Shared<K, P>),
    /// There is no room for it: no buffer, and too many pages stay in their messages. It goes back to the
    /// kernel.
    GoesBack(Shared<K, P>),
    /// The pager stops.
    Stopped,
}

/// The memory of a message with returned pages.
enum Memory<K: Kernel, P: Platform> {
    /// No page stays in it.
    Own(OolMemory<K>),
    /// This page and perhaps others stay in it.
    Shared(Shared<K, P>),
}

impl<K: Kernel, P: Platform> Memory<K, P> {
    fn read<R>(&self, page: Range<usize>, read: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Own(memory) => read(&memory[page]),
            Self::Shared(first) => first.read(page, read),
        }
    }

    /// Lets a page stay, if `buffers` have room for it beside `reserve` others. That takes no memory.
    fn hold(
        &mut self,
        page: Range<usize>,
        buffers: &Arc<Buffers<K, P>>,
        reserve: usize,
    ) -> Option<Shared<K, P>> {
        match self {
            Self::Own(memory) => {
                let first = || Held::First(mem::replace(memory, OolMemory::empty()), page);
                let held = buffers.hold(reserve, first)?;
                *self = Self::Shared(held.clone());
                Some(held)
            }
            Self::Shared(first) => buffers.hold(reserve, || Held::Next(first.clone(), page)),
        }
    }
}

/// How long a kernel that can wait for the store is kept waiting for a buffer, until its page goes back.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many of the places for pages that stay in their messages are for those on their way back to the
/// kernel.
pub(super) const GOING_BACK: usize = 64;

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// `memory_object_create`
    pub(super) fn create(
        &self,
        at: At<NameOf<K>>,
        port: ReceiveRight<K>,
        control: SendRight<K>,
        name: SendRight<K>,
        page_size: u64,
    ) -> Result<(), KernReturn> {
        self.counters.create.count();
        if at.port != self.manager.name() {
            // Only the kernel makes objects, and it knows where to say so.
            if let Some(entry) = self.find(at.port) {
                drop(entry.turn(at.seqno));
            }
            return Err(self.refused());
        }
        let ours = |name| self.is_own_port(name);
        let names = [port.name(), control.name(), name.name()];
        let valid = names.iter().all(|name| name.is_valid() && !ours(*name));
        let distinct = names[0] != names[1] && names[0] != names[2] && names[1] != names[2];
        if !valid || !distinct || page_size != self.page_size as u64 {
            return Err(self.refused());
        }
        let user = Arc::new(User { control: Control::new(control), name });
        let rights = Rights { user: Some(user), ..Rights::unused(Arc::new(port)) };
        let entry = self.add_object(Origin::Internal, rights, None)?;
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
        at: At<NameOf<K>>,
        control: SendRight<K>,
        name: SendRight<K>,
        page_size: u64,
    ) -> Result<(), KernReturn> {
        self.counters.init.count();
        let entry = self.entry(at.port)?;
        let turn = self.turn(&entry, at)?;
        let ours = self.is_own_port(control.name());
        let fits = page_size == self.page_size as u64 && !control.is_null() && !ours;
        let user = Arc::new(User { control: Control::new(control), name });
        let decision = {
            let mut state = turn.lock();
            let Rights { user: now, next, .. } = &state.rights;
            if [now, next].into_iter().flatten().any(|other| other.control.name() == user.control.name()) {
                // The kernel repeats itself.
                return Ok(());
            }
            let port = state.rights.port.clone();
            // The death of its control port ends a kernel's use of the object, as its message does.
            drop(state);
            let fits = fits && user.control.watch(&port).is_ok();
            state = turn.lock();
            state.awaited += u32::from(fits);
            let decision = if fits { state.object.init() } else { Init::Refuse };
            match decision {
                Init::Ready => state.rights.user = Some(user.clone()),
                Init::Later => state.rights.next = Some(user.clone()),
                Init::Refuse => {}
            }
            decision
        };
        drop(turn);
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
        at: At<NameOf<K>>,
        control: ReceiveRight<K>,
        name: ReceiveRight<K>,
    ) -> Result<(), KernReturn> {
        self.counters.terminate.count();
        let entry = self.entry(at.port)?;
        let turn = self.turn(&entry, at)?;
        let of = control.name();
        self.end_use(turn, of, Some([control, name]))
    }

    /// The notification that a control port has died: whoever said that it was a kernel is gone.
    pub(super) fn control_died(&self, at: At<NameOf<K>>, control: DeadName<K>) -> Result<(), KernReturn> {
        let entry = self.entry(at.port)?;
        let turn = self.turn(&entry, at)?;
        if !control.is_genuine() {
            return Err(self.refused());
        }
        // If it is nobody's any more, then the kernel has said so before.
        let _ = self.end_use(turn, control.name(), None);
        self.was_told(&entry);
        Ok(())
    }

    /// The kernel has told of a control port what it was asked to tell. It does so once.
    fn was_told(&self, entry: &Arc<Entry<K, P, S>>) {
        let is_over = {
            let mut state = entry.lock();
            state.awaited = state.awaited.saturating_sub(1);
            state.is_over && state.awaited == 0
        };
        if is_over {
            self.forget(entry);
        }
    }

    /// The notification that the pager has released the right to a control port, or has asked again about it:
    /// no news.
    pub(super) fn control_released(&self, at: At<NameOf<K>>, asked_for: bool) -> Result<(), KernReturn> {
        let entry = self.entry(at.port)?;
        drop(self.turn(&entry, at)?);
        if !asked_for {
            return Err(self.refused());
        }
        self.was_told(&entry);
        Ok(())
    }

    /// A kernel ends its use of an object, or no longer waits for it.
    fn end_use(
        &self,
        turn: Admitted<'_, K, P, S>,
        control: NameOf<K>,
        ports: Option<[ReceiveRight<K>; 2]>,
    ) -> Result<(), KernReturn> {
        let is_it = |user: &Option<Arc<User<K>>>| {
            user.as_ref().is_some_and(|user| user.control.name() == control && control.is_valid())
        };
        let mut state = turn.lock();
        let mut release = None;
        if is_it(&state.rights.next) {
            state.object.give_up();
            release = Some((state.rights.next.take(), ports));
        } else {
            let decision =
                if is_it(&state.rights.user) { state.object.terminate() } else { Terminate::Refuse };
            let ended = (state.rights.user.take_if(|_| decision != Terminate::Refuse), ports);
            match decision {
                Terminate::Later => state.rights.ended = Some(ended),
                Terminate::Release => release = Some(ended),
                Terminate::Refuse => {
                    drop(state);
                    drop(turn);
                    return Err(self.refused());
                }
            }
        }
        drop(state);
        drop(turn);
        drop(release);
        Ok(())
    }

    /// The no-senders notification.
    pub(super) fn no_senders(
        &self,
        at: At<NameOf<K>>,
        asked_for: bool,
        rights_made: u32,
    ) -> Result<(), KernReturn> {
        self.counters.no_senders.count();
        if asked_for && self.backing_stores.has(at.port) {
            return self.backing_store_left(at.port);
        }
        if asked_for && self.clients.left(at.port) {
            return Ok(());
        }
        let entry = self.entry(at.port)?;
        let turn = self.turn(&entry, at)?;
        if !asked_for {
            return Err(self.refused());
        }
        let (decision, made) = {
            let object = &mut turn.lock().object;
            (object.no_senders(rights_made), object.rights_made())
        };
        drop(turn);
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
        at: At<NameOf<K>>,
        control: SendRight<K>,
        offset: u64,
        length: u64,
    ) -> Result<(), KernReturn> {
        self.counters.data_request.count();
        let entry = self.entry(at.port)?;
        let turn = self.turn(&entry, at)?;
        let user = self.sender(&turn, &control)?;
        self.counters.requested.add(length / self.page_size as u64);
        let Some(pages) = self.pages_of(&turn, offset, length) else {
            drop(turn);
            self.counters.errors.count();
            self.sent(user.control.error(offset, length));
            return Err(self.refused());
        };
        self.make_room(&entry, &pages);
        let mut answers = Answers::new(pages.start);
        for page in pages {
            if self.takes_request(&entry, &turn) {
                let request = turn.lock().object.request(page);
                self.note_answer(&entry, page, request, &mut answers);
            } else {
                answers.refuse(page);
            }
        }
        drop(turn);
        self.give_answers(Some(&user), answers);
        Ok(())
    }

    /// Whether one more page may be asked for. The kernel's objects may have any number on their way.
    fn takes_request(&self, entry: &Entry<K, P, S>, turn: &Admitted<'_, K, P, S>) -> bool {
        if entry.origin == Origin::Internal {
            return true;
        }
        let on_their_way = turn.lock().object.transfers();
        self.transfers.takes_request(on_their_way)
    }

    /// Takes memory to queue these pages, unless they are the kernel's: for those there is some.
    fn make_room(&self, entry: &Entry<K, P, S>, pages: &Range<u64>) {
        if entry.origin != Origin::Internal {
            self.transfers.make_room((pages.end - pages.start) as usize);
        }
    }

    /// The pages of an object that a message is about; `None` if it has none such, or they are too many.
    fn pages_of(&self, turn: &Admitted<'_, K, P, S>, offset: u64, length: u64) -> Option<Range<u64>> {
        self.pages(offset, length).filter(|pages| {
            let count = pages.end - pages.start;
            count <= MAX_PAGES && turn.lock().object.has_pages(pages.start, count)
        })
    }

    /// `memory_object_data_return`, or `memory_object_data_initialize` if `first`.
    pub(super) fn data_return(
        &self,
        at: At<NameOf<K>>,
        control: SendRight<K>,
        offset: u64,
        data: OolMemory<K>,
        first: bool,
    ) -> Result<(), KernReturn> {
        let arrived = P::now();
        let counter = if first { &self.counters.data_initialize } else { &self.counters.data_return };
        counter.count();
        let entry = self.entry(at.port)?;
        let turn = self.turn(&entry, at)?;
        let user = self.sender(&turn, &control)?;
        let pages = self.pages_of(&turn, offset, data.len() as u64).ok_or_else(|| self.refused())?;
        self.make_room(&entry, &pages);
        let mut memory = Memory::Own(data);
        let last = pages.end - 1;
        let start = pages.start;
        for page in pages {
            self.counters.returned.count();
            let at = (page - start) as usize * self.page_size;
            let at = at..at + self.page_size;
            if first && turn.lock().object.pages().was_written(page) {
                self.counters.superseded.count();
                continue;
            }
            let fits = self.fits(&entry, &turn, page);
            let Some(taken) = self.take(entry.origin, &mut memory, at.clone(), fits) else {
                self.refuse_at_once(&entry, &turn, &user, page, &memory, at);
                continue;
            };
            if page == last && matches!(memory, Memory::Own(_)) {
                // This is what the kernel waits for.
                memory = Memory::Own(OolMemory::empty());
                self.counters.turnaround.count(P::now().saturating_sub(arrived));
            }
            self.admit(&entry, &turn, page, taken, fits);
        }
        drop(memory);
        drop(turn);
        if self.nodes.is_low() {
            self.transfers.provide();
        }
        self.transfers.wake_writers();
        Ok(())
    }

    /// Whether there is room for one more page of this object, if it is one more. The kernel's objects may
    /// have all.
    fn fits(&self, entry: &Entry<K, P, S>, turn: &Admitted<'_, K, P, S>, page: u64) -> bool {
        let mut state = turn.lock();
        if entry.origin == Origin::Internal || state.object.pages().is_noted(page) {
            return true;
        }
        let fits = self.charge_others(entry);
        state.charged += u64::from(fits);
        fits
    }

    /// Takes a page out of the memory of a message, or lets it stay there. `None` if there is no room for
    /// that.
    fn take(
        &self,
        origin: Origin,
        memory: &mut Memory<K, P>,
        page: Range<usize>,
        fits: bool,
    ) -> Option<Taken<K, P, S>> {
        if fits {
            if let Some(place) = memory.read(page.clone(), |page| self.store.same_filled(page)) {
                return Some(Taken::Stored(place));
            }
        }
        match origin {
            Origin::Internal => self.take_internal(memory, page),
            Origin::External { .. } => Some(memory.read(page, |page| self.take_external(page, fits))),
        }
    }

    /// A page of the kernel's stays in its message if it may have to go back, for that takes no memory then.
    fn take_internal(&self, memory: &mut Memory<K, P>, page: Range<usize>) -> Option<Taken<K, P, S>> {
        let buffers = &self.internal_buffers;
        let hold = |memory: &mut Memory<K, P>| {
            let held = memory.hold(page.clone(), buffers, GOING_BACK);
            self.counters.held.add(held.is_some() as u64);
            held
        };
        let copy = |memory: &Memory<K, P>| memory.read(page.clone(), |page| buffers.copy(page));
        let data = match self.is_nearly_full() {
            true => hold(memory).or_else(|| copy(memory)),
            false => copy(memory).or_else(|| hold(memory)),
        };
        let data = data.or_else(|| {
            if self.config.supplies != Supplies::InPlace || self.is_nearly_full() {
                return None;
            }
            // A kernel that can wait for the store is kept from returning pages faster than that takes them.
            loop {
                self.transfers.wake_writers();
                if !buffers.wait(PATIENCE) {
                    return None;
                }
                if let Some(data) = copy(memory) {
                    return Some(data);
                }
            }
        });
        data.map(Taken::Data).or_else(|| memory.hold(page, buffers, 0).map(Taken::GoesBack))
    }

    /// An object that is not the kernel's waits for a buffer, for none of its messages concerns the memory of
    /// the machine. When the last mapping of it goes the kernel returns all of its pages at once, and takes
    /// none of them back. What was taken before is on its way to the store, so that there is a buffer at some
    /// time.
    fn take_external(&self, page: &[u8], fits: bool) -> Taken<K, P, S> {
        let data = self.external_buffers.copy(page).or_else(|| {
            self.transfers.wake_writers();
            self.external_buffers.wait_and_copy(page)
        });
        match data {
            Some(data) if fits => Taken::Data(data),
            Some(data) => Taken::GoesBack(data),
            None => Taken::Stopped,
        }
    }

    /// Gives a page back for which there is no room at all, not even until a thread that may wait has given
    /// it back.
    fn refuse_at_once(
        &self,
        entry: &Arc<Entry<K, P, S>>,
        turn: &Admitted<'_, K, P, S>,
        user: &User<K>,
        page: u64,
        memory: &Memory<K, P>,
        at: Range<usize>,
    ) {
        let (replaced, unstored, begun) = turn.lock().object.refuse(page);
        self.free(replaced);
        let offset = self.offset(page);
        let supply = || memory.read(at, |page| user.control.supply(offset, page, true));
        match unstored {
            Unstored::HandBack(_) if self.sent(supply()) => self.counters.handed_back.count(),
            Unstored::HandBack(ticket) => self.lost(entry, Some(user), page, ticket),
            Unstored::Lost => self.counters.lost.count(),
        }
        if let Some(begun) = begun {
            self.transfer_ended(entry, begun);
        }
    }

    /// Notes what becomes of a page, and has it done.
    fn admit(
        &self,
        entry: &Arc<Entry<K, P, S>>,
        turn: &Admitted<'_, K, P, S>,
        page: u64,
        taken: Taken<K, P, S>,
        fits: bool,
    ) {
        let mut state = turn.lock();
        match taken {
            Taken::Stored(place) => match state.object.pages_mut().store(page, place) {
                Ok(replaced) => {
                    drop(state);
                    self.counters.same_filled.count();
                    self.free(replaced);
                }
                Err(place) => {
                    self.counters.unnoted.count();
                    self.go_back(entry, state, page, Returned::Place(place), fits);
                }
            },
            Taken::Data(data) => match state.object.write(page, data.clone()) {
                Some((ticket, begun)) => {
                    drop(state);
                    self.transfers.write(WriteJob { entry: entry.clone(), page, ticket, data, begun });
                }
                None => {
                    self.counters.unnoted.count();
                    self.go_back(entry, state, page, Returned::Data(data), fits);
                }
            },
            Taken::GoesBack(data) => self.go_back(entry, state, page, Returned::Data(data), fits),
            Taken::Stopped => {
                drop(state);
                self.counters.lost.count();
            }
        }
    }

    /// Has a page supplied again that cannot be taken. One too many of those that are not the kernel's is not
    /// even noted.
    fn go_back(
        &self,
        entry: &Arc<Entry<K, P, S>>,
        mut state: MutexGuard<'_, P, State<K, P, S>>,
        page: u64,
        returned: Returned<K, P, S>,
        fits: bool,
    ) {
        let is_other = entry.origin != Origin::Internal;
        let too_many = is_other && state.object.transfers() >= OTHERS_TRANSFERS;
        let object = &mut state.object;
        let (replaced, unstored, begun) = if too_many {
            object.pages_mut().lose_unnoted();
            (None, Unstored::Lost, None)
        } else if fits {
            object.refuse(page)
        } else {
            let (unstored, begun) = object.refuse_unnoted();
            (None, unstored, begun)
        };
        drop(state);
        self.free(replaced);
        match (unstored, begun) {
            (Unstored::HandBack(ticket), Some(begun)) => {
                self.give_back(entry.clone(), page, returned, ticket, begun);
            }
            _ => {
                self.counters.lost.count();
                self.discard(returned);
            }
        }
    }

    /// `memory_object_data_unlock`: nothing was ever locked, but whoever asks shall not wait.
    pub(super) fn data_unlock(
        &self,
        at: At<NameOf<K>>,
        control: SendRight<K>,
        offset: u64,
        length: u64,
    ) -> Result<(), KernReturn> {
        self.counters.data_unlock.count();
        let entry = self.entry(at.port)?;
        let turn = self.turn(&entry, at)?;
        let user = self.sender(&turn, &control)?;
        drop(turn);
        self.sent(user.control.unlock(offset, length));
        Ok(())
    }

    /// Waits for a message's turn.
    fn turn<'e>(
        &self,
        entry: &'e Entry<K, P, S>,
        at: At<NameOf<K>>,
    ) -> Result<Admitted<'e, K, P, S>, KernReturn> {
        entry.turn(at.seqno).admit().map_err(|Missed| self.refused())
    }

    /// The kernel that uses an object, if this message comes from it.
    fn sender(
        &self,
        turn: &Admitted<'_, K, P, S>,
        control: &SendRight<K>,
    ) -> Result<Arc<User<K>>, KernReturn> {
        let state = turn.lock();
        let user = state.rights.user.as_ref().filter(|_| state.object.phase() == Phase::Live);
        let user = user.filter(|user| user.control.name() == control.name()).cloned();
        drop(state);
        user.ok_or_else(|| self.refused())
    }

    /// Whether a port is one of the pager's own, to which it must not be made to talk.
    pub(super) fn is_own_port(&self, name: NameOf<K>) -> bool {
        [&self.manager, &self.administration].iter().any(|port| port.name() == name)
            || self.backing_stores.has(name)
            || self.clients.has(name)
            || self.find(name).is_some()
    }

    fn entry(&self, port: NameOf<K>) -> Result<Arc<Entry<K, P, S>>, KernReturn> {
        self.find(port).ok_or_else(|| self.refused())
    }

    /// Counts a message that is refused. Nobody is told: no message of a kernel has a reply.
    fn refused(&self) -> KernReturn {
        self.counters.refused.count();
        KernReturn::KERN_INVALID_ARGUMENT
    }

    /// Supplies pages, from this one on. True if the kernel has got them.
    pub(super) fn supply(&self, user: &User<K>, page: u64, memory: &[u8], precious: bool) -> bool {
        let sent = self.sent(user.control.supply(self.offset(page), memory, precious));
        let pages = (memory.len() / self.page_size) as u64;
        self.counters.supplied.add(if sent { pages } else { 0 });
        sent
    }

    pub(super) fn error(&self, user: &User<K>, page: u64) {
        self.counters.errors.count();
        self.sent(user.control.error(self.offset(page), self.page_size as u64));
    }

    /// A page is lost: the store does not take it, and the kernel does not get it back.
    pub(super) fn lost(&self, entry: &Entry<K, P, S>, user: Option<&User<K>>, page: u64, going_back: Ticket) {
        let unanswered = entry.lock().object.pages_mut().not_supplied(page, going_back);
        self.count_lost(entry, user, page, unanswered);
    }

    /// Counts a page that is lost, and tells whoever waits for it.
    pub(super) fn count_lost(
        &self,
        entry: &Entry<K, P, S>,
        user: Option<&User<K>>,
        page: u64,
        unanswered: bool,
    ) {
        if let Some(user) = user.filter(|_| unanswered) {
            self.error(user, page);
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

#[cfg(all(test, feature = "std"))]
mod tests {
    use mig_runtime::kernel::local::Local;
    use mig_runtime::platform::Std;

    use super::*;
    use crate::Config;
    use crate::store::MemoryStore;

    const PAGE: usize = 4096;

    #[test]
    fn a_message_whose_position_has_been_passed_is_refused() {
        let task: Local = Local::new();
        let store = MemoryStore::<Std>::new(PAGE, 10);
        let pager = SwapPager::<Local, Std, _>::new(&task, store, Config::default()).unwrap();
        let [object, control, name] = [(); 3].map(|()| ReceiveRight::allocate(&task).unwrap());
        let port = object.name();
        let send = |port: &ReceiveRight<Local>| port.make_send().unwrap();
        let manager = At { port: pager.manager.name(), seqno: None };
        pager.create(manager, object, send(&control), send(&name), PAGE as u64).unwrap();

        let returns = |position: u32, content: u8| {
            let mut data = OolMemory::allocate(&task, PAGE).unwrap();
            data[0] = content;
            let at = At { port, seqno: Some(Seqno(position)) };
            pager.data_return(at, send(&control), 0, data, false)
        };
        assert_eq!([returns(0, 1), returns(1, 2)], [Ok(()); 2]);
        // No kernel gives a position twice: this is no message of one, and the page stays as it is.
        assert_eq!(returns(0, 3), Err(KernReturn::KERN_INVALID_ARGUMENT));
        let figures = pager.statistics();
        assert_eq!((figures.data_return, figures.returned, figures.refused), (3, 2, 1));
        assert_eq!(returns(2, 4), Ok(()), "the next position is what it was");
    }
}
