//! A small VM kernel: anonymous memory that is larger than the memory it has, with the default pager behind it.
//!
//! It does what GNU Mach does, with the same messages in the same order: an object gets a pager when the first of its pages has to go; a page
//! that is not here is requested, and the thread that wants it waits; a page that was changed, or that the pager has given as precious, is
//! returned, any other one dropped without a word.

use std::sync::Arc;

use mach_defs::native::mach::{self, Mach};
use mach_defs::native::{memory_object, memory_object_default};
use mig_runtime::kernel::local::Local;
use mig_runtime::platform::{Mutex, MutexGuard, Platform, Std};
use mig_runtime::{AnyRight, KernReturn, OolMemory, Port, PortSet, ReceiveRight, SendRight};

use super::memory::{FrameId, Memory, ObjectId, PAGE, Page, Ports, Victim};

/// The kernel.
pub(crate) struct Vm {
    task: Local,
    /// Who has a right to this may register a default memory manager.
    host: ReceiveRight<Local>,
    /// The ports on which the kernel is spoken to: the host's, and the objects' control ports.
    ports: PortSet<Local>,
    manager: Mutex<Std, SendRight<Local>>,
    memory: Mutex<Std, Memory>,
    /// Something has become of a page.
    changed: <Std as Platform>::Condvar,
}

/// A page could not be had: the bus error of the thread that wanted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryError;

type Guard<'a> = MutexGuard<'a, Std, Memory>;

impl Vm {
    /// A kernel, in this task, with so many frames.
    pub(crate) fn new(task: &Local, frames: usize) -> Result<Self, KernReturn> {
        let host = ReceiveRight::allocate(task)?;
        let ports = PortSet::allocate(task)?;
        ports.insert(&host)?;
        Ok(Self {
            host,
            ports,
            manager: Mutex::<Std, _>::new(SendRight::null(task.clone())),
            memory: Mutex::<Std, _>::new(Memory::new(frames)),
            changed: Default::default(),
            task: task.clone(),
        })
    }

    /// The port to register a default memory manager with.
    pub(crate) fn host(&self) -> &ReceiveRight<Local> {
        &self.host
    }

    /// Where to serve the interface `mach`.
    pub(crate) fn ports(&self) -> &PortSet<Local> {
        &self.ports
    }

    /// The most pages that were ever resident at once.
    pub(crate) fn peak(&self) -> usize {
        self.memory.lock().peak
    }

    /// New memory of so many pages, all zero (`vm_allocate`).
    pub(crate) fn allocate(&self, pages: usize) -> ObjectId {
        self.memory.lock().add_object(pages)
    }

    /// Touches a page, which is brought here if need be.
    pub(crate) fn access<R>(
        &self,
        object: ObjectId,
        page: usize,
        write: bool,
        body: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, MemoryError> {
        let mut memory = self.memory.lock();
        loop {
            match *memory.page(object, page).ok_or(MemoryError)? {
                Page::Resident(frame) => return Ok(body(memory.touch(frame, write))),
                Page::Requested(_) | Page::Leaving => self.changed.wait(&mut memory),
                Page::Failed => {
                    set(&mut memory, object, page, Page::Absent);
                    return Err(MemoryError);
                }
                Page::Absent => match memory.take_frame() {
                    Some(frame) => memory = self.fault(memory, object, page, frame)?,
                    None => memory = self.evict(memory)?,
                },
            }
        }
    }

    /// A page that is not here is wanted, and may have this frame.
    fn fault<'a>(
        &'a self,
        mut memory: Guard<'a>,
        object: ObjectId,
        page: usize,
        frame: FrameId,
    ) -> Result<Guard<'a>, MemoryError> {
        let Some(ports) = memory.object(object).ports.clone() else {
            // Nobody else can have it.
            memory.enter(object, page, frame, false, |data| data.fill(0));
            return Ok(memory);
        };
        set(&mut memory, object, page, Page::Requested(frame));
        drop(memory);
        let (offset, length) = ((page * PAGE) as u64, PAGE as u64);
        let access = 1;
        memory_object::memory_object_data_request(&ports.object, &ports.control, offset, length, access)
            .map_err(|_| MemoryError)?;
        Ok(self.memory.lock())
    }

    /// Gets a page out of its frame, or waits if there is none.
    fn evict<'a>(&'a self, mut memory: Guard<'a>) -> Result<Guard<'a>, MemoryError> {
        let Some(victim) = memory.victim() else {
            self.changed.wait(&mut memory);
            return Ok(memory);
        };
        let Victim { object, page, frame, only_copy } = victim;
        if !only_copy {
            set(&mut memory, object, page, Page::Absent);
            memory.free_frame(frame);
            return Ok(memory);
        }
        let ports = match &memory.object(object).ports {
            Some(ports) => ports.clone(),
            None => self.give_pager(&mut memory, object)?,
        };
        // Nobody can ask for it before it is in the queue.
        set(&mut memory, object, page, Page::Leaving);
        let data = memory.take_data(frame);
        drop(memory);
        let offset = (page * PAGE) as u64;
        let sent = memory_object::memory_object_data_return(
            &ports.object,
            &ports.control,
            offset,
            &data,
            true,
            false,
        );
        let mut memory = self.memory.lock();
        memory.put_data(frame, data);
        // The pager may have given it back already.
        if memory.page(object, page) == Some(&mut Page::Leaving) {
            set(&mut memory, object, page, Page::Absent);
        }
        self.changed.notify_all();
        sent.map_err(|_| MemoryError)?;
        Ok(memory)
    }

    /// Makes the default memory manager the pager of an object.
    fn give_pager(&self, memory: &mut Memory, object: ObjectId) -> Result<Arc<Ports>, MemoryError> {
        let make = || -> Result<Ports, KernReturn> {
            let port = ReceiveRight::allocate(&self.task)?;
            let ports = Ports {
                object: port.make_send()?,
                control: ReceiveRight::allocate(&self.task)?,
                name: ReceiveRight::allocate(&self.task)?,
            };
            self.ports.insert(&ports.control)?;
            let manager = self.manager.lock().try_clone()?;
            let (size, page_size) = (0, PAGE as u64);
            memory_object_default::memory_object_create(
                manager,
                port,
                size,
                &ports.control,
                &ports.name,
                page_size,
            )?;
            Ok(ports)
        };
        let ports = Arc::new(make().map_err(|_| MemoryError)?);
        memory.set_ports(object, ports.clone());
        Ok(ports)
    }

    /// Ends all memory (`vm_deallocate`), and forgets the default memory manager. Nobody may use it any more.
    pub(crate) fn end(&self) -> Result<(), KernReturn> {
        let objects = std::mem::take(&mut self.memory.lock().objects);
        for ports in objects.into_iter().filter_map(|object| object.ports) {
            let Some(Ports { object, control, name }) = Arc::into_inner(ports) else { continue };
            control.leave_set()?;
            memory_object::memory_object_terminate(object, control, name)?;
        }
        *self.manager.lock() = SendRight::null(self.task.clone());
        Ok(())
    }

    /// What the pager says about a page that was requested.
    fn answered(
        &self,
        control: Port<'_, Local>,
        offset: mach::VmOffset,
        answer: impl FnOnce(&mut Memory, ObjectId, usize, Page),
    ) -> Result<(), KernReturn> {
        let mut memory = self.memory.lock();
        let page = offset as usize / PAGE;
        let object = memory.by_control(control.name()).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        let state = *memory.page(object, page).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        answer(&mut memory, object, page, state);
        self.changed.notify_all();
        Ok(())
    }
}

/// Sets the state of a page that there is.
fn set(memory: &mut Memory, object: ObjectId, page: usize, state: Page) {
    if let Some(page) = memory.page(object, page) {
        *page = state;
    }
}

/// What the kernel is told.
impl Mach<Local> for Vm {
    fn vm_set_default_memory_manager(
        &self,
        host: Port<'_, Local>,
        manager: SendRight<Local>,
    ) -> Result<SendRight<Local>, KernReturn> {
        if host.name() != self.host.name() {
            return Err(KernReturn::KERN_INVALID_HOST);
        }
        Ok(std::mem::replace(&mut *self.manager.lock(), manager))
    }

    fn memory_object_data_supply(
        &self,
        control: Port<'_, Local>,
        offset: mach::VmOffset,
        data: OolMemory<Local>,
        _lock_value: mach::VmProt,
        precious: bool,
        _reply_to: AnyRight<'static, Local>,
    ) -> Result<(), KernReturn> {
        if data.len() != PAGE {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        self.answered(control, offset, |memory, object, page, state| {
            let frame = match state {
                Page::Requested(frame) => frame,
                // It could not be stored, and is here again.
                Page::Absent | Page::Leaving => memory.take_frame_beyond_limit(),
                Page::Resident(_) | Page::Failed => return,
            };
            memory.enter(object, page, frame, precious, |to| to.copy_from_slice(&data));
        })
    }

    fn memory_object_data_unavailable(
        &self,
        control: Port<'_, Local>,
        offset: mach::VmOffset,
        _size: mach::VmSize,
    ) -> Result<(), KernReturn> {
        self.answered(control, offset, |memory, object, page, state| {
            if let Page::Requested(frame) = state {
                memory.enter(object, page, frame, false, |data| data.fill(0));
            }
        })
    }

    fn memory_object_data_error(
        &self,
        control: Port<'_, Local>,
        offset: mach::VmOffset,
        _size: mach::VmSize,
        _code: KernReturn,
    ) -> Result<(), KernReturn> {
        self.answered(control, offset, |memory, object, page, state| {
            if let Page::Requested(frame) = state {
                memory.free_frame(frame);
                set(memory, object, page, Page::Failed);
            }
        })
    }
}
