//! What is right, and what the ABI's own C compiler makes a wrong stub of, or none: the other side of the
//! interface may be its.

use mig_parser::ast::Ast;
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::source::Span;

use super::{is_allowed, of_routine, with_help};
use crate::codes;
use crate::model::{Arg, Interface, Routine, Type, TypeKind};

const C_COMPILER: &str = "c-compiler";

/// Warns of each argument that is one of them.
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
