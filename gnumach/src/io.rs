//! I/O ports of the machine, and QEMU's way out.

use core::arch::asm;

use mach_defs::gnu::mach_i386;
use mig_runtime::KernReturn;

use crate::task::{SendRight, task};

/// Lets this task use the I/O ports from `first` to `last`. The master device port entitles to it.
///
/// # Errors
///
/// As `i386_io_perm_create` and `i386_io_perm_modify`.
pub fn allow(device: &SendRight, first: u16, last: u16) -> Result<(), KernReturn> {
    let permission = mach_i386::i386_io_perm_create(device, first as _, last as _)?;
    Ok(mach_i386::i386_io_perm_modify(&task(), &permission, true)?)
}

/// Reads a byte from an I/O port.
///
/// # Safety
///
/// The task may use the port, and what the device does then does no harm.
pub unsafe fn read(port: u16) -> u8 {
    let value;
    // SAFETY: the caller's promise.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}

/// Writes a byte to an I/O port.
///
/// # Safety
///
/// The task may use the port, and what the device does then does no harm.
pub unsafe fn write(port: u16, value: u8) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// Reads an I/O port of 32 bits until `bytes` is full. Its length is a multiple of 4.
///
/// # Safety
///
/// As [`read`].
pub unsafe fn read_into(port: u16, bytes: &mut [u8]) {
    let (start, words) = (bytes.as_mut_ptr(), bytes.len() / 4);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the string instruction writes as many words as fit; the caller's promise.
    unsafe {
        asm!("rep insd", in("dx") port, inout("rdi") start => _, inout("rcx") words => _, options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "x86")]
    // SAFETY: the string instruction writes as many words as fit; the caller's promise.
    unsafe {
        asm!("rep insd", in("dx") port, inout("edi") start => _, inout("ecx") words => _, options(nostack, preserves_flags));
    }
}

/// Writes `bytes` to an I/O port of 32 bits. Their length is a multiple of 4.
///
/// # Safety
///
/// As [`write()`].
pub unsafe fn write_from(port: u16, bytes: &[u8]) {
    let (start, words) = (bytes.as_ptr(), bytes.len() / 4);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the string instruction reads as many words as there are; the caller's promise.
    unsafe {
        asm!("rep outsd", in("dx") port, inout("rsi") start => _, inout("rcx") words => _, options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "x86")]
    // SAFETY: the string instruction reads as many words as there are; the caller's promise. The compiler
    // keeps `esi` for itself.
    unsafe {
        asm!(
            "xchg esi, {start}", "rep outsd", "xchg esi, {start}",
            start = inout(reg) start => _, in("dx") port, inout("ecx") words => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Where QEMU's `isa-debug-exit` device is told to be.
const DEBUG_EXIT: u16 = 0xf4;

/// Ends QEMU with the exit code `2 * value + 1`, if it has the device `isa-debug-exit` with `iobase=0xf4`;
/// returns if it has not.
///
/// # Errors
///
/// As [`allow`].
pub fn end_qemu(device: &SendRight, value: u8) -> Result<(), KernReturn> {
    allow(device, DEBUG_EXIT, DEBUG_EXIT)?;
    // SAFETY: nothing else is at this port, and the device ends the machine.
    unsafe { write(DEBUG_EXIT, value) };
    Ok(())
}
