//! What a thread of a server does, turn by turn: receives a message, has it served, and sends the reply.

use core::convert::Infallible;
use core::mem::MaybeUninit;

use super::ports::Ports;
use super::{Receive, ReceiveError, Received, Reply, Server, buffer};
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, NameOf};
use crate::platform::Platform;

/// What was received.
enum Served {
    Message,
    /// An order to stop that holds no more.
    OldOrder,
}

/// Why a thread stops receiving.
enum End<N> {
    Stopped,
    Receive(ReceiveError<N>),
}

impl<N> From<ReceiveError<N>> for End<N> {
    fn from(error: ReceiveError<N>) -> Self {
        Self::Receive(error)
    }
}

/// Bytes of the largest message that is received although no subsystem declares one so large, so that its
/// sender can be told. A larger one is taken from its queue and destroyed: what a stranger sends costs no
/// more memory than this in each thread.
const LARGEST_UNDECLARED: usize = 1 << 16;

impl<K: Kernel> Server<'_, K> {
    /// The work of each thread.
    pub(super) fn work<P: Platform>(&self, ports: &Ports<'_, K>) -> Result<(), KernReturn> {
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
                    // This wakes the next thread. The last thread leaves an order in the queue, which the
                    // next run ignores.
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
    pub(super) fn go_on<P: Platform>(&self, error: ReceiveError<NameOf<K>>) -> Result<(), KernReturn> {
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
    ) -> Result<Infallible, End<NameOf<K>>> {
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
    ) -> Result<Received<'b, K>, End<NameOf<K>>> {
        if self.is_order(ports, &request)? {
            drop(request);
            return Ok(Received::receive(ports.kernel(), storage, ports.receive())?);
        }
        let mut reply = Reply::new(ports.kernel(), storage);
        self.serve::<P>(&mut request, &mut reply);
        Ok(reply.answer_and_receive(request, ports.receive())?)
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

    /// Receives a message of `size` bytes, which is more than any subsystem declares, and serves it. If it is
    /// too large even for that, or if there is no memory for it, it is taken from its queue and lost.
    fn serve_large<P: Platform>(
        &self,
        ports: &Ports<'_, K>,
        size: usize,
        timeout: Option<u32>,
        request: &mut [MaybeUninit<u64>],
        reply: &mut [MaybeUninit<u64>],
    ) -> Result<Served, End<NameOf<K>>> {
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
        received: Result<Received<'_, K>, ReceiveError<NameOf<K>>>,
        reply: &mut [MaybeUninit<u64>],
    ) -> Result<Served, End<NameOf<K>>> {
        let request = received?;
        if self.is_order(ports, &request)? {
            return Ok(Served::OldOrder);
        }
        self.serve_and_answer::<P>(ports.kernel(), request, reply);
        Ok(Served::Message)
    }

    /// True if the message is an order of this server's own, `Stopped` if it holds.
    fn is_order(&self, ports: &Ports<'_, K>, request: &Received<'_, K>) -> Result<bool, End<NameOf<K>>> {
        let order = ports.is_order(request);
        if order && ports.stop.is_stopped() { Err(End::Stopped) } else { Ok(order) }
    }
}
