//! The whole pager below a kernel that keeps the rules, in any order of what each of them does next: no
//! update is lost.
//!
//! The kernel dirties, evicts, drops and requests pages, and hears answers late; the pager serves late and
//! transfers later; the store fails for a while, or has little room. Nothing runs by itself: a failing case
//! shrinks to a short list of steps.

mod world;

use mach_pager::Config;
use proptest::prelude::*;
use world::{Answer, Object, PAGE, Scripted, World, page};

const SIZE: u64 = PAGE as u64;
const PAGES: usize = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A thread reads a page.
    Touch(usize),
    /// A thread writes to it, if it is there.
    Change(usize),
    /// The kernel needs its frame.
    Evict(usize),
    /// The kernel copies a page into the object for the first time, as far as it knows.
    Initialize(usize),
    /// The kernel hears an answer.
    Hear,
    /// The pager serves a message.
    Serve,
    /// The pager finishes a piece of its work with the store.
    Transfer,
    /// The store takes no pages from now on, or takes them again.
    Fail(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let page = 0..PAGES;
    prop_oneof![
        4 => page.clone().prop_map(Step::Touch),
        4 => page.clone().prop_map(Step::Change),
        4 => page.clone().prop_map(Step::Evict),
        1 => page.prop_map(Step::Initialize),
        5 => Just(Step::Hear),
        6 => Just(Step::Serve),
        4 => Just(Step::Transfer),
        1 => any::<bool>().prop_map(Step::Fail),
    ]
}

/// A page as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Absent,
    Requested,
    Resident {
        /// Nobody else has this content.
        only_copy: bool,
    },
}

struct Kernel {
    object: Object,
    states: [State; PAGES],
    /// The content that each page has, or had when it was here; 0 are zeros.
    versions: [u8; PAGES],
    /// Pages that were ever returned.
    returned: [bool; PAGES],
    last: u8,
}

/// The content of a version: some are the same byte over and over.
fn content(version: u8) -> Vec<u8> {
    if version % 4 == 0 { vec![version; PAGE] } else { page(version) }
}

impl Kernel {
    fn new(object: Object) -> Self {
        let (states, versions) = ([State::Absent; PAGES], [0; PAGES]);
        Self { object, states, versions, returned: [false; PAGES], last: 0 }
    }

    fn touch(&mut self, page: usize) {
        if self.states[page] == State::Absent {
            self.object.request(page as u64 * SIZE, SIZE);
            self.states[page] = State::Requested;
        }
    }

    fn change(&mut self, page: usize) {
        if matches!(self.states[page], State::Resident { .. }) {
            self.last += 1;
            self.versions[page] = self.last;
            self.states[page] = State::Resident { only_copy: true };
        }
    }

    fn evict(&mut self, page: usize) {
        let State::Resident { only_copy } = self.states[page] else { return };
        if only_copy {
            self.object.data_return(page as u64 * SIZE, &content(self.versions[page]));
            self.returned[page] = true;
        }
        self.states[page] = State::Absent;
    }

    /// As of a copy that was pushed down: the page is not here, and the pager may have it or not.
    fn initialize(&mut self, page: usize) {
        if self.states[page] == State::Absent {
            self.last += 1;
            self.object.initialize(page as u64 * SIZE, &content(self.last));
            if !self.returned[page] {
                self.versions[page] = self.last;
                self.returned[page] = true;
            }
        }
    }

    fn hear(&mut self, answer: Answer) {
        let (offset, version, precious) = match answer {
            Answer::Supply { offset, tag, precious } => (offset, tag, precious),
            Answer::Same { offset, byte, precious } => (offset, byte, precious),
            Answer::Unavailable { offset, size } => {
                assert_eq!(size, SIZE);
                assert!(!self.returned[(offset / SIZE) as usize], "it was never returned");
                (offset, 0, false)
            }
            other => panic!("{other:?}"),
        };
        let page = (offset / SIZE) as usize;
        // A page that is here is not replaced.
        if !matches!(self.states[page], State::Resident { .. }) {
            assert_eq!(version, self.versions[page], "the content of page {page}");
            self.states[page] = State::Resident { only_copy: precious };
        }
    }
}

fn run(world: World, steps: Vec<Step>) {
    let mut kernel = Kernel::new(world.create());
    for step in steps {
        match step {
            Step::Touch(page) => kernel.touch(page),
            Step::Change(page) => kernel.change(page),
            Step::Evict(page) => kernel.evict(page),
            Step::Initialize(page) => kernel.initialize(page),
            Step::Hear => kernel.object.some_answers(1).into_iter().for_each(|answer| kernel.hear(answer)),
            Step::Serve => world.serve_some(1),
            Step::Transfer => drop(world.transfer_one()),
            Step::Fail(fails) => {
                let mut bad = world.pager.store().bad.lock().unwrap();
                if fails { bad.extend(0..=255) } else { bad.clear() }
            }
        }
    }
    // In the end every page can be had, and is what it was.
    for page in 0..PAGES {
        kernel.touch(page);
    }
    world.settle();
    for answer in kernel.object.answers() {
        kernel.hear(answer);
    }
    for (page, state) in kernel.states.iter().enumerate() {
        assert!(matches!(state, State::Resident { .. }), "page {page} was answered: {state:?}");
    }
    let figures = world.pager.statistics();
    assert_eq!((figures.lost, figures.errors, figures.refused, figures.unclaimed), (0, 0, 0, 0));
    kernel.object.terminate();
    world.end();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_update_is_lost(steps in prop::collection::vec(step(), 1..120)) {
        run(World::with(Scripted::new(100), Config { hand_backs: u8::MAX, ..Config::default() }), steps);
    }

    #[test]
    fn nor_with_hardly_any_room_and_memory(steps in prop::collection::vec(step(), 1..120)) {
        let config = Config {
            hand_backs: u8::MAX,
            buffers: 1,
            held_pages: 1,
            batch: 2,
            // As soon as anything is stored.
            precious_below: 100,
            ..Config::default()
        };
        run(World::with(Scripted::new(3), config), steps);
    }
}
