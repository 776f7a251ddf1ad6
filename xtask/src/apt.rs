//! Debian's package tools: to install what is missing, and to fetch pinned packages without touching the system.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{program, read, run, works};

/// Debian's own keys, with which every fetched index is checked.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Names the archive to fetch from, such as a snapshot that still has the pinned versions.
const MIRROR_VARIABLE: &str = "MIG_DEBIAN_MIRROR";

/// Whether this machine has what fetching needs.
pub(crate) fn available() -> bool {
    works(Command::new("apt-get").arg("--version"))
        && works(Command::new("dpkg").arg("--version"))
        && Path::new(KEYRING).exists()
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

/// An apt that has its own lists, cache and (empty) package status in a folder.
pub(crate) struct PrivateApt {
    config: std::path::PathBuf,
}

impl PrivateApt {
    /// Writes its configuration and fetches the package lists of the suites.
    pub(crate) fn new(folder: &Path, suites: &[&str]) -> Result<Self, String> {
        let mirror = mirror()?;
        for sub in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(sub)).map_err(|error| error.to_string())?;
        }
        let sources: String = suites.iter().fold(String::new(), |mut text, suite| {
            let _ = writeln!(text, "deb [arch=amd64,i386 signed-by={KEYRING}] {mirror} {suite} main");
            text
        });
        write(&folder.join("status"), "")?;
        write(&folder.join("sources.list"), &sources)?;
        let config = folder.join("apt.conf");
        write(&config, &configuration(folder)?)?;
        let apt = PrivateApt { config };
        read(apt.get().arg("update"))?;
        Ok(apt)
    }

    /// Downloads `name:arch=version` into a folder.
    pub(crate) fn download(&self, package: &str, into: &Path) -> Result<(), String> {
        read(self.get().arg("download").arg(package).current_dir(into)).map(drop)
    }

    fn get(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.arg("-qq").env("APT_CONFIG", &self.config);
        command
    }
}

/// The machine's own way to the network (proxies and the like, not its hooks), and everything else in `folder`.
fn configuration(folder: &Path) -> Result<String, String> {
    let machine = read(Command::new("apt-config").arg("dump"))?;
    let inherited = machine.lines().filter(|line| {
        line.starts_with("Acquire::")
            && !["IndexTargets", "Languages", "Changelogs"].iter().any(|part| line[9..].starts_with(part))
    });
    let mut text: String = inherited.flat_map(|line| [line, "\n"]).collect();
    let folder = folder.display();
    for (key, value) in [
        ("Dir::Etc::main", "/dev/null".to_string()),
        ("Dir::Etc::parts", "/dev/null".to_string()),
        ("Dir::Etc::sourcelist", format!("{folder}/sources.list")),
        ("Dir::Etc::sourceparts", "/dev/null".to_string()),
        ("Dir::Etc::preferences", "/dev/null".to_string()),
        ("Dir::Etc::preferencesparts", "/dev/null".to_string()),
        ("Dir::State", folder.to_string()),
        ("Dir::State::status", format!("{folder}/status")),
        ("Dir::State::lists", format!("{folder}/lists")),
        ("Dir::Cache", format!("{folder}/cache")),
        ("APT::Architecture", "amd64".to_string()),
        ("APT::Sandbox::User", String::new()),
        ("Acquire::Languages", "none".to_string()),
        ("Acquire::Retries", "3".to_string()),
        ("Acquire::AllowInsecureRepositories", "false".to_string()),
        ("Acquire::AllowWeakRepositories", "false".to_string()),
    ] {
        let _ = writeln!(text, "{key} \"{value}\";");
    }
    text.push_str("APT::Architectures { \"amd64\"; \"i386\"; };\n");
    Ok(text)
}

/// The archive that the machine's own configuration names, unless the environment names one.
fn mirror() -> Result<String, String> {
    if let Ok(mirror) = std::env::var(MIRROR_VARIABLE) {
        return Ok(mirror);
    }
    // Works without package lists and without root, where `apt-get indextargets` says nothing.
    let uris = read(Command::new("apt-get").args(["update", "--print-uris"]))?;
    uris.lines().find_map(archive_of).ok_or_else(|| {
        format!("this machine's apt configuration names no Debian archive; set {MIRROR_VARIABLE} to one")
    })
}

/// The archive in a line such as `'URI/dists/SUITE/main/binary-ARCH/Packages.xz' …`, if the suite is a Debian release.
fn archive_of(line: &str) -> Option<String> {
    let (archive, rest) = line.strip_prefix('\'')?.split_once("/dists/")?;
    let (suite, rest) = rest.split_once('/')?;
    let releases = ["bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"];
    (releases.contains(&suite) && rest.starts_with("main/binary-")).then(|| archive.to_string())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
