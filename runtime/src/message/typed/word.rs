//! Type words: what stands before each argument of a typed message.

use mig_abi::{Disposition, MessageType};

use crate::abi::{Abi, RightNumbers, TypeWords};
use crate::bytes::{wide_at, word_at};
use crate::message::malformed::Malformed;
use crate::message::shape::Origin;
use crate::right::disposition;

/// What a type word says of plain data (`mach_msg_type_t`, `mach_msg_type_long_t`), independent of how an ABI
/// packs it.
///
/// It cannot say that the data are names of rights: the methods that take rights write such type words by
/// themselves. Nor does it decide whether an address follows: that is up to the method that it is given to,
/// which has the memory in its hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type {
    /// `msgt_name`: the kind of the elements.
    pub(crate) name: u8,
    /// `msgt_size`: bits of an element.
    pub(crate) bits: u16,
    /// `msgt_number`: how many elements. Where a count travels in the type word, the count replaces it.
    pub(crate) number: u32,
    /// `msgt_inline`: the data follows; otherwise its address does.
    pub(crate) inline: bool,
    /// `msgt_longform`
    pub(crate) long: bool,
    /// `msgt_deallocate`: the memory at the address moves with the message.
    pub(crate) deallocate: bool,
}

impl Type {
    /// `number` elements of `bits` bits that follow the type word, in the short form.
    ///
    /// # Panics
    ///
    /// If `name` is the number of a right; in a constant that is a compile error.
    pub const fn inline(name: u8, bits: u16, number: u32) -> Self {
        Self { number, inline: true, ..Self::of_data(name, bits) }
    }

    /// Elements of `bits` bits at an address: the long form.
    ///
    /// # Panics
    ///
    /// As [`inline`](Self::inline).
    pub const fn out_of_line(name: u8, bits: u16) -> Self {
        Self { long: true, ..Self::of_data(name, bits) }
    }

    const fn of_data(name: u8, bits: u16) -> Self {
        assert!(
            !disposition::is_right(name),
            "the type of a right: only the methods that take rights write it"
        );
        Self { name, bits, number: 0, inline: false, long: false, deallocate: false }
    }

    /// A port right, or a polymorphic word, in its slot in the message.
    pub(crate) const fn slot<A: Abi>(name: u8) -> Self {
        let bits = (A::FACTS.port * 8) as u16;
        Self { name, bits, number: 1, inline: true, long: false, deallocate: false }
    }

    /// Half of a receive right of Mach 2.5, which has a number of its own (`MSG_TYPE_PORT_OWNERSHIP`,
    /// `MSG_TYPE_PORT_RECEIVE`), in its slot.
    ///
    /// # Panics
    ///
    /// If it is another number, or one of another ABI.
    pub(crate) const fn half<A: Abi>(number: u8) -> Self {
        let ty = Self::slot::<A>(number);
        assert!(ty.is_half::<A>(), "no number of half of a right");
        ty
    }

    const fn is_half<A: Abi>(self) -> bool {
        let is_it = self.name == MessageType::PORT_OWNERSHIP.0 || self.name == MessageType::PORT_RECEIVE.0;
        is_it && matches!(A::FACTS.rights, RightNumbers::Mach25)
    }

    /// True if the ABI has this number for a right, whose name it would say that the data are.
    pub(crate) const fn is_number_of_right<A: Abi>(self) -> bool {
        let is_it = self.name >= MessageType::PORT_OWNERSHIP.0 && self.name <= MessageType::PORT.0;
        is_it && matches!(A::FACTS.rights, RightNumbers::Mach25)
    }

    /// An array of `number` rights, or polymorphic words, in their slots in the message.
    pub(crate) const fn slots<A: Abi>(name: u8, number: u32, form: WordForm) -> Self {
        Self { number, long: matches!(form, WordForm::Long), ..Self::slot::<A>(name) }
    }

    /// Names of rights out of line: 4 bytes each; in a kernel, addresses.
    pub(crate) const fn names<A: Abi>(name: u8, form: WordForm) -> Self {
        let bits = 8 * A::FACTS.port_name as u16;
        let long = matches!(form, WordForm::Long);
        Self { name, bits, number: 0, inline: false, long, deallocate: false }
    }

    /// The same for data that follows the type word.
    #[inline]
    pub(crate) const fn in_message(self) -> Self {
        Self { inline: true, deallocate: false, ..self }
    }

    /// The same for data at an address.
    #[inline]
    pub(crate) const fn at_address(self) -> Self {
        Self { inline: false, ..self }
    }

    /// Whether the fields of this ABI's type word have room for what this one says.
    #[inline]
    pub(crate) const fn fits<A: Abi>(self) -> bool {
        match (A::FACTS.type_words, self.long) {
            (TypeWords::Short4Long12, false) => self.bits <= 0xff && self.number <= 0xfff,
            _ => true,
        }
    }

    /// The same in the long form.
    #[must_use]
    pub const fn long(self) -> Self {
        Self { long: true, ..self }
    }

    /// The same in the short form.
    #[must_use]
    pub const fn short(self) -> Self {
        Self { long: false, ..self }
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
        match self.bits as u64 {
            bits if bits % 8 == 0 => bits / 8 * self.number as u64,
            bits => (bits * self.number as u64).div_ceil(8),
        }
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

    /// The first 32 bits of the type word.
    #[inline]
    pub(crate) const fn first<A: Abi>(self) -> u32 {
        let flags = self.inline as u32 | (self.long as u32) << 1 | (self.deallocate as u32) << 2;
        match (A::FACTS.type_words, self.long) {
            (TypeWords::Always8, _) => self.name as u32 | (self.bits as u32) << 8 | flags << 29,
            (TypeWords::Short4Long12, true) => flags << 28 | self.moved::<A>(),
            (TypeWords::Short4Long12, false) => {
                let number = (self.number & 0xfff) << 16;
                let name = self.wire_name::<A>() | (self.bits as u32 & 0xff) << 8;
                name | number | flags << 28 | self.moved::<A>()
            }
        }
    }

    /// The 64 bits of the type word of an ABI where all have 8 bytes.
    #[inline]
    pub(crate) const fn wide<A: Abi>(self) -> u64 {
        self.first::<A>() as u64 | (self.number as u64) << 32
    }

    /// Name and size as the long form of a 32-bit ABI has them.
    #[inline]
    pub(crate) const fn long_kind<A: Abi>(self) -> u32 {
        self.wire_name::<A>() | (self.bits as u32) << 16
    }

    /// The name in this ABI's numbers. Here rights have those of Mach 3 whatever the ABI is.
    #[inline]
    const fn wire_name<A: Abi>(self) -> u32 {
        match (A::FACTS.rights, Disposition::from_number(self.name as u32)) {
            (RightNumbers::Mach25, Some(right)) => A::FACTS.right_number(right),
            _ => self.name as u32,
        }
    }

    /// The bit that says to the implementation of a kernel of Mach 2.5 that send rights are moved.
    #[inline]
    const fn moved<A: Abi>(self) -> u32 {
        match A::FACTS.rights {
            RightNumbers::Mach25 if is_moved_send(self.name) => MOVED << 28,
            _ => 0,
        }
    }

    /// The name of what a word with this number and these flags describes. Of rights that could have been
    /// moved or copied, those that were not are copied.
    fn name_on_wire<A: Abi>(number: u32, flags: u32) -> u32 {
        const OWNERSHIP: u32 = MessageType::PORT_OWNERSHIP.0 as u32;
        const RECEIVE: u32 = MessageType::PORT_RECEIVE.0 as u32;
        const ALL: u32 = MessageType::PORT_ALL.0 as u32;
        const SEND: u32 = MessageType::PORT.0 as u32;
        match (A::FACTS.rights, number) {
            (RightNumbers::Mach3, number) => number,
            (RightNumbers::Mach25, OWNERSHIP | RECEIVE | ALL) => disposition::MOVE_RECEIVE.into(),
            (RightNumbers::Mach25, SEND) if flags & (MOVED | DEALLOCATE) != 0 => {
                disposition::MOVE_SEND.into()
            }
            (RightNumbers::Mach25, SEND) => disposition::COPY_SEND.into(),
            // The numbers of Mach 3 mean nothing here.
            (RightNumbers::Mach25, number) if Disposition::is_right(number) => 255,
            (RightNumbers::Mach25, number) => number,
        }
    }

    /// This word in a message of that origin: what has been delivered is the receiver's, whatever bits of the
    /// sender's are left in the word.
    #[inline]
    pub(crate) fn with_origin<A: Abi>(self, origin: Origin) -> Self {
        match (A::FACTS.rights, origin) {
            (RightNumbers::Mach25, Origin::Delivered) => {
                let is_copy = self.name == disposition::COPY_SEND;
                let name = if is_copy { disposition::MOVE_SEND } else { self.name };
                Self { name, deallocate: !self.inline, ..self }
            }
            _ => self,
        }
    }

    /// True if what these bytes describe under a word like this one belongs to the task that reads them. Only
    /// on Mach 2.5 is this a question: on all other ABIs the names and the deallocate bit, which are
    /// compared, say so.
    #[inline]
    pub(crate) fn belongs<A: Abi>(self, bytes: &[u8], origin: Origin) -> bool {
        match (A::FACTS.rights, origin) {
            (RightNumbers::Mach25, Origin::Unsent) => {
                let is_right = disposition::is_right(self.name);
                let flags = word_at(bytes, 0).map_or(0, |first| first >> 28);
                let gives = (flags & DEALLOCATE != 0, flags & MOVED != 0);
                match (self.inline, is_right) {
                    (true, false) => true,
                    (true, true) => self.name == disposition::MOVE_RECEIVE || gives.0 || gives.1,
                    (false, _) => gives.0,
                }
            }
            _ => true,
        }
    }

    /// The bytes of the type word; only the first [`word_len`](Self::word_len) count.
    pub const fn word<A: Abi>(self) -> [u8; 12] {
        let (second, third) = match A::FACTS.type_words {
            TypeWords::Always8 => (self.number, 0),
            TypeWords::Short4Long12 => (self.long_kind::<A>(), self.number),
        };
        let ([a, b, c, d], [e, f, g, h], [i, j, k, l]) =
            (self.first::<A>().to_le_bytes(), second.to_le_bytes(), third.to_le_bytes());
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// Reads the type word at the start of `bytes`; `None` if they are too short for one.
    ///
    /// The long form has room for numbers of types that do not exist. A kernel carries them as plain data;
    /// here they are all 255.
    pub(crate) fn read<A: Abi>(bytes: &[u8]) -> Option<Self> {
        let first = word_at(bytes, 0)?;
        let flags = first >> flags_shift::<A>();
        let (inline, long, deallocate) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        let (name, bits, number) = match (A::FACTS.type_words, long) {
            (TypeWords::Always8, _) => (first & 0xff, first >> 8 & 0xffff, word_at(bytes, 4)?),
            (TypeWords::Short4Long12, false) => (first & 0xff, first >> 8 & 0xff, first >> 16 & 0xfff),
            (TypeWords::Short4Long12, true) => {
                let kind = word_at(bytes, 4)?;
                (kind & 0xffff, kind >> 16, word_at(bytes, 8)?)
            }
        };
        let name = Self::name_on_wire::<A>(name, flags).min(255) as u8;
        Some(Self { name, bits: bits as u16, number, inline, long, deallocate })
    }

    /// True if `bytes` start with this type word as a kernel delivers it: inline as it stands; out of line
    /// with the deallocate bit, and with any number.
    #[inline(always)]
    pub(crate) fn starts<A: Abi>(self, bytes: &[u8]) -> bool {
        let delivered = Self { deallocate: !self.inline, ..self };
        let varies = match A::FACTS.rights {
            _ if !self.sent_as_written::<A>() => 0,
            RightNumbers::Mach3 => DEALLOCATE << flags_shift::<A>(),
            RightNumbers::Mach25 => (DEALLOCATE | MOVED) << flags_shift::<A>(),
        };
        match (A::FACTS.type_words, self.long) {
            (TypeWords::Always8, _) => {
                let counted = if self.inline { 0 } else { !0 << 32 };
                let ignored = counted | u64::from(varies);
                wide_at(bytes).is_some_and(|word| (word ^ delivered.wide::<A>()) & !ignored == 0)
            }
            (TypeWords::Short4Long12, false) => {
                let counted = if self.inline { 0 } else { 0xfff << 16 };
                let ignored = counted | varies;
                word_at(bytes, 0).is_some_and(|word| (word ^ delivered.first::<A>()) & !ignored == 0)
            }
            (TypeWords::Short4Long12, true) => {
                word_at(bytes, 0).is_some_and(|word| (word ^ delivered.first::<A>()) & !varies == 0)
                    && word_at(bytes, 4) == Some(self.long_kind::<A>())
                    && word_at(bytes, 8).is_some_and(|number| number == self.number || !self.inline)
            }
        }
    }

    /// True if the receiver sees the deallocate bit as the sender has written it: a kernel, and any task of
    /// Mach 2.5, of rights and of what is out of line.
    const fn sent_as_written<A: Abi>(self) -> bool {
        let is_kept = A::FACTS.in_kernel || matches!(A::FACTS.rights, RightNumbers::Mach25);
        is_kept && (!self.inline || disposition::is_right(self.name) || self.is_half::<A>())
    }

    /// Reads the type word at the start of `bytes`, which must be this one but for what varies.
    #[inline]
    pub(crate) fn find<A: Abi>(self, bytes: &[u8]) -> Result<Found, Malformed> {
        self.find_with::<A>(bytes, LONG)
    }

    /// The same for data that is in the message. The number is what varies.
    #[inline]
    pub(crate) fn find_inline<A: Abi>(self, bytes: &[u8]) -> Result<u32, Malformed> {
        Ok(self.find_with::<A>(bytes, LONG | INLINE)?.number)
    }

    /// The same; these flags must be as they are here.
    #[inline]
    fn find_with<A: Abi>(self, bytes: &[u8], flags: u32) -> Result<Found, Malformed> {
        let first = word_at(bytes, 0).ok_or(Malformed::Size)?;
        let shift = flags_shift::<A>();
        let flags = flags << shift;
        let fixed = match (A::FACTS.type_words, self.long) {
            (TypeWords::Always8, _) => 0x00ff_ffff | flags,
            // Name, size and number stand after it; in the first word they are zero.
            (TypeWords::Short4Long12, true) => 0x0fff_ffff | flags,
            (TypeWords::Short4Long12, false) => 0xffff | flags,
        };
        let mut matches = (first ^ self.first::<A>()) & fixed == 0;
        let number = match (A::FACTS.type_words, self.long) {
            (TypeWords::Always8, _) => word_at(bytes, 4).ok_or(Malformed::Size)?,
            (TypeWords::Short4Long12, false) => first >> 16 & 0xfff,
            (TypeWords::Short4Long12, true) => {
                matches &= word_at(bytes, 4) == Some(self.long_kind::<A>());
                word_at(bytes, 8).ok_or(Malformed::Size)?
            }
        };
        if matches { Ok(Found { flags: first >> shift, number }) } else { Err(Malformed::Type) }
    }
}

/// The form of a type word that a method for rights writes or expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordForm {
    /// `mach_msg_type_t`
    Short,
    /// `mach_msg_type_long_t`
    Long,
}

/// A type word that a receiver expects, of plain data or of a right; it can be compared with, and not be
/// sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected(pub(crate) Type);

impl Expected {
    /// Plain data.
    pub const fn data(ty: Type) -> Self {
        Self(ty)
    }

    /// A right in its slot, of the kind that a receiver sees under this number (16 to 18).
    pub const fn right<A: Abi>(kind: u8) -> Self {
        Self(Type::slot::<A>(kind))
    }
}

/// What varies in the type words of one declaration: the number, and what the sender and the kernel decide.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    flags: u32,
    pub(crate) number: u32,
}

impl Found {
    #[inline]
    pub(crate) const fn is_inline(self) -> bool {
        self.flags & INLINE != 0
    }
}

/// The flags of a type word.
const INLINE: u32 = 1;
const LONG: u32 = 2;
const DEALLOCATE: u32 = 4;
/// Of rights in Mach 2.5: see [`Mach25`](crate::abi::Mach25).
const MOVED: u32 = 8;

/// Whether this is the name of rights to send that are moved.
const fn is_moved_send(name: u8) -> bool {
    name == disposition::MOVE_SEND || name == disposition::MOVE_SEND_ONCE
}

/// Where the flags of a type word start: inline, long form, deallocate, from the lowest.
const fn flags_shift<A: Abi>() -> u32 {
    match A::FACTS.type_words {
        TypeWords::Always8 => 29,
        TypeWords::Short4Long12 => 28,
    }
}
