//! All pages at once in their places, as for a fork: the child has what is there and nothing else.

use crate::core::Core;
use crate::faults::MOMENT;

/// How often a manager that takes no pages is given a moment.
const TRIES: usize = 100;

impl Core {
    /// Brings every page that is not there, and takes none away until [`keep_no_more`](Self::keep_no_more).
    pub(crate) fn keep_all(&self) {
        self.lock().pages.keep_all();
        loop {
            let state = self.lock();
            let absent = state.pages.absent();
            let absent: Vec<_> = absent
                .into_iter()
                .filter_map(|(id, page)| Some((state.objects.get(&id)?.clone(), page)))
                .collect();
            drop(state);
            if absent.is_empty() {
                return;
            }
            for (object, page) in &absent {
                // One that cannot be had has failed, and is not absent any more.
                self.bring(object, *page);
            }
        }
    }

    /// Pages may leave again, and those do for which there is no room: now, or where their manager takes none
    /// at present, when others come.
    pub(crate) fn keep_no_more(&self) {
        self.lock().pages.keep_no_more();
        let mut tries = 0;
        while self.lock().pages.is_over_limit() && tries < TRIES {
            if !self.make_room() {
                tries += 1;
                std::thread::sleep(MOMENT);
                self.give_up_and_try(true);
            }
        }
    }
}
