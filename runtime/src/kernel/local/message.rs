//! A message between its sender and its receiver: bytes, and beside them the rights and memory that the bytes
//! speak of.

use alloc::vec::Vec;

use super::policy::Place;
use super::region::Bytes;
use super::state::{Right, State, TaskId, Transit};
use super::wire::{BadType, COMPLEX, Descriptor, Disposition, Wire};
use crate::abi::{Facts, Family};
use crate::kern_return::KernReturn;
use crate::kernel::{MsgCall, Name};

/// Bytes of a trailer up to the port's context.
const MOST_TRAILER: usize = 60;

/// The size of the trailer that a receiver asks for with its options (`MACH_RCV_TRAILER_ELEMENTS`).
pub(super) fn trailer_size(facts: &Facts, options: u32) -> usize {
    match (facts.family, options >> 24 & 0xf) {
        (Family::Typed, _) => 0,
        (Family::Untyped, 0) => 8,
        (Family::Untyped, 1) => 12,
        (Family::Untyped, 2) => 20,
        (Family::Untyped, 3) => 52,
        (Family::Untyped, _) => MOST_TRAILER,
    }
}

/// A message that belongs to no task.
#[derive(Debug)]
pub(super) struct Message {
    wire: Wire,
    destination: Right,
    /// The reply right, and the disposition that the receiver sees with it; 0 where the sender named none.
    reply: (Transit, u32),
    items: Vec<Item>,
    /// The number of the task that sent it; 0 is the kernel.
    sender: u32,
}

/// Rights or memory in the body of a message.
#[derive(Debug)]
pub(super) struct Item {
    /// Where the ports, or the address of what is out of line, are.
    pub(super) data: usize,
    pub(super) content: Content,
}

/// What an argument holds beyond its bytes.
#[derive(Debug)]
pub(super) enum Content {
    /// Ports in line.
    Ports(Vec<Transit>),
    /// Ports out of line.
    PortArray(Vec<Transit>),
    /// Memory out of line.
    Memory(Bytes),
}

/// Why a message was not sent. Which parts still are the sender's follows from the code
/// ([`Remains`](crate::kernel::Remains)).
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: KernReturn,
    /// The message as it has come back to its sender, if it has.
    pub(super) returned: Option<Wire>,
}

impl From<KernReturn> for Refused {
    fn from(code: KernReturn) -> Self {
        Self { code, returned: None }
    }
}

impl From<BadType> for KernReturn {
    fn from(bad: BadType) -> Self {
        match bad {
            BadType::TooSmall => Self::MACH_SEND_MSG_TOO_SMALL,
            BadType::Invalid => Self::MACH_SEND_INVALID_TYPE,
        }
    }
}

impl Message {
    /// A message from the kernel itself, with no reply right.
    pub(super) fn new(wire: Wire, destination: Right, items: Vec<Item>) -> Self {
        Self { wire, destination, reply: (Transit::Null, 0), items, sender: 0 }
    }

    pub(super) fn destination(&self) -> Right {
        self.destination
    }

    /// `msgh_size`
    pub(super) fn size(&self) -> usize {
        self.wire.size()
    }

    /// Every right in it, without taking one out.
    #[cfg(test)]
    pub(super) fn transits(&self) -> Vec<Transit> {
        let ports = self.items.iter().flat_map(|item| match &item.content {
            Content::Ports(ports) | Content::PortArray(ports) => ports.as_slice(),
            Content::Memory(_) => &[],
        });
        [Transit::Right(self.destination), self.reply.0].into_iter().chain(ports.copied()).collect()
    }

    /// Every right in it: destination, reply, body in order.
    pub(super) fn into_transits(self) -> impl Iterator<Item = Transit> {
        core::iter::once(Transit::Right(self.destination)).chain(self.into_contents())
    }

    /// Every right in it but that to its destination.
    fn into_contents(self) -> impl Iterator<Item = Transit> {
        let body = self.items.into_iter().flat_map(|item| match item.content {
            Content::Ports(ports) | Content::PortArray(ports) => ports,
            Content::Memory(_) => Vec::new(),
        });
        core::iter::once(self.reply.0).chain(body)
    }

    /// Takes a message out of its sender's hands: rights leave the name table, memory the address space. A
    /// message that is refused is lost as far as it has been taken in by then, as on the kernel of this ABI.
    pub(super) fn copy_in(
        state: &mut State,
        task: TaskId,
        wire: Wire,
        call: &MsgCall,
    ) -> Result<Self, Refused> {
        if wire.facts().family == Family::Untyped {
            wire.check_descriptors().map_err(KernReturn::from)?;
        }
        let mut message = Self::copy_in_header(state, task, wire)?;
        if let Err(code) = state.check_destination(task, message.destination.port, call) {
            state.discard_message(message);
            return Err(code.into());
        }
        if message.wire.u32(0) & COMPLEX != 0 {
            if let Err(code) = message.copy_in_body(state, task) {
                state.discard_message(message);
                return Err(code.into());
            }
        }
        if message.items.is_empty() {
            // The receiver is told what is true, whatever the sender claimed.
            let bits = message.wire.u32(0);
            message.wire.set_u32(0, bits & !COMPLEX);
        }
        Ok(message)
    }

    /// Takes the rights of the header, or none of them.
    fn copy_in_header(state: &mut State, task: TaskId, wire: Wire) -> Result<Self, KernReturn> {
        let facts = wire.facts();
        let bits = wire.u32(0);
        let (remote, local) = (bits & 0xff, bits >> 8 & 0xff);
        let destination_name = Name(wire.port(facts.remote_port));
        let reply_name = Name(wire.port(facts.local_port));

        let mut sending = |number, name| match wire.is_of_mach_25() {
            true => Some(state.sending_of_mach_25(task, number, name)),
            false => sending(number),
        };
        let destination = sending(remote, destination_name).ok_or(KernReturn::MACH_SEND_INVALID_HEADER)?;
        let reply = match local {
            0 if reply_name == Name::NULL => None,
            _ => Some(sending(local, reply_name).ok_or(KernReturn::MACH_SEND_INVALID_HEADER)?),
        };
        if !destination_name.is_valid() || state.is_dead(task, destination_name) {
            return Err(KernReturn::MACH_SEND_INVALID_DEST);
        }
        if !state.can_copy_in(task, destination_name, destination, 1)
            || !state.is_allowed(task, destination_name, destination, Place::Destination)
        {
            return Err(KernReturn::MACH_SEND_INVALID_DEST);
        }
        if let Some(reply) = reply.filter(|_| reply_name.is_valid()) {
            // The destination may be the same right.
            let both = reply_name == destination_name && reply == destination && reply.moves();
            if !state.can_copy_in(task, reply_name, reply, if both { 2 } else { 1 })
                || !state.is_allowed(task, reply_name, reply, Place::Reply)
            {
                return Err(KernReturn::MACH_SEND_INVALID_REPLY);
            }
        }
        // A reply right that is only copied first, for the destination may take the last reference of the
        // same right.
        let copied = match reply.filter(|reply| !reply.moves()) {
            Some(reply) => Some(state.copy_in(task, reply_name, reply)?),
            None => None,
        };
        let Transit::Right(to) = state.copy_in(task, destination_name, destination)? else {
            return Err(KernReturn::MACH_SEND_INVALID_DEST);
        };
        let mut message = Self::new(wire, to, Vec::new());
        message.sender = task.number();
        if let Some(disposition) = reply {
            let right = match copied {
                Some(copied) => copied,
                None => state.copy_in(task, reply_name, disposition)?,
            };
            message.reply = (right, disposition.gives().number());
        }
        Ok(message)
    }

    fn copy_in_body(&mut self, state: &mut State, task: TaskId) -> Result<(), KernReturn> {
        let mut arguments = self.wire.arguments()?;
        while let Some(descriptor) = arguments.next(&self.wire)? {
            self.copy_in_argument(state, task, &descriptor)?;
        }
        Ok(())
    }

    fn copy_in_argument(
        &mut self,
        state: &mut State,
        task: TaskId,
        descriptor: &Descriptor,
    ) -> Result<(), KernReturn> {
        let data = descriptor.data();
        let (disposition, names) = match (descriptor.disposition(), descriptor.inline) {
            (None, true) => return Ok(()),
            (None, false) => {
                let content = Content::Memory(self.copy_in_memory(state, task, descriptor)?);
                self.wire.normalise(descriptor);
                self.items.push(Item { data, content });
                return Ok(());
            }
            (Some(disposition), true) => {
                let width = self.wire.facts().port;
                let slots = (0..descriptor.number as usize).map(|i| data + i * width);
                (disposition, slots.map(|slot| Name(self.wire.port(slot))).collect::<Vec<_>>())
            }
            (Some(disposition), false) => {
                let array = self.copy_in_memory(state, task, descriptor)?;
                let names = array.as_ref().chunks_exact(4);
                let name = |name: &[u8]| Name(u32::from_ne_bytes(core::array::from_fn(|i| name[i])));
                (disposition, names.map(name).collect())
            }
        };
        // Those before a bad one are the message's, which is then destroyed.
        let mut ports = Vec::new();
        let of_mach_25 = self.wire.is_of_mach_25();
        let taken = names.iter().try_for_each(|name| {
            let disposition = match disposition {
                Disposition::CopySend if of_mach_25 => state.sending_of_mach_25(task, 0, *name),
                other => other,
            };
            if !state.is_allowed(task, *name, disposition, Place::Other) {
                return Err(KernReturn::KERN_INVALID_CAPABILITY);
            }
            ports.push(state.copy_in(task, *name, disposition)?);
            Ok(())
        });
        let content = if descriptor.inline { Content::Ports(ports) } else { Content::PortArray(ports) };
        self.items.push(Item { data, content });
        taken.map_err(|_: KernReturn| KernReturn::MACH_SEND_INVALID_RIGHT)?;
        self.wire.normalise(descriptor);
        Ok(())
    }

    fn copy_in_memory(
        &self,
        state: &mut State,
        task: TaskId,
        descriptor: &Descriptor,
    ) -> Result<Bytes, KernReturn> {
        let bytes = self.peek_memory(state, task, descriptor)?;
        if descriptor.deallocate {
            state.task(task)?.regions.remove(self.wire.address(descriptor.data()));
        }
        Ok(bytes)
    }

    /// What an argument out of line holds, still its sender's.
    fn peek_memory(
        &self,
        state: &mut State,
        task: TaskId,
        descriptor: &Descriptor,
    ) -> Result<Bytes, KernReturn> {
        let size = descriptor.data_size();
        if size == 0 {
            return Ok(Bytes::default());
        }
        let region = state.task(task)?.regions.get(self.wire.address(descriptor.data()));
        region.cloned().and_then(|region| region.prefix(size)).ok_or(KernReturn::MACH_SEND_INVALID_MEMORY)
    }

    /// Gives a message back to its sender, in the form of one received but for the direction: `mach_msg`'s
    /// pseudo-receive.
    pub(super) fn return_to(mut self, state: &mut State, task: TaskId, code: KernReturn) -> Refused {
        if state.task(task).is_err() {
            state.discard_message(self);
            return code.into();
        }
        let (reply, reply_type) = self.reply;
        let mut short_of = 0;
        let remote = put(state, task, Transit::Right(self.destination), &mut short_of);
        let local = put(state, task, reply, &mut short_of);
        self.write_header((remote, self.destination.kind.number()), (local, reply_type));
        self.copy_out_body(state, task, &mut short_of);
        self.wire.give_back();
        Refused { code: KernReturn(code.0 | short_of), returned: Some(self.wire) }
    }

    /// Gives a message to its receiver, whose port is `port`, with a trailer of this size where the ABI has
    /// one. With an error comes what there was room for: the message without a part of its body, or nothing
    /// but the header.
    pub(super) fn copy_out(
        mut self,
        state: &mut State,
        task: TaskId,
        port: Name,
        seqno: u32,
        trailer: usize,
    ) -> (Wire, Result<(), KernReturn>) {
        let (reply, reply_type) = self.reply;
        let mut short_of = 0;
        let remote = put(state, task, reply, &mut short_of);
        if short_of != 0 {
            self.reply = (Transit::Null, 0);
            let code = KernReturn(KernReturn::MACH_RCV_HEADER_ERROR.0 | short_of);
            return (self.copy_out_header(state, port, seqno, trailer), Err(code));
        }
        self.write_header((remote, reply_type), (port, self.destination.kind.number()));
        self.write_seqno(state, seqno, trailer);
        self.copy_out_body(state, task, &mut short_of);
        state.consume_destination(self.destination);
        let code = KernReturn(KernReturn::MACH_RCV_BODY_ERROR.0 | short_of);
        (self.wire, if short_of == 0 { Ok(()) } else { Err(code) })
    }

    /// Where a message stood in its queue: in the header, or in a trailer of this size.
    fn write_seqno(&mut self, state: &State, seqno: u32, trailer: usize) {
        match self.wire.facts().family {
            // The word is the sender's `msg_type`.
            Family::Typed if self.wire.is_of_mach_25() => {}
            Family::Typed => self.wire.set_u32(self.wire.facts().seqno, seqno),
            Family::Untyped => {
                let context = state.ports.get(&self.destination.port).map_or(0, |port| port.context);
                let mut bytes = self.trailer(seqno, context);
                bytes[4..8].copy_from_slice(&(trailer as u32).to_ne_bytes());
                self.wire.append_trailer(&bytes[..trailer]);
            }
        }
    }

    /// The fields of a trailer, the largest that there is: its type is 0, all users are 0, and the process is
    /// the sending task.
    fn trailer(&self, seqno: u32, context: u64) -> [u8; MOST_TRAILER] {
        let mut trailer = [0; MOST_TRAILER];
        let mut put = |at: usize, bytes: &[u8]| trailer[at..at + bytes.len()].copy_from_slice(bytes);
        put(8, &seqno.to_ne_bytes());
        // The sixth word of the audit token, which starts at 20.
        put(40, &self.sender.to_ne_bytes());
        put(52, &context.to_ne_bytes());
        trailer
    }

    /// The header alone of a message that its receiver has no room for; the rest is discarded. A typed one
    /// has its true size; after an untyped one there is a trailer.
    pub(super) fn copy_out_header(
        mut self,
        state: &mut State,
        port: Name,
        seqno: u32,
        trailer: usize,
    ) -> Wire {
        let facts = self.wire.facts();
        let mut header = Wire::zeroed(facts, facts.header);
        header.set_u32(0, self.destination.kind.number() << 8);
        if facts.family == Family::Typed {
            header.set_u32(4, self.wire.size() as u32);
        }
        header.set_port(facts.local_port, port.0);
        header.set_u32(facts.id, self.wire.u32(facts.id));
        core::mem::swap(&mut self.wire, &mut header);
        self.write_seqno(state, seqno, trailer);
        core::mem::swap(&mut self.wire, &mut header);
        state.consume_destination(self.destination);
        self.into_contents().for_each(|transit| state.discard_transit(transit));
        header
    }

    fn write_header(&mut self, remote: (Name, u32), local: (Name, u32)) {
        let facts = self.wire.facts();
        let complex = self.wire.u32(0) & COMPLEX;
        self.wire.set_u32(0, remote.1 | local.1 << 8 | complex);
        self.wire.set_port(facts.remote_port, remote.0.0);
        self.wire.set_port(facts.local_port, local.0.0);
    }

    /// Names that there is no room for are null, and so are addresses.
    fn copy_out_body(&mut self, state: &mut State, task: TaskId, short_of: &mut i32) {
        let width = self.wire.facts().port;
        for item in core::mem::take(&mut self.items) {
            match item.content {
                Content::Ports(ports) => {
                    for (i, port) in ports.into_iter().enumerate() {
                        let name = put(state, task, port, short_of);
                        self.wire.set_port(item.data + i * width, name.0);
                    }
                }
                Content::PortArray(ports) if !state.has_room(task) => {
                    *short_of |= MACH_MSG_VM_SPACE;
                    ports.into_iter().for_each(|port| state.discard_transit(port));
                    self.wire.set_address(item.data, 0);
                }
                Content::PortArray(ports) => {
                    let mut names = Vec::new();
                    for port in ports {
                        names.extend(put(state, task, port, short_of).0.to_ne_bytes());
                    }
                    let array = Bytes::from_iter(names);
                    self.wire.set_address(item.data, insert(state, task, array));
                }
                Content::Memory(bytes) if bytes.len() != 0 && !state.has_room(task) => {
                    *short_of |= MACH_MSG_VM_SPACE;
                    self.wire.set_address(item.data, 0);
                    self.wire.forget_size(item.data);
                }
                Content::Memory(bytes) => {
                    self.wire.set_address(item.data, insert(state, task, bytes));
                }
            }
        }
    }
}

/// What `mach_msg` adds to a code when there is no room for a name.
const MACH_MSG_IPC_SPACE: i32 = 0x2000;
/// The same for an address.
const MACH_MSG_VM_SPACE: i32 = 0x1000;

impl State {
    /// What is done with a right that a message of Mach 2.5 has in its header, or copies in its body. Whoever
    /// receives from a port may give others rights to send to it, and there are none that can be used once.
    fn sending_of_mach_25(&mut self, task: TaskId, number: u32, name: Name) -> Disposition {
        match Disposition::from_number(number) {
            Some(moved @ (Disposition::MoveSend | Disposition::MoveSendOnce)) => moved,
            _ if self.receive_right(task, name).is_ok() => Disposition::MakeSend,
            _ => Disposition::CopySend,
        }
    }
}

/// The disposition of a header port, if it is one that can be sent to.
fn sending(number: u32) -> Option<Disposition> {
    Disposition::from_number(number).filter(|disposition| *disposition != Disposition::MoveReceive)
}

/// Copies out to a task that is known to exist, but may have no room for a name.
fn put(state: &mut State, task: TaskId, transit: Transit, short_of: &mut i32) -> Name {
    state.copy_out(task, transit).unwrap_or_else(|_| {
        *short_of |= MACH_MSG_IPC_SPACE;
        Name::NULL
    })
}

/// Gives memory to a task that is known to exist, and returns its address.
fn insert(state: &mut State, task: TaskId, bytes: Bytes) -> u64 {
    state.task(task).map_or(0, |task| task.regions.insert(bytes))
}
