//! Threads, locks and time of the bare kernel, as [`Platform`].

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU64, Ordering};

use mach_defs::gnu::mach_host;
use mig_runtime::platform::{Panicked, Platform, SpawnError};

use crate::sync::{Condvar, RawMutex};
use crate::task::{GnuMach, SendRight};
use crate::thread::{self, JoinHandle};
use crate::trap;

/// Threads, locks and time of GNU Mach, without a C library.
#[derive(Clone, Copy, Debug)]
pub enum Bare {}

impl Platform for Bare {
    type RawMutex = RawMutex;
    type Condvar = Condvar;
    type Thread = JoinHandle;

    fn spawn(_name: &str, body: Box<dyn FnOnce() + Send>) -> Result<JoinHandle, SpawnError> {
        thread::spawn(body)
    }

    fn on_threads(_name: &str, threads: NonZeroUsize, body: &(dyn Fn() + Sync)) {
        // SAFETY: the threads that use it have ended before this function does, even if `body` panics.
        let shared = unsafe { mem::transmute::<&(dyn Fn() + Sync), &'static (dyn Fn() + Sync)>(body) };
        let _others =
            Joined((1..threads.get()).map_while(|_| thread::spawn(Box::new(shared)).ok()).collect());
        body();
    }

    /// Counted by the processor, whose speed the first call measures: it takes some 40 ms.
    fn now() -> u64 {
        let clock = Clock::get();
        clock.nanoseconds(ticks())
    }

    /// Nothing unwinds here: a panic ends the program.
    fn catch_unwind<R>(body: impl FnOnce() -> R) -> Result<R, Panicked> {
        Ok(body())
    }
}

/// Threads that are waited for when this is dropped.
struct Joined(Vec<JoinHandle>);

impl Drop for Joined {
    fn drop(&mut self) {
        for thread in &self.0 {
            thread.wait();
        }
    }
}

/// How the processor's count becomes nanoseconds.
#[derive(Clone, Copy)]
struct Clock {
    /// The count at time 0.
    start: u64,
    /// Nanoseconds a count, times 2^32.
    scale: u64,
}

/// How long to measure, in microseconds.
const MEASURE: u64 = 40_000;

impl Clock {
    /// The clock of this machine.
    fn get() -> Self {
        static START: AtomicU64 = AtomicU64::new(0);
        static SCALE: AtomicU64 = AtomicU64::new(0);
        let scale = SCALE.load(Ordering::Acquire);
        if scale != 0 {
            return Self { start: START.load(Ordering::Relaxed), scale };
        }
        // Two threads may measure at once; they find the same, but for what it takes no matter.
        let clock = Self::measure();
        START.store(clock.start, Ordering::Relaxed);
        SCALE.store(clock.scale, Ordering::Release);
        clock
    }

    fn measure() -> Self {
        let (start, start_time) = at_a_change();
        loop {
            let (end, end_time) = at_a_change();
            let passed = end_time - start_time;
            if passed >= MEASURE {
                let scale = (u128::from(passed * 1000) << 32) / u128::from((end - start).max(1));
                return Self { start, scale: (scale as u64).max(1) };
            }
        }
    }

    fn nanoseconds(self, count: u64) -> u64 {
        let passed = count.saturating_sub(self.start);
        ((u128::from(passed) * u128::from(self.scale)) >> 32) as u64
    }
}

/// The processor's count, and the kernel's time in microseconds, when that has just changed: it may do so at
/// clock ticks only.
fn at_a_change() -> (u64, u64) {
    let before = kernel_time();
    loop {
        let now = kernel_time();
        if now > before {
            return (ticks(), now);
        }
    }
}

fn kernel_time() -> u64 {
    // SAFETY: the trap has added a reference, which this releases.
    let host = unsafe { SendRight::from_raw(GnuMach, trap::host_self()) };
    mach_host::host_get_time(&host)
        .map_or(0, |time| time.seconds as u64 * 1_000_000 + time.microseconds as u64)
}

/// The processor's count.
fn ticks() -> u64 {
    #[cfg(target_arch = "x86")]
    use core::arch::x86 as arch;
    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64 as arch;
    // SAFETY: every processor that the kernel supports has it, and the kernel allows it.
    unsafe { arch::_rdtsc() }
}
