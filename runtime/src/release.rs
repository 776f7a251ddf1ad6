//! Releasing what a message holds: the cold path behind every rejected, failed or dropped message.
//!
//! Kernels are passed by value: a reference would keep the caller's message, which the kernel is part of, in
//! memory.

use crate::abi::{Abi, Family};
use crate::body::Origin;
use crate::kernel::{Kernel, Name, RightKind};
use crate::memory::OolMemory;
use crate::types::{Type, name, padded, word_at};
use crate::untyped;

/// Releases a right that a message moves; one that it only copies or makes is not there yet.
///
/// # Safety
///
/// If the disposition moves a right, this one is the caller's to end.
#[cold]
#[inline(never)]
pub(crate) unsafe fn right<K: Kernel>(kernel: K, disposition: u8, name: Name) {
    let kind = match disposition {
        name::MOVE_RECEIVE => RightKind::Receive,
        name::MOVE_SEND => RightKind::Send,
        name::MOVE_SEND_ONCE => RightKind::SendOnce,
        _ => return,
    };
    if name.is_valid() {
        // SAFETY: the caller's promise.
        unsafe { kernel.release(kind, name) };
    }
}

/// Releases every right and region that the arguments of an unsent complex message hold.
///
/// # Safety
///
/// The message has been built by this crate and nobody else owns what it holds.
#[cold]
#[inline(never)]
pub(crate) unsafe fn unsent<K: Kernel>(kernel: K, arguments: &mut [u8]) {
    match K::Abi::FACTS.family {
        // SAFETY: the caller's promise.
        Family::Typed => unsafe { typed(kernel, arguments) },
        Family::Untyped => {
            let (count, descriptors) = untyped::split_count(arguments);
            // SAFETY: as above.
            unsafe { untyped::release(kernel, count, descriptors, Origin::Unsent) };
        }
    }
}

/// Releases every right and region that these arguments of a typed complex message hold.
///
/// `arguments` start at a type word. What is no type word, or says more than is there, ends the walk.
///
/// # Safety
///
/// The message has been built by this crate or delivered by `kernel`, with the complex bit, and nobody else
/// owns what these arguments hold.
#[cold]
#[inline(never)]
pub(crate) unsafe fn typed<K: Kernel>(kernel: K, mut arguments: &[u8]) {
    // SAFETY: each argument is visited once.
    while let Some(rest) = unsafe { first_argument(&kernel, arguments) } {
        arguments = rest;
    }
}

/// Releases what the first argument holds and returns the others; `None` at the end.
///
/// # Safety
///
/// As [`typed`].
unsafe fn first_argument<'b, K: Kernel>(kernel: &K, arguments: &'b [u8]) -> Option<&'b [u8]> {
    let (ty, data, rest) = split_argument::<K::Abi>(arguments)?;
    if ty.inline {
        // SAFETY: the caller's promise.
        unsafe { ports(kernel, ty.name, data, K::Abi::FACTS.port) };
    } else {
        // SAFETY: the caller's promise.
        unsafe { out_of_line(kernel, ty, data) };
    }
    Some(rest)
}

/// The type word of the first argument, its data (or the address of it), and the arguments behind it.
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

/// The address in an out-of-line argument.
#[inline]
pub(crate) fn address<A: Abi>(data: &[u8]) -> Option<u64> {
    let low = word_at(data, 0)?;
    let high = if A::FACTS.pointer == 8 { word_at(data, 4)? } else { 0 };
    Some(u64::from(high) << 32 | u64::from(low))
}

/// Releases the rights of an array of names, each in a slot of `slot` bytes.
///
/// # Safety
///
/// As [`right`], for each of them.
pub(crate) unsafe fn ports<K: Kernel>(kernel: &K, disposition: u8, data: &[u8], slot: usize) {
    if !name::is_right(disposition) {
        return;
    }
    for slot in data.chunks_exact(slot) {
        if let Some(name) = word_at(slot, 0) {
            // SAFETY: the caller's promise.
            unsafe { right(kernel.clone(), disposition, Name(name)) };
        }
    }
}

/// Releases out-of-line memory that moves with the message, and the rights in it.
///
/// # Safety
///
/// As [`typed`].
unsafe fn out_of_line<K: Kernel>(kernel: &K, ty: Type, data: &[u8]) {
    let (Some(address), Ok(len)) = (address::<K::Abi>(data), usize::try_from(ty.data_len())) else { return };
    // A message that was delivered in part has no address for what there was no room for.
    if !ty.deallocate || len == 0 || address == 0 {
        return;
    }
    // SAFETY: the type word has the deallocate bit, so the memory is the message's, and the caller's promise.
    let memory = OolMemory::<K>::from_region(unsafe { kernel.region_from_wire(address, len) });
    // SAFETY: the caller's promise.
    unsafe { ports(kernel, ty.name, &memory, size_of::<Name>()) };
}
