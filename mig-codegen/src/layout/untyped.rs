//! Messages with their rights and memory first and plain data after them: OSF Mach and Apple's.
//!
//! A complex message has, after its header, the number of its descriptors and then the descriptors, one for
//! each right or piece of memory. If there is any plain data, an NDR record and the data follow. A reply has
//! a return code only if it is not complex: one that brings rights has succeeded. The trailer, which the
//! receiver's kernel adds, does not belong to the message.

use mig_abi::{DescriptorKind, Facts, NDR};

use super::slots::{Slots, TooLarge, check};
use super::steps;
use crate::model::{
    Arg, Check, Complex, Dealloc, Indirect, Message, MessageKind, PortType, Role, Routine, Slot, SlotRole,
    Steps, Type, TypeKind,
};
use crate::wire::Wire;

/// Apple's kernels take no more descriptors than these in a message.
const MOST_DESCRIPTORS: u32 = 16_382;

/// Lays out a routine's request.
pub(super) fn request(facts: &Facts, routine: &Routine) -> Result<Message, TooLarge> {
    let complex = routine.args.iter().any(|arg| arg.in_request() && descriptors(&arg.ty).is_some());
    let mut parts = Vec::new();
    for (index, arg) in routine.args.iter().enumerate() {
        if arg.in_request() && !(arg.ret_code && complex) {
            parts.push((index, Part::Value));
        } else if arg.count_in_out {
            parts.push((index, Part::Count));
        }
    }
    lay_out(facts, routine, &parts, MessageKind::Request)
}

/// Lays out a routine's reply of success.
pub(super) fn reply(facts: &Facts, routine: &Routine) -> Result<Message, TooLarge> {
    let values = routine.args.iter().enumerate().filter(|(_, arg)| arg.in_reply());
    let parts: Vec<_> = values.map(|(index, _)| (index, Part::Value)).collect();
    lay_out(facts, routine, &parts, MessageKind::Reply)
}

/// The part of an argument that is in a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Its value.
    Value,
    /// Only how many elements of it are wanted.
    Count,
}

fn lay_out(
    facts: &Facts,
    routine: &Routine,
    parts: &[(usize, Part)],
    kind: MessageKind,
) -> Result<Message, TooLarge> {
    let value = |&(index, part): &(usize, Part)| (part == Part::Value).then(|| (index, &routine.args[index]));
    let values: Vec<(usize, &Arg)> = parts.iter().filter_map(value).collect();
    let mut table = Table { facts, slots: Slots::new(facts.header, facts.alignment) };
    let complex = values.iter().any(|(_, arg)| descriptors(&arg.ty).is_some());
    if complex {
        let count = values.iter().filter_map(|(_, arg)| descriptors(&arg.ty)).fold(0, u32::saturating_add);
        let slot = table.slots.fixed(SlotRole::BodyCount, None, 4);
        slot.check.push(check("msgh_descriptor_count", count));
        for &(index, arg) in &values {
            table.descriptors(index, arg)?;
        }
    }
    let is_reply = kind == MessageKind::Reply;
    let has_code = is_reply && !complex;
    if has_code || parts.iter().any(|&(index, part)| part == Part::Count || has_data(&routine.args[index].ty))
    {
        table.slots.fixed(SlotRole::Ndr, None, NDR.len() as u64);
    }
    if has_code {
        table.slots.fixed(SlotRole::RetCode, None, 4);
    }
    for &(index, part) in parts {
        match part {
            Part::Value => table.data(index, &routine.args[index])?,
            Part::Count => {
                table.slots.fixed(SlotRole::Count, Some(index), 4);
            }
        }
        table.slots.fits(Some(index))?;
    }
    for (index, arg) in routine.args.iter().enumerate() {
        match arg.role {
            Role::Trailer { field, client, server } if if is_reply { client } else { server } => {
                table.slots.after_message(
                    SlotRole::Trailer,
                    index,
                    field.offset() as u64,
                    field.size() as u64,
                );
            }
            _ => {}
        }
    }
    Ok(table.finish(routine, kind, complex))
}

/// How many descriptors a value has in a message; `None` if it is plain data.
fn descriptors(ty: &Type) -> Option<u32> {
    match &ty.kind {
        TypeKind::Port(_) | TypeKind::Indefinite { .. } | TypeKind::OutOfLine { .. } => Some(1),
        TypeKind::Fixed { element, count, .. } => Some(descriptors(element)?.saturating_mul(*count)),
        TypeKind::Bounded { element, max } => Some(descriptors(element)?.saturating_mul(*max)),
        _ => None,
    }
}

/// Whether a value makes the message have an NDR record: plain data, a count, or memory (but not rights) out
/// of line.
fn has_data(ty: &Type) -> bool {
    match &ty.kind {
        TypeKind::Port(_) => false,
        TypeKind::OutOfLine { element, count: Some(_), .. } => element.port().is_none(),
        // The counts of an array's parts do not make a record by themselves.
        TypeKind::Fixed { element, .. } if has_subs(element) => right_out_of_line(element).is_none(),
        TypeKind::Fixed { element, .. } => has_data(element),
        _ => true,
    }
}

/// The right that it is, or that its elements are.
fn right_out_of_line(ty: &Type) -> Option<PortType> {
    ty.element()?.port()
}

/// Whether an array of this has counts of its parts.
fn has_subs(part: &Type) -> bool {
    matches!(part.kind, TypeKind::OutOfLine { count: None, .. })
}

struct Table<'a> {
    facts: &'a Facts,
    slots: Slots,
}

impl Table<'_> {
    /// The descriptors of a value.
    fn descriptors(&mut self, index: usize, arg: &Arg) -> Result<(), TooLarge> {
        let Some(count) = descriptors(&arg.ty) else { return Ok(()) };
        if count > MOST_DESCRIPTORS {
            return Err(TooLarge { arg: Some(index) });
        }
        let first = self.slots.len();
        for _ in 0..count {
            self.descriptor(index, &arg.ty).ok_or(TooLarge { arg: Some(index) })?;
        }
        if arg.ty.parts().is_some() && matches!(arg.ty.kind, TypeKind::Bounded { .. }) {
            // Parts that are not used are empty, so their sizes cannot be compared.
            self.slots.forget_checks(first, &["size", "count"]);
        }
        self.slots.fits(Some(index))
    }

    fn descriptor(&mut self, index: usize, ty: &Type) -> Option<()> {
        let arg = Some(index);
        let memory = self.facts.memory_descriptor as u64;
        match &ty.kind {
            TypeKind::Port(port) => {
                let slot = self.slots.fixed(SlotRole::Port, arg, self.facts.port_descriptor as u64);
                slot.check.push(check("type", DescriptorKind::Port as u32));
                slot.check.extend(disposition(*port));
            }
            TypeKind::Indefinite { element, .. } | TypeKind::OutOfLine { element, .. } => {
                let (count, max) = match ty.kind {
                    TypeKind::OutOfLine { count, max, .. } => (count, max),
                    _ => (None, None),
                };
                let wire = Wire::of(element, self.facts)?;
                let bytes = wire.bytes(1)?;
                let rights = element.port();
                let role = if rights.is_some() { SlotRole::OolPorts } else { SlotRole::Ool };
                let slot = self.slots.fixed(role, arg, memory);
                slot.indirect = Indirect::Always;
                slot.element = Some(u32::try_from(bytes).ok()?);
                if let Some(max) = max {
                    slot.max = Some(u32::try_from(u64::from(max).checked_mul(bytes)?).ok()?);
                }
                match rights {
                    Some(right) => {
                        slot.check.push(check("type", DescriptorKind::Ports as u32));
                        slot.check.extend(disposition(right));
                        let count = count.and_then(|count| count.checked_mul(wire.number));
                        slot.check.extend(count.map(|count| check("count", count)));
                    }
                    None => {
                        slot.check.push(check("type", DescriptorKind::Memory as u32));
                        if let Some(count) = count {
                            let size = u64::from(count).checked_mul(bytes)?;
                            slot.check.push(check("size", u32::try_from(size).ok()?));
                        }
                    }
                }
            }
            // The elements of an array have a descriptor each.
            TypeKind::Fixed { element, .. } | TypeKind::Bounded { element, .. } => {
                self.descriptor(index, element)?;
            }
            _ => {}
        }
        Some(())
    }

    /// The plain data of a value.
    fn data(&mut self, index: usize, arg: &Arg) -> Result<(), TooLarge> {
        self.plain(index, arg).ok_or(TooLarge { arg: Some(index) })
    }

    fn plain(&mut self, index: usize, arg: &Arg) -> Option<()> {
        let at = Some(index);
        let ty = &arg.ty;
        let count = |table: &mut Self| {
            if arg.same_count.is_none() {
                table.slots.fixed(SlotRole::Count, at, 4);
            }
        };
        match &ty.kind {
            TypeKind::Port(_) => {}
            TypeKind::Fixed { element, count, .. } if descriptors(element).is_some() => {
                if has_subs(element) {
                    self.slots.fixed(SlotRole::Subs, at, u64::from(*count) * 4);
                }
            }
            TypeKind::Indefinite { .. } | TypeKind::OutOfLine { count: None, .. } => count(self),
            TypeKind::OutOfLine { .. } => {}
            TypeKind::Bounded { element, max } if descriptors(element).is_some() => {
                count(self);
                if has_subs(element) {
                    let most = u64::from(*max).checked_mul(4)?;
                    self.slots.counted(SlotRole::Subs, at, 4, most, Indirect::Never)?;
                }
            }
            TypeKind::Bounded { element, max } => {
                count(self);
                let bytes = Wire::of(element, self.facts)?.bytes(1)?;
                self.slots.counted(
                    SlotRole::Data,
                    at,
                    bytes,
                    u64::from(*max).checked_mul(bytes)?,
                    Indirect::Never,
                )?;
            }
            TypeKind::BoundedString { max } => {
                self.slots.fixed(SlotRole::Offset, at, 4);
                self.slots.fixed(SlotRole::Count, at, 4);
                self.slots.counted(SlotRole::Data, at, 1, u64::from(*max), Indirect::Never)?;
            }
            TypeKind::Scalar(_)
            | TypeKind::Fixed { .. }
            | TypeKind::FixedString { .. }
            | TypeKind::Struct { .. } => {
                let bytes = Wire::of(ty, self.facts)?.bytes(1)?;
                self.slots.fixed(SlotRole::Data, at, bytes);
                self.slots.pad(at, bytes);
            }
        }
        Some(())
    }

    fn finish(self, routine: &Routine, kind: MessageKind, complex: bool) -> Message {
        let id = match kind {
            MessageKind::Request => routine.id,
            MessageKind::Reply => routine.reply_id(),
        };
        let (mut slots, min, max) = self.slots.finish();
        let checks = &mut slots[0].check;
        checks.push(check("msgh_id", id));
        if min == max {
            checks.push(check("msgh_size", min));
        }
        checks.push(check("complex", u32::from(complex)));
        let complex = if complex { Complex::Always } else { Complex::Never };
        let steps = Steps::Untyped(steps::untyped(routine, kind, &slots));
        Message { kind, slots, min_size: min, max_size: max, complex, steps }
    }
}

fn disposition(port: PortType) -> Option<Check> {
    port.receiver.map(|right| check("disposition", right as u32))
}

/// What a descriptor says, for people.
pub(crate) fn descriptor_text(slot: &Slot, arg: &Arg) -> String {
    let mut text = match slot.role {
        SlotRole::Ool => "memory out of line".to_owned(),
        SlotRole::OolPorts => "rights out of line".to_owned(),
        _ => String::new(),
    };
    if slot.role != SlotRole::Port {
        match arg.dealloc {
            Dealloc::No => {}
            Dealloc::Yes => text += ", dealloc",
            Dealloc::RunTime => text += ", dealloc[]",
        }
        if arg.physical_copy {
            text += ", physical copy";
        }
    }
    text
}
