//! A request whose port is named by a payload reaches the method of `intranpayload`, and by a name that of
//! `intran`. No kernel of this repository sets payloads, so the messages are made here.

use mig_runtime::abi::{Abi, GnuI386, GnuX86_64};
use mig_runtime::{KernReturn, MsgBuf, Name, Port, Receive, Received, Reply};
use mig_tests::c_calls::Flight;
use mig_tests::wire_kernel::Wire;

/// What a port stands for, and how it was found.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// By the name of the port.
    Name(u32),
    /// By the payload.
    Payload(usize),
}

macro_rules! payloads {
    ($module:ident, $abi:literal, $marker:ident) => {
        mod $module {
            use super::*;

            mod files {
                mig_derive::interface! {
                    abi: $abi,
                    side: server,
                    inline: "
                        subsystem files 5000;
                        type file_t = MACH_MSG_TYPE_COPY_SEND
                            intran: node_t node_of_port(file_t)
                            intranpayload: node_t node_of_payload;
                        simpleroutine file_sync(file : file_t);
                    ",
                    extern_type: { node_t: crate::Found },
                }
            }

            type K = Wire<$marker>;

            struct Expects(Found);

            impl files::Files<K> for Expects {
                fn node_of_port(&self, port: Name) -> Result<Found, KernReturn> {
                    Ok(Found::Name(port.0))
                }
                fn node_of_payload(&self, payload: usize) -> Result<Found, KernReturn> {
                    Ok(Found::Payload(payload))
                }
                fn file_sync(&self, file: Found, _: Port<'_, K>) -> Result<(), KernReturn> {
                    assert_eq!(file, self.0);
                    Ok(())
                }
            }

            /// Serves a request with these bits, and this in the slot of its port.
            fn serve(bits: u32, slot: u64, expected: Found) {
                let facts = <$marker as Abi>::FACTS;
                let mut bytes = vec![0; facts.header];
                bytes[..4].copy_from_slice(&bits.to_le_bytes());
                bytes[4..8].copy_from_slice(&(facts.header as u32).to_le_bytes());
                bytes[facts.local_port..][..facts.pointer]
                    .copy_from_slice(&slot.to_le_bytes()[..facts.pointer]);
                bytes[facts.id..][..4].copy_from_slice(&5000u32.to_le_bytes());
                let kernel = K::new();
                kernel.answer(move |_| Ok(Flight { bytes: bytes.clone(), memory: Vec::new() }));
                let (mut storage, mut reply_storage) = (MsgBuf::<64>::new(), MsgBuf::<64>::new());
                let receive = Receive::from(Name(1));
                let mut request = Received::receive(&kernel, storage.words(), receive).unwrap();
                let mut reply = Reply::new(&kernel, reply_storage.words());
                assert!(files::files_server(&Expects(expected), &mut request, &mut reply));
                assert_eq!(reply.code(), KernReturn::KERN_SUCCESS);
            }

            #[test]
            fn a_name_and_a_payload_are_told_apart() {
                serve(17 << 8, 0x1234, Found::Name(0x1234));
                serve(23 << 8, 0x1234, Found::Payload(0x1234));
            }
        }
    };
}

payloads!(gnu_i386, "gnu-i386", GnuI386);
payloads!(gnu_x86_64, "gnu-x86_64", GnuX86_64);
