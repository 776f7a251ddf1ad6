//! I/O ports of the machine, and QEMU's way out.

use core::arch::asm;

use mach_defs::native::mach_i386;
use mig_runtime::KernReturn;

use crate::Send;
use crate::kernel::task;

/// Lets this task use the I/O ports from `first` to `last`. The master device port entitles to it.
///
/// # Errors
///
/// As `i386_io_perm_create` and `i386_io_perm_modify`.
pub fn allow(device: &Send, first: u16, last: u16) -> Result<(), KernReturn> {
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

/// Reads 32-bit words from an I/O port, one after the other.
///
/// # Safety
///
/// As [`read`].
pub unsafe fn read_into(port: u16, words: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the string instruction writes as many words as there are; the caller's promise.
    unsafe {
        asm!("rep insd", in("dx") port, inout("rdi") words.as_mut_ptr() => _, inout("rcx") words.len() => _, options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "x86")]
    // SAFETY: the string instruction writes as many words as there are; the caller's promise.
    unsafe {
        asm!("rep insd", in("dx") port, inout("edi") words.as_mut_ptr() => _, inout("ecx") words.len() => _, options(nostack, preserves_flags));
    }
}

/// Writes 32-bit words to an I/O port, one after the other.
///
/// # Safety
///
/// As [`write`].
pub unsafe fn write_from(port: u16, words: &[u32]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the string instruction reads as many words as there are; the caller's promise. `rsi` cannot be named.
    unsafe {
        asm!("rep outsd", in("dx") port, inout("rsi") words.as_ptr() => _, inout("rcx") words.len() => _, options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "x86")]
    // SAFETY: the string instruction reads as many words as there are; the caller's promise. The compiler keeps `esi` for itself.
    unsafe {
        asm!("xchg esi, {words}", "rep outsd", "xchg esi, {words}", words = inout(reg) words.as_ptr() => _, in("dx") port, inout("ecx") words.len() => _, options(nostack, preserves_flags));
    }
}

/// Where QEMU's `isa-debug-exit` device is told to be.
const DEBUG_EXIT: u16 = 0xf4;

/// Ends QEMU with the exit code `2 * value + 1`, if it has the device `isa-debug-exit` with `iobase=0xf4`; returns if it has not.
///
/// # Errors
///
/// As [`allow`].
pub fn end_qemu(device: &Send, value: u8) -> Result<(), KernReturn> {
    allow(device, DEBUG_EXIT, DEBUG_EXIT)?;
    // SAFETY: nothing else is at this port, and the device ends the machine.
    unsafe { write(DEBUG_EXIT, value) };
    Ok(())
}
