//! The constants that describe the data of type words.

use std::collections::BTreeMap;

use mig_abi::{Disposition, MessageType};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::forms::Form;
use super::{Generator, form};
use crate::model::{InLine, Message, Role, Routine, SlotRole, TypeWord};
use crate::wire::STRING_C;

/// The type numbers that have names, without `MACH_MSG_TYPE_`.
const NAMES: &[(MessageType, u32, &str)] = &[
    (MessageType::BOOLEAN, 32, "BOOLEAN"),
    (MessageType::INTEGER_16, 16, "INTEGER_16"),
    (MessageType::INTEGER_32, 32, "INTEGER_32"),
    (MessageType::CHAR, 8, "CHAR"),
    (MessageType::BYTE, 8, "BYTE"),
    (MessageType::INTEGER_64, 64, "INTEGER_64"),
    (MessageType::STRING_C, 8, "STRING_C"),
    (MessageType::PORT_NAME, 32, "PORT_NAME"),
];

/// The name of a type number, if elements have the size that it implies.
pub(super) fn type_number_name(number: u32, bits: u32) -> Option<&'static str> {
    NAMES.iter().find(|known| (u32::from(known.0.0), known.1) == (number, bits)).map(|known| known.2)
}

/// Which of a type word's two names counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The sender's.
    Sends,
    /// The receiver's.
    Receives,
}

/// A description of data: what a constant of the generated code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Description {
    number: u32,
    bits: u32,
    /// How many elements; 1 where a count travels.
    times: u32,
    in_line: InLine,
    long: bool,
}

impl Description {
    /// `None` for rights, which describe themselves.
    fn of(word: &TypeWord, end: End) -> Option<Description> {
        let number = match end {
            End::Sends => word.sent,
            End::Receives => word.received,
        }?;
        if Disposition::is_right(number) {
            return None;
        }
        let times = word.number.unwrap_or(1);
        Some(Description { number, bits: word.bits, times, in_line: word.in_line, long: word.long })
    }

    /// The long form is the usual one for what is not always inline.
    fn is_usual(&self) -> bool {
        self.long != (self.in_line == InLine::Yes)
    }

    fn name(&self) -> Ident {
        let mut name = match type_number_name(self.number, self.bits) {
            Some(name) => name.to_owned(),
            None if self.number == STRING_C => format!("STRING_{}", self.bits / 8),
            None => format!("TYPE_{}_{}", self.number, self.bits),
        };
        if self.times != 1 {
            name += &format!("_X{}", self.times);
        }
        name += match self.in_line {
            InLine::Yes => "",
            InLine::No => "_OUT_OF_LINE",
            InLine::UpTo(_) => "_ARRAY",
        };
        if !self.is_usual() {
            name += if self.long { "_LONG" } else { "_SHORT" };
        }
        format_ident!("{name}")
    }

    fn item(&self, rt: &TokenStream) -> TokenStream {
        let name = self.name();
        let number = Literal::u32_unsuffixed(self.number);
        let bits = Literal::u32_unsuffixed(self.bits);
        let times = Literal::u32_unsuffixed(self.times);
        let value = match (self.in_line, self.long) {
            (InLine::Yes, false) => quote!(#rt::Type::inline(#number, #bits, #times)),
            (InLine::Yes, true) => quote!(#rt::Type::inline(#number, #bits, #times).long()),
            // The runtime sets the inline bit of an array that is short enough.
            (_, true) => quote!(#rt::Type::out_of_line(#number, #bits)),
            (_, false) => quote!(#rt::Type::out_of_line(#number, #bits).short()),
        };
        quote!(const #name: #rt::Type = #value;)
    }
}

/// The type word in front of an argument's data in a message.
pub(super) fn word_of(message: &Message, arg: usize) -> Option<&TypeWord> {
    let slot = message.slots.iter().find(|slot| slot.role == SlotRole::Type && slot.arg == Some(arg))?;
    slot.word.as_ref()
}

/// The constants for rights: what the receiver sees, and their name.
const RIGHTS: &[(Disposition, &str)] = &[
    (Disposition::MoveReceive, "RECEIVE_RIGHT"),
    (Disposition::MoveSend, "SEND_RIGHT"),
    (Disposition::MoveSendOnce, "SEND_ONCE_RIGHT"),
];

impl Generator<'_> {
    /// The constant that describes a received right.
    fn right_const(received: Disposition) -> Option<Ident> {
        RIGHTS.iter().find(|(known, _)| *known == received).map(|(_, name)| format_ident!("{name}"))
    }

    /// What the type words at the start of a request say, up to the first one that does not say all: a server compares them before it
    /// takes anything. Empty where that is of no use.
    pub(super) fn expected(&self, routine: &Routine) -> Vec<TokenStream> {
        let rt = &self.rt;
        let data = |word: Ident| quote!(#rt::Expected::data(#word));
        let mut expected = Vec::new();
        let mut owns = false;
        for slot in routine.request.slots.iter().filter(|slot| slot.role == SlotRole::Type) {
            let Some(index) = slot.arg else { break };
            let arg = &routine.args[index];
            let known = match form(&arg.ty) {
                _ if arg.role == Role::Out => {
                    Some(data(self.word_const(&routine.request, index, End::Receives)))
                }
                Form::Right(_) if slot.word.is_some_and(|word| word.long) => None,
                Form::Right(port) => port.receiver.and_then(Self::right_const).map(|name| quote!(#name)),
                Form::Bool | Form::Number(_) | Form::Aggregate(_) | Form::OutOfLine(_) => {
                    Some(data(self.word_const(&routine.request, index, End::Receives)))
                }
                _ => None,
            };
            let Some(known) = known else { break };
            owns |= matches!(form(&arg.ty), Form::Right(_) | Form::OutOfLine(_));
            expected.push(known);
        }
        if owns && expected.len() > 1 { expected } else { Vec::new() }
    }

    /// The constants for rights that the stubs compare with.
    fn right_items(&self) -> Vec<TokenStream> {
        let rt = &self.rt;
        let routines = self.interface.routines.iter().filter(|_| self.side.server());
        let expected: Vec<String> =
            routines.flat_map(|routine| self.expected(routine)).map(|word| word.to_string()).collect();
        let used = RIGHTS.iter().filter(|(_, name)| expected.iter().any(|word| word == name));
        used.map(|(received, name)| {
            let name = format_ident!("{name}");
            let number = Literal::u8_unsuffixed(*received as u8);
            quote!(const #name: #rt::Expected = #rt::Expected::right::<Abi>(#number);)
        })
        .collect()
    }

    /// The constant that describes an argument's data.
    pub(super) fn word_const(&self, message: &Message, arg: usize, end: End) -> Ident {
        let word = word_of(message, arg);
        let description = word.and_then(|word| Description::of(word, end));
        description.map_or_else(|| format_ident!("RIGHT"), |description| description.name())
    }

    /// The constants of all messages, each once.
    pub(super) fn word_items(&self) -> Vec<TokenStream> {
        let mut items = BTreeMap::new();
        for routine in &self.interface.routines {
            for (message, ends) in self.messages(routine) {
                for slot in &message.slots {
                    // The runtime writes and reads the return code by itself.
                    let Some(word) = slot.word.as_ref().filter(|_| slot.arg.is_some()) else { continue };
                    for description in ends.iter().filter_map(|end| Description::of(word, *end)) {
                        items.insert(description.name().to_string(), description.item(&self.rt));
                    }
                }
            }
        }
        items.into_values().chain(self.right_items()).collect()
    }
}
