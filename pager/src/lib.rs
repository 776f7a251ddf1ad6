//! A default memory manager for Mach kernels.
//!
//! The kernel gives it the pages of anonymous memory that have to go, and asks for them when they are wanted
//! again. It is made of
//!
//! - [`SwapPager`], which serves the kernel's interfaces (`memory_object_default`, `memory_object`, `notify`)
//!   and those of administrators (`default_pager`), as the generated traits of `mach-defs` have them;
//! - [`object`], what it knows of objects and pages, as plain data without a kernel or threads;
//! - [`store`], where the pages are kept: swap files, devices, memory;
//! - [`Service`], which puts a pager to work with threads.
//!
//! A host brings a kernel, a platform and a store, and tells the kernel of the pager's port. Here the kernel
//! is emulated, and a program plays its part:
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use mach_defs::gnu::{default_pager, memory_object, memory_object_default};
//! use mach_pager::store::MemoryStore;
//! use mach_pager::{Config, Service};
//! use mig_runtime::ReceiveRight;
//! use mig_runtime::kernel::local::{Host, Local};
//! use mig_runtime::platform::Std;
//!
//! const PAGE: u64 = 4096;
//!
//! let host: Host = Host::new();
//! let (pager, kernel) = (host.new_task("pager"), host.new_task("kernel"));
//! let store = MemoryStore::<Std>::new(PAGE as usize, 1000);
//! let service = Service::<_, Std, _>::start(&pager, store, Config::default())?;
//!
//! // A kernel gets this right from `vm_set_default_memory_manager`.
//! let manager = Local::transfer(service.right()?, &kernel)?;
//!
//! // It makes an object and returns a page of it.
//! let port = ReceiveRight::allocate(&kernel)?;
//! let object = port.make_send()?;
//! let (control, name) = (ReceiveRight::allocate(&kernel)?, ReceiveRight::allocate(&kernel)?);
//! memory_object_default::memory_object_create(manager.try_clone()?, port, PAGE, &control, &name, PAGE)?;
//! let page: Vec<u8> = (0..PAGE).map(|at| at as u8 ^ 0x5a).collect();
//! memory_object::memory_object_data_return(&object, &control, 0, &page, true, false)?;
//!
//! // Whoever may ask sees the page in the paging space.
//! while default_pager::default_pager_info(&manager)?.dpi_free_space != 999 * PAGE {
//!     std::thread::yield_now();
//! }
//! memory_object::memory_object_terminate(object, control, name)?;
//! service.stop()?;
//! # }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # What it promises
//!
//! - Messages of an object take effect in the order in which they were sent, however many threads serve them.
//! - No message waits for the store. The memory of a returned page is given back before the page is written,
//!   as long as a buffer is free; if none is, the page stays in its message, and if too many do, it goes back
//!   to the kernel.
//! - A page is supplied as it was returned last. One that was returned as zeros is supplied; one that never
//!   was is unavailable.
//! - A page that the store does not take goes back to the kernel, which keeps it, and is given up only after
//!   that has happened [several times](Config::hand_backs) in a row. No error touches another page.
//! - Rights to objects and their control ports are given to nobody. Messages that do not come from the kernel
//!   that uses an object are refused.
//!
//! With the feature `std`, which is on by default, come swap files and the command `mach-pager`. Without it
//! the library needs `alloc` only.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]

#[cfg(all(feature = "std", not(target_os = "linux")))]
compile_error!(
    "mach-pager's command and its stores in files are for Linux (O_TMPFILE, O_DIRECT); for other systems build the library without the feature `std`"
);

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod areas;
mod buffers;
mod counters;
mod notes;
pub mod object;
mod pager;
mod service;
pub mod store;

pub use counters::Statistics;
pub use pager::{Config, Quota, Supplies, SwapPager, THREADS_MAX, Unsequenced, object_calls};
pub use service::{Duty, Service, StartError};

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
