//! Pages kept compressed, several in one place of the store below.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lz4_flex::block;
use mig_runtime::platform::{Mutex, Platform};

use super::{Space, Store, StoreError};

/// Pages that share a place, at most.
const PARTS: usize = 15;

/// Bytes before the data of a shared place: how many parts there are, and the end of each.
const HEAD: usize = 2 * (1 + PARTS);

/// Bytes of a page that are looked at to tell whether it is worth compressing, and how many of them may
/// differ.
const SAMPLE: usize = 256;
const DISTINCT: u32 = 140;

/// How pages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// LZ4: the least time.
    #[default]
    Lz4,
    /// Zstandard at its first level: less room, and several times the time.
    #[cfg(feature = "zstd")]
    Zstd,
}

/// A layer over any store that compresses pages, and keeps those that are written together in as few places
/// as they take.
///
/// A page that would not be much smaller goes to the store below as it is; most of these are told by a few of
/// their bytes. A place is free again when all pages in it have been freed. Memory is allocated while pages
/// are written.
pub struct Compressed<S: Store, P: Platform> {
    store: S,
    shared: Mutex<P, Shared<S::Place>>,
    counts: [AtomicU64; 3],
    codec: Codec,
    #[cfg(feature = "zstd")]
    zstd: super::zstd::Contexts<P>,
}

/// The places that several pages share, by number.
struct Shared<L> {
    places: Vec<Option<(Arc<L>, u8)>>,
    free: Vec<u32>,
}

/// The place of a page in a [`Compressed`] store.
#[must_use = "a page that is not freed takes space in the store"]
#[derive(Debug, PartialEq, Eq)]
pub enum Packed<L> {
    /// The page is there as it is.
    Whole(L),
    /// It is one of several that share a place.
    Part {
        /// The number of the place, little-endian, in no more bytes than it takes.
        shared: [u8; 4],
        /// Which one of them.
        part: u8,
    },
}

/// What a [`Compressed`] store has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    /// Pages that share a place with others.
    pub packed: u64,
    /// Pages that were compressed, and not worth it.
    pub in_vain: u64,
    /// Pages that were told by a few bytes not to be worth it.
    pub passed_by: u64,
}

impl<S: Store, P: Platform> Compressed<S, P> {
    /// A layer over a store that compresses with LZ4.
    pub fn new(store: S) -> Self {
        Self::with_codec(store, Codec::Lz4)
    }

    /// A layer over a store.
    pub fn with_codec(store: S, codec: Codec) -> Self {
        Self {
            store,
            shared: Mutex::<P, _>::new(Shared { places: Vec::new(), free: Vec::new() }),
            counts: Default::default(),
            codec,
            #[cfg(feature = "zstd")]
            zstd: Default::default(),
        }
    }

    /// The store below.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// What it has done so far.
    pub fn compression(&self) -> Compression {
        let [packed, in_vain, passed_by] = [0, 1, 2].map(|at| self.counts[at].load(Relaxed));
        Compression { packed, in_vain, passed_by }
    }

    /// A page compressed, if that is worth it.
    fn compress(&self, page: &[u8]) -> Option<Vec<u8>> {
        if !is_worth_trying(page) {
            self.counts[2].fetch_add(1, Relaxed);
            return None;
        }
        let compressed = match self.codec {
            Codec::Lz4 => block::compress(page),
            #[cfg(feature = "zstd")]
            Codec::Zstd => self.zstd.compress(page)?,
        };
        // Two must fit where one would.
        let is_small = compressed.len() <= (page.len() - HEAD) / 2;
        self.counts[1].fetch_add(u64::from(!is_small), Relaxed);
        is_small.then_some(compressed)
    }

    /// The place that a page shares with others.
    fn shared(&self, number: [u8; 4]) -> Option<Arc<S::Place>> {
        let shared = self.shared.lock();
        let (place, _) = shared.places.get(u32::from_le_bytes(number) as usize)?.as_ref()?;
        Some(place.clone())
    }
}

/// False for a page whose bytes have too many different values to be compressed.
fn is_worth_trying(page: &[u8]) -> bool {
    let mut seen = [0_u64; 4];
    for at in 0..SAMPLE {
        let byte = page[at * 17 % page.len()];
        seen[usize::from(byte / 64)] |= 1 << (byte % 64);
    }
    seen.iter().map(|bits| bits.count_ones()).sum::<u32>() <= DISTINCT
}

impl<L> Shared<L> {
    fn insert(&mut self, place: L, parts: u8) -> u32 {
        let place = Some((Arc::new(place), parts));
        match self.free.pop() {
            Some(number) => {
                self.places[number as usize] = place;
                number
            }
            None => {
                self.places.push(place);
                (self.places.len() - 1) as u32
            }
        }
    }

    /// One of the pages of a place is gone. Gives back the place with the last one.
    fn release(&mut self, number: [u8; 4]) -> Option<L> {
        let number = u32::from_le_bytes(number);
        let entry = self.places.get_mut(number as usize)?;
        let (_, left) = entry.as_mut()?;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        self.free.push(number);
        // Whoever reads one of the pages has it, so that it was not the last one.
        entry.take().and_then(|(place, _)| Arc::into_inner(place))
    }
}

/// Pages that are put together to share a place.
struct Bundle {
    bytes: Vec<u8>,
    /// Their indices in the caller's list.
    indices: Vec<usize>,
}

impl Bundle {
    fn new(page_size: usize) -> Self {
        let mut bytes = Vec::with_capacity(page_size);
        bytes.resize(HEAD, 0);
        Self { bytes, indices: Vec::new() }
    }

    /// False if there is no room for this.
    fn add(&mut self, index: usize, compressed: &[u8], page_size: usize) -> bool {
        let part = self.indices.len();
        if part == PARTS || self.bytes.len() + compressed.len() > page_size {
            return false;
        }
        self.bytes.extend_from_slice(compressed);
        let end = self.bytes.len() as u16;
        self.bytes[2 * (part + 1)..][..2].copy_from_slice(&end.to_le_bytes());
        self.bytes[0] += 1;
        self.indices.push(index);
        true
    }
}

/// The compressed bytes of a part, if there is such a part.
fn part_of(bytes: &[u8], part: usize) -> Option<&[u8]> {
    let end = |part: usize| Some(u16::from_le_bytes(*bytes.get(2 * part..)?.first_chunk()?) as usize);
    if part >= PARTS {
        return None;
    }
    let start = if part == 0 { HEAD } else { end(part)? };
    bytes.get(start..end(part + 1)?)
}

impl<S: Store<Place: Sync>, P: Platform> Store for Compressed<S, P> {
    type Place = Packed<S::Place>;

    fn page_size(&self) -> usize {
        self.store.page_size()
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Self::Place, StoreError>)) {
        let page_size = self.page_size();
        // What goes to the store below: pages as they are, by their index, and bundles.
        let (mut whole, mut bundles) = (Vec::new(), vec![Bundle::new(page_size)]);
        for (index, page) in pages.iter().enumerate() {
            if page.len() != page_size {
                done(index, Err(StoreError::NotAPage));
                continue;
            }
            let Some(compressed) = self.compress(page) else {
                whole.push(index);
                continue;
            };
            if !bundles.last_mut().is_some_and(|bundle| bundle.add(index, &compressed, page_size)) {
                let mut bundle = Bundle::new(page_size);
                bundle.add(index, &compressed, page_size);
                bundles.push(bundle);
            }
        }
        // One alone gains nothing.
        let (mut bundles, alone): (Vec<_>, Vec<_>) =
            bundles.into_iter().partition(|bundle| bundle.indices.len() > 1);
        whole.extend(alone.into_iter().flat_map(|bundle| bundle.indices));
        bundles.iter_mut().for_each(|bundle| bundle.bytes.resize(page_size, 0));

        let below: Vec<&[u8]> = whole
            .iter()
            .map(|index| pages[*index])
            .chain(bundles.iter().map(|bundle| &bundle.bytes[..]))
            .collect();
        self.store.write(&below, &mut |at, result| {
            let Some(bundle) = at.checked_sub(whole.len()).map(|at| &bundles[at]) else {
                return done(whole[at], result.map(Packed::Whole));
            };
            match result {
                Ok(place) => {
                    let count = bundle.indices.len();
                    self.counts[0].fetch_add(count as u64, Relaxed);
                    let shared = self.shared.lock().insert(place, count as u8).to_le_bytes();
                    for (part, index) in bundle.indices.iter().enumerate() {
                        done(*index, Ok(Packed::Part { shared, part: part as u8 }));
                    }
                }
                Err(error) => bundle.indices.iter().for_each(|index| done(*index, Err(error))),
            }
        });
    }

    fn read(&self, place: &Self::Place, page: &mut [u8]) -> Result<(), StoreError> {
        let (shared, part) = match place {
            Packed::Whole(place) => return self.store.read(place, page),
            Packed::Part { shared, part } => (*shared, usize::from(*part)),
        };
        if page.len() != self.page_size() {
            return Err(StoreError::NotAPage);
        }
        let mut bytes = vec![0; page.len()];
        let read = match self.shared(shared) {
            Some(place) => self.store.read(&place, &mut bytes),
            None => Err(StoreError::Corrupt),
        };
        let result = read.and_then(|()| {
            let compressed = part_of(&bytes, part).ok_or(StoreError::Corrupt)?;
            let len = match self.codec {
                Codec::Lz4 => block::decompress_into(compressed, page).ok(),
                #[cfg(feature = "zstd")]
                Codec::Zstd => self.zstd.decompress(compressed, page),
            };
            if len == Some(page.len()) { Ok(()) } else { Err(StoreError::Corrupt) }
        });
        result.inspect_err(|_| page.fill(0))
    }

    fn free(&self, place: Self::Place) {
        let place = match place {
            Packed::Whole(place) => Some(place),
            Packed::Part { shared, .. } => self.shared.lock().release(shared),
        };
        if let Some(place) = place {
            self.store.free(place);
        }
    }

    fn is_leaving(&self, place: &Self::Place) -> bool {
        match place {
            Packed::Whole(place) => self.store.is_leaving(place),
            Packed::Part { shared, .. } => {
                // Not with a share in the place, which the last one of its pages is to find its own.
                let places = self.shared.lock();
                let entry = places.places.get(u32::from_le_bytes(*shared) as usize);
                entry.and_then(Option::as_ref).is_some_and(|(place, _)| self.store.is_leaving(place))
            }
        }
    }

    fn tidy(&self) -> bool {
        self.store.tidy()
    }

    fn stop_waiting(&self) {
        self.store.stop_waiting();
    }

    fn space(&self) -> Space {
        self.store.space()
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use mig_runtime::platform::Std;
    use proptest::prelude::*;

    use super::super::{MemoryStore, SameFilled, Slot, Stored};
    use super::*;

    const PAGE: usize = 4096;

    type Small = Compressed<MemoryStore<Std>, Std>;

    fn store(pages: u32) -> Small {
        Compressed::new(MemoryStore::new(PAGE, pages))
    }

    /// Text-like: compresses to about a tenth.
    fn text(seed: usize) -> Vec<u8> {
        let line = std::format!("{seed}: the quick brown fox, {}; ", seed * 7919);
        line.bytes().cycle().take(PAGE).collect()
    }

    /// As by chance.
    fn noise(seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        core::iter::repeat_with(next).take(PAGE).collect()
    }

    fn write(store: &Small, pages: &[Vec<u8>]) -> Vec<Result<Packed<super::super::Frame>, StoreError>> {
        let slices: Vec<_> = pages.iter().map(|page| &page[..]).collect();
        let mut results: Vec<_> = pages.iter().map(|_| None).collect();
        store.write(&slices, &mut |at, result| assert!(results[at].replace(result).is_none()));
        results.into_iter().map(Option::unwrap).collect()
    }

    fn read(store: &Small, place: &Packed<super::super::Frame>) -> Result<Vec<u8>, StoreError> {
        let mut page = vec![0xee; PAGE];
        store.read(place, &mut page).map(|()| page)
    }

    /// One that compresses in each of the ways there are.
    fn stores(pages: u32) -> Vec<Small> {
        let codecs = [
            Codec::Lz4,
            #[cfg(feature = "zstd")]
            Codec::Zstd,
        ];
        codecs.map(|codec| Small::with_codec(MemoryStore::new(PAGE, pages), codec)).into()
    }

    #[test]
    fn pages_that_compress_share_places() {
        for store in stores(100) {
            let pages: Vec<_> = (0..64).map(text).collect();
            let stored = write(&store, &pages);
            assert!(store.space().used() <= 8, "{} places", store.space().used());
            for (place, page) in stored.iter().zip(&pages) {
                assert_eq!(read(&store, place.as_ref().unwrap()).as_ref(), Ok(page));
            }
            assert_eq!(store.compression().packed, 64);
            // In any order: each place goes with its last page.
            let (odd, even): (Vec<_>, Vec<_>) =
                stored.into_iter().enumerate().partition(|(at, _)| at % 2 == 1);
            odd.into_iter().for_each(|(_, place)| store.free(place.unwrap()));
            for (at, place) in &even {
                assert_eq!(read(&store, place.as_ref().unwrap()).as_ref(), Ok(&pages[*at]));
            }
            even.into_iter().for_each(|(_, place)| store.free(place.unwrap()));
            assert_eq!(store.space().used(), 0);
        }
        // The note of a page in the map is no larger for it.
        assert_eq!(size_of::<Stored<Packed<Slot>>>(), 10);
    }

    #[test]
    fn what_is_no_compressed_page_is_told() {
        for store in stores(100) {
            let [first, second] = [(0..64).map(text).collect(), (64..128).map(text).collect()]
                .map(|pages: Vec<_>| write(&store, &pages));
            // A place of the store below has other bytes than those that were put there.
            let mut shared = store.shared.lock();
            for (place, _) in shared.places.iter_mut().flatten() {
                let mut bytes = noise(7);
                bytes[..HEAD].fill(0);
                bytes[0] = PARTS as u8;
                (1..=PARTS).for_each(|part| bytes[2 * part + 1] = part as u8);
                let mut other = None;
                store.store.write(&[&bytes], &mut |_, result| other = result.ok());
                *place = Arc::new(other.unwrap());
            }
            drop(shared);
            for place in first.iter().chain(&second) {
                let result = read(&store, place.as_ref().unwrap());
                assert!(matches!(place, Ok(Packed::Whole(_))) || result == Err(StoreError::Corrupt));
            }
        }
    }

    #[test]
    fn pages_by_chance_are_told_without_being_compressed() {
        let store = store(100);
        let pages: Vec<_> = (1..51).map(noise).collect();
        let stored = write(&store, &pages);
        assert_eq!(store.compression(), Compression { passed_by: 50, ..Compression::default() });
        assert_eq!(store.space().used(), 50);
        for (place, page) in stored.iter().zip(&pages) {
            assert_eq!(read(&store, place.as_ref().unwrap()).as_ref(), Ok(page));
        }
    }

    #[test]
    fn a_full_store_refuses_what_does_not_fit_and_gives_nothing_twice() {
        let store = store(2);
        let mut pages: Vec<_> = (0..20).map(text).collect();
        pages.extend((1..4).map(noise));
        pages.push(vec![1; PAGE - 8]);
        let stored = write(&store, &pages);
        assert_eq!(stored[23], Err(StoreError::NotAPage));
        assert_eq!(store.space().free, 0);
        for (place, page) in stored.into_iter().zip(&pages) {
            if let Ok(place) = place {
                assert_eq!(read(&store, &place).as_ref(), Ok(page));
                store.free(place);
            }
        }
        assert_eq!(store.space().free, 2);
    }

    #[test]
    fn what_is_no_bundle_is_told() {
        for bytes in [vec![0xff; PAGE], noise(5), vec![0; PAGE], vec![0; 3]] {
            for part in [0, 1, 14, 15, 255] {
                if let Some(compressed) = part_of(&bytes, part) {
                    let mut page = vec![0; PAGE];
                    let _ = block::decompress_into(compressed, &mut page);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_does_what_a_store_does(calls in prop::collection::vec((prop::collection::vec((0..3_u8, 0..1000_usize), 1..20), any::<usize>()), 1..12)) {
            let store = SameFilled::new(store(60));
            let content = |kind: u8, seed: usize| match kind {
                0 => text(seed),
                1 => noise(seed as u64 + 1),
                _ => [text(seed)[..PAGE / 2].to_vec(), noise(seed as u64 + 1)[..PAGE / 2].to_vec()].concat(),
            };
            let mut held: Vec<(Stored<Packed<super::super::Frame>>, Vec<u8>)> = Vec::new();
            for (pages, which) in calls {
                let pages: Vec<_> = pages.into_iter().map(|(kind, seed)| content(kind, seed)).collect();
                let slices: Vec<_> = pages.iter().map(|page| &page[..]).collect();
                let mut told = 0;
                store.write(&slices, &mut |at, result| {
                    told += 1;
                    held.extend(result.ok().map(|place| (place, pages[at].clone())));
                });
                prop_assert_eq!(told, pages.len());
                for _ in 0..which % 8 {
                    if !held.is_empty() {
                        let at = which % held.len();
                        store.free(held.swap_remove(at).0);
                    }
                }
                let mut page = vec![0; PAGE];
                for (place, content) in &held {
                    prop_assert_eq!(store.read(place, &mut page), Ok(()));
                    prop_assert_eq!(&page, content);
                }
                prop_assert!(store.space().used() <= held.len() as u64);
            }
            held.into_iter().for_each(|(place, _)| store.free(place));
            prop_assert_eq!(store.space().used(), 0);
        }
    }
}
