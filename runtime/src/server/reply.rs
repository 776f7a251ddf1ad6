//! The server's side: serving a request, and answering it now or later.

use core::fmt;
use core::mem::{self, ManuallyDrop, MaybeUninit};

use mig_abi::REPLY_ID;

use super::received::{Port, Receive, ReceiveError, Received};
use crate::client::Unsent;
use crate::kern_return::KernReturn;
use crate::kernel::{Kernel, MsgCall, NameOf, PortName, Remains, trace};
use crate::message::buffer::{MsgBuf, Space, room};
use crate::message::builder::{Builder, WrittenMessage};
use crate::message::format::{FormatOf, Rules};
use crate::message::header::Header;
use crate::message::loans::Copies;
use crate::message::malformed::Malformed;
use crate::message::release;
use crate::right::{self, AnyRight, assert_same_task, disposition};

/// Why a routine has no result.
///
/// Made with `?` from [`Malformed`], when the request is not as declared and no method has been called, or
/// from the [`KernReturn`] of the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: KernReturn,
    malformed: bool,
}

/// What has become of a request. All zeros at first, and one word in any case: it is written for each
/// message.
#[derive(Clone, Copy)]
enum Outcome {
    /// No routine has taken it, or tried to.
    Unserved,
    /// A method has answered this.
    Served(KernReturn),
    /// The request is not as declared.
    Malformed(KernReturn),
}

impl Outcome {
    const SUCCESS: Self = Self::Served(KernReturn::KERN_SUCCESS);

    #[inline]
    fn code(self) -> KernReturn {
        match self {
            Self::Unserved => KernReturn::MIG_BAD_ID,
            Self::Served(code) | Self::Malformed(code) => code,
        }
    }
}

impl From<Refusal> for Outcome {
    fn from(Refusal { code, malformed }: Refusal) -> Self {
        if malformed { Self::Malformed(code) } else { Self::Served(code) }
    }
}

impl From<Malformed> for Refusal {
    #[inline]
    fn from(malformed: Malformed) -> Self {
        Self { code: malformed.into(), malformed: true }
    }
}

impl From<KernReturn> for Refusal {
    #[inline]
    fn from(code: KernReturn) -> Self {
        Self { code, malformed: false }
    }
}

/// The answer to a request. No byte of it is written until there is an outcome, and a client that waits for
/// it.
///
/// Dropping it releases what has been put into it.
pub struct Reply<'b, K: Kernel> {
    storage: &'b mut [MaybeUninit<u64>],
    kernel: K,
    outcome: Outcome,
    /// A reply of success, if there is one; none where the outcome is an error.
    message: WrittenMessage,
    /// Memory that the message refers to. There is none where there is no message, so that only dropping a
    /// message needs to look.
    copies: ManuallyDrop<Copies<K>>,
}

impl<'b, K: Kernel> Reply<'b, K> {
    /// No answer yet. `storage` has room for an error reply at least.
    #[inline]
    pub fn new(kernel: &K, storage: &'b mut [MaybeUninit<u64>]) -> Self {
        let (outcome, message) = (Outcome::Unserved, WrittenMessage::NONE);
        let copies = ManuallyDrop::new(Copies::none());
        Self { storage, kernel: kernel.clone(), outcome, message, copies }
    }

    /// The return code; [`MIG_BAD_ID`](KernReturn::MIG_BAD_ID) until a routine has been served.
    #[inline]
    pub fn code(&self) -> KernReturn {
        self.outcome.code()
    }

    /// True if a method has taken the request: it was as declared, and the method did not answer
    /// [`MIG_BAD_ID`](KernReturn::MIG_BAD_ID).
    #[inline]
    pub fn is_taken(&self) -> bool {
        matches!(self.outcome, Outcome::Served(code) if code != KernReturn::MIG_BAD_ID)
    }

    /// Answers an error, whatever has been answered so far.
    pub fn fail(&mut self, code: KernReturn) {
        self.discard();
        self.outcome = Outcome::Served(code);
    }

    /// Runs the stub of one routine and keeps its result.
    #[inline]
    pub fn serve(&mut self, routine: impl FnOnce(&mut Self) -> Result<(), Refusal>) {
        match routine(self) {
            Ok(()) => self.outcome = Outcome::SUCCESS,
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Notes that a request was refused. This is a function of its own so that stubs are short.
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, refusal: Refusal) {
        self.discard();
        self.outcome = refusal.into();
    }

    /// Writes a reply of success, of `N` bytes at most: the return code, then what `encode` appends.
    ///
    /// # Errors
    ///
    /// That of `encode`; what had been put into the reply has been released then.
    #[inline]
    pub fn encode<const N: usize>(
        &mut self,
        encode: impl FnOnce(&mut Builder<'_, K>) -> Result<(), KernReturn>,
    ) -> Result<(), KernReturn> {
        self.discard();
        let mut builder = Builder::reply(self.kernel.clone(), room::<N>(self.storage));
        let storage = builder.space.storage();
        encode(&mut builder)?;
        builder.check()?;
        if builder.space.storage() != storage {
            // Another builder has been put in the place of this reply's.
            return Err(KernReturn::MIG_TYPE_ERROR);
        }
        let written = builder.into_reply();
        self.message = written.message;
        if !written.copies.is_none() {
            self.copies = ManuallyDrop::new(written.copies);
        }
        Ok(())
    }

    /// Answers the request, if anybody waits for that, and releases what is left of it. Nothing is left in
    /// the reply.
    ///
    /// # Errors
    ///
    /// The code of `mach_msg`: the reply did not reach the client, and what it held has been released.
    #[inline]
    pub fn answer(&mut self, request: Received<'_, K>) -> Result<(), KernReturn> {
        // Nobody waits for an answer to a one-way message, so dropping both is all there is to do.
        if !request.is_awaited() {
            self.clear();
            return Ok(());
        }
        let Some(call) = self.address(request) else { return Ok(()) };
        // SAFETY: `address` has completed the message, and what it moves was moved in by value.
        let result = unsafe { trace::mach_msg(&self.kernel, self.storage, call) };
        self.sent(result);
        result
    }

    /// Answers the request, if anybody waits for that, and receives the next message into the reply's
    /// storage, in one call where that is possible. A client that does not take its reply does not stop the
    /// server: that reply is released.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`], of the receive.
    pub fn answer_and_receive(
        mut self,
        request: Received<'_, K>,
        receive: Receive<NameOf<K>>,
    ) -> Result<Received<'b, K>, ReceiveError<NameOf<K>>> {
        let Some(send) = self.address(request) else {
            let storage = mem::take(&mut self.storage);
            return Received::receive(&self.kernel, storage, receive);
        };
        let call = MsgCall { send_timeout: send.send_timeout, ..receive.call::<K::Abi>(true) };
        // SAFETY: `address` completed the message, and what it moves was moved in by value.
        let result = unsafe { trace::mach_msg(&self.kernel, self.storage, call) };
        self.sent(result);
        let storage = mem::take(&mut self.storage);
        match result {
            Err(code) if code.is_send_error() => Received::receive(&self.kernel, storage, receive),
            // SAFETY: the call has delivered a message, or has failed with this code.
            result => unsafe { Received::after_call(self.kernel.clone(), storage, result) },
        }
    }

    /// Addresses the reply to the client that waits for it, and releases the request. `None` if nothing is to
    /// be sent.
    #[inline]
    fn address(&mut self, request: Received<'_, K>) -> Option<MsgCall<NameOf<K>>> {
        assert_same_task(&self.kernel, request.kernel());
        if !request.is_awaited() || !self.is_written() && !self.fails() {
            self.clear();
            return None;
        }
        let (remote, id) = (request.take_reply_right(), request.id());
        // Before anything is written, so that the compiler knows that the reply right is not to be released.
        drop(request);
        Some(self.complete(remote, id))
    }

    /// True if there is a message, which is one of success.
    #[inline]
    fn is_written(&self) -> bool {
        self.message.len != 0
    }

    /// Writes a reply that is nothing but its code. False if the code says that nothing is to be sent.
    #[inline(never)]
    fn fails(&mut self) -> bool {
        if FormatOf::<K>::is_silent(self.code()) {
            return false;
        }
        self.write_code();
        true
    }

    /// Writes the minimal form of a reply: its code.
    fn write_code(&mut self) {
        self.discard();
        let mut builder = Builder::new(self.kernel.clone(), self.storage);
        builder.return_code(self.outcome.code());
        self.message = builder.into_reply().message;
    }

    /// Completes the message that has been written.
    #[inline]
    fn complete(&mut self, remote: (NameOf<K>, u8), request_id: i32) -> MsgCall<NameOf<K>> {
        let id = request_id.wrapping_add(REPLY_ID);
        let header = Header::to_send(id, remote, (PortName::NULL, 0), self.message.is_complex());
        let header = header.of_reply::<K::Abi>();
        // SAFETY: a builder of this reply has written this many bytes.
        unsafe { Space::written::<K::Abi>(self.storage, self.message.len as usize) }.finish::<K::Abi>(header);
        // A send-once right is certain to have room in its queue; any other may be a trap for the server.
        let send_timeout = if remote.1 == disposition::MOVE_SEND_ONCE { None } else { Some(0) };
        MsgCall { send: true, send_timeout, ..MsgCall::default() }
    }

    /// Sends the message to `remote`.
    fn send_to(mut self, remote: (NameOf<K>, u8), request_id: i32) -> Result<(), KernReturn> {
        if !self.is_written() {
            self.write_code();
        }
        let call = self.complete(remote, request_id);
        // SAFETY: `complete` has completed the message, and what it moves was moved in by value.
        let result = unsafe { trace::mach_msg(&self.kernel, self.storage, call) };
        self.sent(result);
        result
    }

    /// Forgets the message after the call that sent it, or releases what a failed call has left of it.
    #[inline]
    fn sent(&mut self, result: Result<(), KernReturn>) {
        (self.message, self.outcome) = (WrittenMessage::NONE, Outcome::Unserved);
        if !self.copies.is_none() {
            self.copies.take().end(result, self.storage);
        }
        if let Err(code) = result {
            self.not_sent(code);
        }
    }

    #[cold]
    #[inline(never)]
    fn not_sent(&mut self, code: KernReturn) {
        if let Some(remains) = Remains::after::<K::Abi>(code) {
            // SAFETY: the call has left this of it.
            drop(unsafe { Unsent::from_storage(self.kernel.clone(), self.storage, remains) });
        }
    }

    /// Makes the reply as new.
    #[inline]
    fn clear(&mut self) {
        self.discard();
        self.outcome = Outcome::Unserved;
    }

    /// Releases what has been put into the reply.
    #[inline]
    fn discard(&mut self) {
        if self.message.len != 0 {
            self.discard_written();
        }
    }

    #[cold]
    fn discard_written(&mut self) {
        // SAFETY: a builder of this reply has written this many bytes.
        let space = unsafe { Space::written::<K::Abi>(self.storage, self.message.len as usize) };
        if self.message.is_complex() {
            // SAFETY: built here, and not sent; from now on nobody owns what it holds.
            unsafe { release::unsent(self.kernel.clone(), space.into_arguments()) };
        }
        self.message = WrittenMessage::NONE;
        drop(self.copies.take());
    }
}

impl<K: Kernel> Drop for Reply<'_, K> {
    #[inline]
    fn drop(&mut self) {
        self.discard();
    }
}

/// The duty to answer a request, kept for later: the reply right, and what it is a reply to.
///
/// Dropping it tells the client that the server died ([`MIG_SERVER_DIED`](KernReturn::MIG_SERVER_DIED)), if
/// the client sent a send-once right.
pub struct ReplyTo<K: Kernel> {
    kernel: K,
    name: NameOf<K>,
    disposition: u8,
    id: i32,
}

impl<K: Kernel> Port<'_, K> {
    /// Takes the reply right out of the message, to answer later; the routine then returns
    /// [`MIG_NO_REPLY`](KernReturn::MIG_NO_REPLY). The token is null if nobody waits for a reply, and from
    /// the second call on.
    pub fn defer(self) -> ReplyTo<K> {
        let (name, disposition) = self.head.take_reply_right();
        // SAFETY: the kernel delivered the right with this message, and it has just been taken out.
        unsafe { ReplyTo::new(self.head.kernel.clone(), name, disposition, self.head.id()) }
    }
}

impl<K: Kernel> ReplyTo<K> {
    /// # Safety
    ///
    /// The task of `kernel` holds this right, and nothing else will release it.
    pub(crate) unsafe fn new(kernel: K, name: NameOf<K>, disposition: u8, id: i32) -> Self {
        Self { kernel, name, disposition, id }
    }

    /// True if nobody waits for the answer.
    pub fn is_null(&self) -> bool {
        !self.name.is_valid()
    }

    /// The message id of the request.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The task that received the request.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The reply right itself, for those who answer by another interface (`…_reply.defs`) or hand it on;
    /// `None` if nobody waits.
    pub fn into_right(mut self) -> Option<AnyRight<'static, K>> {
        let name = mem::take(&mut self.name);
        if !name.is_valid() {
            return None;
        }
        // SAFETY: as `new` was promised, and it has just been taken out.
        unsafe { AnyRight::from_wire(self.kernel.clone(), name, self.disposition) }
    }

    /// Answers the request; `N` bytes are enough for the reply. Generated code wraps this for each routine.
    ///
    /// # Errors
    ///
    /// [`KernReturn::MIG_REPLY_MISMATCH`] if the request was for another routine than `id`: its client gets
    /// an error, as when the token is dropped. Otherwise the code of `mach_msg`; what the reply held has been
    /// released.
    pub fn answer<const N: usize, T>(
        mut self,
        id: i32,
        result: Result<T, KernReturn>,
        encode: impl FnOnce(&mut Builder<'_, K>, T) -> Result<(), KernReturn>,
    ) -> Result<(), KernReturn> {
        if id != self.id {
            return Err(KernReturn::MIG_REPLY_MISMATCH);
        }
        let mut buffer = MsgBuf::<N>::new();
        let mut reply = Reply::new(&self.kernel, buffer.words());
        reply.outcome = Outcome::SUCCESS;
        if let Err(code) = result.and_then(|out| reply.encode::<N>(|builder| encode(builder, out))) {
            reply.fail(code);
        }
        let remote = (mem::take(&mut self.name), self.disposition);
        reply.send_to(remote, self.id)
    }
}

impl<K: Kernel> Drop for ReplyTo<K> {
    fn drop(&mut self) {
        // SAFETY: as `new` was promised.
        unsafe { right::release(self.kernel.clone(), self.disposition, self.name) };
    }
}

impl<K: Kernel> fmt::Debug for ReplyTo<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyTo(id {}, right {:#x})", self.id, self.name.word())
    }
}
