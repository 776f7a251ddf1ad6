//! What processes cost.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What this process or its children that have ended have taken of the processors, in user mode and in the
/// system: on a busy machine it is nearly the same, which the time of a clock on a wall is not.
pub(crate) fn processor_time(whose: c_int) -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a place for the answer.
    let result = unsafe { libc::getrusage(whose, usage.as_mut_ptr()) };
    assert_eq!(result, 0, "there is such a `who`");
    // SAFETY: zeros are a valid answer, too.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Whether instructions can be counted.
pub(crate) fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// The sum of what callgrind says of each process.
pub(crate) fn collected(said: &str) -> u64 {
    said.lines().filter_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok()).sum()
}
