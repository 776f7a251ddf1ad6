//! Handing an exception on to the server that would have had it.

use mach_defs::apple_64::exc;
use mach_defs::apple_64::mach_exc::{self, Abi, ExceptionType, Natural};
use mach_defs::apple_64::task::TaskSwapExceptionPortsReply;
use mach_defs::apple_64::thread_act::{thread_get_state, thread_set_state};
use mig_runtime::{ArrayVec, KernReturn, Kernel, SendRight};

use crate::ThreadState;

/// `EXCEPTION_DEFAULT`
const DEFAULT: i32 = 1;
/// `EXCEPTION_STATE`
const STATE: i32 = 2;
/// `EXCEPTION_STATE_IDENTITY`
pub(crate) const STATE_IDENTITY: i32 = 3;
/// `MACH_EXCEPTION_CODES`: codes of 64 bits.
pub(crate) const WIDE_CODES: i32 = i32::MIN;

/// The longest state of a thread, in words.
const STATE_MAX: u32 = 1296;

/// An exception, as a message with state and identity brings it.
pub struct Raised<'a, K: Kernel> {
    /// The thread; it stands still until the reply.
    pub thread: &'a SendRight<K>,
    /// Its task.
    pub task: &'a SendRight<K>,
    /// What happened.
    pub exception: ExceptionType,
    /// The code and the subcode; of a bad access why it is one, and the address.
    pub code: &'a [i64],
    /// The layout of `state`.
    pub flavor: i32,
    /// The registers.
    pub state: &'a [Natural],
}

/// Exception servers, each for some exceptions.
pub struct Handlers<K: Kernel>(Vec<Handler<K>>);

struct Handler<K: Kernel> {
    mask: i32,
    port: SendRight<K>,
    behavior: i32,
    flavor: i32,
}

impl<K: Kernel<Abi = Abi>> From<TaskSwapExceptionPortsReply<K>> for Handlers<K> {
    fn from(old: TaskSwapExceptionPortsReply<K>) -> Self {
        let ports = old.masks.into_iter().zip(old.old_handlers);
        let forms = old.old_behaviors.into_iter().zip(old.old_flavors);
        let handlers = ports.zip(forms).filter(|((_, port), _)| !port.is_null());
        Self(
            handlers
                .map(|((mask, port), (behavior, flavor))| Handler { mask, port, behavior, flavor })
                .collect(),
        )
    }
}

impl<K: Kernel<Abi = Abi>> Handlers<K> {
    /// Asks the server for this exception, in the form that it wants, and returns the registers with which
    /// the thread goes on.
    ///
    /// # Errors
    ///
    /// Its answer; `KERN_FAILURE` if there is no such server.
    pub fn forward(&self, raised: &Raised<'_, K>) -> Result<ThreadState, KernReturn> {
        let handles = |handler: &&Handler<K>| handler.mask & (1 << raised.exception) != 0;
        let handler = self.0.iter().find(handles).ok_or(KernReturn::KERN_FAILURE)?;
        match handler.behavior & !WIDE_CODES {
            DEFAULT => {
                handler.raise(raised)?;
                // It may have set the registers of the thread.
                Ok(thread_get_state(raised.thread, raised.flavor, STATE_MAX)?)
            }
            STATE | STATE_IDENTITY if handler.flavor == raised.flavor => {
                handler.raise_with_state(raised, raised.state)
            }
            STATE | STATE_IDENTITY => {
                // It wants other registers than came, so they are read from the thread, and written back to
                // it.
                let state = thread_get_state(raised.thread, handler.flavor, STATE_MAX)?;
                let new_state = handler.raise_with_state(raised, &state)?;
                thread_set_state(raised.thread, handler.flavor, &new_state)?;
                Ok(thread_get_state(raised.thread, raised.flavor, STATE_MAX)?)
            }
            _ => Err(KernReturn::KERN_FAILURE),
        }
    }
}

impl<K: Kernel<Abi = Abi>> Handler<K> {
    fn raise(&self, raised: &Raised<'_, K>) -> Result<(), KernReturn> {
        let &Raised { thread, task, exception, code, .. } = raised;
        if self.wants_wide_codes() {
            mach_exc::mach_exception_raise(&self.port, thread, task, exception, code)?;
        } else {
            exc::exception_raise(&self.port, thread, task, exception, &narrow(code))?;
        }
        Ok(())
    }

    fn raise_with_state(&self, raised: &Raised<'_, K>, state: &[Natural]) -> Result<ThreadState, KernReturn> {
        let &Raised { thread, task, exception, code, .. } = raised;
        let (port, flavor) = (&self.port, self.flavor);
        let identity = self.behavior & !WIDE_CODES == STATE_IDENTITY;
        Ok(match (identity, self.wants_wide_codes()) {
            (false, true) => {
                mach_exc::mach_exception_raise_state(port, exception, code, flavor, state)?.new_state
            }
            (false, false) => {
                exc::exception_raise_state(port, exception, &narrow(code), flavor, state)?.new_state
            }
            (true, true) => {
                let raise = mach_exc::mach_exception_raise_state_identity;
                raise(port, thread, task, exception, code, flavor, state)?.new_state
            }
            (true, false) => {
                let raise = exc::exception_raise_state_identity;
                raise(port, thread, task, exception, &narrow(code), flavor, state)?.new_state
            }
        })
    }

    fn wants_wide_codes(&self) -> bool {
        self.behavior & WIDE_CODES != 0
    }
}

/// Codes as the kernel narrows them: the upper half is lost.
fn narrow(code: &[i64]) -> ArrayVec<i32, 2> {
    // The interface bounds them by two.
    code.iter().take(2).map(|&code| code as i32).collect()
}
