//! What a port is called: to a task by a name, to a kernel by an address.

use core::fmt;
use core::hash::Hash;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

mod sealed {
    pub trait Sealed {}
}

/// How rights denote their ports: by a [`Name`] or, in a kernel, by a [`PortAddress`].
pub trait PortName:
    sealed::Sealed + Copy + Default + Eq + Ord + Hash + fmt::Debug + Send + Sync + 'static
{
    /// No port.
    const NULL: Self;

    /// True if this can denote a right: neither null nor dead.
    fn is_valid(self) -> bool;

    /// The number that stands for the port in a message.
    fn word(self) -> u64;

    /// The port that a number in a message stands for.
    fn from_word(word: u64) -> Self;
}

/// Implements [`PortName`] for a type around a number. The type has `NULL` and `is_valid` of its own already,
/// so that they can be used in constants.
macro_rules! impl_port_name {
    ($name:ident, $word:ty) => {
        impl sealed::Sealed for $name {}

        impl PortName for $name {
            const NULL: Self = Self::NULL;

            #[inline]
            fn is_valid(self) -> bool {
                self.is_valid()
            }

            #[inline]
            fn word(self) -> u64 {
                self.0.into()
            }

            #[inline]
            fn from_word(word: u64) -> Self {
                Self(word as $word)
            }
        }
    };
}

/// A port name: an index into a task's name table, of no meaning in another task.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
)]
#[repr(transparent)]
pub struct Name(pub u32);

impl Name {
    /// `MACH_PORT_NULL`
    pub const NULL: Self = Self(0);
    /// `MACH_PORT_DEAD`
    pub const DEAD: Self = Self(!0);

    /// True if the name can denote a right: neither null nor dead.
    pub const fn is_valid(self) -> bool {
        self.0 != 0 && self.0 != !0
    }
}

impl_port_name!(Name, u32);

/// The address of a port's structure in a kernel (`ipc_port_t`), of an ABI that is
/// [in the kernel](crate::abi::InKernel). A kernel of 32 bits has zeros in the upper half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct PortAddress(pub u64);

impl PortAddress {
    /// `IP_NULL`
    pub const NULL: Self = Self(0);
    /// `IP_DEAD`, on a kernel of 64 bits.
    pub const DEAD: Self = Self(!0);

    /// `IP_DEAD`, on a kernel of 32 bits.
    const DEAD_32: Self = Self(u32::MAX as u64);

    /// True if this can be the address of a port (`IP_VALID`).
    pub const fn is_valid(self) -> bool {
        self.0 != Self::NULL.0 && self.0 != Self::DEAD.0 && self.0 != Self::DEAD_32.0
    }
}

impl_port_name!(PortAddress, u64);
