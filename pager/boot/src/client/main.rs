//! A program that uses memory, and checks what it finds there.
//!
//! Its line in the kernel's boot script is `client ${host-port} ${device-port} INDEX WORK MIB
//! $(TASK=task-create)`: it is the pager that starts it, and wants to know it by its index. The works are
//!
//! - `touch`: write and read more memory than there is;
//! - `sparse`: the same where some pages are never written;
//! - `fork`: two tasks write the same memory, of which each has its own copy;
//! - `outgrow`: use more memory than there is and the disk has room for, and then less;
//! - `lose`: find the one page that the disk does not give back;
//! - `die`: end while everything is on its way;
//! - `share`: two tasks map one object of the pager's;
//! - `change`: have memory of two memory managers, of which first one and then the other is the default one;
//! - `copy`: write an object of the pager's while there is a copy of it;
//! - `swap`: add a disk to the paging space, and take the first one away, while memory is in it;
//! - `osf`: the same by OSF's calls, where the kernel drives disks; and what they refuse;
//! - `ask`: compare what the pager tells about its objects with what is known about them;
//! - `attack`: send the pager what it does not expect;
//! - `exhaust`: send it what would use up its buffers, its threads and the memory of the machine.

#![no_std]
#![no_main]

extern crate alloc;

mod anonymous;
mod attack;
mod child;
mod memory;
mod object;
mod osf;
mod swap;

/// The calls to the pager's supervisor.
#[allow(dead_code)]
mod boot {
    mig_runtime::include_interface!("boot");
}

use gnumach::{Arguments, GnuMach, SendRight, println};
use mach_defs::gnu::mach;
use mig_runtime::CallError;

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
        self.that_is(holds, format_args!("{what}"));
    }

    /// Those of a child, which must have come to its end.
    fn add(&mut self, child: Option<Self>) {
        self.that(child.is_some(), "a child has ended before it was done");
        let Self { made, failed } = child.unwrap_or_default();
        self.made += made;
        self.failed += failed;
    }

    /// A page that must be what was written there in a round.
    fn page(&mut self, bytes: &[u8], round: u32, page: usize) {
        let wrong = memory::wrong_word(bytes, round, page);
        self.that_is(wrong.is_none(), format_args!("page {page} in round {round}: word {wrong:x?}"));
    }

    fn that_is(&mut self, holds: bool, what: core::fmt::Arguments<'_>) {
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
    let (host, device) = (arguments.port(), arguments.port());
    let index = number(&mut arguments);
    let work = arguments.next().unwrap_or("nothing");
    let mebibytes = number(&mut arguments);
    let mut checks = Checks::default();
    match work {
        "touch" => anonymous::touch(&mut checks, mebibytes),
        "sparse" => anonymous::sparse(&mut checks, mebibytes),
        "fork" => anonymous::fork(&mut checks, mebibytes),
        "outgrow" => anonymous::outgrow(&mut checks, &host, mebibytes),
        "lose" => anonymous::lose(&mut checks, mebibytes),
        "die" => anonymous::die(&mut checks, mebibytes),
        "share" => object::share(&mut checks, &host, mebibytes),
        "change" => object::change(&mut checks, &host, mebibytes),
        "copy" => object::copy(&mut checks, &host, mebibytes),
        "swap" => swap::swap(&mut checks, &host, &device, mebibytes),
        "osf" => osf::osf(&mut checks, &host, &device, mebibytes),
        "ask" => object::ask(&mut checks, &host, mebibytes),
        "attack" => attack::attack(&mut checks, &host, mebibytes),
        "exhaust" => attack::exhaust(&mut checks, &host, mebibytes),
        _ => println!("client: there is no work called `{work}`"),
    }
    let told = supervisor().and_then(|port| boot::boot_done(&port, index, checks.made, checks.failed));
    if let Err(error) = told {
        println!("client: nobody to tell that it is done: {error}");
    }
}

/// The port to the pager's supervisor.
fn supervisor() -> Result<SendRight, CallError<GnuMach>> {
    mach::task_get_special_port(&gnumach::task(), TASK_BOOTSTRAP_PORT)
}

/// The number that the next word is.
fn number(arguments: &mut Arguments) -> u32 {
    let number = arguments.next().and_then(|word| word.parse().ok());
    number.expect("a number is missing in the boot script")
}
