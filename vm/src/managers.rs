//! What managers say: the routines of the interface `mach` that are sent to an object's control port.

use std::sync::Arc;

use mach_defs::gnu::mach::{Mach, MemoryObjectGetAttributesReply};
use mach_defs::gnu::memory_object;
use mig_runtime::{AnyRight, KernReturn, OolMemory, Port};

use crate::core::{Core, Task, hash, lock};
use crate::objects::{Attributes, Object};
use crate::pages::Arrival;
use crate::space::PAGE;

impl Core {
    fn by_control(&self, control: &Port<'_, Task>) -> Result<Arc<Object>, KernReturn> {
        self.lock().by_control.get(&control.name()).cloned().ok_or(KernReturn::KERN_INVALID_ARGUMENT)
    }

    /// Does what is to be done with a page that a manager has supplied, or said to be zeros.
    fn arrived(&self, object: &Object, page: usize, content: Option<(&[u8; PAGE], bool)>) {
        let hashed = content.map(|(data, precious)| (hash(&self.hasher, data), precious));
        let mut state = self.lock();
        let what = loop {
            let what = match hashed {
                Some((hash, precious)) => state.pages.arrived(object.id, page, hash, precious),
                None => state.pages.unavailable(object.id, page),
            };
            if what != Arrival::Later {
                break what;
            }
            state = self.wait(state, None);
        };
        drop(state);
        let address = object.space.page(page);
        match what {
            Arrival::Refuse | Arrival::Later => return,
            Arrival::Fail => return self.poison(address),
            Arrival::PlaceBeyondLimit => drop(self.make_room()),
            Arrival::Place => {}
        }
        let _ = match content {
            Some((data, _)) => self.uffd.place(address, data),
            None => self.uffd.place_zeros(address),
        };
        self.placed(object, page);
    }
}

impl Mach<Task> for Core {
    fn memory_object_ready(
        &self,
        control: Port<'_, Task>,
        may_cache: bool,
        copy_strategy: i32,
    ) -> Result<(), KernReturn> {
        let object = self.by_control(&control)?;
        let state = self.lock();
        *lock(&object.ready) = Some(Attributes { may_cache, copy_strategy });
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    fn memory_object_change_attributes(
        &self,
        control: Port<'_, Task>,
        may_cache: bool,
        copy_strategy: i32,
        reply_to: AnyRight<'static, Task>,
    ) -> Result<(), KernReturn> {
        self.memory_object_ready(control, may_cache, copy_strategy)?;
        if reply_to.name().is_valid() {
            let _ = memory_object::memory_object_change_completed(
                &self.kernel,
                reply_to,
                may_cache,
                copy_strategy,
            );
        }
        Ok(())
    }

    fn memory_object_get_attributes(
        &self,
        control: Port<'_, Task>,
    ) -> Result<MemoryObjectGetAttributesReply, KernReturn> {
        let object = self.by_control(&control)?;
        let attributes = *lock(&object.ready);
        let Attributes { may_cache, copy_strategy } =
            attributes.unwrap_or(Attributes { may_cache: false, copy_strategy: 0 });
        Ok(MemoryObjectGetAttributesReply { object_ready: attributes.is_some(), may_cache, copy_strategy })
    }

    fn memory_object_data_supply(
        &self,
        control: Port<'_, Task>,
        offset: u64,
        data: OolMemory<Task>,
        _lock_value: i32,
        precious: bool,
        reply_to: AnyRight<'static, Task>,
    ) -> Result<(), KernReturn> {
        let object = self.by_control(&control)?;
        if data.len() % PAGE != 0 || offset % PAGE as u64 != 0 {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        let pages = data.chunks_exact(PAGE).filter_map(|page| page.try_into().ok());
        for (at, content) in (offset..).step_by(PAGE).zip(pages) {
            // What lies outside of the mapping is nothing to it.
            for page in object.range(at, PAGE as u64) {
                self.arrived(&object, page, Some((content, precious)));
            }
        }
        if reply_to.name().is_valid() {
            let ports = self.ports_of(&object).map_err(|_| KernReturn::KERN_FAILURE)?;
            let (len, code) = (data.len() as u64, KernReturn::KERN_SUCCESS);
            let _ = memory_object::memory_object_supply_completed(
                &self.kernel,
                reply_to,
                &ports.control,
                offset,
                len,
                code,
                0,
            );
        }
        Ok(())
    }

    fn memory_object_data_unavailable(
        &self,
        control: Port<'_, Task>,
        offset: u64,
        size: u64,
    ) -> Result<(), KernReturn> {
        let object = self.by_control(&control)?;
        object.range(offset, size).for_each(|page| self.arrived(&object, page, None));
        Ok(())
    }

    fn memory_object_data_error(
        &self,
        control: Port<'_, Task>,
        offset: u64,
        size: u64,
        _code: KernReturn,
    ) -> Result<(), KernReturn> {
        let object = self.by_control(&control)?;
        for page in object.range(offset, size) {
            if self.lock().pages.refused(object.id, page) {
                self.poison(object.space.page(page));
            }
        }
        Ok(())
    }

    fn memory_object_lock_request(
        &self,
        control: Port<'_, Task>,
        offset: u64,
        size: u64,
        _should_return: i32,
        _should_flush: bool,
        _lock_value: i32,
        reply_to: AnyRight<'static, Task>,
    ) -> Result<(), KernReturn> {
        let object = self.by_control(&control)?;
        self.flush(&object, object.range(offset, size));
        if reply_to.name().is_valid() {
            let ports = self.ports_of(&object).map_err(|_| KernReturn::KERN_FAILURE)?;
            let _ = memory_object::memory_object_lock_completed(
                &self.kernel,
                reply_to,
                &ports.control,
                offset,
                size,
            );
        }
        Ok(())
    }

    fn memory_object_destroy(&self, control: Port<'_, Task>, _reason: KernReturn) -> Result<(), KernReturn> {
        self.bury(&*self.by_control(&control)?);
        Ok(())
    }
}
