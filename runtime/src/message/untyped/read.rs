//! What a body takes out of an untyped message.

use core::ffi::CStr;
use core::mem;

use arrayvec::ArrayVec;

use super::descriptor::{
    DISPOSITION, GUARDED_PORT, KIND, MEMORY, OutOfLine, PORT, PORTS, VOLATILE, guarded_name,
};
use crate::abi::{Abi, NDR, Untyped};
use crate::bytes::{padded, port_at};
use crate::kernel::{Kernel, NameOf, PortName};
use crate::memory::{Array, Elements, OolMemory, Plain};
use crate::message::body::Body;
use crate::message::malformed::Malformed;
use crate::message::shape::Origin;
use crate::right::{AnyRight, ArrayRight, Rights, disposition};

impl<'b, K: Kernel<Abi: Abi<Format = Untyped>>> Body<'b, K> {
    /// Takes the next descriptor, if it is of this kind.
    #[inline]
    fn descriptor(&mut self, kind: u8, len: usize) -> Result<&'b [u8], Malformed> {
        if self.descriptors == 0 || self.rest.get(KIND) != Some(&kind) || self.rest.len() < len {
            return Err(Malformed::Descriptor);
        }
        let (descriptor, rest) = mem::take(&mut self.rest).split_at_mut(len);
        self.rest = rest;
        self.descriptors -= 1;
        Ok(descriptor)
    }

    /// The disposition in the next descriptor.
    #[inline]
    fn disposition(&self) -> Option<u8> {
        self.rest.get(DISPOSITION).copied()
    }

    #[inline]
    pub(crate) fn port_descriptor(&mut self, disposition: u8) -> Result<NameOf<K>, Malformed> {
        if self.disposition() != Some(disposition) {
            return Err(Malformed::Descriptor);
        }
        let descriptor = self.descriptor(PORT, K::Abi::FACTS.port_descriptor)?;
        Ok(port_at::<K::Abi>(descriptor, 0).unwrap_or(PortName::NULL))
    }

    /// The kind of right that the sender of a polymorphic argument has chosen, as its receiver sees it.
    fn chosen(&self) -> Result<u8, Malformed> {
        self.disposition()
            .filter(|kind| matches!(*kind, disposition::MOVE_RECEIVE..=disposition::MOVE_SEND_ONCE))
            .ok_or(Malformed::Descriptor)
    }

    /// Takes a right from a descriptor of its own.
    pub(crate) fn element<R: ArrayRight<K>>(&mut self) -> Result<R, Malformed> {
        let kind = R::KIND.map_or_else(|| self.chosen(), Ok)?;
        let name = self.port_descriptor(kind)?;
        // SAFETY: from a descriptor of this kind, and taken out just now.
        unsafe { R::received(self.kernel.clone(), name, kind) }.ok_or(Malformed::Descriptor)
    }

    #[inline]
    fn out_of_line(&mut self, kind: u8) -> Result<OutOfLine, Malformed> {
        let lent = self.origin == Origin::Unsent && !K::Abi::FACTS.in_kernel;
        if lent && !OutOfLine::read::<K::Abi>(self.rest).deallocate {
            return Err(Malformed::Descriptor);
        }
        Ok(OutOfLine::read::<K::Abi>(self.descriptor(kind, K::Abi::FACTS.memory_descriptor)?))
    }

    /// Takes `len` bytes and the padding after them.
    #[inline]
    fn bytes(&mut self, len: usize) -> Result<&'b [u8], Malformed> {
        if self.descriptors != 0 {
            return Err(Malformed::Descriptor);
        }
        let padded = padded::<K::Abi>(len as u64);
        if padded > self.rest.len() as u64 {
            return Err(Malformed::Size);
        }
        let (bytes, rest) = mem::take(&mut self.rest).split_at_mut(padded as usize);
        self.rest = rest;
        Ok(&bytes[..len])
    }
}

/// For untyped ABIs. Plain data can be taken when no descriptor is left, so that none is ever read in the
/// place of another.
impl<'b, K: Kernel<Abi: Abi<Format = Untyped>>> Body<'b, K> {
    /// Begins a complex message, which must have this many descriptors.
    ///
    /// # Errors
    ///
    /// [`Malformed::Size`] if it has another number of them.
    #[inline]
    pub fn descriptors(&self, count: u32) -> Result<(), Malformed> {
        if self.descriptors == count { Ok(()) } else { Err(Malformed::Size) }
    }

    /// How many descriptors are left.
    #[inline]
    pub fn descriptor_count(&self) -> u32 {
        self.descriptors
    }

    /// Takes the next descriptor, whatever it describes; `None` after the last one. This is for receivers
    /// that learn from the message what it brings.
    ///
    /// # Errors
    ///
    /// [`Malformed::Descriptor`] for one that is none, or of memory that was only lent to a message that has
    /// come back.
    pub fn next_descriptor(&mut self) -> Result<Option<Descriptor<K>>, Malformed> {
        if self.descriptors == 0 {
            return Ok(None);
        }
        Ok(Some(match self.rest.get(KIND) {
            Some(&PORT) => Descriptor::Right(self.element()?),
            Some(&GUARDED_PORT) => Descriptor::Right(self.guarded_right()?),
            Some(&PORTS) => Descriptor::Rights(self.rights_memory()?),
            Some(&VOLATILE) => {
                let found = self.out_of_line(VOLATILE)?;
                // SAFETY: as in `memory`.
                Descriptor::Memory(unsafe { found.memory(&self.kernel) })
            }
            _ => Descriptor::Memory(self.memory()?),
        }))
    }

    /// Takes a right that its receiver may not move or drop before it has removed the guard.
    fn guarded_right(&mut self) -> Result<AnyRight<'static, K>, Malformed> {
        let disposition = self.chosen()?;
        let descriptor = self.descriptor(GUARDED_PORT, K::Abi::FACTS.memory_descriptor)?;
        let name = guarded_name::<K::Abi>(descriptor);
        // SAFETY: from a descriptor of this kind, and taken out just now.
        unsafe { AnyRight::from_wire(self.kernel.clone(), name, disposition) }.ok_or(Malformed::Descriptor)
    }

    /// Takes memory out of line.
    ///
    /// # Errors
    ///
    /// [`Malformed::Descriptor`]
    #[inline]
    pub fn memory(&mut self) -> Result<OolMemory<K>, Malformed> {
        let found = self.out_of_line(MEMORY)?;
        // SAFETY: from a descriptor that was delivered, or that gives its memory away, and taken out just
        // now.
        Ok(unsafe { found.memory(&self.kernel) })
    }

    /// Takes elements that are out of line.
    ///
    /// # Errors
    ///
    /// [`Malformed::Descriptor`]; also for no whole number of elements.
    #[inline]
    pub fn memory_of<T: Plain>(&mut self) -> Result<Elements<'b, T, K>, Malformed> {
        let size = OutOfLine::read::<K::Abi>(self.rest).size as usize;
        if size % size_of::<T>().max(1) != 0 {
            return Err(Malformed::Descriptor);
        }
        Ok(Elements::from_memory(self.memory()?))
    }

    /// Takes a value of fixed size that is out of line.
    ///
    /// # Errors
    ///
    /// [`Malformed::Descriptor`]; also for another size.
    pub fn memory_value<T: Plain>(&mut self) -> Result<T, Malformed> {
        T::read_from_bytes(&self.memory()?).map_err(|_| Malformed::Descriptor)
    }

    /// Takes rights that are out of line; where the sender chooses their kind, all are of one.
    ///
    /// # Errors
    ///
    /// [`Malformed::Descriptor`]
    pub fn rights_memory<R: ArrayRight<K>>(&mut self) -> Result<Rights<K, R>, Malformed> {
        let kind = R::KIND.map_or_else(|| self.chosen(), Ok)?;
        if self.disposition() != Some(kind) {
            return Err(Malformed::Descriptor);
        }
        let found = self.out_of_line(PORTS)?;
        // SAFETY: as in `memory`.
        let names = unsafe { found.memory(&self.kernel) };
        // SAFETY: the descriptor is one of rights of this kind.
        Ok(unsafe { self.rights_in(names, kind) })
    }

    /// Takes `N` rights, each from a descriptor of its own.
    ///
    /// # Errors
    ///
    /// [`Malformed::Descriptor`]
    pub fn rights<R: ArrayRight<K>, const N: usize>(&mut self) -> Result<ArrayVec<R, N>, Malformed> {
        (0..N).map(|_| self.element()).collect()
    }

    /// Passes over the NDR record.
    ///
    /// # Errors
    ///
    /// [`Malformed::Size`]
    #[inline]
    pub fn ndr(&mut self) -> Result<(), Malformed> {
        // As in the C stubs nothing looks at it: all kernels of an ABI have one representation.
        self.bytes(NDR.len()).map(drop)
    }

    /// Takes plain data of a fixed size.
    ///
    /// # Errors
    ///
    /// [`Malformed::Size`]; [`Malformed::Descriptor`], as for all plain data, while descriptors are left.
    #[inline]
    pub fn value<T: Plain>(&mut self) -> Result<T, Malformed> {
        T::read_from_bytes(self.bytes(size_of::<T>())?).map_err(|_| Malformed::Size)
    }

    /// Takes the count of what is out of line, which must be that of its descriptor.
    ///
    /// # Errors
    ///
    /// [`Malformed::Descriptor`] if it is another.
    #[inline]
    pub fn counted(&mut self, count: usize) -> Result<(), Malformed> {
        let found: u32 = self.value()?;
        if found as usize == count { Ok(()) } else { Err(Malformed::Descriptor) }
    }

    /// Takes the count of an array of rights that has `max` descriptors, and drops those that are not in use.
    ///
    /// # Errors
    ///
    /// [`Malformed::Size`] for more than `max`.
    pub fn used<R, const N: usize>(&mut self, rights: &mut ArrayVec<R, N>) -> Result<(), Malformed> {
        let count: u32 = self.value()?;
        self.share(rights, count as usize)
    }

    /// Drops the rights of an array that are not in use, where it has no count of its own (`samecount`).
    ///
    /// # Errors
    ///
    /// [`Malformed::Size`] for more than there are.
    pub fn share<R, const N: usize>(
        &self,
        rights: &mut ArrayVec<R, N>,
        count: usize,
    ) -> Result<(), Malformed> {
        self.at_most(count, rights.len())?;
        rights.truncate(count);
        Ok(())
    }

    /// Checks what is out of line and has no count of its own (`samecount`): it must be as many as the array
    /// that has it.
    ///
    /// # Errors
    ///
    /// [`Malformed::Descriptor`]
    pub fn same_count(&self, count: usize, first: usize) -> Result<(), Malformed> {
        if count == first { Ok(()) } else { Err(Malformed::Descriptor) }
    }

    /// Checks a count against its bound.
    ///
    /// # Errors
    ///
    /// [`Malformed::Size`]
    #[inline]
    pub fn at_most(&self, count: usize, max: usize) -> Result<(), Malformed> {
        if count > max { Err(Malformed::Size) } else { Ok(()) }
    }

    /// Takes an array of variable length.
    ///
    /// # Errors
    ///
    /// [`Malformed::Size`]; also for more than `max` elements.
    #[inline]
    pub fn array<T: Plain>(&mut self, max: usize) -> Result<Array<'b, T>, Malformed> {
        let count: u32 = self.value()?;
        self.array_of(count as usize, max)
    }

    /// Takes an array of `count` elements, which has no count of its own (`samecount`).
    ///
    /// # Errors
    ///
    /// As [`array`](Self::array).
    #[inline]
    pub fn array_of<T: Plain>(&mut self, count: usize, max: usize) -> Result<Array<'b, T>, Malformed> {
        self.at_most(count, max)?;
        Ok(Array::from_bytes(self.bytes(count * size_of::<T>())?))
    }

    /// Takes a string of variable length; an empty argument is the empty string.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; also for more than `max` bytes, or without a NUL among them.
    pub fn text(&mut self, max: usize) -> Result<&'b CStr, Malformed> {
        let _offset: u32 = self.value()?;
        let len: u32 = self.value()?;
        self.at_most(len as usize, max)?;
        match self.bytes(len as usize)? {
            [] => Ok(c""),
            bytes => CStr::from_bytes_until_nul(bytes).map_err(|_| Malformed::String),
        }
    }

    /// Takes a string in an area of fixed size.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; also without a NUL.
    pub fn fixed_text(&mut self, size: usize) -> Result<&'b CStr, Malformed> {
        CStr::from_bytes_until_nul(self.bytes(size)?).map_err(|_| Malformed::String)
    }
}

impl<T: Plain> Array<'_, T> {
    /// The elements, if they are no more than a caller takes (`countinout`).
    ///
    /// # Errors
    ///
    /// [`Malformed::Count`]
    pub fn at_most(self, limit: u32) -> Result<Self, Malformed> {
        if self.len() > limit as usize { Err(Malformed::Count) } else { Ok(self) }
    }
}

impl<T: Plain, K: Kernel> Elements<'_, T, K> {
    /// The elements, if they are no more than a caller takes (`countinout`).
    ///
    /// # Errors
    ///
    /// [`Malformed::Count`]
    pub fn at_most(self, limit: u32) -> Result<Self, Malformed> {
        if self.len() > limit as usize { Err(Malformed::Count) } else { Ok(self) }
    }
}

/// What a descriptor brings.
#[derive(Debug)]
#[non_exhaustive]
pub enum Descriptor<K: Kernel> {
    /// A right.
    Right(AnyRight<'static, K>),
    /// Memory.
    Memory(OolMemory<K>),
    /// Rights of one kind, out of line.
    Rights(Rights<K, AnyRight<'static, K>>),
}
