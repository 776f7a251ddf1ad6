//! How messages are put together, for a kernel that carries those of any ABI: where their rights and their
//! memory are.
//!
//! As [`wire`], it is written from the C headers' structures, without the runtime.

use crate::oracle::CAbi;
use crate::wire::{self, COMPLEX, Field, Item, Shape, set_u32, u32_at};

/// The form of the messages of an ABI.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// A type word before each argument.
    Typed(CAbi),
    /// The type words of i386 after the header of x86_64, in the kernel of 2022: ports are addresses.
    Typed2022InKernel,
    /// Descriptors before the data; an address has this many bytes.
    Untyped {
        /// 4 or 8.
        pointer: usize,
    },
    /// The same in XNU itself, whose ports are addresses.
    Xnu {
        /// 4 or 8.
        pointer: usize,
    },
}

/// Bytes of the descriptor count (`mach_msg_body_t`).
const COUNT: usize = 4;
/// Bytes of a `mach_msg_port_descriptor_t`, the smallest one.
const PORT_DESCRIPTOR: usize = 12;

impl Form {
    /// The shape of the messages.
    pub const fn shape(self) -> Shape {
        match self {
            Self::Typed(abi) => wire::shape(abi),
            Self::Typed2022InKernel => Shape { type_word: 4, alignment: 4, ..wire::shape(CAbi::GnuX86_64) },
            // `mach_msg_header_t` has names of 4 bytes in it, and no address. The voucher stands where others
            // have the sequence number.
            Self::Untyped { pointer } => Shape {
                header: 24,
                local_port: 12,
                seqno: 16,
                id: 20,
                type_word: 0,
                alignment: 4,
                port: 4,
                pointer,
            },
            Self::Xnu { pointer: 4 } => Self::Untyped { pointer: 4 }.shape(),
            // With two addresses in its header.
            Self::Xnu { pointer } => Shape {
                header: 32,
                local_port: 16,
                seqno: 24,
                id: 28,
                type_word: 0,
                alignment: 4,
                port: pointer,
                pointer,
            },
        }
    }

    /// What a kernel looks at in a message; `None` if it would not carry the message, because an item is not
    /// whole or of no known kind.
    pub fn items(self, bytes: &[u8]) -> Option<Vec<Item>> {
        match self {
            Self::Typed(abi) => wire::items(abi, bytes),
            Self::Typed2022InKernel => wire::items_in(self.shape(), CAbi::GnuI386, bytes),
            Self::Untyped { .. } | Self::Xnu { .. } if u32_at(bytes, 0) & COMPLEX == 0 => Some(Vec::new()),
            Self::Untyped { .. } | Self::Xnu { .. } => self.descriptors(bytes),
        }
    }

    /// Takes the end of a message away: one unit of its bytes, or its last descriptor, which is plain data
    /// then.
    pub fn shorten(self, bytes: &mut Vec<u8>) {
        let Shape { header, alignment, .. } = self.shape();
        match self {
            Self::Typed(_) | Self::Typed2022InKernel => bytes.truncate(bytes.len() - alignment),
            Self::Untyped { .. } | Self::Xnu { .. } if bytes.len() < header + COUNT => {
                bytes.resize(header + COUNT, 0)
            }
            Self::Untyped { .. } | Self::Xnu { .. } => {
                let room = (bytes.len() - header - COUNT) / PORT_DESCRIPTOR;
                let count = u32_at(bytes, header).saturating_sub(1).min(room as u32);
                set_u32(bytes, header, count);
            }
        }
    }

    /// Makes an item what its receiver sees: the right that arrives, and memory that is the receiver's. A
    /// kernel with descriptors says so of memory that it did not copy at once (`MACH_MSG_VIRTUAL_COPY`).
    pub fn arrive(self, bytes: &mut [u8], item: &Item) {
        match self {
            Self::Typed2022InKernel => Self::Typed(CAbi::GnuI386).arrive(bytes, item),
            Self::Typed(abi) => {
                wire::set_field(abi, bytes, item, Field::Name, wire::arrives(item.name));
                wire::set_field(abi, bytes, item, Field::Deallocate, u32::from(!item.inline));
            }
            Self::Untyped { .. } | Self::Xnu { .. } => {
                if item.is_port() {
                    bytes[item.offset + 10] = wire::arrives(item.name) as u8;
                }
                if !item.inline {
                    bytes[item.offset + 8] = u8::from(bytes[item.offset + 9] == 1);
                }
            }
        }
    }

    /// Makes an item what a kernel that serves the request itself sees: the right that arrives, and the
    /// deallocate bit as the sender wrote it.
    pub fn copy_in(self, bytes: &mut [u8], item: &Item) {
        match self {
            _ if !item.is_port() => {}
            Self::Typed2022InKernel => Self::Typed(CAbi::GnuI386).copy_in(bytes, item),
            Self::Typed(abi) => wire::set_field(abi, bytes, item, Field::Name, wire::arrives(item.name)),
            Self::Untyped { .. } | Self::Xnu { .. } => {
                bytes[item.offset + 10] = wire::arrives(item.name) as u8;
            }
        }
    }

    /// The trailer that a receiver with these options gets (`MACH_RCV_TRAILER_ELEMENTS`): its size, and
    /// zeros.
    pub fn trailer(self, options: u32) -> Vec<u8> {
        let size: u32 = match (self, options >> 24 & 0xf) {
            (Self::Typed(_) | Self::Typed2022InKernel, _) => return Vec::new(),
            (_, 0) => 8,
            (_, 1) => 12,
            (_, 2) => 20,
            (_, 3) => 52,
            _ => 60,
        };
        let mut bytes = vec![0; size as usize];
        set_u32(&mut bytes, 4, size);
        bytes
    }
}

impl Form {
    /// The descriptors of a complex message.
    fn descriptors(self, bytes: &[u8]) -> Option<Vec<Item>> {
        let header = self.shape().header;
        let count = bytes.get(header..header + COUNT).map(|count| u32_at(count, 0))?;
        let mut offset = header + COUNT;
        let mut items = Vec::new();
        for _ in 0..count {
            let (item, end) = self.descriptor(bytes, offset)?;
            items.push(item);
            offset = end;
        }
        Some(items)
    }

    /// A descriptor, and where the next one starts.
    fn descriptor(self, bytes: &[u8], offset: usize) -> Option<(Item, usize)> {
        let Shape { pointer, port: name, .. } = self.shape();
        let rest = &bytes[offset..];
        let [deallocate, copy, disposition, kind] = *rest.get(8..12)?.first_chunk()?;
        // `mach_msg_ool_descriptor64_t` has its size at the end, the one of 32 bits between the address and
        // the single bytes.
        let (len, size_at) = if pointer == 8 { (16, 12) } else { (12, 4) };
        // XNU's own have one size, and a guarded port stands where any port does.
        let (len, port_len, guarded_at) = match self {
            Self::Xnu { .. } => (16, 16, 0),
            _ => (len, PORT_DESCRIPTOR, size_at),
        };
        let disposition = u32::from(disposition);
        let port = Item {
            offset,
            name: disposition,
            bits: 8 * name as u32,
            number: 1,
            inline: true,
            long: false,
            deallocate: false,
            data: offset,
            size: name,
        };
        let number = if rest.len() < len { 0 } else { u32_at(rest, size_at) };
        let outside = Item { number, inline: false, deallocate: deallocate != 0, size: pointer, ..port };
        let (item, len) = match kind {
            // MACH_MSG_PORT_DESCRIPTOR
            0 => (port, port_len),
            // MACH_MSG_OOL_DESCRIPTOR, MACH_MSG_OOL_VOLATILE_DESCRIPTOR
            1 | 3 => (Item { name: 0, bits: 8, ..outside }, len),
            // MACH_MSG_OOL_PORTS_DESCRIPTOR
            2 => (outside, len),
            // MACH_MSG_GUARDED_PORT_DESCRIPTOR: the name stands where others have the size.
            4 => (Item { data: offset + guarded_at, ..port }, len),
            _ => return None,
        };
        let known = (kind == 1 || kind == 3 || item.is_port()) && (item.inline || copy <= 3);
        (known && len <= rest.len()).then_some((item, offset + len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A complex message of 64 bits: a port, memory, ports, a guarded port, and data after them.
    fn message() -> Vec<u8> {
        let mut bytes = vec![0; 24];
        set_u32(&mut bytes, 0, COMPLEX);
        for word in [4, 0x11, 0, 19 << 16] {
            bytes.extend(u32::to_le_bytes(word));
        }
        for word in [0xa0, 0, 1 << 24 | 1 << 8, 5] {
            bytes.extend(u32::to_le_bytes(word));
        }
        for word in [0xb0, 0, 2 << 24 | 18 << 16 | 1, 3] {
            bytes.extend(u32::to_le_bytes(word));
        }
        for word in [0, 0, 4 << 24 | 16 << 16, 0x22, 0xffff_ffff] {
            bytes.extend(u32::to_le_bytes(word));
        }
        bytes
    }

    #[test]
    fn descriptors_say_what_a_message_brings() {
        let form = Form::Untyped { pointer: 8 };
        let items = form.items(&message()).unwrap();
        let facts: Vec<_> = items
            .iter()
            .map(|item| (item.name, item.inline, item.deallocate, item.data, item.bytes()))
            .collect();
        let expected = [
            (19, true, false, 28, 4),
            (0, false, false, 40, 5),
            (18, false, true, 56, 12),
            (16, true, false, 84, 4),
        ];
        assert_eq!(facts, expected);
        let mut bytes = message();
        items.iter().for_each(|item| form.arrive(&mut bytes, item));
        // A copied send right arrives as a send right; memory copied virtually is the receiver's, copied
        // physically it does not say so.
        assert_eq!((bytes[38], bytes[48], bytes[64]), (17, 1, 0));
    }

    #[test]
    fn what_is_not_whole_is_not_carried_until_it_is_no_descriptor() {
        let form = Form::Untyped { pointer: 8 };
        for (at, value) in [(39, 5), (38, 15), (24, 5), (24, 0xff)] {
            let mut bytes = message();
            bytes[at] = value;
            assert_eq!(form.items(&bytes), None, "{at} is {value}");
            while form.items(&bytes).is_none() {
                form.shorten(&mut bytes);
            }
            assert_eq!(bytes.len(), message().len());
            assert_eq!(u32_at(&bytes, 24), if at == 24 { 4 } else { 0 });
        }
        let mut bytes = message();
        bytes.truncate(24);
        form.shorten(&mut bytes);
        assert_eq!(form.items(&bytes), Some(Vec::new()));
    }
}
