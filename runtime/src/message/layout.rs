//! Compile-time proof that generated code and this runtime lay messages out alike.
//!
//! The compiler writes the offsets of its slot table next to each stub; [`check`] computes them again with
//! the runtime's own rules and refuses to compile if they differ.

use crate::abi::{Abi, Family, NDR};
use crate::bytes::padded;
use crate::message::typed::word::Type;
use crate::message::typed::write::INLINE_MAX;

/// The room that an argument takes in a message, as [`Builder`](crate::Builder) writes it. Sizes are in
/// bytes, without padding.
///
/// In a message of an untyped ABI, everything after the header is an item; counts and return codes are
/// `Data(4)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A port right, or its descriptor; also a polymorphic argument.
    Port,
    /// The NDR record of an untyped message.
    Ndr,
    /// Data of a fixed size.
    Data(usize),
    /// Data of a fixed size under a long type word.
    LongData(usize),
    /// An inline array of variable length, at its bound.
    Array(usize),
    /// The same under a long type word.
    LongArray(usize),
    /// An inline array of at most this many rights.
    Ports(usize),
    /// Out-of-line data or rights, or their descriptor.
    OutOfLine,
    /// Out-of-line data under a short type word.
    ShortOutOfLine,
    /// An array of indefinite length, which may be inline; at the bytes that still are.
    Indefinite(usize),
    /// The same under a short type word.
    ShortIndefinite(usize),
}

impl Item {
    /// Bytes of the type word, and of what follows it.
    const fn sizes<A: Abi>(self) -> (usize, usize) {
        let facts = A::FACTS;
        if matches!(facts.family, Family::Untyped) {
            return (0, self.untyped_size::<A>());
        }
        let (long, data) = match self {
            Self::Ndr => panic!("typed messages have no NDR record"),
            Self::Port => (false, facts.port),
            Self::Data(size) | Self::Array(size) => (false, size),
            Self::LongData(size) | Self::LongArray(size) => (true, size),
            Self::Ports(count) => (false, count * facts.port),
            Self::OutOfLine => (true, facts.pointer),
            Self::ShortOutOfLine => (false, facts.pointer),
            Self::Indefinite(size) | Self::ShortIndefinite(size) => {
                assert!(size <= INLINE_MAX, "more than stays inline");
                (matches!(self, Self::Indefinite(_)), if size > facts.pointer { size } else { facts.pointer })
            }
        };
        let word = if long { Type::inline(0, 0, 0).long() } else { Type::inline(0, 0, 0) };
        (word.word_len::<A>(), data)
    }

    /// Bytes in a message of an untyped ABI.
    const fn untyped_size<A: Abi>(self) -> usize {
        match self {
            Self::Port => A::FACTS.port_descriptor,
            Self::OutOfLine => A::FACTS.memory_descriptor,
            Self::Ndr => NDR.len(),
            Self::Data(size) | Self::Array(size) => size,
            _ => panic!("untyped messages have nothing of this kind"),
        }
    }

    const fn is_variable(self) -> bool {
        matches!(
            self,
            Self::Array(_)
                | Self::LongArray(_)
                | Self::Ports(_)
                | Self::Indefinite(_)
                | Self::ShortIndefinite(_)
        )
    }
}

/// Checks a size or an offset. `what` names it in the error.
///
/// # Panics
///
/// If they differ; in a constant that is a compile error.
pub const fn equal(what: &str, is: usize, declared: usize) {
    assert!(is == declared, "{}", what);
}

/// Checks the layout of a message, which `message` names in the error: the offset of each item (of its type
/// word) up to the first one after a variable argument, and the largest size.
///
/// A typed reply's return code is its first item, `Data(4)`.
///
/// ```
/// use mig_runtime::abi::{Apple64, GnuI386, GnuX86_64};
/// use mig_runtime::codegen::layout::{Item::*, check};
///
/// // memory_object_create, as gcc lays out its C structure on both ABIs.
/// const _: () = check::<GnuX86_64>("memory_object_create", &[Port, Data(8), Port, Port, Data(8)], &[32, 48, 64, 80, 96], 112);
/// const _: () = check::<GnuI386>("memory_object_create", &[Port, Data(4), Port, Port, Data(4)], &[24, 32, 40, 48, 56], 64);
/// // The reply of mach_vm_read: a descriptor count, memory, and after the NDR record how many bytes it has.
/// const _: () = check::<Apple64>("mach_vm_read", &[Data(4), OutOfLine, Ndr, Data(4)], &[24, 28, 44, 52], 56);
/// ```
///
/// # Panics
///
/// If they differ; in a constant that is a compile error.
pub const fn check<A: Abi>(message: &str, items: &[Item], offsets: &[usize], size: usize) {
    let mut at = A::FACTS.header;
    let mut fixed = true;
    let mut i = 0;
    while i < items.len() {
        if fixed {
            // Each item up to there has an offset, and it is the one where the runtime writes it.
            assert!(i < offsets.len() && offsets[i] == at, "{}", message);
        }
        fixed = fixed && !items[i].is_variable();
        let (word, data) = items[i].sizes::<A>();
        at += word + padded::<A>(data as u64) as usize;
        i += 1;
    }
    assert!(size == at, "{}", message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::GnuI386;

    #[test]
    #[should_panic(expected = "`seconds` must be at 0 of `time_value_t`")]
    fn what_differs_is_named() {
        equal("`seconds` must be at 0 of `time_value_t`", 4, 0);
    }

    #[test]
    #[should_panic(expected = "clock_read, reply")]
    fn a_message_that_is_laid_out_otherwise_is_named() {
        // The reply's return code follows the header of 24 bytes.
        check::<GnuI386>("clock_read, reply", &[Item::Data(4)], &[28], 32);
    }

    #[test]
    #[should_panic(expected = "clock_read, reply")]
    fn so_is_one_of_another_size() {
        check::<GnuI386>("clock_read, reply", &[Item::Data(4)], &[24], 36);
    }

    #[test]
    fn what_is_as_declared_passes() {
        equal("`seconds` must be at 0 of `time_value_t`", 0, 0);
        check::<GnuI386>("clock_read, reply", &[Item::Data(4)], &[24], 32);
    }
}
