//! Compares two tables of one interface, or two interfaces, and says what changes for the programs that use
//! them.

pub mod rules;

use self::rules::Rule;
use crate::model::{Arg, Indirect, Interface, Routine, SlotRole};
use crate::table::{AbiTable, CheckTable, MessageTable, RoutineTable, SlotTable};

/// A rule that is broken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// Which rule.
    pub rule: &'static Rule,
    /// The routine whose declaration has changed.
    pub routine: String,
    /// The argument, if the change is one of an argument.
    pub argument: Option<String>,
    /// The name that the argument had.
    pub argument_was: Option<String>,
    /// What is different.
    pub message: String,
}

/// What the new table breaks.
pub fn tables(old: &AbiTable, new: &AbiTable) -> Vec<Finding> {
    let mut findings = Vec::new();
    for before in &old.routines {
        match new.routines.iter().find(|after| after.name == before.name) {
            Some(after) => routine(before, after, &mut findings),
            None => gone(before, new, &mut findings),
        }
    }
    findings
}

/// A finding: this rule is broken.
pub fn finding(rule: &'static Rule, routine: &str, argument: Option<&str>, message: String) -> Finding {
    let argument = argument.map(str::to_owned);
    Finding { rule, routine: routine.to_owned(), argument_was: argument.clone(), argument, message }
}

/// A routine whose name is not there any more.
fn gone(before: &RoutineTable, new: &AbiTable, findings: &mut Vec<Finding>) {
    let RoutineTable { name, id, .. } = before;
    let heir = new.routines.iter().find(|after| after.id == *id);
    let (rule, message) = match heir {
        None => (&rules::ROUTINE_NO_DELETE, format!("`{name}` ({id}) is gone")),
        Some(heir) if same_messages(before, heir) => {
            (&rules::ROUTINE_SAME_NAME, format!("`{name}` ({id}) is `{}` now", heir.name))
        }
        Some(heir) => (
            &rules::ROUTINE_NO_DELETE_WITHOUT_SKIP,
            format!("`{name}` is gone, and its id {id} is that of `{}` now", heir.name),
        ),
    };
    findings.push(finding(rule, name, None, message));
}

fn same_messages(before: &RoutineTable, after: &RoutineTable) -> bool {
    let mut findings = Vec::new();
    messages(before, after, &mut findings);
    findings.is_empty()
}

fn routine(before: &RoutineTable, after: &RoutineTable, findings: &mut Vec<Finding>) {
    let name = &before.name;
    if before.id != after.id {
        let message = format!("`{name}` has the id {}, and had {}", after.id, before.id);
        findings.push(finding(&rules::ROUTINE_SAME_ID, name, None, message));
    }
    messages(before, after, findings);
}

fn messages(before: &RoutineTable, after: &RoutineTable, findings: &mut Vec<Finding>) {
    let name = &before.name;
    message("request", name, &before.request, &after.request, findings);
    match (&before.reply, &after.reply) {
        (Some(before), Some(after)) => message("reply", name, before, after, findings),
        (None, None) => {}
        _ => {
            let message = format!("`{name}` is a {}, and was a {}", after.kind, before.kind);
            findings.push(finding(&rules::KIND_SAME, name, None, message));
        }
    }
}

fn message(
    which: &str,
    routine: &str,
    before: &MessageTable,
    after: &MessageTable,
    findings: &mut Vec<Finding>,
) {
    let slots = |message: &MessageTable| -> Vec<SlotTable> {
        // Padding is left out, since it follows from the data before it.
        let counts = |slot: &&SlotTable| !matches!(slot.role, SlotRole::Header | SlotRole::Pad);
        let slots = message.slots.iter().filter(counts);
        slots.cloned().collect()
    };
    let (before, after) = (slots(before), slots(after));
    if let Some(finding) = other_arguments(which, routine, &before, &after) {
        findings.push(finding);
        return;
    }
    let mut moved = false;
    for index in 0..before.len().max(after.len()) {
        let (was, is) = match (before.get(index), after.get(index)) {
            (Some(was), Some(is)) if is_alike(was, is) => (was, is),
            (was, is) => {
                let message = format!(
                    "the {which} of `{routine}` has {} where {} was",
                    slot_text(is, "nothing"),
                    slot_text(was, "nothing")
                );
                let argument = is.or(was).and_then(|slot| slot.arg.as_deref());
                findings.push(finding(&rules::MESSAGE_SAME_SLOTS, routine, argument, message));
                return;
            }
        };
        let place = || format!("{} in the {which} of `{routine}`", slot_text(Some(is), ""));
        let argument = is.arg.as_deref();
        if was.offset != is.offset && !moved {
            moved = true;
            let message = format!("{} is at {}, and was at {}", place(), offset(is), offset(was));
            findings.push(finding(&rules::SLOT_SAME_OFFSET, routine, argument, message));
        }
        findings.extend(
            same_type(was, is)
                .map(|(rule, what)| finding(rule, routine, argument, format!("{} {what}", place()))),
        );
    }
}

/// The finding of a message that has got or lost arguments, beside which its other differences say nothing.
fn other_arguments(which: &str, routine: &str, before: &[SlotTable], after: &[SlotTable]) -> Option<Finding> {
    let names = |slots: &[SlotTable]| -> Vec<String> {
        let mut names: Vec<String> = slots.iter().filter_map(|slot| slot.arg.clone()).collect();
        names.dedup();
        names
    };
    let (before, after) = (names(before), names(after));
    if before.len() == after.len() {
        return None;
    }
    let (name, change) = match after.iter().find(|name| !before.contains(name)) {
        Some(added) if before.len() < after.len() => (added, "has got"),
        _ => (before.iter().find(|name| !after.contains(name))?, "has lost"),
    };
    let message = format!("the {which} of `{routine}` {change} the argument `{name}`");
    Some(finding(&rules::MESSAGE_SAME_SLOTS, routine, Some(name), message))
}

/// Two slots that differ in numbers only.
fn is_alike(was: &SlotTable, is: &SlotTable) -> bool {
    was.role == is.role && was.indirect == is.indirect
}

fn slot_text(slot: Option<&SlotTable>, nothing: &str) -> String {
    let Some(slot) = slot else { return nothing.to_owned() };
    let what = match slot.role {
        SlotRole::Type => "the type word",
        SlotRole::Port | SlotRole::OolPorts => "the descriptor",
        SlotRole::Ool => "the memory descriptor",
        SlotRole::Count => "the count",
        SlotRole::BodyCount => "the number of descriptors",
        SlotRole::Ndr => "the NDR record",
        SlotRole::RetCode => "the return code",
        SlotRole::Pad => "the padding",
        SlotRole::Trailer => "the trailer field",
        _ if slot.indirect == Indirect::Always => "the address",
        _ => "the data",
    };
    slot.arg.as_ref().map_or(what.to_owned(), |arg| format!("{what} of `{arg}`"))
}

fn offset(slot: &SlotTable) -> String {
    slot.offset.map_or("no fixed place".to_owned(), |offset| offset.to_string())
}

/// What is different about two slots of the same role.
fn same_type(was: &SlotTable, is: &SlotTable) -> Option<(&'static Rule, String)> {
    if was.max > is.max && is.max.is_some() && was.element == is.element {
        let (is, was) = (is.max.unwrap_or(0), was.max.unwrap_or(0));
        return Some((&rules::LIMIT_NO_SHRINK, format!("has at most {is} bytes, and had {was}")));
    }
    if (was.size, was.element) != (is.size, is.element) {
        let size = |slot: &SlotTable| match (slot.size, slot.element) {
            (Some(size), _) => format!("{size} bytes"),
            (None, element) => format!("elements of {} bytes", element.unwrap_or(0)),
        };
        return Some((&rules::SLOT_SAME_TYPE, format!("has {}, and had {}", size(is), size(was))));
    }
    let value = |checks: &[CheckTable], field: &str| {
        checks.iter().find(|check| check.field == field).map(|check| check.value)
    };
    let fields = was.check.iter().chain(&is.check).map(|check| &*check.field);
    for field in fields {
        let (before, after) = (value(&was.check, field), value(&is.check, field));
        if before == after {
            continue;
        }
        let is_right = |value: Option<u64>| value.is_some_and(|value| (16..=21).contains(&value));
        let rule = match field {
            "disposition" => &rules::ARG_SAME_DISPOSITION,
            "name" if is_right(before) && is_right(after) => &rules::ARG_SAME_DISPOSITION,
            _ => &rules::SLOT_SAME_TYPE,
        };
        let text = |value: Option<u64>| value.map_or("any".to_owned(), |value| value.to_string());
        return Some((rule, format!("has {field} {}, and had {}", text(after), text(before))));
    }
    None
}

/// What the new interface breaks beside its messages, which [`tables`] compares.
pub fn interfaces(old: &Interface, new: &Interface) -> Vec<Finding> {
    let mut findings = Vec::new();
    for before in &old.routines {
        if let Some(after) = new.routines.iter().find(|after| after.name == before.name) {
            arguments(before, after, &mut findings);
            let times = |routine: &Routine| (routine.wait_time, routine.send_time, routine.msg_option);
            // A routine that has got or lost its reply is of another kind, which is reported as that.
            let same_kind = before.reply.is_some() == after.reply.is_some();
            if same_kind && times(before) != times(after) {
                let message = format!("`{}`: {}, and it was {}", before.name, waits(after), waits(before));
                findings.push(finding(&rules::TIMEOUT_SAME, &before.name, None, message));
            }
        }
    }
    findings
}

fn waits(routine: &Routine) -> String {
    let time = |what: &str, time: Option<u32>| match time {
        Some(time) => format!("{what} {time}"),
        None => format!("no {what}"),
    };
    let option = routine.msg_option.map_or(String::new(), |option| format!(", msgoption {option:#x}"));
    format!("{}, {}{option}", time("waittime", routine.wait_time), time("sendtime", routine.send_time))
}

/// Arguments by their place, or by their names if there are more or fewer than before.
fn arguments(before: &Routine, after: &Routine, findings: &mut Vec<Finding>) {
    let routine = &before.name;
    if before.args.len() == after.args.len() {
        for (was, is) in before.args.iter().zip(&after.args) {
            argument(routine, was, is, findings);
        }
        return;
    }
    let is_in = |arg: &Arg, args: &[Arg]| args.iter().any(|other| other.name == arg.name);
    for is in after.args.iter().filter(|is| !is_in(is, &before.args)) {
        let message = format!("`{routine}` has got the argument `{}`", is.name);
        findings.push(finding(&rules::CALL_SAME_ARGUMENTS, routine, Some(&is.name), message));
    }
    for was in before.args.iter().filter(|was| !is_in(was, &after.args)) {
        let message = format!("`{routine}` has lost the argument `{}`", was.name);
        findings.push(finding(&rules::CALL_SAME_ARGUMENTS, routine, Some(&was.name), message));
    }
    for was in &before.args {
        if let Some(is) = after.args.iter().find(|is| is.name == was.name) {
            argument(routine, was, is, findings);
        }
    }
}

fn argument(routine: &str, was: &Arg, is: &Arg, findings: &mut Vec<Finding>) {
    let mut tell = |rule, message: String| {
        let found = finding(rule, routine, Some(&is.name), format!("`{routine}`: {message}"));
        findings.push(Finding { argument_was: Some(was.name.clone()), ..found });
    };
    if was.name != is.name {
        tell(&rules::ARG_SAME_NAME, format!("`{}` is the argument that was `{}`", is.name, was.name));
    }
    let sender = |arg: &Arg| arg.ty.port().map(|port| (port.sender, port.receiver));
    if sender(was) != sender(is) && sender(was).is_some() && sender(is).is_some() {
        tell(&rules::ARG_SAME_DISPOSITION, format!("the right `{}` is sent in another way", is.name));
    }
    if was.dealloc != is.dealloc {
        tell(&rules::ARG_SAME_DEALLOC, format!("`dealloc` of `{}` has changed", is.name));
    }
    let seen = |arg: &Arg| (arg.ty.name.clone(), arg.ty.c.clone());
    if seen(was) != seen(is) {
        let name = |arg: &Arg| arg.ty.name.clone().unwrap_or_else(|| "a type without a name".to_owned());
        tell(&rules::ARG_SAME_TYPE, format!("`{}` is of {}, and was of {}", is.name, name(is), name(was)));
    }
}
