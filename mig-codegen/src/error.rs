//! What can go wrong on the way from a `.defs` file to Rust.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no output.
///
/// `Debug` is for people too, because it is what `fn main() -> Result<(), Error>` prints.
#[non_exhaustive]
pub enum Error {
    /// The input is wrong; all that is wrong with it, rendered.
    Diagnostics(String),
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Diagnostics(rendered) => f.write_str(rendered.trim_end()),
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
        // Behind `Error: `, which the standard library puts in front, a rendered diagnostic starts on its own line.
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
