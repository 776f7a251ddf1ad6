//! Slot tables: where each piece of each message lies, how big it is, and what its receiver must check.
//!
//! Where a slot lies is computed in this module and nowhere else in the compiler. A message of a typed ABI is
//! its header, then for each argument a type word and the data, padded to the ABI's alignment; a reply begins
//! with the return code. One of an untyped ABI is its header, the descriptors of all that the kernel must
//! process, and the plain data after an NDR record. A counted array takes the room that its elements need, so
//! whatever follows it has no fixed offset.

mod slots;
mod steps;
mod typed;
mod untyped;

use mig_abi::Family;
use mig_parser::diagnostics::Diagnostics;
use slots::TooLarge;

use crate::model::{Interface, Message, Routine, is_one_way};
pub(crate) use untyped::descriptor_text;

/// Fills in the messages of every routine. Errors: a message that is too large.
pub(crate) fn lay_out(interface: &mut Interface, diagnostics: &mut Diagnostics) {
    let facts = interface.facts();
    let kernel_serves = interface.kernel_server;
    let request = |routine: &Routine| -> Result<Message, TooLarge> {
        match facts.family {
            Family::Typed => typed::request(facts, routine, kernel_serves),
            Family::Untyped => untyped::request(facts, routine),
        }
    };
    let reply = |routine: &Routine| -> Result<Message, TooLarge> {
        match facts.family {
            Family::Typed => typed::reply(facts, routine, kernel_serves),
            Family::Untyped => untyped::reply(facts, routine),
        }
    };
    for routine in &mut interface.routines {
        match request(routine) {
            Ok(message) => routine.request = message,
            Err(too_large) => too_large.report("request", routine, diagnostics),
        }
        if is_one_way(routine.kind) {
            continue;
        }
        match reply(routine) {
            Ok(message) => routine.reply = Some(message),
            Err(too_large) => too_large.report("reply", routine, diagnostics),
        }
    }
}
