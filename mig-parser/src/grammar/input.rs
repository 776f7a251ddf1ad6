//! Tokens as an input of nom, and the parsers of single tokens.
//!
//! A parser that fails returns no reason. The tokens that it looked for are noted in the [`Shared`] part of
//! the input, for the furthest place that any parser has reached. That place is taken for the error,
//! whichever alternative came there.

use std::cell::Cell;
use std::iter::{Copied, Enumerate};

use nom::error::{ErrorKind, ParseError};
use nom::{Err, IResult, Input, Needed};

use super::expected::{Class, Expected};
use crate::ast::Ident;
use crate::diagnostics::Diagnostic;
use crate::docs::Docs;
use crate::keyword::Keyword;
use crate::limits;
use crate::source::{SourceMap, Span};
use crate::token::{Kind, Names, Punct, Symbol, Token};

/// What is left to parse.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'a> {
    rest: &'a [Token],
    pub(super) shared: &'a Shared<'a>,
}

/// What all inputs of one file have in common.
pub(super) struct Shared<'a> {
    all: &'a [Token],
    pub(super) names: &'a Names,
    pub(super) docs: &'a Docs,
    pub(super) sources: &'a SourceMap,
    furthest: Cell<(usize, Expected)>,
    depth: Cell<usize>,
}

/// Why a parser failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// Another token was expected; the shared part of the input knows which.
    Unexpected,
    /// The parser knows what is wrong by itself.
    Invalid(Box<Diagnostic>),
}

impl ParseError<Tokens<'_>> for Fault {
    fn from_error_kind(_: Tokens<'_>, _: ErrorKind) -> Self {
        Self::Unexpected
    }

    fn append(_: Tokens<'_>, _: ErrorKind, other: Self) -> Self {
        other
    }
}

pub(super) type Parsed<'a, T> = IResult<Tokens<'a>, T, Fault>;

impl<'a> Shared<'a> {
    /// `all` ends with the token [`Kind::End`].
    pub(super) fn new(all: &'a [Token], names: &'a Names, docs: &'a Docs, sources: &'a SourceMap) -> Self {
        let furthest = Cell::new((0, Expected::default()));
        Self { all, names, docs, sources, furthest, depth: Cell::new(0) }
    }

    /// The input from token `at` on; forgets what was expected.
    pub(super) fn from(&'a self, at: usize) -> Tokens<'a> {
        self.furthest.set((at, Expected::default()));
        Tokens { rest: &self.all[at..], shared: self }
    }

    /// The token with this number.
    pub(super) fn token(&self, at: usize) -> Token {
        self.all[at.min(self.all.len() - 1)]
    }

    /// The furthest token that did not fit, and what was expected there.
    pub(super) fn furthest(&self) -> (usize, Expected) {
        self.furthest.get()
    }
}

impl<'a> Tokens<'a> {
    /// Number of the next token.
    pub(super) fn at(&self) -> usize {
        self.shared.all.len() - self.rest.len()
    }

    pub(super) fn peek(&self) -> Token {
        self.ahead(0)
    }

    /// The token after `n` others; the end if there are fewer.
    pub(super) fn ahead(&self, n: usize) -> Token {
        let end = || Token::new(Kind::End, Symbol::NONE, Span::default());
        self.rest.get(n).or(self.shared.all.last()).copied().unwrap_or_else(end)
    }

    pub(super) fn keyword(&self) -> Option<Keyword> {
        let token = self.peek();
        (token.kind == Kind::Ident).then(|| self.shared.names.keyword(token.symbol)).flatten()
    }

    pub(super) fn text(&self, token: Token) -> &'a str {
        self.shared.names.text(token.symbol)
    }

    /// Takes the next token.
    pub(super) fn advance<T>(self, value: T) -> Parsed<'a, T> {
        let taken = usize::from(self.rest.len() > 1);
        Ok((Self { rest: &self.rest[taken..], ..self }, value))
    }

    /// Fails here, and notes that a token of `expected` would have fitted.
    pub(super) fn fail<T>(&self, expected: Expected) -> Parsed<'a, T> {
        let (furthest, known) = self.shared.furthest.get();
        let at = self.at();
        if at > furthest {
            self.shared.furthest.set((at, expected));
        } else if at == furthest {
            self.shared.furthest.set((at, known.or(expected)));
        }
        Err(Err::Error(Fault::Unexpected))
    }

    /// From the first token of `self` to the last one before `rest`.
    pub(super) fn span_to(&self, rest: &Self) -> Span {
        let first = self.peek().span;
        let last = rest.at().checked_sub(1).map_or(first, |at| self.shared.all[at].span);
        self.shared.sources.join(first, last)
    }

    /// Runs a parser that may call itself, unless such calls are nested too deep.
    pub(super) fn nested<T>(self, parser: impl FnOnce(Self) -> Parsed<'a, T>) -> Parsed<'a, T> {
        let depth = self.shared.depth.get();
        if depth == limits::NESTING {
            let span = self.peek().span;
            let message = "types or expressions are nested too deep";
            let label = "more than 64 levels";
            return invalid(Diagnostic::error(crate::codes::NESTING, span, message, label));
        }
        self.shared.depth.set(depth + 1);
        let result = parser(self);
        self.shared.depth.set(depth);
        result
    }
}

/// Fails with a diagnostic of its own.
pub(super) fn invalid<'a, T>(diagnostic: Diagnostic) -> Parsed<'a, T> {
    Err(Err::Failure(Fault::Invalid(Box::new(diagnostic))))
}

pub(super) fn punct<'a>(punct: Punct) -> impl Fn(Tokens<'a>) -> Parsed<'a, Token> {
    move |input| {
        let token = input.peek();
        if token.is(punct) { input.advance(token) } else { input.fail(Expected::punct(punct)) }
    }
}

pub(super) fn keyword<'a>(keyword: Keyword) -> impl Fn(Tokens<'a>) -> Parsed<'a, Token> {
    move |input| {
        if input.keyword() == Some(keyword) {
            input.advance(input.peek())
        } else {
            input.fail(Expected::keyword(keyword))
        }
    }
}

/// Runs a parser as often as it succeeds. nom's `many0` allocates before it knows whether there is anything,
/// and most types and arguments have no option.
pub(super) fn any<'a, T>(
    parser: impl Fn(Tokens<'a>) -> Parsed<'a, T>,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Vec<T>> {
    move |mut input| {
        let mut found = Vec::new();
        loop {
            match parser(input) {
                Ok((rest, one)) => {
                    input = rest;
                    found.push(one);
                }
                Err(Err::Error(_)) => return Ok((input, found)),
                Err(error) => return Err(error),
            }
        }
    }
}

/// A name: any word but those that are keywords in every dialect.
pub(super) fn ident(input: Tokens<'_>) -> Parsed<'_, Ident> {
    let token = input.peek();
    if token.kind != Kind::Ident || input.keyword().is_some_and(Keyword::is_reserved) {
        return input.fail(Expected::class(Class::Name));
    }
    input.advance(Ident { name: input.text(token).to_owned(), span: token.span })
}

impl<'a> Input for Tokens<'a> {
    type Item = Token;
    type Iter = Copied<std::slice::Iter<'a, Token>>;
    type IterIndices = Enumerate<Self::Iter>;

    // The end token is not counted: it cannot be taken.
    fn input_len(&self) -> usize {
        self.rest.len() - 1
    }

    fn take(&self, index: usize) -> Self {
        Self { rest: &self.rest[..index], ..*self }
    }

    fn take_from(&self, index: usize) -> Self {
        Self { rest: &self.rest[index..], ..*self }
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(Token) -> bool>(&self, predicate: P) -> Option<usize> {
        self.iter_elements().position(predicate)
    }

    fn iter_elements(&self) -> Self::Iter {
        self.rest.iter().copied()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.iter_elements().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        if count <= self.input_len() { Ok(count) } else { Err(Needed::new(count - self.input_len())) }
    }
}
