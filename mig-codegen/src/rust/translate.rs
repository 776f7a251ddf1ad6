//! Translations: `intran` and its kin, for types that have a Rust type of the user's.
//!
//! C calls the functions that the `.defs` names. Here they are methods of the server's trait, so that they
//! can look into the server; the destructor is the `Drop` of the translated value. A translation whose Rust
//! type is not known does nothing: the method gets the right or the data itself.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::docs::doc;
use super::item_names::Keyword;
use super::{Generator, names};
use crate::model::{Arg, Form, Role, Routine, Type};

impl Generator<'_> {
    /// The Rust type that an argument is translated to on its way to a method, and the functions that do it.
    pub(super) fn in_translation<'r>(&self, arg: &'r Arg) -> Option<(&TokenStream, InTranslation<'r>)> {
        let c = &arg.ty.c;
        let is_request_port = arg.role == Role::RequestPort;
        if !is_request_port && !arg.in_request() {
            return None;
        }
        let function = c.in_tran.as_deref()?;
        let payload = c.in_tran_payload.as_deref().filter(|_| is_request_port);
        Some((self.translated_type(&arg.ty)?, InTranslation { function, payload }))
    }

    /// The Rust type that a method returns a result as, and the function that makes what travels.
    pub(super) fn out_translation<'r>(&self, arg: &'r Arg) -> Option<(&TokenStream, &'r str)> {
        let function = arg.ty.c.out_tran.as_deref().filter(|_| arg.in_reply())?;
        Some((self.translated_type(&arg.ty)?, function))
    }

    fn translated_type(&self, ty: &Type) -> Option<&TokenStream> {
        self.extern_types.get(ty.c.trans.as_deref()?)
    }

    /// The results as the method returns them, if one of them is translated.
    pub(super) fn translates_results(&self, routine: &Routine) -> bool {
        routine.results().into_iter().any(|(_, arg)| self.out_translation(arg).is_some())
    }

    /// The value of a translated argument for its method, made of what arrived.
    pub(super) fn translate_in(&self, arg: &Arg, arrived: TokenStream) -> TokenStream {
        let Some((_, InTranslation { function, payload })) = self.in_translation(arg) else { return arrived };
        let function = self.names.translation(arg, Keyword::InTran, function);
        let source = match &arg.form {
            Form::Right(_) => quote!(#arrived.name()),
            _ => arrived.clone(),
        };
        let value = quote!(S::#function(server, #source)?);
        let payload = payload.map(|payload| self.names.translation(arg, Keyword::InTranPayload, payload));
        let Some(payload) = payload else { return value };
        quote! {
            match #arrived.payload() {
                Some(payload) => S::#payload(server, payload)?,
                None => #value,
            }
        }
    }

    /// The value of a result for the reply, made of what the method has returned.
    pub(super) fn translate_out(&self, arg: &Arg, returned: TokenStream) -> TokenStream {
        match self.out_translation(arg) {
            None => returned,
            Some((_, function)) => {
                let function = self.names.translation(arg, Keyword::OutTran, function);
                quote!(S::#function(server, #returned)?)
            }
        }
    }

    /// The methods that translate: one for each function and type, however many arguments it translates.
    pub(super) fn translations(&self) -> Vec<TokenStream> {
        let mut methods = BTreeMap::new();
        let mut add = |arg: &Arg, keyword, function: &str, from: &(Ident, TokenStream), to: &TokenStream| {
            let method = self.names.translation(arg, keyword, function);
            methods.insert(method.to_string(), self.translation(&method, keyword, function, from, to));
        };
        for arg in self.interface.routines.iter().flat_map(|routine| &routine.args) {
            if let Some((to, InTranslation { function, payload })) = self.in_translation(arg) {
                let from = self.translation_source(arg);
                add(arg, Keyword::InTran, function, &from, to);
                if let Some(payload) = payload {
                    let from = (names::ident("payload"), quote!(usize));
                    add(arg, Keyword::InTranPayload, payload, &from, to);
                }
            }
            if let Some((from, function)) = self.out_translation(arg) {
                let to = self.owned(arg);
                let from = (names::ident("value"), from.clone());
                add(arg, Keyword::OutTran, function, &from, &to);
            }
        }
        methods.into_values().collect()
    }

    /// What a translation starts from: the name of a right, which stays with the request, or data.
    fn translation_source(&self, arg: &Arg) -> (Ident, TokenStream) {
        let rt = &self.rt;
        match &arg.form {
            Form::Right(_) if self.interface.is_in_kernel() => {
                (names::ident("port"), quote!(#rt::PortAddress))
            }
            Form::Right(_) => (names::ident("port"), quote!(#rt::Name)),
            Form::Plain(_) | Form::Rights(_) | Form::Memory(_) | Form::Parts(_) => {
                (names::ident("value"), self.server_param(arg))
            }
        }
    }

    fn translation(
        &self,
        method: &Ident,
        keyword: Keyword,
        function: &str,
        (name, from): &(Ident, TokenStream),
        to: &TokenStream,
    ) -> TokenStream {
        let rt = &self.rt;
        let keyword = match keyword {
            Keyword::InTran => "intran",
            Keyword::InTranPayload => "intranpayload",
            Keyword::OutTran => "outtran",
        };
        let doc = doc(&format!("`{function}` (`{keyword}`); an error answers the request."));
        quote! {
            #doc
            fn #method(&self, #name: #from) -> Result<#to, #rt::KernReturn>;
        }
    }
}

/// The C functions of a translation to a method.
pub(super) struct InTranslation<'r> {
    /// `intran`
    function: &'r str,
    /// `intranpayload`
    payload: Option<&'r str>,
}
