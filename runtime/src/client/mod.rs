//! The client's side: sending a request, and waiting for the reply.

mod details;
mod error;
mod unsent;

use core::mem::MaybeUninit;

use mig_abi::{NotificationId, REPLY_ID};

use crate::abi::Abi;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, MsgCall, NameOf, PortName, Remains, trace};
use crate::message::body::Body;
use crate::message::buffer::{MsgBuf, arguments, initialised};
use crate::message::builder::Builder;
use crate::message::format::{Format, FormatOf, Rules, TrailerOf};
use crate::message::header::{Header, MAX_HEADER};
use crate::message::loans::Loans;
use crate::message::malformed::Malformed;
use crate::message::shape::{Origin, Shape};
use crate::right::{self, AnyRight, Dest, SendOnceRight, disposition};

pub use self::error::{CallError, CallErrorKind, routine};
pub use self::unsent::Unsent;

/// Comes instead of a reply when the reply right was destroyed.
const NOTIFY_SEND_ONCE: i32 = NotificationId::SendOnce as i32;

/// How to send a request that has no reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Give up after this many milliseconds.
    pub timeout: Option<u32>,
    /// Further `mach_msg` options (`msgoption`).
    pub bits: u32,
}

impl SendOptions {
    /// Waits as long as it takes.
    pub const NONE: Self = Self { timeout: None, bits: 0 };
}

/// How to send a request and wait for the reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// Give up sending after this many milliseconds.
    pub send_timeout: Option<u32>,
    /// Give up waiting for the reply after this many milliseconds (`waittime`).
    pub receive_timeout: Option<u32>,
    /// Further `mach_msg` options (`msgoption`).
    pub bits: u32,
    /// The destination is an object of the kernel; see [`KERNEL_OBJECT`](Self::KERNEL_OBJECT).
    pub kernel_object: bool,
}

impl CallOptions {
    /// Waits as long as it takes.
    pub const NONE: Self = Self { send_timeout: None, receive_timeout: None, bits: 0, kernel_object: false };

    /// The same, to an object of the kernel: a task, a thread, the host and their like, as opposed to a port
    /// from which some task receives.
    ///
    /// Since macOS 13 the kernel compares this with the destination, and ends the program whose call is of
    /// the wrong kind. The stubs of an interface know it from `kernel_objects`, an option of the compiler.
    /// Such a call sends and receives at once; what limits its sending has no effect, since a call to the
    /// kernel never waits for room in a queue.
    pub const KERNEL_OBJECT: Self = Self { kernel_object: true, ..Self::NONE };
}

/// The arguments of a reply after the return code, and its trailer.
pub type Answer<'b, K> = (Body<'b, K>, TrailerOf<K>);

impl<K: Kernel> SendOnceRight<K> {
    /// Sends a message of this id that is nothing but a header, and so uses the right up: to ring an alarm or
    /// to wake a thread.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use mig_runtime::kernel::local::Local;
    /// use mig_runtime::{MsgBuf, Receive, ReceiveRight, Received};
    ///
    /// let task: Local = Local::new();
    /// let bell = ReceiveRight::allocate(&task)?;
    /// bell.make_send_once()?.send_empty(7)?;
    ///
    /// let mut buffer = MsgBuf::<128>::new();
    /// let rung = Received::receive(&task, buffer.words(), Receive::from(bell.name())).unwrap();
    /// assert_eq!(rung.id(), 7);
    /// # }
    /// # Ok::<(), mig_runtime::KernReturn>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Builder::send`](crate::Builder::send): the port may have died. The right comes back in the error.
    pub fn send_empty(self, id: i32) -> Result<(), CallError<K>> {
        let kernel = self.kernel().clone();
        let mut buffer = MsgBuf::<{ MAX_HEADER }>::new();
        buffer.request(&kernel).send(id, AnyRight::move_send_once(self), SendOptions::NONE)
    }
}

/// The port to which the reply comes.
#[derive(Clone, Copy)]
struct ReplyPort<N> {
    name: N,
    /// The port is the thread's cached one, which is to be destroyed after an error.
    implicit: bool,
}

impl<'b, K: Kernel> Builder<'b, K> {
    /// Sends the request, and waits for no reply.
    ///
    /// # Errors
    ///
    /// The code of `mach_msg`, or `MIG_ARRAY_TOO_LARGE` of this side; the request comes back in the error.
    // Each stub is a straight line of constant stores only if all of this is in it.
    #[inline(always)]
    pub fn send(self, id: i32, dest: Dest<'_, K>, options: SendOptions) -> Result<(), CallError<K>> {
        self.one_way(id, dest, None, options)
    }

    /// Sends the request with a reply port, and waits for no reply.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline(always)]
    pub fn send_with_reply_port(
        self,
        id: i32,
        dest: Dest<'_, K>,
        reply: AnyRight<'_, K>,
        options: SendOptions,
    ) -> Result<(), CallError<K>> {
        self.one_way(id, dest, Some(reply), options)
    }

    #[inline(always)]
    fn one_way(
        self,
        id: i32,
        dest: Dest<'_, K>,
        reply: Option<AnyRight<'_, K>>,
        options: SendOptions,
    ) -> Result<(), CallError<K>> {
        self.check_form()?;
        self.addressed(&dest);
        reply.iter().for_each(|reply| self.addressed(reply));
        let local = reply.map_or((PortName::NULL, 0), AnyRight::into_header);
        let call = MsgCall {
            send: true,
            receive: None,
            send_timeout: options.timeout,
            receive_timeout: None,
            large: false,
            options: options.bits & !<MsgCall>::DIRECTIONS,
            kernel_object: false,
        };
        self.transmit(id, dest, local, call, None)?;
        Ok(())
    }

    /// Sends the request and waits for the reply at the thread's own reply port. Returns the reply's
    /// arguments after the return code.
    ///
    /// # Errors
    ///
    /// The server's return code; what is wrong with the reply, everything in which has been released then;
    /// the code of `mach_msg`, or `MIG_ARRAY_TOO_LARGE` of this side, with the request in the error if it was
    /// not sent.
    #[inline(always)]
    pub fn call(
        self,
        id: i32,
        dest: Dest<'_, K>,
        shape: Shape,
        options: CallOptions,
    ) -> Result<Body<'b, K>, CallError<K>> {
        Ok(self.round_trip(id, dest, None, shape, options)?.0)
    }

    /// As [`call`](Self::call), at a port that the caller gives or at the thread's own, and returns the
    /// trailer of the reply, too: who has answered.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    #[inline(always)]
    pub fn call_with_trailer(
        self,
        id: i32,
        dest: Dest<'_, K>,
        reply: Option<AnyRight<'_, K>>,
        shape: Shape,
        options: CallOptions,
    ) -> Result<Answer<'b, K>, CallError<K>> {
        let options = CallOptions { bits: options.bits | K::Abi::FACTS.trailer_options, ..options };
        self.round_trip(id, dest, reply, shape, options)
    }

    /// Sends the request and waits for the reply at a port that the caller gives (`replyport`).
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    #[inline(always)]
    pub fn call_with_reply_port(
        self,
        id: i32,
        dest: Dest<'_, K>,
        reply: AnyRight<'_, K>,
        shape: Shape,
        options: CallOptions,
    ) -> Result<Body<'b, K>, CallError<K>> {
        Ok(self.round_trip(id, dest, Some(reply), shape, options)?.0)
    }

    #[inline(always)]
    fn round_trip(
        self,
        id: i32,
        dest: Dest<'_, K>,
        reply: Option<AnyRight<'_, K>>,
        shape: Shape,
        options: CallOptions,
    ) -> Result<Answer<'b, K>, CallError<K>> {
        self.check_form()?;
        self.addressed(&dest);
        reply.iter().for_each(|reply| self.addressed(reply));
        let implicit = reply.is_none();
        let local = match reply {
            Some(right) => right.into_header(),
            None => match self.kernel.reply_port() {
                Ok(port) => (port, disposition::MAKE_SEND_ONCE),
                Err(code) => return Err(self.without_reply_port(code, id, dest)),
            },
        };
        let port = ReplyPort { name: local.0, implicit };
        let call = MsgCall {
            send: true,
            receive: Some(port.name),
            send_timeout: options.send_timeout,
            receive_timeout: options.receive_timeout,
            large: false,
            options: options.bits & !<MsgCall>::DIRECTIONS,
            kernel_object: options.kernel_object,
        };
        let (kernel, storage) = self.transmit(id, dest, local, call, Some(port))?;
        // SAFETY: the kernel has just delivered this message.
        unsafe { accept(kernel, storage, id.wrapping_add(REPLY_ID), port, shape) }
    }

    /// The error of a request for whose reply there is no port.
    #[cold]
    #[inline(never)]
    fn without_reply_port(mut self, code: KernReturn, id: i32, dest: Dest<'_, K>) -> CallError<K> {
        let header = Header::to_send(id, dest.into_header(), (PortName::NULL, 0), self.complex);
        let storage = self.space.take().finish::<K::Abi>(header);
        // SAFETY: `finish` completes the message, and the builder has nothing any more.
        unsafe { refused(self.kernel.clone(), self.loans.take(), storage, code) }
    }

    /// Ends the program where a right of the header is that of another task.
    #[inline]
    fn addressed(&self, right: &AnyRight<'_, K>) {
        if let Some(kernel) = right.kernel() {
            self.belongs(kernel, right.name());
        }
    }

    /// Makes the `mach_msg` call. The storage then holds the reply, if there is one.
    #[inline(always)]
    fn transmit(
        mut self,
        id: i32,
        dest: Dest<'_, K>,
        local: (NameOf<K>, u8),
        call: MsgCall<NameOf<K>>,
        reply: Option<ReplyPort<NameOf<K>>>,
    ) -> Result<(K, &'b mut [MaybeUninit<u64>]), CallError<K>> {
        let header = Header::to_send(id, dest.into_header(), local, self.complex);
        let storage = self.space.take().finish::<K::Abi>(header);
        let (kernel, loans, too_large) = (self.kernel.clone(), self.loans.take(), self.too_large);
        // Nothing is left in the builder, which then need not live in memory during the call.
        drop(self);
        if too_large {
            // SAFETY: `finish` completes the message, and nobody else owns what it moves.
            return Err(unsafe { refused(kernel, loans, storage, KernReturn::MIG_ARRAY_TOO_LARGE) });
        }
        // SAFETY: `finish` completes the message; what it moves was moved in by value; what it lends lives in
        // `loans` or longer.
        match unsafe { trace::mach_msg(&kernel, storage, call) } {
            Ok(()) => {
                loans.end(Ok(()), storage);
                Ok((kernel, storage))
            }
            // SAFETY: the call that failed is this one.
            Err(code) => Err(unsafe { failed(kernel, loans, storage, code, reply) }),
        }
    }
}

/// The error of a request that this side does not send, with the request.
///
/// # Safety
///
/// `storage` holds a message that nobody has sent, and nobody else owns what it moves.
#[cold]
#[inline(never)]
unsafe fn refused<G, K: Kernel>(
    kernel: K,
    loans: Loans<G, K>,
    storage: &mut [MaybeUninit<u64>],
    code: KernReturn,
) -> CallError<K> {
    let refused = loans.end_unsent(true, storage);
    // SAFETY: the caller's promise.
    let mut request = unsafe { Unsent::from_storage(kernel, storage, Remains::All) };
    request.refused = refused;
    CallError::new(code, CallErrorKind::Refused, Some(request))
}

/// Cleans up after a `mach_msg` call that sent `storage` and has failed; the error has the request, if that
/// is why.
///
/// # Safety
///
/// The call has returned `code`, and `storage` is as it left it.
#[cold]
#[inline(never)]
unsafe fn failed<G, K: Kernel>(
    kernel: K,
    loans: Loans<G, K>,
    storage: &mut [MaybeUninit<u64>],
    code: KernReturn,
    port: Option<ReplyPort<NameOf<K>>>,
) -> CallError<K> {
    let mut unsent = None;
    let implicit = port.filter(|port| port.implicit);
    let remains = Remains::after::<K::Abi>(code);
    let refused = loans.end_unsent(remains.is_some_and(Remains::has_body), storage);
    if let Some(remains) = remains {
        // SAFETY: the message was complete when it was sent, and this is what the call has left of it.
        let mut request = unsafe { Unsent::from_storage(kernel.clone(), storage, remains) };
        if implicit.is_some() {
            let (name, disposition) = request.header.take_local();
            // SAFETY: as above, and it has just been taken out.
            unsafe { right::release(kernel.clone(), disposition, name) };
        }
        request.refused = refused;
        unsent = Some(request);
    }
    if code.without_shortage() == KernReturn::MACH_RCV_BODY_ERROR {
        // A reply for which there was no room here: what there was room for has come.
        // SAFETY: the kernel has delivered it.
        unsafe { release_delivered(kernel.clone(), storage) };
    }
    if let Some(port) = implicit.filter(|_| !FormatOf::<K>::keeps_reply_port(code)) {
        // SAFETY: this thread's reply port, at which nobody waits any more.
        unsafe { kernel.destroy_reply_port(port.name) };
    }
    let kind = if unsent.is_some() { CallErrorKind::NotSent } else { CallErrorKind::NoReply };
    CallError::new(code, kind, unsent)
}

/// Releases everything that came with a message.
///
/// # Safety
///
/// `kernel` has delivered the message in `storage`, and nobody else owns what came with it.
unsafe fn release_delivered<K: Kernel>(kernel: K, storage: &mut [MaybeUninit<u64>]) {
    // SAFETY: a delivered message has a header.
    let header = Header::read::<K::Abi>(unsafe { initialised(storage, K::Abi::FACTS.header) });
    header.release_voucher(&kernel);
    // SAFETY: the caller's promise.
    unsafe { right::release(kernel.clone(), header.remote_disposition(), header.remote) };
    // SAFETY: all of a delivered message is initialised.
    let arguments = unsafe { arguments::<K::Abi>(storage, header.size as usize) };
    // SAFETY: the caller's promise.
    drop(unsafe { Body::new(kernel, header.is_complex(), arguments, Origin::Delivered) });
}

/// The arguments of a reply that is as expected, after the return code.
///
/// # Safety
///
/// `kernel` has delivered the message in `storage`, and nobody else owns what came with it.
#[inline(always)]
unsafe fn accept<K: Kernel>(
    kernel: K,
    storage: &mut [MaybeUninit<u64>],
    id: i32,
    port: ReplyPort<NameOf<K>>,
    shape: Shape,
) -> Result<Answer<'_, K>, CallError<K>> {
    // SAFETY: a delivered message has a header.
    let header = Header::read::<K::Abi>(unsafe { initialised(storage, K::Abi::FACTS.header) });
    // SAFETY: the kernel has delivered the message.
    let trailer = unsafe { FormatOf::<K>::trailer(storage, header.size as usize) };
    header.release_voucher(&kernel);
    if header.remote_disposition() != 0 {
        // Nobody answers a reply; the sender put a right here that no stub looks at.
        // SAFETY: the kernel has delivered it with the message, and nobody else takes it.
        unsafe { right::release(kernel.clone(), header.remote_disposition(), header.remote) };
    }
    // Read again rather than kept during that call.
    // SAFETY: as above.
    let header = Header::read::<K::Abi>(unsafe { initialised(storage, K::Abi::FACTS.header) });
    let complex = header.is_complex();
    let size = (header.size as usize).wrapping_sub(K::Abi::FACTS.header);
    let fits = size <= shape.max - K::Abi::FACTS.header && shape.check::<K::Abi>(complex, size).is_ok();
    if header.id != id || !fits {
        // SAFETY: the caller's promise.
        return Err(unsafe { unexpected(kernel, storage, id, port) });
    }
    // SAFETY: all of a delivered message is initialised.
    let message = unsafe { initialised(storage, header.size as usize) };
    let arguments = message.get_mut(K::Abi::FACTS.header..).unwrap_or_default();
    // SAFETY: the caller's promise.
    let mut body = unsafe { Body::new(kernel, complex, arguments, Origin::Delivered) };
    let code = FormatOf::<K>::begin_reply(&mut body, shape.complex, header.remote)?;
    code.ok().map_err(CallError::answer)?;
    Ok((body, trailer))
}

/// The error of a message that is not the reply, or not one of success.
///
/// # Safety
///
/// As [`accept`].
#[cold]
#[inline(never)]
unsafe fn unexpected<K: Kernel>(
    kernel: K,
    storage: &mut [MaybeUninit<u64>],
    id: i32,
    port: ReplyPort<NameOf<K>>,
) -> CallError<K> {
    // SAFETY: a delivered message has a header.
    let header = Header::read::<K::Abi>(unsafe { initialised(storage, K::Abi::FACTS.header) });
    // SAFETY: all of a delivered message is initialised.
    let arguments = unsafe { arguments::<K::Abi>(storage, header.size as usize) };
    // SAFETY: the caller's promise.
    let body = unsafe { Body::new(kernel, header.is_complex(), arguments, Origin::Delivered) };
    if header.id == id { error_reply(body) } else { mismatch(body, header.id, port) }
}

/// The error of a message that is not the reply.
fn mismatch<K: Kernel>(body: Body<'_, K>, id: i32, port: ReplyPort<NameOf<K>>) -> CallError<K> {
    if id == NOTIFY_SEND_ONCE {
        return CallError::new(KernReturn::MIG_SERVER_DIED, CallErrorKind::ServerDied, None);
    }
    if port.implicit {
        // The reply may still come, and would be taken for that of the next call.
        // SAFETY: this thread's reply port, at which nobody waits any more.
        unsafe { body.kernel().destroy_reply_port(port.name) };
    }
    CallError::new(KernReturn::MIG_REPLY_MISMATCH, CallErrorKind::Malformed, None)
}

/// The error of a reply that does not have the size or the complex bit of success. Such a reply has its code
/// and nothing else.
fn error_reply<K: Kernel>(mut body: Body<'_, K>) -> CallError<K> {
    if body.is_complex() {
        return Malformed::Type.into();
    }
    match FormatOf::<K>::take_code(&mut body) {
        Ok(code) if code != KernReturn::KERN_SUCCESS && body.is_empty() => CallError::answer(code),
        _ => Malformed::Type.into(),
    }
}
