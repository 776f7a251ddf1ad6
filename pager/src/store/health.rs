//! Whether a device is at work: a bad spot is told from an outage, after which everything is as it was.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;

use mig_runtime::platform::{Condvar as _, Mutex, Platform};

/// How long a device is left alone once it has failed everywhere, and how long at most when it goes on to.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

/// How long reads wait for the end of an outage, from its beginning on. Later ones fail at once, until it
/// ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a read is tried again meanwhile.
const AGAIN: Duration = Duration::from_millis(50);

/// Whether a device is at work.
pub(super) struct Health<P: Platform> {
    outage: Mutex<P, Option<Outage>>,
    /// There is none: what each write asks, without the lock.
    is_good: AtomicBool,
    /// An outage has ended, or nobody is to wait for that.
    ended: P::Condvar,
    /// Nobody is to wait for the end of an outage any more.
    is_stopped: AtomicBool,
}

/// Times are those of [`Platform::now`].
struct Outage {
    since: u64,
    /// No write is tried until then.
    until: u64,
    pause: Duration,
}

impl<P: Platform> Default for Health<P> {
    fn default() -> Self {
        let [is_good, is_stopped] = [true, false].map(AtomicBool::new);
        Self { outage: Mutex::<P, _>::new(None), is_good, ended: P::Condvar::default(), is_stopped }
    }
}

impl<P: Platform> Health<P> {
    /// True unless there is an outage.
    pub(super) fn is_good(&self) -> bool {
        self.is_good.load(Relaxed)
    }

    /// True if a write may be tried. During an outage that is one at the end of each pause.
    pub(super) fn admits(&self) -> bool {
        if self.is_good() {
            return true;
        }
        let mut outage = self.outage.lock();
        let Some(outage) = &mut *outage else { return true };
        let now = P::now();
        let is_due = now >= outage.until;
        if is_due {
            outage.until = now + nanos(outage.pause);
        }
        is_due
    }

    /// The device has failed everywhere it was tried. True if an outage begins by that.
    pub(super) fn failed(&self) -> bool {
        let now = P::now();
        let mut outage = self.outage.lock();
        let pause = outage.as_ref().map_or(PAUSES[0], |outage| (outage.pause * 2).min(PAUSES[1]));
        let since = outage.as_ref().map_or(now, |outage| outage.since);
        self.is_good.store(false, Relaxed);
        outage.replace(Outage { since, until: now + nanos(pause), pause }).is_none()
    }

    /// The device has done something.
    pub(super) fn worked(&self) {
        let mut outage = self.outage.lock();
        self.is_good.store(true, Relaxed);
        if outage.take().is_some() {
            drop(outage);
            self.ended.notify_all();
        }
    }

    /// Ends every wait, now and later.
    pub(super) fn stop_waiting(&self) {
        // With the lock, so that it does not happen between a look at it and the wait.
        let outage = self.outage.lock();
        self.is_stopped.store(true, Relaxed);
        drop(outage);
        self.ended.notify_all();
    }

    /// Waits a moment for the end of an outage. False if it lasts for too long already, or nobody is to wait.
    pub(super) fn wait(&self) -> bool {
        let mut outage = self.outage.lock();
        if self.is_stopped.load(Relaxed) {
            return false;
        }
        match &*outage {
            Some(outage) if P::now() - outage.since > nanos(PATIENCE) => return false,
            Some(_) => self.ended.wait_for(&mut outage, AGAIN),
            None => true,
        };
        true
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}
