//! A kernel, a pager and hostile tasks on one `local` host, driven step by step: nothing runs by itself, and
//! nothing sleeps.

// Each test program uses a part of it, and is not a library.
#![allow(dead_code, unreachable_pub)]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use mach_defs::gnu::hurd::default_pager as hurd;
use mach_defs::gnu::mach::{self, Mach};
use mach_defs::gnu::pager::backing_store::backing_store;
use mach_defs::gnu::seqnos_memory_object_default::seqnos_memory_object_default;
use mach_defs::gnu::{default_pager, memory_object};
use mach_defs::gnu::{seqnos_memory_object::seqnos_memory_object, seqnos_notify::seqnos_notify};
use mach_pager::areas::{Area, Areas};
use mach_pager::store::{Disk, DiskError, Frame, MemoryStore, Space, Store, StoreError, VolumeInfo};
use mach_pager::{Config, SwapPager, object_calls};
use mig_runtime::kernel::local::{Census, Host, Local};
use mig_runtime::platform::{Platform, Std};
use mig_runtime::{AnyRight, KernReturn, OolMemory, Port, PortSet, ReceiveRight, SendRight, Server};

/// What this kernel says to the default memory manager, made by the macro; what the pager hears is made of
/// the text in `mach-defs`.
pub mod memory_object_default {
    mig_derive::interface! {
        path: "<mach/memory_object_default.defs>",
        side: client,
    }
}

pub const PAGE: usize = 4096;

/// A store in memory that fails as it is told.
pub struct Scripted {
    store: MemoryStore<Std>,
    /// Pages with one of these first bytes cannot be written.
    pub bad: Mutex<HashSet<u8>>,
    /// Reads fail, with this error.
    pub bad_reads: Mutex<Option<StoreError>>,
    /// All pages are to be moved.
    pub leaving: AtomicBool,
}

impl Scripted {
    pub fn new(pages: u32) -> Self {
        let (bad, bad_reads, leaving) = Default::default();
        Self { store: MemoryStore::new(PAGE, pages), bad, bad_reads, leaving }
    }
}

impl Store for Scripted {
    type Place = Frame;

    fn page_size(&self) -> usize {
        self.store.page_size()
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Frame, StoreError>)) {
        for (at, page) in pages.iter().enumerate() {
            if self.bad.lock().unwrap().contains(&page[0]) {
                done(at, Err(StoreError::Io));
            } else {
                self.store.write(&[page], &mut |_, result| done(at, result));
            }
        }
    }

    fn read(&self, stored: &Frame, page: &mut [u8]) -> Result<(), StoreError> {
        match *self.bad_reads.lock().unwrap() {
            Some(error) => Err(error),
            None => self.store.read(stored, page),
        }
    }

    fn free(&self, stored: Frame) {
        self.store.free(stored);
    }

    fn is_leaving(&self, _: &Frame) -> bool {
        self.leaving.load(Relaxed)
    }

    fn space(&self) -> Space {
        self.store.space()
    }
}

/// A disk in memory. Transfers wait while somebody has its lock.
#[derive(Clone)]
pub struct InMemory(pub Arc<Mutex<Vec<u8>>>);

impl Disk for InMemory {
    fn size(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    fn record_size(&self) -> usize {
        512
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let at = offset as usize;
        buffer.copy_from_slice(&self.0.lock().unwrap()[at..at + buffer.len()]);
        Ok(buffer.len())
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        let mut disk = self.0.lock().unwrap();
        let mut at = offset as usize;
        for piece in pieces {
            disk[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        Ok(at - offset as usize)
    }

    fn flush(&self) -> Result<(), DiskError> {
        Ok(())
    }
}

/// One area of paging space, which goes as soon as it is asked to.
pub struct OneArea;

impl Areas<Local> for OneArea {
    fn add_file(&self, _: SendRight<Local>, _: &str) -> Result<(), KernReturn> {
        Err(KernReturn::KERN_FAILURE)
    }

    fn add_storage(&self, _: SendRight<Local>, _: &[(u64, u64)], _: Area<'_>) -> Result<(), KernReturn> {
        Err(KernReturn::KERN_FAILURE)
    }

    fn begin_removal(&self, _: &str) -> Result<(), KernReturn> {
        Ok(())
    }

    fn remove(&self, _: &str) -> bool {
        true
    }

    fn cancel_removal(&self, _: &str, _: &str) {}

    fn list(&self) -> Vec<VolumeInfo> {
        Vec::new()
    }
}

/// A page that no store keeps without room; its first byte is `tag`.
pub fn page(tag: u8) -> Vec<u8> {
    (0..PAGE).map(|at| tag.wrapping_add((at / 7) as u8)).collect()
}

/// What a kernel was told about an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The tag of the page, which was whole.
    Supply {
        offset: u64,
        tag: u8,
        precious: bool,
    },
    /// A page that is this byte over and over.
    Same {
        offset: u64,
        byte: u8,
        precious: bool,
    },
    Unavailable {
        offset: u64,
        size: u64,
    },
    Error {
        offset: u64,
        size: u64,
    },
    Ready,
    Destroy,
    Unlock {
        offset: u64,
        size: u64,
    },
    /// To forget what it has of pages.
    Drop {
        offset: u64,
        size: u64,
    },
}

/// What the kernel is told, in order.
#[derive(Default)]
pub struct Answers(Mutex<Vec<Answer>>);

impl Answers {
    fn push(&self, answer: Answer) -> Result<(), KernReturn> {
        self.0.lock().unwrap().push(answer);
        Ok(())
    }
}

impl Mach<Local> for Answers {
    fn memory_object_data_supply(
        &self,
        _control: Port<'_, Local>,
        offset: mach::VmOffset,
        data: OolMemory<Local>,
        lock_value: mach::VmProt,
        precious: bool,
        reply_to: AnyRight<'static, Local>,
    ) -> Result<(), KernReturn> {
        assert_eq!((lock_value, reply_to.name().is_valid()), (0, false));
        if *data == [data[0]; PAGE] {
            return self.push(Answer::Same { offset, byte: data[0], precious });
        }
        assert_eq!(*data, *page(data[0]), "a whole page");
        self.push(Answer::Supply { offset, tag: data[0], precious })
    }

    fn memory_object_data_unavailable(
        &self,
        _control: Port<'_, Local>,
        offset: mach::VmOffset,
        size: mach::VmSize,
    ) -> Result<(), KernReturn> {
        self.push(Answer::Unavailable { offset, size })
    }

    fn memory_object_data_error(
        &self,
        _control: Port<'_, Local>,
        offset: mach::VmOffset,
        size: mach::VmSize,
        code: KernReturn,
    ) -> Result<(), KernReturn> {
        assert_eq!(code, KernReturn::KERN_MEMORY_ERROR);
        self.push(Answer::Error { offset, size })
    }

    fn memory_object_ready(
        &self,
        _control: Port<'_, Local>,
        may_cache: bool,
        strategy: mach::MemoryObjectCopyStrategy,
    ) -> Result<(), KernReturn> {
        assert_eq!((may_cache, strategy), (false, 2));
        self.push(Answer::Ready)
    }

    fn memory_object_destroy(
        &self,
        _control: Port<'_, Local>,
        _reason: KernReturn,
    ) -> Result<(), KernReturn> {
        self.push(Answer::Destroy)
    }

    fn memory_object_lock_request(
        &self,
        _control: Port<'_, Local>,
        offset: mach::VmOffset,
        size: mach::VmSize,
        should_return: mach::MemoryObjectReturn,
        should_flush: bool,
        lock_value: mach::VmProt,
        _reply_to: AnyRight<'static, Local>,
    ) -> Result<(), KernReturn> {
        assert_eq!((should_return, lock_value), (0, 0));
        if should_flush {
            return self.push(Answer::Drop { offset, size });
        }
        self.push(Answer::Unlock { offset, size })
    }
}

/// An object as a kernel has it.
pub struct Object {
    pub port: SendRight<Local>,
    pub control: ReceiveRight<Local>,
    pub name: ReceiveRight<Local>,
    answers: PortSet<Local>,
}

impl Object {
    /// The ports with which a kernel uses an object.
    pub fn using(port: SendRight<Local>) -> Self {
        let kernel = port.kernel().clone();
        let control = ReceiveRight::allocate(&kernel).unwrap();
        kernel.set_queue_limit(control.name(), 1000).unwrap();
        let answers = PortSet::allocate(&kernel).unwrap();
        answers.insert(&control).unwrap();
        Self { port, control, name: ReceiveRight::allocate(&kernel).unwrap(), answers }
    }

    pub fn data_return(&self, offset: u64, data: &[u8]) {
        memory_object::memory_object_data_return(&self.port, &self.control, offset, data, true, false)
            .unwrap();
    }

    pub fn initialize(&self, offset: u64, data: &[u8]) {
        memory_object_default::memory_object_data_initialize(&self.port, &self.control, offset, data)
            .unwrap();
    }

    pub fn request(&self, offset: u64, length: u64) {
        memory_object::memory_object_data_request(&self.port, &self.control, offset, length, 1).unwrap();
    }

    pub fn init(&self) {
        self.init_with(PAGE as u64);
    }

    pub fn init_with(&self, page_size: u64) {
        memory_object::memory_object_init(&self.port, &self.control, &self.name, page_size).unwrap();
    }

    /// What the kernel has been told since the last time.
    pub fn answers(&self) -> Vec<Answer> {
        self.some_answers(usize::MAX)
    }

    /// The first this many of that.
    pub fn some_answers(&self, most: usize) -> Vec<Answer> {
        let answers = Answers::default();
        let server = Server::on(&self.answers).with(mach::mach(&answers));
        while answers.0.lock().unwrap().len() < most && server.serve_one::<Std>(Some(0)).is_ok() {}
        drop(server);
        answers.0.into_inner().unwrap()
    }

    /// Nobody has a right to the object, and then its kernel dies.
    pub fn leave(self) {
        drop(self.port);
        drop(self.control);
    }

    /// The kernel does not use it any more; the right to it goes with that.
    pub fn terminate(self) {
        self.control.leave_set().unwrap();
        memory_object::memory_object_terminate(self.port, self.control, self.name).unwrap();
    }

    /// The same with another right to it left.
    pub fn terminate_keeping_right(self) -> SendRight<Local> {
        let right = self.port.try_clone().unwrap();
        self.terminate();
        right
    }
}

/// An object that whoever has the kernel's right has the pager make.
pub fn create(manager: &SendRight<Local>) -> Object {
    create_with(manager, PAGE as u64)
}

fn create_with(manager: &SendRight<Local>, page_size: u64) -> Object {
    let port = ReceiveRight::allocate(manager.kernel()).unwrap();
    let object = Object::using(port.make_send().unwrap());
    let manager = manager.try_clone().unwrap();
    let (control, name) = (&object.control, &object.name);
    memory_object_default::memory_object_create(manager, port, 0, control, name, page_size).unwrap();
    object
}

/// Everything.
pub struct World<S: Store = Scripted, P: Platform = Std> {
    pub kernel: Local,
    /// Some other task with a right to the manager port.
    pub task: Local,
    pub pager: SwapPager<Local, P, S>,
    pub to_manager: SendRight<Local>,
    /// The pager's.
    pub pager_task: Local,
    before: [Census; 3],
    free: u64,
    buffers: usize,
}

impl World {
    pub fn new() -> Self {
        Self::with(Scripted::new(100), Config::default())
    }
}

impl<S: Store> World<S> {
    pub fn with(store: S, config: Config) -> Self {
        Self::on(store, config)
    }
}

impl<S: Store, P: Platform> World<S, P> {
    pub fn on(store: S, config: Config) -> Self {
        let host = Host::new();
        let [kernel, pager_task, task] = ["kernel", "pager", "task"].map(|label| host.new_task(label));
        kernel.send_always();
        let pager = SwapPager::new(&pager_task, store, config).unwrap();
        let to_manager = Local::transfer(pager.manager_port().make_send().unwrap(), &kernel).unwrap();
        let before = [&kernel, &pager_task, &task].map(Local::census);
        let (free, buffers) = (pager.store().space().free, pager.free_buffers());
        Self { kernel, task, pager, to_manager, pager_task, before, free, buffers }
    }

    /// The kernel makes an object.
    pub fn create(&self) -> Object {
        self.create_with(PAGE as u64)
    }

    pub fn create_with(&self, page_size: u64) -> Object {
        let object = create_with(&self.to_manager, page_size);
        self.serve();
        object
    }

    /// A right of the other task to the manager port.
    pub fn task_to_manager(&self) -> SendRight<Local> {
        Local::transfer(self.to_manager.try_clone().unwrap(), &self.task).unwrap()
    }

    /// The task asks for an object of this many bytes. The right is the kernel's then, as if it had been
    /// mapped.
    pub fn create_external(&self, size: u64) -> SendRight<Local> {
        let right = self.call(move |manager| default_pager::default_pager_object_create(manager, size));
        Local::transfer(right.unwrap(), &self.kernel).unwrap()
    }

    /// A call of the task to the manager port, served meanwhile.
    pub fn call<T: Send>(
        &self,
        call: impl FnOnce(&SendRight<Local>) -> Result<T, mig_runtime::CallError<Local>> + Send,
    ) -> Result<T, KernReturn> {
        let manager = self.task_to_manager();
        let server = Server::on(self.pager.manager_ports());
        let server =
            server.with(default_pager::default_pager(&self.pager)).with(hurd::default_pager(&self.pager));
        std::thread::scope(|scope| {
            let call = scope.spawn(move || call(&manager).map_err(|error| error.code()));
            assert_eq!(server.serve_one::<P>(None), Ok(true));
            call.join().unwrap()
        })
    }

    /// Serves all messages to the pager that have been sent. Nothing is transferred to or from the store.
    pub fn serve(&self) {
        self.serve_some(usize::MAX);
    }

    /// Serves this many messages, if there are as many.
    pub fn serve_some(&self, most: usize) {
        let pager = &self.pager;
        let manager = Server::on(pager.manager_ports())
            .with(seqnos_memory_object_default(pager))
            .with(default_pager::default_pager(pager))
            .unclaimed(|message| pager.unclaimed(message));
        let administration = Server::on(pager.administration_ports())
            .with(default_pager::default_pager(pager))
            .with(hurd::default_pager(pager))
            .with(seqnos_notify(pager));
        let stores = Server::on(pager.backing_store_ports())
            .with(backing_store(pager))
            .with(default_pager::default_pager(pager))
            .with(seqnos_notify(pager));
        let objects = [pager.internal_ports(), pager.external_ports()].map(|set| {
            Server::on(set)
                .with(seqnos_memory_object(pager))
                .with(seqnos_memory_object_default(pager))
                .with(seqnos_notify(pager))
                .with(object_calls(pager))
                .unclaimed(|message| pager.unclaimed(message))
        });
        let servers = [&manager, &administration, &stores, &objects[0], &objects[1]];
        let serve_one = || servers.iter().any(|server| server.serve_one::<P>(Some(0)).is_ok());
        let mut served = 0;
        while served < most && serve_one() {
            served += 1;
        }
    }

    /// Does one transfer; false if there is none.
    pub fn transfer_one(&self) -> bool {
        self.pager.transfer_one(&mut self.pager.page_memory().unwrap())
    }

    /// Does one transfer, which is a page to be supplied if there is one.
    pub fn supply(&self) {
        assert!(self.transfer_one());
    }

    /// Does all transfers.
    pub fn transfer(&self) {
        while self.transfer_one() {}
    }

    /// Both, until there is nothing left to do.
    pub fn settle(&self) {
        self.serve();
        self.transfer();
        self.serve();
        self.transfer();
    }

    /// Everybody has what they had at first: rights, memory, room in the store, buffers, no messages.
    pub fn end(self) {
        self.settle();
        assert_eq!(self.pager.object_count(), 0);
        assert_eq!(self.pager.free_buffers(), self.buffers);
        assert_eq!(self.pager.store().space().free, self.free);
        assert_eq!(self.pager.space().same_filled, 0);
        assert_eq!([&self.kernel, &self.pager_task, &self.task].map(Local::census), self.before);
    }
}
