//! What the tests that cross crates share.

pub mod c_calls;
pub mod compare;
pub mod convert;
pub mod deviations;
pub mod form;
pub mod glue;
pub mod jobs;
pub mod oracle;
pub mod run;
pub mod server_text;
pub mod slots;
pub mod tally;
pub mod values;
pub mod wire;
pub mod wire_kernel;

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
