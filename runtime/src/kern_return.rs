//! `kern_return_t`.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A result code of a kernel call, of MIG, or of a server (`kern_return_t`, `mach_msg_return_t`).
///
/// Codes are open: a server may answer any number. The constants are those that Mach and MIG define.
///
/// ```
/// use mig_runtime::KernReturn;
///
/// assert_eq!(KernReturn::MIG_BAD_ID.to_string(), "MIG_BAD_ID (-303)");
/// assert_eq!(KernReturn(0x1000_0003), KernReturn::MACH_SEND_INVALID_DEST);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct KernReturn(pub i32);

/// Declares the named codes, and the table that prints them.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        impl KernReturn {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The C name of this code, if it is one of Mach's or MIG's.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The call did what it was asked to.
    KERN_SUCCESS = 0;
    /// The address is not valid.
    KERN_INVALID_ADDRESS = 1;
    /// The memory does not allow this access.
    KERN_PROTECTION_FAILURE = 2;
    /// No room in the address space.
    KERN_NO_SPACE = 3;
    /// An argument is not valid.
    KERN_INVALID_ARGUMENT = 4;
    /// Failed, for no better known reason.
    KERN_FAILURE = 5;
    /// The system is short of a resource.
    KERN_RESOURCE_SHORTAGE = 6;
    /// Not the receiver of the port.
    KERN_NOT_RECEIVER = 7;
    /// Access to the object is refused.
    KERN_NO_ACCESS = 8;
    /// The memory object behind the address has been destroyed; it will not come back.
    KERN_MEMORY_FAILURE = 9;
    /// The memory object could not give the data this time.
    KERN_MEMORY_ERROR = 10;
    /// Already in the set.
    KERN_ALREADY_IN_SET = 11;
    /// Not in the set.
    KERN_NOT_IN_SET = 12;
    /// The name is in use.
    KERN_NAME_EXISTS = 13;
    /// The operation was abandoned.
    KERN_ABORTED = 14;
    /// The name does not denote a right.
    KERN_INVALID_NAME = 15;
    /// The target is not an active task.
    KERN_INVALID_TASK = 16;
    /// The name denotes a right, but not one of the needed kind.
    KERN_INVALID_RIGHT = 17;
    /// A value is out of range.
    KERN_INVALID_VALUE = 18;
    /// Too many user references of a right.
    KERN_UREFS_OVERFLOW = 19;
    /// The capability is not of the needed kind.
    KERN_INVALID_CAPABILITY = 20;
    /// The task holds a right under another name.
    KERN_RIGHT_EXISTS = 21;
    /// The target is not a host port.
    KERN_INVALID_HOST = 22;
    /// A precious page could not be given memory.
    KERN_MEMORY_PRESENT = 23;

    /// A reply is not of the expected form (client); a descriptor is wrong (server of an untyped ABI).
    MIG_TYPE_ERROR = -300;
    /// A reply has the wrong id.
    MIG_REPLY_MISMATCH = -301;
    /// A remote server failed; for servers to use, never made by stubs.
    MIG_REMOTE_ERROR = -302;
    /// No routine has this message id.
    MIG_BAD_ID = -303;
    /// A request is not of the expected form.
    MIG_BAD_ARGUMENTS = -304;
    /// From a server routine to its loop: send nothing, the reply right has been kept.
    MIG_NO_REPLY = -305;
    /// Reserved.
    MIG_EXCEPTION = -306;
    /// An array is longer than its declaration allows.
    MIG_ARRAY_TOO_LARGE = -307;
    /// The reply right was destroyed instead of used.
    MIG_SERVER_DIED = -308;
    /// Typed ABIs: destroy the request, its reply port too, and send nothing. Untyped ABIs use the same number for `MIG_TRAILER_ERROR`.
    MIG_DESTROY_REQUEST = -309;

    /// A send was interrupted before it was tried.
    MACH_SEND_IN_PROGRESS = 0x1000_0001;
    /// The message is smaller than a header, or memory it is in cannot be read.
    MACH_SEND_INVALID_DATA = 0x1000_0002;
    /// The destination is not a send right, or its port is dead.
    MACH_SEND_INVALID_DEST = 0x1000_0003;
    /// The queue stayed full.
    MACH_SEND_TIMED_OUT = 0x1000_0004;
    /// A message-accepted request is outstanding.
    MACH_SEND_WILL_NOTIFY = 0x1000_0005;
    /// A message-accepted request is outstanding on this port.
    MACH_SEND_NOTIFY_IN_PROGRESS = 0x1000_0006;
    /// The send was interrupted.
    MACH_SEND_INTERRUPTED = 0x1000_0007;
    /// The message is smaller than its type words say.
    MACH_SEND_MSG_TOO_SMALL = 0x1000_0008;
    /// The reply port is not a right of the needed kind.
    MACH_SEND_INVALID_REPLY = 0x1000_0009;
    /// A port in the body is not a right of the needed kind.
    MACH_SEND_INVALID_RIGHT = 0x1000_000a;
    /// The port to notify is not a receive right.
    MACH_SEND_INVALID_NOTIFY = 0x1000_000b;
    /// Out-of-line memory cannot be read.
    MACH_SEND_INVALID_MEMORY = 0x1000_000c;
    /// The kernel has no message buffer.
    MACH_SEND_NO_BUFFER = 0x1000_000d;
    /// No notification can be asked for.
    MACH_SEND_NO_NOTIFY = 0x1000_000e;
    /// A type word is not valid.
    MACH_SEND_INVALID_TYPE = 0x1000_000f;
    /// The header's bits are not valid.
    MACH_SEND_INVALID_HEADER = 0x1000_0010;
    /// XNU: the options do not fit together, or not the destination.
    MACH_SEND_INVALID_OPTIONS = 0x1000_0013;

    /// A receive was interrupted before it was tried.
    MACH_RCV_IN_PROGRESS = 0x1000_4001;
    /// The name is not a receive right or a port set.
    MACH_RCV_INVALID_NAME = 0x1000_4002;
    /// No message came in time.
    MACH_RCV_TIMED_OUT = 0x1000_4003;
    /// The next message is larger than the buffer.
    MACH_RCV_TOO_LARGE = 0x1000_4004;
    /// The receive was interrupted.
    MACH_RCV_INTERRUPTED = 0x1000_4005;
    /// The port's right moved away.
    MACH_RCV_PORT_CHANGED = 0x1000_4006;
    /// The port to notify is not valid.
    MACH_RCV_INVALID_NOTIFY = 0x1000_4007;
    /// The buffer cannot be written; the message is lost.
    MACH_RCV_INVALID_DATA = 0x1000_4008;
    /// The port or the set died while the thread waited.
    MACH_RCV_PORT_DIED = 0x1000_4009;
    /// The port is in a set and cannot be received from by itself.
    MACH_RCV_IN_SET = 0x1000_400a;
    /// The rights in the header could not be taken.
    MACH_RCV_HEADER_ERROR = 0x1000_400b;
    /// The rights or memory in the body could not be taken.
    MACH_RCV_BODY_ERROR = 0x1000_400c;
}

impl KernReturn {
    /// XNU: the message is larger than the kernel carries, or has too many descriptors. The same number as
    /// [`MACH_SEND_NO_NOTIFY`](Self::MACH_SEND_NO_NOTIFY).
    pub const MACH_SEND_TOO_LARGE: Self = Self(0x1000_000e);

    /// Untyped ABIs: the trailer is not of a known type or too short. The same number as [`MIG_DESTROY_REQUEST`](Self::MIG_DESTROY_REQUEST).
    pub const MIG_TRAILER_ERROR: Self = Self(-309);

    /// Turns the code into a result: `Ok` for [`KERN_SUCCESS`](Self::KERN_SUCCESS).
    ///
    /// # Errors
    ///
    /// The code itself, if it is anything else.
    #[inline]
    pub const fn ok(self) -> Result<(), Self> {
        if self.0 == 0 { Ok(()) } else { Err(self) }
    }

    /// What the kernel adds to a code of `mach_msg` to say what it was short of (`MACH_MSG_MASK`): names, addresses, or memory of its own.
    const SHORTAGE: i32 = 0x3e00;

    /// True for a result of `mach_msg` that says that the send has failed (`MACH_SEND_…`): the message has not left. A kernel that runs out of
    /// memory while it takes a message in may return `MACH_MSG_VM_KERNEL`, or one of its kin, with no other code.
    #[inline]
    pub const fn is_send_error(self) -> bool {
        let bare = self.0 != 0 && self.0 & !Self::SHORTAGE == 0;
        bare || (self.0 & 0x1000_4000 == 0x1000_0000 && self.0 > 0)
    }

    /// True for a failed receive (`MACH_RCV_…`).
    #[inline]
    pub const fn is_receive_error(self) -> bool {
        self.0 & 0x1000_4000 == 0x1000_4000 && self.0 > 0
    }

    /// A code of `mach_msg` without the bits that say what the kernel was short of (`MACH_MSG_VM_SPACE` and its kin), unless there is nothing else.
    #[must_use]
    pub const fn without_shortage(self) -> Self {
        let of_mach_msg = self.0 & 0x1000_0000 != 0 && self.0 > 0;
        if of_mach_msg { Self(self.0 & !Self::SHORTAGE) } else { self }
    }
}

impl From<Result<(), KernReturn>> for KernReturn {
    fn from(result: Result<(), KernReturn>) -> Self {
        result.err().unwrap_or(Self::KERN_SUCCESS)
    }
}

impl fmt::Display for KernReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = Number(self.0);
        match self.name() {
            Some(name) => write!(f, "{name} ({number})"),
            None => write!(f, "return code {number}"),
        }
    }
}

impl fmt::Debug for KernReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "KernReturn({})", Number(self.0)),
        }
    }
}

impl core::error::Error for KernReturn {}

/// A code as headers write it: `mach_msg`'s in hexadecimal, others in decimal.
struct Number(i32);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 0x1000_0000 { write!(f, "{:#x}", self.0) } else { write!(f, "{}", self.0) }
    }
}
