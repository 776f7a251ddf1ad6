//! Checks the workflows of GitHub: nothing here can run them, so it is at least checked that they have the
//! form of workflows.

use crate::command::{program, root, run};
use crate::pip;
use crate::report::{Outcome, StepResult};

/// A linter of workflows: the version, and the checksum of the wheel for Linux on x86_64.
const ZIZMOR: &str = "zizmor==1.32.0 \
    --hash=sha256:84a6acb975accc13408786a2bd274b572537ca19c933ebbc13e78f3988562071\n";

/// Checks that they are of the form that GitHub takes, and trust nobody whom they need not.
pub(crate) fn check() -> StepResult {
    let folder = match pip::fetch("zizmor", ZIZMOR) {
        Ok(folder) => folder,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let mut zizmor = program(folder.join("bin/zizmor"));
    zizmor.args(["--offline", "--no-progress", "--strict-collection", "--persona", "pedantic"]);
    run(zizmor.arg(root().join(".github/workflows")))?;
    Ok(Outcome::Passed)
}
