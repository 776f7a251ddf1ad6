//! Interfaces by the ids of their messages.

use std::sync::OnceLock;

use mach_defs::definitions;
use mig_abi::Facts;
use mig_codegen::abi::Abi;
use mig_codegen::model::{Interface, MessageKind, Routine};
use mig_codegen::{Config, Error};

use crate::decode::{self, Decoded, decode_as};
use crate::words::{Header, LONGEST_TRAILER};

/// Interfaces of one ABI, by the ids of their messages.
pub struct Dictionary {
    abi: &'static Abi,
    entries: Vec<Entry>,
}

/// An interface, or what is needed to make it.
struct Entry {
    /// The lowest id that its messages may have, and the highest.
    ids: (u32, u32),
    interface: OnceLock<Option<Interface>>,
    /// How to compile it, and its name in brackets.
    shipped: Option<(Config, String)>,
}

/// The messages of an interface that comes with the compiler have ids of less than its base and this.
const MOST_IDS: u32 = 400;

/// No message is waited for that is longer.
const LONGEST: usize = 1 << 28;

impl Entry {
    fn interface(&self) -> Option<&Interface> {
        let compile = || {
            let (config, name) = self.shipped.as_ref()?;
            config.interface(name).ok().map(|output| output.value)
        };
        self.interface.get_or_init(compile).as_ref()
    }
}

impl Dictionary {
    /// An empty one, for the ABI that `config` is for.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if there is no such ABI.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Ok(Dictionary { abi: config.find_abi()?, entries: Vec::new() })
    }

    /// Adds an interface. One that was added earlier is preferred where both read a message equally well.
    ///
    /// # Panics
    ///
    /// If it is for another ABI.
    pub fn add(&mut self, interface: &Interface) {
        assert_eq!(interface.abi.name(), self.abi.name(), "an interface for another ABI");
        let ids = interface.routines.iter().flat_map(|routine| [routine.id, routine.reply_id()]);
        let ids = (ids.clone().min().unwrap_or(0), ids.max().unwrap_or(0));
        self.entries.push(Entry { ids, interface: Some(interface.clone()).into(), shipped: None });
    }

    /// Adds all interfaces that come with the compiler for the ABI. Each is compiled when it is first asked
    /// for, by the id of a message or the name of a routine.
    pub fn add_shipped(&mut self, config: &Config) {
        for (name, text) in definitions::files(self.abi.name()) {
            // Some declare only types.
            if let Some(base) = base_of(text) {
                let (ids, shipped) = ((base, base + MOST_IDS), Some((config.clone(), format!("<{name}>"))));
                self.entries.push(Entry { ids, interface: OnceLock::new(), shipped });
            }
        }
    }

    /// What a message says, the first one of these bytes. [`Decoded::len`] tells where the next begins.
    pub fn decode(&self, bytes: &[u8]) -> Decoded {
        let mut candidates = self.candidates(bytes).peekable();
        let Some((first, routine, kind)) = candidates.next() else {
            return decode::unknown(&self.abi.facts, bytes);
        };
        let mut best = decode_as(first, routine, kind, bytes);
        if candidates.peek().is_none() {
            return best;
        }
        let mut names = vec![&first.name];
        for (interface, routine, kind) in candidates {
            let decoded = decode_as(interface, routine, kind, bytes);
            if decoded.faults.len() < best.faults.len() {
                best = decoded;
            }
            names.push(&interface.name);
        }
        names.dedup();
        if let Some(message) = &mut best.message {
            message.others = names.into_iter().filter(|name| **name != message.subsystem).cloned().collect();
        }
        best
    }

    /// The messages that these bytes may begin with, by their id: tasks and kernels have it in different
    /// places.
    fn candidates(&self, bytes: &[u8]) -> impl Iterator<Item = (&Interface, &Routine, MessageKind)> {
        let id = |facts: &Facts| Header::read(facts, bytes).map(|header| header.id as u32);
        let (in_task, in_kernel) = (id(&self.abi.facts), id(&self.abi.facts_in_kernel));
        let may_have = move |entry: &&Entry| {
            let (lowest, highest) = entry.ids;
            [in_task, in_kernel].into_iter().flatten().any(|id| lowest <= id && id <= highest)
        };
        let interfaces = self.entries.iter().filter(may_have).filter_map(Entry::interface);
        interfaces.flat_map(move |interface| {
            let id = if interface.is_in_kernel() { in_kernel } else { in_task };
            messages_with(interface, id).map(move |(routine, kind)| (interface, routine, kind))
        })
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

    /// With this many bytes of a stream, [`decode`](Self::decode) has all of the first message and of a
    /// trailer, whatever follows. The bytes at hand say how long the message is, if they have its header.
    pub fn wanted(&self, bytes: &[u8]) -> usize {
        let size = Header::read(&self.abi.facts, bytes).map_or(0, |header| header.size as usize);
        size.clamp(self.abi.facts_in_kernel.header.max(self.abi.facts.header), LONGEST) + LONGEST_TRAILER
    }

    /// The first routine of this name, and its interface.
    pub fn routine(&self, name: &str) -> Option<(&Interface, &Routine)> {
        self.interfaces().find_map(|interface| {
            let routine = interface.routines.iter().find(|routine| routine.name == name)?;
            Some((interface, routine))
        })
    }

    /// The interfaces, in the order in which they were added.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.entries.iter().filter_map(Entry::interface)
    }
}

/// The messages of an interface that have an id.
fn messages_with(interface: &Interface, id: Option<u32>) -> impl Iterator<Item = (&Routine, MessageKind)> {
    let routines = &interface.routines;
    let at = |found: Result<usize, usize>| found.ok().map(|index| &routines[index]);
    let reply = id.and_then(|id| at(routines.binary_search_by_key(&id, Routine::reply_id)));
    let request = id.and_then(|id| at(routines.binary_search_by_key(&id, |routine| routine.id)));
    let reply = reply.filter(|routine| routine.reply.is_some());
    let reply = reply.map(|routine| (routine, MessageKind::Reply));
    reply.into_iter().chain(request.map(|routine| (routine, MessageKind::Request)))
}

/// The number after `subsystem` in a text that comes with the compiler.
fn base_of(text: &str) -> Option<u32> {
    let after = text.strip_prefix("subsystem").or_else(|| Some(text.split_once("\nsubsystem")?.1))?;
    let declared = after.split(';').next()?;
    let words = declared.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
    words.last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each file is looked up by before it is compiled is what it declares.
    #[test]
    fn shipped_interfaces_are_found_by_the_ids_that_they_have() {
        let mut interfaces = 0;
        for abi in Abi::ALL {
            let config = Config::new().abi(abi.name());
            let mut dictionary = Dictionary::new(&config).unwrap();
            dictionary.add_shipped(&config);
            for entry in &dictionary.entries {
                // Some are not for every processor of the ABI's family.
                let Some(interface) = entry.interface() else { continue };
                interfaces += 1;
                assert_eq!(interface.base, entry.ids.0, "{}", interface.name);
                for routine in &interface.routines {
                    assert!(routine.reply_id() <= entry.ids.1, "{}", routine.name);
                }
                assert!(interface.routines.is_sorted_by_key(|routine| routine.id), "{}", interface.name);
            }
            let compiled = |(name, _): &(&str, _)| config.interface(&format!("<{name}>")).is_ok();
            let files = definitions::files(abi.name()).filter(compiled).count();
            assert_eq!(files, dictionary.interfaces().count(), "{}", abi.name());
        }
        assert!(interfaces > 100, "{interfaces}");
    }

    #[test]
    fn only_what_has_an_id_is_compiled() {
        let config = Config::new().abi("gnu-i386");
        let mut dictionary = Dictionary::new(&config).unwrap();
        dictionary.add_shipped(&config);
        let mut header = [0; 32];
        header[..8].copy_from_slice(&[0, 0, 0, 0, 32, 0, 0, 0]);
        header[20..24].copy_from_slice(&72_u32.to_le_bytes());
        assert_eq!(&*dictionary.decode(&header).message.unwrap().subsystem, "notify");
        let compiled = dictionary.entries.iter().filter(|entry| entry.interface.get().is_some()).count();
        assert!(compiled * 4 < dictionary.entries.len(), "{compiled}");
    }
}
