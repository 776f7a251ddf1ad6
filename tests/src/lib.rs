//! What the tests that cross crates share.

pub mod c_calls;
pub mod compare;
pub mod convert;
pub mod deviations;
pub mod form;
pub mod glue;
pub mod jobs;
pub mod oracle;
pub mod run;
pub mod server_text;
pub mod slots;
pub mod tally;
pub mod values;
pub mod wire;
pub mod wire_kernel;

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The files below a folder whose names have this extension, in order. Links to folders are not followed: a
/// folder of the packages has a second name.
///
/// # Errors
///
/// The first folder that cannot be read.
pub fn files_below(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|other| other == extension) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The book's programs, compiled and run.
#[cfg(doctest)]
mod book {
    macro_rules! pages {
        ($($(#[$when:meta])* $name:ident: $file:literal;)*) => {$(
            $(#[$when])*
            #[doc = include_str!(concat!("../../docs/book/", $file))]
            struct $name;
        )*};
    }
    pages! {
        Client: "client.md";
        Rights: "rights.md";
        Memory: "memory.md";
        Failures: "failures.md";
        BuildScript: "build_script.md";
        Macro: "macro.md";
        Decoding: "decoding.md";
        Production: "production.md";
        #[cfg(target_os = "linux")]
        DefaultPager: "default_pager.md";
        #[cfg(target_os = "linux")]
        MemoryObjects: "memory_objects.md";
    }
}
