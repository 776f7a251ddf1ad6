//! The kernel's half of memory objects, for a process of Linux.
//!
//! On Mach a program maps a *memory object*, and whoever serves the object is asked for its pages as they are
//! touched, and given those back that were changed. Here a [`Vm`] does that for one process: a memory object
//! is a Rust type that implements the generated trait `MemoryObject`, and the memory is a slice. Page faults
//! are real ones, taken by userfaultfd; the messages are those of Mach, on the kernel
//! [`local`](mig_runtime::kernel::local).
//!
//! ```
//! use mach_defs::gnu::memory_object::{self, MemoryObject};
//! use mach_defs::gnu::mach;
//! use mach_vm::{Limits, Protection, Vm, VmError};
//! use mig_runtime::kernel::local::{Host, Local};
//! use mig_runtime::{KernReturn, Name, Port, ReceiveRight, SendRight, Server};
//!
//! /// A memory object whose page with the number n is full of n.
//! struct Numbers;
//!
//! impl MemoryObject<Local> for Numbers {
//!     fn memory_object_init(
//!         &self,
//!         _object: Port<'_, Local>,
//!         control: SendRight<Local>,
//!         _name: SendRight<Local>,
//!         _page_size: u64,
//!     ) -> Result<(), KernReturn> {
//!         mach::memory_object_ready(&control, false, 0).map_err(KernReturn::from)
//!     }
//!
//!     fn memory_object_data_request(
//!         &self,
//!         _object: Port<'_, Local>,
//!         control: SendRight<Local>,
//!         offset: u64,
//!         length: u64,
//!         _access: i32,
//!     ) -> Result<(), KernReturn> {
//!         let page = vec![(offset / 4096) as u8; length as usize];
//!         let no_reply = ReceiveRight::null(control.kernel().clone());
//!         mach::memory_object_data_supply(&control, offset, &page[..], 0, false, &no_reply).map_err(KernReturn::from)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let host: Host = Host::new();
//! let vm = match Vm::new(&host, Limits { resident: 1 << 20, ..Limits::default() }) {
//!     Err(VmError::NotPermitted) => return Ok(()), // no userfaultfd for this user
//!     vm => vm?,
//! };
//! let port = ReceiveRight::allocate(&host.new_task("manager"))?;
//! Server::on(&port).with(memory_object::memory_object(&Numbers)).serve_while(|| {
//!     let numbers = vm.map(port.make_send()?, 0, 200 * 4096, Protection::Read)?;
//!     assert_eq!(numbers[77 * 4096], 77);
//!     Ok(())
//! })?
//! # }
//! ```
//!
//! # What a manager may rely on, and what not
//!
//! - It is asked for one page at a time, and may supply more; only the default manager is asked for up to 32
//!   at once, where they are touched in order. It is given back runs of pages that lie side by side, at most
//!   32 in a message. Pages leave when more than [`Limits::resident`] would be there, those first that came
//!   first. They are put aside at first, and come back without a message if they are touched soon; up to a
//!   quarter of the limit is for those. A page that was not changed is dropped without a word, unless it was
//!   supplied as precious.
//! - A page that was changed is told by a keyed hash of 64 bits of its content: a page that was written with
//!   the same bytes was not changed. [`Changes::Protected`] tells it by write protection.
//! - A mapping is a slice of Rust, so its content does not change by itself: what a manager supplies for a
//!   page that was there before must be what it had, or was given. Anything else is an error of the manager,
//!   and the page is lost.
//! - `memory_object_lock_request` takes the pages of its range away, whatever it asks for, and returns those
//!   that were changed. For the default manager a thread does that which does nothing else, so that the
//!   manager need not have another one to take them back.
//! - A manager has [`Limits::patience`] to answer. One that is slower, gone, or that destroys its object
//!   costs its own mapping: access to what is not there is SIGBUS, as it is for a page that a manager answers
//!   with an error.
//!
//! # Limits of this version
//!
//! A child process does not have the memory: after `fork` absent pages read as zeros there, unless pages
//! [were kept](Vm::keep) meanwhile and the child has a [`Vm`] of its own that [inherits](Vm::inherit_at)
//! them.
#![cfg(target_os = "linux")]

#[cfg(feature = "allocator-api2")]
mod allocator;
mod batch;
mod core;
mod discard;
mod evict;
mod faults;
mod handlers;
mod inherit;
mod keep;
mod latency;
mod lock;
mod managers;
mod object;
mod objects;
mod paged;
mod pages;
mod places;
mod protect;
mod send;
mod signal;
mod source;
mod space;
mod spares;
mod uffd;

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use mach_defs::gnu::mach::{VmOffset, mach};
use mig_runtime::kernel::NoWait;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{KernReturn, SendRight, Server, Stop};
use rustix::event::{EventfdFlags, eventfd};

use crate::core::Core;
use crate::handlers::Place;
use crate::lock::lock;
use crate::object::Task;
pub use keep::KeptObject;
pub use latency::Latencies;
pub use paged::{AccessError, Paged};
pub use source::Source;
use space::{PAGE, Space};
use uffd::Unusable;

/// What a [`Vm`] may use, and how long it waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that may be resident, of all mappings together.
    pub resident: usize,
    /// How long a manager may take for an answer, or take no message.
    pub patience: Duration,
    /// Who brings a page that is touched.
    pub faults: Faults,
    /// With [`Faults::Thread`], how many threads there are for it, one at least. One works at a time, unless
    /// a fault takes long, as where the default manager is inline and reads from a device.
    pub handlers: usize,
    /// Where those threads run.
    pub placement: Placement,
    /// How it is known whether a page was changed.
    pub changes: Changes,
}

/// How it is known whether a page was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Changes {
    /// By a keyed hash of 64 bits of what is in it when it leaves: a page that was written with the same
    /// bytes was not changed.
    #[default]
    Hashed,
    /// By write protection, with [`Faults::Thread`]; with others by a hash all the same. The first write to a
    /// page that its manager has is a fault, and the page is returned whatever is in it. A page that nobody
    /// has written to leaves without a look at it, and one that was put aside is copied back, not moved.
    Protected,
}

/// Where the threads run that take faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// On the processor of the thread that touches pages, as the system says it now and then; with the policy
    /// `SCHED_IDLE`, where this process may take that and leave it, as long as that does not keep them
    /// waiting. To wake a thread on another processor takes longer than all else of a fault.
    #[default]
    Follow,
    /// Where the system has them run.
    Anywhere,
}

/// Who brings a page that is touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Faults {
    /// A thread of the [`Vm`], while the one that touches the page waits in the system. For all uses of
    /// memory, system calls among them.
    #[default]
    Thread,
    /// The thread that touches it, in a handler of SIGBUS: nothing else runs where the manager is
    /// [inline](mig_runtime::Server::inline). Every user may do that. It is for programs that touch the
    /// memory themselves: a system call that is given an absent page fails with `EFAULT`. The handler runs on
    /// the stack of the thread and takes memory, so no allocator and no other signal handler may live in such
    /// memory; a SIGBUS of any other cause goes to the handler that there was before.
    Signal,
    /// There are no faults, and no slices: memory is [read and written by calls](Paged). Where the system
    /// does not permit userfaultfd, or does not have it.
    Calls,
}

impl Limits {
    /// The least that may be resident, in bytes: 16 pages.
    pub const LEAST: usize = 16 * PAGE;
}

impl Default for Limits {
    /// 64 MiB, ten seconds, and up to eight threads that follow those that touch pages.
    fn default() -> Self {
        Self {
            resident: 64 << 20,
            patience: Duration::from_secs(10),
            faults: Faults::Thread,
            handlers: 8,
            placement: Placement::Follow,
            changes: Changes::Hashed,
        }
    }
}

/// What may be done with a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// `VM_PROT_READ`
    Read,
    /// `VM_PROT_READ | VM_PROT_WRITE`: what is written goes back to the manager.
    ReadWrite,
}

/// What has been done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Bytes that are resident, or about to be.
    pub resident: usize,
    /// The most that ever were. A page that its manager could not keep may be here beyond the limit.
    pub peak_resident: usize,
    /// Pages that managers were asked for.
    pub requests: u64,
    /// Pages that were touched again before they had left, and came back without a message.
    pub rescued: u64,
    /// Pages that were returned to managers.
    pub returned: u64,
    /// Pages that were dropped, since their managers have them.
    pub dropped: u64,
    /// Objects whose managers were given up.
    pub destroyed: u64,
}

/// Why memory is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VmError {
    /// userfaultfd is not permitted. [`Faults::Signal`] and [`Faults::Calls`] need no permission.
    NotPermitted,
    /// The kernel is older than Linux 6.8, whose userfaultfd cannot move pages; or it cannot protect them, as
    /// [`Changes::Protected`] needs.
    OldKernel,
    /// [`Limits::resident`] is less than [`Limits::LEAST`].
    LimitTooSmall(usize),
    /// A size of 0, a size or an offset that is no multiple of a page, or an end beyond the address space.
    BadRange,
    /// There is no default manager for anonymous memory.
    NoManager,
    /// With [`Faults::Calls`] there are no slices: take [`Vm::open`].
    OnlyCalls,
    /// The manager has destroyed the object.
    Refused,
    /// The manager did not say in time that it is ready.
    NotReady,
    /// A call of Mach failed.
    Kernel(KernReturn),
    /// A call of Linux failed.
    System(i32),
}

impl fmt::Display for VmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPermitted => f.write_str(
                "userfaultfd is not permitted: run as root, or with CAP_SYS_PTRACE, or give access to /dev/userfaultfd, or \
                 set the sysctl vm.unprivileged_userfaultfd to 1",
            ),
            Self::OldKernel => f.write_str("this kernel's userfaultfd cannot move pages: Linux 6.8 or newer is needed"),
            Self::LimitTooSmall(limit) => {
                write!(f, "{limit} bytes may be resident, and at least {} are needed", Limits::LEAST)
            }
            Self::BadRange => write!(f, "the size or the offset is not a multiple of {PAGE}, or zero, or too large"),
            Self::OnlyCalls => f.write_str("without page faults memory can only be read and written by calls"),
            Self::NoManager => f.write_str("no default memory manager has been set"),
            Self::Refused => f.write_str("the memory manager refused the object"),
            Self::NotReady => f.write_str("the memory manager did not say in time that it is ready"),
            Self::Kernel(code) => write!(f, "a call failed: {code}"),
            Self::System(error) => std::io::Error::from_raw_os_error(*error).fmt(f),
        }
    }
}

impl std::error::Error for VmError {}

impl From<KernReturn> for VmError {
    fn from(code: KernReturn) -> Self {
        Self::Kernel(code)
    }
}

impl From<rustix::io::Errno> for VmError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::System(error.raw_os_error())
    }
}

impl From<Unusable> for VmError {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::NotPermitted => Self::NotPermitted,
            Unusable::OldKernel => Self::OldKernel,
            Unusable::Failed(error) => error.into(),
        }
    }
}

/// The kernel's half for this process. Clones are the same one; its threads end with the last of them and of
/// its mappings.
#[derive(Clone)]
pub struct Vm(Arc<Running>);

/// No page leaves as long as this lives; see [`Vm::keep`].
pub struct Kept(Arc<Running>);

impl Kept {
    /// The anonymous memory that there is, for a child that [inherits](Vm::inherit_at) it.
    ///
    /// # Errors
    ///
    /// As `mach_port_insert_right`.
    pub fn objects(&self) -> Result<Vec<KeptObject>, KernReturn> {
        self.0.core.kept_objects()
    }

    /// Waits until the pages are in their places that were on their way there when this was called. Those
    /// that their manager has given back, and does not have any more, are among them.
    pub fn settle(&self) {
        self.0.core.bring_absent();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.core.keep_no_more();
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

/// A core with its threads.
pub(crate) struct Running {
    pub(crate) core: Arc<Core>,
    stop: Arc<OwnedFd>,
    stop_servers: [Stop<Task>; 2],
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_servers.iter().for_each(Stop::stop);
        drop(lock(&self.core.flushes).take());
        signal::serve_no_more(&self.core);
        // The counter is far from its end, so that this does not wait.
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        for thread in self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // It has said by its panic what there is to say.
            let _ = thread.join();
        }
    }
}

/// How many requests of the default manager for its pages may wait.
const FLUSHES: usize = 4096;

impl Vm {
    /// A task of `host` that is this process's kernel.
    ///
    /// # Errors
    ///
    /// [`VmError::NotPermitted`], [`VmError::OldKernel`], [`VmError::LimitTooSmall`]; or a call failed.
    pub fn new(host: &Host, limits: Limits) -> Result<Self, VmError> {
        let (flushes, wanted) = mpsc::sync_channel(FLUSHES);
        let core = Arc::new(Core::new(host.new_task("vm"), limits, flushes)?);
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let stop_servers = [Stop::new(&core.kernel)?, Stop::new(&core.kernel)?];
        let running = Running { core, stop, stop_servers, threads: Mutex::default() };
        let (core, stop) = (running.core.clone(), running.stop.clone());
        match limits.faults {
            Faults::Thread => {
                let follow = limits.placement == Placement::Follow;
                let may_be_idle = follow && handlers::may_be_idle();
                for _ in 0..limits.handlers.max(1) {
                    let (core, stop) = (core.clone(), stop.clone());
                    running.spawn("vm faults", move || {
                        let place = follow.then(|| Place::new(may_be_idle)).flatten();
                        core.run(&stop, place);
                    })?;
                }
            }
            Faults::Signal => signal::serve(&core)?,
            Faults::Calls => {}
        }
        // Both end when they are told to, or when the task is gone; then managers are overdue one by one.
        let (core, [stop, stop_own]) = (running.core.clone(), running.stop_servers.clone());
        running.spawn("vm ports", move || {
            let _ = Server::until(&core.ports, &stop).with(mach(&*core)).run();
        })?;
        let core = running.core.clone();
        running.spawn("vm own ports", move || {
            let _ = Server::until(&core.own_ports, &stop_own).with(mach(&*core)).inline().run();
        })?;
        let core = running.core.clone();
        running.spawn("vm flushes", move || core.serve_flushes(&wanted))?;
        Ok(Self(Arc::new(running)))
    }

    /// The port of the default memory manager, which pages anonymous memory from now on: one for which
    /// `memory_object_create` is served, such as that of `mach_pager::Service`.
    ///
    /// It is trusted with all memory: where its server is [inline](mig_runtime::Server::inline), its methods
    /// run in the thread that takes faults, and one that waits there holds up everybody.
    ///
    /// # Errors
    ///
    /// If the right is of another host.
    pub fn set_default_manager(&self, manager: SendRight<Local>) -> Result<(), VmError> {
        let manager = NoWait::right(Local::transfer(manager, &self.0.core.task)?);
        let before = std::mem::replace(
            &mut *self.0.core.manager.lock().unwrap_or_else(PoisonError::into_inner),
            manager,
        );
        drop(before);
        Ok(())
    }

    /// New memory, all zeros (`vm_allocate`).
    ///
    /// # Errors
    ///
    /// [`VmError::BadRange`], [`VmError::NoManager`], [`VmError::OnlyCalls`]; or a call failed.
    pub fn allocate(&self, len: usize) -> Result<Memory, VmError> {
        Ok(Memory(self.open(len)?.into_mapping().map_err(|_| VmError::OnlyCalls)?))
    }

    /// New memory, all zeros, that is read and written by calls.
    ///
    /// # Errors
    ///
    /// [`VmError::BadRange`], [`VmError::NoManager`]; or a call failed.
    pub fn open(&self, len: usize) -> Result<Paged, VmError> {
        check_range(0, len)?;
        let object = self.0.core.allocate(|core| core.places.space(len, true))?;
        Ok(Paged { running: self.0.clone(), object })
    }

    /// New memory at addresses that the caller has reserved, as by mapping them without access. They are
    /// reserved again, in that way, when the memory is dropped.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Self::allocate).
    ///
    /// # Safety
    ///
    /// `start` is a multiple of a page, nobody uses what is mapped in the `len` bytes from there, and the
    /// caller keeps these addresses as long as the memory lives.
    pub unsafe fn allocate_at(&self, start: NonNull<u8>, len: usize) -> Result<Memory, VmError> {
        check_range(start.addr().get() as u64, len)?;
        // SAFETY: the caller's promise.
        let object = self.0.core.allocate(|_| unsafe { Space::at_address(start, len) })?;
        let memory = Paged { running: self.0.clone(), object };
        Ok(Memory(memory.into_mapping().map_err(|_| VmError::OnlyCalls)?))
    }

    /// Memory that the process has from the one that it was forked from, where that has a [`Vm`], too: what
    /// is there stays there until it has to leave, and what is not comes from `source` when it is touched.
    /// What that does not have either is zeros. Nobody may touch it before this returns but the thread that
    /// calls it.
    ///
    /// # Errors
    ///
    /// [`VmError::BadRange`]; or a call failed.
    ///
    /// # Safety
    ///
    /// The memory is the copy of one that a [`Vm`] has [allocated](Self::allocate_at) in the parent, as long
    /// as that was [kept](Self::keep), and the caller keeps its addresses as long as the result lives.
    pub unsafe fn inherit_at(
        &self,
        start: NonNull<u8>,
        len: usize,
        source: Arc<dyn Source>,
    ) -> Result<Memory, VmError> {
        check_range(start.addr().get() as u64, len)?;
        // SAFETY: the caller's promise.
        let space = unsafe { Space::of_memory(start, len) };
        let object = self.0.core.inherit(space, source)?;
        let memory = Paged { running: self.0.clone(), object };
        Ok(Memory(memory.into_mapping().map_err(|_| VmError::OnlyCalls)?))
    }

    /// Maps a part of a memory object (`vm_map`): `len` bytes from `offset`, both multiples of a page.
    ///
    /// With [`Protection::ReadWrite`] the slice can be had by [`Mapping::into_memory`].
    ///
    /// # Errors
    ///
    /// [`VmError::BadRange`], [`VmError::Refused`], [`VmError::NotReady`], [`VmError::OnlyCalls`]; or a call
    /// failed.
    pub fn map(
        &self,
        object: SendRight<Local>,
        offset: u64,
        len: usize,
        protection: Protection,
    ) -> Result<Mapping, VmError> {
        self.open_object(object, offset, len, protection)?.into_mapping().map_err(|_| VmError::OnlyCalls)
    }

    /// A part of a memory object, as [`map`](Self::map) says, that is read and written by calls.
    ///
    /// # Errors
    ///
    /// [`VmError::BadRange`], [`VmError::Refused`], [`VmError::NotReady`]; or a call failed.
    pub fn open_object(
        &self,
        object: SendRight<Local>,
        offset: u64,
        len: usize,
        protection: Protection,
    ) -> Result<Paged, VmError> {
        check_range(offset, len)?;
        let writable = protection == Protection::ReadWrite;
        let object = self.0.core.map(object, offset, len, writable)?;
        Ok(Paged { running: self.0.clone(), object })
    }

    /// The task whose rights this has, for its [census](Local::census).
    pub fn task(&self) -> &Local {
        &self.0.core.task
    }

    /// What has been done so far.
    pub fn statistics(&self) -> Statistics {
        self.0.core.statistics()
    }

    /// Keeps what is there, until the result is dropped. When this returns no page is on its way to its
    /// manager: each is there, or out. A child that is forked then has those that are there.
    ///
    /// Meanwhile 32 pages may come beyond what may be resident, and then 200 a second: who touches another
    /// one waits, so as not to be the one for whom this thread has to wait.
    pub fn keep(&self) -> Kept {
        self.0.core.keep();
        Kept(self.0.clone())
    }

    /// How long page faults took that a thread of this served.
    pub fn latencies(&self) -> Latencies {
        self.0.core.latencies.read()
    }
}

impl fmt::Debug for Vm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Vm").field(&self.statistics()).finish()
    }
}

impl Running {
    fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), VmError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread = thread.map_err(|error| VmError::System(error.raw_os_error().unwrap_or(0)))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }
}

fn check_range(offset: u64, len: usize) -> Result<(), VmError> {
    let page = PAGE as u64;
    let is_good = len != 0
        && len % PAGE == 0
        && offset % page == 0
        && len <= isize::MAX as usize
        && offset.checked_add(len as u64).is_some_and(|end| VmOffset::try_from(end).is_ok());
    if is_good { Ok(()) } else { Err(VmError::BadRange) }
}

/// A mapped memory object, as a slice. When it is dropped what was changed goes back to the manager, and the
/// object is terminated.
///
/// Access is SIGBUS where the page cannot be had; see [the crate](crate).
pub struct Mapping(pub(crate) Paged);

impl Mapping {
    /// The same as a slice that can be written; itself again if it was mapped for reading only.
    ///
    /// # Errors
    ///
    /// The mapping.
    pub fn into_memory(self) -> Result<Memory, Self> {
        if self.0.object.writable { Ok(Memory(self)) } else { Err(self) }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the memory is mapped as long as this lives, readable, and its bytes do not change except by
        // a `Memory`, which is borrowed for that: a page that leaves comes back with the same content or not
        // at all.
        unsafe { std::slice::from_raw_parts(self.0.object.space.pointer().as_ptr(), self.0.len()) }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapping({} bytes at {:#x})", self.0.len(), self.0.object.space.start())
    }
}

/// Memory that can be written: anonymous, or a memory object that was mapped for it.
#[derive(Debug)]
pub struct Memory(Mapping);

impl Memory {
    /// Makes these bytes of anonymous memory zeros that take no room, neither here nor with the manager.
    ///
    /// # Errors
    ///
    /// [`VmError::BadRange`] if they are not whole pages of the memory, or if the memory has a manager of its
    /// own.
    pub fn discard(&mut self, bytes: Range<usize>) -> Result<(), VmError> {
        let Paged { running, object } = &self.0.0;
        let len = bytes.end.checked_sub(bytes.start).ok_or(VmError::BadRange)?;
        check_range(bytes.start as u64, len)?;
        if bytes.end > object.space.len() || object.external {
            return Err(VmError::BadRange);
        }
        running.core.discard(object, bytes.start / PAGE..bytes.end / PAGE);
        Ok(())
    }
}

impl Memory {
    /// Does `change`, by which these bytes can be written from then on, or not: a call of `mprotect`, or
    /// whatever comes to the same. Pages of memory that cannot be written leave as others do if that is said
    /// here, and otherwise stay. False if `change` returns that.
    ///
    /// # Errors
    ///
    /// [`VmError::BadRange`] if they are not whole pages of the memory.
    pub fn protect(
        &mut self,
        bytes: Range<usize>,
        writable: bool,
        change: impl FnOnce() -> bool,
    ) -> Result<bool, VmError> {
        let Paged { running, object } = &self.0.0;
        let len = bytes.end.checked_sub(bytes.start).ok_or(VmError::BadRange)?;
        check_range(bytes.start as u64, len)?;
        if bytes.end > object.space.len() {
            return Err(VmError::BadRange);
        }
        Ok(running.core.protect(object, bytes.start / PAGE..bytes.end / PAGE, writable, change))
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        let space = &self.0.0.object.space;
        // SAFETY: as in `Mapping::deref`; it is writable, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(space.pointer().as_ptr(), space.len()) }
    }
}

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
