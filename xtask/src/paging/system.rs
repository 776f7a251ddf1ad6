//! What is set up of the system for a while: limits of memory, swap space, and a device in memory.
//!
//! A shell in the background takes down what has to be undone before it is done, and undoes it when this
//! process is over, however it ends.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::command::{program, read};

/// Undoes what was done, the last first, when it is dropped or this process has ended.
pub(super) struct Undo {
    shell: Child,
    lines: Option<ChildStdin>,
}

/// Reads lines until there are no more, and then does them in the opposite order.
const SHELL: &str = r#"trap '' HUP INT TERM QUIT PIPE
undo=
while IFS= read -r line; do undo="$line
$undo"; done
eval "$undo""#;

impl Undo {
    pub(super) fn new() -> Result<Self, String> {
        let mut shell = program("sh");
        shell.args(["-c", SHELL]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn().map_err(|error| format!("sh: {error}"))?;
        let lines = shell.stdin.take();
        Ok(Self { shell, lines })
    }

    /// Takes down a command, before there is something to undo.
    fn by(&mut self, line: &str) -> Result<(), String> {
        let lines = self.lines.as_mut().ok_or("the shell has no input")?;
        writeln!(lines, "{line}").map_err(|error| format!("sh: {error}"))
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        self.lines = None;
        let _ = self.shell.wait();
    }
}

/// A group of processes whose memory is counted, and bounded if that is said.
pub(super) struct Group {
    folder: PathBuf,
    is_v2: bool,
    _undo: Undo,
}

impl Group {
    pub(super) fn new(limit: Option<u64>) -> Result<Self, String> {
        let root = Path::new("/sys/fs/cgroup");
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        let is_v2 = controllers.split_whitespace().any(|name| name == "memory");
        let parent = if is_v2 { root.to_owned() } else { root.join("memory") };
        if !parent.is_dir() {
            return Err("there is no cgroup for memory, of version 1 or 2".into());
        }
        if is_v2 {
            // It may be on already, and be none of ours to change.
            let _ = fs::write(parent.join("cgroup.subtree_control"), "+memory");
        }
        let folder = parent.join(format!("mach-bench-{}", std::process::id()));
        let path = folder.display();
        let mut undo = Undo::new()?;
        undo.by(&format!("for i in 1 2 3 4 5 6 7 8 9; do rmdir {path} && break; sleep 0.3; done"))?;
        undo.by(&format!("kill -9 $(cat {path}/cgroup.procs)"))?;
        let told = |error| format!("{path}: {error}; are you root?");
        fs::create_dir(&folder).map_err(told)?;
        if let Some(limit) = limit {
            let name = if is_v2 { "memory.max" } else { "memory.limit_in_bytes" };
            fs::write(folder.join(name), limit.to_string()).map_err(told)?;
        }
        Ok(Self { folder, is_v2, _undo: undo })
    }

    /// A command that runs in it.
    pub(super) fn command(&self, name: &Path) -> Command {
        let mut command = program("sh");
        command.arg("-c").arg(r#"echo $$ > "$0/cgroup.procs"; exec "$@""#).arg(&self.folder).arg(name);
        command
    }

    /// The most that was ever used, in bytes.
    pub(super) fn peak(&self) -> Result<u64, String> {
        let name = if self.is_v2 { "memory.peak" } else { "memory.max_usage_in_bytes" };
        let text = fs::read_to_string(self.folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
        text.trim().parse().map_err(|_| format!("{name}: {text}"))
    }

    /// True if the system has ended a process because of the limit.
    pub(super) fn has_killed(&self) -> bool {
        let name = if self.is_v2 { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        text.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count.trim() != "0")
    }
}

/// The system swaps to this, as long as it lives.
pub(super) struct Swap {
    _undo: Undo,
}

/// What is swapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// A file of this folder's file system, with this many pages read at once at most, as a power of two.
    Disk(u32),
    /// A device that keeps pages in memory, compressed by LZ4.
    Zram,
}

const CLUSTER: &str = "/proc/sys/vm/page-cluster";

impl Swap {
    pub(super) fn new(on: On, folder: &Path, bytes: u64) -> Result<Self, String> {
        let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
        if swaps.lines().count() > 1 {
            return Err("this machine swaps already, so that it would not be known to what".into());
        }
        let mut undo = Undo::new()?;
        let device = match on {
            On::Disk(cluster) => {
                let before = fs::read_to_string(CLUSTER).map_err(|error| format!("{CLUSTER}: {error}"))?;
                undo.by(&format!("echo {} > {CLUSTER}", before.trim()))?;
                fs::write(CLUSTER, cluster.to_string()).map_err(|error| format!("{CLUSTER}: {error}"))?;
                let path = folder.join("system.swap");
                undo.by(&format!("rm -f '{}'", path.display()))?;
                read(program("fallocate").arg("-l").arg(bytes.to_string()).arg(&path))?;
                read(program("chmod").arg("600").arg(&path))?;
                path
            }
            On::Zram => {
                let control = "/sys/class/zram-control";
                let number = fs::read_to_string(format!("{control}/hot_add")).map_err(|error| {
                    format!("{control}/hot_add: {error}; is zram there, and are you root?")
                })?;
                let number = number.trim();
                undo.by(&format!("echo {number} > {control}/hot_remove"))?;
                let setting = |name: &str, value: &str| {
                    let path = format!("/sys/block/zram{number}/{name}");
                    fs::write(&path, value).map_err(|error| format!("{path}: {error}"))
                };
                setting("comp_algorithm", "lz4")?;
                setting("disksize", &bytes.to_string())?;
                format!("/dev/zram{number}").into()
            }
        };
        read(program("mkswap").arg(&device))?;
        undo.by(&format!("swapoff '{}'", device.display()))?;
        read(program("swapon").arg(&device))?;
        Ok(Self { _undo: undo })
    }
}
