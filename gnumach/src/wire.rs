//! Memory that is never paged out.

use core::sync::atomic::{AtomicU32, Ordering};

use mach_defs::gnu::mach::{self, VmAddress};
use mach_defs::gnu::{gnumach, mach_host};
use mig_runtime::{KernReturn, Name};

use crate::task::{SendRight, borrowed, task};

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// `VM_WIRE_CURRENT`
const CURRENT: i32 = 1;

/// `VM_PROT_READ | VM_PROT_WRITE`
const READ_WRITE: i32 = 3;

/// The name of a right to the host, once what the program takes for itself is to be resident; 0 before.
static HOST: AtomicU32 = AtomicU32::new(0);

/// Keeps the memory that this task has resident, and what the program takes for itself from now on: its heap,
/// and the stacks of its threads.
///
/// What messages bring is not kept resident, so that a sender of messages cannot use up the memory of the
/// machine.
///
/// # Errors
///
/// As `vm_wire_all`: the port is not the privileged one of the host, or there is not enough memory.
pub fn wire_task(host: &SendRight) -> Result<(), KernReturn> {
    if HOST.load(Ordering::Relaxed) == 0 {
        // Without a mapping at address 0 the kernel takes the space before the first one for a hole, and
        // wires nothing. What is mapped there is of no use but to catch null pointers.
        mach::vm_allocate(&task(), 0, PAGE as VmAddress, false)?;
        mach::vm_protect(&task(), 0, PAGE as VmAddress, false, 0)?;
        // For as long as the program runs.
        HOST.store(host.try_clone()?.into_raw().0, Ordering::Relaxed);
    }
    Ok(gnumach::vm_wire_all(host, &task(), CURRENT)?)
}

/// Keeps new memory of the program's own resident, if it is to be.
pub(crate) fn wire_own(address: usize, size: usize) -> Result<(), KernReturn> {
    match HOST.load(Ordering::Relaxed) {
        0 => Ok(()),
        host => {
            let host = borrowed(Name(host));
            Ok(mach_host::vm_wire(&host, &task(), address as _, size as _, READ_WRITE)?)
        }
    }
}

/// Forgets the right to the host, in a task that does not have it.
pub(crate) fn forget() {
    HOST.store(0, Ordering::Relaxed);
}
