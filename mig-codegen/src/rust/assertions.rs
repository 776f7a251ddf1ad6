//! Assertions in the output that the runtime lays messages out as the slot tables say.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::Generator;
use crate::model::{Message, MessageKind, Routine, Slot, SlotRole};

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
                const fn check(message: &str, items: &[Item], offsets: &[usize], size: usize) {
                    #rt::layout::check::<Abi>(message, items, offsets, size);
                }
                #(#checks)*
            };
        }
    }

    fn check(&self, routine: &Routine, message: &Message) -> TokenStream {
        let (items, offsets) = self.layout_items(routine, message);
        let offsets = offsets.into_iter().map(Literal::u32_unsuffixed);
        let size = Literal::u32_unsuffixed(message.max_size);
        let name = match message.kind {
            MessageKind::Request => format!("{}, request", routine.name),
            MessageKind::Reply => format!("{}, reply", routine.name),
        };
        quote!(check(#name, &[#(#items),*], &[#(#offsets),*], #size);)
    }
}

/// True for what the runtime places by itself: all but the header, padding and trailer.
fn is_item(slot: &Slot) -> bool {
    !matches!(slot.role, SlotRole::Header | SlotRole::Pad | SlotRole::Trailer)
}
