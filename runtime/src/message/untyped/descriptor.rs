//! The descriptors of an untyped message.
//!
//! A descriptor is 12 bytes for a right, and an address and 8 bytes for memory out of line; the last of its
//! first 12 bytes says which it is.

use mig_abi::DescriptorKind;

use crate::abi::Abi;
use crate::bytes::{address, port_at, word_at};
use crate::kernel::{Kernel, PortName};
use crate::memory::OolMemory;

/// Bytes of the descriptor count.
pub(crate) const COUNT: usize = 4;

/// Where every descriptor says what to do with a right.
pub(super) const DISPOSITION: usize = 10;
/// Where every descriptor says what it is.
pub(super) const KIND: usize = 11;

pub(super) const PORT: u8 = DescriptorKind::Port as u8;
pub(super) const MEMORY: u8 = DescriptorKind::Memory as u8;
pub(super) const PORTS: u8 = DescriptorKind::Ports as u8;
pub(super) const VOLATILE: u8 = DescriptorKind::Volatile as u8;
pub(super) const GUARDED_PORT: u8 = DescriptorKind::GuardedPort as u8;

/// A descriptor of memory, or of names of ports, out of line.
#[derive(Clone, Copy)]
pub(super) struct OutOfLine {
    pub(super) address: u64,
    /// Bytes, or names.
    pub(super) size: u32,
    pub(super) deallocate: bool,
    pub(super) physical_copy: bool,
    pub(super) disposition: u8,
    pub(super) kind: u8,
}

impl OutOfLine {
    /// Where the size stands.
    pub(super) const fn size_at<A: Abi>() -> usize {
        if A::FACTS.pointer == 8 { 12 } else { 4 }
    }

    /// Where the address ends, and the single bytes begin.
    const BYTES: usize = 8;

    /// The first [`Facts::memory_descriptor`] bytes count.
    #[inline]
    pub(super) fn to_bytes<A: Abi>(self) -> [u8; 16] {
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
    pub(super) fn read<A: Abi>(bytes: &[u8]) -> Self {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        Self {
            address: address::<A>(bytes).unwrap_or(0),
            size: word_at(bytes, Self::size_at::<A>()).unwrap_or(0),
            deallocate: byte(Self::BYTES) != 0,
            physical_copy: byte(Self::BYTES + 1) == 0,
            disposition: byte(DISPOSITION),
            kind: byte(KIND),
        }
    }

    /// Bytes of the memory.
    fn bytes<A: Abi>(&self) -> Option<usize> {
        let element = if self.kind == PORTS { A::FACTS.port_name } else { 1 };
        usize::try_from(self.size).ok()?.checked_mul(element)
    }

    /// Takes the memory.
    ///
    /// # Safety
    ///
    /// The descriptor is that of memory that now belongs to this task, and nobody else claims it.
    pub(super) unsafe fn memory<K: Kernel>(&self, kernel: &K) -> OolMemory<K> {
        match self.bytes::<K::Abi>() {
            None | Some(0) => OolMemory::empty(),
            // SAFETY: the caller's promise.
            Some(len) => OolMemory::from_region(unsafe { kernel.region_from_wire(self.address, len) }),
        }
    }
}

/// The port in the descriptor of a guarded port, whose name stands where other descriptors have a size. In a
/// kernel it stands where it does in the descriptor of any port.
pub(super) fn guarded_name<A: Abi>(descriptor: &[u8]) -> A::Name {
    let at = if A::FACTS.in_kernel { 0 } else { OutOfLine::size_at::<A>() };
    port_at::<A>(descriptor, at).unwrap_or(PortName::NULL)
}

/// Bytes of the descriptor at the start of `bytes`; `None` if it is cut off or of an unknown kind.
pub(super) fn descriptor_len<A: Abi>(bytes: &[u8]) -> Option<usize> {
    let len = match *bytes.get(KIND)? {
        PORT => A::FACTS.port_descriptor,
        MEMORY | PORTS | VOLATILE | GUARDED_PORT => A::FACTS.memory_descriptor,
        _ => return None,
    };
    (len <= bytes.len()).then_some(len)
}
