//! What travels: resolved types, and what a compiler has to know of them.

use std::sync::Arc;

use mig_abi::{Disposition, MessageType};

const BOOLEAN: u32 = MessageType::BOOLEAN.0 as u32;
const PORT_NAME: u32 = MessageType::PORT_NAME.0 as u32;

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
    /// Bytes of plain data of fixed size; 0 for other types.
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

    /// The element, if the type is an array.
    pub fn element(&self) -> Option<&Type> {
        match &self.kind {
            TypeKind::Fixed { element, .. }
            | TypeKind::Bounded { element, .. }
            | TypeKind::Indefinite { element, .. }
            | TypeKind::OutOfLine { element, .. } => Some(element),
            _ => None,
        }
    }

    /// The right that the type is, or the element of an array of fixed size if that is a right.
    pub fn port(&self) -> Option<PortType> {
        match &self.kind {
            TypeKind::Port(port) => Some(*port),
            TypeKind::Fixed { element, .. } => element.port(),
            _ => None,
        }
    }

    /// Turns copied send rights in it into moved ones.
    pub(crate) fn give_up(&mut self) {
        match &mut self.kind {
            TypeKind::Port(PortType { sender: sender @ Some(Disposition::CopySend), .. }) => {
                *sender = Some(Disposition::MoveSend);
            }
            TypeKind::Fixed { element, .. }
            | TypeKind::Bounded { element, .. }
            | TypeKind::Indefinite { element, .. }
            | TypeKind::OutOfLine { element, .. } => Arc::make_mut(element).give_up(),
            _ => {}
        }
    }

    /// The alignment that Rust would give the type on a 64-bit machine.
    pub fn natural_alignment(&self) -> u32 {
        match &self.kind {
            TypeKind::Scalar(Scalar { bits: bits @ (16 | 32 | 64), .. }) => bits / 8,
            TypeKind::Fixed { element, .. } => element.natural_alignment(),
            TypeKind::Struct { alignment, .. } => *alignment,
            _ => 1,
        }
    }

    /// Whether C's type is unsigned. A `.defs` file does not say; the names at both ends of a chain of
    /// declarations do.
    pub fn is_unsigned(&self) -> bool {
        let names = [self.name.as_deref(), self.alias_of.as_deref()];
        names.into_iter().flatten().any(|name| {
            name.starts_with("uint")
                || name.starts_with("unsigned")
                || name.contains("natural")
                || ["size_t", "offset_t", "address_t"].iter().any(|end| name.ends_with(end))
        })
    }

    /// The element of an array whose elements are each out of line, and how many there are at most.
    pub fn parts(&self) -> Option<(&Type, u32)> {
        match &self.kind {
            TypeKind::Fixed { element, count: max, .. } | TypeKind::Bounded { element, max }
                if matches!(element.kind, TypeKind::OutOfLine { .. }) =>
            {
                Some((element, *max))
            }
            _ => None,
        }
    }

    /// How many rights are out of line, where there are always as many.
    pub fn rights_out_of_line(&self) -> Option<u32> {
        fn group(ty: &Type) -> Option<u32> {
            match &ty.kind {
                TypeKind::Port(_) => Some(1),
                TypeKind::Fixed { element, count, .. } => group(element)?.checked_mul(*count),
                _ => None,
            }
        }
        match &self.kind {
            TypeKind::OutOfLine { element, count: Some(count), .. } => group(element)?.checked_mul(*count),
            _ => None,
        }
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
        /// How many; `None` if a count travels: `^array[] of`.
        count: Option<u32>,
        /// At most this many, where the declaration says so. On a typed ABI it is the size of data of fixed
        /// size, whose type word has the short form.
        max: Option<u32>,
    },
    /// `c_string[N]` or `(MACH_MSG_TYPE_STRING_C, bits)`: always this many bytes, ended by a NUL.
    FixedString {
        /// Bytes, the NUL included.
        size: u32,
        /// Declared in the long form: its type word says one element of all its bits, not this many
        /// characters.
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
    /// `MACH_MSG_TYPE_REAL` and its kin.
    pub is_float: bool,
}

/// How a right travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortType {
    /// The disposition that the sender gives; `None` is polymorphic: the caller decides.
    pub sender: Option<Disposition>,
    /// What the receiver sees, one of those that move a right; `None` is polymorphic.
    pub receiver: Option<Disposition>,
    /// Its number in a type word, where that is not the disposition's: the ownership and the receive right of
    /// Mach 2.5.
    pub number: Option<u32>,
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
