//! Warnings of `mig check` about declarations that are valid and probably not meant. A comment can allow
//! each of them.
//!
//! The comment stands directly before the statement, in a line of its own: `/* mig: allow(unused-type) */`.

use std::collections::{BTreeMap, HashSet};

use mig_parser::ast::{ArgumentType, Ast, Statement, StatementKind, TypeDecl, TypeKind, TypeSpec};
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::source::SourceMap;

use crate::codes;
use crate::model::Interface;

const UNUSED_TYPE: &str = "unused-type";
const REPLY_ID: &str = "reply-id";

/// Adds what there is to say about a file without errors.
pub(crate) fn lint(ast: &Ast, sources: &SourceMap, interface: &Interface, out: &mut Diagnostics) {
    unused_types(ast, sources, out);
    reply_ids(ast, interface, out);
}

/// A comment's lines without those that are for the compiler.
pub(crate) fn description(doc: &[String]) -> Vec<String> {
    doc.iter().filter(|line| !is_for_lints(line)).cloned().collect()
}

fn is_for_lints(line: &str) -> bool {
    line.starts_with("mig: allow(") && line.ends_with(')')
}

fn is_allowed(statement: &Statement, lint: &str) -> bool {
    let names = statement.doc.iter().filter(|line| is_for_lints(line));
    let mut names = names.flat_map(|line| line["mig: allow(".len()..line.len() - 1].split(','));
    names.any(|name| name.trim() == lint)
}

fn with_help(diagnostic: Diagnostic, what: &str, lint: &str) -> Diagnostic {
    diagnostic.with_help(format!("{what}, or write `/* mig: allow({lint}) */` before it"))
}

/// Types that the file of the subsystem declares and nothing uses. Those of included files are for others.
fn unused_types(ast: &Ast, sources: &SourceMap, out: &mut Diagnostics) {
    let used = used_types(ast);
    for statement in &ast.statements {
        let StatementKind::Type(decl) = &statement.kind else { continue };
        let name = decl.name.name.as_str();
        let span = decl.name.span;
        let is_own = sources.included_at(span).is_none() && sources.expansion(span).is_none();
        if is_own && !used.contains(name) && !is_allowed(statement, UNUSED_TYPE) {
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
        let statement = ast.statements.iter().find(|statement| statement.span == routine.span);
        if statement.is_some_and(|statement| is_allowed(statement, REPLY_ID)) {
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
