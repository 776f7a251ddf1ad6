//! What the back end does not generate yet, as diagnostics: never as code that may be wrong.

use mig_parser::ast::Direction;
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::source::Span;

use super::client::{milliseconds, option_bits};
use super::forms::Form;
use crate::codes;
use crate::model::{Arg, Interface, Routine};

/// Reports everything in an interface that can't be generated.
pub(super) fn refuse(interface: &Interface, diagnostics: &mut Diagnostics) {
    if !interface.abi.is_typed() {
        diagnostics.push(Diagnostic::error(
            codes::ABI_NOT_GENERATED,
            interface.span,
            format!("messages of `{}` are not generated yet", interface.abi.name()),
            "only the typed ABIs `gnu-i386`, `gnu-x86_64` and `cmu-32` are",
        ));
        return;
    }
    for routine in &interface.routines {
        refuse_options(routine, diagnostics);
        for arg in &routine.args {
            refuse_argument(arg, diagnostics);
        }
    }
}

fn refuse_options(routine: &Routine, diagnostics: &mut Diagnostics) {
    let time = routine.wait_time.as_deref().filter(|_| routine.reply.is_some());
    if let Some(time) = time.filter(|time| milliseconds(time).is_none()) {
        expression(routine.span, "waiting time", time, diagnostics);
    }
    if let Some(bits) = routine.msg_option.as_deref().filter(|bits| option_bits(bits).is_none()) {
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
        | Direction::MsgOption
        | Direction::MsgSeqno => return,
        _ => return diagnostics.push(not_yet("an argument from the message's trailer")),
    }
    if Form::of(&arg.ty).is_none() {
        diagnostics.push(not_yet("an array of this kind has no form in Rust yet"));
    }
}
