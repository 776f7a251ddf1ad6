//! Runs a program that loads from bad addresses, and steps over some of these loads.
//!
//! On macOS the program is this one, in another process; elsewhere it is an emulated one.

#[cfg(target_vendor = "apple")]
mod macos;

use exception_server_example::registers::{program_counter, with_program_counter};
use exception_server_example::{Raised, ThreadState};
use mig_runtime::Kernel;
use mig_runtime::abi::Apple64;

/// Addresses below are null, with some offset.
const NULL_PAGE: i64 = 0x1000;

/// Steps over a load from a null pointer; other addresses it leaves to whoever was there before.
fn step_over_null<K: Kernel<Abi = Apple64>>(raised: &Raised<'_, K>, length: u64) -> Option<ThreadState> {
    let &[code, address] = raised.code else { return None };
    let counter = program_counter(raised.flavor, raised.state)?;
    let repaired = (0..NULL_PAGE).contains(&address);
    let what = if repaired { "stepped over" } else { "left to the server before" };
    println!("bad access, code {code}, address {address:#x}, at {counter:#x}: {what}");
    repaired.then(|| with_program_counter(raised.flavor, raised.state, counter + length))?
}

#[cfg(target_vendor = "apple")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    macos::main()
}

#[cfg(not(target_vendor = "apple"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use exception_server_example::emulated::{Instruction::Load, MEMORY, Machine};
    use exception_server_example::registers::ARM_THREAD_STATE64;
    use exception_server_example::{BEHAVIOR, Catcher, EXC_MASK_BAD_ACCESS};
    use mach_defs::apple_64::mach_exc::mach_exc;
    use mach_defs::apple_64::task::{task, task_swap_exception_ports};
    use mach_defs::apple_64::thread_act::thread_act;
    use mig_runtime::kernel::local::{Host, Local};
    use mig_runtime::{PortSet, ReceiveRight, Server};

    let host: Host<Apple64> = Host::new();
    let (kernel, debugger) = (host.new_task("kernel"), host.new_task("debugger"));
    let machine = Machine::new(&kernel)?;
    kernel.make_kernel_object(machine.task.name())?;
    kernel.make_kernel_object(machine.thread.name())?;
    let ports = PortSet::allocate(&kernel)?;
    ports.insert(&machine.task)?;
    ports.insert(&machine.thread)?;
    let calls = Server::on(&ports).with(task(&machine)).with(thread_act(&machine));

    let to_task = Local::transfer(machine.task.make_send()?, &debugger)?;
    let exceptions = ReceiveRight::allocate(&debugger)?;

    calls.serve_while(|| {
        let previous = task_swap_exception_ports(
            &to_task,
            EXC_MASK_BAD_ACCESS,
            &exceptions.make_send()?,
            BEHAVIOR,
            ARM_THREAD_STATE64,
        )?;
        let repair = |raised: &Raised<'_, Local<Apple64>>| step_over_null(raised, 4);
        let catcher = Catcher::new(previous.into(), repair);
        Server::on(&exceptions).with(mach_exc(&catcher)).serve_while(|| {
            println!("{:?}", machine.run(&[Load(MEMORY), Load(0x18), Load(MEMORY)]));
            println!("{:?}", machine.run(&[Load(MEMORY), Load(0xdead_0000_0000), Load(0x18)]));
        })?;
        Ok(())
    })?
}
