//! Out-of-line memory: what is an address for the program is a region of the in-process kernel in its
//! messages.

use mig_runtime::abi::Apple64;
use mig_runtime::kernel::Kernel;
use mig_runtime::kernel::local::Lent;

use crate::machine::Task;

/// Sizes of a page are rounded up to this.
const PAGE: u64 = 4096;

/// Kinds of descriptors, and where a descriptor has its kind.
const PORT: u8 = 0;
const OUT_OF_LINE: u8 = 1;
const OUT_OF_LINE_PORTS: u8 = 2;
const VOLATILE: u8 = 3;
const KIND: usize = 11;

/// A descriptor of memory in a message.
struct Descriptor<'m>(&'m mut [u8]);

impl Descriptor<'_> {
    fn address(&self) -> u64 {
        u64::from_le_bytes(self.0[..8].try_into().expect("8 bytes"))
    }

    fn set(&mut self, address: u64, deallocate: bool) {
        self.0[..8].copy_from_slice(&address.to_le_bytes());
        self.0[8] = deallocate.into();
    }

    fn deallocates(&self) -> bool {
        self.0[8] != 0
    }

    /// In bytes; what is counted in an array of ports is names.
    fn size(&self) -> usize {
        let count = u32::from_le_bytes(self.0[12..16].try_into().expect("4 bytes")) as usize;
        if self.0[KIND] == OUT_OF_LINE_PORTS { 4 * count } else { count }
    }
}

/// The descriptors of memory in a message, as far as it has them.
fn descriptors(message: &mut [u8]) -> impl Iterator<Item = Descriptor<'_>> {
    const HEADER: usize = 24;
    const COMPLEX: u8 = 0x80;
    let complex = message.len() > HEADER + 4 && message[3] & COMPLEX != 0;
    let rest = if complex { &mut message[HEADER..] } else { &mut [][..] };
    let (count, mut rest) = rest.split_at_mut(rest.len().min(4));
    let mut left = count.try_into().map_or(0, u32::from_le_bytes);
    std::iter::from_fn(move || {
        while left != 0 {
            left -= 1;
            let kind = *rest.get(KIND)?;
            let len = if kind == PORT { 12 } else { 16 };
            let (descriptor, others) = std::mem::take(&mut rest).split_at_mut_checked(len)?;
            rest = others;
            if matches!(kind, OUT_OF_LINE | OUT_OF_LINE_PORTS | VOLATILE) {
                return Some(Descriptor(descriptor));
            }
        }
        None
    })
}

/// Memory that a message on its way refers to.
pub(super) struct Lending<'a> {
    /// What the program wrote: the address, and whether the memory is given away.
    memory: Vec<(u64, bool, usize, Lent<'a, Apple64>)>,
}

/// Replaces the addresses of a message that the program sends.
///
/// # Safety
///
/// The message refers only to memory that the program has.
pub(super) unsafe fn lend<'a>(task: &Task, message: &mut [u8]) -> Lending<'a> {
    let lent = descriptors(message).map(|mut descriptor| {
        let (address, gives, size) = (descriptor.address(), descriptor.deallocates(), descriptor.size());
        let bytes: &[u8] = match size {
            0 => &[],
            // SAFETY: the caller's promise.
            _ => unsafe { std::slice::from_raw_parts(address as *const u8, size) },
        };
        let lent = task.lend(bytes);
        descriptor.set(Task::lent_address(&lent), false);
        (address, gives, size, lent)
    });
    Lending { memory: lent.collect() }
}

impl Lending<'_> {
    /// The message has been sent: what was given away leaves the program.
    pub(super) fn sent(self) {
        for (address, gives, size, _) in self.memory {
            if gives {
                deallocate(address, size as u64);
            }
        }
    }

    /// The message has come back: what the kernel has not touched is as the program wrote it.
    pub(super) fn refused(self, task: &Task, message: &mut [u8]) {
        for (mut descriptor, (address, gives, _, lent)) in descriptors(message).zip(self.memory) {
            if descriptor.address() == Task::lent_address(&lent) {
                descriptor.set(address, gives);
            } else {
                drop(lent);
                arrive(task, &mut descriptor);
            }
        }
    }
}

/// Gives the program the memory of a message that it has received.
pub(super) fn receive(task: &Task, message: &mut [u8]) {
    descriptors(message).for_each(|mut descriptor| arrive(task, &mut descriptor));
}

fn arrive(task: &Task, descriptor: &mut Descriptor<'_>) {
    let size = descriptor.size();
    if size == 0 || descriptor.address() == 0 {
        return;
    }
    // SAFETY: the kernel has just delivered it, and nobody else has seen the message.
    let region = unsafe { task.region_from_wire(descriptor.address(), size) };
    let address = allocate(size as u64);
    if address != 0 {
        // SAFETY: new memory of this size.
        unsafe { std::ptr::copy_nonoverlapping(region.as_ptr(), address as *mut u8, size) };
    }
    descriptor.set(address, descriptor.deallocates());
}

/// New memory, all zeros; 0 if there is none.
pub(crate) fn allocate(size: u64) -> u64 {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory, at an address of the system's choice.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), size as usize, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED { 0 } else { address as u64 }
}

/// Ends the pages that this memory is in, as the kernel does.
pub(crate) fn deallocate(address: u64, size: u64) {
    let start = address / PAGE * PAGE;
    let size = (address + size).next_multiple_of(PAGE) - start;
    if size != 0 {
        // SAFETY: the program says that the memory is its own, and that it is done with it.
        unsafe { libc::munmap(start as *mut _, size as usize) };
    }
}
