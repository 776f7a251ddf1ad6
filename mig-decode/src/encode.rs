//! The bytes of a message, from its arguments.

use std::collections::HashMap;

use mig_abi::{DescriptorKind, Disposition, Facts, Family, NDR};
use mig_codegen::model::{
    Arg, Complex, Dealloc, InLine, Interface, Message, MessageKind, Routine, Slot, SlotRole, Type, TypeKind,
    TypeWord,
};
use serde_json::{Map, Value};

use crate::decode::{element_port, is_limit, limit_name};
use crate::value;
use crate::words::{Descriptor, Header, Word};

/// The ports and the sequence number of a message's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// The name and disposition of `msgh_remote_port`; without it those of a client, or of a server that
    /// answers, with the name 0.
    pub remote: Option<(u64, u32)>,
    /// The same of `msgh_local_port`.
    pub local: Option<(u64, u32)>,
    /// `msgh_seqno`, where the ABI has it.
    pub seqno: u32,
}

/// The name and disposition that a value says for a port of a header; that of a right that is copied, where
/// it says none.
///
/// # Errors
///
/// What is wrong with it.
pub fn right(value: &Value) -> Result<(u64, u32), String> {
    value::write_right(value, Some(Disposition::CopySend as u32))
}

/// The bytes of one of a routine's messages.
///
/// # Errors
///
/// What is wrong with an argument, or which is missing, or is none of the routine's.
pub fn encode(
    interface: &Interface,
    routine: &Routine,
    kind: MessageKind,
    ports: &Ports,
    arguments: &Map<String, Value>,
) -> Result<Vec<u8>, String> {
    let table = match kind {
        MessageKind::Request => &routine.request,
        MessageKind::Reply => {
            routine.reply.as_ref().ok_or_else(|| format!("`{}` has no reply", routine.name))?
        }
    };
    let facts = interface.facts();
    check_names(routine, table, arguments)?;
    let mut writer =
        Writer { facts, routine, arguments, bytes: Vec::new(), written: HashMap::new(), complex: false };
    for slot in table.slots.iter().filter(|slot| slot.role != SlotRole::Trailer) {
        writer.slot(table, slot)?;
    }
    let (usual_remote, usual_local) = usual_ports(routine, kind);
    let header = Header {
        complex: table.complex == Complex::Always || writer.complex,
        remote: ports.remote.unwrap_or((0, usual_remote)),
        local: ports.local.unwrap_or((0, usual_local)),
        size: writer.bytes.len() as u32,
        seqno: (facts.family == Family::Typed).then_some(ports.seqno),
        id: if kind == MessageKind::Request { routine.id } else { routine.reply_id() } as i32,
    };
    header.write(facts, &mut writer.bytes);
    Ok(writer.bytes)
}

/// The dispositions of the ports in the header of a message that is sent.
fn usual_ports(routine: &Routine, kind: MessageKind) -> (u32, u32) {
    let number = |right: Disposition| right as u32;
    if kind == MessageKind::Reply {
        return (number(Disposition::MoveSendOnce), 0);
    }
    let to = routine.args[routine.request_port].ty.port().and_then(|port| port.sender);
    let reply = routine.reply.as_ref().map(|_| Disposition::MakeSendOnce);
    (to.map_or(number(Disposition::CopySend), number), reply.map_or(0, number))
}

/// Every argument that is given is one of the message.
fn check_names(routine: &Routine, table: &Message, arguments: &Map<String, Value>) -> Result<(), String> {
    let mut known: Vec<String> = Vec::new();
    for slot in &table.slots {
        let Some(arg) = slot.arg.map(|index| &routine.args[index]) else { continue };
        known.push(if is_limit(table.kind, arg) { limit_name(&arg.name) } else { arg.name.clone() });
    }
    known.dedup();
    match arguments.keys().find(|name| !known.contains(name)) {
        Some(name) if known.is_empty() => Err(format!("`{name}` is given, and the message has no arguments")),
        Some(name) => Err(format!("the message has no argument `{name}`; it has {}", known.join(", "))),
        None => Ok(()),
    }
}

/// An argument on its way into a message.
#[derive(Clone, Default)]
struct Written {
    /// What stands in the message: plain data, names of rights, or an address.
    bytes: Vec<u8>,
    /// How many elements it has.
    count: u64,
    /// The disposition of its rights.
    disposition: Option<u32>,
    /// The dispositions of rights that have a descriptor each, with their names.
    rights: Vec<(u64, u32)>,
    /// The parts of an array, each of which is out of line.
    parts: Vec<Written>,
    outside: bool,
    deallocate: bool,
    physical_copy: bool,
    address: u64,
}

struct Writer<'a> {
    facts: &'a Facts,
    routine: &'a Routine,
    arguments: &'a Map<String, Value>,
    bytes: Vec<u8>,
    /// Arguments, by their index, and how many of their descriptors have been written.
    written: HashMap<usize, (Written, usize)>,
    complex: bool,
}

impl Writer<'_> {
    fn slot(&mut self, table: &Message, slot: &Slot) -> Result<(), String> {
        let size = slot.size.unwrap_or(0) as usize;
        match (slot.role, slot.arg) {
            (SlotRole::BodyCount, _) => {
                let count = slot.check.first().map_or(0, |check| check.value) as u32;
                self.bytes.extend(count.to_le_bytes());
            }
            (SlotRole::Ndr, _) => self.bytes.extend(NDR),
            (SlotRole::Type, None) => {
                let word = slot.word.map(|word| self.word(&word, &Written::default())).transpose()?;
                self.bytes.extend(word.map(|word| word.write(self.facts)).unwrap_or_default());
            }
            (SlotRole::Type, Some(index)) => {
                let written = match is_limit(table.kind, &self.routine.args[index]) {
                    true => Written::default(),
                    false => self.argument(index)?.clone(),
                };
                if let Some(word) = slot.word {
                    let word = self.word(&word, &written)?;
                    self.bytes.extend(word.write(self.facts));
                }
            }
            (SlotRole::Count, Some(index)) => {
                let arg = &self.routine.args[index];
                let count = match is_limit(table.kind, arg) {
                    true => self.limit(arg)?,
                    false => self.argument(index)?.count,
                };
                self.bytes.extend((count as u32).to_le_bytes());
            }
            (SlotRole::Subs, Some(index)) => {
                let counts = self.argument(index)?.parts.iter().map(|part| part.count as u32);
                let bytes: Vec<u8> = counts.flat_map(u32::to_le_bytes).collect();
                self.bytes.extend(bytes);
            }
            (SlotRole::Data, Some(index)) => {
                let bytes = self.argument(index)?.bytes.clone();
                if slot.max.is_some_and(|max| bytes.len() > max as usize) {
                    let name = &self.routine.args[index].name;
                    return Err(format!(
                        "`{name}` has {} bytes, more than the declaration allows",
                        bytes.len()
                    ));
                }
                self.bytes.extend(bytes);
            }
            (SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts, Some(index)) => {
                self.descriptor(slot, index, size)?;
            }
            (SlotRole::Pad, _) => {
                let end = self.bytes.len().next_multiple_of(self.facts.alignment);
                self.bytes.resize(end, 0);
            }
            (SlotRole::Trailer, _) => {}
            // The header, which is written last, and the code of success.
            _ => self.bytes.resize(self.bytes.len() + size, 0),
        }
        Ok(())
    }

    /// How many elements of a result are wanted: all, if nothing is said.
    fn limit(&self, arg: &Arg) -> Result<u64, String> {
        let most = u64::from(arg.ty.declared_max());
        let name = limit_name(&arg.name);
        self.arguments.get(&name).map_or(Ok(most), |value| {
            value.as_u64().ok_or_else(|| format!("{name}: {}", value::wrong(value, "a number")))
        })
    }

    fn word(&mut self, word: &TypeWord, written: &Written) -> Result<Word, String> {
        let in_line = word.in_line == InLine::Yes || !written.outside;
        let in_line = in_line && word.in_line != InLine::No;
        // An empty array does not say what its rights are.
        let name = word.sent.or(written.disposition).or(word.received).unwrap_or(0);
        let number = match word.number {
            Some(number) => number,
            None => u32::try_from(written.count * u64::from(word.multiplier))
                .map_err(|error| error.to_string())?,
        };
        self.complex |= Disposition::is_right(name) || !in_line;
        let right = Disposition::from_number(name).map(|right| self.facts.right_number(right));
        Ok(Word {
            name: word.right.or(right).unwrap_or(name),
            size: if in_line { word.bits } else { word.out_of_line_bits },
            number,
            in_line,
            long: word.long,
            deallocate: written.deallocate || in_line && word.deallocate == Dealloc::Yes,
            unused: 0,
        })
    }

    fn descriptor(&mut self, slot: &Slot, index: usize, size: usize) -> Result<(), String> {
        let is_right = slot.role == SlotRole::Port;
        let kind = slot.check.iter().find(|check| check.field == "type").map_or(0, |check| check.value);
        let at = self.bytes.len();
        self.argument(index)?;
        let Some((written, used)) = self.written.get_mut(&index) else { return Ok(()) };
        let nothing = Written { disposition: Some(unused_right(slot)), ..Written::default() };
        let written = match self.routine.args[index].ty.parts() {
            Some(_) => written.parts.get(*used).unwrap_or(&nothing),
            None => &*written,
        };
        let (address, disposition) = match is_right {
            // An array that is not full has descriptors of no rights at its end.
            true => written.rights.get(*used).copied().unwrap_or((0, unused_right(slot))),
            false => (written.address, written.disposition.unwrap_or(0)),
        };
        *used += 1;
        let element = if slot.role == SlotRole::OolPorts { 1 } else { slot.element.unwrap_or(1) };
        let bytes = u32::try_from(written.count.saturating_mul(element.into()));
        let found = Descriptor {
            address,
            size: bytes.map_err(|_| format!("{} elements are too many", written.count))?,
            deallocate: written.deallocate,
            physical_copy: written.physical_copy,
            disposition,
            kind: kind as u8,
        };
        debug_assert_eq!(kind == u64::from(DescriptorKind::Port as u8), is_right);
        self.bytes.resize(at + size, 0);
        found.write(self.facts, &mut self.bytes[at..], is_right);
        Ok(())
    }

    /// An argument, ready to be written.
    fn argument(&mut self, index: usize) -> Result<&Written, String> {
        if !self.written.contains_key(&index) {
            let arg = &self.routine.args[index];
            let value = self.arguments.get(&arg.name);
            let value = value.ok_or_else(|| format!("argument `{}` is missing", arg.name))?;
            let written = self.prepare(arg, value).map_err(|error| format!("{}: {error}", arg.name))?;
            self.written.insert(index, (written, 0));
        }
        Ok(&self.written[&index].0)
    }

    fn prepare(&self, arg: &Arg, value: &Value) -> Result<Written, String> {
        if let (Some(part), Some((_, max))) = (arg.part(), arg.ty.parts()) {
            return self.parts(&part, value, max, matches!(arg.ty.kind, TypeKind::Fixed { .. }));
        }
        let port = arg.ty.port().or_else(|| element_port(&arg.ty));
        let usual = port.and_then(|port| port.sender).map(|right| right as u32);
        if let Some(memory) = value.as_object().filter(|fields| fields.contains_key("address")) {
            return self.outside(arg, &Value::Object(memory.clone()), port.is_some(), usual);
        }
        match (&arg.ty.kind, port) {
            (TypeKind::OutOfLine { .. }, _) => {
                Err(value::wrong(value, "memory out of line: {\"address\": …, \"count\": …}"))
            }
            (TypeKind::Indefinite { .. }, _) if self.facts.family == Family::Untyped => {
                Err(value::wrong(value, "memory out of line: {\"address\": …, \"count\": …}"))
            }
            (TypeKind::Port(_), _) => self.rights(std::slice::from_ref(value), usual),
            (_, Some(_)) => {
                let list = value.as_array().ok_or_else(|| value::wrong(value, "a list of rights"))?;
                self.rights(list, usual)
            }
            (kind, None) => {
                let bytes = value::write(&arg.ty, value)?;
                let count = bytes.len() as u64 / element_bytes(kind).max(1);
                Ok(Written { bytes, count, ..Written::default() })
            }
        }
    }

    /// An array of memory or rights out of line: at most `max`, or always as many.
    fn parts(&self, part: &Arg, value: &Value, max: u32, always: bool) -> Result<Written, String> {
        let list = value.as_array().ok_or_else(|| value::wrong(value, "a list of memory out of line"))?;
        if list.len() > max as usize || always && list.len() != max as usize {
            let declared = if always { "there are" } else { "there may be" };
            return Err(format!("{} parts, where {declared} {max}", list.len()));
        }
        let parts = list.iter().map(|value| self.prepare(part, value));
        let parts: Vec<Written> = parts.collect::<Result<_, _>>()?;
        Ok(Written { count: parts.len() as u64, parts, ..Written::default() })
    }

    fn rights(&self, values: &[Value], usual: Option<u32>) -> Result<Written, String> {
        let rights = values.iter().map(|value| value::write_right(value, usual));
        let rights: Vec<(u64, u32)> = rights.collect::<Result<_, _>>()?;
        let names = rights.iter().flat_map(|(name, _)| name.to_le_bytes()[..self.facts.port].to_vec());
        let disposition = rights.first().map(|(_, disposition)| *disposition);
        let (bytes, count) = (names.collect(), rights.len() as u64);
        Ok(Written { bytes, count, disposition, rights, ..Written::default() })
    }

    fn outside(&self, arg: &Arg, value: &Value, rights: bool, usual: Option<u32>) -> Result<Written, String> {
        let (address, count) = (value::field(value, "address")?, value::field(value, "count")?);
        let deallocate = match value.get("deallocate") {
            Some(_) => value::flag(value, "deallocate"),
            None => arg.dealloc == Dealloc::Yes,
        };
        Ok(Written {
            bytes: address.to_le_bytes()[..self.facts.pointer].to_vec(),
            count,
            disposition: if rights { Some(value::disposition(value, usual)?) } else { None },
            outside: true,
            deallocate,
            physical_copy: value::flag(value, "physical_copy"),
            address,
            ..Written::default()
        })
    }
}

/// What stands in the descriptor of an array's element that is not there.
fn unused_right(slot: &Slot) -> u32 {
    slot.check.iter().find(|check| check.field == "disposition").map_or(0, |check| check.value as u32)
}

/// Bytes of an element of an array of variable size, or of a string.
fn element_bytes(kind: &TypeKind) -> u64 {
    match kind {
        TypeKind::Bounded { element, .. } | TypeKind::Indefinite { element, .. } => elements(element),
        _ => 1,
    }
}

fn elements(element: &Type) -> u64 {
    element.bytes().into()
}
