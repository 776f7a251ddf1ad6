//! A received message, and what stands in its header.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;

use mig_abi::NotificationId;

use super::reply::Reply;
use crate::abi::{Abi, Facts, Untyped};
use crate::bytes::{port_at, word_at};
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, MsgCall, Name, NameOf, PortAddress, PortName, trace};
use crate::memory::Plain;
use crate::message::body::Body;
use crate::message::buffer::{MsgBuf, initialised};
use crate::message::format::{Format, FormatOf, Rules, TrailerOf};
use crate::message::header::{Header, bits_of};
use crate::message::malformed::Malformed;
use crate::message::shape::{Complex, Origin, Shape};
use crate::message::trailer::{Seqno, Trailer};
use crate::right::{self, DeadName, disposition};

/// `MACH_NOTIFY_DEAD_NAME`
const NOTIFY_DEAD_NAME: i32 = NotificationId::DeadName as i32;

/// What to receive.
#[derive(Clone, Copy, Debug)]
pub struct Receive<N = Name> {
    /// A receive right or a port set.
    pub from: N,
    /// Give up after this many milliseconds.
    pub timeout: Option<u32>,
}

impl<N: PortName> Receive<N> {
    /// Waits for a message as long as it takes.
    pub const fn from(from: N) -> Self {
        Self { from, timeout: None }
    }

    /// The call; a message that is too large stays in its queue.
    #[inline]
    pub(crate) const fn call<A: Abi<Name = N>>(self, send: bool) -> MsgCall<N> {
        MsgCall {
            send,
            receive: Some(self.from),
            send_timeout: None,
            receive_timeout: self.timeout,
            large: true,
            options: A::FACTS.trailer_options,
            kernel_object: false,
        }
    }
}

/// Why no message was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiveError<N = Name> {
    /// The next message needs a buffer of this many bytes, the trailer's included; it is still in the queue
    /// (`MACH_RCV_TOO_LARGE`).
    TooLarge {
        /// `msgh_size` of that message, and the largest trailer.
        size: usize,
    },
    /// A message has left its queue and could not be delivered. What had come of it has been released; the
    /// next one can be received.
    Lost(Lost<N>),
    /// `mach_msg` failed, and no message has left its queue.
    Failed(KernReturn),
}

/// A message that its receiver did not get: it did not fit into the buffer, or the kernel had no room in this
/// task for what it brings. A receiver that counts sequence numbers must count this message as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost<N = Name> {
    /// The port that it was sent to.
    pub port: N,
    /// `msgh_id`
    pub id: i32,
    /// Its position in the queue of that port.
    pub seqno: Seqno,
    /// `MACH_RCV_TOO_LARGE`, `MACH_RCV_HEADER_ERROR` or `MACH_RCV_BODY_ERROR`.
    pub code: KernReturn,
}

/// A received message. It owns every right and every region that came with it, until they are taken out.
pub struct Received<'b, K: Kernel> {
    head: Head<K>,
    message: PhantomData<&'b mut [u8]>,
}

/// A message where it was received, so that a [`Received`] is little more than a pointer: what nobody asks
/// for is not read, and what is taken out is noted in the header itself. The reply right is gone when its
/// name is null there; the arguments are gone when `msgh_size` is that of a header.
pub(super) struct Head<K: Kernel> {
    pub(super) kernel: K,
    /// `msgh_size` bytes, a whole header at least, initialised and aligned for `u64`; only this value, and
    /// the one body that it gives out, has them.
    start: NonNull<u8>,
    /// The name of the request port; null where a payload stands for it.
    name: NameOf<K>,
    trailer: TrailerOf<K>,
}

// SAFETY: nobody else has the bytes, which are as good in another thread.
unsafe impl<K: Kernel> Send for Head<K> {}

impl<'b, K: Kernel> Received<'b, K> {
    /// Receives one message into `buffer`; one that does not fit stays in its queue.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]
    #[inline]
    pub fn receive(
        kernel: &K,
        buffer: &'b mut [MaybeUninit<u64>],
        receive: Receive<NameOf<K>>,
    ) -> Result<Self, ReceiveError<NameOf<K>>> {
        // SAFETY: nothing is sent.
        let result = unsafe { trace::mach_msg(kernel, buffer, receive.call::<K::Abi>(false)) };
        // SAFETY: the result is that of this call.
        unsafe { Self::after_call(kernel.clone(), buffer, result) }
    }

    /// A message that somebody else has received for this task: a run loop (`CFMachPort`), a queue
    /// (`dispatch_source`, a `kevent` that receives), a loop in C.
    ///
    /// [`Server::serve_received`](crate::Server::serve_received) serves it, and so does a demux function.
    ///
    /// # Safety
    ///
    /// `mach_msg`, or whoever called it, has put the message at the beginning of `message` just now, for a
    /// port of the task of `kernel`: its `msgh_size` bytes lie in the slice and are initialised, and so
    /// is, where the ABI has trailers, the trailer after them. Nobody else has taken a right or memory
    /// that it brought, or will: from now on all of it is this value's, and what nobody takes out is
    /// released when it is dropped.
    pub unsafe fn from_message(kernel: &K, message: &'b mut [MaybeUninit<u64>]) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::delivered(kernel.clone(), message) }
    }

    /// A request that the kernel has taken from its sender and serves itself (`subsystem KernelServer`).
    ///
    /// A task gets a message turned around: its own port is the local one, and the reply port the remote one.
    /// In the kernel they stand as the sender has written them. They are exchanged here, so that all else is
    /// as in a task. The right that the message was sent with, which the header has as the remote port, stays
    /// the caller's, who has found the object by it.
    ///
    /// # Safety
    ///
    /// As [`from_message`](Self::from_message), except that the header is that of a message in the kernel
    /// which has not been received.
    pub unsafe fn in_kernel(kernel: &K, message: &'b mut [MaybeUninit<u64>]) -> Self
    where
        K: Kernel<Abi: Abi<Name = PortAddress>>,
    {
        // SAFETY: the message has a header.
        let header = unsafe { initialised(message, K::Abi::FACTS.header) };
        let turned = Header::read::<K::Abi>(header).turned().to_bytes::<K::Abi>();
        header.copy_from_slice(&turned[..K::Abi::FACTS.header]);
        // SAFETY: the caller's promise, and the header is that of a received message now.
        unsafe { Self::delivered(kernel.clone(), message) }
    }

    /// As [`receive`](Self::receive), except that a message which does not fit is [lost](ReceiveError::Lost).
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]
    pub(crate) fn receive_or_lose(
        kernel: &K,
        buffer: &'b mut [MaybeUninit<u64>],
        receive: Receive<NameOf<K>>,
    ) -> Result<Self, ReceiveError<NameOf<K>>> {
        let call = MsgCall { large: false, ..receive.call::<K::Abi>(false) };
        // SAFETY: nothing is sent.
        let result = unsafe { trace::mach_msg(kernel, buffer, call) };
        match result {
            Err(KernReturn::MACH_RCV_TOO_LARGE) => {
                // SAFETY: the kernel has returned this for the message.
                Err(ReceiveError::Lost(unsafe { lost::<K>(buffer, KernReturn::MACH_RCV_TOO_LARGE) }))
            }
            // SAFETY: the result is that of this call.
            result => unsafe { Self::after_call(kernel.clone(), buffer, result) },
        }
    }

    /// What a call that receives has left in `buffer`.
    ///
    /// # Safety
    ///
    /// `kernel` has returned `result` for a receive into `buffer` with [`MsgCall::large`], and has not failed
    /// to send.
    #[inline]
    pub(crate) unsafe fn after_call(
        kernel: K,
        buffer: &'b mut [MaybeUninit<u64>],
        result: Result<(), KernReturn>,
    ) -> Result<Self, ReceiveError<NameOf<K>>> {
        match result {
            // SAFETY: the kernel has just delivered this message.
            Ok(()) => Ok(unsafe { Self::delivered(kernel, buffer) }),
            // SAFETY: the caller's promise.
            Err(code) => Err(unsafe { failed(kernel, buffer, code) }),
        }
    }

    /// The message that `kernel` has delivered into `buffer`.
    ///
    /// # Safety
    ///
    /// It has, and nobody else owns what came with it.
    #[inline]
    pub(crate) unsafe fn delivered(kernel: K, buffer: &'b mut [MaybeUninit<u64>]) -> Self {
        // SAFETY: a delivered message has a header.
        let bytes = unsafe { initialised(buffer, K::Abi::FACTS.header) };
        let size = word_at(bytes, SIZE).unwrap_or(0) as usize;
        let name = local_name::<K::Abi>(bytes);
        debug_assert!(
            size >= K::Abi::FACTS.header && size <= size_of_val(buffer),
            "as every kernel promises"
        );
        let head = Head {
            kernel,
            // SAFETY: the kernel has delivered this message.
            trailer: unsafe { FormatOf::<K>::trailer(buffer, size) },
            name,
            // The last use of `buffer` itself.
            start: header::<K::Abi>(buffer),
        };
        head.release_voucher();
        Self { head, message: PhantomData }
    }

    /// `msgh_id`: which routine it asks for.
    #[inline]
    pub fn id(&self) -> i32 {
        self.head.id()
    }

    /// Its position in the queue of its port; 0 if the kernel did not say.
    #[inline]
    pub fn seqno(&self) -> Seqno {
        self.head.seqno()
    }

    /// The request port: the port that it was sent to.
    #[inline]
    pub fn port(&self) -> Port<'_, K> {
        Port { head: &self.head }
    }

    /// The task that received it.
    #[inline]
    pub fn kernel(&self) -> &K {
        &self.head.kernel
    }

    /// The arguments, which belong to the [`Body`] from now on. A second call finds none.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the message as a whole is not as declared; everything in its arguments has been
    /// released then.
    #[inline]
    pub fn body(&self, shape: Shape) -> Result<Body<'b, K>, Malformed> {
        let arguments = self.take_arguments();
        let checked = shape.check::<K::Abi>(self.is_complex(), arguments.len());
        // SAFETY: delivered by this kernel; `take` gives them out once.
        let body = unsafe { self.body_of(arguments) };
        checked.map(|()| body)
    }

    /// The argument of a dead-name notification (`MACH_NOTIFY_DEAD_NAME`, id 72), and the reference that came
    /// with it if the kernel has sent it.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is another message, or its argument has been taken.
    pub fn dead_name(&self) -> Result<DeadName<K>, Malformed> {
        if self.id() != NOTIFY_DEAD_NAME {
            return Err(Malformed::Type);
        }
        // The message has the size of a reply that is nothing but a code: both have one word.
        let size = K::Abi::FACTS.error_reply;
        let body = self.body(Shape::new(size, size, Complex::Never))?;
        // SAFETY: they are the arguments of such a message, and were taken just now.
        unsafe { dead_name(self.kernel().clone(), self.port().is_send_once(), body) }
    }

    /// The arguments; nothing from the second call on.
    #[inline]
    fn take_arguments(&self) -> &'b mut [u8] {
        // SAFETY: the next line leaves none.
        let arguments = unsafe { self.head.arguments() };
        self.head.set_word(SIZE, K::Abi::FACTS.header as u32);
        arguments
    }

    /// # Safety
    ///
    /// The arguments have just been taken out of this message.
    #[inline]
    unsafe fn body_of(&self, arguments: &'b mut [u8]) -> Body<'b, K> {
        // SAFETY: delivered by this kernel, and the caller's promise.
        unsafe { Body::new(self.head.kernel.clone(), self.is_complex(), arguments, Origin::Delivered) }
    }

    /// True if it brings rights or memory: only in such a message has the kernel looked for them.
    #[inline]
    pub fn is_complex(&self) -> bool {
        self.head.is_complex()
    }

    /// True if somebody waits for a reply.
    #[inline]
    pub(crate) fn is_awaited(&self) -> bool {
        self.head.is_awaited()
    }

    /// The reply right, for the reply that is sent with it.
    #[inline]
    pub(crate) fn take_reply_right(&self) -> (NameOf<K>, u8) {
        self.head.take_reply_right()
    }
}

/// For untyped ABIs.
impl<K: Kernel<Abi: Abi<Format = Untyped>>> Received<'_, K> {
    /// What the kernel has added to the message.
    #[inline]
    pub fn trailer(&self) -> &Trailer {
        &self.head.trailer
    }

    /// The code that a request carries in the place of its rights and its data (`retcode`); none if
    /// it carries these.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is not complex and carries anything else.
    pub fn ret_code<T: Plain>(&self) -> Result<Option<T>, Malformed> {
        if self.is_complex() {
            return Ok(None);
        }
        let size = K::Abi::FACTS.error_reply;
        let mut body = self.body(Shape::new(size, size, Complex::Never))?;
        body.ndr()?;
        let code = body.value()?;
        body.end()?;
        Ok(Some(code))
    }

    /// How many descriptors the message has, until its [`body`](Self::body) is taken; 0 in
    /// one that is not complex.
    pub fn descriptor_count(&self) -> u32 {
        if !self.is_complex() {
            return 0;
        }
        // SAFETY: nobody else has them.
        word_at(unsafe { self.head.arguments() }, 0).unwrap_or(0)
    }
}

/// Why there is no message in `buffer`, of which nothing is left then.
///
/// # Safety
///
/// As [`Received::after_call`], for a call that has failed.
#[cold]
#[inline(never)]
unsafe fn failed<K: Kernel>(
    kernel: K,
    buffer: &mut [MaybeUninit<u64>],
    code: KernReturn,
) -> ReceiveError<NameOf<K>> {
    match code.without_shortage() {
        KernReturn::MACH_RCV_TOO_LARGE => {
            // SAFETY: with `large` the kernel writes the header of a message that it leaves in the queue.
            let header = Header::read::<K::Abi>(unsafe { initialised(buffer, K::Abi::FACTS.header) });
            ReceiveError::TooLarge { size: header.size as usize + K::Abi::FACTS.trailer }
        }
        code @ KernReturn::MACH_RCV_HEADER_ERROR => {
            // SAFETY: the kernel has returned this for the message.
            ReceiveError::Lost(unsafe { lost::<K>(buffer, code) })
        }
        code @ KernReturn::MACH_RCV_BODY_ERROR => {
            // SAFETY: the kernel has delivered the message, but for what it had no room for.
            let received = unsafe { Received::delivered(kernel, buffer) };
            let lost =
                Lost { port: received.port().name(), id: received.id(), seqno: received.seqno(), code };
            received.refuse(KernReturn::KERN_RESOURCE_SHORTAGE);
            ReceiveError::Lost(lost)
        }
        _ => ReceiveError::Failed(code),
    }
}

/// A message of which the kernel has delivered nothing but a header, and a trailer where there are any; it
/// has destroyed the rest.
///
/// # Safety
///
/// It has, into this buffer, for a receive that returned `code`.
unsafe fn lost<K: Kernel>(buffer: &mut [MaybeUninit<u64>], code: KernReturn) -> Lost<NameOf<K>> {
    let facts = K::Abi::FACTS;
    // SAFETY: the caller's promise.
    let header = Header::read::<K::Abi>(unsafe { initialised(buffer, facts.header) });
    // SAFETY: the caller's promise.
    let trailer = unsafe { FormatOf::<K>::trailer(buffer, facts.header) };
    let seqno = FormatOf::<K>::seqno(header.seqno, &trailer);
    Lost { port: header.local_name(), id: header.id, seqno, code }
}

impl<K: Kernel> Received<'_, K> {
    /// Answers that the request failed, if anybody waits, and releases all of it.
    #[cold]
    fn refuse(self, code: KernReturn) {
        let kernel = self.kernel().clone();
        let mut buffer = MsgBuf::<ERROR_REPLY>::new();
        let mut reply = Reply::new(&kernel, buffer.words());
        reply.fail(code);
        // A client that cannot be answered is gone, or does not want to hear.
        let _ = reply.answer(self);
    }
}

/// Room for an error reply of any ABI.
const ERROR_REPLY: usize = 64;

/// The name of the request port of a received message.
#[inline]
fn local_name<A: Abi>(header: &[u8]) -> A::Name {
    // The disposition of the local port is the second byte of `msgh_bits`.
    if header.get(1) == Some(&disposition::PROTECTED_PAYLOAD) {
        return PortName::NULL;
    }
    port_at::<A>(header, A::FACTS.local_port).unwrap_or(PortName::NULL)
}

/// Where `msgh_size` is; `msgh_bits` is before it.
const SIZE: usize = 4;

/// The header of the message in `buffer`, which has room for one.
#[inline]
fn header<A: Abi>(buffer: &mut [MaybeUninit<u64>]) -> NonNull<u8> {
    assert!(size_of_val(buffer) >= A::FACTS.header, "a buffer has room for a header");
    NonNull::from(buffer).cast()
}

impl<K: Kernel> Head<K> {
    #[inline]
    fn at(&self, offset: usize) -> *mut u8 {
        self.start.as_ptr().wrapping_add(offset)
    }

    /// A word of the header.
    #[inline]
    fn word(&self, offset: usize) -> u32 {
        const { assert!(K::Abi::FACTS.header % 4 == 0) };
        debug_assert!(offset % 4 == 0 && offset < K::Abi::FACTS.header);
        // SAFETY: the offsets of all fields are multiples of 4 and in a header, which is there, initialised
        // and aligned; nobody else has a reference.
        u32::from_le(unsafe { self.at(offset).cast::<u32>().read() })
    }

    #[inline]
    fn set_word(&self, offset: usize, word: u32) {
        debug_assert!(offset % 4 == 0 && offset < K::Abi::FACTS.header);
        // SAFETY: as in `word`.
        unsafe { self.at(offset).cast::<u32>().write(word.to_le()) }
    }

    /// The arguments that nobody has taken.
    ///
    /// # Safety
    ///
    /// Nobody else has them while this reference is used, and the message is there for as long.
    #[inline]
    unsafe fn arguments<'b>(&self) -> &'b mut [u8] {
        let header = K::Abi::FACTS.header;
        // SAFETY: `msgh_size` bytes are initialised, and a header at least; the caller has them alone.
        unsafe { slice::from_raw_parts_mut(self.at(header), self.word(SIZE) as usize - header) }
    }

    #[inline]
    fn has_arguments(&self) -> bool {
        self.word(SIZE) as usize != K::Abi::FACTS.header
    }

    #[inline]
    pub(super) fn id(&self) -> i32 {
        self.word(K::Abi::FACTS.id) as i32
    }

    #[inline]
    fn seqno(&self) -> Seqno {
        FormatOf::<K>::seqno(self.word(K::Abi::FACTS.seqno), &self.trailer)
    }

    /// The reply right.
    #[inline]
    fn remote(&self) -> NameOf<K> {
        let at = K::Abi::FACTS.remote_port;
        let high = if K::Abi::FACTS.port_name == 8 { self.word(at + 4) } else { 0 };
        PortName::from_word(u64::from(high) << 32 | u64::from(self.word(at)))
    }

    /// The dispositions and the complex bit.
    #[inline]
    fn bits(&self) -> Header<NameOf<K>> {
        Header { bits: bits_of::<K::Abi>(self.word(0), self.remote()), ..Header::default() }
    }

    #[inline]
    fn is_complex(&self) -> bool {
        self.bits().is_complex()
    }

    #[inline]
    fn is_awaited(&self) -> bool {
        self.remote().is_valid()
    }

    /// The reply right; null from the second call on.
    #[inline]
    pub(super) fn take_reply_right(&self) -> (NameOf<K>, u8) {
        let (name, disposition) = (self.remote(), self.bits().remote_disposition());
        self.set_word(K::Abi::FACTS.remote_port, 0);
        if K::Abi::FACTS.port_name == 8 {
            self.set_word(K::Abi::FACTS.remote_port + 4, 0);
        }
        (name, disposition)
    }

    /// Releases the voucher that came with the message, if any: nobody takes it.
    #[inline]
    fn release_voucher(&self) {
        let header = Header { seqno: self.word(K::Abi::FACTS.seqno), ..self.bits() };
        header.release_voucher(&self.kernel);
    }
}

impl<K: Kernel> Drop for Received<'_, K> {
    #[inline]
    fn drop(&mut self) {
        if self.head.is_awaited() {
            let (name, disposition) = self.head.take_reply_right();
            // SAFETY: the kernel has delivered it with the message, and it has just been taken out.
            unsafe { right::release(self.head.kernel.clone(), disposition, name) };
        }
        if self.head.has_arguments() {
            let (id, bits) = (self.head.id(), self.head.bits().bits);
            // SAFETY: they have just been taken out.
            unsafe { release_unread(self.head.kernel.clone(), id, bits, self.take_arguments()) };
        }
    }
}

/// Releases what the arguments hold, which nobody has read.
///
/// By value: with a reference every message would have to be in memory, for this.
///
/// # Safety
///
/// They are those of a message with this id and these bits that `kernel` has delivered, and nobody else has
/// them.
#[cold]
#[inline(never)]
unsafe fn release_unread<K: Kernel>(kernel: K, id: i32, bits: u32, arguments: &mut [u8]) {
    let header: Header<NameOf<K>> = Header { bits, ..Header::default() };
    // SAFETY: the caller's promise.
    let body = unsafe { Body::new(kernel.clone(), header.is_complex(), arguments, Origin::Delivered) };
    if id == NOTIFY_DEAD_NAME && !header.is_complex() {
        let genuine = header.local_disposition() == disposition::MOVE_SEND_ONCE;
        // SAFETY: the caller's promise.
        drop(unsafe { dead_name(kernel, genuine, body) });
    }
}

/// The argument of a dead-name notification.
///
/// # Safety
///
/// `body` are its arguments, and nobody else has them. It is genuine if it was sent with a send-once right:
/// the kernel adds a reference for each of these that it sends. Somebody else with such a right can only name
/// references of dead names.
unsafe fn dead_name<K: Kernel>(
    kernel: K,
    genuine: bool,
    mut body: Body<'_, K>,
) -> Result<DeadName<K>, Malformed> {
    let name = FormatOf::<K>::take_name(&mut body)?;
    body.end()?;
    // SAFETY: the caller's promise.
    Ok(unsafe { DeadName::new(kernel, PortName::from_word(name.word()), genuine) })
}

/// The request port of a message: the receiver's own port, borrowed, and the way to the client that waits for
/// the reply.
pub struct Port<'a, K: Kernel> {
    pub(super) head: &'a Head<K>,
}

impl<K: Kernel> Clone for Port<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Kernel> Copy for Port<'_, K> {}

impl<'a, K: Kernel> Port<'a, K> {
    /// The name of the receive right; null where a payload stands for it.
    #[inline]
    pub fn name(self) -> NameOf<K> {
        self.head.name
    }

    /// The word that the receiver has set to find its object by (`mach_port_set_protected_payload`), if it
    /// has.
    #[inline]
    pub fn payload(self) -> Option<usize> {
        // An address of the machine that the ABI is for; `usize` has room for it where that is this one.
        self.has_payload().then(|| {
            let Facts { local_port, remote_port, .. } = K::Abi::FACTS;
            let high = if local_port == remote_port + 8 { self.head.word(local_port + 4) } else { 0 };
            (u64::from(high) << 32 | u64::from(self.head.word(local_port))) as usize
        })
    }

    #[inline]
    fn has_payload(self) -> bool {
        self.head.bits().local_disposition() == disposition::PROTECTED_PAYLOAD
    }

    /// The task that holds it.
    #[inline]
    pub fn kernel(self) -> &'a K {
        &self.head.kernel
    }

    /// True if the message was sent with a send-once right. A notification that was asked for is; one that
    /// somebody with a send right has made up is not.
    pub fn is_send_once(self) -> bool {
        self.head.bits().local_disposition() == disposition::MOVE_SEND_ONCE
    }
}
