//! The statements that write a message and read one.
//!
//! `layout` has made a list of steps of each message, and there is an emitter for the steps of each family of
//! ABIs. The back end asks nowhere else what family an ABI is of: client functions and server stubs loop over
//! steps.

mod typed;
mod untyped;
mod words;

use mig_abi::Disposition::{MoveReceive, MoveSend, MoveSendOnce};
use mig_abi::Family;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::forms::is_short;
use super::results::trailer_field;
use super::{Generator, names};
use crate::model::{
    Arg, Dealloc, Form, Memory, Message, Plain, PortType, Routine, Steps, TrailerField, Type, TypeKind,
};

/// Statements for a step of a message.
trait Emit {
    /// Writes the step into a message.
    fn write(&self, stub: &Writer<'_>) -> TokenStream;
    /// Reads the step out of a message, into the variable of its argument.
    fn read(&self, stub: &Reader<'_>) -> TokenStream;
}

/// Whose stub it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It writes requests and reads replies.
    Client,
    /// It reads requests and writes replies.
    Server,
}

/// A stub that writes a message.
pub(super) struct Writer<'a> {
    pub(super) generator: &'a Generator<'a>,
    pub(super) routine: &'a Routine,
    /// Whose it is.
    pub(super) end: End,
    /// The variable with the message.
    pub(super) to: &'a Ident,
    /// The value of an argument.
    pub(super) value: &'a dyn Fn(&Arg) -> TokenStream,
}

impl Writer<'_> {
    /// The statements for all that is in a message.
    pub(super) fn statements(&self, message: &Message) -> Vec<TokenStream> {
        match &message.steps {
            Steps::Typed(steps) => steps.iter().map(|step| step.write(self)).collect(),
            Steps::Untyped(steps) => steps.iter().map(|step| step.write(self)).collect(),
        }
    }

    /// A client has references to what is not a single value; a server owns its results.
    fn by_reference(&self, arg: &Arg) -> TokenStream {
        let value = (self.value)(arg);
        match self.end {
            End::Client => value,
            End::Server => quote!(&#value),
        }
    }

    /// The method that writes one right.
    fn right_method(&self, port: PortType) -> TokenStream {
        self.generator.right_method(match self.end {
            End::Client => port.sender,
            End::Server => port.receiver,
        })
    }

    /// Rights on their way into a message.
    fn rights(&self, port: PortType, arg: &Arg) -> TokenStream {
        let rt = &self.generator.rt;
        let value = (self.value)(arg);
        match (self.end, port.sender, port.receiver) {
            (End::Client, None, _) => value,
            (End::Client, Some(MoveReceive | MoveSend | MoveSendOnce), _) | (End::Server, _, Some(_)) => {
                quote!(#rt::PortArray::moving(#value))
            }
            (End::Client, sender, _) => {
                let method = self.generator.right_method(sender);
                quote!(#rt::PortArray::#method(#value))
            }
            (End::Server, _, None) => quote!(#rt::PortArray::of_one_kind(#value)?),
        }
    }
}

/// A stub that reads a message.
pub(super) struct Reader<'a> {
    pub(super) generator: &'a Generator<'a>,
    pub(super) routine: &'a Routine,
    /// Whose it is.
    pub(super) end: End,
    /// The variable with the message.
    pub(super) from: &'a Ident,
    /// The variable for an argument.
    pub(super) local: &'a dyn Fn(&Arg) -> Ident,
}

impl Reader<'_> {
    /// The statements for all that is in a message.
    pub(super) fn statements(&self, message: &Message) -> Vec<TokenStream> {
        match &message.steps {
            Steps::Typed(steps) => steps.iter().map(|step| step.read(self)).collect(),
            Steps::Untyped(steps) => steps.iter().map(|step| step.read(self)).collect(),
        }
    }

    /// The client's limit on the elements of a result, which its request has told.
    fn limit(&self, arg: &Arg) -> Option<Ident> {
        (self.end == End::Client && arg.count_in_out).then(|| names::limit(self.routine, arg))
    }

    /// One right.
    fn right(&self, port: PortType) -> TokenStream {
        let from = self.from;
        if let Some(number) = port.number.map(literal) {
            return quote!(#from.half(#number)?);
        }
        match port.receiver {
            Some(MoveReceive) => quote!(#from.receive_right()?),
            Some(MoveSend) => quote!(#from.send_right()?),
            Some(_) => quote!(#from.send_once_right()?),
            None => quote!(#from.poly()?),
        }
    }
}

impl Generator<'_> {
    /// What `runtime::layout` is told of a message: its items, and the offsets that are fixed.
    pub(super) fn layout_items(&self, routine: &Routine, message: &Message) -> (Vec<TokenStream>, Vec<u32>) {
        match &message.steps {
            Steps::Typed(_) => typed::items(routine, message),
            Steps::Untyped(_) => untyped::items(message),
        }
    }

    /// What a server's stub knows of a request before it reads it; nothing where it reads as fast without.
    pub(super) fn expectation(&self, routine: &Routine, body: &Ident) -> Option<TokenStream> {
        let expected = self.expected(routine);
        (!expected.is_empty()).then(|| quote!(#body.expect([#(#expected),*])?;))
    }

    /// A field that the kernel has added to a request: every message of a typed ABI has its sequence number,
    /// while a trailer may be too short.
    pub(super) fn request_trailer(&self, field: TrailerField) -> TokenStream {
        match (self.interface.facts().family, field) {
            (Family::Typed, TrailerField::Seqno) => quote!(request.seqno()),
            (_, field) => {
                let (_, method) = trailer_field(&self.rt, field);
                quote!(request.trailer().#method()?)
            }
        }
    }

    /// True if an inline array of this type is read as a slice of the message. Others are values that have
    /// been made of it: an untyped message is aligned to four bytes, whatever is in it.
    pub(super) fn is_borrowed(&self, element: &Type) -> bool {
        self.interface.facts().family == Family::Typed && self.is_aligned(element)
    }

    /// True if the ABI's alignment of arguments is enough for values of this type.
    fn is_aligned(&self, ty: &Type) -> bool {
        if self.extern_type(ty).is_some() {
            return false;
        }
        match &ty.kind {
            TypeKind::Fixed { element, .. } => self.is_aligned(element),
            TypeKind::Struct { members, .. } => members.iter().all(|member| self.is_aligned(&member.ty)),
            _ => ty.natural_alignment() as usize <= self.interface.facts().alignment,
        }
    }

    /// A result that has been read out of a reply, as a value on its own.
    pub(super) fn owned_result(&self, name: &Ident, arg: &Arg) -> TokenStream {
        let rt = &self.rt;
        match &arg.form {
            Form::Memory(Memory::OutOfLine(element)) if element.is_byte() => quote!(#name),
            Form::Plain(Plain::Slice(element, max)) => {
                match (is_short(element, *max), self.is_borrowed(element)) {
                    (true, true) => quote!(#rt::array_vec(#name)),
                    (true, false) => quote!(#rt::array_vec(&#name)),
                    (false, true) => quote!(#name.to_vec()),
                    (false, false) => quote!(#name.into_vec()),
                }
            }
            Form::Memory(Memory::Indefinite(_) | Memory::OutOfLine(_)) => quote!(#name.into_vec()),
            Form::Plain(Plain::FixedString | Plain::BoundedString(_)) => quote!(#name.into()),
            Form::Plain(Plain::Bool | Plain::Number | Plain::Aggregate)
            | Form::Right(_)
            | Form::Rights(_)
            | Form::Memory(Memory::Value(..)) => quote!(#name),
            Form::Parts(parts) => {
                let one = names::ident("part");
                let owned = arg.part().map(|part| self.owned_result(&one, &part));
                match (parts.counted, owned.as_ref().is_some_and(|owned| owned.to_string() == "part")) {
                    (_, true) => quote!(#name),
                    (true, false) => quote!(#name.into_iter().map(|#one| #owned).collect()),
                    (false, false) => quote!(#name.map(|#one| #owned)),
                }
            }
        }
    }

    fn copying(&self, arg: &Arg) -> TokenStream {
        let rt = &self.rt;
        match (arg.dealloc, arg.physical_copy) {
            (Dealloc::No, false) => quote!(#rt::Copying::VIRTUAL),
            (Dealloc::No, true) => quote!(#rt::Copying::PHYSICAL),
            (_, false) => quote!(#rt::Copying::MOVE),
            (_, true) => quote!(#rt::Copying { deallocate: true, physical: true }),
        }
    }
}

fn literal(number: u32) -> Literal {
    Literal::u32_unsuffixed(number)
}

/// A compile error in the generated code, for a step that earlier phases do not let pass. Should they have a
/// fault, the Rust compiler shows the place.
fn impossible(what: &str) -> TokenStream {
    quote!(compile_error!(#what))
}
