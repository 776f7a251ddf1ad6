//! Why a call did not do what it was asked to.

use core::fmt;
use core::num::NonZeroI32;

use alloc::boxed::Box;

use super::details::{Details, Routine};
use super::unsent::Unsent;
use crate::kern_return::KernReturn;
use crate::kernel::Kernel;
use crate::message::malformed::Malformed;

/// Why a call did not do what it was asked to: what the server answered, what is wrong with the reply, or why
/// `mach_msg` failed.
///
/// If the request was not sent, it is in here, and dropping the error releases what it holds.
///
/// The fields have the order of C, so that the register in which `mach_msg` returns its code has it here,
/// too.
#[repr(C)]
pub struct CallError<K: Kernel> {
    code: NonZeroI32,
    kind: CallErrorKind,
    details: Option<Details<K>>,
}

/// Who said that a call has failed, and how far it had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// This side, before it asked the kernel: an argument is larger than its declaration allows
    /// (`MIG_ARRAY_TOO_LARGE`), or there is no memory or no reply port. Nothing was sent.
    /// [`CallError::into_unsent`] gives the request back, but for one that was not complete: there was no
    /// memory for it. So is a code that was made an error with `?`.
    Refused,
    /// The kernel: the request was not sent. [`CallError::into_unsent`] gives back what remains of it.
    NotSent,
    /// The kernel: the request was sent, and no reply could be received.
    NoReply,
    /// The kernel: the right to reply was destroyed, by the server or with it (`MIG_SERVER_DIED`).
    ServerDied,
    /// The server: the code is its answer.
    Answer,
    /// This side: a reply came and is not as declared.
    Malformed,
}

impl<K: Kernel> CallError<K> {
    /// The code that the C stub returns.
    #[inline]
    pub fn code(&self) -> KernReturn {
        KernReturn(self.code.get())
    }

    /// Who said that the call has failed, and how far it had come.
    ///
    /// ```
    /// use mig_runtime::{CallError, CallErrorKind, Kernel};
    ///
    /// /// Whether it makes sense to try once more, with the same arguments.
    /// fn again<K: Kernel>(error: &CallError<K>) -> bool {
    ///     matches!(error.kind(), CallErrorKind::NotSent | CallErrorKind::NoReply)
    /// }
    /// ```
    #[inline]
    pub fn kind(&self) -> CallErrorKind {
        self.kind
    }

    /// True if the request was not sent, whether this side refused it or the kernel.
    pub fn is_unsent(&self) -> bool {
        matches!(self.kind, CallErrorKind::NotSent | CallErrorKind::Refused)
    }

    /// The request, if the kernel did not send it, or if it was complete when this side refused it.
    pub fn into_unsent(self) -> Option<Unsent<K>> {
        Some(*self.details?.into_unsent()?)
    }

    /// The routine that was called, as the `.defs` name it; `None` in an error of a stub that was not
    /// generated.
    pub fn routine(&self) -> Option<&'static str> {
        match self.details.as_ref()?.get() {
            Ok(unsent) => unsent.routine.copied(),
            Err(routine) => Some(*routine),
        }
    }

    /// The same error, of this routine.
    #[cold]
    #[inline(never)]
    fn of(mut self, routine: Routine) -> Self {
        let request = self.details.take().and_then(Details::into_unsent);
        self.details = Some(match request {
            Some(mut request) => {
                request.routine = Some(routine);
                Details::unsent(request)
            }
            None => Details::name(routine),
        });
        self
    }
}

/// What a generated function of a client does: its errors know the routine's name.
///
/// The name costs the calls that succeed nothing, for it is put into the error afterwards.
#[inline(always)]
pub fn routine<T, K: Kernel>(
    name: &'static &'static str,
    call: impl FnOnce() -> Result<T, CallError<K>>,
) -> Result<T, CallError<K>> {
    match call() {
        Ok(results) => Ok(results),
        Err(error) => Err(error.of(name)),
    }
}

impl<K: Kernel> CallError<K> {
    #[inline]
    pub(super) fn new(code: KernReturn, kind: CallErrorKind, unsent: Option<Unsent<K>>) -> Self {
        // An error that says success would be one of the caller's; it stays an error.
        let failure = const { NonZeroI32::new(KernReturn::KERN_FAILURE.0).unwrap() };
        let details = unsent.map(|request| Details::unsent(Box::new(request)));
        Self { code: NonZeroI32::new(code.0).unwrap_or(failure), kind, details }
    }

    /// The server's answer, which is no success.
    #[inline]
    pub(super) fn answer(code: KernReturn) -> Self {
        Self::new(code, CallErrorKind::Answer, None)
    }
}

impl<K: Kernel> From<KernReturn> for CallError<K> {
    #[inline]
    fn from(code: KernReturn) -> Self {
        Self::new(code, CallErrorKind::Refused, None)
    }
}

impl<K: Kernel> From<Malformed> for CallError<K> {
    /// The error of a call whose reply is malformed.
    fn from(malformed: Malformed) -> Self {
        let code = match malformed {
            Malformed::Count => KernReturn::MIG_ARRAY_TOO_LARGE,
            Malformed::Trailer => KernReturn::MIG_TRAILER_ERROR,
            _ => KernReturn::MIG_TYPE_ERROR,
        };
        Self::new(code, CallErrorKind::Malformed, None)
    }
}

impl<K: Kernel> From<CallError<K>> for KernReturn {
    fn from(error: CallError<K>) -> Self {
        error.code()
    }
}

impl<K: Kernel> fmt::Display for CallError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(routine) = self.routine() {
            write!(f, "{routine}: ")?;
        }
        let unsent = self.details.as_ref().and_then(|details| details.get().ok());
        match (self.kind, unsent) {
            (CallErrorKind::NotSent, Some(unsent)) => write!(f, "request {} not sent: ", unsent.id())?,
            (CallErrorKind::NotSent, None) => f.write_str("request not sent: ")?,
            // A code that was made an error is the whole story.
            (CallErrorKind::Refused, None) if self.details.is_none() => {}
            (CallErrorKind::Refused, _) => f.write_str("refused before it was sent: ")?,
            (CallErrorKind::NoReply, _) => f.write_str("request sent, but no reply received: ")?,
            (CallErrorKind::ServerDied, _) => f.write_str("the server will not answer: ")?,
            (CallErrorKind::Answer, _) => f.write_str("the server answered ")?,
            (CallErrorKind::Malformed, _) => f.write_str("the reply is not as declared: ")?,
        }
        write!(f, "{}", self.code().on::<K::Abi>())
    }
}

impl<K: Kernel> fmt::Debug for CallError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("CallError");
        if let Some(routine) = self.routine() {
            fields.field("routine", &routine);
        }
        fields.field("code", &self.code().on::<K::Abi>()).field("kind", &self.kind).finish()
    }
}

impl<K: Kernel> core::error::Error for CallError<K> {}
