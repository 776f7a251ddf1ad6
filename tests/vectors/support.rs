//! What the program that `tests/vectors.rs` writes has in common for all subsystems: a kernel that records,
//! values from the vectors, and the comparison.

#![allow(dead_code, missing_docs)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mig_runtime::abi::{TaskAbi, Family};
use mig_runtime::kernel::{Kernel, MsgCall, Name, Notification, RightKind};
use mig_runtime::{
    AnyRight, ArrayRight, Word, ArrayVec, AuditToken, CallError, Elements, KernReturn, OolArg, OolMemory, Port, PortArray,
    DeadName, Receive, ReceiveRight, Received, Reply, Rights, SecurityToken, SendOnceRight, SendRight, Seqno,
};
use serde_json::Value;

/// The reply port of every client.
const REPLY_PORT: u32 = 0x707;
/// A damaged descriptor may promise more memory than any test has. This many bytes of it are there.
const PROMISED: usize = 1 << 16;
/// `MACH_MSGH_BITS_COMPLEX`
const COMPLEX: u32 = 0x8000_0000;

#[derive(Default)]
struct State {
    /// References that the program holds, by kind and name.
    rights: BTreeMap<(u8, u32), i64>,
    /// Memory by address: what the program lends or gives, and what is to be received.
    memory: BTreeMap<u64, Vec<u8>>,
    regions: i64,
    next_address: u64,
    /// The last message that was sent, with the memory of its descriptors.
    sent: Option<(Vec<u8>, Vec<Vec<u8>>)>,
    call: Option<(u32, u32)>,
    answer: Option<Result<Vec<u8>, KernReturn>>,
    reply_port_destroyed: bool,
    /// What the kernel appends to an untyped message.
    trailer: Vec<u8>,
    /// Rights that a call only borrows.
    borrowed: Vec<(u8, u32)>,
    /// The last message that was to be received says a size that it cannot have.
    undeliverable: bool,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn state<R>(f: impl FnOnce(&mut State) -> R) -> R {
    STATE.with_borrow_mut(f)
}

fn kind(kind: RightKind) -> u8 {
    match kind {
        RightKind::Receive => 16,
        RightKind::Send => 17,
        RightKind::SendOnce => 18,
        RightKind::PortSet => 99,
        RightKind::DeadName => 98,
    }
}

impl State {
    fn count(&mut self, disposition: u8, name: u32, by: i64) {
        if name != 0 && name != !0 && matches!(disposition, 16..=18) {
            *self.rights.entry((disposition, name)).or_default() += by;
        }
    }
}

/// A kernel that carries nothing.
pub struct Recorder<A>(PhantomData<A>);

impl<A> Clone for Recorder<A> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<A> Recorder<A> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

pub struct Region(Vec<u8>);

impl Deref for Region {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        state(|state| state.regions -= 1);
    }
}

pub struct Lent(u64);

impl Drop for Lent {
    fn drop(&mut self) {
        state(|state| state.memory.remove(&self.0));
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |word| u32::from_le_bytes(word.try_into().unwrap()))
}

/// What a message says of rights or memory in it: a descriptor, or a type word with its data.
struct Descriptor {
    /// Where it is.
    at: usize,
    kind: Kind,
    /// What is done with rights, and the byte that says so.
    disposition: u8,
    disposition_at: usize,
    /// A name or an address, and where it is.
    address: u64,
    address_at: usize,
    /// Bytes of memory.
    bytes: usize,
    /// The sender gives the memory away.
    given: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A right in the message.
    Port,
    /// Rights in memory.
    Ports,
    /// Data in memory.
    Memory,
}

/// The descriptors of a message, as far as they are whole.
fn descriptors<A: TaskAbi>(message: &[u8]) -> Vec<Descriptor> {
    if u32_at(message, 0) & COMPLEX == 0 {
        return Vec::new();
    }
    match A::FACTS.family {
        Family::Typed => described_by_type_words::<A>(message),
        Family::Untyped => untyped_descriptors::<A>(message),
    }
}

fn untyped_descriptors<A: TaskAbi>(message: &[u8]) -> Vec<Descriptor> {
    let mut found = Vec::new();
    let pointer = A::FACTS.pointer;
    let mut at = 28;
    for _ in 0..u32_at(message, 24) {
        let Some(&kind) = message.get(at + 11) else { break };
        let len = match kind {
            0 => 12,
            1..=4 => pointer + 8,
            _ => break,
        };
        if message.len() < at + len {
            break;
        }
        let high = if kind != 0 && pointer == 8 { u64::from(u32_at(message, at + 4)) } else { 0 };
        let address = high << 32 | u64::from(u32_at(message, at));
        let size = u32_at(message, at + if pointer == 8 { 12 } else { 4 });
        let (kind, address, bytes) = match kind {
            0 => (Kind::Port, address, 0),
            // A guarded port has its name where others have a size.
            4 => (Kind::Port, size.into(), 0),
            2 => (Kind::Ports, address, size as usize * 4),
            _ => (Kind::Memory, address, size as usize),
        };
        let (disposition_at, given) = (at + 10, message[at + 8] != 0);
        let disposition = message[disposition_at];
        found.push(Descriptor { at, kind, disposition, disposition_at, address, address_at: at, bytes, given });
        at += len;
    }
    found
}

/// Type words of 4 or 12 bytes on i386, of 8 on x86_64, each with its data, which are padded.
fn described_by_type_words<A: TaskAbi>(message: &[u8]) -> Vec<Descriptor> {
    let facts = A::FACTS;
    let wide = facts.pointer == 8;
    let mut found = Vec::new();
    let mut at = facts.header;
    while at + facts.alignment <= message.len() {
        let first = u32_at(message, at);
        let is_long = !wide && first >> 29 & 1 == 1;
        let (in_line, given) = if wide { (first >> 29 & 1, first >> 31) } else { (first >> 28 & 1, first >> 30 & 1) };
        let (bits, number, length) = match (wide, is_long) {
            (true, _) => (first >> 8 & 0xffff, u32_at(message, at + 4), 8),
            (false, false) => (first >> 8 & 0xff, first >> 16 & 0xfff, 4),
            (false, true) => (u32_at(message, at + 4) >> 16, u32_at(message, at + 8), 12),
        };
        let disposition_at = if is_long { at + 4 } else { at };
        let disposition = message.get(disposition_at).copied().unwrap_or_default();
        let is_port = (16..=21).contains(&disposition);
        let bytes = (u64::from(bits) * u64::from(number)).div_ceil(8) as usize;
        let data = at + length;
        // No kernel delivers an array that is longer than the message.
        if in_line == 1 && data.saturating_add(bytes) > message.len() {
            break;
        }
        let address = u64::from(u32_at(message, data));
        if in_line == 1 {
            let each = (bits as usize / 8).max(1);
            let end = data + bytes;
            for place in (data..end).step_by(each).take_while(|_| is_port) {
                let address = u64::from(u32_at(message, place));
                let one = Descriptor {
                    at,
                    kind: Kind::Port,
                    disposition,
                    disposition_at,
                    address,
                    address_at: place,
                    bytes: 0,
                    given: false,
                };
                found.push(one);
            }
        } else {
            let high = if wide { u64::from(u32_at(message, data + 4)) } else { 0 };
            let kind = if is_port { Kind::Ports } else { Kind::Memory };
            let (address, given) = (high << 32 | address, given == 1);
            found.push(Descriptor { at, kind, disposition, disposition_at, address, address_at: data, bytes, given });
        }
        let length = length + if in_line == 1 { bytes } else { facts.pointer };
        at = at.saturating_add(length.next_multiple_of(facts.alignment));
        if length > message.len() {
            break;
        }
    }
    found
}

// SAFETY: what it delivers is what a vector says, counted as the program's from then on; names are numbers
// here and addresses keys of a table, so that a wrong one can only fail the test.
unsafe impl<A: TaskAbi> Kernel for Recorder<A> {
    type Abi = A;
    type Region = Region;
    type Lent<'a> = Lent;

    unsafe fn mach_msg(&self, buffer: &mut [MaybeUninit<u64>], call: MsgCall) -> Result<(), KernReturn> {
        let answer = state(|state| state.answer.take());
        if call.send {
            if let Some(Err(code)) = answer {
                state(|state| state.sent = None);
                return Err(code);
            }
            // SAFETY: the caller has initialised the header.
            let size = (unsafe { buffer[0].assume_init() } >> 32) as usize;
            // SAFETY: the caller has initialised that many bytes.
            let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), size) }.to_vec();
            state(|state| {
                state.call =
                    Some((call.option_bits::<A>(), call.receive_timeout.or(call.send_timeout).unwrap_or(0)));
                let bits = u32_at(&bytes, 0);
                state.count(bits as u8, u32_at(&bytes, A::FACTS.remote_port), -1);
                state.count((bits >> 8) as u8, u32_at(&bytes, A::FACTS.local_port), -1);
                let mut memory = Vec::new();
                for found in descriptors::<A>(&bytes) {
                    if found.kind == Kind::Port {
                        state.count(found.disposition, found.address as u32, -1);
                        continue;
                    }
                    let data = state.memory.get(&found.address).cloned().unwrap_or_default();
                    if found.given {
                        state.memory.remove(&found.address);
                    }
                    assert!(data.len() >= found.bytes, "{} bytes of {}", found.bytes, data.len());
                    if found.kind == Kind::Ports {
                        for name in data[..found.bytes].chunks_exact(4) {
                            state.count(found.disposition, u32_at(name, 0), -1);
                        }
                    }
                    memory.push(data);
                }
                state.sent = Some((bytes, memory));
            });
        }
        if call.receive.is_none() {
            return Ok(());
        }
        let message = answer.unwrap_or(Err(KernReturn::MACH_RCV_TIMED_OUT))?;
        // The kernel of the vectors counts no trailer.
        if message.len() > size_of_val(buffer) {
            return Err(KernReturn::MACH_RCV_TOO_LARGE);
        }
        let mut bytes = message.clone();
        // As many zeros as a size that promises more than was sent may make somebody read; and a trailer, as
        // far as it has room.
        bytes.resize(size_of_val(buffer), 0);
        if A::FACTS.family == Family::Untyped {
            let trailer = state(|state| state.trailer.clone());
            let place = &mut bytes[message.len().next_multiple_of(4).min(size_of_val(buffer))..];
            let room = place.len().min(trailer.len());
            place[..room].copy_from_slice(&trailer[..room]);
        }
        for (to, from) in buffer.iter_mut().zip(bytes.chunks_exact(8)) {
            to.write(u64::from_le_bytes(from.try_into().unwrap()));
        }
        // The library sees a message of the size that it says, and kernels say one that it can have.
        let size = u32_at(&message, 4) as usize;
        if size < A::FACTS.header || size > bytes.len() {
            state(|state| state.undeliverable = true);
            return Err(KernReturn::MACH_RCV_TIMED_OUT);
        }
        state(|state| {
            let bits = u32_at(&message, 0);
            state.count(bits as u8, u32_at(&message, A::FACTS.remote_port), 1);
            for found in descriptors::<A>(&bytes[..size]) {
                if found.kind == Kind::Port {
                    state.count(found.disposition, found.address as u32, 1);
                } else if found.bytes != 0 {
                    let data = state.memory.entry(found.address).or_default();
                    // What a descriptor promises beyond the memory is zero, as a kernel's pages would be.
                    data.resize(data.len().max(found.bytes.min(PROMISED)), 0);
                    if found.kind == Kind::Ports {
                        let names = &data[..found.bytes.min(data.len())];
                        let names: Vec<u32> = names.chunks_exact(4).map(|name| u32_at(name, 0)).collect();
                        names.into_iter().for_each(|name| state.count(found.disposition, name, 1));
                    }
                }
            }
        });
        Ok(())
    }

    fn allocate_port(&self) -> Result<Name, KernReturn> {
        Err(KernReturn::KERN_RESOURCE_SHORTAGE)
    }

    fn allocate_port_set(&self) -> Result<Name, KernReturn> {
        Err(KernReturn::KERN_RESOURCE_SHORTAGE)
    }

    unsafe fn release(&self, right: RightKind, name: Name) {
        state(|state| state.count(kind(right), name.0, -1));
    }

    unsafe fn copy_send(&self, name: Name) -> Result<(), KernReturn> {
        state(|state| state.count(17, name.0, 1));
        Ok(())
    }

    unsafe fn make_send(&self, receive: Name) -> Result<(), KernReturn> {
        // SAFETY: as the caller promises.
        unsafe { self.copy_send(receive) }
    }

    unsafe fn make_send_once(&self, receive: Name) -> Result<Name, KernReturn> {
        state(|state| state.count(18, receive.0, 1));
        Ok(receive)
    }

    unsafe fn move_member(&self, _: Name, _: Name) -> Result<(), KernReturn> {
        Err(KernReturn::KERN_INVALID_NAME)
    }

    unsafe fn request_notification(&self, _: Name, _: Notification, _: Name) -> Result<Name, KernReturn> {
        Err(KernReturn::KERN_INVALID_NAME)
    }

    fn reply_port(&self) -> Result<Name, KernReturn> {
        Ok(Name(REPLY_PORT))
    }

    unsafe fn destroy_reply_port(&self, _: Name) {
        state(|state| state.reply_port_destroyed = true);
    }

    fn allocate(&self, size: usize) -> Result<Region, KernReturn> {
        state(|state| state.regions += 1);
        Ok(Region(vec![0; size]))
    }

    fn region_into_wire(&self, mut region: Region) -> u64 {
        place(std::mem::take(&mut region.0))
    }

    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Region {
        let mut bytes = state(|state| state.memory.remove(&address)).unwrap_or_default();
        bytes.resize(size.min(PROMISED.max(bytes.len())), 0);
        state(|state| state.regions += 1);
        Region(bytes)
    }

    fn lend<'a>(&self, bytes: &'a [u8]) -> Lent {
        Lent(place(bytes.to_vec()))
    }

    fn lent_address(lent: &Lent) -> u64 {
        lent.0
    }
}

fn place(bytes: Vec<u8>) -> u64 {
    state(|state| {
        state.next_address += 0x1000_0000;
        let address = 0x5000_0000_0000 + state.next_address;
        state.memory.insert(address & if POINTER_BITS.get() == 32 { 0xffff_ffff } else { !0 }, bytes);
        address & if POINTER_BITS.get() == 32 { 0xffff_ffff } else { !0 }
    })
}

thread_local! {
    static POINTER_BITS: std::cell::Cell<u32> = const { std::cell::Cell::new(64) };
}

/// The values of one case: of the client's arguments, or of the server's results.
#[derive(Clone, Copy)]
pub struct Values<'v>(&'v Value);

impl<'v> Values<'v> {
    fn hex(self, name: &str) -> Vec<u8> {
        let value = &self.0[name];
        match (&value["hex"], &value["value"]) {
            (Value::String(hex), _) => unhex(hex),
            (_, Value::Number(number)) => number.as_u64().unwrap().to_le_bytes().to_vec(),
            _ => panic!("no value of `{name}` in {}", self.0),
        }
    }

    fn number(self, name: &str) -> u32 {
        u32_at(&self.hex(name), 0)
    }
}

pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// How many of a value, where the value is counted; it may be fewer than the bytes hold.
fn counted(values: Values<'_>, name: &str, bytes: Vec<u8>, element: usize) -> Vec<u8> {
    match &values.0[format!("{name}Cnt")]["value"] {
        Value::Number(count) => {
            bytes[..(count.as_u64().unwrap() as usize * element).min(bytes.len())].to_vec()
        }
        _ => bytes,
    }
}

/// A value that a vector gives.
pub trait Make: Sized {
    fn make(values: Values<'_>, name: &str) -> Self;
}

/// A value as bytes, for the comparison.
pub trait Seen {
    fn seen(&self) -> Vec<u8>;
}

macro_rules! numbers {
    ($($number:ty)*) => { $(
        impl Make for $number {
            fn make(values: Values<'_>, name: &str) -> Self {
                Self::from_le_bytes(values.hex(name)[..size_of::<Self>()].try_into().unwrap())
            }
        }
        impl Element for $number {
            const SIZE: usize = size_of::<Self>();

            fn element(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().unwrap())
            }
        }
        impl Seen for $number {
            fn seen(&self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
        }
    )* };
}
numbers!(u8 i8 u16 i16 u32 i32 u64 i64 f32 f64);

impl Make for KernReturn {
    fn make(values: Values<'_>, name: &str) -> Self {
        KernReturn(i32::make(values, name))
    }
}

/// A value that arrays are made of.
pub trait Element: Sized {
    const SIZE: usize;

    fn element(bytes: &[u8]) -> Self;

    /// It will not be released by the call.
    fn lent(&self) {}
}

impl Element for Name {
    const SIZE: usize = 4;

    fn element(bytes: &[u8]) -> Self {
        Name(u32_at(bytes, 0))
    }
}

impl<E: Element, const N: usize> Element for [E; N] {
    const SIZE: usize = E::SIZE * N;

    fn element(bytes: &[u8]) -> Self {
        std::array::from_fn(|i| E::element(&bytes[i * E::SIZE..][..E::SIZE]))
    }
}

impl<E: Element, const N: usize> Make for [E; N] {
    fn make(values: Values<'_>, name: &str) -> Self {
        let mut bytes = values.hex(name);
        bytes.resize(Self::SIZE, 0);
        Self::element(&bytes)
    }
}

impl<E: Element, const N: usize> Make for &'static [E; N] {
    fn make(values: Values<'_>, name: &str) -> Self {
        let array = Box::leak(Box::new(<[E; N]>::make(values, name)));
        array.iter().for_each(E::lent);
        array
    }
}

impl<E: Element> Make for Vec<E> {
    fn make(values: Values<'_>, name: &str) -> Self {
        let bytes = counted(values, name, values.hex(name), E::SIZE);
        bytes.chunks_exact(E::SIZE).map(E::element).collect()
    }
}

impl<A: TaskAbi, R: ArrayRight<Recorder<A>> + Element> Make for Rights<Recorder<A>, R> {
    fn make(values: Values<'_>, name: &str) -> Self {
        Vec::make(values, name).into()
    }
}

impl<A: TaskAbi, R: ArrayRight<Recorder<A>> + Seen> Seen for Rights<Recorder<A>, R> {
    fn seen(&self) -> Vec<u8> {
        let mut seen = Vec::new();
        self.visit(|right| seen.extend(right.seen()));
        seen
    }
}

impl<E: Element, const N: usize> Make for ArrayVec<E, N> {
    fn make(values: Values<'_>, name: &str) -> Self {
        Vec::make(values, name).into_iter().collect()
    }
}

impl<E: Element> Make for &'static [E] {
    fn make(values: Values<'_>, name: &str) -> Self {
        let elements = Vec::leak(Vec::<E>::make(values, name));
        elements.iter().for_each(E::lent);
        elements
    }
}

impl Seen for KernReturn {
    fn seen(&self) -> Vec<u8> {
        self.0.seen()
    }
}

impl Make for Name {
    fn make(values: Values<'_>, name: &str) -> Self {
        Name(u32::make(values, name))
    }
}

impl Seen for Name {
    fn seen(&self) -> Vec<u8> {
        self.0.seen()
    }
}

impl<T: Seen, const N: usize> Seen for [T; N] {
    fn seen(&self) -> Vec<u8> {
        self.iter().flat_map(Seen::seen).collect()
    }
}

impl<T: Seen> Seen for [T] {
    fn seen(&self) -> Vec<u8> {
        self.iter().flat_map(Seen::seen).collect()
    }
}

impl<T: Seen> Seen for Vec<T> {
    fn seen(&self) -> Vec<u8> {
        self[..].seen()
    }
}

impl<T: Seen, const N: usize> Seen for ArrayVec<T, N> {
    fn seen(&self) -> Vec<u8> {
        self[..].seen()
    }
}

impl<T: Seen + ?Sized> Seen for &T {
    fn seen(&self) -> Vec<u8> {
        (**self).seen()
    }
}

impl<A: TaskAbi> Seen for OolMemory<Recorder<A>> {
    fn seen(&self) -> Vec<u8> {
        self.to_vec()
    }
}

impl<T: Seen + mig_runtime::Plain, A: TaskAbi> Seen for Elements<'_, T, Recorder<A>> {
    fn seen(&self) -> Vec<u8> {
        self[..].seen()
    }
}

impl Seen for CStr {
    fn seen(&self) -> Vec<u8> {
        self.to_bytes().to_vec()
    }
}

impl Seen for CString {
    fn seen(&self) -> Vec<u8> {
        self.to_bytes().to_vec()
    }
}

impl Seen for AuditToken {
    fn seen(&self) -> Vec<u8> {
        self.val.seen()
    }
}

impl Seen for SecurityToken {
    fn seen(&self) -> Vec<u8> {
        self.val.seen()
    }
}

impl Seen for Seqno {
    fn seen(&self) -> Vec<u8> {
        self.0.seen()
    }
}

impl<A: TaskAbi> Seen for Port<'_, Recorder<A>> {
    fn seen(&self) -> Vec<u8> {
        self.name().0.seen()
    }
}

impl<A: TaskAbi> Seen for DeadName<Recorder<A>> {
    fn seen(&self) -> Vec<u8> {
        self.name().0.seen()
    }
}

impl<A: TaskAbi> Seen for AnyRight<'_, Recorder<A>> {
    fn seen(&self) -> Vec<u8> {
        self.name().0.seen()
    }
}

impl Make for CString {
    fn make(values: Values<'_>, name: &str) -> Self {
        let bytes = values.hex(name);
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        CString::new(&bytes[..end]).unwrap()
    }
}

impl Make for &'static CStr {
    fn make(values: Values<'_>, name: &str) -> Self {
        Box::leak(CString::make(values, name).into_boxed_c_str())
    }
}

impl<A: TaskAbi> Make for OolMemory<Recorder<A>> {
    fn make(values: Values<'_>, name: &str) -> Self {
        let bytes = counted(values, name, values.hex(name), 1);
        let mut memory = OolMemory::allocate(&Recorder::new(), bytes.len()).unwrap();
        memory.copy_from_slice(&bytes);
        memory
    }
}

macro_rules! rights {
    ($($right:ident $number:literal)*) => { $(
        impl<A: TaskAbi> Make for $right<Recorder<A>> {
            fn make(values: Values<'_>, name: &str) -> Self {
                Self::of(values.number(name))
            }
        }

        impl<A: TaskAbi> Right for $right<Recorder<A>> {
            const NUMBER: u8 = $number;

            fn of(name: u32) -> Self {
                state(|state| state.count($number, name, 1));
                // SAFETY: just counted.
                unsafe { Self::from_raw(Recorder::new(), Name(name)) }
            }
        }

        impl<A: TaskAbi> Make for &'static $right<Recorder<A>> {
            fn make(values: Values<'_>, name: &str) -> Self {
                borrowed(values.number(name))
            }
        }

        impl<A: TaskAbi> Element for $right<Recorder<A>> {
            const SIZE: usize = 4;

            fn element(bytes: &[u8]) -> Self {
                Self::of(u32_at(bytes, 0))
            }

            fn lent(&self) {
                state(|state| state.borrowed.push(($number, self.name().0)));
            }
        }

        impl<A: TaskAbi> Seen for $right<Recorder<A>> {
            fn seen(&self) -> Vec<u8> {
                self.name().0.seen()
            }
        }
    )* };
}
rights!(ReceiveRight 16 SendRight 17 SendOnceRight 18);

trait Right: Sized {
    const NUMBER: u8;
    fn of(name: u32) -> Self;
}

fn borrowed<R: Right>(name: u32) -> &'static R {
    state(|state| state.borrowed.push((R::NUMBER, name)));
    Box::leak(Box::new(R::of(name)))
}

impl<A: TaskAbi> Make for AnyRight<'static, Recorder<A>> {
    fn make(values: Values<'_>, name: &str) -> Self {
        let port = values.number(name);
        match values.number(&format!("{name}Poly")) {
            16 => Self::MoveReceive(Right::of(port)),
            17 => Self::MoveSend(Right::of(port)),
            18 => Self::MoveSendOnce(Right::of(port)),
            19 => Self::CopySend(borrowed(port)),
            20 => Self::MakeSend(borrowed(port)),
            21 => Self::MakeSendOnce(borrowed(port)),
            number => Self::Data(Word::new(number as u8, port).expect("no right has this number")),
        }
    }
}

impl<A: TaskAbi> Make for PortArray<'static, Recorder<A>> {
    fn make(values: Values<'_>, name: &str) -> Self {
        match values.number(&format!("{name}Poly")) {
            16 => Self::moving(Vec::<ReceiveRight<_>>::make(values, name)),
            17 => Self::moving(Vec::<SendRight<_>>::make(values, name)),
            18 => Self::moving(Vec::<SendOnceRight<_>>::make(values, name)),
            19 => Self::copy_send(<&[SendRight<_>]>::make(values, name)),
            20 => Self::make_send(<&[ReceiveRight<_>]>::make(values, name)),
            _ => Self::make_send_once(<&[ReceiveRight<_>]>::make(values, name)),
        }
    }
}

impl<A: TaskAbi> Make for OolArg<'static, Recorder<A>> {
    fn make(values: Values<'_>, name: &str) -> Self {
        let bytes = values.hex(name);
        if values.0[format!("{name}Dealloc")]["value"].as_u64().unwrap_or(0) == 0 {
            return Self::Lend(Vec::leak(bytes));
        }
        let mut memory = OolMemory::allocate(&Recorder::new(), bytes.len()).unwrap();
        memory.copy_from_slice(&bytes);
        Self::Give(memory)
    }
}

impl<A: TaskAbi> Element for AnyRight<'static, Recorder<A>> {
    const SIZE: usize = 4;

    /// Vectors move what a server returns of any kind.
    fn element(bytes: &[u8]) -> Self {
        Self::MoveSend(Right::of(u32_at(bytes, 0)))
    }
}

/// The value of an argument, whatever it is in Rust.
pub fn arg<T: Make>(values: Values<'_>, name: &str) -> T {
    T::make(values, name)
}

/// How many elements of a result the caller takes.
pub fn limit(values: Values<'_>, name: &str) -> u32 {
    values.number(&format!("{name}Cnt"))
}

/// What a server saw: name and bytes.
pub type Sight = Vec<(&'static str, Vec<u8>)>;

/// The server of every subsystem: notes its arguments and answers what the vector says.
pub struct Script<'v> {
    pub outs: Values<'v>,
    pub code: KernReturn,
    pub seen: RefCell<Option<(&'static str, Sight)>>,
}

impl Script<'_> {
    pub fn called(&self, routine: &'static str, seen: Sight) -> Result<(), KernReturn> {
        *self.seen.borrow_mut() = Some((routine, seen));
        self.code.ok()
    }
}

/// One routine of a subsystem, under test.
pub struct Routine<A: TaskAbi> {
    pub file: &'static str,
    pub name: &'static str,
    pub call: fn(Values<'_>, &Recorder<A>) -> Result<Sight, CallError<Recorder<A>>>,
    pub demux: fn(&Script<'_>, &mut Received<'_, Recorder<A>>, &mut Reply<'_, Recorder<A>>) -> bool,
    /// Arguments that are strings, which end at their NUL.
    pub strings: &'static [&'static str],
}

/// The tally of a run.
#[derive(Default)]
pub struct Tally {
    pub checks: usize,
    pub failures: Vec<String>,
    /// Deliberate differences, and how often each was met.
    pub deviations: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn check(&mut self, ok: bool, what: impl FnOnce() -> String) {
        self.checks += 1;
        if !ok {
            self.failures.push(what());
        }
    }

    fn deviation(&mut self, what: &'static str) {
        *self.deviations.entry(what).or_default() += 1;
    }
}

const MOVES_RESULTS: &str =
    "a reply moves a right that the server's method returned, where C copies or makes one";
const KERNEL_NEVER: &str = "what no kernel delivers is refused, or not tried: a descriptor, a size";
const RECEIVE_BUFFER: &str = "a reply that is too large for C's buffer fits in ours, and is malformed";
const NO_BUFFER: &str = "a result is as long as the reply says, where C's caller gave a buffer that is too small";
const WRAPS: &str = "a number that times the size is right only in 32 bits: the size is wrong before the bound is";
const IN_THE_MESSAGE: &str = "an array of a result that fits goes in the message, where C's server gave memory for it";
const GIVES_RESULTS: &str = "memory that the server's method returned is given with the reply, where C lends it";
const COUNTS_NUL_TWICE: &str =
    "the length of a string counts its NUL once; the function below the C stubs of the vectors counts it, too";
const STRING_CUT: &str = "a string that is too long is an error, where C cuts it";

/// A code by the name that the vectors give it.
fn code(name: &str) -> KernReturn {
    (-400..32)
        .chain(0x1000_0000..0x1000_0020)
        .chain(0x1000_4000..0x1000_4020)
        .map(KernReturn)
        .find(|code| code.name() == Some(name))
        .unwrap_or_else(|| KernReturn(name.parse().unwrap_or_else(|_| panic!("unknown code {name}"))))
}

fn begin<A: TaskAbi>() {
    POINTER_BITS.set(A::FACTS.pointer as u32 * 8);
    STATE.set(State { trailer: trailer(&Value::Null, &Value::Null), ..State::default() });
}

/// Bytes of an audit trailer with the context of the port: type, size, sequence number, security token, audit
/// token, context.
const TRAILER: usize = 60;

/// A trailer in which the receiver finds the values that it saw, by the vectors.
fn trailer(types: &Value, seen: &Value) -> Vec<u8> {
    let mut trailer = vec![0; TRAILER];
    trailer[4] = TRAILER as u8;
    for (name, ty) in types.as_object().into_iter().flatten() {
        let direction = ty["dir"].as_str().unwrap_or_default();
        let kind = direction.trim_start_matches("server").trim_start_matches("user");
        let at = match if kind == "impl" { name.as_str() } else { kind } {
            "msgseqno" | "msgh_seqno" => 8,
            "sectoken" | "msgh_sender" => 12,
            "audittoken" | "msgh_audit" => 20,
            "contexttoken" | "msgh_context" => 52,
            _ => continue,
        };
        let value = seen[name].as_str().or(seen[name]["hex"].as_str()).map(unhex).unwrap_or_default();
        let len = value.len().min(TRAILER - at);
        trailer[at..at + len].copy_from_slice(&value[..len]);
    }
    trailer
}

/// What is left of rights and memory, once a test is over.
fn left() -> Vec<String> {
    state(|state| {
        for (kind, name) in std::mem::take(&mut state.borrowed) {
            state.count(kind, name, -1);
        }
        let rights = state.rights.iter().filter(|(_, count)| **count != 0);
        let mut left: Vec<String> =
            rights.map(|((kind, name), n)| format!("{n} × {kind} {name:#x}")).collect();
        if state.regions != 0 {
            left.push(format!("{} regions", state.regions));
        }
        left
    })
}

/// The memory that a message of a vector refers to: from the values of the case, by address.
fn remember(values: &Value) {
    for value in values.as_object().into_iter().flatten().map(|(_, value)| value) {
        if let (Some(address), Some(hex)) = (value["addr"].as_u64(), value["hex"].as_str()) {
            let bytes = unhex(hex);
            state(|state| state.memory.insert(address, bytes));
        }
    }
}

/// Makes what C leaves open zero: bytes that it does not write, and addresses. `moves` turns a disposition
/// into that of the received right.
fn masked<A: TaskAbi>(bytes: &[u8], open: &[&Value], moves: bool) -> Vec<u8> {
    let mut masked = bytes.to_vec();
    for found in descriptors::<A>(bytes) {
        if found.kind != Kind::Port {
            masked[found.address_at..found.address_at + A::FACTS.pointer].fill(0);
        }
        if moves && found.kind != Kind::Memory {
            masked[found.disposition_at] = received(found.disposition);
        }
    }
    for range in open.iter().filter_map(|value| value.as_array()).flatten() {
        let (at, len) = (range[0].as_u64().unwrap() as usize, range[1].as_u64().unwrap() as usize);
        if let Some(bytes) = masked.get_mut(at..at + len) {
            bytes.fill(0);
        }
    }
    masked
}

fn received(disposition: u8) -> u8 {
    match disposition {
        17 | 19 | 20 => 17,
        18 | 21 => 18,
        other => other,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl<A: TaskAbi> Routine<A> {
    /// Everything that the vectors say of this routine.
    pub fn run(&self, vectors: &Value, tally: &mut Tally) {
        let about = format!("{} {}", self.file, self.name);
        let empty = Vec::new();
        let list = |key: &str| vectors[key].as_array().unwrap_or(&empty).clone();
        let types = &vectors["argtypes"];
        let cases = list("cases");
        for case in &cases {
            let about = format!("{about} case {}", case["case"]);
            guarded(&about, tally, |tally| self.client(&about, types, case, tally));
            if case["received_hex"].is_string() && vectors["client_only"].as_bool() != Some(true) {
                let request = unhex(case["received_hex"].as_str().unwrap());
                let expected = Expected {
                    request,
                    found: case["demux_return"] == 1,
                    code: case["reply_retcode"].as_str().map(code),
                    called: true,
                    reply: case["reply_hex"].as_str(),
                    open: [&case["reply_dontcare"], &case["reply_pointers"]],
                };
                guarded(&about, tally, |tally| self.server(&about, types, case, expected, KernReturn(0), tally));
            }
        }
        let Some(first) = cases.first() else { return };
        let whole = |mutation: &Value| mutation["crash"].as_bool() != Some(true);
        for mutation in list("malformed").into_iter().filter(whole) {
            let about = format!("{about} malformed {}", mutation["mutation"]);
            guarded(&about, tally, |tally| self.malformed(&about, types, first, &mutation, tally));
        }
        for mutation in list("bad_replies").into_iter().filter(whole) {
            let about = format!("{about} bad reply {}", mutation["mutation"]);
            guarded(&about, tally, |tally| self.bad_reply(&about, first, &mutation, tally));
        }
        for error in list("mach_msg_errors") {
            let about = format!("{about} {}", error["error"]);
            guarded(&about, tally, |tally| self.failed_call(&about, first, &error, tally));
        }
    }

    /// The client: its request, and what it makes of the reply.
    fn client(&self, about: &str, types: &Value, case: &Value, tally: &mut Tally) {
        begin::<A>();
        state(|state| state.trailer = trailer(types, &case["outs"]));
        remember(&case["server_outs"]);
        let reply = case["reply_received_hex"].as_str().map(unhex);
        state(|state| state.answer = reply.clone().map(Ok));
        let result = (self.call)(Values(&case["args"]), &Recorder::new());
        // Without a code there is only the request: C's server does not compile.
        let expected = case["client_ret"].as_str().map(code);
        let got = result.as_ref().map_or_else(CallError::code, |_| KernReturn::KERN_SUCCESS);
        let sent = state(|state| state.sent.take());
        if got == KernReturn::MIG_ARRAY_TOO_LARGE && sent.is_none() && self.has_long_string(case) {
            drop(result);
            return tally.deviation(STRING_CUT);
        }
        let has_room = got == KernReturn::KERN_SUCCESS && expected == Some(KernReturn::MIG_ARRAY_TOO_LARGE);
        if A::FACTS.family == Family::Typed && has_room && sent.is_some() {
            drop(result);
            return tally.deviation(NO_BUFFER);
        }
        let is_right = expected.is_none_or(|expected| got == expected);
        tally.check(is_right, || format!("{about}: {got:?}, not {expected:?}"));
        match (&sent, case["request_hex"].as_str()) {
            (Some((bytes, memory)), Some(request)) => {
                let open = [&case["request_dontcare"], &case["request_pointers"]];
                let (ours, theirs) =
                    (masked::<A>(bytes, &open, false), masked::<A>(&unhex(request), &open, false));
                if ours != theirs && self.counts_nul_twice(&ours, &theirs) {
                    tally.deviation(COUNTS_NUL_TWICE);
                } else {
                    tally.check(ours == theirs, || {
                        format!("{about}: request {}\n    not {}", hex(&ours), hex(&theirs))
                    });
                }
                let (options, timeout) = state(|state| state.call).unwrap();
                tally.check(case["options"] == options && case["timeout"] == timeout, || {
                    format!("{about}: options {options:#x}, not {}", case["options"])
                });
                let theirs = descriptors::<A>(&unhex(request));
                let addressed = theirs.iter().filter(|found| found.kind != Kind::Port);
                for (found, ours) in addressed.zip(memory) {
                    let values = case["args"].as_object().unwrap().values();
                    let named = |value: &&Value| value["addr"] == found.address;
                    let wanted = values.clone().find(named).and_then(|value| value["hex"].as_str());
                    let wanted = wanted.map(unhex).unwrap_or_default();
                    let len = found.bytes.min(wanted.len());
                    tally.check(ours[..found.bytes] == wanted[..len], || format!("{about}: memory differs"));
                }
            }
            (None, None) => {}
            (sent, _) => tally.check(false, || format!("{about}: sent {}", sent.is_some())),
        }
        match result {
            Ok(outs) => self.outs(about, case, &outs, tally),
            // It has the request, if that was not sent.
            Err(error) => drop(error),
        }
        let left = left();
        tally.check(left.is_empty(), || format!("{about}: the client keeps {left:?}"));
    }

    /// Whether the only difference is one more in a byte, of a routine with strings.
    fn counts_nul_twice(&self, ours: &[u8], theirs: &[u8]) -> bool {
        let mut different = ours.iter().zip(theirs).filter(|(ours, theirs)| ours != theirs);
        let is_count = different.next().is_some_and(|(ours, theirs)| ours.checked_add(1) == Some(*theirs));
        let alone = different.next().is_none() && ours.len() == theirs.len();
        A::FACTS.family == Family::Typed && !self.strings.is_empty() && is_count && alone
    }

    fn has_long_string(&self, case: &Value) -> bool {
        self.strings.iter().any(|name| case["args"][*name]["hex"].is_string())
    }

    fn outs(&self, about: &str, case: &Value, outs: &Sight, tally: &mut Tally) {
        for (name, bytes) in outs {
            let theirs = match &case["outs_mem"][*name] {
                Value::String(memory) => unhex(memory),
                _ => match &case["server_outs"][*name]["addr"] {
                    Value::Number(_) => unhex(case["server_outs"][*name]["hex"].as_str().unwrap()),
                    _ => unhex(case["outs"][*name].as_str().unwrap_or_default()),
                },
            };
            tally.check(self.equal(name, bytes, &theirs), || {
                format!("{about}: `{name}` is {}, not {}", hex(bytes), hex(&theirs))
            });
            if let Some(count) = case["outs"][format!("{name}Cnt")].as_str() {
                let count = u32_at(&unhex(count), 0) as usize;
                let whole = if count == 0 { bytes.is_empty() } else { bytes.len() % count == 0 };
                tally.check(whole, || format!("{about}: `{name}` has not {count} elements"));
            }
        }
    }

    /// Ours may be shorter: C's buffer has more room than the value. A string ends at its NUL.
    fn equal(&self, name: &str, ours: &[u8], theirs: &[u8]) -> bool {
        let string = self.strings.contains(&name);
        theirs.starts_with(ours) && (!string || theirs.get(ours.len()).is_none_or(|byte| *byte == 0))
    }

    /// The server: what it is called with, and its reply.
    fn server(
        &self,
        about: &str,
        types: &Value,
        case: &Value,
        expected: Expected<'_>,
        answer: KernReturn,
        tally: &mut Tally,
    ) {
        begin::<A>();
        state(|state| state.trailer = trailer(types, &case["server_args"]));
        remember(&case["args"]);
        let kernel = Recorder::<A>::new();
        let mut storage = vec![MaybeUninit::uninit(); 16_384];
        let mut reply_storage = vec![MaybeUninit::uninit(); 16_384];
        let size = expected.request.len();
        state(|state| state.answer = Some(Ok(expected.request)));
        let request = Received::receive(&kernel, &mut storage, Receive::from(Name(1)));
        if state(|state| state.undeliverable) {
            return tally.deviation(KERNEL_NEVER);
        }
        let mut request = request.unwrap();
        let answers_to = u32_at(&unhex(case["received_hex"].as_str().unwrap()), 8);
        let mut reply = Reply::new(&kernel, &mut reply_storage);
        let script = Script { outs: Values(&case["server_outs"]), code: answer, seen: RefCell::new(None) };
        let found = (self.demux)(&script, &mut request, &mut reply);
        let code = reply.code();
        let sent = match reply.answer(request) {
            Ok(()) => state(|state| state.sent.take()),
            Err(code) => panic!("{about}: {code:?}"),
        };
        let called = script.seen.take();
        let refused = match A::FACTS.family {
            Family::Typed => code == KernReturn::MIG_BAD_ARGUMENTS && no_kernel_sends(about),
            Family::Untyped => code == KernReturn::MIG_TYPE_ERROR && about.contains("desc"),
        };
        if expected.called && called.is_none() && refused {
            tally.deviation(KERNEL_NEVER);
            if !countless::<A>(about) {
                let left = left();
                tally.check(left.is_empty(), || format!("{about}: the server keeps {left:?}"));
            }
            return;
        }
        tally.check(found == expected.found, || format!("{about}: demux says {found}"));
        if let Some(expected) = expected.code {
            tally.check(code == expected, || format!("{about}: {code:?}, not {expected:?} ({size} bytes)"));
        }
        tally.check(called.is_some() == expected.called, || format!("{about}: called {}", called.is_some()));
        if let Some((routine, seen)) = called.as_ref().filter(|_| !about.contains("malformed")) {
            tally.check(*routine == self.name, || format!("{about}: called {routine}"));
            for (name, bytes) in seen {
                let theirs = &case["server_args"][*name];
                let Some(theirs) = theirs.as_str().or(theirs["hex"].as_str()) else { continue };
                let theirs = unhex(theirs);
                let equal = match self.strings.contains(name) {
                    true => self.equal(name, bytes, &theirs),
                    false => *bytes == theirs,
                };
                tally.check(equal, || format!("{about}: saw {name} {}, not {}", hex(bytes), hex(&theirs)));
            }
        }
        let sends = answers_to != 0 && code != KernReturn::MIG_NO_REPLY;
        tally.check(sent.is_some() == sends, || format!("{about}: replied {}", sent.is_some()));
        let gave_memory = types.as_object().into_iter().flatten().any(|(name, ty)| {
            ty["indef"] == true && case["server_outs"][name]["addr"].is_number()
        });
        if A::FACTS.family == Family::Typed && gave_memory {
            tally.deviation(IN_THE_MESSAGE);
        } else if let (Some((bytes, _)), Some(theirs)) = (sent, expected.reply) {
            let theirs = unhex(theirs);
            let (exact, same) =
                (masked::<A>(&bytes, &expected.open, false), masked::<A>(&theirs, &expected.open, false));
            let (ours, theirs) =
                (masked::<A>(&bytes, &expected.open, true), masked::<A>(&theirs, &expected.open, true));
            if exact != same && ours == theirs {
                tally.deviation(MOVES_RESULTS);
            }
            let given = A::FACTS.family == Family::Typed && ours != theirs;
            if given && not_given::<A>(&ours) == not_given::<A>(&theirs) {
                return tally.deviation(GIVES_RESULTS);
            }
            tally
                .check(ours == theirs, || format!("{about}: reply {}\n    not {}", hex(&ours), hex(&theirs)));
        }
        if !countless::<A>(about) {
            let left = left();
            tally.check(left.is_empty(), || format!("{about}: the server keeps {left:?}"));
        }
    }

    fn malformed(&self, about: &str, types: &Value, case: &Value, mutation: &Value, tally: &mut Tally) {
        let Some(base) = case["received_hex"].as_str().map(unhex) else { return };
        let answer = match mutation["mutation"].as_str().unwrap().strip_prefix("server_returns_") {
            Some(name) => code(name),
            None => KernReturn::KERN_SUCCESS,
        };
        let reply = mutation["reply_hex"].as_str();
        let expected = Expected {
            request: changed(&base, mutation, "request_hex"),
            found: mutation["demux_return"] == 1,
            code: mutation["retcode"].as_str().map(code),
            called: mutation["server_called"].is_string(),
            reply,
            open: [&case["reply_dontcare"], &case["reply_pointers"]],
        };
        self.server(about, types, case, expected, answer, tally);
    }

    fn bad_reply(&self, about: &str, case: &Value, mutation: &Value, tally: &mut Tally) {
        let Some(base) = case["reply_received_hex"].as_str().map(unhex) else { return };
        begin::<A>();
        remember(&case["server_outs"]);
        state(|state| state.answer = Some(Ok(changed(&base, mutation, "reply_hex"))));
        let result = (self.call)(Values(&case["args"]), &Recorder::new());
        let got = result.as_ref().map_or_else(CallError::code, |_| KernReturn::KERN_SUCCESS);
        drop(result);
        if state(|state| state.undeliverable) {
            return tally.deviation(KERNEL_NEVER);
        }
        let expected = code(mutation["client_ret"].as_str().unwrap());
        let too_large = KernReturn::MACH_RCV_TOO_LARGE;
        if got == KernReturn::MIG_TYPE_ERROR && expected == too_large {
            tally.deviation(RECEIVE_BUFFER);
        } else if got == KernReturn::MIG_TYPE_ERROR && expected.0 == 0 && about.contains("desc") {
            tally.deviation(KERNEL_NEVER);
        } else if got == KernReturn::MIG_TYPE_ERROR && about.contains(".number_wrap32") {
            tally.deviation(WRAPS);
        } else {
            tally.check(got == expected, || format!("{about}: {got:?}, not {expected:?}"));
        }
        if !countless::<A>(about) {
            let left = left();
            tally.check(left.is_empty(), || format!("{about}: the client keeps {left:?}"));
        }
    }

    fn failed_call(&self, about: &str, case: &Value, error: &Value, tally: &mut Tally) {
        begin::<A>();
        let expected = code(error["error"].as_str().unwrap());
        state(|state| state.answer = Some(Err(expected)));
        let result = (self.call)(Values(&case["args"]), &Recorder::new());
        let got = result.as_ref().map_or_else(CallError::code, |_| KernReturn::KERN_SUCCESS);
        tally.check(got == expected, || format!("{about}: {got:?}"));
        drop(result);
        let events = error["events"].as_array().unwrap();
        let is_gone =
            events.iter().any(|event| event.as_str().unwrap().starts_with("mig_dealloc_reply_port"));
        let destroyed = state(|state| state.reply_port_destroyed);
        tally.check(destroyed == is_gone, || format!("{about}: the reply port is destroyed: {destroyed}"));
        if expected.is_send_error() {
            let left = left();
            tally.check(left.is_empty(), || format!("{about}: the client keeps {left:?}"));
        }
    }
}

/// A message with type words, whose memory out of line is not given.
fn not_given<A: TaskAbi>(message: &[u8]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for found in descriptors::<A>(message).iter().filter(|found| found.kind == Kind::Memory) {
        bytes[found.at + 3] &= if A::FACTS.pointer == 8 { !0x80 } else { !0x40 };
    }
    bytes
}

/// Damages of a type word that the C stubs do not see, and that no kernel delivers:
/// `docs/book/deviations.md`.
fn no_kernel_sends(about: &str) -> bool {
    [".name=19", ".name=0", ".dealloc=", ".unused=", ".short_", ".number_wrap32", ".number=4294967295"].iter().any(|what| about.contains(what))
}

/// Damages that leave open which rights are in a message with type words: no kernel delivers them, so what is
/// counted here is nobody's. `tests/oracle` counts what a kernel would deliver.
fn countless<A: TaskAbi>(about: &str) -> bool {
    let kinds = ["size_field", ".size=", ".number=", ".dealloc="];
    A::FACTS.family == Family::Typed && kinds.iter().any(|kind| about.contains(kind))
}

/// A panic is the failure of the case in which it happens.
fn guarded(about: &str, tally: &mut Tally, check: impl FnOnce(&mut Tally)) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(tally))) {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        tally.check(false, || format!("{about}: panic: {text}"));
    }
}

struct Expected<'e> {
    request: Vec<u8>,
    found: bool,
    code: Option<KernReturn>,
    called: bool,
    reply: Option<&'e str>,
    open: [&'e Value; 2],
}

/// A damaged message: given as a whole, or as changes of the one of the first case; without either it is that
/// one.
fn changed(base: &[u8], mutation: &Value, whole: &str) -> Vec<u8> {
    if let Some(bytes) = mutation[whole].as_str() {
        return unhex(bytes);
    }
    let mut bytes = base.to_vec();
    bytes.resize(mutation["length"].as_u64().unwrap_or(base.len() as u64) as usize, 0);
    for patch in mutation["patch"].as_array().into_iter().flatten() {
        let (at, patch) = (patch[0].as_u64().unwrap() as usize, unhex(patch[1].as_str().unwrap()));
        bytes[at..at + patch.len()].copy_from_slice(&patch);
    }
    bytes
}

/// Runs the routines of one file of vectors.
pub fn run<A: TaskAbi>(path: &str, routines: &[Routine<A>], tally: &mut Tally) {
    let text = std::fs::read(path).unwrap();
    let vectors: Value = serde_json::from_slice(&text).unwrap();
    let mut defines = vectors["defines"].as_array().into_iter().flatten();
    if defines.any(|define| define == "-DKERNEL_USER=1") {
        println!("left out: {path}, the messages of a kernel itself");
        return;
    }
    let all = vectors["routines"].as_array().unwrap();
    assert_eq!(all.len(), routines.len());
    for (routine, vectors) in routines.iter().zip(all) {
        routine.run(vectors, tally);
    }
}

/// Prints the tally; the exit code says whether everything held.
pub fn finish(tally: Tally) -> std::process::ExitCode {
    for (what, times) in &tally.deviations {
        println!("deviation, {times} times: {what}");
    }
    for failure in tally.failures.iter().take(60) {
        println!("FAILED {failure}");
    }
    println!("{} checks, {} failures", tally.checks, tally.failures.len());
    std::process::ExitCode::from(u8::from(!tally.failures.is_empty()))
}
