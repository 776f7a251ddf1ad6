//! Copies of this task that do a part of its work.

use core::sync::atomic::Ordering;
use core::time::Duration;

use gnumach::{SendRight, task};
use mach_defs::gnu::{mach, mach_port};

use crate::Checks;
use crate::memory::Shared;

/// A copy of this task. It has a copy of all memory.
pub(crate) struct Child {
    task: SendRight,
    /// How many checks it has made, once it is done, and how many of them failed.
    results: Shared,
}

impl Child {
    /// Starts a child, which ends after some work with at least one check.
    pub(crate) fn start(work: impl FnOnce(&mut Checks) + core::marker::Send + 'static) -> Self {
        let results = Shared::new();
        let task = gnumach::fork(move || {
            let mut checks = Checks::default();
            work(&mut checks);
            results[1].store(checks.failed, Ordering::Relaxed);
            results[0].store(checks.made, Ordering::Release);
        });
        Self { task: task.expect("fork"), results }
    }

    /// Waits until the child has ended. What it has checked, if it came to the end of its work.
    pub(crate) fn wait(self) -> Option<Checks> {
        /// `MACH_PORT_TYPE_DEAD_NAME`
        const DEAD_NAME: u32 = 1 << 20;
        while mach_port::mach_port_type(&task(), self.task.name()).is_ok_and(|ty| ty & DEAD_NAME == 0) {
            gnumach::sleep(Duration::from_millis(10));
        }
        let [made, failed] = [0, 1].map(|at| self.results[at].load(Ordering::Acquire));
        (made > 0).then_some(Checks { made, failed })
    }

    /// Ends the child.
    pub(crate) fn kill(self) {
        mach::task_terminate(&self.task).expect("task_terminate");
    }
}
