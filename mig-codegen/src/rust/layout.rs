//! Assertions in the output that the runtime lays messages out as the slot tables say.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::Generator;
use super::form;
use super::forms::Form;
use super::words::word_of;
use crate::model::{Message, Routine, Slot, SlotRole};

impl Generator<'_> {
    /// The assertions of all messages.
    pub(super) fn layout_checks(&self) -> TokenStream {
        let rt = &self.rt;
        if self.interface.routines.is_empty() {
            return TokenStream::new();
        }
        let mut checks = Vec::new();
        for routine in &self.interface.routines {
            checks.push(self.check(routine, &routine.request));
            checks.extend(routine.reply.as_ref().map(|reply| self.check(routine, reply)));
        }
        let messages =
            self.interface.routines.iter().flat_map(|routine| routine.reply.iter().chain([&routine.request]));
        let has_items = messages.flat_map(|message| &message.slots).any(is_item);
        let names = has_items.then(|| quote!(, *));
        let doc = super::docs::doc("The runtime lays these messages out as the compiler's tables say.");
        quote! {
            #doc
            const _: () = {
                use #rt::layout::Item::{self #names};
                const fn check(items: &[Item], offsets: &[usize], size: usize) {
                    #rt::layout::check::<Abi>(items, offsets, size);
                }
                #(#checks)*
            };
        }
    }

    fn check(&self, routine: &Routine, message: &Message) -> TokenStream {
        if !self.is_typed() {
            return untyped_check(message);
        }
        let words = message.slots.iter().filter(|slot| slot.role == SlotRole::Type);
        let items = words.clone().map(|slot| self.item(routine, message, slot));
        let offsets = words.filter_map(|slot| slot.offset).map(Literal::u32_unsuffixed);
        let size = Literal::u32_unsuffixed(message.max_size);
        quote!(check(&[#(#items),*], &[#(#offsets),*], #size);)
    }

    /// What stands behind a type word.
    fn item(&self, routine: &Routine, message: &Message, slot: &Slot) -> TokenStream {
        let Some(index) = slot.arg else { return quote!(Data(4)) };
        let arg = &routine.args[index];
        let is_count =
            message.slots.iter().any(|other| other.arg == slot.arg && other.role == SlotRole::Count);
        if is_count {
            return quote!(Data(4));
        }
        let long = word_of(message, index).is_some_and(|word| word.long);
        let data = message.slots.iter().find(|other| other.arg == slot.arg && other.role == SlotRole::Data);
        let most = data.and_then(|data| data.size.or(data.max)).unwrap_or(0);
        let most = Literal::u32_unsuffixed(most);
        match (form(&arg.ty), long) {
            (Form::Right(_), false) => quote!(Port),
            (Form::OutOfLine(_) | Form::OutOfLineRights(_), true) => quote!(OutOfLine),
            (Form::OutOfLine(_) | Form::OutOfLineRights(_), false) => quote!(ShortOutOfLine),
            (Form::Indefinite(_) | Form::IndefiniteRights(_), true) => quote!(Indefinite(#most)),
            (Form::Indefinite(_) | Form::IndefiniteRights(_), false) => quote!(ShortIndefinite(#most)),
            (Form::BoundedRights(_, count), false) => {
                let count = Literal::u32_unsuffixed(count);
                quote!(Ports(#count))
            }
            (Form::Slice(..) | Form::BoundedString(_), false) => quote!(Array(#most)),
            (Form::Slice(..) | Form::BoundedString(_) | Form::BoundedRights(..), true) => {
                quote!(LongArray(#most))
            }
            (_, false) => quote!(Data(#most)),
            (_, true) => quote!(LongData(#most)),
        }
    }
}

/// True for what the runtime places by itself: all but the header, padding and trailer.
fn is_item(slot: &Slot) -> bool {
    !matches!(slot.role, SlotRole::Header | SlotRole::Pad | SlotRole::Trailer)
}

/// The check of an untyped message: every slot is an item.
fn untyped_check(message: &Message) -> TokenStream {
    let slots = message.slots.iter().filter(|slot| is_item(slot));
    let items = slots.clone().map(|slot| {
        let size = Literal::u32_unsuffixed(slot.size.or(slot.max).unwrap_or(0));
        match (slot.role, slot.size) {
            (SlotRole::Port, _) => quote!(Port),
            (SlotRole::Ool | SlotRole::OolPorts, _) => quote!(OutOfLine),
            (SlotRole::Ndr, _) => quote!(Ndr),
            (_, Some(_)) => quote!(Data(#size)),
            (_, None) => quote!(Array(#size)),
        }
    });
    let offsets = slots.filter_map(|slot| slot.offset).map(Literal::u32_unsuffixed);
    let size = Literal::u32_unsuffixed(message.max_size);
    quote!(check(&[#(#items),*], &[#(#offsets),*], #size);)
}
