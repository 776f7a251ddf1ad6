//! Messages with a type word before each argument: CMU and GNU Mach.

use mig_abi::{Disposition, Facts, RightNumbers, TypeWords};

use super::slots::{Slots, TooLarge, check};
use super::steps;
use crate::model::{
    Arg, Check, Complex, Dealloc, InLine, Indirect, Message, MessageKind, PortType, Routine, SlotRole, Steps,
    Type, TypeKind, TypeWord,
};
use crate::wire::{INTEGER_32, Wire};

/// Lays out a routine's request.
pub(super) fn request(facts: &Facts, routine: &Routine, kernel_serves: bool) -> Result<Message, TooLarge> {
    let mut table = Table::new(facts);
    let receiver = if kernel_serves { Receiver::Kernel } else { Receiver::User };
    for (index, arg) in routine.args.iter().enumerate() {
        if arg.in_request() {
            table.argument(index, arg, Sender::Names, receiver)?;
        } else if arg.count_in_out {
            table.integer(SlotRole::Count, Some(index))?;
        }
    }
    Ok(table.finish(MessageKind::Request, routine.id))
}

/// Lays out a routine's reply of success.
pub(super) fn reply(facts: &Facts, routine: &Routine, kernel_serves: bool) -> Result<Message, TooLarge> {
    let mut table = Table::new(facts);
    let sender = if kernel_serves { Sender::Kernel } else { Sender::Names };
    table.integer(SlotRole::RetCode, None)?;
    for (index, arg) in routine.args.iter().enumerate() {
        if arg.in_reply() {
            table.argument(index, arg, sender, Receiver::User)?;
        }
    }
    Ok(table.finish(MessageKind::Reply, routine.reply_id()))
}

/// Which of a type's two names the sender writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// The sender's own: what to do with the right.
    Names,
    /// The receiver's: a kernel's rights have been copied in before.
    Kernel,
}

/// Who checks the type words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Receiver {
    /// A task: the kernel has normalised the deallocate bits.
    User,
    /// The kernel: it sees the deallocate bits of rights and of data out of line as the sender wrote them.
    Kernel,
}

/// A message that is being laid out.
struct Table<'a> {
    facts: &'a Facts,
    slots: Slots,
    sent: Complexity,
    received: Complexity,
}

impl<'a> Table<'a> {
    fn new(facts: &'a Facts) -> Self {
        Table {
            facts,
            slots: Slots::new(facts.header, facts.alignment),
            sent: Complexity::default(),
            received: Complexity::default(),
        }
    }

    fn argument(
        &mut self,
        index: usize,
        arg: &Arg,
        sender: Sender,
        receiver: Receiver,
    ) -> Result<(), TooLarge> {
        let too_large = || TooLarge { arg: Some(index) };
        let wire = Wire::of(&arg.ty, self.facts).ok_or_else(too_large)?;
        let number = wire.fixed_number(&arg.ty).or_else(|| whole_number(self.facts, &arg.ty, &wire));
        let word = TypeWord {
            sent: if sender == Sender::Kernel { wire.received } else { wire.sent },
            received: wire.received,
            right: right(&arg.ty).and_then(|port| port.number),
            bits: wire.bits,
            out_of_line_bits: wire.out_of_line_bits,
            number,
            multiplier: wire.number,
            in_line: in_line(&arg.ty),
            long: arg.ty.long,
            deallocate: arg.dealloc,
        };
        self.sent.add(word.sent, word.in_line);
        self.received.add(word.received, word.in_line);
        self.word(Some(index), word, receiver);
        self.data(index, &arg.ty, wire).ok_or_else(too_large)?;
        self.slots.fits(Some(index))
    }

    /// A count or a return code: an integer with its type word.
    fn integer(&mut self, role: SlotRole, arg: Option<usize>) -> Result<(), TooLarge> {
        let word = TypeWord {
            sent: Some(INTEGER_32),
            received: Some(INTEGER_32),
            right: None,
            bits: 32,
            out_of_line_bits: 32,
            number: Some(1),
            multiplier: 1,
            in_line: InLine::Yes,
            long: false,
            deallocate: Dealloc::No,
        };
        self.word(arg, word, Receiver::User);
        self.slots.fixed(role, arg, 4);
        self.slots.pad(arg, 4);
        self.slots.fits(arg)
    }

    fn word(&mut self, arg: Option<usize>, word: TypeWord, receiver: Receiver) {
        let size = match (self.facts.type_words, word.long) {
            (TypeWords::Short4Long12, false) => 4,
            (TypeWords::Short4Long12, true) => 12,
            (TypeWords::Always8, _) => 8,
        };
        let slot = self.slots.fixed(SlotRole::Type, arg, size);
        slot.check = word_checks(self.facts, &word, receiver);
        slot.word = Some(word);
    }

    /// The data of an argument; `None` if it is too large.
    fn data(&mut self, index: usize, ty: &Type, wire: Wire) -> Option<()> {
        let arg = Some(index);
        let pointer = self.facts.pointer as u64;
        let element = wire.bytes(1)?;
        match ty.kind {
            TypeKind::OutOfLine { max, .. } => {
                let element = wire.out_of_line_bytes()?;
                let slot = self.slots.fixed(SlotRole::Data, arg, pointer);
                slot.indirect = Indirect::Always;
                slot.element = Some(u32::try_from(element).ok()?);
                if let Some(max) = max {
                    slot.max = Some(u32::try_from(u64::from(max).checked_mul(element)?).ok()?);
                }
                self.slots.pad(arg, pointer);
            }
            TypeKind::Bounded { max, .. } => {
                self.slots.counted(
                    SlotRole::Data,
                    arg,
                    element,
                    u64::from(max).checked_mul(element)?,
                    Indirect::Never,
                )?;
            }
            TypeKind::BoundedString { max } => {
                self.slots.counted(SlotRole::Data, arg, 1, u64::from(max), Indirect::Never)?;
            }
            TypeKind::Indefinite { inline_max, .. } => {
                let most = u64::from(inline_max).checked_mul(element)?.max(pointer);
                self.slots.counted(SlotRole::Data, arg, element, most, Indirect::Depends)?;
            }
            TypeKind::Scalar(_)
            | TypeKind::Port(_)
            | TypeKind::Fixed { .. }
            | TypeKind::FixedString { .. }
            | TypeKind::Struct { .. } => {
                self.slots.fixed(SlotRole::Data, arg, element);
                self.slots.pad(arg, element);
            }
        }
        Some(())
    }

    fn finish(self, kind: MessageKind, id: u32) -> Message {
        let (mut slots, min, max) = self.slots.finish();
        let checks = &mut slots[0].check;
        checks.push(check("msgh_id", id));
        if min == max {
            checks.push(check("msgh_size", min));
        }
        match self.received.verdict() {
            Complex::Always => checks.push(check("complex", 1)),
            Complex::Never => checks.push(check("complex", 0)),
            Complex::Depends => {}
        }
        let complex = match (self.sent.verdict(), self.received.verdict()) {
            (Complex::Always, _) | (_, Complex::Always) => Complex::Always,
            (Complex::Never, Complex::Never) => Complex::Never,
            _ => Complex::Depends,
        };
        let steps = Steps::Typed(steps::typed(&slots));
        Message { kind, slots, min_size: min, max_size: max, complex, steps }
    }
}

fn in_line(ty: &Type) -> InLine {
    match ty.kind {
        TypeKind::OutOfLine { .. } => InLine::No,
        TypeKind::Indefinite { inline_max, .. } => InLine::UpTo(inline_max),
        _ => InLine::Yes,
    }
}

/// The number that Mach 2.5's stubs announce of data of fixed size out of line: all of it.
fn whole_number(facts: &Facts, ty: &Type, wire: &Wire) -> Option<u32> {
    match &ty.kind {
        TypeKind::OutOfLine { element, count: None, max: Some(max) }
            if facts.rights == RightNumbers::Mach25 && element.port().is_none() =>
        {
            max.checked_mul(wire.number)
        }
        _ => None,
    }
}

/// The right that a type is, or that its elements are.
fn right(ty: &Type) -> Option<PortType> {
    ty.port().or_else(|| ty.element()?.port())
}

/// What makes a message complex.
#[derive(Default)]
struct Complexity {
    must: bool,
    may: bool,
}

impl Complexity {
    fn add(&mut self, name: Option<u32>, in_line: InLine) {
        self.must |= in_line == InLine::No || name.is_some_and(Disposition::is_right);
        self.may |= name.is_none() || matches!(in_line, InLine::UpTo(_));
    }

    fn verdict(&self) -> Complex {
        match (self.must, self.may) {
            (true, _) => Complex::Always,
            (false, true) => Complex::Depends,
            (false, false) => Complex::Never,
        }
    }
}

/// The fields of a type word that a receiver must compare. Where all of it is known, all of it is compared;
/// else the fields that are known, without the deallocate bit.
fn word_checks(facts: &Facts, word: &TypeWord, receiver: Receiver) -> Vec<Check> {
    let out_of_line = word.in_line == InLine::No;
    let normalised =
        receiver == Receiver::User || !(out_of_line || word.received.is_some_and(Disposition::is_right));
    let whole = !word.long && word.received.is_some() && word.number.is_some() && normalised;
    let mut checks = Vec::new();
    checks.extend(word.received.map(|name| {
        let right = Disposition::from_number(name).map(|right| facts.right_number(right));
        check("name", word.right.or(right).unwrap_or(name))
    }));
    match word.in_line {
        InLine::Yes => checks.push(check("size", word.bits)),
        InLine::No => checks.push(check("size", word.out_of_line_bits)),
        InLine::UpTo(_) if word.bits == word.out_of_line_bits => checks.push(check("size", word.bits)),
        InLine::UpTo(_) => {}
    }
    checks.extend(word.number.map(|number| check("number", number)));
    match word.in_line {
        InLine::Yes => checks.push(check("inline", 1)),
        InLine::No => checks.push(check("inline", 0)),
        InLine::UpTo(_) => {}
    }
    checks.push(check("longform", u32::from(word.long)));
    if whole {
        // In Mach 2.5 the bit arrives as its sender has set it.
        let deallocate = match facts.rights {
            RightNumbers::Mach3 => out_of_line,
            RightNumbers::Mach25 => word.deallocate == Dealloc::Yes,
        };
        checks.push(check("deallocate", u32::from(deallocate)));
        checks.push(check("unused", 0));
    }
    checks
}
