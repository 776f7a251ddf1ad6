//! The diagnostics of statements that are wrong.

use nom::Err;

use super::expected::{Class, Expected};
use super::input::{Fault, Shared};
use super::{routine, statement, types};
use crate::codes;
use crate::diagnostics::Diagnostic;
use crate::keyword::Keyword;
use crate::source::NOT_UTF8;
use crate::suggest::nearest;
use crate::token::{Kind, Punct, Token};

/// Sets that have a name of their own.
const GROUPS: &[(Expected, &str)] = &[
    (Expected::keywords(statement::STARTS), "a statement"),
    (TYPE, "a type"),
    (Expected::keywords(types::OPTIONS), "an option of the type"),
    (Expected::keywords(routine::DIRECTIONS), "a direction"),
    (Expected::keywords(routine::FLAGS), "a flag"),
];

const TYPE: Expected = Expected::keywords(types::STARTS)
    .or(Expected::class(Class::MessageType))
    .or(Expected::class(Class::Name))
    .or(Expected::class(Class::Number));

/// The diagnostic for a failed statement, and the token at which it failed.
pub(super) fn diagnostic(shared: &Shared<'_>, error: Err<Fault>) -> (usize, Diagnostic) {
    let (at, expected) = shared.furthest();
    match error {
        Err::Failure(Fault::Invalid(diagnostic)) | Err::Error(Fault::Invalid(diagnostic)) => {
            (at, *diagnostic)
        }
        _ => (at, unexpected(shared, at, expected)),
    }
}

fn unexpected(shared: &Shared<'_>, at: usize, expected: Expected) -> Diagnostic {
    let token = shared.token(at);
    if let Some(diagnostic) = not_a_token(shared, token) {
        return diagnostic;
    }
    let wanted = expected.describe(GROUPS);
    let found = found(shared, token);
    // At the end of the file there is nothing to see, so the last token is shown.
    let last = at.checked_sub(1).filter(|_| token.kind == Kind::End).map(|before| shared.token(before).span);
    let label =
        if last.is_some() { format!("expected {wanted} after this") } else { format!("expected {wanted}") };
    let span = last.unwrap_or(token.span);
    let diagnostic =
        Diagnostic::error(codes::SYNTAX, span, format!("expected {wanted}, found {found}"), label);
    match help(shared, at, expected) {
        Some(help) => diagnostic.with_help(help),
        None => diagnostic,
    }
}

/// The error of a token that fits nowhere; `None` if it could stand elsewhere.
fn not_a_token(shared: &Shared<'_>, token: Token) -> Option<Diagnostic> {
    let text = shared.names.text(token.symbol);
    let span = token.span;
    Some(match token.kind {
        Kind::Illegal if text.starts_with(NOT_UTF8) => {
            Diagnostic::error(codes::ENCODING, span, "the file is not UTF-8 here", "this byte")
        }
        Kind::Illegal => {
            let message = format!("the character `{}` is not of the language", text.escape_debug());
            Diagnostic::error(codes::ILLEGAL, span, message, "not allowed here")
        }
        Kind::Unclosed => Diagnostic::error(
            codes::OPEN_STRING,
            span,
            "a quote is not closed",
            "the line ends before the quote does",
        ),
        Kind::Str | Kind::Angled if text.contains(NOT_UTF8) => {
            Diagnostic::error(codes::ENCODING, span, "the file is not UTF-8 here", "in this text")
        }
        _ => return None,
    })
}

fn found(shared: &Shared<'_>, token: Token) -> String {
    match token.kind {
        Kind::End => "the end of the file".to_owned(),
        Kind::Ident if shared.names.keyword(token.symbol).is_some_and(Keyword::is_reserved) => {
            format!("the keyword `{}`", shared.names.text(token.symbol))
        }
        _ => {
            let text = shared.names.spelled(&token);
            let short: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
            if short.len() < text.len() { format!("`{short}…`") } else { format!("`{text}`") }
        }
    }
}

fn help(shared: &Shared<'_>, at: usize, expected: Expected) -> Option<String> {
    let token = shared.token(at);
    let text = shared.names.text(token.symbol);
    if token.kind == Kind::Ident {
        let keyword = shared.names.keyword(token.symbol).filter(|k| k.is_reserved());
        match keyword {
            Some(_) if expected.contains(Expected::class(Class::Name)) => {
                return Some(format!("`{text}` is a keyword and cannot be a name"));
            }
            Some(keyword) if statement::STARTS.contains(&keyword) && expected.contains(semicolon()) => {
                return Some("a `;` is missing before it".to_owned());
            }
            Some(_) => return None,
            None => {}
        }
        if let Some(near) = nearest(text, expected.words()) {
            return Some(format!("did you mean `{near}`?"));
        }
    }
    // In `ou x : int` the mistake is one word before the token that does not fit.
    let before = shared.token(at.checked_sub(1)?);
    if before.is(Punct::Semicolon) && token.is(Punct::RParen) {
        return Some("no `;` stands after the last argument".to_owned());
    }
    if before.kind != Kind::Ident
        || token.kind != Kind::Ident
        || !expected.contains(Expected::punct(Punct::Colon))
    {
        return None;
    }
    let directions = routine::DIRECTIONS.iter().map(|k| k.text());
    nearest(shared.names.text(before.symbol), directions).map(|near| format!("did you mean `{near}`?"))
}

fn semicolon() -> Expected {
    Expected::punct(Punct::Semicolon)
}
