//! What two readings of an interface show: an older version of it, or the same file with other macros.

use std::collections::BTreeMap;

use mig_parser::ast::{Ast, StatementKind, TypeDecl, TypeOptionKind};
use mig_parser::diagnostics::{Diagnostic, Diagnostics};

use super::{is_allowed, of_routine, used_types, with_help};
use crate::codes;
use crate::model::Interface;
use crate::table::AbiTable;

const NO_SKIP: &str = "no-skip";
const LOST_TRANSLATION: &str = "lost-translation";

/// Routines that moved into the place of one that was deleted: the first of them, since the others follow.
pub(crate) fn deleted(ast: &Ast, interface: &Interface, old: &AbiTable, out: &mut Diagnostics) {
    let is_there = |name: &str| interface.routines.iter().any(|routine| routine.name == name);
    for gone in old.routines.iter().filter(|routine| !is_there(&routine.name)) {
        let Some(heir) = interface.routines.iter().find(|routine| routine.id == gone.id) else { continue };
        // Another name for the same place may be a new name, which `mig breaking` judges.
        let has_moved = old.routines.iter().any(|routine| routine.name == heir.name);
        if !has_moved || is_allowed(ast, NO_SKIP, of_routine(heir, None)) {
            continue;
        }
        let message =
            format!("`{}` has the id of `{}`, which was deleted: {}", heir.name, gone.name, gone.id);
        let warning =
            Diagnostic::warning(codes::NO_SKIP, heir.span, message, "clients call it by another id");
        out.push(with_help(warning, &format!("write `skip;` where `{}` was", gone.name), NO_SKIP));
        return;
    }
}

/// Types that are translated in one of two readings only. `macros` is what the other one has besides.
pub(crate) fn lost_translations(ast: &Ast, other: &Ast, macros: &str, out: &mut Diagnostics) {
    let there = declarations(other);
    let used = used_types(ast);
    for (name, decl) in declarations(ast) {
        let Some(counterpart) = there.get(name).filter(|_| used.contains(name)) else { continue };
        let (here, there) = (translations(decl), translations(counterpart));
        let lost = |of: &[&'static str], without: &[&'static str]| {
            of.iter().find(|kind| !without.contains(kind)).copied()
        };
        let (kind, when) = match (lost(&here, &there), lost(&there, &here)) {
            (Some(kind), _) => (kind, "without"),
            (_, Some(kind)) => (kind, "with"),
            (None, None) => continue,
        };
        let is_it = |statement: &mig_parser::ast::Statement| matches!(&statement.kind, StatementKind::Type(decl) if decl.name.name == name);
        if is_allowed(ast, LOST_TRANSLATION, is_it) {
            continue;
        }
        let message = format!("`{name}` is translated by `{kind}` only {when} {macros}");
        let label = "what a server gets depends on a macro";
        let span = decl.name.span;
        let warning = Diagnostic::warning(codes::LOST_TRANSLATION, span, message, label);
        out.push(with_help(warning, "translate it in both readings", LOST_TRANSLATION));
    }
}

/// The types that statements declare; of two with a name the last one counts.
fn declarations(ast: &Ast) -> BTreeMap<&str, &TypeDecl> {
    let types = ast.statements.iter().filter_map(|statement| match &statement.kind {
        StatementKind::Type(decl) => Some((decl.name.name.as_str(), decl)),
        _ => None,
    });
    types.collect()
}

fn translations(decl: &TypeDecl) -> Vec<&'static str> {
    let kinds = decl.spec.options.iter().filter_map(|option| match option.kind {
        TypeOptionKind::InTran { .. } => Some("intran"),
        TypeOptionKind::OutTran { .. } => Some("outtran"),
        TypeOptionKind::Destructor { .. } => Some("destructor"),
        TypeOptionKind::InTranPayload { .. } => Some("intranpayload"),
        _ => None,
    });
    kinds.collect()
}
