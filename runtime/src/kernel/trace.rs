//! Events that show messages: the feature `tracing`.

use core::mem::MaybeUninit;

use super::{Kernel, MsgCall, NameOf};
use crate::kern_return::KernReturn;

/// [`Kernel::mach_msg`] with events: a message that is sent, the code with which the kernel refuses one, and
/// a message that is received.
///
/// # Safety
///
/// As that function's.
#[inline(always)]
pub(crate) unsafe fn mach_msg<K: Kernel>(
    kernel: &K,
    buffer: &mut [MaybeUninit<u64>],
    call: MsgCall<NameOf<K>>,
) -> Result<(), KernReturn> {
    #[cfg(feature = "tracing")]
    if call.send {
        // SAFETY: the caller's promise: the message is complete.
        unsafe { events::message("send", buffer) };
    }
    // SAFETY: the caller's promise.
    let result = unsafe { kernel.mach_msg(buffer, call) };
    #[cfg(feature = "tracing")]
    match result {
        // SAFETY: the kernel has delivered it.
        Ok(()) if call.receive.is_some() => unsafe { events::message("receive", buffer) },
        Ok(()) => {}
        Err(code) => events::failed(code),
    }
    result
}

#[cfg(feature = "tracing")]
mod events {
    use core::fmt::{self, Display, Formatter};
    use core::mem::{MaybeUninit, size_of_val};
    use core::slice;

    use crate::kern_return::KernReturn;

    /// A message at the beginning of a buffer.
    ///
    /// # Safety
    ///
    /// Its `msgh_size` bytes are there and initialised.
    #[cold]
    pub(super) unsafe fn message(what: &str, buffer: &[MaybeUninit<u64>]) {
        // If nobody listens, `enabled` finds that out faster than the event would.
        if !tracing::enabled!(target: "mach_msg", tracing::Level::TRACE) || buffer.is_empty() {
            return;
        }
        // SAFETY: the caller's promise; a message begins with `msgh_bits` and `msgh_size`.
        let size = unsafe { buffer.as_ptr().cast::<[u32; 2]>().read() }[1] as usize;
        let size = size.min(size_of_val(buffer));
        // SAFETY: the caller's promise, and `size` is not more than the buffer has.
        let bytes = unsafe { slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), size) };
        tracing::trace!(target: "mach_msg", bytes = %Hex(bytes), "{what}");
    }

    #[cold]
    pub(super) fn failed(code: KernReturn) {
        tracing::trace!(target: "mach_msg", %code, "failed");
    }

    /// Hexadecimal digits.
    struct Hex<'a>(&'a [u8]);

    impl Display for Hex<'_> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
}
