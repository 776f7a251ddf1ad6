//! What the back end does not generate yet, as diagnostics: never as code that may be wrong.

use mig_abi::System;
use mig_parser::diagnostics::{Diagnostic, Diagnostics};

use super::Options;
use super::forms::Form;
use crate::codes;
use crate::model::{Arg, Interface, Routine, SlotRole, TypeKind};

/// Reports everything in an interface that can't be generated.
pub(super) fn refuse(interface: &Interface, options: &Options, diagnostics: &mut Diagnostics) {
    let of_xnu = interface.abi.facts.system == System::Xnu;
    for routine in &interface.routines {
        if of_xnu && options.kernel_objects && options.side.client() {
            refuse_kernel_call(routine, diagnostics);
        }
        for arg in &routine.args {
            refuse_argument(arg, diagnostics);
            if !interface.abi.is_typed() {
                refuse_untyped(arg, diagnostics);
            }
        }
    }
}

/// What XNU does not take for an object of the kernel.
fn refuse_kernel_call(routine: &Routine, diagnostics: &mut Diagnostics) {
    /// `IPC_KOBJECT_DESC_MAX`
    const DESCRIPTORS: usize = 3;
    let mut refused = |message: String, label: &str| {
        let error = Diagnostic::error(codes::KERNEL_OBJECT, routine.span, message, label);
        diagnostics.push(error.with_help(
            "`kernel_objects` is for interfaces of the kernel; leave it out if a task receives from this port",
        ));
    };
    if routine.reply.is_none() {
        let message = format!("`{}` waits for no reply, and is sent to the kernel", routine.name);
        refused(message, "the kernel ends a program that sends to it without receiving");
    }
    let is_descriptor = |role| matches!(role, SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts);
    let descriptors = routine.request.slots.iter().filter(|slot| is_descriptor(slot.role)).count();
    if descriptors > DESCRIPTORS {
        let message = format!("the request of `{}` has {descriptors} descriptors", routine.name);
        let label = format!("the kernel takes {DESCRIPTORS} at most: of rights, and of memory out of line");
        refused(message, &label);
    }
}

fn refuse_argument(arg: &Arg, diagnostics: &mut Diagnostics) {
    let not_yet = |what: &str| {
        Diagnostic::error(
            codes::ARGUMENT_NOT_GENERATED,
            arg.span,
            format!("`{}` is not generated yet", arg.name),
            what,
        )
    };
    let travels = arg.in_request() || arg.in_reply();
    if travels && Form::of(&arg.ty).is_none() {
        diagnostics.push(not_yet("an array of this kind has no form in Rust yet"));
    }
}

/// Arrays of arrays of rights: their counts are of the inner arrays, which a list of rights does not show.
fn refuse_untyped(arg: &Arg, diagnostics: &mut Diagnostics) {
    let element = match &arg.ty.kind {
        TypeKind::Bounded { element, .. }
        | TypeKind::Indefinite { element, .. }
        | TypeKind::OutOfLine { element, .. } => element,
        _ => return,
    };
    if element.port().is_some() && !matches!(element.kind, TypeKind::Port(_)) {
        diagnostics.push(Diagnostic::error(
            codes::ARGUMENT_NOT_GENERATED,
            arg.span,
            format!("`{}` is not generated yet", arg.name),
            "an array of arrays of rights",
        ));
    }
}
