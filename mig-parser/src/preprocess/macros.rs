//! Macros and their expansion, as in C: arguments are expanded on their own unless `#` or `##` stands beside them, the
//! result is read again together with what follows, and a macro's own name inside its expansion stays as it is.

use std::cell::Cell;
use std::rc::Rc;

use super::Preprocessor;
use crate::diagnostics::Diagnostic;
use crate::lexer::Lexer;
use crate::source::Span;
use crate::token::{Kind, Punct, Symbol, Token};
use crate::{codes, limits};

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Symbol,
    pub(super) span: Span,
    /// `None` for an object-like macro. The last one of a variadic macro is `__VA_ARGS__`.
    pub(super) parameters: Option<Vec<Symbol>>,
    pub(super) variadic: bool,
    pub(super) body: Vec<Token>,
    /// Its expansion is being read.
    pub(super) active: Cell<bool>,
}

/// Tokens to be read in front of everything else.
pub(super) struct Context {
    tokens: Vec<Token>,
    at: usize,
    /// The macro that made them; without one nothing behind them is read before they are taken away: a barrier.
    made_by: Option<Rc<Macro>>,
    pub(super) site: Span,
}

impl Context {
    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        token
    }

    pub(super) fn is_barrier(&self) -> bool {
        self.made_by.is_none()
    }

    /// Forgets the tokens that are left.
    pub(super) fn finish(&mut self) {
        self.at = self.tokens.len();
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Some(made_by) = &self.made_by {
            made_by.active.set(false);
        }
    }
}

impl Macro {
    fn parameter(&self, token: &Token) -> Option<usize> {
        if token.kind != Kind::Ident {
            return None;
        }
        self.parameters.as_ref()?.iter().position(|p| *p == token.symbol)
    }

    /// Whether both say the same, so that a second definition does no harm.
    pub(super) fn same(&self, other: &Self) -> bool {
        let alike = |(a, b): (&Token, &Token)| a.kind == b.kind && a.symbol == b.symbol;
        self.parameters == other.parameters
            && self.variadic == other.variadic
            && self.body.len() == other.body.len()
            && self.body.iter().zip(&other.body).all(alike)
    }
}

/// An argument of a call: as written, and expanded when that is asked for.
struct Argument {
    written: Vec<Token>,
    expanded: Option<Vec<Token>>,
}

impl Preprocessor<'_> {
    /// Expands a macro whose name is `name`; false if it is one with parameters that is not called here.
    pub(super) fn expand(&mut self, definition: &Rc<Macro>, name: Token) -> bool {
        let mut tokens = match &definition.parameters {
            None => definition.body.clone(),
            Some(_) if !self.paren_follows() => return false,
            Some(_) => match self.arguments(definition, name) {
                Some(arguments) => self.substitute(definition, arguments, name.span),
                // Reported. The name stands for what it should have made, so that one mistake is one error.
                None => vec![Token { painted: true, span: name.span, ..name }],
            },
        };
        self.charge(tokens.len() + 1, name.span);
        if self.stopped {
            return true;
        }
        if definition.parameters.is_none() {
            for token in &mut tokens {
                token.span = self.made(definition, token.span, name.span);
            }
            self.paste_all(&mut tokens, name.span);
        }
        if let Some(first) = tokens.first_mut() {
            first.space = name.space;
            first.doc = name.doc;
        }
        definition.active.set(true);
        self.contexts.push(Context { tokens, at: 0, made_by: Some(definition.clone()), site: name.span });
        true
    }

    /// Expands tokens on their own: nothing around them takes part.
    pub(super) fn expand_apart(&mut self, tokens: Vec<Token>, site: Span) -> Vec<Token> {
        if self.call_depth == limits::CALL_DEPTH {
            self.stop(
                codes::MACRO_LIMIT,
                site,
                "macro calls are nested too deep",
                "more than 64 calls in calls",
            );
        }
        if self.stopped {
            return Vec::new();
        }
        self.call_depth += 1;
        self.contexts.push(Context { tokens, at: 0, made_by: None, site });
        let depth = self.contexts.len();
        let mut expanded = Vec::new();
        loop {
            let token = self.next();
            if token.kind == Kind::End {
                break;
            }
            expanded.push(token);
        }
        self.contexts.truncate(depth - 1);
        self.call_depth -= 1;
        expanded
    }

    /// Counts what macros make; ends everything when it is too much.
    fn charge(&mut self, tokens: usize, site: Span) {
        match self.macro_tokens_left.checked_sub(tokens) {
            Some(left) => self.macro_tokens_left = left,
            None => {
                self.stop(
                    codes::MACRO_LIMIT,
                    site,
                    "macros make too much text",
                    "more than a million tokens",
                );
            }
        }
    }

    fn made(&mut self, definition: &Macro, spelling: Span, site: Span) -> Span {
        let name = self.names.shared(definition.name);
        self.sources.expand(name, spelling, site)
    }

    /// Whether the next token is `(`; expansions that are at their end are taken away.
    fn paren_follows(&mut self) -> bool {
        while let Some(context) = self.contexts.last() {
            match context.tokens.get(context.at) {
                Some(token) => return token.is(Punct::LParen),
                None if context.is_barrier() => return false,
                None => drop(self.contexts.pop()),
            }
        }
        self.frames.last().is_some_and(|frame| frame.lexer.paren_follows())
    }

    /// The arguments of a call, whose `(` is the next token. `None` if the call is wrong, which is reported.
    fn arguments(&mut self, definition: &Macro, name: Token) -> Option<Vec<Argument>> {
        let wanted = definition.parameters.as_ref().map_or(0, Vec::len);
        let mut arguments = vec![Vec::new()];
        let mut depth = 0usize;
        self.unexpanded();
        loop {
            let token = self.unexpanded();
            self.charge(1, name.span);
            match token.kind {
                Kind::End => {
                    self.call_error(definition, name, "this call has no `)`".to_owned());
                    return None;
                }
                Kind::Punct(Punct::RParen) if depth == 0 => break,
                Kind::Punct(Punct::RParen) => depth -= 1,
                Kind::Punct(Punct::LParen) => depth += 1,
                Kind::Punct(Punct::Comma)
                    if depth == 0 && !(definition.variadic && arguments.len() == wanted) =>
                {
                    arguments.push(Vec::new());
                    continue;
                }
                _ => {}
            }
            arguments.last_mut()?.push(token);
        }
        if wanted == 0 && arguments.len() == 1 && arguments[0].is_empty() {
            arguments.clear();
        }
        if definition.variadic && arguments.len() + 1 == wanted {
            arguments.push(Vec::new());
        }
        if arguments.len() != wanted {
            let s = |n| if n == 1 { "" } else { "s" };
            let given = arguments.len();
            let label =
                format!("called with {given} argument{}, it has {wanted} parameter{}", s(given), s(wanted));
            self.call_error(definition, name, label);
            return None;
        }
        Some(arguments.into_iter().map(|written| Argument { written, expanded: None }).collect())
    }

    fn call_error(&mut self, definition: &Macro, name: Token, label: String) {
        if self.stopped {
            return;
        }
        let message = format!("the macro `{}` is not called as it is defined", self.names.text(name.symbol));
        let diagnostic = Diagnostic::error(codes::MACRO_CALL, name.span, message, label);
        self.error(diagnostic.with_note(definition.span, "defined here"));
    }

    /// The body with the arguments in it, `#` and `##` applied.
    fn substitute(&mut self, definition: &Macro, mut arguments: Vec<Argument>, site: Span) -> Vec<Token> {
        let body = &definition.body;
        let mut result = Vec::new();
        let mut at = 0;
        // The operand in front of a `##` is an empty argument.
        let mut empty_operand = false;
        while at < body.len() && !self.stopped {
            let token = body[at];
            let next = body.get(at + 1);
            if token.is(Punct::Hash) && next.is_some_and(|n| definition.parameter(n).is_some()) {
                let argument = next.and_then(|n| definition.parameter(n)).unwrap_or_default();
                let span = self.made(definition, token.span, site);
                let made = self.stringize(&arguments[argument].written, Token { span, ..token });
                result.push(made);
                at += 2;
            } else if token.is(Punct::HashHash) && next.is_some() {
                let right = self.operand(definition, &arguments, body[at + 1], site);
                self.paste_onto(&mut result, right, &mut empty_operand, site);
                at += 2;
            } else if let Some(argument) = definition.parameter(&token) {
                let pasted = next.is_some_and(|n| n.is(Punct::HashHash));
                let from = result.len();
                if pasted {
                    result.extend_from_slice(&arguments[argument].written);
                } else {
                    let expanded = self.expanded(&mut arguments[argument], site);
                    result.extend_from_slice(expanded);
                }
                if let Some(first) = result.get_mut(from) {
                    first.space = token.space;
                }
                empty_operand = pasted && result.len() == from;
                self.charge(result.len() - from, site);
                at += 1;
            } else {
                let span = self.made(definition, token.span, site);
                result.push(Token { span, ..token });
                self.charge(1, site);
                empty_operand = false;
                at += 1;
            }
        }
        result
    }

    fn expanded<'t>(&mut self, argument: &'t mut Argument, site: Span) -> &'t [Token] {
        argument.expanded.get_or_insert_with(|| self.expand_apart(argument.written.clone(), site))
    }

    /// What stands on the right of a `##`.
    fn operand(
        &mut self,
        definition: &Macro,
        arguments: &[Argument],
        token: Token,
        site: Span,
    ) -> Vec<Token> {
        match definition.parameter(&token) {
            Some(argument) => arguments[argument].written.clone(),
            None => vec![Token { span: self.made(definition, token.span, site), ..token }],
        }
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
                    None => result.extend([left, first]),
                }
            }
        } else if right.len() > 0 {
            *empty_operand = false;
        }
        result.extend(right);
    }

    /// Applies the `##` in the body of an object-like macro.
    fn paste_all(&mut self, tokens: &mut Vec<Token>, site: Span) {
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

    /// One token of two; reported if they make none.
    fn paste(&mut self, left: Token, right: Token) -> Option<Token> {
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
        text.push('"');
        let symbol = self.names.intern(&text);
        Token { kind: Kind::Str, symbol, ..hash }
    }
}
