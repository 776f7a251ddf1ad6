//! The notifications, and when they come.

use super::wire::{
    COMPLEX, COPY_SEND, MAKE_SEND_ONCE, MOVE_RECEIVE, MOVE_SEND, MOVE_SEND_ONCE, Message, Received, poll,
};
use super::{end, on_both_abis, pair};
use crate::abi::TaskAbi;
use crate::kern_return::KernReturn;
use crate::kernel::local::{Census, Local};
use crate::kernel::{Kernel, Name, Notification, RightKind};

const NO_SENDERS: Notification = Notification::NoSenders { sync: 0 };

/// A task's port for notifications.
struct Watch<'a, A: TaskAbi> {
    task: &'a Local<A>,
    port: Name,
}

impl<'a, A: TaskAbi> Watch<'a, A> {
    fn new(task: &'a Local<A>) -> Self {
        Self { task, port: task.allocate_port().unwrap() }
    }

    fn request(&self, name: Name, which: Notification) -> Name {
        self.task.request_notification(name, which, self.port).unwrap()
    }

    fn next(&self) -> Option<Received<A>> {
        poll(self.task, self.port).ok()
    }

    fn nothing(&self) {
        assert!(self.next().is_none());
    }

    /// The next notification has this id, type word and value.
    fn expect(&self, id: u32, narrow: u32, wide: u32, value: u32) {
        let got = self.next().expect("a notification");
        let (size, at) = if A::FACTS.pointer == 8 { (48, 40) } else { (32, 28) };
        assert_eq!((got.id(), got.bits(), got.size()), (id, MOVE_SEND_ONCE << 8, size));
        let word = if A::FACTS.pointer == 8 { wide } else { narrow };
        assert_eq!(got.u32(A::FACTS.header), word);
        if A::FACTS.pointer == 8 {
            assert_eq!(got.u32(36), 1, "one element");
        }
        assert_eq!(got.u32(at), value);
        assert_eq!((got.remote(), got.local()), (Name::NULL, self.port));
    }

    fn expect_no_senders(&self, count: u32) {
        self.expect(70, 0x1001_2002, 0x2000_2002, count);
    }

    fn expect_dead_name(&self, name: Name) {
        self.expect(72, 0x1001_200f, 0x2000_200f, name.0);
    }

    fn expect_port_deleted(&self, name: Name) {
        self.expect(65, 0x1001_200f, 0x2000_200f, name.0);
    }

    fn expect_send_once(&self) {
        let got = self.next().expect("a notification");
        assert_eq!((got.id(), got.bits(), got.size()), (71, MOVE_SEND_ONCE << 8, A::FACTS.header));
        assert_eq!((got.remote(), got.local()), (Name::NULL, self.port));
    }
}

fn no_senders_comes_when_the_last_send_right_goes<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let watch = Watch::new(&a);
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    a.make_send(port).unwrap();
    assert_eq!(watch.request(port, NO_SENDERS), Name::NULL);
    let there = a.give(RightKind::Send, port, &b).unwrap();
    a.release(RightKind::Send, port);
    b.copy_send(there).unwrap();
    b.release(RightKind::Send, there);
    watch.nothing();
    b.release(RightKind::Send, there);
    watch.expect_no_senders(2);
    // Once only: it must be asked for again.
    a.make_send(port).unwrap();
    a.release(RightKind::Send, port);
    watch.nothing();
    end(a, b);
}

fn no_senders_waits_for_rights_in_messages<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let watch = Watch::new(&a);
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    watch.request(port, NO_SENDERS);
    let there = a.give(RightKind::Send, port, &b).unwrap();
    // A message to the port that moves its own destination right, as memory_object_terminate does.
    Message::<A>::to(MOVE_SEND, there).send(&b).unwrap();
    watch.nothing();
    poll(&a, port).unwrap();
    watch.expect_no_senders(1);
    end(a, b);
}

fn no_senders_fires_at_once_if_enough_rights_were_made<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let watch = Watch::new(&a);
    let port = a.allocate_port().unwrap();
    watch.request(port, NO_SENDERS);
    watch.expect_no_senders(0);
    // Not before the right that is on its way has been made.
    watch.request(port, Notification::NoSenders { sync: 1 });
    watch.nothing();
    a.make_send(port).unwrap();
    a.release(RightKind::Send, port);
    watch.expect_no_senders(1);
    end(a, b);
}

fn a_request_replaces_the_one_before<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let first = Watch::new(&a);
    let second = Watch::new(&a);
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    for which in [NO_SENDERS, Notification::DeadName, Notification::PortDestroyed] {
        assert_eq!(first.request(port, which), Name::NULL);
        let previous = second.request(port, which);
        assert!(previous.is_valid());
        // It is a send-once right: not used, it says so.
        a.release(RightKind::SendOnce, previous);
        first.expect_send_once();
        let previous = a.request_notification(port, which, Name::NULL).unwrap();
        a.release(RightKind::SendOnce, previous);
        second.expect_send_once();
        assert_eq!(a.request_notification(port, which, Name::NULL), Ok(Name::NULL));
    }
    end(a, b);
}

fn requests_are_made_only_where_they_make_sense<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    let send = a.give(RightKind::Send, port, &b).unwrap();
    let notify = b.allocate_port().unwrap();
    let set = b.allocate_port_set().unwrap();
    let before = b.census();
    for (name, which, notify, code) in [
        (send, NO_SENDERS, notify, KernReturn::KERN_INVALID_RIGHT),
        (send, Notification::PortDestroyed, notify, KernReturn::KERN_INVALID_RIGHT),
        (set, Notification::DeadName, notify, KernReturn::KERN_INVALID_RIGHT),
        (Name(99), Notification::DeadName, notify, KernReturn::KERN_INVALID_NAME),
        (send, Notification::DeadName, send, KernReturn::KERN_INVALID_CAPABILITY),
    ] {
        assert_eq!(b.request_notification(name, which, notify), Err(code));
    }
    assert_eq!(b.census(), before);
    end(a, b);
}

fn a_dead_name_is_told_with_a_reference<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    let send = a.give(RightKind::Send, port, &b).unwrap();
    let once = a.make_send_once(port).unwrap();
    let once = a.give(RightKind::SendOnce, once, &b).unwrap();
    let watch = Watch::new(&b);
    watch.request(send, Notification::DeadName);
    watch.request(once, Notification::DeadName);
    a.release(RightKind::Receive, port);
    watch.expect_dead_name(send);
    watch.expect_dead_name(once);
    assert_eq!(b.census(), Census { receive: 1, dead_names: 2, dead_references: 4, ..Census::default() });
    // Asked for too late, it comes at once.
    watch.request(send, Notification::DeadName);
    watch.expect_dead_name(send);
    assert_eq!(b.census().dead_references, 5);
    end(a, b);
}

fn only_a_dead_name_is_released_as_one<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    let send = a.give(RightKind::Send, port, &b).unwrap();
    b.release(RightKind::DeadName, send);
    assert_eq!((b.census().send, b.census().bad_releases), (1, 1), "it is alive");
    b.forget_bad_releases();
    a.release(RightKind::Receive, port);
    b.release(RightKind::DeadName, send);
    assert_eq!(b.census(), Census::default());
    end(a, b);
}

fn a_name_released_before_its_port_died_is_told<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    let send = a.give(RightKind::Send, port, &b).unwrap();
    let watch = Watch::new(&b);
    watch.request(send, Notification::DeadName);
    b.release(RightKind::Send, send);
    watch.expect_port_deleted(send);
    a.release(RightKind::Receive, port);
    watch.nothing();
    end(a, b);
}

fn port_destroyed_brings_the_receive_right_back<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let watch = Watch::new(&b);
    let port = b.allocate_port().unwrap();
    b.make_send(port).unwrap();
    let send = b.give(RightKind::Send, port, &a).unwrap();
    watch.request(port, Notification::PortDestroyed);
    Message::<A>::to(COPY_SEND, send).id(7).send(&a).unwrap();
    b.release(RightKind::Receive, port);

    let got = watch.next().unwrap();
    assert_eq!((got.id(), got.bits()), (69, COMPLEX | MOVE_SEND_ONCE << 8));
    assert_eq!(got.u32(A::FACTS.header), if A::FACTS.pointer == 8 { 0x2000_4010 } else { 0x1001_2010 });
    let back = got.first_port();
    assert_eq!(poll(&b, back).unwrap().id(), 7, "with its queue");
    // The second time it dies.
    b.release(RightKind::Receive, back);
    watch.nothing();
    assert_eq!(a.census(), Census { dead_names: 1, dead_references: 1, ..Census::default() });
    end(a, b);
}

fn a_send_once_right_is_used_exactly_once<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let watch = Watch::new(&a);
    let once = a.make_send_once(watch.port).unwrap();
    let there = a.give(RightKind::SendOnce, once, &b).unwrap();
    assert_eq!(Message::<A>::to(COPY_SEND, there).send(&b), Err(KernReturn::MACH_SEND_INVALID_DEST));
    Message::<A>::to(MOVE_SEND_ONCE, there).id(9).send(&b).unwrap();
    assert_eq!(Message::<A>::to(MOVE_SEND_ONCE, there).send(&b), Err(KernReturn::MACH_SEND_INVALID_DEST));
    assert_eq!(watch.next().unwrap().id(), 9);
    watch.nothing();
    end(a, b);
}

fn a_send_once_right_that_is_lost_says_so<A: TaskAbi>() {
    // Released, in a task that ended, in a message to a port that died, in a message to a port that dies with
    // its queue.
    let (a, b) = pair::<A>();
    let host = a.host();
    let watch = Watch::new(&a);
    let once = a.make_send_once(watch.port).unwrap();
    a.release(RightKind::SendOnce, once);
    watch.expect_send_once();

    let c = host.new_task("c");
    let once = a.make_send_once(watch.port).unwrap();
    a.give(RightKind::SendOnce, once, &c).unwrap();
    drop(c);
    watch.expect_send_once();

    let port = b.allocate_port().unwrap();
    b.make_send(port).unwrap();
    let send = b.give(RightKind::Send, port, &a).unwrap();
    Message::<A>::to(COPY_SEND, send)
        .reply(MAKE_SEND_ONCE, watch.port)
        .ports(MAKE_SEND_ONCE, &[watch.port])
        .send(&a)
        .unwrap();
    watch.nothing();
    b.release(RightKind::Receive, port);
    watch.expect_send_once();
    watch.expect_send_once();
    watch.nothing();
    assert_eq!(a.receive_status(watch.port).unwrap().send_once_rights, 0);
    end(a, b);
}

fn the_port_of_a_pending_request_may_die_first<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let watch = Watch::new(&a);
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    watch.request(port, NO_SENDERS);
    watch.request(port, Notification::DeadName);
    watch.request(port, Notification::PortDestroyed);
    a.release(RightKind::Receive, watch.port);
    a.release(RightKind::Receive, port);
    // The receive right had nowhere to go, so the port is dead, and the request gave the name its reference.
    assert_eq!(a.census(), Census { dead_names: 1, dead_references: 2, ..Census::default() });
    end(a, b);
}

fn a_port_that_dies_gives_back_its_no_senders_request<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let watch = Watch::new(&a);
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    watch.request(port, NO_SENDERS);
    a.release(RightKind::Receive, port);
    watch.expect_send_once();
    watch.nothing();
    end(a, b);
}

fn a_chain_of_ports_in_messages_falls_without_recursion<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let first = a.allocate_port().unwrap();
    let mut last = first;
    for _ in 0..20_000 {
        // `next` goes into the queue of `last`; the send right to it that stays is used by the next message.
        let next = a.allocate_port().unwrap();
        a.make_send(next).unwrap();
        if last == first {
            a.make_send(first).unwrap();
        }
        Message::<A>::to(MOVE_SEND, last).ports(MOVE_RECEIVE, &[next]).send(&a).unwrap();
        last = next;
    }
    a.release(RightKind::Send, last);
    assert_eq!(a.host().port_count(), 20_001);
    a.release(RightKind::Receive, first);
    assert_eq!(a.host().port_count(), 0);
    end(a, b);
}

on_both_abis! {
    no_senders_comes_when_the_last_send_right_goes
    no_senders_waits_for_rights_in_messages
    no_senders_fires_at_once_if_enough_rights_were_made
    a_request_replaces_the_one_before
    requests_are_made_only_where_they_make_sense
    a_dead_name_is_told_with_a_reference
    only_a_dead_name_is_released_as_one
    a_name_released_before_its_port_died_is_told
    port_destroyed_brings_the_receive_right_back
    a_send_once_right_is_used_exactly_once
    a_send_once_right_that_is_lost_says_so
    the_port_of_a_pending_request_may_die_first
    a_port_that_dies_gives_back_its_no_senders_request
    a_chain_of_ports_in_messages_falls_without_recursion
}
