//! A run of a server: starts its threads, and ends when it is told to or when nothing can be received.

use core::sync::atomic::{AtomicI32, Ordering};

use super::Server;
use crate::kern_return::KernReturn;
use crate::kernel::Kernel;
use crate::platform::Platform;

impl<K: Kernel> Server<'_, K> {
    /// Serves on threads of the standard library until [stopped](Self::stop).
    ///
    /// # Errors
    ///
    /// As [`run_on`](Self::run_on).
    #[cfg(feature = "std")]
    pub fn run(&self) -> Result<(), KernReturn> {
        self.run_on::<crate::platform::Std>()
    }

    /// Serves on threads of the standard library while `work` runs, and returns what `work` returns.
    ///
    /// The server stops when `work` ends, also where it leaves early with `?` or panics: a program that runs
    /// a server in a scope of threads and calls [`stop`](Self::stop) by hand waits for ever where it does not
    /// come to that call.
    ///
    /// # Errors
    ///
    /// As [`run_on`](Self::run_on), once `work` has ended. A client of a server that has ended by itself
    /// waits for as long as its call says. If the server cannot begin, or there is no thread for it
    /// (`KERN_RESOURCE_SHORTAGE`), `work` is not begun.
    #[cfg(feature = "std")]
    pub fn serve_while<R>(&self, work: impl FnOnce() -> R) -> Result<R, KernReturn> {
        /// Stops the server when `work` is over, however it ends.
        struct Stopping<'a, 's, K: Kernel>(&'a Server<'s, K>);

        impl<K: Kernel> Drop for Stopping<'_, '_, K> {
            fn drop(&mut self) {
                self.0.stop();
            }
        }

        let ports = self.ports.as_ref().map_err(|code| *code)?;
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("server".into());
            let running = thread.spawn_scoped(scope, || self.run());
            let running = running.map_err(|_| KernReturn::KERN_RESOURCE_SHORTAGE)?;
            let stopping = Stopping(self);
            let result = work();
            drop(stopping);
            let ended = running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // Where the server had ended before, the order of `stopping` would be for the next run.
            ports.stop.reset();
            ended.map(|()| result)
        })
    }

    /// Serves until [stopped](Self::stop), on threads of this platform.
    ///
    /// # Errors
    ///
    /// The code of the receive that failed, such as `MACH_RCV_PORT_DIED` when the set or the task has gone,
    /// or of what could not be made at first. All threads have ended then.
    pub fn run_on<P: Platform>(&self) -> Result<(), KernReturn> {
        let ports = self.ports.as_ref().map_err(|code| *code)?;
        let failure = AtomicI32::new(KernReturn::KERN_SUCCESS.0);
        self.while_inline::<P>(ports, &mut || {
            P::on_threads("server", self.threads, &|| {
                if let Err(code) = self.work::<P>(ports) {
                    failure.store(code.0, Ordering::Relaxed);
                    self.stop();
                }
            });
        });
        ports.stop.reset();
        KernReturn(failure.into_inner()).ok()
    }

    /// Ends [`run`](Self::run), once each thread has served what it has received. What is in the queues stays
    /// there. Without a run, the next one ends at once.
    pub fn stop(&self) {
        if let Ok(ports) = &self.ports {
            ports.stop.stop();
        }
    }
}
