//! Front end of the MIG compiler.

pub mod ast;
pub mod diagnostics;
pub mod source;
