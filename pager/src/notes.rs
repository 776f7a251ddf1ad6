//! Memory for what is noted of pages: bounded, and some of it ready.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use mig_runtime::platform::{Mutex, Platform};

use crate::object::{Node, Nodes, Record, Records};

/// The nodes of all page maps of a pager, and the records of their pages.
///
/// To note a page takes a node that is ready, and never an allocation. Whoever may wait for memory
/// [provides](Self::provide) more, up to the bound.
pub(crate) struct Pool<P: Platform, L, D> {
    state: Mutex<P, State<L>>,
    records: Mutex<P, Slab<Record<L, D>>>,
    /// How many nodes there may be.
    most: usize,
    /// How many are to be ready.
    ahead: usize,
}

struct State<L> {
    ready: Option<Box<Node<L>>>,
    count: usize,
    /// With those in maps.
    made: usize,
    /// Those in maps of objects that are not the kernel's.
    others: usize,
}

/// Values, each at a place of its own. It takes memory only where there are more of them than there was to be
/// room for.
struct Slab<T> {
    places: Vec<SlabPlace<T>>,
    /// The first one that is free.
    free: u32,
}

enum SlabPlace<T> {
    Used(T),
    /// With the next one.
    Free(u32),
}

impl<T> Slab<T> {
    fn new(room: usize) -> Self {
        Self { places: Vec::with_capacity(room), free: 0 }
    }

    fn put(&mut self, value: T) -> u32 {
        let at = self.free;
        match self.places.get_mut(at as usize) {
            Some(place) => {
                if let SlabPlace::Free(next) = mem::replace(place, SlabPlace::Used(value)) {
                    self.free = next;
                }
            }
            None => {
                self.places.push(SlabPlace::Used(value));
                self.free = self.places.len() as u32;
            }
        }
        at
    }

    fn take(&mut self, at: u32) -> Option<T> {
        match mem::replace(self.places.get_mut(at as usize)?, SlabPlace::Free(self.free)) {
            SlabPlace::Used(value) => {
                self.free = at;
                Some(value)
            }
            SlabPlace::Free(next) => {
                self.places[at as usize] = SlabPlace::Free(next);
                None
            }
        }
    }
}

impl<P: Platform, L: Send, D: Send> Pool<P, L, D> {
    /// A pool of no more than this many bytes for nodes, some of them ready, with room for as many records.
    pub(crate) fn new(bytes: usize, ahead: usize, records: usize) -> Arc<Self> {
        let nodes = |bytes: usize| bytes / Node::<L>::size();
        let most = nodes(bytes);
        let state = Mutex::<P, _>::new(State { ready: None, count: 0, made: 0, others: 0 });
        let records = Mutex::<P, _>::new(Slab::new(records));
        let pool = Arc::new(Self { state, records, most, ahead: nodes(ahead).clamp(1, most.max(1)) });
        pool.provide();
        pool
    }

    /// Takes memory until as many nodes are ready as there are to be.
    pub(crate) fn provide(&self) {
        while self.begin_node() {
            // Not under the lock: threads that must not wait for memory take it, too.
            let node = Box::new(Node::free(None));
            let mut state = self.state.lock();
            state.push(node);
        }
    }

    /// Counts a node that is about to be made; false if none is to be.
    fn begin_node(&self) -> bool {
        let mut state = self.state.lock();
        let wanted = state.count < self.ahead && state.made < self.most;
        state.made += usize::from(wanted);
        wanted
    }

    /// True if half of what is to be ready is in use, and more may be made.
    pub(crate) fn is_low(&self) -> bool {
        let state = self.state.lock();
        state.count < self.ahead.div_ceil(2) && state.made < self.most
    }

    /// Bytes that there may be, and how many are in maps.
    pub(crate) fn bytes(&self) -> (usize, usize) {
        let state = self.state.lock();
        (self.most * Node::<L>::size(), (state.made - state.count) * Node::<L>::size())
    }
}

impl<L> State<L> {
    fn push(&mut self, mut node: Box<Node<L>>) {
        *node = Node::free(self.ready.take());
        self.ready = Some(node);
        self.count += 1;
    }

    fn pop(&mut self) -> Option<Box<Node<L>>> {
        let mut node = self.ready.take()?;
        self.ready = node.take_next();
        self.count -= 1;
        Some(node)
    }
}

impl<L> Drop for State<L> {
    /// One by one: each node holds the next one, and there are many.
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

impl<P: Platform, L: Send, D: Send> Records<L, D> for Pool<P, L, D> {
    fn put(&self, record: Record<L, D>) -> u32 {
        self.records.lock().put(record)
    }

    fn take(&self, at: u32) -> Record<L, D> {
        let record = self.records.lock().take(at);
        record.expect("a note names a record, and no other note does")
    }
}

impl<P: Platform, L: Send, D: Send> Nodes<L> for Pool<P, L, D> {
    fn take(&self) -> Option<Box<Node<L>>> {
        self.state.lock().pop()
    }

    fn give(&self, node: Box<Node<L>>) {
        let mut state = self.state.lock();
        if state.count < 2 * self.ahead {
            state.push(node);
        } else {
            state.made -= 1;
            drop(state);
            drop(node);
        }
    }
}

/// A pool as objects have it that are not the kernel's: they get no more than a share of its nodes, so that
/// they do not use up what the kernel's pages are noted with.
pub(crate) struct Others<P: Platform, L, D> {
    pool: Arc<Pool<P, L, D>>,
    most: usize,
}

impl<P: Platform, L: Send, D: Send> Others<P, L, D> {
    /// Up to this many percent of the nodes of a pool.
    pub(crate) fn new(pool: Arc<Pool<P, L, D>>, share: u8) -> Arc<Self> {
        let most = pool.most.saturating_mul(share.min(100).into()) / 100;
        Arc::new(Self { pool, most })
    }
}

impl<P: Platform, L: Send, D: Send> Nodes<L> for Others<P, L, D> {
    fn take(&self) -> Option<Box<Node<L>>> {
        let mut state = self.pool.state.lock();
        let node = if state.others < self.most { state.pop() } else { None }?;
        state.others += 1;
        Some(node)
    }

    fn give(&self, node: Box<Node<L>>) {
        self.pool.state.lock().others -= 1;
        self.pool.give(node);
    }
}

impl<P: Platform, L: Send, D: Send> Records<L, D> for Others<P, L, D> {
    fn put(&self, record: Record<L, D>) -> u32 {
        self.pool.put(record)
    }

    fn take(&self, at: u32) -> Record<L, D> {
        Records::take(&*self.pool, at)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use mig_runtime::platform::Std;

    use super::*;

    #[test]
    fn there_are_no_more_nodes_than_allowed_and_some_are_ready() {
        let size = Node::<u32>::size();
        let pool = Pool::<Std, u32, ()>::new(10 * size + size / 2, 4 * size, 0);
        let node = || Nodes::take(&*pool);
        let mut taken: Vec<_> = core::iter::from_fn(node).collect();
        assert_eq!(taken.len(), 4, "those that were ready");
        assert!(pool.is_low());
        pool.provide();
        assert!(!pool.is_low());
        taken.extend(core::iter::from_fn(node));
        pool.provide();
        taken.extend(core::iter::from_fn(node));
        assert_eq!((taken.len(), pool.bytes()), (10, (10 * size, 10 * size)));
        pool.provide();
        assert!(node().is_none() && !pool.is_low());
        taken.drain(..).for_each(|node| pool.give(node));
        assert_eq!(pool.bytes().1, 0);
        // Those that are not to be ready have gone.
        assert_eq!(core::iter::from_fn(node).count(), 8);
    }

    #[test]
    fn others_get_no_more_than_their_share() {
        let size = Node::<u32>::size();
        let pool = Pool::<Std, u32, ()>::new(10 * size, 10 * size, 0);
        let others = Others::new(pool.clone(), 30);
        let other = || Nodes::take(&*others);
        let mut taken: Vec<_> = core::iter::from_fn(other).collect();
        assert_eq!(taken.len(), 3);
        assert_eq!(core::iter::from_fn(|| Nodes::take(&*pool)).count(), 7, "the rest is the kernel's");
        others.give(taken.pop().unwrap());
        assert_eq!(core::iter::from_fn(other).count(), 1);
    }

    #[test]
    fn a_long_list_goes_without_recursion() {
        drop(Pool::<Std, u32, ()>::new(200_000 * Node::<u32>::size(), usize::MAX, 0));
    }

    #[test]
    fn a_slab_has_each_value_at_its_place_and_uses_places_again() {
        let mut slab = Slab::new(2);
        let (a, b) = (slab.put('a'), slab.put('b'));
        assert_eq!((slab.take(a), slab.take(a)), (Some('a'), None));
        let c = slab.put('c');
        assert_eq!((c, slab.places.len()), (a, 2), "the free place");
        // One more than there was to be room for.
        let d = slab.put('d');
        assert_eq!([b, c, d].map(|at| slab.take(at)), [Some('b'), Some('c'), Some('d')]);
        assert_eq!(slab.take(9), None);
        assert_eq!((slab.put('e'), slab.put('f'), slab.put('g'), slab.put('h')), (d, c, b, 3));
    }
}
