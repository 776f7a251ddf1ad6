//! The verbs of the command, and what they share.

mod bytes;
pub(crate) mod demo;
pub(crate) mod format;

pub(crate) use bytes::Bytes;

use std::fmt::Arguments;
use std::io::{self, Write as _};

/// Writes to the standard output. That nobody reads it is no error.
fn say(text: Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
