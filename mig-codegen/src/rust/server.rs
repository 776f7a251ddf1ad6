//! The server's side: a trait, its demux function, the stubs between them, and replies that come later.

use mig_abi::NotificationId;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::docs::{self, comment, doc, docs};
use super::emit::{End, Reader, Writer};
use super::names::{limit, param_name};
use super::results::trailer_field;
use super::{Generator, names};
use crate::model::{Arg, Form, Plain, Role, Routine};

impl Generator<'_> {
    /// Everything that a server needs.
    pub(super) fn server(&self) -> Vec<TokenStream> {
        let routines = &self.interface.routines;
        let mut items = vec![self.server_trait(), self.demux(), self.adapter()];
        items.extend(routines.iter().map(|routine| self.stub(routine)));
        items.extend(routines.iter().map(|routine| self.encoder(routine)));
        items.extend(routines.iter().map(|routine| self.deferred(routine)));
        items
    }

    fn server_trait(&self) -> TokenStream {
        let rt = &self.rt;
        let name = &self.names.server;
        let methods = self.interface.routines.iter().map(|routine| self.method(routine));
        let translations = self.translations();
        let conventions = self.breaks_conventions().then(|| {
            quote!(, clippy::wrong_self_convention, clippy::new_ret_no_self, clippy::should_implement_trait)
        });
        let mut about = comment(&self.interface.doc);
        if !about.is_empty() {
            about.push(String::new());
        }
        about.push(format!("A server of `{}`.", self.interface.name));
        about.push(String::new());
        about.push("What it does not implement answers `MIG_BAD_ID`.".to_owned());
        let about = docs(&about);
        quote! {
            #about
            #[allow(unused_variables, clippy::too_many_arguments #conventions)]
            pub trait #name<K: #rt::Kernel<Abi = Abi>> {
                #(#translations)*
                #(#methods)*
            }
        }
    }

    /// Whether a method has a name from which clippy expects another signature, such as `into_port` or `new`.
    fn breaks_conventions(&self) -> bool {
        const CONVENTIONS: &[&str] = &["as_", "from_", "into_", "is_", "to_", "new"];
        let methods = self.interface.routines.iter().map(|routine| names::snake_text(&routine.name));
        let translations = self.names.translations().map(|name| name.to_string());
        methods.chain(translations).any(|name| CONVENTIONS.iter().any(|start| name.starts_with(start)))
    }

    fn method(&self, routine: &Routine) -> TokenStream {
        let rt = &self.rt;
        let name = names::snake(&routine.name);
        let params = self.server_params(routine).into_iter().map(|param| {
            let ServerParam { name, ty, .. } = param;
            quote!(#name: #ty)
        });
        let results = self.returned_results_type(routine);
        let about = docs(&self.method_docs(routine));
        quote! {
            #about
            fn #name(&self, #(#params),*) -> Result<#results, #rt::KernReturn> {
                Err(#rt::KernReturn::MIG_BAD_ID)
            }
        }
    }

    fn method_docs(&self, routine: &Routine) -> Vec<String> {
        if !self.side.client() {
            return docs::routine(routine);
        }
        let mut lines = comment(&routine.doc);
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let name = names::snake(&routine.user);
        lines.push(format!("`{}`, sent by [`{name}()`].", routine.server));
        lines
    }

    /// The parameters of a method.
    fn server_params<'r>(&self, routine: &'r Routine) -> Vec<ServerParam<'r>> {
        let rt = &self.rt;
        let mut params = Vec::new();
        for arg in &routine.args {
            let name = names::snake(&arg.name);
            let (name, ty) = match arg.role {
                Role::In if is_dead_name(routine, arg) => (name, quote!(#rt::DeadName<K>)),
                Role::In | Role::InOut => (name, self.server_param(arg)),
                Role::RequestPort => (name, quote!(#rt::Port<'_, K>)),
                Role::Trailer { field, server: true, .. } => (name, trailer_field(rt, field).0),
                Role::Out if arg.count_in_out => (limit(routine, arg), quote!(u32)),
                Role::Out
                | Role::ReplyPort { .. }
                | Role::WaitTime
                | Role::SendTime
                | Role::MsgOption
                | Role::Trailer { .. } => continue,
            };
            let param = ServerParam { name, ty, arg, translated: false };
            match self.in_translation(arg) {
                None => params.push(param),
                Some((translated, _)) => {
                    // The port itself follows: it is the way to answer later.
                    let port = (arg.role == Role::RequestPort).then(|| {
                        let name = param_name(routine, &format!("{}_port", names::snake_text(&arg.name)));
                        ServerParam { name, ty: param.ty.clone(), ..param }
                    });
                    params.push(ServerParam { ty: translated.clone(), translated: true, ..param });
                    params.extend(port);
                }
            }
        }
        params
    }

    fn demux(&self) -> TokenStream {
        let rt = &self.rt;
        let name = &self.names.demux;
        let trait_name = &self.names.server;
        let arms = self.interface.routines.iter().map(|routine| {
            let id = self.id(routine);
            let stub = &self.names.stubs[&routine.id];
            quote!(#id => #stub(server, request, out),)
        });
        // Without routines the demux function has nothing to choose from.
        let body = match self.interface.routines.is_empty() {
            true => quote! {
                let _ = (server, request, out);
                false
            },
            false => quote! {
                match request.id() {
                    #(#arms)*
                    _ => return false,
                }
                true
            },
        };
        let about = docs(&[
            "Serves a request with the server's method for its id.".to_owned(),
            String::new(),
            "False if no routine has that id; the request is untouched then.".to_owned(),
        ]);
        quote! {
            #about
            pub fn #name<K, S>(
                server: &S,
                request: &mut #rt::Received<'_, K>,
                out: &mut #rt::Reply<'_, K>,
            ) -> bool
            where
                K: #rt::Kernel<Abi = Abi>,
                S: #trait_name<K> + ?Sized,
            {
                #body
            }
        }
    }

    fn adapter(&self) -> TokenStream {
        let rt = &self.rt;
        let interface = self.interface;
        let (demux, name) = (&self.names.demux, &self.names.adapter);
        let trait_name = &self.names.server;
        let (base, end) = (Literal::u32_unsuffixed(interface.base), Literal::u32_unsuffixed(interface.end));
        let error = interface.facts().error_reply as u32;
        let header = interface.facts().header as u32;
        let request = interface.routines.iter().map(|routine| routine.request.max_size).max();
        let replies = interface.routines.iter().flat_map(|routine| &routine.reply);
        let reply = replies.map(|reply| reply.max_size).max().unwrap_or(0).max(error);
        let request = Literal::u32_unsuffixed(request.unwrap_or(header));
        let reply = Literal::u32_unsuffixed(reply);
        let doc = doc(&format!(
            "`{}` for a server loop: `Server::on(&set).with({name}(&server))`.",
            interface.name
        ));
        quote! {
            #doc
            #[allow(dead_code)]
            pub fn #name<'s, K, S>(server: &'s S) -> impl #rt::Subsystem<K> + 's
            where
                K: #rt::Kernel<Abi = Abi>,
                S: #trait_name<K> + ?Sized,
            {
                let largest = #rt::Largest { request: #request, reply: #reply };
                #rt::subsystem(#base..#end, largest, move |request, out| #demux(server, request, out))
            }
        }
    }

    /// Takes a request apart, calls the method, and encodes what it returns.
    fn stub(&self, routine: &Routine) -> TokenStream {
        let rt = &self.rt;
        let name = &self.names.stubs[&routine.id];
        let trait_name = &self.names.server;
        let to = if routine.results().is_empty() { quote!(_) } else { quote!(out) };
        let body = self.stub_body(routine);
        quote! {
            fn #name<K, S>(server: &S, request: &#rt::Received<'_, K>, out: &mut #rt::Reply<'_, K>)
            where
                K: #rt::Kernel<Abi = Abi>,
                S: #trait_name<K> + ?Sized,
            {
                out.serve(|#to| {
                    #body
                });
            }
        }
    }

    fn stub_body(&self, routine: &Routine) -> TokenStream {
        let params = self.server_params(routine);
        let tokens: Vec<TokenStream> = params.iter().filter_map(|param| self.trailer_local(param)).collect();
        let values: Vec<TokenStream> = params.iter().map(|param| self.argument_value(param)).collect();
        let method = names::snake(&routine.name);
        let only_code = routine.ret_code().map(|code| {
            let nothing = self.nothing_but_code(routine, code, &params);
            let ty = self.owned(code);
            quote! {
                if let Some(code) = request.ret_code::<#ty>()? {
                    #nothing
                    #(#tokens)*
                    S::#method(server, #(#values),*)?;
                    return Ok(());
                }
            }
        });
        let read = self.read_request(routine, &params);
        let call = quote!(S::#method(server, #(#values),*)?);
        let finish = self.finish(routine, call);
        quote!(#only_code #read #(#tokens)* #finish)
    }

    /// What the kernel has added to the request, in a variable.
    fn trailer_local(&self, param: &ServerParam<'_>) -> Option<TokenStream> {
        let (field, local) = (param.arg.server_trailer()?, param.local());
        let read = self.request_trailer(field);
        Some(quote!(let #local = #read;))
    }

    /// What the method gets for a parameter.
    fn argument_value(&self, param: &ServerParam<'_>) -> TokenStream {
        let (arg, local) = (param.arg, param.local());
        let value = match (arg.role, &arg.form) {
            (Role::RequestPort, _) => quote!(request.port()),
            (Role::In | Role::InOut, Form::Plain(Plain::Slice(element, _))) if !self.is_borrowed(element) => {
                quote!(&#local)
            }
            _ => quote!(#local),
        };
        if param.translated { self.translate_in(arg, value) } else { value }
    }

    /// The arguments of a request that brings a return code and nothing else.
    fn nothing_but_code(&self, routine: &Routine, code: &Arg, params: &[ServerParam<'_>]) -> TokenStream {
        let sent = routine.args.iter().filter(|arg| arg.in_request());
        let zeros = sent.map(|arg| {
            let name = local(params, arg);
            let zero = if arg.name == code.name { quote!(code) } else { self.zero(arg) };
            quote!(let #name = #zero;)
        });
        zeros.collect()
    }

    /// Reads the arguments of a request into variables.
    fn read_request(&self, routine: &Routine, params: &[ServerParam<'_>]) -> TokenStream {
        let rt = &self.rt;
        if let Some(param) = params.iter().find(|param| is_dead_name(routine, param.arg)) {
            let local = param.local();
            return quote!(let #local = request.dead_name()?;);
        }
        let body = &names::ident("body");
        let local = |arg: &Arg| local(params, arg);
        let reader = Reader { generator: self, routine, end: End::Server, from: body, local: &local };
        let mut reads = reader.statements(&routine.request);
        reads.extend(routine.ret_code().map(|code| {
            let (name, ty) = (local(code), self.owned(code));
            quote!(let #name: #ty = #rt::zerocopy::FromZeros::new_zeroed();)
        }));
        let shape = self.shape(&routine.request);
        if reads.is_empty() {
            return quote!(request.body(#shape)?.end()?;);
        }
        let expect = self.expectation(routine, body);
        quote! {
            let mut #body = request.body(#shape)?;
            #expect
            #(#reads)*
            #body.end()?;
        }
    }

    /// Calls the method, and encodes what it returns.
    fn finish(&self, routine: &Routine, call: TokenStream) -> TokenStream {
        if routine.results().is_empty() {
            return quote!(#call; Ok(()));
        }
        let encoder = &self.names.encoders[&routine.id];
        let translate = self.translate_results(routine);
        let size = Literal::u32_unsuffixed(self.reply_size(routine));
        quote! {
            let results = #call;
            #translate
            out.encode::<#size>(|reply| #encoder(reply, results))?;
            Ok(())
        }
    }

    /// Writes the results into a reply.
    fn encoder(&self, routine: &Routine) -> TokenStream {
        let rt = &self.rt;
        let outs = routine.results();
        let Some(message) = routine.reply.as_ref().filter(|_| !outs.is_empty()) else {
            return TokenStream::new();
        };
        let name = &self.names.encoders[&routine.id];
        let generics = self.kernel_generics();
        let results = self.results_type(routine);
        let to = names::ident("reply");
        let result = |arg: &Arg| match outs.len() {
            1 => quote!(results),
            _ => {
                let field = names::snake(&arg.name);
                quote!(results.#field)
            }
        };
        let writer = Writer { generator: self, routine, end: End::Server, to: &to, value: &result };
        let writes = writer.statements(message);
        quote! {
            fn #name #generics(
                #to: &mut #rt::Builder<'_, K>,
                results: #results,
            ) -> Result<(), #rt::KernReturn> {
                #(#writes)*
                Ok(())
            }
        }
    }

    /// Room for any reply, an error's too.
    fn reply_size(&self, routine: &Routine) -> u32 {
        let error = self.interface.facts().error_reply as u32;
        routine.reply.as_ref().map_or(0, |reply| reply.max_size).max(error).next_multiple_of(8)
    }

    /// Answers a request whose method has returned `MIG_NO_REPLY`.
    fn deferred(&self, routine: &Routine) -> TokenStream {
        let rt = &self.rt;
        if routine.reply.is_none() {
            return TokenStream::new();
        }
        let name = &self.names.deferred[&routine.id];
        let generics = self.kernel_generics();
        let results = self.results_type(routine);
        let id = self.id(routine);
        let size = Literal::u32_unsuffixed(self.reply_size(routine));
        let encoder = match routine.results().is_empty() {
            true => quote!(|_, ()| Ok(())),
            false => {
                let encoder = &self.names.encoders[&routine.id];
                quote!(#encoder)
            }
        };
        let doc = doc(&format!(
            "Answers a `{}` whose method took the token with `port.defer()` and returned `MIG_NO_REPLY`.",
            routine.name
        ));
        quote! {
            #doc
            #[allow(dead_code)]
            pub fn #name #generics(
                token: #rt::ReplyTo<K>,
                result: Result<#results, #rt::KernReturn>,
            ) -> Result<(), #rt::KernReturn> {
                token.answer::<#size, _>(#id, result, #encoder)
            }
        }
    }
}

/// Whether this is the argument of a dead-name notification, with which the kernel brings a reference:
/// message 72 is that on every Mach (`mach/notify.h`), whatever the interface calls it, if its only argument
/// is a name.
fn is_dead_name(routine: &Routine, arg: &Arg) -> bool {
    routine.id == NotificationId::DeadName as u32
        && arg.role == Role::In
        && routine.args.iter().filter(|arg| arg.in_request()).count() == 1
        && arg.ty.is_name()
}

/// The variable for an argument of a request.
fn local(params: &[ServerParam<'_>], arg: &Arg) -> Ident {
    let param = params.iter().find(|param| param.arg.name == arg.name);
    param.map_or_else(|| names::snake(&arg.name), ServerParam::local)
}

/// A parameter of a server's method.
struct ServerParam<'r> {
    name: Ident,
    ty: TokenStream,
    /// The argument that it comes from.
    arg: &'r Arg,
    /// Its type is the one that `intran` makes.
    translated: bool,
}

impl ServerParam<'_> {
    /// The stub's variable for it, which must not be one of its others.
    fn local(&self) -> Ident {
        let others = ["server", "request", "out", "body"].map(names::snake);
        names::unlike(&self.name.to_string(), &others)
    }
}
