//! Documentation of the generated items.

use mig_abi::MessageType;
use mig_parser::ast::RoutineKind;
use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::{
    Arg, Complex, Dealloc, Indirect, Message, MessageKind, PortType, Role, Routine, Slot, SlotRole, Type,
    TypeKind,
};
use crate::wire::in_words;

/// One line of documentation.
pub(super) fn doc(line: &str) -> TokenStream {
    let line = literal(line);
    quote!(#[doc = #line])
}

/// Lines of documentation.
pub(super) fn docs(lines: &[String]) -> TokenStream {
    let lines = lines.iter().map(|line| literal(line));
    quote!(#(#[doc = #lines])*)
}

/// A line as a string of Rust, with a space before it if there is anything on it.
fn literal(line: &str) -> Literal {
    let line = if line.is_empty() { String::new() } else { format!(" {line}") };
    // In most lines nothing has to be escaped, which parsing such a literal finds out sooner than
    // `Literal::string` does.
    let is_plain = |byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    let parsed = line.bytes().all(is_plain).then(|| format!("\"{line}\"").parse().ok());
    parsed.flatten().unwrap_or_else(|| Literal::string(&line))
}

/// A comment of the `.defs` file as documentation: what rustdoc would take for a link, a tag, a list or code
/// is text there.
pub fn comment(lines: &[String]) -> Vec<String> {
    let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out: Vec<String> = lines.iter().map(|line| escape(&words(line))).collect();
    out.dedup_by(|line, before| line.is_empty() && before.is_empty());
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    out.drain(..out.iter().take_while(|line| line.is_empty()).count());
    out
}

fn escape(line: &str) -> String {
    let mut out = String::new();
    let list = line.starts_with(['-', '*', '+', '#', '>', '=', '|', '~']);
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = number.len() < line.len() && number.starts_with(['.', ')']);
    if list {
        out.push('\\');
    }
    let mut in_code = false;
    for (index, c) in line.char_indices() {
        match c {
            '`' => in_code = !in_code && line[index + 1..].contains('`'),
            '[' | ']' | '<' | '>' | '_' | '*' if !(in_code || list && index == 0) => out.push('\\'),
            '.' | ')' if numbered && index == line.len() - number.len() => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    // Three of them would begin a block of code.
    out.replace("```", "` ` `")
}

/// What a routine is, and its messages as tables.
pub(super) fn routine(routine: &Routine) -> Vec<String> {
    let mut lines = comment(&routine.doc);
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(format!("`{}`, {}, message {}.", routine.user, kind(routine), routine.id));
    lines.extend(messages(routine));
    lines
}

/// A routine's messages as tables.
pub fn messages(routine: &Routine) -> Vec<String> {
    let mut lines = message(routine, "Request", &routine.request);
    if let Some(reply) = &routine.reply {
        lines.extend(message(routine, "Reply", reply));
    }
    lines
}

fn kind(routine: &Routine) -> &'static str {
    match routine.kind {
        RoutineKind::Routine => "routine",
        RoutineKind::SimpleRoutine => "simpleroutine",
        RoutineKind::Procedure => "procedure",
        RoutineKind::SimpleProcedure => "simpleprocedure",
        RoutineKind::Function => "function",
    }
}

/// The size of a message and, if it carries anything, a table of what stands where.
fn message(routine: &Routine, name: &str, message: &Message) -> Vec<String> {
    let size = match (message.min_size, message.max_size) {
        (min, max) if min == max => format!("{min} bytes"),
        (min, max) => format!("{min} to {max} bytes"),
    };
    let complex = match message.complex {
        Complex::Always => ", complex",
        Complex::Depends => ", complex if its contents are",
        Complex::Never => "",
    };
    let mut lines = vec![String::new()];
    // An array of rights has a descriptor for each.
    let together = |slot: &Slot, next: &Slot| slot.role == SlotRole::Port && slot.arg == next.arg;
    let slots = message.slots.chunk_by(together);
    let mut rows: Vec<String> = slots.filter_map(|slots| row(routine, message, slots)).collect();
    rows.dedup();
    if rows.is_empty() {
        lines.push(format!("{name}: {size}{complex}."));
        return lines;
    }
    lines.push(format!("{name}, {size}{complex}:"));
    lines.push(String::new());
    lines.push("| offset | bytes | value |".to_owned());
    lines.push("|-:|-:|-|".to_owned());
    lines.extend(rows);
    lines
}

/// A row for a value, of one slot or of several that are alike; type words and padding have none.
fn row(of: &Routine, message: &Message, slots: &[Slot]) -> Option<String> {
    let slot = slots.first()?;
    let arg = slot.arg.map(|index| &of.args[index]);
    let what = match (slot.role, arg) {
        (SlotRole::Data | SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts, Some(arg)) => {
            format!("`{}`: {}", arg.name, describe(arg))
        }
        (SlotRole::Count, Some(arg)) if arg.role == Role::Out && message.kind == MessageKind::Request => {
            format!("`{}Cnt`: how many the caller takes", arg.name)
        }
        (SlotRole::Count, Some(arg)) => format!("`{}Cnt`", arg.name),
        _ => return None,
    };
    let offset = slot.offset.map_or_else(String::new, |offset| offset.to_string());
    let size = match (slot.size, slot.max, slot.indirect) {
        (Some(size), ..) if slots.len() > 1 => format!("{} × {size}", slots.len()),
        (Some(size), ..) => size.to_string(),
        (None, Some(max), Indirect::Depends) => format!("≤ {max} or address"),
        (None, Some(max), _) => format!("≤ {max}"),
        (None, None, _) => String::new(),
    };
    Some(format!("| {offset} | {size} | {what} |"))
}

/// An argument's type, and whether its memory goes with the message.
pub fn describe(arg: &Arg) -> String {
    let mut text = type_text(&arg.ty);
    match arg.dealloc {
        Dealloc::No => {}
        Dealloc::Yes => text += ", dealloc",
        Dealloc::RunTime => text += ", dealloc\\[\\]",
    }
    text
}

/// A type in the words of a `.defs` file.
pub fn type_text(ty: &Type) -> String {
    match (&ty.kind, &ty.name) {
        (TypeKind::Port(port), _) => right(*port),
        (TypeKind::OutOfLine { element, count, .. }, _) => {
            let count = count.map_or(String::new(), |count| count.to_string());
            format!("^array\\[{count}\\] of {}", type_text(element))
        }
        (TypeKind::Indefinite { element, .. }, _) => format!("array\\[\\] of {}", type_text(element)),
        (TypeKind::Bounded { element, max }, _) => format!("array\\[\\*:{max}\\] of {}", type_text(element)),
        (TypeKind::Fixed { element, count, .. }, None) => {
            format!("array\\[{count}\\] of {}", type_text(element))
        }
        (TypeKind::FixedString { size, .. }, _) => format!("c_string\\[{size}\\]"),
        (TypeKind::BoundedString { max }, _) => format!("c_string\\[\\*:{max}\\]"),
        (_, Some(name)) => format!("`{name}`"),
        (TypeKind::Scalar(scalar), None) => match MessageType::name_of(scalar.type_number, scalar.bits) {
            Some(name) => name.to_owned(),
            None => format!("{} bits", scalar.bits),
        },
        (TypeKind::Struct { .. }, None) => "struct".to_owned(),
    }
}

/// How a right travels.
fn right(port: PortType) -> String {
    match (port.sender, port.receiver) {
        (Some(disposition), _) => {
            let (verb, right) = in_words(disposition);
            let travels = match verb {
                "move" => "moved",
                "copy" => "copied",
                _ => "made",
            };
            format!("{right} right, {travels}")
        }
        (None, Some(disposition)) => format!("{} right", in_words(disposition).1),
        (None, None) => "any right".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_stay_text() {
        let lines = [
            "",
            "",
            "  - a list [x] of <T>",
            "1. one",
            "    code",
            "`a_b[0]` c_d",
            "```rust",
            "",
            "",
            "end",
            "",
        ];
        let lines: Vec<String> = lines.map(str::to_owned).to_vec();
        assert_eq!(
            comment(&lines),
            ["\\- a list \\[x\\] of \\<T\\>", "1\\. one", "code", "`a_b[0]` c\\_d", "` ` `rust", "", "end"]
        );
    }
}
