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

mod decode;
mod encode;
mod input;
mod value;
mod words;

use std::collections::HashMap;

use mach_defs::definitions;
use mig_abi::Facts;
use mig_codegen::abi::Abi;
use mig_codegen::model::{Interface, Routine};
use mig_codegen::{Config, Error};

pub use crate::decode::{Decoded, Fault, Named, Piece, decode_as};
pub use crate::encode::{Ports, encode, right};
pub use crate::input::bytes_of;
pub use crate::words::Header;
#[doc(inline)]
pub use mig_codegen::model::{MessageKind, SlotRole};

/// Interfaces of one ABI, by the ids of their messages.
pub struct Dictionary {
    abi: &'static Abi,
    interfaces: Vec<Interface>,
    /// For each id, which interface's which routine's which message.
    by_id: HashMap<i32, Vec<(usize, usize, MessageKind)>>,
}

impl Dictionary {
    /// An empty one, for the ABI that `config` is for.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if there is no such ABI.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Ok(Dictionary { abi: config.find_abi()?, interfaces: Vec::new(), by_id: HashMap::new() })
    }

    /// Adds an interface. One that was added earlier is preferred where both read a message equally well.
    ///
    /// # Panics
    ///
    /// If it is for another ABI.
    pub fn add(&mut self, interface: &Interface) {
        assert_eq!(interface.abi.name(), self.abi.name(), "an interface for another ABI");
        let number = self.interfaces.len();
        for (index, routine) in interface.routines.iter().enumerate() {
            let mut has =
                |id: u32, kind| self.by_id.entry(id as i32).or_default().push((number, index, kind));
            has(routine.id, MessageKind::Request);
            if routine.reply.is_some() {
                has(routine.reply_id(), MessageKind::Reply);
            }
        }
        self.interfaces.push(interface.clone());
    }

    /// Adds all interfaces that come with the compiler for the ABI.
    pub fn add_shipped(&mut self, config: &Config) {
        for (name, _) in definitions::files(self.abi.name()) {
            // Some declare only types.
            if let Ok(output) = config.interface(&format!("<{name}>")) {
                self.add(&output.value);
            }
        }
    }

    /// What a message says, the first one of these bytes. [`Decoded::len`] tells where the next begins.
    pub fn decode(&self, bytes: &[u8]) -> Decoded {
        let facts = self.facts();
        let id = Header::read(facts, bytes).map(|header| header.id);
        let candidates = id.and_then(|id| self.by_id.get(&id)).map_or(&[][..], Vec::as_slice);
        let read = candidates.iter().map(|&(interface, routine, kind)| {
            let interface = &self.interfaces[interface];
            decode_as(interface, &interface.routines[routine], kind, bytes)
        });
        let Some(mut best) = read.min_by_key(|decoded| decoded.faults.len()) else {
            return decode::unknown(facts, bytes);
        };
        if let Some(message) = &mut best.message {
            let names = candidates.iter().map(|(interface, ..)| &self.interfaces[*interface].name);
            message.others = names.filter(|name| **name != message.subsystem).cloned().collect();
            message.others.dedup();
        }
        best
    }

    /// What all messages of these bytes say, one after the other.
    pub fn decode_all<'a>(&'a self, mut bytes: &'a [u8]) -> impl Iterator<Item = Decoded> + 'a {
        std::iter::from_fn(move || {
            if bytes.is_empty() {
                return None;
            }
            let decoded = self.decode(bytes);
            // One that is cut off takes all of them, so this comes to an end.
            bytes = bytes.get(decoded.len.max(1)..).unwrap_or_default();
            Some(decoded)
        })
    }

    /// The first routine of this name, and its interface.
    pub fn routine(&self, name: &str) -> Option<(&Interface, &Routine)> {
        self.interfaces.iter().find_map(|interface| {
            let routine = interface.routines.iter().find(|routine| routine.name == name)?;
            Some((interface, routine))
        })
    }

    /// The interfaces, in the order in which they were added.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    fn facts(&self) -> &'static Facts {
        &self.abi.facts
    }
}

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
