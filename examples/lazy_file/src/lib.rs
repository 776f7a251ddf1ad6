//! A compressed file as a memory object: a block is decoded when one of its pages is touched.
#![cfg(target_os = "linux")]

use mach_defs::gnu::mach;
use mach_defs::gnu::memory_object::MemoryObject;
use mig_runtime::kernel::local::Local;
use mig_runtime::{KernReturn, Port, ReceiveRight, SendRight};

/// Bytes of a block before it is compressed.
pub const BLOCK: usize = 64 << 10;

/// A file in blocks that are compressed one by one.
pub struct Compressed {
    blocks: Vec<Vec<u8>>,
}

impl Compressed {
    /// Compresses `data`, which is filled up with zeros to whole blocks.
    pub fn new(data: &[u8]) -> Self {
        let compress = |block: &[u8]| {
            let mut whole = block.to_vec();
            whole.resize(BLOCK, 0);
            lz4_flex::compress(&whole)
        };
        Self { blocks: data.chunks(BLOCK).map(compress).collect() }
    }

    /// Bytes that it has when it is not compressed.
    pub fn len(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Bytes that it has now.
    pub fn compressed_len(&self) -> usize {
        self.blocks.iter().map(Vec::len).sum()
    }

    /// All of it at once; `None` if a block is damaged.
    pub fn decompress(&self) -> Option<Vec<u8>> {
        let blocks = (0..self.len()).step_by(BLOCK).map(|offset| self.block(offset as u64));
        blocks.collect::<Option<Vec<_>>>().map(|blocks| blocks.concat())
    }

    /// Decodes the block that has this offset.
    fn block(&self, offset: u64) -> Option<Vec<u8>> {
        let block = self.blocks.get(usize::try_from(offset).ok()? / BLOCK)?;
        lz4_flex::decompress(block, BLOCK).ok().filter(|data| data.len() == BLOCK)
    }
}

impl MemoryObject<Local> for Compressed {
    fn memory_object_init(
        &self,
        _object: Port<'_, Local>,
        control: SendRight<Local>,
        _name: SendRight<Local>,
        _page_size: u64,
    ) -> Result<(), KernReturn> {
        Ok(mach::memory_object_ready(&control, false, 0)?)
    }

    fn memory_object_data_request(
        &self,
        _object: Port<'_, Local>,
        control: SendRight<Local>,
        offset: u64,
        length: u64,
        _access: i32,
    ) -> Result<(), KernReturn> {
        let Some(block) = self.block(offset) else {
            return Ok(mach::memory_object_data_error(&control, offset, length, KernReturn::KERN_FAILURE)?);
        };
        // The whole block: its other pages are taken as long as there is room.
        let no_reply = ReceiveRight::null(control.kernel().clone());
        let start = offset - offset % BLOCK as u64;
        Ok(mach::memory_object_data_supply(&control, start, &block[..], 0, false, &no_reply)?)
    }
}
