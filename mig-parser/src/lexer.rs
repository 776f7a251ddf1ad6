//! Text to tokens. The lexer never fails: what is no token comes out as [`Kind::Illegal`] or
//! [`Kind::Unclosed`], which the grammar and the directives report where they read it. So text that is
//! skipped may contain anything, as in C.

use std::sync::Arc;

use crate::source::Span;
use crate::token::{Kind, Names, Punct, Symbol, Token};

/// Takes one text apart.
#[derive(Clone, Debug)]
pub(crate) struct Lexer {
    text: Arc<str>,
    /// Offset of the text in the source map.
    base: u32,
    at: usize,
    /// Whether `<` opens a file name.
    file_name: FileName,
}

/// How near the lexer is to a file name in `<…>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileName {
    No,
    /// The last token was `__has_include`: its `(` follows.
    AfterParen,
    /// The last token was an import keyword, or the `(` of `__has_include`.
    Next,
}

impl Lexer {
    pub(crate) fn new(text: Arc<str>, base: u32) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, base, at, file_name: FileName::No }
    }

    /// The same text from a place in the source map on.
    pub(crate) fn from(&self, place: u32) -> Self {
        Self { at: (place - self.base) as usize, file_name: FileName::No, ..self.clone() }
    }

    /// The place of the next byte in the source map.
    pub(crate) fn offset(&self) -> u32 {
        self.base + self.at as u32
    }

    /// The next token, newline, comment or end; after the end, the end again.
    pub(crate) fn next(&mut self, names: &mut Names) -> Token {
        let space = self.skip_blanks();
        let start = self.at;
        let (kind, symbol) = self.scan(start, names);
        if kind != Kind::Comment {
            self.file_name = self.file_name_after(kind, symbol, names);
        }
        Token { space, ..Token::new(kind, symbol, self.span_from(start)) }
    }

    fn file_name_after(&self, kind: Kind, symbol: Symbol, names: &Names) -> FileName {
        match kind {
            Kind::Ident if matches!(symbol, Symbol::HAS_INCLUDE | Symbol::HAS_INCLUDE_NEXT) => {
                FileName::AfterParen
            }
            Kind::Ident if names.keyword(symbol).is_some_and(|keyword| keyword.is_import()) => FileName::Next,
            Kind::Punct(Punct::LParen) if self.file_name == FileName::AfterParen => FileName::Next,
            _ => FileName::No,
        }
    }

    /// `"…"` or `<…>` after `#include`; nothing is taken if there is neither.
    pub(crate) fn file_name(&mut self, names: &mut Names) -> Option<Token> {
        self.skip_blanks();
        let start = self.at;
        let close = match self.peek() {
            b'"' => '"',
            b'<' => '>',
            _ => return None,
        };
        let line = self.text[start + 1..].lines().next()?;
        let end = start + 1 + line.find(close)? + 1;
        self.at = end;
        let kind = if close == '"' { Kind::Str } else { Kind::Angled };
        let symbol = names.intern(&self.text[start..end]);
        Some(Token::new(kind, symbol, self.span_from(start)))
    }

    /// The rest of the line as text, without its end; comments are part of it.
    pub(crate) fn rest_of_line(&mut self) -> (String, Span) {
        self.skip_blanks();
        let start = self.at;
        let line = self.text[start..].lines().next().unwrap_or("");
        self.at += line.len();
        (line.trim().to_owned(), self.span_from(start))
    }

    /// Whether the next token is `(`, newlines and comments aside. Takes nothing.
    pub(crate) fn paren_follows(&self) -> bool {
        let mut ahead = self.clone();
        loop {
            ahead.skip_blanks();
            match ahead.peek() {
                b'\n' => ahead.at += 1,
                b'/' if ahead.comment().is_some() => {}
                byte => return byte == b'(',
            }
        }
    }

    /// Goes to the next `#` that starts a line (the present one, if nothing of it has been taken) and past
    /// it. False at the end of the text.
    pub(crate) fn skip_to_directive(&mut self) -> bool {
        self.file_name = FileName::No;
        loop {
            self.skip_blanks();
            match self.peek() {
                0 if self.at == self.text.len() => return false,
                b'\n' => self.at += 1,
                b'#' => {
                    self.at += 1;
                    return true;
                }
                b'%' if self.byte(1) == b':' => {
                    self.at += 2;
                    return true;
                }
                b'/' if self.comment().is_some() => {}
                _ => self.skip_line(),
            }
        }
    }

    /// Goes after the next newline that is in no comment.
    pub(crate) fn skip_line(&mut self) {
        while let Some(plain) = self.rest().iter().position(|byte| ENDS_PLAIN[usize::from(*byte)]) {
            self.at += plain;
            match self.peek() {
                b'\n' => {
                    self.at += 1;
                    return;
                }
                quote @ (b'"' | b'\'') => {
                    self.quoted(quote);
                }
                b'/' if self.comment().is_some() => {}
                b'\\' if self.splice() => {}
                _ => self.at += 1,
            }
        }
        self.at = self.text.len();
    }

    /// The bytes that have not been taken.
    fn rest(&self) -> &[u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn span_from(&self, start: usize) -> Span {
        Span::new(self.base + start as u32, self.base + self.at as u32)
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn peek(&self) -> u8 {
        self.byte(0)
    }

    fn scan(&mut self, start: usize, names: &mut Names) -> (Kind, Symbol) {
        match self.peek() {
            0 if self.at == self.text.len() => (Kind::End, Symbol::NONE),
            b'\n' => {
                self.at += 1;
                (Kind::Newline, Symbol::NONE)
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => (Kind::Ident, self.word(start, names)),
            b'0'..=b'9' => (Kind::Number, self.word(start, names)),
            b'.' if self.byte(1).is_ascii_digit() => (Kind::Number, self.word(start, names)),
            quote @ (b'"' | b'\'') => {
                let closed = self.quoted(quote);
                let kind = match (closed, quote) {
                    (false, _) => Kind::Unclosed,
                    (true, b'"') => Kind::Str,
                    (true, _) => Kind::Char,
                };
                let text = &self.text[start..self.at];
                if text.contains("\\\n") || text.contains("\\\r\n") {
                    return (kind, names.intern(&text.replace("\\\r\n", "").replace("\\\n", "")));
                }
                (kind, names.intern(text))
            }
            b'<' if self.file_name == FileName::Next => match self.file_name(names) {
                Some(name) => (Kind::Angled, name.symbol),
                None => self.punct(names),
            },
            b'/' => match self.comment() {
                Some(true) => (Kind::Comment, Symbol::NONE),
                Some(false) => (Kind::UnclosedComment, Symbol::NONE),
                None => self.punct(names),
            },
            b'%' if self.byte(1) == b':' => self.digraph(),
            _ => self.punct(names),
        }
    }

    /// `%:`, which is C's other spelling of `#`. C's other spellings of brackets and braces mean nothing to
    /// MIG.
    fn digraph(&mut self) -> (Kind, Symbol) {
        let double = self.text[self.at..].starts_with("%:%:");
        self.at += if double { 4 } else { 2 };
        (Kind::Punct(if double { Punct::HashHash } else { Punct::Hash }), Symbol::NONE)
    }

    fn punct(&mut self, names: &mut Names) -> (Kind, Symbol) {
        let rest = &self.text[self.at..];
        if let Some(punct) = Punct::at_start(rest.as_bytes()) {
            self.at += punct.text().len();
            return (Kind::Punct(punct), Symbol::NONE);
        }
        let len = rest.chars().next().map_or(0, char::len_utf8);
        let symbol = names.intern(&rest[..len]);
        self.at += len;
        (Kind::Illegal, symbol)
    }

    /// An identifier, or a number of the preprocessor (which takes letters, dots and signs after an `e`).
    fn word(&mut self, start: usize, names: &mut Names) -> Symbol {
        let number = !self.peek().is_ascii_alphabetic() && self.peek() != b'_';
        let mut joined = String::new();
        let mut from = start;
        // A number may start with a dot.
        self.at += usize::from(self.peek() == b'.');
        loop {
            self.at += self.rest().iter().take_while(|byte| IN_WORD[usize::from(**byte)]).count();
            let last = self.text.as_bytes()[self.at - 1];
            if number
                && (self.peek() == b'.' || matches!(self.peek(), b'+' | b'-') && matches!(last, b'e' | b'E'))
            {
                self.at += 1;
                continue;
            }
            let end = self.at;
            if self.peek() == b'\\' && self.splice() && IN_WORD[usize::from(self.peek())] {
                joined.push_str(&self.text[from..end]);
                from = self.at;
                continue;
            }
            self.at = end;
            break;
        }
        if joined.is_empty() {
            return names.intern(&self.text[start..self.at]);
        }
        joined.push_str(&self.text[from..self.at]);
        names.intern(&joined)
    }

    /// Takes a quoted text up to its end or that of the line; false if the quote is not closed.
    fn quoted(&mut self, quote: u8) -> bool {
        self.at += 1;
        while self.at < self.text.len() {
            match self.peek() {
                b'\n' => return false,
                b'\r' if self.byte(1) == b'\n' => return false,
                b'\\' if self.splice() => {}
                b'\\' if self.byte(1) != b'\n' && self.at + 1 < self.text.len() => self.at += 2,
                byte => {
                    self.at += 1;
                    if byte == quote {
                        return true;
                    }
                }
            }
            // An escape may have landed inside a character of several bytes.
            while !self.text.is_char_boundary(self.at) {
                self.at += 1;
            }
        }
        false
    }

    /// Takes a comment; false if it is not closed, `None` if there is none.
    fn comment(&mut self) -> Option<bool> {
        match self.byte(1) {
            b'/' => {
                self.at += 2;
                while self.at < self.text.len() && self.peek() != b'\n' {
                    if !(self.peek() == b'\\' && self.splice()) {
                        self.at += 1;
                    }
                }
                Some(true)
            }
            b'*' => {
                // A search for one byte looks at several bytes at a time.
                let inner = &self.text[self.at + 2..];
                let mut slashes = inner.match_indices('/').map(|(at, _)| at);
                let end = slashes.find(|at| inner[..*at].ends_with('*'));
                self.at = end.map_or(self.text.len(), |slash| self.at + 2 + slash + 1);
                Some(end.is_some())
            }
            _ => None,
        }
    }

    /// Takes white space other than newlines; true if there was any.
    fn skip_blanks(&mut self) -> bool {
        let start = self.at;
        loop {
            match self.peek() {
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => self.at += 1,
                b'\\' if self.splice() => {}
                _ => return self.at > start,
            }
        }
    }

    /// Takes a backslash and the end of its line.
    fn splice(&mut self) -> bool {
        let len = match (self.byte(1), self.byte(2)) {
            (b'\n', _) => 2,
            (b'\r', b'\n') => 3,
            _ => return false,
        };
        self.at += len;
        true
    }
}

/// Whether each byte may be part of a word, for names and numbers.
const IN_WORD: [bool; 256] = table_of(b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

/// Whether each byte needs a closer look in a line that is skipped: it may end the line, or begin a quote, a
/// comment or a continued line.
const ENDS_PLAIN: [bool; 256] = table_of(b"\n\"'/\\");

/// A table that is true for these bytes. To look a byte up takes less than to compare it with each of them,
/// and the lexer asks about every byte of a file.
const fn table_of(bytes: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut index = 0;
    while index < bytes.len() {
        table[bytes[index] as usize] = true;
        index += 1;
    }
    table
}
