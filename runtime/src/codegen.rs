//! All that generated code names, which therefore does not depend on how its crate or the root of this one is
//! arranged. Nothing else names it: what users see of generated code, in signatures and in errors, is in the
//! root of the package, too, and that is its public path.

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
