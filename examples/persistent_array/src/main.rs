//! Counts how often it has been run, in memory.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use mach_defs::gnu::memory_object::memory_object;
    use mach_vm::{Limits, Protection, Vm};
    use mig_runtime::kernel::local::Host;
    use mig_runtime::{ReceiveRight, Server};
    use persistent_array_example::PersistentArray;

    let path = std::env::args_os().nth(1).ok_or("usage: persistent-array-example FILE")?;
    let pages = 1000;
    let array = PersistentArray::open(path.as_ref(), pages)?;

    let host: Host = Host::new();
    let vm = Vm::new(&host, Limits { resident: 1 << 20, ..Limits::default() })?;
    let port = ReceiveRight::allocate(&host.new_task("array"))?;
    Server::on(&port).with(memory_object(&array)).serve_while(|| {
        let mapping = vm.map(port.make_send()?, 0, pages * 4096, Protection::ReadWrite)?;
        let mut bytes = mapping.into_memory().map_err(|_| "it cannot be written")?;
        for page in bytes.chunks_exact_mut(4096) {
            page[0] = page[0].wrapping_add(1);
        }
        println!("run {} (of 256)", bytes[0]);
        Ok(())
    })?
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this example needs Linux");
}
