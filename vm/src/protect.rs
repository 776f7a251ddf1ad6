//! Memory that the program has made read-only, or has no access to. The system moves none of its pages, and
//! they are copied: nobody writes to them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use crate::core::Core;
use crate::lock::lock;
use crate::object::Object;
use crate::space::{PAGE, Space};

impl Core {
    /// Does what changes the protection of pages, while none of them is copied, and takes note of whether
    /// they can be written then. False if it could not be done.
    pub(crate) fn protect(
        &self,
        object: &Object,
        pages: Range<usize>,
        writable: bool,
        change: impl FnOnce() -> bool,
    ) -> bool {
        let mut protected = lock(&object.protected);
        let is_changed = change();
        if writable {
            // If it has failed some of them may be writable all the same.
            protected.retain(|page| !pages.contains(page));
        } else if is_changed {
            protected.extend(pages);
        }
        is_changed
    }

    fn own_memory(&self) -> io::Result<&File> {
        match self.own_memory.get() {
            Some(memory) => Ok(memory),
            None => File::open("/proc/self/mem").map(|memory| self.own_memory.get_or_init(|| memory)),
        }
    }

    /// Copies a page out that cannot be written. False if it can, or cannot be copied.
    pub(crate) fn copy_out(&self, stage: &Space, slot: usize, object: &Object, page: usize) -> bool {
        // Nobody makes it writable meanwhile.
        let protected = lock(&object.protected);
        if !protected.contains(&page) {
            return false;
        }
        let mut bytes = [0; PAGE];
        // In this way also what the program has no access to can be read.
        let is_read = self.own_memory().is_ok_and(|memory| {
            let read = memory.read_exact_at(&mut bytes, object.space.page(page));
            read.is_ok()
        });
        let is_copied = is_read && self.places.copy_out(stage, slot, &bytes);
        if is_copied {
            // SAFETY: whoever touches the page from here on gets the copy, or what the manager makes of it.
            unsafe { object.space.discard(page, 1) };
        }
        drop(protected);
        is_copied
    }
}
