//! Pages that are taken off paging space while something else becomes of them.

mod world;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use mach_defs::gnu::default_pager;
use mach_pager::Config;
use mach_pager::store::{Frame, Space, Store, StoreError};
use mig_runtime::{KernReturn, ReceiveRight};
use world::{OneArea, PAGE, Scripted, World, page};

const SIZE: u64 = PAGE as u64;

type Hook = Box<dyn FnOnce() + Send>;

/// What is done while the next page is read.
type OnRead = Arc<Mutex<Option<Hook>>>;

/// A store whose pages are all to go elsewhere, and where something is done while the first one is read.
struct Leaving(Scripted, OnRead);

impl Store for Leaving {
    type Place = Frame;

    fn page_size(&self) -> usize {
        self.0.page_size()
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Frame, StoreError>)) {
        self.0.write(pages, done);
    }

    fn read(&self, place: &Frame, page: &mut [u8]) -> Result<(), StoreError> {
        let hook = self.1.lock().unwrap().take();
        hook.into_iter().for_each(|hook| hook());
        self.0.read(place, page)
    }

    fn free(&self, place: Frame) {
        self.0.free(place);
    }

    fn is_leaving(&self, _: &Frame) -> bool {
        true
    }

    fn space(&self) -> Space {
        self.0.space()
    }
}

#[test]
fn an_object_that_ends_while_a_page_moves_that_it_has_asked_for_leaves_nothing() {
    let hook = OnRead::default();
    let world = World::with(Leaving(Scripted::new(10), hook.clone()), Config::default());
    world.pager.set_areas(Arc::new(OneArea));
    let object = world.create();
    object.data_return(0, &page(1));
    world.settle();
    // The kernel asks for the page, ends the object, and the pager hears of both before the page has moved.
    let (asked, hears) = std::sync::mpsc::channel::<()>();
    let (heard, done) = std::sync::mpsc::channel::<()>();
    *hook.lock().unwrap() = Some(Box::new(move || {
        asked.send(()).unwrap();
        done.recv().unwrap();
    }));
    let master = ReceiveRight::allocate(&world.task).unwrap();
    let right = master.make_send().unwrap();
    std::thread::scope(|scope| {
        let world = &world;
        scope.spawn(move || {
            hears.recv().unwrap();
            object.request(0, SIZE);
            object.terminate();
            let objects = mig_runtime::Server::on(world.pager.internal_ports())
                .with(mach_defs::gnu::seqnos_memory_object::seqnos_memory_object(&world.pager))
                .with(mach_defs::gnu::seqnos_notify::seqnos_notify(&world.pager));
            while objects.serve_one::<mig_runtime::platform::Std>(Some(0)).is_ok() {}
            heard.send(()).unwrap();
        });
        let removed =
            world.call(|manager| default_pager::default_pager_paging_file(manager, &right, c"one", false));
        assert_eq!(removed, Ok(()));
    });
    drop((right, master));
    world.end();
}

#[test]
fn a_pager_that_stops_moves_no_more_pages() {
    let hook = OnRead::default();
    let world = World::with(Leaving(Scripted::new(100), hook.clone()), Config::default());
    world.pager.set_areas(Arc::new(OneArea));
    let object = world.create();
    (0..50).for_each(|number| object.data_return(number * SIZE, &page(number as u8)));
    world.settle();
    let (moves, is_moving) = std::sync::mpsc::channel::<()>();
    let (stops, is_stopped) = std::sync::mpsc::channel::<()>();
    let read_again = Arc::new(AtomicBool::new(false));
    let (next, again) = (hook.clone(), read_again.clone());
    *hook.lock().unwrap() = Some(Box::new(move || {
        *next.lock().unwrap() = Some(Box::new(move || again.store(true, Relaxed)));
        moves.send(()).unwrap();
        is_stopped.recv().unwrap();
    }));
    let master = ReceiveRight::allocate(&world.task).unwrap();
    let right = master.make_send().unwrap();
    std::thread::scope(|scope| {
        let world = &world;
        scope.spawn(move || {
            is_moving.recv().unwrap();
            world.pager.stop_waiting();
            stops.send(()).unwrap();
        });
        let removed =
            world.call(|manager| default_pager::default_pager_paging_file(manager, &right, c"one", false));
        assert_eq!(removed, Err(KernReturn::KERN_FAILURE), "one page of fifty has moved");
    });
    assert!(!read_again.load(Relaxed));
    object.terminate();
    drop((right, master));
    world.end();
}
