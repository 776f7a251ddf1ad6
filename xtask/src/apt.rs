//! Debian's package tools: to install what is missing, and to fetch pinned packages without touching the
//! system.

use std::path::Path;
use std::process::Command;

use crate::command::{program, read, run, works};
use crate::report::{Outcome, StepResult};

/// Downloads one file.
const HELPER: &str = "/usr/lib/apt/apt-helper";

/// Names the archive to fetch from, such as a snapshot that still has the pinned versions.
const ARCHIVE_VARIABLE: &str = "MIG_DEBIAN_ARCHIVE";

/// Whether this machine has what fetching needs.
pub(crate) fn available() -> bool {
    works(Command::new("apt-get").arg("--version"))
        && works(Command::new("dpkg").arg("--version"))
        && Path::new(HELPER).exists()
}

/// Installs packages of the machine's own release and architecture; needs root.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    if read(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err(format!("as root: apt-get install {}", packages.join(" ")));
    }
    let apt = || {
        let mut command = program("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
        command
    };
    run(apt().arg("update"))?;
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// Installs the packages of a tool that does not work yet.
pub(crate) fn tool(name: &str, packages: &[&str], does_work: impl Fn() -> bool) -> StepResult {
    if does_work() {
        return Ok(Outcome::Passed);
    }
    match install(packages) {
        Ok(()) if does_work() => Ok(Outcome::Passed),
        Ok(()) => Err(format!("{name} does not work, although it is installed")),
        Err(why) => Ok(Outcome::Skipped(format!("{name} does not work; {why}"))),
    }
}

/// Downloads a file of the archive, such as `pool/main/m/mig/NAME.deb`, whose checksum is known.
///
/// Neither package lists nor signatures are needed: the checksum says what the file is.
pub(crate) fn download(archive: &str, path: &str, sha256: &str, into: &Path) -> Result<(), String> {
    let mut helper = Command::new(HELPER);
    helper.args(["-o", "Acquire::Retries=3", "download-file"]);
    helper.arg(format!("{archive}/{path}")).arg(into).arg(format!("SHA256:{sha256}"));
    read(&mut helper).map(drop)
}

/// The archive that the machine's own configuration names, unless the environment names one.
pub(crate) fn archive() -> Result<String, String> {
    if let Ok(archive) = std::env::var(ARCHIVE_VARIABLE) {
        return Ok(archive);
    }
    // Works without package lists and without root, where `apt-get indextargets` says nothing.
    let uris = read(Command::new("apt-get").args(["update", "--print-uris"]))?;
    uris.lines().find_map(archive_of).ok_or_else(|| {
        format!("this machine's apt configuration names no Debian archive; set {ARCHIVE_VARIABLE} to one")
    })
}

/// The archive in a line such as `'URI/dists/SUITE/main/binary-ARCH/Packages.xz' …`, if the suite is a Debian
/// release.
fn archive_of(line: &str) -> Option<String> {
    let (archive, rest) = line.strip_prefix('\'')?.split_once("/dists/")?;
    let (suite, rest) = rest.split_once('/')?;
    let releases = ["bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"];
    (releases.contains(&suite) && rest.starts_with("main/binary-")).then(|| archive.to_string())
}
