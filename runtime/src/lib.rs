//! Mach messages, port rights as owned values, client calls, server loops: what a program with generated MIG
//! bindings works with.
//!
//! The bindings come from a `.defs` file, by `mig-codegen` in a build script or by the macro of `mig-derive`,
//! or from `mach-defs`, which has Mach's own interfaces. A server implements the generated trait, a client
//! calls the generated functions:
//!
//! ```
//! # #[cfg(feature = "std")] {
//! mod lamp {
//!     mig_derive::interface! {
//!         inline: "
//!             subsystem lamp 4000;
//!             type lamp_t = MACH_MSG_TYPE_COPY_SEND;
//!             type number_t = MACH_MSG_TYPE_INTEGER_32;
//!             routine lamp_brighten(lamp : lamp_t; by : number_t; out now : number_t);
//!         ",
//!     }
//! }
//!
//! use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
//! use mig_runtime::kernel::local::{Host, Local};
//! use mig_runtime::{KernReturn, Kernel, Port, ReceiveRight, Server};
//!
//! struct Lamp(AtomicI32);
//!
//! impl<K: Kernel<Abi = lamp::Abi>> lamp::Lamp<K> for Lamp {
//!     fn lamp_brighten(&self, _lamp: Port<'_, K>, by: i32) -> Result<i32, KernReturn> {
//!         if by < 0 {
//!             return Err(KernReturn::KERN_INVALID_ARGUMENT);
//!         }
//!         Ok(self.0.fetch_add(by, Relaxed) + by)
//!     }
//! }
//!
//! // Two tasks of the in-process kernel; on macOS or GNU Mach these are two programs.
//! let host: Host = Host::new();
//! let (server_task, client_task) = (host.new_task("server"), host.new_task("client"));
//! let port = ReceiveRight::allocate(&server_task)?;
//! let to_lamp = Local::transfer(port.make_send()?, &client_task)?;
//!
//! let lamp = Lamp(AtomicI32::new(3));
//! Server::on(&port).with(lamp::lamp(&lamp)).serve_while(|| {
//!     assert_eq!(lamp::lamp_brighten(&to_lamp, 4)?, 7);
//!     let refused = lamp::lamp_brighten(&to_lamp, -1).map_err(KernReturn::from);
//!     assert_eq!(refused, Err(KernReturn::KERN_INVALID_ARGUMENT));
//!     Ok::<_, KernReturn>(())
//! })??;
//! # }
//! # Ok::<(), mig_runtime::KernReturn>(())
//! ```
//!
//! | to | see |
//! |---|---|
//! | hold, copy, move and release rights and memory | [`SendRight`], [`SendOnceRight`], [`ReceiveRight`], [`PortSet`], [`OolMemory`]: each owns one reference, and gives it back when it is dropped, whatever happens to the message that it is in |
//! | serve | [`Server`], [`Port`], [`ReplyTo`] for answers that come later |
//! | know why a call failed | [`CallError`], [`KernReturn`] |
//! | run somewhere | [`kernel`]: in process, macOS, others by the trait [`Kernel`]; [`platform`] without the standard library |
//! | write a stub by hand | [`Builder`], [`Body`] |
//!
//! # What allocates
//!
//! A stub builds its message on its stack, and a server loop in buffers that it makes when it starts.
//! Arguments stay in the message, or are copied to the stack if they are not aligned there; rights that come
//! out of line stay in the kernel's memory ([`Rights`]). What needs the allocator: results that are strings,
//! or arrays of more than 8 KiB; unaligned arrays of more than 256 bytes, and unaligned data out of line;
//! more than 8 rights that are sent in one array ([`PortArray`]), and those that a message of a typed ABI
//! brings inline in an array of indefinite length; memory that a message refers to without giving it away,
//! where the kernel must be told of its end; and a request or a reply that was not sent. So the stubs of
//! `mach_exc` and `exc` make no call to the allocator, whatever state the program is in that the server looks
//! after, and neither do those of `task_threads`, `thread_get_state` and `thread_set_state`. [`Server::run`]
//! makes two buffers in each thread and allocates nothing for a message that has room there;
//! [`Server::serve_one`] makes its buffers for each message.
//!
//! # Seeing the messages
//!
//! With the feature `tracing` each message that is sent or received is an event of that crate, of level
//! `TRACE` and target `mach_msg`, with its bytes in hexadecimal digits; so is each code with which the kernel
//! refuses one. `mig decode` reads a log that has them. Without the feature nothing of it is compiled.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

#[cfg(target_endian = "big")]
compile_error!("all ABIs known so far are little-endian");

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod abi;
#[doc(hidden)]
pub mod codegen;
pub mod kern_return;
pub mod kernel;
pub mod platform;

mod bytes;
mod client;
mod memory;
mod message;
mod name;
mod right;
mod server;

pub use client::{Answer, CallError, CallErrorKind, CallOptions, SendOptions, Unsent};
pub use kern_return::KernReturn;
pub use kernel::{Kernel, Name, NameOf, Notification, PortAddress, PortName};
pub use memory::{Array, Copying, Elements, OolArg, OolMemory, Plain, array_vec};
pub use message::{AuditToken, SecurityToken, Seqno};
pub use message::{Body, Builder, Complex, Descriptor, Malformed, MsgBuf, Shape};
pub use message::{Expected, Type, WordForm};
pub use right::{AnyRight, DeadName, Dest, PortSet, ReceiveRight, Right, SendOnceRight, SendRight};
pub use right::{ArrayRight, PortArray, Rights, Word, disposition};
pub use server::{Largest, Lost, Port, Receive, ReceiveError, Received, Refusal, Reply, ReplyTo};
pub use server::{ServedPorts, Server, Stop, Subsystem, Unclaimed, subsystem};

/// A bounded array of a message by value; [`array_vec`] makes one.
#[doc(no_inline)]
pub use arrayvec::ArrayVec;
/// The crate with the traits that make a type [`Plain`].
pub use zerocopy;

/// Includes the bindings that `mig_codegen::Config` wrote into `OUT_DIR` for the interface of this name.
///
/// ```ignore
/// mod memory_object_default {
///     mig_runtime::include_interface!("memory_object_default");
/// }
/// ```
#[macro_export]
macro_rules! include_interface {
    ($name:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $name, ".rs"));
    };
}

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
