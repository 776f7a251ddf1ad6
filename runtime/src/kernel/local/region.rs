//! Out-of-line memory. An address on the wire is a key of the task's [`Regions`], so that no byte of a
//! message is ever a host pointer.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicUsize, Ordering};

use zerocopy::IntoBytes;

use super::Local;
use crate::abi::TaskAbi;

/// Memory that several owners share for reading. An owner that writes gets a copy of its own first, as with
/// the kernel's virtual copies.
#[derive(Clone, Default)]
pub(super) struct Bytes {
    /// Words, so that arrays of any port or integer in it are aligned.
    words: Arc<Vec<u64>>,
    size: usize,
}

impl Bytes {
    /// Zeros; `None` if there is not that much memory.
    pub(super) fn zeroed(size: usize) -> Option<Self> {
        let mut words = Vec::new();
        words.try_reserve_exact(size.div_ceil(8)).ok()?;
        words.resize(size.div_ceil(8), 0);
        Some(Self { words: Arc::new(words), size })
    }

    /// A copy; `None` if there is not that much memory.
    pub(super) fn copy(bytes: &[u8]) -> Option<Self> {
        let mut words = Vec::new();
        words.try_reserve_exact(bytes.len().div_ceil(8)).ok()?;
        let whole = bytes.chunks_exact(8);
        let mut last = [0; 8];
        last[..whole.remainder().len()].copy_from_slice(whole.remainder());
        let is_whole = whole.remainder().is_empty();
        words.extend(whole.map(|word| u64::from_ne_bytes(core::array::from_fn(|i| word[i]))));
        words.extend((!is_whole).then_some(u64::from_ne_bytes(last)));
        Some(Self { words: Arc::new(words), size: bytes.len() })
    }

    pub(super) fn len(&self) -> usize {
        self.size
    }

    /// The first `size` bytes; `None` if there are not as many.
    pub(super) fn prefix(mut self, size: u64) -> Option<Self> {
        self.size = usize::try_from(size).ok().filter(|size| *size <= self.size)?;
        Some(self)
    }
}

impl FromIterator<u8> for Bytes {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        let bytes: Vec<u8> = bytes.into_iter().collect();
        Self::copy(&bytes).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.words.as_bytes()[..self.size]
    }
}

impl AsMut<[u8]> for Bytes {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut Arc::make_mut(&mut self.words).as_mut_bytes()[..self.size]
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.size)
    }
}

/// The memory of a task that stands in messages: what it is about to send, and what it has received and not
/// claimed.
#[derive(Debug, Default)]
pub(super) struct Regions {
    by_address: BTreeMap<u32, Bytes>,
    last: u32,
}

impl Regions {
    /// Gives memory an address. It fits in 32 bits on every ABI, and comes up again only after all others, so
    /// that a stale one is noticed. Empty memory has the address 0.
    pub(super) fn insert(&mut self, bytes: Bytes) -> u64 {
        if bytes.len() == 0 {
            return 0;
        }
        loop {
            self.last = self.last.wrapping_add(1).max(1);
            if !self.by_address.contains_key(&self.last) {
                self.by_address.insert(self.last, bytes);
                return u64::from(self.last);
            }
        }
    }

    pub(super) fn get(&self, address: u64) -> Option<&Bytes> {
        self.by_address.get(&u32::try_from(address).ok()?)
    }

    pub(super) fn remove(&mut self, address: u64) -> Option<Bytes> {
        self.by_address.remove(&u32::try_from(address).ok()?)
    }

    pub(super) fn len(&self) -> usize {
        self.by_address.len()
    }
}

/// Out-of-line memory that a program holds.
pub struct Region {
    bytes: Bytes,
    /// How many the task has, for its census.
    count: Arc<AtomicUsize>,
}

impl Region {
    pub(super) fn new(bytes: Bytes, count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self { bytes, count: count.clone() }
    }

    pub(super) fn into_bytes(mut self) -> Bytes {
        core::mem::take(&mut self.bytes)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Deref for Region {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut()
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.fmt(f)
    }
}

/// Memory that a message may refer to until this is dropped.
#[derive(Debug)]
pub struct Lent<'a, A: TaskAbi> {
    task: Local<A>,
    address: u64,
    memory: PhantomData<&'a [u8]>,
}

impl<A: TaskAbi> Lent<'_, A> {
    pub(super) fn new(task: Local<A>, address: u64) -> Self {
        Self { task, address, memory: PhantomData }
    }

    pub(super) fn address(&self) -> u64 {
        self.address
    }
}

impl<A: TaskAbi> Drop for Lent<'_, A> {
    fn drop(&mut self) {
        self.task.end_loan(self.address);
    }
}
