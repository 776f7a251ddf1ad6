//! Crashes of a program, reported to another one: what crash reporters do on macOS.
//!
//! [`Handler`] is in the program that may crash, on a thread of its own. It gets the exceptions of the other
//! threads, and gives the task and the thread to a reporter in another process, which may look at both while
//! they stand still: memory that a crash has spoiled is read by somebody whose memory is in order.
//! [`Reporter`] is that other side. Both are generic over the kernel.

use mach_defs::apple_64::mach_exc::MachExc;
use mach_defs::apple_64::task::task_threads;
use mach_defs::apple_64::thread_act::{thread_resume, thread_suspend};
use mig_runtime::{KernReturn, Kernel, Port, Rights, SendRight};

/// The interface of a reporter.
#[allow(missing_docs)]
pub mod crash {
    mig_runtime::include_interface!("crash");
}
use crash::{Abi, Crash, crash_report};

/// The exceptions that end a program: `EXC_BAD_ACCESS`, `EXC_BAD_INSTRUCTION`, `EXC_ARITHMETIC`,
/// `EXC_BREAKPOINT`, `EXC_GUARD`.
pub const MASK: i32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 12;

/// `EXCEPTION_DEFAULT | MACH_EXCEPTION_CODES`
pub const BEHAVIOR: i32 = 1 | i32::MIN;

/// How long a program that has crashed waits for its reporter, in milliseconds.
const PATIENCE: u32 = 5000;

/// The exception server of a program. On the same port it serves those who want a report without a crash.
pub struct Handler<K: Kernel> {
    task: SendRight<K>,
    /// The handler's own thread, which goes on.
    thread: SendRight<K>,
    reporter: SendRight<K>,
}

impl<K: Kernel<Abi = Abi>> Handler<K> {
    /// A handler of this task, to be served by this thread.
    pub fn new(task: SendRight<K>, thread: SendRight<K>, reporter: SendRight<K>) -> Self {
        Self { task, thread, reporter }
    }

    fn report(
        &self,
        task: &SendRight<K>,
        thread: &SendRight<K>,
        exception: i32,
        code: &[i64],
    ) -> Result<i32, KernReturn> {
        let _others = Suspended::all_but(task, &self.thread);
        Ok(crash_report(&self.reporter, PATIENCE, task, thread, exception, code)?)
    }
}

impl<K: Kernel<Abi = Abi>> MachExc<K> for Handler<K> {
    // Whatever becomes of the report, the rights to the thread and the task are released, and the kernel
    // looks for another server or ends the program.
    fn mach_exception_raise(
        &self,
        _port: Port<'_, K>,
        thread: SendRight<K>,
        task: SendRight<K>,
        exception: i32,
        code: &[i64],
    ) -> Result<(), KernReturn> {
        // A forked child has its parent's exception ports, and other memory than the parent.
        if task.name() == self.task.name() {
            self.report(&task, &thread, exception, code)?;
        }
        Err(KernReturn::KERN_FAILURE)
    }
}

impl<K: Kernel<Abi = Abi>> Crash<K> for Handler<K> {
    fn crash_report(
        &self,
        _handler: Port<'_, K>,
        task: SendRight<K>,
        thread: SendRight<K>,
        exception: i32,
        code: &[i64],
    ) -> Result<i32, KernReturn> {
        if task.name() != self.task.name() {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        self.report(&task, &thread, exception, code)
    }
}

/// Threads that stand still until this is dropped.
struct Suspended<K: Kernel<Abi = Abi>>(Rights<K, SendRight<K>>);

impl<K: Kernel<Abi = Abi>> Suspended<K> {
    /// Stops the threads of a task, but for one, as far as they can be stopped.
    fn all_but(task: &SendRight<K>, own: &SendRight<K>) -> Self {
        let mut threads = task_threads(task).unwrap_or_default();
        threads.retain(|thread| thread.name() != own.name() && thread_suspend(thread).is_ok());
        Self(threads)
    }
}

impl<K: Kernel<Abi = Abi>> Drop for Suspended<K> {
    fn drop(&mut self) {
        for thread in &mut self.0 {
            // If it has ended meanwhile it needs no more.
            let _ = thread_resume(&thread);
        }
    }
}

/// A crash, with the rights to look at the program.
pub struct Report<K: Kernel> {
    /// The program.
    pub task: SendRight<K>,
    /// The thread that has crashed, or wants the report.
    pub thread: SendRight<K>,
    /// What happened; 0 if nothing did.
    pub exception: i32,
    /// The code and the subcode; of a bad access why it is one, and the address.
    pub code: Vec<i64>,
}

/// Gives reports to a function; what that returns is the answer.
pub struct Reporter<F>(pub F);

impl<K: Kernel<Abi = Abi>, F: Fn(Report<K>) -> i32> Crash<K> for Reporter<F> {
    fn crash_report(
        &self,
        _reporter: Port<'_, K>,
        task: SendRight<K>,
        thread: SendRight<K>,
        exception: i32,
        code: &[i64],
    ) -> Result<i32, KernReturn> {
        Ok(self.0(Report { task, thread, exception, code: code.to_vec() }))
    }
}
