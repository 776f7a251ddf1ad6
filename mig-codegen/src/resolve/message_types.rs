//! The message types by name: what `MACH_MSG_TYPE_…` stands for.

use mig_parser::ast::IpcName;

use crate::abi::Abi;

/// What a message type name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageType {
    /// The type number that a sender writes; `None` is polymorphic.
    pub(super) sent: Option<u32>,
    /// The type number that the receiver sees; `None` is polymorphic.
    pub(super) received: Option<u32>,
    /// The size of an element in bits, if the name implies one.
    pub(super) bits: Option<u32>,
}

/// Bits of an element that is not the same everywhere.
enum Bits {
    None,
    Is(u32),
    Port,
}

/// Which compilers know a name, or a number of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    All,
    Typed,
    Untyped,
}

const POLYMORPHIC: u32 = u32::MAX;

/// Name behind `MACH_MSG_TYPE_`, number sent, number received, size, where.
const NAMES: &[(&str, u32, u32, Bits, In)] = &[
    ("UNSTRUCTURED", 0, 0, Bits::None, In::All),
    ("BIT", 0, 0, Bits::Is(1), In::All),
    ("BOOLEAN", 0, 0, Bits::Is(32), In::All),
    ("INTEGER_16", 1, 1, Bits::Is(16), In::All),
    ("INTEGER_32", 2, 2, Bits::Is(32), In::All),
    ("INTEGER_64", 11, 11, Bits::Is(64), In::Typed),
    ("INTEGER_64", 3, 3, Bits::Is(64), In::Untyped),
    ("INTEGER_8", 9, 9, Bits::Is(8), In::All),
    ("BYTE", 9, 9, Bits::Is(8), In::All),
    ("CHAR", 8, 8, Bits::Is(8), In::All),
    ("REAL", 10, 10, Bits::None, In::Typed),
    ("REAL_32", 10, 10, Bits::Is(32), In::Untyped),
    ("REAL_64", 11, 11, Bits::Is(64), In::Untyped),
    ("STRING", 12, 12, Bits::None, In::Typed),
    ("STRING_C", 12, 12, Bits::None, In::Typed),
    ("PORT_NAME", 15, 15, Bits::Is(32), In::All),
    ("MOVE_RECEIVE", 16, 16, Bits::Port, In::All),
    ("MOVE_SEND", 17, 17, Bits::Port, In::All),
    ("MOVE_SEND_ONCE", 18, 18, Bits::Port, In::All),
    ("COPY_SEND", 19, 17, Bits::Port, In::All),
    ("MAKE_SEND", 20, 17, Bits::Port, In::All),
    ("MAKE_SEND_ONCE", 21, 18, Bits::Port, In::All),
    ("PORT_RECEIVE", POLYMORPHIC, 16, Bits::Port, In::All),
    ("PORT_SEND", POLYMORPHIC, 17, Bits::Port, In::All),
    ("PORT_SEND_ONCE", POLYMORPHIC, 18, Bits::Port, In::All),
    ("POLYMORPHIC", POLYMORPHIC, POLYMORPHIC, Bits::None, In::Typed),
    ("POLYMORPHIC", POLYMORPHIC, POLYMORPHIC, Bits::Port, In::Untyped),
];

const PREFIX: &str = "MACH_MSG_TYPE_";

/// What a name means for an ABI; `None` if its compiler does not know it.
pub(super) fn look_up(name: &IpcName, abi: &Abi) -> Option<MessageType> {
    match name {
        IpcName::Number(number) => {
            Some(MessageType { sent: Some(number.value), received: Some(number.value), bits: None })
        }
        IpcName::Polymorphic(_) => {
            Some(MessageType { sent: None, received: None, bits: Some(port_bits(abi)) })
        }
        IpcName::Symbol(symbol) => {
            let wanted = symbol.name.strip_prefix(PREFIX)?;
            let here = if abi.is_typed() { In::Typed } else { In::Untyped };
            let (_, sent, received, bits, _) = NAMES
                .iter()
                .find(|(name, .., place)| *name == wanted && (*place == In::All || *place == here))?;
            Some(MessageType {
                sent: (*sent != POLYMORPHIC).then_some(*sent),
                received: (*received != POLYMORPHIC).then_some(*received),
                bits: match bits {
                    Bits::None => None,
                    Bits::Is(bits) => Some(*bits),
                    Bits::Port => Some(port_bits(abi)),
                },
            })
        }
    }
}

/// All complete names, for a suggestion.
pub(super) fn all() -> impl Iterator<Item = String> {
    NAMES.iter().map(|(name, ..)| format!("{PREFIX}{name}"))
}

/// The size in bits of a port in a message: its slot, or its name where a descriptor carries it.
pub(super) fn port_bits(abi: &Abi) -> u32 {
    if abi.is_typed() { abi.facts.port as u32 * 8 } else { 32 }
}
