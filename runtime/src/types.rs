//! Type words: what stands in front of each argument of a typed message.

use crate::abi::{Abi, TypeWords};

/// The numbers of `msgt_name` that the runtime treats by themselves. All others are plain data to it.
pub mod name {
    /// `MACH_MSG_TYPE_INTEGER_32`
    pub const INTEGER_32: u8 = 2;
    /// `MACH_MSG_TYPE_MOVE_RECEIVE`; a receiver sees the same number as `MACH_MSG_TYPE_PORT_RECEIVE`.
    pub const MOVE_RECEIVE: u8 = 16;
    /// `MACH_MSG_TYPE_MOVE_SEND`; a receiver sees the same number as `MACH_MSG_TYPE_PORT_SEND`.
    pub const MOVE_SEND: u8 = 17;
    /// `MACH_MSG_TYPE_MOVE_SEND_ONCE`; a receiver sees the same number as `MACH_MSG_TYPE_PORT_SEND_ONCE`.
    pub const MOVE_SEND_ONCE: u8 = 18;
    /// `MACH_MSG_TYPE_COPY_SEND`
    pub const COPY_SEND: u8 = 19;
    /// `MACH_MSG_TYPE_MAKE_SEND`
    pub const MAKE_SEND: u8 = 20;
    /// `MACH_MSG_TYPE_MAKE_SEND_ONCE`
    pub const MAKE_SEND_ONCE: u8 = 21;

    /// True for the numbers that denote a port right (`MACH_MSG_TYPE_PORT_ANY`).
    #[inline]
    pub const fn is_right(name: u8) -> bool {
        matches!(name, MOVE_RECEIVE..=MAKE_SEND_ONCE)
    }
}

/// What a type word says (`mach_msg_type_t`, `mach_msg_type_long_t`), independent of how an ABI packs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type {
    /// `msgt_name`: the kind of the elements.
    pub name: u8,
    /// `msgt_size`: bits of an element.
    pub bits: u16,
    /// `msgt_number`: how many elements. Where a count travels in the type word, the count replaces it.
    pub number: u32,
    /// `msgt_inline`: the data follows; otherwise its address does.
    pub inline: bool,
    /// `msgt_longform`
    pub long: bool,
    /// `msgt_deallocate`: the memory behind the address moves with the message.
    pub deallocate: bool,
}

impl Type {
    /// `number` elements of `bits` bits that follow the type word, in the short form.
    pub const fn inline(name: u8, bits: u16, number: u32) -> Self {
        Self { name, bits, number, inline: true, long: false, deallocate: false }
    }

    /// Elements of `bits` bits behind an address: the long form.
    pub const fn out_of_line(name: u8, bits: u16) -> Self {
        Self { name, bits, number: 0, inline: false, long: true, deallocate: false }
    }

    /// A port right in its slot in the message.
    pub(crate) const fn port<A: Abi>(name: u8) -> Self {
        Self::inline(name, (A::FACTS.port * 8) as u16, 1)
    }

    /// The same in the long form.
    #[must_use]
    pub const fn long(self) -> Self {
        Self { long: true, ..self }
    }

    /// The same with the deallocate bit: the sender gives its memory away.
    #[must_use]
    pub const fn deallocate(self) -> Self {
        Self { deallocate: true, ..self }
    }

    /// The same with another number of elements.
    #[must_use]
    pub const fn with_number(self, number: u32) -> Self {
        Self { number, ..self }
    }

    /// Bytes of the elements together; at most 2^45, so it never overflows.
    #[inline]
    pub const fn data_len(self) -> u64 {
        (self.bits as u64 * self.number as u64).div_ceil(8)
    }

    /// Bytes that the type word takes in a message.
    #[inline]
    pub const fn word_len<A: Abi>(self) -> usize {
        match (A::FACTS.type_words, self.long) {
            (TypeWords::Always8, _) => 8,
            (TypeWords::Short4Long12, false) => 4,
            (TypeWords::Short4Long12, true) => 12,
        }
    }

    /// The bytes of the type word; only the first [`word_len`](Self::word_len) count.
    #[inline]
    pub const fn word<A: Abi>(self) -> [u8; 12] {
        let flags = self.inline as u32 | (self.long as u32) << 1 | (self.deallocate as u32) << 2;
        let (first, second, third) = match (A::FACTS.type_words, self.long) {
            (TypeWords::Always8, _) => {
                (self.name as u32 | (self.bits as u32) << 8 | flags << 29, self.number, 0)
            }
            (TypeWords::Short4Long12, false) => {
                let number = (self.number & 0xfff) << 16;
                (self.name as u32 | (self.bits as u32 & 0xff) << 8 | number | flags << 28, 0, 0)
            }
            (TypeWords::Short4Long12, true) => {
                (flags << 28, self.name as u32 | (self.bits as u32) << 16, self.number)
            }
        };
        let ([a, b, c, d], [e, f, g, h], [i, j, k, l]) =
            (first.to_le_bytes(), second.to_le_bytes(), third.to_le_bytes());
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// Reads the type word at the start of `bytes`; `None` if they are too short for one.
    #[inline]
    pub fn read<A: Abi>(bytes: &[u8]) -> Option<Self> {
        let first = word_at(bytes, 0)?;
        let flags = match A::FACTS.type_words {
            TypeWords::Always8 => first >> 29,
            TypeWords::Short4Long12 => first >> 28,
        };
        let short = Self {
            name: first as u8,
            bits: 0,
            number: 0,
            inline: flags & 1 != 0,
            long: flags & 2 != 0,
            deallocate: flags & 4 != 0,
        };
        Some(match A::FACTS.type_words {
            TypeWords::Always8 => Self { bits: (first >> 8) as u16, number: word_at(bytes, 4)?, ..short },
            TypeWords::Short4Long12 if short.long => {
                let kind = word_at(bytes, 4)?;
                Self {
                    name: u8::try_from(kind & 0xffff).ok()?,
                    bits: (kind >> 16) as u16,
                    number: word_at(bytes, 8)?,
                    ..short
                }
            }
            TypeWords::Short4Long12 => {
                Self { bits: (first >> 8 & 0xff) as u16, number: first >> 16 & 0xfff, ..short }
            }
        })
    }
}

/// The little-endian word at `offset`.
#[inline]
pub(crate) fn word_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let word = bytes.get(offset..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*word))
}

/// `len` rounded up to the ABI's alignment of data; 64 bits, so that hostile lengths do not overflow.
#[inline]
pub(crate) const fn padded<A: Abi>(len: u64) -> u64 {
    len.next_multiple_of(A::FACTS.alignment as u64)
}
