//! Building a message: a client's request or a server's reply.

use core::mem::{self, MaybeUninit};

use mig_abi::COMPLEX;

use super::buffer::{MsgBuf, Space};
use super::format::{FormatOf, Rules};
use super::loans::{Copied, Copies, Loans, Moved, Physical};
use super::release;
use crate::abi::Abi;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, NameOf, PortName};
use crate::memory::OolMemory;
use crate::right::{
    AnyRight, PortArray, ReceiveRight, SendOnceRight, SendRight, assert_same_task, disposition,
};

/// A message that is being built, slot by slot.
///
/// A typed message has its arguments in the order of the declaration: each method appends a type word, the
/// data, and zeros up to the alignment, and the complex bit follows from what is appended. An untyped one
/// begins with [`descriptors`](Self::descriptors), if there are any; then the methods for rights and memory
/// append these, and after [`ndr`](Self::ndr) comes the plain data.
///
/// What is moved in belongs to the message: dropping it before it is sent releases that. A right that is
/// copied, or that another is made from, stays with its owner and must live as long as the message.
///
/// In no other way can safe code write what a kernel takes for a right or an address: type words of rights
/// and descriptors are written by the methods that own what these name, and a message that does not agree
/// with its type words or its number of descriptors cannot be sent.
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

impl<const N: usize> MsgBuf<N> {
    /// Starts a request.
    #[inline]
    pub fn request<K: Kernel>(&mut self, kernel: &K) -> Builder<'_, K> {
        Builder::new(kernel.clone(), self.words())
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

    /// How many bytes can still be appended.
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
        FormatOf::<K>::put_success(&mut reply);
        reply
    }

    /// The return code, which a reply begins with: in an untyped message only one that brings neither rights
    /// nor memory.
    #[inline]
    pub fn return_code(&mut self, code: KernReturn) {
        FormatOf::<K>::put_code(self, code);
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
        // SAFETY: moved in, and owned by nobody else.
        unsafe { self.right(right.into_raw(), disposition::MOVE_RECEIVE) };
    }

    /// Moves a send right into the message.
    #[inline]
    pub fn move_send(&mut self, right: SendRight<K>) {
        self.belongs(right.kernel(), right.name());
        // SAFETY: moved in, and owned by nobody else.
        unsafe { self.right(right.into_raw(), disposition::MOVE_SEND) };
    }

    /// Moves a send-once right into the message.
    #[inline]
    pub fn move_send_once(&mut self, right: SendOnceRight<K>) {
        self.belongs(right.kernel(), right.name());
        // SAFETY: moved in, and owned by nobody else.
        unsafe { self.right(right.into_raw(), disposition::MOVE_SEND_ONCE) };
    }

    /// Sends a copy of a send right.
    #[inline]
    pub fn copy_send(&mut self, right: &'b SendRight<K>) {
        self.belongs(right.kernel(), right.name());
        // SAFETY: borrowed for as long as the message lives.
        unsafe { self.right(right.name(), disposition::COPY_SEND) };
    }

    /// Sends a send right, made from a receive right.
    #[inline]
    pub fn make_send(&mut self, right: &'b ReceiveRight<K>) {
        self.belongs(right.kernel(), right.name());
        // SAFETY: borrowed for as long as the message lives.
        unsafe { self.right(right.name(), disposition::MAKE_SEND) };
    }

    /// Sends a send-once right, made from a receive right.
    #[inline]
    pub fn make_send_once(&mut self, right: &'b ReceiveRight<K>) {
        self.belongs(right.kernel(), right.name());
        // SAFETY: borrowed for as long as the message lives.
        unsafe { self.right(right.name(), disposition::MAKE_SEND_ONCE) };
    }

    /// A polymorphic argument: the value says how it travels. Only a right makes the message complex.
    #[inline]
    pub fn poly<'a: 'b>(&mut self, right: impl Into<AnyRight<'a, K>>) {
        let (name, disposition) = self.wire_of(right.into());
        // SAFETY: moved in, or borrowed for as long as the message lives.
        unsafe { self.right(name, disposition) };
    }

    /// The name and the disposition of a right of this task, for a message that owns the right from now on.
    #[inline]
    pub(crate) fn wire_of(&self, right: AnyRight<'_, K>) -> (NameOf<K>, u8) {
        if let Some(kernel) = right.kernel() {
            self.belongs(kernel, right.name());
        }
        right.into_wire()
    }

    /// Ends the program where a right is another task's: in this task its name would denote another right.
    #[inline]
    pub(crate) fn belongs(&self, kernel: &K, name: NameOf<K>) {
        if name.is_valid() {
            assert_same_task(&self.kernel, kernel);
        }
    }

    /// # Safety
    ///
    /// If the disposition moves a right, it was the caller's under this name, and is the message's from now
    /// on. If it copies one, or makes one from it, the right lives for `'b`.
    #[inline]
    unsafe fn right(&mut self, name: NameOf<K>, disposition: u8) {
        // SAFETY: the caller's promise.
        unsafe { FormatOf::<K>::put_right(self, name, disposition) };
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
            self.loans.list().refused.rights.extend(rights);
        }
    }
}

impl<'b, K: Kernel> Builder<'b, K> {
    /// As [`refuse_argument`](Self::refuse_argument), for memory that is given, which comes back beside the
    /// message.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse_memory(&mut self, memory: OolMemory<K>) {
        self.refuse_argument();
        self.loans.list().refused.memory.push(memory);
    }

    /// Rights that go out of line, as names in memory.
    pub(crate) fn names_in_memory(&self, ports: &mut PortArray<'b, K>) -> Result<OolMemory<K>, KernReturn> {
        let mut memory = OolMemory::allocate(&self.kernel, ports.len() * K::Abi::FACTS.port_name)?;
        let names = ports.names_into_message(&self.kernel);
        for (slot, name) in memory.chunks_exact_mut(K::Abi::FACTS.port_name).zip(names) {
            slot.copy_from_slice(&name.word().to_le_bytes()[..slot.len()]);
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

    /// Whether memory with this deallocate bit is the message's from now on. A kernel's own message takes it
    /// in any case, since nobody copies it any more.
    #[inline]
    pub(crate) const fn gives(&self, deallocate: bool) -> bool {
        deallocate || K::Abi::FACTS.in_kernel
    }

    /// Gives memory to the message, and returns its address.
    #[inline]
    pub(crate) fn give(&self, memory: OolMemory<K>) -> u64 {
        memory.into_region().map_or(0, |region| self.kernel.region_into_wire(region))
    }

    /// Notes rights whose names are in memory, the address of which stands `before` bytes after what has been
    /// appended.
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
