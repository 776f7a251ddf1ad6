//! The numbers of Mach's messages, as constants: what a compiler of interfaces, a running program and a
//! kernel must agree on.
//!
//! | module | numbers of |
//! |---|---|
//! | [`Facts`] | a dialect: sizes and offsets of its messages |
//! | [`Disposition`], [`RightKind`], [`COMPLEX`] | port rights, and the headers of messages that bring some |
//! | [`MessageType`] | plain data |
//! | [`DescriptorKind`], [`NDR`] | the bodies of untyped messages |
//! | [`TrailerField`] | what the receiver's kernel writes after an untyped message |
//! | [`MsgOption`] | the options of `mach_msg` |
//! | [`NotificationId`], [`REPLY_ID`] | message ids |
//!
//! They come from the public headers (`mach/message.h`, `mach/port.h`, `mach/notify.h`), and the tests of the
//! other packages hold them against the C compilers' own stubs.
#![no_std]

mod facts;
mod ids;
mod message_type;
mod option;
mod right;
mod untyped;

pub use facts::{Facts, Family, RightNumbers, System, TypeWords};
pub use ids::{NotificationId, REPLY_ID};
pub use message_type::MessageType;
pub use option::MsgOption;
pub use right::{COMPLEX, Disposition, PROTECTED_PAYLOAD, RightKind};
pub use untyped::{DescriptorKind, NDR, TrailerField};

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
