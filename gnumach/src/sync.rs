//! Locks, and condition variables that wait in the kernel for a word to change (`gsync_wait`).

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;

use mach_defs::gnu::gnumach;
use mig_runtime::platform;

use crate::task::task;
use crate::trap;

/// `GSYNC_TIMED`
const TIMED: i32 = 4;
/// `GSYNC_BROADCAST`
const BROADCAST: i32 = 8;

/// Waits while the word has this value, until someone [wakes](wake) or the time is over. It may end without a
/// cause.
pub(crate) fn wait(word: &AtomicU32, value: u32, limit: Option<Duration>) {
    let milliseconds = limit.map_or(0, |limit| limit.as_millis().min(u128::from(u32::MAX)) as u32);
    let flags = if limit.is_some() { TIMED } else { 0 };
    // It fails if the value is another one by now, or when the time is over: the caller looks for itself.
    let _ = gnumach::gsync_wait(&task(), address(word), value, 0, milliseconds, flags);
}

/// Wakes whoever waits on the word: one thread, or all.
pub(crate) fn wake(word: &AtomicU32, all: bool) {
    let flags = if all { BROADCAST } else { 0 };
    let _ = gnumach::gsync_wake(&task(), address(word), 0, flags);
}

fn address(word: &AtomicU32) -> gnumach::VmAddress {
    word.as_ptr().addr() as gnumach::VmAddress
}

/// The lock behind the platform's `Mutex`: true if it is held.
///
/// Who wants it lets others run until it is free. To wait in the kernel and to be woken takes messages; where
/// memory is short, a thread that is not wired waits for that of a message, and whom it was to wake may be
/// the one that makes memory free.
#[derive(Debug)]
pub struct RawMutex(AtomicBool);

// SAFETY: only the thread that has changed it to true holds the lock, until it changes it back.
unsafe impl lock_api::RawMutex for RawMutex {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self(AtomicBool::new(false));

    type GuardMarker = lock_api::GuardSend;

    fn lock(&self) {
        while !self.try_lock() {
            trap::yield_now();
        }
    }

    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A condition variable: a word that counts notifications.
#[derive(Debug, Default)]
pub struct Condvar(AtomicU32);

impl Condvar {
    fn wait_at_most<T: ?Sized>(
        &self,
        guard: &mut lock_api::MutexGuard<'_, RawMutex, T>,
        limit: Option<Duration>,
    ) -> bool {
        // A notification after this, even before the wait, changes the word, and the wait ends at once.
        let count = self.0.load(Ordering::Relaxed);
        lock_api::MutexGuard::unlocked(guard, || wait(&self.0, count, limit));
        self.0.load(Ordering::Relaxed) != count
    }

    fn notify(&self, all: bool) {
        self.0.fetch_add(1, Ordering::Relaxed);
        wake(&self.0, all);
    }
}

impl platform::Condvar<RawMutex> for Condvar {
    fn wait<T: ?Sized>(&self, guard: &mut lock_api::MutexGuard<'_, RawMutex, T>) {
        self.wait_at_most(guard, None);
    }

    fn wait_for<T: ?Sized>(
        &self,
        guard: &mut lock_api::MutexGuard<'_, RawMutex, T>,
        limit: Duration,
    ) -> bool {
        self.wait_at_most(guard, Some(limit))
    }

    fn notify_one(&self) {
        self.notify(false);
    }

    fn notify_all(&self) {
        self.notify(true);
    }
}
