//! What is done to a page on its way to a device, so that what comes back is known to be the same.

use core::fmt::Debug;

/// Protects the pages of a [`SwapStore`](super::SwapStore). [`Checksum`] is one that finds what a device has
/// done to them; [`Encryption`](super::Encryption) hides them from whoever has the device, too.
pub trait Protection: Send + Sync + 'static {
    /// What is kept of a page, beside the number of its slot.
    type Tag: Copy + Debug + PartialEq + Send;

    /// True if a page is changed on its way, for which it is copied.
    const CHANGES: bool;

    /// True if the tag is [a number](Self::number) that follows from the bytes on the device and nothing
    /// else: to protect those again gives the same.
    const IS_NUMBER: bool = false;

    /// The tag, if it is one.
    fn number(_tag: &Self::Tag) -> u32 {
        0
    }

    /// A page as it goes to a slot, and its tag. `copy` is as long as the page, or empty if pages are not
    /// [changed](Self::CHANGES). `None` if the page cannot be protected now; it is not written then.
    fn protect<'a>(&self, slot: u64, page: &'a [u8], copy: &'a mut [u8]) -> Option<(&'a [u8], Self::Tag)>;

    /// Makes of what came from a slot the page that was protected. False if it is not that page.
    fn verify(&self, slot: u64, tag: &Self::Tag, page: &mut [u8]) -> bool;

    /// There are no pages in a zone, whose slots are those from `zone` times
    /// [`ZONE_SLOTS`](super::ZONE_SLOTS) on. What was there is not asked for again.
    fn zone_is_empty(&self, _zone: u64) {}
}

/// A CRC-32 of each page: pages go to the device as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checksum;

impl Protection for Checksum {
    type Tag = [u8; 4];

    const CHANGES: bool = false;

    const IS_NUMBER: bool = true;

    fn number(tag: &[u8; 4]) -> u32 {
        u32::from_le_bytes(*tag)
    }

    fn protect<'a>(&self, _slot: u64, page: &'a [u8], _copy: &'a mut [u8]) -> Option<(&'a [u8], [u8; 4])> {
        Some((page, crc32fast::hash(page).to_le_bytes()))
    }

    fn verify(&self, _slot: u64, tag: &[u8; 4], page: &mut [u8]) -> bool {
        crc32fast::hash(page).to_le_bytes() == *tag
    }
}
