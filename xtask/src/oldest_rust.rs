//! The oldest compiler that the libraries promise to work with, from Debian's packages.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt;
use crate::command::{cargo, program, read, script, target, works};
use crate::packages::{RUST, fetch};

/// `cargo` with that compiler; the error says why it cannot be had.
pub(crate) fn cargo_with_it() -> Result<Command, String> {
    let folder = fetch(&RUST)?;
    let rustc = wrapper(&folder, "rustc")?;
    let probe = || works(Command::new(&rustc).arg("--version"));
    if !probe() {
        // Unpacked packages do not bring what they depend on.
        let libraries = ["libedit2", "libxml2", "libz3-4"];
        apt::install(&libraries).map_err(|why| format!("the compiler does not start; {why}"))?;
    }
    let mut cargo = cargo();
    cargo.env("RUSTC", rustc).env("RUSTDOC", wrapper(&folder, "rustdoc")?).env_remove("RUSTUP_TOOLCHAIN");
    Ok(cargo)
}

/// `cargo VERB` for another target: by this machine's compiler where it has the standard library for that, or
/// else by Debian's; the error says what is missing.
pub(crate) fn cargo_for(triple: &str, verb: &str) -> Result<Command, String> {
    if toolchain_has(triple) {
        let mut cargo = cargo();
        cargo.args([verb, "--target", triple]);
        return Ok(cargo);
    }
    let mut cargo = cargo_with_it().map_err(|why| format!("no standard library for {triple}; {why}"))?;
    build_std(&mut cargo, verb, triple);
    Ok(cargo)
}

/// Whether somebody has done `rustup target add`.
pub(crate) fn toolchain_has(triple: &str) -> bool {
    let folder = read(program("rustc").args(["--print", "target-libdir", "--target", triple]));
    folder.is_ok_and(|folder| Path::new(folder.trim()).exists())
}

/// Debian has no standard library for other systems, but the source of one, which cargo builds on the way.
pub(crate) fn build_std(cargo: &mut Command, verb: &str, triple: &str) {
    cargo.args([verb, "-Zbuild-std=std,panic_abort,panic_unwind", "--target", triple]);
    cargo.arg("--target-dir").arg(oldest_target()).env("RUSTC_BOOTSTRAP", "1");
}

/// Where that compiler builds.
pub(crate) fn oldest_target() -> PathBuf {
    target().join("rust-1.85")
}

/// A script that starts a program of the unpacked packages with their libraries.
fn wrapper(folder: &Path, name: &str) -> Result<PathBuf, String> {
    make_wrapper(folder, name).map_err(|error| format!("{name} of {}: {error}", folder.display()))
}

fn make_wrapper(folder: &Path, name: &str) -> std::io::Result<PathBuf> {
    let libraries = folder.join("root/usr/lib");
    link_libraries(&libraries)?;
    let text = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{}' exec '{}' \"$@\"\n",
        libraries.display(),
        folder.join("root/usr/bin").join(name).display()
    );
    script(&folder.join(name), &text)
}

/// Makes the shared libraries of the architecture's folder visible in the one above, where the compiler
/// looks.
fn link_libraries(libraries: &Path) -> std::io::Result<()> {
    const ARCHITECTURE: &str = "x86_64-linux-gnu";
    for entry in fs::read_dir(libraries.join(ARCHITECTURE))? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_file() && name.to_string_lossy().contains(".so") {
            link(&Path::new(ARCHITECTURE).join(name), &libraries.join(name))?;
        }
    }
    link(&Path::new(ARCHITECTURE).join("libLLVM.so.19.1"), &libraries.join("libLLVM-19.so"))
}

/// Links a file, given relative to the folder of the link, so that both can move.
fn link(file: &Path, name: &Path) -> std::io::Result<()> {
    if name.symlink_metadata().is_ok() { Ok(()) } else { symlink(file, name) }
}
