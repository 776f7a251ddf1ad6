//! How a verb writes diagnostics.

use std::env;
use std::io::{self, IsTerminal as _, Read as _};

use clap::Args;
use mig_codegen::{Error, Report};

use crate::{Failure, INPUT, tell};

/// How to say what is wrong.
#[derive(Args)]
pub(crate) struct Telling {
    /// Show at most this many errors
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    error_limit: usize,
    /// Whether to colour what is said
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Colour::Auto)]
    color: Colour,
    /// Errors and warnings for people, or as JSON: an object a line, of the shape that rustc's have
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    message_format: Format,
}

/// One byte more than the parser accepts, so that it refuses an input that is longer.
const LARGEST: u64 = (1 << 28) + 1;

/// For whom diagnostics are written.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Human,
    Json,
}

/// When to colour.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Colour {
    /// On a terminal, unless the environment has `NO_COLOR` or `TERM=dumb`
    Auto,
    Always,
    Never,
}

impl Colour {
    fn is_wanted(self) -> bool {
        let asked_not_to = || env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let cannot = || env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self {
            Colour::Auto => io::stderr().is_terminal() && !asked_not_to() && !cannot(),
            Colour::Always => true,
            Colour::Never => false,
        }
    }
}

impl Telling {
    /// Whether diagnostics are coloured.
    pub(crate) fn is_coloured(&self) -> bool {
        self.color.is_wanted()
    }

    /// Writes the diagnostics of an input.
    pub(crate) fn tell(&self, report: &Report) {
        tell(&self.text(report));
    }

    /// The diagnostics of an input as text.
    pub(crate) fn text(&self, report: &Report) -> String {
        match self.message_format {
            Format::Human => report.render(self.color.is_wanted()),
            Format::Json => report.json(),
        }
    }

    /// Writes an error that is not about a place of an input.
    pub(crate) fn tell_error(&self, message: &str) {
        tell(&match self.message_format {
            Format::Human => format!("error: {message}\n"),
            Format::Json => mig_codegen::error_json(message),
        });
    }

    /// Whether diagnostics are written for programs.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.message_format, Format::Json)
    }

    /// Writes a warning that is not about a place of an input.
    pub(crate) fn tell_warning(&self, message: &str) {
        tell(&match self.message_format {
            Format::Human => format!("warning: {message}\n"),
            Format::Json => mig_codegen::warning_json(message),
        });
    }

    /// Writes why there is no output, and returns how the verb ends.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        match error {
            Error::Diagnostics(report) => self.tell(report),
            other => self.tell_error(&other.to_string()),
        }
        if matches!(error, Error::Config(_)) { Failure(2) } else { INPUT }
    }

    /// Writes what is wrong with the command line, and returns how the verb ends.
    pub(crate) fn usage(&self, wrong: &str) -> Failure {
        self.tell_error(wrong);
        Failure(2)
    }

    /// All of standard input.
    pub(crate) fn standard_input(&self) -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        match io::stdin().take(LARGEST).read_to_end(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => {
                self.tell_error(&format!("standard input: {error}"));
                Err(INPUT)
            }
        }
    }

    /// How many errors are shown.
    pub(crate) fn error_limit(&self) -> usize {
        self.error_limit
    }
}
