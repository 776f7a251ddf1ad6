//! The messages of the notify subsystem, laid out as MIG lays out `mach/notify.defs`.

use super::message::{Content, Item, Message};
use super::state::{PortId, Right, Transit};
use super::wire::{COMPLEX, Kind, Wire};
use crate::abi::{Facts, Family, NDR, RightNumbers, TypeWords};
use crate::kernel::Name;

/// What a notification tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// `MACH_NOTIFY_PORT_DELETED`: a name for which a dead-name notification was wanted has been released.
    PortDeleted(Name),
    /// `MACH_NOTIFY_PORT_DESTROYED`, with the receive right.
    PortDestroyed(Right),
    /// `MACH_NOTIFY_NO_SENDERS`, with the make-send count.
    NoSenders(u32),
    /// `MACH_NOTIFY_SEND_ONCE`: a send-once right was released unused.
    SendOnce,
    /// `MACH_NOTIFY_DEAD_NAME`
    DeadName(Name),
}

const INTEGER_32: u32 = 2;
const PORT_NAME: u32 = 15;
const PORT_RECEIVE: u32 = 16;
/// What Mach 2.5 calls a receive right.
const PORT_ALL: u32 = 5;

impl Notice {
    fn id(self) -> u32 {
        match self {
            Self::PortDeleted(_) => 65,
            Self::PortDestroyed(_) => 69,
            Self::NoSenders(_) => 70,
            Self::SendOnce => 71,
            Self::DeadName(_) => 72,
        }
    }

    /// The type and value of the one argument, if there is one.
    fn argument(self) -> Option<(u32, u32)> {
        match self {
            Self::PortDeleted(name) | Self::DeadName(name) => Some((PORT_NAME, name.0)),
            Self::PortDestroyed(_) => Some((PORT_RECEIVE, 0)),
            Self::NoSenders(count) => Some((INTEGER_32, count)),
            Self::SendOnce => None,
        }
    }
}

impl Message {
    /// A notification that uses up a send-once right for a port.
    pub(super) fn notification(facts: &'static Facts, notify: PortId, notice: Notice) -> Self {
        if facts.family == Family::Untyped {
            return Self::untyped_notification(facts, notify, notice);
        }
        let type_word = match facts.type_words {
            TypeWords::Short4Long12 => 4,
            TypeWords::Always8 => 8,
        };
        let data = facts.header + type_word;
        let size = match notice.argument() {
            Some(_) => data + 4_usize.next_multiple_of(facts.alignment),
            None => facts.header,
        };
        let mut wire = Wire::zeroed(facts, size);
        wire.set_u32(facts.id, notice.id());
        let mut items = alloc::vec::Vec::new();
        if let Some((name, value)) = notice.argument() {
            let bits = if name == PORT_RECEIVE { facts.port as u32 * 8 } else { 32 };
            let name = match (facts.rights, name) {
                (RightNumbers::Mach25, PORT_RECEIVE) => PORT_ALL,
                (_, name) => name,
            };
            match facts.type_words {
                TypeWords::Short4Long12 => wire.set_u32(facts.header, name | bits << 8 | 1 << 16 | 1 << 28),
                TypeWords::Always8 => {
                    wire.set_u32(facts.header, name | bits << 8 | 1 << 29);
                    wire.set_u32(facts.header + 4, 1);
                }
            }
            wire.set_u32(data, value);
        }
        if let Notice::PortDestroyed(right) = notice {
            wire.set_u32(0, COMPLEX);
            items.push(Item { data, content: Content::Ports(alloc::vec![Transit::Right(right)]) });
        }
        Self::new(wire, Right { kind: Kind::SendOnce, port: notify }, items)
    }

    /// The same for an untyped ABI: a descriptor of the receive right, or a number after an NDR record.
    fn untyped_notification(facts: &'static Facts, notify: PortId, notice: Notice) -> Self {
        let body = facts.header;
        let size = match notice.argument() {
            Some((PORT_RECEIVE, _)) => body + 4 + facts.port_descriptor,
            Some(_) => body + NDR.len() + 4,
            None => body,
        };
        let mut wire = Wire::zeroed(facts, size);
        wire.set_u32(facts.id, notice.id());
        let mut items = alloc::vec::Vec::new();
        match (notice, notice.argument()) {
            (Notice::PortDestroyed(right), _) => {
                let data = body + 4;
                wire.set_u32(0, COMPLEX);
                wire.set_u32(body, 1);
                wire.set_u32(data + 8, PORT_RECEIVE << 16);
                items.push(Item { data, content: Content::Ports(alloc::vec![Transit::Right(right)]) });
            }
            (_, Some((_, value))) => {
                wire.set_u32(body + 4, u32::from_ne_bytes(core::array::from_fn(|i| NDR[4 + i])));
                wire.set_u32(body + NDR.len(), value);
            }
            (_, None) => {}
        }
        Self::new(wire, Right { kind: Kind::SendOnce, port: notify }, items)
    }
}
