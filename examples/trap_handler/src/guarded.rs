//! Code that may trap, as a compiler would have made it, and how it is entered and left.

use std::arch::global_asm;
use std::cell::Cell;
use std::ops::Range;

use trap_handler_example::Trap;

/// A function of the code, by its offset.
#[derive(Clone, Copy)]
pub(crate) struct Function(fn() -> u64);

/// Loads from the address that is its argument.
pub(crate) const LOAD: Function = Function(|| &raw const trap_handler_load as u64);
/// Traps.
pub(crate) const UNREACHABLE: Function = Function(|| &raw const trap_handler_unreachable as u64);

/// Where the code is.
pub(crate) fn code() -> Range<u64> {
    &raw const trap_handler_load as u64..&raw const trap_handler_code_end as u64
}

/// The function in which a thread goes on after a trap.
pub(crate) fn landing() -> u64 {
    land as *const () as u64
}

/// How a call ended: what the function returned, and whether it trapped instead.
#[repr(C)]
struct Outcome {
    value: u64,
    trapped: u64,
}

unsafe extern "C" {
    static trap_handler_load: u8;
    static trap_handler_unreachable: u8;
    static trap_handler_code_end: u8;

    /// Calls a function, having kept the registers that belong to callers on the stack, and the stack's
    /// pointer at `stack`.
    fn trap_handler_enter(function: u64, argument: u64, stack: *mut usize) -> Outcome;

    /// Returns from the `trap_handler_enter` whose stack this is.
    fn trap_handler_leave(stack: usize) -> !;
}

thread_local! {
    static STACK: Cell<usize> = const { Cell::new(0) };
    static TRAP: Cell<Option<Trap>> = const { Cell::new(None) };
}

/// Calls a function; if it traps, that is the error.
pub(crate) fn run(function: Function, argument: u64) -> Result<u64, Trap> {
    let outer = STACK.get();
    // SAFETY: the functions are those below. They keep what callers rely on, have nothing to drop, and leave
    // only by returning or trapping.
    let outcome = unsafe { trap_handler_enter((function.0)(), argument, STACK.with(Cell::as_ptr)) };
    STACK.set(outer);
    match TRAP.take() {
        Some(trap) if outcome.trapped != 0 => Err(trap),
        _ => Ok(outcome.value),
    }
}

/// The exception server makes the thread call this where it has trapped.
extern "C" fn land(offset: u64, exception: u64, has_address: u64, address: u64) -> ! {
    TRAP.set(Some(Trap::from_arguments([offset, exception, has_address, address])));
    // SAFETY: the thread was in a function that `run` has called, and nothing between that and here has
    // anything to drop.
    unsafe { trap_handler_leave(STACK.get()) }
}

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _trap_handler_load, _trap_handler_unreachable, _trap_handler_code_end",
    ".globl _trap_handler_enter, _trap_handler_leave",
    "_trap_handler_load:",
    "mov rax, [rdi]",
    "ret",
    "_trap_handler_unreachable:",
    "ud2",
    "_trap_handler_code_end:",
    "nop",
    "_trap_handler_enter:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 8",
    "mov [rdx], rsp",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "xor edx, edx",
    "1:",
    "add rsp, 8",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    "_trap_handler_leave:",
    "mov rsp, rdi",
    "xor eax, eax",
    "mov edx, 1",
    "jmp 1b",
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _trap_handler_load, _trap_handler_unreachable, _trap_handler_code_end",
    ".globl _trap_handler_enter, _trap_handler_leave",
    ".p2align 2",
    "_trap_handler_load:",
    "ldr x0, [x0]",
    "ret",
    "_trap_handler_unreachable:",
    "udf #0",
    "_trap_handler_code_end:",
    "nop",
    "_trap_handler_enter:",
    "sub sp, sp, #160",
    "stp x29, x30, [sp]",
    "stp x19, x20, [sp, #16]",
    "stp x21, x22, [sp, #32]",
    "stp x23, x24, [sp, #48]",
    "stp x25, x26, [sp, #64]",
    "stp x27, x28, [sp, #80]",
    "stp d8, d9, [sp, #96]",
    "stp d10, d11, [sp, #112]",
    "stp d12, d13, [sp, #128]",
    "stp d14, d15, [sp, #144]",
    "mov x9, sp",
    "str x9, [x2]",
    "mov x9, x0",
    "mov x0, x1",
    "blr x9",
    "mov x1, #0",
    "1:",
    "ldp x29, x30, [sp]",
    "ldp x19, x20, [sp, #16]",
    "ldp x21, x22, [sp, #32]",
    "ldp x23, x24, [sp, #48]",
    "ldp x25, x26, [sp, #64]",
    "ldp x27, x28, [sp, #80]",
    "ldp d8, d9, [sp, #96]",
    "ldp d10, d11, [sp, #112]",
    "ldp d12, d13, [sp, #128]",
    "ldp d14, d15, [sp, #144]",
    "add sp, sp, #160",
    "ret",
    "_trap_handler_leave:",
    "mov sp, x0",
    "mov x0, #0",
    "mov x1, #1",
    "b 1b",
);
