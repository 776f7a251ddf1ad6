//! Messages of the untyped ABIs: descriptors in front, plain data behind an NDR record.
//!
//! A descriptor is 12 bytes for a right, and an address and 8 bytes for memory out of line; the last of its
//! first 12 bytes says which it is.

mod read;
mod write;

pub use read::Descriptor;
pub use write::Copying;

use mig_abi::DescriptorKind;

use crate::abi::{Abi, Facts};
use crate::body::Origin;
use crate::kernel::{Kernel, Name};
use crate::memory::OolMemory;
use crate::release;
use crate::types::word_at;

/// Bytes of the descriptor count.
pub(crate) const COUNT: usize = 4;

/// Where every descriptor says what to do with a right.
const DISPOSITION: usize = 10;
/// Where every descriptor says what it is.
const KIND: usize = 11;

const PORT: u8 = DescriptorKind::Port as u8;
const MEMORY: u8 = DescriptorKind::Memory as u8;
const PORTS: u8 = DescriptorKind::Ports as u8;
const VOLATILE: u8 = DescriptorKind::Volatile as u8;
const GUARDED_PORT: u8 = DescriptorKind::GuardedPort as u8;

/// The number of descriptors of a complex message, and what stands behind it.
#[inline]
pub(crate) fn split_count(arguments: &mut [u8]) -> (u32, &mut [u8]) {
    let count = word_at(arguments, 0);
    let start = if count.is_some() { COUNT } else { 0 };
    (count.unwrap_or(0), &mut arguments[start..])
}

/// A descriptor of memory, or of names of ports, out of line.
#[derive(Clone, Copy)]
struct OutOfLine {
    address: u64,
    /// Bytes, or names.
    size: u32,
    deallocate: bool,
    physical_copy: bool,
    disposition: u8,
    kind: u8,
}

impl OutOfLine {
    /// Where the size stands.
    const fn size_at<A: Abi>() -> usize {
        if A::FACTS.pointer == 8 { 12 } else { 4 }
    }

    /// Where the address ends, and the single bytes begin.
    const BYTES: usize = 8;

    /// The first [`Facts::memory_descriptor`] bytes count.
    #[inline]
    fn to_bytes<A: Abi>(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..A::FACTS.pointer].copy_from_slice(&self.address.to_le_bytes()[..A::FACTS.pointer]);
        bytes[Self::size_at::<A>()..][..4].copy_from_slice(&self.size.to_le_bytes());
        bytes[Self::BYTES] = self.deallocate.into();
        bytes[Self::BYTES + 1] = (!self.physical_copy).into();
        bytes[DISPOSITION] = self.disposition;
        bytes[KIND] = self.kind;
        bytes
    }

    /// Reads a descriptor; fields that `bytes` do not reach are zero.
    #[inline]
    fn read<A: Abi>(bytes: &[u8]) -> Self {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        Self {
            address: release::address::<A>(bytes).unwrap_or(0),
            size: word_at(bytes, Self::size_at::<A>()).unwrap_or(0),
            deallocate: byte(Self::BYTES) != 0,
            physical_copy: byte(Self::BYTES + 1) == 0,
            disposition: byte(DISPOSITION),
            kind: byte(KIND),
        }
    }

    /// Bytes of the memory.
    fn bytes(&self) -> Option<usize> {
        let element = if self.kind == PORTS { size_of::<Name>() } else { 1 };
        usize::try_from(self.size).ok()?.checked_mul(element)
    }

    /// Takes the memory.
    ///
    /// # Safety
    ///
    /// The descriptor is that of memory that now belongs to this task, and nobody else claims it.
    unsafe fn memory<K: Kernel>(&self, kernel: &K) -> OolMemory<K> {
        match self.bytes() {
            None | Some(0) => OolMemory::empty(),
            // SAFETY: the caller's promise.
            Some(len) => OolMemory::from_region(unsafe { kernel.region_from_wire(self.address, len) }),
        }
    }
}

/// Bytes of the descriptor at the start of `bytes`; `None` if it is cut off or of an unknown kind.
fn descriptor_len<A: Abi>(bytes: &[u8]) -> Option<usize> {
    let len = match *bytes.get(KIND)? {
        PORT => Facts::PORT_DESCRIPTOR,
        MEMORY | PORTS | VOLATILE | GUARDED_PORT => A::FACTS.memory_descriptor(),
        _ => return None,
    };
    (len <= bytes.len()).then_some(len)
}

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
                release::ports(&kernel, descriptor[DISPOSITION], descriptor, Facts::PORT_DESCRIPTOR);
            },
            GUARDED_PORT => {
                // The name stands where others have a size.
                let name = word_at(descriptor, OutOfLine::size_at::<K::Abi>()).unwrap_or(0);
                // SAFETY: the caller's promise.
                unsafe { release::right(kernel.clone(), descriptor[DISPOSITION], Name(name)) };
            }
            _ => {
                let found = OutOfLine::read::<K::Abi>(descriptor);
                // A message that was delivered in part has no address for what there was no room for.
                if found.address != 0 && (origin == Origin::Delivered || found.deallocate) {
                    // SAFETY: the kernel delivers memory as the receiver's, and the deallocate bit gives away
                    // what was the sender's; the caller's promise.
                    let memory = unsafe { found.memory(&kernel) };
                    if found.kind == PORTS {
                        // SAFETY: the caller's promise.
                        unsafe { release::ports(&kernel, found.disposition, &memory, size_of::<Name>()) };
                    }
                }
            }
        }
    }
}
