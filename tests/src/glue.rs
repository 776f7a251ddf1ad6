//! Glue between generated code and the comparison, as Rust text: calls of client functions with values by
//! argument name, and a server whose methods record what they are given.
//!
//! It follows the signatures in the generated code, whatever types they have; [`convert`](crate::convert)
//! makes values of those types and looks into them.

use mig_codegen::model::{Arg, Interface, Routine};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{FnArg, GenericArgument, Item, ItemFn, ItemTrait, Pat, PathArguments, ReturnType, TraitItem, Type};

/// The glue for an interface whose generated code is `generated`: a module to stand at the end of it.
///
/// # Errors
///
/// If the code has no function or method for a routine, or one with a parameter that is none of its
/// arguments.
pub fn glue(interface: &Interface, generated: &str) -> Result<String, String> {
    let file =
        syn::parse_file(generated).map_err(|error| format!("the generated code is not Rust: {error}"))?;
    let code = Code { file };
    let calls = interface.routines.iter().map(|routine| code.call(routine));
    let calls = calls.collect::<Result<Vec<_>, _>>()?;
    let server = code.server(interface)?;
    let demux = code.function(&interface.demux)?.sig.ident.clone();
    let plain = code.structures();
    let module: syn::File = syn::parse_quote! {
        #[allow(unused)]
        pub mod glue {
            use super::*;

            type K = ::mig_tests::wire_kernel::Wire<Abi>;
            type Server = ::mig_tests::compare::Recorder<Abi>;

            ::mig_tests::plain!(#(#plain),*);

            /// The generated code, for the comparison.
            pub struct OracleBindings;

            impl ::mig_tests::compare::Bindings<Abi> for OracleBindings {
                fn call(
                    &self,
                    routine: &str,
                    client: &K,
                    given: &::mig_tests::values::Values,
                ) -> Result<::mig_tests::values::Values, rt::KernReturn> {
                    let mut results = ::mig_tests::values::Values::new();
                    match routine {
                        #(#calls)*
                        _ => panic!("no routine {routine}"),
                    }
                    Ok(results)
                }

                fn demux(
                    &self,
                    server: &Server,
                    request: &mut rt::Received<'_, K>,
                    reply: &mut rt::Reply<'_, K>,
                ) -> bool {
                    super::#demux(server, request, reply)
                }
            }

            #server
        }
    };
    Ok(prettyplease::unparse(&module))
}

/// Generated code.
struct Code {
    file: syn::File,
}

impl Code {
    /// The function for a C name.
    fn function(&self, c_name: &str) -> Result<&ItemFn, String> {
        let functions = self.file.items.iter().filter_map(|item| match item {
            Item::Fn(function) => Some(function),
            _ => None,
        });
        let mut functions = functions.filter(|function| is_named(&function.sig.ident, c_name));
        functions.next().ok_or_else(|| format!("no function for `{c_name}`"))
    }

    fn server_trait(&self) -> Result<&ItemTrait, String> {
        let mut traits = self.file.items.iter().filter_map(|item| match item {
            Item::Trait(item) => Some(item),
            _ => None,
        });
        traits.next().ok_or_else(|| "no trait for servers".to_string())
    }

    /// The structures that are plain data.
    fn structures(&self) -> Vec<&Ident> {
        let structures = self.file.items.iter().filter_map(|item| match item {
            Item::Struct(item) => Some(item),
            _ => None,
        });
        let is_plain =
            |item: &&syn::ItemStruct| item.attrs.iter().any(|attr| attr.path().is_ident("zerocopy"));
        structures.filter(is_plain).map(|item| &item.ident).collect()
    }

    /// A match arm that calls a client function.
    fn call(&self, routine: &Routine) -> Result<TokenStream, String> {
        let function = self.function(&routine.user)?;
        let mut made = Vec::new();
        let mut passed = Vec::new();
        for (param, ty) in params(function.sig.inputs.iter()) {
            let Some((arg, what)) = find(routine, param) else {
                if param == "kernel" {
                    passed.push(quote!(client));
                    continue;
                }
                return Err(format!("{}: the parameter `{param}` is no argument", routine.name));
            };
            let name = &arg.name;
            if what == What::Limit {
                passed.push(quote!(given[#name].count));
                continue;
            }
            let (owned, by_reference) = owned(ty);
            made.push(quote!(let #param: #owned = ::mig_tests::compare::make(client, given, #name);));
            passed.push(if by_reference { quote!(&#param) } else { quote!(#param) });
        }
        let function = &function.sig.ident;
        let results = results(routine);
        let seen = results.iter().map(|(arg, field)| {
            let name = &arg.name;
            quote!(results.insert(#name.to_string(), ::mig_tests::convert::See::see(&out #field, client));)
        });
        let name = &routine.name;
        Ok(quote! {
            #name => {
                #(#made)*
                let out = super::#function(#(#passed),*).map_err(rt::KernReturn::from)?;
                #(#seen)*
            }
        })
    }

    /// The server that records.
    fn server(&self, interface: &Interface) -> Result<TokenStream, String> {
        let item = self.server_trait()?;
        let name = &item.ident;
        let mut methods = Vec::new();
        for routine in &interface.routines {
            let method = item.items.iter().find_map(|item| match item {
                TraitItem::Fn(method) if is_named(&method.sig.ident, &routine.name) => Some(&method.sig),
                _ => None,
            });
            let method = method.ok_or_else(|| format!("no method for `{}`", routine.name))?;
            methods.push(self.method(routine, method)?);
        }
        Ok(quote! {
            impl super::#name<K> for Server {
                #(#methods)*
            }
        })
    }

    fn method(&self, routine: &Routine, signature: &syn::Signature) -> Result<TokenStream, String> {
        let mut seen = Vec::new();
        for (param, _) in params(signature.inputs.iter()) {
            let (arg, what) = find(routine, param)
                .ok_or_else(|| format!("{}: the parameter `{param}` is no argument", routine.name))?;
            let name = &arg.name;
            seen.push(match what {
                What::Value => quote!(self.saw(#name, &#param);),
                What::Limit => quote!(self.saw_limit(#name, #param);),
            });
        }
        let made = results(routine).into_iter().map(|(arg, _)| {
            let (name, field) = (&arg.name, field(arg));
            (field, quote!(self.make(#name)))
        });
        let made: Vec<_> = made.collect();
        let result = match &made[..] {
            [] => quote!(()),
            [(_, value)] => value.clone(),
            several => {
                let structure = self.results_structure(signature)?;
                let names = &structure.fields;
                let fields = names.iter().filter_map(|field| field.ident.as_ref());
                let fields = fields.map(|ident| {
                    let value = several.iter().find(|(name, _)| is_named(ident, &name.to_string()));
                    value.map(|(_, value)| quote!(#ident: #value))
                });
                let fields = fields.collect::<Option<Vec<_>>>().ok_or("a result that is no argument")?;
                let structure = &structure.ident;
                quote!(#structure { #(#fields),* })
            }
        };
        let name = &routine.name;
        Ok(quote! {
            #signature {
                self.called(#name);
                #(#seen)*
                self.answer()?;
                Ok(#result)
            }
        })
    }

    /// The structure that a method returns.
    fn results_structure(&self, signature: &syn::Signature) -> Result<&syn::ItemStruct, String> {
        let ReturnType::Type(_, ty) = &signature.output else { return Err("no results".to_string()) };
        let Type::Path(result) = &**ty else { return Err("a method that returns no `Result`".to_string()) };
        let result = result.path.segments.last().and_then(|result| first_type(&result.arguments));
        let Some(Type::Path(path)) = result else { return Err("results that are no structure".to_string()) };
        let name = path.path.segments.last().map(|segment| &segment.ident);
        let mut structures = self.file.items.iter().filter_map(|item| match item {
            Item::Struct(item) if Some(&item.ident) == name => Some(item),
            _ => None,
        });
        structures.next().ok_or_else(|| "results that are no structure of the interface".to_string())
    }
}

/// What a parameter is of an argument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Value,
    /// How many elements the client takes.
    Limit,
}

/// The argument that a parameter belongs to.
fn find<'r>(routine: &'r Routine, param: &Ident) -> Option<(&'r Arg, What)> {
    if let Some(arg) = routine.args.iter().find(|arg| is_named(param, &arg.name)) {
        return Some((arg, What::Value));
    }
    let limited = routine.args.iter().filter(|arg| arg.count_in_out);
    let mut limited = limited.filter(|arg| is_named(param, &format!("{}_max", arg.name)));
    limited.next().map(|arg| (arg, What::Limit))
}

/// The arguments that come back, and how to get at each in what a client function returns.
fn results(routine: &Routine) -> Vec<(&Arg, TokenStream)> {
    let outs: Vec<&Arg> = routine.args.iter().filter(|arg| arg.in_reply()).collect();
    let many = outs.len() > 1;
    let access = |arg: &Arg| {
        let field = field(arg);
        if many { quote!(.#field) } else { TokenStream::new() }
    };
    outs.into_iter().map(|arg| (arg, access(arg))).collect()
}

/// The field of an argument in a structure of results.
fn field(arg: &Arg) -> Ident {
    let name = heck::ToSnakeCase::to_snake_case(arg.name.as_str());
    syn::parse_str(&name).unwrap_or_else(|_| Ident::new_raw(&name, proc_macro2::Span::call_site()))
}

/// Whether a Rust name is made of this C name.
fn is_named(ident: &Ident, c_name: &str) -> bool {
    let letters = |name: &str| {
        let name = name.trim_start_matches("r#");
        name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect::<String>()
    };
    letters(&ident.to_string()) == letters(c_name)
}

fn params<'s>(inputs: impl Iterator<Item = &'s FnArg>) -> impl Iterator<Item = (&'s Ident, &'s Type)> {
    inputs.filter_map(|input| match input {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(pat) => Some((&pat.ident, &*typed.ty)),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    })
}

/// The type of which to make a value for a parameter, and whether to pass a reference to it.
fn owned(ty: &Type) -> (TokenStream, bool) {
    match ty {
        Type::Reference(reference) => match &*reference.elem {
            Type::Slice(slice) => {
                let element = &slice.elem;
                (quote!(rt::Vec<#element>), true)
            }
            Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "CStr") => {
                (quote!(rt::CString), true)
            }
            other => (quote!(#other), true),
        },
        // `impl Into<AnyRight<'a, K>>` and its kin, or `impl IntoIterator<Item = SendRight<K>>`
        Type::ImplTrait(bound) => {
            let bound = bound.bounds.iter().find_map(|bound| match bound {
                syn::TypeParamBound::Trait(bound) => bound.path.segments.last(),
                _ => None,
            });
            let made = bound.and_then(|bound| {
                let target = static_lifetimes(first_type(&bound.arguments)?);
                Some(if bound.ident == "IntoIterator" { quote!(rt::Vec<#target>) } else { target })
            });
            (made.unwrap_or_default(), false)
        }
        other => (quote!(#other), false),
    }
}

/// The type with `'static` for each lifetime.
fn static_lifetimes(ty: &Type) -> TokenStream {
    let text = quote!(#ty).to_string().replace("'a", "'static");
    text.parse().unwrap_or_default()
}

/// The first type among generic arguments, those of associated types included.
fn first_type(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        GenericArgument::AssocType(item) => Some(&item.ty),
        _ => None,
    })
}
