//! The bytes of a message, as the kernel sees them: header fields, and type words or descriptors.
//!
//! This kernel has Mach's numbers a second time, here and in its other modules, and takes none of `mig-abi`
//! but the sizes of a dialect: it is the tests' second opinion of what the runtime writes.

use zerocopy::IntoBytes;

use crate::abi::{Facts, Family, RightNumbers, TypeWords};

/// `MACH_MSGH_BITS_COMPLEX`
pub(super) const COMPLEX: u32 = 1 << 31;

/// How a right is named in a message: the `MACH_MSG_TYPE_…` numbers of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    MoveReceive,
    MoveSend,
    MoveSendOnce,
    CopySend,
    MakeSend,
    MakeSendOnce,
}

impl Disposition {
    /// `MACH_MSG_TYPE_MOVE_RECEIVE` and so on; none for a type that is not a port's.
    pub(super) const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            16 => Self::MoveReceive,
            17 => Self::MoveSend,
            18 => Self::MoveSendOnce,
            19 => Self::CopySend,
            20 => Self::MakeSend,
            21 => Self::MakeSendOnce,
            _ => return None,
        })
    }

    /// Whether the right leaves its sender.
    pub(super) const fn moves(self) -> bool {
        matches!(self, Self::MoveReceive | Self::MoveSend | Self::MoveSendOnce)
    }

    /// The kind of right that the receiver gets.
    pub(super) const fn gives(self) -> Kind {
        match self {
            Self::MoveReceive => Kind::Receive,
            Self::MoveSend | Self::CopySend | Self::MakeSend => Kind::Send,
            Self::MoveSendOnce | Self::MakeSendOnce => Kind::SendOnce,
        }
    }
}

/// The kinds of rights that travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Receive,
    Send,
    SendOnce,
}

impl Kind {
    /// The number that a received message shows: `MACH_MSG_TYPE_PORT_RECEIVE`, `…_SEND`, `…_SEND_ONCE`.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Receive => 16,
            Self::Send => 17,
            Self::SendOnce => 18,
        }
    }
}

/// The bytes of one message, aligned like a message buffer.
#[derive(Debug)]
pub(super) struct Wire {
    facts: &'static Facts,
    words: alloc::vec::Vec<u64>,
    size: usize,
}

impl Wire {
    /// `size` zero bytes, with `msgh_size` set.
    pub(super) fn zeroed(facts: &'static Facts, size: usize) -> Self {
        let mut wire = Self { facts, words: alloc::vec![0; size.div_ceil(8)], size };
        wire.set_u32(4, size as u32);
        wire
    }

    /// A copy of a message that was sent.
    ///
    /// The first word of a header of Mach 2.5 becomes that of Mach 3, which all else here reads. Its lower
    /// half says what is done with the ports, if the sender knows of this; the byte at the top is 1 in a
    /// message that is not complex.
    pub(super) fn copy(facts: &'static Facts, message: &[u8]) -> Self {
        let mut wire = Self::zeroed(facts, message.len());
        wire.bytes_mut().copy_from_slice(message);
        if wire.is_of_mach_25() {
            let first = wire.u32(0);
            let complex = if first >> 24 == 0 { COMPLEX } else { 0 };
            wire.set_u32(0, first & 0xffff | complex);
        }
        wire
    }

    /// The numbers of its rights, and its header, are those of Mach 2.5.
    pub(super) fn is_of_mach_25(&self) -> bool {
        self.facts.rights == RightNumbers::Mach25
    }

    pub(super) fn facts(&self) -> &'static Facts {
        self.facts
    }

    /// `msgh_size`
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Writes a trailer after the message, at the next multiple of 4.
    pub(super) fn append_trailer(&mut self, trailer: &[u8]) {
        let start = self.size.next_multiple_of(4);
        self.words.resize((start + trailer.len()).div_ceil(8), 0);
        self.words.as_mut_bytes()[start..start + trailer.len()].copy_from_slice(trailer);
    }

    /// The message as a buffer that was received into: its trailer after it if it has one, and zeros up to
    /// the next word.
    pub(super) fn into_words(mut self) -> alloc::vec::Vec<u64> {
        if self.is_of_mach_25() {
            let simple = self.u32(0) & COMPLEX == 0;
            self.set_u32(0, u32::from(simple) << 24);
        }
        self.words
    }

    fn bytes(&self) -> &[u8] {
        &self.words.as_bytes()[..self.size]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.words.as_mut_bytes()[..self.size]
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(core::array::from_fn(|i| self.bytes()[at + i]))
    }

    pub(super) fn set_u32(&mut self, at: usize, value: u32) {
        self.bytes_mut()[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    /// The name in a port slot; what a 64-bit slot has above it is ignored, as the kernel does.
    pub(super) fn port(&self, at: usize) -> u32 {
        self.u32(at)
    }

    pub(super) fn set_port(&mut self, at: usize, name: u32) {
        let width = self.facts.port;
        self.set_word(at, width, u64::from(name));
    }

    pub(super) fn address(&self, at: usize) -> u64 {
        match self.facts.pointer {
            4 => u64::from(self.u32(at)),
            _ => u64::from_ne_bytes(core::array::from_fn(|i| self.bytes()[at + i])),
        }
    }

    pub(super) fn set_address(&mut self, at: usize, address: u64) {
        let width = self.facts.pointer;
        self.set_word(at, width, address);
    }

    /// Of memory that a receiver has no room for: Apple's kernels say that it has no bytes, GNU Mach leaves
    /// the number in the type word.
    pub(super) fn forget_size(&mut self, descriptor: usize) {
        if self.facts.family == Family::Untyped {
            self.set_u32(descriptor + self.size_at(), 0);
        }
    }

    /// Where an untyped descriptor has its size: after an address of 8 bytes and the single bytes, or
    /// between them.
    fn size_at(&self) -> usize {
        if self.facts.pointer == 8 { 12 } else { 4 }
    }

    /// Writes 4 or 8 bytes.
    fn set_word(&mut self, at: usize, width: usize, value: u64) {
        match width {
            4 => self.set_u32(at, value as u32),
            _ => self.bytes_mut()[at..at + 8].copy_from_slice(&value.to_ne_bytes()),
        }
    }

    /// What the body of a complex message holds, each with its place: all arguments of a typed message, and
    /// those of an untyped one that have descriptors. `next` is where the next one starts.
    pub(super) fn arguments(&self) -> Result<Arguments, BadType> {
        let header = self.facts.header;
        match self.facts.family {
            Family::Typed => Ok(Arguments { at: header, left: usize::MAX }),
            Family::Untyped if self.size < header + 4 => Err(BadType::TooSmall),
            Family::Untyped => Ok(Arguments { at: header + 4, left: self.u32(header) as usize }),
        }
    }

    /// Looks at all descriptors of a complex message before anything is done with one.
    pub(super) fn check_descriptors(&self) -> Result<(), BadType> {
        if self.u32(0) & COMPLEX == 0 {
            return Ok(());
        }
        let mut arguments = self.arguments()?;
        while arguments.next(self)?.is_some() {}
        Ok(())
    }

    /// Reads the descriptor at `at` of an untyped message, and says where the next one starts.
    fn untyped(&self, at: usize) -> Result<(Descriptor, usize), BadType> {
        const PORT: u8 = 0;
        const MEMORY: u8 = 1;
        const PORTS: u8 = 2;
        const VOLATILE: u8 = 3;
        const GUARDED_PORT: u8 = 4;
        let bytes = self.bytes().get(at..).unwrap_or_default();
        let [.., deallocate, copy, disposition, kind] =
            *bytes.first_chunk::<12>().ok_or(BadType::TooSmall)?;
        let end = at + if kind == PORT { self.facts.port_descriptor } else { self.facts.memory_descriptor };
        if end > self.size {
            return Err(BadType::TooSmall);
        }
        let size_at = self.size_at();
        let port = Descriptor {
            at,
            name: disposition.into(),
            bits: 32,
            number: 1,
            inline: true,
            deallocate: false,
            valid: Disposition::from_number(disposition.into()).is_some(),
            length: 0,
        };
        let memory = Descriptor { inline: false, deallocate: deallocate != 0, ..port };
        let descriptor = match kind {
            PORT => port,
            GUARDED_PORT => Descriptor { length: size_at, ..port },
            PORTS => Descriptor { number: self.u32(at + size_at), valid: port.valid && copy <= 3, ..memory },
            MEMORY | VOLATILE => {
                Descriptor { name: 0, bits: 8, number: self.u32(at + size_at), valid: copy <= 3, ..memory }
            }
            _ => return Err(BadType::Invalid),
        };
        if descriptor.valid { Ok((descriptor, end)) } else { Err(BadType::Invalid) }
    }

    /// Reads the type word at `at`, if there is room for one.
    fn descriptor(&self, at: usize) -> Result<Descriptor, BadType> {
        let room = self.size.saturating_sub(at);
        let short = match self.facts.type_words {
            TypeWords::Short4Long12 => 4,
            TypeWords::Always8 => 8,
        };
        if room < short {
            return Err(BadType::TooSmall);
        }
        let word = self.u32(at);
        if self.is_of_mach_25() {
            return self.descriptor_of_mach_25(at, word, room);
        }
        match self.facts.type_words {
            TypeWords::Always8 => Ok(Descriptor {
                at,
                name: word & 0xff,
                bits: word >> 8 & 0xffff,
                number: self.u32(at + 4),
                inline: word & 1 << 29 != 0,
                deallocate: word & 1 << 31 != 0,
                valid: word & 0x1f00_0000 == 0,
                length: 8,
            }),
            TypeWords::Short4Long12 if word & 1 << 29 == 0 => Ok(Descriptor {
                at,
                name: word & 0xff,
                bits: word >> 8 & 0xff,
                number: word >> 16 & 0xfff,
                inline: word & 1 << 28 != 0,
                deallocate: word & 1 << 30 != 0,
                valid: word & 1 << 31 == 0,
                length: 4,
            }),
            TypeWords::Short4Long12 if room < 12 => Err(BadType::TooSmall),
            TypeWords::Short4Long12 => {
                let name_and_size = self.u32(at + 4);
                Ok(Descriptor {
                    at,
                    name: name_and_size & 0xffff,
                    bits: name_and_size >> 16,
                    number: self.u32(at + 8),
                    inline: word & 1 << 28 != 0,
                    deallocate: word & 1 << 30 != 0,
                    // The fields that the long form replaces, and the unused bit.
                    valid: word & 0x8fff_ffff == 0,
                    length: 12,
                })
            }
        }
    }

    /// The same of Mach 2.5, whose kernels do not look at bits that are not used. A send right is moved if
    /// its sender gives it up by the deallocate bit, or by the unused bit above it.
    fn descriptor_of_mach_25(&self, at: usize, word: u32, room: usize) -> Result<Descriptor, BadType> {
        let length = if word & 1 << 29 == 0 { 4 } else { 12 };
        if room < length {
            return Err(BadType::TooSmall);
        }
        let (name, bits, number) = match length {
            4 => (word & 0xff, word >> 8 & 0xff, word >> 16 & 0xfff),
            _ => (self.u32(at + 4) & 0xffff, self.u32(at + 4) >> 16, self.u32(at + 8)),
        };
        let deallocate = word & 1 << 30 != 0;
        let name = match name {
            // `MSG_TYPE_PORT_OWNERSHIP`, `MSG_TYPE_PORT_RECEIVE`, `MSG_TYPE_PORT_ALL`
            3..=5 => 16,
            // `MSG_TYPE_PORT`
            6 if deallocate || word & 1 << 31 != 0 => 17,
            6 => 19,
            16..=21 => 0,
            other => other,
        };
        let inline = word & 1 << 28 != 0;
        Ok(Descriptor {
            at,
            name,
            bits,
            number,
            inline,
            deallocate: deallocate && !inline,
            valid: true,
            length,
        })
    }

    /// Rewrites a type word of Mach 2.5 as its receiver sees it: with one of two numbers for a right, without
    /// what is not used, and with the deallocate bit as its sender has written it.
    fn normalise_mach_25(&mut self, descriptor: &Descriptor) {
        // A receive right keeps the number that its sender has given it.
        let number = descriptor.disposition().and_then(|disposition| match disposition.gives() {
            Kind::Receive => None,
            Kind::Send | Kind::SendOnce => Some(6),
        });
        let at = descriptor.at;
        let (first, name_at) = match descriptor.length {
            4 => (self.u32(at) & !(1 << 31), at),
            _ => (self.u32(at) & 0x7000_0000, at + 4),
        };
        self.set_u32(at, first);
        if let Some(number) = number {
            let mask = if name_at == at { 0xff } else { 0xffff };
            self.set_u32(name_at, self.u32(name_at) & !mask | number);
        }
    }

    /// Marks all that a message of Mach 2.5 brings back to its sender as the sender's.
    pub(super) fn give_back(&mut self) {
        if !self.is_of_mach_25() || self.u32(0) & COMPLEX == 0 {
            return;
        }
        let Ok(mut arguments) = self.arguments() else { return };
        while let Ok(Some(descriptor)) = arguments.next(self) {
            let is_right = descriptor.disposition().is_some();
            let bits = if is_right { 1 << 31 } else { 0 } | if descriptor.inline { 0 } else { 1 << 30 };
            self.set_u32(descriptor.at, self.u32(descriptor.at) | bits);
        }
    }

    /// Rewrites a type word as the receiver is to see it: deallocate is true out of line, false inline, and a
    /// port's name is that of the right it gives.
    pub(super) fn normalise(&mut self, descriptor: &Descriptor) {
        if self.facts.family == Family::Untyped {
            return self.normalise_untyped(descriptor);
        }
        if self.is_of_mach_25() {
            return self.normalise_mach_25(descriptor);
        }
        let name = Disposition::from_number(descriptor.name).map_or(descriptor.name, |d| d.gives().number());
        let (deallocate, long) = match self.facts.type_words {
            TypeWords::Always8 => (1 << 31, false),
            TypeWords::Short4Long12 => (1 << 30, descriptor.length == 12),
        };
        let mut word = self.u32(descriptor.at) & !deallocate;
        if !descriptor.inline {
            word |= deallocate;
        }
        if long {
            let name_and_size = self.u32(descriptor.at + 4) & !0xffff | name;
            self.set_u32(descriptor.at + 4, name_and_size);
        } else {
            word = word & !0xff | name;
        }
        self.set_u32(descriptor.at, word);
    }
}

/// The places of the arguments of a message, one after the other.
pub(super) struct Arguments {
    at: usize,
    /// How many descriptors of an untyped message are left.
    left: usize,
}

impl Arguments {
    /// The next argument; none at the end of the message, or after the last descriptor.
    pub(super) fn next(&mut self, wire: &Wire) -> Result<Option<Descriptor>, BadType> {
        let descriptor = match wire.facts.family {
            _ if self.left == 0 => return Ok(None),
            Family::Typed if self.at >= wire.size => return Ok(None),
            Family::Typed => {
                let descriptor = wire.descriptor(self.at)?;
                self.at = descriptor.check(wire.facts, wire.size)?;
                descriptor
            }
            Family::Untyped => {
                let (descriptor, end) = wire.untyped(self.at)?;
                (self.at, self.left) = (end, self.left - 1);
                descriptor
            }
        };
        Ok(Some(descriptor))
    }
}

impl Wire {
    /// As Apple's kernel writes descriptors back: the right that the receiver gets, and memory that is the
    /// receiver's, if it was copied virtually.
    fn normalise_untyped(&mut self, descriptor: &Descriptor) {
        let at = descriptor.at;
        let gives = descriptor.disposition().map(|disposition| disposition.gives().number() as u8);
        let bytes = self.bytes_mut();
        if let Some(number) = gives {
            bytes[at + 10] = number;
        }
        if !descriptor.inline {
            bytes[at + 8] = (bytes[at + 9] == 1).into();
        }
    }
}

/// A type word that is not to be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadType {
    /// The type word or its data goes beyond the end of the message.
    TooSmall,
    /// Its fields contradict each other.
    Invalid,
}

/// One argument of a message, as its type word or its descriptor describes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    /// Where the type word, or the descriptor, is.
    pub(super) at: usize,
    /// `msgt_name`, or the disposition.
    pub(super) name: u32,
    /// `msgt_size`: bits of one element.
    bits: u32,
    /// `msgt_number`
    pub(super) number: u32,
    pub(super) inline: bool,
    pub(super) deallocate: bool,
    /// Unused bits are zero.
    valid: bool,
    /// Bytes of the type word itself, or of what stands before the name in a descriptor.
    length: usize,
}

impl Descriptor {
    /// Where the data, or the address of data out of line, is.
    pub(super) fn data(&self) -> usize {
        self.at + self.length
    }

    pub(super) fn disposition(&self) -> Option<Disposition> {
        Disposition::from_number(self.name)
    }

    /// Bytes of the data.
    pub(super) fn data_size(&self) -> u64 {
        (u64::from(self.bits) * u64::from(self.number)).div_ceil(8)
    }

    /// Checks what can be told without looking at the data, and returns where the next type word is.
    fn check(&self, facts: &Facts, message_size: usize) -> Result<usize, BadType> {
        let port_bits = if self.inline { facts.port * 8 } else { 32 };
        let wrong_port = self.disposition().is_some() && self.bits as usize != port_bits;
        if !self.valid || wrong_port || (self.inline && self.deallocate) {
            return Err(BadType::Invalid);
        }
        let here = if self.inline { self.data_size() } else { facts.pointer as u64 };
        let room = message_size.saturating_sub(self.data());
        if here > room as u64 {
            return Err(BadType::TooSmall);
        }
        // No overflow: `here` is no more than the message.
        Ok(self.data() + (here as usize).next_multiple_of(facts.alignment))
    }
}
