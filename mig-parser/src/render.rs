//! Diagnostics as text: code, place, marked line, help.

use std::ops::Range;

use codespan_reporting::diagnostic::{self as codespan, LabelStyle};
use codespan_reporting::files::{Error, Files};
use codespan_reporting::term::termcolor::Buffer;
use codespan_reporting::term::{self, Config};

use crate::diagnostics::{Diagnostic, Diagnostics, Severity};
use crate::source::{SourceMap, Span};

/// How many `#include` and macro calls around a place are shown.
const TRAIL: usize = 8;
/// How much of a long line is shown around the marked place, in bytes on each side.
const AROUND: usize = 120;
/// Stands where a long line is cut off.
const CLIPPED: &str = "…";

impl Diagnostics {
    /// All of them as text for people, each with its marked lines; with escape sequences for a terminal if
    /// `colour` is set.
    pub fn render(&self, sources: &SourceMap, colour: bool) -> String {
        let mut buffer = if colour { Buffer::ansi() } else { Buffer::no_color() };
        for diagnostic in self.iter() {
            let (excerpts, diagnostic) = translate(diagnostic, sources);
            // Writing to memory fails only if a label lies outside its line, and `Excerpts` made both.
            let _ = term::emit_to_write_style(&mut buffer, &Config::default(), &excerpts, &diagnostic);
        }
        String::from_utf8_lossy(buffer.as_slice()).into_owned()
    }
}

fn translate(diagnostic: &Diagnostic, sources: &SourceMap) -> (Excerpts, codespan::Diagnostic<usize>) {
    let mut excerpts = Excerpts::default();
    let severity = match diagnostic.severity {
        Severity::Warning => codespan::Severity::Warning,
        Severity::Error => codespan::Severity::Error,
    };
    let mut labels = Vec::new();
    for label in &diagnostic.labels {
        let style = if label.primary { LabelStyle::Primary } else { LabelStyle::Secondary };
        labels.extend(excerpts.label(style, sources, sources.site(label.span), &label.text));
    }
    let place = if labels.is_empty() { None } else { Some(diagnostic.span()) };
    for (span, text) in place.into_iter().flat_map(|place| trail(place, sources)) {
        labels.extend(excerpts.label(LabelStyle::Secondary, sources, span, &text));
    }
    let mut rendered = codespan::Diagnostic::new(severity)
        .with_code(diagnostic.code)
        .with_message(&diagnostic.message)
        .with_labels(labels);
    if let Some(help) = &diagnostic.help {
        rendered = rendered.with_note(format!("help: {help}"));
    }
    (excerpts, rendered)
}

/// The macros and the `#include`s that led to `span`.
fn trail(span: Span, sources: &SourceMap) -> Vec<(Span, String)> {
    let mut trail = Vec::new();
    let mut macros = span;
    while let Some(expansion) = sources.expansion(macros).filter(|_| trail.len() < TRAIL) {
        let spelled = sources.spelling(expansion.spelling);
        trail.push((spelled, format!("in expansion of the macro `{}`", expansion.name)));
        macros = expansion.site;
    }
    let mut place = sources.site(span);
    while let Some(site) = sources.included_at(place).filter(|_| trail.len() < TRAIL) {
        trail.push((sources.site(site), "included from here".to_owned()));
        place = site;
    }
    trail
}

/// The lines that are shown, each as a piece of text made fit for a terminal.
#[derive(Default)]
struct Excerpts {
    files: Vec<Excerpt>,
}

#[derive(Default)]
struct Excerpt {
    name: String,
    text: String,
    lines: Vec<Line>,
}

struct Line {
    number: usize,
    /// Where the text starts in its line: the column of its first byte, from 0.
    skipped: usize,
    range: Range<usize>,
}

impl Excerpts {
    fn label(
        &mut self,
        style: LabelStyle,
        sources: &SourceMap,
        span: Span,
        text: &str,
    ) -> Option<codespan::Label<usize>> {
        let location = sources.locate(span)?;
        let (line, marked) = sources.line(span)?;
        let file = match self.files.iter().position(|f| f.name == location.file) {
            Some(file) => file,
            None => {
                self.files.push(Excerpt { name: location.file.to_owned(), ..Excerpt::default() });
                self.files.len() - 1
            }
        };
        let number = location.line.max(1) as usize;
        let range = self.files[file].mark(number, line, marked);
        // A single line between two labels is shown, too.
        if let Some(next) = sources.next_line(span) {
            self.files[file].mark(number + 1, next, 0..0);
        }
        Some(codespan::Label::new(style, file, range).with_message(text))
    }
}

impl Excerpt {
    /// Adds a line unless it is there, and returns where its part `marked` lies.
    fn mark(&mut self, number: usize, line: &str, marked: Range<usize>) -> Range<usize> {
        let known = self.lines.iter().position(|l| l.number == number);
        let index = known.unwrap_or_else(|| self.add(number, line, &marked));
        let shown = &self.lines[index];
        let place = |at: usize| (shown.range.start + at.saturating_sub(shown.skipped)).min(shown.range.end);
        place(marked.start)..place(marked.end)
    }

    fn add(&mut self, number: usize, line: &str, marked: &Range<usize>) -> usize {
        let boundary = |mut at: usize| {
            while !line.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let from = if line.len() > 2 * AROUND { boundary(marked.start.saturating_sub(AROUND)) } else { 0 };
        // What is left out must have room for the sign that says so.
        let from = if from < CLIPPED.len() { 0 } else { from };
        let to = boundary(line.len().min(from + 2 * AROUND));
        let start = self.text.len();
        let skipped = if from > 0 { from - CLIPPED.len() } else { 0 };
        if from > 0 {
            self.text.push_str(CLIPPED);
        }
        // Each character is replaced by one of the same length: columns stay.
        self.text
            .extend(line[from..to].chars().map(|c| if c.is_ascii_control() && c != '\t' { '?' } else { c }));
        if to < line.len() {
            self.text.push_str(CLIPPED);
        }
        self.lines.push(Line { number, skipped, range: start..self.text.len() });
        self.text.push('\n');
        self.lines.len() - 1
    }
}

impl<'a> Files<'a> for Excerpts {
    type FileId = usize;
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, file: usize) -> Result<&'a str, Error> {
        self.files.get(file).map(|f| f.name.as_str()).ok_or(Error::FileMissing)
    }

    fn source(&'a self, file: usize) -> Result<&'a str, Error> {
        self.files.get(file).map(|f| f.text.as_str()).ok_or(Error::FileMissing)
    }

    // Lines go by their true index, so that the lines left out between two labels show as a gap.
    fn line_index(&'a self, file: usize, at: usize) -> Result<usize, Error> {
        let lines = &self.files.get(file).ok_or(Error::FileMissing)?.lines;
        let line = lines.iter().find(|l| l.range.start <= at && at <= l.range.end);
        Ok(line.or(lines.last()).map_or(0, |l| l.number - 1))
    }

    fn line_number(&'a self, _: usize, line: usize) -> Result<usize, Error> {
        Ok(line + 1)
    }

    fn column_number(&'a self, file: usize, line: usize, at: usize) -> Result<usize, Error> {
        let line = self.line(file, line)?;
        Ok(line.skipped + at.saturating_sub(line.range.start) + 1)
    }

    fn line_range(&'a self, file: usize, line: usize) -> Result<Range<usize>, Error> {
        Ok(self.line(file, line)?.range.clone())
    }
}

impl Excerpts {
    fn line(&self, file: usize, line: usize) -> Result<&Line, Error> {
        let lines = &self.files.get(file).ok_or(Error::FileMissing)?.lines;
        lines
            .iter()
            .find(|l| l.number == line + 1)
            .ok_or(Error::LineTooLarge { given: line, max: lines.len() })
    }
}
