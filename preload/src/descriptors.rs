//! The numbers of this library's own descriptors.
//!
//! A program gives numbers to descriptors itself, as a shell does for `exec 3> file`, or closes all that it
//! does not know. Those of this library lie above the numbers that programs use so, and stay open.

use std::ffi::{c_int, c_uint};
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, getrlimit};

use crate::{system, thread};

/// As many numbers are this library's, the last of those that there are or of a thousand.
const OWN: RawFd = 64;
const LAST: RawFd = 1024;

/// Programs that may have fewer descriptors than this have theirs and this library's side by side.
const LEAST: RawFd = 4 * OWN;

/// The first of this library's numbers, and a bit for each that is in use.
static FIRST: AtomicU64 = AtomicU64::new(u64::MAX);
static USED: AtomicU64 = AtomicU64::new(0);

fn is_open(number: RawFd) -> bool {
    // SAFETY: this changes nothing.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// While this lives, what is opened gets a number that is this library's.
pub(crate) struct Above {
    below: Vec<OwnedFd>,
    first: RawFd,
    before: u64,
}

impl Above {
    pub(crate) fn begin() -> Self {
        let limit = getrlimit(Resource::Nofile).current.map_or(LAST, |limit| limit.min(LAST as u64) as RawFd);
        let mut above = Self { below: Vec::new(), first: limit - OWN, before: u64::MAX };
        let Some(null) = File::open("/dev/null").ok().filter(|_| limit >= LEAST) else { return above };
        while let Ok(number) = fcntl_dupfd_cloexec(&null, 0) {
            if number.as_raw_fd() >= above.first {
                break;
            }
            above.below.push(number);
        }
        above.below.push(null.into());
        above.before = above.open();
        above
    }

    fn open(&self) -> u64 {
        (0..OWN).filter(|at| is_open(self.first + at)).map(|at| 1 << at).sum()
    }
}

impl Drop for Above {
    fn drop(&mut self) {
        if self.before != u64::MAX {
            FIRST.store(self.first as u64, Relaxed);
            USED.fetch_or(self.open() & !self.before, Relaxed);
        }
    }
}

/// True if this is one of this library's descriptors.
fn is_own(number: c_uint) -> bool {
    let at = u64::from(number).checked_sub(FIRST.load(Relaxed));
    at.is_some_and(|at| at < OWN as u64 && USED.load(Relaxed) & 1 << at != 0)
}

#[unsafe(no_mangle)]
extern "C" fn close(number: c_int) -> c_int {
    if let Some(own) = u32::try_from(number).ok().filter(|number| is_own(*number)) {
        if thread::is_of_program() {
            system::set_errno(libc::EBADF);
            return -1;
        }
        USED.fetch_and(!(1 << (u64::from(own) - FIRST.load(Relaxed))), Relaxed);
    }
    system::close(number)
}

/// Does it to the descriptors of a range that are not this library's.
#[unsafe(no_mangle)]
extern "C" fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    let mut from = first;
    let (start, end) = (FIRST.load(Relaxed), FIRST.load(Relaxed).saturating_add(OWN as u64));
    for own in (start..end).filter_map(|number| u32::try_from(number).ok()) {
        if is_own(own) && (from..=last).contains(&own) {
            if own > from && system::close_range(from, own - 1, flags) != 0 {
                return -1;
            }
            from = own + 1;
        }
    }
    if from > last && from > first { 0 } else { system::close_range(from, last, flags) }
}

#[unsafe(no_mangle)]
extern "C" fn closefrom(first: c_int) {
    close_range(first.max(0) as c_uint, c_uint::MAX, 0);
}
