//! Messages of the typed ABIs: each value after a type word, in the order of the arguments.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::words::Names;
use super::{Emit, End, Reader, Writer, impossible, literal};
use crate::model::{
    Arg, Dealloc, Extent, Form, InLine, Memory, Message, Plain, Rights, Routine, Slot, SlotRole, Type,
    TypeWord, TypedStep,
};
use crate::rust::names;

/// Fixed data out of line is an array to `resolve`, since the type word says how much there is.
const VALUE: &str = "typed messages have no value of fixed size out of line";

/// Elements out of line are for `resolve` to refuse.
const PARTS: &str = "typed messages have no array of parts out of line";

impl Emit for TypedStep {
    fn write(&self, stub: &Writer<'_>) -> TokenStream {
        match self {
            TypedStep::Value { arg, word, .. } => write(stub, &stub.routine.args[*arg], word),
            TypedStep::Limit { arg, word } => {
                let arg = &stub.routine.args[*arg];
                let (to, limit) = (stub.to, names::limit(stub.routine, arg));
                let ty = stub.generator.word_const(word, Names::Sent);
                let max = literal(arg.ty.declared_max());
                quote! {
                    let #limit = #limit.min(#max);
                    #to.data(#ty, &#limit);
                }
            }
        }
    }

    fn read(&self, stub: &Reader<'_>) -> TokenStream {
        match self {
            TypedStep::Value { arg, word, rest } => {
                let arg = &stub.routine.args[*arg];
                let name = (stub.local)(arg);
                let value = read(stub, arg, word, *rest);
                quote!(let #name = #value;)
            }
            TypedStep::Limit { arg, word } => {
                let arg = &stub.routine.args[*arg];
                let (from, name) = (stub.from, (stub.local)(arg));
                let ty = stub.generator.word_const(word, Names::Received);
                let max = literal(arg.ty.declared_max());
                quote!(let #name = #from.data::<u32>(#ty)?.min(#max);)
            }
        }
    }
}

fn write(stub: &Writer<'_>, arg: &Arg, word: &TypeWord) -> TokenStream {
    match &arg.form {
        Form::Plain(plain) => write_plain(stub, arg, plain, word),
        Form::Right(port) => {
            let (rt, to, value) = (&stub.generator.rt, stub.to, (stub.value)(arg));
            let right = || match stub.end {
                End::Client => stub.generator.any_right(*port, &value),
                End::Server => quote!(#rt::AnyRight::from(#value)),
            };
            if let Some(number) = port.number {
                let (method, number) = match arg.dealloc {
                    Dealloc::No => (quote!(half), literal(number)),
                    _ => (quote!(deallocated_half), literal(number)),
                };
                return quote!(#to.#method(#number, #value););
            }
            // A kernel that sends.
            if arg.dealloc != Dealloc::No {
                let right = right();
                return quote!(#to.deallocated(#right););
            }
            if word.long {
                // As an array of one right has it.
                let right = right();
                return quote!(#to.ports(#rt::WordForm::Long, #rt::PortArray::from(#right), 1)?;);
            }
            let method = stub.right_method(*port);
            quote!(#to.#method(#value);)
        }
        Form::Rights(rights) => write_rights(stub, arg, *rights, word),
        Form::Memory(memory) => write_memory(stub, arg, memory, word),
        Form::Parts(_) => impossible(PARTS),
    }
}

fn write_plain(stub: &Writer<'_>, arg: &Arg, plain: &Plain, word: &TypeWord) -> TokenStream {
    let to = stub.to;
    let ty = stub.generator.word_const(word, Names::Sent);
    let (value, by_reference) = ((stub.value)(arg), stub.by_reference(arg));
    match plain {
        Plain::Bool => quote!(#to.data(#ty, &u32::from(#value));),
        Plain::Number => quote!(#to.data(#ty, &#value);),
        Plain::Aggregate => quote!(#to.data(#ty, #by_reference);),
        Plain::Slice(_, max) => {
            let max = literal(*max);
            quote!(#to.slice(#ty, #by_reference, #max)?;)
        }
        Plain::FixedString => quote!(#to.fixed_string(#ty, #by_reference)?;),
        Plain::BoundedString(max) => {
            let max = literal(*max);
            quote!(#to.string(#ty, #by_reference, #max)?;)
        }
    }
}

fn write_memory(stub: &Writer<'_>, arg: &Arg, memory: &Memory, word: &TypeWord) -> TokenStream {
    let (to, value) = (stub.to, (stub.value)(arg));
    let ty = stub.generator.word_const(word, Names::Sent);
    let moved = || match arg.dealloc {
        Dealloc::No => ty.clone(),
        Dealloc::Yes | Dealloc::RunTime => quote!(#ty.deallocate()),
    };
    // Mach 2.5's stubs send all of an array of fixed size.
    let exactly = all_of(word).filter(|_| arg.dealloc != Dealloc::RunTime || stub.end == End::Server);
    let rt = &stub.generator.rt;
    let exactly = exactly.map(|all| {
        quote! {
            if #value.len() != #all {
                return Err(#rt::KernReturn::MIG_ARRAY_TOO_LARGE.into());
            }
        }
    });
    let appended = match (stub.end, memory) {
        (_, Memory::Value(..)) => impossible(VALUE),
        (End::Client, Memory::Indefinite(element)) => {
            give(stub, arg, element, &|memory| quote!(#to.indefinite(#ty, #memory)?;))
        }
        (End::Client, Memory::OutOfLine(element)) => {
            give(stub, arg, element, &|memory| quote!(#to.ool(#ty, #memory);))
        }
        (End::Server, Memory::Indefinite(_)) => {
            let ty = moved();
            quote!(#to.indefinite_copy(#ty, &#value)?;)
        }
        (End::Server, Memory::OutOfLine(element)) if element.is_byte() => quote!(#to.ool(#ty, #value);),
        (End::Server, Memory::OutOfLine(_)) => {
            let ty = moved();
            quote!(#to.ool_copy(#ty, &#value)?;)
        }
    };
    quote!(#exactly #appended)
}

/// How many values stand at an address, where that is always the same.
fn all_of(word: &TypeWord) -> Option<Literal> {
    let number = word.number.filter(|_| word.in_line == InLine::No)?;
    Some(literal(number / word.multiplier.max(1)))
}

/// Appends a client's memory: lent, given away, or as the caller decides.
fn give(
    stub: &Writer<'_>,
    arg: &Arg,
    element: &Type,
    append: &dyn Fn(TokenStream) -> TokenStream,
) -> TokenStream {
    let (rt, value) = (&stub.generator.rt, (stub.value)(arg));
    match arg.dealloc {
        Dealloc::No if !element.is_byte() => append(quote!(#rt::OolArg::lend(#value))),
        Dealloc::No | Dealloc::Yes => append(value),
        Dealloc::RunTime => {
            let append = append(value.clone());
            quote! {
                let #value: #rt::OolArg<'_, K> = #value.into();
                #append
            }
        }
    }
}

fn write_rights(stub: &Writer<'_>, arg: &Arg, rights: Rights, word: &TypeWord) -> TokenStream {
    let to = stub.to;
    let array = stub.rights(rights.port, arg);
    let copying = stub.generator.copying(arg);
    match rights.extent {
        Extent::Fixed(max) | Extent::Bounded(max) => {
            let (form, max) = (stub.generator.word_form(word), literal(max));
            quote!(#to.ports(#form, #array, #max)?;)
        }
        Extent::Indefinite => quote!(#to.indefinite_ports(#array, #copying)?;),
        Extent::OutOfLine if word.long => quote!(#to.ool_ports(#array, #copying)?;),
        Extent::OutOfLine => quote!(#to.short_ool_ports(#array, #copying)?;),
    }
}

fn read(stub: &Reader<'_>, arg: &Arg, word: &TypeWord, rest: Option<u32>) -> TokenStream {
    let from = stub.from;
    match &arg.form {
        Form::Plain(plain) => read_plain(stub, arg, plain, word, rest),
        // As an array of one right has it.
        Form::Right(port) if word.long => {
            let rt = &stub.generator.rt;
            let right = stub.generator.received_right(*port);
            quote!(#from.ports::<#right, 1>(#rt::WordForm::Long, 1)?.pop().ok_or(#rt::Malformed::Count)?)
        }
        Form::Right(port) => stub.right(*port),
        Form::Rights(rights) => read_rights(stub, arg, *rights, word),
        Form::Memory(memory) => {
            let ty = stub.generator.word_const(word, Names::Received);
            let found = match memory {
                Memory::Indefinite(_) => quote!(#from.indefinite(#ty)?),
                Memory::OutOfLine(element) if element.is_byte() => quote!(#from.ool(#ty)?),
                Memory::OutOfLine(_) => quote!(#from.ool_elements(#ty)?),
                Memory::Value(..) => impossible(VALUE),
            };
            let rt = &stub.generator.rt;
            match all_of(word) {
                Some(all) => {
                    quote!(Some(#found).filter(|all| all.len() == #all).ok_or(#rt::Malformed::Count)?)
                }
                None => found,
            }
        }
        Form::Parts(_) => impossible(PARTS),
    }
}

fn read_plain(
    stub: &Reader<'_>,
    arg: &Arg,
    plain: &Plain,
    word: &TypeWord,
    rest: Option<u32>,
) -> TokenStream {
    let from = stub.from;
    let ty = stub.generator.word_const(word, Names::Received);
    match plain {
        Plain::Bool => quote!(#from.data::<u32>(#ty)? != 0),
        Plain::Number | Plain::Aggregate => quote!(#from.data(#ty)?),
        Plain::Slice(element, max) => {
            let max = most(stub, arg, *max);
            match rest.map(literal) {
                _ if !stub.generator.is_borrowed(element) => quote!(#from.packed_slice(#ty, #max)?),
                Some(rest) => quote!(#from.slice_before(#ty, #max, #rest)?),
                None => quote!(#from.slice(#ty, #max)?),
            }
        }
        Plain::FixedString => quote!(#from.fixed_string(#ty)?),
        Plain::BoundedString(max) => {
            let max = literal(*max);
            quote!(#from.string(#ty, #max)?)
        }
    }
}

fn read_rights(stub: &Reader<'_>, arg: &Arg, rights: Rights, word: &TypeWord) -> TokenStream {
    let (rt, from) = (&stub.generator.rt, stub.from);
    let form = stub.generator.word_form(word);
    match rights.extent {
        Extent::Fixed(max) => {
            let max = literal(max);
            quote!(#from.ports(#form, #max)?.into_inner().map_err(|_| #rt::Malformed::Count)?)
        }
        Extent::Bounded(max) => {
            // The caller's limit counts elements, which may be several rights each.
            let group = max / arg.ty.declared_max().max(1);
            let times = literal(group);
            let times = (stub.limit(arg).is_some() && group > 1).then(|| quote!(* #times));
            let max = most(stub, arg, max);
            quote!(#from.ports(#form, #max #times)?)
        }
        Extent::Indefinite => quote!(#from.indefinite_ports()?),
        Extent::OutOfLine if word.long => quote!(#from.ool_ports()?),
        Extent::OutOfLine => quote!(#from.short_ool_ports()?),
    }
}

/// At most this many elements: as many as the client takes, or as are declared.
fn most(stub: &Reader<'_>, arg: &Arg, declared: u32) -> TokenStream {
    match stub.limit(arg) {
        Some(limit) => quote!(#limit as usize),
        None => {
            let declared = literal(declared);
            quote!(#declared)
        }
    }
}

/// What the runtime is told of a message's layout: an item for each type word.
pub(super) fn items(routine: &Routine, message: &Message) -> (Vec<TokenStream>, Vec<u32>) {
    let words = || message.slots.iter().filter(|slot| slot.role == SlotRole::Type);
    let items = words().map(|slot| item(routine, message, slot)).collect();
    (items, words().filter_map(|slot| slot.offset).collect())
}

/// What follows a type word.
fn item(routine: &Routine, message: &Message, slot: &Slot) -> TokenStream {
    let Some(index) = slot.arg else { return quote!(Data(4)) };
    let with = |role| message.slots.iter().find(|other| other.arg == slot.arg && other.role == role);
    if with(SlotRole::Count).is_some() {
        return quote!(Data(4));
    }
    let long = slot.word.is_some_and(|word| word.long);
    let most = literal(with(SlotRole::Data).and_then(|data| data.size.or(data.max)).unwrap_or(0));
    let fixed = || (quote!(Data(#most)), quote!(LongData(#most)));
    let array = || (quote!(Array(#most)), quote!(LongArray(#most)));
    let indefinite = || (quote!(ShortIndefinite(#most)), quote!(Indefinite(#most)));
    let out_of_line = || (quote!(ShortOutOfLine), quote!(OutOfLine));
    let (in_short_form, in_long_form) = match &routine.args[index].form {
        Form::Plain(Plain::Bool | Plain::Number | Plain::Aggregate | Plain::FixedString) => fixed(),
        Form::Plain(Plain::Slice(..) | Plain::BoundedString(_)) => array(),
        Form::Right(_) => (quote!(Port), fixed().1),
        Form::Rights(rights) => match rights.extent {
            Extent::Fixed(_) => fixed(),
            Extent::Bounded(count) => {
                let count = literal(count);
                (quote!(Ports(#count)), array().1)
            }
            Extent::Indefinite => indefinite(),
            Extent::OutOfLine => out_of_line(),
        },
        Form::Memory(Memory::Indefinite(_)) => indefinite(),
        Form::Memory(Memory::OutOfLine(_) | Memory::Value(..)) | Form::Parts(_) => out_of_line(),
    };
    if long { in_long_form } else { in_short_form }
}
