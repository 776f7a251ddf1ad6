//! The calls that are no messages: traps into the kernel.
//!
//! A trap is a function that puts its number, negative, into `eax` and enters the kernel. On i386 the kernel
//! finds the arguments on the stack, above the return address; on x86_64 they are in the registers of the C
//! convention, but for the fourth, which is in `r10` because `syscall` overwrites `rcx`, and those beyond the
//! sixth, which are on the stack.

use core::ffi::CStr;

use mig_runtime::Name;

macro_rules! traps {
    ($($(#[$doc:meta])* $symbol:literal $number:literal: $name:ident($($argument:ident: $ty:ty),*) -> $result:ty;)*) => {
        $(
            #[cfg(target_arch = "x86_64")]
            core::arch::global_asm!(
                concat!(".globl ", $symbol),
                concat!($symbol, ":"),
                "mov r10, rcx",
                concat!("mov eax, -", $number),
                "syscall",
                "ret",
            );
            #[cfg(target_arch = "x86")]
            core::arch::global_asm!(
                concat!(".globl ", $symbol),
                concat!($symbol, ":"),
                concat!("movl $-", $number, ", %eax"),
                "lcall $7, $0",
                "ret",
                options(att_syntax),
            );
        )*
        unsafe extern "C" {
            $(
                $(#[$doc])*
                #[link_name = $symbol]
                pub(crate) fn $name($($argument: $ty),*) -> $result;
            )*
        }
    };
}

traps! {
    "gnumach_trap_mach_msg" "25": mach_msg(
        message: *mut u64, option: u32, send_size: u32, receive_size: u32, receive_name: Name, timeout: u32, notify: Name
    ) -> i32;
    "gnumach_trap_mach_reply_port" "26": mach_reply_port() -> Name;
    "gnumach_trap_mach_thread_self" "27": mach_thread_self() -> Name;
    "gnumach_trap_mach_task_self" "28": mach_task_self() -> Name;
    "gnumach_trap_mach_host_self" "29": mach_host_self() -> Name;
    "gnumach_trap_mach_print" "30": mach_print(text: *const core::ffi::c_char) -> i32;
    "gnumach_trap_swtch_pri" "59": swtch_pri(priority: i32) -> i32;
}

/// A new port: the name of its receive right, or null if there is no room for it.
pub(crate) fn reply_port() -> Name {
    // SAFETY: the trap has no precondition.
    unsafe { mach_reply_port() }
}

/// The calling thread's own port: a send right, of which each call adds a reference.
pub(crate) fn thread_self() -> Name {
    // SAFETY: the trap has no precondition.
    unsafe { mach_thread_self() }
}

/// The task's own port: a send right, of which each call adds a reference.
pub(crate) fn task_self() -> Name {
    // SAFETY: the trap has no precondition.
    unsafe { mach_task_self() }
}

/// The port of the host that anyone may have: a send right, of which each call adds a reference.
pub(crate) fn host_self() -> Name {
    // SAFETY: the trap has no precondition.
    unsafe { mach_host_self() }
}

/// Writes a text to the kernel's console, in one piece.
pub(crate) fn print(text: &CStr) {
    // SAFETY: the kernel reads up to the NUL.
    unsafe { mach_print(text.as_ptr()) };
}

/// Lets other threads run, those of lower priority too.
pub(crate) fn yield_now() {
    // SAFETY: the trap has no precondition. It ignores the argument.
    unsafe { swtch_pri(0) };
}
