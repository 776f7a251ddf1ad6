//! Rights in messages: dispositions, header, arrays, failures.

use std::vec::Vec;

use super::wire::{
    COMPLEX, COPY_SEND, MAKE_SEND, MAKE_SEND_ONCE, MOVE_RECEIVE, MOVE_SEND, MOVE_SEND_ONCE, Message, Type,
    poll,
};
use super::{end, on_both_abis, pair};
use crate::abi::TaskAbi;
use crate::kern_return::KernReturn;
use crate::kernel::local::{Census, Local};
use crate::kernel::{Kernel, Name, RightKind};

/// A port of `b`, and a send right to it in `a`.
fn channel<A: TaskAbi>(a: &Local<A>, b: &Local<A>) -> (Name, Name) {
    let port = b.allocate_port().unwrap();
    b.make_send(port).unwrap();
    (b.give(RightKind::Send, port, a).unwrap(), port)
}

fn the_receiver_sees_what_each_disposition_gives<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    for (sent, seen, kind) in [
        (MOVE_RECEIVE, 16, RightKind::Receive),
        (MOVE_SEND, 17, RightKind::Send),
        (MOVE_SEND_ONCE, 18, RightKind::SendOnce),
        (COPY_SEND, 17, RightKind::Send),
        (MAKE_SEND, 17, RightKind::Send),
        (MAKE_SEND_ONCE, 18, RightKind::SendOnce),
    ] {
        let port = a.allocate_port().unwrap();
        let name = match sent {
            MOVE_SEND_ONCE => a.make_send_once(port).unwrap(),
            MOVE_SEND | COPY_SEND => {
                a.make_send(port).unwrap();
                port
            }
            _ => port,
        };
        Message::to(COPY_SEND, to).id(500).ports(sent, &[name]).send(&a).unwrap();
        let got = poll(&b, from).unwrap();
        let word =
            Type { name: seen, bits: A::FACTS.port as u32 * 8, number: 1, inline: true, deallocate: false };
        assert!(got.body().starts_with(&word.bytes::<A>()), "disposition {sent}");
        assert_eq!(got.bits(), COMPLEX | MOVE_SEND << 8);
        assert_eq!(got.body().len(), word.bytes::<A>().len() + A::FACTS.port);

        let before = b.census();
        let receives = a.census().receive;
        b.release(kind, got.first_port());
        assert_eq!(b.census().bad_releases, 0, "the right of disposition {sent} is of its kind");
        assert_ne!(b.census(), before);
        // Keeps those of `a` apart from those of the next round; a moved receive right has taken the port
        // along.
        if sent != MOVE_RECEIVE {
            a.release(RightKind::Receive, port);
            assert_eq!(a.census().receive, receives - 1);
        }
        if sent == COPY_SEND {
            a.release(RightKind::Send, port);
        }
    }
    a.release(RightKind::Send, to);
    assert_eq!(a.census(), Census::default());
    end(a, b);
}

fn moving_takes_and_copying_leaves<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    a.copy_send(port).unwrap();
    Message::to(COPY_SEND, to).ports(COPY_SEND, &[port]).send(&a).unwrap();
    assert_eq!(a.census().send_references, 3);
    Message::to(COPY_SEND, to).ports(MOVE_SEND, &[port]).send(&a).unwrap();
    assert_eq!(a.census().send_references, 2);
    Message::to(COPY_SEND, to).ports(MAKE_SEND, &[port]).send(&a).unwrap();
    assert_eq!(a.receive_status(port).unwrap().make_send_count, 2);
    // Three messages with one right each: one name with three references.
    let names: Vec<Name> = (0..3).map(|_| poll(&b, from).unwrap().first_port()).collect();
    assert!(names.iter().all(|name| *name == names[0]));
    assert_eq!(b.census(), Census { receive: 1, send: 1, send_references: 3, ..Census::default() });
    end(a, b);
}

fn the_header_ports_change_places<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let reply = a.allocate_port().unwrap();
    Message::to(COPY_SEND, to).reply(MAKE_SEND_ONCE, reply).id(2250).raw(&[7; 8]).send(&a).unwrap();
    let request = poll(&b, from).unwrap();
    assert_eq!(request.bits(), MOVE_SEND_ONCE | MOVE_SEND << 8, "reply right remote, port local");
    assert_eq!((request.local(), request.id(), request.seqno()), (from, 2250, 0));
    assert_eq!(request.size(), A::FACTS.header + 8);
    assert_eq!(request.body(), [7; 8]);
    assert_eq!(b.census(), Census { receive: 1, send_once: 1, ..Census::default() });

    Message::<A>::to(MOVE_SEND_ONCE, request.remote()).id(2350).send(&b).unwrap();
    let answer = poll(&a, reply).unwrap();
    assert_eq!(answer.bits(), MOVE_SEND_ONCE << 8);
    assert_eq!((answer.remote(), answer.local(), answer.id()), (Name::NULL, reply, 2350));
    assert_eq!(b.census(), Census { receive: 1, ..Census::default() });
    assert_eq!(a.receive_status(reply).unwrap().send_once_rights, 0);
    end(a, b);
}

fn a_send_right_is_used_up_by_the_message_that_moves_it<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    Message::<A>::to(MOVE_SEND, to).send(&a).unwrap();
    assert_eq!(a.census(), Census::default());
    assert!(b.receive_status(from).unwrap().send_rights, "the message has it");
    poll(&b, from).unwrap();
    assert!(!b.receive_status(from).unwrap().send_rights);
    end(a, b);
}

fn null_and_dead_names_travel_as_they_are<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    for disposition in 16..=21 {
        for name in [Name::NULL, Name::DEAD] {
            Message::to(COPY_SEND, to).ports(disposition, &[name]).send(&a).unwrap();
            assert_eq!(poll(&b, from).unwrap().first_port(), name);
        }
    }
    // The name of a dead port is dead elsewhere, and a moved one is used up.
    let port = b.allocate_port().unwrap();
    b.make_send(port).unwrap();
    let dead = b.give(RightKind::Send, port, &a).unwrap();
    a.copy_send(dead).unwrap();
    b.release(RightKind::Receive, port);
    for disposition in [COPY_SEND, MOVE_SEND, MOVE_SEND] {
        Message::to(COPY_SEND, to).ports(disposition, &[dead]).send(&a).unwrap();
        assert_eq!(poll(&b, from).unwrap().first_port(), Name::DEAD);
    }
    assert_eq!(a.census(), Census { send: 1, send_references: 1, ..Census::default() });
    end(a, b);
}

fn a_port_that_dies_on_the_way_arrives_dead<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let port = a.allocate_port().unwrap();
    Message::to(COPY_SEND, to).reply(MAKE_SEND, port).ports(MAKE_SEND, &[port]).send(&a).unwrap();
    a.release(RightKind::Receive, port);
    let got = poll(&b, from).unwrap();
    assert_eq!((got.remote(), got.first_port()), (Name::DEAD, Name::DEAD));
    assert_eq!(b.census(), Census { receive: 1, ..Census::default() });
    end(a, b);
}

fn arrays_of_ports_in_line<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let ports: Vec<Name> = (0..3).map(|_| a.allocate_port().unwrap()).collect();
    let sent = [ports[0], Name::NULL, ports[1], ports[2], ports[0]];
    Message::to(COPY_SEND, to).ports(MAKE_SEND, &sent).raw(&[]).send(&a).unwrap();
    let got = poll(&b, from).unwrap();
    let first = got.body().len() - sent.len() * A::FACTS.port + A::FACTS.header;
    let names: Vec<u32> = (0..sent.len()).map(|i| got.u32(first + i * A::FACTS.port)).collect();
    assert_eq!(names[1], 0);
    assert_eq!(names[0], names[4]);
    assert_eq!(b.census(), Census { receive: 1, send: 3, send_references: 4, ..Census::default() });
    if A::FACTS.port == 8 {
        let above: Vec<u32> = (0..sent.len()).map(|i| got.u32(first + i * 8 + 4)).collect();
        assert_eq!(above, [0; 5], "what is above a name is zero");
    }
    end(a, b);
}

fn what_is_not_a_port_is_not_touched<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    // MACH_MSG_TYPE_PORT_NAME is data, and so is a message that is not complex, whatever it holds.
    let word = Type { name: 15, bits: 32, number: 1, inline: true, deallocate: false };
    Message::to(COPY_SEND, to).complex().raw(&word.bytes::<A>()).raw(&77_u32.to_ne_bytes()).send(&a).unwrap();
    let got = poll(&b, from).unwrap();
    assert_eq!(got.first_port(), Name(77));
    assert_eq!(got.bits() & COMPLEX, 0, "nothing in it is complex, so it is not");

    Message::to(COPY_SEND, to).raw(&[0xff; 64]).send(&a).unwrap();
    assert_eq!(poll(&b, from).unwrap().body(), [0xff; 64]);
    end(a, b);
}

fn a_bad_header_changes_nothing<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, _from) = channel(&a, &b);
    let port = a.allocate_port().unwrap();
    let before = a.census();
    for (message, code) in [
        (Message::to(0, to), KernReturn::MACH_SEND_INVALID_HEADER),
        (Message::to(MOVE_RECEIVE, port), KernReturn::MACH_SEND_INVALID_HEADER),
        (Message::to(22, to), KernReturn::MACH_SEND_INVALID_HEADER),
        (Message::to(COPY_SEND, to).reply(0, port), KernReturn::MACH_SEND_INVALID_HEADER),
        (Message::to(COPY_SEND, to).reply(MOVE_RECEIVE, port), KernReturn::MACH_SEND_INVALID_HEADER),
        (Message::to(COPY_SEND, Name::NULL), KernReturn::MACH_SEND_INVALID_DEST),
        (Message::to(COPY_SEND, Name::DEAD), KernReturn::MACH_SEND_INVALID_DEST),
        (Message::to(COPY_SEND, Name(99)), KernReturn::MACH_SEND_INVALID_DEST),
        (Message::to(COPY_SEND, port), KernReturn::MACH_SEND_INVALID_DEST),
        (Message::to(MOVE_SEND_ONCE, to), KernReturn::MACH_SEND_INVALID_DEST),
        (Message::to(MAKE_SEND, to), KernReturn::MACH_SEND_INVALID_DEST),
        (Message::to(MOVE_SEND, to).reply(COPY_SEND, port), KernReturn::MACH_SEND_INVALID_REPLY),
        (Message::to(COPY_SEND, to).reply(MAKE_SEND_ONCE, Name(99)), KernReturn::MACH_SEND_INVALID_REPLY),
    ] {
        assert_eq!(message.send(&a), Err(code));
        assert_eq!(a.census(), before);
    }
    end(a, b);
}

fn a_dead_destination_is_refused<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    b.release(RightKind::Receive, from);
    for disposition in [COPY_SEND, MOVE_SEND] {
        assert_eq!(Message::<A>::to(disposition, to).send(&a), Err(KernReturn::MACH_SEND_INVALID_DEST));
        assert_eq!(a.census().dead_references, 1, "it is still its sender's");
    }
    end(a, b);
}

fn one_reference_cannot_be_destination_and_reply<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, _from) = channel(&a, &b);
    let before = a.census();
    let message = Message::<A>::to(MOVE_SEND, to).reply(MOVE_SEND, to);
    assert_eq!(message.send(&a), Err(KernReturn::MACH_SEND_INVALID_REPLY));
    assert_eq!(a.census(), before);
    // With two of them, or if one is copied, it can.
    a.copy_send(to).unwrap();
    message.send(&a).unwrap();
    assert_eq!(a.census(), Census::default());
    end(a, b);
}

fn a_right_is_copied_before_its_last_reference_moves<A: TaskAbi>() {
    for (destination, reply) in [(MOVE_SEND, COPY_SEND), (COPY_SEND, MOVE_SEND)] {
        let (a, b) = pair::<A>();
        let (to, from) = channel(&a, &b);
        Message::<A>::to(destination, to).reply(reply, to).send(&a).unwrap();
        assert_eq!(a.census(), Census::default());
        assert_eq!(poll(&b, from).unwrap().remote(), from, "the port itself");
        end(a, b);
    }
}

/// `ipc_kmsg_clean_partial` of GNU Mach: nothing comes back.
fn a_bad_body_takes_all_that_stood_before_it_along<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (_, from) = channel(&a, &b);
    let kept = a.allocate_port().unwrap();
    a.make_send(kept).unwrap();
    let bits = A::FACTS.port as u32 * 8;
    let before = (a.census(), b.census());
    let inline = Type { name: COPY_SEND, bits, number: 1, inline: true, deallocate: false };
    let bad_type = KernReturn::MACH_SEND_INVALID_TYPE;
    type Change<A> = fn(Message<A>, Name, Type) -> Message<A>;
    let cases: [(Change<A>, KernReturn); 10] = [
        (|m, _, _| m.ports(MOVE_RECEIVE, &[Name(99)]), KernReturn::MACH_SEND_INVALID_RIGHT),
        (|m, kept, _| m.ports(MOVE_SEND_ONCE, &[kept]), KernReturn::MACH_SEND_INVALID_RIGHT),
        // The rights before a bad one in the same array, too.
        (|m, kept, _| m.ports(COPY_SEND, &[kept, Name(99), kept]), KernReturn::MACH_SEND_INVALID_RIGHT),
        (|m, _, ty| m.raw(&Type { bits: 16, ..ty }.bytes::<A>()).raw(&[0; 8]), bad_type),
        (|m, _, ty| m.raw(&Type { deallocate: true, ..ty }.bytes::<A>()).raw(&[0; 8]), bad_type),
        (|m, _, ty| m.raw(&ty.bytes::<A>()), KernReturn::MACH_SEND_MSG_TOO_SMALL),
        (
            |m, _, ty| m.raw(&Type { number: 4000, ..ty }.bytes::<A>()).raw(&[0; 8]),
            KernReturn::MACH_SEND_MSG_TOO_SMALL,
        ),
        (|m, _, _| m.out_of_line(9, 8, 1, 77, true), KernReturn::MACH_SEND_INVALID_MEMORY),
        (|m, _, _| m.out_of_line(COPY_SEND, 32, 1, 77, false), KernReturn::MACH_SEND_INVALID_MEMORY),
        (|m, _, _| m.out_of_line(COPY_SEND, 16, 1, 77, false), bad_type),
    ];
    for (change, code) in cases {
        b.make_send(from).unwrap();
        let to = b.give(RightKind::Send, from, &a).unwrap();
        let lost = a.allocate_port().unwrap();
        let memory = a.region_into_wire(a.allocate(8).unwrap());
        let good =
            Message::<A>::to(MOVE_SEND, to).ports(MOVE_RECEIVE, &[lost]).out_of_line(9, 8, 8, memory, true);
        assert_eq!(change(good, kept, inline).send(&a), Err(code));
        assert_eq!((a.census(), b.census()), before, "{code:?}");
        // What was destroyed is nobody's: to release it again is a mistake.
        a.release(RightKind::Receive, lost);
        assert_eq!(a.census().bad_releases, before.0.bad_releases + 1);
        a.forget_bad_releases();
    }
    assert_eq!(poll(&b, from).err(), Some(KernReturn::MACH_RCV_TIMED_OUT));
    end(a, b);
}

fn unused_bits_of_a_type_word_must_be_zero<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, _) = channel(&a, &b);
    let unused = if A::FACTS.pointer == 8 { 0x2000_4013 | 1 << 24 } else { 0x1001_2013 | 1 << 31 };
    let message = Message::<A>::to(COPY_SEND, to).complex().raw(&u32::to_ne_bytes(unused)).raw(&[0; 8]);
    assert_eq!(message.send(&a), Err(KernReturn::MACH_SEND_INVALID_TYPE));
    if A::FACTS.pointer == 4 {
        // A long type word whose short fields are not zero.
        let long: Vec<u8> =
            [0x3000_0001, 0x0008_0009, 0_u32].into_iter().flat_map(u32::to_ne_bytes).collect();
        let message = Message::<A>::to(COPY_SEND, to).complex().raw(&long);
        assert_eq!(message.send(&a), Err(KernReturn::MACH_SEND_INVALID_TYPE));
        // And one that is cut short.
        let message = Message::<A>::to(COPY_SEND, to).complex().raw(&long[..4]);
        assert_eq!(message.send(&a), Err(KernReturn::MACH_SEND_MSG_TOO_SMALL));
    }
    end(a, b);
}

fn sequence_numbers_restart_where_a_receive_right_arrives<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    for seqno in 0..3 {
        Message::<A>::to(COPY_SEND, to).send(&a).unwrap();
        assert_eq!(poll(&b, from).unwrap().seqno(), seqno);
    }
    // With a message in the queue, which goes along.
    Message::<A>::to(COPY_SEND, to).id(1).send(&a).unwrap();
    let carrier = a.allocate_port().unwrap();
    a.make_send(carrier).unwrap();
    let carrier_there = a.give(RightKind::Send, carrier, &b).unwrap();
    Message::<A>::to(COPY_SEND, carrier_there).ports(MOVE_RECEIVE, &[from]).send(&b).unwrap();
    Message::<A>::to(COPY_SEND, to).id(2).send(&a).unwrap();
    let arrived = poll(&a, carrier).unwrap().first_port();
    assert_eq!(arrived, to, "it joins the send right that is there");
    assert_eq!(a.receive_status(arrived).unwrap().make_send_count, 0);
    let got: Vec<_> = (0..2).map(|_| poll(&a, arrived).unwrap()).map(|got| (got.id(), got.seqno())).collect();
    assert_eq!(got, [(1, 0), (2, 1)]);
    end(a, b);
}

fn sizes_are_checked<A: TaskAbi>() {
    use std::mem::MaybeUninit;

    use crate::kernel::MsgCall;
    let a = Local::<A>::new();
    let send = MsgCall { send: true, ..MsgCall::default() };
    for (size, code) in [
        (0, KernReturn::MACH_SEND_MSG_TOO_SMALL),
        (A::FACTS.header - 4, KernReturn::MACH_SEND_MSG_TOO_SMALL),
        (A::FACTS.header + 1, KernReturn::MACH_SEND_MSG_TOO_SMALL),
        (usize::MAX & 0xffff_fff8, KernReturn::MACH_SEND_INVALID_DATA),
    ] {
        let mut buffer = [MaybeUninit::new((size as u64) << 32); 5];
        // SAFETY: the buffer is initialised; the last size is too large for it, and found to be.
        assert_eq!(unsafe { a.mach_msg(&mut buffer, send) }, Err(code), "{size}");
    }
    // SAFETY: there is nothing to read.
    assert_eq!(unsafe { a.mach_msg(&mut [], send) }, Err(KernReturn::MACH_SEND_INVALID_DATA));
}

on_both_abis! {
    the_receiver_sees_what_each_disposition_gives
    moving_takes_and_copying_leaves
    the_header_ports_change_places
    a_send_right_is_used_up_by_the_message_that_moves_it
    null_and_dead_names_travel_as_they_are
    a_port_that_dies_on_the_way_arrives_dead
    arrays_of_ports_in_line
    what_is_not_a_port_is_not_touched
    a_bad_header_changes_nothing
    a_dead_destination_is_refused
    one_reference_cannot_be_destination_and_reply
    a_bad_body_takes_all_that_stood_before_it_along
    a_right_is_copied_before_its_last_reference_moves
    unused_bits_of_a_type_word_must_be_zero
    sequence_numbers_restart_where_a_receive_right_arrives
    sizes_are_checked
}
