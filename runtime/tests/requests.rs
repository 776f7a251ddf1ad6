//! The bytes of requests, and what becomes of what is in them. The expected bytes are those that the C stubs
//! hand to `mach_msg`, pads zero.

mod fixture;

use fixture::{REPLY_PORT, Recorder, message, words};
use mig_runtime::abi::{GnuI386, GnuX86_64, TaskAbi, Typed};
use mig_runtime::kernel::RightKind::{Receive, Send, SendOnce};
use mig_runtime::{
    AnyRight, CallError, CallErrorKind, CallOptions, Complex, Copying, Dest, KernReturn, MsgBuf, OolArg,
    OolMemory, PortArray, Reply, SendOptions, Shape, Type, Word,
};

const INTEGER_32: Type = Type::inline(2, 32, 1);
const INTEGER_64: Type = Type::inline(11, 64, 1);
const BOOLEAN: Type = Type::inline(0, 32, 1);
const CHARS: Type = Type::inline(8, 8, 1).long();
const BYTES: Type = Type::out_of_line(9, 8);

#[test]
fn create_is_112_bytes_on_x86_64() {
    let kernel = Recorder::<GnuX86_64>::new();
    let (control, name) = (kernel.receive_right(3), kernel.receive_right(4));
    fixture::memory_object_default::memory_object_create(
        kernel.send_right(9),
        kernel.receive_right(5),
        0x1_0000_0001,
        &control,
        &name,
        4096,
    )
    .unwrap();
    let sent = kernel.sent();
    assert_eq!(sent.len(), 112);
    assert_eq!(sent[..32], words(&[0x8000_0011, 112, 9, 0, 0, 0, 0, 2250]));
    let body = [
        [0x2000_4010, 1, 5, 0],
        [0x2000_400b, 1, 1, 1],
        [0x2000_4014, 1, 3, 0],
        [0x2000_4014, 1, 4, 0],
        [0x2000_400b, 1, 4096, 0],
    ];
    assert_eq!(sent[32..], words(body.as_flattened()));
    assert_eq!(kernel.released(), [], "what was moved is gone, what was borrowed is still here");
}

#[test]
fn create_is_64_bytes_on_i386() {
    let kernel = Recorder::<GnuI386>::new();
    let (control, name) = (kernel.receive_right(3), kernel.receive_right(4));
    let mut buffer = MsgBuf::<64>::new();
    let mut request = buffer.request(&kernel);
    request.move_receive(kernel.receive_right(5));
    request.data(INTEGER_32, &7u32);
    request.make_send(&control);
    request.make_send(&name);
    request.data(INTEGER_32, &4096u32);
    request.send(2250, Dest::move_send(kernel.send_right(9)), SendOptions::NONE).unwrap();
    let header = [0x8000_0011, 64, 9, 0, 0, 2250];
    let body = [0x1001_2010, 5, 0x1001_2002, 7, 0x1001_2014, 3, 0x1001_2014, 4, 0x1001_2002, 4096];
    assert_eq!(kernel.sent(), [words(&header), words(&body)].concat());
}

#[test]
fn scalars() {
    fn send<A: TaskAbi<Format = Typed>>() -> Vec<u8> {
        let kernel = Recorder::<A>::new();
        let mut buffer = MsgBuf::<128>::new();
        let mut request = buffer.request(&kernel);
        request.data(INTEGER_32, &1i32);
        request.data(BOOLEAN, &2u32);
        request.data(INTEGER_64, &0x1122_3344_5566_7788u64);
        request.data(INTEGER_32, &0x55i32);
        let shape = Shape { min: A::FACTS.error_reply, max: A::FACTS.error_reply, complex: Complex::Never };
        let to = kernel.send_right(9);
        drop(request.call(5000, Dest::copy_send(&to), shape, CallOptions::NONE));
        kernel.sent()
    }
    let sent = send::<GnuI386>();
    assert_eq!(sent[..24], words(&[0x1513, 60, 9, REPLY_PORT, 0, 5000]));
    let expected = [0x1001_2002, 1, 0x1001_2000, 2, 0x1001_400b, 0x5566_7788, 0x1122_3344, 0x1001_2002, 0x55];
    assert_eq!(sent[24..], words(&expected));
    let sent = send::<GnuX86_64>();
    assert_eq!(sent[..32], words(&[0x1513, 96, 9, 0, REPLY_PORT, 0, 0, 5000]));
    let expected = [
        [0x2000_2002, 1, 1, 0],
        [0x2000_2000, 1, 2, 0],
        [0x2000_400b, 1, 0x5566_7788, 0x1122_3344],
        [0x2000_2002, 1, 0x55, 0],
    ];
    assert_eq!(sent[32..], words(expected.as_flattened()));
}

/// `memory_object_create` as a kernel sends it gives the receive right up: the words that the C stubs of
/// `KernelUser` write.
#[test]
fn kernels_set_the_deallocate_bit_of_a_right() {
    let send = |request: &mut mig_runtime::Builder<'_, Recorder<GnuI386>>, kernel: &Recorder<GnuI386>| {
        request.deallocated(Dest::move_receive(kernel.receive_right(5)));
        Ok(())
    };
    assert_eq!(body::<GnuI386>(send), (words(&[0x5001_2010, 5]), true));
    let send = |request: &mut mig_runtime::Builder<'_, Recorder<GnuX86_64>>, kernel: &Recorder<GnuX86_64>| {
        request.deallocated(Dest::move_receive(kernel.receive_right(5)));
        Ok(())
    };
    assert_eq!(body::<GnuX86_64>(send), (words(&[0xa000_4010, 1, 5, 0]), true));
}

/// What a request with these arguments looks like after its header, and whether it is complex.
fn body<A: TaskAbi<Format = Typed>>(
    build: impl FnOnce(&mut mig_runtime::Builder<'_, Recorder<A>>, &Recorder<A>) -> Result<(), KernReturn>,
) -> (Vec<u8>, bool) {
    let kernel = Recorder::<A>::new();
    let to = kernel.send_right(9);
    let mut buffer = MsgBuf::<4096>::new();
    let mut request = buffer.request(&kernel);
    build(&mut request, &kernel).unwrap();
    request.send(1, Dest::copy_send(&to), SendOptions::NONE).unwrap();
    let sent = kernel.sent();
    (sent[A::FACTS.header..].to_vec(), sent[3] & 0x80 != 0)
}

#[test]
fn strings() {
    fn strings<A: TaskAbi<Format = Typed>>() -> Vec<u8> {
        let (bytes, complex) = body::<A>(|request, _| {
            request.fixed_string(Type::inline(12, 8, 20), c"fix")?;
            request.string(Type::inline(12, 8, 20), c"var", 20)
        });
        assert!(!complex);
        bytes
    }
    let var = [0x76, 0x61, 0x72, 0];
    let mut fix = [0; 24];
    fix[..3].copy_from_slice(b"fix");
    let i386 = [&[0x0c, 0x08, 0x14, 0x10][..], &fix[..20], &[0x0c, 0x08, 0x04, 0x10], &var].concat();
    assert_eq!(strings::<GnuI386>(), i386);
    let x86_64 =
        [&[0x0c, 0x08, 0, 0x20, 0x14, 0, 0, 0][..], &fix, &[0x0c, 0x08, 0, 0x20, 4, 0, 0, 0], &var, &[0; 4]];
    assert_eq!(strings::<GnuX86_64>(), x86_64.concat());
    for (string, varies, sent) in [
        (c"123", true, Ok(())),
        (c"123", false, Ok(())),
        (c"1234", true, Err(KernReturn::MIG_ARRAY_TOO_LARGE)),
        (c"1234", false, Err(KernReturn::MIG_ARRAY_TOO_LARGE)),
    ] {
        let kernel = Recorder::<GnuI386>::new();
        let to = kernel.send_right(9);
        let mut buffer = MsgBuf::<256>::new();
        let mut request = buffer.request(&kernel);
        let ty = Type::inline(12, 8, 4);
        assert_eq!(
            if varies { request.string(ty, string, 4) } else { request.fixed_string(ty, string) },
            Ok(())
        );
        let result = request.send(1, Dest::copy_send(&to), SendOptions::NONE);
        assert_eq!(result.map_err(KernReturn::from), sent);
        assert_eq!(kernel.state().sent.is_empty(), sent.is_err());
    }
}

#[test]
fn indefinite_arrays_go_out_of_line_behind_2048_bytes() {
    let hello = |request: &mut mig_runtime::Builder<'_, _>, _: &_| request.indefinite(CHARS, b"hello");
    let (bytes, complex) = body::<GnuI386>(hello);
    assert_eq!(bytes[..12], [0, 0, 0, 0x30, 8, 0, 8, 0, 5, 0, 0, 0]);
    assert_eq!((&bytes[12..], complex), (&b"hello\0\0\0"[..], false));
    let (bytes, complex) = body::<GnuX86_64>(|request, _| request.indefinite(CHARS, b"hello"));
    assert_eq!(bytes[..8], [8, 8, 0, 0x60, 5, 0, 0, 0]);
    assert_eq!((&bytes[8..], complex), (&b"hello\0\0\0"[..], false));

    static LIMIT: [u8; 2048] = [1; 2048];
    static LONG: [u8; 3000] = [1; 3000];
    let (bytes, complex) = body::<GnuX86_64>(|request, _| request.indefinite(CHARS, &LIMIT));
    assert_eq!((bytes.len(), complex), (8 + 2048, false));
    let (bytes, complex) = body::<GnuI386>(|request, _| request.indefinite(CHARS, &LONG));
    assert_eq!(bytes[..12], [0, 0, 0, 0x20, 8, 0, 8, 0, 0xb8, 0x0b, 0, 0]);
    assert_eq!((bytes.len(), complex), (16, true));
    let (bytes, complex) = body::<GnuX86_64>(|request, _| request.indefinite(CHARS, &LONG));
    assert_eq!(bytes[..8], [8, 8, 0, 0x40, 0xb8, 0x0b, 0, 0]);
    assert_eq!((bytes.len(), complex), (16, true));
}

#[test]
fn given_memory_is_gone_wherever_it_went() {
    for (size, inline) in [(5, true), (3000, false)] {
        let kernel = Recorder::<GnuX86_64>::new();
        let to = kernel.send_right(9);
        let mut buffer = MsgBuf::<4096>::new();
        let mut request = buffer.request(&kernel);
        request.indefinite(CHARS, OolMemory::allocate(&kernel, size).unwrap()).unwrap();
        request.send(1, Dest::copy_send(&to), SendOptions::NONE).unwrap();
        assert_eq!(kernel.sent()[3] & 0x80 == 0, inline);
        // In the message, or with it: the program has none of it.
        assert_eq!(kernel.memory(), (usize::from(!inline), 0, 0));
    }
}

#[test]
fn the_deallocate_bit_says_whether_memory_is_given() {
    fn first<A: TaskAbi<Format = Typed>>(give: bool) -> [u8; 4] {
        static BYTES_3: [u8; 100] = [3; 100];
        let (body, complex) = body::<A>(|request, kernel| {
            let memory = OolMemory::allocate(kernel, 100)?;
            request.ool(BYTES, if give { OolArg::Give(memory) } else { OolArg::Lend(&BYTES_3) });
            Ok(())
        });
        assert!(complex);
        body[..4].try_into().unwrap()
    }
    assert_eq!(first::<GnuI386>(false), 0x2000_0000u32.to_le_bytes());
    assert_eq!(first::<GnuI386>(true), 0x6000_0000u32.to_le_bytes());
    assert_eq!(first::<GnuX86_64>(false), 0x4000_0809u32.to_le_bytes());
    assert_eq!(first::<GnuX86_64>(true), 0xc000_0809u32.to_le_bytes());
}

#[test]
fn polymorphic_arguments() {
    let copied = |request: &mut mig_runtime::Builder<'_, Recorder<GnuI386>>, kernel: &Recorder<GnuI386>| {
        let right: &'static _ = Box::leak(Box::new(kernel.send_right(8)));
        request.poly(right);
        Ok(())
    };
    assert_eq!(body(copied), (words(&[0x1001_2013, 8]), true));
    let number = |request: &mut mig_runtime::Builder<'_, Recorder<GnuI386>>, _: &_| {
        request.poly(AnyRight::Data(Word::new(2, 8).unwrap()));
        Ok(())
    };
    assert_eq!(body(number), (words(&[0x1001_2002, 8]), false));
}

#[test]
fn compaction_and_port_arrays() {
    // array[*:10] of char with 3 elements, then an int: 40 and 64 bytes in all.
    let (bytes, _) = body::<GnuI386>(|request, _| {
        request.slice(Type::inline(8, 8, 1), b"abc", 10)?;
        request.data(INTEGER_32, &7i32);
        Ok(())
    });
    assert_eq!(bytes, words(&[0x1003_0808, u32::from_le_bytes(*b"abc\0"), 0x1001_2002, 7]));
    // array[*:4] of struct[3] of short, 2 elements: number 6.
    let (bytes, _) =
        body::<GnuI386>(|request, _| request.slice(Type::inline(1, 16, 3), &[[1u16, 2, 3], [4, 5, 6]], 4));
    assert_eq!(bytes[..4], 0x1006_1001u32.to_le_bytes());
    assert_eq!(bytes.len(), 16);

    let ports = |count: u32| {
        move |request: &mut mig_runtime::Builder<'_, Recorder<GnuX86_64>>, kernel: &Recorder<_>| {
            let rights = (0..count).map(|i| kernel.send_right(0x100 + i)).collect::<Vec<_>>();
            request.indefinite_ports(PortArray::copy_send(&*rights.leak()), Copying::VIRTUAL)
        }
    };
    let (bytes, complex) = body(ports(2));
    assert_eq!((bytes, complex), (words(&[0x6000_4013, 2, 0x100, 0, 0x101, 0]), true));
    let (bytes, complex) = body(ports(256));
    assert_eq!((bytes.len(), complex), (8 + 8 * 256, true));
    let (bytes, complex) = body(ports(257));
    assert_eq!((&bytes[..8], bytes.len(), complex), (&words(&[0x4000_2013, 257])[..], 16, true));
}

#[test]
fn an_array_that_is_too_large_gives_back_what_was_moved_before_and_after_it() {
    let kernel = Recorder::<GnuX86_64>::new();
    let made_from = std::mem::ManuallyDrop::new(kernel.receive_right(23));
    let mut buffer = MsgBuf::<256>::new();
    let mut request = buffer.request(&kernel);
    request.move_send(kernel.send_right(20));
    request.move_receive(kernel.receive_right(21));
    request.move_send_once(kernel.send_once_right(22));
    request.make_send(&made_from);
    request.ool(BYTES, OolMemory::allocate(&kernel, 10).unwrap());
    request.slice(INTEGER_32, &[0u32; 4], 3).unwrap();
    request.move_send(kernel.send_right(24));
    let error = request.send(1, Dest::move_send(kernel.send_right(9)), SendOptions::NONE).unwrap_err();
    assert_eq!((error.code(), error.kind()), (KernReturn::MIG_ARRAY_TOO_LARGE, CallErrorKind::Refused));
    assert_eq!(kernel.released(), []);
    let mut request = error.into_unsent().unwrap();
    assert_eq!(request.take_destination().unwrap().name(), mig_runtime::Name(9));
    let (first, last) = request.read(|mut body| {
        let first = body.send_right().unwrap();
        for _ in 0..5 {
            assert!(body.skip());
        }
        (first, body.send_right().unwrap())
    });
    assert_eq!((first.name(), last.name()), (mig_runtime::Name(20), mig_runtime::Name(24)));
    drop((first, last));
    assert_eq!(kernel.released(), [(Send, 9), (Receive, 21), (SendOnce, 22), (Send, 20), (Send, 24)]);
    assert_eq!(kernel.memory(), (0, 0, 0));
}

#[test]
fn data_out_of_line_that_no_type_word_counts_is_not_sent() {
    // It counts to 4095.
    let short = BYTES.short();
    static DATA: [u8; 4096] = [1; 4096];
    for (call, give) in [(true, true), (true, false), (false, true), (false, false)] {
        let kernel = Recorder::<GnuI386>::new();
        let mut buffer = MsgBuf::<256>::new();
        let mut message = buffer.request(&kernel);
        message.move_receive(kernel.receive_right(5));
        let given = || OolMemory::allocate(&kernel, DATA.len()).unwrap();
        message.ool(short, if give { OolArg::Give(given()) } else { OolArg::Lend(&DATA) });
        let to = Dest::move_send(kernel.send_right(9));
        let shape = Shape { min: 32, max: 32, complex: Complex::Never };
        let result = match call {
            true => message.call(1, to, shape, CallOptions::NONE).map(drop),
            false => message.send(1, to, SendOptions::NONE),
        };
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.kind()), (KernReturn::MIG_ARRAY_TOO_LARGE, CallErrorKind::Refused));
        assert!(error.is_unsent());
        if call {
            let mut request = error.into_unsent().unwrap();
            let memory = request.take_refused_memory();
            let lengths: Vec<usize> = memory.iter().map(|memory| memory.len()).collect();
            assert_eq!(lengths, if give { vec![DATA.len()] } else { vec![] });
        } else {
            drop(error);
        }
        let mut released = kernel.released();
        released.sort_by_key(|(_, name)| *name);
        assert_eq!(released, [(Receive, 5), (Send, 9)]);
        assert_eq!(kernel.memory(), (0, 0, 0));
        assert!(kernel.state().sent.is_empty());
    }

    let kernel = Recorder::<GnuI386>::new();
    let mut buffer = MsgBuf::<256>::new();
    let result = Reply::new(&kernel, buffer.words()).encode::<256>(|reply| {
        reply.move_receive(kernel.receive_right(5));
        reply.ool(short, OolMemory::allocate(&kernel, DATA.len())?);
        Ok(())
    });
    assert_eq!(result, Err(KernReturn::MIG_ARRAY_TOO_LARGE));
    assert_eq!(kernel.released(), [(Receive, 5)]);
    assert_eq!(kernel.memory(), (0, 0, 0));
}

#[test]
fn a_failed_send_carries_the_request_back() {
    fn fail(kernel: &Recorder<GnuX86_64>) -> CallError<Recorder<GnuX86_64>> {
        let code = KernReturn::MACH_SEND_INVALID_DEST;
        kernel.state().fail_send = Some(code);
        let mut buffer = MsgBuf::<256>::new();
        let mut request = buffer.request(kernel);
        request.move_receive(kernel.receive_right(5));
        request.data(INTEGER_64, &6u64);
        request.ool(BYTES, OolMemory::allocate(kernel, 10).unwrap());
        let error = request.send(1, Dest::move_send(kernel.send_right(9)), SendOptions::NONE).unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(error.to_string(), "request 1 not sent: MACH_SEND_INVALID_DEST (0x10000003)");
        error
    }
    let kernel = Recorder::new();
    drop(fail(&kernel));
    assert_eq!(kernel.released(), [(Send, 9), (Receive, 5)]);
    assert_eq!(kernel.memory(), (0, 0, 0));

    let mut unsent = fail(&kernel).into_unsent().unwrap();
    let destination = unsent.take_destination();
    assert!(matches!(&destination, Some(AnyRight::MoveSend(right)) if right.name().0 == 9));
    let right = unsent.read(|mut body| body.receive_right().unwrap());
    assert_eq!(right.name().0, 5);
    assert_eq!(kernel.released(), []);
    assert_eq!(kernel.memory(), (0, 0, 0), "what was not read is released");
}

#[test]
fn lent_memory_is_lent_until_the_message_is_sent() {
    let kernel = Recorder::<GnuI386>::new();
    let to = kernel.send_right(9);
    let mut buffer = MsgBuf::<256>::new();
    let mut request = buffer.request(&kernel);
    request.ool(BYTES, &[1; 9]);
    request.ool_copy(BYTES, &[2u32; 9]).unwrap();
    assert_eq!(kernel.state().memory.len(), 2);
    request.send(1, Dest::copy_send(&to), SendOptions::NONE).unwrap();
    assert_eq!(kernel.memory(), (0, 0, 0));
}

/// Who says that a call has failed, and what it says then.
#[test]
fn an_error_tells_who_said_so() {
    let kind = |reply| {
        let kernel = Recorder::<GnuX86_64>::new();
        kernel.state().deliver.push_back(reply);
        let to = std::mem::ManuallyDrop::new(kernel.send_right(9));
        let mut buffer = MsgBuf::<256>::new();
        let shape = Shape { min: 64, max: 64, complex: Complex::Always };
        let result = buffer.request(&kernel).call(5000, Dest::copy_send(&to), shape, CallOptions::NONE);
        let error = result.map(drop).unwrap_err();
        (error.kind(), error.is_unsent(), error.to_string())
    };
    let minimal =
        |id, code| Ok(message::<GnuX86_64>(0x1200, 0, REPLY_PORT, 0, id, &words(&[0x2000_2002, 1, code, 0])));
    let full = |code| Ok(reply(0x8000_1200, 5100, code, 17));
    let died = Ok(message::<GnuX86_64>(0x1200, 0, REPLY_PORT, 0, 71, &[]));
    for (reply, expected, text) in [
        (minimal(5100, 5), CallErrorKind::Answer, "the server answered KERN_FAILURE (5)"),
        (full(5), CallErrorKind::Answer, "the server answered KERN_FAILURE (5)"),
        // The same number, said by somebody else.
        (minimal(5100, -300_i32 as u32), CallErrorKind::Answer, "the server answered MIG_TYPE_ERROR (-300)"),
        (minimal(5100, 0), CallErrorKind::Malformed, "the reply is not as declared: MIG_TYPE_ERROR (-300)"),
        (
            minimal(5101, 0),
            CallErrorKind::Malformed,
            "the reply is not as declared: MIG_REPLY_MISMATCH (-301)",
        ),
        (died, CallErrorKind::ServerDied, "the server will not answer: MIG_SERVER_DIED (-308)"),
        (
            Err(KernReturn::MACH_RCV_TIMED_OUT),
            CallErrorKind::NoReply,
            "request sent, but no reply received: MACH_RCV_TIMED_OUT (0x10004003)",
        ),
    ] {
        assert_eq!(kind(reply), (expected, false, text.to_owned()));
    }
    let own = CallError::<Recorder<GnuX86_64>>::from(KernReturn::MIG_ARRAY_TOO_LARGE);
    assert_eq!(own.to_string(), "MIG_ARRAY_TOO_LARGE (-307)");
    assert!(own.is_unsent());
}

/// Calls with this reply, which has one right out.
fn call(reply: Result<Vec<u8>, KernReturn>) -> (Result<u32, KernReturn>, Recorder<GnuX86_64>) {
    let kernel = Recorder::<GnuX86_64>::new();
    kernel.state().deliver.push_back(reply);
    let to = std::mem::ManuallyDrop::new(kernel.send_right(9));
    let mut buffer = MsgBuf::<256>::new();
    let request = buffer.request(&kernel);
    let shape = Shape { min: 64, max: 64, complex: Complex::Always };
    let result = (|| {
        let mut body = request.call(5000, Dest::copy_send(&to), shape, CallOptions::NONE)?;
        let right = body.send_right()?;
        body.end()?;
        Ok::<_, CallError<_>>(right.into_raw().0)
    })();
    (result.map_err(KernReturn::from), kernel)
}

/// A reply with a return code and a send right named 30.
fn reply(bits: u32, id: i32, code: u32, name: u32) -> Vec<u8> {
    let body = [0x2000_2002, 1, code, 0, 0x2000_4000 | name, 1, 30, 0];
    message::<GnuX86_64>(bits, if bits & 0xff != 0 { 40 } else { 0 }, REPLY_PORT, 0, id, &words(&body))
}

#[test]
fn replies() {
    const COMPLEX: u32 = 0x8000_1200;
    let minimal = |bits, code| {
        Ok(message::<GnuX86_64>(bits, 0, REPLY_PORT, 0, 5100, &words(&[0x2000_2002, 1, code, 0])))
    };
    let (result, kernel) = call(Ok(reply(COMPLEX, 5100, 0, 17)));
    assert_eq!((result, kernel.released()), (Ok(30), vec![]));

    let cases = [
        ("return code in the minimal form", minimal(0x1200, 9), KernReturn(9), vec![]),
        ("success in the minimal form", minimal(0x1200, 0), KernReturn::MIG_TYPE_ERROR, vec![]),
        ("return code in the full form", Ok(reply(COMPLEX, 5100, 9, 17)), KernReturn(9), vec![(Send, 30)]),
        ("wrong type", Ok(reply(COMPLEX, 5100, 0, 18)), KernReturn::MIG_TYPE_ERROR, vec![(SendOnce, 30)]),
        ("not complex", Ok(reply(0x1200, 5100, 0, 17)), KernReturn::MIG_TYPE_ERROR, vec![]),
        ("wrong id", Ok(reply(COMPLEX, 5101, 0, 17)), KernReturn::MIG_REPLY_MISMATCH, vec![(Send, 30)]),
        (
            "a right for no reply",
            Ok(reply(COMPLEX | 17, 5101, 0, 17)),
            KernReturn::MIG_REPLY_MISMATCH,
            vec![(Send, 40), (Send, 30)],
        ),
        (
            "server died",
            Ok(message::<GnuX86_64>(0x1200, 0, REPLY_PORT, 0, 71, &[])),
            KernReturn::MIG_SERVER_DIED,
            vec![],
        ),
        ("timed out", Err(KernReturn::MACH_RCV_TIMED_OUT), KernReturn::MACH_RCV_TIMED_OUT, vec![]),
        ("too large", Ok(vec![0; 512]), KernReturn::MACH_RCV_TOO_LARGE, vec![]),
    ];
    for (what, reply, code, released) in cases {
        let (result, kernel) = call(reply);
        let result = result.unwrap_err();
        assert_eq!((result, kernel.released()), (code, released), "{what}");
        let destroyed = code == KernReturn::MIG_REPLY_MISMATCH || code.is_receive_error();
        assert_eq!(kernel.state().destroyed_reply_ports, usize::from(destroyed), "{what}");
    }
    let mut long = reply(COMPLEX, 5100, 0, 17);
    long.extend(words(&[0x2000_2002, 1, 0, 0]));
    long[4] += 16;
    let (result, kernel) = call(Ok(long));
    assert_eq!((result, kernel.released()), (Err(KernReturn::MIG_TYPE_ERROR), vec![(Send, 30)]));
}
