//! Queues, port sets, limits, waiting.
//!
//! Where a thread has to be waiting before something else happens, nothing tells that it is; the tests hold
//! whichever comes first.

use std::sync::mpsc;
use std::thread;
use std::vec::Vec;

use super::wire::{
    COPY_SEND, MAKE_SEND_ONCE, MOVE_SEND, MOVE_SEND_ONCE, Message, poll, receive, receive_with,
};
use super::{end, on_both_abis, pair};
use crate::abi::TaskAbi;
use crate::kern_return::KernReturn;
use crate::kernel::local::{Census, Local};
use crate::kernel::{Kernel, MsgCall, Name, RightKind};

/// A port of `b`, and a send right to it in `a`.
fn channel<A: TaskAbi>(a: &Local<A>, b: &Local<A>) -> (Name, Name) {
    let port = b.allocate_port().unwrap();
    b.make_send(port).unwrap();
    (b.give(RightKind::Send, port, a).unwrap(), port)
}

fn a_full_queue_takes_no_more_but_from_the_privileged<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let message = Message::<A>::to(COPY_SEND, to);
    for _ in 0..5 {
        message.try_send(&a).unwrap();
    }
    assert_eq!(message.try_send(&a), Err(KernReturn::MACH_SEND_TIMED_OUT));
    // The copied right has come back as a right: pseudo-receive.
    assert_eq!(a.census(), Census { send: 1, send_references: 2, ..Census::default() });
    a.release(RightKind::Send, to);

    // A reply is never kept waiting.
    let once = b.make_send_once(from).unwrap();
    let once = b.give(RightKind::SendOnce, once, &a).unwrap();
    Message::<A>::to(MOVE_SEND_ONCE, once).try_send(&a).unwrap();
    a.send_always();
    message.try_send(&a).unwrap();
    assert_eq!(b.census().queued, 7);
    b.set_queue_limit(from, 8).unwrap();
    assert_eq!(b.receive_status(from).unwrap().queue_limit, 8);
    end(a, b);
}

fn a_message_that_timed_out_is_given_back<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    b.set_queue_limit(from, 0).unwrap();
    let moved = a.allocate_port().unwrap();
    let reply = a.allocate_port().unwrap();
    let address = a.region_into_wire(a.allocate(10).unwrap());
    let before = a.census();
    let message = Message::to(MOVE_SEND, to)
        .reply(MAKE_SEND_ONCE, reply)
        .id(3)
        .ports(16, &[moved])
        .out_of_line(9, 8, 10, address, true);
    let (result, back) = message.send_within(&a, Some(0));
    assert_eq!(result, Err(KernReturn::MACH_SEND_TIMED_OUT));
    // Not swapped, unlike in a message received; the send-once right made for the reply is the sender's too.
    assert_eq!(back.bits(), 0x8000_0000 | MOVE_SEND | MOVE_SEND_ONCE << 8);
    assert_eq!(back.id(), 3);
    assert_eq!(a.census(), Census { send_once: 1, ..before.clone() });
    a.release(RightKind::SendOnce, back.local());
    poll(&a, reply).unwrap();
    assert_eq!(a.census(), before);
    // The names may be others now.
    a.release(RightKind::Receive, back.first_port());
    a.release(RightKind::Send, back.remote());
    assert_eq!(a.census(), Census { receive: 1, regions: 1, ..Census::default() });
    end(a, b);
}

/// `msgoption MACH_SEND_TIMEOUT` in the `.defs`, and no `waittime`: the time of the call is 0.
fn an_option_bit_without_a_time_is_no_time<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    b.set_queue_limit(from, 1).unwrap();
    let send = || {
        let mut buffer = crate::MsgBuf::<64>::new();
        // SAFETY: it is never released.
        let to = std::mem::ManuallyDrop::new(unsafe { crate::SendRight::from_raw(a.clone(), to) });
        let options = crate::SendOptions { bits: 0x10, ..crate::SendOptions::NONE };
        buffer.request(&a).send(1, crate::Dest::copy_send(&to), options).map_err(KernReturn::from)
    };
    assert_eq!(send(), Ok(()));
    assert_eq!(send(), Err(KernReturn::MACH_SEND_TIMED_OUT));
    poll(&b, from).unwrap();
    let receive = MsgCall { receive: Some(from), options: 0x100, ..MsgCall::default() };
    assert_eq!(receive_with(&b, 64, receive).0, Err(KernReturn::MACH_RCV_TIMED_OUT));
    end(a, b);
}

#[test]
fn one_half_has_the_time_of_the_other() {
    let times = |send, receive, options| {
        let call = MsgCall { send_timeout: send, receive_timeout: receive, options, ..MsgCall::default() };
        let call = call.with_times_of_options();
        (call.send_timeout, call.receive_timeout)
    };
    assert_eq!(times(None, Some(5), 0), (None, Some(5)));
    assert_eq!(times(None, Some(5), 0x10), (Some(5), Some(5)));
    assert_eq!(times(Some(7), None, 0x100), (Some(7), Some(7)));
    assert_eq!(times(Some(7), Some(5), 0x110), (Some(7), Some(5)));
    assert_eq!(times(None, None, 0x110), (Some(0), Some(0)));
}

fn a_sender_waits_for_room<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    b.set_queue_limit(from, 2).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for id in 0..500 {
                Message::<A>::to(COPY_SEND, to).id(id).send(&a).unwrap();
            }
        });
        for id in 0..500 {
            let got = receive(&b, from).unwrap();
            assert_eq!((got.id(), got.seqno()), (id, id));
        }
    });
    end(a, b);
}

fn many_senders_and_receivers_lose_nothing<A: TaskAbi>() {
    const EACH: u32 = 300;
    let (a, b) = pair::<A>();
    let set = b.allocate_port_set().unwrap();
    let channels: Vec<_> = (0..3).map(|_| channel(&a, &b)).collect();
    for (_, from) in &channels {
        b.set_queue_limit(*from, 1).unwrap();
        b.move_member(*from, set).unwrap();
    }
    let (done, results) = mpsc::channel();
    thread::scope(|scope| {
        for (to, _) in channels.iter().cycle().take(6) {
            let a = &a;
            scope.spawn(move || {
                for id in 0..EACH {
                    Message::<A>::to(COPY_SEND, *to).id(id + 1).send(a).unwrap();
                }
            });
        }
        for _ in 0..4 {
            let (b, done) = (&b, done.clone());
            scope.spawn(move || {
                while let Ok(got) = receive(b, set) {
                    done.send((got.local(), got.seqno())).unwrap();
                    if got.id() == 0 {
                        break;
                    }
                }
            });
        }
        drop(done);
        let mut got: Vec<_> = results.iter().take(6 * EACH as usize).collect();
        got.sort_unstable();
        let all = channels.iter().flat_map(|(_, from)| (0..2 * EACH).map(|seqno| (*from, seqno)));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        assert_eq!(got, all, "each port gave each of its sequence numbers once");
        for _ in 0..4 {
            Message::<A>::to(COPY_SEND, channels[0].0).id(0).send(&a).unwrap();
        }
    });
    end(a, b);
}

fn a_set_gives_messages_in_order_of_arrival<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let set = b.allocate_port_set().unwrap();
    let (first, first_here) = channel(&a, &b);
    let (second, second_here) = channel(&a, &b);
    // One is there before its port joins.
    Message::<A>::to(COPY_SEND, second).id(0).send(&a).unwrap();
    b.move_member(first_here, set).unwrap();
    b.move_member(second_here, set).unwrap();
    for (to, id) in [(first, 1), (first, 2), (second, 3), (first, 4)] {
        Message::<A>::to(COPY_SEND, to).id(id).send(&a).unwrap();
    }
    let got: Vec<_> =
        (0..5).map(|_| poll(&b, set).unwrap()).map(|got| (got.id(), got.local(), got.seqno())).collect();
    assert_eq!(
        got,
        [
            (0, second_here, 0),
            (1, first_here, 0),
            (2, first_here, 1),
            (3, second_here, 1),
            (4, first_here, 2)
        ],
        "a busy member does not keep the others waiting"
    );
    assert_eq!(poll(&b, set).err(), Some(KernReturn::MACH_RCV_TIMED_OUT));
    end(a, b);
}

fn a_member_is_received_from_through_its_set<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let [one, other] = [b.allocate_port_set().unwrap(), b.allocate_port_set().unwrap()];
    let (to, from) = channel(&a, &b);
    b.move_member(from, one).unwrap();
    assert_eq!(b.receive_status(from).unwrap().port_set, one);
    Message::<A>::to(COPY_SEND, to).id(1).send(&a).unwrap();
    assert_eq!(poll(&b, from).err(), Some(KernReturn::MACH_RCV_IN_SET));
    b.move_member(from, other).unwrap();
    assert_eq!(poll(&b, one).err(), Some(KernReturn::MACH_RCV_TIMED_OUT));
    assert_eq!(poll(&b, other).unwrap().id(), 1);
    b.move_member(from, Name::NULL).unwrap();
    assert_eq!(b.move_member(from, Name::NULL), Err(KernReturn::KERN_NOT_IN_SET));
    assert_eq!(b.move_member(from, from), Err(KernReturn::KERN_INVALID_RIGHT));
    assert_eq!(b.move_member(one, other), Err(KernReturn::KERN_INVALID_RIGHT));
    // The end of a set is not the end of its members.
    b.move_member(from, one).unwrap();
    b.release(RightKind::PortSet, one);
    assert_eq!(b.receive_status(from).unwrap().port_set, Name::NULL);
    Message::<A>::to(COPY_SEND, to).id(2).send(&a).unwrap();
    assert_eq!(poll(&b, from).unwrap().id(), 2);
    assert_eq!(poll(&b, one).err(), Some(KernReturn::MACH_RCV_INVALID_NAME));
    assert_eq!(poll(&a, to).err(), Some(KernReturn::MACH_RCV_INVALID_NAME));
    end(a, b);
}

fn a_moved_or_dead_member_leaves_its_set<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let set = b.allocate_port_set().unwrap();
    let (to, from) = channel(&a, &b);
    b.move_member(from, set).unwrap();
    Message::<A>::to(COPY_SEND, to).send(&a).unwrap();
    assert_eq!(b.give(RightKind::Receive, from, &a), Ok(to));
    assert_eq!(poll(&b, set).err(), Some(KernReturn::MACH_RCV_TIMED_OUT));
    assert_eq!(a.receive_status(to).unwrap().queued, 1);
    end(a, b);
}

fn a_message_that_is_too_large_stays_if_wanted<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    Message::<A>::to(COPY_SEND, to).id(5).raw(&[1; 800]).send(&a).unwrap();
    let small = MsgCall { receive: Some(from), large: true, ..MsgCall::default() };
    for _ in 0..2 {
        let (result, header) = receive_with(&b, 64, small);
        assert_eq!(result, Err(KernReturn::MACH_RCV_TOO_LARGE));
        assert_eq!(header.size(), A::FACTS.header + 800);
    }
    // Its sequence number is that of the receive which takes it.
    let (result, got) = receive_with(&b, A::FACTS.header + 800, small);
    assert_eq!(result, Ok(()));
    assert_eq!((got.id(), got.seqno(), got.body()), (5, 0, &[1; 800][..]));
    end(a, b);
}

fn a_message_that_is_too_large_is_destroyed_if_not<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let reply = a.allocate_port().unwrap();
    let inner = a.allocate_port().unwrap();
    let before = a.host().port_count();
    Message::<A>::to(COPY_SEND, to).reply(MAKE_SEND_ONCE, reply).id(5).ports(16, &[inner]).send(&a).unwrap();
    let (result, header) =
        receive_with(&b, A::FACTS.header, MsgCall { receive: Some(from), ..MsgCall::default() });
    assert_eq!(result, Err(KernReturn::MACH_RCV_TOO_LARGE));
    assert_eq!((header.id(), header.seqno(), header.local(), header.remote()), (5, 0, from, Name::NULL));
    assert!(header.size() > A::FACTS.header);
    assert_eq!(a.host().port_count(), before - 1, "the port in it is dead");
    assert_eq!(poll(&a, reply).unwrap().id(), 71, "and its sender knows");
    Message::<A>::to(COPY_SEND, to).send(&a).unwrap();
    assert_eq!(poll(&b, from).unwrap().seqno(), 1, "the number is used up");
    end(a, b);
}

fn no_buffer_is_too_small_to_say_so<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    Message::<A>::to(COPY_SEND, to).send(&a).unwrap();
    for large in [true, false] {
        let call = MsgCall { receive: Some(from), large, ..MsgCall::default() };
        assert_eq!(receive_with(&b, 0, call).0, Err(KernReturn::MACH_RCV_TOO_LARGE));
    }
    end(a, b);
}

fn send_and_receive_in_one_call<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let reply = a.allocate_port().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let request = receive(&b, from).unwrap();
            Message::<A>::to(MOVE_SEND_ONCE, request.remote()).id(request.id() + 100).send(&b).unwrap();
        });
        let message = Message::<A>::to(COPY_SEND, to).reply(MAKE_SEND_ONCE, reply).id(1);
        let (result, answer) = message.call(&a, reply);
        assert_eq!((result, answer.id(), answer.local()), (Ok(()), 101, reply));
    });
    end(a, b);
}

/// Does `what` until the thread that waits for `result` has it.
fn until<T>(result: &mpsc::Receiver<T>, mut what: impl FnMut()) -> T {
    loop {
        what();
        if let Ok(result) = result.try_recv() {
            return result;
        }
        thread::yield_now();
    }
}

fn waiting_ends_with_the_port<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    b.set_queue_limit(from, 0).unwrap();
    let set = b.allocate_port_set().unwrap();
    thread::scope(|scope| {
        let sender = scope.spawn(|| Message::<A>::to(COPY_SEND, to).send(&a));
        let on_port = scope.spawn(|| receive(&b, from).err());
        let on_set = scope.spawn(|| receive(&b, set).err());
        // Wait until the sender has looked the destination up: it then has a copy of the send right.
        while b.receive_status(from).is_ok_and(|status| !status.send_rights) {}
        b.release(RightKind::Receive, from);
        b.release(RightKind::PortSet, set);
        // The message was on its way: it is delivered to a dead port; or it found the port dead.
        let sent = sender.join().unwrap();
        assert!(matches!(sent, Ok(()) | Err(KernReturn::MACH_SEND_INVALID_DEST)));
        for received in [on_port, on_set] {
            let received = received.join().unwrap();
            assert!(matches!(
                received,
                Some(KernReturn::MACH_RCV_PORT_DIED | KernReturn::MACH_RCV_INVALID_NAME)
            ));
        }
    });
    a.release(RightKind::Send, to);
    assert_eq!(a.census(), Census::default());
    end(a, b);
}

fn waiting_on_a_port_ends_when_it_moves<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let port = b.allocate_port().unwrap();
    let set = b.allocate_port_set().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| receive(&b, port).err());
        b.move_member(port, set).unwrap();
        let got = waiting.join().unwrap();
        assert!(matches!(got, Some(KernReturn::MACH_RCV_PORT_CHANGED | KernReturn::MACH_RCV_IN_SET)));
        b.move_member(port, Name::NULL).unwrap();
        let waiting = scope.spawn(|| receive(&b, port).err());
        b.give(RightKind::Receive, port, &a).unwrap();
        let got = waiting.join().unwrap();
        assert!(matches!(got, Some(KernReturn::MACH_RCV_PORT_DIED | KernReturn::MACH_RCV_INVALID_NAME)));
    });
    end(a, b);
}

fn an_interrupted_thread_returns<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    b.set_queue_limit(from, 0).unwrap();
    thread::scope(|scope| {
        let (tell, result) = mpsc::channel();
        scope.spawn(|| {
            let tell = tell;
            let (result, back) = Message::<A>::to(MOVE_SEND, to).send_within(&a, None);
            tell.send((result, back.remote())).unwrap();
        });
        assert_eq!(until(&result, || a.interrupt()), (Err(KernReturn::MACH_SEND_INTERRUPTED), to));
        let (tell, result) = mpsc::channel();
        scope.spawn(|| {
            let tell = tell;
            tell.send(receive(&b, from).err()).unwrap();
        });
        assert_eq!(until(&result, || b.interrupt()), Some(KernReturn::MACH_RCV_INTERRUPTED));
    });
    assert_eq!(a.census(), Census { send: 1, send_references: 1, ..Census::default() });
    end(a, b);
}

fn the_end_of_a_task_ends_its_waiting<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    b.set_queue_limit(from, 0).unwrap();
    let mine = a.allocate_port().unwrap();
    thread::scope(|scope| {
        let sender =
            scope.spawn(|| Message::<A>::to(COPY_SEND, to).ports(16, &[a.allocate_port()?]).send(&a));
        let receiver = scope.spawn(|| receive(&a, mine).err());
        a.terminate();
        assert!(sender.join().unwrap().is_err());
        assert!(receiver.join().unwrap().is_some());
    });
    assert!(!b.receive_status(from).unwrap().send_rights, "the message that waited is gone");
    assert_eq!(a.host().port_count(), 1);
    end(a, b);
}

on_both_abis! {
    a_full_queue_takes_no_more_but_from_the_privileged
    a_message_that_timed_out_is_given_back
    a_sender_waits_for_room
    an_option_bit_without_a_time_is_no_time
    many_senders_and_receivers_lose_nothing
    a_set_gives_messages_in_order_of_arrival
    a_member_is_received_from_through_its_set
    a_moved_or_dead_member_leaves_its_set
    a_message_that_is_too_large_stays_if_wanted
    a_message_that_is_too_large_is_destroyed_if_not
    no_buffer_is_too_small_to_say_so
    send_and_receive_in_one_call
    waiting_ends_with_the_port
    waiting_on_a_port_ends_when_it_moves
    an_interrupted_thread_returns
    the_end_of_a_task_ends_its_waiting
}
