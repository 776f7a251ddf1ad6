//! What a builder appends to an untyped message.

use core::ffi::CStr;

use zerocopy::IntoBytes;

use super::descriptor::{DISPOSITION, KIND, MEMORY, OutOfLine, PORT, PORTS};
use crate::abi::{Abi, NDR, Untyped};
use crate::bytes::padded;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, NameOf, PortName};
use crate::memory::{Copying, OolArg, OolMemory, Plain};
use crate::message::builder::Builder;
use crate::message::loans::Physical;
use crate::right::{self, PortArray};

/// For untyped ABIs. Descriptors come first, as many as were announced, and plain data after the last of
/// them: what is appended elsewhere is left out, and the message cannot be sent
/// ([`KernReturn::MIG_TYPE_ERROR`]).
impl<'b, K: Kernel<Abi: Abi<Format = Untyped>>> Builder<'b, K> {
    /// Makes the message complex: this many descriptors follow. Nothing comes before it.
    #[inline]
    pub fn descriptors(&mut self, count: u32) {
        if self.space.len() != K::Abi::FACTS.header {
            self.misused = true;
            return;
        }
        self.space.push(&count.to_le_bytes());
        self.complex = true;
        self.owed = count;
    }

    /// Memory out of line. It is deallocated if it is given, not if it is lent. Returns how many bytes it
    /// has, which also stands in the data.
    ///
    /// With 4 GiB or more the message is not sent, as of [`rights`](Self::rights). Memory that is given is in
    /// [`Unsent::take_refused_memory`](crate::Unsent::take_refused_memory) then.
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_TYPE_ERROR`], as of [`rights`](Self::rights).
    #[inline]
    pub fn memory(&mut self, data: impl Into<OolArg<'b, K>>, copying: Copying) -> Result<usize, KernReturn> {
        let data = data.into();
        let len = data.bytes().len();
        self.owes(1)?;
        let Ok(size) = size(len) else {
            self.refuse_data(data);
            return Ok(0);
        };
        match data {
            OolArg::Lend(bytes) => {
                let address = self.lend(bytes);
                self.memory_descriptor(address, size, Copying { deallocate: false, ..copying }, MEMORY, 0);
            }
            OolArg::Give(memory) => {
                let address = self.give(memory);
                self.memory_descriptor(address, size, Copying { deallocate: true, ..copying }, MEMORY, 0);
            }
        }
        Ok(len)
    }

    /// Data that no descriptor can describe.
    #[cold]
    #[inline(never)]
    fn refuse_data(&mut self, data: OolArg<'b, K>) {
        self.refuse_argument();
        if let OolArg::Give(memory) = data {
            self.refuse_memory(memory);
        }
        self.memory_descriptor(0, 0, Copying::MOVE, MEMORY, 0);
    }

    /// As [`memory`](Self::memory), for data that does not live until the message is sent: that of a reply.
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`] for 4 GiB or more; or the kernel has no memory for the copy.
    pub fn memory_copy<T: Plain>(&mut self, values: &[T], copying: Copying) -> Result<usize, KernReturn> {
        let bytes = values.as_bytes();
        let mut memory = OolMemory::allocate(&self.kernel, bytes.len())?;
        memory[..bytes.len()].copy_from_slice(bytes);
        self.memory_result(memory, copying)
    }

    /// As [`memory`](Self::memory), for a result that the server owns: with `dealloc` it moves, else the
    /// kernel copies it and it ends with the message.
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`] for 4 GiB or more.
    pub fn memory_result(&mut self, memory: OolMemory<K>, copying: Copying) -> Result<usize, KernReturn> {
        let len = memory.len();
        let size = size(len)?;
        self.owes(1)?;
        let address =
            if self.gives(copying.deallocate) { self.give(memory) } else { self.keep(memory, None) };
        self.memory_descriptor(address, size, copying, MEMORY, 0);
        Ok(len)
    }

    /// Rights out of line. Returns how many, which also stands in the data.
    ///
    /// # Errors
    ///
    /// The kernel has no memory for the names.
    pub fn rights_memory(
        &mut self,
        mut ports: PortArray<'b, K>,
        copying: Copying,
    ) -> Result<usize, KernReturn> {
        let count = ports.len();
        let size = size(count * K::Abi::FACTS.port_name)? / K::Abi::FACTS.port_name as u32;
        self.owes(1)?;
        let memory = self.names_in_memory(&mut ports)?;
        let moved = self.moved(ports.disposition(), 0);
        let address =
            if self.gives(copying.deallocate) { self.give(memory) } else { self.keep(memory, Some(moved)) };
        self.memory_descriptor(address, size, copying, PORTS, ports.disposition());
        Ok(count)
    }

    /// A part that is not used, of an array of memory out of line.
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_TYPE_ERROR`], as of [`rights`](Self::rights).
    pub fn unused_memory(&mut self, copying: Copying) -> Result<(), KernReturn> {
        self.owes(1)?;
        self.memory_descriptor(0, 0, copying, MEMORY, 0);
        Ok(())
    }

    /// A part that is not used, of an array of rights out of line with this disposition.
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_TYPE_ERROR`], as of [`rights`](Self::rights).
    pub fn unused_rights(&mut self, disposition: u8, copying: Copying) -> Result<(), KernReturn> {
        self.owes(1)?;
        self.memory_descriptor(0, 0, copying, PORTS, disposition);
        Ok(())
    }

    /// An array of at most `max` rights: as many descriptors, the unused ones null. Returns how many rights,
    /// which also stands in the data where it can differ.
    ///
    /// With more than `max` rights the message is not sent: [`KernReturn::MIG_ARRAY_TOO_LARGE`], and the
    /// request comes back with what was moved into it. The rights of this array are in
    /// [`Unsent::take_refused`](crate::Unsent::take_refused).
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_TYPE_ERROR`] unless this many descriptors are still to come; the message cannot be
    /// sent then.
    pub fn rights(&mut self, mut ports: PortArray<'b, K>, max: usize) -> Result<usize, KernReturn> {
        let disposition = ports.disposition();
        self.owes(max)?;
        let kernel = self.kernel.clone();
        let names = if ports.len() > max {
            self.refuse_rights(&mut ports);
            &[]
        } else {
            ports.names_into_message(&kernel)
        };
        for name in names {
            self.port_descriptor(*name, disposition);
        }
        for _ in names.len()..max {
            self.port_descriptor(PortName::NULL, disposition);
        }
        Ok(names.len())
    }

    /// The NDR record, which stands before plain data.
    #[inline]
    pub fn ndr(&mut self) {
        if self.ends_descriptors() {
            self.space.push(&NDR);
        }
    }

    /// Makes the request carry nothing but a code in the place of its rights and its data (`retcode`), unless
    /// that is zero. True if it does.
    pub fn fails_with<T: Plain>(&mut self, code: &T) -> bool {
        let fails = code.as_bytes().iter().any(|byte| *byte != 0);
        if fails {
            self.ndr();
            self.value(code);
        }
        fails
    }

    /// Plain data of a fixed size.
    #[inline]
    pub fn value<T: Plain>(&mut self, value: &T) {
        self.plain(value.as_bytes());
    }

    /// Plain data, and zeros up to the ABI's alignment.
    #[inline]
    fn plain(&mut self, bytes: &[u8]) {
        if self.ends_descriptors() {
            self.space.push(bytes);
            self.space.push_zeros(padded::<K::Abi>(bytes.len() as u64) as usize - bytes.len());
        }
    }

    /// A count.
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`] if it needs more than 32 bits.
    #[inline]
    pub fn count(&mut self, count: usize) -> Result<(), KernReturn> {
        self.value(&size(count)?);
        Ok(())
    }

    /// Checks an array that has no count of its own (`samecount`): it must have as many elements as the one
    /// that has it, or the message is not sent.
    #[inline]
    pub fn same_count(&mut self, count: usize, first: usize) {
        if count != first {
            self.refuse_argument();
        }
    }

    /// Checks a count against its bound: the message is not sent if it is larger.
    #[inline]
    pub fn at_most(&mut self, count: usize, max: usize) {
        if count > max {
            self.refuse_argument();
        }
    }

    /// An array of variable length: a count and the elements. With more than `max` the message is not
    /// sent, as of [`rights`](Self::rights).
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`] if the count needs more than 32 bits.
    #[inline]
    pub fn array<T: Plain>(&mut self, values: &[T], max: usize) -> Result<(), KernReturn> {
        if values.len() > max {
            self.refuse_argument();
            return self.count(0);
        }
        self.count(values.len())?;
        self.plain(values.as_bytes());
        Ok(())
    }

    /// An array that has no count of its own (`samecount`) but that of another, of `count` elements. With
    /// another number of elements, or more than `max`, the message is not sent, as of
    /// [`rights`](Self::rights).
    #[inline]
    pub fn array_of<T: Plain>(&mut self, values: &[T], count: usize, max: usize) {
        if values.len() != count || count > max {
            self.refuse_argument();
            return;
        }
        self.plain(values.as_bytes());
    }

    /// A string of variable length (`c_string[*:max]`): an offset that is zero, the length with the NUL, and
    /// the bytes. (The C stubs cut one that is longer.)
    ///
    /// # Errors
    ///
    /// As [`array`](Self::array).
    pub fn text(&mut self, string: &CStr, max: usize) -> Result<(), KernReturn> {
        self.value(&0u32);
        self.array(string.to_bytes_with_nul(), max)
    }

    /// A string in an area of fixed size (`c_string[size]`); what it does not fill is zero. If the string and
    /// its NUL do not fit the message is not sent, as of [`rights`](Self::rights). (The C stubs cut it.)
    pub fn fixed_text(&mut self, string: &CStr, size: usize) {
        let mut bytes = string.to_bytes_with_nul();
        if bytes.len() > size {
            self.refuse_argument();
            bytes = &[];
        }
        let unused = size - bytes.len();
        if self.ends_descriptors() {
            self.space.push(bytes);
            self.space.push_zeros(unused + padded::<K::Abi>(size as u64) as usize - size);
        }
    }

    /// # Errors
    ///
    /// [`KernReturn::MIG_TYPE_ERROR`] unless this many descriptors are still to come; the message cannot be
    /// sent then.
    #[inline]
    fn owes(&mut self, count: usize) -> Result<(), KernReturn> {
        if count > self.owed as usize {
            self.misused = true;
            return Err(KernReturn::MIG_TYPE_ERROR);
        }
        Ok(())
    }

    #[inline]
    fn memory_descriptor(&mut self, address: u64, size: u32, copying: Copying, kind: u8, disposition: u8) {
        if copying.physical && address != 0 {
            let at = self.space.len();
            self.physical(Physical { at, address, deallocate: copying.deallocate });
        }
        let descriptor = OutOfLine {
            address,
            size,
            deallocate: copying.deallocate,
            physical_copy: copying.physical,
            disposition,
            kind,
        };
        self.space.push(&descriptor.to_bytes::<K::Abi>()[..K::Abi::FACTS.memory_descriptor]);
        self.owed -= 1;
    }
}

impl<K: Kernel<Abi: Abi<Format = Untyped>>> Builder<'_, K> {
    /// Appends the descriptor of a right, which belongs to the message from now on.
    #[inline]
    pub(crate) fn port_descriptor(&mut self, name: NameOf<K>, disposition: u8) {
        if self.owed == 0 {
            return self.refuse_right(name, disposition);
        }
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&name.word().to_le_bytes());
        bytes[DISPOSITION] = disposition;
        bytes[KIND] = PORT;
        self.space.push(&bytes[..K::Abi::FACTS.port_descriptor]);
        self.owed -= 1;
    }

    /// A right that has no place in the message.
    #[cold]
    #[inline(never)]
    fn refuse_right(&mut self, name: NameOf<K>, disposition: u8) {
        self.misused = true;
        // SAFETY: it has been moved into the message, which does not have it.
        unsafe { right::release(self.kernel.clone(), disposition, name) };
    }

    /// True if plain data may follow: no descriptor is still to come.
    #[inline]
    fn ends_descriptors(&mut self) -> bool {
        self.misused |= self.owed != 0;
        self.owed == 0
    }
}

/// A size or a count as it stands in a message.
#[inline]
fn size(len: usize) -> Result<u32, KernReturn> {
    u32::try_from(len).map_err(|_| KernReturn::MIG_ARRAY_TOO_LARGE)
}
