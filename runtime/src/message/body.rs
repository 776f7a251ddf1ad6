//! Reading the arguments of a received message. The bytes are hostile until a check has passed.

use super::format::{FormatOf, Rules};
use super::malformed::Malformed;
use super::shape::Origin;
use crate::kernel::Kernel;
use crate::memory::OolMemory;
use crate::right::{AnyRight, ArrayRight, ReceiveRight, Right, Rights, SendOnceRight, SendRight};

/// The arguments of a received message, read in the order of its slots.
///
/// Each method checks the type word or the descriptor of the next argument and then takes the argument out.
/// What has not been taken still belongs to the message and is released when this is dropped. The kernel
/// processes type words and descriptors only in messages with the complex bit, so nothing in another message
/// is ever taken for a right or an address.
pub struct Body<'b, K: Kernel> {
    pub(crate) rest: &'b mut [u8],
    pub(crate) complex: bool,
    /// How many descriptors `rest` still begins with; 0 in a typed message.
    pub(crate) descriptors: u32,
    pub(crate) origin: Origin,
    pub(crate) kernel: K,
}

impl<'b, K: Kernel> Body<'b, K> {
    /// # Safety
    ///
    /// `arguments` are what stands after a header, or start at a later type word; if `complex`, `kernel` has
    /// delivered them, or the message that they were in came back, as `origin` says, and nobody else owns
    /// what they hold. They start at a multiple of the ABI's alignment.
    #[inline]
    pub(crate) unsafe fn new(kernel: K, complex: bool, arguments: &'b mut [u8], origin: Origin) -> Self {
        let (descriptors, rest) = FormatOf::<K>::split_count(complex, arguments);
        Self { rest, complex, descriptors, origin, kernel }
    }

    #[inline]
    pub(crate) fn is_complex(&self) -> bool {
        self.complex
    }

    /// The task that received the message.
    #[inline]
    pub(crate) fn kernel(&self) -> &K {
        &self.kernel
    }

    /// True if nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes a receive right (`MACH_MSG_TYPE_PORT_RECEIVE`).
    ///
    /// # Errors
    ///
    /// [`Malformed`], as for every argument; nothing is taken then.
    #[inline]
    pub fn receive_right(&mut self) -> Result<ReceiveRight<K>, Malformed> {
        self.right()
    }

    /// Takes a send right (`MACH_MSG_TYPE_PORT_SEND`).
    ///
    /// # Errors
    ///
    /// [`Malformed`]
    #[inline]
    pub fn send_right(&mut self) -> Result<SendRight<K>, Malformed> {
        self.right()
    }

    /// Takes a send-once right (`MACH_MSG_TYPE_PORT_SEND_ONCE`).
    ///
    /// # Errors
    ///
    /// [`Malformed`]
    #[inline]
    pub fn send_once_right(&mut self) -> Result<SendOnceRight<K>, Malformed> {
        self.right()
    }

    #[inline]
    fn right<R: Right<K>>(&mut self) -> Result<R, Malformed> {
        let name = FormatOf::<K>::take_right(self, R::MOVE)?;
        // SAFETY: in a complex message, under a type word of this kind, and taken out just now.
        Ok(unsafe { R::from_raw(self.kernel.clone(), name) })
    }

    /// Takes a polymorphic argument: a right of any kind, or a word of plain data.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; also for a right in a message without the complex bit.
    #[inline]
    pub fn poly(&mut self) -> Result<AnyRight<'static, K>, Malformed> {
        FormatOf::<K>::take_any(self)
    }

    /// Ends the arguments: nothing may be left. Call it before anything is done with them.
    ///
    /// # Errors
    ///
    /// [`Malformed::Size`]; what is left has been released.
    #[inline]
    pub fn end(self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed::Size) }
    }

    /// Passes over the next argument and releases what it holds. False if there is none.
    pub fn skip(&mut self) -> bool {
        FormatOf::<K>::skip(self)
    }

    /// Owns the rights in memory that has just been taken out.
    ///
    /// # Safety
    ///
    /// It was described as an array of this kind in a complex message.
    pub(crate) unsafe fn rights_in<R: ArrayRight<K>>(&self, names: OolMemory<K>, kind: u8) -> Rights<K, R> {
        // SAFETY: the caller's promise.
        unsafe { Rights::from_memory(self.kernel.clone(), names, kind) }
    }
}

impl<K: Kernel> Drop for Body<'_, K> {
    // Inlined, so that a body lives in registers.
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: this is its end.
        unsafe { FormatOf::<K>::release(self) };
    }
}
