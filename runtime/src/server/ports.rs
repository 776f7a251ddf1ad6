//! What a server receives from: the members of a set, and its own port for the order to stop.

use super::{Receive, Received, Stop};
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, NameOf};
use crate::right::{PortSet, ReceiveRight};

/// What a server receives from.
#[derive(Debug)]
pub enum ServedPorts<'s, K: Kernel> {
    /// The members of a set, now and later.
    Set(&'s PortSet<K>),
    /// A single port, which is in no set.
    Port(&'s ReceiveRight<K>),
}

impl<K: Kernel> ServedPorts<'_, K> {
    pub(super) fn kernel(&self) -> &K {
        match self {
            ServedPorts::Set(set) => set.kernel(),
            ServedPorts::Port(port) => port.kernel(),
        }
    }
}

impl<'s, K: Kernel> From<&'s PortSet<K>> for ServedPorts<'s, K> {
    fn from(set: &'s PortSet<K>) -> Self {
        Self::Set(set)
    }
}

impl<'s, K: Kernel> From<&'s ReceiveRight<K>> for ServedPorts<'s, K> {
    fn from(port: &'s ReceiveRight<K>) -> Self {
        Self::Port(port)
    }
}

/// Where the messages come from.
pub(super) struct Ports<'s, K: Kernel> {
    set: Set<'s, K>,
    pub(super) stop: Stop<K>,
}

enum Set<'s, K: Kernel> {
    Given(&'s PortSet<K>),
    /// Around a single port.
    Own(PortSet<K>),
}

impl<'s, K: Kernel> Ports<'s, K> {
    pub(super) fn new(source: ServedPorts<'s, K>, stop: Stop<K>) -> Result<Self, KernReturn> {
        let set = match source {
            ServedPorts::Set(set) => Set::Given(set),
            ServedPorts::Port(port) => {
                let set = PortSet::allocate(port.kernel())?;
                set.insert(port)?;
                Set::Own(set)
            }
        };
        set.get().insert(stop.port())?;
        Ok(Self { set, stop })
    }

    pub(super) fn kernel(&self) -> &K {
        self.set.get().kernel()
    }

    /// The name of the set that all messages come from.
    pub(super) fn name(&self) -> NameOf<K> {
        self.set.get().name()
    }

    pub(super) fn receive(&self) -> Receive<NameOf<K>> {
        Receive::from(self.name())
    }

    /// Whether a message is an order of this server's own, and no request.
    pub(super) fn is_order(&self, message: &Received<'_, K>) -> bool {
        message.port().name() == self.stop.port().name()
    }
}

impl<K: Kernel> Set<'_, K> {
    fn get(&self) -> &PortSet<K> {
        match self {
            Set::Given(set) => set,
            Set::Own(set) => set,
        }
    }
}
