//! The verbs of the command, and what they share.

mod bytes;
pub(crate) mod demo;
pub(crate) mod format;

pub(crate) use bytes::Bytes;
