//! The untyped family: descriptors say what a message brings, and plain data follows an NDR record.

use core::mem::{self, MaybeUninit};

use super::descriptor::{COUNT, descriptor_len};
use super::release::release;
use crate::abi::Abi;
use crate::bytes::word_at;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, Name, NameOf, PortName};
use crate::message::body::Body;
use crate::message::buffer::initialised;
use crate::message::builder::Builder;
use crate::message::format::{Format, Rules};
use crate::message::malformed::Malformed;
use crate::message::shape::{Complex, Shape};
use crate::message::trailer::{Seqno, Trailer};
use crate::right::AnyRight;

/// The format of ABIs whose messages say by descriptors what they bring: Apple's and OSF's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Untyped;

impl Format for Untyped {
    type Trailer = Trailer;

    #[inline(always)]
    unsafe fn trailer(storage: &mut [MaybeUninit<u64>], size: usize) -> Trailer {
        /// Bytes of the type and the size that a trailer begins with.
        const HEAD: usize = 8;
        let room = size_of_val(storage);
        let start = size.min(room).next_multiple_of(4).min(room);
        // SAFETY: a delivered message ends in a trailer that has a head at least.
        let head = unsafe { initialised(storage, start + HEAD) };
        let size = word_at(head, start + 4).unwrap_or(0) as usize;
        // SAFETY: the trailer is as long as it says.
        let end = unsafe { initialised(storage, start.saturating_add(size.max(HEAD))) };
        Trailer::read(&end[start..])
    }

    #[inline(always)]
    fn seqno(_: u32, trailer: &Trailer) -> Seqno {
        trailer.seqno().unwrap_or_default()
    }
}

impl Rules for Untyped {
    #[inline(always)]
    fn check(declared: Shape, complex: bool, size: usize) -> Result<(), Malformed> {
        declared.check_size(size, declared.max)?;
        declared.check_complex(complex, false)
    }

    #[inline(always)]
    fn split_count(complex: bool, arguments: &mut [u8]) -> (u32, &mut [u8]) {
        match word_at(arguments, 0) {
            Some(count) if complex => (count, &mut arguments[COUNT..]),
            _ => (0, arguments),
        }
    }

    #[inline(always)]
    fn take_right<K: Kernel<Abi: Abi<Format = Self>>>(
        body: &mut Body<'_, K>,
        disposition: u8,
    ) -> Result<NameOf<K>, Malformed> {
        body.port_descriptor(disposition)
    }

    #[inline(always)]
    fn take_any<K: Kernel<Abi: Abi<Format = Self>>>(
        body: &mut Body<'_, K>,
    ) -> Result<AnyRight<'static, K>, Malformed> {
        body.element()
    }

    #[inline(always)]
    fn take_name<K: Kernel<Abi: Abi<Format = Self>>>(body: &mut Body<'_, K>) -> Result<Name, Malformed> {
        body.ndr()?;
        body.value()
    }

    #[inline(always)]
    fn take_code<K: Kernel<Abi: Abi<Format = Self>>>(
        body: &mut Body<'_, K>,
    ) -> Result<KernReturn, Malformed> {
        body.ndr()?;
        body.value()
    }

    #[inline(always)]
    fn begin_reply<K: Kernel<Abi: Abi<Format = Self>>>(
        body: &mut Body<'_, K>,
        declared: Complex,
        remote: NameOf<K>,
    ) -> Result<KernReturn, Malformed> {
        if remote != PortName::NULL {
            return Err(Malformed::Type);
        }
        match declared {
            // A reply that brings rights has succeeded.
            Complex::Always => Ok(KernReturn::KERN_SUCCESS),
            Complex::Never | Complex::Depends => Self::take_code(body),
        }
    }

    fn skip<K: Kernel<Abi: Abi<Format = Self>>>(body: &mut Body<'_, K>) -> bool {
        let Some(len) = descriptor_len::<K::Abi>(body.rest).filter(|_| body.descriptors != 0) else {
            return false;
        };
        let (descriptor, rest) = mem::take(&mut body.rest).split_at_mut(len);
        body.rest = rest;
        body.descriptors -= 1;
        // SAFETY: the descriptor is one of a body, and has just left it.
        unsafe { release(body.kernel.clone(), 1, descriptor, body.origin) };
        true
    }

    #[inline(always)]
    unsafe fn release<K: Kernel<Abi: Abi<Format = Self>>>(body: &mut Body<'_, K>) {
        let rest = mem::take(&mut body.rest);
        if body.descriptors != 0 {
            // SAFETY: as `Body::new` was promised, and what has been taken out is no longer in it.
            unsafe { release(body.kernel.clone(), body.descriptors, rest, body.origin) };
        }
    }

    #[inline(always)]
    unsafe fn put_right<K: Kernel<Abi: Abi<Format = Self>>>(
        builder: &mut Builder<'_, K>,
        name: NameOf<K>,
        disposition: u8,
    ) {
        // The number of descriptors has made the message complex.
        builder.port_descriptor(name, disposition);
    }

    #[inline(always)]
    fn put_code<K: Kernel<Abi: Abi<Format = Self>>>(builder: &mut Builder<'_, K>, code: KernReturn) {
        builder.ndr();
        builder.value(&code);
    }

    #[inline(always)]
    fn put_success<K: Kernel<Abi: Abi<Format = Self>>>(_: &mut Builder<'_, K>) {}

    #[inline(always)]
    fn voucher(bits: u32, field: u32) -> Option<(u32, u8)> {
        let disposition = (bits >> 16) as u8 & 0x1f;
        (disposition != 0).then_some((field, disposition))
    }

    #[inline(always)]
    fn keeps_reply_port(code: KernReturn) -> bool {
        matches!(
            code,
            KernReturn::MACH_SEND_INVALID_DATA
                | KernReturn::MACH_SEND_INVALID_DEST
                | KernReturn::MACH_SEND_INVALID_HEADER
        )
    }

    #[inline(always)]
    fn is_silent(code: KernReturn) -> bool {
        // The number of `MIG_DESTROY_REQUEST` is that of `MIG_TRAILER_ERROR`, an error like any other.
        code == KernReturn::MIG_NO_REPLY
    }
}
