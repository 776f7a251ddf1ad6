//! Untyped messages: their descriptors, the record before their plain data, and their trailer.

/// The NDR record before the plain data of an untyped message: little-endian integers, ASCII, IEEE.
pub const NDR: [u8; 8] = [0, 0, 0, 0, 1, 0, 0, 0];

/// What a descriptor describes: `mach_msg_descriptor_type_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DescriptorKind {
    /// `MACH_MSG_PORT_DESCRIPTOR`
    Port = 0,
    /// `MACH_MSG_OOL_DESCRIPTOR`
    Memory = 1,
    /// `MACH_MSG_OOL_PORTS_DESCRIPTOR`
    Ports = 2,
    /// `MACH_MSG_OOL_VOLATILE_DESCRIPTOR`: memory as any other to its receiver.
    Volatile = 3,
    /// `MACH_MSG_GUARDED_PORT_DESCRIPTOR`
    GuardedPort = 4,
}

/// A field of the trailer that the receiver's kernel writes after an untyped message.
///
/// Each trailer is the beginning of the next larger one, so a field is at one place in all that have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrailerField {
    /// `msgh_seqno`
    Seqno,
    /// `msgh_sender`: the sender's security token.
    Sender,
    /// `msgh_audit`: the sender's audit token.
    Audit,
    /// `msgh_context`: what the receiver gave its port.
    Context,
}

impl TrailerField {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Seqno, Self::Sender, Self::Audit, Self::Context];

    /// Bytes of the two fields that every trailer begins with: its type and its size.
    pub const HEAD: usize = 8;

    /// The field with this name in C.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The name of the member of C's structure.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seqno => "msgh_seqno",
            Self::Sender => "msgh_sender",
            Self::Audit => "msgh_audit",
            Self::Context => "msgh_context",
        }
    }

    /// Where the field starts in the trailer, in bytes.
    pub const fn offset(self) -> usize {
        match self {
            Self::Seqno => Self::HEAD,
            Self::Sender => Self::Seqno.end(),
            Self::Audit => Self::Sender.end(),
            Self::Context => Self::Audit.end(),
        }
    }

    /// How many bytes the field has.
    pub const fn size(self) -> usize {
        match self {
            Self::Seqno => 4,
            Self::Sender | Self::Context => 8,
            Self::Audit => 32,
        }
    }

    /// Bytes of the smallest trailer that has this field.
    pub const fn end(self) -> usize {
        self.offset() + self.size()
    }

    /// The option bits of `mach_msg` that ask for a trailer up to this field (`MACH_RCV_TRAILER_ELEMENTS`).
    pub const fn option_bits(self) -> u32 {
        (self as u32 + 1) << 24
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `mach/message.h`: the sizes of `mach_msg_seqno_trailer_t`, `…_security_trailer_t`, `…_audit_trailer_t`
    /// and `…_context_trailer_t`.
    #[test]
    fn trailers_have_the_sizes_of_the_header() {
        assert_eq!(TrailerField::ALL.map(TrailerField::end), [12, 20, 52, 60]);
        assert_eq!(TrailerField::ALL.map(TrailerField::option_bits), [1 << 24, 2 << 24, 3 << 24, 4 << 24]);
    }
}
