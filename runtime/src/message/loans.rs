//! Memory that a message refers to and does not own.

use core::mem::{self, MaybeUninit};

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::buffer::initialised;
use crate::abi::Abi;
use crate::bytes;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, Remains};
use crate::memory::OolMemory;
use crate::right::{AnyRight, release_names};

/// Memory that the message refers to and does not own. One word, null while there is none, so that stubs
/// without it do not see it.
pub(crate) struct Loans<G, K: Kernel>(Option<Box<LoanList<G, K>>>);

pub(crate) struct LoanList<G, K: Kernel> {
    /// Memory of the program. The list is kept only where the end of a loan means something to the kernel.
    pub(crate) lent: Vec<G>,
    /// Copies in out-of-line memory.
    pub(crate) copies: Vec<Copied<K>>,
    /// Descriptors whose memory the kernel copies physically.
    pub(crate) physical: Vec<Physical>,
    pub(crate) refused: Refused<K>,
}

/// Rights and memory that were moved into a message which has no room for them.
pub(crate) struct Refused<K: Kernel> {
    pub(crate) rights: Vec<AnyRight<'static, K>>,
    pub(crate) memory: Vec<OolMemory<K>>,
}

impl<K: Kernel> Default for Refused<K> {
    fn default() -> Self {
        Self { rights: Vec::new(), memory: Vec::new() }
    }
}

impl<G, K: Kernel> Default for LoanList<G, K> {
    fn default() -> Self {
        Self { lent: Vec::new(), copies: Vec::new(), physical: Vec::new(), refused: Refused::default() }
    }
}

impl<G, K: Kernel> Loans<G, K> {
    #[inline]
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    #[inline]
    pub(crate) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn list(&mut self) -> &mut LoanList<G, K> {
        self.0.get_or_insert_with(Box::default)
    }

    /// All but what is lent.
    #[inline(always)]
    pub(crate) fn into_copies(mut self) -> Copies<K> {
        match self.0.take() {
            None => Loans::none(),
            Some(list) => {
                let LoanList { copies, physical, .. } = *list;
                Loans(Some(Box::new(LoanList { copies, physical, ..LoanList::default() })))
            }
        }
    }
}

impl<G, K: Kernel> Loans<G, K> {
    /// Ends the loans after the call that sent the message, or has failed and left it in `storage`.
    #[inline(always)]
    pub(crate) fn end(mut self, result: Result<(), KernReturn>, storage: &mut [MaybeUninit<u64>]) {
        #[cold]
        #[inline(never)]
        fn end<G, K: Kernel>(
            list: &mut LoanList<G, K>,
            result: Result<(), KernReturn>,
            storage: &mut [MaybeUninit<u64>],
        ) {
            let remains = result.err().and_then(Remains::after::<K::Abi>);
            list.end(remains.is_some_and(Remains::has_body), storage);
        }
        if let Some(list) = &mut self.0 {
            end(list, result, storage);
        }
    }

    /// Ends the loans of a message in `storage` that was not sent; `has_body` says whether the kernel has
    /// left its body. Returns what had no room in the message, and the rights in memory that ends here.
    pub(crate) fn end_unsent(mut self, has_body: bool, storage: &mut [MaybeUninit<u64>]) -> Refused<K> {
        let Some(list) = &mut self.0 else { return Refused::default() };
        list.end(has_body, storage);
        for copied in &mut list.copies {
            copied.take_moved(&mut list.refused.rights);
        }
        mem::take(&mut list.refused)
    }
}

impl<G, K: Kernel> LoanList<G, K> {
    /// Ends the loans of a message in `storage`; `has_body` says whether the kernel has left its body.
    fn end(&mut self, has_body: bool, storage: &mut [MaybeUninit<u64>]) {
        for physical in self.physical.drain(..).filter(|_| has_body) {
            // SAFETY: the message was complete when it was sent, and has come back.
            physical.came_back::<K::Abi>(unsafe { initialised(storage, physical.at + Physical::BYTES) });
        }
        for copied in &mut self.copies {
            let Some(moved) = copied.moved.take().filter(|_| has_body) else { continue };
            // SAFETY: the message was complete when it was sent, and has come back.
            let message = unsafe { initialised(storage, moved.at + K::Abi::FACTS.pointer) };
            let address = message.get(moved.at..).and_then(bytes::address::<K::Abi>);
            // A message that came back with memory of its own describes the rights in that.
            copied.moved = Some(moved).filter(|_| address == Some(copied.address));
        }
    }
}

/// What a reply refers to.
pub(crate) type Copies<K> = Loans<core::convert::Infallible, K>;

impl<G, K: Kernel> Drop for Loans<G, K> {
    #[inline(always)]
    fn drop(&mut self) {
        /// Out of the way of stubs that have nothing to drop.
        #[cold]
        #[inline(never)]
        fn end<T>(list: Box<T>) {
            drop(list);
        }
        if let Some(list) = self.0.take() {
            end(list);
        }
    }
}

/// Out-of-line memory that a message refers to without the deallocate bit; it ends with the message.
pub(crate) struct Copied<K: Kernel> {
    pub(crate) kernel: K,
    pub(crate) address: u64,
    pub(crate) len: usize,
    /// The memory is an array of names of rights, which are this task's until the message is sent.
    pub(crate) moved: Option<Moved>,
}

/// Where an untyped message has a descriptor of memory that the kernel copies physically (`physicalcopy`).
///
/// Memory that comes back with a message that was not sent is this task's own, however it was sent. The
/// descriptor says so by its deallocate bit, but not after a physical copy; there the memory is known by its
/// address.
pub(crate) struct Physical {
    pub(crate) at: usize,
    pub(crate) address: u64,
    pub(crate) deallocate: bool,
}

impl Physical {
    /// Bytes of the descriptor that are looked at: the address, and the deallocate bit after its eighth
    /// byte.
    const BYTES: usize = 9;

    /// Sets the deallocate bit if `message`, which has come back, has memory of its own here.
    fn came_back<A: Abi>(&self, message: &mut [u8]) {
        let Some(descriptor) = message.get_mut(self.at..) else { return };
        let moved = bytes::address::<A>(descriptor) != Some(self.address);
        let [.., deallocate] = descriptor else { return };
        if moved || (self.deallocate && *deallocate == 0) {
            *deallocate = 1;
        }
    }
}

/// Rights that a message moves, though not the memory with their names.
pub(crate) struct Moved {
    pub(crate) disposition: u8,
    /// Where the message has the address of the names.
    pub(crate) at: usize,
}

impl<K: Kernel> Copied<K> {
    /// Takes the rights out that were moved into the message.
    fn take_moved(&mut self, rights: &mut Vec<AnyRight<'static, K>>) {
        let Some(moved) = self.moved.take() else { return };
        // SAFETY: the address came from `region_into_wire`, and nothing else has the memory while this lasts.
        let region = unsafe { self.kernel.region_from_wire(self.address, self.len) };
        for name in region.chunks_exact(K::Abi::FACTS.port_name) {
            let Some(name) = bytes::port_at::<K::Abi>(name, 0) else { continue };
            // SAFETY: the right was moved into the message, which was not sent and does not own it any more.
            rights.extend(unsafe { AnyRight::from_wire(self.kernel.clone(), name, moved.disposition) });
        }
        self.address = self.kernel.region_into_wire(region);
    }
}

impl<K: Kernel> Drop for Copied<K> {
    fn drop(&mut self) {
        // SAFETY: the address came from `region_into_wire`; without the deallocate bit no message has moved
        // the memory.
        let memory =
            OolMemory::<K>::from_region(unsafe { self.kernel.region_from_wire(self.address, self.len) });
        if let Some(moved) = &self.moved {
            // SAFETY: the rights were moved into the message, which was not sent.
            unsafe { release_names(&self.kernel, moved.disposition, &memory, K::Abi::FACTS.port_name) };
        }
    }
}
