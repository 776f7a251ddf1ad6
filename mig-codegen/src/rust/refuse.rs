//! What the back end does not generate yet, as diagnostics: never as code that may be wrong.

use mig_parser::ast::Direction;
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::source::Span;
use proc_macro2::TokenStream;

use super::client::{milliseconds, option_bits};
use super::forms::Form;
use super::types::is_port;
use super::untyped::trailer_field;
use crate::abi::Language;
use crate::codes;
use crate::model::{Arg, Interface, Routine, TypeKind};

/// Reports everything in an interface that can't be generated.
pub(super) fn refuse(interface: &Interface, diagnostics: &mut Diagnostics) {
    for routine in &interface.routines {
        refuse_options(routine, interface.abi.language, diagnostics);
        for arg in &routine.args {
            refuse_argument(arg, diagnostics);
            if !interface.abi.is_typed() {
                refuse_untyped(arg, diagnostics);
            }
        }
    }
}

fn refuse_options(routine: &Routine, language: &Language, diagnostics: &mut Diagnostics) {
    let waits = routine.reply.is_some() || language.wait_time_sends;
    for (what, time, counts) in
        [("waiting time", &routine.wait_time, waits), ("sending time", &routine.send_time, true)]
    {
        if let Some(time) = time.as_deref().filter(|time| counts && milliseconds(time).is_none()) {
            expression(routine.span, what, time, diagnostics);
        }
    }
    if let Some(bits) = routine.msg_option.as_deref().filter(|bits| option_bits(bits, language).is_none()) {
        expression(routine.span, "message option", bits, diagnostics);
    }
}

/// A statement whose value only a C compiler knows.
fn expression(span: Span, what: &str, text: &str, diagnostics: &mut Diagnostics) {
    diagnostics.push(
        Diagnostic::error(
            codes::C_EXPRESSION,
            span,
            format!("the {what} `{text}` is not a number"),
            "only a C compiler knows this macro",
        )
        .with_help(format!("give its value: `-D {text}=…`")),
    );
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
