//! This library's descriptors have a table of their own.
//!
//! A program gives numbers to descriptors itself, closes all that it does not know, or relies on getting the
//! lowest number that is free. None of that meets those of this library: its threads share a table among
//! themselves, and not with the program's threads. Nothing of the program's is in it, so that a pipe ends
//! when the program closes it.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{IntoRawFd as _, RawFd};

use crate::system;

/// Descriptors that everybody takes for the standard ones.
pub(crate) const STANDARD: RawFd = 3;

/// This thread, and those that it makes from now on, have a new table. Of the old one only this descriptor is
/// in it, which is none of the standard ones.
pub(crate) fn begin(keep: Option<RawFd>) -> io::Result<()> {
    // SAFETY: what this thread does not share any more is its table of descriptors, and it has none in use.
    if unsafe { libc::unshare(libc::CLONE_FILES) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let kept = keep.and_then(|keep| u32::try_from(keep).ok());
    let is_closed = |first, last| system::close_range(first, last, 0) == 0;
    let are_closed = match kept {
        Some(kept) => is_closed(0, kept - 1) && is_closed(kept + 1, u32::MAX),
        None => is_closed(0, u32::MAX),
    };
    if !are_closed {
        return Err(io::Error::last_os_error());
    }
    for _ in 0..STANDARD {
        // What somebody prints must not go to a file that happens to have the number.
        let _ = OpenOptions::new().read(true).write(true).open("/dev/null")?.into_raw_fd();
    }
    Ok(())
}
