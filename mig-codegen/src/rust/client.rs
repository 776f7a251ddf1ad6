//! Client functions: a request is built and sent, its reply taken apart.

use proc_macro2::{Ident, Literal, TokenStream, TokenTree};
use quote::quote;

use super::docs;
use super::emit::{End, Reader, Writer};
use super::names::limit;
use super::results::trailer_field;
use super::{Generator, names};
use crate::model::{Arg, Message, Role, Routine, TypeKind};

/// The variables of a client function that are not its parameters.
struct Locals {
    buffer: Ident,
    request: Ident,
    reply: Ident,
    kernel: Ident,
    dest: Ident,
    shape: Ident,
    options: Ident,
}

impl Generator<'_> {
    /// The function of a routine.
    pub(super) fn client(&self, routine: &Routine) -> TokenStream {
        let rt = &self.rt;
        let name = names::snake(&routine.user);
        let about = docs::docs(&docs::routine(routine));
        let taken: Vec<Ident> = routine.args.iter().map(|arg| names::snake(&arg.name)).collect();
        let locals = Locals {
            buffer: names::unlike("buffer", &taken),
            request: names::unlike("request", &taken),
            reply: names::unlike("reply", &taken),
            kernel: names::unlike("kernel", &taken),
            dest: names::unlike("dest", &taken),
            shape: names::unlike("shape", &taken),
            options: names::unlike("options", &taken),
        };
        let params = self.client_params(routine, &locals);
        let many = (params.len() > 7).then(|| quote!(#[allow(clippy::too_many_arguments)]));
        // `impl Trait` can't have an anonymous lifetime.
        let lifetime = params.iter().any(is_impl).then(|| quote!('a,));
        // The function is a row of stores and one call, which is hardly more than a call of a function with
        // as many arguments.
        let inline = routine.reply.is_none().then(|| quote!(#[inline]));
        let result = self.client_results_type(routine);
        let body = self.client_body(routine, &locals);
        let name_in_errors = &routine.name;
        quote! {
            #about
            #inline
            #[allow(dead_code)]
            #many
            pub fn #name<#lifetime K: #rt::Kernel<Abi = Abi>>(#(#params),*) -> Result<#result, #rt::CallError<K>> {
                #rt::routine(&#name_in_errors, move || {
                    #body
                })
            }
        }
    }

    fn client_params(&self, routine: &Routine, locals: &Locals) -> Vec<TokenStream> {
        let mut params = Vec::new();
        if is_polymorphic(&routine.args[routine.request_port]) {
            // The right's type does not tell the task that has it.
            let kernel = &locals.kernel;
            params.push(quote!(#kernel: &K));
        }
        for arg in &routine.args {
            let name = names::snake(&arg.name);
            let ty = match arg.role {
                Role::In | Role::InOut => self.client_param(arg),
                Role::RequestPort | Role::ReplyPort { client: true, .. } => match &arg.ty.kind {
                    TypeKind::Port(port) => self.sent_right(*port),
                    _ => continue,
                },
                Role::Out if arg.count_in_out => {
                    let limit = limit(routine, arg);
                    params.push(quote!(#limit: u32));
                    continue;
                }
                Role::WaitTime if routine.reply.is_some() || self.wait_time_sends() => quote!(u32),
                Role::SendTime | Role::MsgOption => quote!(u32),
                Role::WaitTime | Role::Out | Role::ReplyPort { .. } | Role::Trailer { .. } => continue,
            };
            params.push(quote!(#name: #ty));
        }
        params
    }

    fn client_body(&self, routine: &Routine, locals: &Locals) -> TokenStream {
        let rt = &self.rt;
        let Locals { buffer, request, kernel, .. } = locals;
        let size = Literal::u32_unsuffixed(self.buffer_size(routine));
        let port = &routine.args[routine.request_port];
        let right = names::snake(&port.name);
        let kernel = match is_polymorphic(port) {
            true => quote!(#kernel),
            false => quote!(#right.kernel()),
        };
        let writer =
            Writer { generator: self, routine, end: End::Client, to: request, value: &|arg| variable(arg) };
        let arguments = writer.statements(&routine.request);
        let mutable = (!arguments.is_empty()).then(|| quote!(mut));
        let send = self.send(routine, locals);
        let only_code = routine.ret_code().map(|arg| {
            let code = names::snake(&arg.name);
            quote! {
                if #request.fails_with(&#code) {
                    return { #send };
                }
            }
        });
        quote! {
            let mut #buffer = #rt::MsgBuf::<#size>::new();
            let #mutable #request = #buffer.request(#kernel);
            #only_code
            #(#arguments)*
            #send
        }
    }

    /// Sends the request; if there is a reply, reads it.
    fn send(&self, routine: &Routine, locals: &Locals) -> TokenStream {
        let request = &locals.request;
        let id = self.id(routine);
        let Locals { dest, shape, .. } = locals;
        let right = self.header_right(&routine.args[routine.request_port]);
        let let_dest = quote!(let #dest = #right;);
        let reply_port = routine.find(|role| matches!(role, Role::ReplyPort { client: true, .. }));
        let right = reply_port.map(|arg| self.header_right(arg));
        let given = right.as_ref().map(|right| quote!(#right,));
        let (let_options, options) = self.options(routine, &locals.options);
        let Some(reply) = &routine.reply else {
            let method = names::ident(if given.is_some() { "send_with_reply_port" } else { "send" });
            return quote!(#let_dest #let_options #request.#method(#id, #dest, #given #options));
        };
        let (method, reply_port) = match (routine.client_trailer().is_empty(), right) {
            (true, None) => ("call", None),
            (true, Some(_)) => ("call_with_reply_port", given),
            (false, None) => ("call_with_trailer", Some(quote!(None,))),
            (false, Some(right)) => ("call_with_trailer", Some(quote!(Some(#right),))),
        };
        let method = names::ident(method);
        let reply_shape = self.shape(reply);
        let call = quote!(#request.#method(#id, #dest, #reply_port #shape, #options)?);
        let read = self.read_reply(routine, reply, call, locals);
        quote!(#let_dest let #shape = #reply_shape; #let_options #read)
    }

    fn read_reply(
        &self,
        routine: &Routine,
        message: &Message,
        call: TokenStream,
        locals: &Locals,
    ) -> TokenStream {
        let reply = &locals.reply;
        let local = |arg: &Arg| names::snake(&arg.name);
        let reader = Reader { generator: self, routine, end: End::Client, from: reply, local: &local };
        let reads = reader.statements(message);
        let results = self.results_value(routine);
        let fields = routine.client_trailer();
        if fields.is_empty() && routine.results().is_empty() {
            return quote! {
                #call.end()?;
                Ok(())
            };
        }
        let mutable = (!routine.results().is_empty()).then(|| quote!(mut));
        let (variables, results) = match fields.is_empty() {
            true => (quote!(#mutable #reply), results),
            false => {
                let fields = fields.into_iter().map(|field| trailer_field(&self.rt, field).1);
                (quote!((#mutable #reply, trailer)), quote!((#results, #(trailer.#fields()?),*)))
            }
        };
        quote! {
            let #variables = #call;
            #(#reads)*
            #reply.end()?;
            Ok(#results)
        }
    }

    /// The results of a call, in the variables that they have been read into.
    fn results_value(&self, routine: &Routine) -> TokenStream {
        let owned = |arg: &Arg| self.owned_result(&names::snake(&arg.name), arg);
        match &routine.results()[..] {
            [] => quote!(()),
            [(_, arg)] => owned(arg),
            results => {
                let name = self.results_name(routine);
                let fields = results.iter().map(|(_, arg)| {
                    let (field, value) = (names::snake(&arg.name), owned(arg));
                    match field == value.to_string() {
                        true => quote!(#field),
                        false => quote!(#field: #value),
                    }
                });
                quote!(#name { #(#fields),* })
            }
        }
    }

    /// A right in the header: where the message goes, or where its reply goes.
    fn header_right(&self, arg: &Arg) -> TokenStream {
        let name = names::snake(&arg.name);
        match arg.ty.kind {
            TypeKind::Port(port) => self.any_right(port, &quote!(#name)),
            _ => quote!(#name.into()),
        }
    }

    /// Time-outs and option bits: the statement that puts them into this variable, and their value after it.
    fn options(&self, routine: &Routine, variable: &Ident) -> (Option<TokenStream>, TokenStream) {
        let rt = &self.rt;
        let kind = names::ident(if routine.reply.is_some() { "CallOptions" } else { "SendOptions" });
        let number = |role: Role, stated: Option<u32>| match routine.find(|other| other == role) {
            Some(arg) => Some(names::snake(&arg.name)).map(|name| quote!(#name)),
            None => stated.map(Literal::u32_unsuffixed).map(|value| quote!(#value)),
        };
        let wait = number(Role::WaitTime, routine.wait_time);
        let send = number(Role::SendTime, routine.send_time)
            .or_else(|| wait.clone().filter(|_| self.wait_time_sends()));
        let mut fields = Vec::new();
        if routine.reply.is_some() {
            fields.extend(send.map(|time| quote!(send_timeout: Some(#time))));
            fields.extend(wait.map(|time| quote!(receive_timeout: Some(#time))));
        } else {
            fields.extend(send.map(|time| quote!(timeout: Some(#time))));
        }
        let bits = number(Role::MsgOption, routine.msg_option).filter(|bits| bits.to_string() != "0");
        fields.extend(bits.map(|bits| quote!(bits: #bits)));
        let rest = match self.kernel_objects && routine.reply.is_some() {
            true => quote!(#rt::#kind::KERNEL_OBJECT),
            false => quote!(#rt::#kind::NONE),
        };
        match fields.is_empty() {
            true => (None, rest),
            false => {
                let statement = quote!(let #variable = #rt::#kind { #(#fields,)* ..#rest };);
                (Some(statement), quote!(#variable))
            }
        }
    }

    /// True if a waiting time limits the sending, too.
    fn wait_time_sends(&self) -> bool {
        self.interface.abi.language.wait_time_sends
    }

    /// Room for the request and for any reply, an error's too, with its trailer.
    pub(super) fn buffer_size(&self, routine: &Routine) -> u32 {
        let facts = self.interface.facts();
        let error = facts.error_reply as u32;
        let trailer = match routine.client_trailer().is_empty() {
            true => facts.least_trailer,
            false => facts.trailer,
        };
        let reply = routine.reply.as_ref().map_or(0, |reply| reply.max_size.max(error) + trailer as u32);
        routine.request.max_size.max(reply).next_multiple_of(8)
    }
}

/// The parameter for an argument, as a value.
fn variable(arg: &Arg) -> TokenStream {
    let name = names::snake(&arg.name);
    quote!(#name)
}

/// True for a parameter `name: impl …`, or an array of such.
fn is_impl(param: &TokenStream) -> bool {
    param.clone().into_iter().any(|token| match token {
        TokenTree::Group(group) => is_impl(&group.stream()),
        token => token.to_string() == "impl",
    })
}

fn is_polymorphic(arg: &Arg) -> bool {
    matches!(&arg.ty.kind, TypeKind::Port(port) if port.sender.is_none())
}
