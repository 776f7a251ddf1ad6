//! The two programs: this one again, which crashes, and the one that started it, which hears of it.

use std::arch::asm;
use std::error::Error;
use std::ffi::CString;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use crash_handler_example::crash::{crash, crash_report};
use crash_handler_example::{BEHAVIOR, Handler, MASK, Report, Reporter};
use mach_defs::apple_64::mach_exc::mach_exc;
use mach_defs::apple_64::task::task_set_exception_ports;
use mach_defs::apple_64::thread_act::thread_get_state;
use mig_runtime::kernel::darwin::Darwin;
use mig_runtime::{ReceiveRight, SendRight, Server};

/// The argument with which it is the program that crashes; the name of the service follows.
const CRASHING: &str = "--crashing";

/// `THREAD_STATE_NONE`; and the registers of this machine, with how many words they are, and which is the
/// lower one of the program counter.
const NONE: i32 = if cfg!(target_arch = "x86_64") { 13 } else { 5 };
const REGISTERS: (i32, u32, usize) = if cfg!(target_arch = "x86_64") { (4, 42, 32) } else { (6, 68, 64) };

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some(CRASHING), Some(service)) => crash_with(&Darwin.look_up(&CString::new(service)?)?),
        _ => report_crashes(),
    }
}

/// The reporter.
fn report_crashes() -> Result<(), Box<dyn Error>> {
    let service = format!("org.example.crash-handler.{}", std::process::id());
    let port = Darwin.check_in(&CString::new(service.as_str())?)?;
    let reporter = Reporter(|report: Report<Darwin>| {
        let (flavor, words, counter) = REGISTERS;
        let Report { thread, exception, code, .. } = report;
        println!("report: exception {exception}, codes {code:x?}");
        let state = thread_get_state(&thread, flavor, words).unwrap_or_default();
        if let Some(&[low, high]) = state.get(counter..counter + 2) {
            println!("report: it stands at {:#x}", u64::from(low) | u64::from(high) << 32);
        }
        1
    });
    let server = Server::on(&port).with(crash(&reporter));
    let status = server.serve_while(|| {
        let program = std::env::current_exe()?;
        Command::new(program).args([CRASHING, &service]).spawn()?.wait()
    })??;
    println!("the program ended with {status}");
    Ok(())
}

/// The program that crashes.
fn crash_with(reporter: &SendRight<Darwin>) -> Result<(), Box<dyn Error>> {
    let task = Darwin.task()?;
    let port = ReceiveRight::allocate(&Darwin)?;
    let to_handler = port.make_send()?;
    let (ready, started) = mpsc::channel();
    let (own_task, to_reporter) = (task.try_clone()?, reporter.try_clone()?);
    // It serves for as long as the program lives.
    thread::spawn(move || {
        let handler = Handler::new(own_task, Darwin.thread(), to_reporter);
        let server = Server::on(&port).with(mach_exc(&handler)).with(crash(&handler));
        let _ = ready.send(());
        server.run()
    });
    started.recv()?;
    task_set_exception_ports(&task, MASK, &to_handler, BEHAVIOR, NONE)?;

    let answer = crash_report(&to_handler, 5000, &task, &Darwin.thread(), 0, &[])?;
    println!("asked for a report, answer {answer}");
    // SAFETY: it is unsound, and meant to be: this is the crash.
    unsafe {
        #[cfg(target_arch = "aarch64")]
        asm!("ldr {value}, [{address}]", value = out(reg) _, address = in(reg) 0x18_u64);
        #[cfg(target_arch = "x86_64")]
        asm!("mov rax, [rdi]", out("rax") _, in("rdi") 0x18_u64);
    }
    println!("it goes on");
    Ok(())
}
