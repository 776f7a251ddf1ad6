//! A text as tokens, comments and directives, with the white space between them.

use super::lexer;
use super::print::trimmed_lines;
use crate::codes;
use crate::diagnostics::Diagnostic;
use crate::lexer::Lexer;
use crate::source::Span;
use crate::token::{Kind, Names, Punct, Token};

/// One piece of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) what: What,
    /// As it is written.
    pub(super) text: &'a str,
    /// The white space before it, in which ends of lines may be.
    pub(super) before: &'a str,
    /// How many lines end between the piece before it and this one.
    pub(super) newlines: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Token(Token),
    /// `// …`
    LineComment,
    /// `/* … */`
    Comment,
    /// From the `#` to the end of its line, with the comments in it.
    Directive(Conditional),
    /// The lines under an `#if 0`, which need not be tokens at all.
    Skipped,
}

/// What a directive does to the text around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conditional {
    No,
    If,
    /// `#if 0`
    Never,
    Else,
    End,
}

impl Item<'_> {
    pub(super) fn token(&self) -> Option<&Token> {
        match &self.what {
            What::Token(token) => Some(token),
            _ => None,
        }
    }

    pub(super) fn is(&self, punct: Punct) -> bool {
        self.token().is_some_and(|token| token.is(punct))
    }

    pub(super) fn is_comment(&self) -> bool {
        matches!(self.what, What::Comment | What::LineComment)
    }

    /// Whether the item has lines of its own, whatever stands before and after it.
    pub(super) fn is_lines(&self) -> bool {
        matches!(self.what, What::Directive(_) | What::Skipped)
    }

    /// The part of the item's text that formatting must keep; `None` for comments, whose lines may move.
    pub(super) fn spelled(&self, names: &Names) -> Option<String> {
        match &self.what {
            What::Token(token) => Some(names.spelled(token).to_owned()),
            What::Directive(_) | What::Skipped => Some(trimmed_lines(self.text).replace('\r', "")),
            What::Comment | What::LineComment => None,
        }
    }
}

/// Takes a text apart.
pub(super) fn items<'a>(text: &'a str, names: &mut Names) -> Result<Vec<Item<'a>>, Diagnostic> {
    let mut scan = Scan { text, lexer: lexer(text), names, items: Vec::new(), end: 0, newlines: 0 };
    scan.end = scan.lexer.offset() as usize;
    scan.run()?;
    Ok(scan.items)
}

struct Scan<'a, 'n> {
    text: &'a str,
    lexer: Lexer,
    names: &'n mut Names,
    items: Vec<Item<'a>>,
    /// Where the last item ends.
    end: usize,
    /// How many lines have ended since.
    newlines: u32,
}

impl Scan<'_, '_> {
    fn run(&mut self) -> Result<(), Diagnostic> {
        // So far only comments have come in this line, so a `#` begins a directive.
        let mut line_is_empty = true;
        loop {
            let token = self.lexer.next(self.names);
            check(&token)?;
            self.check_character(&token)?;
            match token.kind {
                Kind::End => return Ok(()),
                Kind::Newline => {
                    self.newlines += 1;
                    line_is_empty = true;
                }
                Kind::Comment => {
                    let is_line = self.text[token.span.start as usize..].starts_with("//");
                    let what = if is_line { What::LineComment } else { What::Comment };
                    self.push(what, token.span.start as usize, token.span.end as usize);
                }
                Kind::Punct(Punct::Hash) if line_is_empty => self.directive(token)?,
                _ => {
                    line_is_empty = false;
                    self.push(What::Token(token), token.span.start as usize, token.span.end as usize);
                }
            }
        }
    }

    /// Refuses a character that would mean something else at the place where formatting puts it.
    fn check_character(&self, token: &Token) -> Result<(), Diagnostic> {
        let message = match (token.kind, self.names.text(token.symbol)) {
            // At the end of a line it would join that line and the next.
            (Kind::Illegal, "\\") => "a backslash inside a line",
            (Kind::Illegal, "\u{feff}") => "a byte order mark inside the text",
            _ => return Ok(()),
        };
        Err(Diagnostic::error(codes::ILLEGAL, token.span, message, "not allowed here"))
    }

    /// Takes a directive whose `#` has been taken, and what is skipped after an `#if 0`.
    fn directive(&mut self, mut hash: Token) -> Result<(), Diagnostic> {
        loop {
            let (conditional, end) = self.directive_line()?;
            self.push(What::Directive(conditional), hash.span.start as usize, end);
            if conditional != Conditional::Never {
                return Ok(());
            }
            match self.skipped() {
                Some(next) => hash.span = next,
                None => return Ok(()),
            }
        }
    }

    /// Takes the rest of a directive's line, in which characters may stand that are no token. Returns what
    /// the directive does, and where it ends.
    fn directive_line(&mut self) -> Result<(Conditional, usize), Diagnostic> {
        let mut words = Vec::new();
        let end = loop {
            let token = self.lexer.next(self.names);
            match token.kind {
                // Blanks at the end are part of the directive: after a backslash they keep the line from
                // being continued.
                Kind::Newline | Kind::End => break token.span.start as usize,
                Kind::UnclosedComment => check(&token)?,
                Kind::Comment => {}
                // Two words say which directive it is; a third shows whether more follows, as in `#if 0 + A`.
                _ if words.len() < 3 => {
                    words.push(self.names.spelled(&token).to_owned());
                    if words.len() == 1 && matches!(words[0].as_str(), "include" | "include_next" | "import")
                    {
                        self.lexer.file_name(self.names);
                    }
                }
                _ => {}
            }
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let conditional = match words.as_slice() {
            ["if", "0"] => Conditional::Never,
            ["if" | "ifdef" | "ifndef", ..] => Conditional::If,
            ["else" | "elif" | "elifdef" | "elifndef", ..] => Conditional::Else,
            ["endif", ..] => Conditional::End,
            _ => Conditional::No,
        };
        Ok((conditional, end))
    }

    /// Takes the lines up to the directive that ends an `#if 0`, and the `#` of that directive; `None` if
    /// there is no such directive.
    fn skipped(&mut self) -> Option<Span> {
        let mut depth = 0u32;
        loop {
            let there = self.lexer.skip_to_directive();
            let end = self.lexer.offset() as usize;
            if !there {
                self.push_skipped(end);
                return None;
            }
            let hash = end - if self.text[..end].ends_with('#') { 1 } else { 2 };
            let word = self.lexer.clone().next(self.names);
            match self.names.spelled(&word) {
                "if" | "ifdef" | "ifndef" => depth += 1,
                "endif" if depth > 0 => depth -= 1,
                "endif" | "else" | "elif" | "elifdef" | "elifndef" if depth == 0 => {
                    self.push_skipped(hash);
                    return Some(Span::new(hash as u32, end as u32));
                }
                _ => {}
            }
        }
    }

    /// The lines from the end of the last item to `end`, if anything stands in them.
    fn push_skipped(&mut self, end: usize) {
        let lines = &self.text[self.end..end];
        let Some(first) = lines.find(|c: char| !c.is_ascii_whitespace()) else {
            self.newlines += newlines(lines);
            return;
        };
        let start = lines[..first].rfind('\n').map_or(0, |newline| newline + 1);
        // The blanks at the end are kept, too: after a backslash they keep the line from being continued.
        let stop = lines.trim_ascii_end().len();
        let stop = stop + lines[stop..].find('\n').unwrap_or(lines.len() - stop);
        self.items.push(Item {
            what: What::Skipped,
            text: &lines[start..stop],
            before: &lines[..start],
            newlines: newlines(&lines[..start]),
        });
        self.newlines = newlines(&lines[stop..]);
        self.end += stop;
    }

    fn push(&mut self, what: What, start: usize, end: usize) {
        let (text, before) = (&self.text[start..end], &self.text[self.end..start]);
        self.items.push(Item { what, text, before, newlines: self.newlines });
        self.end = end;
        // The lexer may have passed the end of the line already.
        self.newlines = newlines(&self.text[end..self.lexer.offset() as usize]);
    }
}

fn newlines(text: &str) -> u32 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u32
}

fn check(token: &Token) -> Result<(), Diagnostic> {
    let (code, message, help) = match token.kind {
        Kind::UnclosedComment => (codes::OPEN_COMMENT, "a comment is not closed", "end it with `*/`"),
        Kind::Unclosed => (codes::OPEN_STRING, "a quote is not closed", "close it in its line"),
        _ => return Ok(()),
    };
    // Only the opening mark is shown, since what follows it may be the rest of the file.
    let start = token.span.start;
    let span = Span::new(start, start + if token.kind == Kind::Unclosed { 1 } else { 2 });
    Err(Diagnostic::error(code, span, message, "it begins here").with_help(help))
}
