//! Bindings of a MIG interface by a macro.
//!
//! ```
//! mod clock {
//!     mig_derive::interface! {
//!         inline: "
//!             subsystem clock 3100;
//!             type clock_t = MACH_MSG_TYPE_COPY_SEND;
//!             type number_t = MACH_MSG_TYPE_INTEGER_32;
//!             routine clock_get_time(clock : clock_t; out seconds : number_t);
//!         ",
//!     }
//! }
//!
//! use mig_runtime::{CallError, Kernel, SendRight};
//!
//! fn seconds<K: Kernel<Abi = clock::Abi>>(clock: &SendRight<K>) -> Result<i32, CallError<K>> {
//!     clock::clock_get_time(clock)
//! }
//! ```
//!
//! It is the generator of `mig-codegen`; the text that a build script would write is what the macro expands
//! to. A build script suits large interfaces better, since editors show its output as a file.

mod arguments;

use mig_codegen::{Error, Input, Output};
use proc_macro::TokenStream;
use quote::quote;

use arguments::{Arguments, Source};

/// Generates the bindings of an interface in the module around it.
///
/// - `path: "file.defs"`, relative to the folder of `Cargo.toml`; or `path: "<mach/exc.defs>"`, a file of an
///   `include` folder or one of the definitions that come with the compiler; or `inline: "subsystem …"`,
///   which may include the same files
/// - `include: ["folder", …]`: where to look for included files, relative to the same folder
/// - `imacros: ["file", …]`, `first: ["file", …]`: files of which only the macros count, and files that are
///   read before the interface
/// - `define: { SEQNOS: 1, PREFIX: "text" }`, `undefine: [NAME, …]`: macros of the preprocessor
/// - `abi: "gnu-i386"`: the ABI of the messages; by default Apple's for macOS and its kin, GNU Mach's for
///   every other target. The macro finds it by calling itself as `::mig_derive::interface!`: where the crate
///   has another name, `abi` must be given
/// - `arch: "arm64"`: the processor whose macros are predefined, for an ABI that several have
/// - `prefix: "text"`: what stands before the names of functions
/// - `side: client`, `server` or `both`
/// - `extern_type: { vm_prot_t: crate::Protection }`: Rust types for types of the `.defs`, and for what they
///   are translated to; `info_t: crate::Info: 72` where the structure has another size in C than the `.defs`
///   says
/// - `kernel_objects: true`: requests go to objects of the kernel, a task's or the host's port for example,
///   which XNU wants to be told
/// - `crate: my_runtime`: the name of `mig-runtime` where it is not `mig_runtime`
///
/// Everything wrong with the `.defs` files is in the compile error, with file, line and the marked line. The
/// code is compiled again when one of the files changes.
///
/// A server that gets objects of its own instead of port names:
///
/// ```
/// use std::{collections::HashMap, sync::Arc};
/// use mig_runtime::{KernReturn, Kernel, Name, Port};
///
/// mod lamps {
///     mig_derive::interface! {
///         inline: "
///             subsystem lamps 4000;
///             type lamp_t = MACH_MSG_TYPE_COPY_SEND intran: lamp_ref_t lamp_of(lamp_t);
///             type watts_t = MACH_MSG_TYPE_INTEGER_32;
///             routine lamp_watts(lamp : lamp_t; out watts : watts_t);
///         ",
///         extern_type: { lamp_ref_t: std::sync::Arc<crate::Lamp> },
///     }
/// }
///
/// pub struct Lamp { watts: i32 }
///
/// struct House { lamps: HashMap<Name, Arc<Lamp>> }
///
/// impl<K: Kernel<Abi = lamps::Abi>> lamps::Lamps<K> for House {
///     fn lamp_of(&self, port: Name) -> Result<Arc<Lamp>, KernReturn> {
///         self.lamps.get(&port).cloned().ok_or(KernReturn::KERN_INVALID_ARGUMENT)
///     }
///     fn lamp_watts(&self, lamp: Arc<Lamp>, _: Port<'_, K>) -> Result<i32, KernReturn> {
///         Ok(lamp.watts)
///     }
/// }
/// # fn main() {}
/// ```
///
/// ```ignore
/// mod memory_object_default {
///     mig_derive::interface! {
///         path: "defs/mach/memory_object_default.defs",
///         include: ["defs"],
///         define: { SEQNOS: 1 },
///         abi: "gnu-i386",
///     }
/// }
/// ```
#[proc_macro]
pub fn interface(input: TokenStream) -> TokenStream {
    let input = proc_macro2::TokenStream::from(input);
    let expanded = syn::parse2::<Arguments>(input.clone()).and_then(|arguments| {
        if arguments.has_abi { expand(&arguments) } else { Ok(for_the_target(&input)) }
    });
    expanded.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// One call of the macro for each target's ABI, under a `cfg` that keeps one of them: a macro is not told
/// which target it is expanded for.
fn for_the_target(input: &proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    quote! {
        #[cfg(all(target_vendor = "apple", target_arch = "x86_64"))]
        ::mig_derive::interface! { abi: "apple-64-x86_64", #input }
        #[cfg(all(target_vendor = "apple", target_pointer_width = "64", not(target_arch = "x86_64")))]
        ::mig_derive::interface! { abi: "apple-64-arm64", #input }
        #[cfg(all(target_vendor = "apple", not(target_pointer_width = "64")))]
        ::mig_derive::interface! { abi: "apple-32", #input }
        #[cfg(all(not(target_vendor = "apple"), target_pointer_width = "64"))]
        ::mig_derive::interface! { abi: "gnu-x86_64", #input }
        #[cfg(all(not(target_vendor = "apple"), not(target_pointer_width = "64")))]
        ::mig_derive::interface! { abi: "gnu-i386", #input }
    }
}

fn expand(arguments: &Arguments) -> syn::Result<proc_macro2::TokenStream> {
    let config = arguments.config();
    let output = match &arguments.source {
        Source::Path(path) => config.tokens(&path.absolute),
        Source::Inline(text) => {
            config.tokens(Input::Text { name: "interface!", text: text.value().as_bytes() })
        }
    };
    let Output { value, files, warnings, .. } = output.map_err(|error| at(arguments, &error))?;
    // Stable Rust leaves a macro no other way to show a warning.
    eprint!("{warnings}");
    let files = files.iter().filter(|file| file.is_absolute()).filter_map(|file| file.to_str());
    Ok(quote! {
        #value
        #(const _: &[u8] = include_bytes!(#files);)*
    })
}

/// An error at the path or the text.
fn at(arguments: &Arguments, error: &Error) -> syn::Error {
    let span = match &arguments.source {
        Source::Path(path) => path.span,
        Source::Inline(text) => text.span(),
    };
    syn::Error::new(span, format!("{error:?}"))
}

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_macro_expands_to_the_tokens_of_the_text_of_a_build_script() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../defs/gnu");
        for (define, macros) in [("", None), ("define: { SEQNOS: 1 },", Some(("SEQNOS", "1")))] {
            for abi in ["gnu-i386", "gnu-x86_64"] {
                let arguments = format!(
                    "path: \"../defs/gnu/mach/memory_object_default.defs\", include: [\"../defs/gnu\"], {define} abi: \"{abi}\""
                );
                let expanded = expand(&syn::parse_str(&arguments).unwrap()).unwrap().to_string();
                let mut config = mig_codegen::Config::new().include_dir(&folder).abi(abi);
                if let Some((name, value)) = macros {
                    config = config.define(name, value);
                }
                let tokens = config.tokens(&folder.join("mach/memory_object_default.defs")).unwrap().value;
                let rest = expanded.strip_prefix(&tokens.to_string()).expect("the macro begins with them");
                assert!(rest.trim_start().starts_with("const _ : & [u8] = include_bytes !"), "{rest}");
            }
        }
    }
}
