//! Tokens, and the table of the names in them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::keyword::Keyword;
use crate::source::Span;

/// A text in the [`Names`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Symbol(u32);

impl Symbol {
    /// The text of tokens that have none.
    pub(crate) const NONE: Self = Self(0);
    /// `__has_include`, after whose `(` the lexer takes a file name.
    pub(crate) const HAS_INCLUDE: Self = Self(1);
    /// `__has_include_next`, likewise.
    pub(crate) const HAS_INCLUDE_NEXT: Self = Self(2);

    /// The symbol with this index.
    pub(crate) fn at(index: usize) -> Self {
        Self(index as u32)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Each text of a token once.
#[derive(Debug)]
pub(crate) struct Names {
    texts: Vec<(Arc<str>, Option<Keyword>)>,
    symbols: HashMap<Arc<str>, Symbol>,
}

impl Names {
    pub(crate) fn new() -> Self {
        // The predefined macros and a file of the usual size have some hundred.
        let mut names = Self { texts: Vec::with_capacity(1024), symbols: HashMap::with_capacity(1024) };
        for fixed in ["", "__has_include", "__has_include_next"] {
            names.intern(fixed);
        }
        names
    }

    pub(crate) fn intern(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.symbols.get(text) {
            return *symbol;
        }
        let shared: Arc<str> = text.into();
        let symbol = Symbol(self.texts.len() as u32);
        self.texts.push((shared.clone(), Keyword::of(text)));
        self.symbols.insert(shared, symbol);
        symbol
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol.index()].0
    }

    pub(crate) fn shared(&self, symbol: Symbol) -> Arc<str> {
        self.texts[symbol.index()].0.clone()
    }

    pub(crate) fn keyword(&self, symbol: Symbol) -> Option<Keyword> {
        self.texts[symbol.index()].1
    }

    /// The token as it is spelled.
    pub(crate) fn spelled(&self, token: &Token) -> &str {
        match token.kind {
            Kind::Punct(punct) => punct.text(),
            _ => self.text(token.symbol),
        }
    }
}

/// One token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Its text, unless the kind says it all.
    pub(crate) symbol: Symbol,
    pub(crate) span: Span,
    /// White space stands before it.
    pub(crate) space: bool,
    /// A macro's name inside that macro's own expansion: it stays as it is.
    pub(crate) painted: bool,
    /// The comment before it: an index into [`Docs`](crate::docs::Docs), 0 for none.
    pub(crate) doc: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ident,
    /// A number as C's preprocessor takes it: also `0x10`, `1.5e+3` and `3abc`.
    Number,
    /// `"…"`, with its quotes.
    Str,
    /// `'…'`, with its quotes.
    Char,
    /// `<…>` after an import keyword or `#include`.
    Angled,
    Punct(Punct),
    /// A character that starts no token.
    Illegal,
    /// A quote that its line does not close.
    Unclosed,
    Comment,
    /// A `/*` that the file does not close.
    UnclosedComment,
    Newline,
    /// Nothing follows.
    End,
}

impl Token {
    pub(crate) fn new(kind: Kind, symbol: Symbol, span: Span) -> Self {
        Self { kind, symbol, span, space: false, painted: false, doc: 0 }
    }

    pub(crate) fn is(&self, punct: Punct) -> bool {
        self.kind == Kind::Punct(punct)
    }
}

macro_rules! puncts {
    ($($name:ident $text:literal)*) => {
        /// Punctuation of MIG, and of C's `#if` and `#define`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Punct { $($name),* }

        impl Punct {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

// Longer ones before their prefixes: the lexer takes the first that fits.
puncts! {
    Ellipsis "..." HashHash "##" AndAnd "&&" OrOr "||" EqEq "==" NotEq "!=" LessEq "<=" GreaterEq ">=" Shl "<<" Shr ">>"
    Colon ":" Semicolon ";" Comma "," Plus "+" Minus "-" Star "*" Slash "/" LParen "(" RParen ")" Equal "=" Caret "^"
    Less "<" Greater ">" LBracket "[" RBracket "]" Bar "|" LBrace "{" RBrace "}"
    Tilde "~" And "&" Not "!" Percent "%" Question "?" Dot "." Dollar "$" Hash "#"
}
