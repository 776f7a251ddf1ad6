//! Objects, from their first message to their last.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use mach_defs::gnu::mach::{VmOffset, VmSize};
use mach_defs::gnu::{memory_object, memory_object_default};
use mig_runtime::kernel::NoWait;
use mig_runtime::kernel::local::Local;
use mig_runtime::platform::Holding;
use mig_runtime::{AnyRight, CallError, KernReturn, PortSet, ReceiveRight, SendRight};
use rustix::io;

use crate::VmError;
use crate::core::{Core, State, Task};
use crate::evict::BATCH;
use crate::faults::MOMENT;
use crate::lock::lock;
use crate::pages::ObjectId;
use crate::source::Source;
use crate::space::{PAGE, Space};

/// An object and its memory.
pub(crate) struct Object {
    pub(crate) id: ObjectId,
    pub(crate) space: Space,
    pub(crate) writable: bool,
    /// The manager had it before it was mapped, and keeps it.
    pub(crate) external: bool,
    /// Where in the manager's object it begins, in bytes.
    pub(crate) offset: u64,
    pub(crate) ports: Mutex<Manager>,
    pub(crate) ready: Mutex<Option<Attributes>>,
    /// Pages that cannot be written.
    pub(crate) protected: Mutex<BTreeSet<usize>>,
    /// Where pages are that the process has from its parent.
    pub(crate) source: Option<Arc<dyn Source>>,
}

/// Who manages an object.
#[derive(Default)]
pub(crate) enum Manager {
    /// Nobody yet.
    #[default]
    None,
    /// The default manager is being told.
    Making,
    Known(Arc<Ports>),
}

/// What a manager has said of its object.
#[derive(Clone, Copy)]
pub(crate) struct Attributes {
    pub(crate) may_cache: bool,
    pub(crate) copy_strategy: i32,
}

/// A `memory_object_lock_request`.
pub(crate) struct Flush {
    pub(crate) object: Arc<Object>,
    pub(crate) offset: VmOffset,
    pub(crate) size: VmSize,
    pub(crate) reply_to: AnyRight<'static, Task>,
}

/// The rights of an object that has a manager.
pub(crate) struct Ports {
    pub(crate) object: SendRight<Task>,
    pub(crate) control: ReceiveRight<Task>,
    pub(crate) name: ReceiveRight<Task>,
}

impl Ports {
    /// The rights of a `memory_object_terminate` that was not sent.
    fn of_terminate(error: CallError<Task>) -> Option<Self> {
        let mut message = error.into_unsent()?;
        let AnyRight::MoveSend(object) = message.take_destination()? else { return None };
        let (control, name) =
            message.read(|mut body| Some((body.receive_right().ok()?, body.receive_right().ok()?)))?;
        Some(Self { object, control, name })
    }
}

/// Why a message did not go out.
pub(crate) enum NotSent {
    /// The manager's queue is full.
    Full,
    Gone,
}

impl From<CallError<Task>> for NotSent {
    fn from(error: CallError<Task>) -> Self {
        if error.code() == KernReturn::MACH_SEND_TIMED_OUT { Self::Full } else { Self::Gone }
    }
}

/// An offset or a size, of which some targets have short ones.
pub(crate) fn wide(value: impl Into<u64>) -> u64 {
    value.into()
}

impl State {
    /// Makes an object one that is found by its number and by its addresses.
    pub(crate) fn insert(&mut self, object: Object) -> Arc<Object> {
        let object = Arc::new(object);
        self.objects.insert(object.id, object.clone());
        self.by_address.insert(object.space.start(), object.clone());
        object
    }
}

impl Object {
    /// Memory that is this process's own, and has no manager yet.
    pub(crate) fn anonymous(id: ObjectId, space: Space) -> Self {
        Self {
            id,
            space,
            writable: true,
            external: false,
            offset: 0,
            ports: Mutex::default(),
            ready: Mutex::default(),
            protected: Mutex::default(),
            source: None,
        }
    }

    /// Where a page is in the manager's object.
    pub(crate) fn place(&self, page: usize) -> VmOffset {
        // No mapping goes beyond what this type has.
        (self.offset + (page * PAGE) as u64) as VmOffset
    }

    /// The pages of a range of the manager's object that are mapped here, by the number that they have here.
    pub(crate) fn range(&self, offset: VmOffset, size: VmSize) -> std::ops::Range<usize> {
        let (offset, size) = (wide(offset), wide(size));
        let pages = self.space.len() / PAGE;
        let page = |at: u64| {
            usize::try_from(at.saturating_sub(self.offset) / PAGE as u64).map_or(pages, |at| at.min(pages))
        };
        page(offset)..page(offset.saturating_add(size).saturating_add(PAGE as u64 - 1))
    }
}

impl Core {
    /// Anonymous memory, which gets a manager when the first of its pages has to go.
    pub(crate) fn allocate(
        &self,
        space: impl FnOnce(&Self) -> io::Result<Space>,
    ) -> Result<Arc<Object>, VmError> {
        if !lock(&self.manager).name().is_valid() {
            return Err(VmError::NoManager);
        }
        self.add(space(self)?, true, 0, None)
    }

    /// Memory that a manager has already.
    pub(crate) fn map(
        &self,
        right: SendRight<Local>,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Arc<Object>, VmError> {
        let space = self.places.space(len, writable)?;
        let ports = self.new_ports(NoWait::right(Local::transfer(right, &self.task)?), &self.ports)?;
        let mut object = self.add(space, writable, offset, Some(ports.clone()))?;
        let started = self.patiently(&object, (), |()| {
            memory_object::memory_object_init(&ports.object, &ports.control, &ports.name, PAGE as VmSize)
                .map_err(|error| (error.code(), Some(())))
        });
        drop(ports);
        let ready = match started {
            Ok(()) => self.wait_until_ready(&object),
            Err(code) => Err(VmError::Kernel(code)),
        };
        if let Err(error) = ready {
            self.bury(&object);
            self.remove(&mut object);
            return Err(error);
        }
        Ok(object)
    }

    fn wait_until_ready(&self, object: &Object) -> Result<(), VmError> {
        let end = Instant::now() + self.patience;
        let mut state = self.lock();
        while lock(&object.ready).is_none() && !state.pages.is_dead(object.id) {
            let Some(left) = end.checked_duration_since(Instant::now()) else { break };
            state = self.wait(state, Some(left));
        }
        match (&*lock(&object.ready), state.pages.is_dead(object.id)) {
            (Some(_), false) => Ok(()),
            (_, true) => Err(VmError::Refused),
            (None, false) => Err(VmError::NotReady),
        }
    }

    fn add(
        &self,
        space: Space,
        writable: bool,
        offset: u64,
        ports: Option<Arc<Ports>>,
    ) -> Result<Arc<Object>, VmError> {
        self.places.register(&space)?;
        let control = ports.as_ref().map(|ports| ports.control.name());
        let external = control.is_some();
        let mut state = self.lock();
        let id = state.pages.add(space.len() / PAGE, external);
        let ports = ports.map_or(Manager::None, Manager::Known);
        let ports = Mutex::new(ports);
        let object =
            state.insert(Object { writable, external, offset, ports, ..Object::anonymous(id, space) });
        state.by_control.extend(control.map(|control| (control, object.clone())));
        Ok(object)
    }

    /// The rights of an object, whose control port is served in `set`.
    fn new_ports(&self, object: SendRight<Task>, set: &PortSet<Task>) -> Result<Arc<Ports>, KernReturn> {
        let (control, name) = (ReceiveRight::allocate(&self.kernel)?, ReceiveRight::allocate(&self.kernel)?);
        // A kernel's port makes nobody wait. What is asked of a manager at once is bounded by the frames that
        // wait for it.
        self.task.set_queue_limit(control.name(), 4096)?;
        set.insert(&control)?;
        Ok(Arc::new(Ports { object, control, name }))
    }

    /// The rights of an object, which gets the default manager if it has none yet. While another thread sees
    /// to that, there is no room for messages.
    pub(crate) fn ports_of(&self, object: &Object) -> Result<Arc<Ports>, NotSent> {
        let mut manager = lock(&object.ports);
        match &*manager {
            Manager::Known(ports) => return Ok(ports.clone()),
            Manager::Making => return Err(NotSent::Full),
            Manager::None => *manager = Manager::Making,
        }
        drop(manager);
        let made = self.give_manager(object);
        *lock(&object.ports) = match &made {
            Ok(ports) => Manager::Known(ports.clone()),
            Err(_) => Manager::None,
        };
        made
    }

    /// Makes the default manager that of an object.
    fn give_manager(&self, object: &Object) -> Result<Arc<Ports>, NotSent> {
        let gone = |_| NotSent::Gone;
        let manager = lock(&self.manager).try_clone().map_err(gone)?;
        let port = ReceiveRight::allocate(&self.kernel).map_err(gone)?;
        let made = port.make_send().and_then(|right| self.new_ports(right, &self.own_ports)).map_err(gone)?;
        let mut state = self.lock();
        let shared = state.objects.get(&object.id).cloned().ok_or(NotSent::Gone)?;
        state.by_control.insert(made.control.name(), shared);
        drop(state);
        let (size, Ports { control, name, .. }) = (object.space.len() as VmSize, &*made);
        let sent =
            memory_object_default::memory_object_create(manager, port, size, control, name, PAGE as VmSize);
        if let Err(error) = sent {
            self.lock().by_control.remove(&control.name());
            return Err(error.into());
        }
        Ok(made)
    }

    /// Forgets an object that nobody touches any more: what its manager does not have is returned first. Then
    /// no thread of this half has it any more, so that its addresses are the caller's to give away.
    pub(crate) fn remove(&self, object: &mut Arc<Object>) {
        if object.writable && object.external {
            self.flush(object, 0..usize::MAX);
        }
        self.rescue_all(object, 0..usize::MAX);
        let mut state = self.lock();
        while state.pages.is_busy(object.id) {
            state = self.wait(state, None);
        }
        state.pages.remove(object.id);
        state.objects.remove(&object.id);
        state.by_address.remove(&object.space.start());
        let manager = std::mem::take(&mut *lock(&object.ports));
        if let Manager::Known(ports) = &manager {
            state.by_control.remove(&ports.control.name());
        }
        drop(state);
        // A thread may be about to let go of it that has seen the last of its pages leave.
        while Arc::get_mut(object).is_none() {
            std::thread::yield_now();
        }
        let Manager::Known(ports) = manager else { return };
        // Whoever sends with the ports has the object, too.
        let Some(ports) = Arc::into_inner(ports) else { return };
        let _ = ports.control.leave_set();
        // A manager that takes no message hears of the end by the death of the ports.
        let _ = self.patiently(object, ports, |Ports { object, control, name }| {
            memory_object::memory_object_terminate(object, control, name)
                .map_err(|error| (error.code(), Ports::of_terminate(error)))
        });
    }

    /// Sends a message in the user's thread: again as long as the manager's queue is full, until it has been
    /// full for too long. A send that fails says why, and gives back what it was given.
    fn patiently<T>(
        &self,
        object: &Object,
        mut rights: T,
        send: impl Fn(T) -> Result<(), (KernReturn, Option<T>)>,
    ) -> Result<(), KernReturn> {
        let _queued = object.external.then(Holding::turn);
        let end = Instant::now() + self.patience;
        loop {
            rights = match send(rights) {
                Ok(()) => return Ok(()),
                Err((KernReturn::MACH_SEND_TIMED_OUT, Some(rights))) if Instant::now() < end => rights,
                Err((code, _)) => return Err(code),
            };
            std::thread::sleep(MOMENT);
        }
    }

    /// Returns the resident pages of a range that their manager does not have, and drops the others.
    pub(crate) fn flush(&self, object: &Arc<Object>, range: std::ops::Range<usize>) {
        loop {
            self.rescue_all(object, range.clone());
            let mut state = self.lock();
            let victims = state.pages.take(object.id, range.clone(), BATCH);
            if victims.is_empty() {
                if !state.pages.is_held(object.id, range.clone()) {
                    return;
                }
                drop(self.wait(state, None));
                continue;
            }
            drop(state);
            if !self.take_away(&victims) {
                std::thread::sleep(MOMENT);
            }
        }
    }

    /// An object's manager is gone, or as good as gone.
    pub(crate) fn bury(&self, object: &Object) {
        let mut state = self.lock();
        if state.pages.is_dead(object.id) {
            return;
        }
        let failed = state.pages.bury(object.id);
        drop(state);
        self.counts.destroyed.fetch_add(1, Relaxed);
        for page in failed {
            self.places.poison(&object.space, page);
        }
        self.tell();
    }
}
