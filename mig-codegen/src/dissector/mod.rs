//! A dissector of Wireshark for the messages of a subsystem, as a script in Lua.
//!
//! The script has the slot table of each message as data, and `walk.lua`, which follows a table through the
//! bytes of a message; nothing in it computes a layout. Captures have one message in each packet, of the link
//! type `LINKTYPE_USER0`. Scripts of several subsystems of one ABI work side by side: the first one that is
//! loaded reads headers, and each takes the messages with its ids.

use std::fmt::Write as _;

use mig_abi::{RightNumbers, TypeWords};

use crate::model::{Facts, Interface, Member, Message, Routine, Slot, SlotRole, Type, TypeKind};

/// The part of the script that follows the tables.
const WALK: &str = include_str!("walk.lua");

/// The script for an interface.
///
/// ```
/// use mig_codegen::{Config, Input, dissector};
///
/// let clock = "
///     subsystem clock 3100;
///     type clock_t = MACH_MSG_TYPE_COPY_SEND;
///     routine clock_get_time(clock : clock_t; out now : int);
/// ";
/// let clock = Input::Text { name: "clock.defs", text: clock.as_bytes() };
/// let script = dissector::script(&Config::new().abi("gnu-i386").interface(clock)?.value);
/// assert!(script.contains(r#"ProtoField.new("now", "mach_clock.clock_get_time.now", ftypes.INT32"#));
/// # Ok::<(), mig_codegen::Error>(())
/// ```
pub fn script(interface: &Interface) -> String {
    let facts = interface.facts();
    let (name, abi) = (&interface.name, interface.abi.name());
    let mut text = format!(
        "-- Messages of the subsystem {name} on {abi}, for Wireshark. Written by mig; changes will be lost.\n\n\
         local name = \"mach_{name}\"\n"
    );
    facts_text(&mut text, facts);
    text += "\n-- The arguments: a field for each, to show and to filter by.\nlocal fields = {}\n";
    for routine in &interface.routines {
        for arg in routine.args.iter().filter(|arg| arg.in_request() || arg.in_reply()) {
            fields(&mut text, name, &key(routine, &arg.name), &arg.name, &arg.ty, facts);
        }
    }
    text += "\n-- The messages by their ids, with their pieces in the order of their bytes.\nlocal messages = {}\n";
    for routine in &interface.routines {
        message(&mut text, facts, routine, &routine.request, routine.id, "request");
        if let Some(reply) = &routine.reply {
            message(&mut text, facts, routine, reply, routine.reply_id(), "reply");
        }
    }
    text.push('\n');
    text += WALK;
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Writes the offsets and sizes that all messages of the ABI have in common.
fn facts_text(text: &mut String, facts: &Facts) {
    let long_words = facts.type_words == TypeWords::Always8;
    let says_simple = facts.rights == RightNumbers::Mach25;
    let port = facts.local_port.abs_diff(facts.remote_port);
    let numbers = [
        ("header", facts.header),
        ("remote", facts.remote_port),
        ("local_port", facts.local_port),
        ("port", port),
        ("id", facts.id),
        ("pointer", facts.pointer),
        ("alignment", facts.alignment),
        ("error_reply", facts.error_reply),
        ("code", facts.ret_code),
    ];
    let numbers = numbers.map(|(name, number)| format!("{name} = {number}")).join(", ");
    line(
        text,
        &format!("local abi = {{ words_of_8 = {long_words}, says_simple = {says_simple}, {numbers} }}"),
    );
}

/// A field for a value, and one for each member of a structure or of an array's structures.
fn fields(text: &mut String, subsystem: &str, key: &str, title: &str, ty: &Type, facts: &Facts) {
    let Value { kind, base, .. } = Value::of(ty, facts);
    let filter = format!("mach_{subsystem}.{key}");
    line(
        text,
        &format!(
            "fields[\"{key}\"] = ProtoField.new(\"{title}\", \"{filter}\", ftypes.{kind}, nil, base.{base})"
        ),
    );
    for member in members(ty) {
        fields(text, subsystem, &format!("{key}.{}", member.name), &member.name, &member.ty, facts);
    }
}

/// The members of a structure, or of the structures of an array.
fn members(ty: &Type) -> &[Member] {
    match &ty.kind {
        TypeKind::Struct { members, .. } => members,
        TypeKind::Fixed { element, .. }
        | TypeKind::Bounded { element, .. }
        | TypeKind::Indefinite { element, .. }
        | TypeKind::OutOfLine { element, .. } => members(element),
        _ => &[],
    }
}

/// Where the members of a value's structures are, from the beginning of each structure.
fn members_text(key: &str, ty: &Type, facts: &Facts) -> String {
    let one = |member: &Member| {
        let key = format!("{key}.{}", member.name);
        let unit = Value::of(&member.ty, facts).unit.map_or(String::new(), |unit| format!(", unit = {unit}"));
        let inner = members_text(&key, &member.ty, facts);
        let (offset, size) = (member.offset, member.ty.bytes());
        format!("{{ arg = \"{key}\", offset = {offset}, size = {size}{unit}{inner} }}")
    };
    match members(ty) {
        [] => String::new(),
        all => format!(", members = {{ {} }}", all.iter().map(one).collect::<Vec<_>>().join(", ")),
    }
}

/// What a routine's argument is called in the tables.
fn key(routine: &Routine, argument: &str) -> String {
    format!("{}.{argument}", routine.name)
}

fn message(text: &mut String, facts: &Facts, routine: &Routine, message: &Message, id: u32, kind: &str) {
    line(text, &format!("messages[{id}] = {{ routine = \"{}\", kind = \"{kind}\", slots = {{", routine.name));
    for slot in message.slots.iter().filter(|slot| !matches!(slot.role, SlotRole::Header | SlotRole::Trailer))
    {
        line(text, &format!("\t{{ {} }},", slot_text(facts, routine, slot)));
    }
    line(text, "} }");
}

fn slot_text(facts: &Facts, routine: &Routine, slot: &Slot) -> String {
    let mut text = format!("role = \"{}\"", slot.role.name());
    // Writing to a string can't fail.
    let mut number = |name: &str, value: Option<u32>| {
        if let Some(value) = value {
            let _ = write!(text, ", {name} = {value}");
        }
    };
    number("offset", slot.offset);
    number("size", slot.size);
    number("element", slot.element);
    if let Some(arg) = slot.arg.map(|index| &routine.args[index]) {
        number("unit", Value::of(&arg.ty, facts).unit);
        // Whose count it is.
        let counted = arg.same_count.map_or(arg, |first| &routine.args[first]);
        let key = key(routine, &arg.name);
        let _ = write!(text, ", arg = \"{key}\", count = \"{}\"", counted.name);
        if slot.role == SlotRole::Data {
            text += &members_text(&key, &arg.ty, facts);
        }
    }
    text
}

/// How a value is shown.
struct Value {
    /// Wireshark's type of the field.
    kind: &'static str,
    base: &'static str,
    /// Bytes of an element that is shown by itself; none if all of them are one value.
    unit: Option<u32>,
}

impl Value {
    fn of(ty: &Type, facts: &Facts) -> Self {
        let whole = |kind| Value { kind, base: "NONE", unit: None };
        match &ty.kind {
            TypeKind::Port(_) => {
                let size = facts.port as u32;
                Value { kind: if size == 8 { "UINT64" } else { "UINT32" }, base: "HEX", unit: Some(size) }
            }
            TypeKind::Scalar(scalar) => {
                let is_signed = !(ty.is_unsigned() || ty.is_name() || ty.is_bool());
                let kind = match (scalar.bits, scalar.is_float, is_signed) {
                    (32, true, _) => return Value { unit: Some(4), ..whole("FLOAT") },
                    (64, true, _) => return Value { unit: Some(8), ..whole("DOUBLE") },
                    (8, false, true) => "INT8",
                    (8, false, false) => "UINT8",
                    (16, false, true) => "INT16",
                    (16, false, false) => "UINT16",
                    (32, false, true) => "INT32",
                    (32, false, false) => "UINT32",
                    (64, false, true) => "INT64",
                    (64, false, false) => "UINT64",
                    _ => return whole("BYTES"),
                };
                Value { kind, base: "DEC", unit: Some(scalar.bits / 8) }
            }
            TypeKind::FixedString { .. } | TypeKind::BoundedString { .. } => whole("STRINGZ"),
            TypeKind::Struct { size, .. } => Value { unit: Some(*size), ..whole("BYTES") },
            TypeKind::Fixed { element, .. }
            | TypeKind::Bounded { element, .. }
            | TypeKind::Indefinite { element, .. }
            | TypeKind::OutOfLine { element, .. } => match element.is_byte() {
                true => whole("BYTES"),
                false => Value::of(element, facts),
            },
        }
    }
}
