//! Port rights as owned values.

pub(crate) mod array;
pub mod disposition;
mod release;

use core::fmt;

use crate::abi::{Abi, System};
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, NameOf, Notification, PortKind, PortName, RightKind};

pub use self::array::{ArrayRight, PortArray, Rights};
pub(crate) use self::release::{release, release_names};

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// A right that travels in messages: [`SendRight`], [`SendOnceRight`], [`ReceiveRight`].
pub trait Right<K: Kernel>: Sized + sealed::Sealed {
    /// The disposition that moves it; a receiver sees the same number.
    const MOVE: u8;

    /// The task that holds it.
    fn kernel(&self) -> &K;

    /// Its name in this task.
    fn name(&self) -> NameOf<K>;

    /// Owns a right that is known by name.
    ///
    /// # Safety
    ///
    /// The task of `kernel` holds one reference of this kind under `name` that nothing else will release, or
    /// `name` is null or dead.
    unsafe fn from_raw(kernel: K, name: NameOf<K>) -> Self;

    /// The name, and with it the duty to release the right.
    fn into_raw(self) -> NameOf<K>;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $right:ident, $kind:ident, $article:literal;)*) => { $(
        $(#[$doc])*
        pub struct $right<K: Kernel> {
            name: NameOf<K>,
            kernel: K,
        }

        impl<K: Kernel> $right<K> {
            #[doc = concat!("The null right (`MACH_PORT_NULL`), where ", $article, " right may be absent.")]
            #[inline]
            pub const fn null(kernel: K) -> Self {
                Self { name: PortName::NULL, kernel }
            }

            /// True for null and for dead names: no right is held.
            #[inline]
            pub fn is_null(&self) -> bool {
                !self.name.is_valid()
            }

            /// Its name in this task.
            #[inline]
            pub const fn name(&self) -> NameOf<K> {
                self.name
            }

            /// The task that holds it.
            #[inline]
            pub const fn kernel(&self) -> &K {
                &self.kernel
            }

            /// Owns a right that is known by name.
            ///
            /// # Safety
            ///
            /// The task of `kernel` holds one reference of this kind under `name` that nothing else will
            /// release, or `name` is null or dead.
            #[inline]
            pub const unsafe fn from_raw(kernel: K, name: NameOf<K>) -> Self {
                Self { name, kernel }
            }

            /// The name, and with it the duty to release the right.
            #[inline]
            pub fn into_raw(mut self) -> NameOf<K> {
                // What is left is null and has nothing to release.
                core::mem::replace(&mut self.name, PortName::NULL)
            }
        }

        impl<K: Kernel> Drop for $right<K> {
            #[inline]
            fn drop(&mut self) {
                if self.name.is_valid() {
                    // SAFETY: this value owns the reference, and ends here.
                    unsafe { self.kernel.release(RightKind::$kind, self.name) };
                }
            }
        }

        impl<K: Kernel> fmt::Debug for $right<K> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($right), "({:#x})"), self.name.word())
            }
        }
    )* };
}

macro_rules! travels {
    ($($right:ident, $disposition:ident;)*) => { $(
        impl<K: Kernel> sealed::Sealed for $right<K> {}

        impl<K: Kernel> Right<K> for $right<K> {
            const MOVE: u8 = disposition::$disposition;

            #[inline]
            fn kernel(&self) -> &K {
                &self.kernel
            }

            #[inline]
            fn name(&self) -> NameOf<K> {
                self.name
            }

            #[inline]
            unsafe fn from_raw(kernel: K, name: NameOf<K>) -> Self {
                Self { name, kernel }
            }

            #[inline]
            fn into_raw(self) -> NameOf<K> {
                self.into_raw()
            }
        }
    )* };
}

rights! {
    /// A send right (`MACH_PORT_RIGHT_SEND`): one user reference, released when dropped
    /// (`mach_port_deallocate`).
    ///
    /// A task has one name for all send rights to a port, and the kernel counts at most 65,534 references of
    /// it (GNU Mach), or 65,535 (XNU). On XNU a name that has reached this limit keeps its references for
    /// ever: all values stay valid, and the name is never free again. On GNU Mach
    /// [`try_clone`](Self::try_clone) then fails with `KERN_UREFS_OVERFLOW`, but references that messages
    /// bring are not counted beyond the limit. When all values are dropped, the last of them denote a name
    /// that is free, or that is another right's by then. No program can tell, so a server that keeps rights
    /// from strangers must bound how many it keeps.
    SendRight, Send, "a send";
    /// A send-once right (`MACH_PORT_RIGHT_SEND_ONCE`). Dropping it unused tells its port's receiver so: a
    /// send-once notification.
    SendOnceRight, SendOnce, "a send-once";
    /// A receive right (`MACH_PORT_RIGHT_RECEIVE`). Dropping it destroys the port.
    ReceiveRight, Receive, "a receive";
    /// A port set (`MACH_PORT_RIGHT_PORT_SET`): receives for all of its members. Dropping it leaves the
    /// members without a set.
    PortSet, PortSet, "a port set";
}

travels! {
    SendRight, MOVE_SEND;
    SendOnceRight, MOVE_SEND_ONCE;
    ReceiveRight, MOVE_RECEIVE;
}

impl<K: Kernel> SendRight<K> {
    /// Another reference of the same right (`mach_port_mod_refs` with +1).
    ///
    /// # Errors
    ///
    /// As that call: the port may have died, or the name has as many references as fit
    /// (`KERN_UREFS_OVERFLOW`, on GNU Mach).
    pub fn try_clone(&self) -> Result<Self, KernReturn> {
        if !self.is_null() {
            // SAFETY: the name of this right.
            unsafe { self.kernel.copy_send(self.name) }?;
        }
        Ok(Self { name: self.name, kernel: self.kernel.clone() })
    }
}

impl<K: Kernel> ReceiveRight<K> {
    /// Makes a port (`mach_port_allocate`).
    ///
    /// # Errors
    ///
    /// As that call: out of names or memory.
    pub fn allocate(kernel: &K) -> Result<Self, KernReturn> {
        Ok(Self { name: kernel.allocate_port()?, kernel: kernel.clone() })
    }

    /// Makes a port for the replies of calls: for `replyport` arguments, which take it as
    /// `AnyRight::make_send_once(&port)`.
    ///
    /// To XNU it is a reply port (`mach_port_construct` with `MPO_REPLY_PORT`), as the one that each thread
    /// has for calls without such an argument. macOS 26 ends a program that calls a service of launchd with a
    /// plain port for the reply. From macOS 13 on, no right to a reply port can be made but the one in the
    /// header of a request, and neither that one nor the receive right moves in a message. On other kernels,
    /// and before macOS 13, it is a port like any other.
    ///
    /// # Errors
    ///
    /// As `mach_port_construct`: out of names or memory.
    pub fn allocate_reply(kernel: &K) -> Result<Self, KernReturn> {
        Ok(Self { name: kernel.construct_port(PortKind::Reply)?, kernel: kernel.clone() })
    }

    /// Makes a port for the exceptions of threads and tasks.
    ///
    /// To XNU it is an exception port (`mach_port_construct` with `MPO_EXCEPTION_PORT`) from macOS 15 on: its
    /// receive right never leaves the task, and it is the only kind of immovable port that can be set for
    /// exceptions, as a hardened program must. On other kernels, and before that, it is a port like any
    /// other.
    ///
    /// # Errors
    ///
    /// As `mach_port_construct`: out of names or memory.
    pub fn allocate_exception(kernel: &K) -> Result<Self, KernReturn> {
        Ok(Self { name: kernel.construct_port(PortKind::Exception)?, kernel: kernel.clone() })
    }

    /// Makes a send right to this port (`mach_port_insert_right` with `MAKE_SEND`).
    ///
    /// # Errors
    ///
    /// As that call.
    pub fn make_send(&self) -> Result<SendRight<K>, KernReturn> {
        // SAFETY: the name of this right.
        unsafe { self.kernel.make_send(self.name) }?;
        Ok(SendRight { name: self.name, kernel: self.kernel.clone() })
    }

    /// Makes a send-once right to this port (`mach_port_extract_right` with `MAKE_SEND_ONCE`).
    ///
    /// # Errors
    ///
    /// As that call.
    pub fn make_send_once(&self) -> Result<SendOnceRight<K>, KernReturn> {
        // SAFETY: the name of this right.
        let name = unsafe { self.kernel.make_send_once(self.name) }?;
        Ok(SendOnceRight { name, kernel: self.kernel.clone() })
    }

    /// Asks for a notification about this port, sent to `notify`; gives back the right that was registered
    /// before (`mach_port_request_notification`).
    ///
    /// # Errors
    ///
    /// As that call.
    pub fn request_notification(
        &self,
        which: Notification,
        notify: &ReceiveRight<K>,
    ) -> Result<SendOnceRight<K>, KernReturn> {
        assert_same_task(&self.kernel, &notify.kernel);
        // SAFETY: the names of these rights, and the right that comes back is owned from here on.
        let name = unsafe { self.kernel.request_notification(self.name, which, notify.name) }?;
        Ok(SendOnceRight { name, kernel: self.kernel.clone() })
    }

    /// Takes the port out of the set that it is in.
    ///
    /// # Errors
    ///
    /// As `mach_port_move_member`: it is in none.
    pub fn leave_set(&self) -> Result<(), KernReturn> {
        // SAFETY: the name of this right.
        unsafe { self.kernel.move_member(self.name, PortName::NULL) }
    }
}

impl<K: Kernel> SendRight<K> {
    /// Asks for a dead-name notification about this right, sent to `notify`; gives back the right that was
    /// registered before.
    ///
    /// If the port has died already the notification comes at once; on GNU Mach itself this is
    /// `KERN_INVALID_ARGUMENT` instead.
    ///
    /// # Errors
    ///
    /// As `mach_port_request_notification`.
    pub fn request_dead_name(&self, notify: &ReceiveRight<K>) -> Result<SendOnceRight<K>, KernReturn> {
        assert_same_task(&self.kernel, &notify.kernel);
        let which = match K::Abi::FACTS.system {
            System::Xnu => Notification::SendPossible,
            System::GnuMach | System::Osf => Notification::DeadName,
        };
        // SAFETY: the names of these rights, and the right that comes back is owned from here on.
        let name = unsafe { self.kernel.request_notification(self.name, which, notify.name) }?;
        Ok(SendOnceRight { name, kernel: self.kernel.clone() })
    }
}

/// A reference of a dead name: what a dead-name notification brings, so that the name cannot be given to
/// another right before its receiver has looked at it. Dropping it releases the reference.
///
/// ```ignore
/// use mach_defs::gnu::notify::Notify;
/// use mig_runtime::{DeadName, KernReturn, Kernel, Port, abi};
///
/// struct Watch;
///
/// impl<K: Kernel<Abi = abi::Gnu>> Notify<K> for Watch {
///     fn mach_notify_dead_name(&self, _: Port<'_, K>, name: DeadName<K>) -> Result<(), KernReturn> {
///         println!("the port of {:?} is gone", name.name());
///         Ok(()) // the reference is released here
///     }
/// }
/// ```
pub struct DeadName<K: Kernel> {
    name: NameOf<K>,
    /// The kernel has sent the notification, so that it brought a reference.
    owned: bool,
    kernel: K,
}

impl<K: Kernel> DeadName<K> {
    /// # Safety
    ///
    /// If `owned`, the task of `kernel` holds one reference of the dead name that nothing else will release.
    pub(crate) const unsafe fn new(kernel: K, name: NameOf<K>, owned: bool) -> Self {
        Self { name, owned, kernel }
    }

    /// The name: that of the send or send-once right whose port has died. Compare it with
    /// [`SendRight::name`].
    #[inline]
    pub const fn name(&self) -> NameOf<K> {
        self.name
    }

    /// Whether the kernel has sent the notification. One that a task with a send right to the port has made
    /// up brings no reference, and may be false.
    #[inline]
    pub const fn is_genuine(&self) -> bool {
        self.owned
    }

    /// The task that holds it.
    #[inline]
    pub const fn kernel(&self) -> &K {
        &self.kernel
    }
}

impl<K: Kernel> Drop for DeadName<K> {
    fn drop(&mut self) {
        if self.owned && self.name.is_valid() {
            // SAFETY: as `new` was promised, and this is the end of it.
            unsafe { self.kernel.release(RightKind::DeadName, self.name) };
        }
    }
}

impl<K: Kernel> fmt::Debug for DeadName<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadName({:#x})", self.name.word())
    }
}

impl<K: Kernel> PortSet<K> {
    /// Makes an empty port set (`mach_port_allocate`).
    ///
    /// # Errors
    ///
    /// As that call: out of names or memory.
    pub fn allocate(kernel: &K) -> Result<Self, KernReturn> {
        Ok(Self { name: kernel.allocate_port_set()?, kernel: kernel.clone() })
    }

    /// Moves a port into this set (`mach_port_move_member`).
    ///
    /// # Errors
    ///
    /// As that call.
    pub fn insert(&self, port: &ReceiveRight<K>) -> Result<(), KernReturn> {
        assert_same_task(&self.kernel, &port.kernel);
        // SAFETY: the names of these rights.
        unsafe { self.kernel.move_member(port.name, self.name) }
    }
}

/// A right together with what happens to it when it is sent: a destination, a reply port, or a polymorphic
/// argument (`mach_msg_type_name_t` and name in one).
///
/// ```
/// use mig_runtime::{AnyRight, Kernel, ReceiveRight, SendRight};
///
/// fn ways<'a, K: Kernel>(mine: SendRight<K>, yours: &'a SendRight<K>, port: &'a ReceiveRight<K>) -> [AnyRight<'a, K>; 3] {
///     [mine.into(), AnyRight::copy_send(yours), AnyRight::make_send_once(port)]
/// }
/// ```
#[derive(Debug)]
pub enum AnyRight<'a, K: Kernel> {
    /// `MACH_MSG_TYPE_MOVE_RECEIVE`
    MoveReceive(ReceiveRight<K>),
    /// `MACH_MSG_TYPE_MOVE_SEND`
    MoveSend(SendRight<K>),
    /// `MACH_MSG_TYPE_MOVE_SEND_ONCE`
    MoveSendOnce(SendOnceRight<K>),
    /// `MACH_MSG_TYPE_COPY_SEND`
    CopySend(&'a SendRight<K>),
    /// `MACH_MSG_TYPE_MAKE_SEND`
    MakeSend(&'a ReceiveRight<K>),
    /// `MACH_MSG_TYPE_MAKE_SEND_ONCE`
    MakeSendOnce(&'a ReceiveRight<K>),
    /// No right at all, but a word of plain data; only a polymorphic argument can be this.
    Data(Word),
}

impl<'a, K: Kernel> AnyRight<'a, K> {
    /// Moves a receive right.
    #[inline]
    pub const fn move_receive(right: ReceiveRight<K>) -> Self {
        Self::MoveReceive(right)
    }

    /// Moves a send right.
    #[inline]
    pub const fn move_send(right: SendRight<K>) -> Self {
        Self::MoveSend(right)
    }

    /// Moves a send-once right.
    #[inline]
    pub const fn move_send_once(right: SendOnceRight<K>) -> Self {
        Self::MoveSendOnce(right)
    }

    /// Copies a send right.
    #[inline]
    pub const fn copy_send(right: &'a SendRight<K>) -> Self {
        Self::CopySend(right)
    }

    /// Makes a send right from a receive right.
    #[inline]
    pub const fn make_send(right: &'a ReceiveRight<K>) -> Self {
        Self::MakeSend(right)
    }

    /// Makes a send-once right from a receive right.
    #[inline]
    pub const fn make_send_once(right: &'a ReceiveRight<K>) -> Self {
        Self::MakeSendOnce(right)
    }

    /// The name in this task.
    #[inline]
    pub fn name(&self) -> NameOf<K> {
        match self {
            Self::MoveReceive(right) => right.name(),
            Self::MakeSend(right) | Self::MakeSendOnce(right) => right.name(),
            Self::MoveSend(right) => right.name(),
            Self::CopySend(right) => right.name(),
            Self::MoveSendOnce(right) => right.name(),
            Self::Data(word) => PortName::from_word(word.value().into()),
        }
    }

    /// The task that holds it; nobody holds plain data.
    pub const fn kernel(&self) -> Option<&K> {
        match self {
            Self::MoveReceive(right) => Some(right.kernel()),
            Self::MakeSend(right) | Self::MakeSendOnce(right) => Some(right.kernel()),
            Self::MoveSend(right) => Some(right.kernel()),
            Self::CopySend(right) => Some(right.kernel()),
            Self::MoveSendOnce(right) => Some(right.kernel()),
            Self::Data(_) => None,
        }
    }

    /// The number in the type word.
    #[inline]
    pub const fn disposition(&self) -> u8 {
        match self {
            Self::MoveReceive(_) => disposition::MOVE_RECEIVE,
            Self::MoveSend(_) => disposition::MOVE_SEND,
            Self::MoveSendOnce(_) => disposition::MOVE_SEND_ONCE,
            Self::CopySend(_) => disposition::COPY_SEND,
            Self::MakeSend(_) => disposition::MAKE_SEND,
            Self::MakeSendOnce(_) => disposition::MAKE_SEND_ONCE,
            Self::Data(word) => word.name(),
        }
    }

    /// The name and the disposition, for a message that now owns what is moved.
    #[inline]
    pub(crate) fn into_wire(self) -> (NameOf<K>, u8) {
        let wire = (self.name(), self.disposition());
        match self {
            Self::MoveReceive(right) => drop(right.into_raw()),
            Self::MoveSend(right) => drop(right.into_raw()),
            Self::MoveSendOnce(right) => drop(right.into_raw()),
            _ => {}
        }
        wire
    }

    /// The same for a field of the header, where plain data counts as no right.
    #[inline]
    pub(crate) fn into_header(self) -> (NameOf<K>, u8) {
        match self {
            Self::Data(_) => (PortName::NULL, 0),
            right => right.into_wire(),
        }
    }

    /// Owns what a message has brought under this name.
    ///
    /// # Safety
    ///
    /// As [`Right::from_raw`], for the kind that `disposition` says; that of a move.
    #[inline]
    pub(crate) unsafe fn from_wire(kernel: K, name: NameOf<K>, disposition: u8) -> Option<Self> {
        match disposition {
            // SAFETY: the caller's promise, for this kind.
            disposition::MOVE_RECEIVE => Some(Self::MoveReceive(unsafe { Right::from_raw(kernel, name) })),
            // SAFETY: as above.
            disposition::MOVE_SEND => Some(Self::MoveSend(unsafe { Right::from_raw(kernel, name) })),
            // SAFETY: as above.
            disposition::MOVE_SEND_ONCE => Some(Self::MoveSendOnce(unsafe { Right::from_raw(kernel, name) })),
            _ => None,
        }
    }
}

impl<K: Kernel> From<ReceiveRight<K>> for AnyRight<'_, K> {
    fn from(right: ReceiveRight<K>) -> Self {
        Self::MoveReceive(right)
    }
}

impl<K: Kernel> From<SendRight<K>> for AnyRight<'_, K> {
    fn from(right: SendRight<K>) -> Self {
        Self::MoveSend(right)
    }
}

impl<K: Kernel> From<SendOnceRight<K>> for AnyRight<'_, K> {
    fn from(right: SendOnceRight<K>) -> Self {
        Self::MoveSendOnce(right)
    }
}

impl<'a, K: Kernel> From<&'a SendRight<K>> for AnyRight<'a, K> {
    fn from(right: &'a SendRight<K>) -> Self {
        Self::CopySend(right)
    }
}

/// A word of plain data in the place of a right, which only a polymorphic argument can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    name: u8,
    value: u32,
}

impl Word {
    /// A word of this message type; `None` if that is the type of a right.
    pub const fn new(name: u8, value: u32) -> Option<Self> {
        if disposition::is_right(name) { None } else { Some(Self { name, value }) }
    }

    /// The message type: never that of a right.
    pub const fn name(self) -> u8 {
        self.name
    }

    /// The word.
    pub const fn value(self) -> u32 {
        self.value
    }
}

/// Where a message goes: a right, and what sending does to it.
pub type Dest<'a, K> = AnyRight<'a, K>;

/// Ends the program if two tasks differ where a name of one would be taken for a name of the other.
#[inline]
pub(crate) fn assert_same_task<K: Kernel>(task: &K, other: &K) {
    assert!(task.is_same_task(other), "a right of another task: names mean nothing there");
}
