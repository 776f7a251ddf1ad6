//! Mach 2.5: a client and a server of one interface over the kernel in this process, with every right and
//! region counted; and the bytes of their messages, beside those that stubs of Mach 2.5's own MIG send and
//! expect. Those stubs are public in NeXT's sources: `mididriver` (a right, id 400), the panic routine of the
//! boot server (a string in the long form, id 200), `task_suspend_special` (no argument, id 2056) and
//! `memory_object_terminate` (rights that are given up). The header is that of `message.h`; what a kernel
//! changes in a message is what Mach 3 did for tasks that spoke Mach 2.5 (`ipc_kmsg_copyin_compat` and
//! `ipc_kmsg_copyout_compat`).

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::sync::Mutex;

use mig_runtime::abi::Mach25;
use mig_runtime::kernel::MsgCall;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{
    AnyRight, Elements, KernReturn, Kernel, MsgBuf, Name, OolMemory, Port, ReceiveRight, Rights, SendRight,
    Server,
};

mod relay {
    mig_derive::interface! {
        abi: "mach-25",
        inline: "
            subsystem relay 400;
            type int = MSG_TYPE_INTEGER_32;
            type boolean_t = MSG_TYPE_BOOLEAN;
            type port_t = MSG_TYPE_PORT;
            type port_all_t = MSG_TYPE_PORT_ALL;
            type vector_t = struct[3] of int;
            type panic_msg_t = (MSG_TYPE_STRING, 8*256);
            type pointer_t = ^array[] of MSG_TYPE_BYTE;
            type small_t = array[] of int;
            type some_t = array[*:10] of int;
            type ports_t = ^array[] of port_t;
            type three_t = array[3] of port_t;
            type poly_t = polymorphic;
            routine relay_own(relay : port_t; owner : port_t);
            routine relay_panic(relay : port_t; message : panic_msg_t);
            routine relay_numbers(relay : port_t; a : boolean_t; v : vector_t; s : some_t;
                out w : vector_t; out b : boolean_t);
            simpleroutine relay_suspend(relay : port_t);
            routine relay_rights(relay : port_t; copied : port_t; all : port_all_t;
                given : port_t = MSG_TYPE_PORT, dealloc; out back : port_t; out all_back : port_all_t);
            routine relay_memory(relay : port_t; lent : pointer_t; given : pointer_t, dealloc; few : small_t;
                out back : pointer_t; out same : small_t);
            routine relay_many(relay : port_t; copied : ports_t; given : ports_t, dealloc; fixed : three_t;
                out back : ports_t, dealloc; out three : three_t);
            routine relay_any(relay : port_t; any : poly_t; out back : poly_t);
            simpleroutine relay_terminate(relay : port_t;
                control : port_t = MSG_TYPE_PORT_ALL, dealloc; name : port_t = MSG_TYPE_PORT, dealloc);
            type half_t = MSG_TYPE_PORT_RECEIVE;
            type page_t = ^array[3] of int;
            type block_t = ^array[4] of MSG_TYPE_BYTE;
            routine relay_halves(relay : port_t; receive : half_t; owner : port_t = MSG_TYPE_PORT_OWNERSHIP, dealloc;
                out back : half_t);
            routine relay_page(relay : port_t; lent : page_t; given : block_t, dealloc; wrong : int;
                out back : page_t; out same : block_t);
        ",
    }
}
use relay::*;

type K = Local<Mach25>;
type Result<T> = std::result::Result<T, KernReturn>;

#[derive(Default)]
struct Served {
    notes: Mutex<Vec<String>>,
}

impl Relay<K> for Served {
    fn relay_own(&self, _: Port<'_, K>, owner: SendRight<K>) -> Result<()> {
        if owner.is_null() { Err(KernReturn(5)) } else { Ok(()) }
    }
    fn relay_panic(&self, _: Port<'_, K>, message: &CStr) -> Result<()> {
        self.notes.lock().unwrap().push(format!("{message:?}"));
        Ok(())
    }
    fn relay_numbers(&self, _: Port<'_, K>, a: bool, v: Vector, s: &[i32]) -> Result<RelayNumbersReply> {
        Ok(RelayNumbersReply { w: [v[2], v[0], s.iter().sum()], b: !a })
    }
    fn relay_suspend(&self, _: Port<'_, K>) -> Result<()> {
        self.notes.lock().unwrap().push("suspended".to_owned());
        Ok(())
    }
    fn relay_rights(
        &self,
        _: Port<'_, K>,
        copied: SendRight<K>,
        all: ReceiveRight<K>,
        given: SendRight<K>,
    ) -> Result<RelayRightsReply<K>> {
        drop(copied);
        Ok(RelayRightsReply { back: given, all_back: all })
    }
    fn relay_memory(
        &self,
        _: Port<'_, K>,
        lent: OolMemory<K>,
        given: OolMemory<K>,
        few: Elements<'_, i32, K>,
    ) -> Result<RelayMemoryReply<K>> {
        self.notes.lock().unwrap().push(format!("{}", lent.len()));
        Ok(RelayMemoryReply { back: given, same: few.to_vec() })
    }
    fn relay_many(
        &self,
        _: Port<'_, K>,
        copied: Rights<K, SendRight<K>>,
        given: Rights<K, SendRight<K>>,
        fixed: [SendRight<K>; 3],
    ) -> Result<RelayManyReply<K>> {
        drop(given);
        Ok(RelayManyReply { back: copied, three: fixed })
    }
    fn relay_any(&self, _: Port<'_, K>, any: AnyRight<'static, K>) -> Result<AnyRight<'static, K>> {
        Ok(any)
    }
    fn relay_terminate(&self, _: Port<'_, K>, control: ReceiveRight<K>, name: SendRight<K>) -> Result<()> {
        drop((control, name));
        self.notes.lock().unwrap().push("terminated".to_owned());
        Ok(())
    }
    fn relay_halves(
        &self,
        _: Port<'_, K>,
        receive: ReceiveRight<K>,
        owner: ReceiveRight<K>,
    ) -> Result<ReceiveRight<K>> {
        drop(owner);
        Ok(receive)
    }
    fn relay_page(
        &self,
        _: Port<'_, K>,
        lent: Elements<'_, i32, K>,
        given: OolMemory<K>,
        wrong: i32,
    ) -> Result<RelayPageReply<K>> {
        self.notes.lock().unwrap().push("page".to_owned());
        let back = lent.iter().copied().chain((0..wrong).map(|_| 0)).collect();
        Ok(RelayPageReply { back, same: given })
    }
}

/// Runs a test with a server in another task, and counts what both are left with.
fn with_server(test: impl FnOnce(&Served, &K, &SendRight<K>)) {
    let host = Host::new();
    let (server, client) = (host.new_task("server"), host.new_task("client"));
    let before = (server.census(), client.census());
    {
        let served = Served::default();
        let port = ReceiveRight::allocate(&server).unwrap();
        let to_server = Local::transfer(port.make_send().unwrap(), &client).unwrap();
        let server = Server::on(&port).with(relay(&served));
        std::thread::scope(|scope| {
            scope.spawn(|| server.run().unwrap());
            let result =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&served, &client, &to_server)));
            server.stop();
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }
    assert_eq!((server.census(), client.census()), before);
    drop((server, client));
    assert_eq!(host.port_count(), 0);
}

fn given(task: &K, bytes: &[u8]) -> OolMemory<K> {
    let mut memory = OolMemory::allocate(task, bytes.len()).unwrap();
    memory.copy_from_slice(bytes);
    memory
}

#[test]
fn plain_data_and_strings() {
    with_server(|served, _, to| {
        let reply = relay_numbers(to, true, &[1, 2, 3], &[10, 20]).unwrap();
        assert_eq!(reply, RelayNumbersReply { w: [3, 1, 30], b: false });
        relay_panic(to, c"no space").unwrap();
        relay_suspend(to).unwrap();
        relay_numbers(to, true, &[1, 2, 3], &[]).unwrap();
        assert_eq!(*served.notes.lock().unwrap(), ["\"no space\"", "suspended"]);
    });
}

#[test]
fn rights_are_copied_moved_and_given_up() {
    with_server(|served, task, to| {
        let mine = ReceiveRight::allocate(task).unwrap();
        let send = mine.make_send().unwrap();
        relay_own(to, &send).unwrap();
        // The error of a server comes back in a reply of 32 bytes.
        assert_eq!(relay_own(to, &SendRight::null(task.clone())).unwrap_err().code(), KernReturn(5));
        let all = ReceiveRight::allocate(task).unwrap();
        let known = all.make_send().unwrap();
        let reply = relay_rights(to, &send, all, mine.make_send().unwrap()).unwrap();
        assert_eq!((reply.back.name(), reply.all_back.name()), (mine.name(), known.name()));
        relay_terminate(to, reply.all_back, reply.back).unwrap();
        relay_own(to, &send).unwrap();
        assert_eq!(*served.notes.lock().unwrap(), ["terminated"]);
    });
}

#[test]
fn rights_in_arrays() {
    with_server(|_, task, to| {
        let ports: Vec<_> = (0..5).map(|_| ReceiveRight::allocate(task).unwrap()).collect();
        let sends: Vec<_> = ports.iter().map(|port| port.make_send().unwrap()).collect();
        let three: [_; 3] = std::array::from_fn(|i| ports[i].make_send().unwrap());
        let moved = ports.iter().map(|port| port.make_send().unwrap());
        let reply = relay_many(to, &sends, moved, &three).unwrap();
        let names = |rights: &[SendRight<K>]| rights.iter().map(SendRight::name).collect::<Vec<_>>();
        assert_eq!(names(&reply.back.collect::<Vec<_>>()), names(&sends));
        assert_eq!(names(&reply.three), names(&sends[..3]));
    });
}

#[test]
fn memory_lent_and_given() {
    with_server(|served, task, to| {
        for count in [0, 3, 600] {
            let few = vec![7; count];
            let reply = relay_memory(to, &[1; 5000], given(task, b"given"), &few).unwrap();
            assert_eq!((&reply.back[..], &reply.same), (&b"given"[..], &few));
        }
        assert_eq!(served.notes.lock().unwrap().len(), 3);
    });
}

/// `MSG_TYPE_PORT_RECEIVE`, `MSG_TYPE_PORT_OWNERSHIP`: what a kernel moves under either number is one right
/// to a task, and it is released where nobody takes it.
#[test]
fn halves_of_rights() {
    with_server(|_, task, to| {
        let [receive, owner] = [(); 2].map(|()| ReceiveRight::allocate(task).unwrap());
        let known = receive.make_send().unwrap();
        let back = relay_halves(to, receive, owner).unwrap();
        assert_eq!(back.name(), known.name());
        let dead = ReceiveRight::allocate(task).unwrap().make_send().unwrap();
        let [receive, owner] = [(); 2].map(|()| ReceiveRight::allocate(task).unwrap());
        let error = relay_halves(&dead, receive, owner).unwrap_err();
        assert_eq!(error.code(), KernReturn::MACH_SEND_INVALID_DEST);
    });
    let (words, port) = request_of(|to| {
        let [receive, owner] = [(); 2].map(|()| ReceiveRight::allocate(to.kernel()).unwrap());
        let _ = relay_halves(to, receive, owner);
    });
    let halves = [word(4, 32, 1, true, false, false), word(3, 32, 1, true, false, true)];
    assert_eq!(words, [0, 40, RPC, port.0, words[4], 409, halves[0], words[7], halves[1], words[9]]);
}

/// Data of fixed size out of line: the type word announces all of it, and no other number is taken.
#[test]
fn memory_of_fixed_size() {
    with_server(|_, task, to| {
        let reply = relay_page(to, &[1, 2, 3], given(task, b"four"), 0).unwrap();
        assert_eq!((&reply.back[..], &reply.same[..]), (&[1, 2, 3][..], &b"four"[..]));
        let too_large = KernReturn::MIG_ARRAY_TOO_LARGE;
        assert_eq!(relay_page(to, &[1, 2], given(task, b"four"), 0).unwrap_err().code(), too_large);
        assert_eq!(relay_page(to, &[1, 2, 3], given(task, b"three"), 0).unwrap_err().code(), too_large);
        // The server's own.
        assert_eq!(relay_page(to, &[1, 2, 3], given(task, b"four"), 1).unwrap_err().code(), too_large);
    });
    let (words, _) = request_of(|to| {
        let _ = relay_page(to, &[1, 2, 3], given(to.kernel(), b"four"), 0);
    });
    assert_eq!(words[6], word(2, 32, 3, false, false, false));
    assert_eq!(words[8], word(9, 8, 4, false, false, true));
    // A message that announces another number.
    with_server(|served, task, to| {
        let (mut buffer, bytes) = (MsgBuf::<128>::new(), mig_runtime::Type::out_of_line(9, 8).short());
        let mut request = buffer.request(task);
        request.ool(mig_runtime::Type::out_of_line(2, 32).short(), mig_runtime::OolArg::lend(&[1, 2]));
        request.ool(bytes, given(task, b"four"));
        request.data(mig_runtime::Type::inline(2, 32, 1), &0i32);
        request.send(410, mig_runtime::Dest::copy_send(to), mig_runtime::SendOptions::NONE).unwrap();
        relay_panic(to, c"after it").unwrap();
        assert_eq!(*served.notes.lock().unwrap(), ["\"after it\""]);
    });
}

/// What its type word does not declare the sender may give up, and a C stub would refuse it.
#[test]
fn what_a_sender_gives_up_is_taken() {
    with_server(|_, task, to| {
        let reply = ReceiveRight::allocate(task).unwrap();
        let mine = ReceiveRight::allocate(task).unwrap();
        let gives = word(0, 0, 0, false, false, true);
        let given = Local::transfer(mine.make_send().unwrap(), task).unwrap().into_raw();
        let head = [0, 32, RPC, reply.name().0, to.name().0, 400];
        send_words(task, &[&head[..], &[PORT | gives, given.0]].concat()).unwrap();
        let words = receive_words(task, reply.name(), None).unwrap();
        assert_eq!(words[6..], [INTEGER, 0]);
    });
}

/// A type word that says that plain data are names of rights is for the methods that take rights.
#[test]
#[should_panic(expected = "the type of a right")]
fn no_data_are_called_rights() {
    let task = K::new();
    let mut buffer = MsgBuf::<64>::new();
    buffer.request(&task).data(mig_runtime::Type::inline(6, 32, 1), &7u32);
}

/// There is no right that can be used once: one that is made arrives as one to send.
#[test]
fn any_right() {
    with_server(|_, task, to| {
        let mine = ReceiveRight::allocate(task).unwrap();
        let send = mine.make_send().unwrap();
        let is_send = |right| matches!(right, AnyRight::MoveSend(right) if right.name() == send.name());
        assert!(is_send(relay_any(to, &send).unwrap()));
        assert!(is_send(relay_any(to, mine.make_send().unwrap()).unwrap()));
        assert!(is_send(relay_any(to, AnyRight::make_send_once(&mine)).unwrap()));
        let all = ReceiveRight::allocate(task).unwrap();
        let name = all.name();
        assert!(matches!(relay_any(to, all).unwrap(), AnyRight::MoveReceive(right) if right.name() == name));
    });
}

/// What was moved into a request that was not sent comes back, and what was only copied does not.
#[test]
fn a_request_that_is_not_sent_owns_what_it_moves() {
    with_server(|_, task, _| {
        let port = ReceiveRight::allocate(task).unwrap();
        let dead = ReceiveRight::allocate(task).unwrap().make_send().unwrap();
        let copied = [(); 3].map(|()| port.make_send().unwrap());
        let before = task.census();
        let all = ReceiveRight::allocate(task).unwrap();
        let error = relay_rights(&dead, &copied[0], all, port.make_send().unwrap()).unwrap_err();
        assert_eq!(error.code(), KernReturn::MACH_SEND_INVALID_DEST);
        drop(error);
        let error = relay_many(&dead, &copied, [port.make_send().unwrap()], &copied).unwrap_err();
        assert_eq!(error.code(), KernReturn::MACH_SEND_INVALID_DEST);
        drop(error);
        let error = relay_memory(&dead, b"lent", given(task, b"given"), &[1; 600]).unwrap_err();
        drop(error);
        assert_eq!(task.census(), before);
    });
}

/// The same of messages that the kernel had taken in already, and that come back when time is up.
#[test]
fn a_request_that_comes_back_owns_what_it_moves() {
    let task = K::new();
    let port = ReceiveRight::allocate(&task).unwrap();
    let to = port.make_send().unwrap();
    let copied = to.try_clone().unwrap();
    while send_words(&task, &[SIMPLE, 24, 0, 0, to.name().0, 1]).is_ok() {}
    let before = task.census();
    for moves in [false, true] {
        let mut buffer = MsgBuf::<128>::new();
        let mut request = buffer.request(&task);
        match moves {
            true => request.move_send(port.make_send().unwrap()),
            false => request.copy_send(&copied),
        }
        request.move_receive(ReceiveRight::allocate(&task).unwrap());
        request.ool(mig_runtime::Type::out_of_line(9, 8), given(&task, b"given"));
        let options = mig_runtime::SendOptions { timeout: Some(0), ..mig_runtime::SendOptions::NONE };
        let error = request.send(1, mig_runtime::Dest::copy_send(&to), options).unwrap_err();
        assert_eq!(error.code(), KernReturn::MACH_SEND_TIMED_OUT);
        let unsent = error.into_unsent().unwrap();
        let right = unsent.read(|mut body| body.send_right()).unwrap();
        assert_eq!(right.name(), port.name());
    }
    assert_eq!(task.census(), before);
}

/// `msg_simple` is the byte at the top of the first word; the rest of that word has no meaning.
const SIMPLE: u32 = 0x0100_0000;
const RPC: u32 = 1 << 8;
/// A type word in its fields: name, bits, number, inline, long form, deallocate.
const fn word(name: u32, bits: u32, number: u32, inline: bool, long: bool, deallocate: bool) -> u32 {
    name | bits << 8 | number << 16 | (inline as u32) << 28 | (long as u32) << 29 | (deallocate as u32) << 30
}
/// `MSG_TYPE_PORT`, `MSG_TYPE_PORT_ALL` and `MSG_TYPE_INTEGER_32`, one of 32 bits, in line.
const PORT: u32 = word(6, 32, 1, true, false, false);
const PORT_ALL: u32 = word(5, 32, 1, true, false, false);
const INTEGER: u32 = word(2, 32, 1, true, false, false);

/// Sends a message as a program in C would.
fn send_words(task: &K, words: &[u32]) -> Result<()> {
    let both = |pair: &[u32]| u64::from(pair[0]) | u64::from(*pair.get(1).unwrap_or(&0)) << 32;
    let mut buffer: Vec<_> = words.chunks(2).map(|pair| MaybeUninit::new(both(pair))).collect();
    let call = MsgCall { send: true, send_timeout: Some(0), ..MsgCall::default() };
    // SAFETY: all is initialised, and the message moves nothing that a value of Rust has.
    unsafe { task.mach_msg(&mut buffer, call) }
}

/// Receives a message, and returns its words as the kernel delivers them. Nothing of it is released.
fn receive_words(task: &K, from: Name, receive_timeout: Option<u32>) -> Option<Vec<u32>> {
    let mut buffer = [MaybeUninit::new(0u64); 64];
    let call = MsgCall { receive: Some(from), receive_timeout, ..MsgCall::default() };
    // SAFETY: nothing is sent.
    unsafe { task.mach_msg(&mut buffer, call) }.ok()?;
    // SAFETY: all of it was initialised, and a kernel only writes what is.
    let words = buffer.iter().map(|word| unsafe { word.assume_init() });
    let mut words: Vec<u32> = words.flat_map(|word| [word as u32, (word >> 32) as u32]).collect();
    words.truncate(words[1] as usize / 4);
    Some(words)
}

/// Makes a call whose server is the test, and returns the words of its request. The answer is never given.
fn request_of(call: impl FnOnce(&SendRight<K>) + Send) -> (Vec<u32>, Name) {
    let host = Host::new();
    let (server, client) = (host.new_task("server"), host.new_task("client"));
    let port = ReceiveRight::allocate(&server).unwrap();
    let to = Local::transfer(port.make_send().unwrap(), &client).unwrap();
    std::thread::scope(|scope| {
        let calls = scope.spawn(|| call(&to));
        let words = receive_words(&server, port.name(), None).unwrap();
        client.terminate();
        let _ = calls.join();
        (words, port.name())
    })
}

#[test]
fn requests_have_the_bytes_of_the_c_stubs() {
    // `In.Head` of a routine, and a right that is copied.
    let (words, port) = request_of(|to| {
        let mine = ReceiveRight::allocate(to.kernel()).unwrap();
        let _ = relay_own(to, &mine.make_send().unwrap());
    });
    let [reply, owner] = [words[4], words[7]];
    assert_eq!(words, [0, 32, RPC, port.0, reply, 400, PORT, owner]);
    assert!(reply != 0 && owner != 0 && reply != owner);
    // 256 bytes as one element of 2048 bits, under a long type word whose first part is flags alone.
    let (words, port) = request_of(|to| {
        let _ = relay_panic(to, c"no space");
    });
    let head =
        [SIMPLE, 292, RPC, port.0, words[4], 401, word(0, 0, 0, true, true, false), 12 | 2048 << 16, 1];
    assert_eq!(words[..9], head);
    assert_eq!(words[9..12], [u32::from_le_bytes(*b"no s"), u32::from_le_bytes(*b"pace"), 0]);
    // A simple routine wants no reply, and has no port for it.
    let (words, port) = request_of(|to| relay_suspend(to).unwrap());
    assert_eq!(words, [SIMPLE, 24, 0, port.0, 0, 403]);
    // What is given up has the deallocate bit when it arrives.
    let (words, port) = request_of(|to| {
        let all = ReceiveRight::allocate(to.kernel()).unwrap();
        let name = ReceiveRight::allocate(to.kernel()).unwrap();
        relay_terminate(to, all, name.make_send().unwrap()).unwrap();
    });
    let gives = word(0, 0, 0, false, false, true);
    let expected = [0, 40, 0, port.0, 0, 408, PORT_ALL | gives, words[7], PORT | gives, words[9]];
    assert_eq!(words, expected);
}

#[test]
fn replies_have_the_bytes_of_the_c_stubs() {
    with_server(|_, task, to| {
        let reply = ReceiveRight::allocate(task).unwrap();
        let mine = ReceiveRight::allocate(task).unwrap();
        // What is in the bits that nobody uses does not matter.
        let rights = [PORT, mine.name().0];
        let head = |simple, size, id| [simple, size, RPC, reply.name().0, to.name().0, id];
        send_words(task, &[&head(0, 32, 400)[..], &rights[..]].concat()).unwrap();
        let server_has_answered = || receive_words(task, reply.name(), None).unwrap();
        assert_eq!(server_has_answered(), [SIMPLE, 32, RPC, reply.name().0, 0, 500, INTEGER, 0]);
        // A right of the server's own comes without the deallocate bit, since none is declared.
        let mine = mine.into_raw().0;
        let message =
            [&head(0, 48, 404)[..], &[PORT, reply.name().0, PORT_ALL, mine, PORT, reply.name().0]].concat();
        send_words(task, &message).unwrap();
        let words = server_has_answered();
        let names = [words[9], words[11]];
        assert_eq!(
            words,
            [0, 48, RPC, reply.name().0, 0, 504, INTEGER, 0, PORT, names[0], PORT_ALL, names[1]]
        );
        // SAFETY: they came with the message just now.
        drop(unsafe { SendRight::from_raw(task.clone(), Name(names[0])) });
        // SAFETY: as above.
        drop(unsafe { ReceiveRight::from_raw(task.clone(), Name(names[1])) });
        // A type word that is not the declared one: the error is a simple message of 32 bytes.
        send_words(task, &[&head(SIMPLE, 32, 400)[..], &[INTEGER, 7]].concat()).unwrap();
        let bad = (-304i32) as u32;
        assert_eq!(server_has_answered(), [SIMPLE, 32, RPC, reply.name().0, 0, 500, INTEGER, bad]);
    });
}
