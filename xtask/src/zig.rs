//! Zig's linkers, which come from PyPI: for macOS, with the names that Apple's system library has, and for
//! WebAssembly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{script, target};
use crate::pip;

/// What pip is to install: the version, and the checksum of the wheel for Linux on x86_64.
const REQUIREMENT: &str = "ziglang==0.17.1 \
    --hash=sha256:ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54\n";

/// Rust's standard library asks for this library, which Zig does not have, and calls nothing in it.
const ICONV: &str = "\
--- !tapi-tbd
tbd-version: 4
targets: [ x86_64-macos, arm64-macos ]
install-name: '/usr/lib/libiconv.2.dylib'
...
";

/// Makes `cargo` link for this target of macOS; the error says what is missing.
pub(crate) fn link_with_it(cargo: &mut Command, triple: &str) -> Result<(), String> {
    let (architecture, _) = triple.split_once('-').unwrap_or_default();
    let folder = pip::fetch("zig", REQUIREMENT)?;
    let linker = wrapper(&folder, architecture).map_err(|error| format!("{}: {error}", folder.display()))?;
    // Without an SDK the compiler would look for one with Apple's tools. Zig has its own.
    cargo.env(linker_variable(triple), linker).env("SDKROOT", &folder);
    Ok(())
}

/// Makes `cargo` link WebAssembly, where the compiler does not bring a linker for it.
pub(crate) fn link_wasm_with_it(cargo: &mut Command, triple: &str) -> Result<(), String> {
    let folder = pip::fetch("zig", REQUIREMENT)?;
    // The compiler says first which of lld's linkers it wants; Zig's is that one.
    let text = wrapper_of(&folder, "wasm-ld").replacen("\n", "\nshift 2\n", 1);
    let linker =
        script(&folder.join("wasm-ld"), &text).map_err(|error| format!("{}: {error}", folder.display()))?;
    cargo.env(linker_variable(triple), linker);
    Ok(())
}

/// Where cargo looks for the linker of a target.
fn linker_variable(triple: &str) -> String {
    format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase().replace('-', "_"))
}

/// A script that links for an architecture.
fn wrapper(folder: &Path, architecture: &str) -> std::io::Result<PathBuf> {
    fs::write(folder.join("libiconv.tbd"), ICONV)?;
    let command = format!("cc -target {architecture}-macos.11.0 -L'{}'", folder.display());
    let text = wrapper_of(folder, &command);
    script(&folder.join(format!("link-{architecture}")), &text)
}

/// A script that runs a command of Zig.
fn wrapper_of(folder: &Path, command: &str) -> String {
    format!(
        "#!/bin/sh\nZIG_GLOBAL_CACHE_DIR='{cache}' ZIG_LOCAL_CACHE_DIR='{cache}' \
         exec '{folder}/ziglang/zig' {command} \"$@\"\n",
        cache = target().join("zig").display(),
        folder = folder.display(),
    )
}
