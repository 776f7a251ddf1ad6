//! Runtime of MIG interfaces.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod abi;
pub mod kern_return;
pub mod kernel;
pub mod platform;

pub use kern_return::KernReturn;
