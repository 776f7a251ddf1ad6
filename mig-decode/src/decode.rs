//! A message as its routine's slot table reads it.

use std::collections::{BTreeMap, HashMap};

use mig_abi::{DescriptorKind, Disposition, Facts, NDR};
use mig_codegen::model::{
    Arg, Check, Dealloc, Interface, Message, MessageKind, PortType, Role, Routine, Slot, SlotRole, Type,
    TypeKind,
};
use serde_json::{Value, json};

use crate::value;
use crate::words::{Descriptor, Header, Word, disposition_name, trailer, uint};

/// A message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Decoded {
    /// Its header; `None` if there are not bytes enough for one.
    pub header: Option<Header>,
    /// Which one it is, if an interface of the dictionary has its id.
    pub message: Option<Named>,
    /// Its pieces, in the order of their bytes.
    pub pieces: Vec<Piece>,
    /// The return code of a reply.
    pub code: Option<i32>,
    /// The arguments by their names, as the command `mig encode` takes them.
    pub arguments: Vec<(String, Value)>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
    /// The bytes that it has, its trailer included.
    pub len: usize,
}

/// The name of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Named {
    /// The subsystem.
    pub subsystem: String,
    /// The routine.
    pub routine: String,
    /// Which of its messages.
    pub kind: MessageKind,
    /// Other subsystems that have a message with this id.
    pub others: Vec<String>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// Where it begins, in bytes from the start of the message.
    pub offset: usize,
    /// How many bytes it has.
    pub len: usize,
    /// What it is.
    pub role: SlotRole,
    /// The argument that it belongs to.
    pub argument: Option<String>,
    /// What it says.
    pub text: String,
}

/// Something that a receiver would not take, or that is not as it was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Where, in bytes from the start of the message.
    pub offset: usize,
    /// What.
    pub text: String,
}

impl Decoded {
    /// A message of which only the header has been read, and its bytes as far as they are there.
    fn start<'b>(facts: &Facts, bytes: &'b [u8]) -> (Self, &'b [u8]) {
        let mut decoded = Decoded {
            header: Header::read(facts, bytes),
            message: None,
            pieces: Vec::new(),
            code: None,
            arguments: Vec::new(),
            faults: Vec::new(),
            len: bytes.len(),
        };
        let here = bytes.len();
        let Some(header) = decoded.header else {
            decoded.fault(0, format!("{here} bytes are no header, which has {}", facts.header));
            return (decoded, bytes);
        };
        let size = header.size as usize;
        let Some(message) = bytes.get(..size).filter(|_| size >= facts.header) else {
            decoded.fault(0, format!("msgh_size is {size}, and there are {here} bytes"));
            return (decoded, bytes);
        };
        decoded.len = size;
        (decoded, message)
    }

    /// Adds the trailer that follows the message in these bytes, if there is one.
    fn with_trailer(mut self, facts: &Facts, bytes: &[u8]) -> Self {
        let rest = bytes.get(self.len..).unwrap_or_default();
        if let Some((len, text)) = trailer(facts, rest) {
            let (offset, role) = (self.len, SlotRole::Trailer);
            self.pieces.push(Piece { offset, len, role, argument: None, text });
            self.len += len;
        }
        self
    }

    fn fault(&mut self, offset: usize, text: String) {
        self.faults.push(Fault { offset, text });
    }
}

/// A message that no interface has.
pub(crate) fn unknown(facts: &Facts, bytes: &[u8]) -> Decoded {
    let (mut decoded, _) = Decoded::start(facts, bytes);
    if let Some(header) = decoded.header {
        let (len, role, text) = (facts.header, SlotRole::Header, header.text());
        decoded.pieces.push(Piece { offset: 0, len, role, argument: None, text });
        let text = format!("no interface that was given has a message with the id {}", header.id);
        decoded.fault(facts.id, text);
    }
    decoded.with_trailer(facts, bytes)
}

/// Reads a message as one of a routine's, whatever its id is.
///
/// # Panics
///
/// If it is to be the reply of a routine that has none.
pub fn decode_as(interface: &Interface, routine: &Routine, kind: MessageKind, bytes: &[u8]) -> Decoded {
    let facts = interface.facts();
    let table = match kind {
        MessageKind::Request => &routine.request,
        MessageKind::Reply => routine.reply.as_ref().expect("the routine has a reply"),
    };
    let (mut decoded, message) = Decoded::start(facts, bytes);
    let Some(header) = decoded.header else { return decoded };
    let (subsystem, name) = (interface.name.clone(), routine.name.clone());
    decoded.message = Some(Named { subsystem, routine: name, kind, others: Vec::new() });
    let walk = Walk {
        facts,
        routine,
        kind,
        header,
        bytes: message,
        at: 0,
        word: None,
        counts: HashMap::new(),
        multiplier: 1,
        rights: BTreeMap::new(),
        values: Vec::new(),
        refused: false,
        decoded: &mut decoded,
    };
    walk.run(table);
    decoded.with_trailer(facts, bytes)
}

/// The way through a message.
struct Walk<'a> {
    facts: &'a Facts,
    routine: &'a Routine,
    kind: MessageKind,
    header: Header,
    bytes: &'a [u8],
    /// Where the next slot begins, if its table does not say.
    at: usize,
    /// The last type word.
    word: Option<Word>,
    /// The counts of arguments.
    counts: HashMap<usize, u64>,
    /// How many elements of the last type word make one of the array.
    multiplier: u32,
    /// The rights and the parts of arrays whose elements have a descriptor each.
    rights: BTreeMap<usize, Vec<Value>>,
    /// The arguments by their index.
    values: Vec<(usize, Value)>,
    /// The reply has only a return code.
    refused: bool,
    decoded: &'a mut Decoded,
}

impl<'a> Walk<'a> {
    fn run(mut self, table: &Message) {
        self.refused = self.kind == MessageKind::Reply && self.is_only_a_code();
        if self.slots(table).is_some() {
            self.rest();
        }
        self.rights_in_descriptors();
        self.same_counts();
        self.values.sort_by_key(|(index, _)| *index);
        let named =
            self.values.into_iter().map(|(index, value)| (self.routine.args[index].name.clone(), value));
        self.decoded.arguments.extend(named);
    }

    /// Reads all slots; `None` if the message ends before the last.
    fn slots(&mut self, table: &Message) -> Option<()> {
        for slot in table.slots.iter().filter(|slot| slot.role != SlotRole::Trailer) {
            let is_missing = slot.arg.is_some() || matches!(slot.role, SlotRole::BodyCount | SlotRole::Ndr);
            if !self.refused || !is_missing {
                self.slot(slot)?;
            }
        }
        if self.refused && self.decoded.code.is_none() {
            self.code_alone();
        }
        Some(())
    }

    /// True for a reply that says only why the routine failed.
    fn is_only_a_code(&self) -> bool {
        let has_code = uint(self.bytes, self.facts.ret_code, 4).is_some_and(|code| code != 0);
        has_code && self.bytes.len() == self.facts.error_reply && !self.header.complex
    }

    /// The return code of a reply that was to have none, since it was to bring rights or memory.
    fn code_alone(&mut self) {
        let ndr = self.facts.ret_code - NDR.len();
        self.at = ndr;
        if let Some((offset, bytes)) = self.take(Some(ndr as u32), NDR.len()) {
            self.ndr(offset, bytes);
        }
        if let Some((offset, bytes)) = self.take(None, 4) {
            self.code(offset, bytes);
        }
    }

    /// Bytes after the last slot.
    fn rest(&mut self) {
        let more = self.bytes.len().saturating_sub(self.at);
        if more != 0 {
            self.fault(self.at, format!("{more} bytes after the last argument"));
        }
    }

    /// Reads a slot; `None` if the message ends in it, or there is no telling where it ends.
    fn slot(&mut self, slot: &Slot) -> Option<()> {
        let facts = self.facts;
        match (slot.role, slot.size) {
            (SlotRole::Header, Some(size)) => {
                let (offset, _) = self.take(slot.offset, size as usize)?;
                self.piece(offset, size as usize, slot, self.header.text());
                if !self.refused {
                    self.header_checks(&slot.check);
                }
            }
            (SlotRole::Type, Some(size)) => self.type_word(slot, size as usize)?,
            (SlotRole::BodyCount, Some(size)) => {
                let (offset, bytes) = self.take(slot.offset, size as usize)?;
                let count = uint(bytes, 0, 4)?;
                self.piece(offset, bytes.len(), slot, format!("{count} descriptors"));
                self.checks(offset, &slot.check, &[("msgh_descriptor_count", count)]);
            }
            (SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts, Some(size)) => {
                self.descriptor(slot, size as usize)?;
            }
            (SlotRole::Ndr, Some(size)) => {
                let (offset, bytes) = self.take(slot.offset, size as usize)?;
                self.ndr(offset, bytes);
            }
            (SlotRole::RetCode, Some(size)) => {
                let (offset, bytes) = self.take(slot.offset, size as usize)?;
                self.code(offset, bytes);
            }
            (SlotRole::Count | SlotRole::Offset, Some(size)) => {
                let (offset, bytes) = self.take(slot.offset, size as usize)?;
                let number = uint(bytes, 0, 4)?;
                self.piece(offset, bytes.len(), slot, number.to_string());
                match slot.role {
                    SlotRole::Count => self.counted(slot, offset, number),
                    _ if number != 0 => {
                        self.fault(offset, format!("the offset of a string is 0, and not {number}"));
                    }
                    _ => {}
                }
            }
            (SlotRole::Subs, size) => self.subs(slot, size)?,
            (SlotRole::Pad, size) => {
                let to_alignment = self.at.next_multiple_of(facts.alignment) - self.at;
                let size = size.map_or(to_alignment, |size| size as usize);
                self.take(slot.offset, size)?;
            }
            (SlotRole::Data, size) => self.data(slot, size)?,
            _ => {}
        }
        Some(())
    }

    fn type_word(&mut self, slot: &Slot, size: usize) -> Option<()> {
        let (offset, bytes) = self.take(slot.offset, size)?;
        let word = Word::read(self.facts, bytes);
        self.word = Some(word);
        self.multiplier = slot.word.map_or(1, |word| word.multiplier);
        self.piece(offset, size, slot, word.text());
        let sent = slot.word.and_then(|word| word.sent);
        // A sender's disposition becomes the receiver's on its way. So does the deallocate bit, which is set
        // for memory and clear for all else when it arrives.
        let name = as_received(word.name, sent);
        let may_be_set = slot.word.is_some_and(|word| word.deallocate != Dealloc::No);
        let deallocate = if word.in_line { word.deallocate && !may_be_set } else { true };
        self.checks(
            offset,
            &slot.check,
            &[
                ("name", name.into()),
                ("size", word.size.into()),
                ("number", word.number.into()),
                ("inline", word.in_line.into()),
                ("longform", word.long.into()),
                ("deallocate", deallocate.into()),
                ("unused", word.unused.into()),
            ],
        );
        Some(())
    }

    fn descriptor(&mut self, slot: &Slot, size: usize) -> Option<()> {
        let index = slot.arg?;
        let arg = &self.routine.args[index];
        let is_right = slot.role == SlotRole::Port;
        let (offset, bytes) = self.take(slot.offset, size)?;
        let found = Descriptor::read(self.facts, bytes, is_right);
        self.piece(offset, size, slot, found.text(is_right));
        let sent = arg.ty.port().and_then(|port| port.sender).map(|right| right as u32);
        let disposition = as_received(found.disposition, sent);
        let volatile = found.kind == DescriptorKind::Volatile as u8;
        let kind = if volatile { DescriptorKind::Memory as u8 } else { found.kind };
        let size = u64::from(found.size);
        let fields =
            [("type", kind.into()), ("disposition", disposition.into()), ("size", size), ("count", size)];
        self.checks(offset, &slot.check, &fields);
        if is_right {
            let right = value::right(found.address, found.disposition);
            match &arg.ty.kind {
                TypeKind::Port(_) => self.values.push((index, right)),
                _ => self.rights.entry(index).or_default().push(right),
            }
            return Some(());
        }
        let element = if slot.role == SlotRole::OolPorts { 1 } else { slot.element.unwrap_or(1).max(1) };
        let count = u64::from(found.size / element);
        if found.size % element != 0 {
            self.fault(offset, format!("{} bytes are no whole number of elements of {element}", found.size));
        }
        if slot.max.is_some_and(|max| count * u64::from(slot.element.unwrap_or(1)) > u64::from(max)) {
            self.fault(offset, format!("{count} elements are more than the declaration allows"));
        }
        let mut memory = value::memory(found.address, count, found.deallocate);
        if slot.role == SlotRole::OolPorts {
            memory.extend(disposition_name(found.disposition).map(|name| ("right".to_owned(), json!(name))));
        }
        if found.physical_copy {
            memory.insert("physical_copy".to_owned(), json!(true));
        }
        if arg.ty.parts().is_some() {
            self.rights.entry(index).or_default().push(Value::Object(memory));
            return Some(());
        }
        self.counts.insert(index, count);
        self.values.push((index, Value::Object(memory)));
        Some(())
    }

    /// The counts of the parts of an array, which their descriptors say too.
    fn subs(&mut self, slot: &Slot, size: Option<u32>) -> Option<()> {
        let index = slot.arg?;
        let count = self.counts.get(&index).copied().unwrap_or(0);
        let len = size.map_or(count.saturating_mul(4), u64::from);
        let (offset, bytes) = self.take(slot.offset, usize::try_from(len).unwrap_or(usize::MAX))?;
        let counts: Vec<u64> = bytes.chunks_exact(4).filter_map(|count| uint(count, 0, 4)).collect();
        let text: Vec<String> = counts.iter().map(u64::to_string).collect();
        self.piece(offset, bytes.len(), slot, text.join(", "));
        let parts = self.rights.get(&index).cloned().unwrap_or_default();
        for (number, (part, count)) in parts.iter().zip(counts).enumerate() {
            let described = part.get("count").and_then(Value::as_u64).unwrap_or(0);
            if described != count {
                let text = format!(
                    "the count of part {number} is {count}, and its descriptor has {described} elements"
                );
                self.fault(offset + 4 * number, text);
            }
        }
        Some(())
    }

    /// A count by itself.
    fn counted(&mut self, slot: &Slot, offset: usize, number: u64) {
        let Some(index) = slot.arg else { return };
        let arg = &self.routine.args[index];
        if is_limit(self.kind, arg) {
            self.decoded.arguments.push((limit_name(&arg.name), json!(number)));
            return;
        }
        if let Some(described) = self.counts.insert(index, number) {
            if described != number {
                let text = format!("the count is {number}, and the descriptor has {described} elements");
                self.fault(offset, text);
            }
        }
    }

    /// The rights that have descriptors of their own, of which an array that is not full has more.
    fn rights_in_descriptors(&mut self) {
        for (index, mut rights) in std::mem::take(&mut self.rights) {
            let arg = &self.routine.args[index];
            if let Some(count) = self.counts.get(&arg.same_count.unwrap_or(index)).copied() {
                if count > rights.len() as u64 {
                    let text = format!(
                        "{count} elements are more than the {} that `{}` may have",
                        rights.len(),
                        arg.name
                    );
                    self.fault(self.at, text);
                }
                rights.truncate(usize::try_from(count).unwrap_or(usize::MAX));
            }
            self.values.push((index, Value::Array(rights)));
        }
    }

    /// Arrays that share a count have as many elements as the one that has it.
    fn same_counts(&mut self) {
        for (index, arg) in self.routine.args.iter().enumerate() {
            let count = |index: &usize| self.counts.get(index).copied();
            let both = arg.same_count.and_then(|first| Some((count(&index)?, count(&first)?)));
            if let Some((own, shared)) = both.filter(|(own, shared)| own != shared) {
                let text =
                    format!("`{}` has {own} elements, and the count that it shares is {shared}", arg.name);
                self.fault(0, text);
            }
        }
    }

    fn data(&mut self, slot: &Slot, size: Option<u32>) -> Option<()> {
        let index = slot.arg?;
        let arg = &self.routine.args[index];
        let word = self.word.take();
        let is_outside = word.is_some_and(|word| !word.in_line);
        let size = match (size, word) {
            _ if is_outside => self.facts.pointer as u64,
            (Some(size), _) => size.into(),
            (None, Some(word)) => (u64::from(word.number) * u64::from(word.size)).div_ceil(8),
            (None, None) => {
                let count = *self.counts.get(&arg.same_count.unwrap_or(index)).unwrap_or(&0);
                count.saturating_mul(slot.element.unwrap_or(1).into())
            }
        };
        if !is_outside && slot.max.is_some_and(|max| size > max.into()) {
            self.fault(self.at, format!("{size} bytes are more than the declaration allows"));
        }
        let (offset, bytes) = self.take(slot.offset, usize::try_from(size).unwrap_or(usize::MAX))?;
        let read = match (word, arg.ty.port().or_else(|| element_port(&arg.ty))) {
            (Some(word), _) if !word.in_line => self.outside(word, bytes),
            (Some(word), Some(_)) => Self::rights_of(arg, word, bytes),
            _ => value::read(&arg.ty, bytes),
        };
        self.piece(offset, bytes.len(), slot, value::text(&read));
        self.values.push((index, read));
        Some(())
    }

    /// Rights in a typed message.
    fn rights_of(arg: &Arg, word: Word, bytes: &[u8]) -> Value {
        let size = (word.size as usize / 8).max(1);
        let names = bytes.chunks_exact(size).filter_map(|name| uint(name, 0, name.len()));
        let mut rights: Vec<Value> = names.map(|name| value::right(name, word.name)).collect();
        if matches!(arg.ty.kind, TypeKind::Port(_)) && rights.len() == 1 {
            return rights.remove(0);
        }
        Value::Array(rights)
    }

    /// Memory outside of a typed message.
    fn outside(&self, word: Word, bytes: &[u8]) -> Value {
        let address = uint(bytes, 0, bytes.len().min(8)).unwrap_or(0);
        let count = word.number / self.multiplier.max(1);
        let mut memory = value::memory(address, count.into(), word.deallocate);
        memory.extend(disposition_name(word.name).map(|name| ("right".to_owned(), json!(name))));
        Value::Object(memory)
    }

    fn ndr(&mut self, offset: usize, bytes: &[u8]) {
        let is_usual = bytes == NDR;
        let text = if is_usual { "little-endian, ASCII, IEEE".to_owned() } else { format!("{bytes:02x?}") };
        let role = SlotRole::Ndr;
        self.decoded.pieces.push(Piece { offset, len: bytes.len(), role, argument: None, text });
        if !is_usual {
            self.fault(offset, format!("the NDR record is {bytes:02x?}, and not {NDR:02x?}"));
        }
    }

    fn code(&mut self, offset: usize, bytes: &[u8]) {
        let code = uint(bytes, 0, 4).unwrap_or(0) as u32 as i32;
        let text = if code == 0 { "0 (success)".to_owned() } else { format!("{code} ({code:#x})") };
        let role = SlotRole::RetCode;
        self.decoded.pieces.push(Piece { offset, len: bytes.len(), role, argument: None, text });
        self.decoded.code = Some(code);
    }

    /// The bytes of a slot, and where they are; `None`, which is a fault, if the message ends before.
    fn take(&mut self, offset: Option<u32>, size: usize) -> Option<(usize, &'a [u8])> {
        let offset = offset.map_or(self.at, |offset| offset as usize);
        let bytes = offset.checked_add(size).and_then(|end| self.bytes.get(offset..end));
        match bytes {
            Some(bytes) => {
                self.at = offset + size;
                Some((offset, bytes))
            }
            None => {
                let here = self.bytes.len().saturating_sub(offset);
                self.fault(
                    offset,
                    format!("the message ends: {size} bytes are wanted here, and there are {here}"),
                );
                None
            }
        }
    }

    fn header_checks(&mut self, checks: &[Check]) {
        let fields = [
            ("msgh_id", u64::from(self.header.id as u32)),
            ("msgh_size", self.bytes.len() as u64),
            ("complex", u64::from(self.header.complex)),
        ];
        self.checks(0, checks, &fields);
    }

    /// Compares what was found with what must be there.
    fn checks(&mut self, offset: usize, checks: &[Check], fields: &[(&str, u64)]) {
        for check in checks {
            let found = fields.iter().find(|(field, _)| *field == check.field);
            if let Some((field, found)) = found.filter(|(_, found)| *found != check.value) {
                self.fault(offset, format!("{field} is {found}, and must be {}", check.value));
            }
        }
    }

    fn piece(&mut self, offset: usize, len: usize, slot: &Slot, text: String) {
        let argument = slot.arg.map(|index| self.routine.args[index].name.clone());
        self.decoded.pieces.push(Piece { offset, len, role: slot.role, argument, text });
    }

    fn fault(&mut self, offset: usize, text: String) {
        self.decoded.fault(offset, text);
    }
}

/// The disposition that the receiver of a right sees, if the sender's is the declared one, or is free.
fn as_received(found: u32, sent: Option<u32>) -> u32 {
    let right = Disposition::from_number(found).filter(|_| sent.is_none_or(|sent| sent == found));
    right.map_or(found, |right| right.received() as u32)
}

/// Whether a message has of this argument only how many elements are wanted.
pub(crate) fn is_limit(kind: MessageKind, arg: &Arg) -> bool {
    kind == MessageKind::Request && arg.role == Role::Out
}

/// What C calls the number of elements of an argument.
pub(crate) fn limit_name(argument: &str) -> String {
    format!("{argument}Cnt")
}

/// The right that an array of variable size has as its elements.
pub(crate) fn element_port(ty: &Type) -> Option<PortType> {
    match &ty.kind {
        TypeKind::Bounded { element, .. }
        | TypeKind::Indefinite { element, .. }
        | TypeKind::OutOfLine { element, .. } => element.port(),
        _ => None,
    }
}
