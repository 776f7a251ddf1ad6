//! Objects against a model: any messages in any state, several threads that overtake each other, transfers
//! that end in any order, well or not.
//!
//! The executor is the test itself: there are no threads and there is no time. A failing case shrinks to a
//! short list of steps.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::map::tests::Heap;
use super::*;

/// How many threads have received a message that is not admitted yet.
const THREADS: usize = 3;
/// How many pages an external object has.
const PAGES: u64 = 6;
const HAND_BACKS: u8 = 2;

/// The content of a page: which return it came with.
type Version = u32;

/// A place in the store. Not copied, so that only its owner can free it.
#[derive(Debug, PartialEq, Eq)]
struct Place(u32);

#[derive(Clone, Debug)]
enum Message {
    Return {
        page: u64,
        count: u64,
        how: Take,
    },
    Initialize {
        page: u64,
    },
    Request {
        page: u64,
        count: u64,
    },
    Init,
    Terminate,
    /// The kernel that waits gives up.
    GiveUp,
    /// What no routine took.
    Rejected,
}

/// How a returned page is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Take {
    Buffer,
    /// It is the same word over and over: no transfer.
    AtOnce,
    /// There is no memory for it.
    Refuse,
}

#[derive(Clone, Debug)]
enum Step {
    /// The kernel sends a message.
    Send(Message),
    /// A thread that has received one goes on; which one, of those there are.
    Admit(usize),
    /// A transfer goes on by one step; which one, of those there are.
    Transfer(usize, Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Good,
    /// The disk is full, a read fails once, or the kernel does not get a page.
    Bad,
    /// What was read is not what was written, or else as above.
    Worse,
}

/// What is on its way, and how far it has come. Each step is one that a thread does under the object's lock,
/// or without: between two of them anything else may happen.
enum Transfer {
    Write {
        page: u64,
        ticket: Ticket,
        version: Version,
    },
    Read {
        page: u64,
        read: Read<Place>,
    },
    Lend {
        page: u64,
    },
    /// Something is to be supplied.
    Supply {
        page: u64,
        version: Version,
        how: Supply,
    },
    /// The kernel has got it, or not; the object does not know yet.
    Supplied {
        page: u64,
        version: Version,
        how: Supply,
        sent: bool,
    },
    /// The object has given up a place.
    Free {
        place: Place,
    },
}

/// For what reason a page is supplied.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Supply {
    Kept,
    GivenAway(Ticket),
    Lent(Ticket),
    HandedBack(Ticket),
}

/// What the test knows of a page without asking the object.
#[derive(Default)]
struct Expected {
    /// The content that was admitted last.
    version: Version,
    /// A transfer of it has failed since it was admitted.
    failed: bool,
    /// The kernel has got it as precious, so that it will not drop it.
    precious: bool,
    /// It goes back without having been asked for, or has gone.
    goes_back: Option<Ticket>,
    /// It was asked for since.
    asked: bool,
    /// A read for the kernel is on its way.
    requested: bool,
    /// It was asked for on its way to the store, and nothing has been done for that yet.
    to_be_lent: bool,
    handed_back: u8,
}

struct World {
    object: Object<Place, Version>,
    /// Received and not admitted, with their positions.
    received: Vec<(u32, Message)>,
    sent: u32,
    transfers: Vec<Transfer>,
    /// As many as that: which one is which makes no difference.
    begun: Vec<Begun>,
    store: BTreeMap<u32, Version>,
    places: u32,
    versions: Version,
    pages: BTreeMap<u64, Expected>,
    /// As the model has it.
    live: bool,
    draining: bool,
    waiting: bool,
    external: bool,
    /// Nobody has a right to the object.
    dead: bool,
}

impl World {
    fn new(external: bool) -> Self {
        let origin = if external { Origin::External { pages: PAGES } } else { Origin::Internal };
        Self {
            object: Object::new(origin, HAND_BACKS, Heap::new(1000)),
            received: Vec::new(),
            sent: 0,
            transfers: Vec::new(),
            begun: Vec::new(),
            store: BTreeMap::new(),
            places: 0,
            versions: 0,
            pages: BTreeMap::new(),
            live: !external,
            draining: false,
            waiting: false,
            external,
            dead: false,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send(message) => {
                self.received.push((self.sent, message));
                self.sent += 1;
            }
            Step::Admit(which) => self.try_to_admit(which),
            Step::Transfer(which, outcome) => {
                if !self.transfers.is_empty() {
                    let transfer = self.transfers.swap_remove(which % self.transfers.len());
                    self.transfer(transfer, outcome);
                }
            }
        }
        let phase = match (self.live, self.draining) {
            (true, _) => Phase::Live,
            (_, true) => Phase::Draining,
            _ => Phase::Idle,
        };
        assert_eq!(self.object.phase(), phase);
    }

    /// One of the threads tries. Only the one with the first message may go on.
    fn try_to_admit(&mut self, which: usize) {
        let threads = self.received.len().min(THREADS);
        if threads == 0 {
            return;
        }
        let which = which % threads;
        let turn = self.object.turn(self.received[which].0);
        assert_eq!(turn, if which == 0 { Turn::Now } else { Turn::Later });
        if turn == Turn::Now {
            let (_, message) = self.received.remove(0);
            self.admit(message);
            self.object.advance();
        }
    }

    fn admit(&mut self, message: Message) {
        match message {
            Message::Return { page, count, how } if self.takes(page, count) => {
                for page in page..page + count {
                    self.admit_write(page, how);
                }
            }
            Message::Initialize { page } if self.takes(page, 1) => {
                assert_eq!(self.object.pages.was_written(page), self.pages.contains_key(&page));
                if !self.object.pages.was_written(page) {
                    self.admit_write(page, Take::Buffer);
                }
            }
            Message::Request { page, count } if self.takes(page, count) => {
                for page in page..page + count {
                    self.admit_request(page);
                }
            }
            Message::Init => {
                let expected = match (self.external, self.live, self.draining, self.waiting) {
                    (true, false, false, _) => Init::Ready,
                    (true, false, true, false) => Init::Later,
                    _ => Init::Refuse,
                };
                assert_eq!(self.object.init(), expected);
                self.live |= expected == Init::Ready;
                self.waiting |= expected == Init::Later;
            }
            Message::GiveUp => {
                assert_eq!(self.object.give_up(), core::mem::take(&mut self.waiting));
            }
            Message::Terminate => {
                let expected = match (self.live, self.transfers.is_empty()) {
                    (true, true) => Terminate::Release,
                    (true, false) => Terminate::Later,
                    _ => Terminate::Refuse,
                };
                assert_eq!(self.object.terminate(), expected);
                self.draining |= expected == Terminate::Later;
                self.live = false;
            }
            _ => {}
        }
    }

    fn takes(&self, page: u64, count: u64) -> bool {
        let inside = page.checked_add(count).is_some_and(|end| !self.external || end <= PAGES);
        assert_eq!(self.object.has_pages(page, count), inside);
        inside && self.object.phase() == Phase::Live
    }

    fn admit_write(&mut self, page: u64, how: Take) {
        self.versions += 1;
        let version = self.versions;
        let before = self.pages.remove(&page).unwrap_or_default();
        let handed_back = if how == Take::AtOnce { 0 } else { before.handed_back };
        // Who returns a page does not wait for it, but a loan that is due is one of the new content.
        let to_be_lent = before.to_be_lent && how == Take::Buffer;
        self.pages.insert(page, Expected { version, handed_back, to_be_lent, ..Expected::default() });
        match how {
            Take::Buffer => {
                let (ticket, begun) = self.object.write(page, version).expect("there is memory");
                assert!(self.object.pages.is_current(page, ticket));
                self.begun.push(begun);
                self.transfers.push(Transfer::Write { page, ticket, version });
            }
            Take::AtOnce => {
                let place = self.new_place(version);
                let old = self.object.pages.store(page, place).expect("there is memory");
                self.free(old);
            }
            Take::Refuse => {
                let (old, Unstored::HandBack(ticket), begun) = self.object.refuse(page) else {
                    panic!("it is lost")
                };
                self.free(old);
                self.begun.extend(begun);
                self.goes_back(page, ticket);
            }
        }
    }

    fn admit_request(&mut self, page: u64) {
        let (answer, begun) = self.object.request(page);
        self.begun.extend(begun);
        self.check_answer(page, answer);
    }

    fn check_answer(&mut self, page: u64, answer: Request<Place>) {
        let version = self.pages.get(&page).map(|expected| expected.version);
        let being_supplied = version.is_some_and(|version| self.is_being_supplied(page, version));
        let Some(expected) = self.pages.get_mut(&page) else {
            assert_eq!(answer, Request::Unavailable, "never stored");
            return;
        };
        match answer {
            Request::Unavailable => panic!("page {page} was stored"),
            Request::Lend => {
                assert!(!core::mem::replace(&mut expected.to_be_lent, true));
                self.transfers.push(Transfer::Lend { page });
            }
            Request::Read(read) => {
                assert!(!core::mem::replace(&mut expected.requested, true));
                self.transfers.push(Transfer::Read { page, read });
            }
            Request::Answered => {
                let goes_back = expected.goes_back.is_some();
                assert!(
                    goes_back && !core::mem::replace(&mut expected.asked, goes_back)
                        || expected.requested
                        || expected.to_be_lent,
                    "an answer is on its way"
                );
            }
            Request::Lost => assert!(expected.failed),
            Request::Unexpected => {
                assert!(expected.precious || being_supplied, "page {page}: the kernel has it, or gets it")
            }
        }
    }

    /// One step of a transfer. Between two of them anything else may happen.
    fn transfer(&mut self, transfer: Transfer, outcome: Outcome) {
        match transfer {
            Transfer::Write { page, ticket, version } => self.end_write(page, ticket, version, outcome),
            Transfer::Read { page, read } => self.end_read(page, read, outcome),
            Transfer::Lend { page } => self.lend(page),
            Transfer::Supply { page, version, how } => self.supply(page, version, how, outcome),
            Transfer::Supplied { page, version, how, sent } => self.supplied(page, version, how, sent),
            Transfer::Free { place } => {
                self.free(Some(place));
                self.transfer_ended();
            }
        }
    }

    fn lend(&mut self, page: u64) {
        let expected = self.pages.get_mut(&page).unwrap();
        let due = core::mem::take(&mut expected.to_be_lent);
        match self.object.pages.lend(page) {
            Some((version, ticket)) => {
                assert!(due && version == expected.version);
                self.transfers.push(Transfer::Supply { page, version, how: Supply::Lent(ticket) });
            }
            None => {
                assert!(!due, "somebody waits for it");
                self.transfer_ended();
            }
        }
    }

    fn end_write(&mut self, page: u64, ticket: Ticket, version: Version, outcome: Outcome) {
        let current = self.pages[&page].version == version;
        assert_eq!(self.object.pages.is_current(page, ticket), current);
        let being_lent = self.is_being_supplied(page, version);
        let place = (outcome == Outcome::Good).then(|| self.new_place(version));
        let (after, begun) = self.object.written(page, ticket, place);
        self.begun.extend(begun);
        let expected = self.pages.get_mut(&page).unwrap();
        let mut due = || core::mem::take(&mut expected.to_be_lent);
        match after {
            AfterWrite::Stored { replaced, wanted } => {
                assert!(current && outcome == Outcome::Good);
                assert_eq!(wanted.is_some(), due());
                (expected.precious, expected.handed_back) = (false, 0);
                if let Some(read) = wanted {
                    assert!(!core::mem::replace(&mut expected.requested, true));
                    self.transfers.push(Transfer::Read { page, read });
                }
                self.free_and_end(replaced);
            }
            AfterWrite::Superseded(place) => {
                assert!(!current);
                self.free_and_end(place);
            }
            AfterWrite::Again(old) => {
                assert!(current && outcome != Outcome::Good);
                self.free(Some(old));
                // The transfer goes on: it is the same one.
                self.transfers.push(Transfer::Write { page, ticket, version });
            }
            AfterWrite::Precious => {
                due();
                assert!(current && (expected.precious || being_lent), "the kernel has it, or gets it");
                (expected.failed, expected.handed_back) = (true, 0);
                self.transfer_ended();
            }
            AfterWrite::HandBack(ticket) => {
                assert!(current && outcome != Outcome::Good && expected.handed_back < HAND_BACKS);
                let asked = due();
                expected.failed = true;
                expected.handed_back += 1;
                self.goes_back(page, ticket);
                self.pages.get_mut(&page).unwrap().asked = asked;
            }
            AfterWrite::Lost { wanted } => {
                assert!(current && outcome != Outcome::Good && wanted == due());
                assert_eq!(expected.handed_back, HAND_BACKS);
                (expected.failed, expected.handed_back) = (true, 0);
                self.transfer_ended();
            }
        }
    }

    fn goes_back(&mut self, page: u64, ticket: Ticket) {
        let expected = self.pages.get_mut(&page).unwrap();
        (expected.goes_back, expected.asked) = (Some(ticket), false);
        let version = expected.version;
        self.transfers.push(Transfer::Supply { page, version, how: Supply::HandedBack(ticket) });
    }

    fn end_read(&mut self, page: u64, read: Read<Place>, outcome: Outcome) {
        let version = self.store[&read.place.0];
        let result = match outcome {
            Outcome::Good => Ok(()),
            Outcome::Bad => Err(ReadFailure::Transient),
            Outcome::Worse => Err(ReadFailure::Corrupt),
        };
        // Every third page or so goes without being kept.
        let short = self.places % 3 == 0;
        let after = self.object.pages.read(page, read, result, short);
        let expected = self.pages.get_mut(&page).unwrap();
        let mut supply = |how| {
            assert_eq!(version, expected.version, "what was stored last");
            assert!(core::mem::take(&mut expected.requested), "one answer to a request");
            self.transfers.push(Transfer::Supply { page, version, how });
        };
        match after {
            AfterRead::Supply => supply(Supply::Kept),
            AfterRead::GiveAway(ticket) => {
                assert!(short);
                supply(Supply::GivenAway(ticket));
            }
            AfterRead::Error(place) => {
                assert!(core::mem::take(&mut expected.requested), "one answer to a request");
                assert_eq!(place.is_some(), outcome == Outcome::Worse);
                expected.failed |= outcome == Outcome::Worse;
                self.free_and_end(place);
            }
            AfterRead::Superseded(place) => {
                assert!(expected.version > version, "a later return has been admitted");
                self.free_and_end(Some(place));
            }
        }
    }

    /// The kernel gets a page, or does not. What it was told of another version before does not matter any
    /// more.
    fn supply(&mut self, page: u64, version: Version, how: Supply, outcome: Outcome) {
        let sent = outcome == Outcome::Good;
        let expected = self.pages.get_mut(&page).unwrap();
        if sent && how != Supply::Kept && version == expected.version {
            expected.precious = true;
        }
        self.transfers.push(Transfer::Supplied { page, version, how, sent });
    }

    /// The object is told.
    fn supplied(&mut self, page: u64, version: Version, how: Supply, sent: bool) {
        let pages = &mut self.object.pages;
        let place = match how {
            Supply::Kept => None,
            Supply::GivenAway(ticket) if sent => pages.given_away(page, ticket),
            Supply::Lent(_) | Supply::HandedBack(_) if sent => None,
            Supply::GivenAway(ticket) | Supply::Lent(ticket) => {
                // Whether that leaves somebody without an answer is for the object to know.
                let _ = pages.not_supplied(page, ticket);
                None
            }
            Supply::HandedBack(ticket) => {
                let unanswered = pages.not_supplied(page, ticket);
                let expected = self.pages.get_mut(&page).unwrap();
                assert_eq!(unanswered, expected.goes_back == Some(ticket) && expected.asked);
                if expected.goes_back == Some(ticket) {
                    *expected = Expected { version: expected.version, failed: true, ..Expected::default() };
                }
                None
            }
        };
        if let Some(Place(place)) = &place {
            assert_eq!(self.store[place], version, "nothing else is given up");
        }
        self.free_and_end(place);
    }

    /// True if this version is about to get to the kernel as precious, or has just not got there.
    fn is_being_supplied(&self, page: u64, version: Version) -> bool {
        self.transfers.iter().any(|transfer| match transfer {
            Transfer::Supply { page: of, version: this, how }
            | Transfer::Supplied { page: of, version: this, how, .. } => {
                (*of, *this) == (page, version) && *how != Supply::Kept
            }
            _ => false,
        })
    }

    /// A place is given back, in a step of its own, and that ends the transfer.
    fn free_and_end(&mut self, place: Option<Place>) {
        match place {
            Some(place) => self.transfers.push(Transfer::Free { place }),
            None => self.transfer_ended(),
        }
    }

    fn transfer_ended(&mut self) {
        let begun = self.begun.pop().expect("one for each transfer");
        let drained = self.object.transfer_ended(begun);
        assert_eq!((self.begun.len(), self.object.transfers()), (self.transfers.len(), self.transfers.len()));
        let expected = match (self.transfers.is_empty(), self.dead, self.draining, self.waiting) {
            (true, true, ..) => Some(Drained::Forget),
            (true, _, true, false) => Some(Drained::Release),
            (true, _, true, true) => Some(Drained::ReleaseAndReady),
            _ => None,
        };
        assert_eq!(drained, expected);
        if drained.is_some() {
            self.draining = false;
            self.live = !self.dead && core::mem::take(&mut self.waiting);
        }
    }

    fn new_place(&mut self, content: Version) -> Place {
        self.places += 1;
        self.store.insert(self.places, content);
        Place(self.places)
    }

    fn free(&mut self, place: Option<Place>) {
        if let Some(Place(place)) = place {
            assert!(self.store.remove(&place).is_some(), "freed once");
        }
    }

    /// All threads go on, nobody has a right any more, all transfers end: nothing is left.
    fn finish(mut self) {
        while !self.received.is_empty() {
            self.try_to_admit(0);
        }
        assert_eq!(self.object.order.expected(), self.sent, "each message counts once");
        let end = self.object.no_senders(0);
        assert_eq!(end, if self.transfers.is_empty() { NoSenders::Forget } else { NoSenders::Later });
        self.dead = true;
        while let Some(transfer) = self.transfers.pop() {
            self.transfer(transfer, Outcome::Good);
        }
        for Place(place) in self.object.pages.into_places() {
            assert!(self.store.remove(&place).is_some(), "freed once");
        }
        assert!(self.store.is_empty(), "every place is given back");
    }
}

fn message() -> impl Strategy<Value = Message> {
    // Few pages, so that the steps meet; beyond the end of an external object, and at the end of all.
    let (far, last) = (Just((1u64 << 42) / 4096), Just(u64::MAX - 1));
    let page = prop_oneof![30 => 0..2u64, 10 => 0..PAGES + 2, 1 => far, 1 => last];
    let how = prop_oneof![4 => Just(Take::Buffer), 2 => Just(Take::AtOnce), 1 => Just(Take::Refuse)];
    prop_oneof![
        8 => (page.clone(), 1..4u64, how).prop_map(|(page, count, how)| Message::Return { page, count, how }),
        2 => page.clone().prop_map(|page| Message::Initialize { page }),
        8 => (page, 1..4u64).prop_map(|(page, count)| Message::Request { page, count }),
        1 => Just(Message::Init),
        1 => Just(Message::Terminate),
        1 => Just(Message::GiveUp),
        1 => Just(Message::Rejected),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![6 => Just(Outcome::Good), 2 => Just(Outcome::Bad), 1 => Just(Outcome::Worse)];
    prop_oneof![
        3 => message().prop_map(Step::Send),
        3 => (0..THREADS).prop_map(Step::Admit),
        5 => (0..8usize, outcome).prop_map(|(which, outcome)| Step::Transfer(which, outcome)),
    ]
}

#[test]
fn what_is_on_its_way_has_a_record_until_it_is_at_rest_or_forgotten() {
    let heap = Heap::new(10);
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS, heap.clone());
    let written = pages.write(1, 10).unwrap();
    let overtaken = pages.write(2, 20).unwrap();
    pages.write(2, 21).unwrap();
    assert_eq!((heap.records(), pages.count_in_store()), (2, 0));
    assert_eq!(pages.written(1, written, Some(Place(100))), stored(None));
    assert_eq!(pages.written(2, overtaken, Some(Place(200))), AfterWrite::Superseded(Some(Place(200))));
    assert_eq!((heap.records(), pages.count_in_store()), (1, 1));
    let Request::Read(read) = pages.request(1) else { panic!("page 1 is in the store") };
    assert_eq!((heap.records(), pages.count_in_store()), (1, 1), "a page that is read needs none");
    let AfterRead::GiveAway(_) = pages.read(1, read, Ok(()), true) else { panic!("it was read well") };
    assert_eq!((heap.records(), pages.count_in_store()), (2, 1));
    assert_eq!(pages.in_store(0).collect::<Vec<_>>(), [1]);
    drop(pages);
    assert_eq!(heap.records(), 0);
}

/// What becomes of a page that is stored and that nobody waits for.
fn stored(replaced: Option<Place>) -> AfterWrite<Place> {
    AfterWrite::Stored { replaced, wanted: None }
}

#[test]
fn a_request_that_a_failed_write_has_answered_is_not_answered_again() {
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS, Heap::new(1000));
    let write = pages.write(0, 1).unwrap();
    assert_eq!(pages.request(0), Request::Lend);
    // The page goes back, which the kernel takes for the answer. It changes the page and returns it, before
    // the thread that was to lend it goes on.
    let AfterWrite::HandBack(_) = pages.written(0, write, None) else { panic!("it goes back") };
    let write = pages.write(0, 2).unwrap();
    assert_eq!(pages.written(0, write, Some(Place(2))), stored(None));
    assert_eq!(pages.lend(0), None, "an answer might come after the kernel has changed the page once more");
}

#[test]
fn whoever_waits_for_a_page_when_its_write_ends_gets_what_becomes_of_it() {
    let mut pages = Pages::<Place, Version>::new(0, Heap::new(1000));
    for place in [Some(Place(1)), None] {
        let write = pages.write(0, 1).unwrap();
        assert_eq!(pages.request(0), Request::Lend);
        match pages.written(0, write, place) {
            AfterWrite::Stored { replaced: None, wanted: Some(read) } => {
                assert_eq!(pages.request(0), Request::Answered);
                assert_eq!(pages.read(0, read, Ok(()), false), AfterRead::Supply);
            }
            AfterWrite::Again(Place(1)) => {
                assert_eq!(pages.written(0, write, None), AfterWrite::Lost { wanted: true });
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(pages.lend(0), None);
    }
}

#[test]
fn two_writes_of_a_page_that_end_in_the_other_order() {
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS, Heap::new(1000));
    let (first, second) = (pages.write(0, 1).unwrap(), pages.write(0, 2).unwrap());
    assert_eq!(pages.written(0, second, Some(Place(22))), stored(None));
    assert_eq!(pages.written(0, first, Some(Place(11))), AfterWrite::Superseded(Some(Place(11))));
    assert!(matches!(pages.request(0), Request::Read(Read { place: Place(22), .. })));
}

#[test]
fn a_page_that_is_returned_while_it_is_read_is_not_supplied_as_it_was() {
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS, Heap::new(1000));
    pages.store(0, Place(1)).unwrap();
    let Request::Read(read) = pages.request(0) else { panic!("it is in the store") };
    assert_eq!(pages.store(0, Place(2)), Ok(None), "the read has the place");
    assert_eq!(pages.read(0, read, Ok(()), false), AfterRead::Superseded(Place(1)));
    assert_eq!(pages.into_places().collect::<Vec<_>>(), [Place(2)]);
}

#[test]
fn what_one_thread_has_given_away_is_not_what_another_one_has_read_since() {
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS, Heap::new(1000));
    let read = |pages: &mut Pages<Place, Version>, give_away| {
        let Request::Read(read) = pages.request(0) else { panic!("it is in the store") };
        pages.read(0, read, Ok(()), give_away)
    };
    pages.store(0, Place(1)).unwrap();
    let AfterRead::GiveAway(first) = read(&mut pages, true) else { panic!("it is given away") };
    // The kernel has got it, changes it and returns it, and gets it again before the first thread says what
    // it has done.
    assert_eq!(pages.store(0, Place(2)), Ok(Some(Place(1))));
    assert_eq!(read(&mut pages, false), AfterRead::Supply);
    assert_eq!(pages.given_away(0, first), None);
    assert!(matches!(pages.request(0), Request::Read(Read { place: Place(2), .. })));
}

#[test]
fn whoever_was_to_be_answered_by_a_page_that_does_not_come_gets_an_error() {
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS, Heap::new(1000));
    for asked in [false, true] {
        let (_, Unstored::HandBack(ticket)) = pages.refuse(0) else { panic!("it is lost") };
        if asked {
            assert_eq!(pages.request(0), Request::Answered);
        }
        assert_eq!(pages.not_supplied(0, ticket), asked);
        assert_eq!(pages.request(0), Request::Lost);
    }
    // The same of a loan, while the write goes on.
    let write = pages.write(0, 1).unwrap();
    assert_eq!(pages.request(0), Request::Lend);
    let (_, ticket) = pages.lend(0).unwrap();
    assert!(pages.not_supplied(0, ticket));
    // It is not taken for one that the kernel has.
    assert!(matches!(pages.written(0, write, None), AfterWrite::HandBack(_)));
}

#[test]
fn that_nobody_has_a_right_is_old_news_once_another_is_made() {
    let mut object =
        Object::<Place, Version>::new(Origin::External { pages: 1 }, HAND_BACKS, Heap::new(1000));
    object.right_made();
    object.right_made();
    assert_eq!((object.no_senders(1), object.phase()), (NoSenders::Stale, Phase::Idle));
    assert_eq!((object.no_senders(2), object.phase()), (NoSenders::Forget, Phase::Dead));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_steps_keep_every_page(external: bool, steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(external);
        for step in steps {
            world.step(step);
        }
        world.finish();
    }
}

#[test]
fn many_requests_for_a_page_that_is_being_written_are_one_loan() {
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS, Heap::new(1000));
    pages.write(0, 1).unwrap();
    assert_eq!(pages.request(0), Request::Lend);
    assert_eq!(pages.request(0), Request::Answered);
    pages.write(0, 2).unwrap();
    assert_eq!(pages.request(0), Request::Answered);
    assert_eq!(pages.lend(0).map(|(version, _)| version), Some(2));
    assert_eq!(pages.request(0), Request::Lend);
}

#[test]
fn without_memory_for_a_note_a_page_goes_back_and_no_other_is_taken_for_zeros() {
    let nodes = Heap::new(1);
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS, nodes.clone());
    assert!(pages.write(3, 1).is_some());
    assert_eq!(pages.request(70), Request::Unavailable);
    assert!(!pages.was_written(70));
    assert_eq!((pages.write(70, 2), pages.store(70, Place(1))), (None, Err(Place(1))));
    for _ in 0..u32::from(HAND_BACKS) * 64 {
        assert!(matches!(pages.refuse(70), (None, Unstored::HandBack(_))));
    }
    assert_eq!(pages.refuse(70), (None, Unstored::Lost));
    // Nothing tells it from a page that was never written, nor that from it.
    for page in [70, 71, u64::MAX] {
        assert_eq!(pages.request(page), Request::Lost);
        assert!(pages.was_written(page), "older content must not take its place");
    }
    // With memory everything is as usual.
    nodes.left.store(10, core::sync::atomic::Ordering::Relaxed);
    assert_eq!(pages.store(70, Place(2)), Ok(None));
    assert!(matches!(pages.request(70), Request::Read(Read { place: Place(2), .. })));
    assert_eq!(pages.request(71), Request::Lost);
}

#[test]
fn pages_in_the_store_are_counted() {
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS, Heap::new(100));
    let count = |pages: &Pages<Place, Version>| (pages.in_store(0).count() as u64, pages.count_in_store());
    (0..200).for_each(|page| assert_eq!(pages.store(page * 3, Place(page as u32)), Ok(None)));
    let write = pages.write(0, 1).unwrap();
    pages.write(1, 2).unwrap();
    let Request::Read(read) = pages.request(3) else { panic!("it is in the store") };
    assert_eq!((count(&pages), pages.is_out(6), pages.is_out(3)), ((199, 199), true, false));
    assert_eq!(pages.written(0, write, Some(Place(500))), stored(Some(Place(0))));
    let AfterRead::GiveAway(ticket) = pages.read(3, read, Ok(()), true) else { panic!("it was read") };
    assert_eq!(count(&pages), (200, 200));
    assert_eq!(pages.given_away(3, ticket), Some(Place(1)));
    assert_eq!((count(&pages), pages.is_out(3)), ((199, 199), false));
    assert_eq!(pages.into_places().count(), 199);
}

#[test]
fn a_page_that_moves_is_answered_from_its_new_place_and_a_return_overtakes_it() {
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS, Heap::new(100));
    (0..5).for_each(|page| assert_eq!(pages.store(page, Place(page as u32)), Ok(None)));
    let leaves = |place: &Place| place.0 >= 2;
    let (page, read) = pages.begin_move(0, leaves).unwrap();
    assert_eq!((page, pages.count_in_store(), pages.was_written(2)), (2, 5, true));
    // The kernel asks for it twice, and is answered once it has moved.
    assert_eq!((pages.request(2), pages.request(2)), (Request::Answered, Request::Answered));
    let (free, Some(Request::Read(asked))) = pages.moved(2, read, Some(Place(22))) else {
        panic!("it is asked for")
    };
    assert_eq!((free, &asked.place), ([Some(Place(2)), None], &Place(22)));
    assert_eq!(pages.read(2, asked, Ok(()), false), AfterRead::Supply);
    // What the kernel returns meanwhile is newer.
    let (page, read) = pages.begin_move(3, leaves).unwrap();
    assert_eq!((page, pages.store(3, Place(33))), (3, Ok(None)));
    assert_eq!(pages.moved(3, read, Some(Place(34))), ([Some(Place(3)), Some(Place(34))], None));
    // Without another place it stays.
    let (page, read) = pages.begin_move(4, leaves).unwrap();
    assert_eq!((page, pages.moved(4, read, None)), (4, ([None, None], None)));
    assert!(pages.is_out(4) && pages.begin_move(5, leaves).is_none());
    let mut places: Vec<_> = pages.into_places().map(|place| place.0).collect();
    places.sort_unstable();
    assert_eq!(places, [0, 1, 4, 22, 33]);
}

#[test]
fn what_an_object_has_beyond_its_size_is_forgotten() {
    let mut object =
        Object::<Place, Version>::new(Origin::External { pages: 200 }, HAND_BACKS, Heap::new(100));
    (0..100).for_each(|page| assert_eq!(object.pages.store(page * 2, Place(page as u32)), Ok(None)));
    let write = object.pages.write(150, 1).unwrap();
    let Request::Read(read) = object.pages.request(160) else { panic!("it is in the store") };
    assert_eq!(object.set_size(101), Some(200));
    let mut next = 101;
    let forgotten: Vec<_> = core::iter::from_fn(|| {
        let (page, place) = object.pages.forget_next(next)?;
        next = page + 1;
        Some(place)
    })
    .collect();
    assert_eq!((forgotten.len(), forgotten.iter().flatten().count()), (49, 48));
    assert_eq!((object.size(), object.has_pages(100, 1), object.has_pages(101, 1)), (Some(101), true, false));
    assert_eq!(object.pages.written(150, write, Some(Place(500))), AfterWrite::Superseded(Some(Place(500))));
    assert_eq!(object.pages.read(160, read, Ok(()), false), AfterRead::Superseded(Place(80)));
    assert_eq!((object.pages.count_in_store(), object.pages.in_store(90).count()), (51, 6));
    assert!((102..200).all(|page| object.pages.request(page) == Request::Unavailable));
    assert!(Object::<Place, Version>::new(Origin::Internal, 0, Heap::new(1)).set_size(1).is_none());
}
