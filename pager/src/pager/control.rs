//! What the pager says to a kernel: messages to an object's control port.

use mach_defs::native::mach;
use mig_runtime::abi::Native;
use mig_runtime::kernel::NoWait;
use mig_runtime::{CallError, KernReturn, Kernel, Name, OolMemory, ReceiveRight, SendRight};

/// `VM_PROT_NONE`: no access is withheld.
const VM_PROT_NONE: mach::VmProt = 0;

/// `MEMORY_OBJECT_COPY_DELAY`: the kernel may copy the object by marking its pages.
const COPY_DELAY: mach::MemoryObjectCopyStrategy = 2;

/// `MEMORY_OBJECT_RETURN_NONE`
const RETURN_NONE: mach::MemoryObjectReturn = 0;

/// A control port.
pub(crate) enum Control<K: Kernel> {
    /// The kernel's, which takes every message.
    Kernel(SendRight<K>),
    /// That of a task that says it is a kernel. Who does not listen misses what is said.
    Anybody(SendRight<NoWait<K>>),
}

/// Calls a function with either right.
macro_rules! with_right {
    ($control:expr, $right:ident => $call:expr) => {
        match $control {
            Control::Kernel($right) => $call,
            Control::Anybody($right) => $call,
        }
    };
}

impl<K: Kernel<Abi = Native>> Control<K> {
    /// That of an object that the kernel has made.
    pub(crate) fn of_kernel(right: SendRight<K>) -> Self {
        Self::Kernel(right)
    }

    /// That of an object that others can send to.
    pub(crate) fn of_anybody(right: SendRight<K>) -> Self {
        Self::Anybody(NoWait::right(right))
    }

    /// Its name: a right that comes under the same name is one to the same port. Only the kernel can have sent it then, because nobody
    /// else is ever given a right to the control port.
    pub(crate) fn name(&self) -> Name {
        with_right!(self, right => right.name())
    }

    /// `memory_object_data_supply` of a page, which the kernel copies: it takes memory for that as the calling thread may, so that one without
    /// privileges waits where there is little. The memory begins at a page's address, without which GNU Mach supplies what stands beside it. A
    /// precious page comes back even if nobody changes it.
    pub(crate) fn supply(&self, offset: u64, page: &OolMemory<K>, precious: bool) -> Result<(), KernReturn> {
        with_right!(self, right => supply(right, offset, page, precious))
    }

    /// `memory_object_data_unavailable` for one page. GNU Mach takes a range that begins at 0 and has more than 8 KiB for something else.
    pub(crate) fn unavailable(&self, offset: u64, page_size: usize) -> Result<(), KernReturn> {
        let (offset, size) = (narrow(offset), narrow(page_size as u64));
        with_right!(self, right => code(mach::memory_object_data_unavailable(right, offset, size)))
    }

    /// `memory_object_data_error`: whoever waits gets a memory error, and may try again.
    pub(crate) fn error(&self, offset: u64, length: u64) -> Result<(), KernReturn> {
        let (offset, length, error) = (narrow(offset), narrow(length), KernReturn::KERN_MEMORY_ERROR);
        with_right!(self, right => code(mach::memory_object_data_error(right, offset, length, error)))
    }

    /// `memory_object_ready`: the contents go when nobody uses them, so there is nothing to cache.
    pub(crate) fn ready(&self) -> Result<(), KernReturn> {
        with_right!(self, right => code(mach::memory_object_ready(right, false, COPY_DELAY)))
    }

    /// `memory_object_lock_request` that takes every lock away.
    pub(crate) fn unlock(&self, offset: u64, length: u64) -> Result<(), KernReturn> {
        with_right!(self, right => unlock(right, narrow(offset), narrow(length)))
    }

    /// `memory_object_destroy`: the pager will have nothing to do with this kernel's use of the object.
    pub(crate) fn destroy(&self) -> Result<(), KernReturn> {
        with_right!(self, right => code(mach::memory_object_destroy(right, KernReturn::KERN_FAILURE)))
    }
}

fn supply<K: Kernel<Abi = Native>>(
    right: &SendRight<K>,
    offset: u64,
    page: &[u8],
    precious: bool,
) -> Result<(), KernReturn> {
    let no_reply = ReceiveRight::null(right.kernel().clone());
    code(mach::memory_object_data_supply(right, narrow(offset), page, VM_PROT_NONE, precious, &no_reply))
}

fn unlock<K: Kernel<Abi = Native>>(
    right: &SendRight<K>,
    offset: mach::VmOffset,
    length: mach::VmSize,
) -> Result<(), KernReturn> {
    let no_reply = ReceiveRight::null(right.kernel().clone());
    let (returns, flush) = (RETURN_NONE, false);
    code(mach::memory_object_lock_request(right, offset, length, returns, flush, VM_PROT_NONE, &no_reply))
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
