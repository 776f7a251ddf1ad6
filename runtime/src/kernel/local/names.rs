//! A task's name table: small integers to rights.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::state::{PortId, SetId};
use crate::kernel::Name;

/// What a name denotes.
#[derive(Debug)]
pub(super) enum Entry {
    /// The receive right, the send right, or both, of a port: one name for all.
    Port {
        port: PortId,
        receive: bool,
        /// User references of the send right; 0 if there is none.
        sends: u32,
        /// Where the dead-name notification goes: a send-once right.
        dead_name_request: Option<PortId>,
    },
    /// A send-once right has a name of its own.
    SendOnce { port: PortId, dead_name_request: Option<PortId> },
    /// What a send or send-once right becomes when its port dies, with as many user references.
    Dead { refs: u32 },
    /// A port set.
    Set(SetId),
}

/// Names and what they denote. A new right gets the name that was freed last, or else the next one that was
/// never used.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    /// Name `n` is at `n - 1`.
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// The name of the receive and send rights of each port.
    by_port: BTreeMap<PortId, Name>,
}

fn index(name: Name) -> Option<usize> {
    (name.is_valid()).then(|| name.0 as usize - 1)
}

impl NameTable {
    pub(super) fn insert(&mut self, entry: Entry) -> Name {
        let by_port = match &entry {
            Entry::Port { port, .. } => Some(*port),
            _ => None,
        };
        let name = match self.free.pop() {
            Some(free) => Name(free),
            None => {
                self.entries.push(None);
                Name(self.entries.len() as u32)
            }
        };
        if let Some(port) = by_port {
            self.by_port.insert(port, name);
        }
        *self.slot(name).expect("made above") = Some(entry);
        name
    }

    fn slot(&mut self, name: Name) -> Option<&mut Option<Entry>> {
        self.entries.get_mut(index(name)?)
    }

    #[cfg(test)]
    pub(super) fn get(&self, name: Name) -> Option<&Entry> {
        self.entries.get(index(name)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, name: Name) -> Option<&mut Entry> {
        self.slot(name)?.as_mut()
    }

    /// Frees a name.
    pub(super) fn remove(&mut self, name: Name) -> Option<Entry> {
        let entry = self.slot(name)?.take()?;
        if let Entry::Port { port, .. } = &entry {
            self.by_port.remove(port);
        }
        self.free.push(name.0);
        Some(entry)
    }

    /// Makes a name dead, whose port has died. Returns what the name denoted.
    pub(super) fn bury(&mut self, name: Name, refs: u32) -> Option<Entry> {
        let entry = self.slot(name)?.replace(Entry::Dead { refs })?;
        if let Entry::Port { port, .. } = &entry {
            self.by_port.remove(port);
        }
        Some(entry)
    }

    /// The name of this port's receive and send rights.
    pub(super) fn of_port(&self, port: PortId) -> Option<Name> {
        self.by_port.get(&port).copied()
    }

    /// How many names are in use.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Every name in use, in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Name, &Entry)> {
        let named = self.entries.iter().zip(1..);
        named.filter_map(|(entry, name)| entry.as_ref().map(|entry| (Name(name), entry)))
    }
}
