//! Runtime of MIG interfaces.
#![no_std]

extern crate alloc;

pub mod abi;
pub mod kern_return;
pub mod kernel;
pub mod platform;
