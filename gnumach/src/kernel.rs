//! The kernel below, as [`Kernel`].

use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use core::slice;
use core::sync::atomic::{AtomicU32, Ordering};

use mach_defs::gnu::mach::{self, VmAddress};
use mach_defs::gnu::mach_port;
use mig_abi::{Disposition, MsgOption, NotificationId, RightKind};
use mig_runtime::abi::{Abi, Gnu};
use mig_runtime::kernel::MsgCall;
use mig_runtime::{AnyRight, KernReturn, Kernel, Name, Notification, ReceiveRight, SendOnceRight, SendRight};

use crate::{thread, trap};

/// A send right.
pub type Send = SendRight<GnuMach>;

/// A receive right.
pub type Receive = ReceiveRight<GnuMach>;

/// GNU Mach, as the task that this program is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnuMach;

/// The name of this task's port, once it is known.
static TASK: AtomicU32 = AtomicU32::new(0);

/// After a fork: this task is another one.
pub(crate) fn forget_task() {
    TASK.store(0, Ordering::Relaxed);
}

/// A right of the program that nobody drops: it can be used, and neither released nor taken.
#[derive(Debug)]
pub struct Borrowed<R>(ManuallyDrop<R>);

impl<R> Deref for Borrowed<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.0
    }
}

/// This task, borrowed for a call.
///
/// Whoever holds this right can do anything to the task, as by writing to `/proc/self/mem` elsewhere: calls
/// such as `vm_deallocate` or `mach_port_deallocate` are safe functions that take numbers. What they do to
/// memory and rights that somebody owns is not the compiler's to find.
pub fn task() -> Borrowed<Send> {
    let mut name = TASK.load(Ordering::Relaxed);
    if name == 0 {
        name = trap::task_self().0;
        TASK.store(name, Ordering::Relaxed);
    }
    borrowed(Name(name))
}

/// A send right that stays with its owner.
pub(crate) fn borrowed(name: Name) -> Borrowed<Send> {
    // SAFETY: it is not dropped, so no reference is released.
    Borrowed(ManuallyDrop::new(unsafe { SendRight::from_raw(GnuMach, name) }))
}

/// A receive right that stays with its owner.
fn borrowed_receive(name: Name) -> Borrowed<Receive> {
    // SAFETY: it is not dropped, so the port lives on.
    Borrowed(ManuallyDrop::new(unsafe { ReceiveRight::from_raw(GnuMach, name) }))
}

// SAFETY: on success the kernel has written a whole message, whose rights and regions it has put into this
// task.
unsafe impl Kernel for GnuMach {
    type Abi = Gnu;
    type Region = Pages;
    type Lent<'a> = &'a [u8];

    unsafe fn mach_msg(&self, buffer: &mut [MaybeUninit<u64>], call: MsgCall) -> Result<(), KernReturn> {
        let call = call.with_times_of_options();
        // The trap has one timeout for both halves.
        let together = call.send_timeout.is_none() || call.send_timeout == call.receive_timeout;
        if call.send && call.receive.is_some() && !together {
            let (send, receive) =
                (MsgCall { receive: None, ..call }, MsgCall { send: false, send_timeout: None, ..call });
            // SAFETY: the caller's promise.
            unsafe { message(buffer, send) }?;
            // SAFETY: nothing is sent.
            return unsafe { message(buffer, receive) };
        }
        // SAFETY: the caller's promise.
        unsafe { message(buffer, call) }
    }

    fn allocate_port(&self) -> Result<Name, KernReturn> {
        Ok(mach_port::mach_port_allocate(&task(), RightKind::Receive as u32)?)
    }

    fn allocate_port_set(&self) -> Result<Name, KernReturn> {
        Ok(mach_port::mach_port_allocate(&task(), RightKind::PortSet as u32)?)
    }

    unsafe fn release(&self, kind: RightKind, name: Name) {
        // A name that is not valid is to be ignored, and there is nothing else to fail for.
        let _ = match kind {
            // Also if it has become a dead name.
            RightKind::Send | RightKind::SendOnce => mach_port::mach_port_deallocate(&task(), name),
            RightKind::Receive => mach_port::mach_port_mod_refs(&task(), name, RightKind::Receive as u32, -1),
            RightKind::PortSet => mach_port::mach_port_mod_refs(&task(), name, RightKind::PortSet as u32, -1),
            RightKind::DeadName => {
                mach_port::mach_port_mod_refs(&task(), name, RightKind::DeadName as u32, -1)
            }
        };
    }

    unsafe fn copy_send(&self, name: Name) -> Result<(), KernReturn> {
        Ok(mach_port::mach_port_mod_refs(&task(), name, RightKind::Send as u32, 1)?)
    }

    unsafe fn make_send(&self, receive: Name) -> Result<(), KernReturn> {
        let port = borrowed_receive(receive);
        Ok(mach_port::mach_port_insert_right(&task(), receive, AnyRight::make_send(&port))?)
    }

    unsafe fn make_send_once(&self, receive: Name) -> Result<Name, KernReturn> {
        match mach_port::mach_port_extract_right(&task(), receive, Disposition::MakeSendOnce as u32)? {
            AnyRight::MoveSendOnce(right) => Ok(right.into_raw()),
            _ => Err(KernReturn::MIG_TYPE_ERROR),
        }
    }

    unsafe fn move_member(&self, receive: Name, set: Name) -> Result<(), KernReturn> {
        Ok(mach_port::mach_port_move_member(&task(), receive, set)?)
    }

    unsafe fn request_notification(
        &self,
        name: Name,
        which: Notification,
        notify: Name,
    ) -> Result<Name, KernReturn> {
        let (id, sync) = match which {
            Notification::PortDestroyed => (NotificationId::PortDestroyed, 0),
            Notification::NoSenders { sync } => (NotificationId::NoSenders, sync),
            // Of a name that is dead already the call tells at once, by an error.
            Notification::DeadName => (NotificationId::DeadName, 0),
            // The kernel does not have it.
            Notification::SendPossible => (NotificationId::SendPossible, 0),
        };
        let port = borrowed_receive(notify);
        let notify = if notify.is_valid() {
            AnyRight::make_send_once(&port)
        } else {
            AnyRight::move_send_once(SendOnceRight::null(GnuMach))
        };
        Ok(mach_port::mach_port_request_notification(&task(), name, id as i32, sync, notify)?.into_raw())
    }

    fn reply_port(&self) -> Result<Name, KernReturn> {
        let port = &thread::current().reply_port;
        if port.get() == Name::NULL {
            port.set(trap::reply_port());
        }
        if port.get() == Name::NULL { Err(KernReturn::KERN_RESOURCE_SHORTAGE) } else { Ok(port.get()) }
    }

    unsafe fn destroy_reply_port(&self, name: Name) {
        let port = &thread::current().reply_port;
        if port.get() == name {
            port.set(Name::NULL);
        }
        // SAFETY: the caller's promise.
        unsafe { self.release(RightKind::Receive, name) };
    }

    fn allocate(&self, size: usize) -> Result<Pages, KernReturn> {
        let address = mach::vm_allocate(&task(), 0, size as VmAddress, true)?;
        // SAFETY: the memory is new.
        Ok(unsafe { Pages::from_raw(address as usize, size) })
    }

    fn region_into_wire(&self, region: Pages) -> u64 {
        region.into_raw().0 as u64
    }

    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Pages {
        // SAFETY: the caller's promise; an address of the kernel fits.
        unsafe { Pages::from_raw(address as usize, size) }
    }

    fn lend<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
    }

    fn lent_address(lent: &&[u8]) -> u64 {
        lent.as_ptr().expose_provenance() as u64
    }
}

/// One `mach_msg` trap, and again if something else than a message has ended it.
///
/// # Safety
///
/// As [`Kernel::mach_msg`].
unsafe fn message(buffer: &mut [MaybeUninit<u64>], mut call: MsgCall) -> Result<(), KernReturn> {
    loop {
        // SAFETY: the caller's promise; after an interrupted send the message is as it was.
        match unsafe { message_once(buffer, call) } {
            KernReturn::KERN_SUCCESS => return Ok(()),
            KernReturn::MACH_SEND_INTERRUPTED => {}
            KernReturn::MACH_RCV_INTERRUPTED => call.send = false,
            code => return Err(code),
        }
    }
}

/// # Safety
///
/// As [`Kernel::mach_msg`].
unsafe fn message_once(buffer: &mut [MaybeUninit<u64>], call: MsgCall) -> KernReturn {
    let mut options = call.options;
    for (option, wanted) in [
        (MsgOption::SEND_MSG, call.send),
        (MsgOption::RCV_MSG, call.receive.is_some()),
        (MsgOption::SEND_TIMEOUT, call.send && call.send_timeout.is_some()),
        (MsgOption::RCV_TIMEOUT, call.receive.is_some() && call.receive_timeout.is_some()),
        (MsgOption::RCV_LARGE_OF_MACH3, call.receive.is_some() && call.large),
    ] {
        options |= if wanted { option.bits } else { 0 };
    }
    let send_size = if call.send {
        // SAFETY: the caller vouches for a header.
        unsafe { message_size(buffer) }
    } else {
        buffer[0] = MaybeUninit::new(0);
        0
    };
    let receive_size = if call.receive.is_some() { size_of_val(buffer) as u32 } else { 0 };
    let receive = call.receive.unwrap_or(Name::NULL);
    let timeout = call.send_timeout.or(call.receive_timeout).unwrap_or(0);
    // SAFETY: the sizes are those of the message and of the buffer, and the caller vouches for the contents.
    let code = KernReturn(unsafe {
        trap::mach_msg(
            buffer.as_mut_ptr().cast(),
            options,
            send_size,
            receive_size,
            receive,
            timeout,
            Name::NULL,
        )
    })
    .without_shortage();
    if code == KernReturn::MACH_RCV_TOO_LARGE && call.large {
        // SAFETY: initialised by the sender, or above, and the kernel has written the size.
        unsafe { only_size(buffer) };
    }
    code
}

/// `msgh_size`, the second word of a header of any ABI.
///
/// # Safety
///
/// The first double word is initialised.
unsafe fn message_size(buffer: &[MaybeUninit<u64>]) -> u32 {
    // SAFETY: the caller's promise.
    let word = unsafe { buffer[0].assume_init() };
    (word >> 32) as u32
}

/// Of a message that it leaves in the queue the kernel writes the size only: makes the rest of the header
/// zeros.
///
/// # Safety
///
/// As [`message_size`].
unsafe fn only_size(buffer: &mut [MaybeUninit<u64>]) {
    // SAFETY: the caller's promise.
    let size = unsafe { message_size(buffer) };
    buffer[..Gnu::FACTS.header / 8].fill(MaybeUninit::new(0));
    buffer[0] = MaybeUninit::new(u64::from(size) << 32);
}

/// Memory of this task that it has from the kernel (`vm_allocate`, or a message), given back when dropped.
#[derive(Debug)]
pub struct Pages {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: memory belongs to the task, not to a thread.
unsafe impl core::marker::Send for Pages {}
// SAFETY: it is changed through `&mut` only.
unsafe impl Sync for Pages {}

impl Pages {
    /// Memory at an address.
    ///
    /// # Safety
    ///
    /// It is mapped, readable and writable, initialised, and nobody else's.
    unsafe fn from_raw(address: usize, len: usize) -> Self {
        let start = NonNull::new(ptr::with_exposed_provenance_mut(address)).unwrap_or(NonNull::dangling());
        Self { start, len }
    }

    /// Address and length, and with them the duty to give the memory back.
    fn into_raw(self) -> (usize, usize) {
        let memory = ManuallyDrop::new(self);
        (memory.start.as_ptr().expose_provenance(), memory.len)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.len != 0 {
            let address = self.start.as_ptr().addr();
            // It fails only for memory that is not there.
            let _ = mach::vm_deallocate(&task(), address as VmAddress, self.len as VmAddress);
        }
    }
}

impl Deref for Pages {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the memory is there, initialised, and nobody else's.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Pages {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the memory is there, initialised, and nobody else's.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}
