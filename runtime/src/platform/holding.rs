//! What a thread holds while it sends.

use core::marker::PhantomData;

/// Something that a thread holds and that another may wait for. It matters where a message may be served in
/// the thread that sends it ([`Server::inline`](crate::Server::inline)): whatever that thread holds, it holds
/// while it serves.
///
/// Only a program with `std` counts these; elsewhere no message is served in its sender's thread.
#[derive(Debug)]
#[must_use]
pub struct Holding {
    is_lock: bool,
    /// A value belongs to one thread.
    thread: PhantomData<*mut ()>,
}

impl Holding {
    /// A turn, or time that another thread waits for. Until this is dropped, a message that the thread sends
    /// goes through the queue of its port, even where it could be served in this thread.
    pub fn turn() -> Self {
        Self::new(false)
    }

    /// A lock. Until this is dropped the thread sends nothing: the kernel `local` panics if it does, where
    /// there are debug assertions.
    pub fn lock() -> Self {
        Self::new(true)
    }

    fn new(is_lock: bool) -> Self {
        counts::change(is_lock, 1);
        Self { is_lock, thread: PhantomData }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        counts::change(self.is_lock, -1);
    }
}

#[cfg(feature = "std")]
pub(crate) use counts::{any, locks};

#[cfg(feature = "std")]
mod counts {
    use std::cell::Cell;

    std::thread_local! {
        /// Turns and locks.
        static HELD: [Cell<i32>; 2] = const { [Cell::new(0), Cell::new(0)] };
    }

    pub(super) fn change(is_lock: bool, by: i32) {
        HELD.with(|held| {
            let count = &held[usize::from(is_lock)];
            count.set(count.get() + by);
        });
    }

    /// True if this thread holds anything.
    pub(crate) fn any() -> bool {
        HELD.with(|held| held.iter().any(|count| count.get() > 0))
    }

    /// True if this thread holds a lock.
    pub(crate) fn locks() -> bool {
        HELD.with(|held| held[1].get() > 0)
    }
}

#[cfg(not(feature = "std"))]
mod counts {
    pub(super) fn change(_is_lock: bool, _by: i32) {}
}
