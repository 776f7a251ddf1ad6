//! The compiler on a machine that stores numbers with their highest byte first. The messages it describes are
//! those of machines with the lowest byte first; only programs that send them need such a machine.

use crate::command::run;
use crate::oldest_rust::cargo_for;
use crate::report::{Outcome, StepResult};

const TARGET: &str = "s390x-unknown-linux-gnu";

/// Checks the command and the macro, and with them all that they are made of.
pub(crate) fn check() -> StepResult {
    let mut cargo = match cargo_for(TARGET, "check") {
        Ok(cargo) => cargo,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    run(cargo.args(["--quiet", "-p", "mig-cli", "-p", "mig-derive"]))?;
    Ok(Outcome::Passed)
}
