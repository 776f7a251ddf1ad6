//! A store in memory.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use mig_runtime::platform::{Mutex, Platform};

use super::{Place, Space, Store, StoreError, Stored, fill, same_filled};

/// Keeps pages in memory, for tests and for systems without a disk. All of it is allocated at the start.
pub struct MemoryStore<P: Platform> {
    page_size: usize,
    slots: u32,
    inner: Mutex<P, Inner>,
}

struct Inner {
    memory: Vec<u8>,
    free: Vec<u32>,
    same_filled: u64,
}

impl<P: Platform> MemoryStore<P> {
    /// A store with room for `pages` pages of `page_size` bytes.
    ///
    /// # Panics
    ///
    /// If `page_size` is not a power of two, or less than 8.
    pub fn new(page_size: usize, pages: u32) -> Self {
        assert!(page_size.is_power_of_two() && page_size >= 8, "{page_size} bytes are not a page");
        let inner = Inner {
            memory: vec![0; page_size * pages as usize],
            free: (0..pages).rev().collect(),
            same_filled: 0,
        };
        MemoryStore { page_size, slots: pages, inner: Mutex::<P, _>::new(inner) }
    }

    fn bytes(&self, slot: u32) -> Range<usize> {
        let start = slot as usize * self.page_size;
        start..start + self.page_size
    }

    fn write_one(&self, page: &[u8]) -> Result<Stored, StoreError> {
        if page.len() != self.page_size {
            return Err(StoreError::NotAPage);
        }
        if let Some(stored) = self.same_filled(page) {
            return Ok(stored);
        }
        let mut inner = self.inner.lock();
        let slot = inner.free.pop().ok_or(StoreError::Full)?;
        inner.memory[self.bytes(slot)].copy_from_slice(page);
        Ok(Stored(Place::Slot { slot, checksum: 0 }))
    }
}

impl<P: Platform> Store for MemoryStore<P> {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn same_filled(&self, page: &[u8]) -> Option<Stored> {
        let word = same_filled(page)?;
        self.inner.lock().same_filled += 1;
        Some(Stored(Place::Same(word)))
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Stored, StoreError>)) {
        for (index, page) in pages.iter().enumerate() {
            done(index, self.write_one(page));
        }
    }

    fn read(&self, stored: &Stored, page: &mut [u8]) -> Result<(), StoreError> {
        if page.len() != self.page_size {
            return Err(StoreError::NotAPage);
        }
        match stored.0 {
            Place::Same(word) => fill(page, word),
            Place::Slot { slot, .. } => page.copy_from_slice(&self.inner.lock().memory[self.bytes(slot)]),
        }
        Ok(())
    }

    fn free(&self, stored: Stored) {
        let mut inner = self.inner.lock();
        match stored.0 {
            Place::Same(_) => inner.same_filled -= 1,
            Place::Slot { slot, .. } => inner.free.push(slot),
        }
    }

    fn space(&self) -> Space {
        let inner = self.inner.lock();
        Space {
            total: self.slots.into(),
            free: inner.free.len() as u64,
            bad: 0,
            same_filled: inner.same_filled,
        }
    }
}
