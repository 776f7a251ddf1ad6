//! Building a message: a client's request or a server's reply.

use core::ffi::CStr;
use core::mem::{self, MaybeUninit};

use alloc::boxed::Box;
use alloc::vec::Vec;
use zerocopy::IntoBytes;

use crate::abi::{Abi, Family, TypeWords, TypedAbi};
use crate::buffer::{Space, initialised};
use crate::header::COMPLEX;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, Name, Remains};
use crate::memory::{OolArg, OolMemory, Plain};
use crate::release;
use crate::right::{AnyRight, ReceiveRight, SendOnceRight, SendRight, assert_same_task};
use crate::rights::PortArray;
use crate::types::{Type, WordForm, name, padded};
use crate::untyped::Copying;

/// How many bytes of an array of indefinite length (`array[] of`) still travel in the message.
pub const INLINE_MAX: usize = 2048;

/// No array of bounded length has more bytes in any message that there is; below it sums of a few lengths do
/// not overflow.
const INLINE_BOUND: usize = 1 << 24;

/// The return code's type word, the first in every reply.
pub(crate) const RETURN_CODE: Type = Type::inline(name::INTEGER_32, 32, 1);

/// A message that is being built, slot by slot.
///
/// A typed message has its arguments in the order of the declaration: each method appends a type word, the
/// data, and zeros up to the alignment, and the complex bit follows from what is appended. An untyped one
/// begins with [`descriptors`](Self::descriptors), if there are any; then the methods for rights and memory
/// append these, and behind [`ndr`](Self::ndr) comes the plain data.
///
/// What is moved in belongs to the message: dropping it before it is sent releases that. A right that is
/// copied, or that another is made from, stays with its owner and must live as long as the message.
///
/// Safe code cannot write what a kernel takes for a right or an address in any other way: type words of
/// rights and descriptors come from the methods that own what these name, and a message that is not what its
/// type words or its number of descriptors say cannot be sent.
///
/// Made by [`MsgBuf::request`](crate::MsgBuf::request), sent by [`send`](Self::send) or [`call`](Self::call).
///
/// A stub is a few lines, whether generated or written by hand. `sum`, a routine with two numbers in and one
/// out:
///
/// ```
/// use mig_runtime::abi::GnuX86_64;
/// use mig_runtime::{Builder, CallError, CallOptions, Complex, Dest, Kernel, KernReturn, MsgBuf, SendRight, Shape, Type};
/// use mig_runtime::{Received, Reply};
///
/// const INTEGER_32: Type = Type::inline(2, 32, 1);
/// const SUM: i32 = 5000;
///
/// /// The client's side.
/// fn sum<K: Kernel<Abi = GnuX86_64>>(server: &SendRight<K>, a: i32, b: i32) -> Result<i32, CallError<K>> {
///     const REPLY: Shape = Shape { min: 64, max: 64, complex: Complex::Never };
///     let mut buffer = MsgBuf::<64>::new();
///     let mut request = buffer.request(server.kernel());
///     request.data(INTEGER_32, &a);
///     request.data(INTEGER_32, &b);
///     let mut reply = request.call(SUM, Dest::copy_send(server), REPLY, CallOptions::NONE)?;
///     let sum = reply.data(INTEGER_32)?;
///     reply.end()?;
///     Ok(sum)
/// }
///
/// /// The server's side.
/// fn sum_stub<K: Kernel<Abi = GnuX86_64>>(request: &mut Received<'_, K>, reply: &mut Reply<'_, K>) {
///     const REQUEST: Shape = Shape { min: 64, max: 64, complex: Complex::Never };
///     reply.serve(|reply| {
///         let mut body = request.body(REQUEST)?;
///         let (a, b) = (body.data::<i32>(INTEGER_32)?, body.data::<i32>(INTEGER_32)?);
///         body.end()?;
///         let sum = a.checked_add(b).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
///         reply.encode::<64>(|reply| Ok(reply.data(INTEGER_32, &sum)))?;
///         Ok(())
///     });
/// }
/// ```
pub struct Builder<'b, K: Kernel> {
    pub(crate) space: Space<'b>,
    pub(crate) complex: bool,
    /// An argument is larger than its declaration allows, so that the message cannot be sent. It is empty in
    /// the message, and the others follow.
    pub(crate) too_large: bool,
    /// How many of the descriptors that were announced are still to come.
    pub(crate) owed: u32,
    /// Something was appended where it has no place, so that the message cannot be sent.
    pub(crate) misused: bool,
    pub(crate) kernel: K,
    pub(crate) loans: Loans<K::Lent<'b>, K>,
}

/// Memory that the message refers to and does not own. One word, null while there is none, so that stubs
/// without it do not see it.
pub(crate) struct Loans<G, K: Kernel>(Option<Box<LoanList<G, K>>>);

struct LoanList<G, K: Kernel> {
    /// Of the program; only kept where the end of a loan means anything to the kernel.
    lent: Vec<G>,
    /// In out-of-line memory.
    copies: Vec<Copied<K>>,
    /// Descriptors whose memory the kernel copies physically.
    physical: Vec<Physical>,
    /// The rights of arrays that are too large for the message.
    refused: Vec<AnyRight<'static, K>>,
}

impl<G, K: Kernel> Default for LoanList<G, K> {
    fn default() -> Self {
        Self { lent: Vec::new(), copies: Vec::new(), physical: Vec::new(), refused: Vec::new() }
    }
}

impl<G, K: Kernel> Loans<G, K> {
    #[inline]
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    #[inline]
    pub(crate) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    #[cold]
    #[inline(never)]
    fn list(&mut self) -> &mut LoanList<G, K> {
        self.0.get_or_insert_with(Box::default)
    }

    /// All but what is lent.
    #[inline(always)]
    fn into_copies(mut self) -> Copies<K> {
        match self.0.take() {
            None => Loans::none(),
            Some(list) => {
                let LoanList { copies, physical, .. } = *list;
                Loans(Some(Box::new(LoanList { copies, physical, ..LoanList::default() })))
            }
        }
    }
}

impl<G, K: Kernel> Loans<G, K> {
    /// Ends the loans after the call that sent the message, or has failed and left it in `storage`.
    #[inline(always)]
    pub(crate) fn end(mut self, result: Result<(), KernReturn>, storage: &mut [MaybeUninit<u64>]) {
        #[cold]
        #[inline(never)]
        fn end<G, K: Kernel>(
            list: &mut LoanList<G, K>,
            result: Result<(), KernReturn>,
            storage: &mut [MaybeUninit<u64>],
        ) {
            let remains = result.err().and_then(Remains::after::<K::Abi>);
            list.end(remains.is_some_and(Remains::has_body), storage);
        }
        if let Some(list) = &mut self.0 {
            end(list, result, storage);
        }
    }

    /// Ends the loans of a message in `storage` that nobody has tried to send. Returns the rights that had no
    /// room in it.
    pub(crate) fn end_refused(mut self, storage: &mut [MaybeUninit<u64>]) -> Vec<AnyRight<'static, K>> {
        let Some(list) = &mut self.0 else { return Vec::new() };
        list.end(true, storage);
        mem::take(&mut list.refused)
    }
}

impl<G, K: Kernel> LoanList<G, K> {
    /// Ends the loans of a message in `storage`, of which the kernel has left the body or not.
    fn end(&mut self, has_body: bool, storage: &mut [MaybeUninit<u64>]) {
        for physical in self.physical.drain(..).filter(|_| has_body) {
            // SAFETY: the message was complete when it was sent, and has come back.
            physical.came_back::<K::Abi>(unsafe { initialised(storage, physical.at + Physical::BYTES) });
        }
        for copied in &mut self.copies {
            let Some(moved) = copied.moved.take().filter(|_| has_body) else { continue };
            // SAFETY: the message was complete when it was sent, and has come back.
            let message = unsafe { initialised(storage, moved.at + K::Abi::FACTS.pointer) };
            let address = message.get(moved.at..).and_then(release::address::<K::Abi>);
            // A message that came back with memory of its own describes the rights in that.
            copied.moved = Some(moved).filter(|_| address == Some(copied.address));
        }
    }
}

/// What a reply refers to.
pub(crate) type Copies<K> = Loans<core::convert::Infallible, K>;

impl<G, K: Kernel> Drop for Loans<G, K> {
    #[inline(always)]
    fn drop(&mut self) {
        /// Out of the way of stubs that have nothing to drop.
        #[cold]
        #[inline(never)]
        fn end<T>(list: Box<T>) {
            drop(list);
        }
        if let Some(list) = self.0.take() {
            end(list);
        }
    }
}

/// What a builder leaves in the storage of a reply.
pub(crate) struct Written<K: Kernel> {
    pub(crate) message: WrittenMessage,
    pub(crate) copies: Copies<K>,
}

/// The message: two words side by side, which are written at once.
#[derive(Clone, Copy)]
pub(crate) struct WrittenMessage {
    /// Bytes, the header's included; 0 if there is no message.
    pub(crate) len: u32,
    /// The complex bit, or nothing.
    pub(crate) bits: u32,
}

impl WrittenMessage {
    pub(crate) const NONE: Self = Self { len: 0, bits: 0 };

    #[inline]
    pub(crate) const fn is_complex(self) -> bool {
        self.bits & COMPLEX != 0
    }
}

/// Out-of-line memory that a message refers to without the deallocate bit; it ends with the message.
struct Copied<K: Kernel> {
    kernel: K,
    address: u64,
    len: usize,
    /// The memory is an array of names of rights, which are this task's until the message is sent.
    moved: Option<Moved>,
}

/// Where an untyped message has a descriptor of memory that the kernel copies physically (`physicalcopy`).
///
/// Memory that comes back with a message that was not sent is this task's own, however it was sent. The
/// descriptor says so by its deallocate bit, but not after a physical copy; there the memory is known by its
/// address.
pub(crate) struct Physical {
    pub(crate) at: usize,
    pub(crate) address: u64,
    pub(crate) deallocate: bool,
}

impl Physical {
    /// Bytes of the descriptor that are looked at: the address, and the deallocate bit behind its eighth
    /// byte.
    const BYTES: usize = 9;

    /// Sets the deallocate bit if `message`, which has come back, has memory of its own here.
    fn came_back<A: Abi>(&self, message: &mut [u8]) {
        let Some(descriptor) = message.get_mut(self.at..) else { return };
        let moved = release::address::<A>(descriptor) != Some(self.address);
        let [.., deallocate] = descriptor else { return };
        if moved || (self.deallocate && *deallocate == 0) {
            *deallocate = 1;
        }
    }
}

/// Rights that a message moves, though not the memory with their names.
pub(crate) struct Moved {
    disposition: u8,
    /// Where the message has the address of the names.
    at: usize,
}

impl<K: Kernel> Drop for Copied<K> {
    fn drop(&mut self) {
        // SAFETY: the address came from `region_into_wire`; without the deallocate bit no message has moved
        // the memory.
        let memory =
            OolMemory::<K>::from_region(unsafe { self.kernel.region_from_wire(self.address, self.len) });
        if let Some(moved) = &self.moved {
            // SAFETY: the rights were moved into the message, which was not sent.
            unsafe { release::ports(&self.kernel, moved.disposition, &memory, size_of::<Name>()) };
        }
    }
}

impl<'b, K: Kernel> Builder<'b, K> {
    /// A request in storage of a size that is known at run time; [`MsgBuf`](crate::MsgBuf) is for sizes that
    /// are declared.
    ///
    /// ```
    /// use core::mem::MaybeUninit;
    /// use mig_runtime::abi::Apple64;
    /// use mig_runtime::kernel::local::Local;
    /// use mig_runtime::{Builder, Copying, KernReturn};
    ///
    /// fn build(task: &Local<Apple64>, data: &[u8]) -> Result<(), KernReturn> {
    ///     // A header, the NDR record, a count and the data.
    ///     let bytes = 24 + 8 + 4 + data.len().next_multiple_of(4);
    ///     let mut storage = vec![MaybeUninit::uninit(); bytes.div_ceil(8)];
    ///     let mut request = Builder::on(task, &mut storage);
    ///     request.ndr();
    ///     assert!(request.room() >= 4 + data.len());
    ///     request.array(data, data.len())
    /// }
    /// # build(&Local::new(), &[7; 1001]).unwrap();
    /// ```
    ///
    /// The program ends if the message becomes larger than the storage; [`room`](Self::room) tells before.
    #[inline]
    pub fn on(kernel: &K, storage: &'b mut [MaybeUninit<u64>]) -> Self {
        Self::new(kernel.clone(), storage)
    }

    /// How many bytes still have room.
    #[inline]
    pub fn room(&self) -> usize {
        self.space.room()
    }

    /// A request in `storage`.
    #[inline]
    pub(crate) fn new(kernel: K, storage: &'b mut [MaybeUninit<u64>]) -> Self {
        let space = Space::new::<K::Abi>(storage);
        Self {
            space,
            complex: false,
            too_large: false,
            owed: 0,
            misused: false,
            kernel,
            loans: Loans::none(),
        }
    }

    /// A reply in `storage`; where messages are typed, it starts with the return code of success.
    #[inline(always)]
    pub(crate) fn reply(kernel: K, storage: &'b mut [MaybeUninit<u64>]) -> Self {
        let mut reply = Self::new(kernel, storage);
        if K::Abi::FACTS.family == Family::Typed {
            reply.return_code(KernReturn::KERN_SUCCESS);
        }
        reply
    }

    /// The return code, which a reply begins with: in an untyped message only one that brings neither rights
    /// nor memory.
    #[inline]
    pub fn return_code(&mut self, code: KernReturn) {
        match K::Abi::FACTS.family {
            Family::Typed => self.argument(RETURN_CODE, code.as_bytes()),
            Family::Untyped => {
                self.record();
                self.plain(code.as_bytes());
            }
        }
    }

    /// Leaves the message in the storage, without a header yet.
    #[inline(always)]
    pub(crate) fn into_reply(mut self) -> Written<K> {
        // No message has 4 GiB: its storage was declared.
        let len = self.space.take().len() as u32;
        let message = WrittenMessage { len, bits: if self.complex { COMPLEX } else { 0 } };
        Written { message, copies: self.loans.take().into_copies() }
    }

    /// Moves a receive right into the message.
    #[inline]
    pub fn move_receive(&mut self, right: ReceiveRight<K>) {
        self.belongs(right.kernel(), right.name());
        self.port(right.into_raw(), name::MOVE_RECEIVE);
    }

    /// Moves a send right into the message.
    #[inline]
    pub fn move_send(&mut self, right: SendRight<K>) {
        self.belongs(right.kernel(), right.name());
        self.port(right.into_raw(), name::MOVE_SEND);
    }

    /// Moves a send-once right into the message.
    #[inline]
    pub fn move_send_once(&mut self, right: SendOnceRight<K>) {
        self.belongs(right.kernel(), right.name());
        self.port(right.into_raw(), name::MOVE_SEND_ONCE);
    }

    /// Sends a copy of a send right.
    #[inline]
    pub fn copy_send(&mut self, right: &'b SendRight<K>) {
        self.belongs(right.kernel(), right.name());
        self.port(right.name(), name::COPY_SEND);
    }

    /// Sends a send right, made from a receive right.
    #[inline]
    pub fn make_send(&mut self, right: &'b ReceiveRight<K>) {
        self.belongs(right.kernel(), right.name());
        self.port(right.name(), name::MAKE_SEND);
    }

    /// Sends a send-once right, made from a receive right.
    #[inline]
    pub fn make_send_once(&mut self, right: &'b ReceiveRight<K>) {
        self.belongs(right.kernel(), right.name());
        self.port(right.name(), name::MAKE_SEND_ONCE);
    }

    /// A polymorphic argument: the value says how it travels. Only a right makes the message complex.
    #[inline]
    pub fn poly<'a: 'b>(&mut self, right: impl Into<AnyRight<'a, K>>) {
        let (name, disposition) = self.wire_of(right.into());
        self.port(name, disposition);
    }

    /// What stands for a right of this task in a message that now owns it.
    #[inline]
    fn wire_of(&self, right: AnyRight<'_, K>) -> (Name, u8) {
        if let Some(kernel) = right.kernel() {
            self.belongs(kernel, right.name());
        }
        right.into_wire()
    }

    /// Ends the program where a right is that of another task, which would be a right of the same name here.
    #[inline]
    pub(crate) fn belongs(&self, kernel: &K, name: Name) {
        if name.is_valid() {
            assert_same_task(&self.kernel, kernel);
        }
    }

    #[inline]
    fn port(&mut self, name: Name, disposition: u8) {
        match K::Abi::FACTS.family {
            // The number of descriptors has made the message complex.
            Family::Untyped => self.port_descriptor(name, disposition),
            Family::Typed => {
                self.argument(Type::slot::<K::Abi>(disposition), port_slot::<K::Abi>(&name_bytes(name)));
                self.complex |= name::is_right(disposition);
            }
        }
    }

    /// # Errors
    ///
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`] or [`KernReturn::MIG_TYPE_ERROR`]: the message cannot be sent.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), KernReturn> {
        if self.too_large { Err(KernReturn::MIG_ARRAY_TOO_LARGE) } else { self.check_form() }
    }

    /// # Errors
    ///
    /// [`KernReturn::MIG_TYPE_ERROR`] if this is no message.
    #[inline(always)]
    pub(crate) fn check_form(&self) -> Result<(), KernReturn> {
        if self.misused || self.owed != 0 { Err(KernReturn::MIG_TYPE_ERROR) } else { Ok(()) }
    }

    /// Notes that an argument is larger than its declaration allows. The message goes on without its
    /// elements, so that everything that is moved into it later comes back with it.
    #[cold]
    pub(crate) fn refuse_argument(&mut self) {
        self.too_large = true;
    }

    /// As [`refuse_argument`](Self::refuse_argument), for an array of rights, which come back beside the
    /// message.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse_rights(&mut self, rights: &mut PortArray<'b, K>) {
        self.refuse_argument();
        let rights = rights.take_moved(&self.kernel);
        if !rights.is_empty() {
            self.loans.list().refused.extend(rights);
        }
    }
}

/// For typed ABIs.
impl<'b, K: Kernel<Abi: TypedAbi>> Builder<'b, K> {
    /// A right in a message from a kernel, whose type word says that the kernel gives up a reference
    /// (`dealloc`).
    pub fn deallocated<'a: 'b>(&mut self, right: AnyRight<'a, K>) {
        let (name, disposition) = self.wire_of(right);
        self.argument(Type::slot::<K::Abi>(disposition).deallocate(), port_slot::<K::Abi>(&name_bytes(name)));
        self.complex |= name::is_right(disposition);
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

    /// An array of indefinite length (`array[] of`): in the message up to [`INLINE_MAX`] bytes, else out of
    /// line.
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
    /// [`KernReturn::MIG_ARRAY_TOO_LARGE`]; nor if the memory is no whole number of them.
    // To say so at once would divide a stub that is one row of stores.
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
                drop(memory);
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
        let address = if ty.deallocate { self.give(memory) } else { self.keep(memory, None) };
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
            self.complex |= name::is_right(ports.disposition());
            self.refuse_rights(&mut ports);
            return Ok(());
        }
        self.type_word(ty.with_number(count::<K::Abi>(ty, ports.len() as u64)?));
        for name in ports.names_into_message(&self.kernel) {
            self.space.push(port_slot::<K::Abi>(&name_bytes(*name)));
        }
        self.pad(ports.len() * K::Abi::FACTS.port);
        self.complex |= name::is_right(ports.disposition());
        Ok(())
    }

    /// An array of rights of indefinite length (`array[] of`): in the message up to [`INLINE_MAX`] bytes,
    /// else out of line.
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
        self.ports_behind_address(WordForm::Long, ports, copying)
    }

    /// As [`ool_ports`](Self::ool_ports), under a short type word (`^ array[N] of`).
    ///
    /// # Errors
    ///
    /// As [`ool_ports`](Self::ool_ports), and [`KernReturn::MIG_ARRAY_TOO_LARGE`] for more rights than the
    /// word can count.
    pub fn short_ool_ports(&mut self, ports: PortArray<'b, K>, copying: Copying) -> Result<(), KernReturn> {
        self.ports_behind_address(WordForm::Short, ports, copying)
    }

    fn ports_behind_address(
        &mut self,
        form: WordForm,
        mut ports: PortArray<'b, K>,
        copying: Copying,
    ) -> Result<(), KernReturn> {
        let ty = Type { deallocate: copying.deallocate, ..Type::names(ports.disposition(), form) };
        let ty = ty.with_number(count::<K::Abi>(ty, ports.len() as u64)?);
        let memory = self.names_in_memory(&mut ports)?;
        let moved = self.moved(ty.name, ty.word_len::<K::Abi>());
        let address = if ty.deallocate { self.give(memory) } else { self.keep(memory, Some(moved)) };
        self.out_of_line(ty, address);
        Ok(())
    }

    /// The address of memory under its type word, which the caller has just given, lent or kept.
    #[inline]
    fn out_of_line(&mut self, ty: Type, address: u64) {
        self.argument(ty.behind_address(), &address.to_le_bytes()[..K::Abi::FACTS.pointer]);
        self.complex = true;
    }

    #[inline]
    fn type_word(&mut self, ty: Type) {
        self.argument(ty, &[]);
    }

    /// Zeros behind `len` bytes of data.
    #[inline]
    fn pad(&mut self, len: usize) {
        self.space.push_zeros(padded::<K::Abi>(len as u64) as usize - len);
    }
}

impl<'b, K: Kernel> Builder<'b, K> {
    /// Rights that go out of line, as names in memory.
    pub(crate) fn names_in_memory(&self, ports: &mut PortArray<'b, K>) -> Result<OolMemory<K>, KernReturn> {
        let mut memory = OolMemory::allocate(&self.kernel, ports.len() * size_of::<Name>())?;
        let names = ports.names_into_message(&self.kernel);
        for (slot, name) in memory.chunks_exact_mut(size_of::<Name>()).zip(names) {
            slot.copy_from_slice(&name.0.to_le_bytes());
        }
        Ok(memory)
    }

    /// Lends memory to the message until it is sent, and returns its address.
    #[inline]
    pub(crate) fn lend(&mut self, bytes: &'b [u8]) -> u64 {
        let guarded = mem::needs_drop::<K::Lent<'b>>();
        if guarded && bytes.is_empty() {
            return 0;
        }
        let lent = self.kernel.lend(bytes);
        let address = K::lent_address(&lent);
        if guarded {
            self.loans.list().lent.push(lent);
        }
        address
    }

    /// Gives memory to the message, and returns its address.
    #[inline]
    pub(crate) fn give(&self, memory: OolMemory<K>) -> u64 {
        memory.into_region().map_or(0, |region| self.kernel.region_into_wire(region))
    }

    /// Rights whose names are in memory; its address stands `before` bytes behind what has been appended.
    pub(crate) fn moved(&self, disposition: u8, before: usize) -> Moved {
        Moved { disposition, at: self.space.len() + before }
    }

    /// Remembers a descriptor whose memory the kernel copies physically.
    #[cold]
    pub(crate) fn physical(&mut self, physical: Physical) {
        self.loans.list().physical.push(physical);
    }

    /// Refers to out-of-line memory that ends with the message, and returns its address.
    pub(crate) fn keep(&mut self, memory: OolMemory<K>, moved: Option<Moved>) -> u64 {
        let len = memory.len();
        let Some(region) = memory.into_region() else { return 0 };
        let address = self.kernel.region_into_wire(region);
        self.loans.list().copies.push(Copied { kernel: self.kernel.clone(), address, len, moved });
        address
    }

    /// A type word, and what stands behind it.
    #[inline(always)]
    fn argument(&mut self, ty: Type, data: &[u8]) {
        // What has a number at run time has compared it with what fits.
        assert!(ty.with_number(0).fits::<K::Abi>(), "a short type word has no room for this size");
        let first = ty.first::<K::Abi>();
        match (K::Abi::FACTS.type_words, ty.long) {
            (TypeWords::Always8, _) => self.space.push_argument::<K::Abi, 2>(&[first, ty.number], data),
            (TypeWords::Short4Long12, false) => self.space.push_argument::<K::Abi, 1>(&[first], data),
            (TypeWords::Short4Long12, true) => {
                self.space.push_argument::<K::Abi, 3>(&[first, ty.long_kind(), ty.number], data);
            }
        }
    }
}

impl<K: Kernel> Drop for Builder<'_, K> {
    #[inline(always)]
    fn drop(&mut self) {
        let arguments = self.space.take().into_arguments();
        if self.complex && !arguments.is_empty() {
            // SAFETY: built here, and not sent; from now on nobody owns what it holds.
            unsafe { release::unsent(self.kernel.clone(), arguments) };
        }
    }
}

/// The bytes of a name, as wide as the widest slot.
#[inline]
fn name_bytes(name: Name) -> [u8; 8] {
    u64::from(name.0).to_le_bytes()
}

/// What of them fills the slot of an inline port.
#[inline]
fn port_slot<A: Abi>(name: &[u8; 8]) -> &[u8] {
    &name[..A::FACTS.port]
}

/// The number in the type word for so many elements.
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
