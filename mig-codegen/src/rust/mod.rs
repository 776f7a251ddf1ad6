//! The Rust back end: an interface with its slot tables becomes Rust items.
//!
//! The items only describe. What they describe is done by `mig_runtime`: the client functions append
//! arguments and call, the server's stubs read arguments, call the trait's method and append its results.

mod apart;
mod assertions;
mod client;
pub(crate) mod docs;
mod emit;
mod forms;
mod item_names;
mod kernel_objects;
mod names;
mod print;
mod results;
mod server;
mod translate;
mod types;

use std::collections::{BTreeMap, BTreeSet};

use mig_parser::diagnostics::Diagnostics;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use self::docs::{doc, docs};
use self::item_names::ItemNames;
pub(crate) use self::print::print;
use crate::model::{Complex, Form, Interface, Message, Routine, Type, TypeKind};

/// Which half of an interface to generate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The functions that send requests.
    Client,
    /// The trait that serves them.
    Server,
    /// Both halves.
    #[default]
    Both,
}

impl Side {
    fn client(self) -> bool {
        self != Side::Server
    }

    fn server(self) -> bool {
        self != Side::Client
    }
}

/// What the generated code depends on.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) side: Side,
    /// The crate `mig_runtime` under the name that it has for the user.
    pub(crate) runtime_crate: String,
    /// Rust paths for types of the `.defs`.
    pub(crate) extern_types: BTreeMap<String, String>,
    /// Requests go to objects of the kernel.
    pub(crate) kernel_objects: bool,
}

/// Generates the items of an interface. `None` if its requests are not for an object of the kernel, as the
/// options say; that is a diagnostic.
pub(crate) fn generate(
    interface: &Interface,
    options: &Options,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<TokenStream>> {
    kernel_objects::check(interface, options, diagnostics);
    if diagnostics.has_errors() {
        return None;
    }
    Some(Generator::new(&apart::told_apart(interface), options).items())
}

/// What all items of an interface have in common.
struct Generator<'a> {
    interface: &'a Interface,
    side: Side,
    /// The runtime's name in the generated code.
    rt: Ident,
    runtime_crate: &'a str,
    extern_types: BTreeMap<&'a str, TokenStream>,
    kernel_objects: bool,
    names: ItemNames,
}

impl<'a> Generator<'a> {
    fn new(interface: &'a Interface, options: &'a Options) -> Self {
        Generator {
            interface,
            side: options.side,
            rt: format_ident!("rt"),
            runtime_crate: &options.runtime_crate,
            extern_types: extern_types(options),
            kernel_objects: options.kernel_objects,
            names: ItemNames::new(interface),
        }
    }

    fn items(&self) -> Vec<TokenStream> {
        if self.has_arrays_of_halves() {
            return vec![self.ids(), self.sizes()];
        }
        let mut items = vec![self.runtime(), self.abi(self.interface.abi.rust_name)];
        items.extend(self.type_items());
        items.push(self.word_items().into_iter().collect());
        items.push(self.ids());
        items.extend(self.interface.routines.iter().flat_map(|routine| self.results(routine)));
        if self.side.client() {
            items.extend(self.interface.routines.iter().map(|routine| self.client(routine)));
        }
        if self.side.server() {
            items.extend(self.server());
        }
        items.push(self.layout_checks());
        items
    }

    /// Whether a message brings an array of halves of receive rights, of Mach 2.5. No array in Rust is that.
    fn has_arrays_of_halves(&self) -> bool {
        let mut args = self.interface.routines.iter().flat_map(|routine| &routine.args);
        args.any(|arg| match &arg.form {
            Form::Rights(rights) => rights.port.number.is_some(),
            Form::Right(port) => port.number.is_some() && arg.ty.long,
            _ => false,
        })
    }

    fn runtime(&self) -> TokenStream {
        let rt = &self.rt;
        let runtime = names::ident(self.runtime_crate);
        let doc = docs(&[
            format!("What signatures name with `{rt}::` is public in the root of `{}`,", self.runtime_crate),
            "but for `Vec`, `CString` and `CStr`, which are those of the standard library.".to_owned(),
        ]);
        quote!(#doc use ::#runtime::codegen as #rt;)
    }

    fn abi(&self, name: &str) -> TokenStream {
        let rt = &self.rt;
        let abi = format_ident!("{name}");
        let (abi, where_) = match self.interface.is_in_kernel() {
            true => (quote!(#rt::abi::InKernel<#rt::abi::#abi>), ", in the kernel"),
            false => (quote!(#rt::abi::#abi), ""),
        };
        let doc = doc(&format!("The ABI of these messages: `{}`{where_}.", self.interface.abi.name()));
        // A client without functions does not need it.
        let unused = self.interface.routines.is_empty().then(|| quote!(#[allow(dead_code)]));
        quote! {
            #doc
            #unused
            pub type Abi = #abi;
        }
    }

    fn ids(&self) -> TokenStream {
        let interface = self.interface;
        let base = Literal::u32_unsuffixed(interface.base);
        let about = doc(&format!("The message id of the first routine of `{}`.", interface.name));
        let ids = interface.routines.iter().map(|routine| {
            let doc = doc(&format!("`{}`", routine.name));
            let name = names::shouty(&routine.name);
            let id = Literal::u32_unsuffixed(routine.id);
            quote!(#doc pub const #name: i32 = #id;)
        });
        let doc = doc("Message ids of the requests; a reply's is 100 more.");
        quote! {
            #about
            #[allow(dead_code)]
            pub const BASE: i32 = #base;
            #doc
            #[allow(dead_code)]
            pub mod id {
                #(#ids)*
            }
        }
    }

    fn type_name(&self, c_name: &str) -> Ident {
        self.names.types.get(c_name).cloned().unwrap_or_else(|| names::ident(names::camel(c_name)))
    }

    /// Sizes of all messages, where there is no code that has them.
    fn sizes(&self) -> TokenStream {
        let sizes = self.interface.routines.iter().map(|routine| {
            let name = names::shouty(&routine.name);
            let about = docs(&docs::routine(routine));
            let sizes = [Some(&routine.request), routine.reply.as_ref()].map(|message| match message {
                Some(message) => {
                    let (min, max) = (message.min_size, message.max_size);
                    let (min, max) = (Literal::u32_unsuffixed(min), Literal::u32_unsuffixed(max));
                    quote!((#min, #max))
                }
                None => quote!((0, 0)),
            });
            let [request, reply] = sizes;
            quote!(#about pub const #name: [(usize, usize); 2] = [#request, #reply];)
        });
        let about = docs(&[
            "Smallest and largest sizes of the requests and replies, in bytes; zeros where there is no reply.".to_owned(),
            String::new(),
            "A message brings an array of halves of receive rights (`MSG_TYPE_PORT_OWNERSHIP`,".to_owned(),
            "`MSG_TYPE_PORT_RECEIVE`), which no array in Rust is, so there are no stubs.".to_owned(),
        ]);
        quote! {
            #about
            #[allow(dead_code)]
            pub mod size {
                #(#sizes)*
            }
        }
    }

    /// What the declaration says about a message as a whole.
    fn shape(&self, message: &Message) -> TokenStream {
        let rt = &self.rt;
        let min = Literal::u32_unsuffixed(message.min_size);
        let max = Literal::u32_unsuffixed(message.max_size);
        let complex = match message.complex {
            Complex::Always => quote!(Always),
            Complex::Never => quote!(Never),
            Complex::Depends => quote!(Depends),
        };
        quote!(#rt::Shape::new(#min, #max, #rt::Complex::#complex))
    }

    fn id(&self, routine: &Routine) -> TokenStream {
        let name = names::shouty(&routine.name);
        quote!(id::#name)
    }
}

/// The paths as tokens. A text that is no path has been refused before.
fn extern_types(options: &Options) -> BTreeMap<&str, TokenStream> {
    let tokens = |path: &String| path.parse().unwrap_or_default();
    options.extern_types.iter().map(|(name, path)| (name.as_str(), tokens(path))).collect()
}

/// A Rust name for each type of an interface. Where two C names become one, the second keeps its `_t`.
fn type_names(interface: &Interface) -> BTreeMap<String, Ident> {
    let mut c_names = BTreeSet::new();
    for arg in interface.routines.iter().flat_map(|routine| &routine.args) {
        collect_names(&arg.ty, &mut c_names);
    }
    let mut taken: Vec<Ident> = Vec::new();
    let mut map = BTreeMap::new();
    for c_name in c_names {
        let name = names::camel(c_name);
        let name = if taken.iter().any(|other| *other == name) { name + "T" } else { name };
        let name = names::unlike(&name, &taken);
        taken.push(name.clone());
        map.insert(c_name.to_owned(), name);
    }
    map
}

fn collect_names<'t>(ty: &'t Type, names: &mut BTreeSet<&'t str>) {
    match &ty.kind {
        TypeKind::Scalar(_) => {}
        TypeKind::Fixed { element, .. } => collect_names(element, names),
        TypeKind::Struct { members, .. } => {
            members.iter().for_each(|member| collect_names(&member.ty, names));
        }
        TypeKind::Bounded { element, .. }
        | TypeKind::Indefinite { element, .. }
        | TypeKind::OutOfLine { element, .. } => return collect_names(element, names),
        _ => return,
    }
    names.extend(ty.name.as_deref());
}
