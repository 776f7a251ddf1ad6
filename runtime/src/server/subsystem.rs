//! A subsystem: what a server loop has to know of an interface.

use core::ops::Range;

use super::{Received, Reply};
use crate::kernel::Kernel;

/// One subsystem with the object that serves it, for a server loop.
pub trait Subsystem<K: Kernel> {
    /// The message ids of its requests, skipped ones included.
    fn ids(&self) -> Range<i32>;

    /// Bytes of its largest request.
    fn max_request_size(&self) -> usize;

    /// Bytes of its largest reply, at least those of an error reply.
    fn max_reply_size(&self) -> usize;

    /// Serves a request. False if no routine has its id; the request is untouched then.
    fn dispatch(&self, request: &mut Received<'_, K>, reply: &mut Reply<'_, K>) -> bool;
}

/// Bytes of the largest messages of a subsystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Largest {
    /// A request.
    pub request: usize,
    /// A reply: at least an error's.
    pub reply: usize,
}

/// A subsystem that a demux function serves. `ids` are those of its requests.
///
/// Generated code wraps this for each interface.
pub fn subsystem<K, F>(ids: Range<i32>, largest: Largest, dispatch: F) -> impl Subsystem<K> + use<K, F>
where
    K: Kernel,
    F: Fn(&mut Received<'_, K>, &mut Reply<'_, K>) -> bool,
{
    Demux { ids, largest, dispatch }
}

/// See [`subsystem`].
struct Demux<F> {
    ids: Range<i32>,
    largest: Largest,
    dispatch: F,
}

impl<K, F> Subsystem<K> for Demux<F>
where
    K: Kernel,
    F: Fn(&mut Received<'_, K>, &mut Reply<'_, K>) -> bool,
{
    fn ids(&self) -> Range<i32> {
        self.ids.clone()
    }

    fn max_request_size(&self) -> usize {
        self.largest.request
    }

    fn max_reply_size(&self) -> usize {
        self.largest.reply
    }

    fn dispatch(&self, request: &mut Received<'_, K>, reply: &mut Reply<'_, K>) -> bool {
        (self.dispatch)(request, reply)
    }
}
