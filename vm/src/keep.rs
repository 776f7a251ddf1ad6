//! Pages at rest, as for a fork: the child has what is there, and may have the rest from somewhere else.

use std::sync::Arc;

use mig_runtime::kernel::local::Local;
use mig_runtime::{KernReturn, SendRight};

use crate::core::{Core, MOMENT};
use crate::lock::lock;
use crate::object::{Manager, Object};

/// How often a manager that takes no pages is given a moment.
const TRIES: usize = 100;

/// Anonymous memory of which pages may be out.
#[derive(Debug)]
pub struct KeptObject {
    /// Where it begins.
    pub start: usize,
    /// The memory object by which the default manager knows it, if a page of it has ever left.
    pub object: Option<SendRight<Local>>,
    /// The addresses of pages that are where they [were inherited from](crate::Vm::inherit_at).
    pub inherited: Vec<usize>,
}

impl Core {
    /// Takes no page away until [`keep_no_more`](Self::keep_no_more), and brings those that are on their way.
    pub(crate) fn keep(&self) {
        self.lock().pages.keep();
        self.bring_absent();
    }

    /// Brings pages that are on their way now.
    pub(crate) fn bring_absent(&self) {
        let state = self.lock();
        let absent = state.pages.absent();
        let absent: Vec<_> = absent
            .into_iter()
            .filter_map(|(id, page)| Some((state.objects.get(&id)?.clone(), page)))
            .collect();
        drop(state);
        // One that cannot be had has failed, and is not absent any more.
        for (object, page) in &absent {
            self.bring(object, *page);
        }
    }

    /// The anonymous memory that there is.
    pub(crate) fn kept_objects(&self) -> Result<Vec<KeptObject>, KernReturn> {
        let state = self.lock();
        let objects = state.by_address.values().filter(|object| !object.external);
        let objects: Vec<_> =
            objects.map(|object| (object.clone(), state.pages.kept_elsewhere(object.id))).collect();
        drop(state);
        let kept = |(object, inherited): (Arc<Object>, Vec<usize>)| {
            let right = match &*lock(&object.ports) {
                Manager::Known(ports) => {
                    let name = ports.object.try_clone()?.into_raw();
                    // SAFETY: the task is the same, and `into_raw` has given up the reference.
                    Some(unsafe { SendRight::from_raw(self.task.clone(), name) })
                }
                Manager::None | Manager::Making => None,
            };
            let inherited = inherited.into_iter().map(|page| object.space.page(page) as usize).collect();
            Ok(KeptObject { start: object.space.start() as usize, object: right, inherited })
        };
        objects.into_iter().map(kept).collect()
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
