//! The messages of an interface as a table: for people ([`abi_text`]) and for programs (`abi_json`, with the
//! feature `json`).
//!
//! The JSON is a stable interface. Its top is [`AbiTable`]; a field is only ever added, and a change of
//! meaning raises [`VERSION`].
//!
//! ```json
//! {
//!   "version": 1,
//!   "subsystem": "memory_object_default",
//!   "base": 2250,
//!   "abi": "gnu-i386",
//!   "demux": "memory_object_default_server",
//!   "error_reply_size": 32,
//!   "routines": [{
//!     "name": "memory_object_create",
//!     "id": 2250,
//!     "kind": "simpleroutine",
//!     "user": "memory_object_create",
//!     "server": "memory_object_create",
//!     "request": {
//!       "min_size": 64,
//!       "max_size": 64,
//!       "complex": "always",
//!       "slots": [{
//!         "role": "header", "arg": null, "offset": 0, "size": 24, "max": null, "element": null, "indirect": "never",
//!         "check": [{ "field": "msgh_id", "value": 2250 }, …]
//!       }, …]
//!     },
//!     "reply": null
//!   }, …]
//! }
//! ```
//!
//! The fields in `check` are those of the C structures without their prefixes: `msgh_id`, `msgh_size` and
//! `complex` (the bit of `msgh_bits`) of a header; `name`, `size` (bits), `number`, `inline`, `longform`,
//! `deallocate` and `unused` of a type word.

use mig_abi::{Disposition, MessageType};
use mig_parser::ast::RoutineKind;

use crate::layout::descriptor_text;
use crate::model::{
    Complex, Dealloc, InLine, Indirect, Interface, Message, Routine, Slot, SlotRole, TypeWord,
};
use crate::wire::in_words;

/// The version of the JSON's meaning.
pub const VERSION: u32 = 1;

/// An interface's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct AbiTable {
    /// [`VERSION`]
    pub version: u32,
    /// The subsystem's name.
    pub subsystem: String,
    /// The message id of its first routine.
    pub base: u32,
    /// The ABI's name.
    pub abi: String,
    /// The C name of the demux function.
    pub demux: String,
    /// `msgh_size` of a reply that holds only a return code.
    pub error_reply_size: u32,
    /// The routines in the order of their ids; skipped ids are left out.
    pub routines: Vec<RoutineTable>,
}

/// A routine's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RoutineTable {
    /// As declared.
    pub name: String,
    /// The id of the request; that of the reply is 100 more.
    pub id: u32,
    /// `routine`, `simpleroutine`, `procedure`, `simpleprocedure` or `function`.
    pub kind: String,
    /// The C name of the client's stub.
    pub user: String,
    /// The C name of the server's function.
    pub server: String,
    /// The request.
    pub request: MessageTable,
    /// The reply of success; null for one-way kinds.
    pub reply: Option<MessageTable>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct MessageTable {
    /// `msgh_size` with every variable part empty.
    pub min_size: u32,
    /// `msgh_size` with every variable part at its bound; of one without a bound whichever of inline and
    /// pointer is larger.
    pub max_size: u32,
    /// Whether it carries rights or memory.
    pub complex: Complex,
    /// Its pieces, in the order of their bytes.
    pub slots: Vec<SlotTable>,
}

/// A piece of a message. Sizes and offsets are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SlotTable {
    /// What it is.
    pub role: SlotRole,
    /// The name of the argument that it belongs to.
    pub arg: Option<String>,
    /// Where it starts; null after a slot of variable size.
    pub offset: Option<u32>,
    /// Its size; null if it is counted.
    pub size: Option<u32>,
    /// Its largest size, where it is counted and bounded.
    pub max: Option<u32>,
    /// The size of an element, where it is counted.
    pub element: Option<u32>,
    /// Whether it holds an address instead of the data.
    pub indirect: Indirect,
    /// What the receiver must check.
    pub check: Vec<CheckTable>,
}

/// A field of a slot that the receiver compares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CheckTable {
    /// The field's name.
    pub field: String,
    /// What it must be.
    pub value: u64,
}

impl AbiTable {
    /// The table of an interface.
    pub fn of(interface: &Interface) -> Self {
        AbiTable {
            version: VERSION,
            subsystem: interface.name.clone(),
            base: interface.base,
            abi: interface.abi.name().to_owned(),
            demux: interface.demux.clone(),
            error_reply_size: interface.facts().error_reply as u32,
            routines: interface.routines.iter().map(RoutineTable::of).collect(),
        }
    }
}

impl RoutineTable {
    fn of(routine: &Routine) -> Self {
        RoutineTable {
            name: routine.name.clone(),
            id: routine.id,
            kind: keyword(routine.kind).to_owned(),
            user: routine.user.clone(),
            server: routine.server.clone(),
            request: MessageTable::of(&routine.request, routine),
            reply: routine.reply.as_ref().map(|reply| MessageTable::of(reply, routine)),
        }
    }
}

impl MessageTable {
    fn of(message: &Message, routine: &Routine) -> Self {
        MessageTable {
            min_size: message.min_size,
            max_size: message.max_size,
            complex: message.complex,
            slots: message.slots.iter().map(|slot| SlotTable::of(slot, routine)).collect(),
        }
    }
}

impl SlotTable {
    fn of(slot: &Slot, routine: &Routine) -> Self {
        let check = slot.check.iter();
        SlotTable {
            role: slot.role,
            arg: slot.arg.map(|index| routine.args[index].name.clone()),
            offset: slot.offset,
            size: slot.size,
            max: slot.max,
            element: slot.element,
            indirect: slot.indirect,
            check: check.map(|c| CheckTable { field: c.field.to_owned(), value: c.value }).collect(),
        }
    }
}

/// A routine's keyword.
fn keyword(kind: RoutineKind) -> &'static str {
    match kind {
        RoutineKind::Routine => "routine",
        RoutineKind::SimpleRoutine => "simpleroutine",
        RoutineKind::Procedure => "procedure",
        RoutineKind::SimpleProcedure => "simpleprocedure",
        RoutineKind::Function => "function",
    }
}

/// The table as JSON, with a newline at its end.
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub fn abi_json(interface: &Interface) -> String {
    let table = AbiTable::of(interface);
    // Numbers, strings and lists can't fail to be written to memory.
    let mut text = serde_json::to_string_pretty(&table).expect("a table is plain data");
    text.push('\n');
    text
}

/// The table for people: each message with its slots, a line a slot: offset, role, size, argument, what its
/// type word says, and how far it is checked.
pub fn abi_text(interface: &Interface) -> String {
    let mut text = format!(
        "{} {}   demux {}   {}, error reply {} bytes\n",
        interface.name,
        interface.base,
        interface.demux,
        interface.abi.name(),
        interface.facts().error_reply,
    );
    for routine in &interface.routines {
        let kind = keyword(routine.kind);
        message_text(&mut text, routine.id, &routine.name, kind, &routine.request, routine);
        if let Some(reply) = &routine.reply {
            message_text(&mut text, routine.reply_id(), &routine.name, "reply", reply, routine);
        }
    }
    text
}

fn message_text(text: &mut String, id: u32, name: &str, kind: &str, message: &Message, routine: &Routine) {
    let size = match (message.min_size, message.max_size) {
        (min, max) if min == max => min.to_string(),
        (min, max) => format!("{min} to {max}"),
    };
    let complex = match message.complex {
        Complex::Always => ", complex",
        Complex::Never => "",
        Complex::Depends => ", complex if it carries rights or memory",
    };
    right(text, &id.to_string(), 6);
    left(text, name, 31);
    left(text, kind, 15);
    text.extend([size.as_str(), " bytes", complex, "\n"]);
    let is_typed = message.slots.iter().any(|slot| slot.role == SlotRole::Type);
    for slot in &message.slots {
        let offset = slot.offset.map_or("-".to_owned(), |offset| offset.to_string());
        let role = slot.role.name();
        let size = match (slot.size, slot.max) {
            (Some(size), _) => size.to_string(),
            (None, Some(max)) => format!("0..{max}"),
            (None, None) => "?".to_owned(),
        };
        // The data of a typed message stands after a type word that has the name already.
        let named = slot.role == SlotRole::Type || slot.role != SlotRole::Pad && !is_typed;
        let arg = match slot.arg {
            Some(index) if named => routine.args[index].name.as_str(),
            _ => "",
        };
        let note = match (&slot.word, slot.indirect) {
            (Some(word), _) => word_text(word, slot),
            (None, _) if matches!(slot.role, SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts) => {
                slot.arg.map_or(String::new(), |index| descriptor_text(slot, &routine.args[index]))
            }
            (None, Indirect::Always) => "address".to_owned(),
            (None, Indirect::Depends) => "data or address".to_owned(),
            (None, Indirect::Never) => String::new(),
        };
        right(text, &offset, 10);
        left(text, role, 10);
        right(text, &size, 8);
        text.push_str("  ");
        left(text, arg, 19);
        text.push_str(&note);
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
}

/// Writes a column of this width, with what it says at its right end, and a blank after it.
fn right(text: &mut String, column: &str, width: usize) {
    blanks(text, column, width);
    text.extend([column, " "]);
}

/// Writes a column of this width, with what it says at its left end, and a blank after it.
fn left(text: &mut String, column: &str, width: usize) {
    text.push_str(column);
    blanks(text, column, width);
    text.push(' ');
}

/// Fills a column. Formatting would write one blank at a time, and a table is half blanks.
fn blanks(text: &mut String, column: &str, width: usize) {
    const BLANKS: &str = "                                ";
    text.push_str(&BLANKS[..width.saturating_sub(column.chars().count())]);
}

/// What a type word says, in words.
fn word_text(word: &TypeWord, slot: &Slot) -> String {
    let mut parts = vec![name_text(word)];
    match (word.number, word.multiplier) {
        (Some(1), _) => {}
        (Some(number), _) => parts.push(format!("{number} elements")),
        (None, 1) => parts.push("counted".to_owned()),
        (None, multiplier) => parts.push(format!("counted by {multiplier}")),
    }
    match word.in_line {
        InLine::Yes => {}
        InLine::No => parts.push("out of line".to_owned()),
        InLine::UpTo(most) => parts.push(format!("inline up to {most}")),
    }
    if word.long {
        parts.push("long".to_owned());
    }
    match word.deallocate {
        Dealloc::No => {}
        Dealloc::Yes => parts.push("dealloc".to_owned()),
        Dealloc::RunTime => parts.push("dealloc[]".to_owned()),
    }
    if slot.check.iter().any(|check| check.field == "deallocate") {
        parts.push("checked".to_owned());
    } else {
        let fields: Vec<_> = slot.check.iter().map(|check| check.field).collect();
        parts.push(format!("checked: {}", fields.join(" ")));
    }
    parts.join(", ")
}

fn name_text(word: &TypeWord) -> String {
    let TypeWord { sent, received, bits, .. } = *word;
    match word.right.map(|number| number as u8).map(MessageType) {
        Some(MessageType::PORT_OWNERSHIP) => return "port, ownership".to_owned(),
        Some(MessageType::PORT_RECEIVE) => return "port, receive".to_owned(),
        _ => {}
    }
    match (sent.and_then(Disposition::from_number), received.and_then(Disposition::from_number)) {
        (Some(disposition), _) => {
            let (verb, right) = in_words(disposition);
            return format!("port, {verb} {right}");
        }
        (None, Some(disposition)) if sent.is_none() => {
            return format!("port, any that makes a {} right", in_words(disposition).1);
        }
        _ => {}
    }
    let Some(number) = sent.or(received) else { return "any right or integer".to_owned() };
    match u8::try_from(number).map(MessageType) {
        Ok(MessageType::BOOLEAN) if bits == 32 => "boolean".to_owned(),
        Ok(MessageType::UNSTRUCTURED) => format!("unstructured {bits}"),
        Ok(MessageType::INTEGER_16 | MessageType::INTEGER_32 | MessageType::INTEGER_64) => {
            format!("integer {bits}")
        }
        Ok(MessageType::CHAR) => "char".to_owned(),
        Ok(MessageType::BYTE) => "byte".to_owned(),
        Ok(MessageType::REAL) => format!("real {bits}"),
        Ok(MessageType::STRING) if bits == 8 => "string".to_owned(),
        Ok(MessageType::STRING) => format!("string of {} bytes", bits / 8),
        Ok(MessageType::PORT_NAME) => "port name".to_owned(),
        _ => format!("type {number}, {bits} bits"),
    }
}
