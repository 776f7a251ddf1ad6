//! Sends that never wait.

use core::mem::MaybeUninit;

use super::{Inline, Kernel, MsgCall, NameOf, Notification, PortKind, RightKind};
use crate::kern_return::KernReturn;
use crate::right::{ReceiveRight, Right, SendOnceRight, SendRight, assert_same_task};

/// The same task, except that a message that would have to wait for room in a queue is not sent:
/// `MACH_SEND_TIMED_OUT`.
///
/// Nothing else about a call changes; one to an [object of the kernel](MsgCall::kernel_object) stays one.
///
/// This is for a server that sends to ports of tasks which it does not trust, so that none of them can stop
/// it by not receiving. Stubs need not know of it: they send by the kernel that the destination's right has.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use mig_runtime::kernel::NoWait;
/// use mig_runtime::kernel::local::Local;
/// use mig_runtime::{KernReturn, MsgBuf, ReceiveRight, SendOptions, Dest};
///
/// let task: Local = Local::new();
/// let port = ReceiveRight::allocate(&task)?; // Nobody listens; 5 messages have room.
/// let right = NoWait::right(port.make_send()?);
/// let send = || {
///     let mut buffer = MsgBuf::<64>::new();
///     buffer.request(right.kernel()).send(1, Dest::copy_send(&right), SendOptions::NONE).map_err(KernReturn::from)
/// };
/// assert_eq!([0; 5].map(|_| send()), [Ok(()); 5]);
/// assert_eq!(send(), Err(KernReturn::MACH_SEND_TIMED_OUT));
/// # }
/// # Ok::<(), mig_runtime::KernReturn>(())
/// ```
#[derive(Clone, Debug)]
pub struct NoWait<K>(K);

impl<K: Kernel> NoWait<K> {
    /// The same task: all that is made with it sends without waiting.
    pub fn new(kernel: K) -> Self {
        Self(kernel)
    }

    /// The same right, for sends that do not wait.
    pub fn right(right: SendRight<K>) -> SendRight<Self> {
        let kernel = Self(right.kernel().clone());
        let name = Right::into_raw(right);
        // SAFETY: the task is the same, and `into_raw` has given up the reference.
        unsafe { SendRight::from_raw(kernel, name) }
    }

    /// As [`SendRight::request_dead_name`], for a notification that goes to a port that is received from as
    /// usual.
    ///
    /// # Errors
    ///
    /// As that.
    pub fn request_dead_name(
        right: &SendRight<Self>,
        notify: &ReceiveRight<K>,
    ) -> Result<SendOnceRight<K>, KernReturn> {
        let kernel = &right.kernel().0;
        assert_same_task(kernel, notify.kernel());
        // SAFETY: the names of these rights, and the right that comes back is owned from here on.
        let name =
            unsafe { kernel.request_notification(right.name(), Notification::DeadName, notify.name()) }?;
        // SAFETY: it has just come back.
        Ok(unsafe { SendOnceRight::from_raw(kernel.clone(), name) })
    }
}

// SAFETY: everything is done by the kernel inside.
unsafe impl<K: Kernel> Kernel for NoWait<K> {
    type Abi = K::Abi;
    type Region = K::Region;
    type Lent<'a> = K::Lent<'a>;

    #[inline]
    unsafe fn mach_msg(
        &self,
        buffer: &mut [MaybeUninit<u64>],
        call: MsgCall<NameOf<K>>,
    ) -> Result<(), KernReturn> {
        // SAFETY: the caller's promise; how long the send may wait is no part of it.
        unsafe { self.0.mach_msg(buffer, MsgCall { send_timeout: Some(0), ..call }) }
    }

    fn serve_inline(&self, inline: Inline<'_, NameOf<K>>, body: &mut dyn FnMut()) {
        self.0.serve_inline(inline, body);
    }

    #[inline]
    fn is_same_task(&self, other: &Self) -> bool {
        self.0.is_same_task(&other.0)
    }

    fn allocate_port(&self) -> Result<NameOf<K>, KernReturn> {
        self.0.allocate_port()
    }

    fn construct_port(&self, kind: PortKind) -> Result<NameOf<K>, KernReturn> {
        self.0.construct_port(kind)
    }

    fn allocate_port_set(&self) -> Result<NameOf<K>, KernReturn> {
        self.0.allocate_port_set()
    }

    unsafe fn release(&self, kind: RightKind, name: NameOf<K>) {
        // SAFETY: the caller\'s promise.
        unsafe { self.0.release(kind, name) };
    }

    unsafe fn copy_send(&self, name: NameOf<K>) -> Result<(), KernReturn> {
        // SAFETY: the caller\'s promise.
        unsafe { self.0.copy_send(name) }
    }

    unsafe fn make_send(&self, receive: NameOf<K>) -> Result<(), KernReturn> {
        // SAFETY: the caller\'s promise.
        unsafe { self.0.make_send(receive) }
    }

    unsafe fn make_send_once(&self, receive: NameOf<K>) -> Result<NameOf<K>, KernReturn> {
        // SAFETY: the caller\'s promise.
        unsafe { self.0.make_send_once(receive) }
    }

    unsafe fn move_member(&self, receive: NameOf<K>, set: NameOf<K>) -> Result<(), KernReturn> {
        // SAFETY: the caller\'s promise.
        unsafe { self.0.move_member(receive, set) }
    }

    unsafe fn request_notification(
        &self,
        name: NameOf<K>,
        which: Notification,
        notify: NameOf<K>,
    ) -> Result<NameOf<K>, KernReturn> {
        // SAFETY: the caller\'s promise.
        unsafe { self.0.request_notification(name, which, notify) }
    }

    fn reply_port(&self) -> Result<NameOf<K>, KernReturn> {
        self.0.reply_port()
    }

    unsafe fn destroy_reply_port(&self, name: NameOf<K>) {
        // SAFETY: the caller\'s promise.
        unsafe { self.0.destroy_reply_port(name) };
    }

    fn allocate(&self, size: usize) -> Result<K::Region, KernReturn> {
        self.0.allocate(size)
    }

    fn region_into_wire(&self, region: K::Region) -> u64 {
        self.0.region_into_wire(region)
    }

    unsafe fn region_from_wire(&self, address: u64, size: usize) -> K::Region {
        // SAFETY: the caller's promise.
        unsafe { self.0.region_from_wire(address, size) }
    }

    fn lend<'a>(&self, bytes: &'a [u8]) -> K::Lent<'a> {
        self.0.lend(bytes)
    }

    fn lent_address(lent: &K::Lent<'_>) -> u64 {
        K::lent_address(lent)
    }
}
