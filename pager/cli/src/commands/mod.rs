//! The verbs of the command, and what they share.

mod bytes;
pub(crate) mod demo;
pub(crate) mod format;
pub(crate) mod run;

pub(crate) use bytes::Bytes;

use std::fmt::Arguments;
use std::io::{self, Write as _};
use std::path::Path;

use mach_pager::store::nbd::{self, Address};

/// The export of an NBD server that a path stands for, if it is no file.
fn export(path: &Path) -> Result<Option<Address>, String> {
    match path.to_str().filter(|text| nbd::is_address(text)) {
        Some(text) => text.parse().map(Some).map_err(|error| format!("{text}: {error}")),
        None => Ok(None),
    }
}

/// Writes to the standard output. That nobody reads it is no error.
fn say(text: Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
