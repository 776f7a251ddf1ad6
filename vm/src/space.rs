//! A piece of the address space.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use rustix::io;
use rustix::mm::{self, Advice, MapFlags, ProtFlags};

use crate::lock::lock;

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// Private anonymous memory, with small pages only. It is unmapped when this is dropped.
#[derive(Debug)]
pub(crate) struct Space {
    start: NonNull<u8>,
    len: usize,
    /// Somebody else has the addresses, with or without memory.
    reserved: bool,
    /// Where the pages are, if not at their addresses.
    framed: Option<Framed>,
}

/// Pages in frames of a pool, wherever those are.
#[derive(Debug)]
struct Framed {
    /// The frame of each page; null if it has none.
    frames: Box<[AtomicPtr<u8>]>,
    pool: Arc<Pool>,
}

/// Frames for pages that nobody has an address of. One goes from a page that leaves to one that comes, and
/// the system is not asked: it would charge, clear and map memory anew for each page that comes, and have all
/// processors forget each that leaves.
#[derive(Debug)]
pub(crate) struct Pool(Mutex<Free>);

#[derive(Debug)]
struct Free {
    frames: Vec<NonNull<u8>>,
    /// How many of the last piece of memory have never been in use.
    unused: usize,
    memory: Vec<Space>,
}

// SAFETY: each frame is here, or a page's.
unsafe impl Send for Free {}

/// How many frames there are beyond those that a pool begins with, when all of those are in use.
const MORE: usize = 64;

impl Pool {
    /// With as many frames as there are to be, as a rule. They take memory when they are first used.
    pub(crate) fn new(frames: usize) -> io::Result<Arc<Self>> {
        let memory = vec![Space::new(frames * PAGE, true)?];
        Ok(Arc::new(Self(Mutex::new(Free { frames: Vec::new(), unused: frames, memory }))))
    }

    fn take(&self) -> NonNull<u8> {
        let mut free = lock(&self.0);
        let Free { frames, unused, memory } = &mut *free;
        if let Some(frame) = frames.pop() {
            return frame;
        }
        if *unused == 0 {
            let more = Space::new(MORE * PAGE, true);
            // As where memory is used that there is none of.
            let more = more.unwrap_or_else(|_| std::alloc::handle_alloc_error(LAYOUT));
            (*unused, _) = (MORE, memory.push(more));
        }
        *unused -= 1;
        let last = &memory[memory.len() - 1];
        NonNull::new(last.at(*unused, 1)).unwrap_or(last.start)
    }
}

/// That of [`MORE`] frames.
const LAYOUT: std::alloc::Layout = std::alloc::Layout::new::<[u8; MORE * PAGE]>();

impl Framed {
    /// The frame of a page, which gets one if it has none, with whatever is in it.
    fn frame(&self, page: usize) -> NonNull<u8> {
        let frame = &self.frames[page];
        NonNull::new(frame.load(Relaxed)).unwrap_or_else(|| {
            let new = self.pool.take();
            frame.store(new.as_ptr(), Relaxed);
            new
        })
    }

    /// Takes their frames from pages.
    fn give_back(&self, pages: &[AtomicPtr<u8>]) {
        let mut free = lock(&self.pool.0);
        free.frames
            .extend(pages.iter().filter_map(|frame| NonNull::new(frame.swap(ptr::null_mut(), Relaxed))));
    }
}

impl Drop for Framed {
    fn drop(&mut self) {
        self.give_back(&self.frames);
    }
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
        let space = Self { start, len, reserved: false, framed: None };
        small.map(|()| space)
    }

    /// The same where nobody needs to have a page at its address: they are in frames of this pool. No more
    /// than one is had at a time.
    pub(crate) fn framed(len: usize, pool: &Arc<Pool>) -> io::Result<Self> {
        let mut space = Self::new(len, false)?;
        let frames = std::iter::repeat_with(AtomicPtr::default).take(len / PAGE).collect();
        space.framed = Some(Framed { frames, pool: pool.clone() });
        Ok(space)
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
        let space = Self { start, len, reserved: true, framed: None };
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
        Self { start, len, reserved: true, framed: None }
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
        let start = self.here(index, count);
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
        let start = self.here(index, count);
        // SAFETY: the memory is mapped as long as the space is borrowed, and the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(start, count * PAGE) }
    }

    /// Gives the memory of pages back; what is there next is new.
    ///
    /// # Safety
    ///
    /// Nobody has a reference into the pages that sees the difference.
    pub(crate) unsafe fn discard(&self, index: usize, count: usize) {
        if let Some(framed) = &self.framed {
            return framed.give_back(&framed.frames[index..index + count]);
        }
        // SAFETY: the pages are this space's, and the caller's promise. It cannot fail for memory that is
        // mapped.
        let _ = unsafe { mm::madvise(self.at(index, count).cast(), count * PAGE, Advice::LinuxDontNeed) };
    }

    /// Makes a page this process's alone, where a fork has left it shared.
    pub(crate) fn populate(&self, index: usize) {
        // SAFETY: the page is this space's, and what is in it does not change.
        let _ = unsafe { mm::madvise(self.at(index, 1).cast(), PAGE, Advice::LinuxPopulateWrite) };
    }

    /// True if pages are in frames, each by itself.
    pub(crate) fn is_framed(&self) -> bool {
        self.framed.is_some()
    }

    /// Where this many pages are.
    fn here(&self, index: usize, count: usize) -> *mut u8 {
        match &self.framed {
            Some(framed) => {
                assert!(count == 1);
                framed.frame(index).as_ptr()
            }
            None => self.at(index, count),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a page with a number.
    fn fill(space: &Space, page: usize, with: u8) {
        // SAFETY: the memory is this test's.
        unsafe { space.pages_mut(page, 1) }.fill(with);
    }

    fn is_full(space: &Space, page: usize, of: u8) -> bool {
        // SAFETY: the memory is this test's.
        unsafe { space.pages(page, 1) }.iter().all(|byte| *byte == of)
    }

    #[test]
    fn a_frame_goes_from_a_page_that_leaves_to_one_that_comes() {
        let pool = Pool::new(2).unwrap();
        let [one, other] = [(); 2].map(|()| Space::framed(1000 * PAGE, &pool).unwrap());
        fill(&one, 3, 3);
        fill(&other, 999, 9);
        let frame = one.here(3, 1);
        // SAFETY: nobody has a reference.
        unsafe { one.discard(2, 3) };
        fill(&one, 7, 7);
        assert_eq!(one.here(7, 1), frame);
        assert!(is_full(&other, 999, 9) && is_full(&one, 7, 7));
        assert_eq!(lock(&pool.0).memory.len(), 1);
    }

    #[test]
    fn there_are_more_frames_where_all_are_in_use_and_all_of_them_come_back() {
        let pool = Pool::new(2).unwrap();
        let space = Space::framed(1000 * PAGE, &pool).unwrap();
        (0..100).for_each(|page| fill(&space, page, page as u8));
        assert!((0..100).all(|page| is_full(&space, page, page as u8)));
        drop(space);
        let free = lock(&pool.0);
        assert_eq!((free.frames.len(), free.unused, free.memory.len()), (100, 30, 3));
    }
}
