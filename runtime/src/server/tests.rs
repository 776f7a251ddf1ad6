//! Clients and servers, each a task of `local`. Every test ends with what it began with.

use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::vec::Vec;

use super::*;
use crate::abi::{Abi, Gnu};
use crate::kernel::local::{self, Census};
use crate::kernel::{Name, Notification};
use crate::platform::Std;
use crate::{Builder, CallError, CallOptions, Complex, Dest, MsgBuf, PortSet, SendOnceRight, SendOptions};
use crate::{SendRight, Seqno, Shape, Type};

/// The routines are written for type words.
type Local = local::Local<Gnu>;
type Host = local::Host<Gnu>;

const INTEGER_32: Type = Type::inline(2, 32, 1);

const SUM: i32 = 5000;
const PANIC: i32 = 5001;
const LATER: i32 = 5002;
const NOTE: i32 = 5003;
const REFUSE: i32 = 5004;
const MISSING: i32 = 5005;

/// Bytes of one integer with its type word.
const INTEGER: usize = 2 * Gnu::FACTS.alignment;
const HEADER: usize = Gnu::FACTS.header;
const PORT: usize = INTEGER;

const fn integers(count: usize) -> Shape {
    Shape { min: HEADER + count * INTEGER, max: HEADER + count * INTEGER, complex: Complex::Never }
}

/// The server's object: routines of every kind, as generated stubs would call them.
#[derive(Default)]
struct Routines {
    notes: Mutex<Vec<(Name, Seqno)>>,
    later: Mutex<Vec<ReplyTo<Local>>>,
    notified: Mutex<Vec<(i32, bool)>>,
}

impl Subsystem<Local> for &Routines {
    fn ids(&self) -> Range<i32> {
        5000..5010
    }

    fn max_request_size(&self) -> usize {
        HEADER + 2 * INTEGER
    }

    fn max_reply_size(&self) -> usize {
        HEADER + 2 * INTEGER
    }

    fn dispatch(&self, request: &mut Received<'_, Local>, reply: &mut Reply<'_, Local>) -> bool {
        match request.id() {
            SUM => reply.serve(|reply| {
                let mut body = request.body(integers(2))?;
                let (a, b) = (body.data::<u32>(INTEGER_32)?, body.data::<u32>(INTEGER_32)?);
                body.end()?;
                let sum = a.checked_add(b).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
                reply.encode::<{ HEADER + 2 * INTEGER }>(|reply| encode_sum(reply, sum))?;
                Ok(())
            }),
            PANIC => reply.serve(|_| {
                let shape =
                    Shape { min: HEADER + 2 * PORT, max: HEADER + 2 * PORT, complex: Complex::Always };
                let mut body = request.body(shape)?;
                // One right is in the routine's hands when it panics, one still in the message.
                let _right = body.send_right()?;
                std::panic::resume_unwind(Box::new("on purpose"))
            }),
            LATER => reply.serve(|_| {
                request.body(integers(0))?.end()?;
                self.later.lock().unwrap().push(request.port().defer());
                Err(KernReturn::MIG_NO_REPLY.into())
            }),
            NOTE => reply.serve(|_| {
                request.body(integers(1))?.data::<u32>(INTEGER_32)?;
                self.notes.lock().unwrap().push((request.port().name(), request.seqno()));
                Ok(())
            }),
            REFUSE => reply.serve(|_| {
                let shape =
                    Shape { min: HEADER + 2 * PORT, max: HEADER + 2 * PORT, complex: Complex::Always };
                let mut body = request.body(shape)?;
                let _right = body.receive_right()?;
                Err(KernReturn::KERN_NO_ACCESS.into())
            }),
            MISSING => reply.serve(|_| Err(KernReturn::MIG_BAD_ID.into())),
            _ => return false,
        }
        true
    }
}

fn encode_sum(reply: &mut Builder<'_, Local>, sum: u32) -> Result<(), KernReturn> {
    reply.data(INTEGER_32, &sum);
    Ok(())
}

/// Notifications are one more subsystem.
struct Notify<'a>(&'a Routines);

impl Subsystem<Local> for Notify<'_> {
    fn ids(&self) -> Range<i32> {
        64..73
    }

    fn max_request_size(&self) -> usize {
        HEADER + INTEGER
    }

    fn max_reply_size(&self) -> usize {
        Gnu::FACTS.error_reply
    }

    fn dispatch(&self, request: &mut Received<'_, Local>, reply: &mut Reply<'_, Local>) -> bool {
        reply.serve(|_| {
            self.0.notified.lock().unwrap().push((request.id(), request.port().is_send_once()));
            Ok(())
        });
        true
    }
}

fn sum(server: &SendRight<Local>, a: u32, b: u32) -> Result<u32, CallError<Local>> {
    let mut buffer = MsgBuf::<128>::new();
    let mut request = buffer.request(server.kernel());
    request.data(INTEGER_32, &a);
    request.data(INTEGER_32, &b);
    let mut reply = request.call(SUM, Dest::copy_send(server), integers(2), CallOptions::NONE)?;
    let sum = reply.data(INTEGER_32)?;
    reply.end()?;
    Ok(sum)
}

/// A call without arguments or results.
fn call(server: &SendRight<Local>, id: i32) -> Result<(), CallError<Local>> {
    let mut buffer = MsgBuf::<128>::new();
    let request = buffer.request(server.kernel());
    request.call(id, Dest::copy_send(server), integers(1), CallOptions::NONE).map(drop)
}

fn note(server: &SendRight<Local>, id: i32, words: usize) {
    let mut buffer = MsgBuf::<8192>::new();
    let mut request = buffer.request(server.kernel());
    for word in 0..words as u32 {
        request.data(INTEGER_32, &word);
    }
    request.send(id, Dest::copy_send(server), SendOptions::NONE).unwrap();
}

/// A server with one port in a set, and a client with a send right to it.
struct World {
    client: Local,
    to_server: SendRight<Local>,
    port: ReceiveRight<Local>,
    set: PortSet<Local>,
    routines: Routines,
    before: Census,
}

impl World {
    fn new() -> Self {
        let host = Host::new();
        let (task, client) = (host.new_task("server"), host.new_task("client"));
        let set = PortSet::allocate(&task).unwrap();
        let port = ReceiveRight::allocate(&task).unwrap();
        set.insert(&port).unwrap();
        let to_server = Local::transfer(port.make_send().unwrap(), &client).unwrap();
        let before = client.census();
        Self { client, to_server, port, set, routines: Routines::default(), before }
    }

    fn server(&self) -> Server<'_, Local> {
        Server::on(&self.set).with(Notify(&self.routines)).with(&self.routines)
    }

    /// Serves while `clients` runs.
    fn serve_during(&self, server: &Server<'_, Local>, clients: impl FnOnce()) {
        thread::scope(|scope| {
            let running = scope.spawn(|| server.run());
            clients();
            server.stop();
            assert_eq!(running.join().unwrap(), Ok(()));
        });
    }

    /// Both tasks have what they had at first.
    fn end(self) {
        assert_eq!(self.client.census(), self.before);
        let task = self.port.kernel();
        assert_eq!(task.census(), Census { receive: 1, port_sets: 1, ..Census::default() });
    }
}

#[test]
fn several_threads_serve_several_clients() {
    let world = World::new();
    let server = world.server().threads(3);
    world.serve_during(&server, || {
        thread::scope(|scope| {
            for client in 0..4 {
                let to_server = &world.to_server;
                scope.spawn(move || {
                    for i in 0..200 {
                        assert_eq!(sum(to_server, client * 1000, i).unwrap(), client * 1000 + i);
                    }
                });
            }
        });
    });
    drop(server);
    world.end();
}

#[test]
fn an_error_of_the_routine_is_the_error_of_the_call() {
    let world = World::new();
    let server = world.server();
    world.serve_during(&server, || {
        let error = sum(&world.to_server, u32::MAX, 1).unwrap_err();
        assert_eq!((error.code(), error.is_unsent()), (KernReturn::KERN_INVALID_ARGUMENT, false));
    });
    drop(server);
    world.end();
}

#[test]
fn every_message_of_a_port_is_seen_once_by_a_routine_or_by_the_hook() {
    const EACH: usize = 100;
    let world = World::new();
    let unclaimed = Mutex::new(Vec::new());
    let server = world.server().threads(3).unclaimed(|message| unclaimed.lock().unwrap().push(message));
    let task = world.port.kernel().clone();
    let ports: Vec<_> = (0..2).map(|_| ReceiveRight::allocate(&task).unwrap()).collect();
    let rights: Vec<_> = ports
        .iter()
        .map(|port| {
            world.set.insert(port).unwrap();
            Local::transfer(port.make_send().unwrap(), &world.client).unwrap()
        })
        .collect();
    world.serve_during(&server, || {
        thread::scope(|scope| {
            for right in &rights {
                scope.spawn(move || {
                    for _ in 0..EACH {
                        note(right, NOTE, 1); // taken
                        note(right, NOTE, 2); // not as declared
                        note(right, NOTE, 400); // larger than anything declared
                        note(right, MISSING, 0); // not implemented
                        note(right, 5009, 0); // in the subsystem, but no routine
                        note(right, 1, 0); // in no subsystem
                    }
                });
            }
        });
        // An answer tells that all before it in the queue have been taken out; the end of the server that
        // they have been served.
        for right in &rights {
            assert_eq!(sum(right, 1, 2).unwrap(), 3);
        }
    });
    drop(server);

    let unclaimed = unclaimed.into_inner().unwrap();
    let notes = world.routines.notes.lock().unwrap().clone();
    for port in &ports {
        let here = unclaimed.iter().filter(|message| message.port == port.name());
        let taken = notes.iter().filter(|(name, _)| *name == port.name()).map(|(_, seqno)| seqno.0);
        let mut seen: Vec<u32> = here.clone().map(|message| message.seqno.0).chain(taken).collect();
        seen.sort_unstable();
        let all: Vec<u32> = (0..6 * EACH as u32).collect();
        assert_eq!(seen, all);
        for (id, code, count) in [
            (NOTE, KernReturn::MIG_BAD_ARGUMENTS, 2 * EACH),
            (MISSING, KernReturn::MIG_BAD_ID, EACH),
            (5009, KernReturn::MIG_BAD_ID, EACH),
            (1, KernReturn::MIG_BAD_ID, EACH),
        ] {
            let of_kind = here.clone().filter(|message| (message.id, message.code) == (id, code));
            assert_eq!(of_kind.count(), count, "id {id}");
        }
    }
    drop((rights, ports));
    world.end();
}

#[test]
fn who_sends_what_nobody_takes_is_told() {
    let world = World::new();
    let server = world.server();
    world.serve_during(&server, || {
        for (id, code) in [
            (1, KernReturn::MIG_BAD_ID),
            (MISSING, KernReturn::MIG_BAD_ID),
            (5009, KernReturn::MIG_BAD_ID),
            (SUM, KernReturn::MIG_BAD_ARGUMENTS),
        ] {
            assert_eq!(call(&world.to_server, id).unwrap_err().code(), code);
        }
    });
    drop(server);
    world.end();
}

#[test]
fn a_message_too_large_for_the_buffers_is_received_all_the_same() {
    let world = World::new();
    let unclaimed = Mutex::new(Vec::new());
    let server = world.server().unclaimed(|message| unclaimed.lock().unwrap().push(message));
    for words in [300, 400, 1] {
        note(&world.to_server, NOTE, words);
    }
    // One at a time, and by the loop.
    assert_eq!(server.serve_one::<Std>(Some(0)), Ok(true));
    world.serve_during(&server, || assert_eq!(sum(&world.to_server, 1, 2).unwrap(), 3));
    drop(server);
    let seqnos: Vec<_> = unclaimed.into_inner().unwrap().into_iter().map(|message| message.seqno).collect();
    assert_eq!(seqnos, [Seqno(0), Seqno(1)]);
    assert_eq!(*world.routines.notes.lock().unwrap(), [(world.port.name(), Seqno(2))]);
    world.end();
}

/// Calls with two rights as arguments.
fn call_with_rights<'b>(
    server: &SendRight<Local>,
    id: i32,
    buffer: &'b mut MsgBuf<128>,
    fill: impl FnOnce(&mut Builder<'b, Local>),
) -> Result<(), CallError<Local>> {
    let mut request = buffer.request(server.kernel());
    fill(&mut request);
    request.call(id, Dest::copy_send(server), integers(1), CallOptions::NONE).map(drop)
}

#[test]
fn a_panic_is_answered_and_nothing_leaks() {
    let world = World::new();
    let server = world.server().threads(2);
    world.serve_during(&server, || {
        let port = ReceiveRight::allocate(&world.client).unwrap();
        for _ in 0..10 {
            let result = call_with_rights(&world.to_server, PANIC, &mut MsgBuf::new(), |request| {
                request.make_send(&port);
                request.make_send(&port);
            });
            assert_eq!(result.unwrap_err().code(), KernReturn::KERN_FAILURE);
        }
        assert_eq!(sum(&world.to_server, 1, 2).unwrap(), 3);
    });
    drop(server);
    world.end();
}

#[test]
fn what_a_routine_refuses_is_released() {
    let world = World::new();
    let server = world.server();
    world.serve_during(&server, || {
        let [first, second] = std::array::from_fn(|_| ReceiveRight::allocate(&world.client).unwrap());
        let watch = first.make_send().unwrap();
        let result = call_with_rights(&world.to_server, REFUSE, &mut MsgBuf::new(), |request| {
            request.move_receive(first);
            request.move_receive(second);
        });
        assert_eq!(result.unwrap_err().code(), KernReturn::KERN_NO_ACCESS);
        assert_eq!(world.client.census().dead_names, 1, "the port went with the request");
        drop(watch);
    });
    drop(server);
    world.end();
}

#[test]
fn a_reply_may_come_later_from_another_thread() {
    let world = World::new();
    let server = world.server();
    world.serve_during(&server, || {
        thread::scope(|scope| {
            let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| call(&world.to_server, LATER))).collect();
            let mut answered = 0;
            while answered < calls.len() {
                let Some(token) = world.routines.later.lock().unwrap().pop() else {
                    thread::yield_now();
                    continue;
                };
                assert_eq!(token.id(), LATER);
                token.answer::<128, ()>(LATER, Ok(()), |_, ()| Ok(())).unwrap();
                answered += 1;
                // The server is not kept from other work meanwhile.
                assert_eq!(sum(&world.to_server, 2, 2).unwrap(), 4);
            }
            calls.into_iter().for_each(|call| call.join().unwrap().unwrap());
        });
    });
    drop(server);
    world.end();
}

#[test]
fn a_deferred_reply_that_is_dropped_means_a_dead_server() {
    let world = World::new();
    let server = world.server();
    world.serve_during(&server, || {
        thread::scope(|scope| {
            let call = scope.spawn(|| call(&world.to_server, LATER));
            while world.routines.later.lock().unwrap().pop().is_none() {
                thread::yield_now();
            }
            assert_eq!(call.join().unwrap().unwrap_err().code(), KernReturn::MIG_SERVER_DIED);
        });
    });
    drop(server);
    world.end();
}

#[test]
fn a_server_that_dies_is_told_to_its_clients() {
    let world = World::new();
    let task = world.port.kernel().clone();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| sum(&world.to_server, 1, 2));
        while task.census().queued == 0 {
            thread::yield_now();
        }
        task.terminate();
        assert_eq!(waiting.join().unwrap().unwrap_err().code(), KernReturn::MIG_SERVER_DIED);
    });
    let error = sum(&world.to_server, 1, 2).unwrap_err();
    assert_eq!((error.code(), error.is_unsent()), (KernReturn::MACH_SEND_INVALID_DEST, true));
    drop(error);
    assert_eq!(world.client.census(), Census { dead_names: 1, dead_references: 1, ..Census::default() });
    assert_eq!(world.server().run(), Err(KernReturn::KERN_INVALID_TASK));
}

#[test]
fn a_running_server_ends_with_its_task() {
    let world = World::new();
    let server = world.server().threads(3);
    thread::scope(|scope| {
        let running = scope.spawn(|| server.run());
        // It runs, as it answers.
        assert_eq!(sum(&world.to_server, 1, 2).unwrap(), 3);
        world.port.kernel().terminate();
        let result = running.join().unwrap();
        assert!(matches!(result, Err(KernReturn::MACH_RCV_PORT_DIED | KernReturn::MACH_RCV_INVALID_NAME)));
    });
}

#[test]
fn a_server_stops_with_the_work_that_it_serves() {
    let world = World::new();
    let server = world.server();
    let sum_of = |a, b| server.serve_while(|| sum(&world.to_server, a, b).map_err(KernReturn::from)).unwrap();
    assert_eq!(sum_of(1, 2), Ok(3));
    assert_eq!(sum_of(1, u32::MAX), Err(KernReturn::KERN_INVALID_ARGUMENT), "work that fails stops it, too");
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| server.serve_while(|| panic!("the work"))));
    assert!(panicked.is_err());
    assert_eq!(sum_of(2, 2), Ok(4), "and it can serve again");
    server.serve_while(|| server.stop()).unwrap();
    assert_eq!(sum_of(3, 3), Ok(6), "nor is it stopped twice");
}

#[test]
fn a_client_that_has_gone_does_no_harm() {
    let world = World::new();
    let server = world.server();
    let host = world.client.host();
    for disposition in 0..3 {
        let client = host.new_task("gone");
        let to_server = Local::transfer(world.port.make_send().unwrap(), &client).unwrap();
        let reply = ReceiveRight::allocate(&client).unwrap();
        // A send right may lead to a full queue, too.
        client.set_queue_limit(reply.name(), 0).unwrap();
        let send = reply.make_send().unwrap();
        let local = match disposition {
            0 => Dest::make_send_once(&reply),
            1 => Dest::copy_send(&send),
            _ => Dest::make_send(&reply),
        };
        let mut buffer = MsgBuf::<128>::new();
        let mut request = buffer.request(&client);
        request.data(INTEGER_32, &1_u32);
        request.data(INTEGER_32, &1_u32);
        request.send_with_reply_port(SUM, Dest::copy_send(&to_server), local, SendOptions::NONE).unwrap();
        if disposition < 2 {
            drop((to_server, reply, send));
            client.terminate();
            assert_eq!(server.serve_one::<Std>(Some(0)), Ok(true));
        } else {
            assert_eq!(server.serve_one::<Std>(Some(0)), Ok(true));
            assert_eq!(client.receive_status(reply.name()).unwrap().queued, 0);
        }
    }
    drop(server);
    world.end();
}

#[test]
fn notifications_are_served_like_any_message() {
    let world = World::new();
    let server = world.server();
    let task = world.port.kernel();
    let before = task.census();
    let object = ReceiveRight::allocate(task).unwrap();
    world.set.insert(&object).unwrap();
    let sender = Local::transfer(object.make_send().unwrap(), &world.client).unwrap();
    object.request_notification(Notification::NoSenders { sync: 0 }, &object).unwrap();
    drop(sender);
    assert_eq!(server.serve_one::<Std>(Some(0)), Ok(true));

    let theirs = ReceiveRight::allocate(&world.client).unwrap();
    let control = Local::transfer(theirs.make_send().unwrap(), task).unwrap();
    control.request_dead_name(&world.port).unwrap();
    drop(theirs);
    assert_eq!(server.serve_one::<Std>(Some(0)), Ok(true));
    let dead = task.census();
    assert_eq!((dead.dead_names, dead.dead_references), (1, 1), "that of the notification is released");
    drop((control, object));

    let once: SendOnceRight<Local> = world.port.make_send_once().unwrap();
    drop(once);
    assert_eq!(server.serve_one::<Std>(Some(0)), Ok(true));
    // What looks like one, but was sent by somebody with a send right.
    note(&world.to_server, 71, 0);
    assert_eq!(server.serve_one::<Std>(Some(0)), Ok(true));
    let notified = [(70, true), (72, true), (71, true), (71, false)];
    assert_eq!(*world.routines.notified.lock().unwrap(), notified);
    assert_eq!(task.census(), before);
    drop(server);
    world.end();
}

#[test]
fn one_port_can_be_served_without_a_set() {
    let world = World::new();
    world.port.leave_set().unwrap();
    let server = Server::on(&world.port).with(&world.routines);
    world.serve_during(&server, || assert_eq!(sum(&world.to_server, 1, 2).unwrap(), 3));
    drop(server);
    let status = world.port.kernel().receive_status(world.port.name()).unwrap();
    assert_eq!(status.port_set, Name::NULL);
    world.end();
}

#[test]
fn stopping_before_or_without_a_run() {
    let world = World::new();
    let server = world.server().threads(3);
    server.stop();
    assert_eq!(server.serve_one::<Std>(Some(0)), Ok(false));
    assert_eq!(server.run(), Ok(()), "the order still stands");
    // It is used up, and what it has left behind does not disturb.
    note(&world.to_server, NOTE, 1);
    world.serve_during(&server, || assert_eq!(sum(&world.to_server, 1, 2).unwrap(), 3));
    assert_eq!(world.routines.notes.lock().unwrap().len(), 1);
    assert_eq!(server.run_twice_in_a_row(), Ok(()));
    drop(server);
    world.end();
}

#[test]
fn stopping_from_where_the_server_is_not_known() {
    let world = World::new();
    let stop = Stop::new(world.port.kernel()).unwrap();
    let server = Server::until(&world.set, &stop).with(&world.routines).threads(3);
    thread::scope(|scope| {
        let run = scope.spawn(|| server.run());
        assert_eq!(sum(&world.to_server, 1, 2).unwrap(), 3);
        stop.stop();
        assert_eq!(run.join().unwrap(), Ok(()));
    });
    drop((server, stop));
    world.end();
}

impl Server<'_, Local> {
    fn run_twice_in_a_row(&self) -> Result<(), KernReturn> {
        self.stop();
        self.run()?;
        self.stop();
        self.run()
    }
}

#[test]
fn one_message_at_a_time() {
    let world = World::new();
    let server = world.server();
    assert_eq!(server.serve_one::<Std>(Some(0)), Err(KernReturn::MACH_RCV_TIMED_OUT));
    note(&world.to_server, NOTE, 1);
    note(&world.to_server, NOTE, 1);
    assert_eq!(server.serve_one::<Std>(Some(0)), Ok(true));
    assert_eq!(world.routines.notes.lock().unwrap().len(), 1);
    assert_eq!(server.serve_one::<Std>(Some(0)), Ok(true));
    drop(server);
    world.end();
}

#[test]
fn the_first_subsystem_with_a_routine_for_an_id_serves_it() {
    struct Other(AtomicU32);
    impl Subsystem<Local> for &Other {
        fn ids(&self) -> Range<i32> {
            5000..6000
        }
        fn max_request_size(&self) -> usize {
            HEADER
        }
        fn max_reply_size(&self) -> usize {
            Gnu::FACTS.error_reply
        }
        fn dispatch(&self, _: &mut Received<'_, Local>, reply: &mut Reply<'_, Local>) -> bool {
            reply.serve(|_| {
                self.0.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            true
        }
    }
    let world = World::new();
    let other = Other(AtomicU32::new(0));
    let server = world.server().with(&other);
    world.serve_during(&server, || {
        assert_eq!(sum(&world.to_server, 1, 2).unwrap(), 3);
        call(&world.to_server, 5009).unwrap();
        call(&world.to_server, 5999).unwrap();
        // Known to the first, which does not implement it: that is its answer.
        assert_eq!(call(&world.to_server, MISSING).unwrap_err().code(), KernReturn::MIG_BAD_ID);
    });
    assert_eq!(other.0.load(Ordering::Relaxed), 2);
    drop(server);
    world.end();
}

#[test]
fn a_subsystem_is_served_on_its_ports_only() {
    let world = World::new();
    let set = PortSet::allocate(world.port.kernel()).unwrap();
    let private = ReceiveRight::allocate(world.port.kernel()).unwrap();
    let to_private = Local::transfer(private.make_send().unwrap(), &world.client).unwrap();
    set.insert(&world.port).unwrap();
    set.insert(&private).unwrap();
    let server = Server::on(&set).with_on([&private], &world.routines).with_on([], Notify(&world.routines));
    server
        .serve_while(|| {
            assert_eq!(sum(&to_private, 1, 2).unwrap(), 3);
            let error = sum(&world.to_server, 1, 2).unwrap_err();
            assert_eq!((error.code(), error.kind()), (KernReturn::MIG_BAD_ID, crate::CallErrorKind::Answer));
            // On no port at all.
            assert_eq!(call(&to_private, 70).unwrap_err().code(), KernReturn::MIG_BAD_ID);
        })
        .unwrap();
    drop(server);
    drop((set, private, to_private));
    world.end();
}

#[test]
fn a_message_that_somebody_else_has_received_is_served() {
    let world = World::new();
    let server = world.server();
    let other = ReceiveRight::allocate(world.port.kernel()).unwrap();
    let to_other = Local::transfer(other.make_send().unwrap(), &world.client).unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| sum(&to_other, 1, 2));
        let mut buffer = MsgBuf::<256>::new();
        let receive = Receive::from(other.name()).call::<Gnu>(false);
        // SAFETY: nothing is sent.
        unsafe { world.port.kernel().mach_msg(buffer.words(), receive) }.unwrap();
        // SAFETY: it has just been received, and nobody else looks at it.
        let request = unsafe { Received::from_message(world.port.kernel(), buffer.words()) };
        server.serve_received::<Std>(request).unwrap();
        assert_eq!(call.join().unwrap().unwrap(), 3);
    });
    drop(server);
    drop((other, to_other));
    world.end();
}

/// An event loop waits for the set, and then has the server take what is there.
#[test]
fn what_an_event_loop_waits_for_can_be_named() {
    let world = World::new();
    let server = world.server();
    let set = server.receives_from().unwrap();
    assert_eq!(world.port.kernel().receive_status(world.port.name()).unwrap().port_set, set);
    note(&world.to_server, NOTE, 1);
    note(&world.to_server, NOTE, 1);
    while server.serve_one::<Std>(Some(0)) == Ok(true) {}
    assert_eq!(world.routines.notes.lock().unwrap().len(), 2);
    drop(server);
    world.end();
}
