//! Has `mig` linked so that it starts fast, on Linux with glibc.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let [host, target] = ["HOST", "TARGET"].map(variable);
    if host != target || !target.ends_with("-linux-gnu") {
        return;
    }
    at_a_fixed_address();
    with_the_unwinder();
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// A program that may lie at any address has tables with six thousand addresses, which the loader has to
/// change at each start, so that their pages are copied. At a fixed address it has none of that to do; the
/// stack, the heap and the C library still lie at random ones. Whoever builds with a `relocation-model`, or
/// with the C library in the program, has decided that already.
fn at_a_fixed_address() {
    let is_decided = variable("CARGO_ENCODED_RUSTFLAGS").contains("relocation-model")
        || variable("CARGO_CFG_TARGET_FEATURE").contains("crt-static");
    if !is_decided {
        // To the linker itself: a compiler that is to link a static program would take it for the wish that
        // the program be a dynamic one.
        println!("cargo::rustc-link-arg-bins=-Wl,-no-pie");
    }
}

/// The standard library asks for the unwinder of gcc's shared library, which the loader would look for, map
/// and link at each start. The shared one is taken where the linker does not have it as an archive, as with
/// LLVM's tools alone, and where `mig` is built for another machine.
fn with_the_unwinder() {
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
