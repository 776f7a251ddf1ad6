//! Memory whose every word says where it is.

use gnumach::{GnuMach, println};
use mig_runtime::OolMemory;

use crate::Checks;

const PAGE: usize = 4096;

/// Pages of anonymous memory.
pub(crate) struct Memory(OolMemory<GnuMach>);

impl Memory {
    /// New memory, of which no page exists yet.
    pub(crate) fn allocate(mebibytes: u32) -> Self {
        let size = (mebibytes as usize) << 20;
        Self(OolMemory::allocate(&GnuMach, size).expect("vm_allocate"))
    }

    /// Writes every word of every page, different ones for each round.
    pub(crate) fn fill(&mut self, round: u32) {
        for (page, bytes) in self.0.chunks_exact_mut(PAGE).enumerate() {
            for (word, place) in bytes.chunks_exact_mut(8).enumerate() {
                place.copy_from_slice(&value(round, page, word).to_le_bytes());
            }
        }
    }

    /// Compares every word of every page with what was written in a round.
    pub(crate) fn check(&self, checks: &mut Checks, round: u32) {
        for (page, bytes) in self.0.chunks_exact(PAGE).enumerate() {
            let wrong = bytes
                .chunks_exact(8)
                .enumerate()
                .find(|(word, place)| **place != value(round, page, *word).to_le_bytes());
            if let Some((word, place)) = wrong {
                println!("client: page {page}, word {word} is {place:x?}");
            }
            checks.that(wrong.is_none(), "a page is not what was written");
        }
    }
}

/// What belongs into a word: no two are the same, and no page is one word over and over.
fn value(round: u32, page: usize, word: usize) -> u64 {
    let place = (u64::from(round) << 48) | ((page as u64) << 16) | word as u64;
    place.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
