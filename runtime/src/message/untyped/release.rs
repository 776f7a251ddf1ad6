//! Releasing what the descriptors of an untyped message hold.

use super::descriptor::{
    DISPOSITION, GUARDED_PORT, KIND, OutOfLine, PORT, PORTS, descriptor_len, guarded_name,
};
use crate::abi::Abi;
use crate::kernel::Kernel;
use crate::message::shape::Origin;
use crate::right::{self, release_names};

/// Releases what the first `count` descriptors hold. What is no descriptor, or is cut off, ends the walk.
///
/// # Safety
///
/// They come from a complex message that `origin` tells of, and nobody else owns what they hold.
#[cold]
#[inline(never)]
pub(crate) unsafe fn release<K: Kernel>(kernel: K, count: u32, mut bytes: &[u8], origin: Origin) {
    for _ in 0..count {
        let Some(len) = descriptor_len::<K::Abi>(bytes) else { return };
        let (descriptor, rest) = bytes.split_at(len);
        bytes = rest;
        match descriptor[KIND] {
            // SAFETY: the caller's promise.
            PORT => unsafe {
                release_names(&kernel, descriptor[DISPOSITION], descriptor, K::Abi::FACTS.port_descriptor);
            },
            GUARDED_PORT => {
                let name = guarded_name::<K::Abi>(descriptor);
                // SAFETY: the caller's promise.
                unsafe { right::release(kernel.clone(), descriptor[DISPOSITION], name) };
            }
            _ => {
                let found = OutOfLine::read::<K::Abi>(descriptor);
                // A message that was delivered in part has no address for what there was no room for.
                let moves = origin == Origin::Delivered || found.deallocate || K::Abi::FACTS.in_kernel;
                if found.address != 0 && moves {
                    // SAFETY: the kernel delivers memory as the receiver's, and the deallocate bit gives away
                    // what was the sender's; the caller's promise.
                    let memory = unsafe { found.memory(&kernel) };
                    if found.kind == PORTS {
                        // SAFETY: the caller's promise.
                        unsafe {
                            release_names(&kernel, found.disposition, &memory, K::Abi::FACTS.port_name)
                        };
                    }
                }
            }
        }
    }
}
