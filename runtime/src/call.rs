//! The client's side: sending a request, and waiting for the reply.

use core::fmt;
use core::mem::{self, MaybeUninit};
use core::num::NonZeroI32;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use mig_abi::{NotificationId, REPLY_ID};
use zerocopy::IntoBytes;

use crate::abi::{Abi, Family, FromTrailer};
use crate::body::{Body, Complex, Malformed, Origin, Shape};
use crate::buffer::{arguments, initialised, trailer};
use crate::builder::{Builder, Loans, RETURN_CODE};
use crate::details::{Details, Routine};
use crate::header::Header;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, MsgCall, Name, Remains};
use crate::received::Received;
use crate::release;
use crate::right::{AnyRight, Dest};
use crate::types::name;

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

/// Why a call did not do what it was asked to: what the server answered, what is wrong with the reply, or why
/// `mach_msg` failed.
///
/// If the request was not sent, it is in here, and dropping the error releases what it holds.
///
/// In the order of C, so that the register in which `mach_msg` says success does so here, too.
#[repr(C)]
pub struct CallError<K: Kernel> {
    code: NonZeroI32,
    kind: CallErrorKind,
    details: Option<Details<K>>,
}

/// Who said that a call has failed, and how far it had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// This side, before it asked the kernel: an argument is larger than its declaration allows
    /// (`MIG_ARRAY_TOO_LARGE`), or there is no memory or no reply port. Nothing was sent.
    /// [`CallError::into_unsent`] gives the request back, but for one that was not complete: there was no
    /// memory for it. So is a code that was made an error with `?`.
    Refused,
    /// The kernel: the request was not sent. [`CallError::into_unsent`] gives back what remains of it.
    NotSent,
    /// The kernel: the request was sent, and no reply could be received.
    NoReply,
    /// The kernel: the right to reply was destroyed, by the server or with it (`MIG_SERVER_DIED`).
    ServerDied,
    /// The server: the code is its answer.
    Answer,
    /// This side: a reply came and is not as declared.
    Malformed,
}

impl<K: Kernel> CallError<K> {
    /// The code that the C stub returns.
    #[inline]
    pub fn code(&self) -> KernReturn {
        KernReturn(self.code.get())
    }

    /// Who said so, and how far the call had come.
    ///
    /// ```
    /// use mig_runtime::{CallError, CallErrorKind, Kernel};
    ///
    /// /// Whether it makes sense to try once more, with the same arguments.
    /// fn again<K: Kernel>(error: &CallError<K>) -> bool {
    ///     matches!(error.kind(), CallErrorKind::NotSent | CallErrorKind::NoReply)
    /// }
    /// ```
    #[inline]
    pub fn kind(&self) -> CallErrorKind {
        self.kind
    }

    /// True if the request was not sent, whoever refused that.
    pub fn is_unsent(&self) -> bool {
        matches!(self.kind, CallErrorKind::NotSent | CallErrorKind::Refused)
    }

    /// The request, if the kernel did not send it, or if it was complete when this side refused it.
    pub fn into_unsent(self) -> Option<Unsent<K>> {
        Some(*self.details?.into_unsent()?)
    }

    /// The routine that was called, as the `.defs` name it; `None` in an error of a stub that was not
    /// generated.
    pub fn routine(&self) -> Option<&'static str> {
        match self.details.as_ref()?.get() {
            Ok(unsent) => unsent.routine.copied(),
            Err(routine) => Some(*routine),
        }
    }

    /// The same error, of this routine.
    #[cold]
    #[inline(never)]
    fn of(mut self, routine: Routine) -> Self {
        let request = self.details.take().and_then(Details::into_unsent);
        self.details = Some(match request {
            Some(mut request) => {
                request.routine = Some(routine);
                Details::unsent(request)
            }
            None => Details::name(routine),
        });
        self
    }
}

/// What a generated function of a client does: its errors know the routine's name.
///
/// The name costs the calls that succeed nothing, for it is put into the error afterwards.
#[inline(always)]
pub fn routine<T, K: Kernel>(
    name: &'static &'static str,
    call: impl FnOnce() -> Result<T, CallError<K>>,
) -> Result<T, CallError<K>> {
    match call() {
        Ok(results) => Ok(results),
        Err(error) => Err(error.of(name)),
    }
}

impl<K: Kernel> CallError<K> {
    #[inline]
    fn new(code: KernReturn, kind: CallErrorKind, unsent: Option<Unsent<K>>) -> Self {
        // An error that says success would be one of the caller's; it stays an error.
        let failure = const { NonZeroI32::new(KernReturn::KERN_FAILURE.0).unwrap() };
        let details = unsent.map(|request| Details::unsent(Box::new(request)));
        Self { code: NonZeroI32::new(code.0).unwrap_or(failure), kind, details }
    }

    /// The server's answer, which is no success.
    #[inline]
    fn answer(code: KernReturn) -> Self {
        Self::new(code, CallErrorKind::Answer, None)
    }
}

impl<K: Kernel> From<KernReturn> for CallError<K> {
    #[inline]
    fn from(code: KernReturn) -> Self {
        Self::new(code, CallErrorKind::Refused, None)
    }
}

impl<K: Kernel> From<Malformed> for CallError<K> {
    /// What a client makes of a malformed reply.
    fn from(malformed: Malformed) -> Self {
        let code = match malformed {
            Malformed::Count => KernReturn::MIG_ARRAY_TOO_LARGE,
            Malformed::Trailer => KernReturn::MIG_TRAILER_ERROR,
            _ => KernReturn::MIG_TYPE_ERROR,
        };
        Self::new(code, CallErrorKind::Malformed, None)
    }
}

impl<K: Kernel> From<CallError<K>> for KernReturn {
    fn from(error: CallError<K>) -> Self {
        error.code()
    }
}

impl<K: Kernel> fmt::Display for CallError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(routine) = self.routine() {
            write!(f, "{routine}: ")?;
        }
        let unsent = self.details.as_ref().and_then(|details| details.get().ok());
        match (self.kind, unsent) {
            (CallErrorKind::NotSent, Some(unsent)) => write!(f, "request {} not sent: ", unsent.id())?,
            (CallErrorKind::NotSent, None) => f.write_str("request not sent: ")?,
            // A code that was made an error is the whole story.
            (CallErrorKind::Refused, None) if self.details.is_none() => {}
            (CallErrorKind::Refused, _) => f.write_str("refused before it was sent: ")?,
            (CallErrorKind::NoReply, _) => f.write_str("request sent, but no reply received: ")?,
            (CallErrorKind::ServerDied, _) => f.write_str("the server will not answer: ")?,
            (CallErrorKind::Answer, _) => f.write_str("the server answered ")?,
            (CallErrorKind::Malformed, _) => f.write_str("the reply is not as declared: ")?,
        }
        write!(f, "{}", self.code().on::<K::Abi>())
    }
}

impl<K: Kernel> fmt::Debug for CallError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("CallError");
        if let Some(routine) = self.routine() {
            fields.field("routine", &routine);
        }
        fields.field("code", &self.code().on::<K::Abi>()).field("kind", &self.kind).finish()
    }
}

impl<K: Kernel> core::error::Error for CallError<K> {}

/// A request that was not sent. It owns what was moved into it, as far as that is this task's still: a kernel
/// that finds fault with a right or with memory in the body destroys a part of the message, and then nothing
/// is left to take out ([`Remains`]).
///
/// An array that has more elements than the message may have is empty in it, if this side refused it for
/// that.
pub struct Unsent<K: Kernel> {
    routine: Option<Routine>,
    kernel: K,
    header: Header,
    /// Aligned as in the message that they come from.
    arguments: Box<[u64]>,
    len: usize,
    refused: Vec<AnyRight<'static, K>>,
}

impl<K: Kernel> Unsent<K> {
    /// `msgh_id`
    pub fn id(&self) -> i32 {
        self.header.id
    }

    /// Takes the destination back, if it was moved.
    pub fn take_destination(&mut self) -> Option<AnyRight<'static, K>> {
        let (name, disposition) = self.header.take_remote();
        // SAFETY: the message did not move it, and it has just been taken out.
        unsafe { AnyRight::from_wire(self.kernel.clone(), name, disposition) }
    }

    /// Takes back the rights of arrays that have more than the message may have, those that were moved: the
    /// message has none of them.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use mig_runtime::kernel::local::Local;
    /// use mig_runtime::{KernReturn, ReceiveRight, SendRight};
    ///
    /// mod post {
    ///     mig_derive::interface! {
    ///         inline: "
    ///             subsystem post 4000;
    ///             type post_t = MACH_MSG_TYPE_COPY_SEND;
    ///             type letter_t = MACH_MSG_TYPE_MOVE_SEND;
    ///             type letters_t = array[*:2] of letter_t;
    ///             simpleroutine post_letters(post : post_t; letters : letters_t);
    ///         ",
    ///     }
    /// }
    ///
    /// let task: Local = Local::new();
    /// let port = ReceiveRight::allocate(&task)?;
    /// let post = port.make_send()?;
    /// let letters: [SendRight<Local>; 3] = [port.make_send()?, port.make_send()?, port.make_send()?];
    ///
    /// let error = post::post_letters(&post, letters).unwrap_err();
    /// assert_eq!(error.to_string(), "post_letters: refused before it was sent: MIG_ARRAY_TOO_LARGE (-307)");
    /// let letters = error.into_unsent().expect("nothing was sent").take_refused();
    /// assert_eq!(letters.len(), 3);
    /// # }
    /// # Ok::<(), mig_runtime::KernReturn>(())
    /// ```
    pub fn take_refused(&mut self) -> Vec<AnyRight<'static, K>> {
        mem::take(&mut self.refused)
    }

    /// Takes the arguments back. Those that were moved can be read as a receiver reads them; [`Body::skip`]
    /// passes over others.
    pub fn read<R>(mut self, read: impl FnOnce(Body<'_, K>) -> R) -> R {
        let mut arguments = mem::take(&mut self.arguments);
        let bytes = &mut arguments.as_mut_bytes()[..mem::take(&mut self.len)];
        // SAFETY: the message came back, and its arguments are no longer in `self`.
        read(unsafe { Body::new(self.kernel.clone(), self.header.is_complex(), bytes, Origin::Unsent) })
    }
}

impl<K: Kernel> Drop for Unsent<K> {
    fn drop(&mut self) {
        for (name, disposition) in [self.header.take_remote(), self.header.take_local()] {
            // SAFETY: the message did not move it, and it has just been taken out.
            unsafe { release::right(self.kernel.clone(), disposition, name) };
        }
        let bytes = &mut self.arguments.as_mut_bytes()[..self.len];
        // SAFETY: as in `read`.
        drop(unsafe { Body::new(self.kernel.clone(), self.header.is_complex(), bytes, Origin::Unsent) });
    }
}

impl<K: Kernel> fmt::Debug for Unsent<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unsent(id {}, {} bytes of arguments)", self.header.id, self.len)
    }
}

/// The arguments of a reply behind the return code, and its trailer.
pub type Answer<'b, K> = (Body<'b, K>, <<K as Kernel>::Abi as Abi>::Trailer);

/// Where the reply comes to.
#[derive(Clone, Copy)]
struct ReplyPort {
    name: Name,
    /// It is the thread's cached one, to be destroyed after an error.
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
        let local = reply.map_or((Name::NULL, 0), AnyRight::into_header);
        let call = MsgCall {
            send: true,
            receive: None,
            send_timeout: options.timeout,
            receive_timeout: None,
            large: false,
            options: options.bits & !MsgCall::DIRECTIONS,
            kernel_object: false,
        };
        self.transmit(id, dest, local, call, None)?;
        Ok(())
    }

    /// Sends the request and waits for the reply at the thread's own reply port. Returns the reply's
    /// arguments behind the return code.
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
                Ok(port) => (port, name::MAKE_SEND_ONCE),
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
            options: options.bits & !MsgCall::DIRECTIONS,
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
        let header = Header::to_send(id, dest.into_header(), (Name::NULL, 0), self.complex);
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
        local: (Name, u8),
        call: MsgCall,
        reply: Option<ReplyPort>,
    ) -> Result<(K, &'b mut [MaybeUninit<u64>]), CallError<K>> {
        let header = Header::to_send(id, dest.into_header(), local, self.complex);
        let storage = self.space.take().finish::<K::Abi>(header);
        let (kernel, loans, too_large) = (self.kernel.clone(), self.loans.take(), self.too_large);
        // Nothing is left in the builder; it need not live in memory during the call.
        drop(self);
        if too_large {
            // SAFETY: `finish` completes the message, and nobody else owns what it moves.
            return Err(unsafe { refused(kernel, loans, storage, KernReturn::MIG_ARRAY_TOO_LARGE) });
        }
        // SAFETY: `finish` completes the message; what it moves was moved in by value; what it lends lives in
        // `loans` or longer.
        let result = unsafe { kernel.mach_msg(storage, call) };
        loans.end(result, storage);
        match result {
            Ok(()) => Ok((kernel, storage)),
            // SAFETY: the call that failed is this one.
            Err(code) => Err(unsafe { failed(kernel, storage, code, reply) }),
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
    let rights = loans.end_refused(storage);
    // SAFETY: the caller's promise.
    let mut request = unsafe { Unsent::from_storage(kernel, storage, Remains::All) };
    request.refused = rights;
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
unsafe fn failed<K: Kernel>(
    kernel: K,
    storage: &mut [MaybeUninit<u64>],
    code: KernReturn,
    port: Option<ReplyPort>,
) -> CallError<K> {
    let mut unsent = None;
    let implicit = port.filter(|port| port.implicit);
    if let Some(remains) = Remains::after::<K::Abi>(code) {
        // SAFETY: the message was complete when it was sent, and this is what the call has left of it.
        let mut request = unsafe { Unsent::from_storage(kernel.clone(), storage, remains) };
        if implicit.is_some() {
            let (name, disposition) = request.header.take_local();
            // SAFETY: as above, and it has just been taken out.
            unsafe { release::right(kernel.clone(), disposition, name) };
        }
        unsent = Some(request);
    }
    if code.without_shortage() == KernReturn::MACH_RCV_BODY_ERROR {
        // A reply for which there was no room here: what there was room for has come.
        // SAFETY: the kernel has delivered it.
        drop(unsafe { Received::delivered(kernel.clone(), storage) });
    }
    // These codes say that nothing has been done: no reply can come.
    let keep = K::Abi::FACTS.family == Family::Untyped
        && matches!(
            code,
            KernReturn::MACH_SEND_INVALID_DATA
                | KernReturn::MACH_SEND_INVALID_DEST
                | KernReturn::MACH_SEND_INVALID_HEADER
        );
    if let Some(port) = implicit.filter(|_| !keep) {
        // SAFETY: this thread's reply port, at which nobody waits any more.
        unsafe { kernel.destroy_reply_port(port.name) };
    }
    let kind = if unsent.is_some() { CallErrorKind::NotSent } else { CallErrorKind::NoReply };
    CallError::new(code, kind, unsent)
}

impl<K: Kernel> Unsent<K> {
    /// # Safety
    ///
    /// `storage` holds a message that could not be sent, of which this remains.
    pub(crate) unsafe fn from_storage(kernel: K, storage: &mut [MaybeUninit<u64>], remains: Remains) -> Self {
        // SAFETY: a message has a header.
        let mut header = Header::read::<K::Abi>(unsafe { initialised(storage, K::Abi::FACTS.header) });
        // SAFETY: all of a message is initialised.
        let mut bytes = unsafe { arguments::<K::Abi>(storage, header.size as usize) };
        if !remains.has_header() {
            // The names are no longer this task's.
            let _ = (header.take_remote(), header.take_local());
        }
        if !remains.has_body() {
            bytes = &mut [];
        }
        let mut arguments = vec![0u64; bytes.len().div_ceil(8)].into_boxed_slice();
        arguments.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        Self { routine: None, kernel, header, arguments, len: bytes.len(), refused: Vec::new() }
    }
}

/// The arguments of a reply that is as expected, behind the return code.
///
/// # Safety
///
/// `kernel` has delivered the message in `storage`, and nobody else owns what came with it.
#[inline(always)]
unsafe fn accept<K: Kernel>(
    kernel: K,
    storage: &mut [MaybeUninit<u64>],
    id: i32,
    port: ReplyPort,
    shape: Shape,
) -> Result<Answer<'_, K>, CallError<K>> {
    // SAFETY: a delivered message has a header.
    let header = Header::read::<K::Abi>(unsafe { initialised(storage, K::Abi::FACTS.header) });
    // SAFETY: the kernel has delivered the message.
    let trailer = FromTrailer::read(unsafe { trailer::<K::Abi>(storage, header.size as usize) });
    header.release_voucher(&kernel);
    if header.remote_disposition() != 0 {
        // Nobody answers a reply; the sender put a right here that no stub looks at.
        // SAFETY: the kernel has delivered it with the message, and nobody else takes it.
        unsafe { release::right(kernel.clone(), header.remote_disposition(), header.remote) };
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
    match (K::Abi::FACTS.family, shape.complex) {
        (Family::Typed, _) => body.fixed_data::<KernReturn>(RETURN_CODE)?.ok().map_err(CallError::answer)?,
        (Family::Untyped, _) if header.remote != Name::NULL => return Err(Malformed::Type.into()),
        // A reply that brings rights has succeeded.
        (Family::Untyped, Complex::Always) => {}
        (Family::Untyped, _) => body.return_code()?.ok().map_err(CallError::answer)?,
    }
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
    port: ReplyPort,
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
fn mismatch<K: Kernel>(body: Body<'_, K>, id: i32, port: ReplyPort) -> CallError<K> {
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

/// The error of a reply that has not the size or the complex bit of success: that of a reply of failure.
fn error_reply<K: Kernel>(mut body: Body<'_, K>) -> CallError<K> {
    let code = match K::Abi::FACTS.family {
        _ if body.is_complex() => Err(Malformed::Complex),
        Family::Typed => body.fixed_data::<KernReturn>(RETURN_CODE),
        Family::Untyped => body.return_code(),
    };
    match code {
        Ok(code) if code != KernReturn::KERN_SUCCESS && body.is_empty() => CallError::answer(code),
        _ => Malformed::Type.into(),
    }
}
