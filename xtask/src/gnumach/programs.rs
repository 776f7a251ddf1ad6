//! Programs for the bare kernel: packages of their own, each with its own lock file.

use std::path::PathBuf;

use super::kernel::Kernel;
use crate::command::{cargo, root, run, target};
use crate::i386;
use crate::oldest_rust::cargo_with_it;
use crate::report::{Outcome, StepResult};

/// A package with programs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package {
    /// Its folder in the repository.
    folder: &'static str,
}

/// The first program, which is there to be copied from.
pub(crate) const HELLO: Package = Package { folder: "gnumach/hello" };

/// The pager, and the programs that it pages.
pub(crate) const PAGER: Package = Package { folder: "pager/boot" };

/// All of them.
const PACKAGES: [Package; 2] = [HELLO, PAGER];

impl Package {
    pub(crate) fn manifest(self) -> PathBuf {
        root().join(self.folder).join("Cargo.toml")
    }

    /// Builds the package for a kernel, and returns the folder with its programs.
    pub(crate) fn build(self, kernel: Kernel) -> Result<PathBuf, String> {
        let folder = target().join("gnumach");
        let (mut command, programs) = if kernel.is_i386() {
            let folder = folder.join("i386");
            let mut command = cargo_with_it()?;
            command.args(["build", "--target", i386::TARGET]).arg("--target-dir").arg(&folder);
            (command, folder.join(i386::TARGET).join("release"))
        } else {
            let folder = folder.join("x86_64");
            let mut command = cargo();
            command.arg("build").arg("--target-dir").arg(&folder);
            (command, folder.join("release"))
        };
        run(command.args(["--quiet", "--release", "--manifest-path"]).arg(self.manifest()))?;
        Ok(programs)
    }
}

/// Format and lints, which those of the workspace leave out.
pub(crate) fn lints() -> StepResult {
    for package in PACKAGES {
        run(cargo().args(["fmt", "--check", "--manifest-path"]).arg(package.manifest()))?;
        run(cargo()
            .args(["clippy", "--quiet", "--release", "--bins", "--manifest-path"])
            .arg(package.manifest())
            .arg("--target-dir")
            .arg(target().join("gnumach/x86_64"))
            .args(["--", "-D", "warnings"]))?;
    }
    Ok(Outcome::Passed)
}
