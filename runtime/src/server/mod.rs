//! The server loop: receives requests, finds the subsystem that knows them, and answers.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;
use core::mem::MaybeUninit;
use core::num::NonZeroUsize;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crate::abi::Abi;
use crate::client::SendOptions;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, Name};
use crate::message::header::MAX_HEADER;
use crate::message::{MsgBuf, Seqno};
use crate::platform::{Panicked, Platform};
use crate::right::{Dest, PortSet, ReceiveRight};

pub use self::received::{Lost, Port, Receive, ReceiveError, Received};
pub use self::reply::{Refusal, Reply, ReplyTo};
pub use self::subsystem::{Largest, Subsystem, subsystem};

mod received;
mod reply;
mod subsystem;
#[cfg(test)]
mod tests;

/// A message that no routine took, or that could not even be received. Whoever counts sequence numbers must
/// count this one as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unclaimed {
    /// The port that it was sent to.
    pub port: Name,
    /// `msgh_id`
    pub id: i32,
    /// Its position in the queue of that port.
    pub seqno: Seqno,
    /// What its sender is answered: [`MIG_BAD_ID`](KernReturn::MIG_BAD_ID) if no routine has this id or the
    /// routine is not implemented, [`MIG_BAD_ARGUMENTS`](KernReturn::MIG_BAD_ARGUMENTS) if the message is not
    /// as declared. Or why it could not be received, which is a code of `mach_msg` ([`Lost`]): its sender has
    /// been answered [`KERN_RESOURCE_SHORTAGE`](KernReturn::KERN_RESOURCE_SHORTAGE) then, or is told that the
    /// reply right was destroyed.
    pub code: KernReturn,
}

impl From<Lost> for Unclaimed {
    fn from(Lost { port, id, seqno, code }: Lost) -> Self {
        Self { port, id, seqno, code }
    }
}

/// Bytes of the largest message that is received although no subsystem declares one so large, so that its
/// sender can be told. A larger one is taken from its queue and destroyed: what a stranger sends costs no
/// more memory than this in each thread.
const LARGEST_UNDECLARED: usize = 1 << 16;

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
    unclaimed: Box<dyn Fn(Unclaimed) + Send + Sync + 's>,
    threads: NonZeroUsize,
}

/// Where the messages come from.
struct Ports<'s, K: Kernel> {
    set: Set<'s, K>,
    stop: Stop<K>,
}

/// Ends a [`Server`] from anywhere; clones are the same. Each server has one of its own, or is
/// [given](Server::until) one by whoever cannot reach the server itself later.
pub struct Stop<K: Kernel>(Arc<Control<K>>);

struct Control<K: Kernel> {
    /// A member of the server's set to which nobody else has a right: a message here is the order to look
    /// whether to stop.
    port: ReceiveRight<K>,
    stopped: AtomicBool,
}

impl<K: Kernel> Stop<K> {
    /// For one server.
    ///
    /// # Errors
    ///
    /// As `mach_port_allocate`.
    pub fn new(kernel: &K) -> Result<Self, KernReturn> {
        let port = ReceiveRight::allocate(kernel)?;
        Ok(Self(Arc::new(Control { port, stopped: AtomicBool::new(false) })))
    }

    /// See [`Server::stop`].
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        // If the port is gone no thread waits on it.
        let _ = self.wake();
    }

    /// Wakes one thread.
    fn wake(&self) -> Result<(), KernReturn> {
        let mut buffer = MsgBuf::<{ MAX_HEADER }>::new();
        let order = buffer.request(self.0.port.kernel());
        order.send(0, Dest::make_send_once(&self.0.port), SendOptions::NONE)?;
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }
}

impl<K: Kernel> Clone for Stop<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Kernel> fmt::Debug for Stop<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.is_stopped()).finish()
    }
}

enum Set<'s, K: Kernel> {
    Given(&'s PortSet<K>),
    /// Around a single port.
    Own(PortSet<K>),
}

struct Entry<'s, K: Kernel> {
    ids: Range<i32>,
    /// The ports that it is served on; all, if there are none.
    only: Vec<Name>,
    subsystem: Box<dyn Subsystem<K> + Send + Sync + 's>,
}

impl<K: Kernel> Entry<'_, K> {
    /// Whether a message of this id to this port is for this subsystem.
    fn takes(&self, id: i32, port: Name) -> bool {
        self.ids.contains(&id) && (self.only.is_empty() || self.only.contains(&port))
    }
}

/// What a server receives from.
#[derive(Debug)]
pub enum ServedPorts<'s, K: Kernel> {
    /// The members of a set, now and later.
    Set(&'s PortSet<K>),
    /// A single port, which is in no set.
    Port(&'s ReceiveRight<K>),
}

impl<K: Kernel> ServedPorts<'_, K> {
    fn kernel(&self) -> &K {
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

impl<'s, K: Kernel> Ports<'s, K> {
    fn new(source: ServedPorts<'s, K>, stop: Stop<K>) -> Result<Self, KernReturn> {
        let set = match source {
            ServedPorts::Set(set) => Set::Given(set),
            ServedPorts::Port(port) => {
                let set = PortSet::allocate(port.kernel())?;
                set.insert(port)?;
                Set::Own(set)
            }
        };
        set.get().insert(&stop.0.port)?;
        Ok(Self { set, stop })
    }

    fn kernel(&self) -> &K {
        self.set.get().kernel()
    }

    fn receive(&self) -> Receive {
        Receive::from(self.set.get().name())
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

/// What was received.
enum Served {
    Message,
    /// An order to stop that holds no more.
    OldOrder,
}

/// Why a thread stops receiving.
enum End {
    Stopped,
    Receive(ReceiveError),
}

impl From<ReceiveError> for End {
    fn from(error: ReceiveError) -> Self {
        Self::Receive(error)
    }
}

impl<'s, K: Kernel> Server<'s, K> {
    /// A server for a port set or a single port.
    ///
    /// What cannot be made here (the server needs a port of its own) is told by [`run`](Self::run).
    pub fn on(source: impl Into<ServedPorts<'s, K>>) -> Self {
        let source = source.into();
        let stop = Stop::new(source.kernel());
        Self::new(stop.and_then(|stop| Ports::new(source, stop)))
    }

    /// The same for a server that is stopped from elsewhere, too.
    pub fn until(source: impl Into<ServedPorts<'s, K>>, stop: &Stop<K>) -> Self {
        Self::new(Ports::new(source.into(), stop.clone()))
    }

    fn new(ports: Result<Ports<'s, K>, KernReturn>) -> Self {
        Self { ports, subsystems: Vec::new(), unclaimed: Box::new(|_| ()), threads: NonZeroUsize::MIN }
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
        let only: Vec<Name> = ports.into_iter().map(ReceiveRight::name).collect();
        // On no port it is never asked.
        if only.is_empty() { self } else { self.and(only, subsystem) }
    }

    fn and(mut self, only: Vec<Name>, subsystem: impl Subsystem<K> + Send + Sync + 's) -> Self {
        self.subsystems.push(Entry { ids: subsystem.ids(), only, subsystem: Box::new(subsystem) });
        self
    }

    /// Serves with this many threads, the caller's among them; 1 if nothing is said, or 0.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Tells of every message that no routine took, before its sender is answered and in the thread that
    /// received it.
    #[must_use]
    pub fn unclaimed(mut self, tell: impl Fn(Unclaimed) + Send + Sync + 's) -> Self {
        self.unclaimed = Box::new(tell);
        self
    }

    /// Serves on threads of the standard library until [stopped](Self::stop).
    ///
    /// # Errors
    ///
    /// As [`run_on`](Self::run_on).
    #[cfg(feature = "std")]
    pub fn run(&self) -> Result<(), KernReturn> {
        self.run_on::<crate::platform::Std>()
    }

    /// Serves on threads of the standard library while `work` runs, and returns what `work` returns.
    ///
    /// The server stops when `work` ends, also where it leaves early with `?` or panics: a program that runs
    /// a server in a scope of threads and calls [`stop`](Self::stop) by hand waits for ever where it does not
    /// come to that call.
    ///
    /// # Errors
    ///
    /// As [`run_on`](Self::run_on), once `work` has ended. A client of a server that has ended by itself
    /// waits for as long as its call says. If the server cannot begin, or there is no thread for it
    /// (`KERN_RESOURCE_SHORTAGE`), `work` is not begun.
    #[cfg(feature = "std")]
    pub fn serve_while<R>(&self, work: impl FnOnce() -> R) -> Result<R, KernReturn> {
        /// Stops the server when `work` is over, however it ends.
        struct Stopping<'a, 's, K: Kernel>(&'a Server<'s, K>);

        impl<K: Kernel> Drop for Stopping<'_, '_, K> {
            fn drop(&mut self) {
                self.0.stop();
            }
        }

        let ports = self.ports.as_ref().map_err(|code| *code)?;
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("server".into());
            let running = thread.spawn_scoped(scope, || self.run());
            let running = running.map_err(|_| KernReturn::KERN_RESOURCE_SHORTAGE)?;
            let stopping = Stopping(self);
            let result = work();
            drop(stopping);
            let ended = running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // Where the server had ended before, the order of `stopping` would be for the next run.
            ports.stop.0.stopped.store(false, Ordering::SeqCst);
            ended.map(|()| result)
        })
    }

    /// Serves until [stopped](Self::stop), on threads of this platform.
    ///
    /// # Errors
    ///
    /// The code of the receive that failed, such as `MACH_RCV_PORT_DIED` when the set or the task has gone,
    /// or of what could not be made at first. All threads have ended then.
    pub fn run_on<P: Platform>(&self) -> Result<(), KernReturn> {
        let ports = self.ports.as_ref().map_err(|code| *code)?;
        let failure = AtomicI32::new(KernReturn::KERN_SUCCESS.0);
        P::on_threads("server", self.threads, &|| {
            if let Err(code) = self.work::<P>(ports) {
                failure.store(code.0, Ordering::Relaxed);
                self.stop();
            }
        });
        ports.stop.0.stopped.store(false, Ordering::SeqCst);
        KernReturn(failure.into_inner()).ok()
    }

    /// Ends [`run`](Self::run), once each thread has served what it has received. What is in the queues stays
    /// there. Without a run, the next one ends at once.
    pub fn stop(&self) {
        if let Ok(ports) = &self.ports {
            ports.stop.stop();
        }
    }

    /// Receives and serves one message. False if there was an order to [stop](Self::stop) instead.
    ///
    /// # Errors
    ///
    /// The code of the receive, such as `MACH_RCV_TIMED_OUT` after `timeout` milliseconds without a message.
    pub fn serve_one<P: Platform>(&self, timeout: Option<u32>) -> Result<bool, KernReturn> {
        let ports = self.ports.as_ref().map_err(|code| *code)?;
        let (mut request, mut reply) = (buffer(self.buffer_size())?, buffer(self.buffer_size())?);
        let (request, reply) = (request.spare_capacity_mut(), reply.spare_capacity_mut());
        let receive = Receive { timeout, ..ports.receive() };
        loop {
            let first = Received::receive(ports.kernel(), &mut *request, receive);
            let mut result = self.serve_result::<P>(ports, first, reply);
            while let Err(End::Receive(ReceiveError::TooLarge { size })) = result {
                result = self.serve_large::<P>(ports, size, timeout, request, reply);
            }
            return match result {
                Ok(Served::Message) => Ok(true),
                // That is no message of anybody's.
                Ok(Served::OldOrder) => continue,
                Err(End::Stopped) => Ok(false),
                Err(End::Receive(ReceiveError::Failed(code))) => Err(code),
                Err(End::Receive(error)) => self.go_on::<P>(error).map(|()| true),
            };
        }
    }

    /// Serves a message that somebody else has received ([`Received::from_message`]), and answers it. It need
    /// not have come to a port of this server's.
    ///
    /// # Errors
    ///
    /// `KERN_RESOURCE_SHORTAGE` if there is no memory for the reply; the message has been released then.
    pub fn serve_received<P: Platform>(&self, mut request: Received<'_, K>) -> Result<(), KernReturn> {
        let mut reply = buffer(self.buffer_size())?;
        let kernel = request.kernel().clone();
        let mut reply = Reply::new(&kernel, reply.spare_capacity_mut());
        self.serve::<P>(&mut request, &mut reply);
        // A client that cannot be answered is gone, or does not want to hear.
        let _ = reply.answer(request);
        Ok(())
    }

    /// The port set that this server receives from, for an event loop that tells when a message is there
    /// (`EVFILT_MACHPORT`), so that [`serve_one`](Self::serve_one) with a time of 0 need not wait.
    ///
    /// # Errors
    ///
    /// What could not be made, as for [`run`](Self::run).
    pub fn receives_from(&self) -> Result<Name, KernReturn> {
        self.ports.as_ref().map(|ports| ports.set.get().name()).map_err(|code| *code)
    }

    /// What each of the threads does.
    fn work<P: Platform>(&self, ports: &Ports<'_, K>) -> Result<(), KernReturn> {
        let (mut request, mut reply) = (buffer(self.buffer_size())?, buffer(self.buffer_size())?);
        let (request, reply) = (request.spare_capacity_mut(), reply.spare_capacity_mut());
        while !ports.stop.is_stopped() {
            let Err(mut end) = self.serve_by_turns::<P>(ports, request, reply);
            // Another thread may take the message meanwhile, so there may be nothing to wait for; or the next
            // may be larger still.
            while let End::Receive(ReceiveError::TooLarge { size }) = end {
                match self.serve_large::<P>(ports, size, Some(0), request, reply) {
                    Ok(_) => break,
                    Err(other) => end = other,
                }
            }
            match end {
                End::Stopped => {
                    // For the next thread. The last one leaves it, to be ignored.
                    let _ = ports.stop.wake();
                }
                End::Receive(error) => self.go_on::<P>(error)?,
            }
        }
        Ok(())
    }

    /// After a receive without a message: tells of one that was lost.
    ///
    /// # Errors
    ///
    /// The code, if no message can be received any more. After each of the others a message has left its
    /// queue, or the thread has waited.
    fn go_on<P: Platform>(&self, error: ReceiveError) -> Result<(), KernReturn> {
        match error {
            ReceiveError::Lost(lost) => {
                // A panic of the listener ends here, as that of a routine does.
                let _ = P::catch_unwind(|| (self.unclaimed)(lost.into()));
                Ok(())
            }
            ReceiveError::TooLarge { .. }
            | ReceiveError::Failed(
                KernReturn::MACH_RCV_INTERRUPTED
                | KernReturn::MACH_RCV_TIMED_OUT
                | KernReturn::MACH_RCV_INVALID_DATA,
            ) => Ok(()),
            ReceiveError::Failed(code) => Err(code),
        }
    }

    /// Serves as long as messages fit, two buffers changing roles: the reply to one message and the receive
    /// of the next are one call.
    fn serve_by_turns<P: Platform>(
        &self,
        ports: &Ports<'_, K>,
        one: &mut [MaybeUninit<u64>],
        other: &mut [MaybeUninit<u64>],
    ) -> Result<Infallible, End> {
        let mut request = Received::receive(ports.kernel(), &mut *one, ports.receive())?;
        loop {
            let next = self.serve_and_receive::<P>(ports, request, &mut *other)?;
            request = self.serve_and_receive::<P>(ports, next, &mut *one)?;
        }
    }

    /// Serves a message and receives the next into `storage`.
    fn serve_and_receive<'b, P: Platform>(
        &self,
        ports: &Ports<'_, K>,
        mut request: Received<'_, K>,
        storage: &'b mut [MaybeUninit<u64>],
    ) -> Result<Received<'b, K>, End> {
        if self.is_order(ports, &request)? {
            drop(request);
            return Ok(Received::receive(ports.kernel(), storage, ports.receive())?);
        }
        let mut reply = Reply::new(ports.kernel(), storage);
        self.serve::<P>(&mut request, &mut reply);
        Ok(reply.answer_and_receive(request, ports.receive())?)
    }

    /// Receives a message of `size` bytes, which is more than any subsystem declares, and serves it. If it is
    /// too large even for that, or if there is no memory for it, it is taken from its queue and lost.
    fn serve_large<P: Platform>(
        &self,
        ports: &Ports<'_, K>,
        size: usize,
        timeout: Option<u32>,
        request: &mut [MaybeUninit<u64>],
        reply: &mut [MaybeUninit<u64>],
    ) -> Result<Served, End> {
        let receive = Receive { timeout, ..ports.receive() };
        let large = if size <= LARGEST_UNDECLARED { buffer(size).ok() } else { None };
        match large {
            Some(mut large) => {
                let received = Received::receive(ports.kernel(), large.spare_capacity_mut(), receive);
                self.serve_result::<P>(ports, received, reply)
            }
            None => {
                let received = Received::receive_or_lose(ports.kernel(), request, receive);
                self.serve_result::<P>(ports, received, reply)
            }
        }
    }

    /// Serves the message that was received, if one was.
    fn serve_result<P: Platform>(
        &self,
        ports: &Ports<'_, K>,
        received: Result<Received<'_, K>, ReceiveError>,
        reply: &mut [MaybeUninit<u64>],
    ) -> Result<Served, End> {
        let mut request = received?;
        if self.is_order(ports, &request)? {
            return Ok(Served::OldOrder);
        }
        let mut reply = Reply::new(ports.kernel(), reply);
        self.serve::<P>(&mut request, &mut reply);
        // A client that cannot be answered is gone, or does not want to hear.
        let _ = reply.answer(request);
        Ok(Served::Message)
    }

    /// True if the message is an order of this server's own, `Stopped` if it holds.
    fn is_order(&self, ports: &Ports<'_, K>, request: &Received<'_, K>) -> Result<bool, End> {
        let order = request.port().name() == ports.stop.0.port.name();
        if order && ports.stop.is_stopped() { Err(End::Stopped) } else { Ok(order) }
    }

    /// Finds the routine, runs it, and tells if there was none.
    fn serve<P: Platform>(&self, request: &mut Received<'_, K>, reply: &mut Reply<'_, K>) {
        let served = P::catch_unwind(|| {
            let (id, port) = (request.id(), request.port().name());
            for entry in self.subsystems.iter().filter(|entry| entry.takes(id, port)) {
                if entry.subsystem.dispatch(request, reply) {
                    break;
                }
            }
            if !reply.is_taken() {
                (self.unclaimed)(Unclaimed {
                    port: request.port().name(),
                    id,
                    seqno: request.seqno(),
                    code: reply.code(),
                });
            }
        });
        if let Err(Panicked) = served {
            reply.fail(KernReturn::KERN_FAILURE);
        }
    }

    /// Bytes that every message declared by the subsystems fits in, with its trailer.
    fn buffer_size(&self) -> usize {
        let sizes = self
            .subsystems
            .iter()
            .map(|Entry { subsystem, .. }| subsystem.max_request_size().max(subsystem.max_reply_size()));
        sizes.fold(K::Abi::FACTS.error_reply, usize::max) + K::Abi::FACTS.trailer
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
