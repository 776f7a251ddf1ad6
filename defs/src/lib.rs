//! Interface definitions of Mach, and the bindings generated from them.
//!
//! The `.defs` files are in the folders of this package, one for each family of kernels; this library has
//! their Rust side, a module for each ABI and in it a module for each interface. [`native`] is that of the
//! target, [`gnu`] and [`apple`] are those of a family for its size of addresses. A client calls
//! functions, a server implements a trait:
//!
//! ```
//! # #[cfg(all(feature = "gnu-mach", feature = "gnu-memory_object"))]
//! # mod example {
//! use mach_defs::gnu::{mach, memory_object};
//! use mig_runtime::{CallError, KernReturn, Kernel, Port, SendRight, abi};
//!
//! /// A memory object whose pages are all zero.
//! struct Zeros;
//!
//! impl<K: Kernel<Abi = abi::Gnu>> memory_object::MemoryObject<K> for Zeros {
//!     // What is not written here answers MIG_BAD_ID.
//!     fn memory_object_data_request(
//!         &self,
//!         _object: Port<'_, K>,
//!         control: SendRight<K>,
//!         offset: memory_object::VmOffset,
//!         length: memory_object::VmSize,
//!         _access: memory_object::VmProt,
//!     ) -> Result<(), KernReturn> {
//!         mach::memory_object_data_unavailable(&control, offset, length).map_err(|error| error.code())
//!     }
//! }
//! # }
//! ```
//!
//! # Features
//!
//! Each interface is a feature, named by its family and its module: `gnu-mach`, `hurd-fs`, `apple-mach_exc`,
//! `osf-memory_object`. The features `gnu`, `hurd`, `pager`, `apple` and `osf` are all interfaces of a
//! family. Without any of them there are no modules, which is the default:
//!
//! ```toml
//! mach-defs = { version = "0.1", features = ["apple-mach_exc", "apple-task"] }
//! ```
//!
//! A feature has the interface for every ABI of the family: which one a program uses is decided by the module
//! that it names. Interfaces whose name begins with `seqnos_` are those that give a server the sequence
//! number of each message; they come with the plain ones.
//!
//! The bindings are text in this package, held by its tests to what the generator writes. A program that uses
//! them does not build the generator.
//!
//! [`apple_64`], [`apple_32`] and [`osf_32`] are the interfaces of macOS and its kin, and of OSF Mach. They
//! are there on every machine: what is written with them can be tested against an emulated kernel of their
//! ABI.
//!
//! The feature `definitions` is for compilers: the module `definitions` has the texts of all `.defs` files.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
mod interfaces;
#[cfg(feature = "definitions")]
#[cfg_attr(docsrs, doc(cfg(feature = "definitions")))]
pub mod definitions;

/// Modules with what the generator has made of interfaces.
macro_rules! modules {
    ($folder:literal $($(#[$doc:meta])* $feature:literal $module:ident = $file:literal $(with $define:ident)? $(of $kernel:ident)?;)*) => { $(
        $(#[$doc])*
        #[cfg(feature = $feature)]
        #[cfg_attr(docsrs, doc(cfg(feature = $feature)))]
        pub mod $module {
            include!(concat!("generated/", $folder, "/", stringify!($module), ".rs"));
        }
    )* };
}

/// GNU Mach and the Hurd on i386: `gnu-i386`.
pub mod gnu_i386 {
    gnu!(modules "gnu-i386");

    /// The Hurd's servers.
    pub mod hurd {
        hurd!(modules "gnu-i386/hurd");
    }

    /// Calls of other systems' default memory managers.
    pub mod pager {
        pager!(modules "gnu-i386/pager");
    }
}

/// GNU Mach and the Hurd on x86_64: `gnu-x86_64`.
pub mod gnu_x86_64 {
    gnu!(modules "gnu-x86_64");

    /// The Hurd's servers.
    pub mod hurd {
        hurd!(modules "gnu-x86_64/hurd");
    }

    /// Calls of other systems' default memory managers.
    pub mod pager {
        pager!(modules "gnu-x86_64/pager");
    }
}

/// Apple's kernels, tasks of 32 bits: `apple-32`.
pub mod apple_32 {
    apple!(modules "apple-32");
}

/// Apple's kernels, tasks of 64 bits: `apple-64`.
pub mod apple_64 {
    apple!(modules "apple-64");
}

/// OSF Mach on i386: `osf-32`.
pub mod osf_32 {
    osf!(modules "osf-32");
}

/// GNU Mach's interfaces for a target with addresses of this size, whatever its system is.
#[cfg(target_pointer_width = "32")]
pub use gnu_i386 as gnu;
/// GNU Mach's interfaces for a target with addresses of this size, whatever its system is.
#[cfg(target_pointer_width = "64")]
pub use gnu_x86_64 as gnu;

/// Apple's interfaces for a target with addresses of this size, whatever its system is.
#[cfg(target_pointer_width = "32")]
pub use apple_32 as apple;
/// Apple's interfaces for a target with addresses of this size, whatever its system is.
#[cfg(target_pointer_width = "64")]
pub use apple_64 as apple;

#[cfg(target_vendor = "apple")]
#[doc(inline)]
pub use apple as native;
#[cfg(not(target_vendor = "apple"))]
#[doc(inline)]
pub use gnu as native;

/// The README's example, compiled.
#[cfg(all(doctest, feature = "gnu-mach", feature = "gnu-memory_object"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
