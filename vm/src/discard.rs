//! Memory whose content nobody wants any more.

use std::ops::Range;
use std::sync::Arc;

use mach_defs::gnu::memory_object;

use crate::batch::BATCH;
use crate::core::{Core, MOMENT};
use crate::object::{NotSent, Object};
use crate::pages::Discarded;
use crate::space::PAGE;

/// What a manager is given for pages that need no room any more.
static ZEROS: [u8; BATCH * PAGE] = [0; BATCH * PAGE];

impl Core {
    /// Makes pages of anonymous memory as if nobody had touched them.
    pub(crate) fn discard(&self, object: &Arc<Object>, pages: Range<usize>) {
        loop {
            self.rescue_all(object, pages.clone());
            let mut state = self.lock();
            let (discarded, all) = state.pages.discard(object.id, pages.clone());
            if discarded.is_empty() && !all {
                drop(self.wait(state, Some(MOMENT)));
                continue;
            }
            drop(state);
            for run in discarded.chunk_by(|a, b| a.page + 1 == b.page) {
                self.discard_run(object, run);
            }
            if all {
                return;
            }
        }
    }

    fn discard_run(&self, object: &Arc<Object>, run: &[Discarded]) {
        let Some(first) = run.first() else { return };
        // SAFETY: whoever discards memory wants to see nothing of it again.
        unsafe { object.space.discard(first.page, run.len()) };
        for stored in run.chunk_by(|a, b| a.is_stored == b.is_stored).filter(|run| run[0].is_stored) {
            for some in stored.chunks(BATCH) {
                self.return_zeros(object, some[0].page, some.len());
            }
        }
        let mut state = self.lock();
        run.iter().for_each(|page| state.pages.discarded(object.id, page));
        drop(state);
        self.places.wake(&object.space, first.page, run.len());
        self.tell();
    }

    /// Tells a manager that it need not keep pages: zeros take no room. A manager that does not take the
    /// message in time is given up, as for any other message.
    fn return_zeros(&self, object: &Arc<Object>, page: usize, count: usize) {
        let offset = object.place(page);
        while !self.lock().pages.is_dead(object.id) {
            let sent = self.send(object, |ports| {
                let (to, control, zeros) = (&ports.object, &ports.control, &ZEROS[..count * PAGE]);
                Ok(memory_object::memory_object_data_return(to, control, offset, zeros, true, false)?)
            });
            match sent {
                Ok(()) => return self.lock().pages.took_message(object.id),
                Err(NotSent::Gone) => return self.bury(object),
                Err(NotSent::Full) => self.wait_no_more(object),
            }
            std::thread::sleep(MOMENT);
        }
    }
}
