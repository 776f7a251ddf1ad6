//! Messages that are malformed, forged, or against the rules: the object goes on, and nothing is left over.

mod world;

use mach_defs::gnu::{default_pager, memory_object, memory_object_default};
use mach_pager::Config;
use mach_pager::store::Store;
use mig_runtime::kernel::local::Local;
use mig_runtime::{Dest, KernReturn, MsgBuf, ReceiveRight, SendOptions, SendRight, Type};
use world::Answer::*;
use world::{Object, PAGE, World, page};

const SIZE: u64 = PAGE as u64;
const INTEGER_32: Type = Type::inline(2, 32, 1);

/// Sends a message of this many words to a port.
fn send(port: &SendRight<Local>, id: i32, words: u32) {
    let mut buffer = MsgBuf::<16384>::new();
    let mut message = buffer.request(port.kernel());
    (0..words).for_each(|word| message.data(INTEGER_32, &word));
    message.send(id, Dest::copy_send(port), SendOptions::NONE).unwrap();
}

/// Sends a message with rights that nobody has asked for.
fn send_rights(port: &SendRight<Local>, id: i32) {
    let (one, other) =
        (ReceiveRight::allocate(port.kernel()).unwrap(), ReceiveRight::allocate(port.kernel()));
    let mut buffer = MsgBuf::<1024>::new();
    let mut message = buffer.request(port.kernel());
    message.make_send(&one);
    message.move_receive(other.unwrap());
    message.send(id, Dest::copy_send(port), SendOptions::NONE).unwrap();
}

/// An external object in use, with a page in the store.
fn in_use(world: &World) -> Object {
    let object = Object::using(world.create_external(8 * SIZE));
    object.init();
    object.data_return(0, &page(1));
    world.settle();
    assert_eq!(object.answers(), [Ready]);
    object
}

/// The object still answers, in order.
fn goes_on(world: &World, object: &Object) {
    object.request(0, SIZE);
    object.request(SIZE, SIZE);
    world.settle();
    let unavailable = Unavailable { offset: SIZE, size: SIZE };
    assert_eq!(object.answers(), [unavailable, Supply { offset: 0, tag: 1, precious: false }]);
}

#[test]
fn every_message_counts_however_malformed() {
    let world = World::new();
    let object = in_use(&world);
    let mut sent = 0;
    // All ids of the interfaces that an object serves, those around them, and one of nobody's.
    for id in (63..74).chain(2199..2211).chain(2249..2254).chain(2274..2282).chain([-1, 9999]) {
        for words in [0, 1, 5, 1000] {
            send(&object.port, id, words);
            sent += 1;
        }
        send_rights(&object.port, id);
        sent += 1;
    }
    world.settle();
    assert_eq!(object.answers(), []);
    let figures = world.pager.statistics();
    // A no-senders notification is one integer, and that of a send-once right nothing: one of each is well
    // formed, and refused because it is forged.
    assert_eq!((figures.unclaimed + figures.refused, figures.refused), (sent, 2));
    goes_on(&world, &object);
    object.terminate();
    world.end();
}

#[test]
fn the_manager_port_goes_on_as_well() {
    let world = World::new();
    let manager = world.to_manager.try_clone().unwrap();
    for id in [64, 70, 2200, 2203, 2208, 2250, 2251, 2252, 2274, 2275, 2276, 2281, 0] {
        send(&manager, id, 3);
        send_rights(&manager, id);
    }
    // What is for objects.
    let object = Object::using(world.to_manager.try_clone().unwrap());
    object.init();
    object.data_return(0, &page(1));
    object.initialize(0, &page(1));
    object.request(0, SIZE);
    world.settle();
    assert_eq!(object.answers(), []);
    assert_eq!(world.call(default_pager::default_pager_info).unwrap().dpi_free_space, 100 * SIZE);
    drop((object, manager));
    world.end();
}

#[test]
fn what_does_not_come_from_the_kernel_in_use_is_refused() {
    let world = World::new();
    let object = in_use(&world);
    let forger = Object::using(object.port.try_clone().unwrap());
    forger.data_return(0, &page(9));
    forger.initialize(SIZE, &page(9));
    forger.request(0, SIZE);
    memory_object::memory_object_data_unlock(&forger.port, &forger.control, 0, SIZE, 1).unwrap();
    // A copy of the object on its way to be anybody's.
    let copy = ReceiveRight::allocate(&world.kernel).unwrap();
    memory_object::memory_object_copy(&forger.port, &forger.control, 0, SIZE, copy).unwrap();
    world.settle();
    assert_eq!(forger.answers(), []);
    forger.terminate();
    world.settle();
    goes_on(&world, &object);
    object.terminate();
    world.end();
}

#[test]
fn ranges_that_are_not_pages_of_the_object() {
    let world = World::new();
    let object = in_use(&world);
    let top = u64::MAX - SIZE + 1;
    let requests = [(1, SIZE), (0, 1), (0, 0), (0, 9 * SIZE), (top, SIZE), (top, 2 * SIZE), (0, u64::MAX)];
    for (offset, length) in requests {
        object.request(offset, length);
    }
    world.settle();
    // Who waits for one of them shall not wait for ever.
    assert_eq!(object.answers(), requests.map(|(offset, size)| Error { offset, size }));
    let data = page(7);
    for (offset, data) in
        [(7, &data[..]), (0, &data[1..]), (0, &[]), (8 * SIZE, &data), (top, &data), (u64::MAX, &data)]
    {
        object.data_return(offset, data);
        object.initialize(offset, data);
    }
    world.settle();
    goes_on(&world, &object);
    object.terminate();
    world.end();
}

#[test]
fn objects_at_the_end_of_all_offsets() {
    let world = World::new();
    let object = world.create();
    let top = u64::MAX - 2 * SIZE + 1;
    let offsets = [(1 << 32) - SIZE, 1 << 32, 1 << 42, top];
    for (tag, offset) in offsets.into_iter().enumerate() {
        object.data_return(offset, &page(tag as u8));
    }
    world.settle();
    for offset in offsets {
        object.request(offset, SIZE);
    }
    world.settle();
    let supplied: Vec<_> = offsets.iter().enumerate().collect();
    let supplied: Vec<_> = supplied
        .into_iter()
        .map(|(tag, offset)| Supply { offset: *offset, tag: tag as u8, precious: false })
        .collect();
    assert_eq!(object.answers(), supplied);
    object.terminate();
    world.end();
}

/// Sends a create to `manager`, with what may be forged.
fn create(
    manager: &SendRight<Local>,
    port: ReceiveRight<Local>,
    control: &ReceiveRight<Local>,
    name: &ReceiveRight<Local>,
) {
    let manager = manager.try_clone().unwrap();
    memory_object_default::memory_object_create(manager, port, 0, control, name, SIZE).unwrap();
}

#[test]
fn an_object_is_made_only_as_the_kernel_makes_it() {
    let world = World::new();
    let object = in_use(&world);
    let [control, name] = [0, 1].map(|_| ReceiveRight::allocate(&world.kernel).unwrap());
    let port = || ReceiveRight::allocate(&world.kernel).unwrap();
    let null = ReceiveRight::null(world.kernel.clone());
    // On the port of an object.
    create(&object.port, port(), &control, &name);
    // Without one of the ports, or with one twice.
    create(&world.to_manager, ReceiveRight::null(world.kernel.clone()), &control, &name);
    create(&world.to_manager, port(), &null, &name);
    create(&world.to_manager, port(), &control, &null);
    create(&world.to_manager, port(), &control, &control);
    world.settle();
    assert_eq!(world.pager.object_count(), 1);
    assert_eq!(world.pager.statistics().refused, 5);
    // With pages of another size.
    drop(world.create_with(2 * SIZE));
    assert_eq!(world.pager.object_count(), 1);
    // A page size that is not the store's is nothing for a mapping either.
    let other = Object::using(world.create_external(SIZE));
    other.init_with(2 * SIZE);
    world.settle();
    assert_eq!(other.answers(), [Destroy]);
    drop((other, control, name));
    goes_on(&world, &object);
    object.terminate();
    world.end();
}

#[test]
fn the_pager_is_not_made_to_talk_to_itself() {
    let world = World::new();
    let object = in_use(&world);
    let external = world.create_external(SIZE);
    // The control port is an object of the pager's, or its manager port.
    for control in [&object.port, &world.to_manager] {
        init_with_send_right(&external, control);
        create_with_send_right(&world.to_manager, control);
    }
    world.settle();
    assert_eq!(world.pager.object_count(), 2);
    assert_eq!(world.pager.statistics().refused, 4);
    assert_eq!(world.pager.statistics().unclaimed, 0, "no message of its own has come to it");
    drop(external);
    goes_on(&world, &object);
    object.terminate();
    world.end();
}

const INTEGER_64: Type = Type::inline(11, 64, 1);

/// As `memory_object_init`, with a control port that is somebody else's.
fn init_with_send_right(object: &SendRight<Local>, control: &SendRight<Local>) {
    let name = ReceiveRight::allocate(object.kernel()).unwrap();
    let mut buffer = MsgBuf::<256>::new();
    let mut message = buffer.request(object.kernel());
    message.copy_send(control);
    message.make_send(&name);
    message.data(INTEGER_64, &SIZE);
    message.send(2200, Dest::copy_send(object), SendOptions::NONE).unwrap();
}

/// As `memory_object_create`, with a control port that is somebody else's.
fn create_with_send_right(manager: &SendRight<Local>, control: &SendRight<Local>) {
    let (port, name) = (ReceiveRight::allocate(manager.kernel()), ReceiveRight::allocate(manager.kernel()));
    let name = name.unwrap();
    let mut buffer = MsgBuf::<256>::new();
    let mut message = buffer.request(manager.kernel());
    message.move_receive(port.unwrap());
    message.data(INTEGER_64, &0u64);
    message.copy_send(control);
    message.make_send(&name);
    message.data(INTEGER_64, &SIZE);
    message.send(2250, Dest::copy_send(manager), SendOptions::NONE).unwrap();
}

#[test]
fn administrators_are_heard_at_the_manager_port_only() {
    let world = World::new();
    let object = in_use(&world);
    let outcome = std::thread::scope(|scope| {
        let call =
            scope.spawn(|| default_pager::default_pager_info(&object.port).map_err(|error| error.code()));
        while !call.is_finished() {
            world.serve();
        }
        call.join().unwrap()
    });
    assert_eq!(outcome, Err(KernReturn::MIG_BAD_ID));
    goes_on(&world, &object);
    object.terminate();
    world.end();
}

#[test]
fn a_kernel_that_does_not_listen_stops_nobody_else() {
    let world = World::new();
    let deaf = in_use(&world);
    world.kernel.set_queue_limit(deaf.control.name(), 2).unwrap();
    let object = in_use(&world);
    for _ in 0..10 {
        deaf.request(SIZE, SIZE);
        deaf.request(0, SIZE);
        world.settle();
    }
    assert!(world.pager.statistics().unsent > 0);
    goes_on(&world, &object);
    assert_eq!(deaf.answers().len(), 2);
    deaf.terminate();
    object.terminate();
    world.end();
}

#[test]
fn a_flood_of_requests_for_one_page_is_one_read() {
    let world = World::new();
    let object = in_use(&world);
    for _ in 0..10_000 {
        object.request(0, SIZE);
    }
    world.serve();
    // Each message brought a reference of the right to the control port. One is kept, beside that to the name
    // port.
    assert_eq!(world.pager_task.census().send_references, 2);
    world.transfer();
    assert_eq!(object.answers(), [Supply { offset: 0, tag: 1, precious: false }]);
    assert_eq!(world.pager.statistics().answered, 9_999);
    assert_eq!(world.pager.store().space().used(), 1);
    object.terminate();
    world.end();
}

#[test]
fn an_object_that_is_returned_and_asked_for_over_and_over_takes_no_more_memory() {
    let world = World::new();
    let object = in_use(&world);
    // Each request is another transfer, because the page has been returned since the one before. None of them
    // ends meanwhile, as when the disk does not answer.
    for _ in 0..3000 {
        object.data_return(0, &[7; PAGE]);
        object.request(0, SIZE);
    }
    world.serve();
    let error = Error { offset: 0, size: SIZE };
    assert!(object.answers().iter().all(|answer| *answer == error));
    assert_eq!(world.pager.statistics().errors, 3000 - 1024);
    // Somebody else is served meanwhile.
    let other = Object::using(world.create_external(SIZE));
    other.init();
    other.data_return(0, &[8; PAGE]);
    other.request(0, SIZE);
    world.serve();
    world.supply();
    world.supply();
    assert_eq!(other.answers(), [Ready, Same { offset: 0, byte: 8, precious: false }]);
    world.settle();
    object.answers();
    object.request(0, SIZE);
    world.settle();
    assert_eq!(object.answers(), [Same { offset: 0, byte: 7, precious: false }]);
    other.terminate();
    object.terminate();
    world.end();
}

#[test]
fn pages_that_are_far_apart_leave_the_kernel_room_to_note_its_own() {
    // Each takes a node of its own, and is charged as one page: ten times as many as there are nodes.
    let node = mach_pager::object::Node::<mach_pager::store::Stored<mach_pager::store::Frame>>::size();
    let config = Config { map_bytes: 100 * node, map_ahead: 100 * node, ..Config::default() };
    let world = World::with(world::Scripted::new(10_000), config);
    let greedy = Object::using(world.create_external(1 << 50));
    greedy.init();
    for far in 0..1000 {
        greedy.data_return((far << 8) * SIZE, &[1; PAGE]);
        world.settle();
    }
    let object = world.create();
    for number in 0..40 {
        object.data_return((number << 6) * SIZE, &page(number as u8));
    }
    world.settle();
    assert_eq!(object.answers(), [], "no page goes back");
    assert_eq!(world.pager.store().space().used(), 40);
    greedy.answers();
    greedy.terminate();
    object.terminate();
    world.end();
}

#[test]
fn objects_count_until_their_pages_are_given_back() {
    let config = Config { external_objects: 2, ..Config::default() };
    let world = World::with(world::Scripted::new(100), config);
    let create = || world.call(|manager| default_pager::default_pager_object_create(manager, SIZE)).map(drop);
    let object = in_use(&world);
    let other = in_use(&world);
    assert_eq!(create(), Err(KernReturn::KERN_RESOURCE_SHORTAGE));
    object.terminate();
    world.serve();
    assert_eq!(world.pager.object_count(), 1);
    assert_eq!(create(), Err(KernReturn::KERN_RESOURCE_SHORTAGE), "it has a page in the store still");
    world.transfer();
    assert_eq!(create(), Ok(()));
    other.terminate();
    world.end();
}
