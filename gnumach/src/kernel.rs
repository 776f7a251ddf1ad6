//! The kernel below, as [`Kernel`].

use core::mem::MaybeUninit;

use mach_defs::gnu::mach::{self, VmAddress};
use mach_defs::gnu::mach_port;
use mig_abi::{Disposition, RightKind};
use mig_runtime::abi::{Abi, Gnu};
use mig_runtime::kernel::{Deallocate, MsgCall, Region, message_size};
use mig_runtime::{AnyRight, KernReturn, Kernel, Name, Notification, SendOnceRight};

use crate::block::current;
use crate::task::{GnuMach, borrowed_receive, task};
use crate::trap;

impl Deallocate for GnuMach {
    unsafe fn deallocate(address: u64, size: usize) {
        // It fails only for memory that is not there.
        let _ = mach::vm_deallocate(&task(), address as VmAddress, size as VmAddress);
    }
}

// SAFETY: on success the kernel has written a whole message, whose rights and regions it has put into this
// task.
unsafe impl Kernel for GnuMach {
    type Abi = Gnu;
    type Region = Region<Self>;
    type Lent<'a> = &'a [u8];

    unsafe fn mach_msg(&self, buffer: &mut [MaybeUninit<u64>], call: MsgCall) -> Result<(), KernReturn> {
        let (first, then) = call.with_times_of_options().halves();
        // SAFETY: the caller's promise.
        unsafe { message(buffer, first) }?;
        match then {
            // SAFETY: nothing is sent.
            Some(receive) => unsafe { message(buffer, receive) },
            None => Ok(()),
        }
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
        let (id, sync) = (which.id() as i32, which.sync());
        let port = borrowed_receive(notify);
        let notify = if notify.is_valid() {
            AnyRight::make_send_once(&port)
        } else {
            AnyRight::move_send_once(SendOnceRight::null(GnuMach))
        };
        Ok(mach_port::mach_port_request_notification(&task(), name, id, sync, notify)?.into_raw())
    }

    fn reply_port(&self) -> Result<Name, KernReturn> {
        let port = &current().reply_port;
        if port.get() == Name::NULL {
            port.set(trap::reply_port());
        }
        if port.get() == Name::NULL { Err(KernReturn::KERN_RESOURCE_SHORTAGE) } else { Ok(port.get()) }
    }

    unsafe fn destroy_reply_port(&self, name: Name) {
        let port = &current().reply_port;
        if port.get() == name {
            port.set(Name::NULL);
        }
        // SAFETY: the caller's promise.
        unsafe { self.release(RightKind::Receive, name) };
    }

    fn allocate(&self, size: usize) -> Result<Region<Self>, KernReturn> {
        let address = mach::vm_allocate(&task(), 0, size as VmAddress, true)?;
        // SAFETY: the memory is new.
        Ok(unsafe { Region::new(address as u64, size) })
    }

    fn region_into_wire(&self, region: Region<Self>) -> u64 {
        region.into_address()
    }

    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Region<Self> {
        // SAFETY: the caller's promise.
        unsafe { Region::new(address, size) }
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
    let send_size = if call.send {
        // SAFETY: the caller vouches for a header.
        unsafe { message_size(buffer) }
    } else {
        buffer[0] = MaybeUninit::new(0);
        0
    };
    let receive_size = if call.receive.is_some() { size_of_val(buffer) as u32 } else { 0 };
    let receive = call.receive.unwrap_or(Name::NULL);
    // SAFETY: the sizes are those of the message and of the buffer, and the caller vouches for the contents.
    let code = KernReturn(unsafe {
        trap::mach_msg(
            buffer.as_mut_ptr().cast(),
            call.option_bits::<Gnu>(),
            send_size,
            receive_size,
            receive,
            call.time(),
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
