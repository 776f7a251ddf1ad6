//! The constants that describe the data of type words.

use std::collections::BTreeMap;

use mig_abi::{Disposition, MessageType};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use super::impossible;
use crate::model::{Form, InLine, Memory, Message, Plain, Routine, Steps, TypeWord, TypedStep};
use crate::rust::Generator;
use crate::wire::STRING_C;

/// Which of a type word's two names counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// The one that the sender writes.
    Sent,
    /// The one that the receiver sees.
    Received,
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
    fn of(word: &TypeWord, names: Names) -> Option<Description> {
        let number = match names {
            Names::Sent => word.sent,
            Names::Received => word.received,
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
        let mut name = match MessageType::name_of(self.number, self.bits) {
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

    fn item(&self, rt: &Ident) -> TokenStream {
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

    /// What the type words at the start of a request say, up to the first one that does not say all: a server
    /// compares them before it takes anything. Empty where that is of no use.
    pub(super) fn expected(&self, routine: &Routine) -> Vec<TokenStream> {
        let Steps::Typed(steps) = &routine.request.steps else { return Vec::new() };
        let mut expected = Vec::new();
        let mut owns = false;
        for step in steps {
            let Some((known, is_owned)) = self.expected_word(routine, step) else { break };
            expected.push(known);
            owns |= is_owned;
        }
        if owns && expected.len() > 1 { expected } else { Vec::new() }
    }

    /// What a type word must say, and whether what follows it is owned by whoever takes it; `None` where the
    /// message decides.
    fn expected_word(&self, routine: &Routine, step: &TypedStep) -> Option<(TokenStream, bool)> {
        let rt = &self.rt;
        let data = |word: &TypeWord| {
            let word = self.word_const(word, Names::Received);
            quote!(#rt::Expected::data(#word))
        };
        match step {
            TypedStep::Limit { word, .. } => Some((data(word), false)),
            TypedStep::Value { arg, word, .. } => match &routine.args[*arg].form {
                Form::Right(_) if word.long || word.right.is_some() => None,
                Form::Right(port) => {
                    let name = Self::right_const(port.receiver?)?;
                    Some((quote!(#name), true))
                }
                Form::Plain(Plain::Bool | Plain::Number | Plain::Aggregate) => Some((data(word), false)),
                Form::Memory(Memory::OutOfLine(_)) => Some((data(word), true)),
                Form::Plain(Plain::Slice(..) | Plain::FixedString | Plain::BoundedString(_))
                | Form::Rights(_)
                | Form::Memory(Memory::Indefinite(_) | Memory::Value(..))
                | Form::Parts(_) => None,
            },
        }
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
    pub(super) fn word_const(&self, word: &TypeWord, names: Names) -> TokenStream {
        match Description::of(word, names) {
            Some(description) => {
                let name = description.name();
                quote!(#name)
            }
            None => impossible("the type word of a right describes no data"),
        }
    }

    /// The form of the type word of rights, which say the rest by themselves.
    pub(super) fn word_form(&self, word: &TypeWord) -> TokenStream {
        let rt = &self.rt;
        if word.long { quote!(#rt::WordForm::Long) } else { quote!(#rt::WordForm::Short) }
    }

    /// The messages to generate, and which names of their type words the code needs.
    fn messages<'r>(&self, routine: &'r Routine) -> Vec<(&'r Message, Vec<Names>)> {
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        if self.side.client() {
            request.push(Names::Sent);
            reply.push(Names::Received);
        }
        if self.side.server() {
            request.push(Names::Received);
            reply.push(Names::Sent);
        }
        let mut messages = vec![(&routine.request, request)];
        messages.extend(routine.reply.as_ref().map(|message| (message, reply)));
        messages
    }

    /// The constants of all messages, each once.
    pub(in crate::rust) fn word_items(&self) -> Vec<TokenStream> {
        let mut items = BTreeMap::new();
        for routine in &self.interface.routines {
            for (message, names) in self.messages(routine) {
                let Steps::Typed(steps) = &message.steps else { continue };
                for step in steps {
                    let (TypedStep::Value { word, .. } | TypedStep::Limit { word, .. }) = step;
                    for description in names.iter().filter_map(|names| Description::of(word, *names)) {
                        items.insert(description.name().to_string(), description.item(&self.rt));
                    }
                }
            }
        }
        items.into_values().chain(self.right_items()).collect()
    }
}
