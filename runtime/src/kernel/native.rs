//! What real kernels have in common, for implementations of [`Kernel`](super::Kernel) for one of them.

use core::fmt;
use core::marker::PhantomData;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use core::slice;

use mig_abi::{MsgOption, NotificationId};

use super::{MsgCall, Notification};
use crate::abi::Abi;

impl MsgCall {
    /// The option bits (`mach_msg_option_t`) of this call.
    pub const fn option_bits<A: Abi>(&self) -> u32 {
        let mut bits = self.options;
        if self.send {
            bits |= MsgOption::SEND_MSG.bits;
            if self.send_timeout.is_some() {
                bits |= MsgOption::SEND_TIMEOUT.bits;
            }
        }
        if self.receive.is_some() {
            bits |= MsgOption::RCV_MSG.bits;
            if self.receive_timeout.is_some() {
                bits |= MsgOption::RCV_TIMEOUT.bits;
            }
            if self.large {
                bits |= A::FACTS.receive_large;
            }
        }
        bits
    }

    /// The calls of a trap with one time for both halves that do the same as this call: one, or two if the
    /// times of the halves differ. The second is to be made if the first has succeeded.
    pub const fn halves(self) -> (Self, Option<Self>) {
        match (self.send_timeout, self.receive_timeout) {
            (Some(send), Some(receive)) if self.send && self.receive.is_some() && send != receive => (
                Self { receive: None, receive_timeout: None, ..self },
                Some(Self { send: false, send_timeout: None, ..self }),
            ),
            _ => (self, None),
        }
    }

    /// The time in milliseconds that the trap is given, for a call whose halves have the same time, or of
    /// which only one has any; 0 if none has.
    pub const fn time(&self) -> u32 {
        match (self.send_timeout, self.receive_timeout) {
            (Some(time), _) if self.send => time,
            (_, Some(time)) if self.receive.is_some() => time,
            _ => 0,
        }
    }
}

impl Notification {
    /// The message id of the notification, by which it is also asked for.
    pub const fn id(self) -> NotificationId {
        match self {
            Self::PortDestroyed => NotificationId::PortDestroyed,
            Self::NoSenders { .. } => NotificationId::NoSenders,
            Self::DeadName => NotificationId::DeadName,
            Self::SendPossible => NotificationId::SendPossible,
        }
    }

    /// The make-send count that is sent along (`mach_port_request_notification`).
    pub const fn sync(self) -> u32 {
        match self {
            Self::NoSenders { sync } => sync,
            Self::PortDestroyed | Self::DeadName | Self::SendPossible => 0,
        }
    }
}

/// `msgh_size` of the message in a buffer, the second word of a header of any ABI; 0 if the buffer is empty.
///
/// # Safety
///
/// The first double word of the buffer is initialised.
pub unsafe fn message_size(buffer: &[MaybeUninit<u64>]) -> u32 {
    let Some(first) = buffer.first() else { return 0 };
    // SAFETY: the caller's promise.
    let first = unsafe { first.assume_init() };
    (first >> 32) as u32
}

/// A kernel that takes memory back.
pub trait Deallocate {
    /// Gives memory back (`vm_deallocate`).
    ///
    /// # Safety
    ///
    /// The caller owns the memory, and nobody uses it afterwards.
    unsafe fn deallocate(address: u64, size: usize);
}

/// A part of the task's address space that the kernel has given it, by itself or in a message; dropping it
/// gives it back.
pub struct Region<D: Deallocate> {
    /// Dangling where there are no bytes.
    address: NonNull<u8>,
    size: usize,
    kernel: PhantomData<fn() -> D>,
}

// SAFETY: it owns the bytes, which belong to the task and not to a thread.
unsafe impl<D: Deallocate> Send for Region<D> {}

// SAFETY: a shared reference gives only shared access to the bytes.
unsafe impl<D: Deallocate> Sync for Region<D> {}

impl<D: Deallocate> Region<D> {
    /// The memory at an address.
    ///
    /// # Safety
    ///
    /// The task has this many bytes at this address, initialised, readable and writable, which nobody else
    /// claims; or `size` is 0.
    pub unsafe fn new(address: u64, size: usize) -> Self {
        match NonNull::new(ptr::with_exposed_provenance_mut(address as usize)) {
            Some(address) if size != 0 => Self { address, size, kernel: PhantomData },
            _ => Self { address: NonNull::dangling(), size: 0, kernel: PhantomData },
        }
    }

    /// The address, and with it the duty to give the memory back; 0 where there are no bytes.
    pub fn into_address(self) -> u64 {
        let region = ManuallyDrop::new(self);
        if region.size == 0 { 0 } else { region.address.as_ptr().expose_provenance() as u64 }
    }
}

impl<D: Deallocate> Deref for Region<D> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: it owns this many bytes there, which the kernel has initialised.
        unsafe { slice::from_raw_parts(self.address.as_ptr(), self.size) }
    }
}

impl<D: Deallocate> DerefMut for Region<D> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { slice::from_raw_parts_mut(self.address.as_ptr(), self.size) }
    }
}

impl<D: Deallocate> Drop for Region<D> {
    fn drop(&mut self) {
        if self.size != 0 {
            let address = self.address.as_ptr().expose_provenance() as u64;
            // SAFETY: it owns the memory, and this is its end.
            unsafe { D::deallocate(address, self.size) };
        }
    }
}

impl<D: Deallocate> fmt::Debug for Region<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({} bytes)", self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Name;
    use super::*;
    use crate::abi::{Apple64, GnuX86_64};

    const BOTH: MsgCall = MsgCall {
        send: true,
        receive: Some(Name(7)),
        send_timeout: None,
        receive_timeout: None,
        large: false,
        options: 0,
        kernel_object: false,
    };

    /// The bits of `mach/message.h`, on GNU Mach and on XNU: `MACH_RCV_LARGE` differs.
    #[test]
    fn a_half_that_is_not_made_has_no_option_bits() {
        let call = MsgCall { send_timeout: Some(1), receive_timeout: Some(1), large: true, ..BOTH };
        assert_eq!(call.option_bits::<Apple64>(), 0x1 | 0x2 | 0x10 | 0x100 | 0x4);
        assert_eq!(call.option_bits::<GnuX86_64>(), 0x1 | 0x2 | 0x10 | 0x100 | 0x800);
        let send = MsgCall { receive: None, ..call };
        assert_eq!(send.option_bits::<Apple64>(), 0x1 | 0x10);
        let receive = MsgCall { send: false, ..call };
        assert_eq!(receive.option_bits::<Apple64>(), 0x2 | 0x100 | 0x4);
        assert_eq!(MsgCall { options: 0x40, ..BOTH }.option_bits::<Apple64>(), 0x43);
    }

    #[test]
    fn a_call_is_divided_where_its_halves_have_different_times() {
        for (send_timeout, receive_timeout) in
            [(None, None), (Some(5), None), (None, Some(5)), (Some(5), Some(5))]
        {
            let call = MsgCall { send_timeout, receive_timeout, ..BOTH };
            let (only, then) = call.halves();
            assert!(then.is_none() && only.send && only.receive.is_some());
            assert_eq!(only.time(), send_timeout.or(receive_timeout).unwrap_or(0));
        }
        let call = MsgCall { send_timeout: Some(0), receive_timeout: Some(9), ..BOTH };
        let (send, receive) = call.halves();
        let receive = receive.expect("the times differ");
        assert_eq!((send.send, send.receive, send.time()), (true, None, 0));
        assert_eq!((receive.send, receive.receive, receive.time()), (false, Some(Name(7)), 9));
        // What is not made has no time to differ.
        assert!(MsgCall { receive: None, ..call }.halves().1.is_none());
    }
}
