//! Memory in which each word has its own address as its content, so that a misplaced page is noticed.

use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::sync::atomic::AtomicU32;

use gnumach::{GnuMach, SendRight, task};
use mach_defs::gnu::mach::{self, VmAddress};
use mig_runtime::{CallError, Kernel, OolMemory};

use crate::Checks;

pub(crate) const PAGE: usize = 4096;

/// `VM_PROT_READ | VM_PROT_WRITE`
const READ_WRITE: i32 = 3;
/// `VM_INHERIT_SHARE`, `VM_INHERIT_COPY`
const SHARE: i32 = 0;
const COPY: i32 = 1;

/// Pages of memory.
pub(crate) struct Memory(OolMemory<GnuMach>);

impl Memory {
    /// New memory, of which no page exists yet.
    pub(crate) fn allocate(mebibytes: u32) -> Self {
        Self(OolMemory::allocate(&GnuMach, (mebibytes as usize) << 20).expect("vm_allocate"))
    }

    /// Some MiB of a memory object, or a copy of them.
    pub(crate) fn map(object: &SendRight, mebibytes: u32, copy: bool) -> Self {
        let size = (mebibytes as usize) << 20;
        let address = map_into(&task(), object, size, copy).expect("vm_map");
        // SAFETY: the memory is new, and nobody else's.
        Self(unsafe { memory_at(address as usize, size) })
    }

    /// The same memory once more, for a task that has a copy of it at the same place.
    pub(crate) fn alias(&mut self) -> ManuallyDrop<Self> {
        // SAFETY: it is used in that task only, and not released.
        ManuallyDrop::new(Self(unsafe { memory_at(self.address(), self.0.len()) }))
    }

    pub(crate) fn address(&self) -> usize {
        self.0.as_ptr().expose_provenance()
    }

    pub(crate) fn pages(&self) -> usize {
        self.0.len() / PAGE
    }

    pub(crate) fn page(&self, page: usize) -> &[u8] {
        &self.0[page * PAGE..][..PAGE]
    }

    /// Gives the memory beyond some MiB back.
    pub(crate) fn shorten(&mut self, mebibytes: u32) {
        let keep = (mebibytes as usize) << 20;
        let (address, len) = (self.address(), self.0.len());
        core::mem::forget(core::mem::replace(&mut self.0, OolMemory::empty()));
        // SAFETY: the two halves of what was one until now.
        drop(unsafe { memory_at(address + keep, len - keep) });
        // SAFETY: the other half.
        self.0 = unsafe { memory_at(address, keep) };
    }

    /// Writes every word of some pages, different ones for each round.
    pub(crate) fn fill(&mut self, round: u32, which: impl Fn(usize) -> bool) {
        for (page, bytes) in self.0.chunks_exact_mut(PAGE).enumerate().filter(|(page, _)| which(*page)) {
            for (word, place) in bytes.chunks_exact_mut(8).enumerate() {
                place.copy_from_slice(&value(round, page, word).to_le_bytes());
            }
        }
    }

    /// Compares every word of some pages with what was written in a round.
    pub(crate) fn check(&self, checks: &mut Checks, round: u32, which: impl Fn(usize) -> bool) {
        for (page, bytes) in self.0.chunks_exact(PAGE).enumerate().filter(|(page, _)| which(*page)) {
            checks.page(bytes, round, page);
        }
    }

    /// Looks whether some pages are zeros.
    pub(crate) fn check_zeros(&self, checks: &mut Checks, which: impl Fn(usize) -> bool) {
        for (_, bytes) in self.0.chunks_exact(PAGE).enumerate().filter(|(page, _)| which(*page)) {
            checks.that(bytes.iter().all(|byte| *byte == 0), "a page that was never written is not zeros");
        }
    }
}

/// Lets the kernel have free memory. It needs some for the messages with the pages of an object that ends,
/// and does not take that from the object: a kernel that is short of memory when an object's last mapping
/// goes waits forever.
pub(crate) fn make_room() {
    Memory::allocate(5).fill(1000, |_| true);
}

/// Maps a memory object into a task.
pub(crate) fn map_into(
    into: &SendRight,
    object: &SendRight,
    size: usize,
    copy: bool,
) -> Result<VmAddress, CallError<GnuMach>> {
    mach::vm_map(into, 0, size as VmAddress, 0, true, object, 0, copy, READ_WRITE, READ_WRITE, COPY)
}

/// # Safety
///
/// The memory is mapped, readable and writable, and nobody else's.
unsafe fn memory_at(address: usize, size: usize) -> OolMemory<GnuMach> {
    // SAFETY: the caller's promise.
    OolMemory::from_region(unsafe { GnuMach.region_from_wire(address as u64, size) })
}

/// The first word of a page that is not what was written there in a round, and what it is.
pub(crate) fn wrong_word(bytes: &[u8], round: u32, page: usize) -> Option<(usize, &[u8])> {
    let mut words = bytes.chunks_exact(8).enumerate();
    words.find(|(word, place)| **place != value(round, page, *word).to_le_bytes())
}

/// A page as it is written in a round, in memory of its own.
pub(crate) fn page(round: u32, page: usize) -> OolMemory<GnuMach> {
    let mut bytes = OolMemory::allocate(&GnuMach, PAGE).expect("vm_allocate");
    for (word, place) in bytes.chunks_exact_mut(8).enumerate() {
        place.copy_from_slice(&value(round, page, word).to_le_bytes());
    }
    bytes
}

/// What belongs into a word: no two are the same, and no page is one word over and over.
fn value(round: u32, page: usize, word: usize) -> u64 {
    let place = (u64::from(round) << 48) | ((page as u64) << 16) | word as u64;
    place.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Numbers that a task shares with those that are copied from it. Zeros at first.
#[derive(Clone, Copy)]
pub(crate) struct Shared(&'static [AtomicU32; 2]);

impl Shared {
    pub(crate) fn new() -> Self {
        let memory = OolMemory::allocate(&GnuMach, PAGE).expect("vm_allocate");
        let start = memory.as_ptr();
        mach::vm_inherit(&task(), start.addr() as VmAddress, PAGE as VmAddress, SHARE).expect("vm_inherit");
        // It stays as long as the task.
        core::mem::forget(memory);
        // SAFETY: a page of zeros, aligned, which is used by atomic operations only.
        Self(unsafe { &*start.cast() })
    }
}

impl Deref for Shared {
    type Target = [AtomicU32; 2];

    fn deref(&self) -> &[AtomicU32; 2] {
        self.0
    }
}
