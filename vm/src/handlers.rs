//! The threads that take faults: which of them works, and on which processor.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::lock::lock;

/// One thread waits for events, and serves them as long as that is quick. Where it is not, since the default
/// manager reads from a device in that thread, another one waits meanwhile.
pub(crate) struct Handlers {
    leading: Mutex<Leading>,
    free: Condvar,
    /// How long a fault takes, in the mean of the last few, in nanoseconds.
    mean: AtomicU64,
}

#[derive(Default)]
struct Leading {
    is_led: bool,
    ended: bool,
}

/// A fault that takes longer than this waits for something.
const SLOW: Duration = Duration::from_micros(50);

impl Handlers {
    pub(crate) fn new() -> Self {
        Self { leading: Mutex::default(), free: Condvar::new(), mean: AtomicU64::new(0) }
    }

    /// Waits until this thread is the one that waits for events. False at the end.
    pub(crate) fn lead(&self) -> bool {
        let mut leading = lock(&self.leading);
        while leading.is_led && !leading.ended {
            leading = self.free.wait(leading).unwrap_or_else(PoisonError::into_inner);
        }
        leading.is_led = true;
        !leading.ended
    }

    /// Another thread may be that one now.
    pub(crate) fn hand_over(&self) {
        lock(&self.leading).is_led = false;
        self.free.notify_one();
    }

    pub(crate) fn end(&self) {
        lock(&self.leading).ended = true;
        self.free.notify_all();
    }

    /// A fault has taken this time.
    pub(crate) fn took(&self, time: Duration) {
        let (mean, time) = (self.mean.load(Relaxed), u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        // What another thread says at the same time may be lost. One long wait does not make all slow.
        let most = 16 * SLOW.as_nanos() as u64;
        self.mean.store(mean - mean / 8 + time.min(most) / 8, Relaxed);
    }

    pub(crate) fn are_slow(&self) -> bool {
        self.mean.load(Relaxed) > SLOW.as_nanos() as u64
    }
}

/// Keeps a thread that takes faults where the threads are that it works for: a thread that has to be woken on
/// another processor costs more than all else of a fault.
pub(crate) struct Place {
    /// The processors on which it may be.
    allowed: CpuSet,
    here: Option<usize>,
    may_be_idle: bool,
    /// What tells how long it has waited for the processor; `None` where it cannot run as idle.
    delays: Option<File>,
    delay: u64,
    is_idle: bool,
    faults: u64,
    /// From this fault on it may be tried to run as idle.
    idle_from: u64,
}

/// How many faults there are between two looks at the thread that they are of, and at one's own delay.
const LOOK_AT_THREAD: u64 = 64;
const LOOK_AT_DELAY: u64 = 8;
/// How long one stays away from running as idle after that was bad.
const AWAY: u64 = 1 << 14;

impl Place {
    /// For this thread, which may run as idle if [that is so](may_be_idle).
    pub(crate) fn new(may_be_idle: bool) -> Option<Self> {
        let allowed = sched_getaffinity(None).ok()?;
        Some(Self {
            allowed,
            here: None,
            may_be_idle,
            delays: None,
            delay: 0,
            is_idle: false,
            faults: 0,
            idle_from: 0,
        })
    }

    /// A fault of this thread has been taken.
    pub(crate) fn took_fault_of(&mut self, thread: u32) {
        self.faults += 1;
        if self.faults % LOOK_AT_THREAD == 0 {
            self.follow(thread);
            if self.faults == LOOK_AT_THREAD && self.may_be_idle {
                self.delays = File::open("/proc/thread-self/schedstat").ok();
            }
            if !self.is_idle && self.faults >= self.idle_from && self.delays.is_some() {
                self.delay = self.waited().unwrap_or(0);
                self.is_idle = run_as(libc::SCHED_IDLE);
            }
        } else if self.is_idle && self.faults % LOOK_AT_DELAY == 0 {
            self.leave_idle_if_starved();
        }
    }

    /// Faults are slow at present: whatever processor is free is the best one, and whoever waits for a device
    /// must not be kept from its processor by those that compute.
    pub(crate) fn leave(&mut self) {
        if self.is_idle {
            self.is_idle = !run_as(libc::SCHED_OTHER);
        }
        if self.here.take().is_some() {
            let _ = sched_setaffinity(None, &self.allowed);
        }
    }

    fn follow(&mut self, thread: u32) {
        let Some(there) = processor_of(thread) else { return };
        if self.here != Some(there) && there < CpuSet::MAX_CPU && self.allowed.is_set(there) {
            let mut one = CpuSet::new();
            one.set(there);
            self.here = sched_setaffinity(None, &one).is_ok().then_some(there);
        }
    }

    /// A processor that has nothing to do but a thread that runs as idle counts as idle, so that whoever is
    /// woken by that stays there. But where others compute, such a thread does not run.
    fn leave_idle_if_starved(&mut self) {
        let now = self.waited().unwrap_or(u64::MAX);
        let waited = now.saturating_sub(self.delay) / LOOK_AT_DELAY;
        self.delay = now;
        if u128::from(waited) > SLOW.as_nanos() {
            self.is_idle = !run_as(libc::SCHED_OTHER);
            self.idle_from = self.faults + AWAY;
        }
    }

    /// Nanoseconds that this thread could have run and did not.
    fn waited(&self) -> Option<u64> {
        let mut text = [0; 64];
        let len = self.delays.as_ref()?.read_at(&mut text, 0).ok()?;
        std::str::from_utf8(&text[..len]).ok()?.split_whitespace().nth(1)?.parse().ok()
    }
}

/// The processor on which a thread of this process was last.
fn processor_of(thread: u32) -> Option<usize> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    processor(&text)
}

/// Field 39 of `/proc/…/stat`. The second one is a name, which may have anything in it.
fn processor(text: &str) -> Option<usize> {
    let (_, from_third) = text.rsplit_once(')')?;
    from_third.split_whitespace().nth(39 - 3)?.parse().ok()
}

/// True if a thread that runs as idle can come back from that, which takes a privilege. To find out takes a
/// thread, so this is asked before any memory is paged: a thread reads what the C library keeps for the whole
/// process, and where a page of that is not there, whoever takes faults must not wait for the thread.
pub(crate) fn may_be_idle() -> bool {
    let there_and_back = || run_as(libc::SCHED_IDLE) && run_as(libc::SCHED_OTHER);
    // If not it is this thread that stays there.
    std::thread::Builder::new().spawn(there_and_back).is_ok_and(|thread| thread.join().unwrap_or(false))
}

/// Has the system schedule this thread by another policy.
fn run_as(policy: libc::c_int) -> bool {
    // SAFETY: a number, which is 0 for both policies.
    let parameters = unsafe { std::mem::zeroed::<libc::sched_param>() };
    // SAFETY: the structure lives as long as the call.
    unsafe { libc::sched_setscheduler(0, policy, &parameters) == 0 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn the_processor_is_known_whatever_the_threads_name_is() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        for name in ["a", ") R 1 2", "two words"] {
            assert_eq!(processor(&format!("17 ({name}) {}", fields.join(" "))), Some(39));
        }
        assert_eq!(processor("17 (a) R 1"), None);
        // SAFETY: a number.
        let own = unsafe { libc::gettid() };
        assert!(processor_of(own as u32).is_some());
    }

    #[test]
    fn faults_are_slow_when_most_of_them_are() {
        let handlers = Handlers::new();
        let micros = |micros| handlers.took(Duration::from_micros(micros));
        (0..100).for_each(|_| micros(10));
        micros(100_000);
        (0..8).for_each(|_| micros(10));
        assert!(!handlers.are_slow(), "one in a hundred");
        (0..20).for_each(|_| micros(80));
        assert!(handlers.are_slow());
        (0..20).for_each(|_| micros(10));
        assert!(!handlers.are_slow());
    }

    /// There is one leader at a time, and another one as soon as that hands over.
    #[test]
    fn one_leads_at_a_time() {
        let (handlers, leading) = (Arc::new(Handlers::new()), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (handlers, leading) = (handlers.clone(), leading.clone());
                std::thread::spawn(move || {
                    let mut turns = 0;
                    while handlers.lead() {
                        assert_eq!(leading.fetch_add(1, Relaxed), 0);
                        turns += 1;
                        leading.fetch_sub(1, Relaxed);
                        if turns == 100 {
                            handlers.end();
                        }
                        handlers.hand_over();
                    }
                    turns
                })
            })
            .collect();
        let turns: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(turns >= 100);
    }
}
