//! The typed family: a type word before each argument says what it is.

use core::mem::{self, MaybeUninit};

use zerocopy::IntoBytes;

use super::release::{release, split_argument};
use super::word::Type;
use super::write::RETURN_CODE;
use crate::abi::Abi;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, Name, NameOf, PortName};
use crate::message::body::Body;
use crate::message::builder::Builder;
use crate::message::format::{Format, Rules};
use crate::message::malformed::Malformed;
use crate::message::shape::{Complex, Shape};
use crate::message::trailer::Seqno;
use crate::right::{AnyRight, Word, disposition};

/// The format of ABIs whose messages say by type words what they bring: GNU Mach's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Typed;

/// `MACH_MSG_TYPE_PORT_NAME`: a name that is no right.
const PORT_NAME: Type = Type::inline(15, 32, 1);

impl Format for Typed {
    type Trailer = ();

    #[inline(always)]
    unsafe fn trailer(_: &mut [MaybeUninit<u64>], _: usize) {}

    #[inline(always)]
    fn seqno(field: u32, (): &()) -> Seqno {
        Seqno(field)
    }
}

impl Rules for Typed {
    #[inline(always)]
    fn check(declared: Shape, complex: bool, size: usize) -> Result<(), Malformed> {
        // A message that is too long is found out when the arguments end.
        declared.check_size(size, usize::MAX)?;
        declared.check_complex(complex, true)
    }

    #[inline(always)]
    fn split_count(_: bool, arguments: &mut [u8]) -> (u32, &mut [u8]) {
        (0, arguments)
    }

    #[inline(always)]
    fn take_right<K: Kernel<Abi: Abi<Format = Self>>>(
        body: &mut Body<'_, K>,
        disposition: u8,
    ) -> Result<NameOf<K>, Malformed> {
        if !body.complex {
            return Err(Malformed::Complex);
        }
        body.slot(disposition)
    }

    #[inline(always)]
    fn take_any<K: Kernel<Abi: Abi<Format = Self>>>(
        body: &mut Body<'_, K>,
    ) -> Result<AnyRight<'static, K>, Malformed> {
        let disposition = body.polymorphic()?;
        if !disposition::is_right(disposition) {
            let word = Word::new(disposition, body.slot(disposition)?.word() as u32);
            return word.map(AnyRight::Data).ok_or(Malformed::Type);
        }
        let name = Self::take_right(body, disposition)?;
        // SAFETY: in a complex message, under a type word of this kind, and taken out just now.
        unsafe { AnyRight::from_wire(body.kernel.clone(), name, disposition) }.ok_or(Malformed::Type)
    }

    #[inline(always)]
    fn take_name<K: Kernel<Abi: Abi<Format = Self>>>(body: &mut Body<'_, K>) -> Result<Name, Malformed> {
        body.data(PORT_NAME)
    }

    #[inline(always)]
    fn take_code<K: Kernel<Abi: Abi<Format = Self>>>(
        body: &mut Body<'_, K>,
    ) -> Result<KernReturn, Malformed> {
        body.data(RETURN_CODE)
    }

    #[inline(always)]
    fn begin_reply<K: Kernel<Abi: Abi<Format = Self>>>(
        body: &mut Body<'_, K>,
        _: Complex,
        _: NameOf<K>,
    ) -> Result<KernReturn, Malformed> {
        Self::take_code(body)
    }

    fn skip<K: Kernel<Abi: Abi<Format = Self>>>(body: &mut Body<'_, K>) -> bool {
        let Some((_, _, rest)) = split_argument::<K::Abi>(body.rest) else { return false };
        let len = body.rest.len() - rest.len();
        let (argument, rest) = mem::take(&mut body.rest).split_at_mut(len);
        body.rest = rest;
        // SAFETY: the fields are those of a body, and the argument leaves this one.
        drop(unsafe { Body::new(body.kernel.clone(), body.complex, argument, body.origin) });
        true
    }

    #[inline(always)]
    unsafe fn release<K: Kernel<Abi: Abi<Format = Self>>>(body: &mut Body<'_, K>) {
        let rest = mem::take(&mut body.rest);
        if body.complex && !rest.is_empty() {
            // SAFETY: as `Body::new` was promised, and what has been taken out is no longer in it.
            unsafe { release(body.kernel.clone(), rest, body.origin) };
        }
    }

    #[inline(always)]
    unsafe fn put_right<K: Kernel<Abi: Abi<Format = Self>>>(
        builder: &mut Builder<'_, K>,
        name: NameOf<K>,
        disposition: u8,
    ) {
        builder.slot(Type::slot::<K::Abi>(disposition), name);
    }

    #[inline(always)]
    fn put_code<K: Kernel<Abi: Abi<Format = Self>>>(builder: &mut Builder<'_, K>, code: KernReturn) {
        builder.argument(RETURN_CODE, code.as_bytes());
    }

    #[inline(always)]
    fn put_success<K: Kernel<Abi: Abi<Format = Self>>>(builder: &mut Builder<'_, K>) {
        Self::put_code(builder, KernReturn::KERN_SUCCESS);
    }

    #[inline(always)]
    fn voucher(_: u32, _: u32) -> Option<(u32, u8)> {
        None
    }

    #[inline(always)]
    fn keeps_reply_port(_: KernReturn) -> bool {
        false
    }

    #[inline(always)]
    fn is_silent(code: KernReturn) -> bool {
        code == KernReturn::MIG_NO_REPLY || code == KernReturn::MIG_DESTROY_REQUEST
    }
}
