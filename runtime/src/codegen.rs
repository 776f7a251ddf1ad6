//! Everything that generated code names, in one module, so that generated code does not depend on how the
//! crate that it is in or the root of this crate is arranged.
//!
//! Only generated code uses these paths. The types that users see in its signatures and errors are also in
//! the root of the package, which is their public path; `Vec`, `CString` and `CStr` are the standard ones.

pub use alloc::ffi::CString;
pub use alloc::vec::Vec;
pub use core::ffi::CStr;

pub use arrayvec::ArrayVec;
pub use zerocopy;

pub use crate::abi;
pub use crate::client::{CallError, CallOptions, SendOptions, routine};
pub use crate::kern_return::KernReturn;
pub use crate::kernel::{Kernel, Name, PortAddress};
pub use crate::memory::{Copying, Elements, OolArg, OolMemory, array_vec};
pub use crate::message::layout;
pub use crate::message::{AuditToken, SecurityToken, Seqno};
pub use crate::message::{Builder, Complex, Expected, Malformed, MsgBuf, Shape, Type, WordForm};
pub use crate::right::{AnyRight, DeadName, Dest, PortArray, ReceiveRight, Rights, SendOnceRight, SendRight};
pub use crate::server::{Largest, Port, Received, Reply, ReplyTo, Subsystem, subsystem};
