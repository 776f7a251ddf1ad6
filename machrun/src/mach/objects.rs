//! The kernel's own objects: tasks, threads and the host, as servers of the interfaces that `mach-defs` has.
//! They do what the programs of this repository ask for.

use std::cell::Cell;
use std::sync::Mutex;

use mach_defs::apple_64::mach_host::{MachHost, mach_host};
use mach_defs::apple_64::task::{
    Task as TaskCalls, TaskGetExceptionPortsReply, TaskSwapExceptionPortsReply, task,
};
use mach_defs::apple_64::thread_act::{ThreadAct, ThreadSwapExceptionPortsReply, thread_act};
use mig_runtime::{ArrayVec, KernReturn, Name, Port, ReceiveRight, Rights, SendRight, Server, array_vec};

use crate::handlers::{Handler, Handlers, Registers, X86_THREAD_STATE64};
use crate::lock::lock;
use crate::machine::{Machine, Task, new_object};
use crate::process::{self, Process};

/// A thread that has a port, as most have not. It is never freed.
pub(crate) struct Thread {
    pub(crate) process: &'static Process,
    pub(crate) port: ReceiveRight<Task>,
    pub(crate) handlers: Mutex<Handlers>,
    /// Its registers, while it waits for the answer to an exception.
    pub(crate) registers: Mutex<Option<Registers>>,
}

static THREADS: Mutex<Vec<&'static Thread>> = Mutex::new(Vec::new());

thread_local! {
    static CURRENT: Cell<Option<&'static Thread>> = const { Cell::new(None) };
}

impl Thread {
    /// The calling thread of a program.
    pub(crate) fn current() -> Result<&'static Self, KernReturn> {
        if let Some(thread) = CURRENT.get() {
            return Ok(thread);
        }
        let thread: &'static Self = Box::leak(Box::new(Self {
            process: process::current(),
            port: new_object()?,
            handlers: Mutex::default(),
            registers: Mutex::default(),
        }));
        lock(&THREADS).push(thread);
        CURRENT.set(Some(thread));
        Ok(thread)
    }

    fn with_port(port: Name) -> Result<&'static Self, KernReturn> {
        let threads = lock(&THREADS);
        let thread = threads.iter().copied().find(|thread| thread.port.name() == port);
        thread.ok_or(KernReturn::KERN_INVALID_ARGUMENT)
    }
}

/// Serves calls to objects as long as there are programs.
pub(crate) fn serve(machine: &Machine) {
    let server = Server::on(&machine.objects);
    let server = server.with(task(&Objects)).with(thread_act(&Objects)).with(mach_host(&Objects));
    if let Err(code) = server.run() {
        eprintln!("machrun: the kernel receives no calls any more: {code}");
    }
}

/// All objects: which one is meant is told by the port.
struct Objects;

fn process_of(port: &Port<'_, Task>) -> Result<&'static Process, KernReturn> {
    process::with_port(port.name()).ok_or(KernReturn::KERN_INVALID_ARGUMENT)
}

impl TaskCalls<Task> for Objects {
    /// `MACH_TASK_BASIC_INFO` alone: sizes, times and counts, of which only the size of a page of memory is
    /// not zero.
    fn task_info(
        &self,
        target: Port<'_, Task>,
        flavor: i32,
        most: u32,
    ) -> Result<ArrayVec<i32, 94>, KernReturn> {
        const MACH_TASK_BASIC_INFO: i32 = 20;
        const WORDS: usize = 12;
        process_of(&target)?;
        if flavor != MACH_TASK_BASIC_INFO || (most as usize) < WORDS {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        let mut info = [0; WORDS];
        for size in [0, 2, 4] {
            info[size] = 4096;
        }
        Ok(array_vec(&info))
    }

    fn task_set_exception_ports(
        &self,
        target: Port<'_, Task>,
        mask: i32,
        port: SendRight<Task>,
        behavior: i32,
        flavor: i32,
    ) -> Result<(), KernReturn> {
        let handlers = &process_of(&target)?.handlers;
        lock(handlers).swap(mask, &Handler { port, behavior, flavor }).map(drop)
    }

    fn task_get_exception_ports(
        &self,
        target: Port<'_, Task>,
        mask: i32,
    ) -> Result<TaskGetExceptionPortsReply<Task>, KernReturn> {
        let handlers = lock(&process_of(&target)?.handlers).copied(mask)?;
        Ok(TaskGetExceptionPortsReply {
            masks: handlers.iter().map(|(mask, _)| *mask).collect(),
            old_behaviors: handlers.iter().map(|(_, handler)| handler.behavior).collect(),
            old_flavors: handlers.iter().map(|(_, handler)| handler.flavor).collect(),
            old_handlers: handlers.into_iter().map(|(_, handler)| handler.port).collect(),
        })
    }

    fn task_swap_exception_ports(
        &self,
        target: Port<'_, Task>,
        mask: i32,
        port: SendRight<Task>,
        behavior: i32,
        flavor: i32,
    ) -> Result<TaskSwapExceptionPortsReply<Task>, KernReturn> {
        let handlers = &process_of(&target)?.handlers;
        let old = lock(handlers).swap(mask, &Handler { port, behavior, flavor })?;
        Ok(TaskSwapExceptionPortsReply {
            masks: old.iter().map(|(mask, _)| *mask).collect(),
            old_behaviors: old.iter().map(|(_, handler)| handler.behavior).collect(),
            old_flavors: old.iter().map(|(_, handler)| handler.flavor).collect(),
            old_handlers: old.into_iter().map(|(_, handler)| handler.port).collect(),
        })
    }

    fn task_threads(&self, target: Port<'_, Task>) -> Result<Rights<Task, SendRight<Task>>, KernReturn> {
        let process = process_of(&target)?;
        let threads = lock(&THREADS);
        let own = threads.iter().filter(|thread| std::ptr::eq(thread.process, process));
        own.map(|thread| thread.port.make_send()).collect()
    }
}

impl ThreadAct<Task> for Objects {
    fn thread_get_state(
        &self,
        target: Port<'_, Task>,
        flavor: i32,
        most: u32,
    ) -> Result<ArrayVec<u32, 1296>, KernReturn> {
        let registers = lock(&Thread::with_port(target.name())?.registers).ok_or(KernReturn::KERN_FAILURE)?;
        if flavor != X86_THREAD_STATE64 || (most as usize) < Registers::WORDS {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        Ok(array_vec(&registers.to_words()))
    }

    fn thread_set_state(&self, target: Port<'_, Task>, flavor: i32, new: &[u32]) -> Result<(), KernReturn> {
        let mut registers = lock(&Thread::with_port(target.name())?.registers);
        let registers = registers.as_mut().ok_or(KernReturn::KERN_FAILURE)?;
        registers.set(flavor, new)
    }

    fn thread_set_exception_ports(
        &self,
        target: Port<'_, Task>,
        mask: i32,
        port: SendRight<Task>,
        behavior: i32,
        flavor: i32,
    ) -> Result<(), KernReturn> {
        let handlers = &Thread::with_port(target.name())?.handlers;
        lock(handlers).swap(mask, &Handler { port, behavior, flavor }).map(drop)
    }

    fn thread_swap_exception_ports(
        &self,
        target: Port<'_, Task>,
        mask: i32,
        port: SendRight<Task>,
        behavior: i32,
        flavor: i32,
    ) -> Result<ThreadSwapExceptionPortsReply<Task>, KernReturn> {
        let handlers = &Thread::with_port(target.name())?.handlers;
        let old = lock(handlers).swap(mask, &Handler { port, behavior, flavor })?;
        Ok(ThreadSwapExceptionPortsReply {
            masks: old.iter().map(|(mask, _)| *mask).collect(),
            old_behaviors: old.iter().map(|(_, handler)| handler.behavior).collect(),
            old_flavors: old.iter().map(|(_, handler)| handler.flavor).collect(),
            old_handlers: old.into_iter().map(|(_, handler)| handler.port).collect(),
        })
    }
}

impl MachHost<Task> for Objects {
    /// `HOST_BASIC_INFO` alone: one processor of x86_64, and 1 GiB of memory.
    fn host_info(
        &self,
        _host: Port<'_, Task>,
        flavor: i32,
        most: u32,
    ) -> Result<ArrayVec<i32, 68>, KernReturn> {
        const HOST_BASIC_INFO: i32 = 1;
        let info = [1, 1, 1 << 30, 0x0100_0007, 3, 0, 1, 1, 1, 1, 1 << 30, 0];
        if flavor != HOST_BASIC_INFO || (most as usize) < info.len() {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        Ok(array_vec(&info))
    }

    fn host_page_size(&self, _host: Port<'_, Task>) -> Result<u64, KernReturn> {
        Ok(4096)
    }
}
