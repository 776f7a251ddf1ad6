//! The structures of messages, from their slots.

use std::collections::BTreeMap;

use super::{Words, declaration};
use crate::model::{Indirect, Interface, Message, Routine, Slot, SlotRole, Type, TypeKind};

/// Writes the structure of each message, and what a C compiler must find about them.
pub(super) fn write(text: &mut String, interface: &Interface) {
    *text +=
        "/* Messages with every array at its largest: what stands after a shorter one comes earlier. */\n\n";
    *text += "#ifdef __cplusplus\n#define MIG_ASSERT(what) static_assert(what, #what)\n#else\n";
    *text += "#define MIG_ASSERT(what) _Static_assert(what, #what)\n#endif\n\n";
    for (ty, size) in types(interface) {
        *text += &format!("MIG_ASSERT(sizeof({ty}) == {size});\n");
    }
    // Padding is a member of its own wherever a message has some.
    *text += &format!("\n#pragma pack(push, {})\n\n", interface.facts().alignment);
    for routine in &interface.routines {
        let messages = [("Request", Some(&routine.request)), ("Reply", routine.reply.as_ref())];
        for (kind, message) in messages {
            let Some(message) = message else { continue };
            structure(text, interface, routine, message, &format!("__{kind}__{}_t", routine.name));
        }
    }
    *text += "#pragma pack(pop)\n\n#undef MIG_ASSERT\n\n";
}

/// The C types of values in the messages, with the sizes that the `.defs` gives them.
fn types(interface: &Interface) -> BTreeMap<&str, u32> {
    let mut found = BTreeMap::new();
    for routine in &interface.routines {
        for arg in routine.args.iter().filter(|arg| arg.in_request() || arg.in_reply()) {
            let element = element(&arg.ty);
            if let (Some(name), true) = (c_name(element), element.bytes() > 0 && element.port().is_none()) {
                found.insert(name, element.bytes());
            }
        }
    }
    found
}

/// The type of a value in the message: the type itself, or the element of a counted array.
fn element(ty: &Type) -> &Type {
    match &ty.kind {
        TypeKind::Bounded { element, .. }
        | TypeKind::Indefinite { element, .. }
        | TypeKind::OutOfLine { element, .. } => element,
        _ => ty,
    }
}

fn c_name(ty: &Type) -> Option<&str> {
    ty.c.user.as_deref().or(ty.name.as_deref())
}

fn structure(text: &mut String, interface: &Interface, routine: &Routine, message: &Message, name: &str) {
    *text += "typedef struct {\n";
    let mut at = 0;
    // The descriptors of an array are one member, which is an array in C.
    let are_one = |a: &Slot, b: &Slot| (a.role, a.arg) == (b.role, b.arg) && is_descriptor(a.role);
    for slots in message.slots.chunk_by(are_one) {
        let slot = &slots[0];
        if slot.role == SlotRole::Trailer {
            continue;
        }
        let size = slots.iter().map(|slot| slot.size.or(slot.max).unwrap_or(0)).sum();
        // The padding after a counted array is as long as the array leaves it.
        let size = if slot.role == SlotRole::Pad && slot.size.is_none() { padding(at, size) } else { size };
        at += size;
        if size > 0 {
            *text += &format!("\t{};\n", member(interface, routine, slot, slots.len(), size));
        }
    }
    *text += &format!("}} {name};\nMIG_ASSERT(sizeof({name}) == {at});\n\n");
}

/// The bytes up to the next multiple of `most + 1`.
fn padding(at: u32, most: u32) -> u32 {
    (most + 1 - at % (most + 1)) % (most + 1)
}

fn is_descriptor(role: SlotRole) -> bool {
    matches!(role, SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts)
}

/// The brackets of an array of this many.
fn many(alike: usize) -> String {
    if alike == 1 { String::new() } else { format!("[{alike}]") }
}

/// This many slots that are alike, of this many bytes together, as a member of a structure.
fn member(interface: &Interface, routine: &Routine, slot: &Slot, alike: usize, size: u32) -> String {
    let arg = slot.arg.map(|index| &routine.args[index]);
    let name = arg.map_or("RetCode", |arg| arg.name.as_str());
    let words = Words::of(interface);
    match slot.role {
        SlotRole::Header => format!("{} Head", words.header),
        SlotRole::Type if slot.word.is_some_and(|word| word.long) => {
            format!("{} {name}Type", words.long_type_word)
        }
        SlotRole::Type => format!("{} {name}Type", words.type_word),
        SlotRole::BodyCount => "mach_msg_body_t msgh_body".to_owned(),
        SlotRole::Port => format!("mach_msg_port_descriptor_t {name}{}", many(alike)),
        SlotRole::Ool => format!("mach_msg_ool_descriptor_t {name}{}", many(alike)),
        SlotRole::OolPorts => format!("mach_msg_ool_ports_descriptor_t {name}{}", many(alike)),
        SlotRole::Ndr => "NDR_record_t NDR".to_owned(),
        SlotRole::Count => format!("{} {name}Cnt", words.count),
        SlotRole::Subs => format!("mach_msg_type_number_t {name}Subs[{}]", size / 4),
        SlotRole::Offset => format!("mach_msg_type_number_t {name}Offset"),
        SlotRole::Pad => format!("char {name}Pad[{size}]"),
        SlotRole::RetCode => "kern_return_t RetCode".to_owned(),
        SlotRole::Trailer => String::new(),
        SlotRole::Data => match arg {
            Some(arg) => data(interface, &arg.ty, name, slot, size),
            None => format!("char {name}[{size}]"),
        },
    }
}

/// A value in the message, or the address where it is.
fn data(interface: &Interface, ty: &Type, name: &str, slot: &Slot, size: u32) -> String {
    let one = element(ty);
    let words = Words::of(interface);
    let inline = |name: &str| {
        let rights = interface.facts().port as u32;
        match one.port() {
            Some(_) if size == rights => format!("{} {name}", right_name(words, rights)),
            Some(_) => format!("{} {name}[{}]", right_name(words, rights), size / rights),
            None if matches!(ty.kind, TypeKind::BoundedString { .. }) => format!("char {name}[{size}]"),
            None if std::ptr::eq(one, ty) => declaration(words, ty, ty.c.user.as_deref(), name),
            None => {
                let elements = slot.element.map_or(1, |element| size / element.max(1));
                declaration(words, one, one.c.user.as_deref(), &format!("{name}[{elements}]"))
            }
        }
    };
    match slot.indirect {
        Indirect::Always => format!("void *{name}"),
        Indirect::Depends => format!("union {{\n\t\t{};\n\t\tvoid *{name}P;\n\t}}", inline(name)),
        Indirect::Never => inline(name),
    }
}

/// What C calls a right in a typed message.
fn right_name(words: &Words, size: u32) -> &'static str {
    if size == 8 { "mach_port_name_inlined_t" } else { words.right }
}
