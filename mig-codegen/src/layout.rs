//! Slot tables: where each piece of each message lies, how big it is, and what its receiver must check.
//!
//! The only place that computes an offset. A message of a typed ABI is its header, then for each argument a type word and
//! the data, padded to the ABI's alignment; a reply begins with the return code. A counted array takes the room that its
//! elements need, so whatever follows it has no fixed offset.

mod typed;

use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_runtime::abi::Family;
use typed::Side;

use crate::codes;
use crate::model::{Interface, is_one_way};

/// Fills in the messages of every routine. Errors: a message that is too large; an ABI without a layout.
pub(crate) fn lay_out(interface: &mut Interface, diagnostics: &mut Diagnostics) {
    match interface.abi.facts.family {
        Family::Typed => lay_out_typed(interface, diagnostics),
        Family::Untyped => diagnostics.push(
            Diagnostic::error(
                codes::NOT_GENERATED,
                interface.span,
                format!("messages of `{}` are not generated yet", interface.abi.name()),
                "this interface was checked, but its messages have no layout",
            )
            .with_help("`gnu-i386`, `gnu-x86_64` and `cmu-32` are generated"),
        ),
    }
}

fn lay_out_typed(interface: &mut Interface, diagnostics: &mut Diagnostics) {
    let facts = &interface.abi.facts;
    let side = match (interface.kernel_server, interface.kernel_user) {
        (true, _) => Side::KernelServer,
        (false, true) => Side::KernelUser,
        (false, false) => Side::Users,
    };
    for routine in &mut interface.routines {
        match typed::request(facts, routine, side) {
            Ok(message) => routine.request = message,
            Err(too_large) => too_large.report("request", routine, diagnostics),
        }
        if is_one_way(routine.kind) {
            continue;
        }
        match typed::reply(facts, routine, side) {
            Ok(message) => routine.reply = Some(message),
            Err(too_large) => too_large.report("reply", routine, diagnostics),
        }
    }
}
