//! Compares a compiled server with a file, or with another program, that has the same messages.

use std::collections::BTreeSet;

use mig_codegen::abi::Abi;
use mig_codegen::breaking::{Finding, finding, rules};
use mig_codegen::c::server_words;
use mig_decode::Compiled;

use super::{Known, Side};

/// A routine as the tables of a program describe it.
struct Shape {
    id: u32,
    /// Its name, where a file declares it.
    name: Option<String>,
    /// How many words its arguments are; `None` where nothing says so.
    arguments: Option<u32>,
    reply: u32,
}

/// The differences, where one side at least is a program.
pub(super) fn findings(old: &Side, new: &Side) -> Result<Vec<Finding>, String> {
    match (&old.known, &new.known) {
        (Known::Program(was), Known::Program(is)) => Ok(programs(was, is)),
        (Known::Program(program), _) => with_file(program, old, new, true),
        (_, Known::Program(program)) => with_file(program, new, old, false),
        _ => Ok(Vec::new()),
    }
}

fn programs(was: &[Compiled], is: &[Compiled]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for before in was {
        let same = |after: &&Compiled| (after.processor, after.start) == (before.processor, before.start);
        match is.iter().find(same) {
            Some(after) => findings.extend(shapes(&of_program(before), &of_program(after), before.processor)),
            None => {
                let message = format!("the subsystem {} for {} is gone", before.start, before.processor);
                findings.push(finding(&rules::SUBSYSTEM_NO_DELETE, &before.start.to_string(), None, message));
            }
        }
    }
    findings
}

/// The program's tables of the file's subsystem, one for each processor, against the file.
fn with_file(
    program: &[Compiled],
    from: &Side,
    file: &Side,
    program_is_old: bool,
) -> Result<Vec<Finding>, String> {
    let Known::Table(table) = &file.known else { return Ok(Vec::new()) };
    let pointer = Abi::by_name(&table.abi).map_or(0, |abi| abi.facts.pointer);
    let declared = of_file(file);
    let mut same = program.iter().filter(|one| one.start == table.base && one.pointer == pointer).peekable();
    if same.peek().is_none() {
        let all: Vec<String> =
            program.iter().map(|one| format!("{} ({})", one.start, one.processor)).collect();
        return Err(format!(
            "{} has no subsystem that begins with {} for pointers of {pointer} bytes; it has {}",
            from.path.display(),
            table.base,
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        ));
    }
    let mut findings = Vec::new();
    for one in same {
        let compiled = of_program(one);
        findings.extend(match program_is_old {
            true => shapes(&compiled, &declared, one.processor),
            false => shapes(&declared, &compiled, one.processor),
        });
    }
    Ok(findings)
}

fn shapes(was: &[Shape], is: &[Shape], processor: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for before in was {
        let Some(after) = is.iter().find(|after| after.id == before.id) else {
            let (routine, what) = named(before, None);
            let message = format!("{what} is gone for {processor}");
            findings.push(finding(&rules::ROUTINE_NO_DELETE, &routine, None, message));
            continue;
        };
        let (routine, what) = named(before, Some(after));
        let mut tell = |was: String, is: String| {
            if was != is {
                let message = format!("{what} has {is} for {processor}, and had {was}");
                findings.push(finding(&rules::COMPILED_SAME_SHAPE, &routine, None, message));
            }
        };
        if let (Some(was), Some(is)) = (before.arguments, after.arguments) {
            tell(format!("{was} words of arguments"), format!("{is} words of arguments"));
        }
        let reply = |shape: &Shape| format!("a reply of up to {} bytes", shape.reply);
        tell(reply(before), reply(after));
    }
    findings
}

/// The name of a routine, and how a sentence names it.
fn named(before: &Shape, after: Option<&Shape>) -> (String, String) {
    let name = before.name.as_ref().or(after.and_then(|after| after.name.as_ref()));
    match name {
        Some(name) => (name.clone(), format!("`{name}` ({})", before.id)),
        None => (before.id.to_string(), format!("the routine {}", before.id)),
    }
}

fn of_program(program: &Compiled) -> Vec<Shape> {
    let routines = program.routines.iter();
    routines
        .map(|routine| Shape {
            id: routine.id,
            name: None,
            arguments: Some(routine.arguments),
            reply: routine.max_reply,
        })
        .collect()
}

fn of_file(side: &Side) -> Vec<Shape> {
    let Known::Table(table) = &side.known else { return Vec::new() };
    let words = |name: &str| {
        let (interface, _) = side.declared.as_ref()?;
        let routine = interface.routines.iter().find(|routine| routine.name == name)?;
        Some(server_words(interface, routine))
    };
    let routines = table.routines.iter();
    routines
        .map(|routine| Shape {
            id: routine.id,
            name: Some(routine.name.clone()),
            arguments: words(&routine.name),
            reply: routine.reply.as_ref().map_or(table.error_reply_size, |reply| reply.max_size),
        })
        .collect()
}

/// The ABI of a file that is compared with these programs, if nothing else says which.
pub(super) fn abi(programs: &[&Compiled]) -> Option<&'static str> {
    let widths: BTreeSet<usize> = programs.iter().map(|program| program.pointer).collect();
    widths.last().map(|width| if *width == 8 { "apple-64" } else { "apple-32" })
}
