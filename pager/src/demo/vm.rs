//! A small VM kernel: anonymous memory that is larger than the memory it has, with the default pager as
//! its manager.
//!
//! It does what a Mach kernel does, with the same messages in the same order: an object gets a pager when the
//! first of its pages has to go; a page that is not here is requested, with some of those after it if pages
//! are touched in order, and the thread that wants it waits; pages that were changed, or that the pager has
//! given as precious, are returned, some in a message, any other one is dropped without a word.

use std::ops::Range;
use std::sync::Arc;

use mach_defs::gnu::mach::{self, Mach};
use mach_defs::gnu::{memory_object, memory_object_default};
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
    /// Something has become of a page. Whoever waits for one waits on that of its number.
    changed: [Condvar; WAITS],
    /// There may be room for a page.
    room: Condvar,
}

type Condvar = <Std as Platform>::Condvar;

/// How many groups of threads there are that are woken together.
const WAITS: usize = 64;

/// The most pages in one message.
const RUN: usize = 32;

/// A page could not be had: the bus error of the thread that wanted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryError;

type Guard<'a> = MutexGuard<'a, Std, Memory>;

impl Vm {
    /// A kernel, in this task, with this many frames.
    pub(crate) fn new(task: &Local, frames: usize) -> Result<Self, KernReturn> {
        let host = ReceiveRight::allocate(task)?;
        let ports = PortSet::allocate(task)?;
        ports.insert(&host)?;
        Ok(Self {
            host,
            ports,
            manager: Mutex::<Std, _>::new(SendRight::null(task.clone())),
            memory: Mutex::<Std, _>::new(Memory::new(frames)),
            changed: std::array::from_fn(|_| Condvar::default()),
            room: Condvar::default(),
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

    /// New memory of this many pages, all zero (`vm_allocate`).
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
                Page::Requested(_) | Page::Leaving => self.changed(object, page).wait(&mut memory),
                Page::Failed => {
                    set(&mut memory, object, page, Page::Absent);
                    return Err(MemoryError);
                }
                Page::Absent => match memory.take_frame() {
                    Some(frame) => memory = self.fault(memory, object, page, frame)?,
                    None => memory = self.make_room(memory)?,
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
        let pages = memory.request(object, page, frame);
        drop(memory);
        self.request(&ports, page..page + pages)?;
        let last = page + pages - 1;
        let mut memory = self.memory.lock();
        // One wait for all of them: they come in order, and a thread that is woken for each of them costs
        // more than they do.
        while let Some(Page::Requested(_)) = memory.page(object, last) {
            self.changed(object, last).wait(&mut memory);
        }
        Ok(memory)
    }

    /// Says which pages are about to be touched (`VM_BEHAVIOR_WILLNEED`), in order. Those that are not here
    /// are asked for, all at once and as far as some of the frames go, and nobody waits.
    pub(crate) fn will_need(
        &self,
        object: ObjectId,
        pages: impl Iterator<Item = usize>,
    ) -> Result<(), MemoryError> {
        let mut memory = self.memory.lock();
        let Some(ports) = memory.object(object).ports.clone() else { return Ok(()) };
        let (mut requests, mut leaving) = (Vec::<Range<usize>>::new(), Vec::new());
        for page in pages.take(memory.ahead()) {
            if memory.page(object, page) != Some(&mut Page::Absent) {
                continue;
            }
            let frame = match memory.take_frame() {
                Some(frame) => frame,
                None => {
                    let most = memory.batch();
                    leaving.extend(self.evict(&mut memory, most).unwrap_or_default());
                    // It may be one of those that have just gone.
                    if memory.page(object, page) != Some(&mut Page::Absent) {
                        continue;
                    }
                    let Some(frame) = memory.take_frame() else { break };
                    frame
                }
            };
            set(&mut memory, object, page, Page::Requested(frame));
            match requests.last_mut() {
                Some(last) if last.end == page => last.end += 1,
                _ => requests.push(page..page + 1),
            }
        }
        drop(memory);
        self.send(leaving)?;
        requests.into_iter().try_for_each(|pages| self.request(&ports, pages))
    }

    /// Asks the pager for pages.
    fn request(&self, ports: &Ports, pages: Range<usize>) -> Result<(), MemoryError> {
        let (offset, length) = ((pages.start * PAGE) as u64, (pages.len() * PAGE) as u64);
        let access = 1;
        memory_object::memory_object_data_request(&ports.object, &ports.control, offset, length, access)
            .map_err(|_| MemoryError)
    }

    /// Gets pages out of their frames, or waits if there are none.
    fn make_room<'a>(&'a self, mut memory: Guard<'a>) -> Result<Guard<'a>, MemoryError> {
        let most = memory.batch();
        match self.evict(&mut memory, most) {
            None => {
                self.room.wait(&mut memory);
                Ok(memory)
            }
            Some(leaving) => {
                drop(memory);
                self.send(leaving)?;
                Ok(self.memory.lock())
            }
        }
    }

    /// Frees the frames of as many pages at once, as a pageout thread does. What is to be sent is returned;
    /// `None` if no page can go.
    fn evict(&self, memory: &mut Memory, most: usize) -> Option<Vec<Run>> {
        let mut freed = false;
        let mut dirty = Vec::new();
        for _ in 0..most {
            let Some(Victim { object, page, frame, only_copy }) = memory.victim() else { break };
            freed = true;
            if only_copy {
                // Nobody can ask for it before it is in the queue.
                set(memory, object, page, Page::Leaving);
                memory.take_out(frame);
                dirty.push((object, page, frame));
            } else {
                set(memory, object, page, Page::Absent);
                memory.free_frame(frame);
            }
        }
        dirty.sort_unstable_by_key(|(object, page, _)| (object.number(), *page));
        let mut runs: Vec<Run> = Vec::new();
        for (object, page, frame) in dirty {
            let run = match runs.last_mut() {
                Some(run) if run.goes_on_with(object, page) => run,
                _ => {
                    runs.push(Run { object, page, data: Vec::new() });
                    let last = runs.len() - 1;
                    &mut runs[last]
                }
            };
            memory.take_data(frame, &mut run.data);
        }
        self.room.notify_all();
        freed.then_some(runs)
    }

    /// Sends pages to the pager.
    fn send(&self, runs: Vec<Run>) -> Result<(), MemoryError> {
        let mut result = Ok(());
        for Run { object, page, data } in &runs {
            let offset = (page * PAGE) as u64;
            let sent = self.ports_of(*object).and_then(|ports| {
                let (to, control) = (&ports.object, &ports.control);
                memory_object::memory_object_data_return(to, control, offset, data, true, false)
                    .map_err(|_| MemoryError)
            });
            result = result.and(sent);
        }
        let mut memory = self.memory.lock();
        for Run { object, page, data, .. } in runs {
            for page in page..page + data.len() / PAGE {
                // The pager may have given it back already.
                if memory.page(object, page) == Some(&mut Page::Leaving) {
                    set(&mut memory, object, page, Page::Absent);
                }
                self.changed(object, page).notify_all();
            }
        }
        result
    }

    fn changed(&self, object: ObjectId, page: usize) -> &Condvar {
        &self.changed[(object.number() as usize).wrapping_mul(31).wrapping_add(page) % WAITS]
    }

    /// The ports of an object, of which the default memory manager becomes the pager if it has none.
    fn ports_of(&self, object: ObjectId) -> Result<Arc<Ports>, MemoryError> {
        if let Some(ports) = &self.memory.lock().object(object).ports {
            return Ok(ports.clone());
        }
        let (port, ports) = self.new_ports().map_err(|_| MemoryError)?;
        let ports = Arc::new(ports);
        let mut memory = self.memory.lock();
        if let Some(other) = memory.object(object).ports.clone() {
            drop(memory);
            return Ok(other);
        }
        // What others send to it from now on waits in its queue, which goes with the right.
        memory.set_ports(object, ports.clone());
        drop(memory);
        let manager = self.manager.lock().try_clone().map_err(|_| MemoryError)?;
        let Ports { control, name, .. } = &*ports;
        memory_object_default::memory_object_create(manager, port, 0, control, name, PAGE as u64)
            .map_err(|_| MemoryError)?;
        Ok(ports)
    }

    /// The port of a new object, and the kernel's rights.
    fn new_ports(&self) -> Result<(ReceiveRight<Local>, Ports), KernReturn> {
        let port = ReceiveRight::allocate(&self.task)?;
        let ports = Ports {
            object: port.make_send()?,
            control: ReceiveRight::allocate(&self.task)?,
            name: ReceiveRight::allocate(&self.task)?,
        };
        // No sender ever waits for a kernel.
        self.task.set_queue_limit(ports.control.name(), usize::MAX)?;
        self.ports.insert(&ports.control)?;
        Ok((port, ports))
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

    /// What the pager says about pages that were requested.
    fn answered(
        &self,
        control: Port<'_, Local>,
        offset: mach::VmOffset,
        size: mach::VmSize,
        answer: impl Fn(&mut Memory, ObjectId, usize, FrameId),
    ) -> Result<(), KernReturn> {
        let mut memory = self.memory.lock();
        let object = memory.by_control(control.name()).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        let first = offset as usize / PAGE;
        for page in first..first.saturating_add(size as usize / PAGE) {
            let state = *memory.page(object, page).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
            if let Page::Requested(frame) = state {
                answer(&mut memory, object, page, frame);
                self.changed(object, page).notify_all();
            }
        }
        drop(memory);
        self.room.notify_one();
        Ok(())
    }

    /// A page has come, asked for or not.
    fn supplied(&self, object: ObjectId, page: usize, data: &[u8], precious: bool) -> Result<(), KernReturn> {
        let mut memory = self.memory.lock();
        let state = *memory.page(object, page).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        let frame = match state {
            Page::Requested(frame) => frame,
            Page::Absent | Page::Leaving => {
                drop(memory);
                let frame =
                    self.frame_for_return().map_err(|MemoryError| KernReturn::KERN_RESOURCE_SHORTAGE)?;
                memory = frame.0;
                // A thread may have asked for it meanwhile.
                match *memory.page(object, page).ok_or(KernReturn::KERN_INVALID_ARGUMENT)? {
                    Page::Absent | Page::Leaving => frame.1,
                    Page::Requested(other) => {
                        memory.free_frame(frame.1);
                        other
                    }
                    Page::Resident(_) | Page::Failed => {
                        memory.free_frame(frame.1);
                        return Ok(());
                    }
                }
            }
            Page::Resident(_) | Page::Failed => return Ok(()),
        };
        memory.enter(object, page, frame, precious, |to| to.copy_from_slice(data));
        drop(memory);
        self.changed(object, page).notify_all();
        Ok(())
    }

    /// A frame for a page that could not be stored and is here again. Another one goes for it.
    fn frame_for_return(&self) -> Result<(Guard<'_>, FrameId), MemoryError> {
        loop {
            let mut memory = self.memory.lock();
            if let Some(frame) = memory.take_frame() {
                return Ok((memory, frame));
            }
            let Some(leaving) = self.evict(&mut memory, 1) else {
                // Every frame waits for a page. This one more shows in the report.
                let frame = memory.take_frame_beyond_limit();
                return Ok((memory, frame));
            };
            drop(memory);
            self.send(leaving)?;
        }
    }
}

/// Pages of an object, one after another, that are to be sent.
struct Run {
    object: ObjectId,
    page: usize,
    data: Vec<u8>,
}

impl Run {
    fn goes_on_with(&self, object: ObjectId, page: usize) -> bool {
        let pages = self.data.len() / PAGE;
        self.object == object && self.page + pages == page && pages < RUN
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
        if data.len() % PAGE != 0 {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        let object =
            self.memory.lock().by_control(control.name()).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        let first = offset as usize / PAGE;
        for (page, data) in (first..).zip(data.chunks_exact(PAGE)) {
            self.supplied(object, page, data, precious)?;
        }
        // Whoever wakes up makes room for the others.
        self.room.notify_one();
        Ok(())
    }

    fn memory_object_data_unavailable(
        &self,
        control: Port<'_, Local>,
        offset: mach::VmOffset,
        size: mach::VmSize,
    ) -> Result<(), KernReturn> {
        self.answered(control, offset, size, |memory, object, page, frame| {
            memory.enter(object, page, frame, false, |data| data.fill(0));
        })
    }

    fn memory_object_data_error(
        &self,
        control: Port<'_, Local>,
        offset: mach::VmOffset,
        size: mach::VmSize,
        _code: KernReturn,
    ) -> Result<(), KernReturn> {
        self.answered(control, offset, size, |memory, object, page, frame| {
            memory.free_frame(frame);
            set(memory, object, page, Page::Failed);
        })
    }
}
