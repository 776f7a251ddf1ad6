//! What a body takes out of a typed message.

use core::ffi::CStr;
use core::mem;
use core::slice;

use arrayvec::ArrayVec;

use super::word::{Expected, Type, WordForm};
use crate::abi::{Abi, Typed};
use crate::bytes::{address, padded, port_at};
use crate::kernel::{Kernel, NameOf, PortName};
use crate::memory::{Array, Elements, OolMemory, Plain};
use crate::message::body::Body;
use crate::message::malformed::Malformed;
use crate::right::{ArrayRight, ReceiveRight, Rights, disposition};

/// For typed ABIs.
impl<'b, K: Kernel<Abi: Abi<Format = Typed>>> Body<'b, K> {
    /// Checks the type words of arguments of fixed size, or out of line, from the first one on, before
    /// anything is taken.
    ///
    /// This is never necessary, since each argument is checked when it is taken; the compiler drops the
    /// second check. But a stub that owns nothing yet when a check fails has less to release, so that it is
    /// shorter and faster.
    ///
    /// # Errors
    ///
    /// [`Malformed`]
    #[inline(always)]
    pub fn expect<const N: usize>(&mut self, words: [Expected; N]) -> Result<(), Malformed> {
        let mut rest = &*self.rest;
        for Expected(ty) in words {
            let data = if ty.inline { ty.data_len() } else { K::Abi::FACTS.pointer as u64 };
            let (start, len) = (ty.word_len::<K::Abi>(), padded::<K::Abi>(data) as usize);
            if !ty.starts::<K::Abi>(rest) || !ty.belongs::<K::Abi>(rest, self.origin) {
                return Err(Malformed::Type);
            }
            rest = rest.get(start + len..).ok_or(Malformed::Size)?;
        }
        Ok(())
    }

    /// Takes plain data of a fixed size.
    ///
    /// # Errors
    ///
    /// [`Malformed`]
    ///
    /// # Panics
    ///
    /// If `ty` describes another size than that of `T`.
    #[inline]
    pub fn data<T: Plain>(&mut self, ty: Type) -> Result<T, Malformed> {
        assert!(ty.data_len() == size_of::<T>() as u64, "the type word describes another size");
        let data = self.fixed(ty.in_message(), size_of::<T>())?;
        T::read_from_bytes(data).map_err(|_| Malformed::Size)
    }

    /// Takes an array of variable length that is always inline, of values that need no more alignment than
    /// the ABI gives.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; also for more than `max` elements, which the C stubs let pass.
    #[inline]
    pub fn slice<T: Plain>(&mut self, ty: Type, max: usize) -> Result<&'b [T], Malformed> {
        let (found, len) = self.inline_array::<T>(ty, max)?;
        let bytes = self.take(found, len)?;
        Ok(aligned::<T, K::Abi>(bytes))
    }

    /// As [`slice`](Self::slice), for the last array of variable length: exactly `rest` bytes stand after
    /// it. One comparison tells that they, and the array, are there.
    ///
    /// # Errors
    ///
    /// As [`slice`](Self::slice).
    #[inline]
    pub fn slice_before<T: Plain>(
        &mut self,
        ty: Type,
        max: usize,
        rest: usize,
    ) -> Result<&'b [T], Malformed> {
        let (found, len) = self.inline_array::<T>(ty, max)?;
        if self.rest.len() as u64 != size_with_word::<K::Abi>(ty, len) + rest as u64 {
            return Err(Malformed::Size);
        }
        let bytes = self.take(found, len)?;
        Ok(aligned::<T, K::Abi>(bytes))
    }

    /// As [`slice`](Self::slice), for values of any alignment.
    ///
    /// # Errors
    ///
    /// As [`slice`](Self::slice).
    #[inline]
    pub fn packed_slice<T: Plain>(&mut self, ty: Type, max: usize) -> Result<Array<'b, T>, Malformed> {
        let (found, len) = self.inline_array::<T>(ty, max)?;
        Ok(Array::from_bytes(self.take(found, len)?))
    }

    /// Takes an array of indefinite length, from the message or from out of line.
    ///
    /// # Errors
    ///
    /// [`Malformed`]
    #[inline]
    pub fn indefinite<T: Plain>(&mut self, ty: Type) -> Result<Elements<'b, T, K>, Malformed> {
        let found = ty.find::<K::Abi>(self.rest)?;
        if found.is_inline() {
            self.inline_elements(ty.with_number(found.number))
        } else {
            self.ool_elements(ty)
        }
    }

    /// Takes data that is always out of line.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; also in a message without the complex bit, or if the memory has not moved here: both
    /// would be an address that the sender made up.
    #[inline]
    pub fn ool(&mut self, ty: Type) -> Result<OolMemory<K>, Malformed> {
        if !self.complex {
            return Err(Malformed::Complex);
        }
        let ty = ty.at_address();
        if !self.starts(ty) {
            return Err(self.other_type(ty));
        }
        let number = ty.find::<K::Abi>(self.rest)?.number;
        let len = usize::try_from(ty.with_number(number).data_len()).map_err(|_| Malformed::Size)?;
        let address = address::<K::Abi>(self.take(ty, K::Abi::FACTS.pointer)?);
        if len == 0 {
            return Ok(OolMemory::empty());
        }
        // SAFETY: in a complex message, under a type word with the deallocate bit, and taken out just now.
        Ok(OolMemory::from_region(unsafe { self.kernel.region_from_wire(address.unwrap_or(0), len) }))
    }

    /// As [`ool`](Self::ool), for elements other than bytes.
    ///
    /// # Errors
    ///
    /// As [`ool`](Self::ool); also for no whole number of elements.
    #[inline]
    pub fn ool_elements<T: Plain>(&mut self, ty: Type) -> Result<Elements<'b, T, K>, Malformed> {
        whole::<T>(ty.with_number(ty.find::<K::Abi>(self.rest)?.number))?;
        Ok(Elements::from_memory(self.ool(ty)?))
    }

    /// Takes a string in an area of fixed size. A last byte that is not NUL becomes one, as the C stubs make
    /// it.
    ///
    /// # Errors
    ///
    /// [`Malformed`]
    pub fn fixed_string(&mut self, ty: Type) -> Result<&'b CStr, Malformed> {
        let area =
            self.fixed(ty.in_message(), usize::try_from(ty.data_len()).map_err(|_| Malformed::Size)?)?;
        if let Some(last) = area.last_mut() {
            *last = 0;
        }
        CStr::from_bytes_until_nul(area).map_err(|_| Malformed::String)
    }

    /// Takes a string of variable length; an empty argument is the empty string.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; also for more than `max` bytes, or without a NUL among them.
    pub fn string(&mut self, ty: Type, max: usize) -> Result<&'b CStr, Malformed> {
        let found = ty.with_number(self.inline_number(ty)?);
        if found.data_len() > max as u64 {
            return Err(self.too_many(found));
        }
        match self.take(found, found.data_len() as usize)? {
            [] => Ok(c""),
            bytes => CStr::from_bytes_until_nul(bytes).map_err(|_| Malformed::String),
        }
    }

    /// Takes an array of rights that is always inline: at most `max`, and never more than `N`.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; also for more than `max` rights. Where the sender chooses their kind, as
    /// [`poly`](Self::poly).
    pub fn ports<R: ArrayRight<K>, const N: usize>(
        &mut self,
        form: WordForm,
        max: usize,
    ) -> Result<ArrayVec<R, N>, Malformed> {
        Ok(self.inline_rights(form, max.min(N))?.collect())
    }

    /// Takes an array of rights of indefinite length, from the message or from out of line. Those in the
    /// message are moved to the heap.
    ///
    /// # Errors
    ///
    /// As [`ports`](Self::ports).
    pub fn indefinite_ports<R: ArrayRight<K>>(&mut self) -> Result<Rights<K, R>, Malformed> {
        match self.is_inline()? {
            true => Ok(self.inline_rights(WordForm::Long, usize::MAX)?.collect()),
            false => self.ool_ports(),
        }
    }

    /// Takes an array of rights that is always out of line.
    ///
    /// # Errors
    ///
    /// As [`ports`](Self::ports).
    pub fn ool_ports<R: ArrayRight<K>>(&mut self) -> Result<Rights<K, R>, Malformed> {
        self.ports_at_address(WordForm::Long)
    }

    /// As [`ool_ports`](Self::ool_ports), under a short type word.
    ///
    /// # Errors
    ///
    /// As [`ports`](Self::ports).
    pub fn short_ool_ports<R: ArrayRight<K>>(&mut self) -> Result<Rights<K, R>, Malformed> {
        self.ports_at_address(WordForm::Short)
    }

    fn ports_at_address<R: ArrayRight<K>>(&mut self, form: WordForm) -> Result<Rights<K, R>, Malformed> {
        let kind = self.kind::<R>()?;
        let names = self.ool(Type::names::<K::Abi>(kind, form))?;
        // SAFETY: under a type word of this kind, in a complex message, since it has moved memory.
        Ok(unsafe { self.rights_in(names, kind) })
    }

    /// The kind of the rights in an array: the declared one, or that which the sender has chosen.
    fn kind<R: ArrayRight<K>>(&self) -> Result<u8, Malformed> {
        R::KIND.map_or_else(|| self.polymorphic(), Ok)
    }

    /// Takes at most `max` rights that stand in the message, and owns each when it is asked for.
    fn inline_rights<R: ArrayRight<K>>(
        &mut self,
        form: WordForm,
        max: usize,
    ) -> Result<impl Iterator<Item = R> + use<'b, K, R>, Malformed> {
        let kind = self.kind::<R>()?;
        let slots: &'b [u8] = self.inline_names(kind, form, max)?;
        let kernel = self.kernel.clone();
        let names = slots
            .chunks_exact(K::Abi::FACTS.port)
            .map(|slot| port_at::<K::Abi>(slot, 0).unwrap_or(PortName::NULL));
        // SAFETY: under a type word of this kind, in a complex message if it is one of rights, and taken out
        // just now.
        Ok(names.filter_map(move |name| unsafe { R::received(kernel.clone(), name, kind) }))
    }

    /// The error of an array with too many elements: another one if the message does not even have them.
    #[cold]
    fn too_many(&self, found: Type) -> Malformed {
        let total = (found.word_len::<K::Abi>() as u64).saturating_add(found.data_len());
        if total > self.rest.len() as u64 { Malformed::Size } else { Malformed::Count }
    }

    /// The number in the next type word, if that is `ty` in all else.
    #[inline]
    fn inline_number(&self, ty: Type) -> Result<u32, Malformed> {
        ty.in_message().find_inline::<K::Abi>(self.rest)
    }

    /// The type word of an array of at most `max` values, a whole number of them, and its bytes.
    #[inline]
    fn inline_array<T: Plain>(&self, ty: Type, max: usize) -> Result<(Type, usize), Malformed> {
        let found = ty.with_number(self.inline_number(ty)?);
        // The bound in elements of the type word, of which a value may have several. Below it no length has
        // more than 32 bits.
        let bound = (max as u64).saturating_mul(bits::<T>()) / u64::from(ty.bits).max(1);
        if u64::from(found.number) > bound {
            return Err(self.too_many(found));
        }
        Ok((found, whole::<T>(found)?))
    }

    #[inline]
    fn inline_elements<T: Plain>(&mut self, found: Type) -> Result<Elements<'b, T, K>, Malformed> {
        let len = whole::<T>(found)?;
        Ok(Elements::from_bytes(self.take(found, len)?))
    }

    /// Whether the data of the next argument is in the message.
    fn is_inline(&self) -> Result<bool, Malformed> {
        Ok(Type::read::<K::Abi>(self.rest).ok_or(Malformed::Size)?.inline)
    }

    /// Takes the slots of an array of at most `max` rights, or polymorphic words, of this kind.
    fn inline_names(&mut self, kind: u8, form: WordForm, max: usize) -> Result<&'b mut [u8], Malformed> {
        let ty = Type::slots::<K::Abi>(kind, 0, form);
        let found = ty.with_number(self.inline_number(ty)?);
        if found.number as usize > max {
            return Err(self.too_many(found));
        }
        if disposition::is_right(kind) && !self.complex {
            return Err(Malformed::Complex);
        }
        if !found.belongs::<K::Abi>(self.rest, self.origin) {
            return Err(Malformed::Type);
        }
        self.take(found, usize::try_from(found.data_len()).map_err(|_| Malformed::Size)?)
    }

    /// Takes the name, or the word of plain data, in the slot of a right.
    #[inline]
    pub(super) fn slot(&mut self, disposition: u8) -> Result<NameOf<K>, Malformed> {
        let slot = self.fixed(Type::slot::<K::Abi>(disposition), K::Abi::FACTS.port)?;
        Ok(port_at::<K::Abi>(slot, 0).unwrap_or(PortName::NULL))
    }

    /// Takes half of a receive right of Mach 2.5, with this number in its type word.
    ///
    /// # Errors
    ///
    /// [`Malformed`]
    ///
    /// # Panics
    ///
    /// If no half of a right has the number.
    pub fn half(&mut self, number: u8) -> Result<ReceiveRight<K>, Malformed> {
        if !self.complex {
            return Err(Malformed::Complex);
        }
        let slot = self.fixed(Type::half::<K::Abi>(number), K::Abi::FACTS.port)?;
        let name = port_at::<K::Abi>(slot, 0).unwrap_or(PortName::NULL);
        // SAFETY: in a complex message, under a type word of a receive right, and taken out just now.
        Ok(unsafe { ReceiveRight::from_raw(self.kernel.clone(), name) })
    }

    /// Takes an argument of `len` bytes whose type word is `ty` as it stands.
    #[inline]
    fn fixed(&mut self, ty: Type, len: usize) -> Result<&'b mut [u8], Malformed> {
        if !self.starts(ty) {
            return Err(self.other_type(ty));
        }
        self.take(ty, len)
    }

    /// True if the next argument has this type word, and what it describes is this task's.
    #[inline(always)]
    fn starts(&self, ty: Type) -> bool {
        ty.starts::<K::Abi>(self.rest) && ty.belongs::<K::Abi>(self.rest, self.origin)
    }

    /// The error of an argument whose type word is not `ty`.
    #[cold]
    fn other_type(&self, ty: Type) -> Malformed {
        if self.rest.len() < ty.word_len::<K::Abi>() { Malformed::Size } else { Malformed::Type }
    }

    /// Takes the next argument, of `len` bytes after a type word of the form of `ty`.
    #[inline]
    fn take(&mut self, ty: Type, len: usize) -> Result<&'b mut [u8], Malformed> {
        let start = ty.word_len::<K::Abi>();
        let total = size_with_word::<K::Abi>(ty, len);
        if total > self.rest.len() as u64 {
            return Err(Malformed::Size);
        }
        let (argument, rest) = mem::take(&mut self.rest).split_at_mut(total as usize);
        self.rest = rest;
        // SAFETY: it has `total` bytes, which are `start` and `len`, the latter rounded up.
        Ok(unsafe { argument.get_unchecked_mut(start..start + len) })
    }

    /// The kind that the sender of a polymorphic argument has chosen: plain data, or a right as its receiver
    /// sees it.
    #[inline]
    pub(super) fn polymorphic(&self) -> Result<u8, Malformed> {
        let word = Type::read::<K::Abi>(self.rest).ok_or(Malformed::Size)?;
        let kind = word.with_origin::<K::Abi>(self.origin).name;
        if disposition::is_right(kind) && kind > disposition::MOVE_SEND_ONCE {
            Err(Malformed::Type)
        } else {
            Ok(kind)
        }
    }
}

/// Bytes of an argument of `len` bytes after a type word of the form of `ty`, with padding.
#[inline]
fn size_with_word<A: Abi>(ty: Type, len: usize) -> u64 {
    ty.word_len::<A>() as u64 + padded::<A>(len as u64)
}

/// The values of an argument, a whole number of them.
#[inline]
fn aligned<T: Plain, A: Abi>(bytes: &[u8]) -> &[T] {
    const { assert!(align_of::<T>() <= A::FACTS.alignment, "the values need more alignment than the ABI gives") };
    debug_assert!(bytes.as_ptr().cast::<T>().is_aligned());
    // SAFETY: any bytes are values of `T`; arguments are aligned as the ABI says, which is enough, and these
    // are as many as fit.
    unsafe { slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>().max(1)) }
}

/// The bytes of an array, if they are a whole number of `T`.
#[inline]
fn whole<T>(found: Type) -> Result<usize, Malformed> {
    let len = if u64::from(found.bits) == bits::<T>() {
        u64::from(found.number) * size_of::<T>() as u64
    } else {
        let len = u64::from(found.bits) * u64::from(found.number);
        if len % bits::<T>() != 0 {
            return Err(Malformed::Type);
        }
        len / 8
    };
    usize::try_from(len).map_err(|_| Malformed::Size)
}

/// Bits of a value.
#[inline]
const fn bits<T>() -> u64 {
    8 * size_of::<T>() as u64
}
