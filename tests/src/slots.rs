//! A message as the C stubs made it against our slot table: id, size, complex bit and every type word.

use mig_codegen::model::{Complex, Dealloc, InLine, Message, Routine, SlotRole, TypeWord};

use crate::oracle::CAbi;
use crate::values::Side;
use crate::wire::{self, Item};

/// Compares a message that a C stub sent with the slot table of a routine.
///
/// # Errors
///
/// What differs.
pub fn compare(abi: CAbi, routine: &Routine, side: Side, bytes: &[u8]) -> Result<(), String> {
    let (table, id) = match side {
        Side::Request => (&routine.request, routine.id),
        Side::Reply => (routine.reply.as_ref().ok_or("no reply is declared")?, routine.reply_id()),
    };
    let size = u32::try_from(bytes.len()).map_err(|error| error.to_string())?;
    if !(table.min_size..=table.max_size).contains(&size) {
        return Err(format!("{size} bytes, where {} to {} are declared", table.min_size, table.max_size));
    }
    expect("msgh_size", wire::u32_at(bytes, wire::SIZE), size)?;
    expect("msgh_id", wire::u32_at(bytes, wire::shape(abi).id), id)?;
    complex(table, wire::u32_at(bytes, 0) & wire::COMPLEX != 0)?;
    let items = wire::items(abi, bytes).ok_or("type words that do not fill it")?;
    let words: Vec<_> = table.slots.iter().filter(|slot| slot.role == SlotRole::Type).collect();
    expect("number of type words", items.len(), words.len())?;
    for (item, slot) in items.iter().zip(words) {
        let name = slot.arg.map_or("return code", |arg| routine.args[arg].name.as_str());
        let word = slot.word.as_ref().ok_or("a slot without its type word")?;
        if let Some(offset) = slot.offset {
            expect(&format!("{name}: offset"), item.offset, offset as usize)?;
        }
        compare_word(item, word).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn complex(table: &Message, is: bool) -> Result<(), String> {
    match table.complex {
        Complex::Always => expect("complex bit", is, true),
        Complex::Never => expect("complex bit", is, false),
        Complex::Depends => Ok(()),
    }
}

fn compare_word(item: &Item, word: &TypeWord) -> Result<(), String> {
    if let Some(name) = word.sent {
        expect("name", item.name, name)?;
    }
    let bits = if item.inline { word.bits } else { word.out_of_line_bits };
    expect("size", item.bits, bits)?;
    match word.number {
        Some(number) => expect("number", item.number, number)?,
        None => expect("number, modulo the multiplier", item.number % word.multiplier.max(1), 0)?,
    }
    match word.in_line {
        InLine::Yes => expect("inline", item.inline, true)?,
        InLine::No => expect("inline", item.inline, false)?,
        InLine::UpTo(most) if word.multiplier != 0 => {
            expect("inline", item.inline, item.number / word.multiplier <= most)?;
        }
        InLine::UpTo(_) => {}
    }
    expect("longform", item.long, word.long)?;
    match word.deallocate {
        Dealloc::Yes if !item.inline => expect("deallocate", item.deallocate, true),
        Dealloc::No => expect("deallocate", item.deallocate, false),
        _ => Ok(()),
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, c: T, ours: T) -> Result<(), String> {
    if c == ours { Ok(()) } else { Err(format!("{what}: C {c:?}, the table {ours:?}")) }
}
