//! The statements that write an argument into a message and read it out of one.

use mig_abi::Disposition::{MoveReceive, MoveSend, MoveSendOnce};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::Generator;
use super::forms::{Form, is_short};
use super::words::{End, word_of};
use crate::model::{Arg, Dealloc, Message, PortType};

/// An argument in one of its messages.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The message.
    pub(super) message: &'a Message,
    /// The argument's index.
    pub(super) index: usize,
    /// The argument.
    pub(super) arg: &'a Arg,
    /// Its form.
    pub(super) form: Form<'a>,
    /// The variable with the caller's limit on its elements (`countinout`).
    pub(super) limit: Option<&'a Ident>,
}

impl Place<'_> {
    /// The type word has the long form.
    fn is_long(&self) -> bool {
        word_of(self.message, self.index).is_some_and(|word| word.long)
    }

    /// At most so many elements.
    fn max(&self, declared: u32) -> TokenStream {
        match self.limit {
            Some(limit) => quote!(#limit as usize),
            None => {
                let declared = Literal::u32_unsuffixed(declared);
                quote!(#declared)
            }
        }
    }
}

impl Generator<'_> {
    /// Appends a client's argument to its request.
    pub(super) fn encode_in(&self, to: &Ident, value: &Ident, place: Place<'_>) -> TokenStream {
        let rt = &self.rt;
        let ty = self.word_const(place.message, place.index, End::Sends);
        match place.form {
            Form::Right(port) if place.arg.dealloc != Dealloc::No => {
                let right = self.any_right(port, value);
                quote!(#to.deallocated(#right);)
            }
            Form::Right(port) if place.is_long() => {
                let right = self.any_right(port, value);
                self.encode_long_right(to, right)
            }
            Form::Right(port) => {
                let method = self.right_method(port.sender);
                quote!(#to.#method(#value);)
            }
            Form::Bool => quote!(#to.data(#ty, &u32::from(#value));),
            Form::Number(_) => quote!(#to.data(#ty, &#value);),
            Form::Aggregate(_) => quote!(#to.data(#ty, #value);),
            Form::Slice(_, max) => {
                let max = Literal::u32_unsuffixed(max);
                quote!(#to.slice(#ty, #value, #max)?;)
            }
            Form::Indefinite(element) | Form::OutOfLine(element) => {
                let append = |value: TokenStream| match place.form {
                    Form::Indefinite(_) => quote!(#to.indefinite(#ty, #value)?;),
                    _ => quote!(#to.ool(#ty, #value);),
                };
                match place.arg.dealloc {
                    Dealloc::No if !element.is_byte() => append(quote!(#rt::OolArg::lend(#value))),
                    Dealloc::No | Dealloc::Yes => append(quote!(#value)),
                    Dealloc::RunTime => {
                        let append = append(quote!(#value));
                        quote! {
                            let #value: #rt::OolArg<'_, K> = #value.into();
                            #append
                        }
                    }
                }
            }
            // Typed messages have no such thing.
            Form::OutOfLineValue(..) => TokenStream::new(),
            Form::FixedString => quote!(#to.fixed_string(#ty, #value)?;),
            Form::BoundedString(max) => {
                let max = Literal::u32_unsuffixed(max);
                quote!(#to.string(#ty, #value, #max)?;)
            }
            Form::FixedRights(port, _)
            | Form::BoundedRights(port, _)
            | Form::IndefiniteRights(port)
            | Form::OutOfLineRights(port) => {
                let rights = self.port_array(port, value);
                self.encode_rights(to, rights, place)
            }
        }
    }

    /// Appends a server's result to its reply.
    pub(super) fn encode_out(&self, to: &Ident, value: &TokenStream, place: Place<'_>) -> TokenStream {
        let rt = &self.rt;
        let ty = self.word_const(place.message, place.index, End::Sends);
        match place.form {
            Form::Right(_) if place.is_long() => {
                self.encode_long_right(to, quote!(#rt::AnyRight::from(#value)))
            }
            Form::Right(port) => {
                let method = self.right_method(port.receiver);
                quote!(#to.#method(#value);)
            }
            Form::Bool => quote!(#to.data(#ty, &u32::from(#value));),
            Form::Number(_) | Form::Aggregate(_) => quote!(#to.data(#ty, &#value);),
            Form::Slice(_, max) => {
                let max = Literal::u32_unsuffixed(max);
                quote!(#to.slice(#ty, &#value, #max)?;)
            }
            Form::OutOfLine(element) if element.is_byte() => quote!(#to.ool(#ty, #value);),
            Form::Indefinite(_) | Form::OutOfLine(_) => {
                let ty = with_deallocate(place, quote!(#ty));
                match place.form {
                    Form::Indefinite(_) => quote!(#to.indefinite_copy(#ty, &#value)?;),
                    _ => quote!(#to.ool_copy(#ty, &#value)?;),
                }
            }
            Form::OutOfLineValue(..) => TokenStream::new(),
            Form::FixedString => quote!(#to.fixed_string(#ty, &#value)?;),
            Form::BoundedString(max) => {
                let max = Literal::u32_unsuffixed(max);
                quote!(#to.string(#ty, &#value, #max)?;)
            }
            Form::FixedRights(port, _)
            | Form::BoundedRights(port, _)
            | Form::IndefiniteRights(port)
            | Form::OutOfLineRights(port) => {
                let rights = match port.receiver {
                    Some(_) => quote!(#rt::PortArray::moving(#value)),
                    None => quote!(#rt::PortArray::of_one_kind(#value)?),
                };
                self.encode_rights(to, rights, place)
            }
        }
    }

    /// One right under a long type word (`islong`), which is that of an array of one right.
    fn encode_long_right(&self, to: &Ident, right: TokenStream) -> TokenStream {
        let rt = &self.rt;
        quote!(#to.ports(#rt::WordForm::Long, #rt::PortArray::from(#right), 1)?;)
    }

    /// A client's rights on their way into a message.
    fn port_array(&self, port: PortType, value: &Ident) -> TokenStream {
        let rt = &self.rt;
        match port.sender {
            None => quote!(#value),
            Some(MoveReceive | MoveSend | MoveSendOnce) => quote!(#rt::PortArray::moving(#value)),
            sender => {
                let method = self.right_method(sender);
                quote!(#rt::PortArray::#method(#value))
            }
        }
    }

    fn encode_rights(&self, to: &Ident, rights: TokenStream, place: Place<'_>) -> TokenStream {
        let copying = self.copying(place.arg);
        match place.form {
            Form::FixedRights(_, max) | Form::BoundedRights(_, max) => {
                let form = self.word_form(place);
                let max = Literal::u32_unsuffixed(max);
                quote!(#to.ports(#form, #rights, #max)?;)
            }
            Form::IndefiniteRights(_) => quote!(#to.indefinite_ports(#rights, #copying)?;),
            _ => quote!(#to.ool_ports(#rights, #copying)?;),
        }
    }

    /// The form of the type word of rights, which say the rest by themselves.
    fn word_form(&self, place: Place<'_>) -> TokenStream {
        let rt = &self.rt;
        if place.is_long() { quote!(#rt::WordForm::Long) } else { quote!(#rt::WordForm::Short) }
    }

    /// Reads an argument out of a request, or a result out of a reply.
    pub(super) fn decode(&self, from: &Ident, place: Place<'_>) -> TokenStream {
        let rt = &self.rt;
        let ty = self.word_const(place.message, place.index, End::Receives);
        match place.form {
            // As long arrays of one right.
            Form::Right(_) if place.is_long() => {
                quote!(#from.ports::<_, 1>(#rt::WordForm::Long, 1)?.pop().ok_or(#rt::Malformed::Count)?)
            }
            Form::Right(port) => match port.receiver {
                Some(MoveReceive) => quote!(#from.receive_right()?),
                Some(MoveSend) => quote!(#from.send_right()?),
                Some(_) => quote!(#from.send_once_right()?),
                None => quote!(#from.poly()?),
            },
            Form::Bool => quote!(#from.data::<u32>(#ty)? != 0),
            Form::Number(_) | Form::Aggregate(_) => quote!(#from.data(#ty)?),
            Form::Slice(element, max) => {
                let max = place.max(max);
                match rest_behind(place.message, place.index).map(Literal::u32_unsuffixed) {
                    _ if !self.is_borrowed(element) => quote!(#from.packed_slice(#ty, #max)?),
                    Some(rest) => quote!(#from.slice_before(#ty, #max, #rest)?),
                    None => quote!(#from.slice(#ty, #max)?),
                }
            }
            Form::Indefinite(_) => quote!(#from.indefinite(#ty)?),
            Form::OutOfLine(element) if element.is_byte() => quote!(#from.ool(#ty)?),
            Form::OutOfLine(_) => quote!(#from.ool_elements(#ty)?),
            Form::OutOfLineValue(..) => TokenStream::new(),
            Form::FixedString => quote!(#from.fixed_string(#ty)?),
            Form::BoundedString(max) => {
                let max = Literal::u32_unsuffixed(max);
                quote!(#from.string(#ty, #max)?)
            }
            Form::FixedRights(_, max) => {
                let (form, max) = (self.word_form(place), Literal::u32_unsuffixed(max));
                quote!(#from.ports(#form, #max)?.into_inner().map_err(|_| #rt::Malformed::Count)?)
            }
            Form::BoundedRights(_, max) => {
                // The caller's limit counts elements, which may be several rights each.
                let group = max / place.arg.ty.declared_max().max(1);
                let times = Literal::u32_unsuffixed(group);
                let times = (place.limit.is_some() && group > 1).then(|| quote!(* #times));
                let (form, max) = (self.word_form(place), place.max(max));
                quote!(#from.ports(#form, #max #times)?)
            }
            Form::IndefiniteRights(_) => quote!(#from.indefinite_ports()?),
            Form::OutOfLineRights(_) => quote!(#from.ool_ports()?),
        }
    }

    /// A result that has been read out of a reply, as a value on its own.
    pub(super) fn owned_result(&self, name: &Ident, form: Form<'_>) -> TokenStream {
        let rt = &self.rt;
        match form {
            Form::OutOfLine(element) if element.is_byte() => quote!(#name),
            Form::Slice(element, max) => match (is_short(element, max), self.is_borrowed(element)) {
                (true, true) => quote!(#rt::array_vec(#name)),
                (true, false) => quote!(#rt::array_vec(&#name)),
                (false, true) => quote!(#name.to_vec()),
                (false, false) => quote!(#name.into_vec()),
            },
            Form::Indefinite(_) | Form::OutOfLine(_) => quote!(#name.into_vec()),
            Form::FixedString | Form::BoundedString(_) => quote!(#name.into()),
            _ => quote!(#name),
        }
    }
}

/// Bytes behind the last argument of variable length, if that is `index`.
fn rest_behind(message: &Message, index: usize) -> Option<u32> {
    let last = message.slots.iter().rposition(|slot| slot.size.is_none())?;
    let rest: u32 = message.slots[last + 1..].iter().filter_map(|slot| slot.size).sum();
    (message.slots[last].arg == Some(index)).then_some(rest)
}

fn with_deallocate(place: Place<'_>, ty: TokenStream) -> TokenStream {
    match place.arg.dealloc {
        Dealloc::No => ty,
        Dealloc::Yes | Dealloc::RunTime => quote!(#ty.deallocate()),
    }
}
