//! What a server needs of the machine below it besides messages: locks, waiting, threads, time.
//!
//! Code that is generic over [`Platform`] is `no_std` and runs on std threads ([`Std`]) and on bare Mach
//! threads alike. Locks are those of [`lock_api`], so a [`Mutex`] has the methods and guards that everyone
//! knows.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use mig_runtime::platform::{Condvar, Mutex, Platform, Std};
//!
//! struct Gate<P: Platform> {
//!     open: Mutex<P, bool>,
//!     changed: P::Condvar,
//! }
//!
//! impl<P: Platform> Gate<P> {
//!     fn pass(&self) {
//!         let mut open = self.open.lock();
//!         while !*open {
//!             self.changed.wait(&mut open);
//!         }
//!     }
//!     fn open(&self) {
//!         *self.open.lock() = true;
//!         self.changed.notify_all();
//!     }
//! }
//!
//! let gate = Gate::<Std> { open: Mutex::<Std, _>::new(false), changed: Default::default() };
//! gate.open();
//! gate.pass();
//! # }
//! ```

#[cfg(all(feature = "std", target_os = "linux"))]
mod futex;
mod holding;

use alloc::boxed::Box;
use core::fmt;
use core::num::NonZeroUsize;
use core::time::Duration;

#[cfg(feature = "std")]
pub(crate) use self::holding::{any as holds_anything, locks as holds_a_lock};

pub use self::holding::Holding;

/// A lock of the platform around a value.
pub type Mutex<P, T> = lock_api::Mutex<<P as Platform>::RawMutex, T>;

/// The access to a value that a locked [`Mutex`] gives.
pub type MutexGuard<'a, P, T> = lock_api::MutexGuard<'a, <P as Platform>::RawMutex, T>;

/// Locks, waiting, threads and time. Implemented by a type without values; everything is reached through the
/// type.
pub trait Platform: Sized + Send + Sync + 'static {
    /// The lock that [`Mutex`] puts around a value.
    type RawMutex: lock_api::RawMutex + Send + Sync + 'static;

    /// The condition variable to wait on for a change of what such a lock guards.
    type Condvar: Condvar<Self::RawMutex>;

    /// A thread that was [spawned](Self::spawn).
    type Thread: Thread;

    /// Starts a thread that runs on its own until `body` returns. The name is for debuggers.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] if the system has no room for another thread; `body` is dropped.
    fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> Result<Self::Thread, SpawnError>;

    /// Runs `body` on this many threads at once, the caller's among them, and returns when all have returned.
    ///
    /// `body` may borrow, unlike that of [`spawn`](Self::spawn). A thread that cannot be made is left out:
    /// those that exist share the work.
    ///
    /// # Panics
    ///
    /// If `body` panics, once all threads have ended.
    fn on_threads(name: &str, threads: NonZeroUsize, body: &(dyn Fn() + Sync));

    /// Nanoseconds since an arbitrary point in the past; never goes back.
    fn now() -> u64;

    /// Runs `body` and stops a panic in it, where panics unwind. Elsewhere a panic ends the program before
    /// this returns.
    ///
    /// # Errors
    ///
    /// [`Panicked`] if `body` did. The caller answers for what `body` left half done, as with
    /// `AssertUnwindSafe`.
    fn catch_unwind<R>(body: impl FnOnce() -> R) -> Result<R, Panicked>;
}

/// A condition variable: threads wait on it for a change of what a lock guards.
///
/// Waiting may end without a cause, so it belongs in a loop that tests the condition.
pub trait Condvar<R: lock_api::RawMutex>: Default + Send + Sync {
    /// Unlocks, waits for a notification, and locks again.
    fn wait<T: ?Sized>(&self, guard: &mut lock_api::MutexGuard<'_, R, T>);

    /// As [`wait`](Self::wait), but for no longer than this. Returns false if the time ran out.
    fn wait_for<T: ?Sized>(&self, guard: &mut lock_api::MutexGuard<'_, R, T>, limit: Duration) -> bool;

    /// Wakes one waiting thread, if there is one.
    fn notify_one(&self);

    /// Wakes every waiting thread.
    fn notify_all(&self);
}

/// A thread that may be waited for. Dropping it lets the thread run on alone.
pub trait Thread: Send {
    /// Waits until the thread has ended.
    ///
    /// # Errors
    ///
    /// [`Panicked`] if its body did.
    fn join(self) -> Result<(), Panicked>;
}

/// The system would not make another thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpawnError;

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system cannot make another thread")
    }
}

impl core::error::Error for SpawnError {}

/// A body of code ended by a panic. What the panic said has gone to the panic hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the code panicked")
    }
}

impl core::error::Error for Panicked {}

#[cfg(feature = "std")]
pub use self::with_std::Std;

#[cfg(feature = "std")]
mod with_std {
    use std::boxed::Box;
    use std::num::NonZeroUsize;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::string::String;
    use std::sync::OnceLock;
    use std::thread;
    use std::time::Instant;

    use super::{Panicked, Platform, SpawnError, Thread};

    /// Threads and time of the standard library, with locks that are words of memory on Linux, and those of
    /// `parking_lot` elsewhere.
    #[derive(Clone, Copy, Debug)]
    pub enum Std {}

    impl Platform for Std {
        #[cfg(target_os = "linux")]
        type RawMutex = super::futex::Futex;
        #[cfg(not(target_os = "linux"))]
        type RawMutex = parking_lot::RawMutex;
        #[cfg(target_os = "linux")]
        type Condvar = super::futex::Condition;
        #[cfg(not(target_os = "linux"))]
        type Condvar = parking_lot::Condvar;
        type Thread = thread::JoinHandle<()>;

        fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> Result<Self::Thread, SpawnError> {
            thread::Builder::new().name(String::from(name)).spawn(body).map_err(|_| SpawnError)
        }

        fn on_threads(name: &str, threads: NonZeroUsize, body: &(dyn Fn() + Sync)) {
            thread::scope(|scope| {
                for _ in 1..threads.get() {
                    let thread = thread::Builder::new().name(String::from(name)).spawn_scoped(scope, body);
                    if thread.is_err() {
                        break;
                    }
                }
                body();
            });
        }

        fn now() -> u64 {
            static START: OnceLock<Instant> = OnceLock::new();
            // 2^64 ns are 584 years.
            START.get_or_init(Instant::now).elapsed().as_nanos() as u64
        }

        fn catch_unwind<R>(body: impl FnOnce() -> R) -> Result<R, Panicked> {
            catch_unwind(AssertUnwindSafe(body)).map_err(|_| Panicked)
        }
    }

    #[cfg(not(target_os = "linux"))]
    impl super::Condvar<parking_lot::RawMutex> for parking_lot::Condvar {
        fn wait<T: ?Sized>(&self, guard: &mut parking_lot::MutexGuard<'_, T>) {
            self.wait(guard);
        }

        fn wait_for<T: ?Sized>(
            &self,
            guard: &mut parking_lot::MutexGuard<'_, T>,
            limit: super::Duration,
        ) -> bool {
            !self.wait_for(guard, limit).timed_out()
        }

        fn notify_one(&self) {
            self.notify_one();
        }

        fn notify_all(&self) {
            self.notify_all();
        }
    }

    impl Thread for thread::JoinHandle<()> {
        fn join(self) -> Result<(), Panicked> {
            self.join().map_err(|_| Panicked)
        }
    }

    #[cfg(test)]
    mod tests {
        use std::sync::atomic::{AtomicUsize, Ordering};
        use std::time::Duration;

        use super::*;
        use crate::platform::{Condvar, Mutex};

        #[test]
        fn every_thread_runs_the_body_and_all_have_ended_when_it_returns() {
            let runs = AtomicUsize::new(0);
            Std::on_threads("test", NonZeroUsize::new(4).unwrap(), &|| {
                runs.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(runs.into_inner(), 4);
        }

        #[test]
        fn a_panic_is_stopped_and_a_value_passes() {
            assert_eq!(Std::catch_unwind(|| 7), Ok(7));
            // `resume_unwind` does not print, unlike `panic!`.
            let panic = || std::panic::resume_unwind(Box::new("on purpose"));
            assert_eq!(Std::catch_unwind::<()>(panic), Err(Panicked));
            assert_eq!(Thread::join(Std::spawn("test", Box::new(panic)).unwrap()), Err(Panicked));
        }

        #[test]
        fn a_waiter_sees_the_change_and_a_limit_ends_the_wait() {
            let flag = Mutex::<Std, _>::new(false);
            let changed = <Std as Platform>::Condvar::default();
            assert!(!Condvar::wait_for(&changed, &mut flag.lock(), Duration::ZERO));
            thread::scope(|scope| {
                scope.spawn(|| {
                    *flag.lock() = true;
                    Condvar::notify_all(&changed);
                });
                let mut set = flag.lock();
                while !*set {
                    Condvar::wait(&changed, &mut set);
                }
            });
        }

        #[test]
        fn time_does_not_go_back() {
            let before = Std::now();
            assert!(Std::now() >= before);
        }
    }
}
