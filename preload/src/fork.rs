//! The child of a fork sees the memory as it was at the fork.
//!
//! Before the fork all memory is brought in and kept, so that the child has every page as its own, like any
//! other memory: from then on its memory is not paged. A child that was made in another way than by the C
//! library's `fork`, or for which the machine has too little memory, does not get it at all, and ends when it
//! touches it.

use mach_vm::KeptAll;

use crate::lock::Mutex;
use crate::{child, heap, mapping, paging, window, work};

/// Held from before a fork until after it, with what keeps the memory.
static FORK: Mutex<Option<KeptAll>> = Mutex::new(None);

/// From now on forks are prepared. False if there is no room for that.
pub(crate) fn start() -> bool {
    // SAFETY: functions without arguments, which stay loaded.
    unsafe { libc::pthread_atfork(Some(prepare), Some(in_parent), Some(in_child)) == 0 }
}

extern "C" fn prepare() {
    let mut kept = FORK.lock();
    if !child::is_child() {
        *kept = work::done(paging::keep_all).flatten();
        window::give_to_children(kept.is_some());
    }
    // Until after the fork, so that the child finds everything whole.
    std::mem::forget(kept);
    mapping::lock();
    heap::lock();
    window::locks().for_each(|lock| std::mem::forget(lock.lock()));
    work::lock();
}

/// Ends what `prepare` has begun.
fn unlock() {
    // SAFETY: `prepare` holds it, in this thread.
    unsafe { work::unlock() };
    for lock in window::locks() {
        // SAFETY: as above.
        unsafe { lock.force_unlock() };
    }
    // SAFETY: as above.
    unsafe { heap::unlock() };
    // SAFETY: as above.
    unsafe { mapping::unlock() };
}

extern "C" fn in_parent() {
    unlock();
    if !child::is_child() {
        window::give_to_children(false);
        // SAFETY: `prepare` holds the lock, in this thread.
        let kept = unsafe { &mut *FORK.data_ptr() }.take();
        work::done(|| drop(kept));
    }
    // SAFETY: as above.
    unsafe { FORK.force_unlock() };
}

extern "C" fn in_child() {
    child::begin();
    unlock();
    // SAFETY: `prepare` holds the lock, in this thread.
    let kept = unsafe { &mut *FORK.data_ptr() }.take();
    // It is the parent's.
    std::mem::forget(kept);
    // SAFETY: as above.
    unsafe { FORK.force_unlock() };
}
