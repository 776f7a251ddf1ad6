//! A piece of the address space.

use std::ptr::NonNull;

use rustix::io;
use rustix::mm::{self, Advice, MapFlags, ProtFlags};

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// Private anonymous memory, with small pages only. It is unmapped when this is dropped.
#[derive(Debug)]
pub(crate) struct Space {
    start: NonNull<u8>,
    len: usize,
    /// Somebody else has the addresses, with or without memory.
    reserved: bool,
}

// SAFETY: it is an address and a length; whoever makes references of them answers for those.
unsafe impl Send for Space {}
// SAFETY: as above.
unsafe impl Sync for Space {}

impl Space {
    /// `len` bytes of address space, a multiple of a page.
    pub(crate) fn new(len: usize, writable: bool) -> io::Result<Self> {
        let access = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: new memory at an address of the kernel's choice takes nobody else's.
        let start = unsafe { mm::mmap_anonymous(std::ptr::null_mut(), len, access, flags) }?;
        // SAFETY: it has just been mapped, and advice does not change what is in it.
        let small = unsafe { mm::madvise(start, len, Advice::LinuxNoHugepage) };
        let start = NonNull::new(start.cast()).ok_or(io::Errno::NOMEM)?;
        let space = Self { start, len, reserved: false };
        small.map(|()| space)
    }

    /// The same at addresses that the caller has reserved. They are so again, without access, when this is
    /// dropped.
    ///
    /// # Safety
    ///
    /// Nobody uses what is mapped there, and the caller keeps the addresses as long as this lives.
    pub(crate) unsafe fn at_address(start: NonNull<u8>, len: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        // SAFETY: the caller's promise.
        unsafe { mm::mmap_anonymous(start.as_ptr().cast(), len, access, flags) }?;
        let space = Self { start, len, reserved: true };
        // SAFETY: it has just been mapped, and advice does not change what is in it.
        let small = unsafe { mm::madvise(start.as_ptr().cast(), len, Advice::LinuxNoHugepage) };
        small.map(|()| space)
    }

    /// What is there at addresses that the caller has, and stays. They are reserved, without access, when
    /// this is dropped.
    ///
    /// # Safety
    ///
    /// It is private anonymous memory, and the caller keeps the addresses as long as this lives.
    pub(crate) unsafe fn of_memory(start: NonNull<u8>, len: usize) -> Self {
        Self { start, len, reserved: true }
    }

    pub(crate) fn start(&self) -> u64 {
        self.start.addr().get() as u64
    }

    pub(crate) fn pointer(&self) -> NonNull<u8> {
        self.start
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The address of a page.
    pub(crate) fn page(&self, index: usize) -> u64 {
        self.start() + (index * PAGE) as u64
    }

    /// The bytes of this many pages.
    ///
    /// # Safety
    ///
    /// The pages are there, and nobody writes to them as long as this is borrowed.
    pub(crate) unsafe fn pages(&self, index: usize, count: usize) -> &[u8] {
        let start = self.at(index, count);
        // SAFETY: the memory is mapped as long as the space is borrowed, and the caller's promise.
        unsafe { std::slice::from_raw_parts(start, count * PAGE) }
    }

    /// The same, to be written.
    ///
    /// # Safety
    ///
    /// The pages are there, the memory writable, and nobody else reads or writes them as long as this is
    /// borrowed.
    #[expect(clippy::mut_from_ref, reason = "whoever calls this has the pages for itself")]
    pub(crate) unsafe fn pages_mut(&self, index: usize, count: usize) -> &mut [u8] {
        let start = self.at(index, count);
        // SAFETY: the memory is mapped as long as the space is borrowed, and the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(start, count * PAGE) }
    }

    /// Gives the memory of pages back; what is there next is new.
    ///
    /// # Safety
    ///
    /// Nobody has a reference into the pages that sees the difference.
    pub(crate) unsafe fn discard(&self, index: usize, count: usize) {
        // SAFETY: the pages are this space's, and the caller's promise. It cannot fail for memory that is
        // mapped.
        let _ = unsafe { mm::madvise(self.at(index, count).cast(), count * PAGE, Advice::LinuxDontNeed) };
    }

    /// Makes a page this process's alone, where a fork has left it shared.
    pub(crate) fn populate(&self, index: usize) {
        // SAFETY: the page is this space's, and what is in it does not change.
        let _ = unsafe { mm::madvise(self.at(index, 1).cast(), PAGE, Advice::LinuxPopulateWrite) };
    }

    /// Where this many pages begin, which are all inside.
    pub(crate) fn at(&self, index: usize, count: usize) -> *mut u8 {
        assert!(index.checked_add(count).is_some_and(|end| end <= self.len / PAGE));
        self.start.as_ptr().wrapping_add(index * PAGE)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let start = self.start.as_ptr().cast();
        if self.reserved {
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
            // SAFETY: in one step, so that nobody else gets the addresses; nobody refers to the memory any
            // more.
            let _ = unsafe { mm::mmap_anonymous(start, self.len, ProtFlags::empty(), flags) };
        } else {
            // SAFETY: it was mapped by `new`, and nobody refers to it any more.
            let _ = unsafe { mm::munmap(start, self.len) };
        }
    }
}
