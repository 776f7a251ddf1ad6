//! The library of `mach-preload` as bytes, for the command that loads it into programs.
//!
//! `cargo install` installs programs and no libraries, so the command has the library in itself. Cargo builds
//! it before the command, since the command's package depends on it, and names its `rlib` to the compiler
//! that builds the command; the shared library is beside that, because one run of the compiler makes both. A
//! macro runs in that compiler, and reads the name from its arguments. Cargo has a way of its own to hand
//! such a file to a package, artifact dependencies, which is not stable.

use std::ffi::OsString;
use std::path::PathBuf;

use proc_macro::TokenStream;

/// The crate, as the compiler's argument names it.
const CRATE: &str = "mach_preload";

/// `Some` with the bytes of the shared library, or `None` where there is none: for targets that it is not
/// for, and where code is only checked.
#[proc_macro]
pub fn image(_: TokenStream) -> TokenStream {
    let library = named(std::env::args_os()).map(|path| path.with_extension("so"));
    let tokens = match library.as_ref().filter(|path| path.is_file()).and_then(|path| path.to_str()) {
        Some(path) => {
            format!("::core::option::Option::Some(::core::include_bytes!({path:?}) as &'static [u8])")
        }
        None => "::core::option::Option::<&'static [u8]>::None".to_owned(),
    };
    tokens.parse().expect("an expression")
}

/// The `rlib` of the crate by the argument `--extern`. Where a crate is only checked, Cargo names the
/// metadata of others, and a library beside that may be of a build before.
fn named(arguments: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let arguments: Vec<_> = arguments.filter_map(|argument| argument.into_string().ok()).collect();
    let values = arguments.iter().enumerate().filter_map(|(at, argument)| match argument.as_str() {
        "--extern" => arguments.get(at + 1).map(String::as_str),
        argument => argument.strip_prefix("--extern="),
    });
    let mut crates = values.filter_map(|value| value.split_once('='));
    // Options of such a crate are before its name.
    let (_, path) = crates.find(|(name, _)| name.rsplit(':').next() == Some(CRATE))?;
    Some(PathBuf::from(path)).filter(|path| path.extension().is_some_and(|kind| kind == "rlib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &str) -> Option<PathBuf> {
        named(arguments.split(' ').map(OsString::from))
    }

    #[test]
    fn the_library_is_found_in_the_arguments_of_the_compiler() {
        let path = Some(PathBuf::from("/deps/libmach_preload-1.rlib"));
        for arguments in [
            "rustc --extern clap=/deps/libclap.rlib --extern mach_preload=/deps/libmach_preload-1.rlib x.rs",
            "rustc --extern=noprelude:mach_preload=/deps/libmach_preload-1.rlib x.rs",
        ] {
            assert_eq!(of(arguments), path, "{arguments}");
        }
        for arguments in [
            "rustc x.rs",
            "rustc --extern mach_preload",
            "rustc --extern",
            "rustc --extern mach_preload_image=/deps/libmach_preload_image.rlib",
            "rustc --extern mach_preload=/deps/libmach_preload-1.rmeta",
        ] {
            assert_eq!(of(arguments), None, "{arguments}");
        }
    }
}
