//! Out-of-line memory.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use alloc::borrow::Cow;
use alloc::vec::Vec;

use arrayvec::ArrayVec;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::kern_return::KernReturn;
use crate::kernel::Kernel;

/// Values that travel as their bytes: no pointers, no padding, every bit pattern valid.
///
/// Integers, arrays of them, and `#[repr(C)]` structures that derive zerocopy's traits.
pub trait Plain: FromBytes + IntoBytes + Immutable + KnownLayout + Copy {}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Copy> Plain for T {}

/// How data goes out of line in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copying {
    /// The memory moves with the message (`dealloc`).
    pub deallocate: bool,
    /// The kernel is to copy it at once (`physicalcopy`).
    pub physical: bool,
}

impl Copying {
    /// The kernel shares the memory until somebody writes to it; the sender keeps it.
    pub const VIRTUAL: Self = Self { deallocate: false, physical: false };
    /// The memory moves with the message.
    pub const MOVE: Self = Self { deallocate: true, physical: false };
    /// The kernel copies the memory at once.
    pub const PHYSICAL: Self = Self { deallocate: false, physical: true };
}

/// Memory that came, or will go, out of line: a slice of bytes that gives itself back (`vm_deallocate`).
pub struct OolMemory<K: Kernel> {
    /// `None` for no bytes: an empty argument has no region.
    region: Option<K::Region>,
}

impl<K: Kernel> OolMemory<K> {
    /// New memory, all zeros (`vm_allocate`).
    ///
    /// # Errors
    ///
    /// As that call.
    pub fn allocate(kernel: &K, size: usize) -> Result<Self, KernReturn> {
        if size == 0 {
            return Ok(Self::empty());
        }
        Ok(Self { region: Some(kernel.allocate(size)?) })
    }

    /// No memory.
    pub const fn empty() -> Self {
        Self { region: None }
    }

    /// Memory of the kernel.
    pub const fn from_region(region: K::Region) -> Self {
        Self { region: Some(region) }
    }

    /// The kernel's memory; `None` if there are no bytes.
    pub fn into_region(self) -> Option<K::Region> {
        self.region
    }

    /// The bytes as values. `None` if the length is no multiple of theirs, or if the memory is not aligned
    /// for them.
    pub fn as_slice_of<T: Plain>(&self) -> Option<&[T]> {
        <[T]>::ref_from_bytes(self).ok()
    }
}

impl<K: Kernel> Deref for OolMemory<K> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.region.as_deref().unwrap_or_default()
    }
}

impl<K: Kernel> DerefMut for OolMemory<K> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.region.as_deref_mut().unwrap_or_default()
    }
}

impl<K: Kernel> fmt::Debug for OolMemory<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OolMemory({} bytes)", self.len())
    }
}

/// Data that a call sends out of line: lent to the message, or given away with it (`dealloc`).
#[derive(Debug)]
pub enum OolArg<'a, K: Kernel> {
    /// The kernel copies it; the caller keeps it.
    Lend(&'a [u8]),
    /// The memory moves to the receiver; if the call does not send it, it comes back in the error.
    Give(OolMemory<K>),
}

impl<'a, K: Kernel> OolArg<'a, K> {
    /// Lends values.
    pub fn lend<T: Plain>(values: &'a [T]) -> Self {
        Self::Lend(values.as_bytes())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Lend(bytes) => bytes,
            Self::Give(memory) => memory,
        }
    }
}

impl<'a, K: Kernel> From<&'a [u8]> for OolArg<'a, K> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        Self::Lend(bytes)
    }
}

impl<'a, K: Kernel, const N: usize> From<&'a [u8; N]> for OolArg<'a, K> {
    #[inline]
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Lend(bytes)
    }
}

impl<'a, K: Kernel> From<&'a OolMemory<K>> for OolArg<'a, K> {
    #[inline]
    fn from(memory: &'a OolMemory<K>) -> Self {
        Self::Lend(memory)
    }
}

impl<K: Kernel> From<OolMemory<K>> for OolArg<'_, K> {
    #[inline]
    fn from(memory: OolMemory<K>) -> Self {
        Self::Give(memory)
    }
}

/// The elements of an array argument, wherever they arrived: in the message, or out of line.
pub enum Elements<'b, T: Plain, K: Kernel> {
    /// In the message; copied out of it if they were not aligned there.
    Inline(Cow<'b, [T]>),
    /// Out of line, and aligned.
    OutOfLine(OolMemory<K>),
}

impl<'b, T: Plain, K: Kernel> Elements<'b, T, K> {
    /// `bytes` is a whole number of elements.
    #[inline]
    pub(crate) fn from_bytes(bytes: &'b [u8]) -> Self {
        Self::Inline(match <[T]>::ref_from_bytes(bytes) {
            Ok(elements) => Cow::Borrowed(elements),
            Err(_) => Cow::Owned(copied(bytes)),
        })
    }

    /// `memory` holds a whole number of elements.
    pub(crate) fn from_memory(memory: OolMemory<K>) -> Self {
        if memory.as_slice_of::<T>().is_some() {
            Self::OutOfLine(memory)
        } else {
            Self::Inline(Cow::Owned(copied(&memory)))
        }
    }

    /// The elements, owned.
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::Inline(elements) => elements.into_owned(),
            Self::OutOfLine(_) => self.to_vec(),
        }
    }
}

/// The elements of a bounded array that was in a message: they stand there still, unless they are not
/// aligned.
///
/// Those that are not aligned and have no more than 256 bytes are copied to where this value is, without an
/// allocation.
pub struct Array<'b, T: Plain>(Place<'b, T>);

#[expect(clippy::large_enum_variant, reason = "a box would be an allocation")]
enum Place<'b, T: Plain> {
    Message(&'b [T]),
    Short(Short<T>),
    Long(Vec<T>),
}

/// Up to 256 bytes, aligned for any integer.
#[repr(align(16))]
struct Short<T> {
    bytes: [u8; SHORT],
    len: usize,
    elements: PhantomData<T>,
}

const SHORT: usize = 256;

impl<'b, T: Plain> Array<'b, T> {
    /// `bytes` is a whole number of elements.
    #[inline]
    pub(crate) fn from_bytes(bytes: &'b [u8]) -> Self {
        Self(match <[T]>::ref_from_bytes(bytes) {
            Ok(elements) => Place::Message(elements),
            Err(_) => Place::copied(bytes),
        })
    }

    /// The elements, owned.
    pub fn into_vec(self) -> Vec<T> {
        match self.0 {
            Place::Long(elements) => elements,
            _ => self.to_vec(),
        }
    }
}

impl<T: Plain> Place<'_, T> {
    #[cold]
    fn copied(bytes: &[u8]) -> Self {
        if bytes.len() > SHORT || align_of::<T>() > align_of::<Short<T>>() {
            return Self::Long(copied(bytes));
        }
        let mut short = Short { bytes: [0; SHORT], len: bytes.len(), elements: PhantomData };
        short.bytes[..bytes.len()].copy_from_slice(bytes);
        Self::Short(short)
    }
}

impl<T: Plain> Deref for Array<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.0 {
            Place::Message(elements) => elements,
            Place::Short(short) => <[T]>::ref_from_bytes(&short.bytes[..short.len]).unwrap_or_default(),
            Place::Long(elements) => elements,
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Array<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The values of an inline array, on their own. There are no more than `N`, as reading them has checked;
/// others would be left out.
#[inline]
pub fn array_vec<T: Plain, const N: usize>(values: &[T]) -> ArrayVec<T, N> {
    let mut array = ArrayVec::new_const();
    // It fits, so there is no error.
    let _ = array.try_extend_from_slice(&values[..values.len().min(N)]);
    array
}

/// The elements of bytes that are not aligned for them.
#[cold]
#[inline(never)]
fn copied<T: Plain>(bytes: &[u8]) -> Vec<T> {
    let size = size_of::<T>().max(1);
    bytes.chunks_exact(size).filter_map(|element| T::read_from_bytes(element).ok()).collect()
}

impl<T: Plain, K: Kernel> Deref for Elements<'_, T, K> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::Inline(elements) => elements,
            Self::OutOfLine(memory) => memory.as_slice_of().unwrap_or_default(),
        }
    }
}

impl<T: Plain + fmt::Debug, K: Kernel> fmt::Debug for Elements<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
