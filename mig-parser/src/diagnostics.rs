//! What a phase has to say about the input.

use crate::source::{SourceMap, Span};
use crate::{codes, limits};

/// How serious a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The output can be used.
    Warning,
    /// There is no output.
    Error,
}

/// A place with a remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The remark.
    pub text: String,
    /// The place that the diagnostic is about; the others only help.
    pub primary: bool,
}

/// One thing that is wrong or doubtful in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// `MIG` and four digits; never reused for another meaning.
    pub code: &'static str,
    /// How serious it is.
    pub severity: Severity,
    /// One line.
    pub message: String,
    /// The places; none for a file that cannot be read.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

/// The one list to which every phase pushes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds a diagnostic.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds an error at one place.
    pub fn error(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.push(Diagnostic::error(code, span, message, label));
    }

    /// Adds a warning at one place.
    pub fn warning(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.push(Diagnostic::warning(code, span, message, label));
    }

    /// Adds a diagnostic, unless there are too many of its severity already. False for the first error that
    /// is left out, so that the caller can stop.
    pub(crate) fn push_bounded(&mut self, diagnostic: Diagnostic) -> bool {
        let known = self.list.iter().filter(|d| d.severity == diagnostic.severity).count();
        if known < limits::ERRORS {
            self.list.push(diagnostic);
            return true;
        }
        if diagnostic.severity == Severity::Warning {
            return true;
        }
        if known == limits::ERRORS {
            let message = "too many errors";
            let label = "the rest is not looked at";
            self.list.push(Diagnostic::error(codes::TOO_MANY, diagnostic.span(), message, label));
        }
        false
    }

    /// Puts the diagnostics in the order of the text. They are not in that order, because the preprocessor
    /// has read all of it before the grammar sees the first token.
    pub(crate) fn sort(&mut self, sources: &SourceMap) {
        self.list.sort_by_key(|d| (d.code == codes::TOO_MANY, sources.site(d.span()).start));
    }

    /// Leaves out what follows from a missing file: errors with the code `consequence`, which the error about
    /// the file gets as a note.
    pub fn blame_missing_file(&mut self, consequence: &str) {
        if !self.list.iter().any(|d| d.code == codes::INCLUDE) {
            return;
        }
        let mut first = None;
        let mut count = 0u32;
        self.list.retain(|d| {
            let follows = d.code == consequence;
            if follows {
                count += 1;
                first.get_or_insert_with(|| (d.span(), d.message.clone()));
            }
            !follows
        });
        let (Some((span, message)), Some(missing)) =
            (first, self.list.iter_mut().find(|d| d.code == codes::INCLUDE))
        else {
            return;
        };
        let more = match count {
            1 => String::new(),
            2 => ", and 1 more error that follows from it".to_owned(),
            _ => format!(", and {} more errors that follow from it", count - 1),
        };
        missing.labels.push(Label {
            span,
            text: format!("{message}, most likely for want of that file{more}"),
            primary: false,
        });
    }

    /// The first errors, this many at most, with the warnings between them; and how many errors are left out.
    pub fn first_errors(&self, most: usize) -> (Diagnostics, usize) {
        let mut errors = 0;
        let mut list = Vec::new();
        for diagnostic in &self.list {
            errors += usize::from(diagnostic.severity == Severity::Error);
            if errors <= most {
                list.push(diagnostic.clone());
            }
        }
        (Diagnostics { list }, errors.saturating_sub(most))
    }

    /// How many diagnostics have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|d| d.severity == severity).count()
    }

    /// True if there is an error, so that no output can be used.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// All diagnostics, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }
}

impl Diagnostic {
    /// An error at one place.
    pub fn error(
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, code, span, message, label)
    }

    /// A warning at one place.
    pub fn warning(
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warning, code, span, message, label)
    }

    /// An error about a whole file, of which there is no line to show.
    pub(crate) fn of_a_file(code: &'static str, message: impl Into<String>) -> Self {
        let (severity, message) = (Severity::Error, message.into());
        Self { code, severity, message, labels: Vec::new(), help: None }
    }

    fn new(
        severity: Severity,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        let primary = Label { span, text: label.into(), primary: true };
        Self { code, severity, message: message.into(), labels: vec![primary], help: None }
    }

    /// The place that the diagnostic is about.
    pub fn span(&self) -> Span {
        self.labels.iter().find(|label| label.primary).map_or(Span::default(), |label| label.span)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a place that helps to understand.
    #[must_use]
    pub fn with_note(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into(), primary: false });
        self
    }
}
