//! Memory that is never paged out.

use mach_defs::native::gnumach;
use mach_defs::native::mach::{self, VmAddress};
use mig_runtime::KernReturn;

use crate::Send;
use crate::kernel::task;
use crate::thread::PAGE;

/// `VM_WIRE_CURRENT | VM_WIRE_FUTURE`
const CURRENT_AND_FUTURE: i32 = 3;

/// Keeps all memory of this task resident, what it has and what it gets.
///
/// # Errors
///
/// As `vm_wire_all`: the port is not the privileged one of the host, or there is not enough memory.
pub fn wire_task(host: &Send) -> Result<(), KernReturn> {
    // Without a mapping at address 0 the kernel takes the space before the first one for a hole, and wires nothing. What is
    // mapped there is of no use but to catch null pointers.
    mach::vm_allocate(&task(), 0, PAGE as VmAddress, false)?;
    mach::vm_protect(&task(), 0, PAGE as VmAddress, false, 0)?;
    Ok(gnumach::vm_wire_all(host, &task(), CURRENT_AND_FUTURE)?)
}
