//! A default memory manager for Mach kernels.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod buffers;
mod counters;
pub mod object;
mod pager;
mod service;
pub mod store;

pub use counters::Statistics;
pub use pager::{Config, SwapPager, Unsequenced};
pub use service::{Service, StartError};
