//! Whether this process is the child of one whose memory is paged. The memory of such a child is not: neither
//! the kernel's half nor the pager has threads in it.

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
