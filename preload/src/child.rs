//! Whether this process is the child of the one that the command has started: what it does is in nobody's
//! figures.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

static IS_CHILD: AtomicBool = AtomicBool::new(false);

pub(crate) fn is_child() -> bool {
    IS_CHILD.load(Relaxed)
}

/// It is from now on.
pub(crate) fn begin() {
    IS_CHILD.store(true, Relaxed);
}
