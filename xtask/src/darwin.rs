//! What runs on macOS, without a Mac: checked, linked, and run by `machrun` as far as this machine can.

use std::path::Path;
use std::process::Command;

use crate::command::{self, program, read, run, target};
use crate::oldest_rust::cargo_with_it;
use crate::report::{Outcome, StepResult};
use crate::zig;

const ARM64: &str = "aarch64-apple-darwin";
const X86_64: &str = "x86_64-apple-darwin";

/// The programs that are for macOS.
const PROGRAMS: [&str; 4] = ["-p", "exception-server-example", "-p", "notifications-example"];

/// Checks the libraries and the examples for macOS; nothing is linked, so only the compiler is needed.
pub(crate) fn check() -> StepResult {
    let mut cargo = match cargo_with_it() {
        Ok(cargo) => cargo,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    build_std(&mut cargo, "check", ARM64);
    run(cargo.args(["-p", "mig-runtime", "-p", "mach-defs"]).args(PROGRAMS))?;
    Ok(Outcome::Passed)
}

/// Links the programs for both architectures: every foreign name must be one that Apple's system library has.
pub(crate) fn link() -> StepResult {
    for triple in [ARM64, X86_64] {
        match cargo_that_links("build", triple) {
            Ok(mut cargo) => run(cargo.args(PROGRAMS))?,
            Err(why) => return Ok(Outcome::Skipped(why)),
        }
    }
    Ok(Outcome::Passed)
}

/// `cargo VERB` for a target of macOS, with a standard library and a linker; the error says what is missing.
fn cargo_that_links(verb: &str, triple: &str) -> Result<Command, String> {
    let mut cargo = if toolchain_has(triple) {
        let mut cargo = command::cargo();
        cargo.args([verb, "--target", triple]);
        cargo
    } else {
        let mut cargo = cargo_with_it().map_err(|why| format!("no standard library for {triple}; {why}"))?;
        build_std(&mut cargo, verb, triple);
        cargo
    };
    zig::link_with_it(&mut cargo, triple)?;
    // Nobody looks at these programs with a debugger, and they are built faster without.
    cargo.arg("--quiet").env("CARGO_PROFILE_DEV_DEBUG", "0");
    Ok(cargo)
}

/// Whether somebody has done `rustup target add`.
fn toolchain_has(triple: &str) -> bool {
    let folder = read(program("rustc").args(["--print", "target-libdir", "--target", triple]));
    folder.is_ok_and(|folder| Path::new(folder.trim()).exists())
}

/// Debian has no standard library for macOS, but the source of one, which cargo builds on the way.
fn build_std(cargo: &mut Command, verb: &str, triple: &str) {
    cargo.args([verb, "-Zbuild-std=std,panic_unwind", "--target", triple]);
    cargo.arg("--target-dir").arg(target().join("rust-1.85")).env("RUSTC_BOOTSTRAP", "1");
}
