//! What managers are told, and what becomes of an object whose manager cannot be.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use mach_defs::gnu::mach::VmSize;
use mach_defs::gnu::memory_object_default;
use mig_runtime::platform::Holding;
use mig_runtime::{KernReturn, PortSet, ReceiveRight, SendRight};

use crate::core::{Core, MOMENT};
use crate::lock::lock;
use crate::object::{Manager, NotSent, Object, Ports, Task};
use crate::space::PAGE;

impl Core {
    /// Sends to an object's manager. One that was not trusted with all memory is not let into this thread,
    /// which others wait for.
    pub(crate) fn send<R>(
        &self,
        object: &Object,
        send: impl FnOnce(&Ports) -> Result<R, NotSent>,
    ) -> Result<R, NotSent> {
        let _queued = object.external.then(Holding::turn);
        send(&*self.ports_of(object)?)
    }

    /// The rights of an object, whose control port is served in `set`.
    pub(crate) fn new_ports(
        &self,
        object: SendRight<Task>,
        set: &PortSet<Task>,
    ) -> Result<Arc<Ports>, KernReturn> {
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

    /// Sends a message in the user's thread: again as long as the manager's queue is full, until it has been
    /// full for too long. A send that fails says why, and gives back what it was given.
    pub(crate) fn patiently<T>(
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

    /// A manager has no room for a message. It is given up when that has been so for too long.
    pub(crate) fn wait_no_more(&self, object: &Object) {
        let now = self.now();
        let since = self.lock().pages.took_nothing(object.id, now);
        // Another thread may have read the clock later than this one and said so earlier.
        if now.saturating_sub(since) > self.patience.as_micros() as u64 {
            self.bury(object);
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
