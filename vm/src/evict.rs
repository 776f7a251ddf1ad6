//! Pages that have to go.
//!
//! A page is moved to memory that nobody else knows, in one step for whoever writes to it at that moment;
//! what is done with it then does not race with anybody. If its content is not what its manager has, it is
//! returned.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mach_defs::gnu::memory_object;
use rustix::io;

use crate::core::{Core, hash, lock};
use crate::objects::{NotSent, Object};
use crate::pages::{Farewell, Gone, Victim};
use crate::space::Space;

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
        let mut state = self.lock();
        let most = state.pages.batch(BATCH);
        let victims = state.pages.victims(most);
        drop(state);
        self.take_away(&victims)
    }

    /// Takes these pages away, which are [`Leaving`](crate::pages), and returns to their managers what those
    /// do not have. False if not all went.
    pub(crate) fn take_away(&self, victims: &[Victim]) -> bool {
        let Ok(stage) = self.stage() else {
            victims.iter().for_each(|victim| self.stays(*victim));
            return false;
        };
        let mut leaving: Vec<Leaving> = Vec::with_capacity(victims.len());
        let mut slot = 0;
        for run in victims.chunk_by(|a, b| a.object == b.object && a.page + 1 == b.page) {
            self.stage_run(stage.as_ref(), slot, run, &mut leaving);
            slot += run.len();
        }
        let mut all = leaving.len() == victims.len();
        for run in leaving.chunk_by(|a, b| a.is_before(b)) {
            all &= match run[0].farewell {
                Farewell::Drop => {
                    self.gone(stage.as_ref(), run, false);
                    self.counts.dropped.fetch_add(run.len() as u64, Relaxed);
                    true
                }
                Farewell::Return => self.return_run(stage.as_ref(), run),
            };
        }
        if let Some(stage) = stage {
            // SAFETY: nobody else knows this memory, and no reference to the pages is left.
            unsafe { stage.discard(0, victims.len()) };
            lock(&self.stages).push(stage);
        }
        all && !victims.is_empty()
    }

    /// Memory that pages are moved to, where they have to be moved.
    fn stage(&self) -> io::Result<Option<Space>> {
        let before = lock(&self.stages).pop();
        before.map_or_else(|| self.places.stage(BATCH), |stage| Ok(Some(stage)))
    }

    /// Moves pages that lie side by side to a stage, each in one step for whoever writes to it meanwhile. One
    /// that cannot be moved stays.
    fn stage_run(&self, stage: Option<&Space>, slot: usize, run: &[Victim], leaving: &mut Vec<Leaving>) {
        let Some(object) = self.lock().objects.get(&run[0].object).cloned() else {
            return run.iter().for_each(|victim| self.stays(*victim));
        };
        let at_once = match stage {
            Some(stage) if object.writable => {
                self.places.move_out(stage, slot, &object.space, run[0].page, run.len())
            }
            Some(_) => 0,
            // Those that calls have left alone stay so.
            None => run.len(),
        };
        let here = |(at, victim): &(usize, &Victim)| {
            let alone = |stage| self.stage_out(&object, stage, slot + at, victim.page).is_ok();
            let moved = *at < at_once || stage.is_some_and(alone);
            if !moved {
                self.stays(**victim);
            }
            moved
        };
        for (at, victim) in run.iter().enumerate().filter(here) {
            let (victim, slot, object) = (*victim, slot + at, object.clone());
            let mut page = Leaving { object, victim, slot, content: 0, farewell: Farewell::Drop };
            page.content = hash(&self.hasher, self.bytes(stage, std::slice::from_ref(&page)));
            page.farewell = self.lock().pages.taken(victim, page.content);
            leaving.push(page);
        }
    }

    /// Moves one page to a slot of a stage.
    fn stage_out(&self, object: &Object, stage: &Space, slot: usize, page: usize) -> io::Result<()> {
        if object.writable {
            return self.places.move_one_out(stage, slot, &object.space, page);
        }
        // Nobody can write to it, so a copy is as good; and memory that nobody can write to cannot be moved.
        self.places.copy_out(stage, slot, &object.space, page)
    }

    /// What is in pages that lie side by side and are leaving.
    fn bytes<'a>(&self, stage: Option<&'a Space>, run: &'a [Leaving]) -> &'a [u8] {
        let Leaving { object, victim, slot, .. } = &run[0];
        match stage {
            // SAFETY: the pages have been moved or copied to slots that nobody else knows.
            Some(stage) => unsafe { stage.pages(*slot, run.len()) },
            // SAFETY: the pages are there, and no call holds one that is leaving.
            None => unsafe { object.space.pages(victim.page, run.len()) },
        }
    }

    /// Returns pages that lie side by side. False if the manager has no room for the message; then they are
    /// in their place again.
    fn return_run(&self, stage: Option<&Space>, run: &[Leaving]) -> bool {
        let first = &run[0];
        let object = &first.object;
        let offset = object.place(first.victim.page);
        let data = self.bytes(stage, run);
        let sent = self.send(object, |ports| {
            let (to, control) = (&ports.object, &ports.control);
            Ok(memory_object::memory_object_data_return(to, control, offset, data, true, false)?)
        });
        match sent {
            Ok(()) => {
                self.lock().pages.took_message(object.id);
                self.counts.returned.fetch_add(run.len() as u64, Relaxed);
                self.gone(stage, run, true);
                return true;
            }
            Err(NotSent::Gone) => self.bury(object),
            Err(NotSent::Full) => self.wait_no_more(object),
        }
        for page in run {
            self.put_back(stage, page);
            self.stays(page.victim);
        }
        false
    }

    /// Puts a page that was to leave into its place again.
    fn put_back(&self, stage: Option<&Space>, page: &Leaving) {
        let Leaving { object, victim, slot, .. } = page;
        if let (Some(stage), true) = (stage, object.writable) {
            self.places.move_back(stage, *slot, &object.space, victim.page);
        }
    }

    /// Pages that lie side by side have left, but for those that their manager has given back already: what
    /// would be left of those is still here.
    fn gone(&self, stage: Option<&Space>, run: &[Leaving], returned: bool) {
        let Leaving { object, victim: first, .. } = &run[0];
        let mut state = self.lock();
        let gone = |page: &Leaving| state.pages.gone(page.victim, page.content, returned);
        let fates: Vec<Gone> = run.iter().map(gone).collect();
        if stage.is_none() || !object.writable {
            // With the lock held, since from then on it may come again.
            self.give_back(run, &fates);
        }
        drop(state);
        self.places.wake(&object.space, first.page, run.len());
        self.tell();
        for (page, _) in run.iter().zip(fates).filter(|(_, fate)| *fate == Gone::Back) {
            self.put_back(stage, page);
            self.stays(page.victim);
        }
    }

    /// Gives back the memory of pages that have left and were not moved.
    fn give_back(&self, run: &[Leaving], fates: &[Gone]) {
        let space = &run[0].object.space;
        let mut first = run[0].victim.page;
        for fates in fates.chunk_by(|a, b| a == b) {
            if fates[0] == Gone::Left {
                // SAFETY: the memory is read only, and comes back with the same content or not at all; or it
                // is touched by calls alone, and none of them holds these pages.
                unsafe { space.discard(first, fates.len()) };
            }
            first += fates.len();
        }
    }

    /// A page that was to go is in its place.
    fn stays(&self, victim: Victim) {
        let mut state = self.lock();
        state.pages.stays(victim);
        let object = state.objects.get(&victim.object).cloned();
        drop(state);
        if let Some(object) = object {
            self.places.wake(&object.space, victim.page, 1);
        }
        self.tell();
    }
}
