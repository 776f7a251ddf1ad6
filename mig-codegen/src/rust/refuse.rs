//! What the back end does not generate yet, as diagnostics: never as code that may be wrong.

use std::collections::HashSet;

use mig_parser::ast::Direction;
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::source::Span;
use mig_runtime::abi::System;
use proc_macro2::TokenStream;

use super::Options;
use super::forms::Form;
use super::types::is_port;
use super::untyped::trailer_field;
use crate::abi::Language;
use crate::codes;
use crate::model::{Arg, Interface, Role, Routine, TypeKind};
use crate::resolve::{self, suggest};

/// Reports everything in an interface that can't be generated.
pub(super) fn refuse(interface: &Interface, options: &Options, diagnostics: &mut Diagnostics) {
    let of_xnu = interface.abi.facts.system == System::Xnu;
    let mut reported = HashSet::new();
    for routine in &interface.routines {
        if of_xnu && options.kernel_objects && options.side.client() {
            refuse_kernel_call(routine, diagnostics);
        }
        refuse_options(routine, interface.abi.language, &mut reported, diagnostics);
        for arg in &routine.args {
            refuse_argument(arg, diagnostics);
            if !interface.abi.is_typed() {
                refuse_untyped(arg, diagnostics);
            }
        }
    }
}

/// Statements whose value only a C compiler knows; each is reported once, whatever the number of routines behind it.
fn refuse_options(
    routine: &Routine,
    language: &Language,
    reported: &mut HashSet<Span>,
    diagnostics: &mut Diagnostics,
) {
    let waits = routine.reply.is_some() || language.wait_time_sends;
    for (what, setting, counts) in [
        ("waiting time", &routine.wait_time, waits),
        ("sending time", &routine.send_time, true),
        ("message option", &routine.msg_option, true),
    ] {
        let Some(setting) = setting.as_ref().filter(|setting| counts && setting.value.is_none()) else {
            continue;
        };
        if !reported.insert(setting.span) {
            continue;
        }
        let text = &setting.text;
        let near = (what == "message option")
            .then(|| suggest::nearest(text, resolve::options::names(language).map(str::to_owned)))
            .flatten();
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("give its value: `-D {text}=…`"),
        };
        diagnostics.push(
            Diagnostic::error(
                codes::C_EXPRESSION,
                setting.span,
                format!("the {what} `{text}` is not a number"),
                "only a C compiler knows this macro",
            )
            .with_help(help),
        );
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
    let is_descriptor = |role| matches!(role, Role::Port | Role::Ool | Role::OolPorts);
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
    match arg.direction {
        Direction::In | Direction::Out | Direction::InOut => {}
        Direction::RequestPort
        | Direction::ReplyPort
        | Direction::SReplyPort
        | Direction::UReplyPort
        | Direction::WaitTime
        | Direction::SendTime
        | Direction::MsgOption
        | Direction::MsgSeqno => return,
        _ if trailer_field(&TokenStream::new(), arg).is_some() => return,
        _ => return diagnostics.push(not_yet("no trailer has a field of this name")),
    }
    if Form::of(&arg.ty).is_none() {
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
    if is_port(element) && !matches!(element.kind, TypeKind::Port(_)) {
        diagnostics.push(Diagnostic::error(
            codes::ARGUMENT_NOT_GENERATED,
            arg.span,
            format!("`{}` is not generated yet", arg.name),
            "an array of arrays of rights",
        ));
    }
}
