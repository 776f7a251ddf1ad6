//! Locks and waiting on Linux: words of memory that the system wakes threads by.
//!
//! A lock is its word and nothing else. So the child of a fork may open one that it finds locked, and one
//! that it makes anew depends on nothing that the parent's threads were at when it was made. `parking_lot`,
//! which other systems have here, keeps the threads that wait in one table for all locks of the process:
//! a thread that is in it at the moment of a fork has locked a part of it in the child, for ever.

use core::hint;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::time::Duration;

use lock_api::{GuardNoSend, MutexGuard, RawMutex};
use rustix::io::Errno;
use rustix::thread::futex::{Flags, Timespec, wait, wake};

const FREE: u32 = 0;
const LOCKED: u32 = 1;
/// Locked, and another thread may wait.
const WANTED: u32 = 2;

/// How often a lock is looked at before a thread sleeps for it: most are free again soon.
const LOOKS: usize = 100;

/// A lock that needs no memory but its own, and no state of a thread.
#[derive(Debug)]
pub struct Futex(AtomicU32);

// SAFETY: whoever changes the word from `FREE` has the lock, alone, until it is `FREE` again.
unsafe impl RawMutex for Futex {
    #[allow(clippy::declare_interior_mutable_const, reason = "it is how such a lock begins")]
    const INIT: Self = Self(AtomicU32::new(FREE));

    type GuardMarker = GuardNoSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.lock_when_free();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.0.compare_exchange(FREE, LOCKED, Acquire, Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        if self.0.swap(FREE, Release) == WANTED {
            // The call cannot fail for a word that is mapped.
            let _ = wake(&self.0, Flags::PRIVATE, 1);
        }
    }
}

impl Futex {
    #[cold]
    fn lock_when_free(&self) {
        for _ in 0..LOOKS {
            match self.0.load(Relaxed) {
                FREE if self.try_lock() => return,
                WANTED => break,
                _ => hint::spin_loop(),
            }
        }
        while self.0.swap(WANTED, Acquire) != FREE {
            // It returns early if the word has changed, or by a signal.
            let _ = wait(&self.0, Flags::PRIVATE, WANTED, None);
        }
    }
}

/// Threads that wait for a change of what a [`Futex`] guards.
#[derive(Debug, Default)]
pub struct Condition {
    /// Changes with each notification.
    notified: AtomicU32,
    /// How many threads wait, so that the system is not asked to wake threads that are not there.
    waiting: AtomicU32,
}

impl Condition {
    /// As [`Condvar::wait_for`](super::Condvar::wait_for), for ever if no limit is said.
    fn sleep<T: ?Sized>(&self, guard: &mut MutexGuard<'_, Futex, T>, limit: Option<Duration>) -> bool {
        // With the lock held: whoever changes something after this sees both.
        let notified = self.notified.load(Relaxed);
        self.waiting.fetch_add(1, Relaxed);
        // A limit of more seconds than can be said is none.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let ended =
            MutexGuard::unlocked(guard, || wait(&self.notified, Flags::PRIVATE, notified, limit.as_ref()));
        self.waiting.fetch_sub(1, Relaxed);
        ended != Err(Errno::TIMEDOUT)
    }

    fn notify(&self, most: u32) {
        self.notified.fetch_add(1, Relaxed);
        if self.waiting.load(Relaxed) > 0 {
            let _ = wake(&self.notified, Flags::PRIVATE, most);
        }
    }
}

impl super::Condvar<Futex> for Condition {
    fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, Futex, T>) {
        self.sleep(guard, None);
    }

    fn wait_for<T: ?Sized>(&self, guard: &mut MutexGuard<'_, Futex, T>, limit: Duration) -> bool {
        self.sleep(guard, Some(limit))
    }

    fn notify_one(&self) {
        self.notify(1);
    }

    fn notify_all(&self) {
        self.notify(i32::MAX as u32);
    }
}
