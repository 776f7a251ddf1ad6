//! Sends three numbers to a server in each loop, and prints their sum.

use std::io;

use event_loops_example::tally::{tally, tally_add};
use event_loops_example::{Abi, Sum};
use mig_runtime::{Kernel, ReceiveRight, Server};

/// Runs `serve`, which serves until it is told to stop, while a client sends.
fn run<K: Kernel<Abi = Abi>>(
    kernel: &K,
    serve: impl FnOnce(&Server<'_, K>) -> io::Result<()>,
) -> io::Result<i32> {
    let sum = Sum::default();
    let port = ReceiveRight::allocate(kernel).map_err(io::Error::other)?;
    let to_tally = port.make_send().map_err(io::Error::other)?;
    let server = Server::on(&port).with(tally(&sum));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let sent = (1..=3).try_for_each(|number| tally_add(&to_tally, number));
            while sent.is_ok() && sum.get() < 6 {
                std::thread::yield_now();
            }
            server.stop();
        });
        serve(&server)
    })?;
    Ok(sum.get())
}

#[cfg(target_vendor = "apple")]
fn main() -> io::Result<()> {
    use event_loops_example::macos::{OnQueue, serve_on_kqueue};
    use mig_runtime::kernel::darwin::Darwin;

    println!("kqueue: {}", run(&Darwin, serve_on_kqueue)?);

    let sum: &Sum = Box::leak(Box::default());
    let port = ReceiveRight::allocate(&Darwin).map_err(io::Error::other)?;
    let port: &ReceiveRight<Darwin> = Box::leak(Box::new(port));
    let on_queue = OnQueue::serve(Server::on(port).with(tally(sum)))?;
    let to_tally = port.make_send().map_err(io::Error::other)?;
    for number in [1, 2, 3] {
        tally_add(&to_tally, number).map_err(io::Error::other)?;
    }
    while sum.get() < 6 {
        std::thread::yield_now();
    }
    drop(on_queue);
    println!("dispatch: {}", sum.get());
    Ok(())
}

/// Elsewhere a task of an emulated kernel, without a loop of the system.
#[cfg(not(target_vendor = "apple"))]
fn main() -> io::Result<()> {
    use mig_runtime::abi::Apple64;
    use mig_runtime::kernel::local::Host;

    let host: Host<Apple64> = Host::new();
    let sum = run(&host.new_task("server"), |server| {
        while event_loops_example::serve_waiting(server).map_err(io::Error::other)? {
            std::thread::yield_now();
        }
        Ok(())
    })?;
    println!("served: {sum}");
    Ok(())
}
