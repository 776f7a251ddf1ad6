//! What the pager knows of each page of an object, and what follows from a message or a finished transfer.
//!
//! Nothing here waits or transfers. `L` is the place of a page in the store: it is not copied, so each is
//! given back exactly once. `D` is a page's data on its way to the store.

use alloc::sync::Arc;
use core::fmt;

use super::map::{FAN, Map, Nodes, Note, Precious, Recorded, TICKETS, Transfer, TransferKind};

/// Tells one transfer of an object from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The pages of an object that were ever written, by number.
///
/// They are in a [packed map](super::Nodes), whose memory is bounded. One that cannot be noted is refused, as
/// if the store were full.
pub struct Pages<L, D> {
    notes: Map<L>,
    records: Arc<dyn Records<L, D>>,
    last_ticket: u64,
    /// How many times a page without a note has gone back or was lost, if any: a page without a note may be
    /// one of those.
    unnoted: Option<u32>,
    /// How many times in a row a page that cannot be stored goes back to the kernel before it is given up.
    hand_backs: u8,
}

/// A page that was written at least once.
#[derive(Debug)]
enum Page<L, D> {
    /// Its newest content is on the way to the store.
    Writing {
        /// The newest write. The page's other writes are of no use any more.
        ticket: Ticket,
        data: D,
        /// The content before.
        old: Option<L>,
        /// The kernel has asked for it, and it was not lent since.
        wanted: bool,
        /// How many times the kernel gets this content again, or has got it, as precious: it will not drop it
        /// then.
        lent: u32,
        handed_back: u8,
    },
    /// Only the store has it.
    Out(L),
    /// The store has it, and the kernel perhaps, too. It says nothing when it drops a page that it has not
    /// changed.
    In(L),
    /// It is being read for the kernel; the read has the place.
    Reading { ticket: Ticket },
    /// It is being supplied as precious. The store has it until the kernel does.
    GivingAway { ticket: Ticket, place: L },
    /// It is being moved to another place in the store. The mover has the place.
    Moving {
        ticket: Ticket,
        /// The kernel has it, perhaps.
        in_kernel: bool,
        /// The kernel has asked for it meanwhile.
        wanted: bool,
    },
    /// Only the kernel has it, and knows that.
    Precious {
        /// It went back without a request.
        gone_back: Option<GoneBack>,
        handed_back: u8,
    },
    /// Nobody has it.
    Lost,
}

/// A page that goes back to the kernel, or has gone, without a request. One request may be on its way that is
/// answered by that.
#[derive(Clone, Copy, Debug)]
struct GoneBack {
    ticket: Ticket,
    /// How many times: as often as it was lent before, or once.
    times: u32,
    /// That request has come.
    answers: bool,
}

/// What is known of a page on its way, where a note cannot hold it: one with data, or one that is being given
/// away.
#[derive(Debug)]
pub struct Record<L, D>(Page<L, D>);

/// Where the records of all objects' pages are.
///
/// There are never more than there are pages with data and threads that supply pages, so the memory for them
/// can be taken ahead: what frees the memory of a machine must not need any.
pub trait Records<L, D>: Send + Sync {
    /// Keeps a record, and says where.
    fn put(&self, record: Record<L, D>) -> u32;

    /// Takes the record out that is there.
    fn take(&self, at: u32) -> Record<L, D>;
}

/// What to do for a requested page.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<L> {
    /// It was never written: `data_unavailable`.
    Unavailable,
    /// It is on its way to the store: call [`Pages::lend`] when there is memory to supply it.
    Lend,
    /// Read it, then call [`Pages::read`].
    Read(Read<L>),
    /// There is an answer, or will be: do nothing.
    Answered,
    /// Nobody has it: `data_error`.
    Lost,
    /// The kernel has it: `data_error`, because a request was made against the rules.
    Unexpected,
}

impl<L> Request<L> {
    /// True if the answer comes later, after [`Pages::lend`] or [`Pages::read`].
    pub fn takes_transfer(&self) -> bool {
        matches!(self, Request::Lend | Request::Read(_))
    }
}

/// A page that is being read, with its place in the store.
#[derive(Debug, PartialEq, Eq)]
pub struct Read<L> {
    ticket: Ticket,
    /// Where it is.
    pub place: L,
}

/// Why a read failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFailure {
    /// It may go well the next time.
    Transient,
    /// The content is gone.
    Corrupt,
}

/// What to do after a read.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterRead<L> {
    /// Supply what was read. The store keeps it.
    Supply,
    /// Supply what was read as precious, then call [`Pages::given_away`], or [`Pages::not_supplied`] if that
    /// fails.
    GiveAway(Ticket),
    /// `data_error`, and give back this place.
    Error(Option<L>),
    /// The kernel has returned the page since, so it does not wait for it. Give back this place.
    Superseded(L),
}

/// What to do after a write.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterWrite<L> {
    /// It is stored.
    Stored {
        /// The place of what it replaces, to be given back.
        replaced: Option<L>,
        /// The kernel waits for it: read it, then call [`Pages::read`].
        wanted: Option<Read<L>>,
    },
    /// A later write has come; give back this place.
    Superseded(Option<L>),
    /// It is not stored. Give back the place of what it replaces, which may be what was missing, and write
    /// again.
    Again(L),
    /// It is not stored, but the kernel has it, as precious.
    Precious,
    /// It is not stored. Send it back to the kernel, as precious. If that fails, call
    /// [`Pages::not_supplied`].
    HandBack(Ticket),
    /// It is not stored, has gone back too often, and is lost.
    Lost {
        /// The kernel waits for it: `data_error`.
        wanted: bool,
    },
}

/// What to do with a page that cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unstored {
    /// Send it back to the kernel, as precious. If that fails, call [`Pages::not_supplied`].
    HandBack(Ticket),
    /// It has gone back too often, and is lost.
    Lost,
}

/// Pages without a note go back to the kernel as often as this many pages with one, before they are lost.
const UNNOTED: u32 = 64;

impl<L, D: Clone> Pages<L, D> {
    /// No page was written yet. `hand_backs` says how many times in a row a page that cannot be stored goes
    /// back to the kernel before it is given up. What is noted of pages takes its memory from `memory`.
    pub fn new<M: Nodes<L> + Records<L, D> + 'static>(hand_backs: u8, memory: Arc<M>) -> Self {
        let notes = Map::new(memory.clone());
        Self { notes, records: memory, last_ticket: 0, unnoted: None, hand_backs }
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket = self.last_ticket % TICKETS + 1;
        Ticket(self.last_ticket)
    }

    /// Takes what is known of a page. It is to be [put](Self::put) back, or something else.
    fn take(&mut self, page: u64) -> Option<Page<L, D>> {
        Page::of(self.notes.take(page), &*self.records)
    }

    /// The same if this is the page's transfer.
    fn take_with(&mut self, page: u64, ticket: Ticket) -> Option<Page<L, D>> {
        let state = self.take(page)?;
        if state.ticket() == Some(ticket) {
            return Some(state);
        }
        self.put(page, state);
        None
    }

    /// Notes what is known of a page that was noted before, or for which there is room.
    fn put(&mut self, page: u64, state: Page<L, D>) {
        let note = match state {
            Page::Out(place) => Note::Out(place),
            Page::In(place) => Note::In(place),
            Page::Lost => Note::Lost,
            Page::Precious { gone_back, handed_back } => Note::Precious(note(gone_back, handed_back)),
            Page::Reading { ticket } => Note::Transfer(Transfer::new(ticket.0, TransferKind::Read)),
            Page::Moving { ticket, in_kernel, wanted } => {
                Note::Transfer(Transfer::new(ticket.0, TransferKind::Move { in_kernel, wanted }))
            }
            Page::Writing { .. } | Page::GivingAway { .. } => {
                let in_store = matches!(state, Page::GivingAway { .. });
                Note::Recorded(Recorded::new(self.records.put(Record(state)), in_store))
            }
        };
        let noted = self.notes.put(page, note);
        debug_assert!(noted.is_ok(), "a page without room for a note");
    }

    /// The kernel wants a page.
    pub(super) fn request(&mut self, page: u64) -> Request<L> {
        let Some(before) = self.take(page) else {
            return if self.unnoted.is_some() { Request::Lost } else { Request::Unavailable };
        };
        let (state, answer) = match before {
            Page::Out(place) | Page::In(place) | Page::GivingAway { place, .. } => {
                let ticket = self.ticket();
                (Page::Reading { ticket }, Request::Read(Read { ticket, place }))
            }
            Page::Writing { ticket, data, old, wanted, lent, handed_back } => {
                let answer = if wanted { Request::Answered } else { Request::Lend };
                (Page::Writing { ticket, data, old, wanted: true, lent, handed_back }, answer)
            }
            Page::Precious { gone_back: Some(gone @ GoneBack { answers: false, .. }), handed_back } => {
                let gone_back = Some(GoneBack { answers: true, ..gone });
                (Page::Precious { gone_back, handed_back }, Request::Answered)
            }
            state @ Page::Precious { .. } => (state, Request::Unexpected),
            state @ Page::Reading { .. } => (state, Request::Answered),
            Page::Moving { ticket, in_kernel, .. } => {
                (Page::Moving { ticket, in_kernel, wanted: true }, Request::Answered)
            }
            Page::Lost => (Page::Lost, Request::Lost),
        };
        self.put(page, state);
        answer
    }

    /// There is memory for a page that was asked for on its way to the store: this is its content, to be
    /// supplied as precious; if that fails, call [`not_supplied`](Self::not_supplied). `None` if the request
    /// has been seen to since, because the write has ended: an answer to it now might overtake the kernel,
    /// which may have had the page and returned another content.
    pub fn lend(&mut self, page: u64) -> Option<(D, Ticket)> {
        let state = self.take(page)?;
        let Page::Writing { ticket, data, old, wanted: true, lent, handed_back } = state else {
            self.put(page, state);
            return None;
        };
        let lend = (data.clone(), ticket);
        self.put(page, Page::Writing { ticket, data, old, wanted: false, lent: lent + 1, handed_back });
        Some(lend)
    }

    /// The kernel returns a page. What it returns is to be written; what was there before, or is being
    /// written, is of no use any more. `None` if there is no memory to note it: it is to be
    /// refused.
    pub(super) fn write(&mut self, page: u64, data: D) -> Option<Ticket> {
        if !self.notes.make_room(page) {
            return None;
        }
        let ticket = self.ticket();
        let before = self.take(page);
        let handed_back = before.as_ref().map_or(0, Page::handed_back);
        let wanted = matches!(before, Some(Page::Writing { wanted: true, .. }));
        let old = before.and_then(Page::into_place);
        self.put(page, Page::Writing { ticket, data, old, wanted, lent: 0, handed_back });
        Some(ticket)
    }

    /// The kernel returns a page that is stored at once. Gives back the place of what it replaces.
    ///
    /// # Errors
    ///
    /// The place, if there is no memory to note the page: it is to be [refused](super::Object::refuse).
    pub fn store(&mut self, page: u64, place: L) -> Result<Option<L>, L> {
        if !self.notes.make_room(page) {
            return Err(place);
        }
        let before = self.take(page);
        self.put(page, Page::Out(place));
        Ok(before.and_then(Page::into_place))
    }

    /// The kernel returns a page that cannot be taken now, and is to have it back as precious. However often
    /// that happens, it is not lost by that, for nothing has failed; but if there is no memory to note even
    /// this, it may be. Gives back the place of what it replaces.
    pub(super) fn refuse(&mut self, page: u64) -> (Option<L>, Unstored) {
        if !self.notes.make_room(page) {
            return (None, self.refuse_unnoted());
        }
        let ticket = self.ticket();
        let before = self.take(page);
        let handed_back = before.as_ref().map_or(0, Page::handed_back);
        self.put(page, Page::going_back(ticket, false, handed_back));
        (before.and_then(Page::into_place), Unstored::HandBack(ticket))
    }

    /// A page goes back without a note of that. Where some have, a page without a note is not known to have
    /// never been written: whoever asks for one is told of an error, and not that it is all zeros.
    pub(super) fn refuse_unnoted(&mut self) -> Unstored {
        let times = self.unnoted.get_or_insert(0);
        if *times >= u32::from(self.hand_backs) * UNNOTED {
            return Unstored::Lost;
        }
        *times += 1;
        Unstored::HandBack(Ticket::NONE)
    }

    /// A page is lost without a note of that, as those are that went back too often.
    pub fn lose_unnoted(&mut self) {
        self.unnoted.get_or_insert(0);
    }

    /// True if the page was ever written: `data_initialize` does not change it then.
    pub fn was_written(&self, page: u64) -> bool {
        self.unnoted.is_some() || self.notes.contains(page)
    }

    /// True if the map knows of this page.
    pub fn is_noted(&self, page: u64) -> bool {
        self.notes.contains(page)
    }

    /// True if nothing else has become of this page since a transfer began, so that going on with it is of
    /// use.
    pub fn is_current(&mut self, page: u64, transfer: Ticket) -> bool {
        let Some(state) = self.take_with(page, transfer) else { return transfer == Ticket::NONE };
        self.put(page, state);
        true
    }

    /// A write has ended: with a place, or without.
    pub(super) fn written(&mut self, page: u64, write: Ticket, place: Option<L>) -> AfterWrite<L> {
        let (data, old, wanted, lent, handed_back) = match self.take_with(page, write) {
            Some(Page::Writing { data, old, wanted, lent, handed_back, .. }) => {
                (data, old, wanted, lent, handed_back)
            }
            Some(other) => {
                self.put(page, other);
                return AfterWrite::Superseded(place);
            }
            None => return AfterWrite::Superseded(place),
        };
        match (place, old) {
            (Some(place), replaced) if wanted => {
                let ticket = self.ticket();
                self.put(page, Page::Reading { ticket });
                AfterWrite::Stored { replaced, wanted: Some(Read { ticket, place }) }
            }
            (Some(place), replaced) => {
                self.put(page, if lent > 0 { Page::In(place) } else { Page::Out(place) });
                AfterWrite::Stored { replaced, wanted: None }
            }
            (None, Some(old)) => {
                self.put(page, Page::Writing { ticket: write, data, old: None, wanted, lent, handed_back });
                AfterWrite::Again(old)
            }
            (None, None) if lent > 0 => {
                // The loan was the answer to a request.
                let lent = GoneBack { ticket: write, times: lent, answers: true };
                self.put(page, Page::Precious { gone_back: Some(lent), handed_back: 0 });
                AfterWrite::Precious
            }
            (None, None) if handed_back < self.hand_backs => {
                let ticket = self.ticket();
                self.put(page, Page::going_back(ticket, wanted, handed_back + 1));
                AfterWrite::HandBack(ticket)
            }
            (None, None) => {
                self.put(page, Page::Lost);
                AfterWrite::Lost { wanted }
            }
        }
    }

    /// A read has ended. With `give_away` a page that was read well is supplied as precious, so that the
    /// store need not keep it.
    pub fn read(
        &mut self,
        page: u64,
        read: Read<L>,
        result: Result<(), ReadFailure>,
        give_away: bool,
    ) -> AfterRead<L> {
        let Read { ticket, place } = read;
        if self.take_with(page, ticket).is_none() {
            return AfterRead::Superseded(place);
        }
        let (state, after) = match result {
            Ok(()) if give_away => (Page::GivingAway { ticket, place }, AfterRead::GiveAway(ticket)),
            Ok(()) => (Page::In(place), AfterRead::Supply),
            Err(ReadFailure::Transient) => (Page::Out(place), AfterRead::Error(None)),
            Err(ReadFailure::Corrupt) => (Page::Lost, AfterRead::Error(Some(place))),
        };
        self.put(page, state);
        after
    }

    /// A page has been supplied after [`AfterRead::GiveAway`]. Gives back its place, unless something else
    /// has become of the page since.
    pub fn given_away(&mut self, page: u64, given: Ticket) -> Option<L> {
        let given = self.take_with(page, given)?;
        self.put(page, Page::Precious { gone_back: None, handed_back: 0 });
        given.into_place()
    }

    /// The kernel has not got a page that was to be supplied as precious. True if a request is left without
    /// an answer: `data_error`.
    #[must_use = "somebody may wait for the page"]
    pub fn not_supplied(&mut self, page: u64, supply: Ticket) -> bool {
        let Some(state) = self.take_with(page, supply) else { return false };
        let (after, unanswered) = match state {
            Page::Writing { ticket, data, old, wanted, lent, handed_back } => {
                let lent = lent.saturating_sub(1);
                (Page::Writing { ticket, data, old, wanted, lent, handed_back }, !wanted)
            }
            Page::GivingAway { place, .. } => (Page::Out(place), true),
            Page::Precious { gone_back: Some(gone @ GoneBack { times: 2.., .. }), handed_back } => {
                let gone_back = Some(GoneBack { times: gone.times - 1, ..gone });
                (Page::Precious { gone_back, handed_back }, true)
            }
            Page::Precious { gone_back, .. } => (Page::Lost, gone_back.is_some_and(|gone| gone.answers)),
            other => (other, false),
        };
        self.put(page, after);
        unanswered
    }

    /// Begins to move the first page from this one on whose place is one of these. [`moved`](Self::moved) is
    /// to follow.
    pub(super) fn begin_move(&mut self, from: u64, leaves: impl Fn(&L) -> bool) -> Option<(u64, Read<L>)> {
        let page = self.notes.find(from, leaves)?;
        let (place, in_kernel) = match self.take(page)? {
            Page::Out(place) => (place, false),
            Page::In(place) => (place, true),
            other => {
                self.put(page, other);
                return None;
            }
        };
        let ticket = self.ticket();
        self.put(page, Page::Moving { ticket, in_kernel, wanted: false });
        Some((page, Read { ticket, place }))
    }

    /// A page has been moved to another place, or stays where it is if there is none. Gives back the places
    /// that are not needed any more, and what to do if the kernel has asked for the page meanwhile.
    pub(super) fn moved(
        &mut self,
        page: u64,
        read: Read<L>,
        place: Option<L>,
    ) -> ([Option<L>; 2], Option<Request<L>>) {
        let Read { ticket, place: before } = read;
        let Some(Page::Moving { in_kernel, wanted, .. }) = self.take_with(page, ticket) else {
            // The kernel has returned it since, or the object is gone.
            return ([Some(before), place], None);
        };
        let (place, free) = match place {
            Some(place) => (place, Some(before)),
            None => (before, None),
        };
        self.put(page, if in_kernel { Page::In(place) } else { Page::Out(place) });
        ([free, None], wanted.then(|| self.request(page)))
    }

    /// Forgets the first page from this one on that was ever written, as if it had not been. Says which one
    /// that is, and gives back its place if it has one.
    pub fn forget_next(&mut self, from: u64) -> Option<(u64, Option<L>)> {
        let page = self.notes.find_noted(from)?;
        Some((page, self.take(page).and_then(Page::into_place)))
    }

    /// True if only the store has the page, and the kernel does not wait for it: it may be supplied before it
    /// is asked for.
    pub fn is_out(&self, page: u64) -> bool {
        self.notes.is_out(page)
    }

    /// The pages from this one on that the store has, in order.
    pub fn in_store(&self, from: u64) -> impl Iterator<Item = u64> {
        self.notes.in_store(from)
    }

    /// Has a look at where the store has a page; `None` if it is not there, or on its way out of it.
    pub fn look<R>(&mut self, page: u64, look: impl FnOnce(&L) -> R) -> Option<R> {
        let state = self.take(page)?;
        let seen = match &state {
            Page::Out(place) | Page::In(place) | Page::GivingAway { place, .. } => Some(look(place)),
            _ => None,
        };
        self.put(page, state);
        seen
    }

    /// How many there are. They are not counted one by one.
    pub fn count_in_store(&self) -> u64 {
        self.notes.stored()
    }
}

impl<L, D> Pages<L, D> {
    /// Forgets some of the pages, and gives back their places: a number that takes no time to speak of.
    /// `None` if there are none left.
    pub fn forget_some(&mut self) -> Option<impl Iterator<Item = L> + use<L, D>> {
        let mut places = [const { None }; FAN];
        let mut next = places.iter_mut();
        let records = &*self.records;
        let some = self.notes.forget_some(|note| {
            if let Some(place) = next.next() {
                *place = Page::of(note, records).and_then(Page::into_place);
            }
        });
        some.then(|| places.into_iter().flatten())
    }

    /// Forgets every page, and gives back the places.
    pub fn into_places(mut self) -> impl Iterator<Item = L> {
        core::iter::from_fn(move || self.forget_some()).flatten()
    }
}

impl<L, D> Drop for Pages<L, D> {
    /// Gives the records back.
    fn drop(&mut self) {
        while self.forget_some().is_some() {}
    }
}

impl<L, D> fmt::Debug for Pages<L, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("notes", &self.notes).finish_non_exhaustive()
    }
}

/// What the map notes of a page that only the kernel has.
fn note(gone_back: Option<GoneBack>, handed_back: u8) -> Precious {
    match gone_back {
        Some(GoneBack { ticket, times, answers }) => Precious::new(ticket.0, times, answers, handed_back),
        None => Precious::new(0, 0, false, handed_back),
    }
}

impl Ticket {
    /// That of no transfer.
    const NONE: Self = Self(0);
}

impl<L, D> Page<L, D> {
    /// What a note and the record that it names say. `None` of a page that was never written.
    fn of(note: Note<L>, records: &dyn Records<L, D>) -> Option<Self> {
        Some(match note {
            Note::Never => return None,
            Note::Recorded(recorded) => records.take(recorded.at()).0,
            Note::Transfer(transfer) => {
                let ticket = Ticket(transfer.ticket());
                match transfer.kind {
                    TransferKind::Read => Page::Reading { ticket },
                    TransferKind::Move { in_kernel, wanted } => Page::Moving { ticket, in_kernel, wanted },
                }
            }
            Note::Precious(precious) => Page::from_note(precious),
            Note::Lost => Page::Lost,
            Note::Out(place) => Page::Out(place),
            Note::In(place) => Page::In(place),
        })
    }

    fn from_note(precious: Precious) -> Self {
        let ticket = Ticket(precious.ticket());
        let gone_back = GoneBack { ticket, times: precious.times(), answers: precious.answers };
        Page::Precious {
            gone_back: (ticket != Ticket::NONE).then_some(gone_back),
            handed_back: precious.handed_back,
        }
    }

    fn going_back(ticket: Ticket, answers: bool, handed_back: u8) -> Self {
        Page::Precious { gone_back: Some(GoneBack { ticket, times: 1, answers }), handed_back }
    }

    /// That of the transfer that is on its way, or was the last one.
    fn ticket(&self) -> Option<Ticket> {
        match self {
            Page::Writing { ticket, .. }
            | Page::Reading { ticket }
            | Page::GivingAway { ticket, .. }
            | Page::Moving { ticket, .. } => Some(*ticket),
            Page::Precious { gone_back, .. } => gone_back.map(|gone| gone.ticket),
            Page::Out(_) | Page::In(_) | Page::Lost => None,
        }
    }

    fn handed_back(&self) -> u8 {
        match self {
            Page::Writing { handed_back, .. } | Page::Precious { handed_back, .. } => *handed_back,
            _ => 0,
        }
    }

    /// The place that goes back to the store when the page is forgotten. That of a page that is being read
    /// goes back after the read.
    fn into_place(self) -> Option<L> {
        match self {
            Page::Out(place) | Page::In(place) | Page::GivingAway { place, .. } => Some(place),
            Page::Writing { old, .. } => old,
            Page::Reading { .. } | Page::Moving { .. } | Page::Precious { .. } | Page::Lost => None,
        }
    }
}
