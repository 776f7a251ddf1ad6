//! Tools from PyPI, unpacked privately under the target folder, like those of Debian.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{program, read, works};
use crate::{apt, packages};

/// The folder with what this line of a requirements file names, with its version and its checksum; fetches it
/// if it is not there yet.
pub(crate) fn fetch(name: &str, requirement: &str) -> Result<PathBuf, String> {
    packages::fetch_into(name, requirement, |folder| install(requirement, folder))
}

/// pip compares the checksum. With `--target` it needs no virtual environment, and installs nothing in the
/// system.
fn install(requirement: &str, folder: &Path) -> Result<(), String> {
    if !works(program("python3").args(["-m", "pip", "--version"])) {
        apt::install(&["python3-pip"]).map_err(|why| format!("python3 has no pip; {why}"))?;
    }
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, requirement).map_err(|error| format!("{}: {error}", requirements.display()))?;
    let mut pip = program("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps"]);
    pip.args(["--only-binary", ":all:", "--require-hashes", "--requirement"]).arg(&requirements);
    read(pip.arg("--target").arg(folder)).map(drop)
}
