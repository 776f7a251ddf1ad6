//! This task: the program, as the kernel sees it, and rights of it that are borrowed for a call.

use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::sync::atomic::{AtomicU32, Ordering};

use mig_runtime::Name;

use crate::trap;

/// A send right of this task.
pub type SendRight = mig_runtime::SendRight<GnuMach>;

/// A receive right of this task.
pub type ReceiveRight = mig_runtime::ReceiveRight<GnuMach>;

/// GNU Mach, as the task that this program is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnuMach;

/// The name of this task's port, once it is known.
static TASK: AtomicU32 = AtomicU32::new(0);

/// After a fork: this task is another one.
pub(crate) fn forget_task() {
    TASK.store(0, Ordering::Relaxed);
}

/// A right of the program that nobody drops: it can be used, and neither released nor taken.
#[derive(Debug)]
pub struct Borrowed<R>(ManuallyDrop<R>);

impl<R> Deref for Borrowed<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.0
    }
}

/// This task, borrowed for a call.
///
/// Whoever holds this right can do anything to the task, as by writing to `/proc/self/mem` elsewhere: calls
/// such as `vm_deallocate` or `mach_port_deallocate` are safe functions that take numbers. What they do to
/// memory and rights that somebody owns is not the compiler's to find.
pub fn task() -> Borrowed<SendRight> {
    let mut name = TASK.load(Ordering::Relaxed);
    if name == 0 {
        name = trap::task_self().0;
        TASK.store(name, Ordering::Relaxed);
    }
    borrowed(Name(name))
}

/// A send right that stays with its owner.
pub(crate) fn borrowed(name: Name) -> Borrowed<SendRight> {
    // SAFETY: it is not dropped, so no reference is released.
    Borrowed(ManuallyDrop::new(unsafe { SendRight::from_raw(GnuMach, name) }))
}

/// A receive right that stays with its owner.
pub(crate) fn borrowed_receive(name: Name) -> Borrowed<ReceiveRight> {
    // SAFETY: it is not dropped, so the port lives on.
    Borrowed(ManuallyDrop::new(unsafe { ReceiveRight::from_raw(GnuMach, name) }))
}
