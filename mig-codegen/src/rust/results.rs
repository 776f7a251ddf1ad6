//! The results of a routine: nothing, one value, or a structure.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;

use super::Generator;
use super::docs::{comment, doc, docs};
use super::names;
use crate::model::{Arg, Routine, TrailerField};

impl Generator<'_> {
    /// The structures of several results: as they travel, and as a method returns them where that differs.
    pub(super) fn results(&self, routine: &Routine) -> Vec<TokenStream> {
        if routine.results().len() < 2 {
            return Vec::new();
        }
        let derive = match self.is_generic(routine) {
            true => quote!(#[derive(Debug)]),
            false => quote!(#[derive(Clone, Debug, PartialEq)]),
        };
        let about = doc(&format!("What `{}` returns.", routine.name));
        let travels = self.results_structure(
            routine,
            self.results_name(routine),
            &quote!(#about #derive),
            self.is_generic(routine),
            |arg| self.owned(arg),
        );
        let returned = (self.side.server() && self.translates_results(routine)).then(|| {
            self.results_structure(
                routine,
                self.returned_name(routine),
                &doc(&format!(
                    "What a server's `{}` returns: [`{}`] before `outtran`.",
                    names::snake(&routine.name),
                    self.results_name(routine)
                )),
                self.is_generic_returned(routine),
                |arg| self.returned_type(arg),
            )
        });
        [travels].into_iter().chain(returned).collect()
    }

    fn results_structure(
        &self,
        routine: &Routine,
        name: &Ident,
        attributes: &TokenStream,
        generic: bool,
        ty: impl Fn(&Arg) -> TokenStream,
    ) -> TokenStream {
        let generics = generic.then(|| self.kernel_generics());
        let fields = routine.results().into_iter().map(|(_, arg)| {
            let mut about = comment(&arg.doc);
            if about.is_empty() {
                about.push(format!("`{}`", arg.name));
            }
            let about = docs(&about);
            let name = names::snake(&arg.name);
            let ty = ty(arg);
            quote!(#about pub #name: #ty)
        });
        quote! {
            #attributes
            pub struct #name #generics {
                #(#fields,)*
            }
        }
    }

    /// The type of a routine's results as they travel.
    pub(super) fn results_type(&self, routine: &Routine) -> TokenStream {
        match routine.results()[..] {
            [] => quote!(()),
            [(_, arg)] => self.owned(arg),
            _ => {
                let name = self.results_name(routine);
                let generics = self.is_generic(routine).then(|| quote!(<K>));
                quote!(#name #generics)
            }
        }
    }

    /// The same with what the client finds in the trailer of the reply.
    pub(super) fn client_results_type(&self, routine: &Routine) -> TokenStream {
        let results = self.results_type(routine);
        let fields = routine.client_trailer().into_iter().map(|field| trailer_field(&self.rt, field));
        let tokens: Vec<TokenStream> = fields.map(|(ty, _)| ty).collect();
        match tokens.is_empty() {
            true => results,
            false => quote!((#results, #(#tokens),*)),
        }
    }

    /// The type of the results that a server's method returns.
    pub(super) fn returned_results_type(&self, routine: &Routine) -> TokenStream {
        match routine.results()[..] {
            _ if !self.translates_results(routine) => self.results_type(routine),
            [(_, arg)] => self.returned_type(arg),
            _ => {
                let name = self.returned_name(routine);
                let generics = self.is_generic_returned(routine).then(|| quote!(<K>));
                quote!(#name #generics)
            }
        }
    }

    /// Makes of the variable `results` that a method has returned the one that travels.
    pub(super) fn translate_results(&self, routine: &Routine) -> Option<TokenStream> {
        if !self.translates_results(routine) {
            return None;
        }
        if let [(_, arg)] = routine.results()[..] {
            let value = self.translate_out(arg, quote!(results));
            return Some(quote!(let results = #value;));
        }
        let name = self.results_name(routine);
        let fields = routine.results().into_iter().map(|(_, arg)| {
            let field = names::snake(&arg.name);
            let value = self.translate_out(arg, quote!(results.#field));
            quote!(#field: #value)
        });
        Some(quote!(let results = #name { #(#fields),* };))
    }

    /// The type of one result that a server's method returns.
    fn returned_type(&self, arg: &Arg) -> TokenStream {
        match self.out_translation(arg) {
            Some((translated, _)) => translated.clone(),
            None => self.owned(arg),
        }
    }

    fn is_generic(&self, routine: &Routine) -> bool {
        routine.results().into_iter().any(|(_, arg)| arg.form.owns())
    }

    fn is_generic_returned(&self, routine: &Routine) -> bool {
        routine.results().into_iter().any(|(_, arg)| mentions_kernel(self.returned_type(arg)))
    }

    /// The name of the structure of results that a server's method returns.
    fn returned_name(&self, routine: &Routine) -> &Ident {
        &self.names.returned[&routine.id]
    }

    pub(super) fn results_name(&self, routine: &Routine) -> &Ident {
        &self.names.results[&routine.id]
    }

    /// `<K: rt::Kernel<Abi = Abi>>`
    pub(super) fn kernel_generics(&self) -> TokenStream {
        let rt = &self.rt;
        quote!(<K: #rt::Kernel<Abi = Abi>>)
    }
}

/// A field of the trailer: its type, and the method that reads it.
pub(super) fn trailer_field(rt: &Ident, field: TrailerField) -> (TokenStream, TokenStream) {
    match field {
        TrailerField::Seqno => (quote!(#rt::Seqno), quote!(seqno)),
        TrailerField::Sender => (quote!(#rt::SecurityToken), quote!(sender)),
        TrailerField::Audit => (quote!(#rt::AuditToken), quote!(audit)),
        TrailerField::Context => (quote!(u64), quote!(context)),
    }
}

/// True if a type depends on `K`.
fn mentions_kernel(ty: TokenStream) -> bool {
    ty.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "K",
        TokenTree::Group(group) => mentions_kernel(group.stream()),
        _ => false,
    })
}
