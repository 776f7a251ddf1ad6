//! How pages come to their places, and leave them.

use std::sync::Arc;

use rustix::io::{self, Errno};

use crate::space::{PAGE, Pool, Space};
use crate::uffd::{Told, Uffd, Unusable};

/// Pages are touched by threads of the program, or by calls.
pub(crate) enum Places {
    /// By threads: whoever touches a page that is not there waits in the system.
    Touched {
        memory: Uffd,
        /// For memory that pages are moved out to.
        staging: Uffd,
        /// A page that comes is protected until somebody writes to it.
        protects: bool,
    },
    /// By calls: each of them holds the page, so that nobody else has it in hands while it comes or goes, and
    /// it may be in any frame.
    Called(Arc<Pool>),
}

impl Places {
    pub(crate) fn touched(told: Told, protects: bool) -> Result<Self, Unusable> {
        Ok(Self::Touched { memory: Uffd::new(told, protects)?, staging: Uffd::new(told, false)?, protects })
    }

    /// For memory of which this many pages may be resident.
    pub(crate) fn called(resident: usize) -> io::Result<Self> {
        Pool::new(resident).map(Self::Called)
    }

    /// True if memory may be touched by threads.
    pub(crate) fn are_touched(&self) -> bool {
        matches!(self, Self::Touched { .. })
    }

    /// True if it is known of each page whether somebody may have written to it.
    pub(crate) fn are_protected(&self) -> bool {
        matches!(self, Self::Touched { protects: true, .. })
    }

    /// Memory for an object.
    pub(crate) fn space(&self, len: usize, writable: bool) -> io::Result<Space> {
        match self {
            Self::Touched { .. } => Space::new(len, writable),
            Self::Called(pool) => Space::framed(len, pool),
        }
    }

    /// Pages of this memory come and go by this from now on.
    pub(crate) fn register(&self, space: &Space) -> io::Result<()> {
        match self {
            Self::Touched { memory, protects, .. } => memory.register(space, *protects),
            Self::Called(_) => Ok(()),
        }
    }

    /// Memory for pages that leave; `None` where they need not be moved for that.
    pub(crate) fn stage(&self, pages: usize) -> io::Result<Option<Space>> {
        match self {
            Self::Touched { staging, .. } => {
                let stage = Space::new(pages * PAGE, true)?;
                staging.register(&stage, false)?;
                Ok(Some(stage))
            }
            Self::Called(_) => Ok(None),
        }
    }

    /// Puts a copy of pages in their place, from this one on, and wakes whoever waits for one of them. Where
    /// that cannot be done access is an error: whoever touched the page would ask for it again and again.
    pub(crate) fn place(&self, space: &Space, page: usize, data: &[u8]) {
        match self {
            Self::Touched { memory, protects, .. } => {
                if memory.place(space.page(page), data, *protects).is_err() {
                    // Those that are there stay.
                    (page..page + data.len() / PAGE).for_each(|page| self.poison(space, page));
                }
            }
            Self::Called(_) => {
                for (page, data) in (page..).zip(data.chunks_exact(PAGE)) {
                    // SAFETY: nobody has a reference into pages that are being placed.
                    unsafe { space.pages_mut(page, 1) }.copy_from_slice(data);
                }
            }
        }
    }

    /// From now on a page can be written.
    pub(crate) fn unprotect(&self, space: &Space, page: usize) {
        if let Self::Touched { memory, protects: true, .. } = self {
            let _ = memory.unprotect(space.page(page));
        }
    }

    /// Puts a page of zeros there, which can be written.
    pub(crate) fn place_zeros(&self, space: &Space, page: usize) {
        match self {
            Self::Touched { memory, .. } => {
                if memory.place_zeros(space.page(page)).is_err() {
                    self.poison(space, page);
                }
            }
            // SAFETY: as above.
            Self::Called(_) => unsafe { space.pages_mut(page, 1) }.fill(0),
        }
    }

    /// From now on access to the page is an error. If even that is not to be had, whoever touches it waits;
    /// but memory that is registered can be poisoned.
    pub(crate) fn poison(&self, space: &Space, page: usize) {
        if let Self::Touched { memory, .. } = self {
            let _ = memory.poison(space.page(page));
        }
    }

    /// Whoever waits for one of these pages tries again.
    pub(crate) fn wake(&self, space: &Space, page: usize, count: usize) {
        if let (Self::Touched { memory, .. }, 1..) = (self, count) {
            let _ = memory.wake(space.page(page), count);
        }
    }

    /// Moves pages of writable memory out to a stage, each in one step for whoever writes to it meanwhile.
    /// Returns how many of the first ones have moved.
    pub(crate) fn move_out(
        &self,
        stage: &Space,
        slot: usize,
        space: &Space,
        page: usize,
        count: usize,
    ) -> usize {
        match self {
            Self::Touched { staging, .. } => staging.move_pages(stage.page(slot), space.page(page), count).0,
            Self::Called(_) => 0,
        }
    }

    /// The same for one page, which may be shared since a fork.
    pub(crate) fn move_one_out(
        &self,
        stage: &Space,
        slot: usize,
        space: &Space,
        page: usize,
    ) -> io::Result<()> {
        let Self::Touched { staging, .. } = self else { return Err(Errno::INVAL) };
        match staging.move_page(stage.page(slot), space.page(page)) {
            Err(Errno::BUSY) => {
                // Of a page that is protected this thread would wait for itself.
                self.unprotect(space, page);
                space.populate(page);
                staging.move_page(stage.page(slot), space.page(page))
            }
            moved => moved,
        }
    }

    /// Puts the copy of a page in a stage.
    pub(crate) fn copy_out(&self, stage: &Space, slot: usize, page: &[u8]) -> bool {
        let Self::Touched { staging, .. } = self else { return false };
        staging.place(stage.page(slot), page, false).is_ok()
    }

    /// Moves pages back that have been moved out, and wakes whoever waits for them. There may be holes among
    /// them. Returns how many of the first ones are done.
    pub(crate) fn move_back(
        &self,
        stage: &Space,
        slot: usize,
        space: &Space,
        page: usize,
        count: usize,
    ) -> usize {
        match self {
            Self::Touched { memory, .. } => memory.move_back(space.page(page), stage.page(slot), count).0,
            Self::Called(_) => count,
        }
    }

    /// The same for one page, which may be shared since a fork; then a copy of it is as good.
    pub(crate) fn move_one_back(&self, stage: &Space, slot: usize, space: &Space, page: usize) {
        let Self::Touched { memory, .. } = self else { return };
        match memory.move_page(space.page(page), stage.page(slot)) {
            // It is back already.
            Ok(()) | Err(Errno::NOENT | Errno::EXIST) => {}
            // SAFETY: the page is there, and nobody writes to what has been moved out.
            Err(_) => self.place(space, page, unsafe { stage.pages(slot, 1) }),
        }
    }
}
