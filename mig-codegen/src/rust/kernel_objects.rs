//! Requests that XNU does not take for an object of the kernel, which are errors where the user says that the
//! requests go to one.

use mig_abi::System;
use mig_parser::diagnostics::{Diagnostic, Diagnostics};

use super::Options;
use crate::codes;
use crate::model::{Interface, Routine, SlotRole};

/// Reports the requests that the kernel would not take.
pub(super) fn check(interface: &Interface, options: &Options, diagnostics: &mut Diagnostics) {
    if interface.abi.facts.system == System::Xnu && options.kernel_objects && options.side.client() {
        for routine in &interface.routines {
            check_request(routine, diagnostics);
        }
    }
}

fn check_request(routine: &Routine, diagnostics: &mut Diagnostics) {
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
