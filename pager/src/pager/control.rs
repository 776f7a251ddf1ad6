//! What the pager says to a kernel: messages to an object's control port.

use mach_defs::native::mach;
use mig_runtime::abi::Native;
use mig_runtime::{CallError, KernReturn, Kernel, OolMemory, ReceiveRight, SendRight};

/// `VM_PROT_NONE`: no access is withheld.
const VM_PROT_NONE: mach::VmProt = 0;

/// `MEMORY_OBJECT_COPY_DELAY`: the kernel may copy the object by marking its pages.
const COPY_DELAY: mach::MemoryObjectCopyStrategy = 2;

/// `MEMORY_OBJECT_RETURN_NONE`
const RETURN_NONE: mach::MemoryObjectReturn = 0;

/// A control port.
pub(crate) struct Control<K: Kernel>(SendRight<K>);

impl<K: Kernel<Abi = Native>> Control<K> {
    pub(crate) fn new(right: SendRight<K>) -> Self {
        Self(right)
    }

    /// True if this right, which has come with a message, is the same one: only the kernel can have sent it then, because nobody else is ever
    /// given a right to the control port.
    pub(crate) fn is(&self, right: &SendRight<K>) -> bool {
        self.0.name() == right.name()
    }

    /// The same for the port itself.
    pub(crate) fn is_port(&self, port: &ReceiveRight<K>) -> bool {
        self.0.name() == port.name()
    }

    /// `memory_object_data_supply` of a page, which moves to the kernel. A precious page comes back even if nobody changes it.
    pub(crate) fn supply(&self, offset: u64, page: OolMemory<K>, precious: bool) -> Result<(), CallError<K>> {
        let no_reply = ReceiveRight::null(self.0.kernel().clone());
        mach::memory_object_data_supply(&self.0, narrow(offset), page, VM_PROT_NONE, precious, &no_reply)
    }

    /// `memory_object_data_unavailable` for one page. GNU Mach takes a range that begins at 0 and has more than 8 KiB for something else.
    pub(crate) fn unavailable(&self, offset: u64, page_size: usize) -> Result<(), CallError<K>> {
        mach::memory_object_data_unavailable(&self.0, narrow(offset), narrow(page_size as u64))
    }

    /// `memory_object_data_error`: whoever waits gets a memory error, and may try again.
    pub(crate) fn error(&self, offset: u64, length: u64) -> Result<(), CallError<K>> {
        let code = KernReturn::KERN_MEMORY_ERROR;
        mach::memory_object_data_error(&self.0, narrow(offset), narrow(length), code)
    }

    /// `memory_object_ready`: the contents go when nobody uses them, so there is nothing to cache.
    pub(crate) fn ready(&self) -> Result<(), CallError<K>> {
        mach::memory_object_ready(&self.0, false, COPY_DELAY)
    }

    /// `memory_object_lock_request` that takes every lock away.
    pub(crate) fn unlock(&self, offset: u64, length: u64) -> Result<(), CallError<K>> {
        let no_reply = ReceiveRight::null(self.0.kernel().clone());
        let (offset, length) = (narrow(offset), narrow(length));
        mach::memory_object_lock_request(&self.0, offset, length, RETURN_NONE, false, VM_PROT_NONE, &no_reply)
    }

    /// `memory_object_destroy`: the pager will have nothing to do with this kernel's use of the object.
    pub(crate) fn destroy(&self) -> Result<(), CallError<K>> {
        mach::memory_object_destroy(&self.0, KernReturn::KERN_FAILURE)
    }
}

/// An offset or length as the messages have it. It came from one or is smaller, so nothing is lost.
#[allow(clippy::unnecessary_cast)]
fn narrow(bytes: u64) -> mach::VmOffset {
    bytes as mach::VmOffset
}
