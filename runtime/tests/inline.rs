//! Servers that run in the threads that send to them.
#![cfg(feature = "std")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, Mutex};
use std::thread::{self, ThreadId};

use mig_runtime::abi::{Apple64, GnuX86_64, TaskAbi};
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::platform::Holding;
use mig_runtime::{
    CallOptions, Complex, Dest, Kernel, Largest, MsgBuf, PortSet, ReceiveRight, Received, SendOptions,
    SendRight, Server, Shape, Subsystem, subsystem,
};

const LARGEST: Largest = Largest { request: 128, reply: 128 };

/// A subsystem that does this with the id of each message.
fn each<'a, K: Kernel>(body: impl Fn(i32) + Send + Sync + 'a) -> impl Subsystem<K> + Send + Sync + 'a {
    subsystem(0..i32::MAX, LARGEST, move |request: &mut Received<'_, K>, reply| {
        let id = request.id();
        reply.serve(|_| {
            body(id);
            Ok(())
        });
        true
    })
}

fn send<K: Kernel>(to: &SendRight<K>, id: i32) {
    let mut buffer = MsgBuf::<128>::new();
    buffer.request(to.kernel()).send(id, Dest::copy_send(to), SendOptions::NONE).unwrap();
}

/// Sends until the server runs, and so has served a message of this id in this thread.
fn until_inline<K: Kernel>(to: &SendRight<K>, id: i32, served_here: impl Fn() -> bool) {
    while !served_here() {
        send(to, id);
        thread::yield_now();
    }
}

fn me() -> ThreadId {
    thread::current().id()
}

/// A port with a server that is known to serve in this thread, and what has come there, each with its thread.
fn with_log(test: impl FnOnce(&SendRight<Local>, &Mutex<Vec<(i32, ThreadId)>>)) {
    let task: Local = Local::new();
    let before = task.census();
    let port = ReceiveRight::allocate(&task).unwrap();
    let log = Mutex::new(Vec::new());
    let server = Server::on(&port).with(each(|id| log.lock().unwrap().push((id, me())))).inline();
    server
        .serve_while(|| {
            let to = port.make_send().unwrap();
            until_inline(&to, 0, || log.lock().unwrap().contains(&(0, me())));
            log.lock().unwrap().clear();
            test(&to, &log);
        })
        .unwrap();
    drop(server);
    drop(port);
    assert_eq!(task.census(), before);
}

#[test]
fn a_message_is_served_when_the_send_returns() {
    with_log(|to, log| {
        for id in 1..100 {
            send(to, id);
            assert_eq!(log.lock().unwrap().pop(), Some((id, me())));
        }
    });
}

#[test]
fn a_sender_that_holds_a_turn_uses_the_queue() {
    with_log(|to, log| {
        let turn = Holding::turn();
        send(to, 1);
        drop(turn);
        while log.lock().unwrap().is_empty() {
            thread::yield_now();
        }
        let (id, thread) = log.lock().unwrap()[0];
        assert_eq!(id, 1);
        assert_ne!(thread, me());
    });
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "a message is sent with a lock held"))]
fn a_sender_that_holds_a_lock_is_told() {
    let task: Local = Local::new();
    let port = ReceiveRight::allocate(&task).unwrap();
    let _lock = Holding::lock();
    send(&port.make_send().unwrap(), 1);
}

/// A message may be out of its queue and not served yet: the next one of its sender must not overtake it.
#[test]
fn no_message_overtakes_another_of_its_port() {
    let task: Local = Local::new();
    let port = ReceiveRight::allocate(&task).unwrap();
    let (begun, go_on) = (Barrier::new(2), Barrier::new(2));
    let log = Mutex::new(Vec::new());
    let work = each(|id| {
        if id == 1 {
            begun.wait();
            go_on.wait();
        }
        log.lock().unwrap().push((id, me()));
    });
    Server::on(&port)
        .with(work)
        .inline()
        .serve_while(|| {
            let to = port.make_send().unwrap();
            until_inline(&to, 0, || log.lock().unwrap().contains(&(0, me())));
            log.lock().unwrap().clear();
            let turn = Holding::turn();
            send(&to, 1);
            drop(turn);
            begun.wait();
            // It is in a thread's hands, and its queue is empty.
            send(&to, 2);
            assert_eq!(log.lock().unwrap().len(), 0, "the second one waits");
            go_on.wait();
            while log.lock().unwrap().len() < 2 {
                thread::yield_now();
            }
            let ids: Vec<i32> = log.lock().unwrap().iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, [1, 2]);
            log.lock().unwrap().clear();
            // The server's thread has come back some time, and then messages are served here again.
            until_inline(&to, 3, || log.lock().unwrap().contains(&(3, me())));
        })
        .unwrap();
}

/// Each thread's messages come in their order, whoever serves them and whatever lies between.
#[test]
fn the_messages_of_a_sender_stay_in_order() {
    const SENDERS: usize = 3;
    const MESSAGES: i32 = 400;
    let task: Local = Local::new();
    let set = PortSet::allocate(&task).unwrap();
    let ports = [(); 2].map(|()| ReceiveRight::allocate(&task).unwrap());
    ports.iter().for_each(|port| set.insert(port).unwrap());
    let seen: [[AtomicUsize; 2]; SENDERS] = Default::default();
    let wrong = AtomicUsize::new(0);
    let work = subsystem(0..i32::MAX, LARGEST, |request: &mut Received<'_, Local>, reply| {
        let (id, port) = (request.id(), usize::from(request.port().name() == ports[1].name()));
        reply.serve(|_| {
            let last = &seen[id as usize % SENDERS][port];
            let number = id as usize / SENDERS;
            if last.swap(number, SeqCst) + 1 != number {
                wrong.fetch_add(1, SeqCst);
            }
            Ok(())
        });
        true
    });
    Server::on(&set)
        .with(work)
        .inline()
        .serve_while(|| {
            thread::scope(|scope| {
                for sender in 0..SENDERS as i32 {
                    let to = ports.each_ref().map(|port| port.make_send().unwrap());
                    scope.spawn(move || {
                        for number in 1..=MESSAGES {
                            // Some go through the queue, so that there are others before those after them.
                            let turn = (number % 7 == sender).then(Holding::turn);
                            to.iter().for_each(|to| send(to, number * SENDERS as i32 + sender));
                            drop(turn);
                        }
                    });
                }
            });
            while seen.iter().flatten().any(|seen| seen.load(SeqCst) != MESSAGES as usize) {
                assert_eq!(wrong.load(SeqCst), 0);
                thread::yield_now();
            }
        })
        .unwrap();
    assert_eq!(wrong.load(SeqCst), 0);
}

#[test]
fn a_server_is_not_entered_twice_by_a_thread() {
    let task: Local = Local::new();
    // A method that waits for room in its own queue might wait for ever.
    task.send_always();
    let port = ReceiveRight::allocate(&task).unwrap();
    let to = port.make_send().unwrap();
    let (inside, again) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let here = Mutex::new(None);
    let work = each(|id| {
        let thread_is_in = *here.lock().unwrap() == Some(me());
        if id == 1 && !thread_is_in {
            *here.lock().unwrap() = Some(me());
            send(&to, 2);
            *here.lock().unwrap() = None;
            inside.fetch_add(1, SeqCst);
        }
        again.fetch_add(usize::from(thread_is_in), SeqCst);
    });
    Server::on(&port)
        .with(work)
        .inline()
        .serve_while(|| {
            let to = port.make_send().unwrap();
            while inside.load(SeqCst) < 5 {
                send(&to, 1);
                thread::yield_now();
            }
        })
        .unwrap();
    assert_eq!(again.into_inner(), 0);
}

/// Each of these servers sends to the next.
#[test]
fn a_thread_is_in_four_servers_at_most() {
    const SERVERS: usize = 6;
    let host: Host = Host::new();
    let task = host.new_task("servers");
    task.send_always();
    let ports = [(); SERVERS].map(|()| ReceiveRight::allocate(&task).unwrap());
    let rights = ports.each_ref().map(|port| port.make_send().unwrap());
    let runs = [(); SERVERS].map(|()| Mutex::new(None::<ThreadId>));
    let (ports, rights, runs) = (&ports, &rights, &runs);
    let servers: Vec<_> = (0..SERVERS)
        .map(|number| {
            let work = each(move |id| {
                *runs[number].lock().unwrap() = Some(me());
                if let (0, Some(next)) = (id, rights.get(number + 1)) {
                    send(next, id);
                }
            });
            Server::on(&ports[number]).with(work).inline()
        })
        .collect();
    thread::scope(|scope| {
        servers.iter().for_each(|server| drop(scope.spawn(|| server.run().unwrap())));
        for number in 0..SERVERS {
            until_inline(&rights[number], 1, || *runs[number].lock().unwrap() == Some(me()));
        }
        // Until all queues are empty and all hands, so that only the depth counts.
        loop {
            runs.iter().for_each(|run| *run.lock().unwrap() = None);
            send(&rights[0], 0);
            while runs[SERVERS - 1].lock().unwrap().is_none() {
                thread::yield_now();
            }
            let here = runs.iter().map(|run| *run.lock().unwrap() == Some(me())).collect::<Vec<_>>();
            assert!(!here[4], "the fifth is in another thread");
            if here[..4] == [true; 4] {
                break;
            }
        }
        servers.iter().for_each(Server::stop);
    });
}

#[test]
fn a_run_ends_after_the_calls_in_progress() {
    let task: Local = Local::new();
    let port = ReceiveRight::allocate(&task).unwrap();
    let (begun, go_on) = (Barrier::new(2), Barrier::new(2));
    let (blocks, here, over) = (AtomicBool::new(false), Mutex::new(None), AtomicBool::new(false));
    let work = each(|_| {
        *here.lock().unwrap() = Some(me());
        if blocks.load(SeqCst) {
            begun.wait();
            go_on.wait();
            over.store(true, SeqCst);
        }
    });
    let server = Server::on(&port).with(work).inline();
    let to = port.make_send().unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(|| server.run());
        let caller = scope.spawn(|| {
            until_inline(&to, 1, || *here.lock().unwrap() == Some(me()));
            blocks.store(true, SeqCst);
            send(&to, 1);
        });
        begun.wait();
        blocks.store(false, SeqCst);
        server.stop();
        let releases = scope.spawn(|| {
            // Its thread may have ended by now, and the run may not.
            (0..100).for_each(|_| thread::yield_now());
            assert!(!running.is_finished());
            go_on.wait();
            running.join().unwrap().unwrap();
            assert!(over.load(SeqCst), "the call was over before");
        });
        releases.join().unwrap();
        caller.join().unwrap();
    });
    // Nobody serves any more: it stays in the queue.
    *here.lock().unwrap() = None;
    send(&port.make_send().unwrap(), 1);
    assert_eq!(*here.lock().unwrap(), None);
}

#[test]
fn a_panic_is_the_servers_own() {
    let task: Local = Local::new();
    let port = ReceiveRight::allocate(&task).unwrap();
    let calls = AtomicUsize::new(0);
    let work = each(|id| {
        calls.fetch_add(1, SeqCst);
        if id == 1 {
            // Without a word, unlike `panic!`.
            std::panic::resume_unwind(Box::new("on purpose"));
        }
    });
    Server::on(&port)
        .with(work)
        .inline()
        .serve_while(|| {
            let to = port.make_send().unwrap();
            for id in [1, 2] {
                let before = calls.load(SeqCst);
                while calls.load(SeqCst) < before + 10 {
                    send(&to, id);
                    thread::yield_now();
                }
            }
        })
        .unwrap();
}

/// Calls, with their replies: the reply is there when the client begins to wait for it.
fn calls<A: TaskAbi>() {
    let host: Host<A> = Host::new();
    let (server, client) = (host.new_task("server"), host.new_task("client"));
    let before = server.census();
    let port = ReceiveRight::allocate(&server).unwrap();
    let to = Local::transfer(port.make_send().unwrap(), &client).unwrap();
    let here = AtomicUsize::new(0);
    let thread = me();
    let work = each(|_| {
        here.fetch_add(usize::from(me() == thread), SeqCst);
    });
    Server::on(&port)
        .with(work)
        .inline()
        .serve_while(|| {
            let size = A::FACTS.error_reply;
            let shape = Shape { min: size, max: size, complex: Complex::Never };
            while here.load(SeqCst) < 20 {
                let mut buffer = MsgBuf::<256>::new();
                let reply = buffer.request(&client).call(1, Dest::copy_send(&to), shape, CallOptions::NONE);
                assert!(reply.is_ok());
            }
        })
        .unwrap();
    drop(to);
    drop(port);
    assert_eq!(server.census(), before);
}

#[test]
fn calls_are_answered() {
    calls::<GnuX86_64>();
    calls::<Apple64>();
}
