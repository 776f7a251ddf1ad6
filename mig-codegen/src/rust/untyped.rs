//! The statements for messages of the untyped ABIs: rights and memory first, then plain data, in the order of the slots.

use mig_abi::Disposition::{MoveReceive, MoveSend, MoveSendOnce};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::forms::Form;
use super::names::limit;
use super::{Generator, form, names};
use crate::model::{Arg, Dealloc, Message, PortType, Role, Routine, Slot, SlotRole, TypeKind};

/// What is done for a slot.
#[derive(Clone, Copy)]
enum Step<'r> {
    /// So many descriptors follow.
    Descriptors(u64),
    /// The descriptors of an argument.
    Described(&'r Arg),
    /// The NDR record.
    Ndr,
    /// The return code, and the NDR record in front of it.
    ReturnCode,
    /// The count of what is in descriptors.
    Count(&'r Arg),
    /// How many elements of a result the caller takes.
    Limit(&'r Arg),
    /// The plain data of an argument, its count with it.
    Data(&'r Arg),
}

/// The steps of a message.
fn steps<'r>(routine: &'r Routine, message: &Message) -> Vec<Step<'r>> {
    let mut steps = Vec::new();
    let mut described = None;
    let has_code = message.slots.iter().any(|slot| slot.role == SlotRole::RetCode);
    for slot in &message.slots {
        let arg = slot.arg.map(|index| &routine.args[index]);
        steps.extend(match (slot.role, arg) {
            (SlotRole::BodyCount, _) => {
                Some(Step::Descriptors(slot.check.first().map_or(0, |check| check.value)))
            }
            // An array of rights has a slot for each of them.
            (SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts, Some(arg)) => {
                let first = described != slot.arg;
                described = slot.arg;
                first.then_some(Step::Described(arg))
            }
            (SlotRole::Ndr, _) => (!has_code).then_some(Step::Ndr),
            (SlotRole::RetCode, _) => Some(Step::ReturnCode),
            (SlotRole::Count, Some(arg)) if is_limit(routine, message, arg) => Some(Step::Limit(arg)),
            (SlotRole::Count, Some(arg)) if is_described(form(&arg.ty)) => Some(Step::Count(arg)),
            (SlotRole::Data, Some(arg)) => Some(Step::Data(arg)),
            _ => None,
        });
    }
    steps
}

/// A count that stands in a request for a result.
fn is_limit(routine: &Routine, message: &Message, arg: &Arg) -> bool {
    arg.role == Role::Out && std::ptr::eq(message, &routine.request)
}

/// Rights and memory.
fn is_described(form: Form<'_>) -> bool {
    !matches!(
        form,
        Form::Bool
            | Form::Number(_)
            | Form::Aggregate(_)
            | Form::Slice(..)
            | Form::FixedString
            | Form::BoundedString(_)
    )
}

/// At most so many elements, where they are out of line and bounded.
fn bound(arg: &Arg) -> Option<u32> {
    match arg.ty.kind {
        TypeKind::OutOfLine { max, .. } => max,
        _ => None,
    }
}

/// The bytes of a string that has always as many.
fn area(arg: &Arg) -> Literal {
    Literal::u32_unsuffixed(arg.ty.bytes())
}

/// The variable with the number of elements that have gone into a descriptor.
fn count_of(routine: &Routine, arg: &Arg) -> Ident {
    names::param_name(routine, &format!("{}_count", names::snake_text(&arg.name)))
}

impl Generator<'_> {
    /// Appends the client's arguments to its request.
    pub(super) fn untyped_request(&self, routine: &Routine, to: &Ident) -> Vec<TokenStream> {
        let value = |arg: &Arg| {
            let name = names::snake(&arg.name);
            quote!(#name)
        };
        self.encode_steps(routine, &routine.request, to, &value, true)
    }

    /// Appends the server's results to its reply.
    pub(super) fn untyped_reply(
        &self,
        routine: &Routine,
        message: &Message,
        to: &Ident,
        value: &dyn Fn(&Arg) -> TokenStream,
    ) -> Vec<TokenStream> {
        self.encode_steps(routine, message, to, value, false)
    }

    fn encode_steps(
        &self,
        routine: &Routine,
        message: &Message,
        to: &Ident,
        value: &dyn Fn(&Arg) -> TokenStream,
        is_client: bool,
    ) -> Vec<TokenStream> {
        let rt = &self.rt;
        let encode = |step: Step<'_>| match step {
            Step::Descriptors(count) => {
                let count = Literal::u64_unsuffixed(count);
                quote!(#to.descriptors(#count);)
            }
            Step::Ndr => quote!(#to.ndr();),
            Step::ReturnCode => quote!(#to.return_code(#rt::KernReturn::KERN_SUCCESS);),
            Step::Described(arg) => self.encode_described(routine, message, arg, to, value(arg), is_client),
            Step::Count(arg) => {
                let count = count_of(routine, arg);
                quote!(#to.count(#count)?;)
            }
            Step::Limit(arg) => {
                let limit = limit(routine, arg);
                let max = Literal::u32_unsuffixed(arg.ty.declared_max());
                quote!(#to.value(&#limit.min(#max));)
            }
            Step::Data(arg) => self.encode_plain(routine, arg, to, value, is_client),
        };
        let steps: Vec<Step<'_>> = steps(routine, message);
        // What is in descriptors and has no count of its own.
        let shared = steps.iter().filter_map(|step| match step {
            Step::Described(arg) => Some((*arg, &routine.args[arg.same_count?])),
            _ => None,
        });
        let shared: Vec<TokenStream> = shared
            .map(|(arg, first)| {
                let count = count_of(routine, arg);
                let first = match is_described(form(&first.ty)) {
                    true => {
                        let first = count_of(routine, first);
                        quote!(#first)
                    }
                    false => {
                        let first = value(first);
                        quote!(#first.len())
                    }
                };
                quote!(#to.same_count(#count, #first);)
            })
            .collect();
        steps.into_iter().map(encode).chain(shared).collect()
    }

    /// Rights or memory, in descriptors.
    fn encode_described(
        &self,
        routine: &Routine,
        message: &Message,
        arg: &Arg,
        to: &Ident,
        value: TokenStream,
        is_client: bool,
    ) -> TokenStream {
        let rt = &self.rt;
        let copying = self.copying(arg);
        let described = match form(&arg.ty) {
            Form::Right(port) => {
                let method = self.right_method(if is_client { port.sender } else { port.receiver });
                return quote!(#to.#method(#value););
            }
            Form::Indefinite(element) | Form::OutOfLine(element) => {
                let written = match (is_client, arg.dealloc, form(&arg.ty)) {
                    (true, Dealloc::No, _) => quote!(#to.memory(#rt::OolArg::lend(#value), #copying)?),
                    // Its lifetime is that of the message, whatever the caller's is.
                    (true, Dealloc::RunTime, _) => {
                        let given = quote!(Into::<#rt::OolArg<'_, K>>::into(#value));
                        quote!(#to.memory(#given, #copying)?)
                    }
                    (true, ..) => quote!(#to.memory(#value, #copying)?),
                    (false, _, Form::OutOfLine(element)) if element.is_byte() => {
                        quote!(#to.memory_result(#value, #copying)?)
                    }
                    (false, ..) => quote!(#to.memory_copy(&#value, #copying)?),
                };
                match element.bytes() {
                    1 => written,
                    size => {
                        let size = Literal::u32_unsuffixed(size);
                        quote!(#written / #size)
                    }
                }
            }
            Form::OutOfLineValue(..) if is_client => {
                let one = quote!(::core::slice::from_ref(#value));
                quote!(#to.memory(#rt::OolArg::lend(#one), #copying)?)
            }
            Form::OutOfLineValue(..) => {
                quote!(#to.memory_copy(::core::slice::from_ref(&#value), #copying)?)
            }
            Form::FixedRights(port, max) | Form::BoundedRights(port, max) => {
                let max = Literal::u32_unsuffixed(max);
                let rights = self.rights_to_send(port, &value, is_client);
                quote!(#to.rights(#rights, #max)?)
            }
            Form::IndefiniteRights(port) | Form::OutOfLineRights(port) => {
                let rights = self.rights_to_send(port, &value, is_client);
                quote!(#to.rights_memory(#rights, #copying)?)
            }
            _ => return TokenStream::new(),
        };
        let has_count = message.slots.iter().any(|slot: &Slot| {
            slot.role == SlotRole::Count
                && slot.arg.is_some_and(|index| std::ptr::eq(&routine.args[index], arg))
        });
        if !has_count && arg.same_count.is_none() {
            return quote!(#described;);
        }
        let count = count_of(routine, arg);
        let check = bound(arg).map(|max| {
            let max = Literal::u32_unsuffixed(max);
            quote!(#to.at_most(#count, #max);)
        });
        quote! {
            let #count = #described;
            #check
        }
    }

    fn rights_to_send(&self, port: PortType, value: &TokenStream, is_client: bool) -> TokenStream {
        let rt = &self.rt;
        match (is_client, port.sender, port.receiver) {
            (true, None, _) => value.clone(),
            (true, Some(MoveReceive | MoveSend | MoveSendOnce), _) | (false, _, Some(_)) => {
                quote!(#rt::PortArray::moving(#value))
            }
            (true, sender, _) => {
                let method = self.right_method(sender);
                quote!(#rt::PortArray::#method(#value))
            }
            (false, _, None) => quote!(#rt::PortArray::of_one_kind(#value)?),
        }
    }

    pub(super) fn copying(&self, arg: &Arg) -> TokenStream {
        let rt = &self.rt;
        match (arg.dealloc, arg.physical_copy) {
            (Dealloc::No, false) => quote!(#rt::Copying::VIRTUAL),
            (Dealloc::No, true) => quote!(#rt::Copying::PHYSICAL),
            (_, false) => quote!(#rt::Copying::MOVE),
            (_, true) => quote!(#rt::Copying { deallocate: true, physical: true }),
        }
    }

    fn encode_plain(
        &self,
        routine: &Routine,
        arg: &Arg,
        to: &Ident,
        value: &dyn Fn(&Arg) -> TokenStream,
        is_client: bool,
    ) -> TokenStream {
        let of = value(arg);
        // A client has references to what is not a single value.
        let by_reference = if is_client { quote!(#of) } else { quote!(&#of) };
        match form(&arg.ty) {
            Form::Bool => quote!(#to.value(&u32::from(#of));),
            Form::Number(_) => quote!(#to.value(&#of);),
            Form::Aggregate(_) => quote!(#to.value(#by_reference);),
            Form::Slice(_, max) => {
                let max = Literal::u32_unsuffixed(max);
                match arg.same_count.map(|first| &routine.args[first]) {
                    Some(first) if is_described(form(&first.ty)) => {
                        let count = count_of(routine, first);
                        quote!(#to.array_of(#by_reference, #count, #max);)
                    }
                    Some(first) => {
                        let first = value(first);
                        quote!(#to.array_of(#by_reference, #first.len(), #max);)
                    }
                    None => quote!(#to.array(#by_reference, #max)?;),
                }
            }
            Form::FixedString => {
                let area = area(arg);
                quote!(#to.fixed_text(#by_reference, #area);)
            }
            Form::BoundedString(max) => {
                let max = Literal::u32_unsuffixed(max);
                quote!(#to.text(#by_reference, #max)?;)
            }
            _ => TokenStream::new(),
        }
    }

    /// Reads the arguments of a request into variables.
    pub(super) fn untyped_arguments(
        &self,
        routine: &Routine,
        from: &Ident,
        local: &dyn Fn(&Arg) -> Ident,
    ) -> Vec<TokenStream> {
        self.decode_steps(routine, &routine.request, from, local)
    }

    /// Reads the results in a reply, whose return code has been read, into variables.
    pub(super) fn untyped_results(
        &self,
        routine: &Routine,
        message: &Message,
        from: &Ident,
        local: &dyn Fn(&Arg) -> Ident,
    ) -> Vec<TokenStream> {
        self.decode_steps(routine, message, from, local)
    }

    fn decode_steps(
        &self,
        routine: &Routine,
        message: &Message,
        from: &Ident,
        local: &dyn Fn(&Arg) -> Ident,
    ) -> Vec<TokenStream> {
        let decode = |step: Step<'_>| match step {
            Step::Descriptors(count) => {
                let count = Literal::u64_unsuffixed(count);
                quote!(#from.descriptors(#count)?;)
            }
            Step::Ndr => quote!(#from.ndr()?;),
            Step::ReturnCode => TokenStream::new(),
            Step::Described(arg) => {
                let name = local(arg);
                let mutable = matches!(form(&arg.ty), Form::BoundedRights(..)).then(|| quote!(mut));
                let value = self.decode_described(arg, from);
                quote!(let #mutable #name = #value;)
            }
            Step::Count(arg) => {
                let name = local(arg);
                let counted = match form(&arg.ty) {
                    Form::BoundedRights(..) => quote!(#from.used(&mut #name)?;),
                    _ => quote!(#from.counted(#name.len())?;),
                };
                let too_many = bound(arg).map(|max| {
                    let max = Literal::u32_unsuffixed(max);
                    quote!(#from.at_most(#name.len(), #max)?;)
                });
                let shared = share_count(routine, arg, from, local);
                quote!(#counted #too_many #shared)
            }
            Step::Limit(arg) => {
                let name = local(arg);
                let max = Literal::u32_unsuffixed(arg.ty.declared_max());
                quote!(let #name = #from.value::<u32>()?.min(#max);)
            }
            Step::Data(arg) => {
                let name = local(arg);
                let value = self.decode_plain(routine, message, arg, from, local);
                let shared = share_count(routine, arg, from, local);
                quote!(let #name = #value; #shared)
            }
        };
        steps(routine, message).into_iter().map(decode).collect()
    }

    fn decode_described(&self, arg: &Arg, from: &Ident) -> TokenStream {
        let rt = &self.rt;
        match form(&arg.ty) {
            Form::Right(port) => match port.receiver {
                Some(MoveReceive) => quote!(#from.receive_right()?),
                Some(MoveSend) => quote!(#from.send_right()?),
                Some(_) => quote!(#from.send_once_right()?),
                None => quote!(#from.poly()?),
            },
            Form::OutOfLine(element) if element.is_byte() => quote!(#from.memory()?),
            Form::Indefinite(element) | Form::OutOfLine(element) => {
                let element = self.data_type(element);
                quote!(#from.memory_of::<#element>()?)
            }
            value @ Form::OutOfLineValue(..) => {
                let value = self.owned(value);
                quote!(#from.memory_value::<#value>()?)
            }
            Form::FixedRights(port, max) => {
                let (right, max) = (self.received_right(port), Literal::u32_unsuffixed(max));
                quote! {
                    #from.rights::<#right, #max>()?.into_inner().map_err(|_| #rt::Malformed::Descriptor)?
                }
            }
            Form::BoundedRights(port, max) => {
                let (right, max) = (self.received_right(port), Literal::u32_unsuffixed(max));
                quote!(#from.rights::<#right, #max>()?)
            }
            Form::IndefiniteRights(port) | Form::OutOfLineRights(port) => {
                let right = self.received_right(port);
                quote!(#from.rights_memory::<#right>()?)
            }
            _ => TokenStream::new(),
        }
    }

    fn decode_plain(
        &self,
        routine: &Routine,
        message: &Message,
        arg: &Arg,
        from: &Ident,
        local: &dyn Fn(&Arg) -> Ident,
    ) -> TokenStream {
        match form(&arg.ty) {
            Form::Bool => quote!(#from.value::<u32>()? != 0),
            Form::Number(ty) | Form::Aggregate(ty) => {
                let ty = self.data_type(ty);
                quote!(#from.value::<#ty>()?)
            }
            Form::Slice(element, max) => {
                let element = self.data_type(element);
                let max = Literal::u32_unsuffixed(max);
                let array = match arg.same_count.map(|first| local(&routine.args[first])) {
                    Some(first) => quote!(#from.array_of::<#element>(#first.len(), #max)?),
                    None => quote!(#from.array::<#element>(#max)?),
                };
                match arg.count_in_out && !is_limit(routine, message, arg) {
                    true => {
                        let limit = limit(routine, arg);
                        quote!(#array.at_most(#limit)?)
                    }
                    false => array,
                }
            }
            Form::FixedString => {
                let area = area(arg);
                quote!(#from.fixed_text(#area)?)
            }
            Form::BoundedString(max) => {
                let max = Literal::u32_unsuffixed(max);
                quote!(#from.text(#max)?)
            }
            _ => TokenStream::new(),
        }
    }

    /// Nothing, in the place of an argument that a request with a return code does not have.
    pub(super) fn zero(&self, arg: &Arg) -> TokenStream {
        let rt = &self.rt;
        let null = |port: PortType| {
            let right = match port.receiver {
                Some(MoveReceive) => quote!(#rt::ReceiveRight),
                Some(MoveSendOnce) => quote!(#rt::SendOnceRight),
                _ => quote!(#rt::SendRight),
            };
            let null = quote!(#right::null(request.kernel().clone()));
            if port.receiver.is_none() { quote!(#rt::AnyRight::MoveSend(#null)) } else { null }
        };
        match form(&arg.ty) {
            Form::Right(port) => null(port),
            Form::FixedRights(port, _) => {
                let null = null(port);
                quote!(::core::array::from_fn(|_| #null))
            }
            Form::BoundedRights(..) => quote!(#rt::ArrayVec::new_const()),
            Form::IndefiniteRights(_) | Form::OutOfLineRights(_) => quote!(#rt::Rights::new()),
            Form::Bool => quote!(false),
            Form::Slice(..) => quote!([]),
            Form::OutOfLine(element) if element.is_byte() => quote!(#rt::OolMemory::empty()),
            Form::Indefinite(_) | Form::OutOfLine(_) => {
                quote!(#rt::Elements::OutOfLine(#rt::OolMemory::empty()))
            }
            Form::FixedString | Form::BoundedString(_) => quote!(Default::default()),
            Form::Number(_) | Form::Aggregate(_) | Form::OutOfLineValue(..) => {
                quote!(#rt::zerocopy::FromZeros::new_zeroed())
            }
        }
    }
}

/// What shares the count of `first`, which has just been read, and is in descriptors. These stand in front of counts, so all has been taken.
fn share_count(routine: &Routine, first: &Arg, from: &Ident, local: &dyn Fn(&Arg) -> Ident) -> TokenStream {
    let shares = |arg: &&Arg| {
        let of = arg.same_count.map(|index| &routine.args[index]);
        of.is_some_and(|of| std::ptr::eq(of, first)) && is_described(form(&arg.ty))
    };
    let first = local(first);
    let checks = routine.args.iter().filter(shares).map(|arg| {
        let name = local(arg);
        match form(&arg.ty) {
            Form::BoundedRights(..) => quote!(#from.share(&mut #name, #first.len())?;),
            _ => quote!(#from.same_count(#name.len(), #first.len())?;),
        }
    });
    checks.collect()
}
