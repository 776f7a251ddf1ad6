//! A request that was not sent.

use core::fmt;
use core::mem::{self, MaybeUninit};

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use zerocopy::IntoBytes;

use super::details::Routine;
use crate::abi::Abi;
use crate::kernel::{Kernel, NameOf, Remains};
use crate::memory::OolMemory;
use crate::message::body::Body;
use crate::message::buffer::{arguments, initialised};
use crate::message::header::Header;
use crate::message::loans::Refused;
use crate::message::shape::Origin;
use crate::right::{self, AnyRight};

/// A request that was not sent. It owns what was moved into it, as far as that is this task's still: a kernel
/// that finds fault with a right or with memory in the body destroys a part of the message, and then nothing
/// is left to take out ([`Remains`]).
///
/// If this side refused the request because an array has more elements than the message may have, that array
/// is empty in it.
pub struct Unsent<K: Kernel> {
    pub(super) routine: Option<Routine>,
    kernel: K,
    pub(super) header: Header<NameOf<K>>,
    /// The arguments, aligned as in the message that they come from.
    arguments: Box<[u64]>,
    len: usize,
    pub(super) refused: Refused<K>,
}

impl<K: Kernel> Unsent<K> {
    /// # Safety
    ///
    /// `storage` holds a message that could not be sent, of which this remains.
    pub(crate) unsafe fn from_storage(kernel: K, storage: &mut [MaybeUninit<u64>], remains: Remains) -> Self {
        // SAFETY: a message has a header.
        let mut header = Header::read::<K::Abi>(unsafe { initialised(storage, K::Abi::FACTS.header) });
        // SAFETY: all of a message is initialised.
        let mut bytes = unsafe { arguments::<K::Abi>(storage, header.size as usize) };
        if !remains.has_header() {
            // The names are no longer this task's.
            let _ = (header.take_remote(), header.take_local());
        }
        if !remains.has_body() {
            bytes = &mut [];
        }
        let mut arguments = vec![0u64; bytes.len().div_ceil(8)].into_boxed_slice();
        arguments.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        Self { routine: None, kernel, header, arguments, len: bytes.len(), refused: Refused::default() }
    }

    /// `msgh_id`
    pub fn id(&self) -> i32 {
        self.header.id
    }

    /// Takes the destination back, if it was moved.
    pub fn take_destination(&mut self) -> Option<AnyRight<'static, K>> {
        let (name, disposition) = self.header.take_remote();
        // SAFETY: the message did not move it, and it has just been taken out.
        unsafe { AnyRight::from_wire(self.kernel.clone(), name, disposition) }
    }

    /// Takes back the rights that were moved and that are not in the message: those of an array with more
    /// rights than the message may have, and those of arrays out of line whose memory is copied.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use mig_runtime::kernel::local::Local;
    /// use mig_runtime::{KernReturn, ReceiveRight, SendRight};
    ///
    /// mod post {
    ///     mig_derive::interface! {
    ///         inline: "
    ///             subsystem post 4000;
    ///             type post_t = MACH_MSG_TYPE_COPY_SEND;
    ///             type letter_t = MACH_MSG_TYPE_MOVE_SEND;
    ///             type letters_t = array[*:2] of letter_t;
    ///             simpleroutine post_letters(post : post_t; letters : letters_t);
    ///         ",
    ///     }
    /// }
    ///
    /// let task: Local = Local::new();
    /// let port = ReceiveRight::allocate(&task)?;
    /// let post = port.make_send()?;
    /// let letters: [SendRight<Local>; 3] = [port.make_send()?, port.make_send()?, port.make_send()?];
    ///
    /// let error = post::post_letters(&post, letters).unwrap_err();
    /// assert_eq!(error.to_string(), "post_letters: refused before it was sent: MIG_ARRAY_TOO_LARGE (-307)");
    /// let letters = error.into_unsent().expect("nothing was sent").take_refused();
    /// assert_eq!(letters.len(), 3);
    /// # }
    /// # Ok::<(), mig_runtime::KernReturn>(())
    /// ```
    pub fn take_refused(&mut self) -> Vec<AnyRight<'static, K>> {
        mem::take(&mut self.refused.rights)
    }

    /// Takes back memory that was given and that has more elements than the message can count, so that none
    /// of it is in the message. Memory with more elements than the `.defs` allow is still in the message,
    /// where [`read`](Self::read) finds it.
    pub fn take_refused_memory(&mut self) -> Vec<OolMemory<K>> {
        mem::take(&mut self.refused.memory)
    }

    /// Takes the arguments back. Those that were moved can be read as a receiver reads them; [`Body::skip`]
    /// passes over others.
    pub fn read<R>(mut self, read: impl FnOnce(Body<'_, K>) -> R) -> R {
        let mut arguments = mem::take(&mut self.arguments);
        let bytes = &mut arguments.as_mut_bytes()[..mem::take(&mut self.len)];
        // SAFETY: the message came back, and its arguments are no longer in `self`.
        read(unsafe { Body::new(self.kernel.clone(), self.header.is_complex(), bytes, Origin::Unsent) })
    }
}

impl<K: Kernel> Drop for Unsent<K> {
    fn drop(&mut self) {
        for (name, disposition) in [self.header.take_remote(), self.header.take_local()] {
            // SAFETY: the message did not move it, and it has just been taken out.
            unsafe { right::release(self.kernel.clone(), disposition, name) };
        }
        let bytes = &mut self.arguments.as_mut_bytes()[..self.len];
        // SAFETY: as in `read`.
        drop(unsafe { Body::new(self.kernel.clone(), self.header.is_complex(), bytes, Origin::Unsent) });
    }
}

impl<K: Kernel> fmt::Debug for Unsent<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unsent(id {}, {} bytes of arguments)", self.header.id, self.len)
    }
}
