//! Processes: each is a task of the in-process kernel with a program of its own, and all are in this one
//! process of Linux. So a program may start another one, and have its exceptions, but both share file
//! descriptors, environment and signals.

use std::cell::Cell;
use std::ffi::{CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread;

use mig_runtime::{KernReturn, ReceiveRight};

use crate::handlers::Handlers;
use crate::image::Image;
use crate::lock::lock;
use crate::machine::{Task, give, machine, new_object};

/// A process. Those that there were are never freed, since their threads may go on.
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// What the program has.
    pub(crate) task: Task,
    /// Its control port, an object of the kernel.
    pub(crate) port: ReceiveRight<Task>,
    pub(crate) handlers: Mutex<Handlers>,
    pub(crate) variables: Variables,
    resolve: Resolve,
    image: OnceLock<Image>,
    status: Mutex<Option<i32>>,
    ended: Condvar,
}

/// The address of a function or a variable of the system library, as a process sees it.
pub(crate) type Resolve = fn(&str, &Process) -> usize;

/// Variables of the system library, which programs read by themselves.
pub(crate) struct Variables {
    /// `mach_task_self_`
    pub(crate) task: u32,
    /// `bootstrap_port`
    pub(crate) bootstrap: u32,
    pub(crate) argc: i32,
    pub(crate) argv: *const *const c_char,
}

// SAFETY: the pointer is to words that are never freed and, as far as programs behave, never written.
unsafe impl Send for Variables {}
// SAFETY: as above.
unsafe impl Sync for Variables {}

/// The pid of the first process that a program starts: more than Linux has.
const FIRST_CHILD: i32 = 1 << 28;

static PROCESSES: Mutex<Vec<&'static Process>> = Mutex::new(Vec::new());

thread_local! {
    static CURRENT: Cell<Option<&'static Process>> = const { Cell::new(None) };
}

/// The process whose thread this is; none of a thread of the machine itself.
pub(crate) fn current_if_any() -> Option<&'static Process> {
    CURRENT.get()
}

/// The process whose thread this is: only programs call what asks for it.
pub(crate) fn current() -> &'static Process {
    current_if_any().expect("the thread is one of a program")
}

/// From now on the calling thread is one of this process.
pub(crate) fn enter(process: &'static Process) {
    CURRENT.set(Some(process));
}

/// Runs a program as the first process, and returns its exit code.
pub(crate) fn run_first(arguments: Vec<CString>, resolve: Resolve) -> Result<i32, String> {
    let process = Process::load(arguments, std::process::id() as i32, Handlers::default(), resolve)?;
    Ok(process.run())
}

/// Starts a program for the calling process, which its exception handlers come from.
pub(crate) fn spawn(arguments: Vec<CString>) -> Result<i32, String> {
    let handlers = lock(&current().handlers).inherited().map_err(|code| code.to_string())?;
    let pid = FIRST_CHILD + lock(&PROCESSES).len() as i32;
    let child = Process::load(arguments, pid, handlers, current().resolve)?;
    let start = thread::Builder::new().stack_size(8 << 20);
    let started = start.spawn(move || {
        let code = child.run();
        child.end(code << 8);
    });
    started.map(|_| pid).map_err(|error| error.to_string())
}

/// The process that has this control port.
pub(crate) fn with_port(port: mig_runtime::Name) -> Option<&'static Process> {
    lock(&PROCESSES).iter().copied().find(|process| process.port.name() == port)
}

/// The process of this pid, if it was started here.
pub(crate) fn with_pid(pid: i32) -> Option<&'static Process> {
    lock(&PROCESSES).iter().copied().find(|process| process.pid == pid)
}

/// Whether an instruction is one of a program.
pub(crate) fn is_in_program(address: u64) -> bool {
    let has = |process: &Process| process.image.get().is_some_and(|image| image.contains(address));
    lock(&PROCESSES).iter().any(|process| has(process))
}

impl Process {
    fn load(
        arguments: Vec<CString>,
        pid: i32,
        handlers: Handlers,
        resolve: Resolve,
    ) -> Result<&'static Self, String> {
        let process = Self::new(arguments, pid, handlers, resolve).map_err(|code| code.to_string())?;
        // SAFETY: a program has at least one argument.
        let path = unsafe { *process.variables.argv };
        // SAFETY: `new` has made it of a string that ends with a zero.
        let path = unsafe { std::ffi::CStr::from_ptr(path) };
        let path = Path::new(OsStr::from_bytes(path.to_bytes()));
        let image = Image::load(path, |symbol| resolve(symbol, process))?;
        let _ = process.image.set(image);
        Ok(process)
    }

    fn new(
        arguments: Vec<CString>,
        pid: i32,
        handlers: Handlers,
        resolve: Resolve,
    ) -> Result<&'static Self, KernReturn> {
        let label = arguments.first().map_or_else(Default::default, |path| path.to_string_lossy());
        let task = machine().host.new_task(&label);
        let port = new_object()?;
        let argc = arguments.len() as i32;
        let mut argv: Vec<*const c_char> =
            arguments.into_iter().map(|argument| argument.into_raw().cast_const()).collect();
        argv.push(std::ptr::null());
        let variables = Variables {
            task: give(&port, &task)?,
            bootstrap: give(&machine().bootstrap, &task)?,
            argc,
            argv: argv.leak().as_ptr(),
        };
        let process: &'static Self = Box::leak(Box::new(Self {
            pid,
            task,
            port,
            handlers: Mutex::new(handlers),
            variables,
            resolve,
            image: OnceLock::new(),
            status: Mutex::new(None),
            ended: Condvar::new(),
        }));
        lock(&PROCESSES).push(process);
        Ok(process)
    }

    /// Runs `main`.
    fn run(&'static self) -> i32 {
        enter(self);
        let Variables { argc, argv, .. } = self.variables;
        let main = self.image.get().expect("it has been loaded").main();
        // SAFETY: the program is mapped, with its pointers set; it is trusted with everything that this
        // process has.
        unsafe { main(argc, argv, environment()) }
    }

    /// Ends the process with a status as `waitpid` tells it. Its threads go on until they call the kernel.
    pub(crate) fn end(&self, status: i32) {
        let mut told = lock(&self.status);
        if told.is_none() {
            *told = Some(status);
            self.task.terminate();
            self.ended.notify_all();
        }
    }

    /// The status, once it has ended.
    pub(crate) fn wait(&self) -> i32 {
        let mut status = lock(&self.status);
        loop {
            match *status {
                Some(status) => return status,
                None => status = self.ended.wait(status).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Whether it is the process that Linux knows.
    pub(crate) fn is_first(&self) -> bool {
        self.pid < FIRST_CHILD
    }
}

/// Ends the calling process; of the calling thread there is nothing left to do.
pub(crate) fn exit(status: i32) -> ! {
    current().end(status);
    loop {
        thread::park();
    }
}

pub(crate) fn environment() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: glibc sets it before `main`; programs change it only by its own functions.
    unsafe { environ }
}
