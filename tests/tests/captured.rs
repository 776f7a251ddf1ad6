//! Requests of every form of argument against bytes that were captured from the C stubs: GNU MIG's for i386,
//! whose messages are those of CMU's, and for x86_64. Where these put an argument after a counted array too
//! late, the bytes are those without that bug.

use mig_runtime::kernel::RightKind;
use mig_runtime::{AnyRight, KernReturn, Name, OolMemory, ReceiveRight, SendRight, Word};
use mig_tests::convert::World as _;
use mig_tests::oracle::REPLY_PORT;
use mig_tests::wire_kernel::{Sent, Wire};

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Bytes up to a multiple of the ABI's alignment.
fn padded(bytes: &[u8], alignment: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
    bytes
}

macro_rules! captured {
    ($module:ident, $abi:literal, $marker:ident, $header:literal, $alignment:literal) => {
        mod $module {
            use super::*;

            mod sink {
                mig_derive::interface! {
                    abi: $abi,
                    side: client,
                    inline: "
                        subsystem sink 5000;
                        type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
                        type poly_t = polymorphic;
                        type byte = MACH_MSG_TYPE_BYTE;
                        type vbytes = array[*:10] of char;
                        type vshorts = array[*:7] of short;
                        type s3 = struct[3] of short;
                        type vs3 = array[*:4] of s3;
                        type indef = array[] of char;
                        type ool = ^array[] of byte;
                        type cs20 = c_string[20];
                        type vcs20 = c_string[*:20];
                        routine r_vin(p : mach_port_t; in a : vbytes; in z : int);
                        routine r_vs3(p : mach_port_t; in a : vs3);
                        routine r_vout(p : mach_port_t; out a : vshorts, countinout);
                        routine r_indef_in(p : mach_port_t; in a : indef; in z : int);
                        routine r_ool(p : mach_port_t; in a : ool; in b : ool, dealloc; in c : ool, dealloc[]);
                        routine r_poly(p : mach_port_t; in a : poly_t);
                        routine r_strs(p : mach_port_t; in a : cs20; in b : vcs20);
                        simpleroutine s_none(p : mach_port_t);
                        routine r_reqpoly(requestport p : poly_t; replyport r : poly_t; in a : int);
                        routine r_forms(p : mach_port_t; in a : mach_port_t, islong; in b : ool, isnotlong);
                        routine r_ureply(p : mach_port_t; ureplyport r : mach_port_t);
                    ",
                }
            }
            use sink::*;

            type K = Wire<mig_runtime::abi::$marker>;
            const WIDE: bool = $alignment == 8;

            fn send(kernel: &K, name: u32) -> SendRight<K> {
                // SAFETY: granted just now.
                unsafe { SendRight::from_raw(kernel.clone(), kernel.grant(RightKind::Send, name)) }
            }

            fn receive(kernel: &K, name: u32) -> ReceiveRight<K> {
                // SAFETY: granted just now.
                unsafe { ReceiveRight::from_raw(kernel.clone(), kernel.grant(RightKind::Receive, name)) }
            }

            /// The only message that a call to port 9 sends; afterwards the program holds nothing.
            fn sent(call: impl FnOnce(&K, &SendRight<K>)) -> Sent {
                let kernel = K::new();
                call(&kernel, &send(&kernel, 9));
                assert_eq!(kernel.census(), [""; 0]);
                let [sent] = kernel.take_sent().try_into().expect("one message");
                sent
            }

            /// Checks bits and size, and what stands after the header.
            #[track_caller]
            fn check(sent: &Sent, bits: u32, body: &[Vec<u8>]) {
                let (header, rest) = sent.flight.bytes.split_at($header);
                assert_eq!(rest, body.concat());
                assert_eq!(header[..8], words(&[bits, sent.flight.bytes.len() as u32]));
            }

            /// A short type word.
            fn word(narrow: u32, wide: [u32; 2]) -> Vec<u8> {
                if WIDE { words(&wide) } else { words(&[narrow]) }
            }

            /// A long type word.
            fn long(narrow: [u32; 3], wide: [u32; 2]) -> Vec<u8> {
                if WIDE { words(&wide) } else { words(&narrow) }
            }

            fn number(value: u32) -> Vec<u8> {
                [word(0x1001_2002, [0x2000_2002, 1]), padded(&words(&[value]), $alignment)].concat()
            }

            const CALL: u32 = 0x1513;
            const COMPLEX: u32 = 0x8000_0000;
            /// An address, which this kernel shows as nothing.
            const ADDRESS: [u8; $alignment] = [0; $alignment];

            #[test]
            fn counted_arrays_are_as_long_as_they_are() {
                let vin = |bytes: &[u8]| sent(|_, p| _ = r_vin(p, bytes, 7));
                let message = vin(b"abc");
                let array = word(0x1003_0808, [0x2000_0808, 3]);
                check(&message, CALL, &[array, padded(b"abc", $alignment), number(7)]);
                assert_eq!(message.flight.bytes.len(), if WIDE { 64 } else { 40 });
                check(&vin(b""), CALL, &[word(0x1000_0808, [0x2000_0808, 0]), number(7)]);
                let structures = sent(|_, p| _ = r_vs3(p, &[[1, 2, 3], [4, 5, 6]]));
                let data: Vec<u8> = (1..7u16).flat_map(u16::to_le_bytes).collect();
                check(&structures, CALL, &[word(0x1006_1001, [0x2000_1001, 6]), padded(&data, $alignment)]);
            }

            #[test]
            fn what_is_too_large_is_not_sent() {
                let kernel = K::new();
                let error = r_vin(&send(&kernel, 9), b"eleven byte", 7).unwrap_err();
                assert_eq!(error.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                assert!(kernel.take_sent().is_empty() && kernel.census().is_empty());
            }

            #[test]
            fn the_callers_count_is_sent_up_to_the_bound() {
                for (max, says) in [(3, 3), (99, 7)] {
                    check(&sent(|_, p| _ = r_vout(p, max)), CALL, &[number(says)]);
                }
            }

            #[test]
            fn arrays_of_indefinite_length() {
                let chars = |flags: u32| long([0x1000_0000 * flags, 0x0008_0008, 5], [0x2000_0000 * flags | 0x808, 5]);
                let short = sent(|_, p| _ = r_indef_in(p, b"hello", 7));
                check(&short, CALL, &[chars(3), padded(b"hello", $alignment), number(7)]);
                let long_array = sent(|_, p| _ = r_indef_in(p, &[1; 3000], 7));
                let array = long([0x2000_0000, 0x0008_0008, 3000], [0x4000_0808, 3000]);
                check(&long_array, CALL | COMPLEX, &[array, ADDRESS.to_vec(), number(7)]);
                assert_eq!(long_array.flight.memory, [vec![1; 3000]]);
            }

            #[test]
            fn memory_out_of_line_is_lent_or_given() {
                let bytes = |given: bool, count| match given {
                    false => long([0x2000_0000, 0x0008_0009, count], [0x4000_0809, count]),
                    true => long([0x6000_0000, 0x0008_0009, count], [0xc000_0809, count]),
                };
                let memory = |kernel: &K| OolMemory::allocate(kernel, 2).unwrap();
                let address = || ADDRESS.to_vec();
                let message = sent(|kernel, p| _ = r_ool(p, b"a", memory(kernel), memory(kernel)));
                let given = [bytes(false, 1), address(), bytes(true, 2), address(), bytes(true, 2), address()];
                check(&message, CALL | COMPLEX, &given);
                let message = sent(|kernel, p| _ = r_ool(p, b"a", memory(kernel), b"lent"));
                let lent = [bytes(false, 1), address(), bytes(true, 2), address(), bytes(false, 4), address()];
                check(&message, CALL | COMPLEX, &lent);
            }

            #[test]
            fn only_rights_make_a_message_complex() {
                let right = sent(|kernel, p| _ = r_poly(p, &send(kernel, 3)));
                let three = padded(&words(&[3]), $alignment);
                let copied = word(0x1001_2013, [0x2000_4013, 1]);
                check(&right, CALL | COMPLEX, &[copied, three.clone()]);
                let data = sent(|_, p| _ = r_poly(p, AnyRight::Data(Word::new(2, 3).unwrap())));
                check(&data, CALL, &[word(0x1001_2002, [0x2000_4002, 1]), three]);
            }

            #[test]
            fn the_form_of_a_type_word_can_be_chosen() {
                let message = sent(|kernel, p| _ = r_forms(p, &send(kernel, 3), b"four"));
                let right = long([0x3000_0000, 0x0020_0013, 1], [0x6000_4013, 1]);
                let bytes = word(0x0004_0809, [0x0000_0809, 4]);
                let three = padded(&words(&[3]), $alignment);
                check(&message, CALL | COMPLEX, &[right, three, bytes, ADDRESS.to_vec()]);
            }

            #[test]
            fn strings() {
                let message = sent(|_, p| _ = r_strs(p, c"fix", c"var"));
                let mut area = b"fix".to_vec();
                area.resize(20, 0);
                let fixed = [word(0x1014_080c, [0x2000_080c, 20]), padded(&area, $alignment)].concat();
                let counted = [word(0x1004_080c, [0x2000_080c, 4]), padded(b"var\0", $alignment)].concat();
                check(&message, CALL, &[fixed, counted]);
            }

            #[test]
            fn ports_in_the_header() {
                check(&sent(|_, p| _ = s_none(p)), 0x13, &[]);
                let message = sent(|kernel, _| {
                    let (port, reply) = (receive(kernel, 9), receive(kernel, 8));
                    let (port, reply) = (AnyRight::make_send(&port), AnyRight::make_send_once(&reply));
                    _ = r_reqpoly(kernel, port, reply, 7);
                });
                check(&message, 0x1514, &[number(7)]);
                assert_eq!(message.call.receive, Some(Name(8)));
                let message = sent(|kernel, p| _ = r_ureply(p, &send(kernel, 8)));
                check(&message, 0x1313, &[]);
                assert_eq!(message.call.receive, Some(Name(8)));
                assert_eq!(sent(|_, p| _ = r_vs3(p, &[])).call.receive, Some(Name(REPLY_PORT)));
            }
        }
    };
}

captured!(gnu_i386, "gnu-i386", GnuI386, 24, 4);
captured!(gnu_x86_64, "gnu-x86_64", GnuX86_64, 32, 8);
