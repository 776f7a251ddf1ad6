//! Objects that others have asked for, and the calls of `default_pager`.

mod world;

use mach_defs::gnu::default_pager::{self, DefaultPagerInfo, DefaultPagerObject, DefaultPagerPage};
use mach_defs::gnu::memory_object;
use mach_pager::Config;
use mach_pager::store::Store;
use mig_runtime::kernel::local::Local;
use mig_runtime::{KernReturn, SendRight};
use world::Answer::*;
use world::{Object, PAGE, Scripted, World, page};

const SIZE: u64 = PAGE as u64;

#[test]
fn an_object_serves_one_kernel_after_another_and_keeps_its_pages() {
    let world = World::new();
    let right = world.create_external(4 * SIZE);
    let first = Object::using(right);
    first.init();
    world.serve();
    assert_eq!(first.answers(), [Ready]);
    first.data_return(0, &page(1));
    first.request(SIZE, SIZE);
    world.settle();
    assert_eq!(first.answers(), [Unavailable { offset: SIZE, size: SIZE }]);

    let second = Object::using(first.terminate_keeping_right());
    second.init();
    second.request(0, SIZE);
    world.settle();
    assert_eq!(second.answers(), [Ready, Supply { offset: 0, tag: 1, precious: false }]);
    second.terminate();
    world.end();
}

#[test]
fn the_next_kernel_waits_for_the_transfers_of_the_one_before() {
    let world = World::new();
    let first = Object::using(world.create_external(4 * SIZE));
    first.init();
    first.data_return(0, &page(1));
    world.serve();
    assert_eq!(first.answers(), [Ready]);
    let second = Object::using(first.terminate_keeping_right());
    second.init();
    world.serve();
    assert_eq!(second.answers(), [], "a page is on its way to the store");
    world.transfer();
    assert_eq!(second.answers(), [Ready]);
    second.request(0, SIZE);
    world.settle();
    assert_eq!(second.answers(), [Supply { offset: 0, tag: 1, precious: false }]);
    second.terminate();
    world.end();
}

#[test]
fn a_second_kernel_is_refused_and_the_first_goes_on() {
    let world = World::new();
    let first = Object::using(world.create_external(SIZE));
    let second = Object::using(first.port.try_clone().unwrap());
    first.init();
    second.init();
    second.request(0, SIZE);
    first.request(0, SIZE);
    world.settle();
    assert_eq!(first.answers(), [Ready, Unavailable { offset: 0, size: SIZE }]);
    assert_eq!(second.answers(), [Destroy]);
    assert_eq!(world.pager.statistics().refused, 2);
    drop(second);
    first.terminate();
    world.end();
}

#[test]
fn the_size_of_an_object_is_its_limit() {
    let world = World::new();
    // Rounded up to pages.
    let object = Object::using(world.create_external(SIZE + 1));
    object.init();
    object.data_return(SIZE, &page(1));
    object.data_return(2 * SIZE, &page(2));
    object.data_return(SIZE, &[page(3), page(4)].concat());
    object.request(SIZE, 2 * SIZE);
    object.request(SIZE, SIZE);
    world.settle();
    let error = Error { offset: SIZE, size: 2 * SIZE };
    assert_eq!(object.answers(), [Ready, error, Supply { offset: SIZE, tag: 1, precious: true }]);
    object.terminate();

    let empty = Object::using(world.create_external(0));
    empty.init();
    empty.request(0, SIZE);
    world.settle();
    assert_eq!(empty.answers(), [Ready, Error { offset: 0, size: SIZE }]);
    empty.terminate();
    world.end();
}

#[test]
fn an_object_that_nobody_maps_goes_with_the_last_right() {
    let world = World::new();
    let right = world.create_external(SIZE);
    assert_eq!(world.pager.object_count(), 1);
    let other = right.try_clone().unwrap();
    drop(right);
    world.serve();
    assert_eq!(world.pager.object_count(), 1);
    drop(other);
    world.serve();
    assert_eq!(world.pager.object_count(), 0);
    world.end();
}

/// A thread that has received such a message looks for the object by the name of its port. Were that name
/// given to another object meanwhile, it would end that one's use, or take its turn.
#[test]
fn the_name_of_an_object_is_held_until_the_kernel_has_told_of_its_control_port() {
    let world = World::new();
    let object = Object::using(world.create_external(SIZE));
    object.init();
    world.serve();
    let receive = || world.pager_task.census().receive;
    let held = receive();
    // Two messages, in this order.
    object.leave();
    world.serve_some(1);
    assert_eq!(
        (world.pager.object_count(), receive()),
        (1, held),
        "the second one may be in a thread's hands"
    );

    let other = Object::using(world.create_external(SIZE));
    other.init();
    world.serve();
    assert_eq!((world.pager.object_count(), receive()), (1, held));
    other.request(0, SIZE);
    world.settle();
    assert_eq!(other.answers(), [Ready, Unavailable { offset: 0, size: SIZE }]);
    other.terminate();
    world.end();
}

#[test]
fn an_object_goes_whatever_was_asked_about_its_control_port() {
    let world = World::new();
    // Once, twice, and of a port that another object has, too: the kernel tells only the last one of its
    // death.
    let object = Object::using(world.create_external(SIZE));
    let others = [0; 2].map(|_| world.create_external(SIZE));
    object.init();
    object.init();
    for other in &others {
        memory_object::memory_object_init(other, &object.control, &object.name, SIZE).unwrap();
        memory_object::memory_object_init(other, &object.control, &object.name, SIZE + 1).unwrap();
    }
    world.serve();
    assert_eq!(world.pager.object_count(), 3);
    let [first, last] = others;
    drop(first);
    world.serve();
    assert_eq!(world.pager.object_count(), 2);
    object.terminate();
    world.serve();
    drop(last);
    world.end();
}

#[test]
fn a_locked_page_is_unlocked_at_once() {
    let world = World::new();
    let object = Object::using(world.create_external(SIZE));
    object.init();
    mach_defs::gnu::memory_object::memory_object_data_unlock(&object.port, &object.control, 0, SIZE, 3)
        .unwrap();
    world.serve();
    assert_eq!(object.answers(), [Ready, Unlock { offset: 0, size: SIZE }]);
    object.terminate();
    world.end();
}

/// Lists the objects as the task sees them: the names of the name ports are the task's.
fn objects<S: Store>(world: &World<S>) -> (Vec<DefaultPagerObject>, Vec<SendRight<Local>>) {
    let reply = world.call(|manager| default_pager::default_pager_objects(manager, 0, 0)).unwrap();
    (reply.objects, reply.ports.collect())
}

fn pages<S: Store>(world: &World<S>, name: &SendRight<Local>) -> Result<Vec<u64>, KernReturn> {
    let pages = world.call(|manager| default_pager::default_pager_object_pages(manager, name, 0))?;
    Ok(pages.iter().map(|DefaultPagerPage { dpp_offset }| *dpp_offset).collect())
}

#[test]
fn administrators_see_space_objects_and_pages() {
    let world = World::new();
    let info = || world.call(default_pager::default_pager_info);
    let size = SIZE;
    let empty =
        DefaultPagerInfo { dpi_total_space: 100 * SIZE, dpi_free_space: 100 * SIZE, dpi_page_size: size };
    assert_eq!(info(), Ok(empty));

    let object = world.create();
    let idle = world.create_external(SIZE);
    let far = (1 << 40) + 3 * SIZE;
    for offset in [0, 64 * SIZE, far] {
        object.data_return(offset, &page(1));
    }
    world.settle();
    assert_eq!(info(), Ok(DefaultPagerInfo { dpi_free_space: 97 * SIZE, ..empty }));

    let (objects, ports) = objects(&world);
    let sizes: Vec<u64> = objects.iter().map(|object| object.dpo_size).collect();
    // The idle object has no name: zeros and a null right stand for it.
    assert_eq!(sizes.iter().filter(|size| **size == 3 * SIZE).count(), 1);
    assert_eq!(ports.iter().filter(|port| port.is_null()).count(), 1);
    let named = ports.iter().find(|port| !port.is_null()).unwrap();
    // It is the name port, and no other of the object's.
    let back = Local::transfer(named.try_clone().unwrap(), &world.kernel).unwrap();
    assert_eq!(back.name(), object.name.name());
    drop(back);
    assert_eq!(pages(&world, named), Ok(vec![0, 64 * SIZE, far]));

    // No object has this name.
    let stranger = mig_runtime::ReceiveRight::allocate(&world.task).unwrap();
    assert_eq!(pages(&world, &stranger.make_send().unwrap()), Err(KernReturn::KERN_INVALID_ARGUMENT));
    assert_eq!(pages(&world, &SendRight::null(world.task.clone())), Err(KernReturn::KERN_INVALID_ARGUMENT));
    drop((ports, stranger, idle));
    object.terminate();
    world.end();
}

#[test]
fn what_is_not_implemented_says_so() {
    let world = World::new();
    let answer = world.call(|manager| {
        let nobody = SendRight::null(manager.kernel().clone());
        default_pager::default_pager_register_fileserver(manager, &nobody)
    });
    assert_eq!(answer, Err(KernReturn::MIG_BAD_ID));
    world.end();
}

#[test]
fn many_objects_come_out_of_line() {
    let world = World::with(Scripted::new(10), Config::default());
    let made: Vec<Object> = (0..300).map(|_| world.create()).collect();
    let (objects, ports) = objects(&world);
    assert_eq!((objects.len(), ports.len()), (300, 300));
    let mut handles: Vec<u64> = objects.iter().map(|object| object.dpo_object).collect();
    handles.sort();
    handles.dedup();
    assert_eq!(handles.len(), 300, "each is told apart");
    drop(ports);
    made.into_iter().for_each(Object::terminate);
    world.end();
}
