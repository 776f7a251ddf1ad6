//! The message types by name: what `MACH_MSG_TYPE_…` stands for.

use mig_abi::{Disposition, MessageType as Number};
use mig_parser::ast::IpcName;

use crate::abi::{Abi, MessageTypes};

/// What a message type name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageType {
    /// The type number that a sender writes; `None` is polymorphic.
    pub(super) sent: Option<u32>,
    /// The type number that the receiver sees; `None` is polymorphic.
    pub(super) received: Option<u32>,
    /// The number of a right in a type word, where its disposition does not say it.
    pub(super) number: Option<u32>,
    /// The size of an element in bits, if the name implies one.
    pub(super) bits: Option<u32>,
    /// `MACH_MSG_TYPE_REAL` and its kin.
    pub(super) is_float: bool,
}

/// Bits of an element, where the name implies them.
enum Bits {
    None,
    Is(u32),
}

/// Which compilers know a name, or a number for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    All,
    /// The compilers of dialects with type words.
    Typed,
    /// The compilers of dialects with type words, from Mach 3 on.
    Mach3,
    Untyped,
    Mach25,
}

/// Names of plain data after the prefix.
const DATA: &[(&str, Number, Bits, In)] = &[
    ("UNSTRUCTURED", Number::UNSTRUCTURED, Bits::None, In::All),
    ("BIT", Number::BIT, Bits::Is(1), In::All),
    ("BOOLEAN", Number::BOOLEAN, Bits::Is(32), In::All),
    ("INTEGER_16", Number::INTEGER_16, Bits::Is(16), In::All),
    ("INTEGER_32", Number::INTEGER_32, Bits::Is(32), In::All),
    ("INTEGER_64", Number::INTEGER_64, Bits::Is(64), In::Mach3),
    ("INTEGER_64", Number::INTEGER_64_UNTYPED, Bits::Is(64), In::Untyped),
    ("INTEGER_8", Number::INTEGER_8, Bits::Is(8), In::All),
    ("BYTE", Number::BYTE, Bits::Is(8), In::All),
    ("CHAR", Number::CHAR, Bits::Is(8), In::All),
    ("REAL", Number::REAL, Bits::None, In::Typed),
    ("REAL_32", Number::REAL_32, Bits::Is(32), In::Untyped),
    ("REAL_64", Number::REAL_64, Bits::Is(64), In::Untyped),
    ("STRING", Number::STRING, Bits::None, In::Typed),
    ("STRING_C", Number::STRING_C, Bits::None, In::Typed),
    ("PORT_NAME", Number::PORT_NAME, Bits::Is(32), In::All),
    // This is plain data to all but the kernel, which has a number for it.
    ("INTERNAL_MEMORY", Number::BYTE, Bits::Is(8), In::Mach25),
];

type Names = &'static [(&'static str, Disposition)];

/// Names of rights as they are sent.
const SENT: [(&str, Disposition); 6] = {
    let mut names = [("", Disposition::MoveReceive); 6];
    let mut index = 0;
    while index < names.len() {
        let disposition = Disposition::ALL[index];
        names[index] = (disposition.name(), disposition);
        index += 1;
    }
    names
};

/// Names of rights in Mach 2.5, where a right is sent by what it is.
const MACH_25: Names = &[("PORT", Disposition::CopySend), ("PORT_ALL", Disposition::MoveReceive)];

/// Rights that even Mach 2.5 calls obsolete: halves of what moves with `MSG_TYPE_PORT_ALL`.
const HALVES: &[(&str, Number)] =
    &[("PORT_OWNERSHIP", Number::PORT_OWNERSHIP), ("PORT_RECEIVE", Number::PORT_RECEIVE)];

/// Names of rights as they are received; their sender may do anything that gives such a right.
const RECEIVED: Names = &[
    ("PORT_RECEIVE", Disposition::MoveReceive),
    ("PORT_SEND", Disposition::MoveSend),
    ("PORT_SEND_ONCE", Disposition::MoveSendOnce),
];

const POLYMORPHIC: &str = "POLYMORPHIC";

/// What a name means for an ABI; `None` if its compiler does not know it.
pub(super) fn look_up(name: &IpcName, abi: &Abi) -> Option<MessageType> {
    match name {
        IpcName::Number(number) => {
            // What a right is sent as, and what it arrives as, have one number in Mach 2.5.
            let is_it = |right: Disposition| abi.facts.right_number(right) == number.value;
            let here = if abi.language.message_types == MessageTypes::Mach25 { MACH_25 } else { &[] };
            if let Some((name, _)) = here.iter().find(|(_, right)| is_it(*right)) {
                return right(name, abi);
            }
            if let Some((name, _)) = halves(abi).iter().find(|(_, half)| u32::from(half.0) == number.value) {
                return right(name, abi);
            }
            let (sent, received) = (Some(number.value), Some(number.value));
            let is_float = number.value == u32::from(Number::REAL.0);
            Some(MessageType { sent, received, number: None, bits: None, is_float })
        }
        IpcName::Polymorphic(_) => {
            let bits = Some(port_bits(abi));
            Some(MessageType { sent: None, received: None, number: None, bits, is_float: false })
        }
        IpcName::Symbol(symbol) => {
            let wanted = symbol.name.strip_prefix(abi.language.message_types.prefix())?;
            data(wanted, abi).or_else(|| right(wanted, abi))
        }
    }
}

fn data(wanted: &str, abi: &Abi) -> Option<MessageType> {
    let is_here = |place: In| match place {
        In::All => true,
        In::Typed => abi.rules().type_words,
        In::Untyped => !abi.rules().type_words,
        In::Mach3 => abi.rules().type_words && abi.language.message_types == MessageTypes::Mach3,
        In::Mach25 => abi.language.message_types == MessageTypes::Mach25,
    };
    let (_, number, bits, _) = DATA.iter().find(|(name, .., place)| *name == wanted && is_here(*place))?;
    let number = Some(number.0.into());
    let bits = match bits {
        Bits::None => None,
        Bits::Is(bits) => Some(*bits),
    };
    let is_float = wanted.starts_with("REAL");
    Some(MessageType { sent: number, received: number, number: None, bits, is_float })
}

fn right(wanted: &str, abi: &Abi) -> Option<MessageType> {
    let in_list = |list: &[(&str, Disposition)]| {
        list.iter().find(|(name, _)| *name == wanted).map(|(_, disposition)| *disposition)
    };
    let bits = Some(port_bits(abi));
    let received = |right: Disposition| Some(right.received() as u32);
    let (sent, seen) = names_of_rights(abi.language.message_types);
    if let Some(sent) = in_list(sent) {
        return Some(MessageType { sent: Some(sent as u32), ..rights(received(sent), bits) });
    }
    if let Some(right) = in_list(seen) {
        return Some(rights(received(right), bits));
    }
    if let Some((_, number)) = halves(abi).iter().find(|(name, _)| *name == wanted) {
        let right = Some(Disposition::MoveReceive as u32);
        return Some(MessageType { sent: right, number: Some(number.0.into()), ..rights(right, bits) });
    }
    let bits = if abi.rules().type_words { None } else { bits };
    (wanted == POLYMORPHIC).then_some(rights(None, bits))
}

/// A right that its receiver sees as this, and its sender as anything.
fn rights(received: Option<u32>, bits: Option<u32>) -> MessageType {
    MessageType { sent: None, received, number: None, bits, is_float: false }
}

/// The halves of rights that an ABI has.
fn halves(abi: &Abi) -> &'static [(&'static str, Number)] {
    if abi.language.message_types == MessageTypes::Mach25 { HALVES } else { &[] }
}

/// The names of rights as they are sent, and of those as they are received.
fn names_of_rights(types: MessageTypes) -> (Names, Names) {
    match types {
        MessageTypes::Mach3 => (&SENT, RECEIVED),
        MessageTypes::Mach25 => (MACH_25, &[]),
    }
}

/// All complete names, for a suggestion.
pub(super) fn all(types: MessageTypes) -> Vec<String> {
    let data = DATA.iter().map(|(name, ..)| *name);
    let (sent, received) = names_of_rights(types);
    let rights = sent.iter().chain(received).map(|(name, _)| *name);
    let halves = if types == MessageTypes::Mach25 { HALVES } else { &[] };
    let halves = halves.iter().map(|(name, _)| *name);
    let prefix = types.prefix();
    data.chain(rights).chain(halves).chain([POLYMORPHIC]).map(|name| format!("{prefix}{name}")).collect()
}

/// The ABI to compile with where a name is one of the other kind.
pub(super) fn in_another_language(name: &str, types: MessageTypes) -> Option<&'static str> {
    let (other, abi) = match types {
        MessageTypes::Mach3 => (MessageTypes::Mach25, "mach-25"),
        MessageTypes::Mach25 => (MessageTypes::Mach3, "cmu-32"),
    };
    all(other).iter().any(|known| known == name).then_some(abi)
}

/// The size in bits of a port in a message: its slot, or its name where a descriptor carries it.
pub(super) fn port_bits(abi: &Abi) -> u32 {
    abi.rules().port_bits.unwrap_or(abi.facts.port as u32 * 8)
}
