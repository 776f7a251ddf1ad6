//! What can go wrong on the way from a `.defs` file to Rust.

use std::fmt;
use std::io;
use std::path::PathBuf;

use mig_parser::Unformatted;
use mig_parser::diagnostics::{Diagnostics, Severity};
use mig_parser::source::SourceMap;

/// Why there is no output.
///
/// `Debug` is for people too, because it is what `fn main() -> Result<(), Error>` prints.
#[non_exhaustive]
pub enum Error {
    /// The input is wrong: all that is wrong with it.
    Diagnostics(Report),
    /// The settings are wrong.
    Config(String),
    /// A file cannot be written, or an output not be read for comparison.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A generated file that was to be checked is not what would be generated now.
    Stale {
        /// The file.
        path: PathBuf,
        /// Where it differs.
        difference: String,
    },
}

/// What is wrong with an input, or doubtful in it, together with the texts that the places are in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The texts.
    pub sources: SourceMap,
    /// The diagnostics, in the order of the text.
    pub diagnostics: Diagnostics,
    /// No more errors than these are shown.
    pub(crate) error_limit: usize,
}

impl Report {
    /// A report of what a tool has found itself.
    pub fn new(sources: SourceMap, diagnostics: Diagnostics) -> Self {
        Report { sources, diagnostics, error_limit: usize::MAX }
    }

    /// True if there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.iter().next().is_none()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.diagnostics.count(Severity::Warning)
    }

    /// All diagnostics as text for people, each with its marked lines; with escape sequences for a terminal
    /// if `colour` is set. Where there are errors, the last line counts them, those included that
    /// [`Config::error_limit`](crate::Config::error_limit) leaves out.
    pub fn render(&self, colour: bool) -> String {
        let (shown, _) = self.shown();
        let mut text = shown.render(&self.sources, colour);
        if let Some(summary) = self.summary() {
            text += &summary;
            text.push('\n');
        }
        text
    }

    /// The diagnostics that are shown, and how many errors are left out.
    pub(crate) fn shown(&self) -> (Diagnostics, usize) {
        self.diagnostics.first_errors(self.error_limit)
    }

    /// The count of errors and warnings, if there are errors.
    pub(crate) fn summary(&self) -> Option<String> {
        let errors = self.diagnostics.count(Severity::Error);
        if errors == 0 {
            return None;
        }
        let mut text = counted(errors, "error");
        if self.warnings() > 0 {
            text += &format!(", {}", counted(self.warnings(), "warning"));
        }
        let (_, left_out) = self.shown();
        if left_out > 0 {
            text += &format!("; {} not shown", counted(left_out, "error"));
        }
        Some(text)
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl From<Unformatted> for Report {
    fn from(Unformatted { sources, diagnostics, .. }: Unformatted) -> Self {
        // One error is all there is, since formatting ends at the first.
        Report { sources, diagnostics, error_limit: 1 }
    }
}

impl fmt::Display for Report {
    /// As [`render`](Report::render) without colours.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Diagnostics(report) => f.write_str(report.render(false).trim_end()),
            Error::Config(message) => f.write_str(message),
            Error::Io { path, error } => write!(f, "`{}`: {error}", path.display()),
            Error::Stale { path, difference } => {
                write!(f, "`{}` is not up to date\n{difference}", path.display())
            }
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // After `Error: `, which the standard library puts in front, a rendered diagnostic starts on its own
        // line.
        if let Error::Diagnostics(_) = self {
            f.write_str("\n")?;
        }
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
