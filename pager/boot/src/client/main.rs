//! A program that uses memory, and checks what it finds there.
//!
//! Its line in the kernel's boot script is `client ${host-port} ${device-port} INDEX WORK [ARGUMENT]… $(TASK=task-create)`: it is the pager that starts it.

#![no_std]
#![no_main]

extern crate alloc;

mod memory;

/// The calls to the pager's supervisor.
#[allow(dead_code)]
mod boot {
    mig_runtime::include_interface!("boot");
}

use gnumach::{Arguments, println};
use mach_defs::native::mach;

use memory::Memory;

gnumach::main!(main);

/// `TASK_BOOTSTRAP_PORT`
const TASK_BOOTSTRAP_PORT: i32 = 4;

/// What a program has checked.
#[derive(Debug, Default)]
struct Checks {
    made: u32,
    failed: u32,
}

impl Checks {
    /// Something that must be so.
    fn that(&mut self, holds: bool, what: &str) {
        self.made += 1;
        if !holds {
            self.failed += 1;
            // One line for each would be too many if all pages are wrong.
            if self.failed <= 5 {
                println!("client: wrong: {what}");
            }
        }
    }
}

fn main(mut arguments: Arguments) {
    let (_host, _device) = (arguments.port(), arguments.port());
    gnumach::exception::report().expect("exceptions are reported");
    let index = number(&mut arguments);
    let work = arguments.next().unwrap_or("nothing");
    let mut checks = Checks::default();
    match work {
        "touch" => touch(&mut checks, number(&mut arguments)),
        _ => println!("client: there is no work called `{work}`"),
    }
    let supervisor = mach::task_get_special_port(&gnumach::task(), TASK_BOOTSTRAP_PORT);
    let told = supervisor.and_then(|port| boot::boot_done(&port, index, checks.made, checks.failed));
    if let Err(error) = told {
        println!("client: nobody to tell that it is done: {error}");
    }
}

/// The number that the next word is.
fn number(arguments: &mut Arguments) -> u32 {
    let number = arguments.next().and_then(|word| word.parse().ok());
    number.expect("a number is missing in the boot script")
}

/// Writes every page of some MiB, and reads them back twice.
fn touch(checks: &mut Checks, mebibytes: u32) {
    let mut memory = Memory::allocate(mebibytes);
    memory.fill(1);
    memory.check(checks, 1);
    memory.check(checks, 1);
}
