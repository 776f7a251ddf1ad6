//! The exceptions of a program: signals of Linux become the messages that XNU sends, and the thread waits
//! for the answer.

use std::mem::MaybeUninit;

use mach_defs::apple_64::mach_exc::{
    mach_exception_raise, mach_exception_raise_state, mach_exception_raise_state_identity,
};
use mig_runtime::{CallError, KernReturn};

use crate::handlers::{Handler, Registers};
use crate::lock::lock;
use crate::mach::objects::Thread;
use crate::machine::Task;
use crate::process;

/// `EXCEPTION_DEFAULT`, `EXCEPTION_STATE` and `EXCEPTION_STATE_IDENTITY`, each with `MACH_EXCEPTION_CODES`.
const DEFAULT: i32 = 1 | i32::MIN;
const STATE: i32 = 2 | i32::MIN;
const STATE_IDENTITY: i32 = 3 | i32::MIN;

/// The signals that the processor causes.
const SIGNALS: [i32; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

/// From now on these signals are exceptions of programs.
pub(crate) fn catch_signals() {
    for signal in SIGNALS {
        // SAFETY: all zeros are no flags and no blocked signals.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        // SAFETY: the handler has the type that SA_SIGINFO asks for.
        unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
    }
}

/// Runs on the stack of the thread, which has been interrupted in the program's own code, so that nothing of
/// this process is half done.
unsafe extern "C" fn on_signal(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: SA_SIGINFO: it is the state of this thread, and set again on return.
    let context = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext };
    let registers = Registers::of(context);
    let of_program = process::current_if_any().is_some()
        && process::is_in_program(context.gregs[libc::REG_RIP as usize] as u64);
    // SAFETY: the kernel has written it.
    let (exception, code) = exception_of(signal, unsafe { &*info });
    // A jump to nowhere is the program's as well.
    let jumped = exception == 1 && code[1] as u64 == context.gregs[libc::REG_RIP as usize] as u64;
    if of_program || jumped && process::current_if_any().is_some() {
        if let Some(after) = raise(exception, &code, registers) {
            return after.write(context);
        }
        if !process::current().is_first() {
            process::exit(signal);
        }
    }
    // What there is no answer to ends this process: the instruction is tried again.
    // SAFETY: the default action is always there.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// The exception of XNU that this signal is, with its codes.
fn exception_of(signal: i32, info: &libc::siginfo_t) -> (i32, [i64; 2]) {
    const BAD_ACCESS: i32 = 1;
    const BAD_INSTRUCTION: i32 = 2;
    const ARITHMETIC: i32 = 3;
    const BREAKPOINT: i32 = 6;
    /// `KERN_INVALID_ADDRESS`, `KERN_PROTECTION_FAILURE`, `EXC_I386_GPFLT`
    const UNMAPPED: i64 = 1;
    const PROTECTED: i64 = 2;
    const GENERAL_PROTECTION: i64 = 13;
    /// `EXC_I386_INVOP`, `EXC_I386_DIV`, `EXC_I386_BPT`
    const INVALID_OPCODE: i64 = 1;
    const DIVIDE: i64 = 1;
    const BREAK: i64 = 2;
    /// `SEGV_MAPERR`, `SEGV_ACCERR`
    const NOT_MAPPED: i32 = 1;
    const NOT_ALLOWED: i32 = 2;
    // SAFETY: of the signals of the processor, which these are.
    let address = unsafe { info.si_addr() } as i64;
    match (signal, info.si_code) {
        (libc::SIGSEGV, NOT_MAPPED) => (BAD_ACCESS, [UNMAPPED, address]),
        (libc::SIGSEGV, NOT_ALLOWED) | (libc::SIGBUS, _) => (BAD_ACCESS, [PROTECTED, address]),
        // An address that no machine has: which one it was nobody knows.
        (libc::SIGSEGV, _) => (BAD_ACCESS, [GENERAL_PROTECTION, 0]),
        (libc::SIGILL, _) => (BAD_INSTRUCTION, [INVALID_OPCODE, 0]),
        (libc::SIGFPE, _) => (ARITHMETIC, [DIVIDE, 0]),
        _ => (BREAKPOINT, [BREAK, 0]),
    }
}

/// Asks the servers of the thread, and after them those of the task; returns the registers with which the
/// thread goes on.
fn raise(exception: i32, code: &[i64], registers: Registers) -> Option<Registers> {
    let thread = Thread::current().ok()?;
    *lock(&thread.registers) = Some(registers);
    let answered = [&thread.handlers, &thread.process.handlers].into_iter().any(|handlers| {
        let handler = lock(handlers).for_exception(exception);
        handler.is_some_and(|handler| ask(&handler, thread, exception, code).is_ok())
    });
    let after = lock(&thread.registers).take();
    after.filter(|_| answered)
}

/// Asks one server.
fn ask(handler: &Handler, thread: &Thread, exception: i32, code: &[i64]) -> Result<(), CallError<Task>> {
    let Handler { port, behavior, flavor } = handler;
    let (own, task) = (thread.port.make_send()?, thread.process.port.make_send()?);
    let registers = || lock(&thread.registers).map(Registers::to_words).unwrap_or([0; Registers::WORDS]);
    let new_state = match *behavior {
        DEFAULT => return mach_exception_raise(port, &own, &task, exception, code),
        STATE => mach_exception_raise_state(port, exception, code, *flavor, &registers())?.new_state,
        STATE_IDENTITY => {
            let raise = mach_exception_raise_state_identity;
            raise(port, &own, &task, exception, code, *flavor, &registers())?.new_state
        }
        _ => return Err(KernReturn::KERN_INVALID_ARGUMENT.into()),
    };
    let mut state = lock(&thread.registers);
    let state = state.as_mut().ok_or(KernReturn::KERN_FAILURE)?;
    Ok(state.set(*flavor, &new_state)?)
}
