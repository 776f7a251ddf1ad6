//! A message as the steps in which a stub writes and reads it: what the emitters of the back end interpret.

use crate::model::{Form, MessageKind, Role, Routine, Slot, SlotRole, TypedStep, UntypedStep};

/// The steps of a typed message: one for each type word, but for that of the return code, which the runtime
/// writes and reads by itself.
pub(super) fn typed(slots: &[Slot]) -> Vec<TypedStep> {
    let words = slots.iter().filter_map(|slot| Some((slot.arg?, slot.word?)));
    words
        .map(|(arg, word)| {
            let is = |role| slots.iter().any(|slot| slot.arg == Some(arg) && slot.role == role);
            match is(SlotRole::Count) {
                true => TypedStep::Limit { arg, word },
                false => TypedStep::Value { arg, word, rest: rest_after(slots, arg) },
            }
        })
        .collect()
}

/// Bytes after the last argument of variable length, if that is `arg`.
fn rest_after(slots: &[Slot], arg: usize) -> Option<u32> {
    let last = slots.iter().rposition(|slot| slot.size.is_none())?;
    let rest: u32 = slots[last + 1..].iter().filter_map(|slot| slot.size).sum();
    (slots[last].arg == Some(arg)).then_some(rest)
}

/// The steps of an untyped message.
pub(super) fn untyped(routine: &Routine, kind: MessageKind, slots: &[Slot]) -> Vec<UntypedStep> {
    let mut steps = Vec::new();
    let mut described = None;
    let has_code = slots.iter().any(|slot| slot.role == SlotRole::RetCode);
    for slot in slots {
        match (slot.role, slot.arg) {
            (SlotRole::BodyCount, _) => {
                steps.push(UntypedStep::Descriptors(slot.check.first().map_or(0, |check| check.value)));
            }
            // An array of rights has a slot for each of them.
            (SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts, Some(_)) if described == slot.arg => {}
            (SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts, Some(arg)) => {
                described = slot.arg;
                steps.extend(in_descriptors(routine, slots, arg));
            }
            // The runtime writes and reads the record and the return code at once.
            (SlotRole::Ndr, _) if has_code => {}
            (SlotRole::Ndr, _) => steps.push(UntypedStep::Ndr),
            (SlotRole::RetCode, _) => steps.push(UntypedStep::RetCode),
            (SlotRole::Count, Some(arg)) => match &routine.args[arg].form {
                _ if kind == MessageKind::Request && routine.args[arg].role == Role::Out => {
                    steps.push(UntypedStep::Limit { arg });
                }
                // The count stands before the data, and is written and read with them.
                Form::Plain(_) => {}
                Form::Right(_) | Form::Rights(_) | Form::Memory(_) | Form::Parts(_) => {
                    steps.push(UntypedStep::Count { arg });
                    steps.extend(sharers(routine, arg));
                }
            },
            (SlotRole::Subs, Some(arg)) => steps.push(UntypedStep::Subs { arg }),
            (SlotRole::Data, Some(arg)) => {
                if let Form::Plain(plain) = &routine.args[arg].form {
                    steps.push(UntypedStep::Data { arg, plain: plain.clone() });
                    steps.extend(sharers(routine, arg));
                }
            }
            (
                SlotRole::Header
                | SlotRole::Type
                | SlotRole::Offset
                | SlotRole::Pad
                | SlotRole::Trailer
                | SlotRole::Port
                | SlotRole::Ool
                | SlotRole::OolPorts
                | SlotRole::Count
                | SlotRole::Subs
                | SlotRole::Data,
                _,
            ) => {}
        }
    }
    steps
}

/// The step for an argument in descriptors.
fn in_descriptors(routine: &Routine, slots: &[Slot], index: usize) -> Option<UntypedStep> {
    let arg = &routine.args[index];
    let has_count = || slots.iter().any(|slot| slot.role == SlotRole::Count && slot.arg == Some(index));
    let counted = arg.same_count.is_some() || has_count();
    match &arg.form {
        Form::Plain(_) => None,
        Form::Right(port) => Some(UntypedStep::Right { arg: index, port: *port }),
        Form::Rights(rights) => Some(UntypedStep::Rights { arg: index, rights: *rights, counted }),
        Form::Memory(memory) => Some(UntypedStep::Memory { arg: index, memory: memory.clone(), counted }),
        Form::Parts(_) => Some(UntypedStep::Parts { arg: index }),
    }
}

/// The steps for the arguments in descriptors that share the count of `first`. Descriptors stand before
/// counts, so all of these arguments have been written or read by then.
fn sharers(routine: &Routine, first: usize) -> impl Iterator<Item = UntypedStep> {
    let args = routine.args.iter().enumerate();
    let sharing =
        args.filter(move |(_, arg)| arg.same_count == Some(first) && !matches!(arg.form, Form::Plain(_)));
    sharing.map(move |(arg, _)| UntypedStep::SameCount { arg, first })
}
