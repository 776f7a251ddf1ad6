//! The grammar of all dialects in one, on nom.
//!
//! Where a word is a keyword in some dialects only, it is a keyword where these dialects have it and a name
//! where a name is asked for. What a dialect does not have is not refused here.

mod expected;
mod expression;
mod input;
mod report;
mod routine;
mod statement;
mod types;

use nom::Err;

use crate::ast::{Ast, Statement};
use crate::diagnostics::Diagnostics;
use crate::keyword::Keyword;
use crate::preprocess::Preprocessed;
use crate::source::Span;
use crate::token::{Kind, Punct, Token};
use input::{Fault, Shared, Tokens, punct};

pub(crate) use routine::DIRECTIONS;
pub(crate) use statement::STARTS;
pub(crate) use types::OPTIONS as TYPE_OPTIONS;

/// Parses what the preprocessor left. Statements with errors are reported and left out.
pub(crate) fn parse(input: &Preprocessed, diagnostics: &mut Diagnostics) -> Ast {
    let tokens = &input.tokens;
    let shared = Shared::new(tokens, &input.names, &input.docs, &input.sources);
    let end = input.tokens.last().map_or(Span::default(), |end| end.span);
    // Each statement ends with a `;`. Hostile input has a million of them, for which no room is taken in
    // advance.
    let statements = tokens.iter().filter(|token| token.is(Punct::Semicolon)).take(1 << 10).count();
    let mut ast = Ast { end, statements: Vec::with_capacity(statements), ..Ast::default() };
    let mut at = 0;
    while tokens[at].kind != Kind::End {
        if tokens[at].is(Punct::Semicolon) {
            at += 1;
            continue;
        }
        match statement(shared.from(at)) {
            Ok((rest, statement)) => {
                at = rest.at();
                ast.statements.push(statement);
            }
            Err(error) => {
                let (wrong, diagnostic) = report::diagnostic(&shared, error);
                // Where the preprocessor has found a mistake, or has stopped, this error follows from that.
                let known = input.stopped || diagnostics.iter().any(|d| d.span() == diagnostic.span());
                if !known && !diagnostics.push_bounded(diagnostic) {
                    break;
                }
                ast.wrong_types.extend(declared_type(&shared, tokens, at));
                if !input.stopped && !members(&shared, tokens, at, wrong, diagnostics) {
                    break;
                }
                at = recover(&shared, tokens, at, wrong);
            }
        }
    }
    ast
}

/// The name of the type that the statement at `start` declares.
fn declared_type(shared: &Shared<'_>, tokens: &[Token], start: usize) -> Option<String> {
    let (word, name) = (tokens.get(start)?, tokens.get(start + 1)?);
    let is_type = shared.names.keyword(word.symbol) == Some(Keyword::Type) && name.kind == Kind::Ident;
    is_type.then(|| shared.names.text(name.symbol).to_owned())
}

/// Reports what is wrong with the members of a structure after the error at `wrong`. False if there are too
/// many errors.
fn members(
    shared: &Shared<'_>,
    tokens: &[Token],
    start: usize,
    wrong: usize,
    diagnostics: &mut Diagnostics,
) -> bool {
    let opened = tokens[start..wrong].iter().rposition(|token| token.is(Punct::LBrace));
    let closed = tokens[start..wrong].iter().rposition(|token| token.is(Punct::RBrace));
    if opened <= closed {
        return true;
    }
    let mut at = wrong;
    loop {
        // After the member that is wrong.
        while !tokens[at].is(Punct::Semicolon) {
            if tokens[at].kind == Kind::End
                || tokens[at].is(Punct::RBrace)
                || starts_statement(shared, tokens[at])
            {
                return true;
            }
            at += 1;
        }
        at += 1;
        let diagnostic = loop {
            if tokens[at].kind == Kind::End
                || tokens[at].is(Punct::RBrace)
                || starts_statement(shared, tokens[at])
            {
                return true;
            }
            match types::member(shared.from(at)) {
                Ok((rest, _)) => at = rest.at(),
                Err(error) => break report::diagnostic(shared, error),
            }
        };
        let (wrong, diagnostic) = diagnostic;
        if !diagnostics.push_bounded(diagnostic) {
            return false;
        }
        at = wrong.max(at);
    }
}

fn statement(input: Tokens<'_>) -> Result<(Tokens<'_>, Statement), Err<Fault>> {
    let (rest, kind) = statement::kind(input)?;
    let span = input.span_to(&rest);
    let (rest, _) = punct(Punct::Semicolon)(rest)?;
    let doc = input.shared.docs.lines(input.peek().doc, input.shared.sources);
    Ok((rest, Statement { kind, span, doc }))
}

/// The token to go on with after an error at token `wrong` of the statement that starts at `start`: after the
/// `;` that ends the statement, or at a word that starts the next.
///
/// Inside parentheses a `;` ends the statement only if a new one starts after it: a missing `)` must not
/// swallow the rest of the file.
fn recover(shared: &Shared<'_>, tokens: &[Token], start: usize, wrong: usize) -> usize {
    let mut depth = 0i64;
    for at in start..tokens.len() {
        let token = tokens[at];
        match token.kind {
            Kind::End => return at,
            Kind::Punct(Punct::LParen | Punct::LBrace) => depth += 1,
            Kind::Punct(Punct::RParen | Punct::RBrace) => depth -= 1,
            Kind::Punct(Punct::Semicolon)
                if at >= wrong && (depth <= 0 || starts_statement(shared, tokens[at + 1])) =>
            {
                return at + 1;
            }
            Kind::Ident if at >= wrong && at > start && starts_statement(shared, token) => return at,
            _ => {}
        }
    }
    tokens.len() - 1
}

/// Whether only a statement can start with this.
fn starts_statement(shared: &Shared<'_>, token: Token) -> bool {
    let keyword = (token.kind == Kind::Ident).then(|| shared.names.keyword(token.symbol)).flatten();
    // These words start arguments, too.
    let ambiguous = [Keyword::WaitTime, Keyword::MsgOption];
    keyword.is_some_and(|k| k.is_reserved() && statement::STARTS.contains(&k) && !ambiguous.contains(&k))
}
