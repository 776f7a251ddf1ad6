//! The message of an exception as people write it down by hand, against one that a kernel sends: what
//! `docs/book/exception_server.md` says of it.

use std::mem::{MaybeUninit, offset_of, size_of};

use mach_defs::apple_64::mach_exc::{
    MachExceptionRaiseStateIdentityReply, mach_exception_raise_state_identity,
};
use mig_runtime::abi::Apple64;
use mig_runtime::kernel::MsgCall;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{KernReturn, Kernel, MsgBuf, ReceiveRight, array_vec};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    bits: u32,
    size: u32,
    remote_port: u32,
    local_port: u32,
    voucher_port: u32,
    id: i32,
}

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct PortDescriptor {
    name: u32,
    pad1: u32,
    pad2: u16,
    disposition: u8,
    kind: u8,
}

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C, packed(4))]
struct RaiseStateIdentity {
    header: Header,
    descriptor_count: u32,
    thread: PortDescriptor,
    task: PortDescriptor,
    ndr: [u8; 8],
    exception: i32,
    code_count: u32,
    code: [i64; 2],
    flavor: i32,
    old_state_count: u32,
    old_state: [u32; 1296],
    trailer: [u8; 8],
}

#[derive(IntoBytes, Immutable)]
#[repr(C, packed(4))]
struct Reply {
    header: Header,
    ndr: [u8; 8],
    return_code: i32,
    flavor: i32,
    new_state_count: u32,
    new_state: [u32; 1296],
}

/// The reply to a request that has been handled, with these registers.
fn reply(request: &RaiseStateIdentity, state: &[u32]) -> Reply {
    let mut new_state = [0; 1296];
    new_state[..state.len()].copy_from_slice(state);
    let unused = size_of_val(&new_state) - size_of_val(state);
    Reply {
        header: Header {
            bits: request.header.bits & 0x1f,
            size: (size_of::<Reply>() - unused) as u32,
            remote_port: request.header.remote_port,
            local_port: 0,
            voucher_port: 0,
            id: request.header.id + 100,
        },
        ndr: request.ndr,
        return_code: 0,
        flavor: request.flavor,
        new_state_count: state.len() as u32,
        new_state,
    }
}

/// The request without `packed(4)`.
#[repr(C)]
struct NotPacked {
    head: [u8; 68],
    code: [i64; 2],
}

type Task = Local<Apple64>;

/// Has a kernel raise an exception with these codes and registers, and calls `serve` with what the server
/// receives. Returns what the kernel is answered, if it is.
fn raise(
    code: &[i64],
    state: &[u32],
    serve: impl FnOnce(&Task, &RaiseStateIdentity),
) -> Result<MachExceptionRaiseStateIdentityReply, KernReturn> {
    let host: Host<Apple64> = Host::new();
    let (kernel, server) = (host.new_task("kernel"), host.new_task("server"));
    let port = ReceiveRight::allocate(&server).unwrap();
    let to_server = Local::transfer(port.make_send().unwrap(), &kernel).unwrap();
    let [thread, task] = [(); 2].map(|()| ReceiveRight::allocate(&kernel).unwrap());
    let (to_thread, to_task) = (thread.make_send().unwrap(), task.make_send().unwrap());
    std::thread::scope(|scope| {
        let raised = scope.spawn(|| {
            Ok(mach_exception_raise_state_identity(&to_server, &to_thread, &to_task, 1, code, 6, state)?)
        });
        let mut buffer = MsgBuf::<5360>::new();
        let words = buffer.words();
        words.fill(MaybeUninit::new(0));
        let receive = MsgCall { receive: Some(port.name()), ..MsgCall::default() };
        // SAFETY: nothing is sent.
        unsafe { server.mach_msg(words, receive) }.unwrap();
        // SAFETY: all of it has been initialised.
        let bytes = words.iter().flat_map(|word| unsafe { word.assume_init() }.to_ne_bytes());
        serve(&server, RaiseStateIdentity::ref_from_prefix(&bytes.collect::<Vec<u8>>()).unwrap().0);
        // With it the rights that the message brought go; without an answer the kernel hears that nobody will
        // answer.
        server.terminate();
        raised.join().unwrap()
    })
}

#[test]
fn a_full_message_is_as_written_down() {
    let state = [7; 1296];
    let answer = raise(&[1, 0xdead_0000_0008], &state, |_, message| {
        // A kernel has swapped the ports; the rights are send rights now.
        assert_eq!((message.header.bits, message.header.id), (0x8000_1112, 2407));
        assert_eq!(message.header.size as usize, size_of::<RaiseStateIdentity>() - 8);
        assert_ne!((message.header.remote_port, message.header.local_port), (0, 0));
        assert_eq!((message.header.voucher_port, message.descriptor_count), (0, 2));
        for descriptor in [&message.thread, &message.task] {
            assert_ne!(descriptor.name, 0);
            assert_eq!((descriptor.pad1, descriptor.pad2), (0, 0));
            assert_eq!((descriptor.disposition, descriptor.kind), (17, 0));
        }
        assert_eq!(message.ndr, [0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!((message.exception, message.code_count), (1, 2));
        assert_eq!({ message.code }, [1, 0xdead_0000_0008]);
        assert_eq!((message.flavor, message.old_state_count), (6, 1296));
        assert_eq!({ message.old_state }, state);
        // Its type, and its size, which is the least.
        assert_eq!(message.trailer, [0, 0, 0, 0, 8, 0, 0, 0]);
    });
    assert_eq!(answer, Err(KernReturn::MIG_SERVER_DIED));
}

/// What stands after an array that is not full is not where the structure has it.
#[test]
fn with_one_code_all_that_follows_moves() {
    let answer = raise(&[1], &[7; 68], |_, message| {
        assert_eq!(message.code_count, 1);
        // The flavor and the count of the registers have taken the place of the subcode.
        assert_eq!({ message.code }[1], 68 << 32 | 6);
        assert_eq!((message.flavor, message.old_state_count), (7, 7));
    });
    assert_eq!(answer, Err(KernReturn::MIG_SERVER_DIED));
}

#[test]
fn a_reply_is_as_written_down() {
    let answer = raise(&[1, 0], &[7; 68], |server, message| {
        let reply = reply(message, &[8; 68]);
        assert_eq!(reply.header.size, 44 + 68 * 4);
        let mut buffer = MsgBuf::<5248>::new();
        let words = buffer.words();
        words.fill(MaybeUninit::new(0));
        for (word, bytes) in words.iter_mut().zip(reply.as_bytes().chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.write(u64::from_ne_bytes(padded));
        }
        let send = MsgCall { send: true, ..MsgCall::default() };
        // SAFETY: the buffer is initialised; the reply right that the message moves is this server's.
        unsafe { server.mach_msg(words, send) }.unwrap();
    });
    let expected = MachExceptionRaiseStateIdentityReply { flavor: 6, new_state: array_vec(&[8; 68]) };
    assert_eq!(answer, Ok(expected));
}

#[test]
fn without_packing_the_codes_are_read_from_elsewhere() {
    assert_eq!(offset_of!(RaiseStateIdentity, code), 68);
    assert_eq!(offset_of!(NotPacked, code), 72);
    assert_eq!(size_of::<NotPacked>(), offset_of!(RaiseStateIdentity, flavor) + 4);
    let _ = NotPacked { head: [0; 68], code: [0; 2] };
}
