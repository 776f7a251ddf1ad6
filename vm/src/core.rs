//! The kernel's half: what it knows, and which thread does what with it.
//!
//! One thread takes faults (`faults`), others take what managers say (`managers`); `evict` takes pages away
//! for all, and `objects` makes and ends objects. All of them decide by [`Pages`] under one lock and act
//! after they have released it: no message is sent, and no page moved, with the lock held. No such thread
//! ever waits for a manager, except that the default manager may serve its messages in the thread that sends
//! them. What cannot be done at once is tried again a moment later: the thread that wants the page is woken,
//! and faults again.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ahash::AHashMap;
use mig_runtime::kernel::NoWait;
use mig_runtime::kernel::local::Local;
use mig_runtime::platform::Holding;
use mig_runtime::{Name, PortSet, SendRight};

use crate::batch::Batch;
use crate::handlers::Handlers;
use crate::latency::Recorder;
use crate::lock::lock;
use crate::object::{Flush, Object, Task};
use crate::pages::{ObjectId, Pages};
use crate::places::Places;
use crate::space::PAGE;
use crate::spares::Spares;
use crate::uffd::Told;
use crate::{Changes, Faults, Limits, Statistics, VmError};

/// How long it takes until something that could not be done is tried again.
pub(crate) const MOMENT: Duration = Duration::from_millis(1);

pub(crate) struct Core {
    pub(crate) task: Local,
    pub(crate) kernel: Task,
    /// The control ports of objects that were mapped. Their managers are served by a thread of their own.
    pub(crate) ports: PortSet<Task>,
    /// The control ports of anonymous memory, on which the default manager is served in its threads.
    pub(crate) own_ports: PortSet<Task>,
    pub(crate) manager: Mutex<SendRight<Task>>,
    pub(crate) places: Places,
    pub(crate) spares: Spares,
    pub(crate) hasher: ahash::RandomState,
    pub(crate) state: Mutex<State>,
    /// A page has come or gone, or a manager is ready.
    pub(crate) changed: Condvar,
    /// How many threads wait for that.
    pub(crate) waiting: AtomicUsize,
    pub(crate) handlers: Handlers,
    /// For the thread in which pages leave that the default manager wants back; `None` at the end.
    pub(crate) flushes: Mutex<Option<SyncSender<Flush>>>,
    pub(crate) patience: Duration,
    pub(crate) start: Instant,
    pub(crate) counts: Counts,
    pub(crate) latencies: Recorder,
    /// What tells what is in pages that the program has no access to, once there are such.
    pub(crate) own_memory: OnceLock<File>,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) rescued: AtomicU64,
    pub(crate) returned: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) destroyed: AtomicU64,
}

pub(crate) struct State {
    pub(crate) pages: Pages,
    pub(crate) objects: AHashMap<ObjectId, Arc<Object>>,
    pub(crate) by_address: BTreeMap<u64, Arc<Object>>,
    pub(crate) by_control: AHashMap<Name, Arc<Object>>,
    /// Pages that were put aside.
    pub(crate) batches: AHashMap<u64, Arc<Batch>>,
}

impl State {
    /// Makes an object one that is found by its number and by its addresses.
    pub(crate) fn insert(&mut self, object: Object) -> Arc<Object> {
        let object = Arc::new(object);
        self.objects.insert(object.id, object.clone());
        self.by_address.insert(object.space.start(), object.clone());
        object
    }

    /// The object and the page of an address.
    pub(crate) fn at(&self, address: u64) -> Option<(Arc<Object>, usize)> {
        let (start, object) = self.by_address.range(..=address).next_back()?;
        let offset = usize::try_from(address - start).ok()?;
        (offset < object.space.len()).then(|| (object.clone(), offset / PAGE))
    }

    /// Pages of a batch come back, or leave it: whoever has it last gives its memory back.
    pub(crate) fn batch(&self, number: u64) -> Option<Arc<Batch>> {
        self.batches.get(&number).cloned()
    }
}

/// The state, locked: nothing is sent meanwhile.
pub(crate) struct Locked<'a> {
    state: MutexGuard<'a, State>,
    holding: Holding,
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Core {
    pub(crate) fn new(task: Local, limits: Limits, flushes: SyncSender<Flush>) -> Result<Self, VmError> {
        let frames = limits.resident / PAGE;
        if frames < Limits::LEAST / PAGE {
            return Err(VmError::LimitTooSmall(limits.resident));
        }
        let kernel = NoWait::new(task.clone());
        let places = match limits.faults {
            Faults::Thread => Places::touched(Told::Reader, limits.changes == Changes::Protected)?,
            Faults::Signal => Places::touched(Told::Toucher, false)?,
            Faults::Calls => Places::called(frames)?,
        };
        let hasher = ahash::RandomState::new();
        let zeros = hash(&hasher, &[0; PAGE]);
        let state = State {
            pages: Pages::new(frames, zeros, places.are_protected()),
            objects: AHashMap::new(),
            by_address: BTreeMap::new(),
            by_control: AHashMap::new(),
            batches: AHashMap::new(),
        };
        Ok(Self {
            ports: PortSet::allocate(&kernel)?,
            own_ports: PortSet::allocate(&kernel)?,
            manager: Mutex::new(SendRight::null(kernel.clone())),
            places,
            spares: Spares::default(),
            hasher,
            state: Mutex::new(state),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
            handlers: Handlers::new(),
            flushes: Mutex::new(Some(flushes)),
            patience: limits.patience,
            start: Instant::now(),
            counts: Counts::default(),
            latencies: Recorder::default(),
            own_memory: OnceLock::new(),
            kernel,
            task,
        })
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let state = self.lock();
        let (resident, peak_resident) = (state.pages.used() * PAGE, state.pages.peak() * PAGE);
        let Counts { requests, rescued, returned, dropped, destroyed } = &self.counts;
        Statistics {
            resident,
            peak_resident,
            requests: requests.load(Relaxed),
            rescued: rescued.load(Relaxed),
            returned: returned.load(Relaxed),
            dropped: dropped.load(Relaxed),
            destroyed: destroyed.load(Relaxed),
        }
    }

    /// Nobody leaves the state half changed, panics included.
    pub(crate) fn lock(&self) -> Locked<'_> {
        let holding = Holding::lock();
        Locked { state: lock(&self.state), holding }
    }

    /// Waits until something has changed, for as long as this if it is said.
    pub(crate) fn wait<'a>(&self, locked: Locked<'a>, time: Option<Duration>) -> Locked<'a> {
        let Locked { state, holding } = locked;
        // With the lock held, so that whoever changes something after this knows of it.
        self.waiting.fetch_add(1, Relaxed);
        let state = match time {
            Some(time) => self
                .changed
                .wait_timeout(state, time)
                .map_or_else(|error| error.into_inner().0, |(state, _)| state),
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
        self.waiting.fetch_sub(1, Relaxed);
        Locked { state, holding }
    }

    /// Something has changed, and the lock is free again. Most of the time nobody waits, and the system is
    /// not asked to wake anybody.
    pub(crate) fn tell(&self) {
        if self.waiting.load(Relaxed) > 0 {
            self.changed.notify_all();
        }
    }

    /// Pages are in their places.
    pub(crate) fn placed(&self, object: &Object, page: usize) {
        self.placed_all(object, page..page + 1);
    }

    pub(crate) fn placed_all(&self, object: &Object, pages: impl Iterator<Item = usize>) {
        let mut state = self.lock();
        pages.for_each(|page| state.pages.placed(object.id, page));
        drop(state);
        self.tell();
    }

    /// A page cannot be had any more.
    pub(crate) fn failed(&self, object: &Object, page: usize) {
        self.places.poison(&object.space, page);
        self.tell();
    }

    /// Microseconds since this began.
    pub(crate) fn now(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

/// What tells whether a page was changed. The key is random, so that nobody can make a page that passes for
/// another.
pub(crate) fn hash(hasher: &ahash::RandomState, page: &[u8]) -> u64 {
    hasher.hash_one(page)
}
