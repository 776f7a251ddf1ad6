//! The exception ports of the threads that run compiled code, and what becomes of its traps.

use std::error::Error;

use mach_defs::apple_64::mach_exc::mach_exc;
use mach_defs::apple_64::thread_act::thread_set_exception_ports;
use mig_runtime::kernel::darwin::Darwin;
use mig_runtime::{CallError, ReceiveRight, SendRight, Server};
use trap_handler_example::registers::NONE;
use trap_handler_example::{BEHAVIOR, MASK, Traps};

use crate::guarded::{self, LOAD, UNREACHABLE, run};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let exceptions = ReceiveRight::allocate(&Darwin)?;
    let to_server = &exceptions.make_send()?;
    let traps = Traps { code: guarded::code(), landing: guarded::landing() };
    let server = Server::on(&exceptions).with(mach_exc(&traps));
    server.serve_while(|| {
        // Traps belong to the thread that has them: another one runs the same code meanwhile.
        std::thread::scope(|threads| {
            let other = threads.spawn(|| {
                guard_this_thread(to_server)?;
                Ok::<_, CallError<Darwin>>((0..1000).filter(|_| run(UNREACHABLE, 0).is_err()).count())
            });
            guard_this_thread(to_server)?;
            let value = 7_u64;
            for (what, function, argument) in [
                ("a load", LOAD, &raw const value as u64),
                ("a load from outside", LOAD, 0x18),
                ("what is never reached", UNREACHABLE, 0),
                ("a load, again", LOAD, &raw const value as u64),
            ] {
                match run(function, argument) {
                    Ok(value) => println!("{what}: {value}"),
                    Err(trap) => println!("{what}: {trap:?}"),
                }
            }
            let count = other.join().map_err(|_| "the other thread has panicked")??;
            println!("traps of the other thread: {count}");
            Ok(())
        })
    })?
}

/// From now on the exceptions of the calling thread go to this server first.
fn guard_this_thread(server: &SendRight<Darwin>) -> Result<(), CallError<Darwin>> {
    thread_set_exception_ports(&Darwin.thread(), MASK, server, BEHAVIOR, NONE)
}
