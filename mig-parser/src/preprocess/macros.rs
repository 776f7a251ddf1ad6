//! Macros and their calls, as in C: what a call makes (`substitute`) is read again together with what
//! follows, and a macro's own name inside its expansion stays as it is.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::Preprocessor;
use super::built_in::BuiltIn;
use crate::diagnostics::Diagnostic;
use crate::source::Span;
use crate::token::{Kind, Punct, Symbol, Token};
use crate::{codes, limits};

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Definition {
    /// A `#define`, of a file or of the command line.
    Written(Rc<Macro>),
    /// A `#define` of the target, by the place of its name. It is read when a file uses the name, which
    /// happens to few of them.
    Unread(u32),
    /// A macro that every C compiler has built in.
    BuiltIn(BuiltIn),
}

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Symbol,
    /// The name as text, for all that it makes.
    pub(super) text: Arc<str>,
    pub(super) span: Span,
    /// `None` for an object-like macro. The last one of a variadic macro, `__VA_ARGS__` or its own name,
    /// takes all that is left.
    pub(super) parameters: Option<Vec<Symbol>>,
    pub(super) variadic: bool,
    pub(super) body: Vec<Token>,
    /// Its expansion is being read.
    pub(super) active: Cell<bool>,
}

/// Tokens to be read before everything else.
pub(super) struct Context {
    tokens: Vec<Token>,
    at: usize,
    /// The macro that made the tokens. Without one this is a barrier: nothing after the tokens is read before
    /// they are taken away.
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
    pub(super) fn parameter(&self, token: &Token) -> Option<usize> {
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
pub(super) struct Argument {
    pub(super) written: Vec<Token>,
    pub(super) expanded: Option<Vec<Token>>,
    /// Nothing was given for the last parameter of a variadic macro, not even a comma.
    pub(super) omitted: bool,
}

impl Preprocessor<'_> {
    /// Expands a macro whose name is `name`; false if it is one with parameters that is not called here.
    pub(super) fn expand(&mut self, definition: &Rc<Macro>, name: Token) -> bool {
        let mut tokens = match &definition.parameters {
            None => definition.body.clone(),
            Some(_) if !self.paren_follows() => return false,
            Some(_) => match self.arguments(definition, name) {
                Some(mut arguments) => {
                    self.substitute(definition, &definition.body, &mut arguments, name.span)
                }
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
    pub(super) fn charge(&mut self, tokens: usize, site: Span) {
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

    pub(super) fn made(&mut self, definition: &Macro, spelling: Span, site: Span) -> Span {
        self.sources.expand(definition.text.clone(), spelling, site)
    }

    /// Whether the next token is `(`; expansions that are at their end are taken away.
    pub(super) fn paren_follows(&mut self) -> bool {
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
        let mut omitted = definition.variadic && arguments.len() + 1 == wanted;
        if omitted {
            arguments.push(Vec::new());
        }
        omitted |= definition.variadic && wanted == 1 && arguments[0].is_empty();
        if arguments.len() != wanted {
            let s = |n| if n == 1 { "" } else { "s" };
            let given = arguments.len();
            let label =
                format!("called with {given} argument{}, it has {wanted} parameter{}", s(given), s(wanted));
            self.call_error(definition, name, label);
            return None;
        }
        let argument = |written| Argument { written, expanded: None, omitted: false };
        let mut arguments: Vec<_> = arguments.into_iter().map(argument).collect();
        if let Some(last) = arguments.last_mut() {
            last.omitted = omitted;
        }
        Some(arguments)
    }

    fn call_error(&mut self, definition: &Macro, name: Token, label: String) {
        if self.stopped {
            return;
        }
        let message = format!("the macro `{}` is not called as it is defined", self.names.text(name.symbol));
        let diagnostic = Diagnostic::error(codes::MACRO_CALL, name.span, message, label);
        self.error(diagnostic.with_note(definition.span, "defined here"));
    }
}
