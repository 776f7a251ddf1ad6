//! A store in memory.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use mig_runtime::platform::{Mutex, Platform};

use super::{Space, Store, StoreError};

/// Keeps pages in memory, for tests and for systems without a disk. All of it is allocated at the start.
pub struct MemoryStore<P: Platform> {
    page_size: usize,
    slots: u32,
    inner: Mutex<P, Inner>,
}

struct Inner {
    memory: Vec<u8>,
    free: Vec<u32>,
}

/// The place of a page in a [`MemoryStore`].
#[must_use = "a page that is not freed takes space in the store"]
#[derive(Debug, PartialEq, Eq)]
pub struct Frame(u32);

impl<P: Platform> MemoryStore<P> {
    /// A store with room for `pages` pages of `page_size` bytes.
    ///
    /// # Panics
    ///
    /// If `page_size` is not a power of two, or less than 8.
    pub fn new(page_size: usize, pages: u32) -> Self {
        assert!(page_size.is_power_of_two() && page_size >= 8, "{page_size} bytes are not a page");
        let inner = Inner { memory: vec![0; page_size * pages as usize], free: (0..pages).rev().collect() };
        MemoryStore { page_size, slots: pages, inner: Mutex::<P, _>::new(inner) }
    }

    fn bytes(&self, slot: u32) -> Range<usize> {
        let start = slot as usize * self.page_size;
        start..start + self.page_size
    }

    fn write_one(&self, page: &[u8]) -> Result<Frame, StoreError> {
        if page.len() != self.page_size {
            return Err(StoreError::NotAPage);
        }
        let mut inner = self.inner.lock();
        let slot = inner.free.pop().ok_or(StoreError::Full)?;
        inner.memory[self.bytes(slot)].copy_from_slice(page);
        Ok(Frame(slot))
    }
}

impl<P: Platform> Store for MemoryStore<P> {
    type Place = Frame;

    fn page_size(&self) -> usize {
        self.page_size
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Frame, StoreError>)) {
        for (index, page) in pages.iter().enumerate() {
            done(index, self.write_one(page));
        }
    }

    fn read(&self, place: &Frame, page: &mut [u8]) -> Result<(), StoreError> {
        if page.len() != self.page_size {
            return Err(StoreError::NotAPage);
        }
        page.copy_from_slice(&self.inner.lock().memory[self.bytes(place.0)]);
        Ok(())
    }

    fn free(&self, place: Frame) {
        self.inner.lock().free.push(place.0);
    }

    fn space(&self) -> Space {
        let free = self.inner.lock().free.len() as u64;
        Space { total: self.slots.into(), free, ..Space::default() }
    }
}
