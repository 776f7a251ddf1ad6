//! Comments that describe what follows them.

use crate::source::{SourceMap, Span};

/// Finds out which comments stand directly before a token: no blank line and no other token between.
#[derive(Debug)]
pub(crate) struct Docs {
    /// The comments found; entry 0 is "none".
    table: Vec<Vec<Span>>,
    pending: Vec<Span>,
    /// The pending comment has a token before it on its line. It belongs to that token, unless another one
    /// follows on the line.
    trailing: bool,
    newlines: u32,
}

impl Docs {
    pub(crate) fn new() -> Self {
        Self { table: vec![Vec::new()], pending: Vec::new(), trailing: false, newlines: 0 }
    }

    pub(crate) fn comment(&mut self, span: Span, after_token: bool) {
        self.pending.push(span);
        self.trailing |= after_token;
        self.newlines = 0;
    }

    pub(crate) fn newline(&mut self) {
        self.newlines += 1;
        if self.trailing || self.newlines > 1 {
            self.pending.clear();
            self.trailing = false;
        }
    }

    /// Notes the end of a text, whose comments describe nothing in the next text.
    pub(crate) fn end_of_text(&mut self) {
        self.pending.clear();
        self.trailing = false;
    }

    /// Notes a directive. It is no statement, so it does not separate a comment from the statement after
    /// both.
    pub(crate) fn directive(&mut self) {
        self.newlines = 0;
    }

    /// Takes the comments before the token that comes now, and returns the number by which
    /// [`lines`](Self::lines) knows them.
    pub(crate) fn take(&mut self) -> u32 {
        self.newlines = 0;
        self.trailing = false;
        if self.pending.is_empty() {
            return 0;
        }
        self.table.push(std::mem::take(&mut self.pending));
        self.table.len() as u32 - 1
    }

    /// The comments with this number as lines, without comment marks and without empty lines around them.
    pub(crate) fn lines(&self, doc: u32, sources: &SourceMap) -> Vec<String> {
        let mut lines = Vec::new();
        for span in &self.table[doc as usize] {
            clean(sources.text(*span), &mut lines);
        }
        let filled = |line: &String| !line.is_empty();
        lines.truncate(lines.iter().rposition(filled).map_or(0, |n| n + 1));
        lines.drain(..lines.iter().position(filled).unwrap_or(0));
        lines
    }
}

fn clean(comment: &str, lines: &mut Vec<String>) {
    if let Some(line) = comment.strip_prefix("//") {
        lines.push(line.trim_start_matches(['/', '!']).trim().to_owned());
        return;
    }
    let inner = comment.strip_prefix("/*").and_then(|c| c.strip_suffix("*/")).unwrap_or("");
    for line in inner.trim_start_matches('*').trim_end_matches('*').lines() {
        let line = line.trim();
        let line = line.strip_prefix('*').unwrap_or(line).trim_start();
        lines.push(without_controls(line));
    }
}

fn without_controls(line: &str) -> String {
    let is_text = |c: char| !c.is_control() || c == '\t';
    // Nearly every line is plain, so its characters need no closer look.
    if line.bytes().all(|byte| byte.is_ascii() && is_text(byte.into())) {
        return line.to_owned();
    }
    line.chars().filter(|c| is_text(*c)).collect()
}
