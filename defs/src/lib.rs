//! Interface definitions of Mach, and the bindings generated from them.
//!
//! The `.defs` files are in the folders of this package, one for each family of kernels; this library has their Rust side, a module for each
//! ABI and in it a module for each interface. [`native`] is that of the target. A client calls functions, a server implements a trait:
//!
//! ```
//! use mach_defs::native::{mach, memory_object};
//! use mig_runtime::{CallError, KernReturn, Kernel, Port, SendRight, abi};
//!
//! /// A memory object whose pages are all zero.
//! struct Zeros;
//!
//! impl<K: Kernel<Abi = abi::Native>> memory_object::MemoryObject<K> for Zeros {
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
//! ```
//!
//! Interfaces whose name begins with `seqnos_` are those that give a server the sequence number of each message.
//!
//! [`apple_64`], [`apple_32`] and [`osf_32`] are the interfaces of macOS and its kin, and of OSF Mach. They are there on every machine: what
//! is written with them can be tested against an emulated kernel of their ABI.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

/// Modules with what the build script has made of interfaces.
macro_rules! built {
    ($prefix:literal, $($(#[$doc:meta])* $interface:ident,)*) => { $(
        $(#[$doc])*
        pub mod $interface {
            include!(concat!(env!("OUT_DIR"), "/", $prefix, "_", stringify!($interface), ".rs"));
        }
    )* };
}

/// The interfaces of GNU Mach for one of its ABIs.
macro_rules! gnu {
    ($(#[$doc:meta])* $module:ident, $abi:literal, $prefix:literal) => {
        $(#[$doc])*
        pub mod $module {
            built!($prefix,
                /// Calls of tasks to the kernel: threads, memory, and a memory manager's answers (`mach`, 2000).
                mach,
                /// What the kernel asks of a memory manager (`memory_object`, 2200).
                memory_object,
                /// The same with sequence numbers.
                seqnos_memory_object,
                /// What the kernel tells about port rights (`notify`, 64).
                notify,
                /// The same with sequence numbers.
                seqnos_notify,
                /// What tasks ask of the default memory manager (`default_pager`, 2275).
                default_pager,
                /// Calls of tasks to the kernel about port names and rights (`mach_port`, 3200).
                mach_port,
                /// Calls to the kernel about processors, scheduling, time and wired memory (`mach_host`, 2600).
                mach_host,
                /// Calls that only GNU Mach has (`gnumach`, 4200).
                gnumach,
                /// Calls that only machines of the i386 family have (`mach_i386`, 3800).
                mach_i386,
                /// What tasks ask of a device (`device`, 2800).
                device,
                /// What the kernel tells about exceptions of threads (`exc`, 2400).
                exc,
            );

            /// What the kernel asks of the default memory manager alone (`memory_object_default`, 2250).
            pub mod memory_object_default {
                mig_derive::interface! {
                    path: "gnu/mach/memory_object_default.defs",
                    include: ["gnu"],
                    abi: $abi,
                }
            }

            /// The same with sequence numbers.
            pub mod seqnos_memory_object_default {
                mig_derive::interface! {
                    path: "gnu/mach/memory_object_default.defs",
                    include: ["gnu"],
                    define: { SEQNOS: 1 },
                    abi: $abi,
                }
            }
        }
    };
}

gnu! {
    /// GNU Mach on i386: `gnu-i386`.
    gnu_i386, "gnu-i386", "gnu_i386"
}

gnu! {
    /// GNU Mach on x86_64: `gnu-x86_64`.
    gnu_x86_64, "gnu-x86_64", "gnu_x86_64"
}

/// The interfaces of Apple's kernels for one of their ABIs.
macro_rules! apple {
    ($(#[$doc:meta])* $module:ident, $prefix:literal) => {
        $(#[$doc])*
        pub mod $module {
            built!($prefix,
                /// What the kernel tells about exceptions of threads, with codes of 32 bits (`exc`, 2401).
                exc,
                /// The same with codes of 64 bits (`mach_exc`, 2405).
                mach_exc,
                /// What the kernel tells about port rights (`notify`, 64).
                notify,
                /// The same with sequence numbers.
                seqnos_notify,
                /// What an exception server, a crash dumper or a debugger does with a task (`task`, 3400).
                task,
                /// What they do with a thread (`thread_act`, 3600).
                thread_act,
                /// Calls of tasks to the kernel about port names and rights (`mach_port`, 3200).
                mach_port,
                /// Calls of tasks to the kernel about memory (`mach_vm`, 4800).
                mach_vm,
                /// What the kernel tells about the machine (`mach_host`, 200).
                mach_host,
                /// What the kernel does for who holds the privileged port of the host (`host_priv`, 400).
                host_priv,
                /// What tasks ask of a clock (`clock`, 1000).
                clock,
                /// What a clock answers later (`clock_reply`, 3125107).
                clock_reply,
                /// What tasks do with a semaphore (`semaphore`, 617200).
                semaphore,
            );
        }
    };
}

apple! {
    /// Apple's kernels, tasks of 32 bits: `apple-32`.
    apple_32, "apple_32"
}

apple! {
    /// Apple's kernels, tasks of 64 bits: `apple-64`.
    apple_64, "apple_64"
}

/// OSF Mach on i386: `osf-32`.
pub mod osf_32 {
    built!("osf_32",
        /// What the kernel asks of a memory manager (`memory_object`, 2200).
        memory_object,
        /// The same with sequence numbers.
        seqnos_memory_object,
        /// What the kernel asks of the default memory manager alone (`memory_object_default`, 2250).
        memory_object_default,
        /// The same with sequence numbers.
        seqnos_memory_object_default,
        /// A default memory manager's answers (`mach`, 2000).
        mach,
        /// What tasks ask of the default memory manager (`default_pager_object`, 2275).
        default_pager_object,
        /// What the kernel does for who pages its memory (`mach_host`, 2600).
        mach_host,
    );
}

#[cfg(target_pointer_width = "32")]
#[doc(inline)]
pub use gnu_i386 as native;
#[cfg(target_pointer_width = "64")]
#[doc(inline)]
pub use gnu_x86_64 as native;

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
