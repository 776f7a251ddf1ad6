//! Pages that have to go.
//!
//! A page is first moved to memory that no other thread knows, in one step as seen by a thread that writes
//! to it at that moment, so that what is done with it afterwards cannot race. It stays there for a while, and
//! comes back without a message if it is touched. Then, if its content is not what its manager has, it is
//! returned.

use std::borrow::Cow;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use mach_defs::gnu::memory_object;

use crate::batch::{BATCH, Batch};
use crate::core::{Core, State, hash};
use crate::lock::lock;
use crate::object::{NotSent, Object};
use crate::pages::{CLUSTER, Farewell, Gone, Rescue, Victim};
use crate::space::PAGE;

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
    /// Puts some pages aside, and takes those away that have been there longest. False if none can go at
    /// present.
    pub(crate) fn make_room(&self) -> bool {
        // For each batch that leaves, another one is put aside, and one more until there are enough.
        for _ in 0..2 {
            let mut state = self.lock();
            let most = state.pages.batch(BATCH);
            let victims = state.pages.victims(most);
            drop(state);
            if let (false, Some((batch, moved))) = (victims.is_empty(), self.move_out(&victims)) {
                self.put_aside(batch, moved);
            }
            if self.lock().pages.has_enough_aside() {
                break;
            }
        }
        let mut some = false;
        loop {
            let mut state = self.lock();
            let Some((number, victims)) = state.pages.retire() else { return some };
            let batch = state.batches.remove(&number);
            drop(state);
            if let Some(batch) = batch {
                some |= !victims.is_empty() && self.leave(&batch, &victims);
                self.empty(batch);
            }
        }
    }

    fn put_aside(&self, batch: Batch, moved: Vec<Victim>) {
        let mut state = self.lock();
        let mut wanted = moved.clone();
        wanted.retain(|victim| state.pages.was_wanted(*victim));
        let number = state.pages.put_aside(moved);
        state.batches.insert(number, Arc::new(batch));
        self.wake_all(&state, &wanted);
        drop(state);
        self.tell();
    }

    /// Takes these pages away at once, which are [`Leaving`](crate::pages). False if not all went.
    pub(crate) fn take_away(&self, victims: &[Victim]) -> bool {
        let Some((batch, moved)) = self.move_out(victims) else { return false };
        let batch = Arc::new(batch);
        let all = self.leave(&batch, &moved) && moved.len() == victims.len();
        self.empty(batch);
        all && !victims.is_empty()
    }

    /// Moves pages out, each in one step for whoever writes to it meanwhile. One that cannot be moved stays.
    /// `None` if there is no memory for that.
    fn move_out(&self, victims: &[Victim]) -> Option<(Batch, Vec<Victim>)> {
        let before = self.spares.stage();
        let stage = before.map_or_else(|| self.places.stage(BATCH * CLUSTER), |stage| Ok(Some(stage)));
        let Ok(stage) = stage else {
            victims.iter().for_each(|victim| self.stays(*victim));
            return None;
        };
        let cluster = |victim: &Victim| (victim.object, victim.page / CLUSTER);
        let clusters = victims.chunk_by(|a, b| cluster(a) == cluster(b)).map(|all| cluster(&all[0]));
        let slots =
            clusters.zip((0..).step_by(CLUSTER)).map(|((object, at), slot)| (object, at, slot)).collect();
        let batch = Batch { slots, stage, left: Mutex::default() };
        let mut moved = Vec::with_capacity(victims.len());
        for run in victims.chunk_by(|a, b| a.object == b.object && a.page + 1 == b.page) {
            self.move_run(&batch, run, &mut moved);
        }
        Some((batch, moved))
    }

    /// Moves pages that lie side by side, in their clusters too, to a batch's memory.
    fn move_run(&self, batch: &Batch, run: &[Victim], moved: &mut Vec<Victim>) {
        let first = run[0];
        let Some(object) = self.lock().objects.get(&first.object).cloned() else {
            return run.iter().for_each(|victim| self.stays(*victim));
        };
        let Some(stage) = batch.stage_of(&object) else { return moved.extend(run) };
        let slot = batch.slot(first.object, first.page);
        let at_once = self.places.move_out(stage, slot, &object.space, first.page, run.len());
        if at_once < run.len() && self.places.are_protected() {
            // To move a page by itself may make it one that can be written.
            let mut state = self.lock();
            run[at_once..].iter().for_each(|victim| state.pages.may_be_written(*victim));
        }
        for (at, victim) in run.iter().enumerate() {
            let is_out = at < at_once
                || self.places.move_one_out(stage, slot + at, &object.space, victim.page).is_ok()
                || self.copy_out(stage, slot + at, &object, victim.page);
            if is_out { moved.push(*victim) } else { self.stays(*victim) }
        }
    }

    /// Gives a batch's memory back, with the frames of pages that have left, unless pages of it are on their
    /// way back still.
    fn empty(&self, batch: Arc<Batch>) {
        if let Some(Batch { slots, stage: Some(stage), left }) = Arc::into_inner(batch) {
            let left = left.into_inner().unwrap_or_else(PoisonError::into_inner);
            self.spares.add(stage, slots.len() * CLUSTER, left);
        }
    }

    /// Brings pages back that were put aside.
    pub(crate) fn rescue(&self, object: &Object, batch: Option<Arc<Batch>>, rescue: Rescue) {
        let Some(batch) = batch else { return };
        let span = rescue.span();
        let mut done = 0;
        if let Some(stage) = batch.stage_of(object) {
            let slot = |page| batch.slot(object.id, page);
            let copied = |page| self.places.are_protected() && rescue.is_unwritten(page);
            if !rescue.pages().any(copied) {
                done = self.places.move_back(stage, slot(span.start), &object.space, span.start, span.len());
            }
            for page in rescue.pages().filter(|page| page - span.start >= done) {
                if copied(page) {
                    // A page that is moved is not protected.
                    // SAFETY: the page is there, and nobody writes to what has been moved out.
                    self.places.place(&object.space, page, unsafe { stage.pages(slot(page), 1) });
                    lock(&batch.left).push(slot(page));
                } else {
                    self.places.move_one_back(stage, slot(page), &object.space, page);
                }
            }
        }
        // To move pages wakes whoever waits for them.
        self.places.wake(&object.space, span.start + done, span.len() - done);
        self.counts.rescued.fetch_add(rescue.pages().count() as u64, Relaxed);
        self.placed_all(object, rescue.pages());
        self.empty(batch);
    }

    /// Brings all pages of a range back that were put aside.
    pub(crate) fn rescue_all(&self, object: &Object, range: std::ops::Range<usize>) {
        let mut state = self.lock();
        let all = state.pages.rescue_all(object.id, range);
        let all: Vec<_> = all.into_iter().map(|rescue| (state.batch(rescue.batch), rescue)).collect();
        drop(state);
        all.into_iter().for_each(|(batch, rescue)| self.rescue(object, batch, rescue));
    }

    /// Returns pages of a batch to their managers, which do not have them, and drops the others. False if not
    /// all went.
    fn leave(&self, batch: &Batch, victims: &[Victim]) -> bool {
        let mut leaving: Vec<Leaving> = Vec::with_capacity(victims.len());
        for run in victims.chunk_by(|a, b| a.object == b.object) {
            let Some(object) = self.lock().objects.get(&run[0].object).cloned() else {
                run.iter().for_each(|victim| self.stays(*victim));
                continue;
            };
            leaving.extend(run.iter().map(|victim| {
                let (victim, slot) = (*victim, batch.slot(object.id, victim.page));
                Leaving { object: object.clone(), victim, slot, content: 0, farewell: Farewell::Drop }
            }));
        }
        let known = self.known_contents(&leaving);
        for at in 0..leaving.len() {
            // Nobody has touched it for long.
            if let Some(next) = leaving.get(at + 1).filter(|_| known[at + 1].is_none()) {
                prefetch(bytes(batch, next));
            }
            leaving[at].content = known[at].unwrap_or_else(|| hash(&self.hasher, bytes(batch, &leaving[at])));
        }
        let mut state = self.lock();
        leaving.iter_mut().for_each(|page| page.farewell = state.pages.taken(page.victim, page.content));
        drop(state);
        let mut all = leaving.len() == victims.len();
        for run in leaving.chunk_by(|a, b| a.is_before(b)) {
            all &= match run[0].farewell {
                Farewell::Drop => {
                    self.gone(batch, run, false);
                    self.counts.dropped.fetch_add(run.len() as u64, Relaxed);
                    true
                }
                Farewell::Return => self.return_run(batch, run),
            };
        }
        all
    }

    /// What is in pages that are leaving, as far as that is known: where writes are noticed, of those that
    /// nobody has written to.
    fn known_contents(&self, leaving: &[Leaving]) -> Vec<Option<u64>> {
        if self.places.are_touched() && !self.places.are_protected() {
            return vec![None; leaving.len()];
        }
        let state = self.lock();
        leaving.iter().map(|page| state.pages.known_content(page.victim)).collect()
    }

    /// Returns pages that lie side by side. False if the manager has no room for the message; then they are
    /// in their place again.
    fn return_run(&self, batch: &Batch, run: &[Leaving]) -> bool {
        let object = &run[0].object;
        let offset = object.place(run[0].victim.page);
        let sent = self.send(object, |ports| {
            let (to, control, data) = (&ports.object, &ports.control, &*all_bytes(batch, run));
            Ok(memory_object::memory_object_data_return(to, control, offset, data, true, false)?)
        });
        match sent {
            Ok(()) => {
                self.lock().pages.took_message(object.id);
                self.counts.returned.fetch_add(run.len() as u64, Relaxed);
                self.gone(batch, run, true);
                return true;
            }
            Err(NotSent::Gone) => self.bury(object),
            Err(NotSent::Full) => self.wait_no_more(object),
        }
        for page in run {
            self.put_back(batch, page);
            self.stays(page.victim);
        }
        false
    }

    /// Puts a page that was to leave into its place again.
    fn put_back(&self, batch: &Batch, page: &Leaving) {
        if let Some(stage) = batch.stage_of(&page.object) {
            self.places.move_one_back(stage, page.slot, &page.object.space, page.victim.page);
        }
    }

    /// Pages that lie side by side have left, but for those that their manager has given back already: what
    /// would be left of those is still here.
    fn gone(&self, batch: &Batch, run: &[Leaving], returned: bool) {
        let object = &run[0].object;
        let mut state = self.lock();
        let gone = |page: &Leaving| state.pages.gone(page.victim, page.content, returned);
        let fates: Vec<Gone> = run.iter().map(gone).collect();
        let is_moved = batch.stage_of(object).is_some();
        if !is_moved {
            // With the lock held, since from then on it may come again.
            give_back(run, &fates);
        }
        let mut wanted: Vec<Victim> = run.iter().map(|page| page.victim).collect();
        wanted.retain(|victim| state.pages.was_wanted(*victim));
        self.wake_all(&state, &wanted);
        drop(state);
        self.tell();
        for (page, fate) in run.iter().zip(fates) {
            match fate {
                Gone::Left if is_moved => lock(&batch.left).push(page.slot),
                Gone::Left => {}
                Gone::Back => {
                    self.put_back(batch, page);
                    self.stays(page.victim);
                }
            }
        }
    }

    /// A page that was to go is in its place.
    fn stays(&self, victim: Victim) {
        let mut state = self.lock();
        state.pages.stays(victim);
        if state.pages.was_wanted(victim) {
            self.wake_all(&state, &[victim]);
        }
        drop(state);
        self.tell();
    }

    /// Whoever waits for these pages tries again.
    fn wake_all(&self, state: &State, wanted: &[Victim]) {
        for victim in wanted {
            if let Some(object) = state.objects.get(&victim.object) {
                self.places.wake(&object.space, victim.page, 1);
            }
        }
    }
}

/// What is in a page that is leaving.
fn bytes<'a>(batch: &'a Batch, page: &'a Leaving) -> &'a [u8] {
    let Leaving { object, victim, slot, .. } = page;
    match batch.stage_of(object) {
        // SAFETY: the pages have been moved to slots that nobody else knows.
        Some(stage) => unsafe { stage.pages(*slot, 1) },
        // SAFETY: the pages are there and nobody can write to them, or no call holds one that is leaving.
        None => unsafe { object.space.pages(victim.page, 1) },
    }
}

/// The same of pages that follow each other, and lie side by side unless nobody has addresses of them.
fn all_bytes<'a>(batch: &'a Batch, run: &'a [Leaving]) -> Cow<'a, [u8]> {
    let Leaving { object, victim, slot, .. } = &run[0];
    match batch.stage_of(object) {
        // SAFETY: as above.
        Some(stage) => Cow::Borrowed(unsafe { stage.pages(*slot, run.len()) }),
        None if object.space.is_framed() => {
            let mut all = Vec::with_capacity(run.len() * PAGE);
            run.iter().for_each(|page| all.extend_from_slice(bytes(batch, page)));
            Cow::Owned(all)
        }
        // SAFETY: as above.
        None => Cow::Borrowed(unsafe { object.space.pages(victim.page, run.len()) }),
    }
}

/// Has the processor fetch bytes that are read next, where it can be told.
fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every such processor has the instruction, which changes nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// Gives back the memory of pages that have left and were not moved.
fn give_back(run: &[Leaving], fates: &[Gone]) {
    let space = &run[0].object.space;
    let mut first = run[0].victim.page;
    for fates in fates.chunk_by(|a, b| a == b) {
        if fates[0] == Gone::Left {
            // SAFETY: the memory is read only, and comes back with the same content or not at all; or it is
            // touched by calls alone, and none of them holds these pages.
            unsafe { space.discard(first, fates.len()) };
        }
        first += fates.len();
    }
}
