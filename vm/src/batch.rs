//! Pages that were taken away together, and the memory that they are in meanwhile.

use std::sync::Mutex;

use crate::object::Object;
use crate::pages::{CLUSTER, ObjectId};
use crate::space::Space;

/// Pages that are taken away at once, at most.
pub(crate) const BATCH: usize = 32;

/// Pages that were taken away together, and where they are.
pub(crate) struct Batch {
    /// The first slot of each cluster, in order. A page has the slot of its place in its cluster.
    pub(crate) slots: Vec<(ObjectId, usize, usize)>,
    /// Memory for them; `None` where nothing has to be moved.
    pub(crate) stage: Option<Space>,
    /// The slots there of pages that have left.
    pub(crate) left: Mutex<Vec<usize>>,
}

impl Batch {
    /// Where a page is.
    pub(crate) fn slot(&self, object: ObjectId, page: usize) -> usize {
        let wanted = (object, page / CLUSTER);
        let at = self.slots.partition_point(|(object, cluster, _)| (*object, *cluster) < wanted);
        self.slots.get(at).map_or(0, |(.., slot)| slot + page % CLUSTER)
    }

    /// The memory that has pages of this object; `None` if they are in their place.
    pub(crate) fn stage_of(&self, object: &Object) -> Option<&Space> {
        // Nobody can write to memory that is read only, and it cannot be moved.
        self.stage.as_ref().filter(|_| object.writable)
    }
}
