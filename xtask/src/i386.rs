//! The libraries on i386, built by the oldest compiler that they promise to work with.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, run, target};
use crate::packages::{RUST, fetch};
use crate::report::{Outcome, StepResult};

/// Checks the libraries that run on a Mach kernel, and with them, on the host, those that generate code.
pub(crate) fn check() -> StepResult {
    let mut command = match cargo_for_i386() {
        Ok(command) => command,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    command
        .args(["check", "--target", TARGET, "--lib"])
        .args(["-p", "mig-runtime", "-p", "mach-defs", "-p", "gnumach", "-p", "mach-pager"])
        .arg("--target-dir")
        .arg(target().join("rust-1.85"));
    run(&mut command)?;
    Ok(Outcome::Passed)
}

/// The target of i386 for which there is a standard library.
pub(crate) const TARGET: &str = "i686-unknown-linux-gnu";

/// `cargo` with that compiler, fetched if it is not there yet.
pub(crate) fn cargo_for_i386() -> Result<Command, String> {
    let folder = fetch(&RUST)?;
    let mut command = cargo();
    command
        .env("RUSTC", wrapper(&folder, "rustc")?)
        .env("RUSTDOC", wrapper(&folder, "rustdoc")?)
        .env_remove("RUSTUP_TOOLCHAIN");
    Ok(command)
}

/// A script that starts a program of the unpacked packages with their libraries.
fn wrapper(folder: &Path, name: &str) -> Result<PathBuf, String> {
    make_wrapper(folder, name).map_err(|error| format!("{name} of {}: {error}", folder.display()))
}

fn make_wrapper(folder: &Path, name: &str) -> std::io::Result<PathBuf> {
    let libraries = folder.join("root/usr/lib");
    link_libraries(&libraries)?;
    let script = folder.join(name);
    let text = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{}' exec '{}' \"$@\"\n",
        libraries.display(),
        folder.join("root/usr/bin").join(name).display()
    );
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

/// Makes the shared libraries of the architecture's folder visible in the one above, where the compiler looks.
fn link_libraries(libraries: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(libraries.join("x86_64-linux-gnu"))? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_file() && name.to_string_lossy().contains(".so") {
            link(&path, &libraries.join(name))?;
        }
    }
    link(&libraries.join("x86_64-linux-gnu/libLLVM.so.19.1"), &libraries.join("libLLVM-19.so"))
}

fn link(file: &Path, name: &Path) -> std::io::Result<()> {
    if name.symlink_metadata().is_ok() { Ok(()) } else { symlink(file, name) }
}
