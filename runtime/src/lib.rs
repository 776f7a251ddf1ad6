//! Runtime of MIG interfaces: what generated code stands on.
//!
//! A `.defs` file becomes Rust functions and traits; this crate carries their messages. It has
//!
//! - port rights and out-of-line memory as owned values ([`SendRight`], [`SendOnceRight`], [`ReceiveRight`], [`PortSet`], [`OolMemory`]), released
//!   exactly once, whatever happens to the message that they are in;
//! - messages in the typed and the untyped formats of Mach, written by [`Builder`] and read by [`Body`], byte for byte those of the C stubs
//!   ([`abi`]);
//! - the client's call with all its errors ([`CallError`]), the server's stub ([`Reply::serve`]), answers that come later ([`ReplyTo`]);
//! - [`Kernel`], the few calls that all this needs of the kernel below.
//!
//! # What allocates
//!
//! A stub builds its message on its stack, and a server loop in buffers that it makes when it starts. Arguments stay in the message, or are copied to
//! the stack if they are not aligned there. What needs the allocator: arrays of rights; results that are strings, or arrays of more than 256 bytes
//! (thread states among them); unaligned arrays of more than 256 bytes, and unaligned data out of line; memory that a message refers to without
//! giving it away, where the kernel must be told of its end; and a request or a reply that was not sent. So a server of `mach_exception_raise` and
//! `mach_exception_raise_identity_protected` never calls the allocator between two messages, whatever state the program is in that it looks
//! after; one of `mach_exception_raise_state` and `_state_identity` calls it for the new state only.
//!
//! # By hand
//!
//! A stub is a few lines, whether generated or written by hand. `sum`, a routine with two numbers in and one out:
//!
//! ```
//! use mig_runtime::abi::GnuX86_64;
//! use mig_runtime::{Builder, CallError, CallOptions, Complex, Dest, Kernel, KernReturn, MsgBuf, SendRight, Shape, Type};
//! use mig_runtime::{Received, Reply};
//!
//! const INTEGER_32: Type = Type::inline(2, 32, 1);
//! const SUM: i32 = 5000;
//!
//! /// The client's side.
//! fn sum<K: Kernel<Abi = GnuX86_64>>(server: &SendRight<K>, a: i32, b: i32) -> Result<i32, CallError<K>> {
//!     const REPLY: Shape = Shape { min: 64, max: 64, complex: Complex::Never };
//!     let mut buffer = MsgBuf::<64>::new();
//!     let mut request = buffer.request(server.kernel());
//!     request.data(INTEGER_32, &a);
//!     request.data(INTEGER_32, &b);
//!     let mut reply = request.call(SUM, Dest::copy_send(server), REPLY, CallOptions::NONE)?;
//!     let sum = reply.data(INTEGER_32)?;
//!     reply.end()?;
//!     Ok(sum)
//! }
//!
//! /// The server's side.
//! fn sum_stub<K: Kernel<Abi = GnuX86_64>>(request: &mut Received<'_, K>, reply: &mut Reply<'_, K>) {
//!     const REQUEST: Shape = Shape { min: 64, max: 64, complex: Complex::Never };
//!     reply.serve(|reply| {
//!         let mut body = request.body(REQUEST)?;
//!         let (a, b) = (body.data::<i32>(INTEGER_32)?, body.data::<i32>(INTEGER_32)?);
//!         body.end()?;
//!         let sum = a.checked_add(b).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
//!         reply.encode::<64>(|reply| Ok(reply.data(INTEGER_32, &sum)))?;
//!         Ok(())
//!     });
//! }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

#[cfg(target_endian = "big")]
compile_error!("all ABIs known so far are little-endian");

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod abi;
pub mod kern_return;
pub mod kernel;
pub mod layout;
pub mod platform;
pub mod server;
pub mod types;

mod body;
mod buffer;
mod builder;
mod call;
mod header;
mod memory;
mod received;
mod release;
mod reply;
mod right;
mod trailer;
mod untyped;

pub use body::{Body, Complex, Malformed, Shape};
pub use buffer::MsgBuf;
pub use builder::{Builder, INLINE_MAX};
pub use call::{Answer, CallError, CallErrorKind, CallOptions, SendOptions, Unsent};
pub use kern_return::KernReturn;
pub use kernel::{Kernel, Name, Notification};
pub use memory::{Array, Elements, OolArg, OolMemory, Plain, array_vec};
pub use received::{Lost, Port, Receive, ReceiveError, Received, Seqno};
pub use reply::{Refusal, Reply, ReplyTo, Subsystem, subsystem};
pub use right::{
    AnyRight, DeadName, Dest, PortArray, PortSet, ReceiveRight, Right, SendOnceRight, SendRight,
};
pub use server::{Server, Stop, Unclaimed};
pub use trailer::{AuditToken, SecurityToken};
pub use types::{Expected, Type, Word, WordForm};
pub use untyped::{Copying, Descriptor};

/// For generated code, which cannot know how its crate reaches these.
#[doc(no_inline)]
pub use alloc::{ffi::CString, vec::Vec};
#[doc(no_inline)]
pub use arrayvec::ArrayVec;
#[doc(no_inline)]
pub use core::ffi::CStr;
/// For generated structures: the traits that make them [`Plain`].
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
