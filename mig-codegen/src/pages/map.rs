//! A message drawn as a map of its bytes: rows of eight, a cell for each part of a slot in a row.

use crate::model::{Indirect, Message, Routine, Slot, SlotRole};

use super::html::escape;

/// Bytes in a row.
const ROW: u32 = 8;

/// The map of a message as a table of HTML.
pub(super) fn html(routine: &Routine, message: &Message) -> String {
    let mut map = Map { text: "<table class=\"map\">\n".to_owned(), column: 0, open: false };
    for slot in message.slots.iter().filter(|slot| slot.role != SlotRole::Trailer) {
        map.slot(routine, slot);
    }
    map.end_row();
    map.text + "</table>\n"
}

struct Map {
    text: String,
    /// How many bytes of the row are drawn.
    column: u32,
    /// A row has begun.
    open: bool,
}

impl Map {
    fn slot(&mut self, routine: &Routine, slot: &Slot) {
        let label = label(routine, slot);
        let Some(size) = slot.size else {
            // It begins a row, and so does what follows, since nobody knows where that is.
            self.end_row();
            let most = slot.max.map_or("any number of".to_owned(), |most| format!("0 to {most}"));
            self.whole_row(slot.offset, slot, &format!("{label}, {most} bytes"), " varies");
            return;
        };
        let mut left = size;
        let mut at = slot.offset;
        while left > 0 {
            if self.column == 0 && left > ROW {
                // What fills several rows is drawn as one.
                let whole = left - left % ROW;
                self.whole_row(at, slot, &format!("{label}, {size} bytes"), "");
                at = at.map(|at| at + whole);
                left -= whole;
                continue;
            }
            let part = left.min(ROW - self.column);
            self.cell(at, slot, part, if left == size || size <= ROW { &label } else { "…" });
            at = at.map(|at| at + part);
            left -= part;
        }
    }

    fn whole_row(&mut self, at: Option<u32>, slot: &Slot, label: &str, more: &str) {
        self.begin_row(at);
        let class = class(slot);
        self.text += &format!("<td colspan=\"{ROW}\" class=\"{class}{more}\">{}</td>", escape(label));
        self.column = ROW;
        self.end_row();
    }

    fn cell(&mut self, at: Option<u32>, slot: &Slot, bytes: u32, label: &str) {
        self.begin_row(at);
        let label = escape(label);
        self.text +=
            &format!("<td colspan=\"{bytes}\" class=\"{}\" title=\"{label}\">{label}</td>", class(slot));
        self.column += bytes;
        if self.column == ROW {
            self.end_row();
        }
    }

    fn begin_row(&mut self, at: Option<u32>) {
        if !self.open {
            self.text += &format!("<tr><th>{}</th>", at.map_or("…".to_owned(), |at| at.to_string()));
            self.open = true;
        }
    }

    fn end_row(&mut self) {
        if self.open {
            if self.column < ROW {
                self.text += &format!("<td colspan=\"{}\" class=\"none\"></td>", ROW - self.column);
            }
            self.text += "</tr>\n";
        }
        (self.column, self.open) = (0, false);
    }
}

fn label(routine: &Routine, slot: &Slot) -> String {
    let name = slot.arg.map(|index| routine.args[index].name.as_str());
    let what = match (slot.role, slot.indirect) {
        (SlotRole::Type, _) => "type",
        (SlotRole::Count, _) => "count",
        (SlotRole::Subs, _) => "counts of its parts",
        (SlotRole::Pad, _) => return "pad".to_owned(),
        (SlotRole::Data, Indirect::Always) => "address",
        (SlotRole::Data, Indirect::Depends) => "data or address",
        (SlotRole::Data, Indirect::Never) => return name.unwrap_or("data").to_owned(),
        (role, _) => role.name(),
    };
    name.map_or(what.to_owned(), |name| format!("{name}: {what}"))
}

fn class(slot: &Slot) -> &'static str {
    match slot.role {
        SlotRole::Header | SlotRole::BodyCount | SlotRole::Ndr | SlotRole::Trailer => "header",
        SlotRole::Type | SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts => "descriptor",
        SlotRole::Count | SlotRole::Subs | SlotRole::Offset => "count",
        SlotRole::Data => "data",
        SlotRole::Pad => "pad",
        SlotRole::RetCode => "code",
    }
}
