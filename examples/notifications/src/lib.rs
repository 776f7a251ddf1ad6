//! Ports that die: a server that keeps something for each client until the client is gone, and a client that
//! hears when its server is.
//!
//! Both know it from the kernel, by messages of the interface `notify`: [`Service`] by no-senders, [`Watch`]
//! by dead-name.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mach_defs::apple_64::notify::Notify;
use mig_runtime::{DeadName, KernReturn, Kernel, Name, Notification, Port, PortSet, ReceiveRight, SendRight};

/// The interface of the service.
#[allow(missing_docs)]
pub mod sessions {
    mig_runtime::include_interface!("sessions");
}
use sessions::{Abi, Sessions};

/// The server: a port for the service, and one for each session, all in one set.
pub struct Service<K: Kernel> {
    /// What the server loop receives from.
    pub ports: PortSet<K>,
    /// The port of the service.
    pub service: ReceiveRight<K>,
    sessions: Mutex<HashMap<Name, Session<K>>>,
}

struct Session<K: Kernel> {
    /// With it the port is destroyed.
    _port: ReceiveRight<K>,
    sum: i32,
}

impl<K: Kernel<Abi = Abi>> Service<K> {
    /// A service without sessions.
    ///
    /// # Errors
    ///
    /// As `mach_port_allocate`.
    pub fn new(kernel: &K) -> Result<Self, KernReturn> {
        let (ports, service) = (PortSet::allocate(kernel)?, ReceiveRight::allocate(kernel)?);
        ports.insert(&service)?;
        Ok(Self { ports, service, sessions: Mutex::default() })
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions().len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Name, Session<K>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Kernel<Abi = Abi>> Sessions<K> for Service<K> {
    fn session_open(&self, service: Port<'_, K>) -> Result<SendRight<K>, KernReturn> {
        if service.name() != self.service.name() {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        let port = ReceiveRight::allocate(service.kernel())?;
        // The news comes to the session's own port, which says whose it is; and not before one right has been
        // made.
        port.request_notification(Notification::NoSenders { sync: 1 }, &port)?;
        self.ports.insert(&port)?;
        let session = port.make_send()?;
        self.sessions().insert(port.name(), Session { _port: port, sum: 0 });
        Ok(session)
    }

    fn session_add(&self, session: Port<'_, K>, value: i32) -> Result<i32, KernReturn> {
        let mut sessions = self.sessions();
        let session = sessions.get_mut(&session.name()).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        session.sum = session.sum.wrapping_add(value);
        Ok(session.sum)
    }
}

impl<K: Kernel<Abi = Abi>> Notify<K> for Service<K> {
    fn mach_notify_no_senders(&self, session: Port<'_, K>, _mscount: u32) -> Result<(), KernReturn> {
        // A client can send such a message, too; but only the kernel has the right that it was asked for
        // with.
        if !session.is_send_once() {
            return Err(KernReturn::KERN_INVALID_RIGHT);
        }
        // One right is made for each session, so there is no second one that the news could have missed.
        let ended = self.sessions().remove(&session.name());
        drop(ended);
        Ok(())
    }
}

/// Hears of the end of ports.
pub struct Watch<K: Kernel> {
    /// Where the news comes to.
    pub port: ReceiveRight<K>,
    told: Mutex<Vec<Name>>,
}

impl<K: Kernel<Abi = Abi>> Watch<K> {
    /// Watches nothing yet.
    ///
    /// # Errors
    ///
    /// As `mach_port_allocate`.
    pub fn new(kernel: &K) -> Result<Self, KernReturn> {
        Ok(Self { port: ReceiveRight::allocate(kernel)?, told: Mutex::default() })
    }

    /// Watches the port of this right; if it is dead already, the news comes at once.
    ///
    /// # Errors
    ///
    /// As `mach_port_request_notification`.
    pub fn watch(&self, right: &SendRight<K>) -> Result<(), KernReturn> {
        right.request_dead_name(&self.port).map(drop)
    }

    /// The rights whose ports have died, by name.
    pub fn told(&self) -> Vec<Name> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<K: Kernel<Abi = Abi>> Notify<K> for Watch<K> {
    fn mach_notify_dead_name(&self, _: Port<'_, K>, dead: DeadName<K>) -> Result<(), KernReturn> {
        if !dead.is_genuine() {
            return Err(KernReturn::KERN_INVALID_RIGHT);
        }
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(dead.name());
        Ok(())
    }
}
