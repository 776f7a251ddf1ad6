//! The oldest compiler that the libraries promise to work with, from Debian's packages.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt;
use crate::command::{cargo, script, works};
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
