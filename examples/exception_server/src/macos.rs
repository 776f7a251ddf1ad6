//! The real thing: this program starts itself once more, and catches what that one does.

use std::arch::asm;
use std::error::Error;
use std::process::Command;

use exception_server_example::registers::NATIVE;
use exception_server_example::{BEHAVIOR, Catcher, EXC_MASK_BAD_ACCESS, Raised};
use mach_defs::apple_64::mach_exc::mach_exc;
use mach_defs::apple_64::task::{task_set_exception_ports, task_swap_exception_ports};
use mig_runtime::kernel::darwin::Darwin;
use mig_runtime::{ReceiveRight, Server};

use crate::step_over_null;

/// The argument with which it is the program that is watched.
const WATCHED: &str = "--watched";

/// Bytes of the instruction in [`load`].
const LOAD: u64 = if cfg!(target_arch = "x86_64") { 3 } else { 4 };

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some(WATCHED) {
        println!("loaded {:#x} from a null pointer", load(0x18));
        println!("loaded {:#x} from a wild one", load(0x0ead_0000_0000));
        return Ok(());
    }
    let this_task = Darwin.task()?;
    let exceptions = ReceiveRight::allocate(&Darwin)?;
    // A child inherits the exception ports of its parent, which takes its own back at once.
    let old = task_swap_exception_ports(
        &this_task,
        EXC_MASK_BAD_ACCESS,
        &exceptions.make_send()?,
        BEHAVIOR,
        NATIVE,
    )?;
    let child = Command::new(std::env::current_exe()?).arg(WATCHED).spawn();
    let forms = old.old_behaviors.iter().zip(&old.old_flavors);
    for ((&mask, handler), (&behavior, &flavor)) in old.masks.iter().zip(&old.old_handlers).zip(forms) {
        task_set_exception_ports(&this_task, mask, handler, behavior, flavor)?;
    }

    let catcher = Catcher::new(old.into(), |raised: &Raised<'_, Darwin>| step_over_null(raised, LOAD));
    let server = Server::on(&exceptions).with(mach_exc(&catcher));
    let mut child = child?;
    let status = server.serve_while(|| child.wait())??;
    println!("the program ended with {status}");
    Ok(())
}

/// One load from an address, with an instruction whose length is known.
#[inline(never)]
fn load(address: u64) -> u64 {
    let value: u64;
    // SAFETY: it is unsound, and meant to be: the exception server is to see it.
    unsafe {
        #[cfg(target_arch = "aarch64")]
        asm!("ldr {value}, [{address}]", value = out(reg) value, address = in(reg) address);
        #[cfg(target_arch = "x86_64")]
        asm!("mov rax, [rdi]", out("rax") value, in("rdi") address);
    }
    value
}
