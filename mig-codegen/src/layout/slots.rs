//! A list of slots that grows: what both layouts have in common.

use mig_parser::diagnostics::{Diagnostic, Diagnostics};

use crate::codes;
use crate::model::{Check, Indirect, Routine, Slot, SlotRole};

/// No message may be larger: sizes are signed in places, and no kernel takes that much.
const LARGEST: u64 = i32::MAX as u64;

/// A message, or an argument in it, has no room in a message.
pub(super) struct TooLarge {
    /// Index of the argument that was one too many.
    pub(super) arg: Option<usize>,
}

impl TooLarge {
    pub(super) fn report(&self, which: &str, routine: &Routine, diagnostics: &mut Diagnostics) {
        let span = self.arg.map_or(routine.span, |arg| routine.args[arg].span);
        diagnostics.push(
            Diagnostic::error(
                codes::MESSAGE_TOO_LARGE,
                span,
                format!("the {which} of `{}` is too large for a message", routine.name),
                "this does not fit",
            )
            .with_help("a message has less than 2 GiB; send large data out of line: `^array[] of …`"),
        );
    }
}

/// The slots of a message that is being laid out, and how large they are together.
pub(super) struct Slots {
    alignment: u64,
    list: Vec<Slot>,
    /// Where the next slot starts, as long as that is fixed.
    at: Option<u64>,
    min: u64,
    max: u64,
}

impl Slots {
    /// A header, followed by data that is padded to the alignment.
    pub(super) fn new(header: usize, alignment: usize) -> Self {
        let mut slots = Slots { alignment: alignment as u64, list: Vec::new(), at: Some(0), min: 0, max: 0 };
        slots.fixed(SlotRole::Header, None, header as u64);
        slots
    }

    /// A slot of fixed size.
    pub(super) fn fixed(&mut self, role: SlotRole, arg: Option<usize>, size: u64) -> &mut Slot {
        let at = self.at;
        self.at = at.map(|at| at + size);
        self.min += size;
        self.max += size;
        self.push(fixed(role, arg, at, size))
    }

    /// Data of variable size, `most` bytes at most, and its padding. `None` if it is too large.
    pub(super) fn counted(
        &mut self,
        role: SlotRole,
        arg: Option<usize>,
        element: u64,
        most: u64,
        indirect: Indirect,
    ) -> Option<()> {
        let slot = Slot {
            role,
            arg,
            offset: self.at.map(narrow),
            size: None,
            max: Some(u32::try_from(most).ok()?),
            element: Some(u32::try_from(element).ok()?),
            indirect,
            check: Vec::new(),
            word: None,
        };
        self.push(slot.clone());
        self.at = None;
        self.max += most.next_multiple_of(self.alignment);
        if element % self.alignment != 0 {
            self.push(Slot {
                role: SlotRole::Pad,
                offset: None,
                max: Some(narrow(self.alignment - 1)),
                element: Some(1),
                indirect: Indirect::Never,
                ..slot
            });
        }
        Some(())
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Lets the receiver compare none of these fields, in the slots from `first` on.
    pub(super) fn forget_checks(&mut self, first: usize, fields: &[&str]) {
        for slot in &mut self.list[first..] {
            slot.check.retain(|check| !fields.contains(&check.field));
        }
    }

    /// Padding after `size` bytes of fixed data.
    pub(super) fn pad(&mut self, arg: Option<usize>, size: u64) {
        let pad = size.next_multiple_of(self.alignment) - size;
        if pad != 0 {
            self.fixed(SlotRole::Pad, arg, pad);
        }
    }

    /// A slot after the message, which does not count to its size.
    pub(super) fn after_message(&mut self, role: SlotRole, arg: usize, offset: u64, size: u64) {
        self.push(fixed(role, Some(arg), self.at.map(|at| at + offset), size));
    }

    /// Checks that the slots are still small enough for a message; `arg` is the argument that came last.
    pub(super) fn fits(&self, arg: Option<usize>) -> Result<(), TooLarge> {
        if self.max > LARGEST { Err(TooLarge { arg }) } else { Ok(()) }
    }

    /// The slots, the header's first, and the sizes of the smallest and the largest message.
    pub(super) fn finish(self) -> (Vec<Slot>, u32, u32) {
        (self.list, narrow(self.min), narrow(self.max))
    }

    fn push(&mut self, slot: Slot) -> &mut Slot {
        self.list.push(slot);
        self.list.last_mut().expect("a slot was just added")
    }
}

fn fixed(role: SlotRole, arg: Option<usize>, at: Option<u64>, size: u64) -> Slot {
    Slot {
        role,
        arg,
        offset: at.map(narrow),
        size: Some(narrow(size)),
        max: None,
        element: None,
        indirect: Indirect::Never,
        check: Vec::new(),
        word: None,
    }
}

/// Every size was compared with [`LARGEST`] before the next slot; one slot is at most 4 GiB.
fn narrow(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

pub(super) fn check(field: &'static str, value: u32) -> Check {
    Check { field, value: u64::from(value) }
}
