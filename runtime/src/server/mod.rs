//! The server: subsystems, the ports that they are served on, and the threads that serve.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroUsize;

use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, NameOf};
use crate::right::ReceiveRight;

use self::dispatch::Entry;
use self::ports::Ports;

pub use self::ports::ServedPorts;
pub use self::received::{Lost, Port, Receive, ReceiveError, Received};
pub use self::reply::{Refusal, Reply, ReplyTo};
pub use self::stop::Stop;
pub use self::subsystem::{Largest, Subsystem, subsystem};
pub use self::unclaimed::Unclaimed;

mod dispatch;
mod inline;
mod ports;
mod received;
mod reply;
mod run;
mod stop;
mod subsystem;
#[cfg(test)]
mod tests;
mod turns;
mod unclaimed;

/// Serves subsystems on the ports of a set, with one thread or several.
///
/// Each message is given to the subsystem that has its id, with the sequence number of its port; messages of
/// one port are received in order, but served at once by as many threads as there are. After the routine the
/// reply goes out, unless the routine keeps it for later ([`Port::defer`](crate::Port::defer)); a client that
/// no longer takes its reply does no harm. What a routine did not take of a request is released. A routine
/// that panics is answered with [`KERN_FAILURE`](KernReturn::KERN_FAILURE), where panics unwind, and the loop
/// goes on. A message larger than any subsystem declares is received all the same, and rejected like any
/// other that is malformed; one of more than 64 KiB, or for which there is no memory, is taken from its queue
/// and destroyed. No message ends a server, whatever it brings.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use mig_runtime::kernel::local::Local;
/// use mig_runtime::{KernReturn, Server, PortSet, ReceiveRight, Received, Reply, Subsystem};
///
/// /// What generated code has for each subsystem; this one has a routine, id 700, that counts how often it is called.
/// struct Counter(std::sync::atomic::AtomicU32);
///
/// impl Subsystem<Local> for &Counter {
///     fn ids(&self) -> std::ops::Range<i32> {
///         700..701
///     }
///     fn max_request_size(&self) -> usize {
///         32
///     }
///     fn max_reply_size(&self) -> usize {
///         48
///     }
///     fn dispatch(&self, request: &mut Received<'_, Local>, reply: &mut Reply<'_, Local>) -> bool {
///         reply.serve(|_| {
///             self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///             Ok(())
///         });
///         true
///     }
/// }
///
/// let task = Local::new();
/// let ports = PortSet::allocate(&task)?;
/// let counter = Counter(0.into());
/// let server = Server::on(&ports).with(&counter).threads(3);
/// server.serve_while(|| {
///     // … clients call …
/// })?;
/// # }
/// # Ok::<(), mig_runtime::KernReturn>(())
/// ```
pub struct Server<'s, K: Kernel> {
    ports: Result<Ports<'s, K>, KernReturn>,
    subsystems: Vec<Entry<'s, K>>,
    unclaimed: Box<dyn Fn(Unclaimed<NameOf<K>>) + Send + Sync + 's>,
    threads: NonZeroUsize,
    /// Messages may be served in the threads that send them.
    inline: bool,
}

impl<'s, K: Kernel> Server<'s, K> {
    /// A server for a port set or a single port.
    ///
    /// The server needs a port of its own. If that cannot be made here, [`run`](Self::run) returns the error.
    pub fn on(source: impl Into<ServedPorts<'s, K>>) -> Self {
        let source = source.into();
        let stop = Stop::new(source.kernel());
        Self::new(stop.and_then(|stop| Ports::new(source, stop)))
    }

    /// The same, for a server that this [`Stop`] can end, too.
    pub fn until(source: impl Into<ServedPorts<'s, K>>, stop: &Stop<K>) -> Self {
        Self::new(Ports::new(source.into(), stop.clone()))
    }

    fn new(ports: Result<Ports<'s, K>, KernReturn>) -> Self {
        let (subsystems, unclaimed, threads) = (Vec::new(), Box::new(|_| ()), NonZeroUsize::MIN);
        Self { ports, subsystems, unclaimed, threads, inline: false }
    }

    /// Serves this subsystem, too. Where ids overlap, the subsystem that came first is asked first.
    #[must_use]
    pub fn with(self, subsystem: impl Subsystem<K> + Send + Sync + 's) -> Self {
        self.and(Vec::new(), subsystem)
    }

    /// Serves this subsystem, too, but on these ports only. What comes to another port of the set with an id
    /// of this subsystem is for others that are served there, or for nobody: a client that has a right to one
    /// of an object's ports cannot call what is meant for another.
    ///
    /// A port that has a payload in the place of its name (`mach_port_set_protected_payload`) is none of
    /// them.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use mig_runtime::{KernReturn, Kernel, Largest, Subsystem};
    /// # use mig_runtime::kernel::local::Local;
    /// # const LARGEST: Largest = Largest { request: 32, reply: 48 };
    /// # fn front<K: Kernel>() -> impl Subsystem<K> + Send + Sync { mig_runtime::subsystem(1..2, LARGEST, |_, _| false) }
    /// # fn back<K: Kernel>() -> impl Subsystem<K> + Send + Sync { mig_runtime::subsystem(1..2, LARGEST, |_, _| false) }
    /// use mig_runtime::{PortSet, ReceiveRight, Server};
    ///
    /// let task: Local = Local::new();
    /// let (set, public, private) = (PortSet::allocate(&task)?, ReceiveRight::allocate(&task)?, ReceiveRight::allocate(&task)?);
    /// set.insert(&public)?;
    /// set.insert(&private)?;
    /// let server = Server::on(&set).with_on([&public], front()).with_on([&private], back());
    /// # }
    /// # Ok::<(), mig_runtime::KernReturn>(())
    /// ```
    #[must_use]
    pub fn with_on<'p>(
        self,
        ports: impl IntoIterator<Item = &'p ReceiveRight<K>>,
        subsystem: impl Subsystem<K> + Send + Sync + 's,
    ) -> Self {
        let only: Vec<NameOf<K>> = ports.into_iter().map(ReceiveRight::name).collect();
        // On no port it is never asked.
        if only.is_empty() { self } else { self.and(only, subsystem) }
    }

    fn and(mut self, only: Vec<NameOf<K>>, subsystem: impl Subsystem<K> + Send + Sync + 's) -> Self {
        self.subsystems.push(Entry { ids: subsystem.ids(), only, subsystem: Box::new(subsystem) });
        self
    }

    /// Serves with this many threads, the caller's among them. Without this, and for 0, there is one.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Tells of every message that no routine took, before its sender is answered and in the thread that
    /// received it.
    #[must_use]
    pub fn unclaimed(mut self, tell: impl Fn(Unclaimed<NameOf<K>>) + Send + Sync + 's) -> Self {
        self.unclaimed = Box::new(tell);
        self
    }

    /// The port set that this server receives from, for an event loop that tells when a message is there
    /// (`EVFILT_MACHPORT`), so that [`serve_one`](Self::serve_one) with a time of 0 need not wait.
    ///
    /// # Errors
    ///
    /// What could not be made, as for [`run`](Self::run).
    pub fn receives_from(&self) -> Result<NameOf<K>, KernReturn> {
        self.ports.as_ref().map(|ports| ports.name()).map_err(|code| *code)
    }
}

impl<K: Kernel> fmt::Debug for Server<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.subsystems.iter().map(|entry| entry.ids.clone()).collect();
        f.debug_struct("Server").field("ids", &ids).field("threads", &self.threads).finish()
    }
}

/// Storage for messages of `size` bytes, not initialised: the spare capacity.
fn buffer(size: usize) -> Result<Vec<u64>, KernReturn> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(size.div_ceil(8)).map_err(|_| KernReturn::KERN_RESOURCE_SHORTAGE)?;
    Ok(buffer)
}
