//! The order to stop: a flag, and a message that wakes a thread which waits.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::client::SendOptions;
use crate::kern_return::KernReturn;
use crate::kernel::Kernel;
use crate::message::MsgBuf;
use crate::message::header::MAX_HEADER;
use crate::right::{Dest, ReceiveRight};

/// Ends a [`Server`](super::Server) from anywhere; all clones end the same one. Each server has a `Stop` of
/// its own, unless it is [given](super::Server::until) one, which is for code that cannot reach the server
/// itself later.
pub struct Stop<K: Kernel>(Arc<Control<K>>);

struct Control<K: Kernel> {
    /// A member of the server's set to which nobody else has a right: a message here is the order to look
    /// whether to stop.
    port: ReceiveRight<K>,
    stopped: AtomicBool,
}

impl<K: Kernel> Stop<K> {
    /// A new `Stop`, for one server.
    ///
    /// # Errors
    ///
    /// As `mach_port_allocate`.
    pub fn new(kernel: &K) -> Result<Self, KernReturn> {
        let port = ReceiveRight::allocate(kernel)?;
        Ok(Self(Arc::new(Control { port, stopped: AtomicBool::new(false) })))
    }

    /// See [`Server::stop`](super::Server::stop).
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        // If the port is gone no thread waits on it.
        let _ = self.wake();
    }

    /// Wakes one thread.
    pub(super) fn wake(&self) -> Result<(), KernReturn> {
        let mut buffer = MsgBuf::<{ MAX_HEADER }>::new();
        let order = buffer.request(self.0.port.kernel());
        order.send(0, Dest::make_send_once(&self.0.port), SendOptions::NONE)?;
        Ok(())
    }

    /// Whether threads are to stop receiving.
    pub(super) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Forgets the order, once a run has ended: the next one is not to end by it.
    pub(super) fn reset(&self) {
        self.0.stopped.store(false, Ordering::SeqCst);
    }

    /// The port that orders come to.
    pub(super) fn port(&self) -> &ReceiveRight<K> {
        &self.0.port
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
