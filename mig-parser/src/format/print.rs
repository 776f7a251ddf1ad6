//! Prints items at their places, and breaks lines that are too long.

use super::gaps::{Gap, Place};
use super::items::{Item, What};
use crate::token::Punct;

/// Columns that a declaration may take, with tabs of eight.
const WIDTH: usize = 80;
const TAB: usize = 8;

/// The text of the items.
pub(super) fn print(items: &[Item<'_>], places: &[Option<Place>]) -> String {
    let mut printer = Printer {
        items,
        places,
        out: String::new(),
        column: 0,
        open: false,
        group_end: 0,
        moved: false,
        next_token: 0,
        inside: false,
    };
    for at in 0..items.len() {
        printer.item(at);
    }
    if !printer.out.is_empty() {
        printer.out.push('\n');
    }
    printer.out
}

struct Printer<'a> {
    items: &'a [Item<'a>],
    places: &'a [Option<Place>],
    out: String,
    column: usize,
    /// The declaration does not fit in a line.
    open: bool,
    /// After its last token.
    group_end: usize,
    /// The place of the next token has been taken by a comment before it.
    moved: bool,
    /// The token at which the last search of `place_after` ended, so that nothing is looked at twice.
    next_token: usize,
    /// The last token did not end a statement.
    inside: bool,
}

impl Printer<'_> {
    fn item(&mut self, at: usize) {
        let item = &self.items[at];
        match (&item.what, self.places[at]) {
            (What::Token(_), Some(place)) => self.token(at, place),
            (What::Comment | What::LineComment, _) => self.comment(at),
            _ => {
                self.line(at, true);
                let blanks = item.before.trim_end_matches([' ', '\t']).len();
                self.out.push_str(&item.before[blanks..]);
                self.push(&trimmed_lines(item.text));
            }
        }
    }

    fn token(&mut self, at: usize, place: Place) {
        let item = &self.items[at];
        if place.gap == Gap::Line || at >= self.group_end {
            self.begin_group(at);
        }
        if std::mem::take(&mut self.moved) {
            self.push(" ");
        } else if place.gap == Gap::AsWritten {
            self.as_written(at);
        } else if self.must_break(at) {
            self.line(at, place.gap == Gap::Line || !self.is_token(at - 1));
            self.indent(place.indent);
        } else {
            self.gap(at, place);
        }
        self.push(item.text);
        self.inside = !item.is(Punct::Semicolon);
    }

    fn gap(&mut self, at: usize, place: Place) {
        let breaks = match place.gap {
            Gap::Line => true,
            Gap::Soft | Gap::Option => self.open,
            Gap::Late => self.open && !self.fits_until_next(at),
            _ => false,
        };
        let follows_comment = at > 0 && self.items[at - 1].is_comment();
        match place.gap {
            _ if breaks => {
                self.line(at, place.gap == Gap::Line);
                self.indent(place.indent);
            }
            Gap::Tab => self.push("\t"),
            Gap::Nothing if !follows_comment || self.items[at].is(Punct::Semicolon) => {}
            _ => self.push(" "),
        }
    }

    fn comment(&mut self, at: usize) {
        let item = &self.items[at];
        let after = self.place_after(at);
        if self.inside && after.is_some_and(|place| place.gap == Gap::AsWritten) {
            self.as_written(at);
            return self.push(&trimmed_lines(item.text));
        }
        let next = self.places.get(at + 1).copied().flatten();
        if self.starts_line(at) {
            let own = self.ends_line(at);
            let indent = after.map_or(0, |place| if own { place.comment } else { place.indent });
            self.line(at, true);
            self.indent(indent);
            self.moved = !own && next.is_some();
            return self.push(&aligned(item.text, indent));
        }
        // A comment between two tokens belongs to the second, wherever that token goes.
        let next = next.filter(|_| !self.ends_line(at) && !self.moved);
        if next.is_some_and(|place| place.gap == Gap::Line) {
            self.begin_group(at + 1);
        }
        match next {
            Some(Place { gap: Gap::Line, indent, .. }) => self.moved_comment(at, true, indent),
            Some(Place { gap: Gap::Soft | Gap::Option, indent, .. }) if self.open => {
                self.moved_comment(at, false, indent);
            }
            _ => {
                self.push(" ");
                self.push(&trimmed_lines(item.text));
            }
        }
    }

    /// A comment that begins the line of the token after it.
    fn moved_comment(&mut self, at: usize, spaced: bool, indent: usize) {
        self.line(at, spaced);
        self.indent(indent);
        self.push(&aligned(self.items[at].text, indent));
        self.moved = true;
    }

    /// The place of the next token. Comments and directives before it are looked at once.
    fn place_after(&mut self, at: usize) -> Option<Place> {
        if self.next_token <= at {
            let is_token = |next: &usize| self.places[*next].is_some();
            self.next_token = (at..self.items.len()).find(is_token).unwrap_or(self.items.len());
        }
        self.places.get(self.next_token).copied().flatten()
    }

    /// Finds out whether the tokens from here to the next new line fit in one.
    fn begin_group(&mut self, start: usize) {
        let next = |at: &usize| self.places[*at].is_some_and(|place| place.gap == Gap::Line);
        let end = (start + 1..self.items.len()).find(next).unwrap_or(self.items.len());
        let last = (start..end).rev().find(|at| self.is_token(*at)).unwrap_or(start);
        self.group_end = end;
        let indent = self.places[start].map_or(0, |place| place.indent);
        let mut column = indent * TAB;
        self.open = false;
        for at in start..=last {
            let item = &self.items[at];
            if at > start {
                self.open |= self.is_broken(at);
                let gap = self.places[at].map_or(Gap::Space, |place| place.gap);
                self.open |= gap == Gap::Option;
                column += gap_width(gap, column);
            }
            column = after(column, item.text);
            self.open |= item.text.contains('\n');
        }
        self.open |= column > WIDTH;
    }

    /// Whether the line ends before this item of a declaration, however short that is.
    fn is_broken(&self, at: usize) -> bool {
        let item = &self.items[at];
        self.must_break(at) || item.is_lines() || (item.is_comment() && self.starts_line(at))
    }

    /// Whether the tokens from here to where the declaration may be broken fit in the line.
    fn fits_until_next(&self, at: usize) -> bool {
        let mut column = self.column + 1;
        // This ends soon, since every token makes the line longer.
        for ahead in at..self.group_end {
            if ahead > at {
                let gap = self.places[ahead].map_or(Gap::Space, |place| place.gap);
                if matches!(gap, Gap::Soft | Gap::Option | Gap::Late) || self.is_broken(ahead) {
                    break;
                }
                column += gap_width(gap, column);
            }
            column = after(column, self.items[ahead].text);
            if column > WIDTH {
                return false;
            }
        }
        true
    }

    /// Whether a new line must begin here because of what stands before.
    fn must_break(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1) else { return false };
        self.items[before].is_lines() || (self.items[before].is_comment() && self.ends_line(before))
    }

    /// Whether only white space stands before this comment in its line.
    fn starts_line(&self, at: usize) -> bool {
        at == 0 || self.items[at].newlines > 0 || self.items[at - 1].is_lines()
    }

    /// Whether nothing follows this comment in its line.
    fn ends_line(&self, at: usize) -> bool {
        let next = self.items.get(at + 1);
        next.is_none_or(|next| next.newlines > 0 || next.is_lines())
    }

    fn is_token(&self, at: usize) -> bool {
        self.items[at].token().is_some()
    }

    /// Ends the line; one empty line stays if `spaced`, except after what opens and before what closes.
    fn line(&mut self, at: usize, spaced: bool) {
        if self.out.is_empty() {
            return;
        }
        self.out.push('\n');
        let before = &self.items[at - 1];
        let opens = before.is(Punct::LParen) || before.is(Punct::LBrace);
        let closes = self.items[at].is(Punct::RParen) || self.items[at].is(Punct::RBrace);
        if spaced && self.items[at].newlines > 1 && !opens && !closes {
            self.out.push('\n');
        }
        self.column = 0;
    }

    fn indent(&mut self, tabs: usize) {
        for _ in 0..tabs {
            self.push("\t");
        }
    }

    /// The white space of the text, without what stands at the ends of lines and more than one empty line.
    fn as_written(&mut self, at: usize) {
        let item = &self.items[at];
        if self.out.is_empty() {
            return;
        }
        if self.must_break(at) || item.newlines > 0 {
            self.line(at, true);
            let blanks = item.before.rfind('\n').map_or(0, |newline| newline + 1);
            self.push(&item.before[blanks..]);
        } else {
            self.push(item.before);
        }
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        self.column = after(self.column, text);
    }
}

fn gap_width(gap: Gap, column: usize) -> usize {
    match gap {
        Gap::Nothing => 0,
        Gap::Tab => TAB - column % TAB,
        _ => 1,
    }
}

/// The column after a text.
fn after(column: usize, text: &str) -> usize {
    text.chars().fold(column, |column, c| match c {
        '\n' => 0,
        '\t' => column + TAB - column % TAB,
        _ => column + 1,
    })
}

/// A comment whose lines begin below its own `*`, if they begin with one.
fn aligned(comment: &str, tabs: usize) -> String {
    let trimmed = trimmed_lines(comment);
    let mut lines = trimmed.split('\n');
    let mut text = lines.next().unwrap_or("").to_owned();
    for line in lines {
        text.push('\n');
        let inner = line.trim_start_matches([' ', '\t']);
        if inner.starts_with('*') && comment.starts_with("/*") {
            text.push_str(&"\t".repeat(tabs));
            text.push(' ');
            text.push_str(inner);
        } else {
            text.push_str(line);
        }
    }
    text
}

/// Without white space at the ends of lines, unless it keeps a backslash from being the last of its line.
pub(super) fn trimmed_lines(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let trimmed = line.trim_end_matches([' ', '\t', '\r', '\x0b', '\x0c']);
        if trimmed.ends_with('\\') { line } else { trimmed }
    });
    lines.collect::<Vec<_>>().join("\n")
}
