//! Reads the texts: from files, from memory, or through a cache.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits;

/// Reads files; the preprocessor knows no other way to a file.
pub trait Loader {
    /// The bytes of the file.
    ///
    /// # Errors
    ///
    /// After [`ErrorKind::NotFound`] and [`ErrorKind::IsADirectory`] the search for an included file goes on
    /// in the next folder; any other error ends it.
    fn load(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// One path for all the paths that lead to the same file, so that `#import` and `#pragma once` know it
    /// again.
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
            return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder"));
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

/// Another loader's files, each read once: for many inputs that include the same files. Threads may share it.
///
/// ```
/// use mig_parser::{Cached, Loader as _, Memory};
///
/// let files = Cached::new(Memory::new().file("a.defs", "skip;"));
/// assert_eq!(files.load("a.defs".as_ref())?, files.load("a.defs".as_ref())?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Cached<L> {
    files: L,
    known: Mutex<Known>,
}

/// What a [`Cached`] has been asked for.
#[derive(Debug, Default)]
struct Known {
    /// The bytes of each file, or that it is not there.
    read: HashMap<PathBuf, Option<Arc<[u8]>>>,
    identities: HashMap<PathBuf, PathBuf>,
    /// How many bytes all of these have together.
    bytes: usize,
}

impl Known {
    /// Keeps no more bytes than these, whatever is read.
    const MOST: usize = 1 << 27;

    /// Whether this many bytes may be kept; then they count.
    fn has_room(&mut self, size: usize) -> bool {
        let has_room = self.bytes + size <= Self::MOST;
        self.bytes += if has_room { size } else { 0 };
        has_room
    }
}

impl<L: Loader> Cached<L> {
    /// A cache in front of `files`, in which nothing is yet.
    pub fn new(files: L) -> Self {
        Cached { files, known: Mutex::default() }
    }

    fn known<T>(&self, ask: impl FnOnce(&mut Known) -> T) -> T {
        // If a thread has panicked with the lock, the maps are whole all the same: each change is one call.
        ask(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<L: Loader> Loader for Cached<L> {
    fn load(&self, path: &Path) -> io::Result<Vec<u8>> {
        if let Some(known) = self.known(|known| known.read.get(path).cloned()) {
            return known.map(|bytes| bytes.to_vec()).ok_or_else(|| ErrorKind::NotFound.into());
        }
        // The file is read without the lock, since other threads want other files.
        let loaded = self.files.load(path);
        let found = match &loaded {
            Ok(bytes) => Some(Arc::from(&bytes[..])),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(_) => return loaded,
        };
        let size = path.as_os_str().len() + found.as_ref().map_or(0, |bytes: &Arc<[u8]>| bytes.len());
        self.known(|known| {
            if known.has_room(size) {
                known.read.insert(path.to_owned(), found);
            }
        });
        loaded
    }

    fn identity(&self, path: &Path) -> PathBuf {
        if let Some(known) = self.known(|known| known.identities.get(path).cloned()) {
            return known;
        }
        let identity = self.files.identity(path);
        let size = path.as_os_str().len() + identity.as_os_str().len();
        self.known(|known| {
            if known.has_room(size) {
                known.identities.insert(path.to_owned(), identity.clone());
            }
        });
        identity
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
        self.files.get(path).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts what it is asked for.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Loader for Counting {
        fn load(&self, path: &Path) -> io::Result<Vec<u8>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            match path.to_str() {
                Some("there") => Ok(b"skip;".to_vec()),
                Some("missing") => Err(ErrorKind::NotFound.into()),
                Some("large") => Ok(vec![b' '; Known::MOST]),
                _ => Err(io::Error::other("broken")),
            }
        }
    }

    #[test]
    fn a_file_is_read_once_and_looked_for_once() {
        let files = Cached::new(Counting::default());
        for _ in 0..3 {
            assert_eq!(files.load("there".as_ref()).unwrap(), b"skip;");
            assert_eq!(files.load("missing".as_ref()).unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(files.files.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_error_may_be_gone_the_next_time_and_is_told_as_it_was() {
        let files = Cached::new(Counting::default());
        for _ in 0..2 {
            assert_eq!(files.load("other".as_ref()).unwrap_err().to_string(), "broken");
        }
        assert_eq!(files.files.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let files = Cached::new(Counting::default());
        for _ in 0..2 {
            assert_eq!(files.load("large".as_ref()).unwrap().len(), Known::MOST);
        }
        assert_eq!(files.files.0.load(Ordering::Relaxed), 2);
    }
}
