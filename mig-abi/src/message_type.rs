//! Message types of plain data.

/// A `MACH_MSG_TYPE_…` number of plain data: `msgt_name`. Those of port rights are
/// [`Disposition`](crate::Disposition)s.
///
/// A kernel does not look at these numbers; a receiver compares them with those that it expects. One number
/// can have several names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageType(pub u8);

impl MessageType {
    /// `MACH_MSG_TYPE_UNSTRUCTURED`
    pub const UNSTRUCTURED: Self = Self(0);
    /// `MACH_MSG_TYPE_BIT`
    pub const BIT: Self = Self(0);
    /// `MACH_MSG_TYPE_BOOLEAN`
    pub const BOOLEAN: Self = Self(0);
    /// `MACH_MSG_TYPE_INTEGER_16`
    pub const INTEGER_16: Self = Self(1);
    /// `MACH_MSG_TYPE_INTEGER_32`
    pub const INTEGER_32: Self = Self(2);
    /// `MACH_MSG_TYPE_INTEGER_64` of the untyped dialects.
    pub const INTEGER_64_UNTYPED: Self = Self(3);
    /// `MSG_TYPE_PORT_OWNERSHIP` of Mach 2.5, obsolete there: whoever has it gets the receive right back.
    pub const PORT_OWNERSHIP: Self = Self(3);
    /// `MSG_TYPE_PORT_RECEIVE` of Mach 2.5, obsolete there: a receive right without the ownership.
    pub const PORT_RECEIVE: Self = Self(4);
    /// `MSG_TYPE_PORT_ALL` of Mach 2.5: a receive right, and with it the ownership.
    pub const PORT_ALL: Self = Self(5);
    /// `MSG_TYPE_PORT` of Mach 2.5: a send right.
    pub const PORT: Self = Self(6);
    /// `MACH_MSG_TYPE_CHAR`
    pub const CHAR: Self = Self(8);
    /// `MACH_MSG_TYPE_BYTE`
    pub const BYTE: Self = Self(9);
    /// `MACH_MSG_TYPE_INTEGER_8`
    pub const INTEGER_8: Self = Self(9);
    /// `MACH_MSG_TYPE_REAL`
    pub const REAL: Self = Self(10);
    /// `MACH_MSG_TYPE_REAL_32` of the untyped dialects.
    pub const REAL_32: Self = Self(10);
    /// `MACH_MSG_TYPE_INTEGER_64` of the typed dialects.
    pub const INTEGER_64: Self = Self(11);
    /// `MACH_MSG_TYPE_REAL_64` of the untyped dialects.
    pub const REAL_64: Self = Self(11);
    /// `MACH_MSG_TYPE_STRING`
    pub const STRING: Self = Self(12);
    /// `MACH_MSG_TYPE_STRING_C`
    pub const STRING_C: Self = Self(12);
    /// `MACH_MSG_TYPE_PORT_NAME`: a name that is a number to the kernel.
    pub const PORT_NAME: Self = Self(15);

    /// The type numbers that have names, and the size of an element that the name implies.
    const NAMES: &'static [(Self, u32, &'static str)] = &[
        (Self::BOOLEAN, 32, "BOOLEAN"),
        (Self::INTEGER_16, 16, "INTEGER_16"),
        (Self::INTEGER_32, 32, "INTEGER_32"),
        (Self::CHAR, 8, "CHAR"),
        (Self::BYTE, 8, "BYTE"),
        (Self::INTEGER_64, 64, "INTEGER_64"),
        (Self::STRING_C, 8, "STRING_C"),
        (Self::PORT_NAME, 32, "PORT_NAME"),
        (Self::PORT_OWNERSHIP, 32, "PORT_OWNERSHIP"),
        (Self::PORT_RECEIVE, 32, "PORT_RECEIVE"),
        (Self::PORT_ALL, 32, "PORT_ALL"),
        (Self::PORT, 32, "PORT"),
    ];

    /// The name of a type number in typed messages, without `MACH_MSG_TYPE_`, if elements have the size in
    /// bits that it implies.
    pub fn name_of(number: u32, bits: u32) -> Option<&'static str> {
        let known = |known: &&(Self, u32, _)| (u32::from(known.0.0), known.1) == (number, bits);
        Self::NAMES.iter().find(known).map(|known| known.2)
    }
}
