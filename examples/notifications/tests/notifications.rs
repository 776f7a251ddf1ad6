//! Sessions end with their clients, and clients hear of the end of the service; no right and no name is left
//! over.

use std::thread::yield_now;

use mach_defs::apple_64::notify::notify;
use mig_runtime::abi::Apple64;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::platform::Std;
use mig_runtime::{Dest, KernReturn, MsgBuf, Name, SendOptions, SendRight, Server};
use notifications_example::sessions::{session_add, session_open, sessions};
use notifications_example::{Service, Watch};

type Task = Local<Apple64>;

fn world() -> (Host<Apple64>, [Task; 2]) {
    let host: Host<Apple64> = Host::new();
    let tasks = ["server", "client"].map(|label| host.new_task(label));
    (host, tasks)
}

/// Serves until `work` has ended.
fn serving<R>(service: &Service<Task>, work: impl FnOnce() -> R) -> R {
    let server = Server::on(&service.ports).with(sessions(service)).with(notify(service));
    server.serve_while(work).unwrap()
}

fn wait_for(sessions: usize, service: &Service<Task>) {
    while service.len() != sessions {
        yield_now();
    }
}

fn right_to(service: &Service<Task>, client: &Task) -> SendRight<Task> {
    Local::transfer(service.service.make_send().unwrap(), client).unwrap()
}

#[test]
fn a_session_ends_with_the_last_right_to_it() {
    let (_host, [server, client]) = world();
    let census = [&server, &client].map(Local::census);
    let service = Service::new(&server).unwrap();
    let to_service = right_to(&service, &client);
    serving(&service, || {
        let first = session_open(&to_service).unwrap();
        let second = session_open(&to_service).unwrap();
        assert_eq!((session_add(&first, 2).unwrap(), session_add(&second, 5).unwrap()), (2, 5));
        let copy = first.try_clone().unwrap();
        drop(first);
        assert_eq!(session_add(&copy, 1).unwrap(), 3);
        drop(copy);
        wait_for(1, &service);
        assert_eq!(session_add(&second, 1).unwrap(), 6);
        drop(second);
        wait_for(0, &service);
    });
    drop((service, to_service));
    assert_eq!([&server, &client].map(Local::census), census);
}

/// A task that ends gives back all that it has.
#[test]
fn sessions_end_with_their_task() {
    let (host, [server, client]) = world();
    let service = Service::new(&server).unwrap();
    let to_service = right_to(&service, &client);
    serving(&service, || {
        let _forgotten = [(); 3].map(|()| std::mem::ManuallyDrop::new(session_open(&to_service).unwrap()));
        assert_eq!(service.len(), 3);
        client.terminate();
        wait_for(0, &service);
    });
    drop(service);
    server.terminate();
    assert_eq!(host.port_count(), 0);
}

/// A client that says it is gone, with the right that it has, ends nothing.
#[test]
fn nobody_else_can_end_a_session() {
    let (_host, [server, client]) = world();
    let service = Service::new(&server).unwrap();
    let to_service = right_to(&service, &client);
    serving(&service, || {
        let session = session_open(&to_service).unwrap();
        // What the stub sends, but with the right that the client has.
        let mut buffer = MsgBuf::<40>::new();
        let mut message = buffer.request(&client);
        message.ndr();
        message.value(&1u32);
        let copied = Dest::copy_send(&session);
        message.send(70, copied, SendOptions::NONE).unwrap();
        // The queue is served in order.
        assert_eq!(session_add(&session, 4).unwrap(), 4);
        assert_eq!(service.len(), 1);
    });
}

#[test]
fn a_client_hears_of_the_end_of_the_service() {
    let (_host, [server, client]) = world();
    let census = client.census();
    let service = Service::new(&server).unwrap();
    let to_service = right_to(&service, &client);
    let watch = Watch::new(&client).unwrap();
    watch.watch(&to_service).unwrap();
    let news = Server::on(&watch.port).with(notify(&watch));
    assert_eq!(news.serve_one::<Std>(Some(0)), Err(KernReturn::MACH_RCV_TIMED_OUT));

    drop(service);
    news.serve_one::<Std>(Some(1000)).unwrap();
    assert_eq!(watch.told(), [to_service.name()]);

    // One that is dead already: the news comes at once.
    watch.watch(&to_service).unwrap();
    news.serve_one::<Std>(Some(0)).unwrap();
    assert_eq!(watch.told(), [to_service.name(); 2]);

    drop(news);
    drop((watch, to_service));
    assert_eq!(client.census(), census);
}

#[test]
fn the_watch_takes_the_kernels_word_alone() {
    let (_host, [_, client]) = world();
    let watch = Watch::new(&client).unwrap();
    let news = Server::on(&watch.port).with(notify(&watch));
    let mut buffer = MsgBuf::<40>::new();
    let mut message = buffer.request(&client);
    message.ndr();
    message.value(&Name(0x99));
    let right = watch.port.make_send().unwrap();
    message.send(72, Dest::copy_send(&right), SendOptions::NONE).unwrap();
    news.serve_one::<Std>(Some(0)).unwrap();
    assert_eq!(watch.told(), []);
    assert_eq!(client.census().bad_releases, 0);
}
