//! What happens when a thread touches a page that is not there.

use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use mach_defs::gnu::mach::VmSize;
use mach_defs::gnu::memory_object;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::core::{Core, MOMENT};
use crate::handlers::Place;
use crate::object::{NotSent, Object};
use crate::pages::{Ahead, Fault};
use crate::places::Places;
use crate::space::PAGE;
use crate::uffd::{Event, Uffd};

const VM_PROT_READ: i32 = 1;
const VM_PROT_WRITE: i32 = 2;

/// How long a thread waits for its page until it looks whether a manager is to be given up.
const LOOK: Duration = Duration::from_millis(50);

/// A page that a thread waits for.
type Wanted = (Arc<Object>, usize);

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
    /// Takes faults, in turns with other threads, until `stop` can be read. `place` is where this thread
    /// stays, if it is to.
    pub(crate) fn run(&self, stop: &impl AsFd, mut place: Option<Place>) {
        let Places::Touched { memory, .. } = &self.places else { return };
        while self.handlers.lead() {
            if !self.lead(memory, stop, &mut place) {
                self.handlers.end();
            }
        }
    }

    /// Takes faults until another thread does, or until `stop` can be read; then this is false.
    fn lead(&self, memory: &Uffd, stop: &impl AsFd, place: &mut Option<Place>) -> bool {
        let mut again = Vec::new();
        let mut looked = Instant::now();
        let mut leads = true;
        while leads {
            let mut fds = [PollFd::new(memory, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
            let timeout = self.next_look(&again).map(|time| Timespec {
                tv_sec: time.as_secs() as i64,
                tv_nsec: i64::from(time.subsec_nanos()),
            });
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return false,
            }
            if fds[1].revents().contains(PollFlags::IN) {
                return false;
            }
            // An event that is read must be served by this thread.
            while leads {
                let Ok(Some(event)) = memory.next_fault() else { break };
                if self.handlers.are_slow() {
                    self.handlers.hand_over();
                    leads = false;
                    place.iter_mut().for_each(Place::leave);
                }
                self.take(event, &mut again);
                if let Some(place) = place.as_mut().filter(|_| leads) {
                    place.took_fault_of(event.thread);
                }
            }
            if !again.is_empty() || looked.elapsed() > self.patience / 4 {
                self.look_after(&mut again);
                looked = Instant::now();
            }
        }
        true
    }

    fn take(&self, event: Event, again: &mut Vec<Wanted>) {
        let start = Instant::now();
        let place = self.lock().at(event.address);
        let Some((object, page)) = place else { return };
        if event.is_protected {
            self.wrote(&object, page);
        } else if self.fault(&object, page) == Outcome::Blocked {
            again.push((object, page));
            return;
        }
        let time = start.elapsed();
        self.handlers.took(time);
        self.latencies.record(time);
    }

    /// Somebody writes to a page that is protected. With the lock held, so that it is the same page still.
    fn wrote(&self, object: &Object, page: usize) {
        let mut state = self.lock();
        if state.pages.wrote(object.id, page) {
            self.places.unprotect(&object.space, page);
        }
    }

    /// How long the thread of faults may sleep.
    fn next_look(&self, again: &[Wanted]) -> Option<Duration> {
        if !again.is_empty() {
            return Some(MOMENT);
        }
        self.lock().pages.is_anything_owed().then(|| (self.patience / 4).max(MOMENT))
    }

    /// Gives another try to what could not be done, and gives up on managers that owe an answer for too long.
    fn look_after(&self, again: &mut Vec<Wanted>) {
        self.give_up_and_try(!again.is_empty());
        if !again.is_empty() {
            // They fault again at once if there is still no room.
            std::thread::yield_now();
        }
        again.drain(..).for_each(|(object, page)| self.places.wake(&object.space, page, 1));
    }

    pub(crate) fn give_up_and_try(&self, again: bool) {
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

    /// Brings a page in the thread that wants it. False if it cannot be had.
    pub(crate) fn bring(&self, object: &Arc<Object>, page: usize) -> bool {
        loop {
            match self.fault(object, page) {
                Outcome::Here => return true,
                Outcome::Failed => return false,
                Outcome::Coming => {
                    self.wait_for(object, page);
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
    fn wait_for(&self, object: &Object, page: usize) {
        let state = self.lock();
        if state.pages.is_coming(object.id, page) {
            drop(self.wait(state, Some((self.patience / 4).clamp(MOMENT, LOOK))));
        }
    }

    /// Somebody waits for a page.
    fn fault(&self, object: &Arc<Object>, page: usize) -> Outcome {
        for has_made_room in [false, true] {
            let mut state = self.lock();
            let now = self.now();
            let what = state.pages.fault(object.id, page, now);
            let aside = if let Fault::Rescue(rescue) = what { state.batch(rescue.batch) } else { None };
            drop(state);
            match what {
                Fault::Wake => {
                    self.places.wake(&object.space, page, 1);
                    return Outcome::Here;
                }
                Fault::Wait => return Outcome::Coming,
                Fault::Fail => {
                    self.places.poison(&object.space, page);
                    return Outcome::Failed;
                }
                Fault::Zero => {
                    self.make_room_for_new_frames();
                    self.places.place_zeros(&object.space, page);
                    self.placed(object, page);
                    return Outcome::Here;
                }
                Fault::Inherit => {
                    let is_here = self.take_inherited(object, page);
                    return if is_here { Outcome::Here } else { Outcome::Failed };
                }
                Fault::Rescue(rescue) => {
                    self.rescue(object, aside, rescue);
                    return Outcome::Here;
                }
                Fault::Request(count) if self.request(object, page, count) => return Outcome::Coming,
                Fault::Request(_) => return Outcome::Blocked,
                Fault::NoRoom if has_made_room => return Outcome::Blocked,
                Fault::NoRoom => drop(self.make_room()),
            }
        }
        Outcome::Blocked
    }

    /// Puts a copy of pages in their place, from this one on, and wakes whoever waits for one of them.
    pub(crate) fn put(&self, object: &Object, page: usize, data: &[u8]) {
        let done = match &self.places {
            // A frame that is moved there is not protected.
            Places::Touched { memory, protects: false, .. } if object.writable => {
                self.spares.place(memory, object.space.page(page), data)
            }
            _ => 0,
        };
        if done < data.len() {
            self.make_room_for_new_frames();
            self.places.place(&object.space, page + done / PAGE, &data[done..]);
        }
    }

    /// Frames that are not in use are for as many pages as may come still.
    pub(crate) fn make_room_for_new_frames(&self) {
        if self.spares.are_there() {
            let room = self.lock().pages.room();
            self.spares.keep(room);
        }
    }

    /// Asks for those of these pages that are not here, and waits for none. Where that cannot be done, they
    /// come when they are touched.
    pub(crate) fn will_need(&self, object: &Arc<Object>, pages: Range<usize>) {
        let most = self.lock().pages.most_ahead();
        let (mut next, end) = (pages.start, pages.end.min(pages.start.saturating_add(most)));
        let mut has_made_room = false;
        while next < end {
            let now = self.now();
            let what = self.lock().pages.will_need(object.id, next, end - next, now);
            match what {
                Ahead::Request(count) if self.request(object, next, count) => next += count,
                Ahead::NoRoom if !has_made_room && self.make_room() => has_made_room = true,
                Ahead::Request(_) | Ahead::NoRoom => return,
                Ahead::Nothing => next += 1,
            }
        }
    }

    /// Asks an object's manager for pages. False if it has no room for the message.
    fn request(&self, object: &Arc<Object>, page: usize, count: usize) -> bool {
        self.counts.requests.fetch_add(count as u64, Relaxed);
        let offset = object.place(page);
        let access = if object.writable { VM_PROT_READ | VM_PROT_WRITE } else { VM_PROT_READ };
        let sent = self.send(object, |ports| {
            let (to, control) = (&ports.object, &ports.control);
            Ok(memory_object::memory_object_data_request(
                to,
                control,
                offset,
                (count * PAGE) as VmSize,
                access,
            )?)
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
    fn not_requested(&self, object: &Object, pages: Range<usize>) {
        let mut state = self.lock();
        pages.clone().for_each(|page| state.pages.not_requested(object.id, page));
        drop(state);
        self.tell();
        self.places.wake(&object.space, pages.start + 1, pages.len() - 1);
    }
}
