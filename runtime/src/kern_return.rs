//! `kern_return_t`.

/// A result code of a kernel call, of MIG, or of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct KernReturn(pub i32);
