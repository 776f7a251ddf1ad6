//! Message ids with a meaning of their own.

/// A reply's message id is its request's plus this.
pub const REPLY_ID: i32 = 100;

/// The message ids of the kernel's notifications: `mach/notify.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum NotificationId {
    /// `MACH_NOTIFY_PORT_DELETED`
    PortDeleted = 65,
    /// `MACH_NOTIFY_SEND_POSSIBLE`, of XNU.
    SendPossible = 66,
    /// `MACH_NOTIFY_PORT_DESTROYED`
    PortDestroyed = 69,
    /// `MACH_NOTIFY_NO_SENDERS`
    NoSenders = 70,
    /// `MACH_NOTIFY_SEND_ONCE`
    SendOnce = 71,
    /// `MACH_NOTIFY_DEAD_NAME`
    DeadName = 72,
}
