//! MIG compiler.

pub mod abi;
pub mod model;
