//! An exception server: catches bad memory accesses of another task, and forwards what it does not handle.
//!
//! [`Catcher`] is all of it. It is generic over the kernel, so that it runs on macOS as it runs, in the
//! tests, on [`emulated`] hardware.

pub mod emulated;
mod forward;
pub mod registers;

use mach_defs::apple_64::mach_exc::{
    Abi, ExceptionType, MachExc, MachExceptionRaiseStateIdentityReply as NewState, Natural,
};
use mig_runtime::{ArrayVec, KernReturn, Kernel, Port, SendRight};

pub use forward::{Handlers, Raised};

/// The registers of a thread, by value: a server of exceptions calls no allocator.
pub type ThreadState = ArrayVec<Natural, 1296>;

/// `EXC_BAD_ACCESS`: an address that is not mapped, or not for this access.
pub const EXC_BAD_ACCESS: i32 = 1;
/// `EXC_MASK_BAD_ACCESS`
pub const EXC_MASK_BAD_ACCESS: i32 = 1 << EXC_BAD_ACCESS;
/// `EXCEPTION_STATE_IDENTITY | MACH_EXCEPTION_CODES`: the message has rights to the thread and the task, the
/// registers, and wide codes.
pub const BEHAVIOR: i32 = forward::STATE_IDENTITY | forward::WIDE_CODES;

/// The exception server.
///
/// It asks `repair` about each bad access; where that can repair it, it returns the registers with which the
/// thread goes on. Everything else goes to the handlers that were there before, and if there is none, or it
/// refuses, to the kernel with an error, which looks further.
pub struct Catcher<K: Kernel, F> {
    repair: F,
    previous: Handlers<K>,
}

impl<K, F> Catcher<K, F>
where
    K: Kernel<Abi = Abi>,
    F: Fn(&Raised<'_, K>) -> Option<ThreadState>,
{
    /// A server that is asked before the handlers that it replaces.
    pub fn new(previous: Handlers<K>, repair: F) -> Self {
        Self { repair, previous }
    }
}

impl<K, F> MachExc<K> for Catcher<K, F>
where
    K: Kernel<Abi = Abi>,
    F: Fn(&Raised<'_, K>) -> Option<ThreadState>,
{
    // The rights to the thread and the task are this function's: they are released when it returns, whatever
    // it returns.
    fn mach_exception_raise_state_identity(
        &self,
        _exception_port: Port<'_, K>,
        thread: SendRight<K>,
        task: SendRight<K>,
        exception: ExceptionType,
        code: &[i64],
        flavor: i32,
        old_state: &[Natural],
    ) -> Result<NewState, KernReturn> {
        let raised = Raised { thread: &thread, task: &task, exception, code, flavor, state: old_state };
        let repaired = if exception == EXC_BAD_ACCESS { (self.repair)(&raised) } else { None };
        let new_state = repaired.map_or_else(|| self.previous.forward(&raised), Ok)?;
        Ok(NewState { flavor, new_state })
    }
}
