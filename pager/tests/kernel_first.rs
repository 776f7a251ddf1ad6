//! The kernel's objects come first, whatever others ask for: their pages are read and written before those of
//! other objects, by threads and from buffers of their own, and other objects take turns.

mod world;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use mach_pager::store::{Frame, MemoryStore, Space, Store, StoreError};
use mach_pager::{Config, Service};
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::platform::Std;
use world::Answer::*;
use world::{Object, PAGE, Scripted, World, page};

const SIZE: u64 = PAGE as u64;

/// An object of others, in use, with this many pages in the store.
fn external(world: &World, pages: u8) -> Object {
    let object = Object::using(world.create_external(u64::from(pages) * SIZE));
    object.init();
    (0..pages).for_each(|at| object.data_return(u64::from(at) * SIZE, &page(at)));
    world.settle();
    assert_eq!(object.answers(), [Ready]);
    object
}

/// An object of the kernel's, with a page in the store.
fn internal(world: &World, tag: u8) -> Object {
    let object = world.create();
    object.data_return(0, &page(tag));
    world.settle();
    object
}

/// Takes the messages that have come, and does one piece of what is to be read or written.
fn transfer(world: &World) {
    world.serve();
    world.supply();
}

fn end(world: &World, objects: Vec<Object>) {
    world.settle();
    objects.into_iter().for_each(Object::terminate);
    world.settle();
}

#[test]
fn a_page_of_the_kernels_is_read_before_all_that_others_have_asked_for() {
    let world = World::new();
    let (other, kernels) = (external(&world, 20), internal(&world, 7));
    (0..20).for_each(|at| other.request(at * SIZE, SIZE));
    world.serve();
    kernels.request(0, SIZE);
    transfer(&world);
    assert_eq!(kernels.answers(), [Supply { offset: 0, tag: 7, precious: false }]);
    assert_eq!(other.answers(), []);
    end(&world, vec![other, kernels]);
    world.end();
}

#[test]
fn others_take_turns_however_much_one_of_them_has_asked_for() {
    let world = World::new();
    let [greedy, modest] = [20, 1].map(|pages| external(&world, pages));
    (0..20).for_each(|at| greedy.request(at * SIZE, SIZE));
    world.serve();
    modest.request(0, SIZE);
    transfer(&world);
    transfer(&world);
    assert_eq!(modest.answers(), [Supply { offset: 0, tag: 0, precious: false }]);
    assert_eq!(greedy.answers().len(), 1);
    end(&world, vec![greedy, modest]);
    world.end();
}

#[test]
fn a_page_of_the_kernels_is_written_before_those_of_others() {
    let world = World::with(Scripted::new(100), Config { batch: 1, ..Config::default() });
    let (other, kernels) = (external(&world, 20), internal(&world, 7));
    (0..20).for_each(|at| other.data_return(at * SIZE, &page(90)));
    world.serve();
    kernels.data_return(SIZE, &page(8));
    let written = world.pager.statistics().written;
    transfer(&world);
    assert_eq!(world.pager.statistics().written, written + 1);
    // One that is not in the store yet would be precious.
    kernels.request(SIZE, SIZE);
    transfer(&world);
    assert_eq!(kernels.answers(), [Supply { offset: SIZE, tag: 8, precious: false }]);
    end(&world, vec![other, kernels]);
    world.end();
}

#[test]
fn others_leave_the_kernels_buffers_alone() {
    let config = Config { buffers: 4, external_buffers: 8, ..Config::default() };
    let world = World::with(Scripted::new(100), config);
    let (other, kernels) = (external(&world, 8), internal(&world, 7));
    // All that they have; nothing is written meanwhile.
    (0..8).for_each(|at| other.data_return(at * SIZE, &page(90)));
    world.serve();
    kernels.data_return(0, &[page(1), page(2), page(3), page(4)].concat());
    world.serve();
    assert_eq!(world.pager.statistics().held, 0);
    end(&world, vec![other, kernels]);
    world.end();
}

/// A store in which pages that begin with 1 are not read before somebody says so.
#[derive(Clone)]
struct Slow {
    store: Arc<MemoryStore<Std>>,
    read: Sender<()>,
    go_on: Arc<Mutex<Receiver<()>>>,
}

impl Store for Slow {
    type Place = Frame;

    fn page_size(&self) -> usize {
        PAGE
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Frame, StoreError>)) {
        self.store.write(pages, done);
    }

    fn read(&self, place: &Frame, page: &mut [u8]) -> Result<(), StoreError> {
        self.store.read(place, page)?;
        if page[0] == 1 {
            self.read.send(()).map_err(|_| StoreError::Io)?;
            self.go_on.lock().unwrap().recv().map_err(|_| StoreError::Io)?;
        }
        Ok(())
    }

    fn free(&self, place: Frame) {
        self.store.free(place);
    }

    fn space(&self) -> Space {
        self.store.space()
    }
}

#[test]
fn no_thread_for_the_kernels_pages_waits_for_what_others_read() {
    let (read, is_read) = channel();
    let (say_go, go_on) = channel();
    let store =
        Slow { store: Arc::new(MemoryStore::new(PAGE, 100)), read, go_on: Arc::new(Mutex::new(go_on)) };
    let host = Host::new();
    let (kernel, task) = (host.new_task("kernel"), host.new_task("pager"));
    kernel.send_always();
    let config = Config { io_threads: 1, external_threads: 4, ..Config::default() };
    let service = Service::<_, Std, _>::start(&task, store, config).unwrap();
    let manager = Local::transfer(service.right().unwrap(), &kernel).unwrap();
    let administration = Local::transfer(service.administration_right().unwrap(), &kernel).unwrap();
    let right = mach_defs::gnu::default_pager::default_pager_object_create(&administration, 4 * SIZE);
    let other = Object::using(right.unwrap());
    other.init();
    other.data_return(0, &[page(1), page(1), page(1), page(1)].concat());
    let kernels = world::create(&manager);
    kernels.data_return(0, &page(7));
    while service.pager().statistics().written < 5 {
        std::thread::yield_now();
    }
    (0..4).for_each(|at| other.request(at * SIZE, SIZE));
    is_read.recv().unwrap();
    // The thread for other objects reads, for as long as this test likes.
    kernels.request(0, SIZE);
    let mut answers = Vec::new();
    while answers.is_empty() {
        answers = kernels.answers();
    }
    assert_eq!(answers, [Supply { offset: 0, tag: 7, precious: false }]);
    (0..4).for_each(|_| say_go.send(()).unwrap());
    kernels.terminate();
    other.terminate();
    drop((manager, administration));
    assert_eq!(service.stop(), Ok(()));
}
