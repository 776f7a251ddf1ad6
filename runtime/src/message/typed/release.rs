//! Releasing what the arguments of a typed message hold.

use super::word::Type;
use crate::abi::Abi;
use crate::bytes::{address, padded};
use crate::kernel::Kernel;
use crate::memory::OolMemory;
use crate::message::shape::Origin;
use crate::right::release_names;

/// Releases every right and region that these arguments of a typed complex message hold.
///
/// `arguments` start at a type word. What is no type word, or says more than is there, ends the walk.
///
/// # Safety
///
/// The message has been built by this crate or delivered by `kernel`, as `origin` says, with the complex bit,
/// and nobody else owns what these arguments hold.
#[cold]
#[inline(never)]
pub(crate) unsafe fn release<K: Kernel>(kernel: K, mut arguments: &[u8], origin: Origin) {
    // SAFETY: each argument is visited once.
    while let Some(rest) = unsafe { first_argument(&kernel, arguments, origin) } {
        arguments = rest;
    }
}

/// Releases what the first argument holds and returns the others; `None` at the end.
///
/// # Safety
///
/// As [`release`].
unsafe fn first_argument<'b, K: Kernel>(kernel: &K, arguments: &'b [u8], origin: Origin) -> Option<&'b [u8]> {
    let (ty, data, rest) = split_argument::<K::Abi>(arguments)?;
    let ty = ty.with_origin::<K::Abi>(origin);
    if ty.inline {
        // SAFETY: the caller's promise.
        unsafe { release_names(kernel, ty.name, data, K::Abi::FACTS.port) };
    } else {
        // SAFETY: the caller's promise.
        unsafe { out_of_line(kernel, ty, data) };
    }
    Some(rest)
}

/// The type word of the first argument, its data (or the address of it), and the arguments after it.
/// `None` if the type word says more than is there.
#[inline]
pub(crate) fn split_argument<A: Abi>(arguments: &[u8]) -> Option<(Type, &[u8], &[u8])> {
    let ty = Type::read::<A>(arguments)?;
    let body = arguments.get(ty.word_len::<A>()..)?;
    let len = if ty.inline { usize::try_from(ty.data_len()).ok()? } else { A::FACTS.pointer };
    let data = body.get(..len)?;
    let end = usize::try_from(padded::<A>(len as u64)).ok()?.min(body.len());
    Some((ty, data, &body[end..]))
}

/// Releases out-of-line memory that moves with the message, and the rights in it.
///
/// # Safety
///
/// As [`release`].
unsafe fn out_of_line<K: Kernel>(kernel: &K, ty: Type, data: &[u8]) {
    let (Some(address), Ok(len)) = (address::<K::Abi>(data), usize::try_from(ty.data_len())) else { return };
    // A message that was delivered in part has no address for what there was no room for.
    let moves = ty.deallocate || K::Abi::FACTS.in_kernel;
    if !moves || len == 0 || address == 0 {
        return;
    }
    // SAFETY: the type word has the deallocate bit, or the message is a kernel's, so the memory is the
    // message's; and the caller's promise.
    let memory = OolMemory::<K>::from_region(unsafe { kernel.region_from_wire(address, len) });
    // SAFETY: the caller's promise.
    unsafe { release_names(kernel, ty.name, &memory, K::Abi::FACTS.port_name) };
}
