//! Messages of the untyped ABIs, spelled out byte by byte: descriptors, trailers, notifications.

use std::vec::Vec;

use super::wire::{
    COMPLEX, COPY_SEND, MAKE_SEND, MAKE_SEND_ONCE, MOVE_RECEIVE, MOVE_SEND, MOVE_SEND_ONCE, Message, poll,
    receive_with,
};
use super::{end, pair};
use crate::abi::{Apple32, Apple64, Osf32, TaskAbi};
use crate::kern_return::KernReturn;
use crate::kernel::local::Local;
use crate::kernel::{Kernel, MsgCall, Name, Notification, RightKind};

/// Runs a test on each ABI.
macro_rules! on_untyped_abis {
    ($($name:ident)*) => {
        mod osf_32 { $(#[test] fn $name() { super::$name::<super::Osf32>() })* }
        mod apple_32 { $(#[test] fn $name() { super::$name::<super::Apple32>() })* }
        mod apple_64 { $(#[test] fn $name() { super::$name::<super::Apple64>() })* }
    };
}

on_untyped_abis! {
    the_receiver_sees_what_each_descriptor_gives
    memory_moves_or_is_copied
    a_bad_descriptor_takes_along_what_stood_before_it
    trailers_are_as_long_as_was_asked
    a_message_needs_room_for_its_trailer
    notifications
}

fn port(name: Name, disposition: u32) -> Vec<u8> {
    [&name.0.to_le_bytes()[..], &[0; 6], &[disposition as u8, 0]].concat()
}

fn wide<A: TaskAbi>() -> bool {
    A::FACTS.pointer == 8
}

/// Kind 1 is memory, 2 is an array of names.
fn out_of_line<A: TaskAbi>(
    address: u64,
    size: u32,
    deallocate: bool,
    copy: u8,
    disposition: u32,
    kind: u8,
) -> Vec<u8> {
    let flags = [u8::from(deallocate), copy, disposition as u8, kind];
    match wide::<A>() {
        true => [&address.to_le_bytes()[..], &flags, &size.to_le_bytes()].concat(),
        false => [&(address as u32).to_le_bytes()[..], &size.to_le_bytes(), &flags].concat(),
    }
}

fn with_descriptors<A: TaskAbi>(message: Message<A>, descriptors: &[Vec<u8>]) -> Message<A> {
    let count = (descriptors.len() as u32).to_le_bytes();
    message.complex().raw(&count).raw(&descriptors.concat())
}

/// A port of `b` and a send right for it in `a`.
fn channel<A: TaskAbi>(a: &Local<A>, b: &Local<A>) -> (Name, Name) {
    let receive = b.allocate_port().unwrap();
    b.make_send(receive).unwrap();
    (b.give(RightKind::Send, receive, a).unwrap(), receive)
}

fn memory<A: TaskAbi>(task: &Local<A>, bytes: &[u8]) -> u64 {
    let mut region = task.allocate(bytes.len()).unwrap();
    region.copy_from_slice(bytes);
    task.region_into_wire(region)
}

fn address<A: TaskAbi>(bytes: &[u8], at: usize) -> u64 {
    let low = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    match wide::<A>() {
        true => u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()),
        false => low.into(),
    }
}

fn the_receiver_sees_what_each_descriptor_gives<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let mine = a.allocate_port().unwrap();
    a.make_send(mine).unwrap();
    let moved = a.allocate_port().unwrap();
    let once = a.make_send_once(mine).unwrap();
    let descriptors = [
        port(mine, COPY_SEND),
        port(mine, MAKE_SEND),
        port(mine, MOVE_SEND),
        port(mine, MAKE_SEND_ONCE),
        port(once, MOVE_SEND_ONCE),
        port(moved, MOVE_RECEIVE),
        port(Name::NULL, COPY_SEND),
    ];
    let message = with_descriptors(Message::<A>::to(COPY_SEND, to), &descriptors);
    message.raw(&[7, 0, 0, 0]).send(&a).unwrap();
    let received = poll(&b, from).unwrap();
    assert_eq!(received.bits() & COMPLEX, COMPLEX);
    assert_eq!(received.size(), 24 + 4 + 7 * 12 + 4);
    let dispositions: Vec<u8> = (0..7).map(|i| received.bytes[28 + 12 * i + 10]).collect();
    assert_eq!(dispositions, [17, 17, 17, 18, 18, 16, 17]);
    assert_eq!(received.u32(28 + 7 * 12), 7, "data after the descriptors is not touched");
    assert_eq!(received.u32(28 + 6 * 12), 0);
    // Three references of one send right, two send-once rights, the receive right.
    let census = b.census();
    assert_eq!((census.send_references, census.send_once, census.receive), (3, 2, 2));
    assert_eq!(a.census().send_references, 1, "to the destination");
    end(a, b);
}

fn memory_moves_or_is_copied<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let kept = memory(&a, b"kept by its sender");
    let given = memory(&a, b"given away");
    let mine = a.allocate_port().unwrap();
    let names = memory(&a, &[mine.0.to_le_bytes(), mine.0.to_le_bytes()].concat());
    let descriptors = [
        out_of_line::<A>(kept, 4, false, 1, 0, 1),
        out_of_line::<A>(given, 10, true, 1, 0, 1),
        out_of_line::<A>(names, 2, true, 1, MAKE_SEND, 2),
        out_of_line::<A>(kept, 18, false, 0, 0, 1),
        out_of_line::<A>(0, 0, false, 1, 0, 1),
    ];
    with_descriptors(Message::<A>::to(COPY_SEND, to), &descriptors).send(&a).unwrap();
    assert_eq!(a.census().regions, 1, "only what was lent is still there");
    let received = poll(&b, from).unwrap();
    let len = A::FACTS.memory_descriptor;
    let flags = |i: usize| received.bytes[28 + i * len + 8..28 + i * len + 12].to_vec();
    assert_eq!(flags(0), [1, 1, 0, 1], "copied: the receiver's");
    assert_eq!(flags(2), [1, 1, 17, 2], "names of send rights");
    assert_eq!(flags(3), [0, 0, 0, 1], "a physical copy says so");
    let claim = |i: usize, size| {
        // SAFETY: delivered just now, and claimed once.
        unsafe { b.region_from_wire(address::<A>(&received.bytes, 28 + i * len), size) }.to_vec()
    };
    assert_eq!(claim(0, 4), b"kept");
    assert_eq!(claim(1, 10), b"given away");
    let names = claim(2, 8);
    assert_eq!(names[..4], names[4..], "one right, twice");
    assert_eq!(claim(3, 18), b"kept by its sender");
    assert_eq!(b.census().send_references, 2);
    assert_eq!(b.census().regions, 0);
    // SAFETY: lent only, and still the sender's.
    drop(unsafe { a.region_from_wire(kept, 18) });
    end(a, b);
}

/// What XNU looks at before it takes anything leaves the message alone; a right or memory that is not there
/// takes along what stood before it.
fn a_bad_descriptor_takes_along_what_stood_before_it<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (_, from) = channel(&a, &b);
    let before = a.census();
    let make = || {
        b.make_send(from).unwrap();
        let mine = a.allocate_port().unwrap();
        a.make_send(mine).unwrap();
        (b.give(RightKind::Send, from, &a).unwrap(), mine)
    };
    let try_it = |descriptors: &[&[u8]], count: u32, to: Name| {
        let message = Message::<A>::to(MOVE_SEND, to).complex();
        let message = message.raw(&count.to_le_bytes()).raw(&descriptors.concat());
        message.try_send(&a).unwrap_err()
    };
    let good = |mine| port(mine, MOVE_RECEIVE);
    let too_small = KernReturn::MACH_SEND_MSG_TOO_SMALL;

    let (to, mine) = make();
    let whole = a.census();
    let good_one = good(mine);
    let mut unknown = good_one.clone();
    unknown[11] = 9;
    assert_eq!(try_it(&[], 1, to), too_small);
    assert_eq!(try_it(&[&good_one], 2, to), too_small);
    assert_eq!(try_it(&[&good_one], u32::MAX, to), too_small);
    assert_eq!(try_it(&[&good_one, &unknown, &good_one], 2, to), KernReturn::MACH_SEND_INVALID_TYPE);
    assert_eq!(try_it(&[&port(mine, 15)], 1, to), KernReturn::MACH_SEND_INVALID_TYPE);
    // No room for a count.
    assert_eq!(Message::<A>::to(MOVE_SEND, to).complex().try_send(&a), Err(too_small));
    assert_eq!(a.census(), whole, "nothing was touched");

    let nobody = port(Name(999), COPY_SEND);
    let later = out_of_line::<A>(memory(&a, b"later"), 5, true, 1, 0, 1);
    assert_eq!(try_it(&[&good_one, &nobody, &later], 3, to), KernReturn::MACH_SEND_INVALID_RIGHT);
    assert_eq!(a.census().regions, 1, "a later descriptor is not touched");
    assert_eq!(
        (a.census().send, a.census().receive),
        (before.send, 0),
        "the header and an earlier one are destroyed"
    );
    a.release(RightKind::Send, mine); // The port has died.
    // SAFETY: as above, not touched.
    drop(unsafe { a.region_from_wire(address::<A>(&later, 0), 5) });

    let (to, mine) = make();
    let nowhere = out_of_line::<A>(4096, 1, false, 1, 0, 1);
    assert_eq!(try_it(&[&good(mine), &nowhere], 2, to), KernReturn::MACH_SEND_INVALID_MEMORY);
    a.release(RightKind::Send, mine);
    // Of names out of line the memory is gone as well, if it was given.
    let (to, mine) = make();
    let names = memory(&a, &[mine.0.to_le_bytes(), 999_u32.to_le_bytes()].concat());
    let array = out_of_line::<A>(names, 2, true, 1, MOVE_RECEIVE, 2);
    assert_eq!(try_it(&[&array], 1, to), KernReturn::MACH_SEND_INVALID_RIGHT);
    a.release(RightKind::Send, mine);
    assert_eq!(a.census(), before);
    end(a, b);
}

/// Receives with these elements of the trailer.
fn receive<A: TaskAbi>(task: &Local<A>, from: Name, elements: u32) -> super::wire::Received<A> {
    let call = MsgCall {
        receive: Some(from),
        receive_timeout: Some(0),
        options: elements << 24,
        ..MsgCall::default()
    };
    let (result, received) = receive_with(task, 4096, call);
    result.unwrap();
    received
}

fn trailers_are_as_long_as_was_asked<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    b.set_context(from, 0x1234_5678_9abc).unwrap();
    for (number, (elements, size)) in [(0, 8), (1, 12), (2, 20), (3, 52), (4, 60)].into_iter().enumerate() {
        Message::<A>::to(COPY_SEND, to).raw(&[1, 2, 3, 4]).send(&a).unwrap();
        let received = receive(&b, from, elements);
        assert_eq!(received.size(), 28);
        assert_eq!(received.u32(16), 0, "no sequence number in the header");
        assert_eq!((received.u32(28), received.u32(32)), (0, size));
        if elements >= 1 {
            assert_eq!(received.u32(36), number as u32);
        }
        if elements >= 3 {
            assert_eq!(received.u32(28 + 20 + 5 * 4), a.number(), "the sending task");
        }
        if elements >= 4 {
            assert_eq!((received.u32(28 + 52), received.u32(28 + 56)), (0x5678_9abc, 0x1234));
        }
    }
    end(a, b);
}

fn a_message_needs_room_for_its_trailer<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    Message::<A>::to(COPY_SEND, to).raw(&[0; 8]).send(&a).unwrap();
    let call = |room, elements: u32| {
        let call =
            MsgCall { receive: Some(from), large: true, options: elements << 24, ..MsgCall::default() };
        receive_with(&b, room, call)
    };
    let (result, received) = call(32, 0);
    assert_eq!(result, Err(KernReturn::MACH_RCV_TOO_LARGE));
    assert_eq!(received.size(), 32, "its size is without the trailer");
    assert_eq!(call(40, 4).0, Err(KernReturn::MACH_RCV_TOO_LARGE));
    assert_eq!(call(40, 0).0, Ok(()));
    end(a, b);
}

/// As the structures in `mach/notify.h`, with their trailers of 8 bytes.
fn notifications<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let notify = b.allocate_port().unwrap();
    let plain = |id, value| {
        let received = receive(&b, notify, 0);
        assert_eq!((received.id(), received.size(), received.bits() & COMPLEX), (id, 36, 0));
        assert_eq!((received.u32(24), received.u32(28)), (0, 1), "the NDR record");
        assert_eq!((received.u32(32), received.u32(36), received.u32(40)), (value, 0, 8));
    };
    // No senders.
    let (to, from) = channel(&a, &b);
    let asked = b.request_notification(from, Notification::NoSenders { sync: 1 }, notify).unwrap();
    assert_eq!(asked, Name::NULL);
    a.release(RightKind::Send, to);
    plain(70, 1);
    // A dead name.
    b.make_send(from).unwrap();
    let to = b.give(RightKind::Send, from, &a).unwrap();
    let to_b = a.allocate_port().unwrap();
    a.request_notification(to, Notification::DeadName, to_b).unwrap();
    b.release(RightKind::Receive, from);
    let received = receive(&a, to_b, 0);
    assert_eq!((received.id(), received.size(), received.u32(32)), (72, 36, to.0));
    // A port that comes back.
    let lost = b.allocate_port().unwrap();
    b.request_notification(lost, Notification::PortDestroyed, notify).unwrap();
    b.release(RightKind::Receive, lost);
    let received = receive(&b, notify, 0);
    assert_eq!((received.id(), received.size(), received.bits() & COMPLEX), (69, 40, COMPLEX));
    assert_eq!((received.u32(24), received.bytes[38], received.bytes[39]), (1, 16, 0));
    assert!(Name(received.u32(28)).is_valid());
    // A send-once right that was not used.
    let once = b.make_send_once(notify).unwrap();
    b.release(RightKind::SendOnce, once);
    let received = receive(&b, notify, 0);
    assert_eq!((received.id(), received.size()), (71, 24));
    end(a, b);
}
