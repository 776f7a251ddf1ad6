//! How an argument looks in Rust: as a parameter of the client and of the server, as a result, and in a message.

use mig_abi::Disposition::{self, CopySend, MakeSend, MakeSendOnce, MoveReceive, MoveSend, MoveSendOnce};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::Generator;
use crate::model::{Arg, Dealloc, PortType, Type, TypeKind};

/// What an argument is to a Rust programmer.
#[derive(Clone, Copy)]
pub(super) enum Form<'t> {
    /// One right.
    Right(PortType),
    /// A truth value.
    Bool,
    /// A number.
    Number(&'t Type),
    /// An array or structure of fixed size.
    Aggregate(&'t Type),
    /// An array of so many values at most, always in the message.
    Slice(&'t Type, u32),
    /// An array of any length, in the message while it is short.
    Indefinite(&'t Type),
    /// An array of any length, never in the message.
    OutOfLine(&'t Type),
    /// A value of fixed size, of so many elements, that is not in the message: only untyped ABIs have it.
    OutOfLineValue(&'t Type, u32),
    /// A C string in a field of fixed size.
    FixedString,
    /// A C string of at most so many bytes.
    BoundedString(u32),
    /// So many rights.
    FixedRights(PortType, u32),
    /// So many rights at most, always in the message.
    BoundedRights(PortType, u32),
    /// Rights, in the message while they are few.
    IndefiniteRights(PortType),
    /// Rights, never in the message.
    OutOfLineRights(PortType),
}

impl<'t> Form<'t> {
    /// `None` for what has no form in Rust yet.
    pub(super) fn of(ty: &'t Type) -> Option<Form<'t>> {
        Some(match &ty.kind {
            TypeKind::Port(port) => Form::Right(*port),
            TypeKind::Scalar(_) if ty.is_bool() => Form::Bool,
            TypeKind::Scalar(scalar) if matches!(scalar.bits, 8 | 16 | 32 | 64) => Form::Number(ty),
            TypeKind::Scalar(_) | TypeKind::Struct { .. } => Form::Aggregate(ty),
            TypeKind::Fixed { element, count, .. } => match rights(element) {
                Some((port, group)) => Form::FixedRights(port, group.checked_mul(*count)?),
                None => plain(element, Form::Aggregate(ty))?,
            },
            TypeKind::Bounded { element, max } => match rights(element) {
                Some((port, group)) => Form::BoundedRights(port, group.checked_mul(*max)?),
                None => plain(element, Form::Slice(element, *max))?,
            },
            TypeKind::Indefinite { element, .. } => match rights(element) {
                Some((port, _)) => Form::IndefiniteRights(port),
                None => plain(element, Form::Indefinite(element))?,
            },
            TypeKind::OutOfLine { element, count: None, .. } => match rights(element) {
                Some((port, _)) => Form::OutOfLineRights(port),
                None => plain(element, Form::OutOfLine(element))?,
            },
            TypeKind::OutOfLine { element, count: Some(count), .. } => {
                plain(element, Form::OutOfLineValue(element, *count))?
            }
            TypeKind::FixedString { .. } => Form::FixedString,
            TypeKind::BoundedString { max } => Form::BoundedString(*max),
        })
    }

    /// True if the type of a result mentions the kernel.
    pub(super) fn owns(self) -> bool {
        self.has_rights() || matches!(self, Form::OutOfLine(element) if element.is_byte())
    }

    /// True for rights and arrays of them.
    pub(super) fn has_rights(self) -> bool {
        matches!(
            self,
            Form::Right(_)
                | Form::FixedRights(..)
                | Form::BoundedRights(..)
                | Form::IndefiniteRights(_)
                | Form::OutOfLineRights(_)
        )
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
fn plain<'t>(element: &Type, form: Form<'t>) -> Option<Form<'t>> {
    match &element.kind {
        TypeKind::Scalar(_) | TypeKind::Struct { .. } | TypeKind::FixedString { .. } => Some(form),
        TypeKind::Fixed { element, .. } => plain(element, form),
        _ => None,
    }
}

impl Generator<'_> {
    /// The client's parameter for an argument in its request.
    pub(super) fn client_param(&self, arg: &Arg, form: Form<'_>) -> TokenStream {
        let rt = &self.rt;
        match form {
            Form::Right(port) => self.sent_right(port),
            Form::Bool => quote!(bool),
            Form::Number(ty) => self.data_type(ty),
            Form::Aggregate(_) | Form::OutOfLineValue(..) => {
                let ty = self.owned(form);
                quote!(&#ty)
            }
            Form::Slice(element, _) => {
                let element = self.data_type(element);
                quote!(&[#element])
            }
            Form::Indefinite(element) | Form::OutOfLine(element) => match arg.dealloc {
                Dealloc::No => {
                    let element = self.data_type(element);
                    quote!(&[#element])
                }
                Dealloc::Yes => quote!(#rt::OolMemory<K>),
                Dealloc::RunTime => quote!(impl Into<#rt::OolArg<'a, K>>),
            },
            Form::FixedString | Form::BoundedString(_) => quote!(&#rt::CStr),
            Form::FixedRights(port, count) => {
                let count = Literal::u32_unsuffixed(count);
                self.sent_rights(port, Some(count))
            }
            Form::BoundedRights(port, _) | Form::IndefiniteRights(port) | Form::OutOfLineRights(port) => {
                self.sent_rights(port, None)
            }
        }
    }

    /// How a client passes a right: by value to move it, by reference to copy it or to make one from it.
    pub(super) fn sent_right(&self, port: PortType) -> TokenStream {
        let rt = &self.rt;
        match port.sender {
            Some(MoveReceive) => quote!(#rt::ReceiveRight<K>),
            Some(MoveSend) => quote!(#rt::SendRight<K>),
            Some(MoveSendOnce) => quote!(#rt::SendOnceRight<K>),
            Some(CopySend) => quote!(&#rt::SendRight<K>),
            Some(_) => quote!(&#rt::ReceiveRight<K>),
            None => quote!(impl Into<#rt::AnyRight<'a, K>>),
        }
    }

    fn sent_rights(&self, port: PortType, count: Option<Literal>) -> TokenStream {
        let rt = &self.rt;
        let length = count.map(|count| quote!(; #count));
        match port.sender {
            Some(CopySend) => quote!(&[#rt::SendRight<K> #length]),
            Some(MoveReceive | MoveSend | MoveSendOnce) => {
                let right = self.received_right(port);
                match length {
                    Some(length) => quote!([#right #length]),
                    None => quote!(impl IntoIterator<Item = #right>),
                }
            }
            Some(_) => quote!(&[#rt::ReceiveRight<K> #length]),
            None => quote!(#rt::PortArray<'_, K>),
        }
    }

    /// A right as its receiver owns it.
    pub(super) fn received_right(&self, port: PortType) -> TokenStream {
        let rt = &self.rt;
        match port.receiver {
            Some(MoveReceive) => quote!(#rt::ReceiveRight<K>),
            Some(MoveSend) => quote!(#rt::SendRight<K>),
            Some(_) => quote!(#rt::SendOnceRight<K>),
            None => quote!(#rt::AnyRight<'static, K>),
        }
    }

    /// The name of a right's method: `move_send` and its kin.
    pub(super) fn right_method(&self, sender: Option<Disposition>) -> TokenStream {
        match sender {
            Some(MoveReceive) => quote!(move_receive),
            Some(MoveSend) => quote!(move_send),
            Some(MoveSendOnce) => quote!(move_send_once),
            Some(CopySend) => quote!(copy_send),
            Some(MakeSend) => quote!(make_send),
            Some(MakeSendOnce) => quote!(make_send_once),
            None => quote!(poly),
        }
    }

    /// A client's right as an `AnyRight`: the right together with what sending does to it.
    pub(super) fn any_right(&self, port: PortType, value: &Ident) -> TokenStream {
        let rt = &self.rt;
        match port.sender {
            None => quote!(#value.into()),
            sender => {
                let method = self.right_method(sender);
                quote!(#rt::Dest::#method(#value))
            }
        }
    }

    /// The server's parameter for an argument of the request.
    pub(super) fn server_param(&self, form: Form<'_>) -> TokenStream {
        let rt = &self.rt;
        match form {
            Form::Slice(element, _) => {
                let element = self.data_type(element);
                quote!(&[#element])
            }
            Form::OutOfLine(element) if element.is_byte() => quote!(#rt::OolMemory<K>),
            Form::Indefinite(element) | Form::OutOfLine(element) => {
                let element = self.data_type(element);
                quote!(#rt::Elements<'_, #element, K>)
            }
            Form::FixedString | Form::BoundedString(_) => quote!(&#rt::CStr),
            other => self.owned(other),
        }
    }

    /// A value on its own: a result, for the server's method that returns it and for the client that gets it.
    pub(super) fn owned(&self, form: Form<'_>) -> TokenStream {
        let rt = &self.rt;
        match form {
            Form::Right(port) => self.received_right(port),
            Form::Bool => quote!(bool),
            Form::Number(ty) | Form::Aggregate(ty) => self.data_type(ty),
            Form::OutOfLineValue(element, 1) => self.data_type(element),
            Form::OutOfLineValue(element, count) => {
                let element = self.data_type(element);
                let count = Literal::u32_unsuffixed(count);
                quote!([#element; #count])
            }
            Form::OutOfLine(element) if element.is_byte() => quote!(#rt::OolMemory<K>),
            Form::Slice(element, max) if is_short(element, max) => {
                let element = self.data_type(element);
                let max = Literal::u32_unsuffixed(max);
                quote!(#rt::ArrayVec<#element, #max>)
            }
            Form::Slice(element, _) | Form::Indefinite(element) | Form::OutOfLine(element) => {
                let element = self.data_type(element);
                quote!(#rt::Vec<#element>)
            }
            Form::FixedString | Form::BoundedString(_) => quote!(#rt::CString),
            Form::FixedRights(port, count) => {
                let right = self.received_right(port);
                let count = Literal::u32_unsuffixed(count);
                quote!([#right; #count])
            }
            Form::BoundedRights(port, max) => {
                let right = self.received_right(port);
                let max = Literal::u32_unsuffixed(max);
                quote!(#rt::ArrayVec<#right, #max>)
            }
            Form::IndefiniteRights(port) | Form::OutOfLineRights(port) => {
                let right = self.received_right(port);
                quote!(#rt::Rights<K, #right>)
            }
        }
    }
}

/// An array that is a value on its own, so that a program whose allocator is not to be used can have it: thread states are among them.
pub(super) fn is_short(element: &Type, max: u32) -> bool {
    const BYTES: u32 = 8192;
    element.bytes().checked_mul(max).is_some_and(|size| size <= BYTES)
}
