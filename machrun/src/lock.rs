//! Locks of what all threads of all programs share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a thread that panicked while it had the lock has left nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
