//! Warnings of `mig check` about declarations that are valid and probably not meant. A comment can allow
//! each of them.
//!
//! The comment stands directly before the statement, in a line of its own: `/* mig: allow(unused-type) */`.
//! Before the subsystem's statement it is for the whole file.

mod compilers;
mod readings;

use std::collections::BTreeMap;

use hashbrown::HashSet;
use mig_parser::ast::{ArgumentType, Ast, Statement, StatementKind, TypeDecl, TypeKind, TypeSpec};
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::source::SourceMap;

use crate::codes;
use crate::model::{Interface, Routine, TypeKind as Kind};

pub(crate) use self::readings::{deleted, lost_translations};

const UNUSED_TYPE: &str = "unused-type";
const REPLY_ID: &str = "reply-id";
const UNBOUNDED: &str = "unbounded";

/// Adds what there is to say about a file without errors.
pub(crate) fn lint(ast: &Ast, sources: &SourceMap, interface: &Interface, out: &mut Diagnostics) {
    unused_types(ast, sources, out);
    reply_ids(ast, interface, out);
    compilers::lint(ast, interface, out);
}

/// A comment's lines without those that are for the compiler.
pub(crate) fn description(doc: &[String]) -> Vec<String> {
    doc.iter().filter(|line| !is_for_lints(line)).cloned().collect()
}

fn is_for_lints(line: &str) -> bool {
    line.starts_with("mig: allow(") && line.ends_with(')')
}

fn allows(statement: &Statement, lint: &str) -> bool {
    let names = statement.doc.iter().filter(|line| is_for_lints(line));
    let mut names = names.flat_map(|line| line["mig: allow(".len()..line.len() - 1].split(','));
    names.any(|name| name.trim() == lint)
}

/// Whether a comment before one of these statements, or before the subsystem's, allows the lint.
fn is_allowed(ast: &Ast, lint: &str, statements: impl Fn(&Statement) -> bool) -> bool {
    let asked = |statement: &&Statement| {
        matches!(statement.kind, StatementKind::Subsystem(..)) || statements(statement)
    };
    ast.statements.iter().filter(asked).any(|statement| allows(statement, lint))
}

/// The statement of a routine, or of a type of this name.
fn of_routine(routine: &Routine, ty: Option<&str>) -> impl Fn(&Statement) -> bool {
    move |statement| match &statement.kind {
        StatementKind::Type(decl) => Some(decl.name.name.as_str()) == ty,
        _ => statement.span == routine.span,
    }
}

fn with_help(diagnostic: Diagnostic, what: &str, lint: &str) -> Diagnostic {
    diagnostic.with_help(format!("{what}, or write `/* mig: allow({lint}) */` before it"))
}

/// Warns of types that the file of the subsystem declares and nothing uses. The types of included files may
/// be for others.
fn unused_types(ast: &Ast, sources: &SourceMap, out: &mut Diagnostics) {
    let used = used_types(ast);
    for statement in &ast.statements {
        let StatementKind::Type(decl) = &statement.kind else { continue };
        let name = decl.name.name.as_str();
        let span = decl.name.span;
        let is_own = sources.included_at(span).is_none() && sources.expansion(span).is_none();
        if is_own && !used.contains(name) && !is_allowed(ast, UNUSED_TYPE, |one| one.span == statement.span) {
            let message = format!("nothing uses the type `{name}`");
            let warning = Diagnostic::warning(codes::UNUSED_TYPE, span, message, "declared here");
            out.push(with_help(warning, "remove it", UNUSED_TYPE));
        }
    }
}

/// The names of types in arguments and in other types.
fn used_types(ast: &Ast) -> HashSet<&str> {
    let mut used = HashSet::new();
    for statement in &ast.statements {
        match &statement.kind {
            StatementKind::Type(decl) => parts(decl, &mut used),
            StatementKind::Routine(routine) => {
                let types = routine.arguments.iter().map(|argument| &argument.ty).chain(&routine.result);
                for ty in types {
                    match ty {
                        ArgumentType::Named(name) => {
                            used.insert(name.name.as_str());
                        }
                        ArgumentType::Declared(decl) => {
                            // It may be meant to be the type of that name.
                            used.insert(decl.name.name.as_str());
                            parts(decl, &mut used);
                        }
                        ArgumentType::Native(..) => {}
                    }
                }
            }
            _ => {}
        }
    }
    used
}

fn parts<'a>(decl: &'a TypeDecl, used: &mut HashSet<&'a str>) {
    named(&decl.spec, used);
}

/// The types that a type is made of; types nest no deeper than the parser allows.
fn named<'a>(spec: &'a TypeSpec, used: &mut HashSet<&'a str>) {
    match &spec.kind {
        TypeKind::Named(name) => {
            used.insert(&name.name);
        }
        TypeKind::Array { element, .. } | TypeKind::StructArray { element, .. } => named(element, used),
        TypeKind::Pointer(element) => named(element, used),
        TypeKind::Struct(members) => used.extend(members.iter().map(|member| member.ty.name.as_str())),
        TypeKind::Basic(_) | TypeKind::CString(_) | TypeKind::Native(_) => {}
    }
}

/// Requests with the id of another routine's reply: the first of them.
fn reply_ids(ast: &Ast, interface: &Interface, out: &mut Diagnostics) {
    let replies = interface.routines.iter().filter(|routine| routine.reply.is_some());
    let replies: BTreeMap<u32, _> = replies.map(|routine| (routine.reply_id(), routine)).collect();
    for routine in &interface.routines {
        let Some(other) = replies.get(&routine.id) else { continue };
        if is_allowed(ast, REPLY_ID, of_routine(routine, None)) {
            continue;
        }
        let (name, id) = (&routine.name, routine.id);
        let message = format!("the request of `{name}` has the id of a reply, {id}");
        let warning = Diagnostic::warning(codes::REPLY_ID, routine.span, message, "this request");
        let note = format!("the reply of `{}` has it, too", other.name);
        out.push(with_help(warning.with_note(other.span, note), "begin another subsystem", REPLY_ID));
        return;
    }
}

/// Adds what is common among Mach's own interfaces, and what a server has to look at by itself.
pub(crate) fn pedantic(ast: &Ast, interface: &Interface, out: &mut Diagnostics) {
    unbounded(ast, interface, out);
    compilers::unchecked(ast, interface, out);
}

/// Requests that bring as much as the sender likes: the first argument of each type.
fn unbounded(ast: &Ast, interface: &Interface, out: &mut Diagnostics) {
    let mut seen = HashSet::new();
    for routine in &interface.routines {
        for arg in routine.args.iter().filter(|arg| arg.in_request()) {
            let is_unbounded = matches!(
                arg.ty.kind,
                Kind::Indefinite { .. } | Kind::OutOfLine { count: None, max: None, .. }
            );
            let ty = arg.ty.name.as_deref();
            if !is_unbounded || !seen.insert(ty) || is_allowed(ast, UNBOUNDED, of_routine(routine, ty)) {
                continue;
            }
            let message = format!("nothing limits how much `{}` brings", arg.name);
            let label = "as large as its sender likes";
            let warning = Diagnostic::warning(codes::UNBOUNDED, arg.span, message, label);
            let help = "declare a limit, `array[*:N]`, or look at its length before anything else";
            out.push(with_help(warning, help, UNBOUNDED));
        }
    }
}
