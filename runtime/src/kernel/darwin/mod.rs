//! The kernel of macOS, iOS and their kin: `mach_msg`, and the calls on ports and memory that `libSystem` has.
//!
//! [`Darwin`] is the task that the program runs in.
//!
//! ```no_run
//! use mig_runtime::ReceiveRight;
//! use mig_runtime::kernel::darwin::Darwin;
//!
//! let port = ReceiveRight::allocate(&Darwin)?;
//! let to_port = port.make_send()?;
//! # Ok::<(), mig_runtime::KernReturn>(())
//! ```
//!
//! The names of the foreign functions are in the module `system` alone; elsewhere a stand-in has its place in the tests.

use core::fmt;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use core::slice;

use crate::abi::Abi;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, MsgCall, Name, Notification, RightKind};
use crate::right::SendRight;
use crate::types::name;

#[cfg(not(target_vendor = "apple"))]
#[path = "stand_in.rs"]
mod system;
#[cfg(target_vendor = "apple")]
mod system;
#[cfg(all(test, not(target_vendor = "apple")))]
mod tests;

/// The ABI of this task's messages.
#[cfg(target_pointer_width = "64")]
type Native = crate::abi::Apple64;
/// The ABI of this task's messages.
#[cfg(target_pointer_width = "32")]
type Native = crate::abi::Apple32;

/// `MACH_SEND_MSG`
const SEND_MSG: u32 = 1;
/// `MACH_RCV_MSG`
const RCV_MSG: u32 = 2;
/// `MACH_SEND_TIMEOUT`
const SEND_TIMEOUT: u32 = 0x10;
/// `MACH_RCV_TIMEOUT`
const RCV_TIMEOUT: u32 = 0x100;

/// `MACH_PORT_RIGHT_…`
mod right {
    pub(super) const SEND: u32 = 0;
    pub(super) const RECEIVE: u32 = 1;
    pub(super) const PORT_SET: u32 = 3;
}

/// The task that the program runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Darwin;

impl Darwin {
    /// The control port of this task (`mach_task_self`).
    ///
    /// # Errors
    ///
    /// As `mach_port_mod_refs`: it holds as many references as fit.
    pub fn task(&self) -> Result<SendRight<Self>, KernReturn> {
        let name = system::mach_task_self();
        self.copy_send(name)?;
        // SAFETY: the reference has just been made for it.
        Ok(unsafe { SendRight::from_raw(*self, name) })
    }

    /// The control port of the calling thread (`mach_thread_self`); null if there is no room for its name.
    pub fn thread(&self) -> SendRight<Self> {
        // SAFETY: each call gives a reference to its caller.
        unsafe { SendRight::from_raw(*self, system::mach_thread_self()) }
    }

    /// The port of the host that anyone may hold (`mach_host_self`); the privileged one if the program may have that. Null if there is no
    /// room for its name.
    pub fn host(&self) -> SendRight<Self> {
        // SAFETY: each call gives a reference to its caller.
        unsafe { SendRight::from_raw(*self, system::mach_host_self()) }
    }
}

/// A part of the task's address space; dropping it gives it back.
pub struct Region {
    /// Dangling where there are no bytes.
    address: NonNull<u8>,
    size: usize,
}

// SAFETY: it owns the bytes, and no thread has more to do with them than another.
unsafe impl Send for Region {}

// SAFETY: a shared reference gives only shared access to the bytes.
unsafe impl Sync for Region {}

impl Region {
    /// # Safety
    ///
    /// The task has so many bytes at this address, which nobody else claims; or `size` is 0.
    unsafe fn new(address: u64, size: usize) -> Self {
        let address =
            if size == 0 { None } else { NonNull::new(ptr::with_exposed_provenance_mut(address as usize)) };
        match address {
            Some(address) => Self { address, size },
            None => Self { address: NonNull::dangling(), size: 0 },
        }
    }

    fn into_address(self) -> u64 {
        let region = core::mem::ManuallyDrop::new(self);
        if region.size == 0 { 0 } else { region.address.as_ptr().expose_provenance() as u64 }
    }
}

impl Deref for Region {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: it owns so many bytes there, which the kernel has initialised.
        unsafe { slice::from_raw_parts(self.address.as_ptr(), self.size) }
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { slice::from_raw_parts_mut(self.address.as_ptr(), self.size) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.size != 0 {
            let address = self.address.as_ptr().expose_provenance() as u64;
            // SAFETY: it owns the memory, and this is its end.
            let _ = unsafe { system::mach_vm_deallocate(address, self.size as u64) };
        }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({} bytes)", self.size)
    }
}

/// Memory of the program that a message refers to.
#[derive(Clone, Copy, Debug)]
pub struct Lent<'a>(&'a [u8]);

// SAFETY: the kernel writes whole messages, and enters what they bring in this task's tables before `mach_msg` returns success.
unsafe impl Kernel for Darwin {
    type Abi = Native;
    type Region = Region;
    type Lent<'a> = Lent<'a>;

    unsafe fn mach_msg(&self, buffer: &mut [MaybeUninit<u64>], call: MsgCall) -> Result<(), KernReturn> {
        let call = call.with_times_of_options();
        let differ =
            call.send_timeout.zip(call.receive_timeout).is_some_and(|(send, receive)| send != receive);
        if call.send && call.receive.is_some() && differ {
            // There is only one time in a call.
            // SAFETY: the caller's promise.
            unsafe { trap(buffer, MsgCall { receive: None, ..call }) }?;
            // SAFETY: nothing is sent.
            return unsafe { trap(buffer, MsgCall { send: false, ..call }) };
        }
        // SAFETY: the caller's promise.
        unsafe { trap(buffer, call) }
    }

    fn allocate_port(&self) -> Result<Name, KernReturn> {
        system::mach_port_allocate(right::RECEIVE)
    }

    fn allocate_port_set(&self) -> Result<Name, KernReturn> {
        system::mach_port_allocate(right::PORT_SET)
    }

    fn release(&self, kind: RightKind, name: Name) {
        if !name.is_valid() {
            return;
        }
        // It fails if there is no such right, and then there is nothing to release.
        let _ = match kind {
            // Also where the right has become a dead name meanwhile.
            RightKind::Send | RightKind::SendOnce => system::mach_port_deallocate(name),
            RightKind::Receive => system::mach_port_mod_refs(name, right::RECEIVE, -1),
            RightKind::PortSet => system::mach_port_mod_refs(name, right::PORT_SET, -1),
        };
    }

    fn copy_send(&self, name: Name) -> Result<(), KernReturn> {
        system::mach_port_mod_refs(name, right::SEND, 1)
    }

    fn make_send(&self, receive: Name) -> Result<(), KernReturn> {
        system::mach_port_insert_right(receive, receive, name::MAKE_SEND)
    }

    fn make_send_once(&self, receive: Name) -> Result<Name, KernReturn> {
        system::mach_port_extract_right(receive, name::MAKE_SEND_ONCE)
    }

    fn move_member(&self, receive: Name, set: Name) -> Result<(), KernReturn> {
        system::mach_port_move_member(receive, set)
    }

    fn request_notification(
        &self,
        name: Name,
        which: Notification,
        notify: Name,
    ) -> Result<Name, KernReturn> {
        let (id, sync) = match which {
            Notification::PortDestroyed => (69, 0),
            Notification::NoSenders { sync } => (70, sync),
            // If the port has died already, tell at once.
            Notification::DeadName => (72, 1),
        };
        system::mach_port_request_notification(name, id, sync, notify, name::MAKE_SEND_ONCE)
    }

    fn reply_port(&self) -> Result<Name, KernReturn> {
        match system::mig_get_reply_port() {
            name if name.is_valid() => Ok(name),
            _ => Err(KernReturn::KERN_RESOURCE_SHORTAGE),
        }
    }

    fn destroy_reply_port(&self, name: Name) {
        system::mig_dealloc_reply_port(name);
    }

    fn allocate(&self, size: usize) -> Result<Region, KernReturn> {
        let address = if size == 0 { 0 } else { system::mach_vm_allocate(size as u64)? };
        // SAFETY: the kernel has just made this memory for the caller.
        Ok(unsafe { Region::new(address, size) })
    }

    fn region_into_wire(&self, region: Region) -> u64 {
        region.into_address()
    }

    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Region {
        // SAFETY: the caller's promise.
        unsafe { Region::new(address, size) }
    }

    fn lend<'a>(&self, bytes: &'a [u8]) -> Lent<'a> {
        Lent(bytes)
    }

    fn lent_address(lent: &Lent<'_>) -> u64 {
        lent.0.as_ptr().expose_provenance() as u64
    }
}

/// One `mach_msg` call, whose times do not differ.
///
/// # Safety
///
/// As [`Kernel::mach_msg`].
unsafe fn trap(buffer: &mut [MaybeUninit<u64>], call: MsgCall) -> Result<(), KernReturn> {
    let facts = const { Native::FACTS };
    let mut options = call.options;
    let mut time = 0;
    let (mut send_size, mut receive_size) = (0, 0);
    if call.send {
        options |= SEND_MSG;
        if let Some(timeout) = call.send_timeout {
            (options, time) = (options | SEND_TIMEOUT, timeout);
        }
        // SAFETY: the caller sends an initialised header.
        send_size = unsafe { message_size(buffer) };
    }
    if call.receive.is_some() {
        options |= RCV_MSG;
        if let Some(timeout) = call.receive_timeout {
            (options, time) = (options | RCV_TIMEOUT, timeout);
        }
        if call.large {
            options |= facts.receive_large;
        }
        receive_size = u32::try_from(size_of_val(buffer)).unwrap_or(u32::MAX);
        if !call.send {
            // Of a message that is too large the kernel writes only the size.
            let header = buffer.len().min(facts.header / size_of::<u64>());
            buffer[..header].fill(MaybeUninit::new(0));
        }
    }
    let message = buffer.as_mut_ptr().cast();
    let receive = call.receive.unwrap_or(Name::NULL);
    // SAFETY: `send_size` bytes may be read, as the caller says, and `receive_size` bytes written: they are the buffer.
    let code = unsafe { system::mach_msg(message, options, send_size, receive_size, receive, time) };
    code.without_shortage().ok()
}

/// `msgh_size`
///
/// # Safety
///
/// The first word of the buffer is initialised.
unsafe fn message_size(buffer: &[MaybeUninit<u64>]) -> u32 {
    let Some(first) = buffer.first() else { return 0 };
    // SAFETY: the caller's promise.
    let first = unsafe { first.assume_init() };
    (first >> 32) as u32
}
