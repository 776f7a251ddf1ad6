//! Mach for programs, on the kernel `local`: messages, memory, and the kernel's own objects, which are served
//! by a task of the same kernel.

pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod objects;
