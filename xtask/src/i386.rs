//! The libraries on i386, built by the oldest compiler that they promise to work with.

use crate::command::run;
use crate::oldest_rust::{cargo_with_it, oldest_target};
use crate::report::{Outcome, StepResult};

/// The target of i386 for which there is a standard library.
pub(crate) const TARGET: &str = "i686-unknown-linux-gnu";

/// Checks the libraries that run on a Mach kernel, and with them, on the host, those that generate code.
pub(crate) fn check() -> StepResult {
    let mut cargo = match cargo_with_it() {
        Ok(cargo) => cargo,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    cargo
        .args(["check", "--target", TARGET, "--lib"])
        .args(["-p", "mig-runtime", "-p", "mach-defs", "-p", "gnumach", "-p", "mach-pager"])
        .args(["--features", "mach-defs/apple,mach-defs/gnu,mach-defs/hurd,mach-defs/osf,mach-defs/pager"])
        .arg("--target-dir")
        .arg(oldest_target());
    run(&mut cargo)?;
    Ok(Outcome::Passed)
}
