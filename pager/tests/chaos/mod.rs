//! The pager between a kernel that keeps the rules, tasks that do not, and a store that fails, with every
//! order of what their threads do.
//!
//! There are no threads: whenever the pager is about to take a lock and holds none, the input may have
//! anything else happen first, as if the thread had been stopped there. So an input is a
//! program: it fails again in the same way, and it can be shrunk.

// Each program that has this module uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mach_defs::gnu::default_pager::{self, DefaultPager as _};
use mach_defs::gnu::{memory_object, memory_object_default};
use mach_pager::Config;
use mach_pager::store::StoreError;
use mig_runtime::kernel::local::Local;
use mig_runtime::platform::{self, Panicked, Platform, SpawnError, Std};
use mig_runtime::{Dest, MsgBuf, Port, ReceiveRight, SendOptions, SendRight, Type};

use crate::world::{Answer, Object, OneArea, PAGE, Scripted, World, page};

const SIZE: u64 = PAGE as u64;
const PAGES: usize = 4;

/// How many steps may be under way at once, each stopped in the middle but the last.
const DEPTH: u32 = 5;

thread_local! {
    /// What happens where a thread may be stopped, and where one waits.
    static HOOK: RefCell<Option<Rc<Chaos>>> = const { RefCell::new(None) };
    static HELD: Cell<u32> = const { Cell::new(0) };
}

fn hook() -> Option<Rc<Chaos>> {
    // A test that fails leaves its pager to the end of the thread, when there may be no hook any more.
    HOOK.try_with(|hook| hook.try_borrow().ok()?.clone()).ok()?
}

/// A platform without threads, whose locks are where others may come in between.
pub enum Stopped {}

/// A lock: true if it is held.
pub struct Lock(Cell<bool>);

// SAFETY: no second thread ever has one: nothing here starts a thread, and each test makes its own pager.
unsafe impl Sync for Lock {}

// SAFETY: only whoever has found it free holds it, until it is unlocked.
unsafe impl lock_api::RawMutex for Lock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self(Cell::new(false));

    type GuardMarker = lock_api::GuardNoSend;

    fn lock(&self) {
        if HELD.get() == 0 {
            if let Some(chaos) = hook() {
                chaos.interrupt();
            }
        }
        assert!(self.try_lock(), "a thread waits for itself");
    }

    fn try_lock(&self) -> bool {
        let free = !self.0.replace(true);
        HELD.set(HELD.get() + u32::from(free));
        free
    }

    unsafe fn unlock(&self) {
        self.0.set(false);
        HELD.set(HELD.get() - 1);
    }
}

#[derive(Default)]
pub struct Wait;

impl platform::Condvar<Lock> for Wait {
    fn wait<T: ?Sized>(&self, guard: &mut lock_api::MutexGuard<'_, Lock, T>) {
        lock_api::MutexGuard::unlocked(guard, || hook().expect("a pager in chaos").wait());
    }

    fn wait_for<T: ?Sized>(&self, _: &mut lock_api::MutexGuard<'_, Lock, T>, _: Duration) -> bool {
        false
    }

    fn notify_one(&self) {}

    fn notify_all(&self) {}
}

impl Platform for Stopped {
    type RawMutex = Lock;
    type Condvar = Wait;
    type Thread = <Std as Platform>::Thread;

    fn spawn(_: &str, _: Box<dyn FnOnce() + Send>) -> Result<Self::Thread, SpawnError> {
        Err(SpawnError)
    }

    fn on_threads(_: &str, _: std::num::NonZeroUsize, body: &(dyn Fn() + Sync)) {
        body();
    }

    fn now() -> u64 {
        0
    }

    fn catch_unwind<R>(body: impl FnOnce() -> R) -> Result<R, Panicked> {
        Ok(body())
    }
}

/// A page as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Absent,
    Requested,
    Resident { only_copy: bool },
}

/// An object as the kernel has it.
struct Used {
    object: Option<Object>,
    external: bool,
    ready: bool,
    states: [State; PAGES],
    /// The content that each page has, or had when it was here; `None` if it may be lost.
    versions: [Option<u8>; PAGES],
    returned: [bool; PAGES],
}

/// Everything, and the rest of the input.
pub struct Chaos {
    world: World<Scripted, Stopped>,
    used: RefCell<Vec<Used>>,
    input: RefCell<std::vec::IntoIter<u8>>,
    last: Cell<u8>,
    /// The page that was touched last.
    focus: Cell<(usize, usize)>,
    depth: Cell<u32>,
    serving: Cell<bool>,
    ending: Cell<bool>,
    /// The order is one that cannot be tried here.
    abandoned: Cell<bool>,
}

/// The content of a version: some are the same byte over and over.
fn content(version: u8) -> Vec<u8> {
    if version % 4 == 0 { vec![version; PAGE] } else { page(version) }
}

/// Does what the input says, to the end.
pub fn run(input: &[u8]) {
    let mut input = Vec::from(input).into_iter();
    let settings = input.next().unwrap_or(0);
    let small = settings & 1 != 0;
    let config = Config {
        hand_backs: u8::MAX,
        buffers: if small { 1 } else { 8 },
        held_pages: usize::from(small),
        external_buffers: if small { 1 } else { 3 },
        external_share: 100,
        batch: if small { 2 } else { 8 },
        precious_below: if settings & 2 != 0 { 60 } else { 0 },
        ..Config::default()
    };
    let room = if settings & 4 != 0 { 6 } else { 100 };
    let world = World::<_, Stopped>::on(Scripted::new(room), config);
    world.pager.set_areas(Arc::new(OneArea));
    let mut used: Vec<_> = (0..2).map(|_| Used::new(world.create(), false)).collect();
    let external = create_external(&world);
    external.init();
    used.push(Used::new(external, true));
    let chaos = Rc::new(Chaos {
        world,
        used: RefCell::new(used),
        input: RefCell::new(input),
        last: Cell::new(0),
        focus: Cell::new((0, 0)),
        depth: Cell::new(0),
        serving: Cell::new(false),
        ending: Cell::new(false),
        abandoned: Cell::new(false),
    });
    HOOK.with(|hook| *hook.borrow_mut() = Some(chaos.clone()));
    while let Some(step) = chaos.next() {
        chaos.step(step);
    }
    chaos.finish();
    HOOK.with(|hook| *hook.borrow_mut() = None);
    let Ok(chaos) = Rc::try_unwrap(chaos) else { panic!("the hook is gone") };
    if !chaos.abandoned.get() {
        chaos.world.end();
    }
}

/// A call to the port for administrators, made as its front would: a client's call needs a second thread.
struct Ask<F>(RefCell<Option<F>>);

// SAFETY: served by this thread alone.
unsafe impl<F> Sync for Ask<F> {}
// SAFETY: the same.
unsafe impl<F> Send for Ask<F> {}

impl<F: FnOnce(Port<'_, Local>)> mig_runtime::Subsystem<Local> for &Ask<F> {
    fn ids(&self) -> std::ops::Range<i32> {
        1..2
    }
    fn max_request_size(&self) -> usize {
        64
    }
    fn max_reply_size(&self) -> usize {
        64
    }
    fn dispatch(
        &self,
        request: &mut mig_runtime::Received<'_, Local>,
        reply: &mut mig_runtime::Reply<'_, Local>,
    ) -> bool {
        let call = self.0.borrow_mut().take().expect("one message");
        call(request.port());
        reply.serve(|_| Ok(()));
        true
    }
}

fn administer(world: &World<Scripted, Stopped>, call: impl FnOnce(Port<'_, Local>)) {
    // Any message to the port will do to have it as an argument.
    let right = world.pager.administration_port().make_send().unwrap();
    let mut buffer = MsgBuf::<64>::new();
    buffer.request(&world.pager_task).send(1, Dest::copy_send(&right), SendOptions::NONE).unwrap();
    let ask = Ask(RefCell::new(Some(call)));
    let server = mig_runtime::Server::on(world.pager.administration_ports()).with(&ask);
    server.serve_one::<Stopped>(Some(0)).unwrap();
    drop(server);
    assert!(ask.0.into_inner().is_none(), "the call has come");
}

fn create_external(world: &World<Scripted, Stopped>) -> Object {
    let size = (PAGES as u64 * SIZE) as default_pager::VmSize;
    let mut right = None;
    administer(world, |port| right = world.pager.default_pager_object_create(port, size).ok());
    Object::using(Local::transfer(right.expect("an object"), &world.kernel).unwrap())
}

impl Used {
    fn new(object: Object, external: bool) -> Self {
        Self {
            object: Some(object),
            external,
            ready: !external,
            states: [State::Absent; PAGES],
            versions: [Some(0); PAGES],
            returned: [false; PAGES],
        }
    }

    fn object(&self) -> &Object {
        self.object.as_ref().expect("in use")
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
            Answer::Ready => {
                assert!(!std::mem::replace(&mut self.ready, true), "it is ready once");
                return;
            }
            Answer::Error { offset, size } => {
                // Whoever waits may try again, and a kernel does not mind an error that nobody waits for. In
                // the end every page must be there.
                let page = (offset / SIZE) as usize;
                assert_eq!(size, SIZE);
                if self.states[page] == State::Requested {
                    self.states[page] = State::Absent;
                }
                return;
            }
            other => panic!("{other:?}"),
        };
        let page = (offset / SIZE) as usize;
        // A page that is here is not replaced.
        if !matches!(self.states[page], State::Resident { .. }) {
            if let Some(expected) = self.versions[page] {
                assert_eq!(version, expected, "the content of page {page}");
            }
            self.versions[page] = Some(version);
            self.states[page] = State::Resident { only_copy: precious };
        }
    }
}

impl Chaos {
    fn next(&self) -> Option<u8> {
        self.input.borrow_mut().next()
    }

    /// A thread is about to take a lock: others may come first.
    fn interrupt(&self) {
        if self.depth.get() >= DEPTH || self.ending.get() {
            return;
        }
        // Rarely, so that there is input left for what is to be stopped.
        if self.next().is_some_and(|byte| byte % 16 == 15) {
            // Some of them, until one says that it was the last.
            while let Some(step) = self.next() {
                self.step(step);
                if step & 0x80 != 0 {
                    break;
                }
            }
        }
    }

    /// A thread waits: only a transfer can end that, because nothing is served out of order here.
    fn wait(&self) {
        let ending = self.ending.replace(true);
        if !self.world.transfer_one() {
            // What it waits for is held by a thread that is stopped, which cannot go on before this one here.
            assert!(self.depth.get() > 1, "a thread waits for ever");
            self.abandoned.set(true);
            self.world.pager.stop_waiting();
            return;
        }
        self.ending.set(ending);
    }

    fn step(&self, step: u8) {
        if self.abandoned.get() {
            return;
        }
        self.depth.set(self.depth.get() + 1);
        // Whoever comes in between is mostly about the same page.
        let (which, page) = match step & 3 {
            1..=3 if self.depth.get() > 1 => self.focus.get(),
            _ => (usize::from(step >> 4) % 3, usize::from(step >> 2) % PAGES),
        };
        let kind = self.next().unwrap_or(0);
        if self.depth.get() > 1 && kind & 0xc0 == 0 {
            self.use_once(which, page);
        }
        match kind % 16 {
            0 => self.touch(which, page),
            1 => self.use_once(which, page),
            2 => self.change(which, page),
            3..=4 => self.evict(which, page),
            5 => self.initialize(which, page),
            6..=8 => self.hear(which),
            9..=11 => self.serve(),
            12..=13 => drop(self.world.transfer_one()),
            14 => self.fail(step),
            15 if kind & 0x30 == 0x30 => self.move_pages(),
            _ if step & 1 == 0 => self.map_again(),
            _ => self.attack(step),
        }
        self.depth.set(self.depth.get() - 1);
    }

    /// All that becomes of a page in the time that a slow thread may take between two locks: it is here, is
    /// changed, goes, and is wanted again.
    fn use_once(&self, which: usize, page: usize) {
        let get = || {
            self.touch(which, page);
            for _ in 0..8 {
                self.serve();
                self.world.transfer_one();
                self.hear(which);
            }
        };
        get();
        self.change(which, page);
        self.evict(which, page);
        get();
        // It has not been changed, and goes without a word if the kernel may drop it.
        self.evict(which, page);
    }

    fn with(&self, which: usize, body: impl FnOnce(&mut Used)) {
        let mut used = self.used.borrow_mut();
        if used[which].ready {
            body(&mut used[which]);
        }
    }

    fn touch(&self, which: usize, page: usize) {
        self.with(which, |used| {
            self.focus.set((which, page));
            if used.states[page] == State::Absent {
                used.object().request(page as u64 * SIZE, SIZE);
                used.states[page] = State::Requested;
            }
        });
    }

    fn new_version(&self) -> u8 {
        self.last.set(self.last.get() % 250 + 1);
        self.last.get()
    }

    fn change(&self, which: usize, page: usize) {
        let version = self.new_version();
        self.with(which, |used| {
            if matches!(used.states[page], State::Resident { .. }) {
                used.versions[page] = Some(version);
                used.states[page] = State::Resident { only_copy: true };
            }
        });
    }

    fn evict(&self, which: usize, page: usize) {
        self.with(which, |used| used.evict(page));
    }

    /// As of a copy that was pushed down: the page is not here, and the pager may have it or not.
    fn initialize(&self, which: usize, page: usize) {
        let version = self.new_version();
        self.with(which, |used| {
            if used.states[page] == State::Absent && !used.external {
                used.object().initialize(page as u64 * SIZE, &content(version));
                if !used.returned[page] {
                    used.versions[page] = Some(version);
                    used.returned[page] = true;
                }
            }
        });
    }

    fn hear(&self, which: usize) {
        if self.abandoned.get() {
            return;
        }
        let mut used = self.used.borrow_mut();
        let used = &mut used[which];
        for answer in used.object().some_answers(1) {
            used.hear(answer);
        }
    }

    /// A message is served; not while another one is, for which it might have to wait.
    fn serve(&self) {
        if !self.serving.replace(true) {
            self.world.serve_some(1);
            self.serving.set(false);
        }
    }

    fn fail(&self, how: u8) {
        let store = self.world.pager.store();
        let mut bad = store.bad.lock().unwrap();
        match how % 4 {
            0 => bad.extend(0..=255),
            1 => bad.clear(),
            2 => *store.bad_reads.lock().unwrap() = Some(StoreError::Io),
            _ => *store.bad_reads.lock().unwrap() = None,
        }
    }

    /// The kernel gives up its last mapping of the external object, and maps it once more.
    fn map_again(&self) {
        let mut used = self.used.borrow_mut();
        let used = &mut used[2];
        if used.states.contains(&State::Requested) {
            return;
        }
        for page in 0..PAGES {
            if used.ready {
                used.evict(page);
            }
            // What goes back then does not get there: there is no object in the kernel to take it.
            used.versions[page] = used.versions[page].filter(|_| !used.returned[page]);
        }
        let old = used.object.take().expect("in use");
        let right = old.terminate_keeping_right();
        let new = Object::using(right);
        new.init();
        (used.object, used.ready) = (Some(new), false);
        used.states = [State::Absent; PAGES];
    }

    /// An administrator takes paging space away, so that all pages are moved.
    fn move_pages(&self) {
        let leaving = &self.world.pager.store().leaving;
        leaving.store(true, Relaxed);
        administer(&self.world, |port| {
            let nobody = SendRight::null(self.world.pager_task.clone());
            // It stays if there is no room for its pages.
            let _ = self.world.pager.default_pager_paging_file(port, nobody, c"one", false);
        });
        leaving.store(false, Relaxed);
    }

    /// Somebody who is not the kernel sends something to the external object, or to the manager.
    fn attack(&self, how: u8) {
        let used = self.used.borrow();
        let object = &used[2].object().port;
        let port = if how & 2 == 0 { object } else { &self.world.to_manager };
        let control = ReceiveRight::allocate(&self.world.kernel).unwrap();
        let offset = u64::from(how >> 4) * SIZE;
        match how >> 2 & 7 {
            0 => drop(memory_object::memory_object_data_return(
                port,
                &control,
                offset,
                &content(9),
                true,
                false,
            )),
            1 => drop(memory_object_default::memory_object_data_initialize(
                port,
                &control,
                offset,
                &content(9),
            )),
            2 => drop(memory_object::memory_object_data_request(port, &control, offset, SIZE, 1)),
            3 => drop(memory_object::memory_object_data_unlock(port, &control, offset, SIZE, 1)),
            4 => {
                let name = ReceiveRight::allocate(&self.world.kernel).unwrap();
                drop(memory_object::memory_object_terminate(port.try_clone().unwrap(), control, name));
            }
            5 => {
                let name = ReceiveRight::allocate(&self.world.kernel).unwrap();
                drop(memory_object::memory_object_init(port, &control, &name, SIZE));
            }
            6 => {
                drop(memory_object::memory_object_data_return(port, &control, 1, &[7; 3 * PAGE], true, false))
            }
            _ => {
                // A notification, or nothing known.
                let mut buffer = MsgBuf::<64>::new();
                let mut message = buffer.request(&self.world.kernel);
                message.data(Type::inline(2, 32, 1), &u32::from(how));
                let id = [64, 65, 70, 71, 72, 2201, 2250, -1][usize::from(how >> 5)];
                drop(message.send(id, Dest::copy_send(port), SendOptions::NONE));
            }
        }
    }

    /// In the end every page can be had, and is what it was.
    fn finish(&self) {
        if self.abandoned.get() {
            return;
        }
        self.ending.set(true);
        let store = self.world.pager.store();
        store.bad.lock().unwrap().clear();
        *store.bad_reads.lock().unwrap() = None;
        let mut used = self.used.take();
        // A page may come back because it could not be stored before; then it is returned and stored once
        // more.
        for _ in 0..3 {
            self.world.settle();
            for used in &mut used {
                for answer in used.object().answers() {
                    used.hear(answer);
                }
                for page in 0..PAGES {
                    if used.states[page] == State::Absent {
                        used.object().request(page as u64 * SIZE, SIZE);
                        used.states[page] = State::Requested;
                    }
                }
            }
        }
        self.world.settle();
        for mut used in used {
            for answer in used.object().answers() {
                used.hear(answer);
            }
            for (page, state) in used.states.iter().enumerate() {
                let here = matches!(state, State::Resident { .. });
                assert!(here || used.versions[page].is_none(), "page {page} was answered: {state:?}");
            }
            used.object.take().expect("in use").terminate();
        }
    }
}

impl Used {
    fn evict(&mut self, page: usize) {
        let State::Resident { only_copy } = self.states[page] else { return };
        if only_copy {
            let version = self.versions[page].expect("it is here");
            self.object().data_return(page as u64 * SIZE, &content(version));
            self.returned[page] = true;
        }
        self.states[page] = State::Absent;
    }
}
