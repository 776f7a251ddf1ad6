//! Runtime of MIG interfaces.
#![no_std]

pub mod abi;
