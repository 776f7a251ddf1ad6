//! The objects of a pager, by the name of their port.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use mig_runtime::platform::{Mutex, Platform};
use mig_runtime::{KernReturn, Kernel, NameOf};

use super::entry::Entry;
use super::growing;
use crate::object::Origin;
use crate::store::Store;

/// All objects. Every message looks for its own, also those that make memory free, so nobody asks for memory
/// with the lock in hands.
pub(super) struct Objects<K: Kernel, P: Platform, S: Store> {
    state: Mutex<P, State<K, P, S>>,
    /// How many there may be that are not the kernel's.
    most_others: usize,
    last_handle: AtomicU32,
}

struct State<K: Kernel, P: Platform, S: Store> {
    /// In the order of the names of their ports.
    entries: Vec<Arc<Entry<K, P, S>>>,
    /// How many are not the kernel's, with those whose pages are still to be given back.
    others: usize,
    /// The pager stops: nobody waits for a message's turn.
    stopped: bool,
}

impl<K: Kernel, P: Platform, S: Store> State<K, P, S> {
    fn place(&self, port: NameOf<K>) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&port, |entry| entry.name)
    }
}

impl<K: Kernel, P: Platform, S: Store> Objects<K, P, S> {
    pub(super) fn new(most_others: usize) -> Self {
        let state = State { entries: Vec::new(), others: 0, stopped: false };
        Self { state: Mutex::<P, _>::new(state), most_others, last_handle: AtomicU32::new(0) }
    }

    pub(super) fn count(&self) -> usize {
        self.state.lock().entries.len()
    }

    pub(super) fn find(&self, port: NameOf<K>) -> Option<Arc<Entry<K, P, S>>> {
        let state = self.state.lock();
        state.place(port).ok().map(|at| state.entries[at].clone())
    }

    /// A number for another object, which is not 0.
    pub(super) fn next_handle(&self) -> u32 {
        match self.last_handle.fetch_add(1, Relaxed).wrapping_add(1) {
            0 => self.next_handle(),
            handle => handle,
        }
    }

    /// Adds an object.
    ///
    /// # Errors
    ///
    /// `KERN_RESOURCE_SHORTAGE` if there are too many that are not the kernel's.
    pub(super) fn add(&self, entry: &Arc<Entry<K, P, S>>) -> Result<(), KernReturn> {
        let mut larger = Vec::new();
        let stopped = loop {
            let mut state = self.state.lock();
            let is_other = entry.origin != Origin::Internal;
            if is_other && state.others >= self.most_others {
                return Err(KernReturn::KERN_RESOURCE_SHORTAGE);
            }
            if growing::has_room(&mut state.entries, &mut larger) {
                state.others += usize::from(is_other);
                let at = state.place(entry.name).unwrap_or_else(|at| at);
                state.entries.insert(at, entry.clone());
                break state.stopped;
            }
            let count = state.entries.len();
            drop(state);
            growing::take_memory(&mut larger, count);
        };
        if stopped {
            entry.stop();
        }
        Ok(())
    }

    /// Takes an object out; false if that was done before. It counts until it is [gone](Self::gone).
    pub(super) fn remove(&self, entry: &Arc<Entry<K, P, S>>) -> bool {
        let mut state = self.state.lock();
        let place = state.place(entry.name).ok().filter(|at| Arc::ptr_eq(&state.entries[*at], entry));
        place.map(|at| state.entries.remove(at)).is_some()
    }

    /// An object that was taken out has nothing left.
    pub(super) fn gone(&self, entry: &Entry<K, P, S>) {
        self.state.lock().others -= usize::from(entry.origin != Origin::Internal);
    }

    /// All objects.
    pub(super) fn all(&self) -> Vec<Arc<Entry<K, P, S>>> {
        let mut all = Vec::new();
        loop {
            let state = self.state.lock();
            let count = state.entries.len();
            if count <= all.capacity() {
                all.extend(state.entries.iter().cloned());
                return all;
            }
            drop(state);
            all.reserve_exact(count + count / 8);
        }
    }

    /// Ends every wait for a message's turn, now and later.
    pub(super) fn stop(&self) {
        self.state.lock().stopped = true;
        self.all().iter().for_each(|entry| entry.stop());
    }
}
