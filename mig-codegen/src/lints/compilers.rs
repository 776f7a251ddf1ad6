//! Warnings of declarations that are valid, and of which the ABI's own C compiler makes a wrong stub or none.
//! The other side of the interface may be made by that compiler.

use std::collections::HashSet;

use mig_parser::ast::Ast;
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::source::Span;

use super::{is_allowed, of_routine, with_help};
use crate::codes;
use crate::model::{Arg, Interface, Routine, Type, TypeKind};

const C_COMPILER: &str = "c-compiler";

/// Warns of each argument that the C compiler makes a wrong stub of.
pub(super) fn lint(ast: &Ast, interface: &Interface, out: &mut Diagnostics) {
    let name = interface.abi.name();
    if !name.starts_with("gnu-") {
        return; // what Apple's crashes at is an error, for no other compiler has it
    }
    // What the stubs of this ABI have room for.
    let address = if name.contains("x86_64") { 8 } else { 4 };
    for routine in &interface.routines {
        let mut found = Vec::new();
        for message in [Arg::in_request, Arg::in_reply] {
            let args: Vec<&Arg> = routine.args.iter().filter(|arg| message(arg)).collect();
            found.extend(args.windows(2).filter_map(|pair| is_followed(pair[0], address)));
        }
        found.extend(second_array(routine));
        found.extend(routine.args.iter().filter_map(rights));
        found.sort_by_key(|one| one.span);
        found.dedup_by_key(|one| one.span);
        for Finding { span, ty, message, label, help } in found {
            if !is_allowed(ast, C_COMPILER, of_routine(routine, ty.as_deref())) {
                let warning = Diagnostic::warning(codes::C_COMPILER, span, message, label);
                out.push(with_help(warning, &help, C_COMPILER));
            }
        }
    }
}

/// Warns of what a function of a C server has to look at, because the stub before or after it does not: the
/// first argument of each type.
pub(super) fn unchecked(ast: &Ast, interface: &Interface, out: &mut Diagnostics) {
    let name = interface.abi.name();
    let of = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let (no_maximum, by_strlen) = (of(&["gnu-", "cmu-", "osf-"]), of(&["apple-", "osf-"]));
    let mut seen = HashSet::new();
    for routine in &interface.routines {
        for arg in &routine.args {
            let found = match &arg.ty.kind {
                TypeKind::Bounded { max, .. } if no_maximum && arg.in_request() => count(arg, *max),
                TypeKind::BoundedString { max } if by_strlen && arg.in_reply() => string(arg, *max),
                _ => continue,
            };
            let ty = arg.ty.name.as_deref();
            if seen.insert(ty) && !is_allowed(ast, C_COMPILER, of_routine(routine, ty)) {
                let warning = Diagnostic::warning(codes::C_COMPILER, found.span, found.message, found.label);
                out.push(with_help(warning, &found.help, C_COMPILER));
            }
        }
    }
}

struct Finding {
    span: Span,
    /// The name of the argument's type.
    ty: Option<String>,
    message: String,
    label: &'static str,
    help: String,
}

impl Finding {
    fn new(arg: &Arg, message: String, label: &'static str, help: String) -> Self {
        Self { span: arg.span, ty: arg.ty.name.clone(), message, label, help }
    }
}

/// GNU's, CMU's and OSF's servers take every count for which the message has the bytes.
fn count(arg: &Arg, max: u32) -> Finding {
    let message = format!("a server in C may get more than {max} elements of `{}`", arg.name);
    let label = "its stub does not compare the count with the maximum";
    Finding::new(arg, message, label, "compare the count at the start of the function in C".to_owned())
}

/// Untyped servers look for the end of the string that a function has written, wherever that may be.
fn string(arg: &Arg, max: u32) -> Finding {
    let message = format!("a server in C may send more than the {max} bytes of `{}`", arg.name);
    let label = "its stub measures the string by `strlen`";
    Finding::new(arg, message, label, "end the string with a NUL in the function in C".to_owned())
}

/// How many elements of plain data an array has in a message at most, and the element.
fn in_message(ty: &Type) -> Option<(&Type, u32)> {
    match &ty.kind {
        TypeKind::Bounded { element, max } if element.bytes() > 0 => Some((element, *max)),
        _ => None,
    }
}

/// GNU MIG keeps such an array in a union with an address, whose size it forgets where it places what
/// follows.
fn is_followed(arg: &Arg, address: u32) -> Option<Finding> {
    let (element, max) = in_message(&arg.ty)?;
    let bytes = element.bytes().checked_mul(max)?;
    if bytes % address == 0 {
        return None;
    }
    let message =
        format!("GNU MIG misplaces what follows `{}`: its {bytes} bytes are no whole addresses", arg.name);
    let help = format!("make it a multiple of {address} bytes, or the last argument of the message");
    Some(Finding::new(arg, message, "C's stubs send and expect the next argument elsewhere", help))
}

/// Since 2023 GNU MIG's server does not compile where an array follows another one in the reply.
fn second_array(routine: &Routine) -> Option<Finding> {
    let is_variable = |arg: &&Arg| {
        matches!(
            arg.ty.kind,
            TypeKind::Bounded { .. } | TypeKind::Indefinite { .. } | TypeKind::BoundedString { .. }
        )
    };
    let mut results =
        routine.args.iter().filter(|arg| arg.in_reply()).skip_while(|arg| !is_variable(arg)).skip(1);
    let arg = results.find(|arg| in_message(&arg.ty).is_some())?;
    let message = format!("GNU MIG makes a server of `{}` that does not compile", routine.name);
    let label = "a bounded array after another variable result";
    Some(Finding::new(arg, message, label, "return it by a routine of its own, or out of line".to_owned()))
}

/// GNU MIG of 2023 and later declares an array of rights of fixed size as one right.
fn rights(arg: &Arg) -> Option<Finding> {
    let is_array = matches!(arg.ty.kind, TypeKind::Fixed { .. }) && arg.ty.port().is_some();
    is_array.then(|| {
        let message = format!("GNU MIG makes stubs for `{}` that do not compile", arg.name);
        let label = "rights in the message, always as many";
        Finding::new(arg, message, label, "use an argument for each right, or `array[*:N] of`".to_owned())
    })
}
