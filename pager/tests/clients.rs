//! Clients with quotas: what one has, and that it costs no other anything.

mod world;

use std::thread;

use mach_defs::gnu::default_pager::{
    self, DefaultPagerInfo, default_pager_info, default_pager_object_create, default_pager_paging_file,
};
use mach_defs::gnu::hurd::default_pager as hurd;
use mach_pager::object::Node;
use mach_pager::store::{Frame, Store, Stored};
use mach_pager::{Config, Quota};
use mig_runtime::kernel::local::Local;
use mig_runtime::{CallError, KernReturn, SendRight};
use world::Answer::*;
use world::{Object, PAGE, Scripted, World, page};

const SIZE: u64 = PAGE as u64;
const QUOTA: Quota = Quota { objects: 2, pages: 8, map_bytes: 1 << 20 };
const SHORT: KernReturn = KernReturn::KERN_RESOURCE_SHORTAGE;
const INVALID: KernReturn = KernReturn::KERN_INVALID_ARGUMENT;

/// The right of a client, which is another task.
fn client(world: &World, quota: Quota) -> SendRight<Local> {
    Local::transfer(world.pager.client_right(quota).unwrap(), &world.task).unwrap()
}

/// A call to a port of the pager's, served meanwhile.
fn call<T: Send>(
    world: &World,
    port: &SendRight<Local>,
    call: impl FnOnce(&SendRight<Local>) -> Result<T, CallError<Local>> + Send,
) -> Result<T, KernReturn> {
    thread::scope(|scope| {
        let call = scope.spawn(|| call(port).map_err(|error| error.code()));
        while !call.is_finished() {
            world.serve();
        }
        call.join().unwrap()
    })
}

/// An object of a client's, in use.
fn object(world: &World, client: &SendRight<Local>, pages: u64) -> Result<Object, KernReturn> {
    let right = call(world, client, |port| default_pager_object_create(port, pages * SIZE))?;
    let object = Object::using(Local::transfer(right, &world.kernel).unwrap());
    object.init();
    world.serve();
    assert_eq!(object.answers(), [Ready]);
    Ok(object)
}

/// How many pages a client may have, and how many more.
fn room(world: &World, client: &SendRight<Local>) -> (u64, u64) {
    let info = call(world, client, default_pager_info).unwrap();
    let DefaultPagerInfo { dpi_total_space: total, dpi_free_space: free, .. } = info;
    (total / SIZE, free / SIZE)
}

#[test]
fn a_client_has_no_more_objects_than_its_quota_and_others_have_theirs() {
    let world = World::new();
    let [one, other] = [(); 2].map(|()| client(&world, QUOTA));
    let [first, second] = [(); 2].map(|()| object(&world, &one, 1).unwrap());
    assert_eq!(object(&world, &one, 1).err(), Some(SHORT));
    let of_other = object(&world, &other, 1).unwrap();
    // An object counts until its pages have been given back.
    first.data_return(0, &page(1));
    world.settle();
    first.terminate();
    world.serve();
    assert_eq!(object(&world, &one, 1).err(), Some(SHORT));
    world.transfer();
    let third = object(&world, &one, 1).unwrap();
    // Whoever is given the right is the same client.
    let given_on = Local::transfer(one.try_clone().unwrap(), &world.kernel).unwrap();
    assert_eq!(object(&world, &given_on, 1).err(), Some(SHORT));
    drop((one, other, given_on));
    [second, third, of_other].into_iter().for_each(Object::terminate);
    world.end();
}

#[test]
fn a_client_has_no_more_pages_than_its_quota_and_pages_of_one_word_count() {
    let world = World::new();
    let [one, other] = [(); 2].map(|()| client(&world, QUOTA));
    assert_eq!(room(&world, &one), (8, 8));
    let objects = [(); 2].map(|()| object(&world, &one, 8).unwrap());
    for page_number in 0..3 {
        objects[0].data_return(page_number * SIZE, &page(page_number as u8));
        objects[1].data_return(page_number * SIZE, &[7; PAGE]);
    }
    world.settle();
    assert_eq!(room(&world, &one), (8, 2));
    // One that is there already is not one more.
    objects[0].data_return(0, &page(100));
    world.settle();
    assert_eq!(room(&world, &one), (8, 2));
    // The ninth goes back.
    for page_number in 3..6 {
        objects[1].data_return(page_number * SIZE, &[7; PAGE]);
    }
    world.settle();
    assert_eq!(room(&world, &one), (8, 0));
    assert_eq!(objects[1].answers(), [Same { offset: 5 * SIZE, byte: 7, precious: true }]);
    objects[0].data_return(3 * SIZE, &page(3));
    world.settle();
    assert_eq!(objects[0].answers(), [Supply { offset: 3 * SIZE, tag: 3, precious: true }]);
    // The other client has all of its own.
    assert_eq!(room(&world, &other), (8, 8));
    let of_other = object(&world, &other, 8).unwrap();
    for page_number in 0..8 {
        of_other.data_return(page_number * SIZE, &page(page_number as u8));
    }
    world.settle();
    assert_eq!((of_other.answers(), room(&world, &other)), (vec![], (8, 0)));
    // What an object loses by its size, or by its end, the client has again.
    let right = objects[0].port.try_clone().unwrap();
    call(&world, &right, |port| hurd::default_pager_object_set_size(port, SIZE)).unwrap();
    world.settle();
    assert_eq!(room(&world, &one), (8, 2));
    drop(right);
    objects.into_iter().for_each(Object::terminate);
    world.settle();
    assert_eq!(room(&world, &one), (8, 8));
    drop((one, other));
    of_other.terminate();
    world.end();
}

#[test]
fn pages_that_are_far_apart_take_no_more_memory_than_the_quota_has() {
    let node = Node::<Stored<Frame>>::size();
    let config = Config { map_bytes: 100 * node, map_ahead: 100 * node, ..Config::default() };
    let world = World::with(Scripted::new(1000), config);
    // Of the fifty nodes for all clients.
    let quota = Quota { objects: 2, pages: 100, map_bytes: 20 * node };
    let [greedy, other] = [(); 2].map(|()| client(&world, quota));
    let far = object(&world, &greedy, 1 << 50).unwrap();
    for number in 0..90 {
        far.data_return((number << 30) * SIZE, &[1; PAGE]);
        world.settle();
    }
    assert_eq!(world.pager.map_memory().1, 20 * node);
    assert!(!far.answers().is_empty(), "they go back");
    let near = object(&world, &other, 100).unwrap();
    for number in 0..100 {
        near.data_return(number * SIZE, &[2; PAGE]);
    }
    world.settle();
    assert_eq!(near.answers(), []);
    far.terminate();
    near.terminate();
    world.settle();
    assert_eq!(world.pager.map_memory().1, 0);
    drop((greedy, other));
    world.end();
}

#[test]
fn the_bounds_for_all_clients_hold_whatever_their_quotas_are() {
    let config = Config { external_objects: 2, external_share: 4, ..Config::default() };
    let world = World::with(Scripted::new(100), config);
    let quota = Quota { objects: 10, pages: 1000, map_bytes: usize::MAX };
    let clients = [(); 2].map(|()| client(&world, quota));
    assert_eq!(room(&world, &clients[0]), (100, 100), "there is no more than there is");
    let objects = [0, 1].map(|at| object(&world, &clients[at], 8).unwrap());
    assert_eq!(object(&world, &clients[0], 1).err(), Some(SHORT));
    for page_number in 0..3 {
        for object in &objects {
            object.data_return(page_number * SIZE, &page(page_number as u8));
        }
        world.settle();
    }
    // The other two are counted for nobody.
    assert_eq!(world.pager.store().space().used(), 4);
    assert!(objects.iter().all(|object| object.answers().len() == 1));
    objects.into_iter().for_each(Object::terminate);
    drop(clients);
    world.end();
}

#[test]
fn a_client_is_no_administrator_and_its_port_goes_with_the_last_right() {
    let world = World::new();
    let ports = world.pager_task.census().receive;
    let client = client(&world, QUOTA);
    let objects = call(&world, &client, |port| default_pager::default_pager_objects(port, 0, 0));
    assert_eq!(objects.map(drop), Err(INVALID));
    let storage = call(&world, &client, hurd::default_pager_storage_info);
    assert_eq!(storage.map(drop), Err(INVALID));
    let device = SendRight::null(world.task.clone());
    let file = call(&world, &client, |port| default_pager_paging_file(port, &device, c"disk", true));
    assert_eq!(file, Err(INVALID));
    let object = object(&world, &client, 4).unwrap();
    assert_eq!(world.pager_task.census().receive, ports + 2);
    drop((client, device));
    world.serve();
    assert_eq!(world.pager_task.census().receive, ports + 1);
    // The object is somebody's still.
    object.data_return(0, &page(5));
    object.request(0, SIZE);
    world.settle();
    assert!(matches!(object.answers()[..], [Supply { offset: 0, tag: 5, .. }]));
    object.terminate();
    world.end();
}
