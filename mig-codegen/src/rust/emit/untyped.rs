//! Messages of the untyped ABIs: rights and memory in descriptors, then plain data.

use mig_abi::Disposition::{MoveReceive, MoveSend, MoveSendOnce};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::{Emit, End, Reader, Writer, impossible, literal};
use crate::model::{
    Arg, Dealloc, Extent, Form, Memory, Message, Parts, Plain, PortType, Rights, Routine, SlotRole, TypeKind,
    UntypedStep,
};
use crate::rust::{Generator, names};

/// `resolve` lets an array have parts of memory or of rights, and no others.
const PARTS: &str = "parts that are neither memory nor rights";

impl Emit for UntypedStep {
    fn write(&self, stub: &Writer<'_>) -> TokenStream {
        let (rt, to) = (&stub.generator.rt, stub.to);
        let args = &stub.routine.args;
        match self {
            UntypedStep::Descriptors(count) => {
                let count = Literal::u64_unsuffixed(*count);
                quote!(#to.descriptors(#count);)
            }
            UntypedStep::Right { arg, port } => {
                let (method, value) = (stub.right_method(*port), (stub.value)(&args[*arg]));
                quote!(#to.#method(#value);)
            }
            UntypedStep::Rights { arg, rights, counted } => {
                let arg = &args[*arg];
                let written = keep_count(stub, arg, *counted, write_rights(stub, arg, *rights));
                match arg.ty.rights_out_of_line().map(literal) {
                    // There must be as many as are declared.
                    Some(number) => {
                        let count = count_of(stub.routine, arg);
                        quote!(let #count = #written #to.same_count(#count, #number);)
                    }
                    None => written,
                }
            }
            UntypedStep::Memory { arg, memory, counted } => {
                let arg = &args[*arg];
                keep_count(stub, arg, *counted, write_memory(stub, arg, memory))
            }
            UntypedStep::Parts { arg } => write_parts(stub, &args[*arg]),
            UntypedStep::Subs { arg } => {
                let counts = count_of(stub.routine, &args[*arg]);
                quote! {
                    for count in #counts {
                        #to.count(count)?;
                    }
                }
            }
            UntypedStep::Ndr => quote!(#to.ndr();),
            UntypedStep::RetCode => quote!(#to.return_code(#rt::KernReturn::KERN_SUCCESS);),
            UntypedStep::Count { arg } => {
                let count = count_of(stub.routine, &args[*arg]);
                let count = match args[*arg].form {
                    Form::Parts(_) => quote!(#count.len()),
                    _ => quote!(#count),
                };
                quote!(#to.count(#count)?;)
            }
            UntypedStep::SameCount { arg, first } => {
                let count = count_of(stub.routine, &args[*arg]);
                let first = elements(stub, &args[*first]);
                quote!(#to.same_count(#count, #first);)
            }
            UntypedStep::Limit { arg } => {
                let arg = &args[*arg];
                let limit = names::limit(stub.routine, arg);
                let max = literal(arg.ty.declared_max());
                quote!(#to.value(&#limit.min(#max));)
            }
            UntypedStep::Data { arg, plain } => write_plain(stub, &args[*arg], plain),
        }
    }

    fn read(&self, stub: &Reader<'_>) -> TokenStream {
        let from = stub.from;
        let args = &stub.routine.args;
        let local = |arg: &usize| (stub.local)(&args[*arg]);
        match self {
            UntypedStep::Descriptors(count) => {
                let count = Literal::u64_unsuffixed(*count);
                quote!(#from.descriptors(#count)?;)
            }
            UntypedStep::Right { arg, port } => {
                let (name, value) = (local(arg), stub.right(*port));
                quote!(let #name = #value;)
            }
            UntypedStep::Rights { arg, rights, .. } => {
                let (name, value) = (local(arg), read_rights(stub, *rights));
                // The descriptors are as many as the array can have; its count leaves some of them over.
                let mutable = matches!(rights.extent, Extent::Bounded(_)).then(|| quote!(mut));
                let number = args[*arg].ty.rights_out_of_line().map(literal);
                let as_many = number.map(|number| quote!(#from.same_count(#name.len(), #number)?;));
                quote!(let #mutable #name = #value; #as_many)
            }
            UntypedStep::Memory { arg, memory, .. } => {
                let (name, value) = (local(arg), read_memory(stub, &args[*arg], memory));
                quote!(let #name = #value;)
            }
            UntypedStep::Parts { arg } => read_parts(stub, &args[*arg], &local(arg)),
            UntypedStep::Subs { arg } => {
                let name = local(arg);
                quote! {
                    for part in &#name {
                        #from.counted(part.len())?;
                    }
                }
            }
            UntypedStep::Ndr => quote!(#from.ndr()?;),
            // It has been read: without success there are no results.
            UntypedStep::RetCode => TokenStream::new(),
            UntypedStep::Count { arg } => {
                let name = local(arg);
                let arg = &args[*arg];
                let counted = match is_bounded(arg) {
                    true => quote!(#from.used(&mut #name)?;),
                    false => quote!(#from.counted(#name.len())?;),
                };
                let parts = arg.part().map(|part| read_used_parts(stub, &part, &name));
                let too_many = bound(arg).map(|max| quote!(#from.at_most(#name.len(), #max)?;));
                quote!(#counted #too_many #parts)
            }
            UntypedStep::SameCount { arg, first } => {
                let (name, first) = (local(arg), local(first));
                match is_bounded(&args[*arg]) {
                    true => quote!(#from.share(&mut #name, #first.len())?;),
                    false => quote!(#from.same_count(#name.len(), #first.len())?;),
                }
            }
            UntypedStep::Limit { arg } => {
                let (name, max) = (local(arg), literal(args[*arg].ty.declared_max()));
                quote!(let #name = #from.value::<u32>()?.min(#max);)
            }
            UntypedStep::Data { arg, plain } => {
                let (name, value) = (local(arg), read_plain(stub, &args[*arg], plain));
                quote!(let #name = #value;)
            }
        }
    }
}

/// Keeps the number of elements that have gone into descriptors, where a count tells it.
fn keep_count(stub: &Writer<'_>, arg: &Arg, counted: bool, written: TokenStream) -> TokenStream {
    if !counted {
        return quote!(#written;);
    }
    let (to, count) = (stub.to, count_of(stub.routine, arg));
    let check = bound(arg).map(|max| quote!(#to.at_most(#count, #max);));
    quote! {
        let #count = #written;
        #check
    }
}

/// The variable with that number.
fn count_of(routine: &Routine, arg: &Arg) -> Ident {
    names::param_name(routine, &format!("{}_count", names::snake_text(&arg.name)))
}

/// How many elements an array has.
fn elements(stub: &Writer<'_>, array: &Arg) -> TokenStream {
    match &array.form {
        Form::Plain(_) => {
            let value = (stub.value)(array);
            quote!(#value.len())
        }
        Form::Right(_) | Form::Rights(_) | Form::Memory(_) | Form::Parts(_) => {
            let count = count_of(stub.routine, array);
            quote!(#count)
        }
    }
}

/// At most this many elements, where they are out of line and bounded.
fn bound(arg: &Arg) -> Option<Literal> {
    match arg.ty.kind {
        TypeKind::OutOfLine { max, .. } => max.map(literal),
        _ => None,
    }
}

/// An array whose unused descriptors are null.
fn is_bounded(arg: &Arg) -> bool {
    matches!(
        arg.form,
        Form::Rights(Rights { extent: Extent::Bounded(_), .. }) | Form::Parts(Parts { counted: true, .. })
    )
}

/// Writes an array whose parts are out of line, and keeps how many elements each of them has.
fn write_parts(stub: &Writer<'_>, arg: &Arg) -> TokenStream {
    let (Form::Parts(parts), Some(part)) = (&arg.form, arg.part()) else { return impossible(PARTS) };
    let (rt, to, array) = (&stub.generator.rt, stub.to, (stub.value)(arg));
    let one = Writer { value: &|_| quote!(part), ..*stub };
    let copying = stub.generator.copying(arg);
    let (written, unused) = match &part.form {
        Form::Memory(memory) => (write_memory(&one, &part, memory), quote!(unused_memory(#copying))),
        Form::Rights(rights) => {
            let right = match stub.end {
                End::Client => rights.port.sender,
                End::Server => rights.port.receiver,
            };
            let right = Literal::u8_unsuffixed(right.unwrap_or(MoveSend) as u8);
            (write_rights(&one, &part, *rights), quote!(unused_rights(#right, #copying)))
        }
        _ => return impossible(PARTS),
    };
    let max = literal(parts.max);
    let written = match part.ty.rights_out_of_line().map(literal) {
        Some(number) => quote! {
            let count = #written;
            #to.same_count(count, #number);
        },
        None => quote!(let count = #written;),
    };
    // Parts of fixed size have no counts, but those that are used are counted.
    let is_counted = parts.counted || matches!(part.ty.kind, TypeKind::OutOfLine { count: None, .. });
    if !is_counted {
        let drop = part.ty.rights_out_of_line().is_none().then(|| quote!(let _ = count;));
        return quote! {
            for part in #array {
                #written
                #drop
            }
        };
    }
    let counts = count_of(stub.routine, arg);
    let unused = parts.counted.then(|| {
        quote! {
            for _ in #counts.len()..#max {
                #to.#unused?;
            }
        }
    });
    quote! {
        let mut #counts = #rt::ArrayVec::<usize, #max>::new();
        for part in #array {
            #written
            #counts.push(count);
        }
        #unused
    }
}

/// Reads an array whose parts are out of line, into this variable.
fn read_parts(stub: &Reader<'_>, arg: &Arg, name: &Ident) -> TokenStream {
    let (Form::Parts(parts), Some(part)) = (&arg.form, arg.part()) else { return impossible(PARTS) };
    let (rt, from) = (&stub.generator.rt, stub.from);
    let value = match &part.form {
        // Those that are not used have no value.
        Form::Memory(Memory::Value(..)) if parts.counted => quote!(#from.memory()?),
        Form::Memory(memory) => read_memory(stub, &part, memory),
        Form::Rights(rights) => read_rights(stub, *rights),
        _ => return impossible(PARTS),
    };
    let max = literal(parts.max);
    let mutable = parts.counted.then(|| quote!(mut));
    let all = match parts.counted {
        true => quote!(parts),
        false => {
            let as_many = as_many_rights(stub, &part, &names::ident("parts"));
            quote!(#as_many parts.into_inner().map_err(|_| #rt::Malformed::Descriptor)?)
        }
    };
    quote! {
        let #mutable #name = {
            let mut parts = #rt::ArrayVec::<_, #max>::new();
            for _ in 0..#max {
                parts.push(#value);
            }
            #all
        };
    }
}

/// What is checked and made of the parts of an array once it is known how many are used.
fn read_used_parts(stub: &Reader<'_>, part: &Arg, name: &Ident) -> TokenStream {
    let rt = &stub.generator.rt;
    let as_many = as_many_rights(stub, part, name);
    let values = matches!(part.form, Form::Memory(Memory::Value(..))).then(|| {
        let value = stub.generator.owned(part);
        quote! {
            let #name = #name
                .into_iter()
                .map(|part| #rt::zerocopy::FromBytes::read_from_bytes(&part).map_err(|_| #rt::Malformed::Descriptor))
                .collect::<Result<#rt::ArrayVec<#value, _>, #rt::Malformed>>()?;
        }
    });
    quote!(#as_many #values)
}

/// Checks that each of the parts has as many rights as are declared.
fn as_many_rights(stub: &Reader<'_>, part: &Arg, name: &Ident) -> Option<TokenStream> {
    let (from, number) = (stub.from, literal(part.ty.rights_out_of_line()?));
    Some(quote! {
        for part in &#name {
            #from.same_count(part.len(), #number)?;
        }
    })
}

fn write_rights(stub: &Writer<'_>, arg: &Arg, rights: Rights) -> TokenStream {
    let to = stub.to;
    let array = stub.rights(rights.port, arg);
    match rights.extent {
        Extent::Fixed(max) | Extent::Bounded(max) => {
            let max = literal(max);
            quote!(#to.rights(#array, #max)?)
        }
        Extent::Indefinite | Extent::OutOfLine => {
            let copying = stub.generator.copying(arg);
            quote!(#to.rights_memory(#array, #copying)?)
        }
    }
}

/// Writes memory; its value is the number of elements.
fn write_memory(stub: &Writer<'_>, arg: &Arg, memory: &Memory) -> TokenStream {
    let (rt, to, value) = (&stub.generator.rt, stub.to, (stub.value)(arg));
    let copying = stub.generator.copying(arg);
    let (element, written) = match (stub.end, memory) {
        (End::Client, Memory::Value(..)) => {
            let one = quote!(::core::slice::from_ref(#value));
            return quote!(#to.memory(#rt::OolArg::lend(#one), #copying)?);
        }
        (End::Server, Memory::Value(..)) => {
            return quote!(#to.memory_copy(::core::slice::from_ref(&#value), #copying)?);
        }
        (End::Client, Memory::Indefinite(element) | Memory::OutOfLine(element)) => {
            let given = match arg.dealloc {
                Dealloc::No => quote!(#rt::OolArg::lend(#value)),
                // Its lifetime is that of the message, whatever the caller's is.
                Dealloc::RunTime => quote!(Into::<#rt::OolArg<'_, K>>::into(#value)),
                Dealloc::Yes => value,
            };
            (element, quote!(#to.memory(#given, #copying)?))
        }
        (End::Server, Memory::OutOfLine(element)) if element.is_byte() => {
            (element, quote!(#to.memory_result(#value, #copying)?))
        }
        (End::Server, Memory::Indefinite(element) | Memory::OutOfLine(element)) => {
            (element, quote!(#to.memory_copy(&#value, #copying)?))
        }
    };
    match element.bytes() {
        1 => written,
        size => {
            let size = literal(size);
            quote!(#written / #size)
        }
    }
}

fn write_plain(stub: &Writer<'_>, arg: &Arg, plain: &Plain) -> TokenStream {
    let (to, value, by_reference) = (stub.to, (stub.value)(arg), stub.by_reference(arg));
    match plain {
        Plain::Bool => quote!(#to.value(&u32::from(#value));),
        Plain::Number => quote!(#to.value(&#value);),
        Plain::Aggregate => quote!(#to.value(#by_reference);),
        Plain::Slice(_, max) => {
            let max = literal(*max);
            match arg.same_count.map(|first| elements(stub, &stub.routine.args[first])) {
                Some(count) => quote!(#to.array_of(#by_reference, #count, #max);),
                None => quote!(#to.array(#by_reference, #max)?;),
            }
        }
        Plain::FixedString => {
            let size = literal(arg.ty.bytes());
            quote!(#to.fixed_text(#by_reference, #size);)
        }
        Plain::BoundedString(max) => {
            let max = literal(*max);
            quote!(#to.text(#by_reference, #max)?;)
        }
    }
}

fn read_rights(stub: &Reader<'_>, rights: Rights) -> TokenStream {
    let (rt, from) = (&stub.generator.rt, stub.from);
    let right = stub.generator.received_right(rights.port);
    match rights.extent {
        Extent::Fixed(max) => {
            let max = literal(max);
            quote!(#from.rights::<#right, #max>()?.into_inner().map_err(|_| #rt::Malformed::Descriptor)?)
        }
        Extent::Bounded(max) => {
            let max = literal(max);
            quote!(#from.rights::<#right, #max>()?)
        }
        Extent::Indefinite | Extent::OutOfLine => quote!(#from.rights_memory::<#right>()?),
    }
}

fn read_memory(stub: &Reader<'_>, arg: &Arg, memory: &Memory) -> TokenStream {
    let from = stub.from;
    match memory {
        Memory::OutOfLine(element) if element.is_byte() => quote!(#from.memory()?),
        Memory::Indefinite(element) | Memory::OutOfLine(element) => {
            let element = stub.generator.data_type(element);
            quote!(#from.memory_of::<#element>()?)
        }
        Memory::Value(..) => {
            let value = stub.generator.owned(arg);
            quote!(#from.memory_value::<#value>()?)
        }
    }
}

fn read_plain(stub: &Reader<'_>, arg: &Arg, plain: &Plain) -> TokenStream {
    let from = stub.from;
    match plain {
        Plain::Bool => quote!(#from.value::<u32>()? != 0),
        Plain::Number | Plain::Aggregate => {
            let ty = stub.generator.data_type(&arg.ty);
            quote!(#from.value::<#ty>()?)
        }
        Plain::Slice(element, max) => {
            let (element, max) = (stub.generator.data_type(element), literal(*max));
            let array = match arg.same_count.map(|first| (stub.local)(&stub.routine.args[first])) {
                Some(first) => quote!(#from.array_of::<#element>(#first.len(), #max)?),
                None => quote!(#from.array::<#element>(#max)?),
            };
            match stub.limit(arg) {
                Some(limit) => quote!(#array.at_most(#limit)?),
                None => array,
            }
        }
        Plain::FixedString => {
            let size = literal(arg.ty.bytes());
            quote!(#from.fixed_text(#size)?)
        }
        Plain::BoundedString(max) => {
            let max = literal(*max);
            quote!(#from.text(#max)?)
        }
    }
}

impl Generator<'_> {
    /// Nothing, in the place of an argument that a request with a return code does not have.
    pub(in crate::rust) fn zero(&self, arg: &Arg) -> TokenStream {
        let rt = &self.rt;
        match &arg.form {
            Form::Right(port) => self.null_right(*port),
            Form::Rights(Rights { port, extent: Extent::Fixed(_) }) => {
                let null = self.null_right(*port);
                quote!(::core::array::from_fn(|_| #null))
            }
            Form::Rights(Rights { extent: Extent::Bounded(_), .. }) => quote!(#rt::ArrayVec::new_const()),
            Form::Rights(Rights { extent: Extent::Indefinite | Extent::OutOfLine, .. }) => {
                quote!(#rt::Rights::new())
            }
            Form::Plain(Plain::Bool) => quote!(false),
            Form::Plain(Plain::Slice(..)) => quote!([]),
            Form::Plain(Plain::FixedString | Plain::BoundedString(_)) => quote!(Default::default()),
            Form::Memory(Memory::OutOfLine(element)) if element.is_byte() => {
                quote!(#rt::OolMemory::empty())
            }
            Form::Memory(Memory::Indefinite(_) | Memory::OutOfLine(_)) => {
                quote!(#rt::Elements::OutOfLine(#rt::OolMemory::empty()))
            }
            Form::Plain(Plain::Number | Plain::Aggregate) | Form::Memory(Memory::Value(..)) => {
                quote!(#rt::zerocopy::FromZeros::new_zeroed())
            }
            Form::Parts(Parts { counted: true, .. }) => quote!(#rt::ArrayVec::new_const()),
            Form::Parts(_) => {
                let nothing = arg.part().map(|part| self.zero(&part));
                quote!(::core::array::from_fn(|_| #nothing))
            }
        }
    }

    fn null_right(&self, port: PortType) -> TokenStream {
        let rt = &self.rt;
        let right = match port.receiver {
            Some(MoveReceive) => quote!(#rt::ReceiveRight),
            Some(MoveSendOnce) => quote!(#rt::SendOnceRight),
            _ => quote!(#rt::SendRight),
        };
        let null = quote!(#right::null(request.kernel().clone()));
        if port.receiver.is_none() { quote!(#rt::AnyRight::MoveSend(#null)) } else { null }
    }
}

/// What the runtime is told of a message's layout: every slot that it places by itself is an item.
pub(super) fn items(message: &Message) -> (Vec<TokenStream>, Vec<u32>) {
    let is_placed = |role| !matches!(role, SlotRole::Header | SlotRole::Pad | SlotRole::Trailer);
    let slots = || message.slots.iter().filter(|slot| is_placed(slot.role));
    let items = slots().map(|slot| {
        let size = literal(slot.size.or(slot.max).unwrap_or(0));
        match (slot.role, slot.size) {
            (SlotRole::Port, _) => quote!(Port),
            (SlotRole::Ool | SlotRole::OolPorts, _) => quote!(OutOfLine),
            (SlotRole::Ndr, _) => quote!(Ndr),
            (_, Some(_)) => quote!(Data(#size)),
            (_, None) => quote!(Array(#size)),
        }
    });
    (items.collect(), slots().filter_map(|slot| slot.offset).collect())
}
