//! Memory for pages on their way to the store, bounded and taken at the start.
//!
//! Nothing here allocates once it is made: what frees the memory of a machine must not need any.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use mig_runtime::platform::{Condvar as _, Mutex, Platform};
use mig_runtime::{Kernel, OolMemory};

/// A number of buffers, each of a page, and a number of places for pages that stay in the messages that
/// brought them.
pub(crate) struct Buffers<K: Kernel, P: Platform> {
    /// First those with a buffer, then those for messages.
    slots: Box<[Slot<K, P>]>,
    free: Mutex<P, Free>,
    /// A buffer is free again, or nobody may wait for one any more.
    freed: P::Condvar,
}

struct Slot<K: Kernel, P: Platform> {
    content: Mutex<P, Content<K, P>>,
    /// How many [`Data`] there are of it.
    users: AtomicU32,
}

enum Content<K: Kernel, P: Platform> {
    Buffer(Box<[u8]>),
    Message(Option<Held<K, P>>),
}

/// A page that stays in the memory of a message.
pub(crate) enum Held<K: Kernel, P: Platform> {
    /// The first one of the message, with its memory.
    First(OolMemory<K>, Range<usize>),
    /// Another one, of a message whose first one this is.
    Next(Data<K, P>, Range<usize>),
}

/// The numbers of the slots that are not in use.
struct Free {
    buffers: Vec<u32>,
    messages: Vec<u32>,
    stopped: bool,
}

impl<K: Kernel, P: Platform> Buffers<K, P> {
    pub(crate) fn new(page_size: usize, buffers: usize, messages: usize) -> Arc<Self> {
        let slot = |content| Slot { content: Mutex::<P, _>::new(content), users: AtomicU32::new(0) };
        let with_buffer = (0..buffers).map(|_| Content::Buffer(vec![0; page_size].into_boxed_slice()));
        let without = (0..messages).map(|_| Content::Message(None));
        let numbers = |slots: Range<usize>| slots.rev().map(|slot| slot as u32).collect();
        let free = Free {
            buffers: numbers(0..buffers),
            messages: numbers(buffers..buffers + messages),
            stopped: false,
        };
        Arc::new(Self {
            slots: with_buffer.chain(without).map(slot).collect(),
            free: Mutex::<P, _>::new(free),
            freed: P::Condvar::default(),
        })
    }

    /// How many pages there may be at once.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// A copy of a page; `None` if no buffer is free.
    pub(crate) fn copy(self: &Arc<Self>, page: &[u8]) -> Option<Data<K, P>> {
        let slot = self.free.lock().buffers.pop()?;
        Some(self.fill(slot, page))
    }

    /// The same, after a wait for a buffer if none is free; `None` if nobody may wait any more.
    ///
    /// Whoever waits must have nothing that others wait for: no buffer, and no page that is not on its way to
    /// the store.
    pub(crate) fn wait_and_copy(self: &Arc<Self>, page: &[u8]) -> Option<Data<K, P>> {
        let mut free = self.free.lock();
        let slot = loop {
            match free.buffers.pop() {
                Some(slot) => break slot,
                None if free.stopped => return None,
                None => self.freed.wait(&mut free),
            }
        };
        drop(free);
        Some(self.fill(slot, page))
    }

    /// Waits until a buffer is free, for this long at most. False if none is then, or nobody may wait any
    /// more.
    pub(crate) fn wait(&self, most: Duration) -> bool {
        let end = P::now().saturating_add(most.as_nanos() as u64);
        let mut free = self.free.lock();
        while free.buffers.is_empty() {
            let left = end.saturating_sub(P::now());
            if free.stopped || left == 0 {
                return false;
            }
            self.freed.wait_for(&mut free, Duration::from_nanos(left));
        }
        true
    }

    fn fill(self: &Arc<Self>, slot: u32, page: &[u8]) -> Data<K, P> {
        if let Content::Buffer(buffer) = &mut *self.slots[slot as usize].content.lock() {
            buffer.copy_from_slice(page);
        }
        self.data(slot)
    }

    /// Keeps a page where it is, in the memory of a message. `None`, and nothing is done, if too many are
    /// kept so, of which `reserve` are for others.
    pub(crate) fn hold(
        self: &Arc<Self>,
        reserve: usize,
        page: impl FnOnce() -> Held<K, P>,
    ) -> Option<Data<K, P>> {
        let slot = {
            let mut free = self.free.lock();
            if free.messages.len() > reserve { free.messages.pop() } else { None }
        }?;
        *self.slots[slot as usize].content.lock() = Content::Message(Some(page()));
        Some(self.data(slot))
    }

    /// The first [`Data`] of a slot.
    fn data(self: &Arc<Self>, slot: u32) -> Data<K, P> {
        self.slots[slot as usize].users.store(1, Ordering::Relaxed);
        Data { buffers: self.clone(), slot }
    }

    /// Ends every wait, now and later.
    pub(crate) fn stop(&self) {
        self.free.lock().stopped = true;
        self.freed.notify_all();
    }

    /// How many more pages can be taken, copied or held.
    pub(crate) fn free(&self) -> usize {
        let free = self.free.lock();
        free.buffers.len() + free.messages.len()
    }
}

/// A page on its way to the store. Clones are the same page, whose memory is free when the last of them is
/// dropped.
pub(crate) struct Data<K: Kernel, P: Platform> {
    buffers: Arc<Buffers<K, P>>,
    slot: u32,
}

impl<K: Kernel, P: Platform> Data<K, P> {
    fn slot(&self) -> &Slot<K, P> {
        &self.buffers.slots[self.slot as usize]
    }

    /// Copies the page.
    pub(crate) fn copy_to(&self, to: &mut [u8]) {
        match &*self.slot().content.lock() {
            Content::Buffer(buffer) => to.copy_from_slice(buffer),
            Content::Message(Some(Held::First(memory, page))) => to.copy_from_slice(&memory[page.clone()]),
            Content::Message(Some(Held::Next(first, page))) => {
                first.read(page.clone(), |page| to.copy_from_slice(page))
            }
            Content::Message(None) => {}
        }
    }

    /// The memory of the message, if it has no other page and nobody else has this one. Otherwise it is as
    /// before.
    pub(crate) fn into_memory(self) -> Result<OolMemory<K>, Self> {
        if self.slot().users.load(Ordering::Acquire) > 1 {
            return Err(self);
        }
        let memory = match &mut *self.slot().content.lock() {
            Content::Message(Some(Held::First(memory, page))) if page.len() == memory.len() => {
                Some(mem::replace(memory, OolMemory::empty()))
            }
            _ => None,
        };
        memory.ok_or(self)
    }

    /// Reads a page of the message whose first page this is.
    pub(crate) fn read<R>(&self, page: Range<usize>, read: impl FnOnce(&[u8]) -> R) -> R {
        match &*self.slot().content.lock() {
            Content::Message(Some(Held::First(memory, _))) => read(&memory[page]),
            _ => read(&[]),
        }
    }
}

impl<K: Kernel, P: Platform> Clone for Data<K, P> {
    fn clone(&self) -> Self {
        self.slot().users.fetch_add(1, Ordering::Relaxed);
        Self { buffers: self.buffers.clone(), slot: self.slot }
    }
}

impl<K: Kernel, P: Platform> Drop for Data<K, P> {
    fn drop(&mut self) {
        if self.slot().users.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let held = match &mut *self.slot().content.lock() {
            Content::Buffer(_) => None,
            Content::Message(held) => Some(held.take()),
        };
        let is_held = held.is_some();
        // To give memory back is a call to the kernel, for which no lock is held.
        drop(held);
        let mut free = self.buffers.free.lock();
        if is_held {
            free.messages.push(self.slot);
        } else {
            free.buffers.push(self.slot);
            drop(free);
            self.buffers.freed.notify_one();
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use mig_runtime::kernel::local::Local;
    use mig_runtime::platform::Std;

    use super::*;

    fn page(data: &Data<Local, Std>) -> [u8; 8] {
        let mut page = [0; 8];
        data.copy_to(&mut page);
        page
    }

    #[test]
    fn buffers_come_back_and_pages_may_stay_in_their_message() {
        let task = Local::new();
        let buffers = Buffers::<Local, Std>::new(8, 2, 2);
        let pages = [[1; 8], [2; 8], [3; 8]];
        let taken: Vec<Option<Data<Local, Std>>> = pages.iter().map(|page| buffers.copy(page)).collect();
        assert_eq!(taken[1].as_ref().map(page), Some([2; 8]));
        assert!(taken[2].is_none());

        let mut memory = OolMemory::allocate(&task, 16).unwrap();
        memory[8..].fill(7);
        let first = buffers.hold(1, || Held::First(memory, 8..16)).unwrap();
        assert_eq!(page(&first), [7; 8]);
        let next = || Held::Next(first.clone(), 0..8);
        assert!(buffers.hold(1, next).is_none(), "one is for others");
        let next = buffers.hold(0, next).unwrap();
        assert_eq!((page(&next), buffers.free()), ([0; 8], 0));
        // A clone is the same page, and what is held stays while another page of its message does.
        let clone = next.clone();
        drop((taken, first, next));
        assert_eq!((page(&clone), buffers.free()), ([0; 8], 2));
        assert!(task.census().regions > 0);
        drop(clone);
        assert_eq!((buffers.free(), task.census().regions), (4, 0));
    }

    #[test]
    fn a_page_that_is_all_of_its_message_leaves_with_the_memory() {
        let task = Local::new();
        let buffers = Buffers::<Local, Std>::new(8, 1, 1);
        let memory = OolMemory::allocate(&task, 8).unwrap();
        let held = buffers.hold(0, || Held::First(memory, 0..8)).unwrap();
        let clone = held.clone();
        let Err(held) = held.into_memory() else { panic!("somebody else has it, too") };
        drop(clone);
        let Ok(memory) = held.into_memory() else { panic!("nobody else has it") };
        assert_eq!((memory.len(), buffers.free()), (8, 2));
        drop(memory);

        let two = OolMemory::allocate(&task, 16).unwrap();
        let held = buffers.hold(0, || Held::First(two, 0..8)).unwrap();
        assert!(held.into_memory().is_err(), "another page is in that memory");
        assert!(buffers.copy(&[1; 8]).unwrap().into_memory().is_err(), "the buffer stays");
        assert_eq!((buffers.free(), task.census().regions), (2, 0));
    }

    #[test]
    fn who_waits_gets_the_buffer_that_is_free_again() {
        let buffers = Buffers::<Local, Std>::new(8, 1, 0);
        let first = buffers.wait_and_copy(&[1; 8]);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| buffers.wait_and_copy(&[2; 8]).map(|data| page(&data)));
            drop(first);
            assert_eq!(second.join().unwrap(), Some([2; 8]));
        });
        assert_eq!(buffers.free(), 1);
    }

    #[test]
    fn nobody_waits_after_the_end() {
        let buffers = Buffers::<Local, Std>::new(8, 1, 0);
        let first = buffers.wait_and_copy(&[1; 8]);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| buffers.wait_and_copy(&[2; 8]).is_none());
            buffers.stop();
            assert!(second.join().unwrap());
        });
        assert!(first.is_some());
    }

    #[test]
    fn who_waits_for_a_while_is_told_whether_there_is_a_buffer() {
        let buffers = Buffers::<Local, Std>::new(8, 1, 0);
        let first = buffers.copy(&[1; 8]);
        assert!(!buffers.wait(Duration::from_millis(1)));
        drop(first);
        assert!(buffers.wait(Duration::ZERO));
    }
}
