//! What happens when a thread touches a page that is not there.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use mach_defs::gnu::memory_object;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::core::{Core, State};
use crate::objects::{NotSent, Object};
use crate::pages::Fault;
use crate::space::PAGE;

const VM_PROT_READ: i32 = 1;
const VM_PROT_WRITE: i32 = 2;

/// How long it takes until something that could not be done is tried again.
pub(crate) const MOMENT: Duration = Duration::from_millis(1);

impl State {
    /// The object and the page of an address.
    fn at(&self, address: u64) -> Option<(Arc<Object>, usize)> {
        let (start, object) = self.by_address.range(..=address).next_back()?;
        let offset = usize::try_from(address - start).ok()?;
        (offset < object.space.len()).then(|| (object.clone(), offset / PAGE))
    }
}

/// How long a thread waits for its page until it looks whether a manager is to be given up.
const LOOK: Duration = Duration::from_millis(50);

/// What became of a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Here,
    Coming,
    /// It must be looked at again.
    Blocked,
    Failed,
}

impl Core {
    /// Takes faults until `stop` can be read.
    pub(crate) fn run(&self, stop: &impl AsFd) {
        let mut again = Vec::new();
        loop {
            let mut fds = [PollFd::new(&self.uffd, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
            let timeout = self.next_look(&again).map(|time| Timespec {
                tv_sec: time.as_secs() as i64,
                tv_nsec: i64::from(time.subsec_nanos()),
            });
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            if fds[1].revents().contains(PollFlags::IN) {
                return;
            }
            while let Ok(Some(address)) = self.uffd.next_fault() {
                let start = Instant::now();
                match self.fault(address) {
                    Outcome::Blocked => again.push(address),
                    _ => self.latencies.record(start.elapsed()),
                }
            }
            self.look_after(&mut again);
        }
    }

    /// How long the thread of faults may sleep.
    fn next_look(&self, again: &[u64]) -> Option<Duration> {
        if !again.is_empty() {
            return Some(MOMENT);
        }
        self.lock().pages.is_anything_owed().then(|| (self.patience / 4).max(MOMENT))
    }

    /// Gives another try to what could not be done, and gives up on managers that owe an answer for too long.
    fn look_after(&self, again: &mut Vec<u64>) {
        self.give_up_and_try(!again.is_empty());
        if !again.is_empty() {
            // They fault again at once if there is still no room.
            std::thread::yield_now();
        }
        for address in again.drain(..) {
            let _ = self.uffd.wake(address, 1);
        }
    }

    fn give_up_and_try(&self, again: bool) {
        let then = self.now().saturating_sub(self.patience.as_micros() as u64);
        let mut state = self.lock();
        if again {
            state.pages.unblock();
        }
        let overdue: Vec<Arc<Object>> =
            state.pages.overdue(then).iter().filter_map(|id| state.objects.get(id).cloned()).collect();
        drop(state);
        overdue.iter().for_each(|object| self.bury(object));
    }

    /// True if this address is of a mapping.
    pub(crate) fn has(&self, address: u64) -> bool {
        self.lock().at(address).is_some()
    }

    /// Brings a page in the thread that touches it. False if it cannot be had.
    pub(crate) fn bring(&self, address: u64) -> bool {
        loop {
            match self.fault(address) {
                Outcome::Here => return true,
                Outcome::Failed => return false,
                Outcome::Coming => {
                    self.wait_for(address);
                    self.give_up_and_try(false);
                }
                Outcome::Blocked => {
                    std::thread::sleep(MOMENT);
                    self.give_up_and_try(true);
                }
            }
        }
    }

    /// Waits until something may have become of a page that is about to come.
    fn wait_for(&self, address: u64) {
        let state = self.lock();
        let is_coming = |(object, page): (Arc<Object>, usize)| state.pages.is_coming(object.id, page);
        if state.at(address).is_some_and(is_coming) {
            drop(self.wait(state, Some((self.patience / 4).clamp(MOMENT, LOOK))));
        }
    }

    /// Somebody waits for a page.
    fn fault(&self, address: u64) -> Outcome {
        for has_made_room in [false, true] {
            let mut state = self.lock();
            let Some((object, page)) = state.at(address) else { return Outcome::Failed };
            let now = self.now();
            let what = state.pages.fault(object.id, page, now);
            drop(state);
            match what {
                Fault::Wake => {
                    let _ = self.uffd.wake(address, 1);
                    return Outcome::Here;
                }
                Fault::Wait => return Outcome::Coming,
                Fault::Fail => {
                    self.poison(address);
                    return Outcome::Failed;
                }
                Fault::Zero => {
                    let _ = self.uffd.place_zeros(address);
                    self.placed(&object, page);
                    return Outcome::Here;
                }
                Fault::Request(count) if self.request(&object, page, count) => return Outcome::Coming,
                Fault::Request(_) => return Outcome::Blocked,
                Fault::NoRoom if has_made_room => return Outcome::Blocked,
                Fault::NoRoom => drop(self.make_room()),
            }
        }
        Outcome::Blocked
    }

    pub(crate) fn placed(&self, object: &Object, page: usize) {
        self.placed_all(object, page..page + 1);
    }

    pub(crate) fn placed_all(&self, object: &Object, pages: std::ops::Range<usize>) {
        let mut state = self.lock();
        pages.for_each(|page| state.pages.placed(object.id, page));
        drop(state);
        self.changed.notify_all();
    }

    /// Asks an object's manager for pages. False if it has no room for the message.
    fn request(&self, object: &Arc<Object>, page: usize, count: usize) -> bool {
        self.counts.requests.fetch_add(count as u64, Relaxed);
        let offset = object.offset + (page * PAGE) as u64;
        let access = if object.writable { VM_PROT_READ | VM_PROT_WRITE } else { VM_PROT_READ };
        let sent = self.send(object, |ports| {
            let (to, control) = (&ports.object, &ports.control);
            Ok(memory_object::memory_object_data_request(to, control, offset, (count * PAGE) as u64, access)?)
        });
        match sent {
            Ok(()) => self.lock().pages.took_message(object.id),
            Err(NotSent::Gone) => self.bury(object),
            Err(NotSent::Full) => {
                self.not_requested(object, page..page + count);
                self.wait_no_more(object);
                return false;
            }
        }
        true
    }

    /// Whoever waits for one of these pages meanwhile asks again.
    fn not_requested(&self, object: &Object, pages: std::ops::Range<usize>) {
        let mut state = self.lock();
        pages.clone().for_each(|page| state.pages.not_requested(object.id, page));
        drop(state);
        self.changed.notify_all();
        let _ = self.uffd.wake(object.space.page(pages.start) + PAGE as u64, pages.len() - 1);
    }

    /// A manager has no room for a message. It is given up when that has been so for too long.
    pub(crate) fn wait_no_more(&self, object: &Object) {
        let now = self.now();
        let since = self.lock().pages.took_nothing(object.id, now);
        // Another thread may have read the clock later than this one and said so earlier.
        if now.saturating_sub(since) > self.patience.as_micros() as u64 {
            self.bury(object);
        }
    }
}
