//! GNU Mach as the kernel and platform of a program, with no C library in between.
//!
//! - [`GnuMach`] is the [`Kernel`](mig_runtime::Kernel) that makes the kernel's traps. Only `mach_msg` and a
//!   few others are traps; every other call is a message, sent by the bindings of [`mach_defs`].
//! - [`Bare`] is the [`Platform`](mig_runtime::platform::Platform): threads, locks that wait in the kernel,
//!   time.
//! - [`println!`], [`exception::report`], [`wire_task`] and [`wire_current`], [`io`]: what a program that the
//!   kernel starts at boot needs besides.
//!
//! With the feature `program` it also brings what a program must have once (entry point, panic handler,
//! allocator, `memcpy`), and this is a whole one:
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//!
//! gnumach::main!(main);
//!
//! fn main(_arguments: gnumach::Arguments) {
//!     gnumach::println!("hello, world");
//! }
//! ```
//!
//! It runs on the kernels for i386 and x86_64. Code that is on no thread of such a program, like a test on
//! the host, must not call anything here that makes a call to the kernel.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![cfg(any(target_arch = "x86", target_arch = "x86_64"))]

extern crate alloc;

pub mod console;
pub mod exception;
pub mod io;

mod arguments;
mod block;
mod kernel;
mod platform;
#[cfg(feature = "program")]
mod program;
mod sync;
mod task;
mod thread;
mod trap;
mod wire;

pub use arguments::Arguments;
pub use platform::Bare;
#[cfg(feature = "program")]
pub use program::{count_allocations, counted_allocations};
pub use sync::{Condvar, RawMutex};
pub use task::{Borrowed, GnuMach, ReceiveRight, SendRight, task};
pub use thread::{JoinHandle, exit, fork, sleep, wire_current};
pub use wire::wire_task;

/// Names the function that a program begins with: `fn main(arguments: gnumach::Arguments)`. When it returns
/// the program ends.
#[cfg(feature = "program")]
#[macro_export]
macro_rules! main {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn gnumach_main(arguments: $crate::Arguments) {
            $main(arguments)
        }
    };
}

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
