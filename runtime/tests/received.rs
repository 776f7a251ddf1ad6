//! Hostile requests: each right and each region is released exactly once, whatever is wrong.

mod fixture;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fixture::memory_object_default::{
    CREATE, SeqnosMemoryObjectDefault, seqnos_memory_object_default_server,
};
use fixture::{Recorder, message, words};
use mig_runtime::abi::{GnuI386, GnuX86_64, TaskAbi, Typed};
use mig_runtime::kernel::RightKind::{self, Receive, Send, SendOnce};
use mig_runtime::{
    AnyRight, Complex, KernReturn, Malformed, MsgBuf, OolMemory, Port, ReceiveRight, Received, Reply,
    ReplyTo, SendOnceRight, SendRight, Seqno, Shape, Type, WordForm,
};
use proptest::prelude::*;

type Kernel = Recorder<GnuX86_64>;

const INTEGER_32: Type = Type::inline(2, 32, 1);
const COMPLEX: u32 = 0x8000_0000;
/// A send-once right to reply to, and the right that the message came through.
const RPC: u32 = 0x1112;
const REPLY: u32 = 0x40;
const ALL: [(RightKind, u32); 3] = [(Receive, 20), (Send, 30), (Send, 31)];

/// A server that does what its test says.
#[derive(Default)]
struct Server {
    result: Option<KernReturn>,
    panics: bool,
    defers: bool,
    calls: Cell<u32>,
    token: std::cell::RefCell<Option<ReplyTo<Kernel>>>,
}

impl SeqnosMemoryObjectDefault<Kernel> for Server {
    fn memory_object_create(
        &self,
        port: Port<'_, Kernel>,
        seqno: Seqno,
        object: ReceiveRight<Kernel>,
        size: u64,
        control: SendRight<Kernel>,
        name: SendRight<Kernel>,
        page_size: u64,
    ) -> Result<(), KernReturn> {
        self.calls.set(self.calls.get() + 1);
        let names = [port.name(), object.name(), control.name(), name.name()].map(|name| name.0);
        assert_eq!((names, seqno, size, page_size), ([9, 20, 30, 31], Seqno(77), 0x1_0000_0002, 4096));
        assert!(!self.panics, "as told");
        if self.defers {
            *self.token.borrow_mut() = Some(port.defer());
            assert!(port.defer().is_null(), "the second token is null");
        }
        self.result.map_or(Ok(()), Err)
    }

    fn memory_object_data_initialize(
        &self,
        _: Port<'_, Kernel>,
        _: Seqno,
        _: SendRight<Kernel>,
        _: u64,
        data: OolMemory<Kernel>,
    ) -> Result<(), KernReturn> {
        assert_eq!(&data[..], b"page");
        Ok(())
    }

    fn memory_object_data_request(
        &self,
        _: Port<'_, Kernel>,
        _: Seqno,
        _: SendRight<Kernel>,
        _: u64,
        _: u64,
        _: i32,
    ) -> Result<(), KernReturn> {
        Ok(())
    }
}

fn create_body() -> Vec<u32> {
    let body = [
        [0x2000_4010, 1, 20, 0xdead],
        [0x2000_400b, 1, 2, 1],
        [0x2000_4011, 1, 30, 0xdead],
        [0x2000_4011, 1, 31, 0xdead],
        [0x2000_400b, 1, 4096, 0],
    ];
    body.as_flattened().to_vec()
}

fn create(bits: u32, id: i32, body: &[u32]) -> Vec<u8> {
    let remote = if bits & 0xff == 0 { 0 } else { REPLY };
    message::<GnuX86_64>(bits, remote, 9, 77, id, &words(body))
}

/// A right, as it was released.
type Right = (RightKind, u32);
type Outcome = (bool, KernReturn, bool, Vec<Right>, Vec<Vec<u8>>);

/// What the server made of a message: demux's answer, the code, whether a method took it, what was released,
/// what was sent.
fn serve(server: &Server, message: Vec<u8>) -> Outcome {
    let kernel = Kernel::new();
    let (mut request, mut reply) = (MsgBuf::<256>::new(), MsgBuf::<64>::new());
    let mut request = kernel.receive(&mut request, message);
    let mut reply = Reply::new(&kernel, reply.words());
    let known = seqnos_memory_object_default_server(server, &mut request, &mut reply);
    let (code, taken) = (reply.code(), reply.is_taken());
    reply.answer(request).unwrap();
    let mut released = kernel.released();
    released.sort_by_key(|(_, name)| *name);
    let sent = std::mem::take(&mut kernel.state().sent);
    let (_, regions, wild) = kernel.memory();
    assert_eq!((regions, wild), (0, 0));
    (known, code, taken, released, sent)
}

/// The minimal reply that says this.
fn minimal(id: u32, code: i32) -> Vec<u8> {
    words(&[18, 48, REPLY, 0, 0, 0, 0, id + 100, 0x2000_2002, 1, code as u32, 0])
}

#[test]
fn a_method_owns_what_it_is_given() {
    let result = serve(&Server::default(), create(COMPLEX | 0x1100, CREATE, &create_body()));
    assert_eq!(result, (true, KernReturn::KERN_SUCCESS, true, ALL.to_vec(), vec![]));
    let result = serve(&Server::default(), create(COMPLEX | RPC, CREATE, &create_body()));
    assert_eq!(result.4, [minimal(2250, 0)]);
}

#[test]
fn errors_of_a_method_reach_the_one_who_waits() {
    let fails = |code| Server { result: Some(code), ..Server::default() };
    let result = serve(&fails(KernReturn::KERN_NO_SPACE), create(COMPLEX | RPC, CREATE, &create_body()));
    assert_eq!(result, (true, KernReturn::KERN_NO_SPACE, true, ALL.to_vec(), vec![minimal(2250, 3)]));
    // Not served counts as not taken.
    let (_, code, taken, released, sent) =
        serve(&fails(KernReturn::MIG_BAD_ID), create(COMPLEX | RPC, CREATE, &create_body()));
    assert_eq!((code, taken, released, sent.len()), (KernReturn::MIG_BAD_ID, false, ALL.to_vec(), 1));
    // No reply, and the reply right not kept: the client is told so by its release.
    let mut all = ALL.to_vec();
    all.push((SendOnce, REPLY));
    for code in [KernReturn::MIG_NO_REPLY, KernReturn::MIG_DESTROY_REQUEST] {
        let (_, _, _, released, sent) = serve(&fails(code), create(COMPLEX | RPC, CREATE, &create_body()));
        assert_eq!((released, sent), (all.clone(), vec![]));
    }
}

#[test]
fn malformed_requests_are_refused_and_released() {
    let bits = COMPLEX | RPC;
    let edit = |index: usize, word: u32| {
        let mut body = create_body();
        body[index] = word;
        body
    };
    let cases: [(&str, u32, Vec<u32>, &[Right]); 10] = [
        ("short", bits, create_body()[..16].to_vec(), &ALL),
        ("cut in a type word", bits, create_body()[..17].to_vec(), &ALL),
        ("cut in a right", bits, create_body()[..10].to_vec(), &ALL[..1]),
        ("empty", bits, vec![], &[]),
        (
            "long",
            bits,
            [create_body(), vec![0x2000_4012, 1, 32, 0]].concat(),
            &[ALL[0], ALL[1], ALL[2], (SendOnce, 32)],
        ),
        ("not complex: the names mean nothing", RPC, create_body(), &[]),
        ("another right", bits, edit(8, 0x2000_4012), &[ALL[0], (SendOnce, 30), ALL[2]]),
        ("another number", bits, edit(13, 0), &ALL[..2]),
        ("deallocate on inline data", bits, edit(4, 0xa000_400b), &ALL),
        ("an unused bit", bits, edit(16, 0x2100_400b), &ALL),
    ];
    for (what, bits, body, released) in cases {
        let server = Server::default();
        let result = serve(&server, create(bits, CREATE, &body));
        let code = KernReturn::MIG_BAD_ARGUMENTS;
        assert_eq!(result, (true, code, false, released.to_vec(), vec![minimal(2250, -304)]), "{what}");
        assert_eq!(server.calls.get(), 0, "{what}");
    }
    let result = serve(&Server::default(), create(bits, 2252, &create_body()));
    assert_eq!(result, (false, KernReturn::MIG_BAD_ID, false, ALL.to_vec(), vec![minimal(2252, -303)]));
}

#[test]
fn a_panic_releases_everything_once() {
    let kernel = Kernel::new();
    let (mut request, mut reply) = (MsgBuf::<256>::new(), MsgBuf::<64>::new());
    let mut request = kernel.receive(&mut request, create(COMPLEX | RPC, CREATE, &create_body()));
    let mut reply = Reply::new(&kernel, reply.words());
    let server = Server { panics: true, ..Server::default() };
    let panic = AssertUnwindSafe(|| seqnos_memory_object_default_server(&server, &mut request, &mut reply));
    assert!(catch_unwind(panic).is_err());
    reply.fail(KernReturn::KERN_FAILURE);
    reply.answer(request).unwrap();
    let mut released = kernel.released();
    released.sort_by_key(|(_, name)| *name);
    assert_eq!(released, ALL);
    assert_eq!(kernel.sent(), minimal(2250, 5));
}

#[test]
fn out_of_line_data_must_have_been_delivered() {
    let kernel = Kernel::new();
    for (bits, first, number, code, wild) in [
        (COMPLEX, 0xc000_0809, 4, KernReturn::KERN_SUCCESS, 0),
        (COMPLEX, 0xc000_0809, 0, KernReturn::KERN_SUCCESS, 0),
        // An address that the sender made up, in a message that the kernel did not look at.
        (0, 0xc000_0809, 4, KernReturn::MIG_BAD_ARGUMENTS, 0),
        (COMPLEX, 0x4000_0809, 4, KernReturn::MIG_BAD_ARGUMENTS, 0),
        (COMPLEX, 0xc000_0808, 4, KernReturn::MIG_BAD_ARGUMENTS, 0),
    ] {
        let address = kernel.place(b"page") as u32;
        let body = [0x2000_4011, 1, 30, 0, 0x2000_400b, 1, 0, 0, first, number, address, 0];
        let (mut buffer, mut storage) = (MsgBuf::<256>::new(), MsgBuf::<64>::new());
        let mut request =
            kernel.receive(&mut buffer, message::<GnuX86_64>(bits, 0, 9, 0, 2251, &words(&body)));
        let mut reply = Reply::new(&kernel, storage.words());
        let server = Server::default();
        let run = AssertUnwindSafe(|| seqnos_memory_object_default_server(&server, &mut request, &mut reply));
        // The method asserts that it sees a page.
        let result = catch_unwind(run);
        assert_eq!(result.is_err(), number == 0 && code == KernReturn::KERN_SUCCESS);
        if result.is_ok() {
            assert_eq!(reply.code(), code, "{first:#x}");
        }
        drop((reply, request));
        let moved = bits == COMPLEX && first & 0x8000_0000 != 0 && number != 0;
        assert_eq!(kernel.state().memory.remove(&u64::from(address)).is_none(), moved, "{first:#x}");
        let (_, regions, claimed) = kernel.memory();
        assert_eq!((regions, claimed), (0, wild));
    }
}

#[test]
fn deferred_replies() {
    let run = || {
        let kernel = Kernel::new();
        let (mut request, mut reply) = (MsgBuf::<256>::new(), MsgBuf::<64>::new());
        let mut request = kernel.receive(&mut request, create(COMPLEX | RPC, CREATE, &create_body()));
        let mut reply = Reply::new(&kernel, reply.words());
        let server = Server { result: Some(KernReturn::MIG_NO_REPLY), defers: true, ..Server::default() };
        assert!(seqnos_memory_object_default_server(&server, &mut request, &mut reply));
        reply.answer(request).unwrap();
        let token = server.token.take().unwrap();
        assert!(kernel.state().sent.is_empty());
        kernel.released();
        (kernel, token)
    };
    let (kernel, token) = run();
    drop(token);
    assert_eq!(kernel.released(), [(SendOnce, REPLY)]);

    let (kernel, token) = run();
    let right = kernel.send_right(50);
    token
        .answer::<128, _>(CREATE, Ok(right), |reply, right| {
            reply.move_send(right);
            Ok(())
        })
        .unwrap();
    let body = [0x2000_2002, 1, 0, 0, 0x2000_4011, 1, 50, 0];
    assert_eq!(kernel.sent(), message::<GnuX86_64>(COMPLEX | 18, REPLY, 0, 0, 2350, &words(&body)));
    assert_eq!(kernel.released(), []);

    let (kernel, token) = run();
    token.answer::<64, ()>(CREATE, Err(KernReturn::KERN_FAILURE), |_, ()| Ok(())).unwrap();
    assert_eq!(kernel.sent(), minimal(2250, 5));

    let (kernel, token) = run();
    let wrong = token.answer::<64, _>(CREATE + 1, Ok(kernel.send_right(51)), |_, _| Ok(()));
    assert_eq!(wrong, Err(KernReturn::MIG_REPLY_MISMATCH));
    let mut released = kernel.released();
    released.sort_by_key(|(_, name)| *name);
    assert_eq!(released, [(Send, 51), (SendOnce, REPLY)]);
}

#[test]
fn a_reply_that_is_not_sent_releases_what_is_in_it() {
    let encode = |kernel: &Kernel, reply: &mut Reply<'_, Kernel>| {
        let memory = OolMemory::allocate(kernel, 8).unwrap();
        reply
            .encode::<256>(|builder| {
                builder.move_receive(kernel.receive_right(60));
                builder.ool(Type::out_of_line(9, 8), memory);
                builder.ool_copy(Type::out_of_line(9, 8), &[1u8; 5])
            })
            .unwrap();
    };
    for case in ["dropped", "failed", "nobody waits", "the client died", "replaced"] {
        let kernel = Kernel::new();
        let (mut buffer, mut storage) = (MsgBuf::<256>::new(), MsgBuf::<256>::new());
        let bits = if case == "nobody waits" { 0x1100 } else { RPC };
        let request = kernel.receive(&mut buffer, create(bits, 1, &[]));
        let mut reply = Reply::new(&kernel, storage.words());
        reply.serve(|reply| {
            encode(&kernel, reply);
            Ok(())
        });
        let mut expected = vec![(Receive, 60)];
        match case {
            "dropped" => {
                drop((reply, request));
                expected.push((SendOnce, REPLY));
            }
            "failed" => {
                reply.fail(KernReturn::KERN_FAILURE);
                reply.answer(request).unwrap();
            }
            "replaced" => {
                reply.encode::<48>(|_| Ok(())).unwrap();
                reply.answer(request).unwrap();
            }
            "the client died" => {
                kernel.state().fail_send = Some(KernReturn::MACH_SEND_INVALID_DEST);
                assert_eq!(reply.answer(request), Err(KernReturn::MACH_SEND_INVALID_DEST));
                expected.push((SendOnce, REPLY));
            }
            _ => reply.answer(request).unwrap(),
        }
        let mut released = kernel.released();
        released.sort_by_key(|(_, name)| std::cmp::Reverse(*name));
        expected.sort_by_key(|(_, name)| std::cmp::Reverse(*name));
        assert_eq!(released, expected, "{case}");
        assert_eq!(kernel.memory(), (0, 0, 0), "{case}");
    }
}

#[test]
fn a_server_answers_and_receives_in_one_call() {
    let kernel = Kernel::new();
    let (mut first, mut second) = (MsgBuf::<256>::new(), MsgBuf::<256>::new());
    let request = kernel.receive(&mut first, create(RPC, 1, &[]));
    kernel.state().deliver.push_back(Ok(create(RPC, 2, &[])));
    let reply = Reply::new(&kernel, second.words());
    let next = reply.answer_and_receive(request, mig_runtime::Receive::from(mig_runtime::Name(9))).unwrap();
    assert_eq!(next.id(), 2);
    assert_eq!(kernel.sent(), minimal(1, -303));
    assert_eq!(kernel.state().calls.len(), 1);
    drop(next);
    assert_eq!(kernel.released(), [(SendOnce, REPLY)]);
    // One that is too large stays, and its size is told.
    kernel.state().deliver.push_back(Ok(create(RPC, 3, &[0; 100])));
    let large = Received::receive(&kernel, first.words(), mig_runtime::Receive::from(mig_runtime::Name(9)));
    assert_eq!(large.err(), Some(mig_runtime::ReceiveError::TooLarge { size: 432 }));
    assert_eq!(kernel.state().deliver.len(), 1);
}

#[test]
fn variable_arguments() {
    fn check<A: TaskAbi<Format = Typed>>(array: &[u32], tail: &[u32]) -> Result<(Vec<u8>, i32), Malformed> {
        let kernel = Recorder::<A>::new();
        let mut buffer = MsgBuf::<256>::new();
        let body = words(&[array, tail].concat());
        let request = kernel.receive(&mut buffer, message::<A>(0, 0, 9, 0, 1, &body));
        let min = A::FACTS.header + if A::FACTS.alignment == 8 { 24 } else { 12 };
        let mut body = request.body(Shape { min, max: min + 16, complex: Complex::Never })?;
        let bytes = body.slice::<u8>(Type::inline(8, 8, 1), 10)?;
        let number = body.data(INTEGER_32)?;
        body.end()?;
        Ok((bytes.to_vec(), number))
    }
    let abc = u32::from_le_bytes(*b"abc\0");
    let z = [0x1001_2002, 7];
    assert_eq!(check::<GnuI386>(&[0x1003_0808, abc], &z), Ok((b"abc".to_vec(), 7)));
    assert_eq!(check::<GnuI386>(&[0x1000_0808], &z), Ok((vec![], 7)));
    assert_eq!(check::<GnuI386>(&[0x100b_0808, abc, abc, abc], &z), Err(Malformed::Count));
    assert_eq!(check::<GnuI386>(&[0x100a_0808, abc], &z), Err(Malformed::Size));
    assert_eq!(check::<GnuI386>(&[0x1003_0808, abc], &[z[0], z[1], 0]), Err(Malformed::Size));
    assert_eq!(check::<GnuI386>(&[0x0003_0808, abc], &z), Err(Malformed::Type));
    let z = [0x2000_2002, 1, 7, 0];
    assert_eq!(check::<GnuX86_64>(&[0x2000_0808, 3, abc, 0], &z), Ok((b"abc".to_vec(), 7)));
    assert_eq!(check::<GnuX86_64>(&[0x2000_0808, 11, abc, abc, abc, 0], &z), Err(Malformed::Count));
    assert_eq!(
        check::<GnuX86_64>(&[0x2000_0808, u32::MAX, abc, 0], &z),
        Err(Malformed::Size),
        "as in C: what is not there comes before what is too much"
    );
}

#[test]
fn arrays_of_rights() {
    let kernel = Kernel::new();
    let shape = Shape { min: 48, max: 4096, complex: Complex::Always };
    let receive = |body: &[u32]| -> Result<Vec<u32>, Malformed> {
        let mut buffer = MsgBuf::<256>::new();
        let request = kernel.receive(&mut buffer, message::<GnuX86_64>(COMPLEX, 0, 9, 0, 1, &words(body)));
        let mut body = request.body(shape)?;
        let rights = body.indefinite_ports::<SendRight<_>>()?;
        body.end()?;
        Ok(rights.into_iter().map(|right| right.into_raw().0).collect())
    };
    assert_eq!(receive(&[0x6000_4011, 2, 1, 0, 2, 0]), Ok(vec![1, 2]));
    let address = kernel.place(&words(&[3, 4, 5])) as u32;
    assert_eq!(receive(&[0xc000_2011, 3, address, 0]), Ok(vec![3, 4, 5]));
    assert_eq!(kernel.released(), []);
    // Of another kind, and then dropped with the memory that they are in.
    let address = kernel.place(&words(&[6, 7])) as u32;
    assert_eq!(receive(&[0xc000_2012, 2, address, 0]), Err(Malformed::Type));
    assert_eq!(kernel.released(), [(SendOnce, 6), (SendOnce, 7)]);
    assert_eq!(kernel.memory(), (0, 0, 0));
}

#[test]
fn a_type_that_does_not_exist_hides_no_right() {
    let kernel = Recorder::<GnuI386>::new();
    let mut buffer = MsgBuf::<256>::new();
    // The long form: inline, number 0x3210, 32 bits, one element; then a send right.
    let body = [0x3000_0000, 0x0020_3210, 1, 7, 0x1001_2011, 30];
    drop(kernel.receive(&mut buffer, message::<GnuI386>(COMPLEX, 0, 9, 0, 1, &words(&body))));
    assert_eq!(kernel.released(), [(Send, 30)]);
}

#[test]
fn strings_end_where_they_should() {
    fn read(first: [u32; 2], bytes: &[u8; 8], fixed: bool) -> Result<String, Malformed> {
        let kernel = Kernel::new();
        let mut buffer = MsgBuf::<256>::new();
        let body = [words(&first), bytes.to_vec()].concat();
        let request = kernel.receive(&mut buffer, message::<GnuX86_64>(0, 0, 9, 0, 1, &body));
        let mut body = request.body(Shape { min: 40, max: 64, complex: Complex::Never })?;
        let ty = Type::inline(12, 8, 8);
        let string = if fixed { body.fixed_string(ty)? } else { body.string(ty, 8)? };
        Ok(string.to_str().unwrap().into())
    }
    let (eight, four) = ([0x2000_080c, 8], [0x2000_080c, 4]);
    assert_eq!(read(eight, b"ab\0\0\0\0\0\0", true), Ok("ab".into()));
    assert_eq!(read(eight, b"abcdefgh", true), Ok("abcdefg".into()), "the last byte becomes a NUL");
    assert_eq!(read(four, b"abc\0\0\0\0\0", false), Ok("abc".into()));
    assert_eq!(read(four, b"abcd\0\0\0\0", false), Err(Malformed::String), "the NUL after it does not count");
    assert_eq!(read([0x2000_080c, 9], b"abcdefgh", false), Err(Malformed::Size));
}

/// An argument of a message in its received form, and the rights in it.
fn argument<A: TaskAbi<Format = Typed>>(
    kind: u8,
    name: u32,
    len: u8,
    kernel: &Recorder<A>,
) -> (Vec<u8>, Vec<(RightKind, u32)>) {
    let wide = A::FACTS.alignment == 8;
    let right = |kind| match kind % 3 {
        0 => (16, Receive),
        1 => (17, Send),
        _ => (18, SendOnce),
    };
    let argument = |mut bytes: Vec<u8>, data: Vec<u8>| {
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(A::FACTS.alignment), 0xaa);
        bytes
    };
    let word = |ty: Type| ty.word::<A>()[..ty.word_len::<A>()].to_vec();
    // The type word of a right is that of data with another name.
    let word_of = |disposition: u8, ty: Type| {
        let mut bytes = word(ty);
        let name = if bytes.len() == 12 { 4 } else { 0 };
        bytes[name] = disposition;
        bytes
    };
    match kind % 8 {
        0..3 => {
            let (disposition, right) = right(kind);
            let slot = if wide { words(&[name, 0xffff_ffff]) } else { words(&[name]) };
            let ty = Type::inline(0, A::FACTS.port as u16 * 8, 1);
            (argument(word_of(disposition, ty), slot), vec![(right, name)])
        }
        3..6 => {
            let (disposition, right) = right(kind);
            let names = (0..u32::from(len % 4)).map(|i| name + i).collect::<Vec<_>>();
            let address = kernel.place(&words(&names));
            let ty = Type::out_of_line(0, 32).deallocate().with_number(names.len() as u32);
            let pointer = address.to_le_bytes()[..A::FACTS.pointer].to_vec();
            if names.is_empty() {
                kernel.state().memory.remove(&address);
            }
            (
                argument(word_of(disposition, ty), pointer),
                names.into_iter().map(|name| (right, name)).collect(),
            )
        }
        6 => (argument(word(Type::inline(9, 8, u32::from(len))), vec![7; len.into()]), vec![]),
        _ => (argument(word(Type::inline(2, 32, 1).long()), words(&[len.into()])), vec![]),
    }
}

/// Reads arguments by guesses, and drops everything.
fn read_somehow<A: TaskAbi<Format = Typed>>(kernel: &Recorder<A>, bits: u32, body: &[u8], guesses: &[u8]) {
    let mut buffer = MsgBuf::<8192>::new();
    let request = kernel.receive(&mut buffer, message::<A>(bits, REPLY, 9, 0, 1, body));
    let shape = Shape { min: A::FACTS.header, max: 8192, complex: Complex::Depends };
    let Ok(mut body) = request.body(shape) else { return };
    for guess in guesses {
        let _ = match guess % 17 {
            0 => body.receive_right().map(drop),
            1 => body.send_right().map(drop),
            2 => body.send_once_right().map(drop),
            3 => body.poly().map(drop),
            4 => body.data::<u32>(INTEGER_32.long()).map(drop),
            5 => body.slice::<u8>(Type::inline(9, 8, 1), 300).map(drop),
            6 => body.indefinite_ports::<ReceiveRight<_>>().map(drop),
            7 => body.indefinite_ports::<SendRight<_>>().map(drop),
            8 => body.ool_ports::<SendOnceRight<_>>().map(drop),
            9 => body.indefinite::<u64>(Type::inline(11, 64, 1).long()).map(drop),
            10 => body.string(Type::inline(12, 8, 1), 64).map(drop),
            11 => body.ports::<AnyRight<'static, _>, 4>(WordForm::Short, 4).map(drop),
            12 => body.indefinite_ports::<AnyRight<'static, _>>().map(drop),
            13 => body.ool_ports::<AnyRight<'static, _>>().map(drop),
            14 => body.slice_before::<u32>(Type::inline(2, 32, 1).long(), 300, guesses.len()).map(drop),
            15 => body.packed_slice::<u64>(Type::inline(9, 8, 1), 300).map(drop),
            _ => Ok(()).inspect(|()| _ = body.skip()),
        };
    }
}

fn exactly_once<A: TaskAbi<Format = Typed>>(arguments: &[(u8, u8)], guesses: &[u8]) {
    let kernel = Recorder::<A>::new();
    let (mut body, mut expected) = (vec![], vec![]);
    for (index, (kind, len)) in arguments.iter().enumerate() {
        let (bytes, rights) = argument(*kind, 0x1000 + index as u32 * 16, *len, &kernel);
        body.extend(bytes);
        expected.extend(rights);
    }
    read_somehow(&kernel, COMPLEX | 0x1112, &body, guesses);
    expected.push((SendOnce, REPLY));
    let mut released = kernel.released();
    released.sort_by_key(|(_, name)| *name);
    expected.sort_by_key(|(_, name)| *name);
    assert_eq!(released, expected);
    assert_eq!(kernel.memory(), (0, 0, 0));
}

proptest! {
    #[test]
    fn every_right_is_released_exactly_once(
        arguments in prop::collection::vec((any::<u8>(), any::<u8>()), 0..12),
        guesses in prop::collection::vec(any::<u8>(), 0..16),
    ) {
        exactly_once::<GnuI386>(&arguments, &guesses);
        exactly_once::<GnuX86_64>(&arguments, &guesses);
    }

    #[test]
    fn random_bytes_do_no_harm(
        bits in any::<u32>(),
        body in prop::collection::vec(prop_oneof![Just(0u8), 15u8..20, Just(0x20), Just(0x40), any::<u8>()], 0..300),
        guesses in prop::collection::vec(any::<u8>(), 0..16),
    ) {
        let kernel = Recorder::<GnuI386>::new();
        read_somehow(&kernel, bits, &body, &guesses);
        prop_assert_eq!(kernel.state().regions, 0);
        let kernel = Recorder::<GnuX86_64>::new();
        read_somehow(&kernel, bits, &body, &guesses);
        prop_assert_eq!(kernel.state().regions, 0);
    }
}

/// GNU Mach delivers it in place of the name; on a 64-bit machine it fills the slot of the port.
#[test]
fn a_payload_stands_for_the_request_port() {
    let payload = |bits: u32, high: u32| {
        let kernel = Kernel::new();
        let mut buffer = MsgBuf::<64>::new();
        let mut bytes = message::<GnuX86_64>(bits, REPLY, 0x1234_5678, 0, 1, &[]);
        bytes[20..24].copy_from_slice(&high.to_le_bytes());
        let request = kernel.receive(&mut buffer, bytes);
        (request.port().name().0, request.port().payload())
    };
    assert_eq!(payload(0x1712, 0xabcd), (0, Some(0xabcd_1234_5678)));
    assert_eq!(payload(RPC, 0xabcd), (0x1234_5678, None), "the upper half of a name's slot means nothing");
    let kernel = Recorder::<GnuI386>::new();
    let mut buffer = MsgBuf::<64>::new();
    let request = kernel.receive(&mut buffer, message::<GnuI386>(0x1712, REPLY, 0x1234, 9, 1, &[]));
    assert_eq!((request.port().name().0, request.port().payload()), (0, Some(0x1234)));
}

/// Numbers whose bytes, counted with 32 bits, are those of the elements that are there. The C stubs count so:
/// their servers and clients take such a message, and hand the number on as the count.
#[test]
fn numbers_that_wrap_around_in_c() {
    const ARRAY: Type = Type::inline(2, 32, 1).long();
    const STRUCTS: Type = Type::out_of_line(2, 32);
    /// Two elements, under a number that says so in C.
    fn body<A: TaskAbi<Format = Typed>>(bits: u32, number: u32) -> Vec<u8> {
        assert_eq!(number.wrapping_mul(bits / 8), 8, "two words for C");
        let word = Type::inline(2, bits as u16, number).long().word::<A>();
        [&word[..ARRAY.word_len::<A>()], &words(&[1, 2])].concat()
    }
    fn read<A: TaskAbi<Format = Typed>>(
        bits: u32,
        number: u32,
        indefinite: bool,
    ) -> Result<usize, Malformed> {
        let kernel = Recorder::<A>::new();
        let mut buffer = MsgBuf::<256>::new();
        let request = kernel.receive(&mut buffer, message::<A>(0, 0, 9, 0, 1, &body::<A>(bits, number)));
        let mut body = request.body(Shape { min: A::FACTS.header, max: 4096, complex: Complex::Depends })?;
        let bits = bits as u16;
        match (bits, indefinite) {
            (32, false) => body.slice::<u32>(ARRAY, 1024).map(|array| array.len()),
            (32, true) => body.indefinite::<u32>(STRUCTS).map(|array| array.len()),
            (_, false) => {
                body.packed_slice::<u64>(Type::inline(2, bits, 1).long(), 1024).map(|array| array.len())
            }
            (_, true) => body.indefinite::<u64>(Type::out_of_line(2, bits)).map(|array| array.len()),
        }
    }
    fn check<A: TaskAbi<Format = Typed>>() {
        assert_eq!((read::<A>(32, 2, false), read::<A>(64, 1, true)), (Ok(2), Ok(1)));
        for times in 1..4 {
            let number = 2 + times * (1 << 30);
            assert_eq!(read::<A>(32, number, false), Err(Malformed::Size), "bounded");
            assert_eq!(read::<A>(32, number, true), Err(Malformed::Size), "indefinite");
        }
        assert_eq!(read::<A>(64, 1 + (1 << 29), false), Err(Malformed::Size));
        assert_eq!(read::<A>(64, 1 + (1 << 29), true), Err(Malformed::Size));
        // The same in a reply.
        let kernel = Recorder::<A>::new();
        let code = Type::inline(2, 32, 1).word::<A>();
        let code = [
            &code[..A::FACTS.error_reply - A::FACTS.header - A::FACTS.alignment],
            &[0; 8][..A::FACTS.alignment],
        ];
        let reply = [&code.concat()[..], &body::<A>(32, 2 + (1 << 30))].concat();
        kernel.state().deliver.push_back(Ok(message::<A>(0x1200, 0, fixture::REPLY_PORT, 0, 101, &reply)));
        let (mut buffer, to) = (MsgBuf::<256>::new(), kernel.send_right(9));
        let shape = Shape { min: A::FACTS.error_reply + 8, max: 4096, complex: Complex::Depends };
        let dest = mig_runtime::Dest::copy_send(&to);
        let mut reply = buffer.request(&kernel).call(1, dest, shape, mig_runtime::CallOptions::NONE).unwrap();
        assert_eq!(reply.indefinite::<u32>(STRUCTS).map(|array| array.len()), Err(Malformed::Size));
    }
    check::<GnuI386>();
    check::<GnuX86_64>();
}

#[test]
fn what_a_long_type_word_leaves_unused_is_zero() {
    const ARRAY: Type = Type::inline(9, 8, 1).long();
    let read = |first: u32, variable: bool| {
        let kernel = Recorder::<GnuI386>::new();
        let mut buffer = MsgBuf::<64>::new();
        let body = words(&[first, 9 | 8 << 16, 4, 0x0403_0201]);
        let request = kernel.receive(&mut buffer, message::<GnuI386>(0, 0, 9, 0, 1, &body));
        let mut body = request.body(Shape { min: 24, max: 64, complex: Complex::Depends })?;
        match variable {
            true => body.slice::<u8>(ARRAY, 8).map(<[u8]>::len),
            false => body.data::<[u8; 4]>(ARRAY.with_number(4)).map(|bytes| bytes.len()),
        }
    };
    for variable in [true, false] {
        assert_eq!(read(0x3000_0000, variable), Ok(4));
        for unused in [1, 1 << 8, 1 << 16, 1 << 27] {
            assert_eq!(read(0x3000_0000 | unused, variable), Err(Malformed::Type));
        }
    }
}
