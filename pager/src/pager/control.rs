//! What the pager says to a kernel: messages to an object's control port.

use mach_defs::gnu::mach;
use mig_runtime::abi::Gnu;
use mig_runtime::kernel::NoWait;
use mig_runtime::{CallError, KernReturn, Kernel, NameOf, ReceiveRight, SendRight};

/// `VM_PROT_NONE`: no access is withheld.
const VM_PROT_NONE: mach::VmProt = 0;

/// `MEMORY_OBJECT_COPY_DELAY`: the kernel may copy the object by marking its pages.
const COPY_DELAY: mach::MemoryObjectCopyStrategy = 2;

/// `MEMORY_OBJECT_RETURN_NONE`
const RETURN_NONE: mach::MemoryObjectReturn = 0;

/// A control port. No message to it ever waits: a kernel takes every message at once, and a task that only
/// says that it is a kernel stops nobody by not listening. Whoever does not listen misses what is said.
pub(crate) struct Control<K: Kernel>(SendRight<NoWait<K>>);

impl<K: Kernel<Abi = Gnu>> Control<K> {
    pub(crate) fn new(right: SendRight<K>) -> Self {
        Self(NoWait::right(right))
    }

    /// Asks for the message that the port has died, to be sent to `notify`.
    pub(crate) fn watch(&self, notify: &ReceiveRight<K>) -> Result<(), KernReturn> {
        NoWait::request_dead_name(&self.0, notify).map(drop)
    }

    /// Its name: a right that comes under the same name is one to the same port. Only the kernel can have
    /// sent it then, because nobody else is ever given a right to the control port.
    pub(crate) fn name(&self) -> NameOf<K> {
        self.0.name()
    }

    /// `memory_object_data_supply` of pages, which the kernel copies: it takes memory for that as the
    /// calling thread may, so that one without privileges waits where there is little. The memory begins at a
    /// page's address, without which GNU Mach supplies what stands beside it. A precious page comes back even
    /// if nobody changes it.
    pub(crate) fn supply(&self, offset: u64, pages: &[u8], precious: bool) -> Result<(), KernReturn> {
        let no_reply = ReceiveRight::null(self.0.kernel().clone());
        code(mach::memory_object_data_supply(
            &self.0,
            narrow(offset),
            pages,
            VM_PROT_NONE,
            precious,
            &no_reply,
        ))
    }

    /// `memory_object_data_unavailable` for one page. GNU Mach takes a range that begins at 0 and has more
    /// than 8 KiB for something else.
    pub(crate) fn unavailable(&self, offset: u64, page_size: usize) -> Result<(), KernReturn> {
        let (offset, size) = (narrow(offset), narrow(page_size as u64));
        code(mach::memory_object_data_unavailable(&self.0, offset, size))
    }

    /// `memory_object_data_error`: whoever waits gets a memory error, and may try again.
    pub(crate) fn error(&self, offset: u64, length: u64) -> Result<(), KernReturn> {
        let (offset, length, error) = (narrow(offset), narrow(length), KernReturn::KERN_MEMORY_ERROR);
        code(mach::memory_object_data_error(&self.0, offset, length, error))
    }

    /// `memory_object_ready`: the contents go when nobody uses them, so there is nothing to cache.
    pub(crate) fn ready(&self) -> Result<(), KernReturn> {
        code(mach::memory_object_ready(&self.0, false, COPY_DELAY))
    }

    /// `memory_object_lock_request` that takes every lock away.
    pub(crate) fn unlock(&self, offset: u64, length: u64) -> Result<(), KernReturn> {
        let no_reply = ReceiveRight::null(self.0.kernel().clone());
        let (offset, length, returns, flush) = (narrow(offset), narrow(length), RETURN_NONE, false);
        let locked = VM_PROT_NONE;
        code(mach::memory_object_lock_request(&self.0, offset, length, returns, flush, locked, &no_reply))
    }

    /// `memory_object_lock_request` for pages that the object does not have any more: the kernel drops them,
    /// and gives nothing back.
    pub(crate) fn drop_pages(&self, offset: u64, length: u64) -> Result<(), KernReturn> {
        let (offset, length) = (narrow(offset), narrow(length));
        let no_reply = ReceiveRight::null(self.0.kernel().clone());
        let (returns, flush) = (RETURN_NONE, true);
        code(mach::memory_object_lock_request(
            &self.0,
            offset,
            length,
            returns,
            flush,
            VM_PROT_NONE,
            &no_reply,
        ))
    }

    /// `memory_object_destroy`: the pager will have nothing to do with this kernel's use of the object.
    pub(crate) fn destroy(&self) -> Result<(), KernReturn> {
        code(mach::memory_object_destroy(&self.0, KernReturn::KERN_FAILURE))
    }
}

/// The reason alone: what could not be sent is released.
fn code<K: Kernel>(result: Result<(), CallError<K>>) -> Result<(), KernReturn> {
    result.map_err(KernReturn::from)
}

/// An offset or length as the messages have it. It came from one or is smaller, so nothing is lost.
#[allow(clippy::unnecessary_cast)]
fn narrow(bytes: u64) -> mach::VmOffset {
    bytes as mach::VmOffset
}
