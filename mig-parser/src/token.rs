//! Tokens, and the table of the names in them.

use std::hash::{BuildHasher as _, RandomState};

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
    /// The texts, one after the other.
    texts: String,
    entries: Vec<Entry>,
    /// A hash table with open addressing: numbers of entries, counted from 1, or 0. It has a power of two of
    /// places, and at least twice as many as there are entries.
    places: Vec<u32>,
    /// Unknown to whoever writes the names, so that nobody can choose many of one hash.
    seed: u64,
}

#[derive(Debug)]
struct Entry {
    /// Where its text ends; it starts where the one before ends.
    end: usize,
    hash: u32,
    keyword: Option<Keyword>,
}

impl Names {
    pub(crate) fn new() -> Self {
        // The predefined macros and a file of the usual size have some hundred names.
        let mut names = Self {
            texts: String::with_capacity(1 << 13),
            entries: Vec::with_capacity(512),
            places: vec![0; 1024],
            seed: RandomState::new().hash_one(0),
        };
        for fixed in ["", "__has_include", "__has_include_next"] {
            names.intern(fixed);
        }
        names
    }

    pub(crate) fn intern(&mut self, text: &str) -> Symbol {
        let hash = hash(text.as_bytes(), self.seed);
        let place = match self.find(text, hash) {
            Ok(symbol) => return symbol,
            Err(place) => place,
        };
        self.texts.push_str(text);
        self.entries.push(Entry { end: self.texts.len(), hash, keyword: Keyword::of(text) });
        self.places[place] = self.entries.len() as u32;
        if self.entries.len() * 2 > self.places.len() {
            self.grow();
        }
        Symbol(self.entries.len() as u32 - 1)
    }

    /// The symbol of a text, or else the place for it.
    fn find(&self, text: &str, hash: u32) -> Result<Symbol, usize> {
        let mut place = self.first_place(hash);
        while let Some(index) = self.places[place].checked_sub(1) {
            let symbol = Symbol(index);
            if self.entries[symbol.index()].hash == hash && self.text(symbol) == text {
                return Ok(symbol);
            }
            place = self.next_place(place);
        }
        Err(place)
    }

    fn grow(&mut self) {
        self.places = vec![0; self.places.len() * 2];
        for (index, entry) in self.entries.iter().enumerate() {
            let mut place = self.first_place(entry.hash);
            while self.places[place] != 0 {
                place = self.next_place(place);
            }
            self.places[place] = index as u32 + 1;
        }
    }

    fn first_place(&self, hash: u32) -> usize {
        hash as usize & (self.places.len() - 1)
    }

    fn next_place(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
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

/// Multiplies and folds, eight bytes at a time: names are short, and the hashes of the standard library take
/// a tenth of the time of a file.
fn hash(bytes: &[u8], seed: u64) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |hash: u64, chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let product = u128::from(hash ^ u64::from_le_bytes(word)) * u128::from(FACTOR);
        product as u64 ^ (product >> 64) as u64
    };
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    fold(words.fold(seed ^ bytes.len() as u64, fold), rest) as u32
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

            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

// Longer ones before their prefixes: the first that fits is taken.
puncts! {
    Ellipsis "..." HashHash "##" AndAnd "&&" OrOr "||" EqEq "==" NotEq "!=" LessEq "<=" GreaterEq ">=" Shl "<<" Shr ">>"
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
        // No other byte continues one.
        if let Some(b'.' | b'#' | b'&' | b'|' | b'=' | b'<' | b'>') = text.get(1) {
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
    fn the_longest_punctuation_is_found() {
        for punct in Punct::ALL {
            assert_eq!(Punct::at_start(punct.text().as_bytes()), Some(*punct));
            assert_eq!(Punct::at_start(format!("{} x", punct.text()).as_bytes()), Some(*punct));
        }
        assert_eq!(Punct::at_start(b"<<="), Some(Punct::Shl));
        assert_eq!(Punct::at_start(b".."), Some(Punct::Dot));
        assert_eq!(Punct::at_start("é".as_bytes()), None);
        assert_eq!(Punct::at_start(b""), None);
    }
}
