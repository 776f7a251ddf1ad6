//! An object: its memory, its manager's rights, and what is on its way to that manager.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use mach_defs::gnu::mach::{VmOffset, VmSize};
use mig_runtime::kernel::NoWait;
use mig_runtime::kernel::local::Local;
use mig_runtime::{AnyRight, CallError, KernReturn, ReceiveRight, SendRight};

use crate::pages::ObjectId;
use crate::source::Source;
use crate::space::{PAGE, Space};

/// The kernel's task. A kernel does not wait for its managers.
pub(crate) type Task = NoWait<Local>;

/// An object and its memory.
pub(crate) struct Object {
    pub(crate) id: ObjectId,
    pub(crate) space: Space,
    pub(crate) writable: bool,
    /// The manager had it before it was mapped, and keeps it.
    pub(crate) external: bool,
    /// Where in the manager's object it begins, in bytes.
    pub(crate) offset: u64,
    pub(crate) ports: Mutex<Manager>,
    pub(crate) ready: Mutex<Option<Attributes>>,
    /// Pages that cannot be written.
    pub(crate) protected: Mutex<BTreeSet<usize>>,
    /// Where pages are that the process has from its parent.
    pub(crate) source: Option<Arc<dyn Source>>,
}

/// Who manages an object.
#[derive(Default)]
pub(crate) enum Manager {
    /// Nobody yet.
    #[default]
    None,
    /// The default manager is being told.
    Making,
    Known(Arc<Ports>),
}

/// What a manager has said of its object.
#[derive(Clone, Copy)]
pub(crate) struct Attributes {
    pub(crate) may_cache: bool,
    pub(crate) copy_strategy: i32,
}

/// A `memory_object_lock_request`.
pub(crate) struct Flush {
    pub(crate) object: Arc<Object>,
    pub(crate) offset: VmOffset,
    pub(crate) size: VmSize,
    pub(crate) reply_to: AnyRight<'static, Task>,
}

/// The rights of an object that has a manager.
pub(crate) struct Ports {
    pub(crate) object: SendRight<Task>,
    pub(crate) control: ReceiveRight<Task>,
    pub(crate) name: ReceiveRight<Task>,
}

impl Ports {
    /// The rights of a `memory_object_terminate` that was not sent.
    pub(crate) fn of_terminate(error: CallError<Task>) -> Option<Self> {
        let mut message = error.into_unsent()?;
        let AnyRight::MoveSend(object) = message.take_destination()? else { return None };
        let (control, name) =
            message.read(|mut body| Some((body.receive_right().ok()?, body.receive_right().ok()?)))?;
        Some(Self { object, control, name })
    }
}

/// Why a message did not go out.
pub(crate) enum NotSent {
    /// The manager's queue is full.
    Full,
    Gone,
}

impl From<CallError<Task>> for NotSent {
    fn from(error: CallError<Task>) -> Self {
        if error.code() == KernReturn::MACH_SEND_TIMED_OUT { Self::Full } else { Self::Gone }
    }
}

/// An offset or a size, of which some targets have short ones.
pub(crate) fn wide(value: impl Into<u64>) -> u64 {
    value.into()
}

impl Object {
    /// Memory that is this process's own, and has no manager yet.
    pub(crate) fn anonymous(id: ObjectId, space: Space) -> Self {
        Self {
            id,
            space,
            writable: true,
            external: false,
            offset: 0,
            ports: Mutex::default(),
            ready: Mutex::default(),
            protected: Mutex::default(),
            source: None,
        }
    }

    /// Where a page is in the manager's object.
    pub(crate) fn place(&self, page: usize) -> VmOffset {
        // No mapping goes beyond what this type has.
        (self.offset + (page * PAGE) as u64) as VmOffset
    }

    /// The pages of a range of the manager's object that are mapped here, by the number that they have here.
    pub(crate) fn range(&self, offset: VmOffset, size: VmSize) -> std::ops::Range<usize> {
        let (offset, size) = (wide(offset), wide(size));
        let pages = self.space.len() / PAGE;
        let page = |at: u64| {
            usize::try_from(at.saturating_sub(self.offset) / PAGE as u64).map_or(pages, |at| at.min(pages))
        };
        page(offset)..page(offset.saturating_add(size).saturating_add(PAGE as u64 - 1))
    }
}
