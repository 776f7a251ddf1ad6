//! What a phase has to say about the input.

use crate::source::{SourceMap, Span};
use crate::{codes, limits};

/// How bad it is.
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

/// One thing wrong, or doubtful, in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// `MIG` and four digits; never reused for another meaning.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One line.
    pub message: String,
    /// The places.
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
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds one unless there are too many of its kind. False for the error that is one too many: work may end there.
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

    /// Puts them in the order of the text: the preprocessor has read all before the grammar sees the first token.
    pub(crate) fn sort(&mut self, sources: &SourceMap) {
        self.list.sort_by_key(|d| (d.code == codes::TOO_MANY, sources.site(d.span()).start));
    }

    /// True if there is no usable output.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// All of them, in the order in which they were found.
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

    /// The place that it is about.
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
