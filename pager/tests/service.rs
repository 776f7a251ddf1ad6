//! A whole pager with its threads: kernels that send at once, a disk that fails, the plain interfaces.

mod world;

use std::collections::HashMap;
use std::thread;

use mach_defs::gnu::default_pager::default_pager_info;
use mach_defs::gnu::memory_object::{
    memory_object, memory_object_data_request, memory_object_data_return, memory_object_init,
};
use mach_defs::gnu::memory_object_default::memory_object_default as memory_object_default_subsystem;
use mach_defs::gnu::notify::notify;
use mach_pager::store::{MemoryStore, Store};
use mach_pager::{Config, Service, StartError, Unsequenced};
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::platform::Std;
use mig_runtime::{Dest, KernReturn, MsgBuf, ReceiveRight, SendOptions, SendRight, Server, Type};
use world::Answer::{self, *};
use world::{Object, PAGE, Scripted, World, create, page};

const SIZE: u64 = PAGE as u64;

/// Waits for this many answers.
fn answers(object: &Object, count: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    while answers.len() < count {
        answers.extend(object.answers());
        thread::yield_now();
    }
    answers
}

/// A page of a version: all of it follows from the tag, which has both in it.
fn tag(page: u64, version: u64) -> u8 {
    (page * 16 + version) as u8
}

#[test]
fn threads_that_overtake_each_other_keep_every_object_in_order() {
    let host = Host::new();
    let (kernel, task) = (host.new_task("kernel"), host.new_task("pager"));
    kernel.send_always();
    let before = [kernel.census(), task.census()];
    let config = Config { internal_threads: 4, io_threads: 3, ..Config::default() };
    let service = Service::<_, Std, _>::start(&task, Scripted::new(1000), config).unwrap();
    // Every page of this tag fails for ever: page 5 of each object, in version 3.
    let failing = tag(5, 3);
    service.pager().store().bad.lock().unwrap().insert(failing);
    let manager = Local::transfer(service.right().unwrap(), &kernel).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let object = create(&manager);
                let mut newest = HashMap::new();
                for round in 0..200 {
                    let (number, version) = (round * 7 % 11, round % 16);
                    object.data_return(number * SIZE, &page(tag(number, version)));
                    newest.insert(number, tag(number, version));
                    // Right after it; then another page.
                    for number in [number, round * 3 % 11] {
                        object.request(number * SIZE, SIZE);
                        let offset = number * SIZE;
                        // A page that could not be stored comes by itself, before or after.
                        let answer = answers(&object, 1).pop().unwrap();
                        match (answer, newest.get(&number)) {
                            (Unavailable { offset: at, .. }, None) => assert_eq!(at, offset),
                            (Supply { offset: at, tag, .. }, Some(newest)) if at == offset => {
                                assert_eq!(tag, *newest);
                            }
                            (Supply { tag, precious: true, .. }, _) if tag == failing => {}
                            (Error { offset: at, .. }, Some(newest)) => {
                                assert_eq!((at, *newest), (offset, failing));
                            }
                            other => panic!("{number}: {other:?}"),
                        }
                    }
                    if newest.get(&5) == Some(&failing) {
                        // Have it written anew, so that what follows is certain.
                        object.data_return(5 * SIZE, &page(tag(5, 4)));
                        newest.insert(5, tag(5, 4));
                        object.request(5 * SIZE, SIZE);
                        while !answers(&object, 1).iter().any(|answer| is(answer, 5 * SIZE, tag(5, 4))) {}
                    }
                }
                object.terminate();
            });
        }
    });
    drop(manager);
    while service.pager().object_count() > 0 {
        thread::yield_now();
    }
    let figures = service.pager().statistics();
    assert_eq!((figures.unclaimed, figures.refused, figures.unsent), (0, 0, 0));
    assert_eq!(figures.read_failures, 0);
    assert_eq!(service.stop(), Ok(()));
    assert_eq!([kernel.census(), task.census()], before);
}

fn is(answer: &Answer, offset: u64, tag: u8) -> bool {
    matches!(answer, Supply { offset: at, tag: other, .. } if (*at, *other) == (offset, tag))
}

#[test]
fn a_service_that_is_stopped_at_once_leaves_nothing() {
    let host = Host::new();
    let task = host.new_task("pager");
    for _ in 0..20 {
        let before = task.census();
        let store = MemoryStore::<Std>::new(PAGE, 10);
        let service = Service::<_, Std, _>::start(&task, store, Config::default()).unwrap();
        assert_eq!(service.stop(), Ok(()));
        assert_eq!(task.census(), before);
    }
}

#[test]
fn a_service_whose_task_ends_says_so() {
    let host: Host = Host::new();
    let task = host.new_task("pager");
    let store = MemoryStore::<Std>::new(PAGE, 10);
    let service = Service::<_, Std, _>::start(&task, store, Config::default()).unwrap();
    assert_eq!(service.health(), Ok(()));
    task.terminate();
    while service.health().is_ok() {
        thread::yield_now();
    }
    // That of the receive, or of what a server did before it.
    assert!(service.stop().is_err());
}

/// The same code under interfaces without sequence numbers, served by one thread.
#[test]
fn a_kernel_served_without_sequence_numbers() {
    let world = World::new();
    let object = {
        // The world's own way makes the object; from here on no message comes with a position.
        let object = world.create();
        object.data_return(0, &page(1));
        object.initialize(0, &page(2));
        object.request(0, SIZE);
        object.request(SIZE, SIZE);
        object
    };
    let plain = Unsequenced(&world.pager);
    let server = Server::on(world.pager.internal_ports())
        .with(memory_object(&plain))
        .with(memory_object_default_subsystem(&plain))
        .with(notify(&plain));
    let serve = || while server.serve_one::<Std>(Some(0)).is_ok() {};
    serve();
    world.transfer();
    let early = Supply { offset: 0, tag: 1, precious: true };
    assert_eq!(object.answers(), [Unavailable { offset: SIZE, size: SIZE }, early]);
    object.request(0, SIZE);
    serve();
    world.transfer();
    assert_eq!(object.answers(), [Supply { offset: 0, tag: 1, precious: false }]);
    object.terminate();
    serve();
    assert_eq!(world.pager.object_count(), 0);
    drop(server);
    world.end();
}

#[test]
fn space_comes_back_when_objects_go() {
    let host = Host::new();
    let (kernel, task) = (host.new_task("kernel"), host.new_task("pager"));
    let service =
        Service::<_, Std, _>::start(&task, MemoryStore::<Std>::new(PAGE, 64), Config::default()).unwrap();
    let manager = Local::transfer(service.right().unwrap(), &kernel).unwrap();
    // More objects than there is room for at once, one after another.
    for round in 0..40u8 {
        let object = create(&manager);
        for number in 0..16 {
            object.data_return(number * SIZE, &page(round ^ number as u8));
        }
        object.request(3 * SIZE, SIZE);
        let answer = answers(&object, 1);
        assert!(answer.iter().any(|answer| is(answer, 3 * SIZE, round ^ 3)), "{answer:?}");
        object.terminate();
    }
    drop(manager);
    let store = service.pager().store();
    while service.pager().object_count() > 0 || store.space().free < 64 {
        thread::yield_now();
    }
    assert_eq!(service.pager().statistics().lost, 0);
    assert_eq!(service.stop(), Ok(()));
}

/// An object of others, in use by a kernel.
fn external(service: &Service<Local, Std, MemoryStore<Std>>, kernel: &Local, pages: u64) -> Object {
    let administration = Local::transfer(service.administration_right().unwrap(), kernel).unwrap();
    let right = mach_defs::gnu::default_pager::default_pager_object_create(&administration, pages * SIZE);
    let object = Object::using(right.unwrap());
    object.init();
    assert_eq!(answers(&object, 1), [Ready]);
    object
}

#[test]
fn messages_with_more_pages_than_there_are_buffers_hang_nobody() {
    for (external_buffers, external_threads) in [(1, 1), (1, 4), (3, 4), (32, 4)] {
        let host = Host::new();
        let (kernel, task) = (host.new_task("kernel"), host.new_task("pager"));
        kernel.send_always();
        let config = Config { external_buffers, external_threads, ..Config::default() };
        let store = MemoryStore::<Std>::new(PAGE, 10_000);
        let service = Service::<_, Std, _>::start(&task, store, config).unwrap();
        let objects: Vec<_> = (0..4).map(|_| external(&service, &kernel, 300)).collect();
        for object in &objects {
            // From somebody else first: nothing of that is taken.
            let forger = Object::using(object.port.try_clone().unwrap());
            for pages in [1, 64, 65, 256, 257] {
                let data: Vec<u8> = (0..pages).flat_map(|tag| page(tag as u8)).collect();
                forger.data_return(0, &data);
                object.data_return(0, &data);
            }
        }
        for object in &objects {
            object.request(255 * SIZE, SIZE);
            let answer = answers(object, 1);
            assert!(is(&answer[0], 255 * SIZE, 255), "{answer:?}");
        }
        assert_eq!(service.pager().statistics().refused, 4 * 6);
        assert_eq!(service.stop(), Ok(()));
    }
}

#[test]
fn a_kernel_that_is_none_and_does_not_listen_stops_no_thread() {
    let host = Host::new();
    let (kernel, task) = (host.new_task("kernel"), host.new_task("pager"));
    kernel.send_always();
    let service =
        Service::<_, Std, _>::start(&task, MemoryStore::<Std>::new(PAGE, 100), Config::default()).unwrap();
    let manager = Local::transfer(service.right().unwrap(), &kernel).unwrap();
    // Whoever has the kernel's right can do no more with it than not to be answered.
    let deaf: Vec<_> = (0..3).map(|_| create(&manager)).collect();
    for object in &deaf {
        kernel.set_queue_limit(object.control.name(), 1).unwrap();
        (0..40).for_each(|page| object.request(page * SIZE, SIZE));
    }
    let object = create(&manager);
    object.data_return(0, &page(1));
    object.request(0, SIZE);
    assert!(is(&answers(&object, 1)[0], 0, 1));
    drop((deaf, object, manager));
    assert_eq!(service.stop(), Ok(()));
}

/// A message of this id with this many bytes of data in it.
fn send_inline(port: &SendRight<Local>, id: i32, bytes: u32) {
    let mut buffer: Box<MsgBuf<{ 500 << 10 }>> = Box::new(MsgBuf::new());
    let mut message = buffer.request(port.kernel());
    let words = vec![7_u32; bytes as usize / 4];
    message.slice(Type::inline(2, 32, 0), &words, words.len()).unwrap();
    message.send(id, Dest::copy_send(port), SendOptions::NONE).unwrap();
}

#[test]
fn large_messages_to_any_port_are_refused_and_the_next_ones_served() {
    let host = Host::new();
    let (kernel, task) = (host.new_task("kernel"), host.new_task("pager"));
    kernel.send_always();
    let store = MemoryStore::<Std>::new(PAGE, 100);
    let service = Service::<_, Std, _>::start(&task, store, Config::default()).unwrap();
    let manager = Local::transfer(service.right().unwrap(), &kernel).unwrap();
    let administration = Local::transfer(service.administration_right().unwrap(), &kernel).unwrap();
    let (internal, other) = (create(&manager), external(&service, &kernel, 8));
    for port in [&manager, &administration, &internal.port, &other.port] {
        // What an object, the manager, administrators and nobody is asked for.
        for id in [2200, 2208, 2250, 2251, 2276, 70, 0] {
            for bytes in [8 << 10, 64 << 10, 400 << 10] {
                send_inline(port, id, bytes);
            }
        }
    }
    for object in [&internal, &other] {
        object.data_return(0, &page(1));
        object.request(0, SIZE);
        assert!(is(&answers(object, 1)[0], 0, 1));
    }
    assert!(default_pager_info(&administration).is_ok());
    assert_eq!(service.health(), Ok(()));
    drop((internal, other, manager, administration));
    assert_eq!(service.stop(), Ok(()));
}

#[test]
fn messages_that_are_sent_while_the_service_stops_hold_nothing_up() {
    let host = Host::new();
    let (kernel, task) = (host.new_task("kernel"), host.new_task("pager"));
    kernel.send_always();
    let before = task.census();
    let config = Config { external_buffers: 1, external_threads: 4, ..Config::default() };
    let store = MemoryStore::<Std>::new(PAGE, 100);
    let service = Service::<_, Std, _>::start(&task, store, config).unwrap();
    let manager = Local::transfer(service.right().unwrap(), &kernel).unwrap();
    let administration = Local::transfer(service.administration_right().unwrap(), &kernel).unwrap();
    let objects = [create(&manager), external(&service, &kernel, 64), external(&service, &kernel, 64)];
    let stopping = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for object in &objects {
            scope.spawn(|| {
                let data: Vec<u8> = (0..64).flat_map(page).collect();
                let mut rounds = 0;
                while !stopping.load(std::sync::atomic::Ordering::Relaxed) && rounds < 1000 {
                    // In the end there is nobody to send to.
                    let (port, control) = (&object.port, &object.control);
                    let _ = memory_object_data_return(port, control, 0, &data, true, false);
                    let _ = memory_object_data_request(port, control, 0, 64 * SIZE, 1);
                    let other = ReceiveRight::allocate(&kernel).unwrap();
                    let _ = memory_object_init(port, &other, &other, SIZE);
                    object.answers();
                    rounds += 1;
                }
            });
        }
        assert_eq!(service.stop(), Ok(()));
        stopping.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    drop((objects, manager, administration));
    assert_eq!(task.census(), before);
}

/// How one setting is set to a number.
type Setting = fn(&mut Config, usize);

const SETTINGS: [Setting; 13] = [
    |config, value| config.buffers = value,
    |config, value| config.held_pages = value,
    |config, value| config.external_buffers = value,
    |config, value| config.external_objects = value,
    |config, value| config.external_share = value as u8,
    |config, value| config.batch = value,
    |config, value| config.hand_backs = value as u8,
    |config, value| config.precious_below = value as u8,
    |config, value| config.map_bytes = value,
    |config, value| config.map_ahead = value,
    |config, value| config.io_threads = value,
    |config, value| config.internal_threads = value,
    |config, value| config.external_threads = value,
];

/// Which of them says how often a page may come back.
const HAND_BACKS: usize = 6;

/// A pager with these settings takes pages and gives them back, and leaves nothing; or it does not start.
fn works_with(settings: &[(usize, usize)]) -> Result<(), StartError> {
    let host = Host::new();
    let (kernel, task) = (host.new_task("kernel"), host.new_task("pager"));
    kernel.send_always();
    let before = task.census();
    let mut config = Config { map_bytes: 1 << 20, ..Config::default() };
    settings.iter().for_each(|(setting, value)| SETTINGS[*setting](&mut config, *value));
    let store = MemoryStore::<Std>::new(PAGE, 1000);
    let service = Service::<_, Std, _>::start(&task, store, config)?;
    let manager = Local::transfer(service.right().unwrap(), &kernel).unwrap();
    let object = create(&manager);
    let data: Vec<u8> = (0..32).flat_map(page).collect();
    object.data_return(0, &data);
    object.request(5 * SIZE, SIZE);
    // Pages for which there is no room come back by themselves.
    // Where there is no room for them, and none is to come back, whoever asks for one is told so.
    let may_be_lost = settings.len() > 1 && settings.contains(&(HAND_BACKS, 0));
    let is_answer = |answer: &Answer| {
        let is_error = matches!(answer, Error { offset, .. } if *offset == 5 * SIZE);
        is(answer, 5 * SIZE, 5) || may_be_lost && is_error
    };
    while !answers(&object, 1).iter().any(is_answer) {}
    object.terminate();
    drop(manager);
    assert_eq!(service.stop(), Ok(()), "settings {settings:?}");
    assert_eq!(task.census(), before, "settings {settings:?}");
    Ok(())
}

#[test]
fn any_setting_is_one_to_work_with_or_an_error() {
    for setting in 0..SETTINGS.len() {
        for value in [0, 1, usize::MAX] {
            let Err(error) = works_with(&[(setting, value)]) else { continue };
            // Buffers, and places for pages that are held.
            assert!(value == usize::MAX && setting < 3, "setting {setting}, {value}: {error}");
            assert_eq!(error, StartError::Kernel(KernReturn::KERN_RESOURCE_SHORTAGE));
        }
    }
}

#[test]
fn no_two_settings_hang_each_other() {
    for (one, other) in (0..SETTINGS.len()).flat_map(|one| (0..one).map(move |other| (one, other))) {
        for values in [[0, 0], [0, 1], [1, 0], [1, 1]] {
            assert_eq!(works_with(&[(one, values[0]), (other, values[1])]), Ok(()));
        }
    }
}
