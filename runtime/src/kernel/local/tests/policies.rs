//! What XNU refuses beyond Mach's rules.

use std::vec::Vec;

use super::wire::{COPY_SEND, MAKE_SEND, MAKE_SEND_ONCE, MOVE_RECEIVE, MOVE_SEND_ONCE, Message, poll};
use crate::abi::{Apple32, Apple64, GnuX86_64, Osf32, TaskAbi};
use crate::kern_return::KernReturn;
use crate::kernel::local::{Host, Local, Policies};
use crate::kernel::{Kernel, MsgCall, Name, Notification, PortKind, RightKind};
use crate::{AnyRight, ReceiveRight};

/// Whether a call is marked as one to the kernel, and whether it receives, too.
const CALLS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

/// What becomes of each of [`CALLS`] to a port.
fn outcomes<A: TaskAbi>(task: &Local<A>, port: Name) -> [Result<(), KernReturn>; 4] {
    CALLS.map(|(kernel_object, receives)| {
        let receive = receives.then_some(port);
        let message = Message::<A>::to(MAKE_SEND, port);
        let call = MsgCall { receive, kernel_object, receive_timeout: Some(0), ..MsgCall::default() };
        let before = task.census();
        let result = message.send_with(task, call).0;
        match result {
            Ok(()) if !receives => drop(poll(task, port).unwrap()),
            // There is no room for a trailer: it got as far as being received.
            Err(KernReturn::MACH_RCV_TOO_LARGE) if receives => return Ok(()),
            _ => {}
        }
        // What was refused has lost the rights of its header.
        assert_eq!(task.census(), before);
        result
    })
}

/// For a queue, and for an object of the kernel.
fn all_outcomes<A: TaskAbi>(policies: Policies) -> [[Result<(), KernReturn>; 4]; 2] {
    let task = Host::<A>::with_policies(policies).new_task("task");
    let [queue, object] = [(); 2].map(|()| task.allocate_port().unwrap());
    task.make_kernel_object(object).unwrap();
    [outcomes(&task, queue), outcomes(&task, object)]
}

const REFUSED: Result<(), KernReturn> = Err(KernReturn::MACH_SEND_INVALID_OPTIONS);

#[test]
fn since_macos_13_a_send_says_what_it_is_for() {
    let queue = [Ok(()), Ok(()), REFUSED, REFUSED];
    assert_eq!(all_outcomes::<Apple64>(Policies::MACOS_13), [queue, [REFUSED, REFUSED, Ok(()), Ok(())]]);
    let newest = [queue, [REFUSED, REFUSED, REFUSED, Ok(())]];
    assert_eq!(all_outcomes::<Apple64>(Policies::MACOS_15), newest);
    assert_eq!(all_outcomes::<Apple64>(Policies::of::<Apple64>()), newest);
    assert_eq!(all_outcomes::<Apple32>(Policies::of::<Apple32>()), newest);
}

#[test]
fn other_kernels_do_not_ask() {
    let all = [[Ok(()); 4]; 2];
    assert_eq!(all_outcomes::<Apple64>(Policies::MACOS_12), all);
    assert_eq!(all_outcomes::<GnuX86_64>(Policies::of::<GnuX86_64>()), all);
    assert_eq!(all_outcomes::<Osf32>(Policies::of::<Osf32>()), all);
}

#[test]
fn the_kernel_may_send_as_it_likes() {
    let task: Local<Apple64> = Local::new();
    let object = task.allocate_port().unwrap();
    task.make_kernel_object(object).unwrap();
    task.send_always();
    assert_eq!(outcomes(&task, object), [Ok(()); 4]);
}

#[test]
fn only_a_receiver_makes_an_object_of_the_kernel() {
    let task: Local<Apple64> = Local::new();
    assert_eq!(task.make_kernel_object(Name(7)), Err(KernReturn::KERN_INVALID_NAME));
    let set = task.allocate_port_set().unwrap();
    assert_eq!(task.make_kernel_object(set), Err(KernReturn::KERN_INVALID_RIGHT));
}

#[test]
fn a_message_to_the_kernel_has_three_descriptors_at_most() {
    let task: Local<Apple64> = Local::new();
    let [queue, object] = [(); 2].map(|()| task.allocate_port().unwrap());
    task.make_kernel_object(object).unwrap();
    task.make_send(queue).unwrap();
    let send = |to, descriptors: u32, kernel_object: bool| {
        let port = [queue.0, 0, COPY_SEND << 16];
        let ports: Vec<u32> = (0..descriptors).flat_map(|_| port).collect();
        let body: Vec<u8> = [descriptors].into_iter().chain(ports).flat_map(u32::to_ne_bytes).collect();
        let message = Message::<Apple64>::to(MAKE_SEND, to).complex().raw(&body);
        let receive = kernel_object.then_some(to);
        let census = task.census();
        let call =
            MsgCall { receive, receive_timeout: Some(0), large: true, kernel_object, ..MsgCall::default() };
        let (result, left) = message.send_with(&task, call);
        let untouched = left.bytes[24..] == body[..];
        if !kernel_object {
            drop(poll(&task, to).unwrap());
        }
        (result, untouched, task.census() == census)
    };
    assert_eq!(send(object, 4, true), (Err(KernReturn::MACH_SEND_TOO_LARGE), true, true));
    // Three are sent, and received: there is only no room for a trailer.
    assert_eq!(send(object, 3, true).0, Err(KernReturn::MACH_RCV_TOO_LARGE));
    assert_eq!(send(queue, 9, false).0, Ok(()));
}

/// A message with a port in its body.
fn with_port(to: Name, name: Name, disposition: u32) -> Message<Apple64> {
    let body = [1, name.0, 0, disposition << 16].map(u32::to_ne_bytes).concat();
    Message::<Apple64>::to(MAKE_SEND, to).complex().raw(&body)
}

const NEWEST: Policies = Policies::of::<Apple64>();

/// A task with a queue, and a port of this kind.
fn with_kind(policies: Policies, kind: PortKind) -> (Local<Apple64>, Name, Name) {
    let task = Host::with_policies(policies).new_task("task");
    let queue = task.allocate_port().unwrap();
    task.set_queue_limit(queue, 100).unwrap();
    let port = task.construct_port(kind).unwrap();
    (task, queue, port)
}

#[test]
fn a_reply_port_has_no_right_but_that_of_a_request() {
    for (policies, strict) in [(Policies::MACOS_12, false), (Policies::MACOS_13, true), (NEWEST, true)] {
        let (task, queue, reply) = with_kind(policies, PortKind::Reply);
        let refusal = |code| if strict { Err(code) } else { Ok(()) };
        let capability = refusal(KernReturn::KERN_INVALID_CAPABILITY);
        assert_eq!(task.make_send_once(reply).map(drop), capability);
        assert_eq!(task.make_send(reply), capability);
        let in_body = refusal(KernReturn::MACH_SEND_INVALID_RIGHT);
        for disposition in [MAKE_SEND_ONCE, MAKE_SEND] {
            assert_eq!(with_port(queue, reply, disposition).send(&task), in_body);
        }
        let message = |disposition| Message::<Apple64>::to(MAKE_SEND, queue).reply(disposition, reply);
        assert_eq!(message(MAKE_SEND).send(&task), refusal(KernReturn::MACH_SEND_INVALID_REPLY));
        assert_eq!(message(MAKE_SEND_ONCE).send(&task), Ok(()));
        while poll(&task, queue).is_ok_and(|received| received.bits() & 0xff != MOVE_SEND_ONCE) {}
        assert_eq!(with_port(queue, reply, MOVE_RECEIVE).send(&task), in_body);
    }
}

/// The right that a request brought answers, and is not handed on.
#[test]
fn the_right_to_a_reply_port_only_answers() {
    let (task, queue, reply) = with_kind(NEWEST, PortKind::Reply);
    let request = Message::<Apple64>::to(MAKE_SEND, queue).reply(MAKE_SEND_ONCE, reply);
    let rights = [(); 2].map(|()| {
        request.send(&task).unwrap();
        poll(&task, queue).unwrap().remote()
    });
    let moved = with_port(queue, rights[0], MOVE_SEND_ONCE).send(&task);
    assert_eq!(moved, Err(KernReturn::MACH_SEND_INVALID_RIGHT));
    assert_eq!(Message::<Apple64>::to(MOVE_SEND_ONCE, rights[1]).send(&task), Ok(()));
    assert!(poll(&task, reply).is_ok());
}

#[test]
fn an_exception_port_stays_in_its_task() {
    for (policies, strict) in [(Policies::MACOS_13, false), (Policies::MACOS_15, true)] {
        let (task, queue, port) = with_kind(policies, PortKind::Exception);
        assert_eq!(task.make_send(port), Ok(()));
        assert_eq!(with_port(queue, port, COPY_SEND).send(&task), Ok(()));
        let moved = with_port(queue, port, MOVE_RECEIVE).send(&task);
        let expected = if strict { Err(KernReturn::MACH_SEND_INVALID_RIGHT) } else { Ok(()) };
        assert_eq!(moved, expected);
    }
    // So does an object of the kernel.
    let (task, queue, port) = with_kind(NEWEST, PortKind::Plain);
    task.make_kernel_object(port).unwrap();
    let moved = with_port(queue, port, MOVE_RECEIVE).send(&task);
    assert_eq!(moved, Err(KernReturn::MACH_SEND_INVALID_RIGHT));
}

/// The port that is given for the replies, and the thread's own.
#[test]
fn calls_have_reply_ports_of_the_right_kind() {
    let task: Local<Apple64> = Local::new();
    let given = ReceiveRight::allocate_reply(&task).unwrap();
    assert!(given.make_send_once().is_err());
    let own = task.reply_port().unwrap();
    assert_eq!(task.make_send_once(own), Err(KernReturn::KERN_INVALID_CAPABILITY));
    let queue = ReceiveRight::allocate(&task).unwrap();
    let to_queue = queue.make_send().unwrap();
    let mut buffer = crate::MsgBuf::<64>::new();
    let sent = buffer.request(&task).send_with_reply_port(
        1,
        crate::Dest::copy_send(&to_queue),
        AnyRight::make_send_once(&given),
        crate::SendOptions::NONE,
    );
    assert!(sent.is_ok());
    let reply = poll(&task, queue.name()).unwrap().remote();
    task.release(RightKind::SendOnce, reply);
}

/// Where all ports are alike, such a port is one of them.
#[test]
fn on_other_kernels_any_port_will_do() {
    let task: Local<GnuX86_64> = Local::new();
    for port in [ReceiveRight::allocate_reply(&task), ReceiveRight::allocate_exception(&task)] {
        let port = port.unwrap();
        assert!(port.make_send().is_ok() && port.make_send_once().is_ok());
    }
}

/// `ipc_right_request_alloc` of xnu-8792 and later: at once only as `MACH_NOTIFY_SEND_POSSIBLE`.
#[test]
fn since_macos_13_a_dead_name_is_not_watched_for_its_death() {
    fn outcomes<A: TaskAbi>(policies: Policies) -> [Result<u64, KernReturn>; 2] {
        let task = Host::<A>::with_policies(policies).new_task("task");
        [Notification::DeadName, Notification::SendPossible].map(|which| {
            let notify = task.allocate_port().unwrap();
            let port = task.allocate_port().unwrap();
            task.make_send(port).unwrap();
            task.release(RightKind::Receive, port);
            task.request_notification(port, which, notify)?;
            assert_eq!(task.receive_status(notify).unwrap().queued, 1, "it comes at once");
            let references = task.census().dead_references;
            (0..references).for_each(|_| task.release(RightKind::DeadName, port));
            Ok(references)
        })
    }
    let refused = Err(KernReturn::KERN_INVALID_ARGUMENT);
    // With a reference of its own, beside that of the right.
    assert_eq!(outcomes::<Apple64>(Policies::MACOS_13)[0], refused);
    assert_eq!(outcomes::<Apple64>(Policies::of::<Apple64>())[0], refused);
    assert_eq!(outcomes::<Apple64>(Policies::MACOS_12)[0], Ok(2));
    assert_eq!(
        outcomes::<GnuX86_64>(Policies::of::<GnuX86_64>()),
        [Ok(2), Err(KernReturn::KERN_INVALID_VALUE)]
    );
}

/// `MACH_PORT_UREFS_MAX` of `ipc/port.h`, in both kernels.
#[test]
fn a_name_has_so_many_references_and_no_more() {
    fn fill<A: TaskAbi>(task: &Local<A>) -> (Name, Result<(), KernReturn>) {
        let port = task.allocate_port().unwrap();
        task.make_send(port).unwrap();
        (1..70_000)
            .try_for_each(|_| task.copy_send(port))
            .map_or_else(|code| (port, Err(code)), |()| (port, Ok(())))
    }
    // GNU Mach: a call fails, and what a message brings beyond is not counted.
    let host: Host<GnuX86_64> = Host::new();
    let (task, other) = (host.new_task("task"), host.new_task("other"));
    let (port, result) = fill(&task);
    assert_eq!((result, task.census().send_references), (Err(KernReturn::KERN_UREFS_OVERFLOW), 65_534));
    assert_eq!(task.make_send(port), Err(KernReturn::KERN_UREFS_OVERFLOW));
    let there = task.give(RightKind::Send, port, &other).unwrap();
    task.copy_send(port).unwrap();
    assert_eq!(other.give(RightKind::Send, there, &task), Ok(port));
    assert_eq!((task.census().send_references, other.census().send), (65_534, 0));
    // XNU: a name that has reached the most keeps it for ever.
    let task: Local<Apple64> = Local::new();
    let (port, result) = fill(&task);
    assert_eq!((result, task.census().send_references), (Ok(()), 65_535));
    (0..70_000).for_each(|_| task.release(RightKind::Send, port));
    assert_eq!((task.census().send_references, task.census().bad_releases), (65_535, 0));
}
