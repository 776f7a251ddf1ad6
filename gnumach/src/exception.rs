//! Exceptions of threads: without a report of its own a program learns nothing of them, since the kernel
//! ends the task, or stops the thread, and prints no message.
//!
//! A task can [report] its own, as long as that thread of it still works. Those of other tasks come to a port
//! that was given to them with [`send_to`], where [`Report`] serves them.

use alloc::boxed::Box;

use mach_defs::gnu::exc::{self, Exc, Integer, RpcLongInteger};
use mach_defs::gnu::mach;
use mig_runtime::platform::{Platform, SpawnError};
use mig_runtime::{KernReturn, Port, Server};

use crate::task::{GnuMach, ReceiveRight, SendRight, task};
use crate::thread::THREAD_STATE;
use crate::{Bare, println};

/// `TASK_EXCEPTION_PORT`
const TASK_EXCEPTION_PORT: i32 = 3;

/// The words of a thread's registers.
#[cfg(target_arch = "x86_64")]
const REGISTERS: u32 = 42;
#[cfg(target_arch = "x86")]
const REGISTERS: u32 = 17;

/// Starts a thread that writes each exception of this task to the console, and ends the task then.
///
/// # Errors
///
/// As the calls that it takes: out of memory.
pub fn report() -> Result<(), KernReturn> {
    let port = ReceiveRight::allocate(&GnuMach)?;
    send_to(&task(), &port)?;
    let serve = move || {
        let ended = Server::on(&port).with(exc::exc(&Report)).run_on::<Bare>();
        println!("exceptions are reported no longer: {ended:?}");
    };
    match Bare::spawn("exceptions", Box::new(serve)) {
        Ok(_) => Ok(()),
        Err(SpawnError) => Err(KernReturn::KERN_RESOURCE_SHORTAGE),
    }
}

/// Lets the kernel tell the owner of a port of each exception in a task, and in those that are made from it.
///
/// # Errors
///
/// As `task_set_special_port`.
pub fn send_to(task: &SendRight, port: &ReceiveRight) -> Result<(), KernReturn> {
    Ok(mach::task_set_special_port(task, TASK_EXCEPTION_PORT, &port.make_send()?)?)
}

/// Writes each exception to the console, and ends the task in which it was raised.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report;

impl Exc<GnuMach> for Report {
    fn exception_raise(
        &self,
        _exception_port: Port<'_, GnuMach>,
        thread: SendRight,
        task: SendRight,
        exception: Integer,
        code: Integer,
        subcode: RpcLongInteger,
    ) -> Result<(), KernReturn> {
        let kind = match exception {
            1 => "access to memory",
            2 => "instruction",
            3 => "arithmetic",
            4 => "emulation",
            5 => "software",
            6 => "breakpoint",
            _ => "unknown",
        };
        println!("exception {exception} ({kind}), code {code}, address {subcode:#x}");
        match mach::thread_get_state(&thread, THREAD_STATE, REGISTERS) {
            Ok(registers) => println!("{}", Registers(&registers)),
            Err(error) => println!("no registers: {error}"),
        }
        // It may have ended by itself.
        let _ = mach::task_terminate(&task);
        Ok(())
    }
}

/// The registers of a thread that tell where it is.
struct Registers<'a>(&'a [u32]);

impl core::fmt::Display for Registers<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let word = |at: usize| self.0.get(at).copied().unwrap_or(0);
        #[cfg(target_arch = "x86_64")]
        let register = |at: usize| u64::from(word(2 * at)) | u64::from(word(2 * at + 1)) << 32;
        #[cfg(target_arch = "x86_64")]
        let names = [("rip", 16), ("rsp", 19), ("rbp", 10), ("rax", 15), ("rdi", 8), ("rsi", 9)];
        #[cfg(target_arch = "x86")]
        let register = word;
        #[cfg(target_arch = "x86")]
        let names = [("eip", 12), ("esp", 15), ("ebp", 6), ("eax", 11), ("edi", 4), ("esi", 5)];
        for (at, (name, index)) in names.into_iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{name} {:#x}", register(index))?;
        }
        Ok(())
    }
}
