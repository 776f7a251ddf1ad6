//! Arrays of what is out of line (`array[3] of ^array[] of int`), which the untyped ABIs have: the generated
//! client and server agree, every part arrives, and every right and region is accounted for.

use std::mem::MaybeUninit;

use mig_runtime::kernel::local::{self, Host};
use mig_runtime::kernel::{Kernel, MsgCall};
use mig_runtime::platform::Std;
use mig_runtime::{
    ArrayVec, Elements, KernReturn, OolArg, OolMemory, Port, ReceiveRight, Rights, SendRight, Server,
};

/// Writes the tests for an ABI.
macro_rules! tests {
    ($module:ident, $abi:literal, $type:ident) => {
        mod $module {
            use super::*;

            type Local = local::Local<mig_runtime::abi::$type>;
            type Sends = Rights<Local, SendRight<Local>>;

            mig_derive::interface! {
                abi: $abi,
                inline: "
                    subsystem parts 4200;
                    type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
                    type made_t = MACH_MSG_TYPE_MAKE_SEND;
                    type int = MACH_MSG_TYPE_INTEGER_32;
                    type byte = MACH_MSG_TYPE_BYTE;
                    type ints_t = ^array[] of int;
                    type bytes_t = ^array[] of byte;
                    type four_t = ^array[4] of int;
                    type made_ports_t = ^array[] of made_t;
                    type three_t = array[3] of ints_t;
                    type up_to_three_t = array[*:3] of ints_t;
                    type byte_parts_t = array[*:2] of bytes_t;
                    type fours_t = array[*:3] of four_t;
                    type port_lists_t = array[*:3] of made_ports_t;
                    type pair_t = array[2] of made_t;
                    type pairs_t = array[*:3] of pair_t;

                    routine sums(p : mach_port_t; in rows : three_t; in more : up_to_three_t; out sums : up_to_three_t);
                    routine bytes(p : mach_port_t; in given : byte_parts_t, dealloc[]; inout fours : fours_t; out same : byte_parts_t, dealloc);
                    routine lists(p : mach_port_t; in lists : port_lists_t; in pairs : pairs_t; out lens : ints_t);
                    routine pairs(p : mach_port_t; in pairs : pairs_t; out same : pairs_t);
                ",
            }

            struct Adder;
            impl Parts<Local> for Adder {
                fn sums(
                    &self,
                    _: Port<'_, Local>,
                    rows: [Elements<'_, i32, Local>; 3],
                    more: ArrayVec<Elements<'_, i32, Local>, 3>,
                ) -> Result<ArrayVec<Vec<i32>, 3>, KernReturn> {
                    let sum = |part: &Elements<'_, i32, Local>| part.iter().sum::<i32>();
                    Ok([rows.iter().map(sum).collect(), more.iter().map(sum).collect()].into_iter().collect())
                }

                fn bytes(
                    &self,
                    _: Port<'_, Local>,
                    given: ArrayVec<OolMemory<Local>, 2>,
                    mut fours: ArrayVec<[i32; 4], 3>,
                ) -> Result<BytesReply<Local>, KernReturn> {
                    fours.pop();
                    Ok(BytesReply { fours, same: given })
                }

                fn lists(
                    &self,
                    _: Port<'_, Local>,
                    lists: ArrayVec<Sends, 3>,
                    pairs: ArrayVec<SendRight<Local>, 6>,
                ) -> Result<Vec<i32>, KernReturn> {
                    let lens = lists.iter().map(|list| list.len() as i32);
                    Ok(lens.chain([pairs.len() as i32]).collect())
            }

                fn pairs(
                    &self,
                    _: Port<'_, Local>,
                    pairs: ArrayVec<SendRight<Local>, 6>,
                ) -> Result<ArrayVec<SendRight<Local>, 6>, KernReturn> {
                    Ok(pairs)
                }
            }

            /// The bytes of a request, by the sources of Apple's compiler (`rtAddCountArg`,
            /// `itMakeSubCountType`, `WriteKPD_ool`), which Debian has no package of: descriptors of all that
            /// may be there, then the data in the order of the arguments. The lengths of the parts are words,
            /// in elements: as many as a fixed array has, and of a variable one its count and that many.
            #[test]
            fn a_request_has_the_bytes_of_apples_stubs() {
                let facts = <mig_runtime::abi::$type as mig_runtime::abi::Abi>::FACTS;
                let host = Host::new();
                let (caller, server) = (host.new_task("caller"), host.new_task("server"));
                let port = ReceiveRight::allocate(&server).unwrap();
                let right = Local::transfer(port.make_send().unwrap(), &caller).unwrap();
                let words = std::thread::scope(|scope| {
                    scope.spawn(|| {
                        let more: ArrayVec<&[i32], 3> = [&[7][..], &[]].into_iter().collect();
                        assert!(sums(&right, [&[1, 2], &[], &[3]], more).is_err());
                    });
                    let mut buffer = [MaybeUninit::new(0_u64); 40];
                    let call = MsgCall { receive: Some(port.name()), ..MsgCall::default() };
                    // SAFETY: nothing is sent.
                    unsafe { server.mach_msg(&mut buffer, call) }.unwrap();
                    caller.terminate();
                    // SAFETY: all of it was initialised, and a kernel writes nothing else.
                    let words = buffer.iter().map(|word| unsafe { word.assume_init() });
                    words.flat_map(|word| [word as u32, (word >> 32) as u32]).collect::<Vec<_>>()
                });
                // Address, size, and the bytes: given to the receiver, copied virtually, none, memory.
                const KIND: u32 = 0x0100_0101;
                let (at, length) = if facts.pointer == 8 { (4, 3) } else { (3, 1) };
                let descriptors = &words[7..7 + 6 * at];
                let sizes: Vec<_> = descriptors.chunks(at).map(|words| words[length]).collect();
                assert_eq!(sizes, [8, 0, 4, 4, 0, 0]);
                assert!(descriptors.chunks(at).all(|words| words[2] == KIND), "{descriptors:x?}");
                let size = (words[1] / 4) as usize;
                let data = &words[7 + 6 * at..size];
                assert_eq!((words[0] >> 31, words[6]), (1, 6));
                // The NDR record, the three lengths, the count, and two lengths.
                assert_eq!(data, [0, 1, 2, 0, 1, 2, 1, 0]);
            }

            /// A client's call, while a thread serves it; nothing may be left over in either task.
            fn call<T>(client: impl FnOnce(&Local, &SendRight<Local>) -> T) -> T {
                let host = Host::new();
                let (caller, server) = (host.new_task("caller"), host.new_task("server"));
                let before = [caller.census(), server.census()];
                let result = {
                    let port = ReceiveRight::allocate(&server).unwrap();
                    let right = Local::transfer(port.make_send().unwrap(), &caller).unwrap();
                    std::thread::scope(|scope| {
                        scope.spawn(|| {
                            let server = Server::on(&port).with(parts(&Adder));
                            assert!(server.serve_one::<Std>(None).unwrap());
                        });
                        client(&caller, &right)
                    })
                };
                assert_eq!([caller.census(), server.census()], before);
                result
            }

            #[test]
            fn every_part_arrives_with_its_length() {
                let sums = call(|_, right| {
                    let more: ArrayVec<&[i32], 3> = [&[7][..], &[]].into_iter().collect();
                    sums(right, [&[1, 2], &[], &[3]], more).unwrap()
                });
                assert_eq!(sums[..], [vec![3, 0, 3], vec![7, 0]]);
            }

            #[test]
            fn parts_that_are_not_used_are_left_out() {
                call(|caller, right| {
                    let mut own = OolMemory::allocate(caller, 3).unwrap();
                    own[..3].copy_from_slice(b"own");
                    let given: ArrayVec<OolArg<'_, Local>, 2> =
                        [OolArg::from(own)].into_iter().collect();
                    let fours = [[1, 2, 3, 4], [5; 4]].into_iter().collect::<ArrayVec<_, 3>>();
                    let fours = fours.iter().collect();
                    let results = bytes(right, given, fours).unwrap();
                    assert_eq!(results.fours[..], [[1, 2, 3, 4]]);
                    assert_eq!(results.same.iter().map(|part| part.to_vec()).collect::<Vec<_>>(), [b"own"]);
                });
            }

            #[test]
            fn rights_are_counted_one_by_one() {
                let lens = call(|caller, right| {
                    let ports: Vec<_> = (0..3).map(|_| ReceiveRight::allocate(caller).unwrap()).collect();
                    let lists = [&ports[..], &[], &ports[1..]].into_iter().collect();
                    lists_of(right, lists, &ports[..2])
                });
                assert_eq!(lens, [3, 0, 2, 2]);
            }

            /// Apple's client takes as many rights as the array has elements, of which each is two.
            #[test]
            fn all_rights_of_a_reply_are_taken() {
                call(|caller, right| {
                    let ports: Vec<_> = (0..6).map(|_| ReceiveRight::allocate(caller).unwrap()).collect();
                    let same = pairs(right, &ports).unwrap();
                    assert!(same.iter().map(SendRight::name).eq(ports.iter().map(ReceiveRight::name)));
                });
            }

            fn lists_of(
                right: &SendRight<Local>,
                given: ArrayVec<&[ReceiveRight<Local>], 3>,
                pairs: &[ReceiveRight<Local>],
            ) -> Vec<i32> {
                lists(right, given, pairs).unwrap()
            }
        }
    };
}

tests!(apple_64, "apple-64", Apple64);
tests!(osf_32, "osf-32", Osf32);
