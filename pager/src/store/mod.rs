//! Where pages are kept while no memory holds them.
//!
//! A [`Store`] takes pages and gives a place for each, the one way back to its content. It knows nothing of
//! objects and offsets.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use mach_pager::store::{MemoryStore, Store};
//! use mig_runtime::platform::Std;
//!
//! let store = MemoryStore::<Std>::new(4096, 100);
//! let page: Vec<u8> = (0..4096).map(|at| at as u8 ^ 0x5a).collect();
//!
//! let mut place = None;
//! store.write(&[&page], &mut |_index, result| place = result.ok());
//! let place = place.expect("there is room");
//!
//! let mut back = vec![0; 4096];
//! store.read(&place, &mut back).unwrap();
//! assert_eq!(back, page);
//! store.free(place);
//! assert_eq!(store.space().free, 100);
//! # }
//! ```
//!
//! A store of one's own is a type with five methods. This one keeps each page in an allocation, and its
//! places are the pages themselves:
//!
//! ```
//! use mach_pager::store::{Space, Store, StoreError};
//!
//! struct Heap;
//!
//! impl Store for Heap {
//!     type Place = Box<[u8]>;
//!
//!     fn page_size(&self) -> usize {
//!         4096
//!     }
//!
//!     fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Box<[u8]>, StoreError>)) {
//!         for (index, page) in pages.iter().enumerate() {
//!             done(index, Ok((*page).into()));
//!         }
//!     }
//!
//!     fn read(&self, place: &Box<[u8]>, page: &mut [u8]) -> Result<(), StoreError> {
//!         page.copy_from_slice(place);
//!         Ok(())
//!     }
//!
//!     fn free(&self, place: Box<[u8]>) {
//!         drop(place);
//!     }
//!
//!     fn space(&self) -> Space {
//!         Space { total: 1 << 20, free: 1 << 20, ..Space::default() }
//!     }
//! }
//! ```

#[cfg(feature = "compression")]
mod compressed;
mod disk;
#[cfg(feature = "encryption")]
mod encryption;
#[cfg(feature = "std")]
pub mod file;
mod health;
mod memory;
#[cfg(feature = "std")]
pub mod nbd;
mod protection;
// As in the manifest.
#[cfg(all(
    feature = "std",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
mod ring;
#[cfg(all(
    feature = "std",
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
    ))
))]
#[path = "no_ring.rs"]
mod ring;
mod runs;
mod same_filled;
mod segments;
mod slots;
pub mod superblock;
mod swap;
mod volumes;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(all(test, feature = "std"))]
mod faulty;
#[cfg(all(test, feature = "std"))]
mod tests;

use alloc::sync::Arc;
use core::fmt;

#[cfg(feature = "compression")]
pub use compressed::{Codec, Compressed, Compression, Packed};
pub use disk::{Disk, DiskError};
#[cfg(feature = "encryption")]
pub use encryption::{Encryption, Random, Sealed};
pub use memory::{Frame, MemoryStore};
pub use protection::{Checksum, Protection};
pub use runs::{Runs, RunsError};
pub use same_filled::{SameFilled, Stored};
pub use slots::ZONE as ZONE_SLOTS;
pub use swap::{Counters, Slot, SwapStore};
pub use volumes::{VOLUMES_MAX, VolumeError, VolumeInfo, Volumes};

/// Keeps pages and gives them back.
///
/// The methods block until the transfer is done and may be called by many threads at once. None keeps a lock
/// during a transfer. An error concerns the page that it is reported for and no other.
pub trait Store: Send + Sync + 'static {
    /// Where a page is: the one way back to it. It goes back to the store by [`free`](Self::free); dropped,
    /// its space is lost while the store is open.
    ///
    /// The pager keeps one for each page that is stored, so that its size counts.
    type Place: Send;

    /// Bytes in a page: a power of two. Everything that is written and read has this length.
    fn page_size(&self) -> usize;

    /// Stores pages, side by side where there is room, and calls `done` exactly once for each, with its index
    /// in `pages`, in any order.
    ///
    /// What was stored before stays as it is: a page that replaces another is stored first, and the other one
    /// [freed](Self::free) then.
    ///
    /// # Errors
    ///
    /// For each page: [`Full`](StoreError::Full), [`Io`](StoreError::Io), or
    /// [`NotAPage`](StoreError::NotAPage). It is not stored then.
    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Self::Place, StoreError>));

    /// Reads a page back into `page`.
    ///
    /// # Errors
    ///
    /// [`Io`](StoreError::Io), [`Corrupt`](StoreError::Corrupt) or [`NotAPage`](StoreError::NotAPage). `page`
    /// is zeroed then. Reading again is allowed.
    fn read(&self, place: &Self::Place, page: &mut [u8]) -> Result<(), StoreError>;

    /// Reads pages that are wanted together, one after another into `pages`, and calls `done` exactly once
    /// for each, with its index, in any order. A store reads those at once that it can.
    ///
    /// # Errors
    ///
    /// For each page as [`read`](Self::read).
    fn read_each(
        &self,
        places: &[&Self::Place],
        pages: &mut [u8],
        done: &mut dyn FnMut(usize, Result<(), StoreError>),
    ) {
        for (at, (place, page)) in places.iter().zip(pages.chunks_exact_mut(self.page_size())).enumerate() {
            done(at, self.read(place, page));
        }
    }

    /// Forgets a page. Its place must be one that this store gave.
    fn free(&self, place: Self::Place);

    /// True if the page is to be stored once more, and this place freed, because what it is in is to be taken
    /// away.
    fn is_leaving(&self, _place: &Self::Place) -> bool {
        false
    }

    /// Does some work that is not urgent, such as telling a device of the room that is empty. False if there
    /// was nothing to do. Called by threads that have nothing else to do.
    fn tidy(&self) -> bool {
        false
    }

    /// Whoever uses the store is about to stop: from now on a thread gets an error where it would wait for a
    /// device that does not work. All else goes on as before. Called by any thread.
    fn stop_waiting(&self) {}

    /// How much room there is now.
    fn space(&self) -> Space;
}

/// A store that is shared: with whoever adds devices to it, for instance.
impl<S: Store> Store for Arc<S> {
    type Place = S::Place;

    fn page_size(&self) -> usize {
        (**self).page_size()
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Self::Place, StoreError>)) {
        (**self).write(pages, done);
    }

    fn read(&self, place: &Self::Place, page: &mut [u8]) -> Result<(), StoreError> {
        (**self).read(place, page)
    }

    fn read_each(
        &self,
        places: &[&Self::Place],
        pages: &mut [u8],
        done: &mut dyn FnMut(usize, Result<(), StoreError>),
    ) {
        (**self).read_each(places, pages, done);
    }

    fn free(&self, place: Self::Place) {
        (**self).free(place);
    }

    fn is_leaving(&self, place: &Self::Place) -> bool {
        (**self).is_leaving(place)
    }

    fn tidy(&self) -> bool {
        (**self).tidy()
    }

    fn stop_waiting(&self) {
        (**self).stop_waiting();
    }

    fn space(&self) -> Space {
        (**self).space()
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
    /// What the store does not use for now because the device failed there.
    pub bad: u64,
    /// Pages that are stored without taking room, as [`SameFilled`] does. Not part of the other figures.
    pub same_filled: u64,
}

impl Space {
    /// Pages that are stored and take room.
    pub fn used(&self) -> u64 {
        self.total - self.free - self.bad
    }
}
