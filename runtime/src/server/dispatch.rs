//! How one message is served: the subsystems that have its id on its port are asked, one after the other.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::ops::Range;

use super::{Received, Reply, Server, Subsystem, Unclaimed, buffer};
use crate::abi::Abi;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, NameOf};
use crate::platform::{Panicked, Platform};

/// A subsystem, and which messages it is asked for.
pub(super) struct Entry<'s, K: Kernel> {
    pub(super) ids: Range<i32>,
    /// The ports that the subsystem is served on; if there are none, it is served on all.
    pub(super) only: Vec<NameOf<K>>,
    pub(super) subsystem: Box<dyn Subsystem<K> + Send + Sync + 's>,
}

impl<K: Kernel> Entry<'_, K> {
    /// Whether a message of this id to this port is for this subsystem.
    fn takes(&self, id: i32, port: NameOf<K>) -> bool {
        self.ids.contains(&id) && (self.only.is_empty() || self.only.contains(&port))
    }
}

impl<K: Kernel> Server<'_, K> {
    /// Serves a message that somebody else has received ([`Received::from_message`]), and answers it. It need
    /// not have come to a port of this server's.
    ///
    /// # Errors
    ///
    /// `KERN_RESOURCE_SHORTAGE` if there is no memory for the reply; the message has been released then.
    pub fn serve_received<P: Platform>(&self, request: Received<'_, K>) -> Result<(), KernReturn> {
        let mut reply = buffer(self.buffer_size())?;
        let kernel = request.kernel().clone();
        self.serve_and_answer::<P>(&kernel, request, reply.spare_capacity_mut());
        Ok(())
    }

    /// Serves a message and sends the reply, which is made in `storage`.
    pub(super) fn serve_and_answer<P: Platform>(
        &self,
        kernel: &K,
        mut request: Received<'_, K>,
        storage: &mut [MaybeUninit<u64>],
    ) {
        let mut reply = Reply::new(kernel, storage);
        self.serve::<P>(&mut request, &mut reply);
        // A client that cannot be answered is gone, or does not want to hear.
        let _ = reply.answer(request);
    }

    /// Finds the routine, runs it, and tells if there was none.
    pub(super) fn serve<P: Platform>(&self, request: &mut Received<'_, K>, reply: &mut Reply<'_, K>) {
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
    pub(super) fn buffer_size(&self) -> usize {
        let sizes = self
            .subsystems
            .iter()
            .map(|Entry { subsystem, .. }| subsystem.max_request_size().max(subsystem.max_reply_size()));
        sizes.fold(K::Abi::FACTS.error_reply, usize::max) + K::Abi::FACTS.trailer
    }
}
