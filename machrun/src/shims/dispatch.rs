//! The semaphores with which Rust's library parks threads.

use std::ffi::c_long;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Shim;
use super::system::nanoseconds;
use crate::lock::lock;

pub(super) const SHIMS: &[Shim] = &[
    Shim("_dispatch_semaphore_create", create as *const ()),
    Shim("_dispatch_semaphore_wait", wait as *const ()),
    Shim("_dispatch_semaphore_signal", signal as *const ()),
    Shim("_dispatch_release", release as *const ()),
    Shim("_dispatch_time", time as *const ()),
];

struct Semaphore {
    value: Mutex<c_long>,
    raised: Condvar,
}

/// `DISPATCH_TIME_FOREVER`
const FOREVER: u64 = !0;

extern "C" fn create(value: c_long) -> *mut Semaphore {
    Box::into_raw(Box::new(Semaphore { value: Mutex::new(value), raised: Condvar::new() }))
}

/// Not 0 if the time is over.
unsafe extern "C" fn wait(semaphore: *const Semaphore, until: u64) -> c_long {
    // SAFETY: `create` has made it, and the program has not released it.
    let semaphore = unsafe { &*semaphore };
    let mut value = lock(&semaphore.value);
    while *value == 0 {
        if until == FOREVER {
            value = semaphore.raised.wait(value).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let Some(left) = until.checked_sub(nanoseconds()).filter(|&left| left != 0) else { return 1 };
        let waited = semaphore.raised.wait_timeout(value, Duration::from_nanos(left));
        value = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    *value -= 1;
    0
}

unsafe extern "C" fn signal(semaphore: *const Semaphore) -> c_long {
    // SAFETY: as above.
    let semaphore = unsafe { &*semaphore };
    *lock(&semaphore.value) += 1;
    semaphore.raised.notify_one();
    0
}

unsafe extern "C" fn release(semaphore: *mut Semaphore) {
    // SAFETY: `create` has made it, and the program is done with it.
    drop(unsafe { Box::from_raw(semaphore) });
}

/// A time from now on, in nanoseconds; only 0, which is now, is a start here.
extern "C" fn time(start: u64, delta: i64) -> u64 {
    let start = if start == 0 { nanoseconds() } else { start };
    start.saturating_add_signed(delta)
}
