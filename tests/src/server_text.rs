//! The stubs of a server that is a kernel, read as text: they need headers of the kernel and can't be
//! compiled here.
//!
//! migcom writes all stubs in one form: the type words are constants with a field a line, the checks are
//! comparisons with a field each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mig_codegen::model::{Interface, Message, Routine, Slot, SlotRole, TypeWord};

use crate::jobs::Job;
use crate::tally::Tally;

/// Compares ids, sizes, complex bits and type words of a server's stubs with the slot tables.
///
/// # Errors
///
/// What cannot be read.
pub fn compare(job: &Job, interface: &Interface, folder: &Path, tally: &mut Tally) -> Result<(), String> {
    let path = folder.join("server.c");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let ids = ids(&text, interface.base)?;
    for routine in &interface.routines {
        let head = format!("mig_internal void _X{}\n", routine.name);
        let body = text.split_once(&head).and_then(|(_, rest)| rest.split_once("\n}\n"));
        let (body, _) = body.ok_or_else(|| format!("{}: no stub of `{}`", job.name(), routine.name))?;
        let mut found = Vec::new();
        if ids.get(routine.name.as_str()) != Some(&routine.id) {
            found.push(format!("id: C {:?}, ours {}", ids.get(routine.name.as_str()), routine.id));
        }
        found.extend(request(routine, body));
        if let Some(message) = &routine.reply {
            found.extend(reply(routine, message, body));
        }
        tally.checks += 1 + routine.request.slots.len() + routine.reply.iter().len();
        let lines = found.iter().map(|line| format!("{}: {}: {line}", job.name(), routine.name));
        tally.failures.extend(lines);
    }
    Ok(())
}

/// The id of each routine: its place in the table of stubs.
fn ids(text: &str, base: u32) -> Result<BTreeMap<&str, u32>, String> {
    let (_, rest) = text.split_once("_routines[] = {").ok_or("no table of routines")?;
    let (table, _) = rest.split_once("};").ok_or("no end of the table of routines")?;
    let entries = table.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let ids = entries.zip(base..).filter_map(|(entry, id)| Some((entry.strip_prefix("_X")?, id)));
    Ok(ids.collect())
}

/// What a stub says that is not in the slot table of the request, or the other way round.
fn request(routine: &Routine, body: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let header = &routine.request.slots[0];
    let checked = |field| header.check.iter().find(|check| check.field == field).map(|check| check.value);
    let exact = number_behind(body, "msgh_size != ").filter(|_| checked("msgh_size").is_some());
    let least = number_behind(body, "msgh_size < ").or(number_behind(body, "msgh_size != "));
    expect(&mut wrong, "size", exact, checked("msgh_size"));
    expect(&mut wrong, "smallest size", least, Some(u64::from(routine.request.min_size)));
    let test = "(In0P->Head.msgh_bits & MACH_MSGH_BITS_COMPLEX)";
    // Where the values decide, the bit is only kept for later.
    let is_tested = body.contains(test) && !body.contains("msgh_simple = !");
    let complex = is_tested.then(|| u64::from(body.contains(&format!("!{test}"))));
    expect(&mut wrong, "complex bit", complex, checked("complex"));
    for slot in words(&routine.request) {
        let name = match slot.arg.map(|arg| &routine.args[arg]) {
            Some(arg) if arg.in_request() => arg.name.clone(),
            // How many elements of a result the client takes.
            Some(arg) => format!("{}Cnt", arg.name),
            None => continue,
        };
        let mut fields = constant(body, &format!("{name}Check")).unwrap_or_default();
        fields.extend(comparisons(body, &name));
        let ours = slot.check.iter().map(|check| (check.field.to_string(), check.value)).collect();
        expect(&mut wrong, &format!("checks of `{name}`"), fields, ours);
    }
    wrong
}

/// What a stub says that is not in the slot table of the reply, or the other way round.
fn reply(routine: &Routine, message: &Message, body: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if message.slots.iter().any(|slot| slot.role == SlotRole::Data) {
        let size = number_behind(body, "OutP->Head.msgh_size = ");
        // A sum starts with what is fixed.
        let size = size.or(number_behind(body, "msgh_size = "));
        expect(&mut wrong, "size of the reply", size, Some(u64::from(message.min_size)));
    }
    for slot in words(message) {
        let (Some(arg), Some(word)) = (slot.arg, &slot.word) else { continue };
        let name = &routine.args[arg].name;
        let Some(fields) = constant(body, &format!("{name}Type")) else {
            wrong.push(format!("no type word of `{name}`"));
            continue;
        };
        for (field, ours) in sent(word) {
            let c = fields.get(field).copied();
            expect(&mut wrong, &format!("{field} of `{name}` in the reply"), c, Some(ours));
        }
    }
    wrong
}

/// The fields that a sender writes as they stand in the table.
fn sent(word: &TypeWord) -> Vec<(&'static str, u64)> {
    let mut fields = vec![("longform", u64::from(word.long))];
    fields.extend(word.sent.map(|name| ("name", u64::from(name))));
    fields.extend(word.number.map(|number| ("number", u64::from(number))));
    if word.bits == word.out_of_line_bits {
        fields.push(("size", u64::from(word.bits)));
    }
    fields
}

fn words(message: &Message) -> impl Iterator<Item = &Slot> {
    message.slots.iter().filter(|slot| slot.role == SlotRole::Type)
}

fn expect<T: PartialEq + std::fmt::Debug>(wrong: &mut Vec<String>, what: &str, c: T, ours: T) {
    if c != ours {
        wrong.push(format!("{what}: C {c:?}, ours {ours:?}"));
    }
}

fn number_behind(text: &str, front: &str) -> Option<u64> {
    let (_, rest) = text.split_once(front)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The fields of a constant type word.
fn constant(body: &str, name: &str) -> Option<BTreeMap<String, u64>> {
    let start = [format!("mach_msg_type_t {name} = {{"), format!("mach_msg_type_long_t {name} = {{")];
    let (_, rest) = start.iter().find_map(|start| body.split_once(start.as_str()))?;
    let (fields, _) = rest.split_once("\n\t};")?;
    let mut found = BTreeMap::new();
    for line in fields.lines() {
        let Some((_, rest)) = line.split_once("msgt") else { continue };
        let Some((field, rest)) =
            rest.trim_start_matches('l').trim_start_matches('_').split_once([' ', '\t'])
        else {
            continue;
        };
        if field == "header" {
            continue;
        }
        let value = rest.trim_end().trim_end_matches(',').rsplit([' ', '\t']).next().and_then(value);
        found.extend(value.map(|value| (field.to_string(), value)));
    }
    Some(found)
}

/// The fields of an argument's type word that the stub compares one by one.
fn comparisons(body: &str, name: &str) -> BTreeMap<String, u64> {
    let front = format!("P->{name}Type.");
    let places = body.match_indices(&front).map(|(at, _)| &body[at + front.len()..]);
    let comparisons = places.filter_map(|rest| {
        let rest = rest.strip_prefix("msgtl_header.").unwrap_or(rest);
        let (field, rest) = rest.split_once(" != ")?;
        let field = field.strip_prefix("msgt_").or_else(|| field.strip_prefix("msgtl_"))?;
        if !field.chars().all(char::is_alphabetic) {
            return None;
        }
        let word = rest.split([')', ' ', '\n']).next()?;
        // What else is asked decides what it must be: ports have another size out of line.
        if rest[word.len()..].starts_with(" &&") {
            return None;
        }
        Some((field.to_string(), value(word)?))
    });
    comparisons.collect()
}

/// A number, a truth value, or the name of a message type.
fn value(word: &str) -> Option<u64> {
    const TYPES: &[(&str, u64)] = &[
        ("BOOLEAN", 0),
        ("INTEGER_16", 1),
        ("INTEGER_32", 2),
        ("CHAR", 8),
        ("BYTE", 9),
        ("INTEGER_8", 9),
        ("REAL", 10),
        ("INTEGER_64", 11),
        ("STRING", 12),
        ("STRING_C", 12),
        ("PORT_NAME", 15),
        ("PORT_RECEIVE", 16),
        ("PORT_SEND", 17),
        ("PORT_SEND_ONCE", 18),
        ("MOVE_RECEIVE", 16),
        ("MOVE_SEND", 17),
        ("MOVE_SEND_ONCE", 18),
        ("COPY_SEND", 19),
        ("MAKE_SEND", 20),
        ("MAKE_SEND_ONCE", 21),
    ];
    match word {
        "TRUE" => Some(1),
        "FALSE" => Some(0),
        _ => {
            let name = word.strip_prefix("MACH_MSG_TYPE_");
            let known = name.and_then(|name| TYPES.iter().find(|(known, _)| *known == name));
            known.map(|(_, number)| *number).or_else(|| word.parse().ok())
        }
    }
}
