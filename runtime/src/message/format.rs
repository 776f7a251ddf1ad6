//! What differs between the two families of wire formats, as functions of a type for each.
//!
//! The methods that exist in one family only stand in an `impl` for the ABIs of that family, so that a call
//! of the other family's does not compile. What both have calls the functions here, which are chosen when it
//! is compiled.

use core::mem::MaybeUninit;

use super::body::Body;
use super::builder::Builder;
use super::malformed::Malformed;
use super::shape::{Complex, Shape};
use super::trailer::Seqno;
use crate::abi::Abi;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, Name, NameOf};
use crate::right::AnyRight;

/// A family of wire formats: [`Typed`](crate::abi::Typed) or [`Untyped`](crate::abi::Untyped).
pub trait Format: Rules {
    /// The part of a message's trailer that a receiver keeps: nothing where there are no trailers.
    type Trailer: Copy + Send + Sync + 'static;

    /// Reads the trailer after a message of `size` bytes.
    ///
    /// # Safety
    ///
    /// The kernel has delivered the message into `storage`, for an ABI of this family.
    #[doc(hidden)]
    unsafe fn trailer(storage: &mut [MaybeUninit<u64>], size: usize) -> Self::Trailer;

    /// The sequence number of a message with this trailer, and this word in the place of `msgh_seqno`.
    #[doc(hidden)]
    fn seqno(field: u32, trailer: &Self::Trailer) -> Seqno;
}

/// The format of a kernel's messages.
pub(crate) type FormatOf<K> = <<K as Kernel>::Abi as Abi>::Format;

/// The trailer of a kernel's messages.
pub(crate) type TrailerOf<K> = <FormatOf<K> as Format>::Trailer;

/// The functions of a format. No other crate can name this trait, so none can implement it.
pub trait Rules: Copy + Send + Sync + 'static {
    /// Checks the complex bit and the size of a message. Both sizes, and that in the declaration, are without
    /// the header.
    fn check(declared: Shape, complex: bool, size: usize) -> Result<(), Malformed>;

    /// The number of descriptors that a message has, and the bytes after that number.
    fn split_count(complex: bool, arguments: &mut [u8]) -> (u32, &mut [u8]);

    /// Takes the name of a right of this kind out of the next argument.
    fn take_right<K: Kernel<Abi: Abi<Format = Self>>>(
        body: &mut Body<'_, K>,
        disposition: u8,
    ) -> Result<NameOf<K>, Malformed>;

    /// Takes a polymorphic argument.
    fn take_any<K: Kernel<Abi: Abi<Format = Self>>>(
        body: &mut Body<'_, K>,
    ) -> Result<AnyRight<'static, K>, Malformed>;

    /// Takes the name in a dead-name notification, which is plain data.
    fn take_name<K: Kernel<Abi: Abi<Format = Self>>>(body: &mut Body<'_, K>) -> Result<Name, Malformed>;

    /// Takes the return code of a reply that brings neither rights nor memory.
    fn take_code<K: Kernel<Abi: Abi<Format = Self>>>(body: &mut Body<'_, K>)
    -> Result<KernReturn, Malformed>;

    /// Takes the return code of a reply that is as declared; `remote` is the remote port in its header.
    fn begin_reply<K: Kernel<Abi: Abi<Format = Self>>>(
        body: &mut Body<'_, K>,
        declared: Complex,
        remote: NameOf<K>,
    ) -> Result<KernReturn, Malformed>;

    /// Passes over the next argument and releases what it holds. False if there is none.
    fn skip<K: Kernel<Abi: Abi<Format = Self>>>(body: &mut Body<'_, K>) -> bool;

    /// Releases what the arguments that are left hold.
    ///
    /// # Safety
    ///
    /// Nobody looks at the body any more.
    unsafe fn release<K: Kernel<Abi: Abi<Format = Self>>>(body: &mut Body<'_, K>);

    /// Appends a right, or a polymorphic word.
    ///
    /// # Safety
    ///
    /// If the disposition moves a right, the task of the message holds it under this name, and the message
    /// owns it from now on. If it copies one, or makes one from it, the right lives as long as the message.
    unsafe fn put_right<K: Kernel<Abi: Abi<Format = Self>>>(
        builder: &mut Builder<'_, K>,
        name: NameOf<K>,
        disposition: u8,
    );

    /// Appends a return code.
    fn put_code<K: Kernel<Abi: Abi<Format = Self>>>(builder: &mut Builder<'_, K>, code: KernReturn);

    /// Appends what a reply of success begins with.
    fn put_success<K: Kernel<Abi: Abi<Format = Self>>>(builder: &mut Builder<'_, K>);

    /// The voucher in a header with these bits, and this word in the place of `msgh_seqno`; its name and its
    /// disposition.
    fn voucher(bits: u32, field: u32) -> Option<(u32, u8)>;

    /// True if the thread's reply port may be used again after a call that failed with this code: the kernel
    /// has done nothing, so no reply can come.
    fn keeps_reply_port(code: KernReturn) -> bool;

    /// True if a server that answers this code sends nothing.
    fn is_silent(code: KernReturn) -> bool;
}
