//! What a call makes of a macro's body: arguments in the places of the parameters, expanded on their own
//! unless `#` or `##` stands beside them; `#`, `##` and `__VA_OPT__` obeyed.

use super::Preprocessor;
use super::macros::{Argument, Macro};
use crate::diagnostics::Diagnostic;
use crate::lexer::Lexer;
use crate::source::Span;
use crate::token::{Kind, Names, Punct, Token};
use crate::{codes, limits};

/// A piece of a macro's body.
enum Piece<'b> {
    Token(Token),
    Parameter(usize),
    /// What stands between the parentheses of `__VA_OPT__`.
    Optional(&'b [Token]),
}

/// The piece that a body starts with, and how many tokens it takes.
fn piece<'b>(definition: &Macro, body: &'b [Token], names: &Names) -> Option<(Piece<'b>, usize)> {
    let token = body.first()?;
    if let Some(parameter) = definition.parameter(token) {
        return Some((Piece::Parameter(parameter), 1));
    }
    match optional(definition, body, names) {
        Some(inner) => Some((Piece::Optional(inner), inner.len() + 3)),
        None => Some((Piece::Token(*token), 1)),
    }
}

/// The tokens between the parentheses of a `__VA_OPT__` at the start of `body`.
fn optional<'b>(definition: &Macro, body: &'b [Token], names: &Names) -> Option<&'b [Token]> {
    let [word, open, rest @ ..] = body else { return None };
    if !is_optional(definition, word, names) || !open.is(Punct::LParen) {
        return None;
    }
    let mut depth = 0usize;
    let end = rest.iter().position(|token| match token.kind {
        Kind::Punct(Punct::LParen) => {
            depth += 1;
            false
        }
        Kind::Punct(Punct::RParen) if depth == 0 => true,
        Kind::Punct(Punct::RParen) => {
            depth -= 1;
            false
        }
        _ => false,
    })?;
    Some(&rest[..end])
}

fn is_optional(definition: &Macro, token: &Token, names: &Names) -> bool {
    definition.variadic && token.kind == Kind::Ident && names.text(token.symbol) == "__VA_OPT__"
}

/// What is wrong with the body of a macro: where, and why.
pub(super) fn wrong_body(definition: &Macro, names: &Names) -> Option<(Span, &'static str)> {
    let edges = |body: &[Token]| {
        let edges = [body.first(), body.last()];
        let edge = edges.into_iter().flatten().find(|t| t.is(Punct::HashHash))?;
        Some((edge.span, "`##` needs something on both sides"))
    };
    let body = &definition.body[..];
    if let Some(wrong) = edges(body) {
        return Some(wrong);
    }
    definition.parameters.as_ref()?;
    for (at, token) in body.iter().enumerate() {
        let follows = |at: usize| {
            let rest = &body[at.min(body.len())..];
            piece(definition, rest, names).is_some_and(|(piece, _)| !matches!(piece, Piece::Token(_)))
        };
        if token.is(Punct::Hash) && !follows(at + 1) {
            return Some((token.span, "`#` needs a parameter after it"));
        }
        if is_optional(definition, token, names) {
            let Some(inner) = optional(definition, &body[at..], names) else {
                return Some((token.span, "`__VA_OPT__` needs `(…)` after it"));
            };
            if inner.iter().any(|t| is_optional(definition, t, names)) {
                return Some((token.span, "`__VA_OPT__` inside `__VA_OPT__`"));
            }
            if let Some(wrong) = edges(inner) {
                return Some(wrong);
            }
        }
    }
    None
}

impl Preprocessor<'_> {
    /// The body with the arguments in it.
    pub(super) fn substitute(
        &mut self,
        definition: &Macro,
        body: &[Token],
        arguments: &mut [Argument],
        site: Span,
    ) -> Vec<Token> {
        let mut result = Vec::new();
        let mut at = 0;
        // The operand before a `##` was an empty argument.
        let mut empty_operand = false;
        while at < body.len() && !self.stopped {
            let token = body[at];
            let pasted_left = token.is(Punct::HashHash) && at + 1 < body.len();
            if pasted_left {
                at += 1;
            }
            let stringized = body[at].is(Punct::Hash) && at + 1 < body.len();
            let operand = at + usize::from(stringized);
            let Some((piece, taken)) = piece(definition, &body[operand..], &self.names) else { break };
            let start = body[at];
            at = operand + taken;
            let pasted = pasted_left || body.get(at).is_some_and(|next| next.is(Punct::HashHash));
            let comma = pasted_left && result.last().is_some_and(|t: &Token| t.is(Punct::Comma));
            let takes_rest = |parameter: usize| definition.variadic && parameter + 1 == arguments.len();
            match piece {
                // GNU's `, ## arguments`: no comma where there are none, and nothing is pasted.
                Piece::Parameter(parameter) if comma && !stringized && takes_rest(parameter) => {
                    if arguments[parameter].omitted {
                        result.pop();
                    }
                    let written = arguments[parameter].written.clone();
                    self.charge(written.len(), site);
                    result.extend(written);
                    empty_operand = false;
                }
                piece => {
                    let raw = pasted || stringized;
                    let mut made = self.made_of(definition, piece, raw, arguments, site);
                    if stringized {
                        let span = self.made(definition, start.span, site);
                        made = vec![self.stringize(&made, Token { span, ..start })];
                    }
                    self.charge(made.len(), site);
                    if pasted_left {
                        self.paste_onto(&mut result, made, &mut empty_operand, site);
                    } else {
                        if let Some(first) = made.first_mut() {
                            first.space = start.space;
                        }
                        empty_operand = made.is_empty() && pasted;
                        result.extend(made);
                    }
                }
            }
        }
        result
    }

    /// The tokens of a piece; an argument beside `#` or `##` as it is written.
    fn made_of(
        &mut self,
        definition: &Macro,
        piece: Piece<'_>,
        raw: bool,
        arguments: &mut [Argument],
        site: Span,
    ) -> Vec<Token> {
        match piece {
            Piece::Token(token) => vec![Token { span: self.made(definition, token.span, site), ..token }],
            Piece::Parameter(parameter) if raw => arguments[parameter].written.clone(),
            Piece::Parameter(parameter) => self.expanded(&mut arguments[parameter], site).to_vec(),
            Piece::Optional(inner) => {
                let given = match arguments.last_mut() {
                    Some(rest) => !self.expanded(rest, site).is_empty(),
                    None => false,
                };
                if given { self.substitute(definition, inner, arguments, site) } else { Vec::new() }
            }
        }
    }

    fn expanded<'t>(&mut self, argument: &'t mut Argument, site: Span) -> &'t [Token] {
        argument.expanded.get_or_insert_with(|| self.expand_apart(argument.written.clone(), site))
    }

    /// Applies `##` between the end of `result` and `right`.
    fn paste_onto(
        &mut self,
        result: &mut Vec<Token>,
        right: Vec<Token>,
        empty_operand: &mut bool,
        site: Span,
    ) {
        self.charge(right.len(), site);
        let mut right = right.into_iter();
        if let (false, Some(first)) = (*empty_operand, right.as_slice().first().copied()) {
            if let Some(left) = result.pop() {
                right.next();
                match self.paste(left, first) {
                    Some(made) => result.push(made),
                    None => result.extend([left, Token { space: false, ..first }]),
                }
            }
        } else if right.len() > 0 {
            *empty_operand = false;
        }
        result.extend(right);
    }

    /// Applies the `##` in the body of an object-like macro.
    pub(super) fn paste_all(&mut self, tokens: &mut Vec<Token>, site: Span) {
        if !tokens.iter().any(|t| t.is(Punct::HashHash)) {
            return;
        }
        let mut result = Vec::new();
        let mut rest = std::mem::take(tokens).into_iter();
        while let Some(token) = rest.next() {
            match token.is(Punct::HashHash).then(|| rest.next()).flatten() {
                Some(right) => self.paste_onto(&mut result, vec![right], &mut false, site),
                None => result.push(token),
            }
        }
        *tokens = result;
    }

    /// The one token that two make; an error is reported if they make none. A prefix and its literal
    /// (`L"text"`) are two tokens here, so they stay as they are without an error.
    fn paste(&mut self, left: Token, right: Token) -> Option<Token> {
        if matches!(right.kind, Kind::Str | Kind::Char)
            && matches!(self.names.spelled(&left), "L" | "u" | "U" | "u8")
        {
            return None;
        }
        let text = format!("{}{}", self.names.spelled(&left), self.names.spelled(&right));
        if text.len() > limits::MADE_TOKEN {
            self.stop(
                codes::MACRO_LIMIT,
                left.span,
                "macros make too much text",
                "a token of more than 4 KiB",
            );
            return None;
        }
        let mut lexer = Lexer::new(text.as_str().into(), 0);
        let made = lexer.next(&mut self.names);
        let whole = lexer.next(&mut self.names).kind == Kind::End;
        if whole
            && !matches!(made.kind, Kind::Comment | Kind::UnclosedComment | Kind::Illegal | Kind::Unclosed)
        {
            return Some(Token { kind: made.kind, symbol: made.symbol, painted: false, ..left });
        }
        let message = format!("`##` makes `{text}`, which is not one token");
        self.error(Diagnostic::error(codes::PASTE, left.span, message, "pasted here"));
        None
    }

    /// The tokens as a string.
    fn stringize(&mut self, tokens: &[Token], hash: Token) -> Token {
        let mut text = String::from('"');
        for (index, token) in tokens.iter().enumerate() {
            if token.space && index > 0 {
                text.push(' ');
            }
            let spelled = self.names.spelled(token);
            if matches!(token.kind, Kind::Str | Kind::Char) {
                text.push_str(&spelled.replace('\\', "\\\\").replace('"', "\\\""));
            } else {
                text.push_str(spelled);
            }
            if text.len() > limits::MADE_TOKEN {
                self.stop(
                    codes::MACRO_LIMIT,
                    hash.span,
                    "macros make too much text",
                    "a string of more than 4 KiB",
                );
                break;
            }
        }
        // A backslash of its own at the end would make the closing quote part of the text.
        let backslashes = text.len() - text.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            text.pop();
        }
        text.push('"');
        let symbol = self.names.intern(&text);
        Token { kind: Kind::Str, symbol, ..hash }
    }
}
