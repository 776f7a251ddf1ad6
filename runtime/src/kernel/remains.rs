//! What a failed send leaves to its sender.
//!
//! A kernel takes a message in from its beginning: the header, then what the body describes. Where it stops
//! on the way it destroys what it has taken so far, and says so by nothing but its code.

use crate::abi::{Abi, Family};
use crate::kern_return::KernReturn;

/// The parts of a message that was not sent which are still this task's, as the buffer describes them after
/// the call.
///
/// ```
/// use mig_runtime::KernReturn;
/// use mig_runtime::abi::{Apple64, GnuX86_64};
/// use mig_runtime::kernel::Remains;
///
/// let gone = KernReturn::MACH_SEND_INVALID_DEST;
/// assert_eq!(Remains::after::<GnuX86_64>(gone), Some(Remains::All));
/// let refused = KernReturn::MACH_SEND_INVALID_RIGHT;
/// assert_eq!(Remains::after::<Apple64>(refused), Some(Remains::Nothing));
/// // The message was sent, and then nothing came.
/// assert_eq!(Remains::after::<Apple64>(KernReturn::MACH_RCV_TIMED_OUT), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    /// All of it: the message has not been touched, or has come back in pseudo-received form.
    All,
    /// What the body moves. The rights that the header moved are destroyed.
    Body,
    /// Nothing for certain: the rights that the header moved are destroyed, and a part of the body. What is
    /// left of it cannot be told from what is destroyed, and a name or an address that is destroyed may be
    /// another owner's by now, so that leaving it is the only safe way.
    Nothing,
}

/// The codes of a failed send and what they leave. A code that stands in no row leaves [`Remains::Nothing`].
type Table = &'static [(Remains, &'static [KernReturn])];

/// GNU Mach. `ipc_kmsg_get` and `ipc_kmsg_copyin_header` (`ipc/ipc_kmsg.c`) fail before anything is taken;
/// `mach_msg_trap` (`ipc/mach_msg.c`) gives back what it cannot queue by `ipc_kmsg_copyout_pseudo`.
/// `ipc_kmsg_copyin_body` ends in `ipc_kmsg_clean_partial`, which destroys the header's rights and all
/// arguments before the bad one, of this the rights before the bad one, and the memory of their names.
const TYPED: Table = &[
    (
        Remains::All,
        &[
            KernReturn::MACH_SEND_IN_PROGRESS,
            KernReturn::MACH_SEND_INVALID_DATA,
            KernReturn::MACH_SEND_INVALID_DEST,
            KernReturn::MACH_SEND_TIMED_OUT,
            KernReturn::MACH_SEND_NOTIFY_IN_PROGRESS,
            KernReturn::MACH_SEND_INTERRUPTED,
            KernReturn::MACH_SEND_INVALID_REPLY,
            KernReturn::MACH_SEND_INVALID_NOTIFY,
            KernReturn::MACH_SEND_NO_BUFFER,
            KernReturn::MACH_SEND_NO_NOTIFY,
            KernReturn::MACH_SEND_INVALID_HEADER,
        ],
    ),
    (
        Remains::Nothing,
        &[
            // It has been queued all the same.
            KernReturn::MACH_SEND_WILL_NOTIFY,
            // For a size that is none the message is not touched, but the runtime sends none of those.
            KernReturn::MACH_SEND_MSG_TOO_SMALL,
            KernReturn::MACH_SEND_INVALID_TYPE,
            KernReturn::MACH_SEND_INVALID_MEMORY,
            KernReturn::MACH_SEND_INVALID_RIGHT,
        ],
    ),
];

/// Apple's kernels (xnu-11417, `osfmk/ipc/ipc_kmsg.c`). Sizes and kinds of descriptors are looked at before
/// anything is taken. What cannot be queued comes back. `ipc_kmsg_copyin_body` destroys the header's rights
/// and the descriptors before the bad one; what is refused for its destination, after the header was taken
/// and before the body is, loses the header's rights.
const UNTYPED: Table = &[
    (
        Remains::All,
        &[
            KernReturn::MACH_SEND_IN_PROGRESS,
            KernReturn::MACH_SEND_INVALID_DATA,
            KernReturn::MACH_SEND_INVALID_DEST,
            KernReturn::MACH_SEND_TIMED_OUT,
            KernReturn::MACH_SEND_INVALID_VOUCHER,
            KernReturn::MACH_SEND_INTERRUPTED,
            KernReturn::MACH_SEND_MSG_TOO_SMALL,
            KernReturn::MACH_SEND_INVALID_REPLY,
            KernReturn::MACH_SEND_NO_BUFFER,
            KernReturn::MACH_SEND_TOO_LARGE,
            KernReturn::MACH_SEND_INVALID_TYPE,
            KernReturn::MACH_SEND_INVALID_HEADER,
        ],
    ),
    (
        Remains::Body,
        &[
            KernReturn::MACH_SEND_INVALID_OPTIONS,
            KernReturn::MACH_SEND_NO_GRANT_DEST,
            KernReturn::MACH_SEND_MSG_FILTERED,
        ],
    ),
    (Remains::Nothing, &[KernReturn::MACH_SEND_INVALID_RIGHT, KernReturn::MACH_SEND_INVALID_MEMORY]),
];

impl Remains {
    /// What `mach_msg` has left when it returned this code. `None` if the message was sent, whatever failed
    /// then.
    pub fn after<A: Abi>(code: KernReturn) -> Option<Self> {
        if !code.is_send_error() {
            return None;
        }
        let table = match A::FACTS.family {
            Family::Typed => TYPED,
            Family::Untyped => UNTYPED,
        };
        let reason = code.without_shortage();
        let row = table.iter().find(|(_, codes)| codes.contains(&reason));
        Some(row.map_or(Self::Nothing, |(remains, _)| *remains))
    }

    /// Whether the rights that the header moves are this task's.
    pub const fn has_header(self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether what the body moves is this task's.
    pub const fn has_body(self) -> bool {
        matches!(self, Self::All | Self::Body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{Apple64, GnuI386};

    #[test]
    fn no_code_stands_in_two_rows() {
        for table in [TYPED, UNTYPED] {
            let codes: alloc::vec::Vec<_> = table.iter().flat_map(|(_, codes)| *codes).collect();
            let mut once = codes.clone();
            once.sort_by_key(|code| code.0);
            once.dedup();
            assert_eq!(once.len(), codes.len());
        }
    }

    /// The kernel may add what it was short of while it gave the message back, or say nothing else while it
    /// took it.
    #[test]
    fn a_shortage_does_not_hide_that_the_message_was_not_sent() {
        for bits in [0x400, 0x800, 0x1000, 0x2000] {
            let came_back = KernReturn(KernReturn::MACH_SEND_TIMED_OUT.0 | bits);
            assert_eq!(Remains::after::<GnuI386>(came_back), Some(Remains::All));
            assert_eq!(Remains::after::<Apple64>(came_back), Some(Remains::All));
            assert_eq!(Remains::after::<Apple64>(KernReturn(bits)), Some(Remains::Nothing));
            let received = KernReturn(KernReturn::MACH_RCV_BODY_ERROR.0 | bits);
            assert_eq!(Remains::after::<Apple64>(received), None);
        }
    }

    #[test]
    fn a_code_that_is_not_known_leaves_nothing() {
        assert_eq!(Remains::after::<GnuI386>(KernReturn(0x1000_00ff)), Some(Remains::Nothing));
        assert_eq!(Remains::after::<Apple64>(KernReturn(0x1000_00ff)), Some(Remains::Nothing));
        assert_eq!(Remains::after::<Apple64>(KernReturn::KERN_INVALID_TASK), None);
    }
}
