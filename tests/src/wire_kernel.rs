//! A kernel that carries no messages: it shows what is sent, and delivers what it is told to.
//!
//! Names and sequence numbers are those of the test, and out-of-line memory has addresses of its own, so that
//! the bytes of a message can be compared with what the C stubs sent. It counts rights and memory; a test
//! ends by asking that none is left.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mig_runtime::KernReturn;
use mig_runtime::abi::{Abi, Apple32, Apple64, GnuI386, GnuX86_64, GnuX86_64Of2022, InKernel, Osf32};
use mig_runtime::kernel::{Kernel, MsgCall, Name, Notification, PortName, RightKind};

use crate::c_calls::Flight;
use crate::convert::{World, number};
use crate::form::Form;
use crate::oracle::{CAbi, REPLY_PORT};
use crate::wire;

/// An ABI whose messages the kernel can take apart.
pub trait Formed: Abi {
    /// How they are put together.
    const FORM: Form;
}

/// An ABI that the C MIG knows too.
pub trait Known: Formed {
    /// What it is to the oracle.
    const C: CAbi;
}

impl Known for GnuI386 {
    const C: CAbi = CAbi::GnuI386;
}

impl Known for GnuX86_64 {
    const C: CAbi = CAbi::GnuX86_64;
}

impl Known for InKernel<GnuI386> {
    const C: CAbi = CAbi::GnuI386;
}

impl Known for InKernel<GnuX86_64> {
    const C: CAbi = CAbi::GnuX86_64;
}

impl Formed for GnuI386 {
    const FORM: Form = Form::Typed(Self::C);
}

impl Formed for GnuX86_64 {
    const FORM: Form = Form::Typed(Self::C);
}

impl Formed for Apple32 {
    const FORM: Form = Form::Untyped { pointer: 4 };
}

impl Formed for Apple64 {
    const FORM: Form = Form::Untyped { pointer: 8 };
}

impl Formed for Osf32 {
    const FORM: Form = Form::Untyped { pointer: 4 };
}

impl Formed for InKernel<GnuI386> {
    const FORM: Form = GnuI386::FORM;
}

// A port has as many bytes in the message already, and an address of memory, too.
impl Formed for InKernel<GnuX86_64> {
    const FORM: Form = GnuX86_64::FORM;
}

impl Formed for InKernel<GnuX86_64Of2022> {
    const FORM: Form = Form::Typed2022InKernel;
}

impl Formed for InKernel<Apple32> {
    const FORM: Form = Form::Xnu { pointer: 4 };
}

impl Formed for InKernel<Apple64> {
    const FORM: Form = Form::Xnu { pointer: 8 };
}

impl Formed for InKernel<Osf32> {
    const FORM: Form = Osf32::FORM;
}

/// A message that was sent, and how.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The message.
    pub flight: Flight,
    /// The call that sent it.
    pub call: MsgCall,
}

/// Bytes of out-of-line memory that no test has in one argument.
pub const LARGEST_CLAIM: usize = 1 << 24;

type Answer = Box<dyn FnMut(&Flight) -> Result<Flight, KernReturn> + Send>;

#[derive(Default)]
struct State {
    /// References that the program holds, by kind and name.
    rights: BTreeMap<(Kind, u32), i64>,
    /// Memory that is in no one's hands but a message's, by address.
    in_transit: BTreeMap<u64, Vec<u8>>,
    /// Memory that the program owns: how many regions.
    regions: i64,
    next_address: u64,
    destroyed_reply_ports: usize,
    /// Memory that the program took although it is not there.
    false_claims: Vec<String>,
    sent: Vec<Sent>,
    answer: Option<Answer>,
}

/// `RightKind` in an order, for the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Send,
    Receive,
    SendOnce,
    PortSet,
    DeadName,
}

impl From<RightKind> for Kind {
    fn from(kind: RightKind) -> Self {
        match kind {
            RightKind::Send => Kind::Send,
            RightKind::Receive => Kind::Receive,
            RightKind::SendOnce => Kind::SendOnce,
            RightKind::PortSet => Kind::PortSet,
            RightKind::DeadName => Kind::DeadName,
        }
    }
}

/// A handle on the kernel.
pub struct Wire<A> {
    state: Arc<Mutex<State>>,
    /// The upper half of the address of each port, where ports have any.
    upper: u32,
    abi: PhantomData<A>,
}

impl<A> Clone for Wire<A> {
    fn clone(&self) -> Self {
        Wire { state: Arc::clone(&self.state), upper: self.upper, abi: PhantomData }
    }
}

impl<A> fmt::Debug for Wire<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl<A: Formed> Default for Wire<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Formed> Wire<A> {
    /// A kernel in which nobody holds anything.
    pub fn new() -> Self {
        let state = State { next_address: 0x4000_0000, ..State::default() };
        Wire { state: Arc::new(Mutex::new(state)), upper: 0, abi: PhantomData }
    }

    /// The same, with ports at addresses of which this is the upper half.
    pub fn with_ports_at(upper: u32) -> Self {
        Wire { upper, ..Self::new() }
    }

    /// The address of a port, or its name.
    fn port(&self, number: u32) -> A::Name {
        let upper = if number == 0 { 0 } else { self.upper };
        PortName::from_word(u64::from(upper) << 32 | u64::from(number))
    }

    /// The number of a port in the tables.
    fn number(&self, port: A::Name) -> u32 {
        let number = port.word() as u32;
        assert_eq!(port, self.port(number), "the address of a port is whole");
        number
    }

    /// What is to be received: for a call it sees the request; else the request is empty.
    pub fn answer(&self, answer: impl FnMut(&Flight) -> Result<Flight, KernReturn> + Send + 'static) {
        self.state().answer = Some(Box::new(answer));
    }

    /// What was sent since it was last asked.
    pub fn take_sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.state().sent)
    }

    /// How often the program has destroyed its reply port.
    pub fn destroyed_reply_ports(&self) -> usize {
        self.state().destroyed_reply_ports
    }

    /// What the program still holds, one line an item; empty if it gave everything back.
    pub fn census(&self) -> Vec<String> {
        let state = self.state();
        let rights = state.rights.iter().filter(|(_, count)| **count != 0);
        let mut left: Vec<String> =
            rights.map(|((kind, name), count)| format!("{count} × {kind:?} {name:#x}")).collect();
        if state.regions != 0 {
            left.push(format!("{} regions", state.regions));
        }
        left.extend(state.false_claims.iter().cloned());
        left.extend(state.in_transit.keys().map(|address| format!("memory at {address:#x} in no message")));
        left
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the message out of the program's hands.
    fn send(&self, bytes: &[u8]) -> Flight {
        let mut state = self.state();
        let shape = A::FORM.shape();
        let mut flight = Flight { bytes: bytes.to_vec(), memory: Vec::new() };
        let bits = wire::u32_at(bytes, 0);
        for (disposition, at) in [(bits, wire::REMOTE_PORT), (bits >> 8, shape.local_port)] {
            state.depart(disposition & 0xff, self.number_at(&bytes[at..at + shape.port]));
        }
        for item in A::FORM.items(bytes).expect("what a stub sends is whole") {
            if !item.inline {
                let address = wire::pointer_at(shape.pointer, bytes, item.data);
                flight.memory.push(state.leave(address, item.bytes(), item.deallocate));
                wire::set_pointer(shape.pointer, &mut flight.bytes, item.data, 0);
            }
            if item.is_port() {
                for name in self.names(&item, bytes, flight.memory.last()) {
                    state.depart(item.name, name);
                }
            }
        }
        flight
    }

    /// Gives a received message to the program.
    fn deliver(&self, flight: &Flight) -> Vec<u8> {
        let bits = wire::u32_at(&flight.bytes, 0);
        let mut state = self.state();
        state.arrive(bits & 0xff, wire::u32_at(&flight.bytes, wire::REMOTE_PORT));
        if matches!(A::FORM, Form::Untyped { .. }) {
            state.arrive(bits >> 16 & 0x1f, wire::u32_at(&flight.bytes, wire::VOUCHER));
        }
        drop(state);
        self.deliver_body(flight)
    }

    /// Gives what a message brings after its header to the program. As a kernel does, it looks at type words
    /// or descriptors in a complex message only, and there is no memory where there is no data.
    fn deliver_body(&self, flight: &Flight) -> Vec<u8> {
        let mut state = self.state();
        let shape = A::FORM.shape();
        let mut bytes = flight.bytes.clone();
        if wire::u32_at(&bytes, 0) & wire::COMPLEX == 0 {
            return bytes;
        }
        let mut memory = flight.memory.iter();
        for item in A::FORM.items(&flight.bytes).unwrap_or_default() {
            let data = if item.inline { None } else { memory.next() };
            if let Some(data) = data.filter(|_| item.bytes() != 0) {
                let mut data = data.clone();
                data.resize(data.len().max(item.bytes()), 0);
                let address = state.place(data);
                wire::set_pointer(shape.pointer, &mut bytes, item.data, address);
            }
            if item.is_port() {
                for name in self.names(&item, &flight.bytes, data) {
                    state.arrive(item.name, name);
                }
            }
        }
        bytes
    }
}

impl<A: Formed> Wire<A> {
    /// The numbers of the ports in an item of them. Where the item says that they have fewer bytes than an
    /// address, they are names.
    fn names(&self, item: &wire::Item, bytes: &[u8], memory: Option<&Vec<u8>>) -> Vec<u32> {
        let (data, width) = if item.inline {
            (&bytes[item.data..item.data + item.size], A::FORM.shape().port)
        } else {
            let data = memory.map_or(&[][..], Vec::as_slice);
            (&data[..item.bytes().min(data.len())], if item.bits == 64 { 8 } else { 4 })
        };
        data.chunks_exact(width).map(|port| self.number_at(port)).collect()
    }

    /// The number of the port in these bytes.
    fn number_at(&self, port: &[u8]) -> u32 {
        match *port {
            [a, b, c, d, e, f, g, h] => {
                self.number(PortName::from_word(u64::from_le_bytes([a, b, c, d, e, f, g, h])))
            }
            _ => wire::u32_at(port, 0),
        }
    }
}

impl<A: Formed> Wire<A> {
    /// A request that has been sent, as the server in the kernel gets it: its rights have arrived, and its
    /// header is the sender's. A trailer stands after it, where there are any.
    pub fn copied_in(&self, sent: &Flight) -> Vec<MaybeUninit<u64>> {
        let mut flight = sent.clone();
        for item in A::FORM.items(&sent.bytes).expect("a stub's message is whole") {
            A::FORM.copy_in(&mut flight.bytes, &item);
        }
        let bits = wire::u32_at(&sent.bytes, 0);
        let (remote, local) = (wire::arrives(bits & 0xff), wire::arrives(bits >> 8 & 0xff));
        wire::set_u32(&mut flight.bytes, 0, bits & !0xffff | local << 8 | remote);
        let port = A::FORM.shape().local_port;
        self.state().arrive(local, wire::u32_at(&flight.bytes, port));
        let mut bytes = self.deliver_body(&flight);
        bytes.extend(A::FORM.trailer(0));
        words(&bytes).collect()
    }

    /// A message that the kernel has sent, as the kernel itself receives it.
    pub fn received_in_kernel(&self, sent: &Flight) -> Flight {
        let shape = A::FORM.shape();
        let mut flight = sent.clone();
        for item in A::FORM.items(&sent.bytes).expect("a stub's message is whole") {
            A::FORM.copy_in(&mut flight.bytes, &item);
        }
        let bits = wire::u32_at(&sent.bytes, 0);
        let (remote, local) = (wire::arrives(bits & 0xff), wire::arrives(bits >> 8 & 0xff));
        wire::set_u32(&mut flight.bytes, 0, bits & !0xffff | remote << 8 | local);
        for (to, from) in [(wire::REMOTE_PORT, shape.local_port), (shape.local_port, wire::REMOTE_PORT)] {
            let width = A::FACTS.port_name;
            flight.bytes[to..to + width].copy_from_slice(&sent.bytes[from..from + width]);
        }
        flight
    }
}

/// Bytes as what messages are received into.
fn words(bytes: &[u8]) -> impl Iterator<Item = MaybeUninit<u64>> + '_ {
    bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        MaybeUninit::new(u64::from_le_bytes(word))
    })
}

impl<A: Formed> World for Wire<A> {
    type Kernel = Self;

    fn kernel(&self) -> &Self {
        self
    }

    /// Values have the names themselves.
    fn grant(&self, kind: RightKind, value: u32) -> A::Name {
        self.state().count(kind, value, 1);
        self.port(value)
    }

    fn value(&self, _: RightKind, name: A::Name) -> u32 {
        self.number(name)
    }
}

/// The call as a task makes it.
fn by_number(call: MsgCall<impl PortName>) -> MsgCall {
    let MsgCall { send, receive, send_timeout, receive_timeout, large, options, kernel_object } = call;
    let receive = receive.map(|name| Name(number(name)));
    MsgCall { send, receive, send_timeout, receive_timeout, large, options, kernel_object }
}

impl State {
    fn count(&mut self, kind: RightKind, name: u32, change: i64) {
        if name != 0 && name != u32::MAX {
            *self.rights.entry((kind.into(), name)).or_default() += change;
        }
    }

    /// A right leaves the program with a message, if its disposition moves it.
    fn depart(&mut self, disposition: u32, name: u32) {
        match disposition {
            16 => self.count(RightKind::Receive, name, -1),
            17 => self.count(RightKind::Send, name, -1),
            18 => self.count(RightKind::SendOnce, name, -1),
            _ => {}
        }
    }

    /// A right comes to the program with a message.
    fn arrive(&mut self, disposition: u32, name: u32) {
        match disposition {
            16 => self.count(RightKind::Receive, name, 1),
            17 => self.count(RightKind::Send, name, 1),
            18 => self.count(RightKind::SendOnce, name, 1),
            _ => {}
        }
    }

    fn place(&mut self, data: Vec<u8>) -> u64 {
        let address = self.next_address;
        self.next_address += (data.len().max(1) as u64).next_multiple_of(4096);
        self.in_transit.insert(address, data);
        address
    }

    /// The memory at an address in a message that is sent; the message takes it, or copies it.
    fn leave(&mut self, address: u64, size: usize, take: bool) -> Vec<u8> {
        let found =
            if take { self.in_transit.remove(&address) } else { self.in_transit.get(&address).cloned() };
        let data = found.unwrap_or_default();
        assert!(data.len() >= size, "a message has {size} bytes at {address:#x}, where {} are", data.len());
        data[..size].to_vec()
    }
}

/// Memory that the program owns.
pub struct Region {
    bytes: Vec<u8>,
    state: Arc<Mutex<State>>,
}

impl Deref for Region {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).regions -= 1;
    }
}

/// A copy of memory that a message refers to.
pub struct Lent<'a> {
    address: u64,
    state: Arc<Mutex<State>>,
    bytes: PhantomData<&'a [u8]>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).in_transit.remove(&self.address);
    }
}

// SAFETY: what it delivers is what the test says, whose rights and regions are counted as the program's from
// then on and belong to nothing else; names are numbers here and addresses are keys of a table, so that a
// wrong one can only fail a test.
unsafe impl<A: Formed> Kernel for Wire<A> {
    type Abi = A;
    type Region = Region;
    type Lent<'a> = Lent<'a>;

    unsafe fn mach_msg(
        &self,
        buffer: &mut [MaybeUninit<u64>],
        call: MsgCall<A::Name>,
    ) -> Result<(), KernReturn> {
        let mut flight = Flight::default();
        if call.send {
            // SAFETY: the caller has initialised the header, whose first 8 bytes are `msgh_bits` and
            // `msgh_size`.
            let size = (unsafe { buffer[0].assume_init() } >> 32) as usize;
            assert!(size <= size_of_val(buffer), "a message of {size} bytes in a smaller buffer");
            // SAFETY: the caller has initialised that many bytes.
            let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), size) };
            flight = self.send(bytes);
            self.state().sent.push(Sent { flight: flight.clone(), call: by_number(call) });
        }
        if call.receive.is_none() {
            return Ok(());
        }
        let mut answer = self.state().answer.take().ok_or(KernReturn::MACH_RCV_TIMED_OUT)?;
        let reply = answer(&flight);
        self.state().answer = Some(answer);
        let reply = reply?;
        let trailer = A::FORM.trailer(call.options);
        if reply.bytes.len().next_multiple_of(4) + trailer.len() > size_of_val(buffer) {
            return Err(KernReturn::MACH_RCV_TOO_LARGE);
        }
        let mut bytes = self.deliver(&reply);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(trailer);
        buffer.iter_mut().zip(words(&bytes)).for_each(|(to, from)| *to = from);
        Ok(())
    }

    fn is_same_task(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    fn allocate_port(&self) -> Result<A::Name, KernReturn> {
        Err(KernReturn::KERN_RESOURCE_SHORTAGE)
    }

    fn allocate_port_set(&self) -> Result<A::Name, KernReturn> {
        Err(KernReturn::KERN_RESOURCE_SHORTAGE)
    }

    unsafe fn release(&self, kind: RightKind, name: A::Name) {
        if kind == RightKind::DeadName {
            // No port of this kernel dies, so it refuses.
            return;
        }
        self.state().count(kind, self.number(name), -1);
    }

    unsafe fn copy_send(&self, name: A::Name) -> Result<(), KernReturn> {
        self.state().count(RightKind::Send, self.number(name), 1);
        Ok(())
    }

    unsafe fn make_send(&self, receive: A::Name) -> Result<(), KernReturn> {
        self.state().count(RightKind::Send, self.number(receive), 1);
        Ok(())
    }

    unsafe fn make_send_once(&self, receive: A::Name) -> Result<A::Name, KernReturn> {
        self.state().count(RightKind::SendOnce, self.number(receive), 1);
        Ok(receive)
    }

    unsafe fn move_member(&self, _receive: A::Name, _set: A::Name) -> Result<(), KernReturn> {
        Err(KernReturn::KERN_INVALID_NAME)
    }

    unsafe fn request_notification(
        &self,
        _: A::Name,
        _: Notification,
        _: A::Name,
    ) -> Result<A::Name, KernReturn> {
        Err(KernReturn::KERN_INVALID_NAME)
    }

    fn reply_port(&self) -> Result<A::Name, KernReturn> {
        Ok(self.port(REPLY_PORT))
    }

    unsafe fn destroy_reply_port(&self, _name: A::Name) {
        self.state().destroyed_reply_ports += 1;
    }

    fn allocate(&self, size: usize) -> Result<Region, KernReturn> {
        self.state().regions += 1;
        Ok(Region { bytes: vec![0; size], state: Arc::clone(&self.state) })
    }

    fn region_into_wire(&self, mut region: Region) -> u64 {
        let bytes = std::mem::take(&mut region.bytes);
        self.state().place(bytes)
    }

    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Region {
        let mut state = self.state();
        let mut bytes = state.in_transit.remove(&address).unwrap_or_default();
        if bytes.len() < size {
            let claim = format!("{size} bytes claimed at {address:#x}, where {} are", bytes.len());
            state.false_claims.push(claim);
        }
        bytes.resize(size.min(LARGEST_CLAIM), 0);
        state.regions += 1;
        Region { bytes, state: Arc::clone(&self.state) }
    }

    fn lend<'a>(&self, bytes: &'a [u8]) -> Lent<'a> {
        let address = self.state().place(bytes.to_vec());
        Lent { address, state: Arc::clone(&self.state), bytes: PhantomData }
    }

    fn lent_address(lent: &Lent<'_>) -> u64 {
        lent.address
    }
}
