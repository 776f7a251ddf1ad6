//! redis-server: filled, saved in a child while it changes, and read back.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{figures, print};
use crate::apt;
use crate::command::{program, read, target, works};
use crate::report::Outcome;

/// About four times as much as may be resident.
const KEYS: u64 = 20_000;
const RESIDENT: &str = "2M";

/// Prints the row. False if something that was read back is not what was written; an error if what a child
/// has saved is not what there was at the fork.
pub(super) fn row(folder: &Path) -> Result<bool, String> {
    let is_there =
        || works(program("redis-cli").arg("--version")) && works(program("redis-server").arg("--version"));
    if let Outcome::Skipped(why) = apt::tool("redis", &["redis-server", "redis-tools"], is_there)? {
        eprintln!("skipped: {why}");
        return Ok(true);
    }
    let report = folder.join("report.json");
    let (alone, expected) = session(program("redis-server"), folder)?;
    let mut pager = Command::new(target().join("release/mach-pager"));
    pager.args(["run", "--resident", RESIDENT, "--report"]).arg(&report).args(["--", "redis-server"]);
    let (paged, answers) = session(pager, folder)?;
    let same = answers == expected;
    print("redis-server, and BGSAVE while it changes", RESIDENT, [alone, paged], figures(&report)?, same);
    Ok(same)
}

/// A server, which ends with this.
struct Server {
    process: Child,
    socket: PathBuf,
}

impl Server {
    fn start(mut command: Command, folder: &Path) -> Result<Self, String> {
        let socket = folder.join("redis.sock");
        let _ = fs::remove_file(&socket);
        command.args(["--port", "0", "--save", "", "--enable-debug-command", "yes", "--dir"]).arg(folder);
        command.arg("--unixsocket").arg(&socket);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().map_err(|error| format!("redis-server: {error}"))?;
        let mut server = Self { process, socket };
        while server.ask("PING").is_err() {
            if server.process.try_wait().ok().flatten().is_some() {
                return Err("redis-server has ended".to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// What the server answers to these words.
    fn ask(&self, words: &str) -> Result<String, String> {
        let mut client = program("redis-cli");
        read(client.arg("-s").arg(&self.socket).args(words.split(' ')).stderr(Stdio::null()))
    }

    /// What it answers to the commands of a file.
    fn ask_all(&self, commands: &Path) -> Result<String, String> {
        let input = File::open(commands).map_err(|error| format!("{}: {error}", commands.display()))?;
        read(program("redis-cli").arg("-s").arg(&self.socket).stdin(input))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.ask("SHUTDOWN NOSAVE");
        let _ = self.process.wait();
    }
}

/// How long it takes, and all that was answered: to what is filled in, changed and read, and the digest of
/// what was there at the fork. What the child has saved must have that one.
fn session(command: Command, folder: &Path) -> Result<(Duration, String), String> {
    let file = |name: &str, line: &dyn Fn(u64) -> String| {
        let mut text = String::new();
        // A string takes it all.
        for number in 0..KEYS {
            let _ = writeln!(text, "{}", line(number));
        }
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display())).map(|()| path)
    };
    let value = |number: u64, turn: u64| {
        format!("{:0>200}", (number * 31 + turn).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    };
    let fill = file("fill", &|number| format!("SET key:{number} {}", value(number, 0)))?;
    let change = file("change", &|number| match number % 3 {
        0 => format!("SET key:{number} {}", value(number, 1)),
        _ => format!("GET key:{number}"),
    })?;
    // A dump of a session before would do as well.
    let _ = fs::remove_file(folder.join("dump.rdb"));
    let start = Instant::now();
    let server = Server::start(command, folder)?;
    let mut answers = server.ask_all(&fill)?;
    let digest = server.ask("DEBUG DIGEST")?;
    server.ask("BGSAVE")?;
    answers += &server.ask_all(&change)?;
    while server.ask("INFO persistence")?.contains("rdb_bgsave_in_progress:1") {
        thread::sleep(Duration::from_millis(50));
    }
    answers += &server.ask("DEBUG DIGEST")?;
    drop(server);
    let time = start.elapsed();
    let saved = Server::start(program("redis-server"), folder)?.ask("DEBUG DIGEST")?;
    if saved != digest {
        return Err("redis-server: the child has saved something else than there was at the fork".to_owned());
    }
    Ok((time, answers + &digest))
}
