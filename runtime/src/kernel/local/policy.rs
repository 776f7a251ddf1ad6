//! What XNU refuses beyond Mach's rules: as data, so that a test can choose a version.

use super::state::{Port, PortId, State, TaskId};
use super::wire::{COMPLEX, Disposition, Wire};
use crate::abi::{Facts, System, TaskAbi};
use crate::kern_return::KernReturn;
use crate::kernel::{MsgCall, Name, PortKind};

/// What a host refuses although Mach's rules allow it.
///
/// Each of these is how a version of XNU treats every program; most of what they refuse, XNU punishes with
/// the end of the program. Here the call fails with the code that the program would have seen. A task that
/// plays the kernel ([`send_always`](super::Local::send_always)) may do everything.
///
/// ```
/// use mig_runtime::abi::Apple64;
/// use mig_runtime::kernel::local::{Host, Policies};
///
/// let monterey: Host<Apple64> = Host::with_policies(Policies::MACOS_12);
/// let newest: Host<Apple64> = Host::new(); // Policies::MACOS_26
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policies {
    /// A send says whether its destination is an object of the kernel ([`MsgCall::kernel_object`]); if it is
    /// wrong about that, it is `MACH_SEND_INVALID_OPTIONS`.
    pub kernel_objects: bool,
    /// A call to an object of the kernel sends and receives at once, else it is `MACH_SEND_INVALID_OPTIONS`.
    /// So it is for programs that are built with the SDK of macOS 15 or a newer one.
    pub kernel_calls_receive: bool,
    /// A dead-name notification that is asked for as such comes at once if the port is gone already; else it
    /// is `KERN_INVALID_ARGUMENT`, and only [`SendPossible`](crate::kernel::Notification::SendPossible) comes
    /// at once.
    pub dead_names_at_once: bool,
    /// How many descriptors a message to an object of the kernel may have; with more it is
    /// `MACH_SEND_TOO_LARGE`.
    pub kernel_descriptors: u32,
    /// Of a [reply port](PortKind::Reply) there is no right but the send-once right that a request's header
    /// makes, and only as the destination does that one move; the receive right does not.
    /// `KERN_INVALID_CAPABILITY`, and in messages `MACH_SEND_INVALID_RIGHT` or `MACH_SEND_INVALID_REPLY`.
    pub reply_ports: bool,
    /// The receive right of an [exception port](PortKind::Exception) does not move: the same codes.
    pub exception_ports: bool,
}

/// The place in a message for which a right is to be taken from a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The destination of a message.
    Destination,
    /// The reply port of a request.
    Reply,
    /// The body of a message, or a call on rights.
    Other,
}

impl Policies {
    /// Mach's rules alone.
    pub const NONE: Self = Self {
        kernel_objects: false,
        kernel_calls_receive: false,
        dead_names_at_once: true,
        kernel_descriptors: u32::MAX,
        reply_ports: false,
        exception_ports: false,
    };

    /// XNU of macOS 12.
    pub const MACOS_12: Self = Self::NONE;

    /// XNU of macOS 13 (xnu-8792).
    pub const MACOS_13: Self = Self {
        kernel_objects: true,
        dead_names_at_once: false,
        kernel_descriptors: 3,
        reply_ports: true,
        ..Self::MACOS_12
    };

    /// XNU of macOS 15 (xnu-11215).
    pub const MACOS_15: Self = Self { kernel_calls_receive: true, exception_ports: true, ..Self::MACOS_13 };

    /// XNU of macOS 26.
    pub const MACOS_26: Self = Self::MACOS_15;

    /// Those of the newest kernel that speaks this ABI.
    pub const fn of<A: TaskAbi>() -> Self {
        match A::FACTS.system {
            System::Xnu => Self::MACOS_26,
            System::GnuMach | System::Osf => Self::NONE,
        }
    }

    /// Checks what can be told before anything is taken from the sender.
    pub(super) fn check_schema(&self, wire: &Wire, call: &MsgCall) -> Result<(), KernReturn> {
        let facts: &Facts = wire.facts();
        let complex = wire.u32(0) & COMPLEX != 0 && wire.size() >= facts.header + 4;
        let descriptors = if complex { wire.u32(facts.header) } else { 0 };
        if self.kernel_objects && call.kernel_object && descriptors > self.kernel_descriptors {
            return Err(KernReturn::MACH_SEND_TOO_LARGE);
        }
        Ok(())
    }

    /// Whether a right of this port may be taken from its task.
    fn allows(&self, port: &Port, disposition: Disposition, place: Place) -> bool {
        use Disposition::{CopySend, MakeSend, MakeSendOnce, MoveReceive, MoveSend, MoveSendOnce};
        let moves_receive = disposition == MoveReceive;
        match port.kind {
            _ if moves_receive && port.kernel_object && self.kernel_objects => false,
            PortKind::Reply if self.reply_ports => match disposition {
                MakeSendOnce => place == Place::Reply,
                MoveSendOnce => place == Place::Destination,
                MoveReceive | MoveSend | CopySend | MakeSend => false,
            },
            PortKind::Exception if self.exception_ports => !moves_receive,
            _ => true,
        }
    }

    /// Whether a message may go to this port in this call.
    fn check_destination(&self, port: &Port, call: &MsgCall) -> Result<(), KernReturn> {
        let wrong = call.kernel_object != port.kernel_object;
        let half = call.kernel_object && call.receive.is_none() && self.kernel_calls_receive;
        match self.kernel_objects && (wrong || half) {
            true => Err(KernReturn::MACH_SEND_INVALID_OPTIONS),
            false => Ok(()),
        }
    }
}

impl State {
    /// The policies that hold for this task.
    pub(super) fn policies_for(&self, task: TaskId) -> Policies {
        let is_kernel = self.tasks.get(&task).is_some_and(|task| task.send_always);
        if is_kernel { Policies::NONE } else { self.policies }
    }

    /// Whether a right that a name denotes may be taken from this task.
    pub(super) fn is_allowed(
        &mut self,
        task: TaskId,
        name: Name,
        disposition: Disposition,
        place: Place,
    ) -> bool {
        let policies = self.policies_for(task);
        let port = self.port_of(task, name).and_then(|port| self.ports.get(&port));
        port.is_none_or(|port| policies.allows(port, disposition, place))
    }

    /// Whether a right may be made from a receive right of this task.
    pub(super) fn check_made(
        &mut self,
        task: TaskId,
        receive: Name,
        disposition: Disposition,
    ) -> Result<(), KernReturn> {
        match self.is_allowed(task, receive, disposition, Place::Other) {
            true => Ok(()),
            false => Err(KernReturn::KERN_INVALID_CAPABILITY),
        }
    }

    /// Whether a message of this task may go to this port in this call.
    pub(super) fn check_destination(
        &self,
        task: TaskId,
        port: PortId,
        call: &MsgCall,
    ) -> Result<(), KernReturn> {
        let port = self.ports.get(&port);
        port.map_or(Ok(()), |port| self.policies_for(task).check_destination(port, call))
    }
}
