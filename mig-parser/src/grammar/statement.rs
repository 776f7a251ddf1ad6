//! Statements.

use nom::Parser as _;
use nom::combinator::opt;
use nom::sequence::preceded;

use super::expected::{Class, Expected};
use super::expression::number;
use super::input::{Parsed, Tokens, any, ident, punct};
use super::{routine, types};
use crate::ast::{Import, ImportKind, RoutineKind, StatementKind, Subsystem, SubsystemModifier, Text};
use crate::keyword::Keyword;
use crate::source::{NOT_UTF8, Span};
use crate::token::{Kind, Punct};

/// The keywords with which a statement starts.
pub(crate) const STARTS: &[Keyword] = &[
    Keyword::Subsystem,
    Keyword::WaitTime,
    Keyword::NoWaitTime,
    Keyword::SendTime,
    Keyword::NoSendTime,
    Keyword::MsgOption,
    Keyword::MsgType,
    Keyword::MsgKind,
    Keyword::ServerPrefix,
    Keyword::UserPrefix,
    Keyword::ServerDemux,
    Keyword::Error,
    Keyword::UseSpecialReplyPort,
    Keyword::ConsumeOnSendError,
    Keyword::UserTypeLimit,
    Keyword::OnStackLimit,
    Keyword::Type,
    Keyword::Routine,
    Keyword::SimpleRoutine,
    Keyword::Procedure,
    Keyword::SimpleProcedure,
    Keyword::Function,
    Keyword::Skip,
    Keyword::Import,
    Keyword::UImport,
    Keyword::SImport,
    Keyword::IImport,
    Keyword::DImport,
    Keyword::RcsId,
];

/// A statement without its `;`.
pub(super) fn kind(input: Tokens<'_>) -> Parsed<'_, StatementKind> {
    let Some(keyword) = input.keyword().filter(|k| STARTS.contains(k)) else {
        return input.fail(Expected::keywords(STARTS));
    };
    let (input, _) = input.advance(())?;
    match keyword {
        Keyword::Subsystem => subsystem.map(StatementKind::Subsystem).parse(input),
        Keyword::WaitTime => value.map(Some).map(StatementKind::WaitTime).parse(input),
        Keyword::NoWaitTime => Ok((input, StatementKind::WaitTime(None))),
        Keyword::SendTime => value.map(Some).map(StatementKind::SendTime).parse(input),
        Keyword::NoSendTime => Ok((input, StatementKind::SendTime(None))),
        Keyword::MsgOption => value.map(StatementKind::MsgOption).parse(input),
        Keyword::MsgType => value.map(StatementKind::MsgType).parse(input),
        Keyword::MsgKind => value.map(StatementKind::MsgKind).parse(input),
        Keyword::ServerPrefix => ident.map(StatementKind::ServerPrefix).parse(input),
        Keyword::UserPrefix => ident.map(StatementKind::UserPrefix).parse(input),
        Keyword::ServerDemux => ident.map(StatementKind::ServerDemux).parse(input),
        Keyword::Error => ident.map(StatementKind::Error).parse(input),
        Keyword::UseSpecialReplyPort => number.map(StatementKind::UseSpecialReplyPort).parse(input),
        Keyword::ConsumeOnSendError => value.map(StatementKind::ConsumeOnSendError).parse(input),
        Keyword::UserTypeLimit => number.map(StatementKind::UserTypeLimit).parse(input),
        Keyword::OnStackLimit => number.map(StatementKind::OnStackLimit).parse(input),
        Keyword::Type => types::declaration.map(StatementKind::Type).parse(input),
        Keyword::Routine => routine::routine(RoutineKind::Routine, input),
        Keyword::SimpleRoutine => routine::routine(RoutineKind::SimpleRoutine, input),
        Keyword::Procedure => routine::routine(RoutineKind::Procedure, input),
        Keyword::SimpleProcedure => routine::routine(RoutineKind::SimpleProcedure, input),
        Keyword::Function => routine::routine(RoutineKind::Function, input),
        Keyword::Skip => opt(number).map(StatementKind::Skip).parse(input),
        Keyword::UImport => import(ImportKind::User, input),
        Keyword::SImport => import(ImportKind::Server, input),
        Keyword::IImport => import(ImportKind::Internal, input),
        Keyword::DImport => import(ImportKind::Define, input),
        Keyword::RcsId => quoted_string.map(StatementKind::RcsId).parse(input),
        _ => import(ImportKind::Both, input),
    }
}

fn subsystem(input: Tokens<'_>) -> Parsed<'_, Subsystem> {
    (any(modifier), ident, number)
        .map(|(modifiers, name, base)| Subsystem { modifiers, name, base })
        .parse(input)
}

fn modifier(input: Tokens<'_>) -> Parsed<'_, (SubsystemModifier, Span)> {
    let span = input.peek().span;
    match input.keyword() {
        Some(Keyword::KernelUser) => input.advance((SubsystemModifier::KernelUser, span)),
        Some(Keyword::KernelServer) => input.advance((SubsystemModifier::KernelServer, span)),
        // Otherwise the word is the subsystem's name.
        Some(Keyword::Kernel) if input.ahead(1).kind == Kind::Ident => {
            input.advance((SubsystemModifier::Kernel, span))
        }
        _ => input.fail(Expected::keywords(&[Keyword::KernelUser, Keyword::KernelServer])),
    }
}

/// One run of `-/._$A-Za-z0-9` without white space in it: several tokens for C, one for MIG.
fn value(input: Tokens<'_>) -> Parsed<'_, Text> {
    let mut rest = input;
    let mut text = String::new();
    loop {
        let token = rest.peek();
        let part = match token.kind {
            Kind::Ident | Kind::Number => rest.text(token),
            Kind::Punct(p @ (Punct::Minus | Punct::Slash | Punct::Dot | Punct::Dollar)) => p.text(),
            _ => break,
        };
        // A number of the preprocessor may have a sign in it: `1e+3`.
        if part.contains('+') || token.space && !text.is_empty() {
            break;
        }
        text.push_str(part);
        rest = rest.advance(())?.0;
    }
    if text.is_empty() {
        return input.fail(Expected::class(Class::Value));
    }
    Ok((rest, Text { text, span: input.span_to(&rest) }))
}

fn quoted_string(input: Tokens<'_>) -> Parsed<'_, Text> {
    let token = input.peek();
    if token.kind != Kind::Str || input.text(token).contains(NOT_UTF8) {
        return input.fail(Expected::class(Class::QuotedString));
    }
    input.advance(Text { text: input.text(token).to_owned(), span: token.span })
}

fn import(kind: ImportKind, input: Tokens<'_>) -> Parsed<'_, StatementKind> {
    file_name.map(|file| StatementKind::Import(Import { kind, file })).parse(input)
}

/// `"…"` or `<…>`; the latter is several tokens if a macro made the keyword or the name.
fn file_name(input: Tokens<'_>) -> Parsed<'_, Text> {
    let token = input.peek();
    match token.kind {
        Kind::Str | Kind::Angled if !input.text(token).contains(NOT_UTF8) => {
            input.advance(Text { text: input.text(token).to_owned(), span: token.span })
        }
        Kind::Punct(Punct::Less) => {
            let (mut rest, _) = input.advance(())?;
            let mut text = String::from("<");
            while !rest.peek().is(Punct::Greater) {
                let part = rest.peek();
                if matches!(part.kind, Kind::End | Kind::Punct(Punct::Semicolon)) {
                    return rest.fail(Expected::class(Class::FileName));
                }
                text.push_str(rest.shared.names.spelled(&part));
                rest = rest.advance(())?.0;
            }
            text.push('>');
            let (rest, _) = rest.advance(())?;
            Ok((rest, Text { text, span: input.span_to(&rest) }))
        }
        _ => input.fail(Expected::class(Class::FileName)),
    }
}

/// `: name`, which many options have.
pub(super) fn colon_name(input: Tokens<'_>) -> Parsed<'_, crate::ast::Ident> {
    preceded(punct(Punct::Colon), ident).parse(input)
}
