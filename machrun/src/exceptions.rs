//! The exceptions of a program: signals of Linux become the messages that XNU sends, and the thread waits
//! for the answer.

use std::mem::MaybeUninit;

use mach_defs::apple_64::mach_exc::{
    mach_exception_raise, mach_exception_raise_state, mach_exception_raise_state_identity,
};
use mig_runtime::{CallError, KernReturn, SendRight};

use crate::mach::Task;
use crate::mach::objects::Thread;
use crate::process::{self, lock};

/// `x86_THREAD_STATE64`
pub(crate) const X86_THREAD_STATE64: i32 = 4;

/// `EXCEPTION_DEFAULT`, `EXCEPTION_STATE` and `EXCEPTION_STATE_IDENTITY`, each with `MACH_EXCEPTION_CODES`.
const DEFAULT: i32 = 1 | i32::MIN;
const STATE: i32 = 2 | i32::MIN;
const STATE_IDENTITY: i32 = 3 | i32::MIN;

/// An exception server.
pub(crate) struct Handler {
    pub(crate) port: SendRight<Task>,
    pub(crate) behavior: i32,
    pub(crate) flavor: i32,
}

impl Handler {
    fn try_clone(&self) -> Result<Self, KernReturn> {
        Ok(Self { port: self.port.try_clone()?, ..*self })
    }
}

/// The exception servers of a task or a thread, by the number of the exception.
#[derive(Default)]
pub(crate) struct Handlers([Option<Handler>; 32]);

impl Handlers {
    /// Sets the server for the exceptions of a mask, and returns those that were there, each with its mask.
    pub(crate) fn swap(&mut self, mask: i32, new: &Handler) -> Result<Vec<(i32, Handler)>, KernReturn> {
        let mut old = Vec::new();
        for (exception, place) in self.meant(mask) {
            // A null port is no server.
            let new = if new.port.is_null() { None } else { Some(new.try_clone()?) };
            old.extend(std::mem::replace(place, new).map(|handler| (1 << exception, handler)));
        }
        Ok(old)
    }

    /// Those for the exceptions of a mask.
    pub(crate) fn copied(&mut self, mask: i32) -> Result<Vec<(i32, Handler)>, KernReturn> {
        let set = self.meant(mask).filter_map(|(exception, place)| Some((1 << exception, place.as_ref()?)));
        set.map(|(mask, handler)| Ok((mask, handler.try_clone()?))).collect()
    }

    /// What a child gets.
    pub(crate) fn inherited(&mut self) -> Result<Self, KernReturn> {
        let mut child = Self::default();
        for (mask, handler) in self.copied(!0)? {
            child.swap(mask, &handler)?;
        }
        Ok(child)
    }

    fn meant(&mut self, mask: i32) -> impl Iterator<Item = (usize, &mut Option<Handler>)> {
        self.0.iter_mut().enumerate().filter(move |(exception, _)| mask & 1 << exception != 0)
    }

    fn for_exception(&self, exception: i32) -> Option<Handler> {
        self.0.get(exception as usize)?.as_ref()?.try_clone().ok()
    }
}

/// The registers of a thread, in the order of `x86_THREAD_STATE64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registers([u64; 21]);

/// Where Linux has the first 18 of them.
const IN_LINUX: [i32; 18] = [
    libc::REG_RAX,
    libc::REG_RBX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RDI,
    libc::REG_RSI,
    libc::REG_RBP,
    libc::REG_RSP,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
    libc::REG_RIP,
    libc::REG_EFL,
];

impl Registers {
    pub(crate) const WORDS: usize = 42;
    const FLAGS: usize = 17;
    /// cs, fs, gs: those of a program for macOS.
    const SELECTORS: [u64; 3] = [0x2b, 0, 0];
    /// The flags that a program may set: carry, parity, adjust, zero, sign, trap, direction, overflow.
    const OWN_FLAGS: u64 = 0xdd5;

    fn of(context: &libc::mcontext_t) -> Self {
        let general = IN_LINUX.map(|register| context.gregs[register as usize] as u64);
        let all = general.into_iter().chain(Self::SELECTORS);
        let mut registers = [0; 21];
        registers.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        Self(registers)
    }

    fn write(&self, context: &mut libc::mcontext_t) {
        for (place, register) in IN_LINUX.into_iter().enumerate() {
            let to = &mut context.gregs[register as usize];
            let kept = if place == Self::FLAGS { !Self::OWN_FLAGS } else { 0 };
            *to = (*to as u64 & kept | self.0[place] & !kept) as i64;
        }
    }

    pub(crate) fn to_words(self) -> [u32; Self::WORDS] {
        std::array::from_fn(|at| (self.0[at / 2] >> (32 * (at % 2))) as u32)
    }

    /// Sets all registers.
    pub(crate) fn set(&mut self, flavor: i32, words: &[u32]) -> Result<(), KernReturn> {
        if flavor != X86_THREAD_STATE64 || words.len() != Self::WORDS {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        for (register, pair) in self.0.iter_mut().zip(words.chunks_exact(2)) {
            *register = u64::from(pair[0]) | u64::from(pair[1]) << 32;
        }
        Ok(())
    }
}

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
