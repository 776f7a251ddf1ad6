//! Both sides of an interface in a kernel, to which ports are addresses: a stub of `KernelUser` sends, and a
//! server of `KernelServer` takes the request as the kernel has it, with its header not turned around.

use std::mem::MaybeUninit;

use mig_runtime::abi::{Apple32, Apple64, GnuI386, GnuX86_64, GnuX86_64Of2022, InKernel, Osf32};
use mig_runtime::kernel::RightKind;
use mig_runtime::{
    ArrayVec, KernReturn, OolMemory, Port, PortAddress, ReceiveRight, Received, Reply, Rights, SendOnceRight,
    SendRight,
};
use mig_tests::c_calls::Flight;
use mig_tests::convert::World;
use mig_tests::wire_kernel::Wire;

/// The upper half of the addresses of ports, as those of a kernel of 64 bits have it.
const UPPER: u32 = 0xffff_8001;

/// The port of the object, and one that is sent along.
const OBJECT: u32 = 0x10;
const FRIEND: u32 = 0x20;
/// The first of three ports in memory.
const FIRST: u32 = 0x30;

macro_rules! in_kernel {
    ($module:ident, $abi:literal, $marker:ident, $upper:expr, $forget:expr) => {
        mod $module {
            use super::*;

            mod user {
                mig_derive::interface! {
                    abi: $abi,
                    side: client,
                    inline: "
                        subsystem KernelUser store 4000;
                        type number_t = MACH_MSG_TYPE_INTEGER_32;
                        type byte = MACH_MSG_TYPE_BYTE;
                        type port_t = MACH_MSG_TYPE_COPY_SEND;
                        type moved_t = MACH_MSG_TYPE_MOVE_SEND;
                        type once_t = MACH_MSG_TYPE_MAKE_SEND_ONCE;
                        type receive_t = MACH_MSG_TYPE_MOVE_RECEIVE;
                        type pair_t = array[2] of port_t;
                        type ports_t = ^array[] of moved_t;
                        type data_t = ^array[] of byte;
                        routine store_put(
                            store : port_t; friend : port_t; key : number_t; alarm : once_t; port : receive_t;
                            pair : pair_t; ports : ports_t, dealloc; data : data_t;
                            out all : ports_t, dealloc; out sum : number_t; out back : data_t, dealloc);
                        simpleroutine store_forget(store : port_t; friend : moved_t);
                    ",
                }
            }

            mod server {
                mig_derive::interface! {
                    abi: $abi,
                    side: server,
                    inline: "
                        subsystem KernelServer store 4000;
                        type number_t = MACH_MSG_TYPE_INTEGER_32;
                        type byte = MACH_MSG_TYPE_BYTE;
                        type port_t = MACH_MSG_TYPE_COPY_SEND;
                        type moved_t = MACH_MSG_TYPE_MOVE_SEND;
                        type once_t = MACH_MSG_TYPE_MAKE_SEND_ONCE;
                        type receive_t = MACH_MSG_TYPE_MOVE_RECEIVE;
                        type object_t = port_t intran: object_t object_of_port(port_t);
                        type pair_t = array[2] of port_t;
                        type ports_t = ^array[] of moved_t;
                        type data_t = ^array[] of byte;
                        routine store_put(
                            store : object_t; friend : port_t; key : number_t; alarm : once_t; port : receive_t;
                            pair : pair_t; ports : ports_t; data : data_t;
                            out all : ports_t, dealloc; out sum : number_t; out back : data_t, dealloc);
                        simpleroutine store_forget(store : object_t; friend : moved_t);
                    ",
                    extern_type: { object_t: mig_runtime::PortAddress },
                }
            }

            type A = InKernel<$marker>;
            type K = Wire<A>;

            /// A store whose object is the port at this address.
            struct Store(PortAddress);

            impl server::Store<K> for Store {
                fn object_of_port(&self, port: PortAddress) -> Result<PortAddress, KernReturn> {
                    // It is the remote port in the header, that is, not yet the receiver's.
                    assert_eq!(port, self.0);
                    Ok(port)
                }

                fn store_put(
                    &self,
                    _: PortAddress,
                    _: Port<'_, K>,
                    friend: SendRight<K>,
                    key: i32,
                    alarm: SendOnceRight<K>,
                    port: ReceiveRight<K>,
                    pair: [SendRight<K>; 2],
                    ports: Rights<K, SendRight<K>>,
                    data: OolMemory<K>,
                ) -> Result<server::StorePutReply<K>, KernReturn> {
                    if key < 0 {
                        return Err(KernReturn::KERN_INVALID_ARGUMENT);
                    }
                    assert_eq!(friend.name(), address($upper, FRIEND));
                    assert_eq!((alarm.name(), port.name()), (friend.name(), address($upper, FRIEND + 1)));
                    let mut all: Vec<_> = ports.collect();
                    let [first, second] = pair;
                    all.extend([friend, first, second]);
                    let sum = key + data.iter().map(|byte| i32::from(*byte)).sum::<i32>();
                    Ok(server::StorePutReply { all: all.into_iter().collect(), sum, back: data })
                }

                fn store_forget(&self, _: PortAddress, _: Port<'_, K>, friend: SendRight<K>) -> Result<(), KernReturn> {
                    assert_eq!(friend.name(), address($upper, FRIEND));
                    Ok(())
                }
            }

            /// Serves a request as a kernel's dispatcher does, and returns the reply, if there is one.
            fn serve(kernel: &K, request: &Flight) -> Option<Flight> {
                let mut message = kernel.copied_in(request);
                let mut reply_storage = [const { MaybeUninit::uninit() }; 64];
                // SAFETY: the message has just been copied in, and nobody else has it.
                let mut request = unsafe { Received::in_kernel(kernel, &mut message) };
                let mut reply = Reply::new(kernel, &mut reply_storage);
                let store = Store(address($upper, OBJECT));
                assert!(server::store_server(&store, &mut request, &mut reply));
                reply.answer(request).unwrap();
                kernel.take_sent().pop().map(|sent| sent.flight)
            }

            fn kernel() -> K {
                K::with_ports_at($upper)
            }

            fn send_right(kernel: &K, number: u32) -> SendRight<K> {
                let name = kernel.grant(RightKind::Send, number);
                // SAFETY: it has just been granted.
                unsafe { SendRight::from_raw(kernel.clone(), name) }
            }

            fn receive_right(kernel: &K, number: u32) -> ReceiveRight<K> {
                let name = kernel.grant(RightKind::Receive, number);
                // SAFETY: it has just been granted.
                unsafe { ReceiveRight::from_raw(kernel.clone(), name) }
            }

            /// A kernel whose calls the server answers.
            fn served() -> K {
                let kernel = kernel();
                let theirs = super::$module::kernel();
                let answers = super::$module::kernel();
                kernel.answer(move |request| {
                    let reply = serve(&theirs, request).ok_or(KernReturn::MACH_RCV_TIMED_OUT)?;
                    assert_eq!(theirs.census(), Vec::<String>::new());
                    Ok(answers.received_in_kernel(&reply))
                });
                kernel
            }

            #[test]
            fn whatever_is_sent_arrives() {
                let kernel = served();
                {
                    let (store, friend) = (send_right(&kernel, OBJECT), send_right(&kernel, FRIEND));
                    let bell = receive_right(&kernel, FRIEND);
                    let port = receive_right(&kernel, FRIEND + 1);
                    let pair = [OBJECT, FRIEND].map(|number| send_right(&kernel, number));
                    let ports: Vec<_> = (0..3).map(|n| send_right(&kernel, FIRST + n)).collect();
                    let reply =
                        user::store_put(&store, &friend, 40, &bell, port, &pair, ports, &[1, 1][..])
                            .unwrap();
                    assert_eq!((reply.sum, &reply.back[..2]), (42, &[1, 1][..]));
                    let all: ArrayVec<_, 6> = reply.all.map(|right| right.name()).collect();
                    let expected = [FIRST, FIRST + 1, FIRST + 2, FRIEND, OBJECT, FRIEND];
                    assert_eq!(all[..], expected.map(|number| address($upper, number)));
                    user::store_forget(&store, friend).unwrap();
                }
                let sent = kernel.take_sent();
                assert_eq!(serve(&super::$module::kernel(), &sent[1].flight), None);
                assert_eq!(kernel.census(), Vec::<String>::new());
            }

            /// A send-once right is made from the port of the thread.
            #[test]
            fn a_kernel_calls_with_a_reply_port() {
                let kernel = kernel();
                kernel.answer(|_| Err(KernReturn::MACH_RCV_TIMED_OUT));
                {
                    let store = send_right(&kernel, OBJECT);
                    let port = receive_right(&kernel, FRIEND);
                    let pair = [OBJECT, FRIEND].map(|number| send_right(&kernel, number));
                    let none: Vec<SendRight<K>> = Vec::new();
                    let refused = user::store_put(&store, &store, 0, &port, receive_right(&kernel, 1), &pair, none, &[][..]);
                    assert_eq!(refused.unwrap_err().code(), KernReturn::MACH_RCV_TIMED_OUT);
                }
                let sent = kernel.take_sent().pop().unwrap();
                assert_eq!(sent.flight.bytes[..2], [0x13, 0x15]);
                assert_eq!(sent.call.receive, Some(mig_runtime::Name(mig_tests::oracle::REPLY_PORT)));
            }

            /// As the C structures of the kernel's `mach/message.h` have it.
            #[test]
            fn a_port_is_an_address() {
                let kernel = kernel();
                let (store, friend) = (send_right(&kernel, OBJECT), send_right(&kernel, FRIEND));
                user::store_forget(&store, friend).unwrap();
                let sent = kernel.take_sent().pop().unwrap().flight.bytes;
                let expected: Vec<u8> = $forget.iter().copied().flat_map(u32::to_le_bytes).collect();
                assert_eq!(sent, expected);
            }

            #[test]
            fn what_is_refused_is_released() {
                let kernel = served();
                {
                    let (store, friend) = (send_right(&kernel, OBJECT), send_right(&kernel, FRIEND));
                    let bell = receive_right(&kernel, FRIEND);
                    let port = receive_right(&kernel, FRIEND + 1);
                    let pair = [OBJECT, FRIEND].map(|number| send_right(&kernel, number));
                    let ports = vec![send_right(&kernel, FIRST)];
                    let refused =
                        user::store_put(&store, &friend, -1, &bell, port, &pair, ports, &[9; 5000][..]);
                    assert_eq!(refused.unwrap_err().code(), KernReturn::KERN_INVALID_ARGUMENT);
                }
                assert_eq!(kernel.census(), Vec::<String>::new());
            }
        }
    };
}

/// The address of a port.
fn address(upper: u32, number: u32) -> PortAddress {
    PortAddress(u64::from(upper) << 32 | u64::from(number))
}

/// `MACH_MSGH_BITS (MACH_MSG_TYPE_COPY_SEND, 0)` and the complex bit.
const BITS: u32 = 0x8000_0013;
/// The message id of `store_forget`.
const FORGET: u32 = 4001;

// A header of 24 bytes; a type word, and a pointer.
in_kernel!(gnu_i386, "gnu-i386", GnuI386, 0, [BITS, 32, OBJECT, 0, 0, FORGET, 0x1001_2011, FRIEND]);
// A header of 32 bytes; a type word of 8, of one element of 64 bits.
in_kernel!(
    gnu_x86_64,
    "gnu-x86_64",
    GnuX86_64,
    UPPER,
    [BITS, 48, OBJECT, UPPER, 0, 0, 0, FORGET, 0x2000_4011, 1, FRIEND, UPPER]
);
// Before 2023 a type word of 4 bytes, of one element of 64 bits; nothing is padded.
in_kernel!(
    gnu_x86_64_2022,
    "gnu-x86_64-2022",
    GnuX86_64Of2022,
    UPPER,
    [BITS, 44, OBJECT, UPPER, 0, 0, 0, FORGET, 0x1001_4011, FRIEND, UPPER]
);
// Of OSF's header and descriptors a kernel of 32 bits has the same.
in_kernel!(osf_32, "osf-32", Osf32, 0, [BITS, 40, OBJECT, 0, 0, FORGET, 1, FRIEND, 0, 0x11_0000]);
// XNU's own descriptor ends in `pad_end`.
in_kernel!(apple_32, "apple-32", Apple32, 0, [BITS, 44, OBJECT, 0, 0, FORGET, 1, FRIEND, 0, 0x11_0000, 0]);
// `mach_port_t` is a pointer in `mach_msg_header_t` and in `mach_msg_port_descriptor_t`.
in_kernel!(
    apple_64,
    "apple-64",
    Apple64,
    UPPER,
    [BITS, 52, OBJECT, UPPER, 0, 0, 0, FORGET, 1, FRIEND, UPPER, 0x11_0000, 0]
);
