//! The Rust types of an argument: as a parameter of the client and of the server, as a result, and in a
//! message.

use mig_abi::Disposition::{self, CopySend, MakeSend, MakeSendOnce, MoveReceive, MoveSend, MoveSendOnce};
use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::Generator;
use crate::model::{Arg, Dealloc, Extent, Form, Memory, Parts, Plain, PortType, Rights, Type};

impl Generator<'_> {
    /// The client's parameter for an argument in its request.
    pub(super) fn client_param(&self, arg: &Arg) -> TokenStream {
        let rt = &self.rt;
        match &arg.form {
            Form::Plain(Plain::Bool) => quote!(bool),
            Form::Plain(Plain::Number) => self.data_type(&arg.ty),
            Form::Plain(Plain::Aggregate) | Form::Memory(Memory::Value(..)) => {
                let ty = self.owned(arg);
                quote!(&#ty)
            }
            Form::Plain(Plain::Slice(element, _)) => self.slice(element),
            Form::Plain(Plain::FixedString | Plain::BoundedString(_)) => quote!(&#rt::CStr),
            Form::Right(port) => self.sent_right(*port),
            Form::Rights(rights) => self.sent_rights(*rights),
            Form::Memory(Memory::Indefinite(element) | Memory::OutOfLine(element)) => match arg.dealloc {
                Dealloc::No => self.slice(element),
                Dealloc::Yes => quote!(#rt::OolMemory<K>),
                Dealloc::RunTime => quote!(impl Into<#rt::OolArg<'a, K>>),
            },
            Form::Parts(parts) => self.parts(arg, parts, |part| self.client_param(part)),
        }
    }

    /// An array of parts, each of which has the type that `of_part` gives.
    fn parts(&self, arg: &Arg, parts: &Parts, of_part: impl Fn(&Arg) -> TokenStream) -> TokenStream {
        let rt = &self.rt;
        let part = arg.part().map(|part| of_part(&part));
        let max = Literal::u32_unsuffixed(parts.max);
        match parts.counted {
            true => quote!(#rt::ArrayVec<#part, #max>),
            false => quote!([#part; #max]),
        }
    }

    fn slice(&self, element: &Type) -> TokenStream {
        let element = self.data_type(element);
        quote!(&[#element])
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

    fn sent_rights(&self, rights: Rights) -> TokenStream {
        let rt = &self.rt;
        let length = match rights.extent {
            Extent::Fixed(count) => Some(Literal::u32_unsuffixed(count)),
            Extent::Bounded(_) | Extent::Indefinite | Extent::OutOfLine => None,
        };
        let length = length.map(|length| quote!(; #length));
        match rights.port.sender {
            Some(CopySend) => quote!(&[#rt::SendRight<K> #length]),
            Some(MoveReceive | MoveSend | MoveSendOnce) => {
                let right = self.received_right(rights.port);
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
    pub(super) fn any_right(&self, port: PortType, value: &TokenStream) -> TokenStream {
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
    pub(super) fn server_param(&self, arg: &Arg) -> TokenStream {
        let rt = &self.rt;
        match &arg.form {
            Form::Plain(Plain::Slice(element, _)) => self.slice(element),
            Form::Plain(Plain::FixedString | Plain::BoundedString(_)) => quote!(&#rt::CStr),
            Form::Memory(Memory::OutOfLine(element)) if element.is_byte() => quote!(#rt::OolMemory<K>),
            Form::Memory(Memory::Indefinite(element) | Memory::OutOfLine(element)) => {
                let element = self.data_type(element);
                quote!(#rt::Elements<'_, #element, K>)
            }
            Form::Plain(Plain::Bool | Plain::Number | Plain::Aggregate)
            | Form::Right(_)
            | Form::Rights(_)
            | Form::Memory(Memory::Value(..)) => self.owned(arg),
            Form::Parts(parts) => self.parts(arg, parts, |part| self.server_param(part)),
        }
    }

    /// A value on its own: a result, for the server's method that returns it and for the client that gets it.
    pub(super) fn owned(&self, arg: &Arg) -> TokenStream {
        let rt = &self.rt;
        match &arg.form {
            Form::Plain(Plain::Bool) => quote!(bool),
            Form::Plain(Plain::Number | Plain::Aggregate) => self.data_type(&arg.ty),
            Form::Plain(Plain::Slice(element, max)) if is_short(element, *max) => {
                let element = self.data_type(element);
                let max = Literal::u32_unsuffixed(*max);
                quote!(#rt::ArrayVec<#element, #max>)
            }
            Form::Plain(Plain::FixedString | Plain::BoundedString(_)) => quote!(#rt::CString),
            Form::Right(port) => self.received_right(*port),
            Form::Rights(Rights { port, extent }) => {
                let right = self.received_right(*port);
                match extent {
                    Extent::Fixed(count) => {
                        let count = Literal::u32_unsuffixed(*count);
                        quote!([#right; #count])
                    }
                    Extent::Bounded(max) => {
                        let max = Literal::u32_unsuffixed(*max);
                        quote!(#rt::ArrayVec<#right, #max>)
                    }
                    Extent::Indefinite | Extent::OutOfLine => quote!(#rt::Rights<K, #right>),
                }
            }
            Form::Memory(Memory::OutOfLine(element)) if element.is_byte() => quote!(#rt::OolMemory<K>),
            Form::Memory(Memory::Value(element, 1)) => self.data_type(element),
            Form::Memory(Memory::Value(element, count)) => {
                let element = self.data_type(element);
                let count = Literal::u32_unsuffixed(*count);
                quote!([#element; #count])
            }
            Form::Plain(Plain::Slice(element, _))
            | Form::Memory(Memory::Indefinite(element) | Memory::OutOfLine(element)) => {
                let element = self.data_type(element);
                quote!(#rt::Vec<#element>)
            }
            Form::Parts(parts) => self.parts(arg, parts, |part| self.owned(part)),
        }
    }
}

/// An array that is a value on its own, so that a program whose allocator is not to be used can have it:
/// thread states are among them.
pub(super) fn is_short(element: &Type, max: u32) -> bool {
    const BYTES: u32 = 8192;
    element.bytes().checked_mul(max).is_some_and(|size| size <= BYTES)
}
