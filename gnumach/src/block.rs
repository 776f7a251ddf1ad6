//! What a thread has for itself, and how it finds that.
//!
//! A stack is a block of [`STACK`] bytes that begins at a multiple of that, so that a thread finds its own
//! [`Block`], at the end of it, from the address of anything on its stack. No register is needed for it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::Cell;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use mig_runtime::Name;

use crate::task::{Borrowed, SendRight, borrowed};
use crate::{sync, trap};

/// Bytes of a stack, [`Block`] and guard page included.
pub(crate) const STACK: usize = 64 << 10;

/// What a thread has for itself, at the end of its stack. All zeros at first.
#[repr(C, align(16))]
pub(crate) struct Block {
    /// The thread's own port.
    pub(crate) port: Cell<Name>,
    /// Where the replies to its calls come to.
    pub(crate) reply_port: Cell<Name>,
    /// Whether the threads that it starts are [wired](crate::wire_current), as it is itself.
    pub(crate) wired: Cell<bool>,
    /// Whether its allocations are counted, and those of the threads that it starts.
    pub(crate) counted: Cell<bool>,
    /// What it is to do, until it does it.
    pub(crate) work: Cell<Option<Box<Work>>>,
}

/// What a thread was started for.
pub(crate) struct Work {
    pub(crate) body: Box<dyn FnOnce() + Send>,
    pub(crate) ended: Arc<Ended>,
}

impl Work {
    pub(crate) fn run(self) {
        (self.body)();
        self.ended.0.store(1, Ordering::Release);
        sync::wake(&self.ended.0, true);
    }
}

/// Whether a thread has ended: 0 or 1.
#[derive(Default)]
pub(crate) struct Ended(pub(crate) AtomicU32);

/// The calling thread's block.
pub(crate) fn current() -> &'static Block {
    let here = 0_u8;
    let stack = (&raw const here).expose_provenance() & !(STACK - 1);
    // SAFETY: every thread of a program runs on such a stack, the block is there as long as it runs, and no
    // other thread uses it then.
    unsafe { &*ptr::with_exposed_provenance(block_of(stack)) }
}

/// The address of the block on the stack that begins at this address.
pub(crate) const fn block_of(stack: usize) -> usize {
    stack + STACK - size_of::<Block>()
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.load(Ordering::Relaxed) == 0 { "running" } else { "ended" })
    }
}

/// The calling thread's own port, borrowed for a call.
pub(crate) fn current_port() -> Borrowed<SendRight> {
    let port = &current().port;
    if port.get() == Name::NULL {
        port.set(trap::thread_self());
    }
    borrowed(port.get())
}
