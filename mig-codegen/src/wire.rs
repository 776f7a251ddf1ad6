//! How a type is described to the kernel: elements of one message type, the bits of each, and how many there
//! are.

use mig_abi::{Disposition, Facts, MessageType, RightKind};

use crate::model::{Type, TypeKind};

const INTEGER_16: u32 = MessageType::INTEGER_16.0 as u32;
pub(crate) const INTEGER_32: u32 = MessageType::INTEGER_32.0 as u32;
pub(crate) const BYTE: u32 = MessageType::BYTE.0 as u32;
/// A structure is plain data, and its type is written down in typed messages only.
const INTEGER_64: u32 = MessageType::INTEGER_64.0 as u32;
pub(crate) const STRING_C: u32 = MessageType::STRING_C.0 as u32;

/// What a type word says about a value: of a counted array, about one of its elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    /// The type number as sent; `None` is polymorphic.
    pub(crate) sent: Option<u32>,
    /// The type number as received; `None` is polymorphic.
    pub(crate) received: Option<u32>,
    /// Bits an element, inline.
    pub(crate) bits: u32,
    /// Bits an element, out of line.
    pub(crate) out_of_line_bits: u32,
    /// How many elements.
    pub(crate) number: u32,
}

impl Wire {
    /// The description of a type; `None` if it has too many elements for a type word.
    pub(crate) fn of(ty: &Type, facts: &Facts) -> Option<Wire> {
        Some(match &ty.kind {
            TypeKind::Scalar(s) => Wire::plain(s.type_number, s.received, s.bits, 1),
            TypeKind::Port(port) => Wire {
                sent: port.sender.map(|sent| sent as u32),
                received: port.receiver.map(|received| received as u32),
                bits: u32::try_from(facts.port).ok()?.checked_mul(8)?,
                out_of_line_bits: u32::try_from(facts.port_name).ok()?.checked_mul(8)?,
                number: 1,
            },
            TypeKind::FixedString { size, whole: true } => {
                Wire::plain(STRING_C, STRING_C, size.checked_mul(8)?, 1)
            }
            TypeKind::FixedString { size, whole: false } => Wire::plain(STRING_C, STRING_C, 8, *size),
            TypeKind::BoundedString { .. } => Wire::plain(STRING_C, STRING_C, 8, 1),
            TypeKind::Struct { size, alignment, .. } => struct_wire(*size, *alignment),
            TypeKind::Fixed { element, count, .. } => {
                let element = Wire::of(element, facts)?;
                Wire { number: element.number.checked_mul(*count)?, ..element }
            }
            TypeKind::Bounded { element, .. }
            | TypeKind::Indefinite { element, .. }
            | TypeKind::OutOfLine { element, .. } => Wire::of(element, facts)?,
        })
    }

    fn plain(sent: u32, received: u32, bits: u32, number: u32) -> Wire {
        Wire { sent: Some(sent), received: Some(received), bits, out_of_line_bits: bits, number }
    }

    /// The number in the type word of a value of this type; `None` if it is counted.
    pub(crate) fn fixed_number(&self, ty: &Type) -> Option<u32> {
        (!is_counted(ty)).then_some(self.number)
    }

    /// Bytes of this many values in the message.
    pub(crate) fn bytes(&self, values: u32) -> Option<u64> {
        let bits =
            u64::from(self.bits).checked_mul(u64::from(self.number))?.checked_mul(u64::from(values))?;
        Some(bits.div_ceil(8))
    }

    /// Bytes of one value out of line.
    pub(crate) fn out_of_line_bytes(&self) -> Option<u64> {
        let bits = u64::from(self.out_of_line_bits).checked_mul(u64::from(self.number))?;
        Some(bits.div_ceil(8))
    }
}

/// True if a count travels with the value.
pub(crate) fn is_counted(ty: &Type) -> bool {
    match ty.kind {
        TypeKind::Bounded { .. } | TypeKind::BoundedString { .. } | TypeKind::Indefinite { .. } => true,
        TypeKind::OutOfLine { count, .. } => count.is_none(),
        _ => false,
    }
}

/// A structure travels as an array of integers of its alignment.
fn struct_wire(size: u32, alignment: u32) -> Wire {
    let (number, bytes) = match alignment {
        2 => (INTEGER_16, 2),
        4 => (INTEGER_32, 4),
        8 => (INTEGER_64, 8),
        _ => (BYTE, 1),
    };
    Wire::plain(number, number, bytes * 8, size / bytes)
}

/// A disposition in words: what a message does, and to which right.
pub(crate) fn in_words(disposition: Disposition) -> (&'static str, &'static str) {
    let verb = match disposition {
        Disposition::MoveReceive | Disposition::MoveSend | Disposition::MoveSendOnce => "move",
        Disposition::CopySend => "copy",
        Disposition::MakeSend | Disposition::MakeSendOnce => "make",
    };
    let right = match disposition.right() {
        RightKind::Receive => "receive",
        RightKind::SendOnce => "send-once",
        _ => "send",
    };
    (verb, right)
}
