//! Memory out of line.

use super::wire::{BYTE, COMPLEX, COPY_SEND, MAKE_SEND, MOVE_RECEIVE, Message, poll};
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

/// The memory at an address that was just received.
fn claim<A: TaskAbi>(task: &Local<A>, address: u64, size: usize) -> super::super::Region {
    // SAFETY: tests claim each address that they have received once, with its size.
    unsafe { task.region_from_wire(address, size) }
}

fn fresh_memory_is_zero_and_is_counted_while_it_is_held<A: TaskAbi>() {
    let a = Local::<A>::new();
    let mut region = a.allocate(5000).unwrap();
    assert_eq!(region[..], [0; 5000]);
    region[4999] = 1;
    assert_eq!(a.census(), Census { regions: 1, ..Census::default() });
    let address = a.region_into_wire(region);
    assert!(address != 0 && address <= u64::from(u32::MAX), "it fits in a message of every ABI");
    assert_eq!(a.census().regions, 1);
    assert_eq!(claim(&a, address, 5000)[4999], 1);
    assert_eq!(a.census(), Census::default());
    assert_eq!(a.region_into_wire(a.allocate(0).unwrap()), 0);
    assert!(matches!(a.allocate(usize::MAX), Err(KernReturn::KERN_NO_SPACE)));
}

fn given_memory_moves<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let mut region = a.allocate(100).unwrap();
    region.copy_from_slice(&[7; 100]);
    let address = a.region_into_wire(region);
    Message::to(COPY_SEND, to).out_of_line(BYTE, 8, 100, address, true).send(&a).unwrap();
    assert_eq!(a.census().regions, 0);
    assert_eq!(b.census(), Census { receive: 1, queued: 1, ..Census::default() });

    let got = poll(&b, from).unwrap();
    assert_eq!(got.bits() & COMPLEX, COMPLEX);
    assert_eq!(b.census().regions, 1, "it is there before it is claimed");
    assert_eq!(claim(&b, got.first_address(), 100)[..], [7; 100]);
    assert_eq!(b.census().regions, 0);
    end(a, b);
}

fn lent_memory_is_copied_and_arrives_as_the_receivers_own<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let bytes = [3; 10];
    let lent = a.lend(&bytes);
    let message = Message::to(COPY_SEND, to).out_of_line(BYTE, 8, 10, Local::<A>::lent_address(&lent), false);
    message.send(&a).unwrap();
    message.send(&a).unwrap();
    drop(lent);
    assert_eq!(a.census().regions, 0);
    assert_eq!(message.send(&a), Err(KernReturn::MACH_SEND_INVALID_MEMORY), "the loan is over");

    let [first, second] = [poll(&b, from).unwrap(), poll(&b, from).unwrap()];
    let type_word = u32::from_ne_bytes(first.body()[..4].try_into().unwrap());
    let deallocate = if A::FACTS.pointer == 8 { 1 << 31 } else { 1 << 30 };
    assert_eq!(type_word & deallocate, deallocate, "the receiver frees it");
    // Both came from the same bytes; what one writes the other does not see.
    let mut first = claim(&b, first.first_address(), 10);
    first[0] = 99;
    assert_eq!(claim(&b, second.first_address(), 10)[..], bytes);
    drop(first);
    a.release(RightKind::Send, to);
    assert_eq!(a.census().regions, 0);
    assert_eq!(b.census(), Census { receive: 1, ..Census::default() });
    end(a, b);
}

fn no_memory_is_a_null_address<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    for deallocate in [true, false] {
        // What the pointer of nothing is does not matter.
        Message::to(COPY_SEND, to).out_of_line(BYTE, 8, 0, 0xdead, deallocate).send(&a).unwrap();
        let got = poll(&b, from).unwrap();
        assert_eq!(got.first_address(), 0);
        assert!(claim(&b, 0, 0).is_empty());
    }
    assert_eq!(b.census(), Census { receive: 1, ..Census::default() });
    end(a, b);
}

fn no_more_is_sent_than_there_is<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let address = a.region_into_wire(a.allocate(16).unwrap());
    for (bits, number) in [(8, 17), (32, 5), (0xff, u32::MAX)] {
        let message = Message::to(COPY_SEND, to).out_of_line(BYTE, bits, number, address, true);
        assert_eq!(message.send(&a), Err(KernReturn::MACH_SEND_INVALID_MEMORY));
    }
    assert_eq!(a.census().regions, 1, "the bad argument is not touched");
    // Bits that do not fill a byte count as one.
    Message::to(COPY_SEND, to).out_of_line(0, 1, 9, address, true).send(&a).unwrap();
    assert_eq!(claim(&b, poll(&b, from).unwrap().first_address(), 2)[..], [0; 2]);
    end(a, b);
}

fn an_array_of_ports_out_of_line<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let ports: [Name; 3] = std::array::from_fn(|_| a.allocate_port().unwrap());
    let mut array = a.allocate(12).unwrap();
    for (slot, port) in array.chunks_mut(4).zip(ports) {
        slot.copy_from_slice(&port.0.to_ne_bytes());
    }
    let address = a.region_into_wire(array);
    // First as a loan: send rights are made; then as a gift: the receive rights go.
    Message::to(COPY_SEND, to).out_of_line(MAKE_SEND, 32, 3, address, false).send(&a).unwrap();
    assert_eq!(a.census().regions, 1);
    Message::to(COPY_SEND, to).out_of_line(MOVE_RECEIVE, 32, 3, address, true).send(&a).unwrap();
    assert_eq!(a.census(), Census { send: 1, send_references: 1, ..Census::default() });

    for (kind, name_there) in [(17, RightKind::Send), (16, RightKind::Receive)] {
        let got = poll(&b, from).unwrap();
        assert_eq!(got.body()[if A::FACTS.pointer == 8 { 0 } else { 4 }], kind);
        let names = claim(&b, got.first_address(), 12);
        for name in names.chunks(4) {
            b.release(name_there, Name(u32::from_ne_bytes(name.try_into().unwrap())));
        }
    }
    // The send rights were released first, so no dead name is left.
    assert_eq!(b.census(), Census { receive: 1, ..Census::default() });
    end(a, b);
}

fn memory_of_a_message_that_nobody_receives_is_freed<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let (to, from) = channel(&a, &b);
    let address = a.region_into_wire(a.allocate(100).unwrap());
    Message::to(COPY_SEND, to).out_of_line(BYTE, 8, 100, address, true).send(&a).unwrap();
    b.release(RightKind::Receive, from);
    assert_eq!((a.census().regions, b.census().regions), (0, 0));
    end(a, b);
}

#[test]
#[should_panic = "claimed, and once"]
fn memory_is_claimed_once() {
    let a: Local = Local::new();
    let address = a.region_into_wire(a.allocate(10).unwrap());
    drop(claim(&a, address, 10));
    claim(&a, address, 10);
}

on_both_abis! {
    fresh_memory_is_zero_and_is_counted_while_it_is_held
    given_memory_moves
    lent_memory_is_copied_and_arrives_as_the_receivers_own
    no_memory_is_a_null_address
    no_more_is_sent_than_there_is
    an_array_of_ports_out_of_line
    memory_of_a_message_that_nobody_receives_is_freed
}
