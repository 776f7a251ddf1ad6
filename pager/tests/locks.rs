//! No lock of the pager is held while memory is asked for, or the kernel is called. On a machine without
//! memory the thread that does so waits, and so would every thread that wants the lock, among them those
//! that make memory free. The rule is for all threads, not only for those that allocate nothing.
#![cfg(feature = "std")]

mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mach_defs::gnu::default_pager;
use mach_defs::gnu::hurd::default_pager as hurd;
use mach_pager::Config;
use mach_pager::store::{SwapStore, Volumes, superblock};
use mig_runtime::SendRight;
use mig_runtime::kernel::local::Local;
use mig_runtime::platform::{self, Panicked, Platform, SpawnError, Std};
use world::{Answer, InMemory, Object, PAGE, World, page};

const SIZE: u64 = PAGE as u64;

thread_local! {
    /// Locks of the pager that this thread holds.
    static HELD: Cell<u32> = const { Cell::new(0) };
}

/// Where memory was asked for with a lock in hands.
static FOUND: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Watching;

impl Watching {
    fn look() {
        let held = HELD.try_with(|held| held.replace(0)).unwrap_or(0);
        if held > 0 {
            let found = Backtrace::force_capture().to_string();
            FOUND.lock().unwrap().push(found);
            HELD.set(held);
        }
    }
}

// SAFETY: all is passed on to `System`; looking changes nothing about it.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::look();
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`, and `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static WATCHING: Watching = Watching;

/// [`Std`], with the locks counted that are held.
enum Counted {}

struct Lock(<Std as Platform>::RawMutex);

// SAFETY: it is the lock of `Std`.
unsafe impl lock_api::RawMutex for Lock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self(<<Std as Platform>::RawMutex as lock_api::RawMutex>::INIT);

    type GuardMarker = <<Std as Platform>::RawMutex as lock_api::RawMutex>::GuardMarker;

    fn lock(&self) {
        self.0.lock();
        HELD.set(HELD.get() + 1);
    }

    fn try_lock(&self) -> bool {
        let locked = self.0.try_lock();
        HELD.set(HELD.get() + u32::from(locked));
        locked
    }

    unsafe fn unlock(&self) {
        HELD.set(HELD.get() - 1);
        // SAFETY: the caller's promise.
        unsafe { self.0.unlock() };
    }
}

/// Nobody waits here: one thread does everything.
#[derive(Default)]
struct Unused;

impl platform::Condvar<Lock> for Unused {
    fn wait<T: ?Sized>(&self, _: &mut lock_api::MutexGuard<'_, Lock, T>) {
        unreachable!("one thread does everything");
    }

    fn wait_for<T: ?Sized>(&self, _: &mut lock_api::MutexGuard<'_, Lock, T>, _: Duration) -> bool {
        false
    }

    fn notify_one(&self) {}

    fn notify_all(&self) {}
}

impl Platform for Counted {
    type RawMutex = Lock;
    type Condvar = Unused;
    type Thread = <Std as Platform>::Thread;

    fn spawn(_: &str, _: Box<dyn FnOnce() + Send>) -> Result<Self::Thread, SpawnError> {
        Err(SpawnError)
    }

    fn on_threads(_: &str, _: std::num::NonZeroUsize, body: &(dyn Fn() + Sync)) {
        body();
    }

    fn now() -> u64 {
        Std::now()
    }

    fn catch_unwind<R>(body: impl FnOnce() -> R) -> Result<R, Panicked> {
        Std::catch_unwind(body)
    }
}

type Space = Arc<Volumes<InMemory, Counted>>;
type Counting = World<Space, Counted>;

fn device(pages: usize) -> SwapStore<InMemory, Counted> {
    let disk = InMemory(Arc::new(Mutex::new(vec![0; (pages + 2) * PAGE])));
    superblock::format(&disk, PAGE, [7; 16]).unwrap();
    SwapStore::open(disk).unwrap()
}

/// Nothing was found since the last look.
fn nothing_found(during: &str) {
    let found = std::mem::take(&mut *FOUND.lock().unwrap());
    assert!(found.is_empty(), "{} times during {during}, first {}", found.len(), found[0]);
}

/// Pages come and are asked for, in more objects than there is memory for at the start.
fn use_pages(world: &Counting, objects: &[Object]) {
    for object in objects {
        for number in 0..40 {
            object.data_return(number * 100 * SIZE, &page(number as u8));
            if number % 8 == 7 {
                world.settle();
            }
        }
        object.initialize(7 * SIZE, &[7; PAGE]);
        // All of them at once, and some that were never there.
        for number in 0..40 {
            object.request(number * 100 * SIZE, 8 * SIZE);
        }
        object.request(7 * SIZE, SIZE);
        world.settle();
        let answers = object.answers();
        let pages = answers.iter().filter(|answer| matches!(answer, Answer::Supply { .. })).count();
        assert_eq!(pages, 40);
    }
}

#[test]
fn no_lock_is_held_where_memory_is_asked_for() {
    let config = Config { map_bytes: 1 << 20, map_ahead: 8 << 10, ..Config::default() };
    let space = Space::new(Volumes::new(PAGE));
    space.add("first", device(4000), 1, 0).unwrap();
    let world = Counting::on(space.clone(), config);
    FOUND.lock().unwrap().clear();

    let internal: Vec<_> = (0..80).map(|_| world.create()).collect();
    nothing_found("memory_object_create");
    let external: Vec<_> = (0..80).map(|_| Object::using(world.create_external(8000 * SIZE))).collect();
    external.iter().for_each(Object::init);
    world.settle();
    nothing_found("default_pager_object_create and memory_object_init");
    use_pages(&world, &internal[..4]);
    nothing_found("the use of objects of the kernel's");
    use_pages(&world, &external[..4]);
    nothing_found("the use of other objects");

    let listed = world.call(|manager| default_pager::default_pager_objects(manager, 0, 0)).unwrap();
    assert_eq!(listed.objects.len(), 160);
    nothing_found("default_pager_objects");
    let names: Vec<SendRight<Local>> = listed.ports.collect();
    let pages = |name| world.call(|manager| default_pager::default_pager_object_pages(manager, name, 0));
    let most = names.iter().map(|name| pages(name).unwrap().len()).max();
    assert_eq!(most, Some(41));
    nothing_found("default_pager_object_pages");
    set_size(&world, &external[0], 50 * SIZE);
    nothing_found("default_pager_object_set_size");

    let second = device(20);
    FOUND.lock().unwrap().clear();
    space.add("second", second, 0, 0).unwrap();
    assert_eq!(space.list().len(), 2);
    space.begin_removal("second").unwrap();
    space.remove("second").unwrap();
    nothing_found("the change of the paging space");

    drop(names);
    internal.into_iter().chain(external).for_each(Object::terminate);
    world.settle();
    nothing_found("memory_object_terminate");
    world.end();

    let lock = platform::Mutex::<Counted, _>::new(());
    let held = lock.lock();
    drop(Box::new(1));
    drop(held);
    assert_eq!(FOUND.lock().unwrap().len(), 1, "it would be found");
}

fn set_size(world: &Counting, object: &Object, size: u64) {
    std::thread::scope(|scope| {
        let call = scope.spawn(|| hurd::default_pager_object_set_size(&object.port, size));
        while !call.is_finished() {
            world.serve();
        }
        assert!(call.join().unwrap().is_ok());
    });
}
