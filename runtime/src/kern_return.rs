//! `kern_return_t`.

use core::fmt;

use mig_abi::System;
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

/// Declares the named codes, and the tables that print them.
macro_rules! codes {
    ($($(#[$of:meta])* $table:ident { $($(#[$doc:meta])* $name:ident $(as $c_name:literal)? = $value:literal;)* })*) => {
        impl KernReturn {
            $($($(#[$doc])* pub const $name: Self = Self($value);)*)*

            $(
                $(#[$of])*
                const fn $table(self) -> Option<&'static str> {
                    match self {
                        $(Self($value) => Some(c_name!($name $($c_name)?)),)*
                        _ => None,
                    }
                }
            )*
        }
    };
}

/// The name of a code in C, where another code has that name here.
macro_rules! c_name {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident $c_name:literal) => {
        $c_name
    };
}

codes! {
    /// What all headers have.
    common {
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
        /// The memory object at the address has been destroyed; it will not come back.
        KERN_MEMORY_FAILURE = 9;
        /// The memory object could not give the data this time.
        KERN_MEMORY_ERROR = 10;
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

        /// A send was interrupted before it was tried.
        MACH_SEND_IN_PROGRESS = 0x1000_0001;
        /// The message is smaller than a header, or memory it is in cannot be read.
        MACH_SEND_INVALID_DATA = 0x1000_0002;
        /// The destination is not a send right, or its port is dead.
        MACH_SEND_INVALID_DEST = 0x1000_0003;
        /// The queue stayed full.
        MACH_SEND_TIMED_OUT = 0x1000_0004;
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
        /// A type word is not valid.
        MACH_SEND_INVALID_TYPE = 0x1000_000f;
        /// The header's bits are not valid.
        MACH_SEND_INVALID_HEADER = 0x1000_0010;

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

        /// The kernel is short of names (`MACH_MSG_MASK` has these four).
        MACH_MSG_IPC_SPACE = 0x2000;
        /// The task's address space has no room for memory out of line.
        MACH_MSG_VM_SPACE = 0x1000;
        /// The kernel is short of memory for rights.
        MACH_MSG_IPC_KERNEL = 0x800;
        /// The kernel is short of memory for memory out of line.
        MACH_MSG_VM_KERNEL = 0x400;

        /// The request is on its way, and somebody else answers it.
        D_IO_QUEUED = -1;
        /// The hardware has failed.
        D_IO_ERROR = 2500;
        /// It would have to wait, and was told not to.
        D_WOULD_BLOCK = 2501;
        /// There is no such device.
        D_NO_SUCH_DEVICE = 2502;
        /// Somebody has opened the device for himself alone.
        D_ALREADY_OPEN = 2503;
        /// The device has been shut down.
        D_DEVICE_DOWN = 2504;
        /// The device cannot do that.
        D_INVALID_OPERATION = 2505;
        /// There is no such record or block.
        D_INVALID_RECNUM = 2506;
        /// The device cannot transfer this many bytes.
        D_INVALID_SIZE = 2507;
        /// There is no memory for it.
        D_NO_MEMORY = 2508;
        /// The device cannot be written to.
        D_READ_ONLY = 2509;
    }
    /// What only GNU Mach's headers have.
    gnu_mach {
        /// GNU Mach: a page that was asked to tell of writes is written to.
        KERN_WRITE_PROTECTION_FAILURE = 24;
        /// GNU Mach: the object has been terminated. XNU has another number for that:
        /// [`KERN_TERMINATED`](Self::KERN_TERMINATED).
        GNU_KERN_TERMINATED as "KERN_TERMINATED" = 26;
        /// GNU Mach: the operation took too long.
        KERN_TIMEDOUT = 27;
        /// GNU Mach: the operation was interrupted.
        KERN_INTERRUPTED = 28;
        /// Typed ABIs: destroy the request, its reply port too, and send nothing. Untyped ABIs use the same
        /// number for `MIG_TRAILER_ERROR`.
        MIG_DESTROY_REQUEST = -309;
        /// A message-accepted request is outstanding.
        MACH_SEND_WILL_NOTIFY = 0x1000_0005;
        /// A message-accepted request is outstanding on this port.
        MACH_SEND_NOTIFY_IN_PROGRESS = 0x1000_0006;
        /// No notification can be asked for.
        MACH_SEND_NO_NOTIFY = 0x1000_000e;
    }
    /// What only XNU's headers have.
    xnu {
        /// XNU: already in the set.
        KERN_ALREADY_IN_SET = 11;
        /// XNU: the data has been moved by somebody else.
        KERN_MEMORY_DATA_MOVED = 24;
        /// XNU: a copy in pieces begins again.
        KERN_MEMORY_RESTART_COPY = 25;
        /// XNU: not a processor set, or not the control port of one.
        KERN_INVALID_PROCESSOR_SET = 26;
        /// XNU: the scheduling limits do not allow it.
        KERN_POLICY_LIMIT = 27;
        /// XNU: not a scheduling policy, or not one of the processor set.
        KERN_INVALID_POLICY = 28;
        /// XNU: not a memory object.
        KERN_INVALID_OBJECT = 29;
        /// XNU: somebody waits for it already.
        KERN_ALREADY_WAITING = 30;
        /// XNU: the default processor set cannot be destroyed.
        KERN_DEFAULT_SET = 31;
        /// XNU: a protected exception port.
        KERN_EXCEPTION_PROTECTED = 32;
        /// XNU: not a ledger.
        KERN_INVALID_LEDGER = 33;
        /// XNU: not a memory control port.
        KERN_INVALID_MEMORY_CONTROL = 34;
        /// XNU: not the security port of the host.
        KERN_INVALID_SECURITY = 35;
        /// XNU: the priority of the thread is not depressed.
        KERN_NOT_DEPRESSED = 36;
        /// XNU: the object has been terminated.
        KERN_TERMINATED = 37;
        /// XNU: the lock set has been destroyed.
        KERN_LOCK_SET_DESTROYED = 38;
        /// XNU: the holder of the lock has ended.
        KERN_LOCK_UNSTABLE = 39;
        /// XNU: somebody else has the lock.
        KERN_LOCK_OWNED = 40;
        /// XNU: the caller has the lock already.
        KERN_LOCK_OWNED_SELF = 41;
        /// XNU: the semaphore has been destroyed.
        KERN_SEMAPHORE_DESTROYED = 42;
        /// XNU: the server of the call has ended.
        KERN_RPC_SERVER_TERMINATED = 43;
        /// XNU: end an orphaned call.
        KERN_RPC_TERMINATE_ORPHAN = 44;
        /// XNU: let an orphaned call go on.
        KERN_RPC_CONTINUE_ORPHAN = 45;
        /// XNU: the kernel or the machine does not have it.
        KERN_NOT_SUPPORTED = 46;
        /// XNU: the node is down.
        KERN_NODE_DOWN = 47;
        /// XNU: no thread waits.
        KERN_NOT_WAITING = 48;
        /// XNU: the time is over.
        KERN_OPERATION_TIMED_OUT = 49;
        /// XNU: a page does not match its signature.
        KERN_CODESIGN_ERROR = 50;
        /// XNU: the policy cannot be changed.
        KERN_POLICY_STATIC = 51;
        /// XNU: the buffer is too small.
        KERN_INSUFFICIENT_BUFFER_SIZE = 52;
        /// XNU: the security policy refuses it.
        KERN_DENIED = 53;
        /// XNU: the collection of kernel extensions is missing.
        KERN_MISSING_KC = 54;
        /// XNU: the collection of kernel extensions is not valid.
        KERN_INVALID_KC = 55;
        /// XNU: there is no such thing.
        KERN_NOT_FOUND = 56;
        /// XNU: the guard object has no such slot.
        KERN_INVALID_GUARD_OBJECT_SLOT = 57;
        /// XNU: the largest code of this kind.
        KERN_RETURN_MAX = 0x100;
        /// XNU: the trailer is not of a known type or too short; so it is on every untyped ABI. The same
        /// number as [`MIG_DESTROY_REQUEST`](Self::MIG_DESTROY_REQUEST).
        MIG_TRAILER_ERROR = -309;
        /// XNU: the voucher is not one. The same number as
        /// [`MACH_SEND_WILL_NOTIFY`](Self::MACH_SEND_WILL_NOTIFY).
        MACH_SEND_INVALID_VOUCHER = 0x1000_0005;
        /// XNU: the message is larger than the kernel carries, or has too many descriptors. The same number
        /// as [`MACH_SEND_NO_NOTIFY`](Self::MACH_SEND_NO_NOTIFY).
        MACH_SEND_TOO_LARGE = 0x1000_000e;
        /// XNU: the trailer is not of the kernel's form.
        MACH_SEND_INVALID_TRAILER = 0x1000_0011;
        /// XNU: the context is not valid.
        MACH_SEND_INVALID_CONTEXT = 0x1000_0012;
        /// XNU: the options do not fit together, or not the destination.
        MACH_SEND_INVALID_OPTIONS = 0x1000_0013;
        /// XNU: memory out of line is larger than a real-time message may have.
        MACH_SEND_INVALID_RT_OOL_SIZE = 0x1000_0015;
        /// XNU: the destination does not take rights.
        MACH_SEND_NO_GRANT_DEST = 0x1000_0016;
        /// XNU: a filter of messages refuses it.
        MACH_SEND_MSG_FILTERED = 0x1000_0017;
        /// XNU: the auxiliary data is smaller than its header.
        MACH_SEND_AUX_TOO_SMALL = 0x1000_0018;
        /// XNU: the auxiliary data is larger than the kernel carries.
        MACH_SEND_AUX_TOO_LARGE = 0x1000_0019;
        /// XNU: a descriptor of the scatter list is not valid.
        MACH_RCV_INVALID_TYPE = 0x1000_400d;
        /// XNU: a region of the scatter list is too small.
        MACH_RCV_SCATTER_SMALL = 0x1000_400e;
        /// XNU: the kernel has no such trailer.
        MACH_RCV_INVALID_TRAILER = 0x1000_400f;
        /// XNU: the thread waits, with a time.
        MACH_RCV_IN_PROGRESS_TIMED = 0x1000_4011;
        /// XNU: the reply port is not one that this message may have.
        MACH_RCV_INVALID_REPLY = 0x1000_4012;
        /// XNU: the arguments of the receive are not valid.
        MACH_RCV_INVALID_ARGUMENTS = 0x1000_4013;
        /// macOS: launchd, or the sandbox, refuses it.
        BOOTSTRAP_NOT_PRIVILEGED = 1100;
        /// macOS: the service has this name already.
        BOOTSTRAP_NAME_IN_USE = 1101;
        /// macOS: there is no such service.
        BOOTSTRAP_UNKNOWN_SERVICE = 1102;
        /// macOS: some process serves it already.
        BOOTSTRAP_SERVICE_ACTIVE = 1103;
        /// macOS: too many names.
        BOOTSTRAP_BAD_COUNT = 1104;
        /// macOS: launchd is short of memory.
        BOOTSTRAP_NO_MEMORY = 1105;
        /// macOS: the namespace has no children.
        BOOTSTRAP_NO_CHILDREN = 1106;
    }
}

impl KernReturn {
    /// The C name of this code, if every system that has the number has the same name for it.
    ///
    /// Some numbers mean different things to GNU Mach and to XNU; [`name_on`](Self::name_on) tells them
    /// apart.
    pub const fn name(self) -> Option<&'static str> {
        match (self.common(), self.gnu_mach(), self.xnu()) {
            (Some(name), ..) | (None, Some(name), None) | (None, None, Some(name)) => Some(name),
            _ => None,
        }
    }

    /// The C name of this code in the headers of a system.
    pub const fn name_on(self, system: System) -> Option<&'static str> {
        match (self.common(), system) {
            (Some(name), _) => Some(name),
            (None, System::GnuMach) => self.gnu_mach(),
            (None, System::Xnu) => self.xnu(),
            // What its headers have beyond these is not known here.
            (None, System::Osf) => match self {
                Self::MIG_TRAILER_ERROR => Some("MIG_TRAILER_ERROR"),
                _ => None,
            },
        }
    }

    /// The code as this system names it.
    pub(crate) const fn on_system(self, system: System) -> OnSystem {
        OnSystem { code: self, system }
    }

    /// Turns the code into a result: `Ok` for [`KERN_SUCCESS`](Self::KERN_SUCCESS).
    ///
    /// # Errors
    ///
    /// The code itself, if it is anything else.
    #[inline]
    pub const fn ok(self) -> Result<(), Self> {
        if self.0 == 0 { Ok(()) } else { Err(self) }
    }

    /// What the kernel adds to a code of `mach_msg` to say what it was short of (`MACH_MSG_MASK`): names,
    /// addresses, or memory of its own.
    const SHORTAGE: i32 = 0x3e00;

    /// True for a result of `mach_msg` that says that the send has failed (`MACH_SEND_…`): the message has
    /// not left. A kernel that runs out of memory while it takes a message in may return
    /// `MACH_MSG_VM_KERNEL`, or one of its kin, with no other code.
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

    /// A code of `mach_msg` without the bits that say what the kernel was short of (`MACH_MSG_VM_SPACE` and
    /// its kin), unless there is nothing else.
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

/// A [`KernReturn`] with the system that it comes from, which names it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OnSystem {
    code: KernReturn,
    system: System,
}

impl fmt::Display for OnSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        described(self.code, self.code.name_on(self.system), f)
    }
}

impl fmt::Debug for OnSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code.name_on(self.system) {
            Some(name) => f.write_str(name),
            None => write!(f, "KernReturn({})", Number(self.code.0)),
        }
    }
}

/// A code for people, with its name if it has one.
fn described(code: KernReturn, name: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match name {
        Some(name) => write!(f, "{name} ({})", Number(code.0)),
        None => write!(f, "return code {}", Number(code.0)),
    }
}

impl fmt::Display for KernReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.gnu_mach(), self.xnu()) {
            (None, Some(gnu), Some(xnu)) => {
                write!(f, "{gnu} on GNU Mach, {xnu} on XNU ({})", Number(self.0))
            }
            (name, ..) => described(*self, name, f),
        }
    }
}

impl fmt::Debug for KernReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.gnu_mach(), self.xnu()) {
            (Some(name), ..) => f.write_str(name),
            (None, Some(gnu), Some(xnu)) => write!(f, "{gnu}|{xnu}"),
            _ => write!(f, "KernReturn({})", Number(self.0)),
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
