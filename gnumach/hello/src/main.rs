//! The first program on a bare GNU Mach kernel: it says hello, counts with several threads, asks the kernel
//! for the time, and ends QEMU.
//!
//! Its line in the kernel's boot script is `hello ${host-port} ${device-port} $(task-create) $(task-resume)`.

#![no_std]
#![no_main]

use core::num::NonZeroUsize;

use gnumach::{Arguments, Bare, println};
use mach_defs::gnu::mach;
use mig_runtime::platform::{Mutex, Platform};

gnumach::main!(main);

fn main(mut arguments: Arguments) {
    let (_host, device) = (arguments.port(), arguments.port());
    gnumach::exception::report().expect("exceptions are reported");
    println!("hello from Rust on GNU Mach");

    let count = Mutex::<Bare, u32>::new(0);
    let start = Bare::now();
    Bare::on_threads("counter", NonZeroUsize::new(4).unwrap(), &|| {
        for _ in 0..1000 {
            *count.lock() += 1;
        }
    });
    println!("four threads counted to {} in {} us", count.into_inner(), (Bare::now() - start) / 1000);

    // Every call of the kernel is a function that was made from its interface definition.
    let statistics = mach::vm_statistics(&gnumach::task()).expect("vm_statistics");
    println!("{} pages of memory are free", statistics[1]);

    // The exit code of QEMU is 2 * 16 + 1; without the device that does this, the program just ends.
    let _ = gnumach::io::end_qemu(&device, 16);
}
