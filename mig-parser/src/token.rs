//! Tokens, and the table of the names in them.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

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

/// The texts of tokens, each once.
#[derive(Debug)]
pub(crate) struct Names {
    /// The texts, one after the other.
    texts: String,
    entries: Vec<Entry>,
    symbols: HashTable<Symbol>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Entry {
    /// Where its text ends; it starts where the one before ends.
    end: usize,
    hash: u64,
    keyword: Option<Keyword>,
}

impl Names {
    pub(crate) fn new() -> Self {
        // The predefined macros and a file of the usual size have some hundred names.
        let mut names = Self {
            texts: String::with_capacity(1 << 13),
            entries: Vec::with_capacity(512),
            symbols: HashTable::with_capacity(512),
            hasher: DefaultHashBuilder::default(),
        };
        for fixed in ["", "__has_include", "__has_include_next"] {
            names.intern(fixed);
        }
        names
    }

    pub(crate) fn intern(&mut self, text: &str) -> Symbol {
        let hash = self.hasher.hash_one(text);
        if let Some(symbol) = self.symbols.find(hash, |symbol| self.text(*symbol) == text) {
            return *symbol;
        }
        let symbol = Symbol(self.entries.len() as u32);
        self.texts.push_str(text);
        self.entries.push(Entry { end: self.texts.len(), hash, keyword: Keyword::of(text) });
        self.symbols.insert_unique(hash, symbol, |symbol| self.entries[symbol.index()].hash);
        symbol
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        let start = symbol.index().checked_sub(1).map_or(0, |before| self.entries[before].end);
        &self.texts[start..self.entries[symbol.index()].end]
    }

    pub(crate) fn keyword(&self, symbol: Symbol) -> Option<Keyword> {
        self.entries[symbol.index()].keyword
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
    /// White space stands before the token.
    pub(crate) space: bool,
    /// The token is a macro's name inside that macro's own expansion, where it is not expanded again.
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

impl Kind {
    /// Whether punctuation that follows this without a space is a part of it, or begins a comment.
    pub(crate) fn joins(self, next: Punct) -> bool {
        let Kind::Punct(punct) = self else { return false };
        match (punct, next) {
            (Punct::Percent, Punct::Colon) | (Punct::Slash, Punct::Slash | Punct::Star) => true,
            _ => Punct::at_start([punct.text(), next.text()].concat().as_bytes()) != Some(punct),
        }
    }
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

            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

// Longer ones before their prefixes: the first that fits is taken.
//
// C has more punctuation than MIG and `#if` have a use for. The preprocessor can make such tokens by `##`;
// the grammar reports one where it meets it.
puncts! {
    ShlEq "<<=" ShrEq ">>=" Ellipsis "..." PlusPlus "++" MinusMinus "--" Arrow "->"
    PlusEq "+=" MinusEq "-=" StarEq "*=" SlashEq "/=" PercentEq "%=" AndEq "&=" BarEq "|=" CaretEq "^="
    OpenDigraph "<:" CloseDigraph ":>" LeftDigraph "<%" RightDigraph "%>"
    HashHash "##" AndAnd "&&" OrOr "||" EqEq "==" NotEq "!=" LessEq "<=" GreaterEq ">=" Shl "<<" Shr ">>"
    Colon ":" Semicolon ";" Comma "," Plus "+" Minus "-" Star "*" Slash "/" LParen "(" RParen ")" Equal "=" Caret "^"
    Less "<" Greater ">" LBracket "[" RBracket "]" Bar "|" LBrace "{" RBrace "}"
    Tilde "~" And "&" Not "!" Percent "%" Question "?" Dot "." Dollar "$" Hash "#"
}

/// The punctuation of one byte.
const SINGLE: [Option<Punct>; 128] = {
    let mut table = [None; 128];
    let mut index = 0;
    while index < Punct::ALL.len() {
        if let [byte] = Punct::ALL[index].text().as_bytes() {
            table[*byte as usize] = Some(Punct::ALL[index]);
        }
        index += 1;
    }
    table
};

impl Punct {
    /// The punctuation that a text starts with.
    pub(crate) fn at_start(text: &[u8]) -> Option<Self> {
        // No other byte continues punctuation.
        if let Some(b'.' | b'#' | b'&' | b'|' | b'=' | b'<' | b'>' | b'+' | b'-' | b':' | b'%') = text.get(1)
        {
            return Self::ALL.iter().copied().find(|punct| text.starts_with(punct.text().as_bytes()));
        }
        SINGLE.get(usize::from(*text.first()?)).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_one_symbol_however_many_there_are() {
        let mut names = Names::new();
        let texts: Vec<String> = (0..5000).map(|number| format!("name_{number}")).collect();
        let symbols: Vec<Symbol> = texts.iter().map(|text| names.intern(text)).collect();
        for (text, symbol) in texts.iter().zip(symbols) {
            assert_eq!(names.text(symbol), text);
            assert_eq!(names.intern(text), symbol);
        }
        assert_eq!(names.len(), 5003);
        assert_eq!(names.text(Symbol::NONE), "");
        assert_eq!(names.text(Symbol::HAS_INCLUDE_NEXT), "__has_include_next");
    }

    #[test]
    fn some_punctuation_would_become_one_token() {
        let joins = |a, b| Kind::Punct(a).joins(b);
        assert!(joins(Punct::Caret, Punct::Equal) && joins(Punct::Percent, Punct::Colon));
        assert!(joins(Punct::Colon, Punct::Greater) && joins(Punct::Slash, Punct::Star));
        assert!(!joins(Punct::Caret, Punct::LBracket) && !joins(Punct::RParen, Punct::Semicolon));
        assert!(!Kind::Ident.joins(Punct::Equal));
    }

    #[test]
    fn the_longest_punctuation_is_found() {
        for punct in Punct::ALL {
            assert_eq!(Punct::at_start(punct.text().as_bytes()), Some(*punct));
            assert_eq!(Punct::at_start(format!("{} x", punct.text()).as_bytes()), Some(*punct));
        }
        assert_eq!(Punct::at_start(b"<<:"), Some(Punct::Shl));
        assert_eq!(Punct::at_start(b"*:"), Some(Punct::Star));
        assert_eq!(Punct::at_start(b".."), Some(Punct::Dot));
        assert_eq!(Punct::at_start("é".as_bytes()), None);
        assert_eq!(Punct::at_start(b""), None);
    }
}
