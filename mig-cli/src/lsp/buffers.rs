//! The texts that an editor has open, in place of what the files have.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use mig_parser::{FileSystem, Loader};

/// Texts by the identity of their files. All other files are read from the disk.
#[derive(Default)]
pub(super) struct Buffers(HashMap<PathBuf, String>);

impl Buffers {
    pub(super) fn open(&mut self, path: &Path, text: String) {
        self.0.insert(self.identity(path), text);
    }

    pub(super) fn close(&mut self, path: &Path) {
        self.0.remove(&self.identity(path));
    }

    /// The text of a file; empty if it cannot be read.
    pub(super) fn text(&self, path: &Path) -> String {
        self.load(path).map_or(String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Loader for Buffers {
    fn load(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.0.get(&self.identity(path)) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => FileSystem.load(path),
        }
    }

    fn identity(&self, path: &Path) -> PathBuf {
        FileSystem.identity(path)
    }
}
