//! Memory for pages on their way to the store, bounded and taken at the start.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::ops::{Deref, Range};

use mig_runtime::platform::{Condvar as _, Mutex, Platform};
use mig_runtime::{Kernel, OolMemory};

/// A number of buffers, each of a page.
pub(crate) struct Buffers<P: Platform> {
    state: Mutex<P, State>,
    /// A buffer is free again.
    freed: P::Condvar,
}

struct State {
    free: Vec<Box<[u8]>>,
    /// How many more pages may stay in the messages that brought them.
    may_hold: usize,
}

impl<P: Platform> Buffers<P> {
    pub(crate) fn new(page_size: usize, buffers: usize, may_hold: usize) -> Arc<Self> {
        let free = (0..buffers).map(|_| vec![0; page_size].into_boxed_slice()).collect();
        Arc::new(Self { state: Mutex::<P, _>::new(State { free, may_hold }), freed: P::Condvar::default() })
    }

    /// A copy of a page; `None` if no buffer is free.
    pub(crate) fn copy<K: Kernel>(self: &Arc<Self>, page: &[u8]) -> Option<Data<K, P>> {
        let buffer = self.state.lock().free.pop()?;
        Some(self.fill(buffer, page))
    }

    /// The same, after a wait for a buffer if none is free.
    pub(crate) fn wait_and_copy<K: Kernel>(self: &Arc<Self>, page: &[u8]) -> Data<K, P> {
        let mut state = self.state.lock();
        let buffer = loop {
            match state.free.pop() {
                Some(buffer) => break buffer,
                None => self.freed.wait(&mut state),
            }
        };
        drop(state);
        self.fill(buffer, page)
    }

    fn fill<K: Kernel>(self: &Arc<Self>, mut buffer: Box<[u8]>, page: &[u8]) -> Data<K, P> {
        buffer.copy_from_slice(page);
        Data { source: Source::Buffer(buffer), buffers: self.clone() }
    }

    /// A page that stays where it is, in the memory of a message; `None` if too many do.
    pub(crate) fn hold<K: Kernel>(
        self: &Arc<Self>,
        memory: &Arc<OolMemory<K>>,
        page: Range<usize>,
    ) -> Option<Data<K, P>> {
        let mut state = self.state.lock();
        state.may_hold = state.may_hold.checked_sub(1)?;
        Some(Data { source: Source::Message(memory.clone(), page), buffers: self.clone() })
    }

    /// How many more pages can be taken, copied or held.
    pub(crate) fn free(&self) -> usize {
        let state = self.state.lock();
        state.free.len() + state.may_hold
    }
}

/// A page on its way to the store.
pub(crate) struct Data<K: Kernel, P: Platform> {
    source: Source<K>,
    buffers: Arc<Buffers<P>>,
}

enum Source<K: Kernel> {
    Buffer(Box<[u8]>),
    Message(Arc<OolMemory<K>>, Range<usize>),
}

impl<K: Kernel, P: Platform> Deref for Data<K, P> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.source {
            Source::Buffer(buffer) => buffer,
            Source::Message(memory, page) => &memory[page.clone()],
        }
    }
}

impl<K: Kernel, P: Platform> Drop for Data<K, P> {
    fn drop(&mut self) {
        let mut state = self.buffers.state.lock();
        match &mut self.source {
            Source::Buffer(buffer) => {
                state.free.push(mem::take(buffer));
                self.buffers.freed.notify_one();
            }
            Source::Message(..) => state.may_hold += 1,
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use mig_runtime::kernel::local::Local;
    use mig_runtime::platform::Std;

    use super::*;

    #[test]
    fn there_are_so_many_and_each_comes_back() {
        let task: Local = Local::new();
        let buffers = Buffers::<Std>::new(8, 2, 1);
        let pages = [[1; 8], [2; 8], [3; 8]];
        let taken: Vec<Option<Data<Local, Std>>> = pages.iter().map(|page| buffers.copy(page)).collect();
        assert_eq!(taken[1].as_deref(), Some(&[2; 8][..]));
        assert!(taken[2].is_none());

        let mut memory = OolMemory::allocate(&task, 16).unwrap();
        memory[8..].fill(7);
        let memory = Arc::new(memory);
        let held = buffers.hold(&memory, 8..16);
        assert_eq!(held.as_deref(), Some(&[7; 8][..]));
        assert!(buffers.hold(&memory, 0..8).is_none());
        assert_eq!(buffers.free(), 0);
        drop((taken, held));
        assert_eq!(buffers.free(), 3);
        assert_eq!(Arc::strong_count(&memory), 1);
    }

    #[test]
    fn who_waits_gets_the_buffer_that_is_free_again() {
        let buffers = Buffers::<Std>::new(8, 1, 0);
        let first: Data<Local, Std> = buffers.wait_and_copy(&[1; 8]);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| buffers.wait_and_copy::<Local>(&[2; 8])[0]);
            drop(first);
            assert_eq!(second.join().unwrap(), 2);
        });
        assert_eq!(buffers.free(), 1);
    }
}
