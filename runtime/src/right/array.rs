//! Arrays of rights: on their way into a message, and as a message has brought them.

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, Range};

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use arrayvec::ArrayVec;

use super::{
    AnyRight, ReceiveRight, Right, SendOnceRight, SendRight, Word, assert_same_task, disposition, release,
    sealed,
};
use crate::abi::Abi;
use crate::bytes::port_at;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, NameOf, PortName};
use crate::memory::OolMemory;

/// The element of an array of rights: a right of the declared kind, or [`AnyRight`] where the sender chooses
/// the kind.
pub trait ArrayRight<K: Kernel>: Sized + sealed::Sealed {
    /// The kind that the receiver sees; `None` where the sender chooses it.
    const KIND: Option<u8>;

    /// Owns what a message has brought in an array of this kind. `None` for a kind that an element cannot
    /// have.
    ///
    /// # Safety
    ///
    /// As [`Right::from_raw`], for a right of this kind.
    unsafe fn received(kernel: K, name: NameOf<K>, kind: u8) -> Option<Self>;

    /// Drops the value without releasing the right.
    fn forget(self);
}

macro_rules! of_one_kind {
    ($($right:ident)*) => { $(
        impl<K: Kernel> ArrayRight<K> for $right<K> {
            const KIND: Option<u8> = Some(<Self as Right<K>>::MOVE);

            #[inline]
            unsafe fn received(kernel: K, name: NameOf<K>, _kind: u8) -> Option<Self> {
                // SAFETY: the caller's promise.
                Some(unsafe { Self::from_raw(kernel, name) })
            }

            #[inline]
            fn forget(self) {
                self.into_raw();
            }
        }
    )* };
}

of_one_kind!(SendRight SendOnceRight ReceiveRight);

impl<K: Kernel> sealed::Sealed for AnyRight<'_, K> {}

impl<K: Kernel> ArrayRight<K> for AnyRight<'static, K> {
    const KIND: Option<u8> = None;

    unsafe fn received(kernel: K, name: NameOf<K>, kind: u8) -> Option<Self> {
        if disposition::is_right(kind) {
            // SAFETY: the caller's promise.
            unsafe { Self::from_wire(kernel, name, kind) }
        } else {
            Word::new(kind, name.word() as u32).map(Self::Data)
        }
    }

    fn forget(self) {
        self.into_wire();
    }
}

/// Rights that have come out of line, in the kernel's memory: an iterator that hands them out one by one,
/// without an allocation.
///
/// Dropping it releases the rights that were not taken, and the memory. A server's method makes one of a
/// `Vec`, of an array, or of any iterator.
///
/// ```
/// # #[cfg(feature = "std")] {
/// use mig_runtime::kernel::local::Local;
/// use mig_runtime::{ReceiveRight, Rights, SendRight};
///
/// let task: Local = Local::new();
/// let port = ReceiveRight::allocate(&task)?;
/// let mut rights: Rights<_, SendRight<_>> = (0..3).map(|_| port.make_send()).collect::<Result<_, _>>()?;
/// let first = rights.next().expect("one of three");
/// assert_eq!((first.name(), rights.len()), (port.name(), 2));
/// # }
/// # Ok::<(), mig_runtime::KernReturn>(())
/// ```
pub struct Rights<K: Kernel, R: ArrayRight<K>>(Place<K, R>);

enum Place<K: Kernel, R: ArrayRight<K>> {
    /// The names in a range, of one kind.
    Memory { kernel: K, names: OolMemory<K>, left: Range<usize>, kind: u8 },
    /// Rights of this program, or those of an array that was in the message.
    Owned(VecDeque<R>),
}

impl<K: Kernel, R: ArrayRight<K>> Rights<K, R> {
    /// No rights.
    pub const fn new() -> Self {
        Self(Place::Owned(VecDeque::new()))
    }

    /// The rights that `kernel` has delivered in this memory.
    ///
    /// # Safety
    ///
    /// As [`ArrayRight::received`], for each of the names.
    pub(crate) unsafe fn from_memory(kernel: K, names: OolMemory<K>, kind: u8) -> Self {
        let left = 0..names.len() / K::Abi::FACTS.port_name;
        Self(Place::Memory { kernel, names, left, kind })
    }

    /// Looks at each right that is left, in order, without taking it.
    pub fn visit(&self, mut look: impl FnMut(&R)) {
        let (kernel, names, left, kind) = match &self.0 {
            Place::Memory { kernel, names, left, kind } => (kernel, names, left, *kind),
            Place::Owned(rights) => return rights.iter().for_each(look),
        };
        for index in left.clone() {
            let name = port_at::<K::Abi>(names, index * K::Abi::FACTS.port_name).unwrap_or(PortName::NULL);
            // SAFETY: as `from_memory` was promised, and the second value of this right is never dropped as
            // one.
            let right = unsafe { R::received(kernel.clone(), name, kind) };
            // Not even if `look` panics, which only costs what `kernel` counts.
            let right = ManuallyDrop::new(right);
            right.iter().for_each(&mut look);
            if let Some(right) = ManuallyDrop::into_inner(right) {
                right.forget();
            }
        }
    }

    /// Keeps the rights for which `keep` returns true, and releases the others.
    pub fn retain(&mut self, mut keep: impl FnMut(&R) -> bool) {
        let (kernel, names, left, kind) = match &mut self.0 {
            Place::Memory { kernel, names, left, kind } => (kernel, names, left, *kind),
            Place::Owned(rights) => return rights.retain(keep),
        };
        let mut kept = left.start;
        for index in left.clone() {
            // In no place while it is a right: if `keep` panics, each name is owned once.
            let name = replace::<K::Abi>(names, index, PortName::NULL);
            // SAFETY: as `from_memory` was promised, and it has just been taken out.
            let Some(right) = (unsafe { R::received(kernel.clone(), name, kind) }) else { continue };
            if keep(&right) {
                right.forget();
                replace::<K::Abi>(names, kept, name);
                kept += 1;
            }
        }
        left.end = kept;
    }
}

/// Puts a name into memory, and returns the one that was there.
fn replace<A: Abi>(names: &mut [u8], index: usize, name: A::Name) -> A::Name {
    let slot = &mut names[index * A::FACTS.port_name..][..A::FACTS.port_name];
    let old = port_at::<A>(slot, 0).unwrap_or(PortName::NULL);
    slot.copy_from_slice(&name.word().to_le_bytes()[..A::FACTS.port_name]);
    old
}

impl<K: Kernel, R: ArrayRight<K>> Iterator for Rights<K, R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        match &mut self.0 {
            Place::Memory { kernel, names, left, kind } => {
                let name = port_at::<K::Abi>(names, left.next()? * K::Abi::FACTS.port_name)?;
                // SAFETY: as `from_memory` was promised, and nothing takes this one again.
                unsafe { R::received(kernel.clone(), name, *kind) }
            }
            Place::Owned(rights) => rights.pop_front(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = match &self.0 {
            Place::Memory { left, .. } => left.len(),
            Place::Owned(rights) => rights.len(),
        };
        (len, Some(len))
    }
}

impl<K: Kernel, R: ArrayRight<K>> ExactSizeIterator for Rights<K, R> {}

impl<K: Kernel, R: ArrayRight<K>> Drop for Rights<K, R> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

impl<K: Kernel, R: ArrayRight<K>> Default for Rights<K, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kernel, R: ArrayRight<K>> FromIterator<R> for Rights<K, R> {
    fn from_iter<I: IntoIterator<Item = R>>(rights: I) -> Self {
        Self(Place::Owned(rights.into_iter().collect()))
    }
}

impl<K: Kernel, R: ArrayRight<K>> From<Vec<R>> for Rights<K, R> {
    fn from(rights: Vec<R>) -> Self {
        Self(Place::Owned(rights.into()))
    }
}

impl<K: Kernel, R: ArrayRight<K>, const N: usize> From<[R; N]> for Rights<K, R> {
    fn from(rights: [R; N]) -> Self {
        Self(Place::Owned(rights.into()))
    }
}

impl<K: Kernel, R: ArrayRight<K>> fmt::Debug for Rights<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({} rights)", self.len())
    }
}

/// Rights of one kind on their way into one array argument.
///
/// The rights that are moved belong to it; those that are copied, or made from others, are borrowed for as
/// long as the message lives. A few of them need no allocation.
#[derive(Debug)]
pub struct PortArray<'a, K: Kernel> {
    names: Names<NameOf<K>>,
    disposition: u8,
    /// The task of the rights; none if there is no right.
    kernel: Option<K>,
    /// The rights are moved, and still here.
    owned: bool,
    borrowed: PhantomData<&'a SendRight<K>>,
}

/// A list of names, in this value while it is short.
#[derive(Debug)]
enum Names<N> {
    Few(ArrayVec<N, 8>),
    Many(Vec<N>),
}

impl<N: Copy> Names<N> {
    fn push(&mut self, name: N) {
        match self {
            Self::Few(names) => {
                if names.try_push(name).is_err() {
                    let mut many = names.to_vec();
                    many.push(name);
                    *self = Self::Many(many);
                }
            }
            Self::Many(names) => names.push(name),
        }
    }
}

impl<N> Deref for Names<N> {
    type Target = [N];

    fn deref(&self) -> &[N] {
        match self {
            Self::Few(names) => names,
            Self::Many(names) => names,
        }
    }
}

impl<'a, K: Kernel> PortArray<'a, K> {
    /// Moves the rights (`MACH_MSG_TYPE_MOVE_…`).
    ///
    /// # Panics
    ///
    /// If they are rights of several tasks, which real kernels do not have in one program.
    pub fn moving<R: Right<K>>(rights: impl IntoIterator<Item = R>) -> Self {
        let mut array = Self::new(R::MOVE, true);
        for right in rights {
            array.belongs(right.kernel(), right.name());
            array.names.push(right.into_raw());
        }
        array
    }

    /// Copies send rights (`MACH_MSG_TYPE_COPY_SEND`).
    ///
    /// # Panics
    ///
    /// As [`moving`](Self::moving).
    pub fn copy_send(rights: impl IntoIterator<Item = &'a SendRight<K>>) -> Self {
        Self::borrowed(rights, disposition::COPY_SEND)
    }

    /// Makes send rights (`MACH_MSG_TYPE_MAKE_SEND`).
    ///
    /// # Panics
    ///
    /// As [`moving`](Self::moving).
    pub fn make_send(rights: impl IntoIterator<Item = &'a ReceiveRight<K>>) -> Self {
        Self::borrowed(rights, disposition::MAKE_SEND)
    }

    /// Makes send-once rights (`MACH_MSG_TYPE_MAKE_SEND_ONCE`).
    ///
    /// # Panics
    ///
    /// As [`moving`](Self::moving).
    pub fn make_send_once(rights: impl IntoIterator<Item = &'a ReceiveRight<K>>) -> Self {
        Self::borrowed(rights, disposition::MAKE_SEND_ONCE)
    }

    /// Moves rights, or sends words of plain data, that are all of one kind (polymorphic elements).
    ///
    /// # Errors
    ///
    /// [`KernReturn::KERN_INVALID_ARGUMENT`] if they are of several kinds.
    ///
    /// # Panics
    ///
    /// As [`moving`](Self::moving).
    pub fn of_one_kind(rights: impl IntoIterator<Item = AnyRight<'a, K>>) -> Result<Self, KernReturn> {
        let mut array = Self::new(disposition::MOVE_SEND, true);
        for right in rights {
            if array.is_empty() {
                array.disposition = right.disposition();
            } else if right.disposition() != array.disposition {
                return Err(KernReturn::KERN_INVALID_ARGUMENT);
            }
            array.push(right);
        }
        Ok(array)
    }

    fn borrowed<R: Right<K> + 'a>(rights: impl IntoIterator<Item = &'a R>, disposition: u8) -> Self {
        let mut array = Self::new(disposition, false);
        for right in rights {
            array.belongs(right.kernel(), right.name());
            array.names.push(right.name());
        }
        array
    }

    fn new(disposition: u8, owned: bool) -> Self {
        let names = Names::Few(ArrayVec::new_const());
        Self { names, disposition, kernel: None, owned, borrowed: PhantomData }
    }

    fn push(&mut self, right: AnyRight<'a, K>) {
        if let Some(kernel) = right.kernel() {
            self.belongs(kernel, right.name());
        }
        self.names.push(right.into_wire().0);
    }

    /// Another right, which must be of the same task as the others.
    fn belongs(&mut self, kernel: &K, name: NameOf<K>) {
        match &self.kernel {
            Some(first) if name.is_valid() => assert_same_task(first, kernel),
            None if name.is_valid() => self.kernel = Some(kernel.clone()),
            _ => {}
        }
    }

    /// How many rights.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn disposition(&self) -> u8 {
        self.disposition
    }

    /// Takes the rights that are moved back out of the array.
    ///
    /// # Panics
    ///
    /// If they are those of another task.
    pub(crate) fn take_moved(&mut self, task: &K) -> Vec<AnyRight<'static, K>> {
        if !self.owned {
            return Vec::new();
        }
        let disposition = self.disposition;
        let names = self.names_into_message(task).iter().filter(|name| name.is_valid());
        // SAFETY: `into_raw` has given the rights to this array, which no longer owns them.
        names.filter_map(|name| unsafe { AnyRight::from_wire(task.clone(), *name, disposition) }).collect()
    }

    /// The names, for a message of this task that now owns what is moved.
    ///
    /// # Panics
    ///
    /// If they are those of another task.
    pub(crate) fn names_into_message(&mut self, task: &K) -> &[NameOf<K>] {
        if let Some(kernel) = &self.kernel {
            assert_same_task(task, kernel);
        }
        self.owned = false;
        &self.names
    }
}

impl<'a, K: Kernel> From<AnyRight<'a, K>> for PortArray<'a, K> {
    /// An array of one right.
    fn from(right: AnyRight<'a, K>) -> Self {
        let mut array = Self::new(right.disposition(), true);
        array.push(right);
        array
    }
}

impl<K: Kernel, R: Right<K>, const N: usize> From<[R; N]> for PortArray<'_, K> {
    /// These rights, moved.
    ///
    /// # Panics
    ///
    /// As [`moving`](Self::moving).
    fn from(rights: [R; N]) -> Self {
        Self::moving(rights)
    }
}

impl<K: Kernel> Drop for PortArray<'_, K> {
    fn drop(&mut self) {
        let Some(kernel) = self.kernel.as_ref().filter(|_| self.owned) else { return };
        for name in self.names.iter() {
            // SAFETY: `into_raw` has given the rights that are moved to this array, and no message has taken
            // them.
            unsafe { release(kernel.clone(), self.disposition, *name) };
        }
    }
}
