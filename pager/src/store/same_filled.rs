//! Pages that are one word over and over, kept without room.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Space, Store, StoreError};

/// Bytes in the word that may fill a page.
const WORD: usize = 8;

/// A layer over any store that keeps a page of one repeated word, such as a page of zeros, in its place
/// alone. One page in ten is such a page.
///
/// There is no transfer for them, and nothing takes space.
pub struct SameFilled<S> {
    store: S,
    /// How many of them there are.
    pages: AtomicU64,
}

/// A page in a store below [`SameFilled`].
#[must_use = "a page that is not freed takes space in the store"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored<P> {
    /// The page is this word, its bytes in memory order, over and over.
    Same([u8; WORD]),
    /// The page is in the store.
    In(P),
}

impl<P> Stored<P> {
    /// True if the page is in its place, and is read without a transfer.
    pub fn is_same_filled(&self) -> bool {
        matches!(self, Self::Same(_))
    }

    fn inner(&self) -> Option<&P> {
        match self {
            Self::Same(_) => None,
            Self::In(place) => Some(place),
        }
    }
}

impl<S: Store> SameFilled<S> {
    /// A layer over a store.
    pub fn new(store: S) -> Self {
        Self { store, pages: AtomicU64::new(0) }
    }

    /// The store below.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// A place for this page if it is one word over and over; `None` for any other. [`write`](Store::write)
    /// does the same; this is for callers that would rather not queue such pages.
    pub fn same_filled(&self, page: &[u8]) -> Option<Stored<S::Place>> {
        let word = filling_word(page).filter(|_| page.len() == self.store.page_size())?;
        self.pages.fetch_add(1, Relaxed);
        Some(Stored::Same(word))
    }

    /// Writes those of the pages that take room.
    fn write_others(
        &self,
        others: &Others<'_>,
        done: &mut dyn FnMut(usize, Result<Stored<S::Place>, StoreError>),
    ) {
        if others.len > 0 {
            self.store.write(&others.pages[..others.len], &mut |at, result| {
                done(others.indices[at], result.map(Stored::In));
            });
        }
    }
}

impl<S: Store> Store for SameFilled<S> {
    type Place = Stored<S::Place>;

    fn page_size(&self) -> usize {
        self.store.page_size()
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Self::Place, StoreError>)) {
        let mut others = Others::default();
        for (index, page) in pages.iter().enumerate() {
            if let Some(stored) = self.same_filled(page) {
                done(index, Ok(stored));
                continue;
            }
            others.push(index, page);
            if others.len == MANY {
                self.write_others(&others, done);
                others = Others::default();
            }
        }
        self.write_others(&others, done);
    }

    fn read(&self, place: &Self::Place, page: &mut [u8]) -> Result<(), StoreError> {
        match place {
            Stored::In(place) => self.store.read(place, page),
            Stored::Same(_) if page.len() != self.page_size() => Err(StoreError::NotAPage),
            Stored::Same(word) => {
                page.chunks_exact_mut(WORD).for_each(|part| part.copy_from_slice(word));
                Ok(())
            }
        }
    }

    fn read_each(
        &self,
        places: &[&Self::Place],
        pages: &mut [u8],
        done: &mut dyn FnMut(usize, Result<(), StoreError>),
    ) {
        let mut first = 0;
        for run in places.chunk_by(|a, b| a.inner().is_some() == b.inner().is_some()) {
            let bytes = &mut pages[first * self.page_size()..][..run.len() * self.page_size()];
            let others: Vec<_> = run.iter().filter_map(|place| place.inner()).collect();
            if others.is_empty() {
                let pages = bytes.chunks_exact_mut(self.page_size());
                run.iter().zip(pages).enumerate().for_each(|(at, (place, page))| {
                    done(first + at, self.read(place, page));
                });
            } else {
                self.store.read_each(&others, bytes, &mut |at, result| done(first + at, result));
            }
            first += run.len();
        }
    }

    fn free(&self, place: Self::Place) {
        match place {
            Stored::In(place) => self.store.free(place),
            Stored::Same(_) => {
                self.pages.fetch_sub(1, Relaxed);
            }
        }
    }

    fn is_leaving(&self, place: &Self::Place) -> bool {
        match place {
            Stored::In(place) => self.store.is_leaving(place),
            Stored::Same(_) => false,
        }
    }

    fn tidy(&self) -> bool {
        self.store.tidy()
    }

    fn stop_waiting(&self) {
        self.store.stop_waiting();
    }

    fn space(&self) -> Space {
        let space = self.store.space();
        Space { same_filled: space.same_filled + self.pages.load(Relaxed), ..space }
    }
}

/// Pages that are given to the store below in one call, at most: they are put together without an allocation.
const MANY: usize = 64;

/// Pages that take room, with their indices in the caller's list.
struct Others<'a> {
    pages: [&'a [u8]; MANY],
    indices: [usize; MANY],
    len: usize,
}

impl Default for Others<'_> {
    fn default() -> Self {
        Others { pages: [&[]; MANY], indices: [0; MANY], len: 0 }
    }
}

impl<'a> Others<'a> {
    fn push(&mut self, index: usize, page: &'a [u8]) {
        self.pages[self.len] = page;
        self.indices[self.len] = index;
        self.len += 1;
    }
}

/// The word that fills this page, if one does.
fn filling_word(page: &[u8]) -> Option<[u8; WORD]> {
    let word = *page.first_chunk()?;
    // A page of many words is often told by its end alone.
    let last = page.last_chunk()?;
    (word == *last && page.len() % WORD == 0 && page[WORD..] == page[..page.len() - WORD]).then_some(word)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_page_of_one_word_is_told_from_others() {
        let mut page = vec![0; 4096];
        assert_eq!(filling_word(&page), Some([0; 8]));
        page = b"deadbeef".repeat(512);
        assert_eq!(filling_word(&page), Some(*b"deadbeef"));
        for at in [0, 7, 8, 2048, 4095] {
            page[at] ^= 1;
            assert_eq!(filling_word(&page), None, "byte {at} differs");
            page[at] ^= 1;
        }
        // A period of 16 bytes is none of 8.
        assert_eq!(filling_word(&b"abcdefghABCDEFGH".repeat(256)), None);
        assert_eq!(filling_word(&[]), None);
        assert_eq!(filling_word(&[1; 7]), None);
        assert_eq!(filling_word(&[1; 12]), None);
    }
}
