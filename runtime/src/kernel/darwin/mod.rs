//! The kernel of macOS, iOS and their kin: `mach_msg`, and the calls on ports and memory that `libSystem`
//! has.
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
//! The kernel has two kinds of ports: queues, from which tasks receive, and objects of its own, which are
//! tasks, threads, the host, clocks and so on. Since macOS 13 each send says which kind it is for, and a
//! program that says the wrong one is ended (`EXC_GUARD`, `kGUARD_EXC_INVALID_OPTIONS`). What `mach_msg` of
//! `libSystem` sends is always for a queue. Stubs of an interface that was compiled with `kernel_objects`
//! call `mach_msg2_internal`, which all stubs of `libSystem` use for such calls; where there is none, on
//! macOS 12 and before, `mach_msg` does for both. The function is looked up with the first such call.
//! `mach-defs` has its interfaces of the kernel in that form.
//!
//! # After `fork`
//!
//! A child has none of its parent's rights but those that `mach_ports_register` hands down, and libSystem
//! gives it a reply port of its own. Names are small numbers, and the child's own are alike: an owned value
//! that is inherited and dropped releases a right that the child has under the same name by chance. Between
//! `fork` and `exec` nothing of this module may be used or dropped; a child that goes on without `exec` must
//! forget (`core::mem::forget`) every value that it inherited.
//!
//! # Rights that do not move
//!
//! Since macOS 13 the right to a reply port, which a request brings, is only good for the reply: a message
//! that has it in its body is refused, and the program that sent it is ended. So
//! [`ReplyTo::into_right`](crate::ReplyTo::into_right) is for answers by another interface, and not for
//! handing the duty on to another program, unless the client made its reply port as a plain one. The same
//! holds for receive rights of reply ports, of exception ports ([`ReceiveRight::allocate_exception`]) and of
//! services that launchd has given out.
//!
//! The names of the foreign functions are in the module `system` alone; elsewhere a stand-in has its place in
//! the tests.

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::slice;

use mig_abi::COMPLEX;

use crate::abi::{Abi, Apple};
use crate::bytes::word_at;
use crate::kern_return::KernReturn;
use crate::kernel::{
    Deallocate, Kernel, MsgCall, Name, Notification, PortKind, Region, RightKind, message_size,
};
use crate::right::disposition;
use crate::right::{ReceiveRight, SendRight};

#[cfg(not(target_vendor = "apple"))]
#[path = "stand_in.rs"]
mod system;
#[cfg(target_vendor = "apple")]
mod system;
#[cfg(all(test, not(target_vendor = "apple")))]
mod tests;

/// `MPO_…`, of `mach/port.h`.
mod port_options {
    pub(super) const REPLY_PORT: u32 = 0x1000;
    pub(super) const EXCEPTION_PORT: u32 = 0x8000;
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
        // SAFETY: the task holds a reference of its own for as long as it lives.
        unsafe { self.copy_send(name) }?;
        // SAFETY: the reference has just been made for it.
        Ok(unsafe { SendRight::from_raw(*self, name) })
    }

    /// The control port of the calling thread (`mach_thread_self`); null if there is no room for its name.
    pub fn thread(&self) -> SendRight<Self> {
        // SAFETY: each call gives a reference to its caller.
        unsafe { SendRight::from_raw(*self, system::mach_thread_self()) }
    }

    /// Takes the receive right of a service of this name from launchd (`bootstrap_check_in`): one that the
    /// program's `launchd.plist` lists under `MachServices`, or any name that is free, for a program that no
    /// sandbox holds.
    ///
    /// ```no_run
    /// use mig_runtime::kernel::darwin::Darwin;
    ///
    /// let service = Darwin.check_in(c"org.example.clock")?;
    /// // In another process:
    /// let to_service = Darwin.look_up(c"org.example.clock")?;
    /// # Ok::<(), mig_runtime::KernReturn>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BOOTSTRAP_NOT_PRIVILEGED`](KernReturn::BOOTSTRAP_NOT_PRIVILEGED), also in a sandbox;
    /// [`BOOTSTRAP_SERVICE_ACTIVE`](KernReturn::BOOTSTRAP_SERVICE_ACTIVE) if another process has it.
    pub fn check_in(&self, service: &CStr) -> Result<ReceiveRight<Self>, KernReturn> {
        let name = system::bootstrap_check_in(service)?;
        // SAFETY: launchd has just given the right to the caller.
        Ok(unsafe { ReceiveRight::from_raw(*self, name) })
    }

    /// A send right to the service that has this name (`bootstrap_look_up`). If nobody serves it yet, launchd
    /// may start whoever does, and keeps messages until then.
    ///
    /// # Errors
    ///
    /// [`BOOTSTRAP_UNKNOWN_SERVICE`](KernReturn::BOOTSTRAP_UNKNOWN_SERVICE) if there is none;
    /// [`BOOTSTRAP_NOT_PRIVILEGED`](KernReturn::BOOTSTRAP_NOT_PRIVILEGED) in a sandbox.
    pub fn look_up(&self, service: &CStr) -> Result<SendRight<Self>, KernReturn> {
        let name = system::bootstrap_look_up(service)?;
        // SAFETY: launchd has just given the right to the caller.
        Ok(unsafe { SendRight::from_raw(*self, name) })
    }

    /// The port of the host that anyone may hold (`mach_host_self`); the privileged one if the program may
    /// have that. Null if there is no room for its name.
    pub fn host(&self) -> SendRight<Self> {
        // SAFETY: each call gives a reference to its caller.
        unsafe { SendRight::from_raw(*self, system::mach_host_self()) }
    }
}

impl Deallocate for Darwin {
    unsafe fn deallocate(address: u64, size: usize) {
        // It fails only for memory that is not there.
        // SAFETY: the caller's promise.
        let _ = unsafe { system::mach_vm_deallocate(address, size as u64) };
    }
}

/// Memory of the program that a message refers to.
#[derive(Clone, Copy, Debug)]
pub struct Lent<'a>(&'a [u8]);

// SAFETY: the kernel writes whole messages, and enters what they bring in this task's tables before
// `mach_msg` returns success.
unsafe impl Kernel for Darwin {
    type Abi = Apple;
    type Region = Region<Self>;
    type Lent<'a> = Lent<'a>;

    unsafe fn mach_msg(&self, buffer: &mut [MaybeUninit<u64>], call: MsgCall) -> Result<(), KernReturn> {
        let mut call = call.with_times_of_options();
        if call.kernel_object && call.receive.is_some() {
            // A call to an object of the kernel must not be divided, and its send does not wait.
            call.send_timeout = None;
        }
        let (first, then) = call.halves();
        // SAFETY: the caller's promise.
        unsafe { trap(buffer, first) }?;
        match then {
            // SAFETY: nothing is sent.
            Some(receive) => unsafe { trap(buffer, receive) },
            None => Ok(()),
        }
    }

    fn allocate_port(&self) -> Result<Name, KernReturn> {
        system::mach_port_allocate(RightKind::Receive as u32)
    }

    fn construct_port(&self, kind: PortKind) -> Result<Name, KernReturn> {
        system::mach_port_construct(match kind {
            PortKind::Plain => 0,
            PortKind::Reply => port_options::REPLY_PORT,
            PortKind::Exception => port_options::EXCEPTION_PORT,
        })
    }

    fn allocate_port_set(&self) -> Result<Name, KernReturn> {
        system::mach_port_allocate(RightKind::PortSet as u32)
    }

    unsafe fn release(&self, kind: RightKind, name: Name) {
        if !name.is_valid() {
            return;
        }
        // The call fails if there is no such right, and then there is nothing to release.
        let _ = match kind {
            // This call also releases a right that has become a dead name meanwhile.
            RightKind::Send | RightKind::SendOnce => system::mach_port_deallocate(name),
            RightKind::Receive => system::mach_port_mod_refs(name, RightKind::Receive as u32, -1),
            RightKind::PortSet => system::mach_port_mod_refs(name, RightKind::PortSet as u32, -1),
            RightKind::DeadName => system::mach_port_mod_refs(name, RightKind::DeadName as u32, -1),
        };
    }

    unsafe fn copy_send(&self, name: Name) -> Result<(), KernReturn> {
        system::mach_port_mod_refs(name, RightKind::Send as u32, 1)
    }

    unsafe fn make_send(&self, receive: Name) -> Result<(), KernReturn> {
        system::mach_port_insert_right(receive, receive, disposition::MAKE_SEND)
    }

    unsafe fn make_send_once(&self, receive: Name) -> Result<Name, KernReturn> {
        system::mach_port_extract_right(receive, disposition::MAKE_SEND_ONCE)
    }

    unsafe fn move_member(&self, receive: Name, set: Name) -> Result<(), KernReturn> {
        system::mach_port_move_member(receive, set)
    }

    unsafe fn request_notification(
        &self,
        name: Name,
        which: Notification,
        notify: Name,
    ) -> Result<Name, KernReturn> {
        let (id, sync) = (which.id() as i32, which.sync());
        system::mach_port_request_notification(name, id, sync, notify, disposition::MAKE_SEND_ONCE)
    }

    fn reply_port(&self) -> Result<Name, KernReturn> {
        match system::mig_get_reply_port() {
            name if name.is_valid() => Ok(name),
            _ => Err(KernReturn::KERN_RESOURCE_SHORTAGE),
        }
    }

    unsafe fn destroy_reply_port(&self, name: Name) {
        system::mig_dealloc_reply_port(name);
    }

    fn allocate(&self, size: usize) -> Result<Region<Self>, KernReturn> {
        let address = if size == 0 { 0 } else { system::mach_vm_allocate(size as u64)? };
        // SAFETY: the kernel has just made this memory for the caller.
        Ok(unsafe { Region::new(address, size) })
    }

    fn region_into_wire(&self, region: Region<Self>) -> u64 {
        region.into_address()
    }

    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Region<Self> {
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
    let (options, time) = (call.option_bits::<Apple>(), call.time());
    // SAFETY: the caller sends an initialised header.
    let send_size = if call.send { unsafe { message_size(buffer) } } else { 0 };
    let mut receive_size = 0;
    if call.receive.is_some() {
        receive_size = u32::try_from(size_of_val(buffer)).unwrap_or(u32::MAX);
        if !call.send {
            // Of a message that is too large the kernel writes only the size.
            let header = buffer.len().min(const { Apple::FACTS.header } / size_of::<u64>());
            buffer[..header].fill(MaybeUninit::new(0));
        }
    }
    let receive = call.receive.unwrap_or(Name::NULL);
    // SAFETY: a message that is sent is initialised, as the caller says.
    let words = (call.send && call.kernel_object)
        .then(|| unsafe { to_kernel_object(buffer, options, send_size, receive_size, receive, time) });
    let message = buffer.as_mut_ptr().cast();
    // SAFETY: `send_size` bytes may be read, as the caller says, and `receive_size` bytes written: they are
    // the buffer.
    let answer = words.and_then(|words| unsafe { system::mach_msg2_internal(message, words) });
    let code = match answer {
        Some(code) => code,
        // SAFETY: as above.
        None => unsafe { system::mach_msg(message, options, send_size, receive_size, receive, time) },
    };
    code.without_shortage().ok()
}

/// `MACH64_SEND_KOBJECT_CALL`
const KERNEL_OBJECT_CALL: u64 = 0x2_0000_0000;

/// The arguments of `mach_msg2_internal`, after the message, for a call to an object of the kernel. It takes
/// the fields of the header from here.
///
/// # Safety
///
/// The buffer begins with an initialised message of `send_size` bytes.
unsafe fn to_kernel_object(
    buffer: &[MaybeUninit<u64>],
    options: u32,
    send_size: u32,
    receive_size: u32,
    receive: Name,
    timeout: u32,
) -> [u64; 7] {
    let facts = const { Apple::FACTS };
    let len = size_of_val(buffer).min(send_size as usize);
    // SAFETY: the caller's promise.
    let message = unsafe { slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), len) };
    let word = |at| word_at(message, at).unwrap_or(0);
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let bits = word(0);
    let descriptors = if bits & COMPLEX == 0 { 0 } else { word(facts.header) };
    // There is no priority.
    [
        u64::from(options) | KERNEL_OBJECT_CALL,
        pair(bits, send_size),
        pair(word(facts.remote_port), word(facts.local_port)),
        pair(word(facts.seqno), word(facts.id)),
        pair(descriptors, receive.0),
        pair(receive_size, 0),
        timeout.into(),
    ]
}
