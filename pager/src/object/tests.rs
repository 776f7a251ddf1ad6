//! Objects against a model: any messages in any state, several threads that overtake each other, transfers that end in any order, well or not.
//!
//! The executor is the test itself: there are no threads and there is no time. A failing case shrinks to a short list of steps.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// How many threads have received a message that is not admitted yet.
const THREADS: usize = 3;
/// How many pages an external object has.
const PAGES: u64 = 6;
const HAND_BACKS: u8 = 2;

/// The content of a page: which return it came with.
type Version = u32;

/// A place in the store. Not copied, so that it can only be freed by who has it.
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
    /// A transfer ends; which one, of those there are.
    End(usize, Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Good,
    /// The disk is full, or a read fails once.
    Bad,
    /// The disk is full and the kernel does not take the page back, or what was read is not what was written.
    Worse,
}

enum Transfer {
    Write { page: u64, ticket: Ticket, version: Version },
    Read { page: u64, read: Read<Place> },
    Lend { page: u64 },
}

/// What the test knows of a page without asking the object.
#[derive(Default)]
struct Expected {
    /// The content that was admitted last.
    version: Version,
    /// A transfer of it has failed since it was admitted.
    failed: bool,
    /// The kernel has a copy that it will not drop.
    precious: bool,
    /// It went back without having been asked for, and was not asked for since.
    unasked: bool,
    /// A read for the kernel is on its way.
    requested: bool,
    handed_back: u8,
}

struct World {
    object: Object<Place, Version>,
    /// Received and not admitted, with their positions.
    received: Vec<(u32, Message)>,
    sent: u32,
    transfers: Vec<Transfer>,
    store: BTreeMap<u32, Version>,
    places: u32,
    versions: Version,
    pages: BTreeMap<u64, Expected>,
    /// As the model has it.
    live: bool,
    draining: bool,
    waiting: bool,
    external: bool,
}

impl World {
    fn new(external: bool) -> Self {
        let origin = if external { Origin::External { pages: PAGES } } else { Origin::Internal };
        Self {
            object: Object::new(origin, HAND_BACKS),
            received: Vec::new(),
            sent: 0,
            transfers: Vec::new(),
            store: BTreeMap::new(),
            places: 0,
            versions: 0,
            pages: BTreeMap::new(),
            live: !external,
            draining: false,
            waiting: false,
            external,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send(message) => {
                self.received.push((self.sent, message));
                self.sent += 1;
            }
            Step::Admit(which) => self.try_to_admit(which),
            Step::End(which, outcome) => {
                if !self.transfers.is_empty() {
                    let transfer = self.transfers.swap_remove(which % self.transfers.len());
                    self.end(transfer, outcome);
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
        let turn = self.object.order.turn(self.received[which].0);
        assert_eq!(turn, if which == 0 { Turn::Now } else { Turn::Later });
        if turn == Turn::Now {
            let (_, message) = self.received.remove(0);
            self.admit(message);
            self.object.order.advance();
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
        self.pages.insert(page, Expected { version, handed_back, ..Expected::default() });
        match how {
            Take::Buffer => {
                let ticket = self.object.pages.write(page, version);
                assert!(self.object.pages.is_current(page, ticket));
                self.object.transfer_begins();
                self.transfers.push(Transfer::Write { page, ticket, version });
            }
            Take::AtOnce => {
                let place = self.new_place(version);
                let old = self.object.pages.store(page, place);
                self.free(old);
            }
            Take::Refuse => {
                let old = self.object.pages.refuse(page);
                self.free(old);
                let expected = self.pages.get_mut(&page).unwrap();
                (expected.precious, expected.unasked) = (true, true);
            }
        }
    }

    fn admit_request(&mut self, page: u64) {
        let answer = self.object.request(page);
        self.check_answer(page, answer);
    }

    fn check_answer(&mut self, page: u64, answer: Request<Place>) {
        let to_be_lent = self
            .transfers
            .iter()
            .any(|transfer| matches!(transfer, Transfer::Lend { page: of } if *of == page));
        let Some(expected) = self.pages.get_mut(&page) else {
            assert_eq!(answer, Request::Unavailable, "never stored");
            return;
        };
        match answer {
            Request::Unavailable => panic!("page {page} was stored"),
            Request::Lend => self.transfers.push(Transfer::Lend { page }),
            Request::Read(read) => {
                assert!(!core::mem::replace(&mut expected.requested, true));
                self.transfers.push(Transfer::Read { page, read });
            }
            Request::Answered => {
                assert!(
                    core::mem::take(&mut expected.unasked) || expected.requested || to_be_lent,
                    "an answer is on its way"
                );
            }
            Request::Lost => assert!(expected.failed && !expected.precious),
            Request::Unexpected => assert!(expected.precious && !expected.unasked),
        }
    }

    fn end(&mut self, transfer: Transfer, outcome: Outcome) {
        match transfer {
            Transfer::Write { page, ticket, version } => self.end_write(page, ticket, version, outcome),
            Transfer::Read { page, read } => self.end_read(page, read, outcome),
            Transfer::Lend { page } => self.lend(page),
        }
    }

    fn lend(&mut self, page: u64) {
        match self.object.lend(page) {
            Ok(version) => {
                let expected = self.pages.get_mut(&page).unwrap();
                assert_eq!(version, expected.version);
                expected.precious = true;
            }
            Err(answer) => self.check_answer(page, answer),
        }
        self.transfer_ended();
    }

    fn end_write(&mut self, page: u64, ticket: Ticket, version: Version, outcome: Outcome) {
        let current = self.pages[&page].version == version;
        assert_eq!(self.object.pages.is_current(page, ticket), current);
        let place = (outcome == Outcome::Good).then(|| self.new_place(version));
        match self.object.pages.written(page, ticket, place) {
            AfterWrite::Stored(old) => {
                assert!(current && outcome == Outcome::Good);
                self.free(old);
                let expected = self.pages.get_mut(&page).unwrap();
                (expected.precious, expected.handed_back) = (false, 0);
            }
            AfterWrite::Superseded(place) => {
                assert!(!current);
                self.free(place);
            }
            AfterWrite::Again(old) => {
                assert!(current && outcome != Outcome::Good);
                self.free(Some(old));
                // The transfer goes on: it is the same one.
                self.transfers.push(Transfer::Write { page, ticket, version });
                return;
            }
            AfterWrite::Precious => {
                let expected = self.pages.get_mut(&page).unwrap();
                assert!(current && expected.precious, "the kernel has it");
                (expected.failed, expected.handed_back) = (true, 0);
            }
            AfterWrite::Unstored(unstored) => {
                assert!(current && outcome != Outcome::Good);
                self.unstored(page, version, unstored, outcome);
            }
        }
        self.transfer_ended();
    }

    fn unstored(&mut self, page: u64, version: Version, unstored: Unstored, outcome: Outcome) {
        let expected = self.pages.get_mut(&page).unwrap();
        assert_eq!(expected.version, version);
        expected.failed = true;
        let again = expected.handed_back < HAND_BACKS;
        assert_eq!(unstored, if again { Unstored::HandBack } else { Unstored::Lost });
        if !again {
            expected.handed_back = 0;
            return;
        }
        if outcome == Outcome::Worse {
            self.object.pages.lose(page);
            expected.handed_back = 0;
        } else {
            (expected.precious, expected.unasked) = (true, true);
            expected.handed_back += 1;
        }
    }

    fn end_read(&mut self, page: u64, read: Read<Place>, outcome: Outcome) {
        let content = self.store[&read.place.0];
        let result = match outcome {
            Outcome::Good => Ok(()),
            Outcome::Bad => Err(ReadFailure::Transient),
            Outcome::Worse => Err(ReadFailure::Corrupt),
        };
        let after = self.object.pages.read(page, read, result);
        let expected = self.pages.get_mut(&page).unwrap();
        let mut free = None;
        match after {
            AfterRead::Supply => {
                assert_eq!(content, expected.version, "what was stored last");
                assert!(core::mem::take(&mut expected.requested), "one answer to a request");
                // Every third page or so goes without being kept.
                if content % 3 == 0 {
                    free = self.object.pages.give_away(page);
                    assert!(free.is_some());
                    expected.precious = true;
                }
            }
            AfterRead::Error(place) => {
                assert!(core::mem::take(&mut expected.requested), "one answer to a request");
                assert_eq!(place.is_some(), outcome == Outcome::Worse);
                expected.failed |= outcome == Outcome::Worse;
                free = place;
            }
            AfterRead::Superseded(place) => {
                assert!(expected.version > content, "a later return has been admitted");
                free = Some(place);
            }
        }
        self.free(free);
        self.transfer_ended();
    }

    fn transfer_ended(&mut self) {
        let drained = self.object.transfer_ended();
        let expected = match (self.draining && self.transfers.is_empty(), self.waiting) {
            (false, _) => None,
            (true, false) => Some(Drained::Release),
            (true, true) => Some(Drained::ReleaseAndReady),
        };
        assert_eq!(drained, expected);
        if drained.is_some() {
            self.draining = false;
            self.live = core::mem::take(&mut self.waiting);
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
        let mut end = self.object.no_senders(0);
        while let Some(transfer) = self.transfers.pop() {
            assert_eq!(end, NoSenders::Later);
            // Whoever has no rights left is told nothing: only that the places are freed matters now.
            let (page, place) = match transfer {
                Transfer::Write { page, ticket, version } => {
                    let place = self.new_place(version);
                    match self.object.pages.written(page, ticket, Some(place)) {
                        AfterWrite::Stored(place) | AfterWrite::Superseded(place) => (page, place),
                        other => panic!("{other:?}"),
                    }
                }
                Transfer::Read { page, read } => match self.object.pages.read(page, read, Ok(())) {
                    AfterRead::Supply => (page, None),
                    AfterRead::Superseded(place) => (page, Some(place)),
                    other => panic!("{other:?}"),
                },
                Transfer::Lend { page } => (page, None),
            };
            assert!(self.pages.contains_key(&page));
            self.free(place);
            if self.object.transfer_ended() == Some(Drained::Forget) {
                end = NoSenders::Forget;
            }
        }
        assert_eq!(end, NoSenders::Forget);
        for Place(place) in self.object.pages.into_places() {
            assert!(self.store.remove(&place).is_some(), "freed once");
        }
        assert!(self.store.is_empty(), "every place is given back");
    }
}

fn message() -> impl Strategy<Value = Message> {
    // Few pages, so that the steps meet; beyond the end of an external object, and at the end of all.
    let page = prop_oneof![30 => 0..PAGES + 2, 1 => Just(u64::MAX - 1), 1 => Just((1u64 << 42) / 4096)];
    let how = prop_oneof![6 => Just(Take::Buffer), 1 => Just(Take::AtOnce), 1 => Just(Take::Refuse)];
    prop_oneof![
        8 => (page.clone(), 1..4u64, how).prop_map(|(page, count, how)| Message::Return { page, count, how }),
        2 => page.clone().prop_map(|page| Message::Initialize { page }),
        8 => (page, 1..4u64).prop_map(|(page, count)| Message::Request { page, count }),
        1 => Just(Message::Init),
        1 => Just(Message::Terminate),
        1 => Just(Message::Rejected),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![6 => Just(Outcome::Good), 2 => Just(Outcome::Bad), 1 => Just(Outcome::Worse)];
    prop_oneof![
        3 => message().prop_map(Step::Send),
        4 => (0..THREADS).prop_map(Step::Admit),
        3 => (0..8usize, outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
    ]
}

#[test]
fn two_writes_of_a_page_that_end_in_the_other_order() {
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS);
    let (first, second) = (pages.write(0, 1), pages.write(0, 2));
    assert_eq!(pages.written(0, second, Some(Place(22))), AfterWrite::Stored(None));
    assert_eq!(pages.written(0, first, Some(Place(11))), AfterWrite::Superseded(Some(Place(11))));
    assert!(matches!(pages.request(0), Request::Read(Read { place: Place(22), .. })));
}

#[test]
fn a_page_that_is_returned_while_it_is_read_is_not_supplied_as_it_was() {
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS);
    pages.store(0, Place(1));
    let Request::Read(read) = pages.request(0) else { panic!("it is in the store") };
    assert_eq!(pages.store(0, Place(2)), None, "the read has the place");
    assert_eq!(pages.read(0, read, Ok(())), AfterRead::Superseded(Place(1)));
    assert_eq!(pages.into_places().collect::<Vec<_>>(), [Place(2)]);
}

#[test]
fn that_nobody_has_a_right_is_old_news_once_another_is_made() {
    let mut object = Object::<Place, Version>::new(Origin::External { pages: 1 }, HAND_BACKS);
    object.right_made();
    object.right_made();
    assert_eq!((object.no_senders(1), object.phase()), (NoSenders::Stale, Phase::Idle));
    assert_eq!((object.no_senders(2), object.phase()), (NoSenders::Forget, Phase::Dead));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_steps_keep_every_page(external: bool, steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new(external);
        for step in steps {
            world.step(step);
        }
        world.finish();
    }
}

#[test]
fn many_requests_for_a_page_that_is_being_written_are_one_loan() {
    let mut pages = Pages::<Place, Version>::new(HAND_BACKS);
    pages.write(0, 1);
    assert_eq!(pages.request(0), Request::Lend);
    assert_eq!(pages.request(0), Request::Answered);
    pages.write(0, 2);
    assert_eq!(pages.request(0), Request::Answered);
    assert_eq!(pages.lend(0), Ok(2));
    assert_eq!(pages.request(0), Request::Lend);
}
