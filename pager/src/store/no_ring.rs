//! What stands for io_uring on machines that the crate `io-uring` does not know.

use std::fs::File;
use std::io::IoSlice;
use std::vec::Vec;

use rustix::io::Errno;

/// There are none.
#[derive(Debug)]
pub(super) enum Rings {}

impl Rings {
    pub(super) fn new() -> Option<Self> {
        None
    }

    pub(super) fn write(
        &self,
        _file: &File,
        _writes: &[(u64, Vec<IoSlice<'_>>)],
        _done: &mut dyn FnMut(usize, Result<usize, Errno>),
    ) {
        match *self {}
    }

    pub(super) fn read(
        &self,
        _file: &File,
        _reads: &mut [(u64, &mut [u8])],
        _done: &mut dyn FnMut(usize, Result<usize, Errno>),
    ) {
        match *self {}
    }
}
