//! Pages that are moved because the paging space that they are in is to be taken away.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use mig_runtime::abi::Gnu;
use mig_runtime::platform::{Condvar as _, Mutex, Platform};
use mig_runtime::{KernReturn, Kernel};

use super::SwapPager;
use super::answers::Answers;
use super::entry::Entry;
use crate::areas::Areas;
use crate::store::Store;

/// How often pages that are on their way are looked for again, and how long in between.
const LOOKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// What became of pages that were to be moved.
#[derive(Default)]
struct Moves {
    moved: u64,
    /// They could not be read, or there was no room for them elsewhere.
    stayed: u64,
}

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// Takes areas away: moves their pages to others, and removes them. All stay if one cannot go, but for
    /// those that were gone before that was known.
    pub(super) fn remove_areas(
        &self,
        areas: &dyn Areas<K>,
        names: &[impl AsRef<str>],
    ) -> Result<(), KernReturn> {
        let mut left: Vec<&str> = Vec::with_capacity(names.len());
        let cancel = |left: &[&str], why| left.iter().for_each(|name| areas.cancel_removal(name, why));
        for name in names.iter().map(AsRef::as_ref) {
            let another = "another one cannot be taken away with it";
            areas.begin_removal(name).inspect_err(|_| cancel(&left, another))?;
            left.push(name);
        }
        let mut looks = 0;
        while looks < LOOKS {
            let Moves { moved, stayed } = self.move_pages();
            if self.is_stopped() {
                break;
            }
            if stayed > 0 {
                cancel(&left, "there is no room for its pages elsewhere, or they cannot be read");
                return Err(KernReturn::KERN_RESOURCE_SHORTAGE);
            }
            left.retain(|name| !areas.remove(name));
            if left.is_empty() {
                return Ok(());
            }
            // The others are on their way: being written or read.
            if moved == 0 {
                looks += 1;
                pause::<P>(PAUSE);
            }
        }
        cancel(&left, if self.is_stopped() { "the pager stops" } else { "its pages do not come to rest" });
        Err(KernReturn::KERN_FAILURE)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// Moves the pages of all objects that are where nothing is to be any more.
    fn move_pages(&self) -> Moves {
        let mut moves = Moves::default();
        let mut memory = vec![0; self.page_size];
        for entry in self.objects.all() {
            let mut from = 0;
            while let Some(page) = self.move_page(&entry, from, &mut memory, &mut moves) {
                if self.is_stopped() {
                    return moves;
                }
                let Some(next) = page.checked_add(1) else { break };
                from = next;
            }
        }
        moves
    }

    /// Moves the first page from this one on that is to be moved. Returns which one that was.
    fn move_page(
        &self,
        entry: &Arc<Entry<K, P, S>>,
        from: u64,
        memory: &mut [u8],
        moves: &mut Moves,
    ) -> Option<u64> {
        let (page, read, begun) =
            entry.lock().object.begin_move(from, |place| self.store.is_leaving(place))?;
        let mut place = None;
        if self.store.read(&read.place, memory).is_ok() {
            self.store.write(&[memory], &mut |_, result| place = result.ok());
        }
        if place.is_some() {
            moves.moved += 1;
        } else {
            moves.stayed += 1;
        }
        let (free, wanted, user) = {
            let mut state = entry.lock();
            let (free, wanted) = state.object.moved(page, read, place);
            (free, wanted, state.rights.user.clone())
        };
        free.into_iter().flatten().for_each(|place| self.store.free(place));
        if let Some(request) = wanted {
            let mut answers = Answers::new(page);
            self.note_answer(entry, page, request, &mut answers);
            self.give_answers(user.as_deref(), answers);
        }
        self.transfer_ended(entry, begun);
        Some(page)
    }
}

pub(super) fn pause<P: Platform>(time: Duration) {
    let nothing = Mutex::<P, ()>::new(());
    P::Condvar::default().wait_for(&mut nothing.lock(), time);
}
