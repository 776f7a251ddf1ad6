//! Locks that outlive a panic of the thread that had them.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is guarded is whole at each step, so that a panic leaves nothing half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
