//! Messages spelled out byte by byte, so that the kernel is not tested with its own reading of the format.

use std::mem::MaybeUninit;
use std::vec::Vec;

use crate::abi::TaskAbi;
use crate::kern_return::KernReturn;
use crate::kernel::local::Local;
use crate::kernel::{Kernel, MsgCall, Name};

pub(super) const MOVE_RECEIVE: u32 = 16;
pub(super) const MOVE_SEND: u32 = 17;
pub(super) const MOVE_SEND_ONCE: u32 = 18;
pub(super) const COPY_SEND: u32 = 19;
pub(super) const MAKE_SEND: u32 = 20;
pub(super) const MAKE_SEND_ONCE: u32 = 21;
pub(super) const BYTE: u32 = 9;
pub(super) const COMPLEX: u32 = 0x8000_0000;

pub(super) fn wide<A: TaskAbi>() -> bool {
    A::FACTS.pointer == 8
}

/// A type word as `mach/message.h` declares it.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) name: u32,
    pub(super) bits: u32,
    pub(super) number: u32,
    pub(super) inline: bool,
    pub(super) deallocate: bool,
}

impl Type {
    pub(super) fn bytes<A: TaskAbi>(self) -> Vec<u8> {
        let Self { name, bits, number, .. } = self;
        let (inline, deallocate) = (u32::from(self.inline), u32::from(self.deallocate));
        let words = match (wide::<A>(), self.inline) {
            (true, _) => std::vec![
                name | bits << 8 | inline << 29 | u32::from(!self.inline) << 30 | deallocate << 31,
                number
            ],
            (false, true) => std::vec![name | bits << 8 | number << 16 | inline << 28 | deallocate << 30],
            // Out of line: the long form.
            (false, false) => std::vec![1 << 29 | deallocate << 30, name | bits << 16, number],
        };
        words.into_iter().flat_map(u32::to_ne_bytes).collect()
    }
}

/// A message to be sent.
#[derive(Clone)]
pub(super) struct Message<A> {
    bytes: Vec<u8>,
    abi: std::marker::PhantomData<A>,
}

impl<A: TaskAbi> Message<A> {
    /// A simple message to a port, by this disposition.
    pub(super) fn to(disposition: u32, port: Name) -> Self {
        let mut message = Self { bytes: std::vec![0; A::FACTS.header], abi: std::marker::PhantomData };
        message.set(0, disposition);
        message.set(A::FACTS.remote_port, port.0);
        message
    }

    pub(super) fn set(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    fn get(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    pub(super) fn id(mut self, id: u32) -> Self {
        self.set(A::FACTS.id, id);
        self
    }

    pub(super) fn reply(mut self, disposition: u32, port: Name) -> Self {
        self.set(0, self.get(0) | disposition << 8);
        self.set(A::FACTS.local_port, port.0);
        self
    }

    pub(super) fn complex(mut self) -> Self {
        self.set(0, self.get(0) | COMPLEX);
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(A::FACTS.alignment), 0);
        self
    }

    /// Ports in line.
    pub(super) fn ports(self, disposition: u32, names: &[Name]) -> Self {
        let number = names.len() as u32;
        let bits = A::FACTS.port as u32 * 8;
        let word = Type { name: disposition, bits, number, inline: true, deallocate: false };
        let slots = names.iter().flat_map(|name| match wide::<A>() {
            true => u64::from(name.0).to_ne_bytes().to_vec(),
            false => name.0.to_ne_bytes().to_vec(),
        });
        let slots: Vec<u8> = slots.collect();
        self.complex().raw(&word.bytes::<A>()).raw(&slots)
    }

    /// Something out of line.
    pub(super) fn out_of_line(
        self,
        name: u32,
        bits: u32,
        number: u32,
        address: u64,
        deallocate: bool,
    ) -> Self {
        let word = Type { name, bits, number, inline: false, deallocate };
        let address = address.to_ne_bytes();
        self.complex().raw(&word.bytes::<A>()).raw(&address[..A::FACTS.pointer])
    }

    pub(super) fn send(&self, task: &Local<A>) -> Result<(), KernReturn> {
        self.send_within(task, None).0
    }

    /// Sends without waiting.
    pub(super) fn try_send(&self, task: &Local<A>) -> Result<(), KernReturn> {
        self.send_within(task, Some(0)).0
    }

    /// Sends, and receives the answer into the same buffer.
    pub(super) fn call(&self, task: &Local<A>, reply: Name) -> (Result<(), KernReturn>, Received<A>) {
        let mut message = self.clone();
        message.set(4, message.bytes.len() as u32);
        let mut buffer = Buffer::new(&message.bytes, 4096);
        let result = buffer.call(task, MsgCall { send: true, receive: Some(reply), ..MsgCall::default() });
        (result, buffer.received(4096))
    }

    /// Sends, and returns what is in the buffer afterwards.
    pub(super) fn send_within(
        &self,
        task: &Local<A>,
        timeout: Option<u32>,
    ) -> (Result<(), KernReturn>, Received<A>) {
        self.send_with(task, MsgCall { send_timeout: timeout, ..MsgCall::default() })
    }

    /// Sends in a call like this, and returns what is in the buffer afterwards.
    pub(super) fn send_with(&self, task: &Local<A>, call: MsgCall) -> (Result<(), KernReturn>, Received<A>) {
        let mut message = self.clone();
        let size = message.bytes.len();
        message.set(4, size as u32);
        let mut buffer = Buffer::new(&message.bytes, size);
        let result = buffer.call(task, MsgCall { send: true, ..call });
        (result, buffer.received(size))
    }
}

/// A buffer without an uninitialised byte.
struct Buffer(Vec<MaybeUninit<u64>>);

impl Buffer {
    fn new(bytes: &[u8], size: usize) -> Self {
        let mut padded = bytes.to_vec();
        padded.resize(size.next_multiple_of(8), 0xa5);
        let words =
            padded.chunks(8).map(|word| MaybeUninit::new(u64::from_ne_bytes(word.try_into().unwrap())));
        Self(words.collect())
    }

    fn call<A: TaskAbi>(&mut self, task: &Local<A>, call: MsgCall) -> Result<(), KernReturn> {
        // SAFETY: every byte of the buffer is initialised, and tests move only what the task has.
        unsafe { task.mach_msg(&mut self.0, call) }
    }

    fn received<A: TaskAbi>(self, room: usize) -> Received<A> {
        // SAFETY: every word was initialised when the buffer was made.
        let words = self.0.into_iter().map(|word| unsafe { word.assume_init() });
        let mut bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).collect();
        bytes.truncate(room);
        Received { bytes, abi: std::marker::PhantomData }
    }
}

/// What a receive has left in the buffer.
pub(super) struct Received<A> {
    pub(super) bytes: Vec<u8>,
    abi: std::marker::PhantomData<A>,
}

impl<A: TaskAbi> Received<A> {
    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    pub(super) fn bits(&self) -> u32 {
        self.u32(0)
    }

    pub(super) fn size(&self) -> usize {
        self.u32(4) as usize
    }

    pub(super) fn remote(&self) -> Name {
        Name(self.u32(A::FACTS.remote_port))
    }

    pub(super) fn local(&self) -> Name {
        Name(self.u32(A::FACTS.local_port))
    }

    pub(super) fn seqno(&self) -> u32 {
        self.u32(A::FACTS.seqno)
    }

    pub(super) fn id(&self) -> u32 {
        self.u32(A::FACTS.id)
    }

    /// Bytes of the body.
    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[A::FACTS.header..self.size()]
    }

    /// The first port in the body, after a type word of the short form.
    pub(super) fn first_port(&self) -> Name {
        let type_word = if wide::<A>() { 8 } else { 4 };
        Name(self.u32(A::FACTS.header + type_word))
    }

    /// The first address in the body, after a type word of the long form.
    pub(super) fn first_address(&self) -> u64 {
        let type_word = if wide::<A>() { 8 } else { 12 };
        let at = A::FACTS.header + type_word;
        match wide::<A>() {
            true => u64::from_ne_bytes(self.bytes[at..at + 8].try_into().unwrap()),
            false => u64::from(self.u32(at)),
        }
    }
}

/// Receives what is there, or fails with `MACH_RCV_TIMED_OUT`.
pub(super) fn poll<A: TaskAbi>(task: &Local<A>, from: Name) -> Result<Received<A>, KernReturn> {
    let (result, received) = receive_with(
        task,
        4096,
        MsgCall { receive: Some(from), receive_timeout: Some(0), ..MsgCall::default() },
    );
    result.map(|()| received)
}

/// Receives, and waits for it.
pub(super) fn receive<A: TaskAbi>(task: &Local<A>, from: Name) -> Result<Received<A>, KernReturn> {
    let (result, received) = receive_with(task, 4096, MsgCall { receive: Some(from), ..MsgCall::default() });
    result.map(|()| received)
}

pub(super) fn receive_with<A: TaskAbi>(
    task: &Local<A>,
    room: usize,
    call: MsgCall,
) -> (Result<(), KernReturn>, Received<A>) {
    let mut buffer = Buffer::new(&[], room);
    let result = buffer.call(task, call);
    (result, buffer.received(room))
}
