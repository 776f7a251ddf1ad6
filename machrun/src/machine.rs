//! What there is once: the in-process kernel, its own ports, and what launchd knows.

use std::sync::{LazyLock, Mutex};

use mig_runtime::abi::Apple64;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{KernReturn, PortSet, ReceiveRight, SendRight};

/// The kernel's side of a program, and the kernel itself.
pub(crate) type Task = Local<Apple64>;

/// What there is once, however many processes there are.
pub(crate) struct Machine {
    pub(crate) host: Host<Apple64>,
    pub(crate) kernel: Task,
    /// From which the kernel receives the calls to its objects.
    pub(crate) objects: PortSet<Task>,
    pub(crate) host_port: ReceiveRight<Task>,
    /// Stands for launchd, which the system library calls for its clients.
    pub(crate) bootstrap: ReceiveRight<Task>,
    /// What launchd knows.
    pub(crate) services: Mutex<Vec<(Vec<u8>, SendRight<Task>)>>,
}

impl Machine {
    fn boot() -> Result<Self, KernReturn> {
        let host = Host::new();
        let kernel = host.new_task("kernel");
        kernel.send_always();
        let objects = PortSet::allocate(&kernel)?;
        let host_port = ReceiveRight::allocate(&kernel)?;
        let bootstrap = ReceiveRight::allocate(&kernel)?;
        objects.insert(&host_port)?;
        kernel.make_kernel_object(host_port.name())?;
        Ok(Self { host, kernel, objects, host_port, bootstrap, services: Mutex::default() })
    }
}

/// The kernel, which begins with whoever asks for it first.
pub(crate) fn machine() -> &'static Machine {
    static MACHINE: LazyLock<Machine> = LazyLock::new(|| Machine::boot().expect("a new kernel has room"));
    &MACHINE
}

/// A send right to one of the kernel's ports, for a task: its name there.
pub(crate) fn give(port: &ReceiveRight<Task>, task: &Task) -> Result<u32, KernReturn> {
    Ok(Local::transfer(port.make_send()?, task)?.into_raw().0)
}

/// A port that is an object of the kernel.
pub(crate) fn new_object() -> Result<ReceiveRight<Task>, KernReturn> {
    let port = ReceiveRight::allocate(&machine().kernel)?;
    machine().objects.insert(&port)?;
    machine().kernel.make_kernel_object(port.name())?;
    Ok(port)
}
