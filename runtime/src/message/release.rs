//! Releasing what a message holds: the cold path behind every rejected, failed or dropped message.
//!
//! Kernels are passed by value: a reference would keep the caller's message, which the kernel is part of, in
//! memory.

use super::shape::Origin;
use super::{typed, untyped};
use crate::abi::{Abi, Family};
use crate::kernel::Kernel;

/// Releases every right and region that the arguments of an unsent complex message hold.
///
/// # Safety
///
/// The message has been built by this crate and nobody else owns what it holds.
#[cold]
#[inline(never)]
pub(crate) unsafe fn unsent<K: Kernel>(kernel: K, arguments: &mut [u8]) {
    match K::Abi::FACTS.family {
        // SAFETY: the caller's promise.
        Family::Typed => unsafe { typed::release::release(kernel, arguments) },
        Family::Untyped => {
            let (count, descriptors) = untyped::descriptor::split_count(arguments);
            // SAFETY: as above.
            unsafe { untyped::release::release(kernel, count, descriptors, Origin::Unsent) };
        }
    }
}
