//! What [`Darwin`] makes of the kernel's calls, where a stand-in has the place of the foreign functions.

use std::vec::Vec;

use super::Darwin;
use super::system::{Answer, Call, answer, be_old, calls, memory, play_on};
use crate::abi::Apple64;
use crate::kern_return::KernReturn;
use crate::kernel::local::Local;
use crate::kernel::{Kernel, MsgCall, Name, NoWait, Notification, RightKind};
use crate::{
    CallError, CallOptions, Complex, Dest, MsgBuf, OolMemory, PortSet, Receive, ReceiveError, ReceiveRight,
    Received, Reply, SendRight, Seqno, Server, Shape, Subsystem,
};

/// A header with these ports.
fn header(bits: u32, size: u32, remote: u32, local: u32, id: i32) -> Vec<u8> {
    [bits, size, remote, local, 0, id as u32].iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Makes the call with this message in a buffer of 128 bytes; returns what is in its first 24 bytes then.
fn mach_msg(message: &[u8], call: MsgCall) -> (Result<(), KernReturn>, Vec<u8>) {
    let mut buffer = MsgBuf::<128>::new();
    let words = buffer.words();
    words.fill(core::mem::MaybeUninit::new(0));
    for (word, bytes) in words.iter_mut().zip(message.chunks(8)) {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        word.write(u64::from_ne_bytes(padded));
    }
    // SAFETY: all of the buffer is initialised, and the stand-in moves nothing.
    let result = unsafe { Darwin.mach_msg(words, call) };
    let first = words[..3].iter().flat_map(|word| {
        // SAFETY: it has been initialised above.
        unsafe { word.assume_init() }.to_ne_bytes()
    });
    (result, first.collect())
}

/// The option bits, the sizes and the time of the calls made.
fn messages() -> Vec<(u32, usize, u32, Name, u32)> {
    let messages = calls().into_iter().map(|call| match call {
        Call::MachMsg { options, sent, receive_size, receive, timeout } => {
            (options, sent.len(), receive_size, receive, timeout)
        }
        other => panic!("{other:?}"),
    });
    messages.collect()
}

#[test]
fn a_send_passes_the_size_in_the_header() {
    let message = header(0x13, 36, 0x903, 0, 400);
    let call = MsgCall { send: true, ..MsgCall::default() };
    assert_eq!(mach_msg(&message, call).0, Ok(()));
    let timed = MsgCall { send_timeout: Some(5), options: 0x0004_0000, ..call };
    assert_eq!(mach_msg(&message, timed).0, Ok(()));
    assert_eq!(messages(), [(0x1, 36, 0, Name::NULL, 0), (0x0004_0011, 36, 0, Name::NULL, 5)]);
}

#[test]
fn a_receive_may_write_all_of_the_buffer() {
    let call = MsgCall { receive: Some(Name(7)), ..MsgCall::default() };
    assert_eq!(mach_msg(&[], call).0, Ok(()));
    let large = MsgCall { large: true, receive_timeout: Some(0), ..call };
    assert_eq!(mach_msg(&[], large).0, Ok(()));
    let expected = [(0x2, 0, 128, Name(7), 0), (0x106, 0, 128, Name(7), 0)];
    assert_eq!(messages(), expected);
}

#[test]
fn a_round_trip_is_one_call() {
    let message = header(0x1513, 24, 0x903, 0x707, 400);
    let call = MsgCall { send: true, receive: Some(Name(0x707)), ..MsgCall::default() };
    assert_eq!(mach_msg(&message, call).0, Ok(()));
    // `waittime` gives one time for both.
    let timed = MsgCall { send_timeout: Some(9), receive_timeout: Some(9), ..call };
    assert_eq!(mach_msg(&message, timed).0, Ok(()));
    // A server's reply: it must not wait for the client, but for the next request.
    let reply = MsgCall { send_timeout: Some(0), ..call };
    assert_eq!(mach_msg(&message, reply).0, Ok(()));
    assert_eq!(
        messages(),
        [(0x3, 24, 128, Name(0x707), 0), (0x113, 24, 128, Name(0x707), 9), (0x13, 24, 128, Name(0x707), 0),]
    );
}

/// A task, with a descriptor: 52 bytes.
fn to_task() -> Vec<u8> {
    let descriptor = [1, 0x903, 0, 19 << 16, 0, 0, 0].iter().flat_map(|word: &u32| word.to_ne_bytes());
    header(0x8000_1513, 52, 0x203, 0x707, 3415).into_iter().chain(descriptor).collect()
}

/// All that a call to an object of the kernel says: the mark, the header once more, and the number of
/// descriptors.
fn kernel_call(options: u64, timeout: u64) -> Call {
    let words = [
        0x2_0000_0000 | options,
        52 << 32 | 0x8000_1513,
        0x707 << 32 | 0x203,
        3415 << 32,
        0x707 << 32 | 1,
        128,
        timeout,
    ];
    Call::MachMsg2Internal { sent: to_task(), words }
}

#[test]
fn a_call_to_an_object_of_the_kernel_says_so() {
    let call = MsgCall { send: true, receive: Some(Name(0x707)), kernel_object: true, ..MsgCall::default() };
    assert_eq!(mach_msg(&to_task(), call).0, Ok(()));
    assert_eq!(calls(), [kernel_call(0x3, 0)]);
    // It is one call, whatever its times are; the kernel does not keep it waiting for room.
    let timed = MsgCall { send_timeout: Some(1), receive_timeout: Some(1000), ..call };
    assert_eq!(mach_msg(&to_task(), timed).0, Ok(()));
    assert_eq!(calls(), [kernel_call(0x103, 1000)]);
    answer([Answer::Code(KernReturn::MACH_SEND_INVALID_DEST.0 | 0x2000)]);
    assert_eq!(mach_msg(&to_task(), call).0, Err(KernReturn::MACH_SEND_INVALID_DEST));
    assert_eq!(calls(), [kernel_call(0x3, 0)]);
    // What only receives is like any other.
    assert_eq!(mach_msg(&[], MsgCall { send: false, ..call }).0, Ok(()));
    assert_eq!(messages(), [(0x2, 0, 128, Name(0x707), 0)]);
}

#[test]
fn before_macos_13_all_calls_are_alike() {
    be_old();
    let call = MsgCall { send: true, receive: Some(Name(0x707)), kernel_object: true, ..MsgCall::default() };
    assert_eq!(mach_msg(&to_task(), call).0, Ok(()));
    assert_eq!(messages(), [(0x3, 52, 128, Name(0x707), 0)]);
}

#[test]
fn different_times_take_two_calls() {
    let message = header(0x1513, 24, 0x903, 0x707, 400);
    let call = MsgCall {
        send: true,
        receive: Some(Name(0x707)),
        send_timeout: Some(1),
        receive_timeout: Some(1000),
        ..MsgCall::default()
    };
    assert_eq!(mach_msg(&message, call).0, Ok(()));
    assert_eq!(messages(), [(0x11, 24, 0, Name::NULL, 1), (0x102, 0, 128, Name(0x707), 1000),]);
    // What was not sent is not waited for, and comes back as it is.
    answer([Answer::Code(KernReturn::MACH_SEND_TIMED_OUT.0)]);
    assert_eq!(mach_msg(&message, call), (Err(KernReturn::MACH_SEND_TIMED_OUT), message));
    assert_eq!(calls().len(), 1);
}

/// The kernel says in the same word what it was short of while it gave the message back.
#[test]
fn codes_are_those_of_mach_msg_alone() {
    let call = MsgCall { send: true, ..MsgCall::default() };
    let message = header(0x13, 24, 0x903, 0, 400);
    for (code, expected) in [
        (0x1000_0003 | 0x2000, KernReturn::MACH_SEND_INVALID_DEST),
        (0x1000_4004, KernReturn::MACH_RCV_TOO_LARGE),
        (0x1000_400c | 0x1400, KernReturn::MACH_RCV_BODY_ERROR),
        (4, KernReturn::KERN_INVALID_ARGUMENT),
    ] {
        answer([Answer::Code(code)]);
        assert_eq!(mach_msg(&message, call).0, Err(expected), "{code:#x}");
    }
}

#[test]
fn a_message_that_is_too_large_tells_its_size() {
    // The kernel writes nothing else.
    let size_only = [0u32.to_ne_bytes(), 5276u32.to_ne_bytes()].concat();
    answer([Answer::Message(KernReturn::MACH_RCV_TOO_LARGE.0, size_only)]);
    let mut buffer = MsgBuf::<128>::new();
    let received = Received::receive(&Darwin, buffer.words(), Receive::from(Name(7)));
    // With room for a trailer.
    assert_eq!(received.err(), Some(ReceiveError::TooLarge { size: 5276 + 60 }));
    drop(calls());
}

#[test]
fn a_received_message_owns_what_it_brings() {
    // A request with a reply right, at port 7, and two rights in it.
    let port =
        |name: u32, right: u32| [name, 0, right << 16].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let ports: [Vec<u8>; 3] = [2u32.to_ne_bytes().to_vec(), port(0x903, 17), port(0x1203, 16)];
    let mut trailer = [0; 60];
    (trailer[4], trailer[8]) = (60, 3);
    let message = [header(0x8000_1112, 52, 0x707, 7, 500), ports.concat(), trailer.to_vec()].concat();
    answer([Answer::Message(0, message)]);
    let mut buffer = MsgBuf::<128>::new();
    let received = Received::receive(&Darwin, buffer.words(), Receive::from(Name(7))).unwrap();
    assert_eq!((received.id(), received.port().name(), received.seqno()), (500, Name(7), Seqno(3)));
    // It asks for a trailer with all that a stub can want: up to the context of the port.
    assert_eq!(messages(), [(0x0400_0006, 0, 128, Name(7), 0)]);
    drop(received);
    let mut released = calls();
    released.sort_by_key(|call| std::format!("{call:?}"));
    assert_eq!(
        released,
        [
            Call::MachPortDeallocate { name: Name(0x707) },
            Call::MachPortDeallocate { name: Name(0x903) },
            Call::MachPortModRefs { name: Name(0x1203), right: 1, delta: -1 },
        ]
    );
}

#[test]
fn each_kind_of_right_is_released_in_its_own_way() {
    let port = ReceiveRight::allocate(&Darwin).unwrap();
    let send = port.make_send().unwrap();
    let another = send.try_clone().unwrap();
    answer([Answer::Name(0x2203)]);
    let once = port.make_send_once().unwrap();
    answer([Answer::Name(0x3303)]);
    let set = PortSet::allocate(&Darwin).unwrap();
    set.insert(&port).unwrap();
    port.leave_set().unwrap();
    let name = Name(0x1003);
    assert_eq!(
        calls(),
        [
            Call::MachPortAllocate { right: 1 },
            Call::MachPortInsertRight { name, right: name, disposition: 20 },
            Call::MachPortModRefs { name, right: 0, delta: 1 },
            Call::MachPortExtractRight { name, disposition: 21 },
            Call::MachPortAllocate { right: 3 },
            Call::MachPortMoveMember { member: name, set: Name(0x3303) },
            Call::MachPortMoveMember { member: name, set: Name::NULL },
        ]
    );
    drop((another, send, once, set, port));
    assert_eq!(
        calls(),
        [
            Call::MachPortDeallocate { name },
            Call::MachPortDeallocate { name },
            Call::MachPortDeallocate { name: Name(0x2203) },
            Call::MachPortModRefs { name: Name(0x3303), right: 3, delta: -1 },
            // Never `mach_port_deallocate`, which would take a send right of the same name.
            Call::MachPortModRefs { name, right: 1, delta: -1 },
        ]
    );
    // SAFETY: a name that is not valid denotes nobody's right.
    unsafe { Darwin.release(RightKind::Send, Name::NULL) };
    // SAFETY: as above.
    unsafe { Darwin.release(RightKind::Receive, Name::DEAD) };
    drop(SendRight::null(Darwin));
    assert_eq!(calls(), []);
}

#[test]
fn ports_of_the_task_itself_are_owned_like_any_other() {
    let task = Darwin.task().unwrap();
    answer([Answer::Name(0x307), Answer::Name(0x407)]);
    let (thread, host) = (Darwin.thread(), Darwin.host());
    assert_eq!((task.name(), thread.name(), host.name()), (Name(0x203), Name(0x307), Name(0x407)));
    drop((task, thread, host));
    assert_eq!(
        calls(),
        [
            // The task keeps a reference of its own.
            Call::MachPortModRefs { name: Name(0x203), right: 0, delta: 1 },
            Call::MachThreadSelf,
            Call::MachHostSelf,
            Call::MachPortDeallocate { name: Name(0x203) },
            Call::MachPortDeallocate { name: Name(0x307) },
            Call::MachPortDeallocate { name: Name(0x407) },
        ]
    );
}

#[test]
fn ports_are_made_for_what_they_are() {
    answer([Answer::Name(0x1103), Answer::Name(0x1203)]);
    let reply = ReceiveRight::allocate_reply(&Darwin).unwrap();
    let exceptions = ReceiveRight::allocate_exception(&Darwin).unwrap();
    assert_eq!((reply.name(), exceptions.name()), (Name(0x1103), Name(0x1203)));
    let without_waiting = NoWait::right(SendRight::null(Darwin));
    answer([Answer::Code(KernReturn::KERN_INVALID_ARGUMENT.0)]);
    let refused = ReceiveRight::allocate_reply(without_waiting.kernel());
    assert_eq!(refused.err(), Some(KernReturn::KERN_INVALID_ARGUMENT));
    // `MPO_REPLY_PORT` and `MPO_EXCEPTION_PORT` of `mach/port.h`.
    let made = [0x1000, 0x8000, 0x1000].map(|flags| Call::MachPortConstruct { flags });
    assert_eq!(calls(), made);
}

#[test]
fn launchd_gives_rights_to_services() {
    answer([Answer::Name(0x1103), Answer::Name(0x1203), Answer::Code(1102)]);
    let service = Darwin.check_in(c"org.example.clock").unwrap();
    let to_service = Darwin.look_up(c"org.example.clock").unwrap();
    let unknown = Darwin.look_up(c"org.example.none").err();
    assert_eq!((service.name(), to_service.name()), (Name(0x1103), Name(0x1203)));
    assert_eq!(unknown, Some(KernReturn::BOOTSTRAP_UNKNOWN_SERVICE));
    drop((service, to_service));
    assert_eq!(
        calls(),
        [
            Call::BootstrapCheckIn { service: c"org.example.clock".into() },
            Call::BootstrapLookUp { service: c"org.example.clock".into() },
            Call::BootstrapLookUp { service: c"org.example.none".into() },
            Call::MachPortModRefs { name: Name(0x1103), right: 1, delta: -1 },
            Call::MachPortDeallocate { name: Name(0x1203) },
        ]
    );
}

#[test]
fn notifications_have_the_ids_of_the_interface() {
    let name = Name(0x1003);
    for (which, id, sync) in [
        (Notification::PortDestroyed, 69, 0),
        (Notification::NoSenders { sync: 3 }, 70, 3),
        // With which XNU of every version tells at once of a port that has died already.
        (Notification::SendPossible, 66, 0),
        (Notification::DeadName, 72, 0),
    ] {
        answer([Answer::Name(0)]);
        // SAFETY: nobody owns a right of the stand-in.
        assert_eq!(unsafe { Darwin.request_notification(name, which, Name(9)) }, Ok(Name::NULL));
        let expected = Call::MachPortRequestNotification { name, id, sync, notify: Name(9), disposition: 21 };
        assert_eq!(calls(), [expected]);
    }
    answer([Answer::Code(15)]);
    // SAFETY: as above.
    let refused = unsafe { Darwin.request_notification(name, Notification::DeadName, Name(9)) };
    assert_eq!(refused, Err(KernReturn::KERN_INVALID_NAME));
    drop(calls());
}

#[test]
fn the_reply_port_is_that_of_the_thread() {
    answer([Answer::Name(0x707)]);
    assert_eq!(Darwin.reply_port(), Ok(Name(0x707)));
    answer([Answer::Name(0)]);
    assert_eq!(Darwin.reply_port(), Err(KernReturn::KERN_RESOURCE_SHORTAGE));
    // SAFETY: the port from above.
    unsafe { Darwin.destroy_reply_port(Name(0x707)) };
    let expected =
        [Call::MigGetReplyPort, Call::MigGetReplyPort, Call::MigDeallocReplyPort { name: Name(0x707) }];
    assert_eq!(calls(), expected);
}

#[test]
fn memory_is_given_back_once() {
    let mut region = OolMemory::allocate(&Darwin, 5000).unwrap();
    assert_eq!(region.len(), 5000);
    region[4999] = 7;
    let address = Darwin.region_into_wire(region.into_region().unwrap());
    assert_eq!(memory(), 1);
    // SAFETY: it has just been made an address.
    let region = unsafe { Darwin.region_from_wire(address, 5000) };
    assert_eq!(region[4999], 7);
    drop(region);
    assert_eq!(memory(), 0);
    assert_eq!(
        calls(),
        [Call::MachVmAllocate { size: 5000 }, Call::MachVmDeallocate { address, size: 5000 },]
    );
}

#[test]
fn no_memory_needs_no_call() {
    let nothing = Darwin.allocate(0).unwrap();
    assert!(nothing.is_empty());
    assert_eq!(Darwin.region_into_wire(nothing), 0);
    // SAFETY: there is nothing at this address.
    assert!(unsafe { Darwin.region_from_wire(0, 0) }.is_empty());
    assert_eq!(calls(), []);
    answer([Answer::Code(3)]);
    assert_eq!(Darwin.allocate(1).err(), Some(KernReturn::KERN_NO_SPACE));
    assert_eq!(calls(), [Call::MachVmAllocate { size: 1 }]);
}

#[test]
fn lent_memory_goes_as_it_is() {
    let bytes = [1, 2, 3];
    let lent = Darwin.lend(&bytes);
    assert_eq!(Darwin::lent_address(&lent), bytes.as_ptr().addr() as u64);
    assert_eq!(calls(), []);
}

/// A service that answers with the double of a number.
struct Doubles;

const DOUBLE: i32 = 900;

impl Subsystem<Darwin> for &Doubles {
    fn ids(&self) -> core::ops::Range<i32> {
        DOUBLE..DOUBLE + 1
    }

    fn max_request_size(&self) -> usize {
        36
    }

    fn max_reply_size(&self) -> usize {
        40
    }

    fn dispatch(&self, request: &mut Received<'_, Darwin>, reply: &mut Reply<'_, Darwin>) -> bool {
        reply.serve(|reply| {
            let mut body = request.body(Shape::new(36, 36, Complex::Never))?;
            body.ndr()?;
            let number = body.value::<i32>()?;
            body.end()?;
            reply.encode::<40>(|reply| {
                reply.return_code(KernReturn::KERN_SUCCESS);
                reply.value(&(number * 2));
                Ok(())
            })?;
            Ok(())
        });
        true
    }
}

fn double<K: Kernel<Abi = Apple64>>(
    service: &SendRight<K>,
    number: i32,
    options: CallOptions,
) -> Result<i32, CallError<K>> {
    let mut buffer = MsgBuf::<48>::new();
    let mut request = buffer.request(service.kernel());
    request.ndr();
    request.value(&number);
    let shape = Shape::new(40, 40, Complex::Never);
    let mut reply = request.call(DOUBLE, Dest::copy_send(service), shape, options)?;
    let double = reply.value::<i32>()?;
    reply.end()?;
    Ok(double)
}

/// The option bits, sizes and names reach a kernel that knows what they mean; and every right is given back.
#[test]
fn calls_and_replies_on_a_whole_kernel() {
    let task: Local<Apple64> = Local::new();
    play_on(&task);
    let census = task.census();
    let port = ReceiveRight::allocate(&Darwin).unwrap();
    let service = port.make_send().unwrap();
    let server = Server::on(&port).with(&Doubles);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            play_on(&task);
            server.run()
        });
        let times = [
            CallOptions::NONE,
            CallOptions { send_timeout: Some(500), receive_timeout: Some(60_000), ..CallOptions::NONE },
            CallOptions { receive_timeout: Some(60_000), ..CallOptions::NONE },
        ];
        let doubles = times.map(|options| double(&service, 21, options).map_err(|error| error.code()));
        server.stop();
        assert_eq!(doubles, [Ok(42); 3]);
        assert_eq!(running.join().unwrap(), Ok(()));
    });
    drop(server);
    let nobody = CallOptions { receive_timeout: Some(1), ..CallOptions::NONE };
    assert_eq!(double(&service, 1, nobody).unwrap_err().code(), KernReturn::MACH_RCV_TIMED_OUT);
    drop(port);
    assert_eq!(double(&service, 1, nobody).unwrap_err().code(), KernReturn::MACH_SEND_INVALID_DEST);
    drop(service);
    assert_eq!(task.census(), census);
}

/// An object of the kernel, and a queue: each takes its own kind of call, with a reply port of the caller's
/// too, and from [`NoWait`].
#[test]
fn objects_of_the_kernel_on_a_whole_kernel() {
    let task: Local<Apple64> = Local::new();
    play_on(&task);
    let census = task.census();
    let [object, queue] = [(); 2].map(|()| ReceiveRight::allocate(&Darwin).unwrap());
    task.make_kernel_object(object.name()).unwrap();
    let ports = PortSet::allocate(&Darwin).unwrap();
    ports.insert(&object).unwrap();
    ports.insert(&queue).unwrap();
    let server = Server::on(&ports).with(&Doubles);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            play_on(&task);
            server.run()
        });
        let [object, queue] = [&object, &queue].map(|port| port.make_send().unwrap());
        let call =
            |right: &SendRight<Darwin>, options| double(right, 21, options).map_err(|error| error.code());
        let refused = Err(KernReturn::MACH_SEND_INVALID_OPTIONS);
        let answers = [&object, &queue]
            .map(|right| [CallOptions::NONE, CallOptions::KERNEL_OBJECT].map(|options| call(right, options)));
        let object = NoWait::right(object);
        let without_waiting = double(&object, 4, CallOptions::KERNEL_OBJECT).map_err(|error| error.code());
        server.stop();
        assert_eq!(answers, [[refused, Ok(42)], [Ok(42), refused]]);
        assert_eq!(without_waiting, Ok(8));
        assert_eq!(running.join().unwrap(), Ok(()));
    });
    drop(server);
    drop((ports, object, queue));
    assert_eq!(task.census(), census);
}
