//! What managers say: the routines of the interface `mach` that are sent to an object's control port.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use mach_defs::gnu::mach::{Mach, MemoryObjectGetAttributesReply, VmOffset, VmSize};
use mach_defs::gnu::memory_object;
use mig_runtime::{AnyRight, KernReturn, OolMemory, Port};

use crate::core::{Core, MOMENT, State, hash};
use crate::lock::lock;
use crate::object::{Attributes, Flush, Object, Task, wide};
use crate::pages::{Arrival, Refusal};
use crate::space::PAGE;

/// How often room is made for a page that its manager does not keep, before there is one more than there may
/// be.
const TRIES: usize = 1000;

impl Core {
    fn by_control(&self, control: &Port<'_, Task>) -> Result<Arc<Object>, KernReturn> {
        self.lock().by_control.get(&control.name()).cloned().ok_or(KernReturn::KERN_INVALID_ARGUMENT)
    }

    /// Puts pages in their places that a manager has supplied, or said to be zeros. Those that follow each
    /// other and are wanted are placed at once.
    fn arrived(&self, object: &Object, pages: Range<usize>, content: Content<'_>) {
        let hashes: Vec<u64> = match content {
            Content::Data(data, _) => data.chunks_exact(PAGE).map(|page| hash(&self.hasher, page)).collect(),
            Content::Zeros => Vec::new(),
        };
        let arrived = |state: &mut State, page: usize| match content {
            Content::Data(_, precious) => {
                state.pages.arrived(object.id, page, hashes[page - pages.start], precious)
            }
            Content::Zeros => state.pages.unavailable(object.id, page),
        };
        let mut next = pages.start;
        while next < pages.end {
            let first = next;
            let mut state = self.lock();
            let mut other = None;
            while next < pages.end && other.is_none() {
                other = Some(arrived(&mut state, next)).filter(|arrival| *arrival != Arrival::Place);
                next += usize::from(other.is_none());
            }
            drop(state);
            self.place(object, &pages, first..next, content);
            match other {
                None => {}
                Some(Arrival::NoRoom) => {
                    let hash = hashes.get(next - pages.start).copied().unwrap_or_default();
                    if self.make_room_for_one() {
                        continue;
                    }
                    let arrival = self.lock().pages.arrived_again(object.id, next, hash);
                    match arrival {
                        Arrival::Place => self.place(object, &pages, next..next + 1, content),
                        Arrival::Fail => self.failed(object, next),
                        Arrival::Refuse | Arrival::NoRoom => {}
                    }
                }
                Some(Arrival::Fail) => self.failed(object, next),
                Some(Arrival::Refuse | Arrival::Place) => {}
            }
            next += usize::from(other.is_some());
        }
    }

    /// Makes room for a page that its manager does not keep. Pages that go for it may be given back as well,
    /// each of them a few times only, and where the manager has no room for them this waits a moment: the
    /// manager has other threads than this one, or gets its page back beyond the limit. True if there is
    /// room.
    fn make_room_for_one(&self) -> bool {
        (0..TRIES).any(|_| {
            if !self.make_room() {
                std::thread::sleep(MOMENT);
                self.give_up_and_try(true);
            }
            self.lock().pages.has_room()
        })
    }

    /// Puts some of the pages of a message in their places.
    fn place(&self, object: &Object, all: &Range<usize>, some: Range<usize>, content: Content<'_>) {
        if some.is_empty() {
            return;
        }
        match content {
            Content::Data(data, _) => {
                let bytes = (some.start - all.start) * PAGE..(some.end - all.start) * PAGE;
                self.put(object, some.start, &data[bytes]);
            }
            Content::Zeros => {
                self.make_room_for_new_frames();
                some.clone().for_each(|page| match self.places.are_protected() {
                    true => self.places.place(&object.space, page, &[0; PAGE]),
                    false => self.places.place_zeros(&object.space, page),
                });
            }
        }
        self.placed_all(object, some);
    }
}

impl Core {
    /// Takes pages away that the default manager wants to have back, until the end.
    pub(crate) fn serve_flushes(&self, wanted: &Receiver<Flush>) {
        for flush in wanted {
            let _ = self.do_flush(flush);
        }
    }

    fn do_flush(&self, flush: Flush) -> Result<(), KernReturn> {
        let Flush { object, offset, size, reply_to } = flush;
        self.flush(&object, object.range(offset, size));
        if reply_to.name().is_valid() {
            let ports = self.ports_of(&object).map_err(|_| KernReturn::KERN_FAILURE)?;
            let control = &ports.control;
            let _ =
                memory_object::memory_object_lock_completed(&self.kernel, reply_to, control, offset, size);
        }
        Ok(())
    }
}

/// What a manager has sent.
#[derive(Clone, Copy)]
enum Content<'a> {
    /// Pages, which are precious or not.
    Data(&'a [u8], bool),
    Zeros,
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
        self.tell();
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
        offset: VmOffset,
        data: OolMemory<Task>,
        _lock_value: i32,
        precious: bool,
        reply_to: AnyRight<'static, Task>,
    ) -> Result<(), KernReturn> {
        let object = self.by_control(&control)?;
        if data.len() % PAGE != 0 || offset as usize % PAGE != 0 {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        // What lies outside of the mapping is nothing to it.
        let pages = object.range(offset, data.len() as VmSize);
        let before = object.offset.saturating_sub(wide(offset)) as usize;
        if let Some(inside) = data.get(before..before + pages.len() * PAGE) {
            self.arrived(&object, pages, Content::Data(inside, precious));
        }
        if reply_to.name().is_valid() {
            let ports = self.ports_of(&object).map_err(|_| KernReturn::KERN_FAILURE)?;
            let (len, code) = (data.len() as VmSize, KernReturn::KERN_SUCCESS);
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
        offset: VmOffset,
        size: VmSize,
    ) -> Result<(), KernReturn> {
        let object = self.by_control(&control)?;
        self.arrived(&object, object.range(offset, size), Content::Zeros);
        Ok(())
    }

    fn memory_object_data_error(
        &self,
        control: Port<'_, Task>,
        offset: VmOffset,
        size: VmSize,
        _code: KernReturn,
    ) -> Result<(), KernReturn> {
        let object = self.by_control(&control)?;
        for page in object.range(offset, size) {
            let refusal = self.lock().pages.refused(object.id, page);
            match refusal {
                Refusal::Nothing => {}
                Refusal::Again => {
                    self.places.wake(&object.space, page, 1);
                    self.tell();
                }
                Refusal::Failed => self.failed(&object, page),
            }
        }
        Ok(())
    }

    fn memory_object_lock_request(
        &self,
        control: Port<'_, Task>,
        offset: VmOffset,
        size: VmSize,
        _should_return: i32,
        _should_flush: bool,
        _lock_value: i32,
        reply_to: AnyRight<'static, Task>,
    ) -> Result<(), KernReturn> {
        let object = self.by_control(&control)?;
        let flush = Flush { object, offset, size, reply_to };
        if flush.object.external {
            return self.do_flush(flush);
        }
        // The default manager may have no other thread than this one to take its pages back.
        let flushes = lock(&self.flushes).clone();
        let is_sent = flushes.is_some_and(|flushes| flushes.try_send(flush).is_ok());
        if is_sent { Ok(()) } else { Err(KernReturn::KERN_RESOURCE_SHORTAGE) }
    }

    fn memory_object_destroy(&self, control: Port<'_, Task>, _reason: KernReturn) -> Result<(), KernReturn> {
        self.bury(&*self.by_control(&control)?);
        Ok(())
    }
}
