//! Mach's messages inside one process: the reference for what every other kernel must do, and the ground for
//! tests.
//!
//! A [`Host`] is a machine of its own. A [`Local`] is a handle on one of its tasks; its clones denote the
//! same task, which ends, and gives back all that it has, when the last is gone or with [`Local::terminate`].
//! Names, rights, queues, notifications and the forms that a message takes on its way are those of GNU Mach,
//! for an untyped ABI with the descriptors and trailers of Apple's kernels; [`Census`] counts what a task
//! has, so that a test can end by asking whether anything has leaked.
//!
//! ```
//! use mig_runtime::kernel::local::Local;
//! use mig_runtime::kernel::{Kernel, RightKind};
//!
//! let task: Local = Local::new();
//! let before = task.census();
//!
//! let port = task.allocate_port()?;
//! // SAFETY: the receive right has just been made, and nobody else has it.
//! unsafe { task.make_send(port) }?;
//! assert_eq!(task.census().send, before.send + 1);
//!
//! // SAFETY: both references were made above; the port dies, and the send right becomes a dead name.
//! unsafe { task.release(RightKind::Receive, port) };
//! assert_eq!(task.census().dead_names, 1);
//! unsafe { task.release(RightKind::Send, port) };
//! assert_eq!(task.census(), before);
//! # Ok::<(), mig_runtime::kern_return::KernReturn>(())
//! ```
//!
//! Where it differs from the real thing: names have no generation and are soon used again; an address of
//! out-of-line memory denotes a whole region and means nothing to the processor; a port whose receive right
//! is in its own queue lives as long as the host. What XNU refuses of all that, and does not say in its
//! messages, is in [`Policies`].

mod census;
mod inline;
mod message;
mod names;
mod notify;
mod policy;
mod region;
mod state;
#[cfg(test)]
mod tests;
mod transfer;
mod wire;

use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use std::cell::RefCell;
use std::string::String;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::vec::Vec;

use self::region::Bytes;
use self::state::{State, TaskId};
use self::wire::{Disposition, Wire};
use crate::abi::{Facts, Native, TaskAbi};
use crate::kern_return::KernReturn;
use crate::kernel::{Inline, Kernel, MsgCall, Name, Notification, PortKind, RightKind};
use crate::platform::{self, Std};
use crate::right::Right;

type Mutex<T> = platform::Mutex<Std, T>;

pub use self::census::{Census, ReceiveStatus};
pub use self::policy::Policies;
pub use self::region::{Lent, Region};

/// A machine: tasks whose messages reach each other, and nobody else.
pub struct Host<A: TaskAbi = Native> {
    state: Arc<Mutex<State>>,
    abi: PhantomData<A>,
}

impl<A: TaskAbi> Clone for Host<A> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), abi: PhantomData }
    }
}

impl<A: TaskAbi> Default for Host<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: TaskAbi> Host<A> {
    /// A machine without tasks, whose kernel is the newest that speaks this ABI.
    pub fn new() -> Self {
        Self::with_policies(Policies::of::<A>())
    }

    /// A machine whose kernel refuses what these policies say, beyond Mach's rules.
    pub fn with_policies(policies: Policies) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(&A::FACTS, policies))), abi: PhantomData }
    }

    /// Makes a task. The label is for people.
    pub fn new_task(&self, label: &str) -> Local<A> {
        let (id, claimed_regions) = {
            let mut state = self.state.lock();
            let id = state.new_task(label);
            (id, state.tasks[&id].claimed_regions.clone())
        };
        Local { task: Arc::new(Task { state: self.state.clone(), id, claimed_regions }), abi: PhantomData }
    }

    /// How many ports are alive, wherever their receive rights are: 0 when all tasks have ended, unless a
    /// message holds its own port.
    pub fn port_count(&self) -> usize {
        self.state.lock().ports.len()
    }
}

impl<A: TaskAbi> fmt::Debug for Host<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<String> = self.state.lock().tasks.values().map(|task| task.label.clone()).collect();
        f.debug_struct("Host").field("tasks", &labels).finish()
    }
}

/// A task. With the last reference it ends.
struct Task {
    state: Arc<Mutex<State>>,
    id: TaskId,
    claimed_regions: Arc<AtomicUsize>,
}

impl Task {
    /// Runs an operation on the state, and then everything that follows from it.
    fn with<R>(&self, operation: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = operation(&mut state);
        state.settle();
        result
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.with(|state| state.end_task(self.id));
    }
}

/// A handle on a task of a [`Host`]: a [`Kernel`] inside one process.
pub struct Local<A: TaskAbi = Native> {
    task: Arc<Task>,
    abi: PhantomData<A>,
}

impl<A: TaskAbi> Clone for Local<A> {
    fn clone(&self) -> Self {
        Self { task: self.task.clone(), abi: PhantomData }
    }
}

/// Handles are equal if they denote the same task.
impl<A: TaskAbi> PartialEq for Local<A> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.task, &other.task)
    }
}

impl<A: TaskAbi> Eq for Local<A> {}

impl<A: TaskAbi> fmt::Debug for Local<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.task.state.lock();
        let label = state.tasks.get(&self.task.id).map_or("(ended)", |task| &task.label);
        f.debug_tuple("Local").field(&label).finish()
    }
}

impl<A: TaskAbi> Default for Local<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: TaskAbi> Local<A> {
    /// The only task of a new host.
    pub fn new() -> Self {
        Host::new().new_task("task")
    }

    /// The host of this task.
    pub fn host(&self) -> Host<A> {
        Host { state: self.task.state.clone(), abi: PhantomData }
    }

    /// Has this task's messages ignore queue limits and [`Policies`] from now on, as a kernel's do.
    pub fn send_always(&self) {
        self.with_task(|task| task.send_always = true);
    }

    /// From now on this port is an object of the kernel: XNU takes other calls for it than for the queues of
    /// tasks ([`Policies`]). It is received from as before, by the task that plays the kernel.
    ///
    /// # Errors
    ///
    /// `KERN_INVALID_NAME` or `KERN_INVALID_RIGHT` if `receive` is not the name of a receive right.
    pub fn make_kernel_object(&self, receive: Name) -> Result<(), KernReturn> {
        self.with(|state, task| {
            let id = state.receive_right(task, receive)?;
            if let Some(port) = state.ports.get_mut(&id) {
                port.kernel_object = true;
            }
            Ok(())
        })
    }

    /// From now on the task has room for this many names. What needs one more fails, and of a message that
    /// brings more a part is lost, as on a real kernel that is short of names: `MACH_RCV_HEADER_ERROR` or
    /// `MACH_RCV_BODY_ERROR`.
    pub fn limit_names(&self, most: usize) {
        self.with_task(|task| task.name_limit = most);
    }

    /// From now on the task has room for this many pieces of out-of-line memory, as [`Census::regions`]
    /// counts them; see [`limit_names`](Self::limit_names).
    pub fn limit_regions(&self, most: usize) {
        self.with_task(|task| task.region_limit = most);
    }

    /// Ends the task: its ports die, its rights are released, threads that wait in it return, and tasks that
    /// asked for a notification get it. Further calls fail, and releases do nothing.
    pub fn terminate(&self) {
        self.task.with(|state| state.end_task(self.task.id));
    }

    /// Makes every thread that waits in this task return, with `MACH_SEND_INTERRUPTED` or
    /// `MACH_RCV_INTERRUPTED`.
    pub fn interrupt(&self) {
        self.task.with(|state| state.interrupt(self.task.id));
    }

    /// Moves one reference of a right of this task to another task of the same host, and returns its name
    /// there.
    ///
    /// # Errors
    ///
    /// `KERN_INVALID_NAME` or `KERN_INVALID_RIGHT` if the name does not denote such a right, or `kind` is one
    /// that cannot move; `KERN_INVALID_TASK` if either task has ended, or the other is of another host.
    fn give(&self, kind: RightKind, name: Name, to: &Self) -> Result<Name, KernReturn> {
        let disposition = match kind {
            RightKind::Send => Disposition::MoveSend,
            RightKind::Receive => Disposition::MoveReceive,
            RightKind::SendOnce => Disposition::MoveSendOnce,
            RightKind::PortSet | RightKind::DeadName => return Err(KernReturn::KERN_INVALID_RIGHT),
        };
        if !Arc::ptr_eq(&self.task.state, &to.task.state) {
            return Err(KernReturn::KERN_INVALID_TASK);
        }
        self.with(|state, from| {
            state.task(to.task.id)?;
            let right = state.copy_in(from, name, disposition)?;
            state.copy_out(to.task.id, right)
        })
    }

    /// Moves an owned right to another task of the same host: the first right that a program is given, before
    /// any message can bring one.
    ///
    /// ```
    /// use mig_runtime::ReceiveRight;
    /// use mig_runtime::kernel::local::{Host, Local};
    ///
    /// let host: Host = Host::new();
    /// let (server, client) = (host.new_task("server"), host.new_task("client"));
    /// let port = ReceiveRight::allocate(&server)?;
    /// let to_server = Local::transfer(port.make_send()?, &client)?;
    /// assert_eq!(to_server.kernel(), &client);
    /// # Ok::<(), mig_runtime::KernReturn>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `KERN_INVALID_TASK` if either task has ended, or the other is of another host. The right is released
    /// then.
    pub fn transfer<R: Right<Self>>(right: R, to: &Self) -> Result<R, KernReturn> {
        let from = right.kernel().clone();
        let kind = match R::MOVE {
            16 => RightKind::Receive,
            17 => RightKind::Send,
            _ => RightKind::SendOnce,
        };
        let name = right.into_raw();
        match from.give(kind, name, to) {
            // SAFETY: `to` has just been given one reference under this name.
            Ok(name) => Ok(unsafe { R::from_raw(to.clone(), name) }),
            Err(code) => {
                // SAFETY: the reference, taken out above, is still there.
                drop(unsafe { R::from_raw(from, name) });
                Err(code)
            }
        }
    }

    /// Releases one reference of the send right, the send-once right or the dead name that this name denotes
    /// (`mach_port_deallocate`): for programs that know it by its name alone. Others drop their rights.
    ///
    /// # Safety
    ///
    /// As for [`Kernel::release`].
    ///
    /// # Errors
    ///
    /// `KERN_INVALID_NAME` if it denotes nothing, `KERN_INVALID_RIGHT` if it denotes something else.
    pub unsafe fn deallocate(&self, name: Name) -> Result<(), KernReturn> {
        self.with(|state, task| {
            let kind = state.deallocated_kind(task, name)?;
            if state.release(task, kind, name) { Ok(()) } else { Err(KernReturn::KERN_INVALID_RIGHT) }
        })
    }

    fn with_task<R>(&self, operation: impl FnOnce(&mut state::Task) -> R) -> Option<R> {
        self.task.state.lock().task(self.task.id).map(operation).ok()
    }

    fn with<R>(&self, operation: impl FnOnce(&mut State, TaskId) -> R) -> R {
        self.task.with(|state| operation(state, self.task.id))
    }

    fn lock(&self) -> platform::MutexGuard<'_, Std, State> {
        self.task.state.lock()
    }

    fn end_loan(&self, address: u64) {
        // The memory is dropped after the lock is open.
        let _memory = self.with_task(|task| task.regions.remove(address));
    }
}

/// The thread's reply port in one task.
struct ReplyPort {
    task: Weak<Task>,
    name: Name,
}

impl Drop for ReplyPort {
    fn drop(&mut self) {
        if let Some(task) = self.task.upgrade() {
            task.with(|state| {
                if state.task(task.id).is_ok_and(|task| task.reply_ports.remove(&self.name)) {
                    state.release(task.id, RightKind::Receive, self.name);
                }
            });
        }
    }
}

std::thread_local! {
    /// One for each task in which the thread has called, so there are few.
    static REPLY_PORTS: RefCell<Vec<ReplyPort>> = const { RefCell::new(Vec::new()) };
}

// SAFETY: `copy_out` writes a whole message and enters each right and region in the receiving task's tables,
// taken from the sender's; the names and addresses in the message are those entries and no others.
unsafe impl<A: TaskAbi> Kernel for Local<A> {
    type Abi = A;
    type Region = Region;
    type Lent<'a> = Lent<'a, A>;

    unsafe fn mach_msg(&self, buffer: &mut [MaybeUninit<u64>], call: MsgCall) -> Result<(), KernReturn> {
        let call = call.with_times_of_options();
        if call.send {
            // SAFETY: the caller vouches for the header and as many bytes as it says.
            let wire = unsafe { sent_message(&A::FACTS, buffer) }?;
            self.send(wire, &call).map_err(|refused| {
                if let Some(returned) = refused.returned {
                    write(buffer, returned);
                }
                refused.code
            })?;
        }
        match call.receive {
            Some(from) => self.receive(from, buffer, &call),
            None => Ok(()),
        }
    }

    fn serve_inline(&self, inline: Inline<'_>, body: &mut dyn FnMut()) {
        self.serving(inline, body);
    }

    fn is_same_task(&self, other: &Self) -> bool {
        self == other
    }

    fn allocate_port(&self) -> Result<Name, KernReturn> {
        self.construct_port(PortKind::Plain)
    }

    fn construct_port(&self, kind: PortKind) -> Result<Name, KernReturn> {
        self.with(|state, task| state.new_port(task, kind))
    }

    fn allocate_port_set(&self) -> Result<Name, KernReturn> {
        self.with(State::new_set)
    }

    unsafe fn release(&self, kind: RightKind, name: Name) {
        if !name.is_valid() {
            return;
        }
        self.with(|state, id| {
            if !state.release(id, kind, name) {
                if let Ok(task) = state.task(id) {
                    task.bad_releases += 1;
                }
            }
        });
    }

    unsafe fn copy_send(&self, name: Name) -> Result<(), KernReturn> {
        self.with(|state, task| state.add_send(task, name))
    }

    unsafe fn make_send(&self, receive: Name) -> Result<(), KernReturn> {
        self.with(|state, task| {
            state.receive_right(task, receive)?;
            state.check_made(task, receive, Disposition::MakeSend)?;
            state.check_references(task, receive)?;
            let right = state.copy_in(task, receive, Disposition::MakeSend)?;
            state.copy_out(task, right).map(drop)
        })
    }

    unsafe fn make_send_once(&self, receive: Name) -> Result<Name, KernReturn> {
        self.with(|state, task| {
            state.receive_right(task, receive)?;
            state.check_made(task, receive, Disposition::MakeSendOnce)?;
            let right = state.copy_in(task, receive, Disposition::MakeSendOnce)?;
            state.copy_out(task, right)
        })
    }

    unsafe fn move_member(&self, receive: Name, set: Name) -> Result<(), KernReturn> {
        self.with(|state, task| state.move_member(task, receive, set))
    }

    unsafe fn request_notification(
        &self,
        name: Name,
        which: Notification,
        notify: Name,
    ) -> Result<Name, KernReturn> {
        self.with(|state, task| state.request(task, name, which, notify))
    }

    fn reply_port(&self) -> Result<Name, KernReturn> {
        REPLY_PORTS.with_borrow_mut(|ports| {
            ports.retain(|port| port.task.strong_count() > 0);
            let cached = ports.iter().find(|port| core::ptr::eq(port.task.as_ptr(), &*self.task));
            if let Some(cached) = cached {
                return Ok(cached.name);
            }
            let name = self.construct_port(PortKind::Reply)?;
            self.with_task(|task| task.reply_ports.insert(name));
            ports.push(ReplyPort { task: Arc::downgrade(&self.task), name });
            Ok(name)
        })
    }

    unsafe fn destroy_reply_port(&self, name: Name) {
        let cached = REPLY_PORTS.with_borrow_mut(|ports| {
            let is_it =
                |port: &ReplyPort| port.name == name && core::ptr::eq(port.task.as_ptr(), &*self.task);
            ports.iter().position(is_it).map(|at| ports.swap_remove(at))
        });
        drop(cached);
    }

    fn allocate(&self, size: usize) -> Result<Region, KernReturn> {
        let bytes = Bytes::zeroed(size).ok_or(KernReturn::KERN_NO_SPACE)?;
        Ok(Region::new(bytes, &self.task.claimed_regions))
    }

    fn region_into_wire(&self, region: Region) -> u64 {
        self.with_task(|task| task.regions.insert(region.into_bytes())).unwrap_or(0)
    }

    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Region {
        let bytes = self.with_task(|task| match size {
            0 => Bytes::default(),
            _ => task
                .regions
                .remove(address)
                .expect("only memory that a message has delivered is claimed, and once"),
        });
        // A task that has ended has no memory left. The caller gets zeros of the size that it expects.
        let bytes = bytes.or_else(|| Bytes::zeroed(size)).unwrap_or_default();
        debug_assert_eq!(bytes.len(), size, "memory is claimed whole");
        Region::new(bytes, &self.task.claimed_regions)
    }

    fn lend<'a>(&self, bytes: &'a [u8]) -> Lent<'a, A> {
        // The kernel copies what a message refers to; here it does so early, because an address that it could
        // follow later would be a pointer.
        let copy = Bytes::copy(bytes).unwrap_or_default();
        let address = self.with_task(|task| task.regions.insert(copy)).unwrap_or(0);
        Lent::new(self.clone(), address)
    }

    fn lent_address(lent: &Lent<'_, A>) -> u64 {
        lent.address()
    }
}

/// The message at the beginning of a buffer.
///
/// # Safety
///
/// The header is initialised, and as many bytes as `msgh_size` says, if the buffer has as many.
unsafe fn sent_message(facts: &'static Facts, buffer: &[MaybeUninit<u64>]) -> Result<Wire, KernReturn> {
    let room = size_of_val(buffer);
    if room < facts.header {
        return Err(KernReturn::MACH_SEND_INVALID_DATA);
    }
    let start = buffer.as_ptr().cast::<u8>();
    // SAFETY: the header is inside the buffer and initialised.
    let header = unsafe { core::slice::from_raw_parts(start, facts.header) };
    let size = u32::from_ne_bytes(core::array::from_fn(|i| header[4 + i])) as usize;
    if size < facts.header || size % facts.alignment != 0 {
        return Err(KernReturn::MACH_SEND_MSG_TOO_SMALL);
    }
    if size > room {
        return Err(KernReturn::MACH_SEND_INVALID_DATA);
    }
    // SAFETY: `size` bytes are inside the buffer and initialised.
    Ok(Wire::copy(facts, unsafe { core::slice::from_raw_parts(start, size) }))
}

/// Writes as much of a message as there is room for.
fn write(buffer: &mut [MaybeUninit<u64>], wire: Wire) {
    for (to, from) in buffer.iter_mut().zip(wire.into_words()) {
        to.write(from);
    }
}
