//! Two clients of a service: one leaves, the other stays until the service ends.
//!
//! On macOS both sides are in this task; elsewhere they are tasks of an emulated kernel.

use std::thread::yield_now;

use mach_defs::apple_64::notify::notify;
use mig_runtime::platform::Std;
use mig_runtime::{KernReturn, Kernel, SendRight, Server};
use notifications_example::sessions::{Abi, session_add, session_open, sessions};
use notifications_example::{Service, Watch};

/// The server's task, the client's, and how the client comes by its first right.
fn run<K: Kernel<Abi = Abi>>(
    server: &K,
    client: &K,
    give: impl FnOnce(SendRight<K>) -> Result<SendRight<K>, KernReturn>,
) -> Result<(), KernReturn> {
    let service = Service::new(server)?;
    let to_service = give(service.service.make_send()?)?;
    let watch = Watch::new(client)?;
    watch.watch(&to_service)?;
    let news = Server::on(&watch.port).with(notify(&watch));

    let requests = Server::on(&service.ports).with(sessions(&service)).with(notify(&service));
    let result = requests.serve_while(|| {
        let (first, second) = (session_open(&to_service)?, session_open(&to_service)?);
        println!("sums {} and {}", session_add(&first, 2)?, session_add(&second, 5)?);
        println!("sessions: {}", service.len());
        drop(first); // as the kernel does when a client ends
        while service.len() > 1 {
            yield_now();
        }
        println!("after one has left: {}, sum {}", service.len(), session_add(&second, 1)?);
        Ok(())
    })?;
    drop(requests);
    drop(service);
    news.serve_one::<Std>(Some(1000))?;
    println!("the service is gone: {}", watch.told() == [to_service.name()]);
    result
}

#[cfg(target_vendor = "apple")]
fn main() -> Result<(), KernReturn> {
    use mig_runtime::kernel::darwin::Darwin;

    run(&Darwin, &Darwin, Ok)
}

#[cfg(not(target_vendor = "apple"))]
fn main() -> Result<(), KernReturn> {
    use mig_runtime::abi::Apple64;
    use mig_runtime::kernel::local::{Host, Local};

    let host: Host<Apple64> = Host::new();
    let (server, client) = (host.new_task("server"), host.new_task("client"));
    run(&server, &client, |right| Local::transfer(right, &client))
}
