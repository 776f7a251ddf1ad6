//! What a builder appends to a typed message.

use core::ffi::CStr;

use mig_abi::MessageType;
use zerocopy::IntoBytes;

use super::word::{Type, WordForm};
use crate::abi::{Abi, TypeWords, Typed};
use crate::bytes::padded;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, NameOf, PortName};
use crate::memory::{Copying, OolArg, OolMemory, Plain};
use crate::message::builder::Builder;
use crate::right::{AnyRight, PortArray, ReceiveRight, disposition};

/// How many bytes of an array of indefinite length (`array[] of`) still travel in the message.
pub(crate) const INLINE_MAX: usize = 2048;

/// No array of bounded length has more bytes in any message that there is; below it sums of a few lengths do
/// not overflow.
const INLINE_BOUND: usize = 1 << 24;

/// The return code's type word, the first in every reply.
pub(crate) const RETURN_CODE: Type = Type::inline(MessageType::INTEGER_32.0, 32, 1);

/// For typed ABIs.
impl<'b, K: Kernel<Abi: Abi<Format = Typed>>> Builder<'b, K> {
    /// A right in a message from a kernel, whose type word says that the kernel gives up a reference
    /// (`dealloc`).
    pub fn deallocated<'a: 'b>(&mut self, right: AnyRight<'a, K>) {
        let (name, disposition) = self.wire_of(right);
        self.slot(Type::slot::<K::Abi>(disposition).deallocate(), name);
    }

    /// Half of a receive right of Mach 2.5: the ownership, or the right without it, which a task has as one.
    /// The kernel finds in the number what it is to move.
    ///
    /// # Panics
    ///
    /// If `number` is that of anything else, or another ABI's.
    pub fn half(&mut self, number: u8, right: ReceiveRight<K>) {
        self.put_half(Type::half::<K::Abi>(number), right);
    }

    /// The same with the deallocate bit.
    ///
    /// # Panics
    ///
    /// As [`half`](Self::half).
    pub fn deallocated_half(&mut self, number: u8, right: ReceiveRight<K>) {
        self.put_half(Type::half::<K::Abi>(number).deallocate(), right);
    }

    fn put_half(&mut self, ty: Type, right: ReceiveRight<K>) {
        let (name, _) = self.wire_of(AnyRight::from(right));
        self.put(ty, port_slot::<K::Abi>(&name_bytes(name)));
        self.complex = true;
    }

    /// Plain data of a fixed size.
    ///
    /// # Panics
    ///
    /// If `ty` describes another size than that of `T`, or one that a short type word has no room for.
    #[inline]
    pub fn data<T: Plain>(&mut self, ty: Type, value: &T) {
        assert!(ty.data_len() == size_of::<T>() as u64, "the type word describes another size");
        assert!(ty.fits::<K::Abi>(), "a short type word has no room for this number");
        self.argument(ty.in_message(), value.as_bytes());
    }

    /// An array of variable length that is always inline (`array[*:max] of`).
    ///
    /// With more than `max` values the message is not sent: [`KernReturn::MIG_ARRAY_TOO_LARGE`], and the
    /// request comes back with what was moved into it.
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_TYPE_ERROR`] if they are no whole number of the elements of `ty`,
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`] if they are more than its type word can count.
    #[inline]
    pub fn slice<T: Plain>(&mut self, ty: Type, values: &[T], max: usize) -> Result<(), KernReturn> {
        let too_large = values.len() > max;
        self.too_large |= too_large;
        let values = if too_large { &[] } else { values };
        let number = count::<K::Abi>(ty, elements(ty, values)?)?;
        let before = self.space.len();
        self.argument(ty.in_message().with_number(number), values.as_bytes());
        // For the compiler, which then knows that what follows has room.
        let most = max.checked_mul(size_of::<T>()).filter(|most| *most <= INLINE_BOUND);
        if let Some(most) = most {
            let most = ty.word_len::<K::Abi>() + padded::<K::Abi>(most as u64) as usize;
            // SAFETY: there are no more than `max` values, as tested above, and rounding up keeps that order.
            unsafe { core::hint::assert_unchecked(self.space.len() <= before + most) };
        }
        Ok(())
    }

    /// An array of indefinite length (`array[] of`): in the message up to 2048 bytes, which is
    /// the limit of every MIG, else out of line.
    ///
    /// Memory that was given and fits the message is copied into it and released.
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`] for more elements than a type word can count, if not when the
    /// message is [sent](Self::ool).
    #[inline]
    pub fn indefinite(&mut self, ty: Type, data: impl Into<OolArg<'b, K>>) -> Result<(), KernReturn> {
        let data = data.into();
        if data.bytes().len() > INLINE_MAX {
            self.ool(ty, data);
            return Ok(());
        }
        self.indefinite_copy(ty, data.bytes())
    }

    /// Data that is always out of line (`^ array[] of`). The deallocate bit is set if the memory is given,
    /// not if it is lent.
    ///
    /// With more elements than a type word can count the message is not sent:
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`]; nor if the memory is no whole number of them. Memory that is
    /// given is in [`Unsent::take_refused_memory`](crate::Unsent::take_refused_memory) then.
    // An error here would divide a stub that is one row of stores, so the call reports it instead.
    #[inline]
    pub fn ool(&mut self, ty: Type, data: impl Into<OolArg<'b, K>>) {
        let data = data.into();
        // Without a number that is right, none is right.
        let elements = elements(ty, data.bytes()).unwrap_or(u64::MAX);
        let too_large = elements > most::<K::Abi>(ty);
        self.too_large |= too_large;
        let ty = ty.with_number(elements as u32);
        match data {
            OolArg::Lend(bytes) => {
                let address = self.lend(bytes);
                self.out_of_line(Type { deallocate: false, ..ty }, address);
            }
            // What the type word says of it would not be released.
            OolArg::Give(memory) if too_large => {
                self.refuse_memory(memory);
                self.out_of_line(ty.with_number(0).deallocate(), 0);
            }
            OolArg::Give(memory) => {
                let address = self.give(memory);
                self.out_of_line(ty.deallocate(), address);
            }
        }
    }

    /// As [`indefinite`](Self::indefinite), for data that does not live until the message is sent: that of a
    /// reply.
    ///
    /// # Errors
    ///
    /// As [`ool_copy`](Self::ool_copy).
    #[inline]
    pub fn indefinite_copy<T: Plain>(&mut self, ty: Type, values: &[T]) -> Result<(), KernReturn> {
        let bytes = values.as_bytes();
        if bytes.len() > INLINE_MAX {
            return self.ool_copy(ty, values);
        }
        let number = count::<K::Abi>(ty, elements(ty, values)?)?;
        self.argument(ty.in_message().with_number(number), bytes);
        Ok(())
    }

    /// As [`ool`](Self::ool), for data that does not live until the message is sent: that of a reply. The
    /// deallocate bit is that of `ty`.
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`] for more elements than a type word can count; or the kernel has no
    /// memory for a copy.
    pub fn ool_copy<T: Plain>(&mut self, ty: Type, values: &[T]) -> Result<(), KernReturn> {
        let bytes = values.as_bytes();
        let number = count::<K::Abi>(ty, elements(ty, values)?)?;
        let mut memory = OolMemory::allocate(&self.kernel, bytes.len())?;
        memory[..bytes.len()].copy_from_slice(bytes);
        let address = if self.gives(ty.deallocate) { self.give(memory) } else { self.keep(memory, None) };
        self.out_of_line(ty.with_number(number), address);
        Ok(())
    }

    /// A string in an area of fixed size (`c_string[N]`); what it does not fill is zero.
    ///
    /// If the string and its NUL do not fit the message is not sent, as of [`slice`](Self::slice). (The C
    /// stubs cut it.)
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`] if the area is larger than any memory.
    ///
    /// # Panics
    ///
    /// If a short type word has no room for the size of the area.
    pub fn fixed_string(&mut self, ty: Type, string: &CStr) -> Result<(), KernReturn> {
        let area = usize::try_from(ty.data_len()).map_err(|_| KernReturn::MIG_ARRAY_TOO_LARGE)?;
        let mut bytes = string.to_bytes_with_nul();
        if bytes.len() > area {
            self.refuse_argument();
            bytes = &[];
        }
        let unused = area - bytes.len();
        assert!(ty.fits::<K::Abi>(), "a short type word has no room for this number");
        self.type_word(ty.in_message());
        self.space.push(bytes);
        self.space.push_zeros(unused);
        self.pad(bytes.len() + unused);
        Ok(())
    }

    /// A string of variable length (`c_string[*:max]`); its NUL travels and counts. (The C stubs cut one that
    /// is longer.)
    ///
    /// # Errors
    ///
    /// As [`slice`](Self::slice).
    pub fn string(&mut self, ty: Type, string: &CStr, max: usize) -> Result<(), KernReturn> {
        self.slice(ty, string.to_bytes_with_nul(), max)
    }

    /// An array of rights that is always inline (`array[N] of`, `array[*:max] of`).
    ///
    /// With more than `max` rights the message is not sent, as of [`slice`](Self::slice); the rights are in
    /// [`Unsent::take_refused`](crate::Unsent::take_refused).
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`] for more than a type word can count.
    pub fn ports(
        &mut self,
        form: WordForm,
        mut ports: PortArray<'b, K>,
        max: usize,
    ) -> Result<(), KernReturn> {
        let ty = Type::slots::<K::Abi>(ports.disposition(), 0, form);
        if ports.len() > max {
            self.type_word(ty.with_number(0));
            self.complex |= disposition::is_right(ports.disposition());
            self.refuse_rights(&mut ports);
            return Ok(());
        }
        self.type_word(ty.with_number(count::<K::Abi>(ty, ports.len() as u64)?));
        for name in ports.names_into_message(&self.kernel) {
            self.space.push(port_slot::<K::Abi>(&name_bytes(*name)));
        }
        self.pad(ports.len() * K::Abi::FACTS.port);
        self.complex |= disposition::is_right(ports.disposition());
        Ok(())
    }

    /// An array of rights of indefinite length (`array[] of`): in the message up to 2048 bytes, else out
    /// of line.
    ///
    /// # Errors
    ///
    /// As [`ool_ports`](Self::ool_ports).
    pub fn indefinite_ports(&mut self, ports: PortArray<'b, K>, copying: Copying) -> Result<(), KernReturn> {
        match INLINE_MAX / K::Abi::FACTS.port {
            max if ports.len() <= max => self.ports(WordForm::Long, ports, max),
            _ => self.ool_ports(ports, copying),
        }
    }

    /// An array of rights that is always out of line (`^ array[] of`): names of 4 bytes, on every ABI.
    ///
    /// Of `copying` only the deallocate bit counts in a typed message.
    ///
    /// # Errors
    ///
    /// The kernel has no memory for the names.
    pub fn ool_ports(&mut self, ports: PortArray<'b, K>, copying: Copying) -> Result<(), KernReturn> {
        self.ports_at_address(WordForm::Long, ports, copying)
    }

    /// As [`ool_ports`](Self::ool_ports), under a short type word (`^ array[N] of`). With more rights than
    /// the word can count the message is not sent, as of [`ports`](Self::ports).
    ///
    /// # Errors
    ///
    /// As [`ool_ports`](Self::ool_ports).
    pub fn short_ool_ports(&mut self, ports: PortArray<'b, K>, copying: Copying) -> Result<(), KernReturn> {
        self.ports_at_address(WordForm::Short, ports, copying)
    }

    fn ports_at_address(
        &mut self,
        form: WordForm,
        mut ports: PortArray<'b, K>,
        copying: Copying,
    ) -> Result<(), KernReturn> {
        let ty = Type { deallocate: copying.deallocate, ..Type::names::<K::Abi>(ports.disposition(), form) };
        let Ok(number) = count::<K::Abi>(ty, ports.len() as u64) else {
            self.refuse_rights(&mut ports);
            self.out_of_line(ty.with_number(0), 0);
            return Ok(());
        };
        let ty = ty.with_number(number);
        let memory = self.names_in_memory(&mut ports)?;
        let moved = self.moved(ty.name, ty.word_len::<K::Abi>());
        let address =
            if self.gives(ty.deallocate) { self.give(memory) } else { self.keep(memory, Some(moved)) };
        self.out_of_line(ty, address);
        Ok(())
    }

    /// The address of memory under its type word, which the caller has just given, lent or kept.
    #[inline]
    fn out_of_line(&mut self, ty: Type, address: u64) {
        self.argument(ty.at_address(), &address.to_le_bytes()[..K::Abi::FACTS.pointer]);
        self.complex = true;
    }

    #[inline]
    fn type_word(&mut self, ty: Type) {
        self.argument(ty, &[]);
    }

    /// Zeros after `len` bytes of data.
    #[inline]
    fn pad(&mut self, len: usize) {
        self.space.push_zeros(padded::<K::Abi>(len as u64) as usize - len);
    }
}

impl<K: Kernel<Abi: Abi<Format = Typed>>> Builder<'_, K> {
    /// A right, or a polymorphic word, in its slot.
    #[inline]
    pub(crate) fn slot(&mut self, ty: Type, name: NameOf<K>) {
        self.argument(ty, port_slot::<K::Abi>(&name_bytes(name)));
        self.complex |= disposition::is_right(ty.name);
    }

    /// A type word, and what stands after it; rights have the numbers of Mach 3 in it.
    #[inline(always)]
    pub(crate) fn argument(&mut self, ty: Type, data: &[u8]) {
        assert!(
            !ty.is_number_of_right::<K::Abi>(),
            "the type of a right: only the methods that take rights write it"
        );
        self.put(ty, data);
    }

    /// The same with any number.
    #[inline(always)]
    fn put(&mut self, ty: Type, data: &[u8]) {
        // What has a number at run time has compared it with what fits.
        assert!(ty.with_number(0).fits::<K::Abi>(), "a short type word has no room for this size");
        let first = ty.first::<K::Abi>();
        match (K::Abi::FACTS.type_words, ty.long) {
            (TypeWords::Always8, _) => self.space.push_argument::<K::Abi, 2>(&[first, ty.number], data),
            (TypeWords::Short4Long12, false) => self.space.push_argument::<K::Abi, 1>(&[first], data),
            (TypeWords::Short4Long12, true) => {
                self.space.push_argument::<K::Abi, 3>(&[first, ty.long_kind::<K::Abi>(), ty.number], data);
            }
        }
    }
}

/// The bytes of a name, as wide as the widest slot.
#[inline]
fn name_bytes(name: impl PortName) -> [u8; 8] {
    name.word().to_le_bytes()
}

/// The bytes of a name that fill the slot of an inline port.
#[inline]
fn port_slot<A: Abi>(name: &[u8; 8]) -> &[u8] {
    &name[..A::FACTS.port]
}

/// The number in the type word for this many elements.
#[inline]
fn count<A: Abi>(ty: Type, elements: u64) -> Result<u32, KernReturn> {
    if elements > most::<A>(ty) { Err(KernReturn::MIG_ARRAY_TOO_LARGE) } else { Ok(elements as u32) }
}

/// How many elements a type word can count.
#[inline]
fn most<A: Abi>(ty: Type) -> u64 {
    match (A::FACTS.type_words, ty.long) {
        // The field has 12 bits; the compiler picks the long form for what may be more.
        (TypeWords::Short4Long12, false) => 0xfff,
        _ => u64::from(u32::MAX),
    }
}

/// How many elements the values are, each of which may be several or a part of one.
///
/// # Errors
///
/// [`KernReturn::MIG_TYPE_ERROR`] if they are no whole number of elements: what is left would be taken for
/// the next type word.
#[inline]
fn elements<T>(ty: Type, values: &[T]) -> Result<u64, KernReturn> {
    let bits = u64::from(ty.bits);
    if bits == 8 * size_of::<T>() as u64 {
        return Ok(values.len() as u64);
    }
    let all = 8 * size_of_val(values) as u64;
    if bits == 0 || all % bits != 0 { Err(KernReturn::MIG_TYPE_ERROR) } else { Ok(all / bits) }
}
