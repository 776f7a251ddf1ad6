//! Memory for what is noted of pages: bounded, and some of it ready.

use alloc::boxed::Box;
use alloc::sync::Arc;

use mig_runtime::platform::{Mutex, Platform};

use crate::object::{Node, Nodes};

/// The nodes of all page maps of a pager.
///
/// To note a page takes a node that is ready, and never an allocation. Whoever may wait for memory [provides](Self::provide) more, up to the bound.
pub(crate) struct Pool<P: Platform, L> {
    state: Mutex<P, State<L>>,
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
}

impl<P: Platform, L: Send> Pool<P, L> {
    /// A pool of no more than so many bytes, some of them ready.
    pub(crate) fn new(bytes: usize, ahead: usize) -> Arc<Self> {
        let nodes = |bytes: usize| bytes / Node::<L>::size();
        let most = nodes(bytes);
        let state = Mutex::<P, _>::new(State { ready: None, count: 0, made: 0 });
        let pool = Arc::new(Self { state, most, ahead: nodes(ahead).clamp(1, most.max(1)) });
        pool.provide();
        pool
    }

    /// Takes memory until as many nodes are ready as there are to be.
    pub(crate) fn provide(&self) {
        while self.begin_node() {
            // Not under the lock, which those hold who must not wait for memory.
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

impl<P: Platform, L: Send> Nodes<L> for Pool<P, L> {
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

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::vec::Vec;

    use mig_runtime::platform::Std;

    use super::*;

    #[test]
    fn there_are_no_more_nodes_than_allowed_and_some_are_ready() {
        let size = Node::<u32>::size();
        let pool = Pool::<Std, u32>::new(10 * size + size / 2, 4 * size);
        let mut taken: Vec<_> = core::iter::from_fn(|| pool.take()).collect();
        assert_eq!(taken.len(), 4, "those that were ready");
        assert!(pool.is_low());
        pool.provide();
        assert!(!pool.is_low());
        taken.extend(core::iter::from_fn(|| pool.take()));
        pool.provide();
        taken.extend(core::iter::from_fn(|| pool.take()));
        assert_eq!((taken.len(), pool.bytes()), (10, (10 * size, 10 * size)));
        pool.provide();
        assert!(pool.take().is_none() && !pool.is_low());
        taken.drain(..).for_each(|node| pool.give(node));
        assert_eq!(pool.bytes().1, 0);
        // Those that are not to be ready have gone.
        assert_eq!(core::iter::from_fn(|| pool.take()).count(), 8);
    }

    #[test]
    fn a_long_list_goes_without_recursion() {
        drop(Pool::<Std, u32>::new(200_000 * Node::<u32>::size(), usize::MAX));
    }
}
