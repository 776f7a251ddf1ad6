//! Objects, from their first message to their last.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use mach_defs::gnu::mach::VmSize;
use mach_defs::gnu::memory_object;
use mig_runtime::SendRight;
use mig_runtime::kernel::NoWait;
use mig_runtime::kernel::local::Local;
use rustix::io;

use crate::VmError;
use crate::batch::BATCH;
use crate::core::{Core, MOMENT};
use crate::lock::lock;
use crate::object::{Manager, Object, Ports};
use crate::space::{PAGE, Space};

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

    /// Returns the resident pages of a range that their manager does not have, and drops the others.
    pub(crate) fn flush(&self, object: &Arc<Object>, range: std::ops::Range<usize>) {
        loop {
            self.rescue_all(object, range.clone());
            let mut state = self.lock();
            let victims = state.pages.take(object.id, range.clone(), BATCH);
            if victims.is_empty() {
                if !state.pages.is_unsettled(object.id, range.clone()) {
                    return;
                }
                // Nobody says when pages have been put aside.
                drop(self.wait(state, Some(MOMENT)));
                continue;
            }
            drop(state);
            if !self.take_away(&victims) {
                std::thread::sleep(MOMENT);
            }
        }
    }
}
