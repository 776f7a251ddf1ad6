//! `#pragma`: those that act on the preprocessor. All others are for a C compiler and have no effect.

use super::Preprocessor;
use super::macros::Definition;
use crate::codes;
use crate::diagnostics::Diagnostic;
use crate::lexer::Lexer;
use crate::source::Span;
use crate::token::{Kind, Punct, Symbol, Token};

/// The text of a string of C, as `_Pragma` takes it: without quotes, and without the backslashes of `\"` and
/// `\\`.
pub(super) fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    inner.replace("\\\"", "\"").replace("\\\\", "\\")
}

impl Preprocessor<'_> {
    /// A `#pragma` with these words.
    pub(super) fn pragma(&mut self, tokens: &[Token], span: Span) {
        let word = |at: usize| tokens.get(at).map_or("", |token| self.names.spelled(token));
        match (word(0), word(1)) {
            ("once", _) => self.once(),
            ("push_macro", _) => self.push_macro(tokens, span),
            ("pop_macro", _) => self.pop_macro(tokens, span),
            ("GCC" | "clang", "poison") => {
                let names = tokens[2..].iter().filter(|token| token.kind == Kind::Ident);
                self.poisoned.extend(names.map(|token| token.symbol));
            }
            ("GCC" | "clang", "error") => self.pragma_message(&tokens[2..], span, true),
            ("GCC" | "clang", "warning") => self.pragma_message(&tokens[2..], span, false),
            _ => {}
        }
    }

    /// `#pragma once`: the file that says so is not read again.
    pub(super) fn once(&mut self) {
        if let Some(frame) = self.frames.last() {
            self.once.insert(self.loader.identity(&frame.path));
        }
    }

    fn push_macro(&mut self, tokens: &[Token], span: Span) {
        let Some(name) = self.macro_named(tokens, span) else { return };
        self.charge(1, span);
        let meaning = self.definition_of(name).clone();
        self.pushed.entry(name).or_default().push(meaning);
    }

    fn pop_macro(&mut self, tokens: &[Token], span: Span) {
        let Some(name) = self.macro_named(tokens, span) else { return };
        if let Some(meaning) = self.pushed.get_mut(&name).and_then(Vec::pop) {
            *self.definition_of(name) = meaning;
        }
    }

    /// The name in `push_macro("NAME")`.
    fn macro_named(&mut self, tokens: &[Token], span: Span) -> Option<Symbol> {
        if let [_, open, name, close, ..] = tokens {
            if name.kind == Kind::Str && open.is(Punct::LParen) && close.is(Punct::RParen) {
                let name = unquoted(self.names.text(name.symbol));
                return Some(self.names.intern(&name));
            }
        }
        let message = "this `#pragma` needs the name of a macro";
        self.error(Diagnostic::warning(codes::DIRECTIVE, span, message, "`(\"NAME\")` was expected"));
        None
    }

    fn pragma_message(&mut self, tokens: &[Token], span: Span, is_error: bool) {
        let text = tokens.first().filter(|token| token.kind == Kind::Str);
        let text = text.map_or_else(String::new, |text| unquoted(self.names.text(text.symbol)));
        self.said(span, &text, is_error);
    }

    /// A name that a `#pragma GCC poison` forbids is used.
    pub(super) fn poisoned_name(&mut self, token: Token) {
        let message = format!("`{}` is poisoned by a `#pragma`", self.names.text(token.symbol));
        self.error(Diagnostic::error(codes::ERROR, token.span, message, "the file forbids this name"));
    }

    /// The tokens of a text that stands in no file.
    pub(super) fn tokens_of(&mut self, text: &str, span: Span) -> Vec<Token> {
        let mut lexer = Lexer::new(text.into(), 0);
        let mut tokens = Vec::new();
        loop {
            let token = lexer.next(&mut self.names);
            match token.kind {
                Kind::End => return tokens,
                Kind::Newline | Kind::Comment | Kind::UnclosedComment => {}
                _ => tokens.push(Token { span, ..token }),
            }
        }
    }
}

/// The definitions that `push_macro` has put away, the last one last.
pub(super) type Pushed = std::collections::HashMap<Symbol, Vec<Option<Definition>>>;
