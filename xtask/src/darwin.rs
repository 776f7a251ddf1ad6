//! What runs on macOS, checked without a Mac: nothing is linked, so Apple's tools are not needed.

use crate::command::{run, target};
use crate::oldest_rust::cargo_with_it;
use crate::report::{Outcome, StepResult};

/// Checks the libraries and the examples for macOS.
///
/// Debian has no standard library for it, but the source of one, which cargo builds on the way.
pub(crate) fn check() -> StepResult {
    let mut cargo = match cargo_with_it() {
        Ok(cargo) => cargo,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    cargo
        .args(["check", "-Zbuild-std=std,panic_unwind", "--target", "aarch64-apple-darwin"])
        .args([
            "-p",
            "mig-runtime",
            "-p",
            "mach-defs",
            "-p",
            "exception-server-example",
            "-p",
            "notifications-example",
        ])
        .arg("--target-dir")
        .arg(target().join("rust-1.85"))
        .env("RUSTC_BOOTSTRAP", "1");
    run(&mut cargo)?;
    Ok(Outcome::Passed)
}
