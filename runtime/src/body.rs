//! Reading the arguments of a received message. The bytes are hostile until a check has passed.

use core::ffi::CStr;
use core::fmt;
use core::mem;
use core::slice;

use arrayvec::ArrayVec;

use crate::abi::{Abi, Family, TypedAbi};
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, Name};
use crate::memory::{Array, Elements, OolMemory, Plain};
use crate::release;
use crate::right::{AnyRight, ReceiveRight, Right, SendOnceRight, SendRight};
use crate::rights::{ArrayRight, Rights};
use crate::types::{Expected, Type, Word, WordForm, name, padded, word_at};
use crate::untyped;

/// What is wrong with a message that does not match its declaration.
///
/// A server answers [`MIG_BAD_ARGUMENTS`](KernReturn::MIG_BAD_ARGUMENTS); a client's call ends with
/// [`MIG_TYPE_ERROR`](KernReturn::MIG_TYPE_ERROR), or with
/// [`MIG_ARRAY_TOO_LARGE`](KernReturn::MIG_ARRAY_TOO_LARGE) for a count.
// As wide as a pointer: a `Result` with it and something larger is then copied word by word, which optimises
// away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[non_exhaustive]
pub enum Malformed {
    /// Too short, or longer than its arguments.
    Size,
    /// The complex bit is not as declared, or an argument needs it and it is clear.
    Complex,
    /// A type word is not the declared one, or makes no whole number of elements.
    Type,
    /// An array has more elements than declared.
    Count,
    /// A string has no NUL.
    String,
    /// A descriptor of an untyped message is not the declared one, or contradicts the count in the data.
    Descriptor,
    /// The trailer is not of a known type, or has not the field that is wanted.
    Trailer,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "the message is too short, or longer than its arguments",
            Self::Complex => "the complex bit of the message is wrong",
            Self::Type => "a type word is not the declared one",
            Self::Count => "an array has too many elements",
            Self::String => "a string has no NUL",
            Self::Descriptor => "a descriptor is not the declared one",
            Self::Trailer => "the trailer has not the wanted field",
        })
    }
}

impl core::error::Error for Malformed {}

/// Whether a message of this declaration is complex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complex {
    /// It holds a right or out-of-line memory for certain.
    Always,
    /// It holds neither.
    Never,
    /// The values decide.
    Depends,
}

/// What the declaration says about a message as a whole; sizes are those of `msgh_size`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The size with every variable argument empty.
    pub min: usize,
    /// The size with every variable argument at its bound; equal to `min` if there is none.
    pub max: usize,
    /// Whether the complex bit is set.
    pub complex: Complex,
}

impl Shape {
    /// Messages of these sizes.
    pub const fn new(min: usize, max: usize, complex: Complex) -> Self {
        Self { min, max, complex }
    }

    /// Checks a message as a whole: its complex bit, and its size, here without the header.
    #[inline]
    pub(crate) fn check<A: Abi>(self, complex: bool, arguments: usize) -> Result<(), Malformed> {
        let typed = A::FACTS.family == Family::Typed;
        let (min, max) = (self.min - A::FACTS.header, self.max - A::FACTS.header);
        let fits = match min == max {
            true => arguments == min,
            // What is too long in a typed message is found when its arguments end.
            false => arguments >= min && (typed || arguments <= max),
        };
        if !fits {
            return Err(Malformed::Size);
        }
        match self.complex {
            Complex::Always if !complex => Err(Malformed::Complex),
            Complex::Never if complex => Err(Malformed::Complex),
            Complex::Depends if complex && !typed => Err(Malformed::Complex),
            _ => Ok(()),
        }
    }
}

/// The arguments of a received message, read in the order of its slots.
///
/// Each method checks the type word or the descriptor of the next argument and then takes the argument out.
/// What has not been taken still belongs to the message and is released when this is dropped. The kernel
/// processes type words and descriptors only in messages with the complex bit, so nothing in another message
/// is ever taken for a right or an address.
pub struct Body<'b, K: Kernel> {
    pub(crate) rest: &'b mut [u8],
    complex: bool,
    /// The descriptors that `rest` still begins with; none in a typed message.
    pub(crate) descriptors: u32,
    pub(crate) origin: Origin,
    pub(crate) kernel: K,
}

/// Where the arguments come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The kernel has delivered them: all that they describe is this task's.
    Delivered,
    /// This task has built them and could not send them: memory without the deallocate bit was only lent.
    Unsent,
}

impl<'b, K: Kernel> Body<'b, K> {
    /// # Safety
    ///
    /// `arguments` are what stands behind a header, or start at a later type word; if `complex`, `kernel` has
    /// delivered them, or the message that they were in came back, as `origin` says, and nobody else owns
    /// what they hold. They start at a multiple of the ABI's alignment.
    #[inline]
    pub(crate) unsafe fn new(kernel: K, complex: bool, arguments: &'b mut [u8], origin: Origin) -> Self {
        let (descriptors, rest) = match K::Abi::FACTS.family {
            Family::Untyped if complex => untyped::split_count(arguments),
            _ => (0, arguments),
        };
        Self { rest, complex, descriptors, origin, kernel }
    }

    #[inline]
    pub(crate) fn is_complex(&self) -> bool {
        self.complex
    }

    /// The task that received the message.
    #[inline]
    pub(crate) fn kernel(&self) -> &K {
        &self.kernel
    }

    /// True if nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes a receive right (`MACH_MSG_TYPE_PORT_RECEIVE`).
    ///
    /// # Errors
    ///
    /// [`Malformed`], as for every argument; nothing is taken then.
    #[inline]
    pub fn receive_right(&mut self) -> Result<ReceiveRight<K>, Malformed> {
        self.right()
    }

    /// Takes a send right (`MACH_MSG_TYPE_PORT_SEND`).
    ///
    /// # Errors
    ///
    /// [`Malformed`]
    #[inline]
    pub fn send_right(&mut self) -> Result<SendRight<K>, Malformed> {
        self.right()
    }

    /// Takes a send-once right (`MACH_MSG_TYPE_PORT_SEND_ONCE`).
    ///
    /// # Errors
    ///
    /// [`Malformed`]
    #[inline]
    pub fn send_once_right(&mut self) -> Result<SendOnceRight<K>, Malformed> {
        self.right()
    }

    #[inline]
    fn right<R: Right<K>>(&mut self) -> Result<R, Malformed> {
        let name = self.slot(R::MOVE)?;
        // SAFETY: in a complex message, under a type word of this kind, and taken out just now.
        Ok(unsafe { R::from_raw(self.kernel.clone(), name) })
    }

    /// Takes the name out of the slot of a right.
    #[inline]
    fn slot(&mut self, disposition: u8) -> Result<Name, Malformed> {
        if K::Abi::FACTS.family == Family::Untyped {
            return self.port_descriptor(disposition);
        }
        if !self.complex {
            return Err(Malformed::Complex);
        }
        let slot = self.fixed(Type::slot::<K::Abi>(disposition), K::Abi::FACTS.port)?;
        Ok(Name(word_at(slot, 0).unwrap_or(0)))
    }

    /// Takes a polymorphic argument: a right of any kind, or a word of plain data.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; also for a right in a message without the complex bit.
    #[inline]
    pub fn poly(&mut self) -> Result<AnyRight<'static, K>, Malformed> {
        if K::Abi::FACTS.family == Family::Untyped {
            return self.element();
        }
        let disposition = self.polymorphic()?;
        if !name::is_right(disposition) {
            let data = self.fixed(Type::slot::<K::Abi>(disposition), K::Abi::FACTS.port)?;
            let word = Word::new(disposition, word_at(data, 0).unwrap_or(0));
            return word.map(AnyRight::Data).ok_or(Malformed::Type);
        }
        let name = self.slot(disposition)?;
        // SAFETY: in a complex message, under a type word of this kind, and taken out just now.
        unsafe { AnyRight::from_wire(self.kernel.clone(), name, disposition) }.ok_or(Malformed::Type)
    }

    /// Ends the arguments: nothing may be left. Call it before anything is done with them.
    ///
    /// # Errors
    ///
    /// [`Malformed::Size`]; what is left has been released.
    #[inline]
    pub fn end(self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed::Size) }
    }

    /// Passes over the next argument and releases what it holds. False if there is none.
    pub fn skip(&mut self) -> bool {
        if K::Abi::FACTS.family == Family::Untyped {
            return self.skip_descriptor();
        }
        let Some((_, _, rest)) = release::split_argument::<K::Abi>(self.rest) else { return false };
        let len = self.rest.len() - rest.len();
        let (argument, rest) = mem::take(&mut self.rest).split_at_mut(len);
        self.rest = rest;
        // SAFETY: the fields are those of a body, and the argument leaves this one.
        drop(unsafe { Self::new(self.kernel.clone(), self.complex, argument, self.origin) });
        true
    }

    /// Takes plain data of a fixed size.
    #[inline]
    pub(crate) fn fixed_data<T: Plain>(&mut self, ty: Type) -> Result<T, Malformed> {
        assert!(ty.data_len() == size_of::<T>() as u64, "the type word describes another size");
        let data = self.fixed(ty.in_message(), size_of::<T>())?;
        T::read_from_bytes(data).map_err(|_| Malformed::Size)
    }

    /// Takes an argument of `len` bytes whose type word is `ty` as it stands.
    #[inline]
    fn fixed(&mut self, ty: Type, len: usize) -> Result<&'b mut [u8], Malformed> {
        if !ty.starts::<K::Abi>(self.rest) {
            return Err(self.other_type(ty));
        }
        self.take(ty, len)
    }

    /// What is wrong where `ty` should be.
    #[cold]
    fn other_type(&self, ty: Type) -> Malformed {
        if self.rest.len() < ty.word_len::<K::Abi>() { Malformed::Size } else { Malformed::Type }
    }

    /// Takes the next argument, of `len` bytes behind a type word of the form of `ty`.
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
    fn polymorphic(&self) -> Result<u8, Malformed> {
        let kind = Type::read::<K::Abi>(self.rest).ok_or(Malformed::Size)?.name;
        if name::is_right(kind) && kind > name::MOVE_SEND_ONCE { Err(Malformed::Type) } else { Ok(kind) }
    }

    /// Owns the rights in memory that has just been taken out.
    ///
    /// # Safety
    ///
    /// It was described as an array of this kind in a complex message.
    pub(crate) unsafe fn rights_in<R: ArrayRight<K>>(&self, names: OolMemory<K>, kind: u8) -> Rights<K, R> {
        // SAFETY: the caller's promise.
        unsafe { Rights::from_memory(self.kernel.clone(), names, kind) }
    }
}

/// For typed ABIs.
impl<'b, K: Kernel<Abi: TypedAbi>> Body<'b, K> {
    /// Checks the type words of arguments of fixed size, or out of line, from the first one on, before
    /// anything is taken.
    ///
    /// Never needed: each argument is checked when it is taken, and the compiler drops the second check. But
    /// a stub that has nothing in its hands when a check fails is shorter, and so is the way through it.
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
            if !ty.starts::<K::Abi>(rest) {
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
        self.fixed_data(ty)
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

    /// As [`slice`](Self::slice), for the last array of variable length: exactly `rest` bytes stand behind
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
        let ty = ty.behind_address();
        if !ty.starts::<K::Abi>(self.rest) {
            return Err(self.other_type(ty));
        }
        let number = ty.find::<K::Abi>(self.rest)?.number;
        let len = usize::try_from(ty.with_number(number).data_len()).map_err(|_| Malformed::Size)?;
        let address = release::address::<K::Abi>(self.take(ty, K::Abi::FACTS.pointer)?);
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
        self.ports_behind_address(WordForm::Long)
    }

    /// As [`ool_ports`](Self::ool_ports), under a short type word.
    ///
    /// # Errors
    ///
    /// As [`ports`](Self::ports).
    pub fn short_ool_ports<R: ArrayRight<K>>(&mut self) -> Result<Rights<K, R>, Malformed> {
        self.ports_behind_address(WordForm::Short)
    }

    fn ports_behind_address<R: ArrayRight<K>>(&mut self, form: WordForm) -> Result<Rights<K, R>, Malformed> {
        let kind = self.kind::<R>()?;
        let names = self.ool(Type::names(kind, form))?;
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
        let names = slots.chunks_exact(K::Abi::FACTS.port).map(|slot| word_at(slot, 0).unwrap_or(0));
        // SAFETY: under a type word of this kind, in a complex message if it is one of rights, and taken out
        // just now.
        Ok(names.filter_map(move |name| unsafe { R::received(kernel.clone(), Name(name), kind) }))
    }

    /// What is wrong with an array of too many elements: they may not even be there.
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
        if name::is_right(kind) && !self.complex {
            return Err(Malformed::Complex);
        }
        self.take(found, usize::try_from(found.data_len()).map_err(|_| Malformed::Size)?)
    }
}

/// Bytes of an argument of `len` bytes behind a type word of the form of `ty`, with padding.
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

impl<K: Kernel> Drop for Body<'_, K> {
    // Inlined, so that a body lives in registers.
    #[inline(always)]
    fn drop(&mut self) {
        let rest = mem::take(&mut self.rest);
        if K::Abi::FACTS.family == Family::Untyped {
            if self.descriptors != 0 {
                // SAFETY: as `new` was promised, and what has been taken out is no longer in it.
                unsafe { untyped::release(self.kernel.clone(), self.descriptors, rest, self.origin) };
            }
        } else if self.complex && !rest.is_empty() {
            // SAFETY: as above.
            unsafe { release::typed(self.kernel.clone(), rest) };
        }
    }
}

impl From<Malformed> for KernReturn {
    /// The server's answer.
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Descriptor => Self::MIG_TYPE_ERROR,
            Malformed::Trailer => Self::MIG_TRAILER_ERROR,
            _ => Self::MIG_BAD_ARGUMENTS,
        }
    }
}
