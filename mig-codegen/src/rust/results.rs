//! The results of a routine: nothing, one value, or a structure.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::Generator;
use super::docs::{comment, doc, docs};
use super::form;
use super::names;
use super::untyped::{client_trailer, trailer_field};
use crate::model::{Arg, Routine};

/// The arguments that come back, with their indices.
pub(super) fn outs(routine: &Routine) -> Vec<(usize, &Arg)> {
    routine.args.iter().enumerate().filter(|(_, arg)| arg.in_reply()).collect()
}

impl Generator<'_> {
    /// The structure of several results.
    pub(super) fn results(&self, routine: &Routine) -> TokenStream {
        let outs = outs(routine);
        if outs.len() < 2 {
            return TokenStream::new();
        }
        let name = self.results_name(routine);
        let owns = outs.iter().any(|(_, arg)| form(&arg.ty).owns());
        let (derive, generics) = match owns {
            true => (quote!(#[derive(Debug)]), Some(self.kernel_generics())),
            false => (quote!(#[derive(Clone, Debug, PartialEq)]), None),
        };
        let fields = outs.iter().map(|(_, arg)| {
            let mut about = comment(&arg.doc);
            if about.is_empty() {
                about.push(format!("`{}`", arg.name));
            }
            let about = docs(&about);
            let name = names::snake(&arg.name);
            let ty = self.owned(form(&arg.ty));
            quote!(#about pub #name: #ty)
        });
        let doc = doc(&format!("What `{}` returns.", routine.name));
        quote! {
            #doc
            #derive
            pub struct #name #generics {
                #(#fields,)*
            }
        }
    }

    /// The type of a routine's results.
    pub(super) fn results_type(&self, routine: &Routine) -> TokenStream {
        match outs(routine)[..] {
            [] => quote!(()),
            [(_, arg)] => self.owned(form(&arg.ty)),
            ref outs => {
                let name = self.results_name(routine);
                let generics = outs.iter().any(|(_, arg)| form(&arg.ty).owns()).then(|| quote!(<K>));
                quote!(#name #generics)
            }
        }
    }

    /// The same with what the client finds in the trailer of the reply.
    pub(super) fn client_results_type(&self, routine: &Routine) -> TokenStream {
        let results = self.results_type(routine);
        let fields = client_trailer(routine).into_iter().filter_map(|arg| trailer_field(&self.rt, arg));
        let tokens: Vec<TokenStream> = fields.map(|(ty, _)| ty).collect();
        match tokens.is_empty() {
            true => results,
            false => quote!((#results, #(#tokens),*)),
        }
    }

    pub(super) fn results_name(&self, routine: &Routine) -> Ident {
        self.new_type(&format!("{}Reply", names::camel(&routine.name)))
    }

    /// `<K: rt::Kernel<Abi = Abi>>`
    pub(super) fn kernel_generics(&self) -> TokenStream {
        let rt = &self.rt;
        quote!(<K: #rt::Kernel<Abi = Abi>>)
    }
}
