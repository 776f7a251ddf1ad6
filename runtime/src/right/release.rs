//! Releasing rights that no value owns: those in a message, by name and disposition.

use super::disposition::{self, is_right};
use crate::bytes::port_at;
use crate::kernel::{Kernel, NameOf, PortName, RightKind};

/// Releases a right that a message moves; one that it only copies or makes is not there yet.
///
/// # Safety
///
/// If the disposition moves a right, this one is the caller's to end.
#[cold]
#[inline(never)]
pub(crate) unsafe fn release<K: Kernel>(kernel: K, disposition: u8, name: NameOf<K>) {
    let kind = match disposition {
        disposition::MOVE_RECEIVE => RightKind::Receive,
        disposition::MOVE_SEND => RightKind::Send,
        disposition::MOVE_SEND_ONCE => RightKind::SendOnce,
        _ => return,
    };
    if name.is_valid() {
        // SAFETY: the caller's promise.
        unsafe { kernel.release(kind, name) };
    }
}

/// Releases the rights of an array of names, each in a slot of `slot` bytes.
///
/// # Safety
///
/// As [`release`], for each of them.
pub(crate) unsafe fn release_names<K: Kernel>(kernel: &K, disposition: u8, data: &[u8], slot: usize) {
    if !is_right(disposition) {
        return;
    }
    for slot in data.chunks_exact(slot) {
        if let Some(name) = port_at::<K::Abi>(slot, 0) {
            // SAFETY: the caller's promise.
            unsafe { release(kernel.clone(), disposition, name) };
        }
    }
}
