//! Pages that nobody can read on the device.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use chacha20poly1305::aead::AeadInPlace as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use mig_runtime::platform::{Mutex, Platform};

use super::protection::Protection;
use super::slots::ZONE;

/// Fills a buffer with bytes that nobody can guess; false if there are none now.
pub type Random = fn(&mut [u8]) -> bool;

/// Encrypts each page with ChaCha20-Poly1305 (RFC 8439).
///
/// Each zone of the device, of [`ZONE_SLOTS`](super::ZONE_SLOTS) slots, has a key of its own, which is made
/// when the first page goes there and is wiped when the last one has gone: what the device keeps of them
/// then, nobody reads any more. The tag, which takes the place of the checksum, is about the number of the
/// slot, too. A page takes 16 bytes of memory more than with a [`Checksum`](super::Checksum), and a zone 40.
pub struct Encryption<P: Platform> {
    zones: Mutex<P, Vec<Zone>>,
    random: Random,
}

#[derive(Clone, Default)]
struct Zone {
    /// With its key, which is wiped when it is dropped.
    cipher: Option<ChaCha20Poly1305>,
    /// How many pages it has encrypted: each has another nonce.
    pages: u32,
}

/// What is kept of an encrypted page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    nonce: [u8; 4],
    tag: [u8; 16],
}

impl<P: Platform> Encryption<P> {
    /// For a device with this many slots.
    pub(super) fn new(slots: u64, random: Random) -> Result<Self, TryReserveError> {
        let count = slots.div_ceil(ZONE) as usize;
        let mut zones = Vec::new();
        zones.try_reserve_exact(count)?;
        zones.resize(count, Zone::default());
        Ok(Self { zones: Mutex::<P, _>::new(zones), random })
    }

    /// The cipher of a slot's zone, and a nonce that it has not had yet.
    fn next(&self, slot: u64) -> Option<(ChaCha20Poly1305, [u8; 4])> {
        let mut zones = self.zones.lock();
        let zone = zones.get_mut((slot / ZONE) as usize)?;
        if zone.cipher.is_none() {
            let mut key = chacha20poly1305::Key::default();
            if !(self.random)(&mut key) {
                return None;
            }
            zone.cipher = Some(ChaCha20Poly1305::new(&key));
            key.fill(0);
            zone.pages = 0;
        }
        zone.pages = zone.pages.checked_add(1)?;
        Some((zone.cipher.clone()?, zone.pages.to_le_bytes()))
    }
}

/// A nonce as the cipher has it.
fn nonce([a, b, c, d]: [u8; 4]) -> Nonce {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0].into()
}

impl<P: Platform> Protection for Encryption<P> {
    type Tag = Sealed;

    const CHANGES: bool = true;

    fn protect<'a>(&self, slot: u64, page: &'a [u8], copy: &'a mut [u8]) -> Option<(&'a [u8], Sealed)> {
        let (cipher, number) = self.next(slot)?;
        copy.copy_from_slice(page);
        let tag = cipher.encrypt_in_place_detached(&nonce(number), &slot.to_le_bytes(), copy).ok()?;
        Some((copy, Sealed { nonce: number, tag: tag.into() }))
    }

    fn verify(&self, slot: u64, sealed: &Sealed, page: &mut [u8]) -> bool {
        let cipher = self.zones.lock().get((slot / ZONE) as usize).and_then(|zone| zone.cipher.clone());
        let tag = Tag::from(sealed.tag);
        cipher.is_some_and(|cipher| {
            let nonce = nonce(sealed.nonce);
            cipher.decrypt_in_place_detached(&nonce, &slot.to_le_bytes(), page, &tag).is_ok()
        })
    }

    fn zone_is_empty(&self, zone: u64) {
        if let Some(zone) = self.zones.lock().get_mut(zone as usize) {
            *zone = Zone::default();
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::collections::HashSet;
    use std::vec;

    use mig_runtime::platform::Std;

    use super::super::faulty::FaultyDisk;
    use super::super::{Slot, Space, Store, StoreError, SwapStore, superblock};
    use super::*;

    const PAGE: usize = 512;

    /// Not by chance, and never twice the same.
    fn random(bytes: &mut [u8]) -> bool {
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        static NEXT: AtomicU64 = AtomicU64::new(1);
        bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Relaxed).to_le_bytes());
        true
    }

    type Encrypted = SwapStore<FaultyDisk, Std, Encryption<Std>>;

    fn store(pages: usize) -> Encrypted {
        let disk = FaultyDisk::new((pages + 2) * PAGE);
        superblock::format(&disk, PAGE, [7; 16]).unwrap();
        SwapStore::encrypted(disk, random).unwrap()
    }

    fn page(seed: u8) -> Vec<u8> {
        (0..PAGE).map(|at| seed ^ (at / 7) as u8).collect()
    }

    fn write(store: &Encrypted, page: &[u8]) -> Result<Slot<Sealed>, StoreError> {
        let mut stored = None;
        store.write(&[page], &mut |_, result| stored = Some(result));
        stored.unwrap()
    }

    fn read(store: &Encrypted, slot: &Slot<Sealed>) -> Result<Vec<u8>, StoreError> {
        let mut page = vec![0; PAGE];
        store.read(slot, &mut page).map(|()| page)
    }

    #[test]
    fn pages_come_back_and_the_device_does_not_show_them() {
        let store = store(2000);
        let pages: Vec<_> = (0..1500).map(|seed| page(seed as u8)).collect();
        let slices: Vec<_> = pages.iter().map(|page| &page[..]).collect();
        let mut stored = Vec::new();
        store.write(&slices, &mut |_, result| stored.push(result.unwrap()));
        for (slot, page) in stored.iter().zip(&pages) {
            assert_eq!(read(&store, slot).as_ref(), Ok(page));
        }
        // Pages that are the same are not on the device, and none of any two of its records is.
        let state = store.disk().state();
        let records: HashSet<_> = state.bytes[PAGE..1501 * PAGE].chunks(PAGE).collect();
        assert_eq!(records.len(), 1500);
        assert!(pages.iter().all(|page| !records.contains(&page[..])));
        assert_eq!(size_of::<Slot<Sealed>>(), 25);
    }

    #[test]
    fn what_was_changed_moved_or_kept_from_before_is_told() {
        let store = store(10);
        let first = write(&store, &page(1)).unwrap();
        let second = write(&store, &page(2)).unwrap();
        for bit in PAGE * 8..2 * PAGE * 8 {
            store.disk().state().flip(bit);
            assert_eq!(read(&store, &first), Err(StoreError::Corrupt), "bit {bit}");
            store.disk().state().flip(bit);
        }
        assert_eq!(read(&store, &first), Ok(page(1)));
        // The content of one slot in the other one.
        store.disk().state().bytes.copy_within(PAGE..2 * PAGE, 2 * PAGE);
        assert_eq!(read(&store, &second), Err(StoreError::Corrupt));
        // The same content in the same slot, from another time.
        let before = store.disk().state().bytes.clone();
        store.free(first);
        store.slots().start_at(1);
        let again = write(&store, &page(1)).unwrap();
        assert_eq!(again.number(), 1);
        store.disk().state().bytes.copy_from_slice(&before);
        assert_eq!(read(&store, &again), Err(StoreError::Corrupt));
    }

    #[test]
    fn the_key_of_a_zone_dies_with_its_last_page() {
        let store = store(1100);
        let keys = || {
            let zones = store.protection().zones.lock();
            zones.iter().map(|zone| zone.cipher.is_some()).collect::<Vec<_>>()
        };
        let content = page(3);
        let mut stored = Vec::new();
        store.write(&vec![&content[..]; 700], &mut |_, result| stored.push(result.unwrap()));
        assert_eq!(keys(), [true, true, false]);
        let old = store.disk().state().bytes.clone();
        let (first, rest): (Vec<_>, Vec<_>) = stored.into_iter().partition(|slot| slot.number() < 512);
        let mut rest = rest.into_iter();
        let last = rest.next_back().unwrap();
        rest.for_each(|slot| store.free(slot));
        assert_eq!(keys(), [true, true, false]);
        store.free(last);
        assert_eq!(keys(), [true, false, false]);
        first.into_iter().for_each(|slot| store.free(slot));
        assert_eq!(keys(), [false, false, false]);
        assert_eq!(store.space(), Space { total: 1100, free: 1100, ..Space::default() });
        // The zone has another key from now on.
        let again = write(&store, &content).unwrap();
        let at = again.number() as usize * PAGE;
        assert_ne!(store.disk().state().bytes[at..at + PAGE], old[at..at + PAGE]);
        assert_eq!(read(&store, &again), Ok(content));
    }

    #[test]
    fn without_chance_nothing_is_written() {
        let disk = FaultyDisk::new(12 * PAGE);
        superblock::format(&disk, PAGE, [7; 16]).unwrap();
        let store = Encrypted::encrypted(disk, |_| false).unwrap();
        let before = store.disk().state().writes;
        assert!(write(&store, &page(1)).is_err());
        assert_eq!(store.disk().state().writes, before);
        assert_eq!(store.space().used(), 0);
    }
}
