//! How an argument looks to a programmer, whatever carries it.

use std::sync::Arc;

use super::{PortType, Type, TypeKind};

/// What an argument is to a programmer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Plain data in the message.
    Plain(Plain),
    /// One right.
    Right(PortType),
    /// An array of rights.
    Rights(Rights),
    /// Plain data that is, or may be, outside of the message.
    Memory(Memory),
    /// An array whose elements are out of line, each in a descriptor of its own: only untyped ABIs have it.
    Parts(Parts),
}

/// An array of memory or of rights that are out of line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// What each of them is to a programmer: memory, or an array of rights.
    pub part: Box<Form>,
    /// How many descriptors there are.
    pub max: u32,
    /// A count says how many of them are used.
    pub counted: bool,
}

/// Plain data in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    /// A truth value.
    Bool,
    /// A number.
    Number,
    /// An array or structure of fixed size.
    Aggregate,
    /// An array of at most this many elements.
    Slice(Arc<Type>, u32),
    /// A C string in a field of fixed size.
    FixedString,
    /// A C string of at most this many bytes.
    BoundedString(u32),
}

/// An array of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// What each of them is.
    pub port: PortType,
    /// How many there are, and where.
    pub extent: Extent,
}

/// How many rights an array has, and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Always this many, in the message.
    Fixed(u32),
    /// At most this many, in the message.
    Bounded(u32),
    /// In the message while they are few.
    Indefinite,
    /// Never in the message. Of some types there are always as many.
    OutOfLine,
}

/// Plain data that is, or may be, outside of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Memory {
    /// An array of these elements, in the message while it is short.
    Indefinite(Arc<Type>),
    /// An array of these elements, never in the message.
    OutOfLine(Arc<Type>),
    /// Always this many elements, never in the message: only untyped ABIs have it.
    Value(Arc<Type>, u32),
}

impl Form {
    /// The form of a type; `None` for an array of what is neither plain data nor rights.
    pub fn of(ty: &Type) -> Option<Form> {
        if let Some((element, max)) = ty.parts() {
            let counted = matches!(ty.kind, TypeKind::Bounded { .. });
            return Some(Form::Parts(Parts { part: Box::new(Form::of(element)?), max, counted }));
        }
        Some(match &ty.kind {
            TypeKind::Port(port) => Form::Right(*port),
            TypeKind::Scalar(_) if ty.is_bool() => Form::Plain(Plain::Bool),
            TypeKind::Scalar(scalar) if matches!(scalar.bits, 8 | 16 | 32 | 64) => Form::Plain(Plain::Number),
            TypeKind::Scalar(_) | TypeKind::Struct { .. } => Form::Plain(Plain::Aggregate),
            TypeKind::Fixed { element, count, .. } => match rights(element) {
                Some((port, group)) => Form::rights(port, Extent::Fixed(group.checked_mul(*count)?)),
                None => plain(element, Form::Plain(Plain::Aggregate))?,
            },
            TypeKind::Bounded { element, max } => match rights(element) {
                Some((port, group)) => Form::rights(port, Extent::Bounded(group.checked_mul(*max)?)),
                None => plain(element, Form::Plain(Plain::Slice(element.clone(), *max)))?,
            },
            TypeKind::Indefinite { element, .. } => match rights(element) {
                Some((port, _)) => Form::rights(port, Extent::Indefinite),
                None => plain(element, Form::Memory(Memory::Indefinite(element.clone())))?,
            },
            TypeKind::OutOfLine { element, count: None, .. } => match rights(element) {
                Some((port, _)) => Form::rights(port, Extent::OutOfLine),
                None => plain(element, Form::Memory(Memory::OutOfLine(element.clone())))?,
            },
            TypeKind::OutOfLine { element, count: Some(count), .. } => match rights(element) {
                Some((port, _)) => Form::rights(port, Extent::OutOfLine),
                None => plain(element, Form::Memory(Memory::Value(element.clone(), *count)))?,
            },
            TypeKind::FixedString { .. } => Form::Plain(Plain::FixedString),
            TypeKind::BoundedString { max } => Form::Plain(Plain::BoundedString(*max)),
        })
    }

    fn rights(port: PortType, extent: Extent) -> Form {
        Form::Rights(Rights { port, extent })
    }

    /// True for rights and arrays of them.
    pub fn has_rights(&self) -> bool {
        matches!(self, Form::Right(_) | Form::Rights(_))
    }

    /// True if the type of a result mentions the kernel: it owns rights, or memory that the kernel has
    /// brought.
    pub fn owns(&self) -> bool {
        match self {
            Form::Memory(Memory::OutOfLine(element)) => element.is_byte(),
            Form::Parts(parts) => parts.part.owns(),
            Form::Plain(_) | Form::Right(_) | Form::Rights(_) | Form::Memory(_) => self.has_rights(),
        }
    }
}

/// The rights that an element of an array is, and how many: those of arrays of arrays are one long array.
fn rights(element: &Type) -> Option<(PortType, u32)> {
    match &element.kind {
        TypeKind::Port(port) => Some((*port, 1)),
        TypeKind::Fixed { element, count, .. } => {
            let (port, group) = rights(element)?;
            Some((port, group.checked_mul(*count)?))
        }
        _ => None,
    }
}

/// An array's form, if its elements are plain data.
fn plain(element: &Type, form: Form) -> Option<Form> {
    match &element.kind {
        TypeKind::Scalar(_) | TypeKind::Struct { .. } | TypeKind::FixedString { .. } => Some(form),
        TypeKind::Fixed { element, .. } => plain(element, form),
        _ => None,
    }
}
