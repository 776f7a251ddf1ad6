//! Pages that have to go.
//!
//! A page is moved to memory that nobody else knows, in one step for whoever writes to it at that moment;
//! what is done with it then does not race with anybody. If its content is not what its manager has, it is
//! returned.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mach_defs::gnu::memory_object;
use rustix::io::{self, Errno};

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
        let mut slot = 0;
        for run in victims.chunk_by(|a, b| a.object == b.object && a.page + 1 == b.page) {
            self.stage_run(&stage, slot, run, &mut leaving);
            slot += run.len();
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
        // SAFETY: nobody else knows this memory, and no reference to the pages is left.
        unsafe { stage.discard(0, victims.len()) };
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

    /// Moves pages that lie side by side to a stage, each in one step for whoever writes to it meanwhile. One
    /// that cannot be moved stays.
    fn stage_run(&self, stage: &Space, slot: usize, run: &[Victim], leaving: &mut Vec<Leaving>) {
        let Some(object) = self.lock().objects.get(&run[0].object).cloned() else {
            return run.iter().for_each(|victim| self.stays(*victim));
        };
        let (to, from) = (stage.page(slot), object.space.page(run[0].page));
        let at_once = if object.writable { self.staging.move_pages(to, from, run.len()).0 } else { 0 };
        let here = |(at, victim): &(usize, &Victim)| {
            let moved = *at < at_once || self.stage_out(&object, stage, slot + at, victim.page).is_ok();
            if !moved {
                self.stays(**victim);
            }
            moved
        };
        for (at, victim) in run.iter().enumerate().filter(here) {
            let (victim, slot, object) = (*victim, slot + at, object.clone());
            // SAFETY: the page has just come into a slot that nobody else knows.
            let bytes = unsafe { stage.pages(slot, 1) };
            let content = hash(&self.hasher, bytes);
            let farewell = self.lock().pages.taken(victim, content);
            leaving.push(Leaving { object, victim, slot, content, farewell });
        }
    }

    /// Moves one page to a slot of a stage.
    fn stage_out(&self, object: &Object, stage: &Space, slot: usize, page: usize) -> io::Result<()> {
        let (to, from) = (stage.page(slot), object.space.page(page));
        if !object.writable {
            // Nobody can write to it, so a copy is as good; and memory that nobody can write to cannot be
            // moved. SAFETY: a resident page of memory that is read only, which stays until this thread says
            // that it is gone.
            return self.staging.place(to, unsafe { object.space.pages(page, 1) });
        }
        match self.staging.move_page(to, from) {
            Err(Errno::BUSY) => {
                object.space.populate(page);
                self.staging.move_page(to, from)
            }
            moved => moved,
        }
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

    /// Pages that lie side by side have left.
    fn gone(&self, run: &[Leaving], returned: bool) {
        let Leaving { object, victim: first, .. } = &run[0];
        if !object.writable {
            // SAFETY: the memory is read only, and comes back with the same content or not at all.
            unsafe { object.space.discard(first.page, run.len()) };
        }
        let mut state = self.lock();
        run.iter().for_each(|page| state.pages.gone(page.victim, page.content, returned));
        drop(state);
        let _ = self.uffd.wake(object.space.page(first.page), run.len());
        self.changed.notify_all();
    }

    /// A page that was to go is in its place.
    fn stays(&self, victim: Victim) {
        let mut state = self.lock();
        state.pages.stays(victim);
        let object = state.objects.get(&victim.object).cloned();
        drop(state);
        if let Some(object) = object {
            let _ = self.uffd.wake(object.space.page(victim.page), 1);
        }
        self.changed.notify_all();
    }
}
