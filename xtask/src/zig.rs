//! The linker for macOS: Zig's, which brings the names that Apple's system library has, and comes from PyPI.

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
    let variable = format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase().replace('-', "_"));
    // Without an SDK the compiler would look for one with Apple's tools. Zig has its own.
    cargo.env(variable, linker).env("SDKROOT", &folder);
    Ok(())
}

/// A script that links for an architecture.
fn wrapper(folder: &Path, architecture: &str) -> std::io::Result<PathBuf> {
    fs::write(folder.join("libiconv.tbd"), ICONV)?;
    let text = format!(
        "#!/bin/sh\nZIG_GLOBAL_CACHE_DIR='{cache}' ZIG_LOCAL_CACHE_DIR='{cache}' \
         exec '{folder}/ziglang/zig' cc -target {architecture}-macos.11.0 -L'{folder}' \"$@\"\n",
        cache = target().join("zig").display(),
        folder = folder.display(),
    );
    script(&folder.join(format!("link-{architecture}")), &text)
}
