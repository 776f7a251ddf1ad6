//! What an interface means: every name resolved, every message laid out for one ABI.

use std::sync::Arc;

use mig_abi::Disposition;
use mig_parser::ast::RoutineKind;
use mig_parser::source::Span;
use serde::{Deserialize, Serialize};

use crate::abi::Abi;

#[doc(inline)]
pub use mig_abi::TrailerField;

/// `MACH_MSG_TYPE_BOOLEAN`
const BOOLEAN: u32 = 0;
/// `MACH_MSG_TYPE_PORT_NAME`
const PORT_NAME: u32 = 15;

/// A subsystem.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The subsystem's name.
    pub name: String,
    /// The ABI that it is laid out for.
    pub abi: &'static Abi,
    /// Message id of its first routine.
    pub base: u32,
    /// One past its last id, counting trailing skips.
    pub end: u32,
    /// `subsystem KernelUser`
    pub kernel_user: bool,
    /// `subsystem KernelServer`
    pub kernel_server: bool,
    /// The name of the demux function.
    pub demux: String,
    /// The routines, in the order of their ids; skipped ids are not in it.
    pub routines: Vec<Routine>,
    /// The comment in front of the subsystem statement.
    pub doc: Vec<String>,
    /// The subsystem statement.
    pub span: Span,
}

impl Interface {
    /// The same with this in front of the names of both sides' functions and of the demux function, as MIG's option `-prefix` has it.
    pub(crate) fn with_prefix(mut self, prefix: &str) -> Self {
        for routine in &mut self.routines {
            routine.user.insert_str(0, prefix);
            routine.server.insert_str(0, prefix);
        }
        self.demux.insert_str(0, prefix);
        self
    }
}

/// A routine with its two messages.
#[derive(Clone, Debug)]
pub struct Routine {
    /// As declared.
    pub name: String,
    /// The message id of its request; the reply's is 100 more.
    pub id: u32,
    /// Its keyword.
    pub kind: RoutineKind,
    /// The C name of the client stub, prefixes applied.
    pub user: String,
    /// The C name of the server function, prefixes applied.
    pub server: String,
    /// Its arguments in order.
    pub args: Vec<Arg>,
    /// Index of the request port among them.
    pub request_port: usize,
    /// Index of the argument that carries the value of a `function`; it is the first one, named like the routine.
    pub result: Option<usize>,
    /// `waittime` in force, in milliseconds, if it has an effect on this routine.
    pub wait_time: Option<u32>,
    /// `sendtime` in force, in milliseconds.
    pub send_time: Option<u32>,
    /// `msgoption` in force: bits of `mach_msg`'s options.
    pub msg_option: Option<u32>,
    /// The request; without slots until `layout` has filled it in.
    pub request: Message,
    /// The reply of success; `None` for one-way kinds.
    pub reply: Option<Message>,
    /// Its comment.
    pub doc: Vec<String>,
    /// Its statement.
    pub span: Span,
}

/// An argument.
#[derive(Clone, Debug)]
pub struct Arg {
    /// As declared.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its type.
    pub ty: Type,
    /// `dealloc`, in its three forms.
    pub dealloc: Dealloc,
    /// `countinout`: the request says how many elements of this result the client takes.
    pub count_in_out: bool,
    /// `retcode`: it takes the place of the return code.
    pub ret_code: bool,
    /// `samecount`: the array whose count this one shares.
    pub same_count: Option<usize>,
    /// `physicalcopy`
    pub physical_copy: bool,
    /// Its comment.
    pub doc: Vec<String>,
    /// All of it.
    pub span: Span,
}

/// What an argument is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Where the request goes.
    RequestPort,
    /// Where the reply goes.
    ReplyPort {
        /// The client gives it.
        client: bool,
        /// The server gets it.
        server: bool,
    },
    /// A value in the request.
    In,
    /// A value in the reply.
    Out,
    /// A value in both messages.
    InOut,
    /// How long the client waits for the reply, in milliseconds.
    WaitTime,
    /// How long the client waits until the request is sent, in milliseconds.
    SendTime,
    /// Bits of `mach_msg`'s options.
    MsgOption,
    /// What the kernel tells a receiver about a message: in the trailer, or in the header of a typed ABI.
    Trailer {
        /// The field.
        field: TrailerField,
        /// The client finds it at the reply.
        client: bool,
        /// The server finds it at the request.
        server: bool,
    },
}

impl Routine {
    /// The id of its reply.
    pub fn reply_id(&self) -> u32 {
        self.id + REPLY_ID_OFFSET
    }

    /// The first argument with a role that `wanted` is true for.
    pub fn find(&self, wanted: impl Fn(Role) -> bool) -> Option<&Arg> {
        self.args.iter().find(|arg| wanted(arg.role))
    }

    /// The arguments that come back, with their indices.
    pub fn results(&self) -> Vec<(usize, &Arg)> {
        self.args.iter().enumerate().filter(|(_, arg)| arg.in_reply()).collect()
    }

    /// What the client finds in the trailer of the reply.
    pub fn client_trailer(&self) -> Vec<TrailerField> {
        let found = self.args.iter().filter_map(|arg| match arg.role {
            Role::Trailer { field, client: true, .. } => Some(field),
            _ => None,
        });
        found.collect()
    }

    /// The argument that stands for the return code of a request which carries nothing else: the flag `retcode` has an effect only in a complex message,
    /// where this argument is not in the body.
    pub fn ret_code(&self) -> Option<&Arg> {
        self.args.iter().find(|arg| arg.ret_code).filter(|_| self.request.complex == Complex::Always)
    }
}

impl Arg {
    /// Its value travels in the request.
    pub fn in_request(&self) -> bool {
        matches!(self.role, Role::In | Role::InOut)
    }

    /// Its value travels in the reply.
    pub fn in_reply(&self) -> bool {
        matches!(self.role, Role::Out | Role::InOut)
    }

    /// What the server finds at the request.
    pub fn server_trailer(&self) -> Option<TrailerField> {
        match self.role {
            Role::Trailer { field, server: true, .. } => Some(field),
            _ => None,
        }
    }
}

/// A reply's id is its request's plus this.
pub const REPLY_ID_OFFSET: u32 = 100;

/// True for the kinds that have no reply.
pub fn is_one_way(kind: RoutineKind) -> bool {
    matches!(kind, RoutineKind::SimpleRoutine | RoutineKind::SimpleProcedure)
}

/// Whether the sender's memory goes with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dealloc {
    /// The sender keeps it.
    No,
    /// The message takes it.
    Yes,
    /// The caller decides: `dealloc[]`.
    RunTime,
}

/// A resolved type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// The declared name that it was used by, if it has one.
    pub name: Option<String>,
    /// The name at the other end of a chain of `type new = old;`, if it is such a name for another type.
    pub alias_of: Option<String>,
    /// What it is.
    pub kind: TypeKind,
    /// The C names and conversions that the `.defs` gives it.
    pub c: CTypes,
    /// The long form of the type word is used.
    pub long: bool,
}

impl Type {
    /// Bytes of plain data of fixed size; 0 for the others.
    pub fn bytes(&self) -> u32 {
        match &self.kind {
            TypeKind::Scalar(scalar) => scalar.bits / 8,
            TypeKind::Fixed { element, count, .. } => element.bytes() * count,
            TypeKind::FixedString { size, .. } | TypeKind::Struct { size, .. } => *size,
            _ => 0,
        }
    }

    /// True for the C truth value: `MACH_MSG_TYPE_BOOLEAN`, when it has 32 bits.
    pub fn is_bool(&self) -> bool {
        matches!(self.kind, TypeKind::Scalar(Scalar { type_number: BOOLEAN, bits: 32, .. }))
    }

    /// True for the name of a right that travels as a number.
    pub fn is_name(&self) -> bool {
        matches!(self.kind, TypeKind::Scalar(Scalar { type_number: PORT_NAME, bits: 32, .. }))
    }

    /// True for an element of one byte: memory of them needs no view.
    pub fn is_byte(&self) -> bool {
        matches!(self.kind, TypeKind::Scalar(Scalar { bits: 8, .. }))
    }

    /// The right that it is, or that it is an array of fixed size of.
    pub fn port(&self) -> Option<PortType> {
        match &self.kind {
            TypeKind::Port(port) => Some(*port),
            TypeKind::Fixed { element, .. } => element.port(),
            _ => None,
        }
    }

    /// The alignment that Rust would give it on a 64-bit machine.
    pub fn natural_alignment(&self) -> u32 {
        match &self.kind {
            TypeKind::Scalar(Scalar { bits: bits @ (16 | 32 | 64), .. }) => bits / 8,
            TypeKind::Fixed { element, .. } => element.natural_alignment(),
            TypeKind::Struct { alignment, .. } => *alignment,
            _ => 1,
        }
    }

    /// Whether C's type is unsigned. A `.defs` file does not say; the names at both ends of a chain of declarations do.
    pub fn is_unsigned(&self) -> bool {
        let names = [self.name.as_deref(), self.alias_of.as_deref()];
        names.into_iter().flatten().any(|name| {
            name.starts_with("uint")
                || name.starts_with("unsigned")
                || name.contains("natural")
                || ["size_t", "offset_t", "address_t"].iter().any(|end| name.ends_with(end))
        })
    }

    /// How many elements of a variable array go inline; 0 for other types.
    pub fn declared_max(&self) -> u32 {
        match self.kind {
            TypeKind::Bounded { max, .. } => max,
            TypeKind::Indefinite { inline_max, .. } => inline_max,
            _ => 0,
        }
    }
}

/// The kinds of types, independent of how they travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// Plain data of one message type: integers, booleans, bytes, characters.
    Scalar(Scalar),
    /// A port right.
    Port(PortType),
    /// `array[N] of` or `struct[N] of`: always N elements, inline.
    Fixed {
        /// The element.
        element: Arc<Type>,
        /// How many.
        count: u32,
        /// Declared with `struct`: C passes it by value.
        by_value: bool,
    },
    /// `array[*:N] of`, inline.
    Bounded {
        /// The element.
        element: Arc<Type>,
        /// At most this many.
        max: u32,
    },
    /// `array[] of`: inline while it is short (typed), else out of line.
    Indefinite {
        /// The element.
        element: Arc<Type>,
        /// How many still go inline.
        inline_max: u32,
    },
    /// `^ …`: out of line.
    OutOfLine {
        /// The element.
        element: Arc<Type>,
        /// How many; `None` is `^array[] of`.
        count: Option<u32>,
        /// At most this many, where the declaration says so.
        max: Option<u32>,
    },
    /// `c_string[N]` or `(MACH_MSG_TYPE_STRING_C, bits)`: always this many bytes, ended by a NUL.
    FixedString {
        /// Bytes, the NUL included.
        size: u32,
        /// Declared in the long form: its type word says one element of all its bits, not so many characters.
        whole: bool,
    },
    /// `c_string[*:N]`
    BoundedString {
        /// Bytes at most, the NUL included.
        max: u32,
    },
    /// `struct { … }` of plain members with C's layout.
    Struct {
        /// The members.
        members: Arc<[Member]>,
        /// Bytes, trailing padding included.
        size: u32,
        /// Bytes.
        alignment: u32,
    },
}

/// One element of plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The message type number (`MACH_MSG_TYPE_…`) in the type word, as sent.
    pub type_number: u32,
    /// The one that the receiver must see; another one only for `A|B`.
    pub received: u32,
    /// Size in bits.
    pub bits: u32,
}

/// How a right travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortType {
    /// The disposition that the sender gives; `None` is polymorphic: the caller decides.
    pub sender: Option<Disposition>,
    /// What the receiver sees, one of those that move a right; `None` is polymorphic.
    pub receiver: Option<Disposition>,
}

/// A member of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Its offset in bytes.
    pub offset: u32,
}

/// What the `.defs` says about C.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CTypes {
    /// The client's C type, where it is not the type's own name.
    pub user: Option<String>,
    /// The server's C type, where it is not the type's own name.
    pub server: Option<String>,
    /// The translated type.
    pub trans: Option<String>,
    /// `intran` function.
    pub in_tran: Option<String>,
    /// `outtran` function.
    pub out_tran: Option<String>,
    /// `destructor` function.
    pub destructor: Option<String>,
    /// `intranpayload` function.
    pub in_tran_payload: Option<String>,
}

/// A message as a table of slots: the one place where offsets come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The slots in the order of their bytes.
    pub slots: Vec<Slot>,
    /// `msgh_size` with every variable part empty.
    pub min_size: u32,
    /// `msgh_size` with every variable part at its bound; of an indefinite one whichever of inline and pointer is larger.
    pub max_size: u32,
    /// Whether `MACH_MSGH_BITS_COMPLEX` is set.
    pub complex: Complex,
}

/// Whether a message carries rights or out-of-line memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// Where it starts; `None` behind a slot of variable size.
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

/// The contents of a type word: what it says about the data slot behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeWord {
    /// The type number that the sender writes; `None` is polymorphic: the caller decides.
    pub sent: Option<u32>,
    /// The type number that the receiver must see; `None`: any, it is handed on, but a right only in a complex message.
    pub received: Option<u32>,
    /// Size of an element in bits, where the data is inline.
    pub bits: u32,
    /// Size of an element in bits, where the data is out of line: ports are packed there.
    pub out_of_line_bits: u32,
    /// The number of elements; `None` if it is counted.
    pub number: Option<u32>,
    /// How many elements of the type word make one element of a counted array: the number is the count times this.
    pub multiplier: u32,
    /// Whether the data stands in the message.
    pub in_line: InLine,
    /// The long form is used.
    pub long: bool,
    /// The deallocate bit that the sender writes, for data out of line, or for any data where the sender is the kernel.
    /// The receiver always sees it set for data out of line, and clear for data inline, except in a `KernelServer`.
    pub deallocate: Dealloc,
}

/// Whether data stands in the message or somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InLine {
    /// In the message.
    Yes,
    /// Behind an address in the message.
    No,
    /// In the message up to this many elements of the array, else behind an address.
    UpTo(u32),
}

/// What a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// The offset word of an untyped ABI's variable string.
    Offset,
    /// An argument's value.
    Data,
    /// Zeros up to the alignment.
    Pad,
    /// The return code of a reply.
    #[serde(rename = "retcode")]
    RetCode,
    /// The trailer of an untyped ABI.
    Trailer,
}

/// Whether the bytes in place are the data, or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
