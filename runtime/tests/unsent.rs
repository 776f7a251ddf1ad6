//! What a failed send leaves is released if it still belongs to this task, and is left alone if the kernel
//! has destroyed it.

mod families;
mod fixture;

use families::Words;
use fixture::Recorder;
use mig_runtime::abi::{Apple32, Apple64, GnuI386, GnuX86_64, TaskAbi, Untyped};
use mig_runtime::kernel::RightKind::{Receive, Send, SendOnce};
use mig_runtime::kernel::local::{Census, Host, Local};
use mig_runtime::{
    AnyRight, Builder, CallError, Copying, Dest, KernReturn, Kernel, MsgBuf, Name, OolMemory, PortArray,
    ReceiveRight, SendOptions, SendRight,
};

const NOTHING: &[(mig_runtime::kernel::RightKind, u32)] = &[];

/// A receive right, and 10 bytes of memory that is given or copied; `more` descriptors follow.
fn right_and_memory<K: Kernel<Abi: Words>>(
    request: &mut Builder<'_, K>,
    right: ReceiveRight<K>,
    given: bool,
    more: u32,
) {
    let memory = OolMemory::allocate(right.kernel(), 10).unwrap();
    K::Abi::announce(request, 2 + more);
    request.move_receive(right);
    K::Abi::memory(request, memory, given).unwrap();
}
/// Sends a message that moves its destination, a reply right and what is in the body; the kernel answers this
/// code and touches nothing.
fn refused<A: Words>(code: i32) -> (Vec<(mig_runtime::kernel::RightKind, u32)>, usize) {
    let kernel = Recorder::<A>::new();
    kernel.state().fail_send = Some(KernReturn(code));
    let mut buffer = MsgBuf::<256>::new();
    let mut request = buffer.request(&kernel);
    right_and_memory(&mut request, kernel.receive_right(5), true, 0);
    let reply = AnyRight::move_send_once(kernel.send_once_right(7));
    let to = Dest::move_send(kernel.send_right(9));
    let error = request.send_with_reply_port(1, to, reply, SendOptions::NONE).unwrap_err();
    assert_eq!(error.code(), KernReturn(code));
    assert!(error.is_unsent());
    drop(error);
    let (in_messages, held, wild) = kernel.memory();
    assert_eq!((held, wild), (0, 0));
    (kernel.released(), in_messages)
}

/// By the sources that `kernel::Remains` names, written down again: the codes, and whether header and body
/// are the sender's.
#[test]
fn what_is_released_depends_on_the_code() {
    fn check<A: Words>(cases: &[(&[i32], bool, bool)]) {
        for (codes, header, body) in cases {
            for code in *codes {
                let (released, in_messages) = refused::<A>(*code);
                let mut expected = Vec::new();
                if *header {
                    expected.extend([(Send, 9), (SendOnce, 7)]);
                }
                if *body {
                    expected.push((Receive, 5));
                }
                assert_eq!(released, expected, "{}: {code:#x}", A::FACTS.name);
                assert_eq!(in_messages, usize::from(!body), "{}: {code:#x}", A::FACTS.name);
            }
        }
    }
    const ALL: &[i32] =
        &[0x1000_0002, 0x1000_0003, 0x1000_0004, 0x1000_0007, 0x1000_0009, 0x1000_000d, 0x1000_0010];
    const SHORT_OF: &[i32] = &[0x1000_2004, 0x1000_1004];
    let typed: &[(&[i32], bool, bool)] = &[
        (ALL, true, true),
        (SHORT_OF, true, true),
        (&[0x1000_0008, 0x1000_000a, 0x1000_000c, 0x1000_000f], false, false),
        // Queued, and told so later.
        (&[0x1000_0005], false, false),
        (&[0x400, 0x800, 0x1000, 0x2000], false, false),
    ];
    check::<GnuI386>(typed);
    check::<GnuX86_64>(typed);
    let untyped: &[(&[i32], bool, bool)] = &[
        (ALL, true, true),
        (SHORT_OF, true, true),
        (&[0x1000_0005, 0x1000_0008, 0x1000_000e, 0x1000_000f], true, true),
        (&[0x1000_0013, 0x1000_0016, 0x1000_0017], false, true),
        (&[0x1000_000a, 0x1000_000c, 0x400, 0x800], false, false),
    ];
    check::<Apple32>(untyped);
    check::<Apple64>(untyped);
}

/// A server, a client, and a right of the client to a port that nobody reads from.
struct Pair<A: TaskAbi> {
    server: Local<A>,
    client: Local<A>,
    port: ReceiveRight<Local<A>>,
    to: SendRight<Local<A>>,
}

impl<A: TaskAbi> Pair<A> {
    fn new() -> Self {
        let host: Host<A> = Host::new();
        let (server, client) = (host.new_task("server"), host.new_task("client"));
        let port = ReceiveRight::allocate(&server).unwrap();
        let to = Local::transfer(port.make_send().unwrap(), &client).unwrap();
        Self { server, client, port, to }
    }

    fn fill_the_queue(&self) {
        while self.send(&mut MsgBuf::new(), |_| ()).is_ok() {}
    }

    fn send<'b>(
        &self,
        buffer: &'b mut MsgBuf<512>,
        build: impl FnOnce(&mut Builder<'b, Local<A>>),
    ) -> Result<(), CallError<Local<A>>> {
        let mut request = buffer.request(&self.client);
        build(&mut request);
        let now = SendOptions { timeout: Some(0), ..SendOptions::NONE };
        request.send(1, Dest::copy_send(&self.to), now)
    }
}

/// One right of the body is none. `local` destroys what its kernel destroys, and counts what is released
/// twice.
#[test]
fn a_right_that_is_refused_releases_nothing_twice() {
    fn check<A: Words>() {
        let pair = Pair::<A>::new();
        let before = pair.client.census();
        for given in [true, false] {
            let bad = std::mem::ManuallyDrop::new(
                // SAFETY: it is never released; that the kernel refuses it is the point.
                unsafe { SendRight::from_raw(pair.client.clone(), Name(999)) },
            );
            let moved = ReceiveRight::allocate(&pair.client).unwrap();
            let mut buffer = MsgBuf::new();
            let error = pair.send(&mut buffer, |request| {
                right_and_memory(request, moved, given, 1);
                request.copy_send(&bad);
            });
            let error = error.unwrap_err();
            assert_eq!(error.code(), KernReturn::MACH_SEND_INVALID_RIGHT);
            let mut unsent = error.into_unsent().unwrap();
            assert!(unsent.take_destination().is_none());
            unsent.read(|body| assert!(body.is_empty()));
            assert_eq!(pair.client.census(), before, "{}", A::FACTS.name);
        }
        assert_eq!(pair.server.census(), Census { receive: 1, ..Census::default() });
    }
    check::<GnuI386>();
    check::<GnuX86_64>();
    check::<Apple32>();
    check::<Apple64>();
}

/// Memory that was copied physically comes back as new memory without a deallocate bit.
#[test]
fn physical_copies_that_come_back_are_released() {
    fn check<A: TaskAbi<Format = Untyped>>() {
        let pair = Pair::<A>::new();
        pair.fill_the_queue();
        let before = pair.client.census();
        static LENT: [u8; 30] = [7; 30];
        let physical = |deallocate| Copying { deallocate, physical: true };
        let ports: Vec<_> = (0..3).map(|_| ReceiveRight::allocate(&pair.client).unwrap()).collect();
        let mut buffer = MsgBuf::new();
        let error = pair.send(&mut buffer, |request| {
            request.descriptors(5);
            request.memory(&LENT, Copying::PHYSICAL).unwrap();
            request.memory(OolMemory::allocate(&pair.client, 20).unwrap(), physical(true)).unwrap();
            request.memory_result(OolMemory::allocate(&pair.client, 20).unwrap(), physical(false)).unwrap();
            request.rights_memory(PortArray::moving(ports), physical(false)).unwrap();
            request.memory(&LENT, Copying::VIRTUAL).unwrap();
        });
        let error = error.unwrap_err();
        assert_eq!(error.code(), KernReturn::MACH_SEND_TIMED_OUT);
        let first = error.into_unsent().unwrap().read(|mut body| body.memory().unwrap().to_vec());
        assert_eq!(first, LENT, "what has come back can be read");
        assert_eq!(pair.client.census(), before);
        drop((pair.port, pair.to));
    }
    check::<Apple32>();
    check::<Apple64>();
}

/// The same message, where nothing has been touched: what was lent is not this message's to release.
#[test]
fn a_message_that_was_not_touched_releases_what_it_was_given() {
    let kernel = Recorder::<Apple64>::new();
    kernel.state().fail_send = Some(KernReturn::MACH_SEND_INVALID_DEST);
    let lent = [7u8; 30];
    let to = std::mem::ManuallyDrop::new(kernel.send_right(9));
    let mut buffer = MsgBuf::<256>::new();
    let mut request = buffer.request(&kernel);
    request.descriptors(2);
    request.memory(&lent, Copying::PHYSICAL).unwrap();
    request
        .memory(OolMemory::allocate(&kernel, 20).unwrap(), Copying { physical: true, ..Copying::MOVE })
        .unwrap();
    drop(request.send(1, Dest::copy_send(&to), SendOptions::NONE).unwrap_err());
    assert_eq!((kernel.released().as_slice(), kernel.memory()), (NOTHING, (0, 0, 0)));
}
