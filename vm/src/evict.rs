//! Pages that have to go.
//!
//! A page is moved to memory that nobody else knows, in one step for whoever writes to it at that moment;
//! what is done with it then does not race with anybody. If its content is not what its manager has, it is
//! returned.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mach_defs::gnu::memory_object;
use rustix::io::Errno;

use crate::core::{Core, hash, lock};
use crate::objects::{NotSent, Object};
use crate::pages::{Farewell, Victim};
use crate::space::{PAGE, Space};

/// Pages that are taken away at once, at most.
pub(crate) const BATCH: usize = 32;

/// A page on its way out.
struct Leaving {
    object: Arc<Object>,
    victim: Victim,
    slot: usize,
    content: u64,
    farewell: Farewell,
}

impl Leaving {
    /// True if the other one may leave in the same message.
    fn is_before(&self, next: &Self) -> bool {
        let Victim { object, page } = self.victim;
        next.victim == (Victim { object, page: page + 1 })
            && next.slot == self.slot + 1
            && next.farewell == self.farewell
    }
}

impl Core {
    /// Takes some pages away. False if none can go at present.
    pub(crate) fn make_room(&self) -> bool {
        let victims = self.lock().pages.victims(BATCH);
        self.take_away(&victims)
    }

    /// Takes these pages away, which are [`Leaving`](crate::pages), and returns to their managers what those
    /// do not have. False if not all went.
    pub(crate) fn take_away(&self, victims: &[Victim]) -> bool {
        let Some(stage) = self.stage() else {
            victims.iter().for_each(|victim| self.stays(*victim));
            return false;
        };
        let mut leaving: Vec<Leaving> = Vec::with_capacity(victims.len());
        for (slot, victim) in victims.iter().enumerate() {
            match self.stage_out(&stage, slot, *victim) {
                Some(page) => leaving.push(page),
                None => self.stays(*victim),
            }
        }
        let mut all = leaving.len() == victims.len();
        for run in leaving.chunk_by(|a, b| a.is_before(b)) {
            all &= match run[0].farewell {
                Farewell::Drop => {
                    self.gone(run, false);
                    self.counts.dropped.fetch_add(run.len() as u64, Relaxed);
                    true
                }
                Farewell::Return => self.return_run(&stage, run),
            };
        }
        for slot in 0..victims.len() {
            // SAFETY: nobody else knows this memory, and no reference to the pages is left.
            unsafe { stage.discard(slot) };
        }
        lock(&self.stages).push(stage);
        all && !victims.is_empty()
    }

    /// Memory that pages are moved to.
    fn stage(&self) -> Option<Space> {
        if let Some(stage) = lock(&self.stages).pop() {
            return Some(stage);
        }
        let stage = Space::new(BATCH * PAGE, true).ok()?;
        self.staging.register(&stage).ok()?;
        Some(stage)
    }

    /// Moves a page to a slot of a stage, in one step for whoever writes to it meanwhile. `None` if it cannot
    /// be moved.
    fn stage_out(&self, stage: &Space, slot: usize, victim: Victim) -> Option<Leaving> {
        let object = self.lock().objects.get(&victim.object).cloned()?;
        let (to, from) = (stage.page(slot), object.space.page(victim.page));
        if object.writable {
            match self.staging.move_page(to, from) {
                Err(Errno::BUSY) => {
                    object.space.populate(victim.page);
                    self.staging.move_page(to, from).ok()?;
                }
                moved => moved.ok()?,
            }
        } else {
            // Nobody can write to it, so a copy is as good; and memory that nobody can write to cannot be
            // moved. SAFETY: a resident page of memory that is read only, which stays until this thread says
            // that it is gone.
            let bytes = unsafe { object.space.pages(victim.page, 1) };
            self.staging.place(to, bytes.try_into().ok()?).ok()?;
        }
        // SAFETY: the page has just come into a slot that nobody else knows.
        let bytes = unsafe { stage.pages(slot, 1) };
        let content = hash(&self.hasher, bytes.try_into().ok()?);
        let farewell = self.lock().pages.taken(victim, content);
        Some(Leaving { object, victim, slot, content, farewell })
    }

    /// Returns pages that lie side by side. False if the manager has no room for the message; then they are
    /// in their place again.
    fn return_run(&self, stage: &Space, run: &[Leaving]) -> bool {
        let first = &run[0];
        let object = &first.object;
        let offset = object.offset + (first.victim.page * PAGE) as u64;
        // SAFETY: these slots have been filled by `stage_out`, and nobody else knows them.
        let data = unsafe { stage.pages(first.slot, run.len()) };
        let sent = self.send(object, |ports| {
            let (to, control) = (&ports.object, &ports.control);
            Ok(memory_object::memory_object_data_return(to, control, offset, data, true, false)?)
        });
        match sent {
            Ok(()) => {
                self.lock().pages.took_message(object.id);
                self.counts.returned.fetch_add(run.len() as u64, Relaxed);
                self.gone(run, true);
                return true;
            }
            Err(NotSent::Gone) => self.bury(object),
            Err(NotSent::Full) => self.wait_no_more(object),
        }
        for page in run {
            if object.writable {
                let (to, from) = (object.space.page(page.victim.page), stage.page(page.slot));
                let _ = self.uffd.move_page(to, from);
            }
            self.stays(page.victim);
        }
        false
    }

    fn gone(&self, run: &[Leaving], returned: bool) {
        for page in run.iter().filter(|page| !page.object.writable) {
            // SAFETY: the memory is read only, and comes back with the same content or not at all.
            unsafe { page.object.space.discard(page.victim.page) };
        }
        let mut state = self.lock();
        run.iter().for_each(|page| state.pages.gone(page.victim, page.content, returned));
        drop(state);
        for page in run {
            let _ = self.uffd.wake(page.object.space.page(page.victim.page));
        }
        self.changed.notify_all();
    }

    /// A page that was to go is in its place.
    fn stays(&self, victim: Victim) {
        let mut state = self.lock();
        state.pages.stays(victim);
        let object = state.objects.get(&victim.object).cloned();
        drop(state);
        if let Some(object) = object {
            let _ = self.uffd.wake(object.space.page(victim.page));
        }
        self.changed.notify_all();
    }
}
