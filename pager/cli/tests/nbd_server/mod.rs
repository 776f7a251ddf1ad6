//! Debian's NBD servers, at work on a file of a folder.

// Each test program uses a part of it, and is not a library.
#![allow(dead_code, unreachable_pub)]

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use mach_pager::store::nbd::Address;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Bytes of the file.
pub const SIZE: u64 = 32 << 20;

/// The servers that are tried.
pub const SERVERS: [&str; 2] = ["nbdkit", "qemu-nbd"];

/// True if a server is installed. If not, a line says so, and where everything is to be checked it is an
/// error.
pub fn is_installed(server: &str) -> bool {
    let found = Command::new(server).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = found.is_ok_and(|status| status.success());
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "{server} is missing");
        eprintln!("skipped: {server} is missing (Debian: apt-get install nbdkit qemu-utils)");
    }
    is_there
}

/// A folder of the tests, with a file for the pages.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::File::create(folder.path().join("disk")).unwrap().set_len(SIZE).unwrap();
    folder
}

/// A server at work.
pub struct Server {
    pub name: &'static str,
    pub port: u16,
    pub process: Child,
}

/// A port that nobody listens on, and that no connection gets by chance: one of those would be connected to
/// itself if it were tried.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let number = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)) + 37 * std::process::id();
        let port = 10_000 + (number % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The command that serves the file `disk` of a folder on a port, or on the socket `sock`.
pub fn command(name: &str, folder: &Path, port: Option<u16>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let port = port.map(|port| port.to_string());
    match (name, &port) {
        ("nbdkit", Some(port)) => command.args(["-f", "-i", "127.0.0.1", "-p", port, "file", "disk"]),
        ("nbdkit", None) => command.args(["-f", "-U", "sock", "file", "disk"]),
        (_, Some(port)) => {
            command.args(["-f", "raw", "-t", "-e", "8", "-b", "127.0.0.1", "-p", port, "disk"])
        }
        (_, None) => {
            let sock = folder.join("sock");
            command.args(["-f", "raw", "-t", "-e", "8", "disk", "-k"]).arg(sock)
        }
    };
    command
}

impl Server {
    pub fn start(name: &'static str, folder: &Path) -> Self {
        // A port that is free now may be taken in a moment: another one then.
        for _ in 0..10 {
            if let Some(server) = Self::start_on(name, folder, free_port()) {
                return server;
            }
        }
        panic!("{name} does not start");
    }

    pub fn start_on(name: &'static str, folder: &Path, port: u16) -> Option<Self> {
        let process = command(name, folder, Some(port)).spawn().unwrap();
        let mut server = Self { name, port, process };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if server.process.try_wait().unwrap().is_some() {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
        Some(server)
    }

    pub fn address(&self) -> Address {
        format!("nbd://127.0.0.1:{}/", self.port).parse().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again after it was killed.
    pub fn restart(&mut self, folder: &Path) {
        while Self::start_on(self.name, folder, self.port).map(|new| *self = new).is_none() {}
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
