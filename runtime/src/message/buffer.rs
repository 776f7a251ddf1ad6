//! Where messages are built and received: storage that is not initialised in advance.

use core::mem::MaybeUninit;
use core::slice;

use super::header::Header;
use crate::abi::Abi;
use crate::bytes::padded;

/// Storage for a message of at most `N` bytes, aligned as every ABI needs it; a local variable of a client
/// stub.
///
/// `N` is a multiple of 8. Nothing is written to it until a message is.
#[repr(C, align(8))]
pub struct MsgBuf<const N: usize>([MaybeUninit<u8>; N]);

impl<const N: usize> MsgBuf<N> {
    /// Storage with no message in it.
    #[inline]
    pub const fn new() -> Self {
        const { assert!(N % 8 == 0, "the size of a message buffer is a multiple of 8") };
        Self([MaybeUninit::uninit(); N])
    }

    /// The storage, for [`Received::receive`](crate::Received::receive) and
    /// [`Reply::new`](crate::Reply::new).
    #[inline]
    pub fn words(&mut self) -> &mut [MaybeUninit<u64>] {
        // SAFETY: the type has the alignment of u64, N is a multiple of its size, and any bytes are valid for
        // MaybeUninit.
        unsafe { slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), N / 8) }
    }
}

impl<const N: usize> Default for MsgBuf<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The beginning of a storage that has room for `N` bytes.
#[inline]
pub(crate) fn room<const N: usize>(storage: &mut [MaybeUninit<u64>]) -> &mut [MaybeUninit<u64>] {
    match storage.get_mut(..N.div_ceil(size_of::<u64>())) {
        Some(room) => room,
        None => no_room(),
    }
}

/// A message under construction: room for the header, then the arguments so far, then what is free.
///
/// Holds the one fact that makes reading the arguments back sound: the bytes from the header to `end` are
/// initialised.
pub(crate) struct Space<'b> {
    storage: &'b mut [MaybeUninit<u64>],
    start: usize,
    end: usize,
}

impl<'b> Space<'b> {
    /// An empty message in `storage`.
    #[inline]
    pub(crate) fn new<A: Abi>(storage: &'b mut [MaybeUninit<u64>]) -> Self {
        let start = A::FACTS.header;
        if size_of_val(storage) < start {
            no_room();
        }
        Self { storage, start, end: start }
    }

    /// The message of `len` bytes that a `Space` has left in `storage`.
    ///
    /// # Safety
    ///
    /// One has, and nothing has been written to the storage since.
    #[inline]
    pub(crate) unsafe fn written<A: Abi>(storage: &'b mut [MaybeUninit<u64>], len: usize) -> Self {
        Self { storage, start: A::FACTS.header, end: len }
    }

    /// Where the message is written.
    #[inline]
    pub(crate) fn storage(&self) -> *const MaybeUninit<u64> {
        self.storage.as_ptr()
    }

    /// Bytes that are free.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        size_of_val(self.storage) - self.end
    }

    /// Bytes so far, the header's included.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.end
    }

    /// Appends bytes.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if size_of_val(self.storage) - self.end < bytes.len() {
            no_room();
        }
        // SAFETY: the bytes from `end` on are in the storage, as just tested, and `bytes`, a shared borrow,
        // lies elsewhere.
        unsafe { self.at(self.end).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.end += bytes.len();
    }

    /// Appends the parts of a type word and its data, and zeros up to the ABI's alignment.
    #[inline(always)]
    pub(crate) fn push_argument<A: Abi, const N: usize>(&mut self, word: &[u32; N], data: &[u8]) {
        let (word_len, unit) = (size_of_val(word), A::FACTS.alignment);
        let end = self.end + word_len + padded::<A>(data.len() as u64) as usize;
        if size_of_val(self.storage) < end {
            no_room();
        }
        // The last unit first: what it has besides the padding is written below, if nothing else the end of
        // the type word. SAFETY: before `end`, which is in the storage, as just tested; a type word is
        // no shorter than a unit.
        unsafe { self.at(end - unit).write_bytes(0, unit) };
        for (index, part) in word.iter().enumerate() {
            // SAFETY: before `end`.
            unsafe { self.at(self.end + 4 * index).cast::<u32>().write_unaligned(part.to_le()) };
        }
        // SAFETY: before `end`, and `data`, a shared borrow, lies elsewhere.
        unsafe { self.at(self.end + word_len).copy_from_nonoverlapping(data.as_ptr(), data.len()) };
        self.end = end;
    }

    /// Appends zeros.
    #[inline]
    pub(crate) fn push_zeros(&mut self, count: usize) {
        if size_of_val(self.storage) - self.end < count {
            no_room();
        }
        // SAFETY: the bytes from `end` on are in the storage, as just tested.
        unsafe { self.at(self.end).write_bytes(0, count) };
        self.end += count;
    }

    /// The arguments so far.
    #[inline]
    pub(crate) fn into_arguments(mut self) -> &'b mut [u8] {
        let (start, len) = (self.at(self.start), self.end - self.start);
        // SAFETY: `start..end` has been written, byte by byte, and the borrow of the storage passes on.
        unsafe { slice::from_raw_parts_mut(start, len) }
    }

    /// Writes the header before the arguments. All `msgh_size` bytes are initialised then.
    #[inline]
    pub(crate) fn finish<A: Abi>(mut self, header: Header<A::Name>) -> &'b mut [MaybeUninit<u64>] {
        let header = Header { size: self.end as u32, ..header }.to_bytes::<A>();
        // SAFETY: the storage has room for a header, as tested in `new`.
        unsafe { self.at(0).copy_from_nonoverlapping(header.as_ptr(), A::FACTS.header) };
        self.storage
    }

    /// Takes the message away, and leaves one without storage.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        let taken = Self { storage: core::mem::take(&mut self.storage), start: self.start, end: self.end };
        (self.start, self.end) = (0, 0);
        taken
    }

    #[inline]
    fn at(&mut self, offset: usize) -> *mut u8 {
        self.storage.as_mut_ptr().cast::<u8>().wrapping_add(offset)
    }
}

/// The first `len` bytes of a buffer.
///
/// # Safety
///
/// They are initialised; `len` may exceed the buffer, which then bounds it.
#[inline]
pub(crate) unsafe fn initialised(storage: &mut [MaybeUninit<u64>], len: usize) -> &mut [u8] {
    let len = len.min(size_of_val(storage));
    // SAFETY: in the storage, as just bounded; initialised, as the caller says.
    unsafe { slice::from_raw_parts_mut(storage.as_mut_ptr().cast(), len) }
}

/// What stands after the header of a message of `size` bytes. Nothing, if that is less than a header or more
/// than the buffer has, which no kernel delivers.
///
/// # Safety
///
/// They are initialised.
#[inline]
pub(crate) unsafe fn arguments<A: Abi>(storage: &mut [MaybeUninit<u64>], size: usize) -> &mut [u8] {
    if size < A::FACTS.header || size > size_of_val(storage) {
        return &mut [];
    }
    // SAFETY: the caller's promise.
    let message = unsafe { initialised(storage, size) };
    &mut message[A::FACTS.header..]
}

/// Ends the program. A buffer that is too small for the message is a mistake in the stub, whatever the values
/// are.
///
/// A function of C does not unwind. If this one did, every builder would have to be in memory, so that it
/// could be dropped then.
#[cold]
#[inline(never)]
extern "C" fn no_room() -> ! {
    panic!("the message is larger than the buffer that was declared for it");
}
