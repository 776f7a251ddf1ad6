//! Makes bindings of every interface in `defs` for its ABIs, and lists what there is to call: each demux
//! function, and each client function with arguments of some value.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use mig_codegen::Config;
use proc_macro2::TokenStream;
use quote::{ToTokens as _, format_ident, quote};
use syn::{FnArg, Item, ItemFn, Pat, Type};

const DEFS: &str = "../defs";

/// The module of an ABI, its name, the folder of its interfaces and that of what they include, and one of the
/// interfaces.
const ABIS: [(&str, &str, &str, &str, &str); 9] = [
    ("gnu_i386", "gnu-i386", "gnu", "gnu", "mach_host"),
    ("gnu_x86_64", "gnu-x86_64", "gnu", "gnu", "mach_host"),
    ("apple_32", "apple-32", "apple", "apple", "mach_host"),
    ("apple_64", "apple-64", "apple", "apple", "mach_host"),
    ("osf_32", "osf-32", "osf", "osf", "mach_host"),
    ("hurd_i386", "gnu-i386", "hurd", "gnu", "io"),
    ("hurd_x86_64", "gnu-x86_64", "hurd", "gnu", "io"),
    ("pager_i386", "gnu-i386", "pager", "gnu", "backing_store"),
    ("pager_x86_64", "gnu-x86_64", "pager", "gnu", "backing_store"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={DEFS}");
    let (mut all, mut arms) = (TokenStream::new(), TokenStream::new());
    for (number, (module, abi, folder, included, one)) in (0u8..).zip(ABIS) {
        let folder = Path::new(DEFS).join(folder);
        let config = Config::new().include_dir(&folder).include_dir(Path::new(DEFS).join(included)).abi(abi);
        let mut bindings = Bindings::default();
        for file in interfaces(&folder)? {
            bindings.add(&config, &file)?;
        }
        let (module, one) = (format_ident!("{module}"), format_ident!("{one}"));
        arms.extend(quote!(#number => { use $crate::#module as $abi; $body }));
        let Bindings { modules, demuxes, calls } = bindings;
        all.extend(quote! {
            /// An ABI.
            pub mod #module {
                #[allow(unused_imports)] // small interfaces do not need all of it
                use mig_runtime::codegen as rt;
                use crate::{Call, Demux, Nothing, right, zeros};
                #modules
                /// What there is to serve.
                pub const DEMUXES: &[Demux<Abi>] = &[#demuxes];
                /// What there is to call.
                pub const CALLS: &[Call<Abi>] = &[#calls];
                /// The ABI.
                pub type Abi = #one::Abi;
            }
        });
    }
    let count = ABIS.len() as u8;
    all.extend(quote! {
        /// How many ABIs there are.
        pub const ABIS: u8 = #count;
        /// Evaluates an expression with the module of an ABI, which has this number if that is below
        /// [`ABIS`].
        #[macro_export]
        macro_rules! with_abi {
            ($number:expr, $abi:ident => $body:expr) => {
                match $number % $crate::ABIS { #arms _ => unreachable!() }
            };
        }
    });
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("bindings.rs"), all.to_string())?;
    Ok(())
}

/// The files that declare an interface, in the order of their names.
fn interfaces(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(interfaces(&path)?);
        } else if path.to_string_lossy().ends_with(".defs")
            && !path.to_string_lossy().ends_with("_types.defs")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The interfaces of an ABI.
#[derive(Default)]
struct Bindings {
    modules: TokenStream,
    demuxes: TokenStream,
    calls: TokenStream,
}

impl Bindings {
    fn add(&mut self, config: &Config, file: &Path) -> Result<(), Box<dyn Error>> {
        let interface = config.interface(file)?.value;
        let items = syn::parse2::<syn::File>(config.tokens(file)?.value)?.items;
        let name = format_ident!("{}", interface.name);
        let mut servers = TokenStream::new();
        for item in &items {
            match item {
                Item::Trait(item) => {
                    let server = &item.ident;
                    servers.extend(quote!(impl<K: rt::Kernel<Abi = Abi>> #server<K> for crate::Nothing {}));
                }
                Item::Fn(item) if item.sig.ident == interface.demux => {
                    let (demux, id) = (&item.sig.ident, &interface.name);
                    self.demuxes.extend(quote! {
                        Demux { name: #id, base: #name::BASE, serve: |request, reply| #name::#demux(&Nothing, request, reply) },
                    });
                }
                Item::Fn(item) if is_client(item) => {
                    let (call, arguments) = (&item.sig.ident, item.sig.inputs.iter().map(argument));
                    let id = call.to_string();
                    self.calls.extend(quote! {
                        Call { name: #id, run: |kernel| drop(#name::#call(#(#arguments),*)) },
                    });
                }
                _ => {}
            }
        }
        self.modules.extend(quote! {
            #[allow(missing_docs, clippy::all)]
            pub mod #name { #(#items)* #servers }
        });
        Ok(())
    }
}

fn is_client(function: &ItemFn) -> bool {
    function.sig.output.to_token_stream().to_string().contains("CallError")
}

/// Some value for a parameter of a client function; of plain data all zeros.
fn argument(parameter: &FnArg) -> TokenStream {
    let FnArg::Typed(parameter) = parameter else { return quote!(self) };
    assert!(matches!(*parameter.pat, Pat::Ident(_)), "the parameters of generated functions have names");
    let (borrow, ty) = match &*parameter.ty {
        Type::Reference(reference) => (quote!(&), &*reference.elem),
        other => (quote!(), other),
    };
    let text = ty.to_token_stream().to_string();
    let value = match ty {
        Type::Slice(slice) if slice.elem.to_token_stream().to_string().contains("Right") => {
            quote!([right(kernel)])
        }
        Type::Slice(_) => quote!([zeros()]),
        _ if text == "K" => return quote!(kernel),
        _ if text.contains("CStr") => return quote!(c"text"),
        _ if text.contains("OolArg") => quote!(&[0u8; 3]),
        _ if text.contains("OolMemory") => quote!(rt::OolMemory::allocate(kernel, 3).expect("memory")),
        _ if text.contains("PortArray") => {
            quote!(rt::PortArray::moving(vec![right::<_, rt::SendRight<_>>(kernel)]))
        }
        _ if text.contains("AnyRight") => quote!(right::<_, rt::SendRight<_>>(kernel)),
        _ if text.contains("Right <") => quote!(right(kernel)),
        _ => quote!(zeros()),
    };
    quote!(#borrow #value)
}
