//! Messages of the typed ABIs as bytes, read and changed without any code of the project's own runtime.
//!
//! The tests need a second opinion on the wire format: this module is written from the C headers' structures
//! alone.

use crate::form::Form;
use crate::oracle::CAbi;

/// Where things are in a message.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// `sizeof (mach_msg_header_t)`
    pub header: usize,
    /// Offset of `msgh_local_port`; the remote port is at 8.
    pub local_port: usize,
    /// Offset of `msgh_seqno`.
    pub seqno: usize,
    /// Offset of `msgh_id`.
    pub id: usize,
    /// Bytes in a short type word.
    pub type_word: usize,
    /// Data is padded to a multiple of this.
    pub alignment: usize,
    /// Bytes in an inline port.
    pub port: usize,
    /// Bytes in an address.
    pub pointer: usize,
}

/// The shape of an ABI's messages.
pub const fn shape(abi: CAbi) -> Shape {
    match abi {
        CAbi::GnuI386 => Shape {
            header: 24,
            local_port: 12,
            seqno: 16,
            id: 20,
            type_word: 4,
            alignment: 4,
            port: 4,
            pointer: 4,
        },
        CAbi::GnuX86_64 => Shape {
            header: 32,
            local_port: 16,
            seqno: 24,
            id: 28,
            type_word: 8,
            alignment: 8,
            port: 8,
            pointer: 8,
        },
    }
}

/// Offset of `msgh_remote_port`.
pub const REMOTE_PORT: usize = 8;
/// Offset of `msgh_size`.
pub const SIZE: usize = 4;
/// Offset of `msgh_voucher_port`, where there is one.
pub const VOUCHER: usize = 16;
/// `MACH_MSGH_BITS_COMPLEX`
pub const COMPLEX: u32 = 0x8000_0000;

/// The fields of a type word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `msgt_name`
    Name,
    /// `msgt_size`, in bits
    Size,
    /// `msgt_number`
    Number,
    /// `msgt_inline`
    Inline,
    /// `msgt_longform`
    Long,
    /// `msgt_deallocate`
    Deallocate,
    /// `msgt_unused`
    Unused,
    /// Name, size and number of the short form, of which a long one on i386 has copies of its own
    Short,
}

/// A type word and the data after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where the type word starts.
    pub offset: usize,
    /// `msgt_name`
    pub name: u32,
    /// `msgt_size`, in bits
    pub bits: u32,
    /// `msgt_number`
    pub number: u32,
    /// `msgt_inline`
    pub inline: bool,
    /// `msgt_longform`
    pub long: bool,
    /// `msgt_deallocate`
    pub deallocate: bool,
    /// Where the data, or the address, starts.
    pub data: usize,
    /// Its size in the message without padding.
    pub size: usize,
}

impl Item {
    /// Bytes of the data, wherever it is.
    pub fn bytes(&self) -> usize {
        (self.bits as usize * self.number as usize).div_ceil(8)
    }

    /// True if the data is port rights.
    pub fn is_port(&self) -> bool {
        (16..=21).contains(&self.name)
    }
}

/// A 32-bit number in a message.
pub fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

/// Sets a 32-bit number in a message.
pub fn set_u32(bytes: &mut [u8], offset: usize, value: u32) {
    bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

/// A number as wide as an address, which has this many bytes.
pub fn pointer_at(width: usize, bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0; 8];
    word[..width].copy_from_slice(&bytes[offset..offset + width]);
    u64::from_le_bytes(word)
}

/// Sets a number as wide as an address.
pub fn set_pointer(width: usize, bytes: &mut [u8], offset: usize, value: u64) {
    bytes[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
}

/// The items of a message; `None` if they do not fill it exactly.
pub fn items(abi: CAbi, bytes: &[u8]) -> Option<Vec<Item>> {
    items_in(shape(abi), abi, bytes)
}

/// The items of a message of this shape, with the type words of `abi`.
pub fn items_in(shape: Shape, abi: CAbi, bytes: &[u8]) -> Option<Vec<Item>> {
    let mut offset = shape.header;
    let mut items = Vec::new();
    while offset < bytes.len() {
        let item = item(shape, abi, bytes, offset)?;
        offset = item.data.checked_add(item.size)?.checked_next_multiple_of(shape.alignment)?;
        items.push(item);
    }
    (offset == bytes.len()).then_some(items)
}

fn item(shape: Shape, abi: CAbi, bytes: &[u8], offset: usize) -> Option<Item> {
    let word = u32::from_le_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?);
    let mut item = match abi {
        CAbi::GnuI386 => Item {
            offset,
            name: word & 0xff,
            bits: word >> 8 & 0xff,
            number: word >> 16 & 0xfff,
            inline: word >> 28 & 1 == 1,
            long: word >> 29 & 1 == 1,
            deallocate: word >> 30 & 1 == 1,
            data: offset + 4,
            size: 0,
        },
        CAbi::GnuX86_64 => Item {
            offset,
            name: word & 0xff,
            bits: word >> 8 & 0xffff,
            number: u32::from_le_bytes(bytes.get(offset + 4..offset + 8)?.try_into().ok()?),
            inline: word >> 29 & 1 == 1,
            long: word >> 30 & 1 == 1,
            deallocate: word >> 31 == 1,
            data: offset + 8,
            size: 0,
        },
    };
    if abi == CAbi::GnuI386 && item.long {
        let long = bytes.get(offset + 4..offset + 12)?;
        item.name = u32::from(u16::from_le_bytes([long[0], long[1]]));
        item.bits = u32::from(u16::from_le_bytes([long[2], long[3]]));
        item.number = u32_at(long, 4);
        item.data = offset + 12;
    }
    item.size = if item.inline { item.bytes() } else { shape.pointer };
    Some(item)
}

/// Sets a field of a type word, wherever its form keeps it.
pub fn set_field(abi: CAbi, bytes: &mut [u8], item: &Item, field: Field, value: u32) {
    let long = abi == CAbi::GnuI386 && item.long;
    match (field, abi) {
        (Field::Name, _) if long => bytes[item.offset + 4..item.offset + 6].copy_from_slice(&low(value)),
        (Field::Size, _) if long => bytes[item.offset + 6..item.offset + 8].copy_from_slice(&low(value)),
        (Field::Number, _) if long => set_u32(bytes, item.offset + 8, value),
        (Field::Number, CAbi::GnuX86_64) => set_u32(bytes, item.offset + 4, value),
        (Field::Name, _) => set_bits(bytes, item.offset, 0, 8, value),
        (Field::Size, CAbi::GnuI386) => set_bits(bytes, item.offset, 8, 8, value),
        (Field::Size, CAbi::GnuX86_64) => set_bits(bytes, item.offset, 8, 16, value),
        (Field::Number, CAbi::GnuI386) => set_bits(bytes, item.offset, 16, 12, value),
        (Field::Inline, CAbi::GnuI386) => set_bits(bytes, item.offset, 28, 1, value),
        (Field::Inline, CAbi::GnuX86_64) => set_bits(bytes, item.offset, 29, 1, value),
        (Field::Long, CAbi::GnuI386) => set_bits(bytes, item.offset, 29, 1, value),
        (Field::Long, CAbi::GnuX86_64) => set_bits(bytes, item.offset, 30, 1, value),
        (Field::Deallocate, CAbi::GnuI386) => set_bits(bytes, item.offset, 30, 1, value),
        (Field::Deallocate, CAbi::GnuX86_64) => set_bits(bytes, item.offset, 31, 1, value),
        (Field::Unused, CAbi::GnuI386) => set_bits(bytes, item.offset, 31, 1, value),
        (Field::Unused, CAbi::GnuX86_64) => set_bits(bytes, item.offset, 24, 5, value),
        (Field::Short, _) if long => set_bits(bytes, item.offset, 0, 28, value),
        (Field::Short, _) => {}
    }
}

fn low(value: u32) -> [u8; 2] {
    let bytes = value.to_le_bytes();
    [bytes[0], bytes[1]]
}

fn set_bits(bytes: &mut [u8], offset: usize, shift: u32, width: u32, value: u32) {
    let mask = ((1u32 << width) - 1) << shift;
    let word = u32_at(bytes, offset) & !mask | value << shift & mask;
    set_u32(bytes, offset, word);
}

/// What the receiver sees of a message that was sent: the kernel swaps the two ports of the header, turns
/// what becomes of a right into the right that arrives, sets the deallocate bit of out-of-line data and
/// clears that of inline data, and numbers the message. Names stay as they are, as if both ends had one name
/// table.
pub fn received(abi: CAbi, sent: &[u8], seqno: u32) -> Vec<u8> {
    let shape = shape(abi);
    let mut bytes = sent.to_vec();
    let bits = u32_at(sent, 0);
    let (remote, local) = (bits & 0xff, bits >> 8 & 0xff);
    set_u32(&mut bytes, 0, bits & 0xffff_0000 | arrives(remote) << 8 | arrives(local));
    let (remote, local) = (u32_at(sent, REMOTE_PORT), u32_at(sent, shape.local_port));
    for (offset, port) in [(REMOTE_PORT, local), (shape.local_port, remote)] {
        bytes[offset..offset + shape.port].fill(0);
        set_u32(&mut bytes, offset, port);
    }
    set_u32(&mut bytes, shape.seqno, seqno);
    for item in items(abi, sent).expect("a stub's message is whole") {
        Form::Typed(abi).arrive(&mut bytes, &item);
    }
    bytes
}

/// What a disposition becomes on the way.
pub const fn arrives(disposition: u32) -> u32 {
    match disposition {
        19 | 20 => 17,
        21 => 18,
        other => other,
    }
}

/// The out-of-line addresses in a message: offset, and size of the data in bytes.
pub fn pointers(abi: CAbi, bytes: &[u8]) -> Vec<(usize, usize)> {
    let items = items(abi, bytes).unwrap_or_default();
    items.iter().filter(|item| !item.inline).map(|item| (item.data, item.bytes())).collect()
}

/// A message with its length and its size field changed.
pub fn resized(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(size, 0);
    set_u32(&mut bytes, SIZE, u32::try_from(size).expect("messages are small"));
    bytes
}

/// A name for the damage, and the damaged message.
pub type Damaged = (String, Vec<u8>);

/// A received message in every damaged form: truncated, oversized, with the complex bit wrong, and with each
/// field of each type word wrong in turn.
pub fn damaged(abi: CAbi, bytes: &[u8]) -> Vec<Damaged> {
    let shape = shape(abi);
    let mut all = Vec::new();
    if bytes.len() > shape.header {
        all.push(("the header alone".to_string(), resized(bytes, shape.header)));
        all.push(("one word short".to_string(), resized(bytes, bytes.len() - shape.alignment)));
    }
    all.push(("one word long".to_string(), resized(bytes, bytes.len() + shape.alignment)));
    all.push(("64 bytes long".to_string(), resized(bytes, bytes.len() + 64)));
    let mut complex = bytes.to_vec();
    complex[3] ^= 0x80;
    let now = if complex[3] & 0x80 != 0 { "set" } else { "clear" };
    all.push((format!("complex bit {now}"), complex));
    for (index, item) in items(abi, bytes).unwrap_or_default().iter().enumerate() {
        for (field, value) in wrong_values(item) {
            // of data out of line a kernel says the number itself: it is never more than there is
            if field == Field::Number && !item.inline && value > 0xffff {
                continue;
            }
            let mut copy = bytes.to_vec();
            set_field(abi, &mut copy, item, field, value);
            if copy != bytes {
                all.push((format!("item {index}: {field:?} = {value:#x}"), copy));
            }
        }
        if item.inline && item.bits >= 16 && (item.long || abi == CAbi::GnuX86_64) {
            // times the size it is what it should be, if the product is cut to 32 bits
            let count =
                item.number.wrapping_add(u32::try_from((1u64 << 32) / u64::from(item.bits / 8)).unwrap_or(0));
            let mut copy = bytes.to_vec();
            set_field(abi, &mut copy, item, Field::Number, count);
            all.push((format!("item {index}: a number that wraps"), copy));
        }
    }
    all
}

fn wrong_values(item: &Item) -> [(Field, u32); 15] {
    [
        (Field::Name, item.name ^ 1),
        (Field::Name, 0),
        (Field::Size, item.bits + 8),
        (Field::Size, item.bits / 2),
        (Field::Number, item.number.wrapping_add(1)),
        (Field::Number, item.number.saturating_sub(1)),
        (Field::Number, 0),
        (Field::Number, if item.long { u32::MAX } else { 0xfff }),
        (Field::Inline, u32::from(!item.inline)),
        (Field::Long, u32::from(!item.long)),
        (Field::Deallocate, u32::from(!item.deallocate)),
        (Field::Unused, 1),
        (Field::Short, 1),
        (Field::Short, 8 << 8),
        (Field::Short, 1 << 16),
    ]
}
