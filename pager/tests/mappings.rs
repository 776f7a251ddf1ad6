//! Kernels that begin and end their use of an object in any order, and tasks that only pose as kernels.

mod world;

use mach_pager::Config;
use mig_runtime::kernel::local::Local;
use mig_runtime::{ReceiveRight, SendRight};
use world::Answer::*;
use world::{Object, PAGE, Scripted, World, page};

const SIZE: u64 = PAGE as u64;

/// An object with a page on its way to the store, whose kernel has ended its use.
fn draining(world: &World) -> SendRight<Local> {
    let first = Object::using(world.create_external(4 * SIZE));
    first.init();
    first.data_return(0, &page(1));
    world.serve();
    assert_eq!(first.answers(), [Ready]);
    first.terminate_keeping_right()
}

/// A kernel can use the object, and finds its page.
fn can_be_used(world: &World, object: SendRight<Local>) {
    let kernel = Object::using(object);
    kernel.init();
    world.settle();
    kernel.request(0, SIZE);
    world.settle();
    assert_eq!(kernel.answers(), [Ready, Supply { offset: 0, tag: 1, precious: false }]);
    kernel.terminate();
}

#[test]
fn kernels_that_wait_for_the_one_before_may_give_up_again_and_again() {
    let world = World::new();
    let mut object = draining(&world);
    for _ in 0..5 {
        let waiting = Object::using(object);
        waiting.init();
        world.serve();
        assert_eq!(waiting.answers(), []);
        object = waiting.terminate_keeping_right();
    }
    can_be_used(&world, object);
    assert_eq!(world.pager.statistics().refused, 0);
    world.end();
}

#[test]
fn only_one_kernel_waits_at_a_time() {
    let world = World::new();
    let object = draining(&world);
    let waiting = Object::using(object.try_clone().unwrap());
    waiting.init();
    let third = Object::using(object);
    third.init();
    world.settle();
    assert_eq!((waiting.answers(), third.answers()), (vec![Ready], vec![Destroy]));
    waiting.terminate();
    drop(third);
    world.end();
}

#[test]
fn a_kernel_that_repeats_itself_is_told_nothing_new() {
    let world = World::new();
    let kernel = Object::using(world.create_external(SIZE));
    kernel.init();
    kernel.init();
    world.settle();
    kernel.init();
    kernel.data_return(0, &page(1));
    world.serve();
    assert_eq!(kernel.answers(), [Ready]);
    // The same of one that waits.
    let waiting = Object::using(kernel.terminate_keeping_right());
    waiting.init();
    waiting.init();
    world.settle();
    waiting.init();
    waiting.request(0, SIZE);
    world.settle();
    assert_eq!(waiting.answers(), [Ready, Supply { offset: 0, tag: 1, precious: false }]);
    assert_eq!(world.pager.statistics().refused, 0);
    waiting.terminate();
    world.end();
}

#[test]
fn a_task_that_posed_as_a_kernel_is_gone_with_its_control_port() {
    let world = World::new();
    let object = world.create_external(4 * SIZE);
    let mut right = object.try_clone().unwrap();
    drop(object);
    for round in 0..3 {
        let to_task = Local::transfer(right.try_clone().unwrap(), &world.task).unwrap();
        let posed = Object::using(to_task);
        posed.init();
        if round > 0 {
            // It is on its way to the store when the task ends.
            posed.data_return(0, &page(1));
        }
        world.serve();
        assert_eq!(posed.answers(), [Ready]);
        drop(posed);
        right = right.try_clone().unwrap();
        world.settle();
    }
    can_be_used(&world, right);
    assert_eq!(world.pager.statistics().unclaimed, 0);
    world.end();
}

#[test]
fn one_that_waits_may_die_as_well() {
    let world = World::new();
    let object = draining(&world);
    let waiting = Object::using(object.try_clone().unwrap());
    waiting.init();
    world.serve();
    drop(waiting);
    world.serve();
    can_be_used(&world, object);
    world.end();
}

#[test]
fn a_control_port_that_is_dead_when_it_comes_is_none() {
    let world = World::new();
    let object = world.create_external(SIZE);
    let posed = Object::using(object.try_clone().unwrap());
    posed.init();
    // The message is in the queue.
    drop(posed);
    world.settle();
    let kernel = Object::using(object);
    kernel.init();
    world.settle();
    assert_eq!(kernel.answers(), [Ready]);
    kernel.terminate();
    world.end();
}

#[test]
fn the_death_of_a_port_is_believed_from_the_kernel_alone() {
    let world = World::new();
    let kernel = Object::using(world.create_external(SIZE));
    kernel.init();
    world.settle();
    // As the notification, with a send right where that has a send-once right.
    let forged = |id, name: u32| {
        let mut buffer = mig_runtime::MsgBuf::<64>::new();
        let mut message = buffer.request(&world.kernel);
        message.data(mig_runtime::Type::inline(15, 32, 1), &name);
        let to = mig_runtime::Dest::copy_send(&kernel.port);
        message.send(id, to, mig_runtime::SendOptions::NONE).unwrap();
    };
    for name in 0..40 {
        forged(72, name);
        forged(65, name);
    }
    kernel.request(0, SIZE);
    world.settle();
    assert_eq!(kernel.answers(), [Ready, Unavailable { offset: 0, size: SIZE }]);
    assert_eq!(world.pager.statistics().refused, 80);
    kernel.terminate();
    world.end();
}

#[test]
fn objects_of_others_are_so_many_and_have_so_many_pages() {
    let config = Config { external_objects: 2, external_share: 50, precious_below: 0, ..Config::default() };
    let world = World::with(Scripted::new(8), config);
    let first = Object::using(world.create_external(100 * SIZE));
    let second = Object::using(world.create_external(100 * SIZE));
    let third =
        world.call(|manager| mach_defs::gnu::default_pager::default_pager_object_create(manager, SIZE));
    assert_eq!(third.err(), Some(mig_runtime::KernReturn::KERN_RESOURCE_SHORTAGE));
    first.init();
    second.init();
    world.settle();
    drop((first.answers(), second.answers()));
    // Four of the eight, with those that take no room; the others go back.
    first.data_return(0, &[page(1), vec![0; PAGE], page(3)].concat());
    second.data_return(0, &page(4));
    world.settle();
    assert_eq!(world.pager.space().free, 5);
    second.data_return(SIZE, &page(5));
    second.data_return(2 * SIZE, &[0; PAGE]);
    // A page that is there may be written again.
    second.data_return(0, &page(6));
    world.settle();
    let back =
        [Supply { offset: SIZE, tag: 5, precious: true }, Same { offset: 2 * SIZE, byte: 0, precious: true }];
    assert_eq!(second.answers(), back);
    // The kernel's objects have what is left.
    let object = world.create();
    object.data_return(0, &[page(1), page(2), page(3), page(4)].concat());
    world.settle();
    assert_eq!(world.pager.space().free, 1);
    assert_eq!(object.answers(), []);
    first.terminate();
    second.terminate();
    object.terminate();
    world.end();
}

#[test]
fn a_page_too_many_that_does_not_get_back_is_not_taken_for_one_that_was_never_written() {
    let config = Config { external_share: 0, ..Config::default() };
    let world = World::with(Scripted::new(8), config);
    let first = Object::using(world.create_external(SIZE));
    first.init();
    world.serve();
    first.data_return(0, &page(1));
    // The kernel does not take it back into an object that it no longer uses.
    let second = Object::using(first.terminate_keeping_right());
    world.settle();
    assert_eq!(world.pager.statistics().lost, 1);
    second.init();
    second.request(0, SIZE);
    world.settle();
    assert_eq!(second.answers(), [Ready, Error { offset: 0, size: SIZE }]);
    second.terminate();
    world.end();
}

#[test]
fn the_administrators_right_is_not_the_kernels() {
    let world = World::new();
    let right = world.pager.administration_port().make_send().unwrap();
    let right = Local::transfer(right, &world.task).unwrap();
    let [port, control, name] = [0; 3].map(|_| ReceiveRight::allocate(&world.task).unwrap());
    mach_defs::gnu::memory_object_default::memory_object_create(right, port, 0, &control, &name, SIZE)
        .unwrap();
    world.settle();
    assert_eq!(world.pager.object_count(), 0);
    drop((control, name));
    world.end();
}
