//! Where pages are kept while no memory holds them.
//!
//! A [`Store`] takes pages and gives a [`Stored`] for each, the one way back to its content. It knows nothing of objects and offsets.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use mach_pager::store::{MemoryStore, Store, Stored};
//! use mig_runtime::platform::Std;
//!
//! let store = MemoryStore::<Std>::new(4096, 100);
//! let page: Vec<u8> = (0..4096).map(|at| at as u8 ^ 0x5a).collect();
//!
//! let mut stored: Option<Stored> = None;
//! store.write(&[&page], &mut |_index, result| stored = result.ok());
//! let stored = stored.expect("there is room");
//!
//! let mut back = vec![0; 4096];
//! store.read(&stored, &mut back).unwrap();
//! assert_eq!(back, page);
//! store.free(stored);
//! assert_eq!(store.space().free, 100);
//! # }
//! ```

mod disk;
#[cfg(feature = "std")]
pub mod file;
mod memory;
mod slots;
pub mod superblock;
mod swap;

#[cfg(all(test, feature = "std"))]
mod faulty;
#[cfg(all(test, feature = "std"))]
mod tests;

use core::fmt;

pub use disk::{Disk, DiskError};
pub use memory::MemoryStore;
pub use swap::{Counters, SwapStore};

/// Keeps pages and gives them back.
///
/// The methods block until the transfer is done and may be called by many threads at once. None keeps a lock during a transfer. An error concerns
/// the page that it is reported for and no other.
pub trait Store: Send + Sync + 'static {
    /// Bytes in a page: a power of two. Everything that is written and read has this length.
    fn page_size(&self) -> usize;

    /// A handle for a page that is one 8-byte word over and over, such as a page of zeros; `None` for any other.
    ///
    /// The word is in the handle: there is no transfer and nothing takes space. [`write`](Self::write) does the same for such pages; this is for
    /// callers that would rather not queue them.
    fn same_filled(&self, page: &[u8]) -> Option<Stored>;

    /// Stores pages, side by side where there is room, and calls `done` exactly once for each, with its index in `pages`, in any order.
    ///
    /// What was stored before stays as it is: a page that replaces another is stored first, and the other one [freed](Self::free) then.
    ///
    /// # Errors
    ///
    /// For each page: [`Full`](StoreError::Full), [`Io`](StoreError::Io), or [`NotAPage`](StoreError::NotAPage). It is not stored then.
    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Stored, StoreError>));

    /// Reads a page back into `page`.
    ///
    /// # Errors
    ///
    /// [`Io`](StoreError::Io), [`Corrupt`](StoreError::Corrupt) or [`NotAPage`](StoreError::NotAPage). `page` is zeroed then. Reading again is
    /// allowed.
    fn read(&self, stored: &Stored, page: &mut [u8]) -> Result<(), StoreError>;

    /// Forgets a page. It must be one that this store gave.
    fn free(&self, stored: Stored);

    /// How much room there is now.
    fn space(&self) -> Space;
}

/// A page in a [`Store`]. Goes back to the store by [`Store::free`]; dropped, its space is lost while the store is open.
#[must_use = "a page that is not freed takes space in the store"]
#[derive(Debug, PartialEq, Eq)]
pub struct Stored(Place);

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The page is this word (bytes in memory order) over and over.
    Same([u8; WORD]),
    Slot {
        slot: u32,
        checksum: u32,
    },
}

const WORD: usize = 8;

impl Stored {
    /// The word that fills the page, its bytes in memory order, if there is no more to it. Such a page is read without a transfer.
    pub fn same_filled(&self) -> Option<[u8; WORD]> {
        match self.0 {
            Place::Same(word) => Some(word),
            Place::Slot { .. } => None,
        }
    }
}

/// The word that fills this page, if one does.
fn same_filled(page: &[u8]) -> Option<[u8; WORD]> {
    let word = *page.first_chunk()?;
    // A page of many words is often told by its end alone.
    let last = page.last_chunk()?;
    (word == *last && page.len() % WORD == 0 && page[WORD..] == page[..page.len() - WORD]).then_some(word)
}

/// Makes a page of one word.
fn fill(page: &mut [u8], word: [u8; WORD]) {
    for place in page.chunks_exact_mut(WORD) {
        place.copy_from_slice(&word);
    }
}

/// Why a page could not be stored or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// There is no room left.
    Full,
    /// The device failed to transfer the page.
    Io,
    /// The device gave something else than what was stored.
    Corrupt,
    /// The buffer is not as long as a page.
    NotAPage,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreError::Full => "the store is full",
            StoreError::Io => "the device failed to transfer the page",
            StoreError::Corrupt => "the page read is not the page stored",
            StoreError::NotAPage => "the buffer is not as long as a page",
        })
    }
}

impl core::error::Error for StoreError {}

/// The room in a [`Store`], in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// What the store was made for.
    pub total: u64,
    /// What can be stored still.
    pub free: u64,
    /// What the store does not use again because the device failed there.
    pub bad: u64,
    /// Pages that are stored without taking room. Not part of the other figures.
    pub same_filled: u64,
}

impl Space {
    /// Pages that are stored and take room.
    pub fn used(&self) -> u64 {
        self.total - self.free - self.bad
    }
}
