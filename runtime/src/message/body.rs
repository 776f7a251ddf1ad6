//! Reading the arguments of a received message. The bytes are hostile until a check has passed.

use core::mem;

use super::bytes::word_at;
use super::malformed::Malformed;
use super::shape::Origin;
use super::typed::word::Type;
use super::{typed, untyped};
use crate::abi::{Abi, Family};
use crate::kernel::{Kernel, Name};
use crate::memory::OolMemory;
use crate::right::{
    AnyRight, ArrayRight, ReceiveRight, Right, Rights, SendOnceRight, SendRight, Word, disposition,
};

/// The arguments of a received message, read in the order of its slots.
///
/// Each method checks the type word or the descriptor of the next argument and then takes the argument out.
/// What has not been taken still belongs to the message and is released when this is dropped. The kernel
/// processes type words and descriptors only in messages with the complex bit, so nothing in another message
/// is ever taken for a right or an address.
pub struct Body<'b, K: Kernel> {
    pub(crate) rest: &'b mut [u8],
    pub(crate) complex: bool,
    /// The descriptors that `rest` still begins with; none in a typed message.
    pub(crate) descriptors: u32,
    pub(crate) origin: Origin,
    pub(crate) kernel: K,
}

impl<'b, K: Kernel> Body<'b, K> {
    /// # Safety
    ///
    /// `arguments` are what stands behind a header, or start at a later type word; if `complex`, `kernel` has
    /// delivered them, or the message that they were in came back, as `origin` says, and nobody else owns
    /// what they hold. They start at a multiple of the ABI's alignment.
    #[inline]
    pub(crate) unsafe fn new(kernel: K, complex: bool, arguments: &'b mut [u8], origin: Origin) -> Self {
        let (descriptors, rest) = match K::Abi::FACTS.family {
            Family::Untyped if complex => untyped::descriptor::split_count(arguments),
            _ => (0, arguments),
        };
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
        let name = self.slot(R::MOVE)?;
        // SAFETY: in a complex message, under a type word of this kind, and taken out just now.
        Ok(unsafe { R::from_raw(self.kernel.clone(), name) })
    }

    /// Takes the name out of the slot of a right.
    #[inline]
    fn slot(&mut self, disposition: u8) -> Result<Name, Malformed> {
        if K::Abi::FACTS.family == Family::Untyped {
            return self.port_descriptor(disposition);
        }
        if !self.complex {
            return Err(Malformed::Complex);
        }
        let slot = self.fixed(Type::slot::<K::Abi>(disposition), K::Abi::FACTS.port)?;
        Ok(Name(word_at(slot, 0).unwrap_or(0)))
    }

    /// Takes a polymorphic argument: a right of any kind, or a word of plain data.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; also for a right in a message without the complex bit.
    #[inline]
    pub fn poly(&mut self) -> Result<AnyRight<'static, K>, Malformed> {
        if K::Abi::FACTS.family == Family::Untyped {
            return self.element();
        }
        let disposition = self.polymorphic()?;
        if !disposition::is_right(disposition) {
            let data = self.fixed(Type::slot::<K::Abi>(disposition), K::Abi::FACTS.port)?;
            let word = Word::new(disposition, word_at(data, 0).unwrap_or(0));
            return word.map(AnyRight::Data).ok_or(Malformed::Type);
        }
        let name = self.slot(disposition)?;
        // SAFETY: in a complex message, under a type word of this kind, and taken out just now.
        unsafe { AnyRight::from_wire(self.kernel.clone(), name, disposition) }.ok_or(Malformed::Type)
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
        if K::Abi::FACTS.family == Family::Untyped {
            return self.skip_descriptor();
        }
        let Some((_, _, rest)) = typed::release::split_argument::<K::Abi>(self.rest) else { return false };
        let len = self.rest.len() - rest.len();
        let (argument, rest) = mem::take(&mut self.rest).split_at_mut(len);
        self.rest = rest;
        // SAFETY: the fields are those of a body, and the argument leaves this one.
        drop(unsafe { Self::new(self.kernel.clone(), self.complex, argument, self.origin) });
        true
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
        let rest = mem::take(&mut self.rest);
        if K::Abi::FACTS.family == Family::Untyped {
            if self.descriptors != 0 {
                // SAFETY: as `new` was promised, and what has been taken out is no longer in it.
                unsafe {
                    untyped::release::release(self.kernel.clone(), self.descriptors, rest, self.origin)
                };
            }
        } else if self.complex && !rest.is_empty() {
            // SAFETY: as above.
            unsafe { typed::release::release(self.kernel.clone(), rest) };
        }
    }
}
