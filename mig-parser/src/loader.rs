//! Where the texts come from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::limits;

/// Reads files; the preprocessor knows no other way to a file.
pub trait Loader {
    /// The bytes of the file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] and a folder let the search go on in the next folder; anything else ends
    /// it.
    fn load(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// One path for all ways to the same file, by which `#import` and `#pragma once` know it.
    fn identity(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
}

/// Reads from the file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl Loader for FileSystem {
    fn load(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        // `take` hides the size from `read_to_end`, which would begin with 32 bytes.
        let size = metadata.len().min(limits::TEXT as u64) as usize;
        let mut bytes = Vec::with_capacity(size + 1);
        // One byte more than is allowed: enough to be told that it is too much.
        file.take(limits::TEXT as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn identity(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }
}

/// Files that exist in memory only: for text inside a program, and for tests.
///
/// ```
/// use mig_parser::{Memory, Options, parse};
///
/// let files = Memory::new().file("a.defs", "subsystem a 100;\n#include <b.defs>").file("inc/b.defs", "skip;");
/// let parsed = parse(&Options::new().include_dir("inc"), &files, "a.defs");
/// assert_eq!(parsed.ast.statements.len(), 2);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Memory {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces it.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), bytes.into());
        self
    }
}

impl Loader for Memory {
    fn load(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
