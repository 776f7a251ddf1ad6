//! Memory for collections.

use std::alloc::Layout;
use std::ptr::{self, NonNull};

use allocator_api2::alloc::{AllocError, Allocator};

use crate::Vm;
use crate::space::PAGE;

/// Memory that is paged, for collections that are large: each allocation is [anonymous memory](Vm::allocate)
/// of its own, in whole pages. It needs a default manager; without, where the alignment is more than a
/// page's, or with [`Faults::Calls`](crate::Faults::Calls) it fails.
///
/// Nothing may be in such a collection that a system call or the pager itself waits for, see
/// [`Faults`](crate::Faults).
///
/// ```
/// use allocator_api2::vec::Vec;
/// use mach_pager::store::MemoryStore;
/// use mach_pager::{Config, Service};
/// use mach_vm::{Faults, Limits, Vm, VmError};
/// use mig_runtime::kernel::local::Host;
/// use mig_runtime::platform::Std;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let host: Host = Host::new();
/// let store = MemoryStore::<Std>::new(4096, 4000);
/// let pager = Service::<_, Std, _>::start(&host.new_task("pager"), store, Config::default())?;
/// let vm = match Vm::new(&host, Limits { resident: 1 << 20, faults: Faults::Signal, ..Limits::default() }) {
///     Err(VmError::NotPermitted | VmError::OldKernel) => return Ok(()),
///     vm => vm?,
/// };
/// vm.set_default_manager(pager.right()?)?;
/// let mut squares = Vec::new_in(vm.clone());
/// squares.extend((0..300_000_u64).map(|number| number * number));
/// assert!(squares.iter().enumerate().all(|(number, square)| number as u64 * number as u64 == *square));
/// assert!(vm.statistics().peak_resident <= 1 << 20);
/// # drop(squares);
/// # drop(vm);
/// # pager.stop()?;
/// # Ok(())
/// # }
/// ```
// SAFETY: an allocation stays mapped until it is given back or the core goes, which all clones share; and a
// page that leaves comes back with its content, or access to it ends the program.
unsafe impl Allocator for Vm {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.align() > PAGE || !self.0.core.places.are_touched() {
            return Err(AllocError);
        }
        if layout.size() == 0 {
            let nowhere = NonNull::new(ptr::without_provenance_mut(layout.align())).ok_or(AllocError)?;
            return Ok(NonNull::slice_from_raw_parts(nowhere, 0));
        }
        let len = layout.size().checked_next_multiple_of(PAGE).ok_or(AllocError)?;
        crate::check_range(0, len).map_err(|_| AllocError)?;
        // The core has it until it is removed.
        let object = self.0.core.allocate(|core| core.places.space(len, true)).map_err(|_| AllocError)?;
        Ok(NonNull::slice_from_raw_parts(object.space.pointer(), len))
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Allocator::allocate(self, layout)
    }

    unsafe fn deallocate(&self, memory: NonNull<u8>, layout: Layout) {
        if layout.size() == 0 {
            return;
        }
        let object = self.0.core.lock().by_address.get(&(memory.addr().get() as u64)).cloned();
        if let Some(mut object) = object {
            self.0.core.remove(&mut object);
        }
    }
}
