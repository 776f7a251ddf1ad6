//! Zstandard, with contexts that are used again.

use std::vec::Vec;

use mig_runtime::platform::{Mutex, Platform};
use zstd::bulk::{Compressor, Decompressor};

/// The level with the least time.
const LEVEL: i32 = 1;

/// Contexts, each of some hundred kibibytes: as many as there have been threads at once.
pub(super) struct Contexts<P: Platform> {
    compressors: Mutex<P, Vec<Compressor<'static>>>,
    decompressors: Mutex<P, Vec<Decompressor<'static>>>,
}

impl<P: Platform> Default for Contexts<P> {
    fn default() -> Self {
        Self { compressors: Mutex::<P, _>::new(Vec::new()), decompressors: Mutex::<P, _>::new(Vec::new()) }
    }
}

impl<P: Platform> Contexts<P> {
    /// `None` if there is no memory for a context.
    pub(super) fn compress(&self, page: &[u8]) -> Option<Vec<u8>> {
        let free = self.compressors.lock().pop();
        let mut context = free.or_else(|| Compressor::new(LEVEL).ok())?;
        let compressed = context.compress(page).ok();
        self.compressors.lock().push(context);
        compressed
    }

    /// How long it is what `compressed` is made of, if that fits into `page`.
    pub(super) fn decompress(&self, compressed: &[u8], page: &mut [u8]) -> Option<usize> {
        let free = self.decompressors.lock().pop();
        let mut context = free.or_else(|| Decompressor::new().ok())?;
        let len = context.decompress_to_buffer(compressed, page).ok();
        self.decompressors.lock().push(context);
        len
    }
}
