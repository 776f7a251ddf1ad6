//! What both sides of a message must agree on: one zero-sized type an ABI, and its facts as data.
//!
//! The facts are those of `mig-abi`, with which `mig-codegen` lays messages out, so the two cannot drift
//! apart.

use core::marker::PhantomData;

#[doc(inline)]
pub use mig_abi::{Facts, Family, NDR, RightNumbers, System, TypeWords};

use crate::kern_return::{KernReturn, OnSystem};
use crate::name::{Name, PortAddress, PortName};

pub use crate::message::trailer::Trailer;
pub use crate::message::{Format, Typed, Untyped};

mod sealed {
    pub trait Sealed {}
}

/// An ABI as a type, for code that is generic over it. The ABIs of this module are all that there are: wrong
/// facts would be wrong messages.
pub trait Abi: sealed::Sealed + Copy + Send + Sync + 'static {
    /// Its facts.
    const FACTS: Facts;

    /// Its family: [`Typed`] or [`Untyped`].
    type Format: Format;

    /// What stands for a port in its messages: a [`Name`], except in messages [in a kernel](InKernel).
    type Name: PortName;
}

/// An ABI of tasks, to which ports have names: all but those [in a kernel](InKernel).
pub trait TaskAbi: Abi<Name = Name> {}

impl<A: Abi<Name = Name>> TaskAbi for A {}

macro_rules! impl_abi {
    ($abi:ident, $format:ident, $facts:expr) => {
        impl sealed::Sealed for $abi {}

        impl Abi for $abi {
            type Format = $format;
            type Name = Name;
            const FACTS: Facts = $facts;
        }

        const _: () = assert!(matches!($facts.family, Family::$format), "the facts are of another family");
    };
}

/// GNU Mach on i386: `gnu-i386`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnuI386;

impl_abi!(GnuI386, Typed, Facts::GNU_I386);

/// GNU Mach on x86_64 since 2023, with type words of 8 bytes: `gnu-x86_64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnuX86_64;

impl_abi!(GnuX86_64, Typed, Facts::GNU_X86_64);

/// GNU Mach on x86_64 until 2023: the type words, ports and alignment of i386 after a header of 32 bytes;
/// `gnu-x86_64-2022`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnuX86_64Of2022;

impl_abi!(GnuX86_64Of2022, Typed, Facts::GNU_X86_64_2022);

/// Mach 2.5 on machines of 32 bits: `mach-25`.
///
/// Its header has `msg_simple` in place of the complex bit, and nothing that says what becomes of the ports
/// in it; its type words have one number for a send right that is copied, made, or moved. What a [`Kernel`]
/// has to know, and Mach 2.5 has no field for, is in bits of the buffer that its kernels ignore in what is
/// sent, and clear in what is received:
///
/// - in the first word of the header, the lower 16 bits are those of `msgh_bits` in Mach 3;
/// - in a type word of rights, the highest bit (`msg_type_unused`) says that they are moved, and so does
///   `msg_type_deallocate`.
///
/// Mach 2.5 has no right that may be used once only: where Mach 3 would make one, a send right is made.
///
/// [`Kernel`]: crate::Kernel
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mach25;

impl_abi!(Mach25, Typed, Facts::MACH_25);

/// OSF Mach on i386: `osf-32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Osf32;

impl_abi!(Osf32, Untyped, Facts::OSF_32);

/// Apple's kernels, tasks of 32 bits: `apple-32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apple32;

impl_abi!(Apple32, Untyped, Facts::APPLE_32);

/// Apple's kernels, tasks of 64 bits: `apple-64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apple64;

impl_abi!(Apple64, Untyped, Facts::APPLE_64);

/// An ABI as the kernel itself has its messages, for a kernel that sends (`subsystem KernelUser`) or serves
/// (`subsystem KernelServer`): rights are addresses of ports.
///
/// On GNU Mach a message in the kernel has the header and the type words of any other; a port has as many
/// bytes as an address, out of line too. On XNU of 64 bits its header has 32 bytes and its descriptors 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InKernel<A>(PhantomData<A>);

impl<A: TaskAbi> sealed::Sealed for InKernel<A> {}

impl<A: TaskAbi> Abi for InKernel<A> {
    type Format = A::Format;
    type Name = PortAddress;
    const FACTS: Facts = A::FACTS.in_kernel();
}

/// GNU Mach's ABI for a target with addresses of this size, whatever its system is: for what is written for
/// GNU Mach and tested elsewhere.
#[cfg(target_pointer_width = "64")]
pub type Gnu = GnuX86_64;
/// GNU Mach's ABI for a target with addresses of this size, whatever its system is: for what is written for
/// GNU Mach and tested elsewhere.
#[cfg(target_pointer_width = "32")]
pub type Gnu = GnuI386;

/// The ABI of Apple's kernels for a target with addresses of this size, whatever its system is.
#[cfg(target_pointer_width = "64")]
pub type Apple = Apple64;
/// The ABI of Apple's kernels for a target with addresses of this size, whatever its system is.
#[cfg(target_pointer_width = "32")]
pub type Apple = Apple32;

/// The ABI of the target: [`Apple`]'s on macOS and its kin, [`Gnu`]'s everywhere else.
#[cfg(target_vendor = "apple")]
pub type Native = Apple;
/// The ABI of the target: [`Apple`]'s on macOS and its kin, [`Gnu`]'s everywhere else.
#[cfg(not(target_vendor = "apple"))]
pub type Native = Gnu;

impl KernReturn {
    /// The code as the system of an ABI names it, for people.
    ///
    /// ```
    /// use mig_runtime::KernReturn;
    /// use mig_runtime::abi::{Apple64, GnuX86_64};
    ///
    /// let code = KernReturn(0x1000_000e);
    /// assert_eq!(code.on::<Apple64>().to_string(), "MACH_SEND_TOO_LARGE (0x1000000e)");
    /// assert_eq!(code.on::<GnuX86_64>().to_string(), "MACH_SEND_NO_NOTIFY (0x1000000e)");
    /// // Without an ABI, both.
    /// assert_eq!(code.to_string(), "MACH_SEND_NO_NOTIFY on GNU Mach, MACH_SEND_TOO_LARGE on XNU (0x1000000e)");
    /// ```
    pub const fn on<A: Abi>(self) -> OnSystem {
        self.on_system(A::FACTS.system)
    }
}
