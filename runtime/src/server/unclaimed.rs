//! What a server tells of a message that no routine took.

use super::Lost;
use crate::kern_return::KernReturn;
use crate::kernel::Name;
use crate::message::Seqno;

/// A message that no routine took, or that could not even be received. A receiver that counts sequence
/// numbers must count this one as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unclaimed<N = Name> {
    /// The port that it was sent to.
    pub port: N,
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

impl<N> From<Lost<N>> for Unclaimed<N> {
    fn from(Lost { port, id, seqno, code }: Lost<N>) -> Self {
        Self { port, id, seqno, code }
    }
}
