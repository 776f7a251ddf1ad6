//! The pieces of messages that are not arguments: headers, type words, descriptors and trailers.

use mig_abi::{
    COMPLEX, DescriptorKind, Disposition, Facts, Family, MessageType, RightNumbers, TrailerField, TypeWords,
};

/// `msg_simple` of Mach 2.5, the highest byte of the first word.
const SIMPLE: u32 = 0xff << 24;
/// Of a number that may not be one of a disposition.
const DISPOSITION_BITS: u32 = 0x1f;

/// The unsigned number in these bytes; `None` if they are not there.
pub(crate) fn uint(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..size)?.copy_from_slice(bytes.get(at..at.checked_add(size)?)?);
    Some(u64::from_le_bytes(wide))
}

/// The 32 bits there; 0 if they are not there.
fn word(bytes: &[u8], at: usize) -> u32 {
    uint(bytes, at, 4).unwrap_or(0) as u32
}

fn put(bytes: &mut [u8], at: usize, size: usize, value: u64) {
    bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
}

/// What C's headers call a disposition, without `MACH_MSG_TYPE_` and in small letters.
pub(crate) fn disposition_name(number: u32) -> Option<String> {
    Disposition::from_number(number).map(|disposition| disposition.name().to_ascii_lowercase())
}

/// The disposition of this name.
pub(crate) fn disposition_by_name(name: &str) -> Option<u32> {
    let named = |disposition: &Disposition| disposition.name().to_ascii_lowercase() == name;
    Disposition::ALL.into_iter().find(named).map(|disposition| disposition as u32)
}

/// A right for people: its name, and what sending does or has done to it.
pub(crate) fn right_text(name: u64, disposition: u32) -> String {
    match (disposition_name(disposition), disposition) {
        (Some(known), _) => format!("{name:#x} {known}"),
        (None, 0) if name == 0 => "none".to_owned(),
        (None, 0) => format!("{name:#x}"),
        (None, other) => format!("{name:#x} (disposition {other})"),
    }
}

/// The header of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The message carries rights or memory.
    pub complex: bool,
    /// `msgh_remote_port`: in a message that is sent, where it goes; in one that was received, where the
    /// reply goes. Its name and disposition.
    pub remote: (u64, u32),
    /// `msgh_local_port`: the other one.
    pub local: (u64, u32),
    /// `msgh_size`
    pub size: u32,
    /// `msgh_seqno`, which only typed messages have.
    pub seqno: Option<u32>,
    /// `msgh_id`
    pub id: i32,
}

impl Header {
    /// Reads a header; `None` if there are not bytes enough for one.
    pub(crate) fn read(facts: &Facts, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..facts.header)?;
        let bits = word(bytes, 0);
        // Mach 2.5 says in the highest byte that a message is simple, and nothing of the ports.
        let old = facts.rights == RightNumbers::Mach25;
        let (mask, typed) = match facts.family {
            Family::Typed if old => (0, false),
            Family::Typed => (0xff, true),
            Family::Untyped => (DISPOSITION_BITS, false),
        };
        let port = facts.local_port.abs_diff(facts.remote_port);
        Some(Header {
            complex: if old { bits & SIMPLE == 0 } else { bits & COMPLEX != 0 },
            remote: (uint(bytes, facts.remote_port, port)?, bits & mask),
            local: (uint(bytes, facts.local_port, port)?, bits >> 8 & mask),
            size: word(bytes, 4),
            seqno: typed.then(|| word(bytes, facts.seqno)),
            id: word(bytes, facts.id) as i32,
        })
    }

    pub(crate) fn write(&self, facts: &Facts, bytes: &mut [u8]) {
        let port = facts.local_port.abs_diff(facts.remote_port);
        let (bits, seqno) = match (facts.rights, self.complex) {
            (RightNumbers::Mach25, true) => (0, None),
            (RightNumbers::Mach25, false) => (1 << 24, None),
            (RightNumbers::Mach3, complex) => {
                let complex = if complex { COMPLEX } else { 0 };
                (complex | self.remote.1 | self.local.1 << 8, self.seqno)
            }
        };
        put(bytes, 0, 4, bits.into());
        put(bytes, 4, 4, self.size.into());
        put(bytes, facts.remote_port, port, self.remote.0);
        put(bytes, facts.local_port, port, self.local.0);
        if let Some(seqno) = seqno {
            put(bytes, facts.seqno, 4, seqno.into());
        }
        put(bytes, facts.id, 4, u64::from(self.id as u32));
    }

    pub(crate) fn text(&self) -> String {
        let complex = if self.complex { "complex, " } else { "" };
        let seqno = self.seqno.map_or(String::new(), |seqno| format!(", seqno {seqno}"));
        let (remote, local) =
            (right_text(self.remote.0, self.remote.1), right_text(self.local.0, self.local.1));
        format!("{complex}{} bytes, remote {remote}, local {local}{seqno}, id {}", self.size, self.id)
    }
}

/// The type word of a typed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) name: u32,
    /// Bits an element.
    pub(crate) size: u32,
    pub(crate) number: u32,
    pub(crate) in_line: bool,
    pub(crate) long: bool,
    pub(crate) deallocate: bool,
    /// The bits that have no meaning.
    pub(crate) unused: u32,
}

impl Word {
    /// Reads a type word that is declared to be of this length.
    pub(crate) fn read(facts: &Facts, bytes: &[u8]) -> Self {
        let first = word(bytes, 0);
        let shift = if facts.type_words == TypeWords::Always8 { 29 } else { 28 };
        let flags = first >> shift;
        let (long, deallocate) = (flags & 2 != 0, flags & 4 != 0);
        let (name, size, number, unused) = match facts.type_words {
            TypeWords::Always8 => (first & 0xff, first >> 8 & 0xffff, word(bytes, 4), first >> 24 & 0x1f),
            TypeWords::Short4Long12 if bytes.len() == 12 => {
                let kind = word(bytes, 4);
                (kind & 0xffff, kind >> 16, word(bytes, 8), flags >> 3)
            }
            TypeWords::Short4Long12 => (first & 0xff, first >> 8 & 0xff, first >> 16 & 0xfff, flags >> 3),
        };
        Word { name, size, number, in_line: flags & 1 != 0, long, deallocate, unused }
    }

    pub(crate) fn write(&self, facts: &Facts) -> Vec<u8> {
        let flags = u32::from(self.in_line) | u32::from(self.long) << 1 | u32::from(self.deallocate) << 2;
        let words = match facts.type_words {
            TypeWords::Always8 => vec![self.name | self.size << 8 | flags << 29, self.number],
            TypeWords::Short4Long12 if self.long => {
                vec![flags << 28, self.name | self.size << 16, self.number]
            }
            TypeWords::Short4Long12 => {
                vec![self.name | self.size << 8 | (self.number & 0xfff) << 16 | flags << 28]
            }
        };
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    pub(crate) fn text(&self) -> String {
        let data = || MessageType::name_of(self.name, self.size).map(str::to_owned);
        let known = disposition_name(self.name).or_else(data);
        let name = known.unwrap_or_else(|| format!("type {}", self.name));
        let mut text = format!("{name}, {} of {} bits", self.number, self.size);
        text += if self.in_line { ", inline" } else { ", out of line" };
        for (is, what) in [(self.long, ", long form"), (self.deallocate, ", deallocate")] {
            text += if is { what } else { "" };
        }
        text
    }
}

/// A descriptor of an untyped message. Of a right the address is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) address: u64,
    /// Bytes of memory, or how many rights.
    pub(crate) size: u32,
    pub(crate) deallocate: bool,
    pub(crate) physical_copy: bool,
    pub(crate) disposition: u32,
    pub(crate) kind: u8,
}

impl Descriptor {
    /// Reads a descriptor, whose length says whether it is that of a right.
    pub(crate) fn read(facts: &Facts, bytes: &[u8], is_right: bool) -> Self {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let (address, size_at) = match is_right {
            true => (4, None),
            false if facts.pointer == 8 => (8, Some(12)),
            false => (4, Some(4)),
        };
        Descriptor {
            address: uint(bytes, 0, address).unwrap_or(0),
            size: size_at.map_or(0, |at| word(bytes, at)),
            deallocate: !is_right && byte(8) != 0,
            physical_copy: !is_right && byte(9) == 0,
            disposition: byte(10).into(),
            kind: byte(11),
        }
    }

    pub(crate) fn write(&self, facts: &Facts, bytes: &mut [u8], is_right: bool) {
        match is_right {
            true => put(bytes, 0, 4, self.address),
            false => {
                put(bytes, 0, facts.pointer, self.address);
                put(bytes, if facts.pointer == 8 { 12 } else { 4 }, 4, self.size.into());
                bytes[8] = self.deallocate.into();
                bytes[9] = (!self.physical_copy).into();
            }
        }
        bytes[10] = self.disposition as u8;
        bytes[11] = self.kind;
    }

    pub(crate) fn text(&self, is_right: bool) -> String {
        if is_right {
            return right_text(self.address, self.disposition);
        }
        let what = match self.kind {
            kind if kind == DescriptorKind::Ports as u8 => "rights",
            _ => "bytes",
        };
        let mut text = format!("{} {what} at {:#x}", self.size, self.address);
        if let Some(name) = disposition_name(self.disposition) {
            text += &format!(", {name}");
        }
        for (is, what) in [(self.deallocate, ", deallocate"), (self.physical_copy, ", physical copy")] {
            text += if is { what } else { "" };
        }
        text
    }
}

/// The trailer at the start of these bytes, if there is one: its length, and what it says.
pub(crate) fn trailer(facts: &Facts, bytes: &[u8]) -> Option<(usize, String)> {
    let size = uint(bytes, 4, 4)? as usize;
    let known = size == TrailerField::HEAD || TrailerField::ALL.iter().any(|field| field.end() <= size);
    let is_one = facts.family == Family::Untyped && word(bytes, 0) == 0 && known && size <= LONGEST_TRAILER;
    let bytes = bytes.get(..size).filter(|_| is_one)?;
    let fields = TrailerField::ALL.iter().filter(|field| field.end() <= size).map(|field| {
        let words = bytes[field.offset()..field.end()].chunks(4).map(|bytes| word(bytes, 0).to_string());
        format!("{} {}", field.name(), words.collect::<Vec<_>>().join(" "))
    });
    Some((size, fields.collect::<Vec<_>>().join(", ")))
}

/// `sizeof (mach_msg_mac_trailer_t)`, and some room.
pub(crate) const LONGEST_TRAILER: usize = 68;
