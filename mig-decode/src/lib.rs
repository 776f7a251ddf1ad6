//! What a Mach message says, by the interface definitions that it was made with; and the message that
//! arguments make.
//!
//! A [`Dictionary`] knows interfaces, and finds the one that has a message's id. Everything that it says of a
//! message comes from the routine's slot table, the one that the stubs are made of
//! ([`mig_codegen::model::Message`]).
//!
//! ```
//! use mig_codegen::Config;
//! use mig_decode::{Dictionary, bytes_of};
//!
//! let config = Config::new().abi("gnu-i386");
//! let mut dictionary = Dictionary::new(&config)?;
//! dictionary.add_shipped(&config);
//!
//! // A dead-name notification, as the kernel sends it.
//! let bytes = bytes_of(b"12000000 20000000 00000000 03010000 07000000 48000000 0f200110 2b020000");
//! let decoded = dictionary.decode(&bytes);
//! let message = decoded.message.as_ref().expect("`notify` has it");
//! assert_eq!((&*message.subsystem, &*message.routine), ("notify", "mach_notify_dead_name"));
//! assert_eq!(decoded.arguments[0].1, 0x22b);
//! assert!(decoded.faults.is_empty());
//!
//! // And back.
//! let arguments = decoded.arguments.clone().into_iter().collect();
//! let (interface, routine) = dictionary.routine("mach_notify_dead_name").expect("it is there");
//! let header = mig_decode::Ports { remote: Some((0, 18)), local: Some((0x103, 0)), seqno: 7 };
//! let again = mig_decode::encode(interface, routine, mig_decode::MessageKind::Request, &header, &arguments);
//! assert_eq!(again.as_deref(), Ok(&bytes[..]));
//! # Ok::<(), mig_codegen::Error>(())
//! ```
//!
//! # Values
//!
//! Arguments are JSON: numbers, truth values, strings, lists, and objects for structures. Bytes are
//! `{"hex": "00ff"}`, in any place. A right is `{"name": 259, "right": "copy_send"}`, memory out of line
//! `{"address": 4096, "count": 3, "deallocate": false}` with the number of its elements, whose bytes are not
//! in the message. How many elements of a result the client takes (`countinout`) has the argument's name with
//! `Cnt` after it.
//!
//! # Limits
//!
//! Messages are of little-endian machines.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod decode;
mod dictionary;
mod encode;
mod input;
#[cfg(feature = "programs")]
mod program;
mod value;
mod words;

pub use crate::decode::{Decoded, Fault, Named, Piece, decode_as};
pub use crate::dictionary::Dictionary;
pub use crate::encode::{Ports, encode, right};
pub use crate::input::{Dump, bytes_of};
#[cfg(feature = "programs")]
#[cfg_attr(docsrs, doc(cfg(feature = "programs")))]
pub use crate::program::{Compiled, CompiledRoutine, is_program, subsystems};
pub use crate::words::Header;
#[doc(inline)]
pub use mig_codegen::model::{MessageKind, SlotRole};

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
