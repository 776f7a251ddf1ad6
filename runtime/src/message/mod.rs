//! Messages: written argument by argument, read and released.
//!
//! What both families of wire formats have in common stands here; `typed` and `untyped` have what differs,
//! and `format` has the list of that.

pub(crate) mod body;
pub(crate) mod buffer;
pub(crate) mod builder;
pub(crate) mod format;
pub(crate) mod header;
pub mod layout;
pub(crate) mod loans;
pub(crate) mod malformed;
pub(crate) mod release;
pub(crate) mod shape;
pub(crate) mod trailer;
pub(crate) mod typed;
pub(crate) mod untyped;

pub use body::Body;
pub use buffer::MsgBuf;
pub use builder::Builder;
pub use format::Format;
pub use malformed::Malformed;
pub use shape::{Complex, Shape};
pub use trailer::{AuditToken, SecurityToken, Seqno};
pub use typed::format::Typed;
pub use typed::word::{Expected, Type, WordForm};
pub use untyped::format::Untyped;
pub use untyped::read::Descriptor;
