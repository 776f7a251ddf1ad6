//! Messages served in the threads that send them.

use super::Server;
use super::ports::Ports;
use super::received::Received;
use crate::abi::Abi;
use crate::kernel::{Inline, Kernel};
use crate::platform::Platform;

impl<K: Kernel> Server<'_, K> {
    /// While this runs, lets the threads that send messages to it serve them, if the kernel can do that: only
    /// `local` can. It saves two changes of the running thread for each message.
    ///
    /// No sender may count on it. A message goes through the queue of its port, to the server's own threads,
    /// if another one of that port is before it, waits to be received or is in the hands of such a thread; if
    /// its sender is in this server already, or in four others; if it is larger than any subsystem declares;
    /// and where the sender [holds](crate::platform::Holding) something. Notifications always do. So the
    /// messages of one sender to one port are served in order, and those of several senders at once, as with
    /// several [threads](Self::threads).
    ///
    /// A sender waits until the method returns, even if its own call says that it does not wait. So this is
    /// for clients of the same program that trust the server, and for methods that are short. A method must
    /// not wait for something that its client does after the send, and no client may send with a lock held
    /// for which a method waits, its own or that of a server that the method sends to in turn: `local` panics
    /// where a thread sends that holds a [lock](crate::platform::Holding::lock), if there are debug
    /// assertions. A method that panics is answered as ever, and the sender goes on.
    ///
    /// [`stop`](Self::stop) ends that, too: the run is over when no thread is in a method any more. A method
    /// must not wait for the end of the run.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use mig_runtime::{Dest, KernReturn, Largest, MsgBuf, SendOptions};
    /// # use mig_runtime::kernel::local::Local;
    /// use mig_runtime::{ReceiveRight, Server, subsystem};
    ///
    /// let task: Local = Local::new();
    /// let port = ReceiveRight::allocate(&task)?;
    /// let client = std::thread::current().id();
    /// let in_sender = std::sync::atomic::AtomicBool::new(false);
    /// let server = subsystem(700..701, Largest { request: 32, reply: 48 }, |_, reply| {
    ///     reply.serve(|_| {
    ///         in_sender.store(std::thread::current().id() == client, std::sync::atomic::Ordering::Relaxed);
    ///         Ok(())
    ///     });
    ///     true
    /// });
    /// let to_port = port.make_send()?;
    /// Server::on(&port).with(server).inline().serve_while(|| {
    ///     // The server has its threads running some time after this begins.
    ///     while !in_sender.load(std::sync::atomic::Ordering::Relaxed) {
    ///         let mut message = MsgBuf::<64>::new();
    ///         message.request(&task).send(700, Dest::copy_send(&to_port), SendOptions::NONE)?;
    ///     }
    ///     Ok::<_, KernReturn>(())
    /// })??;
    /// # }
    /// # Ok::<(), mig_runtime::KernReturn>(())
    /// ```
    #[must_use]
    pub fn inline(mut self) -> Self {
        self.inline = true;
        self
    }

    /// Does `work`, the server's own, and lets senders serve meanwhile if they are to.
    pub(super) fn while_inline<P: Platform>(&self, ports: &Ports<'_, K>, work: &mut dyn FnMut()) {
        if !self.inline {
            return work();
        }
        let inline = Inline {
            set: ports.name(),
            except: ports.stop.port().name(),
            room: self.buffer_size(),
            serve: &|message, result| {
                debug_assert!(size_of_val(message) >= K::Abi::FACTS.header, "as every kernel promises");
                // SAFETY: the kernel has delivered this message, as its contract says.
                match unsafe { Received::after_call(ports.kernel().clone(), message, result) } {
                    // Without memory for a reply it has been released.
                    Ok(request) => drop(self.serve_received::<P>(request)),
                    // It has told of a message that was lost, and there is no receive to go on with.
                    Err(error) => drop(self.go_on::<P>(error)),
                }
            },
        };
        ports.kernel().serve_inline(inline, work);
    }
}
