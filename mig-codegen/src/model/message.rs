//! Messages: tables of slots, and what stubs do about them.

use super::{Dealloc, Memory, Plain, PortType, Rights};

/// A message as a table of slots: the one place where offsets come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Which message of the routine it is.
    pub kind: MessageKind,
    /// The slots in the order of their bytes.
    pub slots: Vec<Slot>,
    /// `msgh_size` with every variable part empty.
    pub min_size: u32,
    /// `msgh_size` with every variable part at its bound; of an indefinite one whichever of inline and
    /// pointer is larger.
    pub max_size: u32,
    /// Whether `MACH_MSGH_BITS_COMPLEX` is set.
    pub complex: Complex,
    /// What a stub does to write it or to read it.
    pub steps: Steps,
}

/// Whether a message carries rights or out-of-line memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Complex {
    /// In every message.
    Always,
    /// In none.
    #[default]
    Never,
    /// The values decide.
    Depends,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What it is.
    pub role: SlotRole,
    /// Index of the argument that it belongs to.
    pub arg: Option<usize>,
    /// Where it starts; `None` after a slot of variable size.
    pub offset: Option<u32>,
    /// Its size in bytes; `None` if it is counted.
    pub size: Option<u32>,
    /// Its largest size in bytes, where it is counted and bounded.
    pub max: Option<u32>,
    /// Bytes an element, where it is counted.
    pub element: Option<u32>,
    /// Whether it holds an address instead of the data.
    pub indirect: Indirect,
    /// What the receiver must check.
    pub check: Vec<Check>,
    /// What the type word says; there is one exactly in the slots with [`SlotRole::Type`].
    pub word: Option<TypeWord>,
}

/// The contents of a type word: what it says about the data slot that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeWord {
    /// The type number that the sender writes; `None` is polymorphic: the caller decides.
    pub sent: Option<u32>,
    /// The type number that the receiver must see; `None`: any, it is handed on, but a right only in a
    /// complex message.
    pub received: Option<u32>,
    /// The number that stands for the right in place of its disposition's.
    pub right: Option<u32>,
    /// Size of an element in bits, where the data is inline.
    pub bits: u32,
    /// Size of an element in bits, where the data is out of line: ports are packed there.
    pub out_of_line_bits: u32,
    /// The number of elements; `None` if it is counted.
    pub number: Option<u32>,
    /// How many elements of the type word make one element of a counted array: the number is the count times
    /// this.
    pub multiplier: u32,
    /// Whether the data stands in the message.
    pub in_line: InLine,
    /// True for the long form.
    pub long: bool,
    /// The deallocate bit that the sender writes, for data out of line, or for any data where the sender is
    /// the kernel. The receiver always sees it set for data out of line, and clear for data inline, except in
    /// a `KernelServer`.
    pub deallocate: Dealloc,
}

/// Whether data stands in the message or somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InLine {
    /// In the message.
    Yes,
    /// At an address that stands in the message.
    No,
    /// In the message up to this many elements of the array, else at an address.
    UpTo(u32),
}

/// What a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum SlotRole {
    /// `mach_msg_header_t`
    Header,
    /// A type word of a typed ABI.
    Type,
    /// The descriptor count of an untyped ABI.
    BodyCount,
    /// A port descriptor of an untyped ABI.
    Port,
    /// An out-of-line descriptor of an untyped ABI.
    Ool,
    /// An out-of-line ports descriptor of an untyped ABI.
    OolPorts,
    /// The NDR record of an untyped ABI.
    Ndr,
    /// The count of a variable array, where it travels by itself.
    Count,
    /// The counts of an array's parts, each of which is out of line.
    Subs,
    /// The offset word of an untyped ABI's variable string.
    Offset,
    /// An argument's value.
    Data,
    /// Zeros up to the alignment.
    Pad,
    /// The return code of a reply.
    #[cfg_attr(feature = "json", serde(rename = "retcode"))]
    RetCode,
    /// The trailer of an untyped ABI.
    Trailer,
}

impl SlotRole {
    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Type => "type",
            Self::BodyCount => "body_count",
            Self::Port => "port",
            Self::Ool => "ool",
            Self::OolPorts => "ool_ports",
            Self::Ndr => "ndr",
            Self::Count => "count",
            Self::Subs => "subs",
            Self::Offset => "offset",
            Self::Data => "data",
            Self::Pad => "pad",
            Self::RetCode => "retcode",
            Self::Trailer => "trailer",
        }
    }
}

/// Whether the bytes in place are the data, or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Indirect {
    /// The data is inline.
    Never,
    /// An address stands in the message.
    Always,
    /// The count decides.
    Depends,
}

/// A field of a slot that the receiver compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// The field's name.
    pub field: &'static str,
    /// What it must be.
    pub value: u64,
}

/// Which of a routine's messages it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageKind {
    /// From the client.
    #[default]
    Request,
    /// From the server, with the results.
    Reply,
}

/// What a stub does to write a message or to read it, in this order. Arguments are given by their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steps {
    /// Every value follows a type word.
    Typed(Vec<TypedStep>),
    /// Rights and memory first, then plain data.
    Untyped(Vec<UntypedStep>),
}

impl Default for Steps {
    fn default() -> Self {
        Steps::Untyped(Vec::new())
    }
}

/// A step of a typed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypedStep {
    /// An argument's type word and value.
    Value {
        /// The argument.
        arg: usize,
        /// What its type word says.
        word: TypeWord,
        /// Bytes after it, if it is the last argument of variable length.
        rest: Option<u32>,
    },
    /// How many elements of a result the caller takes.
    Limit {
        /// The result.
        arg: usize,
        /// What the number's type word says.
        word: TypeWord,
    },
}

/// A step of an untyped message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UntypedStep {
    /// This many descriptors follow.
    Descriptors(u64),
    /// One right.
    Right {
        /// The argument.
        arg: usize,
        /// How it travels.
        port: PortType,
    },
    /// An array of rights.
    Rights {
        /// The argument.
        arg: usize,
        /// What it is.
        rights: Rights,
        /// A count of its own, or that of another argument, says how many there are.
        counted: bool,
    },
    /// Memory.
    Memory {
        /// The argument.
        arg: usize,
        /// What it is.
        memory: Memory,
        /// A count of its own, or that of another argument, says how many elements there are.
        counted: bool,
    },
    /// An array whose parts are out of line, a descriptor each.
    Parts {
        /// The argument.
        arg: usize,
    },
    /// How many elements each of these parts has.
    Subs {
        /// The argument.
        arg: usize,
    },
    /// The NDR record.
    Ndr,
    /// The NDR record and the return code of success.
    RetCode,
    /// The count of what is in descriptors.
    Count {
        /// The argument.
        arg: usize,
    },
    /// An array in descriptors has as many elements as the one whose count it shares.
    SameCount {
        /// The array.
        arg: usize,
        /// The one that has the count.
        first: usize,
    },
    /// How many elements of a result the caller takes.
    Limit {
        /// The result.
        arg: usize,
    },
    /// Plain data, its count with it.
    Data {
        /// The argument.
        arg: usize,
        /// What it is.
        plain: Plain,
    },
}
