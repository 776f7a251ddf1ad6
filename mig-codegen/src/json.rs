//! Diagnostics as JSON, of the shape that rustc's have, so that what reads those reads these.

use mig_parser::diagnostics::{Diagnostic, Diagnostics, Label, Severity};
use mig_parser::source::{SourceMap, Span};
use serde::Serialize;

use crate::error::{Error, Report};

/// A line of the input that has more bytes is left out of the message.
const LONGEST_LINE: usize = 1000;

#[derive(Serialize)]
struct Message<'m> {
    #[serde(rename = "$message_type")]
    kind: &'static str,
    message: &'m str,
    code: Option<Code<'m>>,
    level: &'static str,
    spans: Vec<Place<'m>>,
    children: Vec<Message<'m>>,
    rendered: Option<String>,
}

#[derive(Serialize)]
struct Code<'m> {
    code: &'m str,
    explanation: Option<&'m str>,
}

/// Lines and columns count from 1, columns in characters; bytes count from 0.
#[derive(Serialize)]
struct Place<'m> {
    file_name: &'m str,
    byte_start: usize,
    byte_end: usize,
    line_start: u32,
    line_end: u32,
    column_start: usize,
    column_end: usize,
    is_primary: bool,
    text: Vec<Line<'m>>,
    label: Option<&'m str>,
    suggested_replacement: Option<&'m str>,
    suggestion_applicability: Option<&'m str>,
    expansion: Option<()>,
}

#[derive(Serialize)]
struct Line<'m> {
    text: &'m str,
    highlight_start: usize,
    highlight_end: usize,
}

impl<'m> Message<'m> {
    fn new(level: &'static str, message: &'m str) -> Self {
        Message {
            kind: "diagnostic",
            message,
            code: None,
            level,
            spans: Vec::new(),
            children: Vec::new(),
            rendered: None,
        }
    }

    fn of(diagnostic: &'m Diagnostic, sources: &'m SourceMap) -> Self {
        let level = match diagnostic.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let mut alone = Diagnostics::default();
        alone.push(diagnostic.clone());
        Message {
            code: Some(Code { code: diagnostic.code, explanation: None }),
            spans: diagnostic.labels.iter().filter_map(|label| Place::of(label, sources)).collect(),
            children: diagnostic.help.iter().map(|help| Message::new("help", help)).collect(),
            rendered: Some(alone.render(sources, false)),
            ..Message::new(level, &diagnostic.message)
        }
    }

    fn line(&self) -> String {
        // Numbers, strings and lists can't fail to be written to memory.
        let mut line = serde_json::to_string(self).expect("a message is plain data");
        line.push('\n');
        line
    }
}

impl<'m> Place<'m> {
    fn of(label: &'m Label, sources: &'m SourceMap) -> Option<Self> {
        let span = sources.site(label.span);
        let end = Span { start: span.end, end: span.end };
        let (from, to) = (sources.locate(span)?, sources.locate(end)?);
        let column = |span: Span, column: u32| {
            let (line, _) = sources.line(span)?;
            Some(line.get(..column as usize - 1).unwrap_or(line).chars().count() + 1)
        };
        let (column_start, column_end) = (column(span, from.column)?, column(end, to.column)?);
        let (text, _) = sources.line(span).filter(|(line, _)| line.len() <= LONGEST_LINE).unzip();
        let highlight_end = match text {
            Some(text) if from.line != to.line => text.chars().count() + 1,
            _ => column_end,
        };
        let line = |text| Line { text, highlight_start: column_start, highlight_end };
        Some(Place {
            file_name: from.file,
            byte_start: sources.offset(span)?,
            byte_end: sources.offset(end)?,
            line_start: from.line,
            line_end: to.line,
            column_start,
            column_end,
            is_primary: label.primary,
            text: text.map(line).into_iter().collect(),
            label: Some(label.text.as_str()).filter(|text| !text.is_empty()),
            suggested_replacement: None,
            suggestion_applicability: None,
            expansion: None,
        })
    }
}

impl Report {
    /// An object a line for each diagnostic, as `rustc --error-format=json` writes them, with the text for
    /// people as `rendered`. Where there are errors, the last one counts them, those included that
    /// [`Config::error_limit`](crate::Config::error_limit) leaves out.
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json(&self) -> String {
        let (shown, _) = self.shown();
        let messages = shown.iter().map(|diagnostic| Message::of(diagnostic, &self.sources).line());
        let mut text: String = messages.collect();
        if let Some(summary) = self.summary() {
            text += &Message::new("failure-note", &summary).line();
        }
        text
    }
}

impl Error {
    /// As [`Report::json`]; what is wrong elsewhere than in the input has no code and no place.
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json(&self) -> String {
        match self {
            Error::Diagnostics(report) => report.json(),
            other => error_json(&other.to_string()),
        }
    }
}

/// A warning that a program which uses this library has found itself, as [`Report::json`] writes them.
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub fn warning_json(message: &str) -> String {
    Message { rendered: Some(format!("warning: {message}\n")), ..Message::new("warning", message) }.line()
}

/// An error that a program which uses this library has found itself, as [`Report::json`] writes them.
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub fn error_json(message: &str) -> String {
    Message { rendered: Some(format!("error: {message}\n")), ..Message::new("error", message) }.line()
}
