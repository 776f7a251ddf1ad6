//! Numbers in the bytes of a message.

use crate::abi::Abi;
use crate::name::PortName;

/// The little-endian word at `offset`.
#[inline]
pub(crate) fn word_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let word = bytes.get(offset..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*word))
}

/// The little-endian double word at the start.
#[inline]
pub(crate) fn wide_at(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.first_chunk::<8>()?))
}

/// The port whose own bytes are at `offset`.
#[inline]
pub(crate) fn port_at<A: Abi>(bytes: &[u8], offset: usize) -> Option<A::Name> {
    let low = word_at(bytes, offset)?;
    let high = if A::FACTS.port_name == 8 { word_at(bytes, offset + 4)? } else { 0 };
    Some(A::Name::from_word(u64::from(high) << 32 | u64::from(low)))
}

/// `len` rounded up to the ABI's alignment of data; 64 bits, so that hostile lengths do not overflow.
#[inline]
pub(crate) const fn padded<A: Abi>(len: u64) -> u64 {
    let mask = A::FACTS.alignment as u64 - 1;
    (len + mask) & !mask
}

/// The address in an out-of-line argument.
#[inline]
pub(crate) fn address<A: Abi>(data: &[u8]) -> Option<u64> {
    let low = word_at(data, 0)?;
    let high = if A::FACTS.pointer == 8 { word_at(data, 4)? } else { 0 };
    Some(u64::from(high) << 32 | u64::from(low))
}
