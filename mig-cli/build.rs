//! Has the unwinder of gcc's library linked into `mig`, where the linker has it as an archive.
//!
//! The standard library asks for the shared one, which the loader would look for, map and link at each start
//! of the command. The shared one is taken where there is no archive, as with LLVM's tools alone, and where
//! `mig` is built for another machine.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let [host, target] = ["HOST", "TARGET"].map(|name| env::var(name).unwrap_or_default());
    if host != target || !target.ends_with("-linux-gnu") {
        return;
    }
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let Ok(output) = Command::new(linker).arg("-print-file-name=libgcc_eh.a").output() else { return };
    let Ok(archive) = String::from_utf8(output.stdout) else { return };
    let archive = Path::new(archive.trim_end());
    // A linker that does not have it answers with the name alone.
    if let (true, Some(folder)) = (archive.is_file(), archive.parent()) {
        println!("cargo::rustc-link-search=native={}", folder.display());
        println!("cargo::rustc-link-lib=static:+whole-archive,-bundle=gcc_eh");
    }
}
