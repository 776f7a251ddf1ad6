//! Values by argument name on the in-process kernel: which port a name in a value stands for, in every task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mig_runtime::abi::Abi;
use mig_runtime::kernel::RightKind;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{Kernel, Name};

use crate::convert::World;

/// A task, and the ports that the names in values stand for.
pub struct LocalWorld<A: Abi> {
    task: Local<A>,
    ports: Arc<Ports<A>>,
}

/// The ports of a host, known to a task of their own by send rights; so a right is told by the name that it gets there.
struct Ports<A: Abi> {
    registry: Local<A>,
    by_value: Mutex<BTreeMap<u32, Port<A>>>,
}

/// A port: its name in the registry, and who receives from it under which name.
struct Port<A: Abi> {
    name: Name,
    receiver: Local<A>,
    receive: Name,
}

/// What identifies no port: all send-once rights are alike.
pub const SEND_ONCE: u32 = 0x0ce;

impl<A: Abi> LocalWorld<A> {
    /// Two tasks of one host, client and server.
    pub fn pair() -> [Self; 2] {
        let host = Host::new();
        let ports = Arc::new(Ports { registry: host.new_task("registry"), by_value: Mutex::default() });
        ["client", "server"].map(|label| LocalWorld { task: host.new_task(label), ports: Arc::clone(&ports) })
    }
}

impl<A: Abi> Ports<A> {
    /// Runs `work` on the port of a value, which is made on first use.
    fn with<R>(&self, value: u32, work: impl FnOnce(&mut Port<A>) -> R) -> R {
        let mut ports = self.by_value.lock().unwrap_or_else(PoisonError::into_inner);
        work(ports.entry(value).or_insert_with(|| {
            let name = self.registry.allocate_port().expect("ports are not limited");
            self.registry.make_send(name).expect("the receive right is here");
            Port { name, receiver: self.registry.clone(), receive: name }
        }))
    }

    fn value(&self, name: Name) -> Option<u32> {
        let ports = self.by_value.lock().unwrap_or_else(PoisonError::into_inner);
        ports.iter().find(|(_, port)| port.name == name).map(|(value, _)| *value)
    }
}

impl<A: Abi> World for LocalWorld<A> {
    type Kernel = Local<A>;

    fn kernel(&self) -> &Local<A> {
        &self.task
    }

    fn grant(&self, kind: RightKind, value: u32) -> Name {
        if value == 0 {
            return Name::NULL;
        }
        let registry = &self.ports.registry;
        self.ports.with(value, |port| {
            let (from, name) = match kind {
                RightKind::Send => {
                    registry.copy_send(port.name).expect("the registry has a send right");
                    (registry.clone(), port.name)
                }
                RightKind::SendOnce => {
                    let once = port.receiver.make_send_once(port.receive).expect("the receiver has the port");
                    (port.receiver.clone(), once)
                }
                _ => (port.receiver.clone(), port.receive),
            };
            let name = from.give(kind, name, &self.task).expect("the task takes the right");
            if kind == RightKind::Receive {
                (port.receiver, port.receive) = (self.task.clone(), name);
            }
            name
        })
    }

    fn value(&self, kind: RightKind, name: Name) -> u32 {
        if !name.is_valid() {
            return 0;
        }
        match kind {
            RightKind::SendOnce => return SEND_ONCE,
            RightKind::Send => self.task.copy_send(name).expect("the task has the send right"),
            _ => self.task.make_send(name).expect("the task has the receive right"),
        }
        let registry = &self.ports.registry;
        let known = self.task.give(RightKind::Send, name, registry).expect("the registry takes the right");
        registry.release(RightKind::Send, known);
        self.ports.value(known).expect("every port of a test is registered")
    }
}
