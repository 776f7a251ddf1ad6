//! The library that `mach-pager run` loads into a program (`LD_PRELOAD`).
//!
//! It is the program's `malloc`, and takes its place in front of `mmap` and its kin: what they give is
//! anonymous memory of a [`mach_vm::Vm`], whose default manager is [`mach_pager`], in the same process. In
//! any other program, or loaded in any other way, it hands every call on.
//!
//! Two kinds of threads live in the process. The program's own get memory that is paged. Those that serve
//! page faults, and those of the pager, must never wait for such memory: what they allocate, and what the C
//! library allocates for them, comes from glibc's own `malloc`, which the program does not use any more
//! (`thread` knows which is which, `own` is this library's allocator). And the program's threads never are at
//! work in the kernel's half: they have it done (`work`).
//!
//! `settings` is what the command has said, `paging` the kernel's half and the pager, `window` the addresses
//! that paged memory has, `heap` and `malloc` the allocator, `mapping` what stands in front of `mmap`,
//! `report` what the command is told, `descriptors` keeps this library's files apart from the program's, and
//! `locale` what every thread reads when it begins apart from what is paged;
//! `fork` sees to it that a child has its memory, and `snapshot` is what of that is not in its place.
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

mod child;
mod descriptors;
mod exit;
mod fork;
mod heap;
mod locale;
mod malloc;
mod mapping;
mod own;
mod paging;
mod ranges;
mod report;
mod settings;
mod snapshot;
mod start;
mod system;
mod thread;
mod window;
mod work;

/// A value that one thread has at a time. The child of a fork may open such a lock, which is a word.
pub(crate) type Mutex<T> = mig_runtime::platform::Mutex<mig_runtime::platform::Std, T>;
