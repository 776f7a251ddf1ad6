//! What the fuzz targets share: every interface's functions, and messages of an attacker as a kernel would
//! deliver them.

use mig_runtime::kernel::{Name, RightKind};
use mig_runtime::zerocopy::FromZeros;
use mig_runtime::{Received, Reply, Right};
use mig_tests::c_calls::Flight;
use mig_tests::convert::World as _;
use mig_tests::form::Form;
use mig_tests::oracle::REPLY_PORT;
use mig_tests::wire::{self, COMPLEX, Item};
pub use mig_tests::wire_kernel::Formed;
use mig_tests::wire_kernel::Wire;

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

/// A server that implements nothing: what it is given is dropped.
pub struct Nothing;

/// The demux function of an interface.
pub struct Demux<A: Formed> {
    /// The interface's name.
    pub name: &'static str,
    /// The id of its first message.
    pub base: i32,
    /// Serves a request by a server that takes everything and does nothing.
    pub serve: fn(&mut Received<'_, Wire<A>>, &mut Reply<'_, Wire<A>>) -> bool,
}

/// A client function.
pub struct Call<A: Formed> {
    /// Its name.
    pub name: &'static str,
    /// Calls it with some arguments, and drops the result.
    pub run: fn(&Wire<A>),
}

/// A right of which the kernel knows.
fn right<A: Formed, R: Right<Wire<A>>>(kernel: &Wire<A>) -> R {
    const NAME: u32 = 0x300;
    let kind = match R::MOVE {
        16 => RightKind::Receive,
        17 => RightKind::Send,
        _ => RightKind::SendOnce,
    };
    // SAFETY: it has just been granted, and nothing else knows of it.
    unsafe { R::from_raw(kernel.clone(), kernel.grant(kind, NAME)) }
}

/// Plain data.
fn zeros<T: FromZeros>() -> T {
    T::new_zeroed()
}

/// The first bytes of an input: which functions it is for, and what the header of the message says.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Of the ABIs.
    pub abi: u8,
    /// Of the demux functions or the client functions.
    pub function: u16,
    /// Of the message ids that a demux function has; for a reply, the distance from the right one.
    pub routine: u8,
    /// 1: the complex bit. 2 and 4: a send-once right or a send right to reply to. 8: a voucher, where
    /// messages have one.
    pub flags: u8,
}

impl Choice {
    /// Bytes of an input that it takes.
    pub const SIZE: usize = 5;

    /// Splits an input.
    pub fn split(input: &[u8]) -> Option<(Self, &[u8])> {
        let ([abi, low, high, routine, flags], body) = input.split_first_chunk()?;
        let function = u16::from_le_bytes([*low, *high]);
        Some((Self { abi: *abi, function, routine: *routine, flags: *flags }, body))
    }

    /// The bytes.
    pub fn bytes(self) -> [u8; Self::SIZE] {
        let [low, high] = self.function.to_le_bytes();
        [self.abi, low, high, self.routine, self.flags]
    }

    /// The complex bit, and the dispositions of the reply right and of the voucher.
    fn bits(self, form: Form) -> u32 {
        let remote = match self.flags & 6 {
            0 => 0,
            2 => 18,
            _ => 17,
        };
        let voucher = if self.flags & 8 != 0 && matches!(form, Form::Untyped { .. }) { 17 << 16 } else { 0 };
        let complex = if self.flags & 1 == 0 { 0 } else { COMPLEX };
        complex | voucher | remote
    }
}

/// The request that a task gets when another one sends these bytes as arguments; `None` if they need too much
/// memory.
pub fn request<A: Formed>(choice: Choice, base: i32, body: &[u8]) -> Option<Flight> {
    let id = base.wrapping_add(i32::from(choice.routine));
    message(A::FORM, choice.bits(A::FORM) | 17 << 8, id, body)
}

/// The reply that a task gets to a request, if a server sends these bytes.
pub fn reply<A: Formed>(choice: Choice, request: &Flight, body: &[u8]) -> Option<Flight> {
    let id = wire::u32_at(&request.bytes, A::FORM.shape().id) as i32;
    let id = id.wrapping_add(100).wrapping_add(i32::from(choice.routine));
    message(A::FORM, choice.bits(A::FORM) | 18 << 8, id, body)
}

/// Bytes out of line, at most: a sender has no more memory than that.
const MEMORY: usize = 1 << 16;

fn message(form: Form, bits: u32, id: i32, body: &[u8]) -> Option<Flight> {
    let shape = form.shape();
    let mut bytes = vec![0; shape.header];
    wire::set_u32(&mut bytes, 0, bits);
    wire::set_u32(&mut bytes, wire::REMOTE_PORT, if bits & 0xff == 0 { 0 } else { 0x40 });
    wire::set_u32(&mut bytes, shape.local_port, REPLY_PORT);
    wire::set_u32(&mut bytes, shape.id, id as u32);
    if bits >> 16 & 0xff != 0 {
        wire::set_u32(&mut bytes, wire::VOUCHER, 0x41);
    }
    bytes.extend(&body[..body.len() - body.len() % shape.alignment]);
    let items = if bits & COMPLEX == 0 { Vec::new() } else { carried(form, &mut bytes) };
    let size = u32::try_from(bytes.len()).ok()?;
    wire::set_u32(&mut bytes, wire::SIZE, size);
    let sizes: Vec<usize> = items.iter().filter(|item| !item.inline).map(Item::bytes).collect();
    let total = sizes.iter().try_fold(0usize, |sum, size| sum.checked_add(*size))?;
    // Out of line is what is in the message, over and over.
    let memory = |size: usize| body.iter().copied().cycle().take(size).collect();
    (total <= MEMORY).then(|| Flight { memory: sizes.into_iter().map(memory).collect(), bytes })
}

/// Makes arguments such as a kernel carries in a complex message: whole, rights of the right size, and in
/// their received form.
fn carried(form: Form, bytes: &mut Vec<u8>) -> Vec<Item> {
    let found = loop {
        match form.items(bytes) {
            Some(items) if items.iter().all(|item| is_valid(form, item)) => break items,
            _ => form.shorten(bytes),
        }
    };
    for item in &found {
        form.arrive(bytes, item);
    }
    form.items(bytes).unwrap_or_default()
}

/// Whether a kernel takes a type word: it refuses rights of another size than that of a name.
fn is_valid(form: Form, item: &Item) -> bool {
    let bits = if item.inline { form.shape().port * 8 } else { 32 };
    !item.is_port() || item.bits as usize == bits
}

/// What a program must never have at the end.
pub fn assert_nothing_left<A: Formed>(kernel: &Wire<A>) {
    let left = kernel.census();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// The port that requests are sent to.
pub const REQUEST_PORT: Name = Name(REPLY_PORT);
