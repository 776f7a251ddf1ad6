//! A lock that needs no memory and no thread-local state, and that the child of a fork may open.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use lock_api::{GuardSend, RawMutex};
use rustix::thread::futex;

const FREE: u32 = 0;
const LOCKED: u32 = 1;
/// And somebody may wait for it.
const WANTED: u32 = 2;

/// A word that threads wait for.
pub(crate) struct Futex(AtomicU32);

/// A value that one thread has at a time.
pub(crate) type Mutex<T> = lock_api::Mutex<Futex, T>;

// SAFETY: whoever changes the word from `FREE` has the lock, alone, until it is `FREE` again.
unsafe impl RawMutex for Futex {
    #[allow(clippy::declare_interior_mutable_const, reason = "it is how such a lock begins")]
    const INIT: Self = Self(AtomicU32::new(FREE));

    type GuardMarker = GuardSend;

    fn lock(&self) {
        if self.try_lock() {
            return;
        }
        while self.0.swap(WANTED, Acquire) != FREE {
            // It returns early if the word has changed, or by a signal.
            let _ = futex::wait(&self.0, futex::Flags::PRIVATE, WANTED, None);
        }
    }

    fn try_lock(&self) -> bool {
        self.0.compare_exchange(FREE, LOCKED, Acquire, Relaxed).is_ok()
    }

    unsafe fn unlock(&self) {
        if self.0.swap(FREE, Release) == WANTED {
            let _ = futex::wake(&self.0, futex::Flags::PRIVATE, 1);
        }
    }
}
