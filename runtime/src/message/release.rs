//! Releasing what a message holds that was rejected, could not be sent, or was dropped: the cold path.
//!
//! Kernels are passed by value: a reference would keep the caller's message, which the kernel is part of, in
//! memory.

use super::body::Body;
use super::shape::Origin;
use crate::kernel::Kernel;

/// Releases every right and region that the arguments of an unsent complex message hold.
///
/// # Safety
///
/// The message has been built by this crate and nobody else owns what it holds.
#[cold]
#[inline(never)]
pub(crate) unsafe fn unsent<K: Kernel>(kernel: K, arguments: &mut [u8]) {
    // SAFETY: the caller's promise.
    drop(unsafe { Body::new(kernel, true, arguments, Origin::Unsent) });
}
