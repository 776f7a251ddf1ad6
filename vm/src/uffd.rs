//! Linux's userfaultfd: a thread that touches a page that is not there waits, and another one puts the page
//! there or takes it away.
//!
//! The numbers are those of `linux/userfaultfd.h`.

use std::ffi::c_void;
use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::{self, Errno};
use rustix::ioctl::{self, Ioctl, IoctlOutput, Opcode, Updater, opcode};
use rustix::mm::UserfaultfdFlags;

use crate::space::{PAGE, Space};

const MAGIC: u8 = 0xaa;
const API: u64 = 0xaa;
const MISSING: u64 = 1;
/// `UFFDIO_REGISTER_MODE_WP`
const PROTECTED: u64 = 1 << 1;
/// `UFFD_USER_MODE_ONLY`, of Linux 5.11
const USER_MODE_ONLY: UserfaultfdFlags = UserfaultfdFlags::from_bits_retain(1);
/// `UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES`
const ALLOW_SRC_HOLES: u64 = 1 << 1;
/// `UFFDIO_COPY_MODE_WP`
const PROTECT: u64 = 1 << 1;
const EVENT_PAGEFAULT: u8 = 0x12;
/// `UFFD_PAGEFAULT_FLAG_WP`
const OF_PROTECTED: u64 = 1 << 1;
/// `UFFD_FEATURE_PAGEFAULT_FLAG_WP`, of Linux 5.7
const FEATURE_PROTECTED: u64 = 1;
/// `UFFD_FEATURE_SIGBUS`, of Linux 4.14
const FEATURE_SIGBUS: u64 = 1 << 7;
/// `UFFD_FEATURE_THREAD_ID`, of Linux 4.14
const FEATURE_THREAD_ID: u64 = 1 << 8;
/// `UFFD_FEATURE_POISON`, of Linux 6.6
const FEATURE_POISON: u64 = 1 << 14;
/// `UFFD_FEATURE_MOVE`, of Linux 6.8
const FEATURE_MOVE: u64 = 1 << 16;

/// `struct uffdio_api`
#[repr(C)]
struct ApiArgument {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_range`
#[repr(C)]
struct Range {
    start: u64,
    len: u64,
}

/// `struct uffdio_register`
#[repr(C)]
struct Register {
    range: Range,
    mode: u64,
    ioctls: u64,
}

/// `struct uffdio_copy`, and `struct uffdio_move`, which is alike
#[repr(C)]
struct Copy {
    to: u64,
    from: u64,
    len: u64,
    mode: u64,
    done: i64,
}

/// `struct uffdio_zeropage`, and `struct uffdio_poison`, which is alike
#[repr(C)]
struct Fill {
    range: Range,
    mode: u64,
    done: i64,
}

/// `struct uffdio_writeprotect`
#[repr(C)]
struct Protection {
    range: Range,
    mode: u64,
}

/// `struct uffd_msg`
#[repr(C)]
#[derive(Clone, Copy)]
struct Message {
    event: u8,
    reserved: [u8; 7],
    flags: u64,
    address: u64,
    thread: u64,
}

const REGISTER: Opcode = opcode::read_write::<Register>(MAGIC, 0);
const WAKE: Opcode = opcode::read::<Range>(MAGIC, 2);
const COPY: Opcode = opcode::read_write::<Copy>(MAGIC, 3);
const ZEROPAGE: Opcode = opcode::read_write::<Fill>(MAGIC, 4);
const MOVE: Opcode = opcode::read_write::<Copy>(MAGIC, 5);
const WRITE_PROTECT: Opcode = opcode::read_write::<Protection>(MAGIC, 6);
const POISON: Opcode = opcode::read_write::<Fill>(MAGIC, 8);
const SET_API: Opcode = opcode::read_write::<ApiArgument>(MAGIC, 0x3f);

/// `USERFAULTFD_IOC_NEW` of the device: the argument is the flags, and the result a descriptor.
struct New;

// SAFETY: the call takes an integer and returns a new descriptor, which nobody else has.
unsafe impl Ioctl for New {
    type Output = OwnedFd;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        opcode::none(MAGIC, 0)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::without_provenance_mut(flags().bits() as usize)
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> io::Result<OwnedFd> {
        // SAFETY: as above.
        Ok(unsafe { OwnedFd::from_raw_fd(out) })
    }
}

fn flags() -> UserfaultfdFlags {
    UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK
}

/// Somebody waits for a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// Where the page begins.
    pub(crate) address: u64,
    /// The number of the thread.
    pub(crate) thread: u32,
    /// The page is there, and protected.
    pub(crate) is_protected: bool,
}

/// Who is told that a page is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Whoever reads the descriptor.
    Reader,
    /// The thread that touches it, by a signal; the kernel itself gets an error, so that everybody may have
    /// that.
    Toucher,
}

/// A userfaultfd.
pub(crate) struct Uffd(OwnedFd);

/// Why there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unusable {
    NotPermitted,
    /// It cannot move pages: the kernel is older than 6.8.
    OldKernel,
    Failed(Errno),
}

impl Uffd {
    /// A new one, by the system call, or by the device where only that is permitted. Not every processor's
    /// kernel can have one that `protects` pages.
    pub(crate) fn new(told: Told, protects: bool) -> Result<Self, Unusable> {
        let (flags, features) = match told {
            Told::Reader => (flags(), FEATURE_MOVE | FEATURE_POISON | FEATURE_THREAD_ID),
            Told::Toucher => (flags() | USER_MODE_ONLY, FEATURE_MOVE | FEATURE_POISON | FEATURE_SIGBUS),
        };
        // SAFETY: the descriptor does nothing until memory is registered with it.
        let fd = match unsafe { rustix::mm::userfaultfd(flags) } {
            Err(Errno::PERM) => by_device(),
            other => other,
        };
        let fd = fd.map_err(|error| match error {
            Errno::PERM | Errno::ACCESS | Errno::NOENT => Unusable::NotPermitted,
            Errno::NOSYS => Unusable::OldKernel,
            other => Unusable::Failed(other),
        })?;
        let uffd = Self(fd);
        let features = if protects { features | FEATURE_PROTECTED } else { features };
        let mut api = ApiArgument { api: API, features, ioctls: 0 };
        uffd.call::<SET_API, _>(&mut api).map_err(|error| match error {
            Errno::INVAL => Unusable::OldKernel,
            other => Unusable::Failed(other),
        })?;
        Ok(uffd)
    }

    /// Events of missing pages of this memory come here from now on, and if it `protects` those of writes to
    /// pages that are protected.
    pub(crate) fn register(&self, space: &Space, protects: bool) -> io::Result<()> {
        let range = Range { start: space.start(), len: space.len() as u64 };
        let mode = if protects { MISSING | PROTECTED } else { MISSING };
        self.call::<REGISTER, _>(&mut Register { range, mode, ioctls: 0 })
    }

    /// The next event; `None` if there is none at present.
    pub(crate) fn next_fault(&self) -> io::Result<Option<Event>> {
        loop {
            let mut bytes = [0; size_of::<Message>()];
            match io::read(&self.0, &mut bytes) {
                Ok(len) if len == bytes.len() => {}
                Ok(_) | Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            }
            let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
            if bytes[0] == EVENT_PAGEFAULT {
                let (flags, address) = (word(8), word(16) & !(PAGE as u64 - 1));
                let thread = u32::from_ne_bytes(bytes[24..28].try_into().unwrap_or_default());
                return Ok(Some(Event { address, thread, is_protected: flags & OF_PROTECTED != 0 }));
            }
        }
    }

    /// Puts a copy of pages at an address of registered memory, protected if that is said, and wakes whoever
    /// waits for one of them. A page that is there already stays.
    pub(crate) fn place(&self, at: u64, pages: &[u8], protect: bool) -> io::Result<()> {
        let mode = if protect { PROTECT } else { 0 };
        let (len, mut put, mut most) = (pages.len() as u64, 0, pages.len() as u64);
        while put < len {
            let (to, from) = (at + put, pages.as_ptr().addr() as u64 + put);
            let wanted = most.min(len - put);
            let mut copy = Copy { to, from, len: wanted, mode, done: 0 };
            match self.call::<COPY, _>(&mut copy) {
                Ok(()) => put += wanted,
                Err(_) if copy.done > 0 => put += copy.done as u64,
                // The address space is being changed.
                Err(Errno::AGAIN) => std::thread::yield_now(),
                Err(Errno::EXIST) => {
                    self.wake(to, 1)?;
                    put += PAGE as u64;
                }
                // Pages of which only some can be written are two pieces of memory for the system.
                Err(Errno::NOENT) if wanted > PAGE as u64 => most = PAGE as u64,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts a page of zeros there.
    pub(crate) fn place_zeros(&self, at: u64) -> io::Result<()> {
        self.until_done(at, |uffd| uffd.call::<ZEROPAGE, _>(&mut Fill { range: page(at), mode: 0, done: 0 }))
    }

    /// From now on the page can be written, if it is there. Whoever waits for that tries again.
    pub(crate) fn unprotect(&self, at: u64) -> io::Result<()> {
        self.until_done(at, |uffd| {
            uffd.call::<WRITE_PROTECT, _>(&mut Protection { range: page(at), mode: 0 })
        })
    }

    /// From now on whoever touches the page gets SIGBUS.
    pub(crate) fn poison(&self, at: u64) -> io::Result<()> {
        self.until_done(at, |uffd| uffd.call::<POISON, _>(&mut Fill { range: page(at), mode: 0, done: 0 }))
    }

    fn until_done(&self, at: u64, put: impl Fn(&Self) -> io::Result<()>) -> io::Result<()> {
        loop {
            match put(self) {
                // The address space is being changed.
                Err(Errno::AGAIN) => std::thread::yield_now(),
                Err(Errno::EXIST) => return self.wake(at, 1),
                done => return done,
            }
        }
    }

    /// Moves a page to memory that is registered here, from memory that is not.
    pub(crate) fn move_page(&self, to: u64, from: u64) -> io::Result<()> {
        self.move_pages(to, from, 1).1
    }

    /// Moves this many pages, or as many of the first ones as can be moved, and says why not all were.
    pub(crate) fn move_pages(&self, to: u64, from: u64, count: usize) -> (usize, io::Result<()>) {
        self.move_with(to, from, count, 0)
    }

    /// The same where some of the pages are not there, nor taken from where they would go.
    pub(crate) fn move_back(&self, to: u64, from: u64, count: usize) -> (usize, io::Result<()>) {
        self.move_with(to, from, count, ALLOW_SRC_HOLES)
    }

    fn move_with(&self, to: u64, from: u64, count: usize, mode: u64) -> (usize, io::Result<()>) {
        let (len, mut moved) = ((count * PAGE) as u64, 0);
        loop {
            let mut call = Copy { to: to + moved, from: from + moved, len: len - moved, mode, done: 0 };
            let result = self.call::<MOVE, _>(&mut call);
            moved += call.done.max(0) as u64;
            match result {
                Err(Errno::AGAIN) if moved < len => std::thread::yield_now(),
                Err(Errno::AGAIN) => return (count, Ok(())),
                done => return (moved as usize / PAGE, done),
            }
        }
    }

    /// Whoever waits for one of this many pages tries again.
    pub(crate) fn wake(&self, at: u64, pages: usize) -> io::Result<()> {
        if pages == 0 {
            return Ok(());
        }
        self.call::<WAKE, _>(&mut Range { start: at, len: (pages * PAGE) as u64 })
    }

    fn call<const OPCODE: Opcode, T>(&self, argument: &mut T) -> io::Result<()> {
        // SAFETY: the constants above have each call's number with its argument, and this module calls with
        // no others.
        let call = unsafe { Updater::<OPCODE, T>::new(argument) };
        // SAFETY: what the calls do to memory is done to memory that was registered, which is a `Space`'s.
        unsafe { ioctl::ioctl(&self.0, call) }
    }
}

impl AsFd for Uffd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn page(start: u64) -> Range {
    Range { start, len: PAGE as u64 }
}

fn by_device() -> io::Result<OwnedFd> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/userfaultfd");
    let device = device.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::PERM))?;
    // SAFETY: a new descriptor does nothing until memory is registered with it.
    unsafe { ioctl::ioctl(device, New) }
}
