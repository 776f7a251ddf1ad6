//! What the default manager wants back, which leaves in a thread of its own: the one that the manager has
//! asked in may be all that it has to take it back.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use mig_runtime::KernReturn;

use crate::lock::lock;

/// How many requests may wait.
const MOST: usize = 4096;

/// Requests, in the order in which they have come.
pub(crate) struct Flushes<F> {
    state: Mutex<State<F>>,
    changed: Condvar,
}

struct State<F> {
    waiting: VecDeque<F>,
    stopped: bool,
}

impl<F> Flushes<F> {
    pub(crate) fn new() -> Self {
        let state = State { waiting: VecDeque::new(), stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn push(&self, flush: F) -> Result<(), KernReturn> {
        let mut state = lock(&self.state);
        if state.stopped || state.waiting.len() == MOST {
            return Err(KernReturn::KERN_RESOURCE_SHORTAGE);
        }
        state.waiting.push_back(flush);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next one, once there is one; `None` at the end.
    pub(crate) fn next(&self) -> Option<F> {
        let mut state = lock(&self.state);
        while state.waiting.is_empty() && !state.stopped {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped { None } else { state.waiting.pop_front() }
    }

    /// There are no more, and those that wait are given up.
    pub(crate) fn stop(&self) {
        let mut state = lock(&self.state);
        state.stopped = true;
        let left = std::mem::take(&mut state.waiting);
        drop(state);
        drop(left);
        self.changed.notify_all();
    }
}
