//! What the child of a fork has that was not in its place at the fork.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use mach_vm::Source;
use rustix::io::fcntl_dupfd_cloexec;

use crate::descriptors::STANDARD;
use crate::window::PAGE;
use crate::work;

/// Copies of pages, in a file.
pub(crate) struct Snapshot {
    /// Their addresses in order, and where in the file each of them is.
    pages: Vec<(usize, u64)>,
    file: Option<File>,
}

impl Snapshot {
    fn place(&self, address: usize) -> Option<u64> {
        let at = self.pages.binary_search_by_key(&address, |(address, _)| *address).ok()?;
        Some(self.pages[at].1)
    }

    /// Has the file in the table of this thread of the program, instead of that of the library's threads.
    pub(crate) fn pass(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let opened = File::open(format!("/proc/self/task/{}/fd/{}", work::thread(), file.as_raw_fd()));
        // Closed in the table that it is in.
        work::done(|| drop(file));
        let opened = opened?;
        let is_standard = opened.as_raw_fd() < STANDARD;
        self.file = Some(if is_standard { fcntl_dupfd_cloexec(opened, STANDARD)?.into() } else { opened });
        Ok(())
    }

    /// Closes the file in the table of this thread, in which it has been opened.
    pub(crate) fn close(&mut self) {
        self.file = None;
    }

    /// The number of the file.
    pub(crate) fn number(&self) -> Option<RawFd> {
        self.file.as_ref().map(|file| file.as_raw_fd())
    }
}

impl Source for Snapshot {
    fn has(&self, address: usize) -> bool {
        self.place(address).is_some()
    }

    fn read(&self, address: usize, page: &mut [u8]) -> bool {
        let (Some(place), Some(file)) = (self.place(address), &self.file) else { return false };
        file.read_exact_at(page, place).is_ok()
    }
}

/// A snapshot that is being made.
pub(crate) struct Writer<'a> {
    snapshot: Snapshot,
    folder: &'a Path,
}

impl<'a> Writer<'a> {
    /// Copies go to a file in this folder.
    pub(crate) fn new(folder: &'a Path) -> Self {
        Self { snapshot: Snapshot { pages: Vec::new(), file: None }, folder }
    }

    /// Adds a page.
    pub(crate) fn add(&mut self, address: usize, page: &[u8]) -> io::Result<()> {
        let Snapshot { pages, file } = &mut self.snapshot;
        let place = (pages.len() * PAGE) as u64;
        let file = match file {
            Some(file) => file,
            None => file.insert(tempfile::tempfile_in(self.folder)?),
        };
        file.write_all_at(page, place)?;
        pages.push((address, place));
        Ok(())
    }

    /// Adds a page that is in the snapshot which this process was made with.
    pub(crate) fn add_inherited(&mut self, address: usize, from: &Arc<Snapshot>) -> io::Result<()> {
        let mut page = [0; PAGE];
        match from.read(address, &mut page) {
            true => self.add(address, &page),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    pub(crate) fn finish(mut self) -> Snapshot {
        self.snapshot.pages.sort_unstable();
        self.snapshot
    }
}
