//! A default memory manager for Mach kernels.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod object;
pub mod store;
