//! The part of a call's error beyond its code: one word, so that the result of a stub stays in registers.

use core::marker::PhantomData;
use core::mem;
use core::num::NonZeroUsize;
use core::ptr::NonNull;

use alloc::boxed::Box;

use super::unsent::Unsent;
use crate::kernel::Kernel;

/// Names a routine. The reference to a reference is one word; the compiler makes such a constant of
/// `&"name"`.
pub(crate) type Routine = &'static &'static str;

/// The routine's name, or the request that was not sent, which has room for the name: a pointer to either,
/// whose lowest bit says which.
pub(crate) struct Details<K: Kernel> {
    pointer: NonNull<()>,
    owned: PhantomData<Box<Unsent<K>>>,
}

// SAFETY: the word is a name or a box, and nothing else.
unsafe impl<K: Kernel> Send for Details<K> where Box<Unsent<K>>: Send {}
// SAFETY: as above.
unsafe impl<K: Kernel> Sync for Details<K> where Box<Unsent<K>>: Sync {}

/// Set for a name. What either points to is aligned to words, so this bit of an address is free.
const NAME: usize = 1;

const _: () = assert!(align_of::<&str>() > NAME);

impl<K: Kernel> Details<K> {
    const ALIGNED: () = assert!(align_of::<Unsent<K>>() > NAME);

    pub(crate) fn name(routine: Routine) -> Self {
        let pointer = NonNull::from(routine).cast().map_addr(|address| address | NAME);
        Self { pointer, owned: PhantomData }
    }

    pub(crate) fn unsent(request: Box<Unsent<K>>) -> Self {
        let () = Self::ALIGNED;
        Self { pointer: NonNull::from(Box::leak(request)).cast(), owned: PhantomData }
    }

    /// The address without the bit, and whether it was set.
    fn parts(&self) -> (NonNull<()>, bool) {
        let bits = self.pointer.addr().get();
        let pointer = self.pointer.map_addr(|address| NonZeroUsize::new(bits & !NAME).unwrap_or(address));
        (pointer, bits & NAME != 0)
    }

    pub(crate) fn get(&self) -> Result<&Unsent<K>, Routine> {
        match self.parts() {
            // SAFETY: made by `name` of a reference that lives as long as the program.
            (pointer, true) => Err(unsafe { pointer.cast().as_ref() }),
            // SAFETY: made by `unsent` of a box that this value owns.
            (pointer, false) => Ok(unsafe { pointer.cast().as_ref() }),
        }
    }

    pub(crate) fn into_unsent(self) -> Option<Box<Unsent<K>>> {
        let (pointer, is_name) = self.parts();
        mem::forget(self);
        // SAFETY: made by `unsent` of a box, and this value, which owned it, is no more.
        (!is_name).then(|| unsafe { Box::from_raw(pointer.cast().as_ptr()) })
    }
}

impl<K: Kernel> Drop for Details<K> {
    fn drop(&mut self) {
        if let (pointer, false) = self.parts() {
            // SAFETY: made by `unsent` of a box, which nobody else owns.
            drop(unsafe { Box::from_raw(pointer.cast::<Unsent<K>>().as_ptr()) });
        }
    }
}
