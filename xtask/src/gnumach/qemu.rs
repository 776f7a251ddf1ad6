//! A machine in QEMU: what it is given, and how it ended.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::apt;
use crate::command::works;
use crate::report::StepResult;

/// The emulator; it runs the kernels for i386 as well.
const QEMU: &str = "qemu-system-x86_64";

/// What programs write to `isa-debug-exit` if all is well; QEMU ends with twice that and 1.
const ALL_WELL: u8 = 16;

/// Lines with which nothing good can come any more: of the kernel, and of programs.
const FATAL: [&str; 2] = ["panic ", "Kernel "];
const FAILED: [&str; 2] = ["panicked at", "exception "];

/// Whether the emulator is there; installs it if it is not and that is possible.
pub(crate) fn set_up() -> StepResult {
    apt::tool(QEMU, &["qemu-system-x86"], || works(Command::new(QEMU).arg("--version")))
}

/// A machine.
pub(crate) struct Machine {
    /// The kernel's image.
    pub(crate) kernel: PathBuf,
    /// Memory, in MiB.
    pub(crate) memory: u32,
    /// Processors.
    pub(crate) processors: u32,
    /// The folder with the programs.
    pub(crate) programs: PathBuf,
    /// Those that the kernel loads: the name, and the rest of the line in the boot script.
    pub(crate) modules: Vec<(&'static str, String)>,
    /// The disks, as QEMU's `-drive` has them.
    pub(crate) drives: Vec<String>,
    /// Whether programs may fail without an end to all.
    pub(crate) may_fail: bool,
    /// How long it may run.
    pub(crate) limit: Duration,
}

/// What a program's line in the boot script begins with: its rights as arguments.
const RIGHTS: &str = "${host-port} ${device-port}";

impl Machine {
    /// Starts it, shows its console, and returns that when it has ended well. The error has what the console
    /// said.
    pub(crate) fn run(&self) -> Result<String, String> {
        let mut command = self.command();
        command.args(["-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let child = child.as_mut().map_err(|error| format!("{QEMU}: {error}"))?;
        let mut console = String::new();
        let end = self.watch(child, &mut console);
        // One that has closed its console is about to end, with the verdict.
        if !matches!(end, End::Closed) {
            // It may have ended already.
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        let good = i32::from(ALL_WELL) * 2 + 1;
        match end {
            End::Closed if status.code() == Some(good) => Ok(console),
            End::Closed => Err(format!("the machine stopped without a verdict ({status})\n{console}")),
            End::Fatal => Err(format!("the console tells of a failure\n{console}")),
            End::Late => Err(format!("no verdict after {} s\n{console}", self.limit.as_secs())),
        }
    }

    /// Starts it with the terminal as its console, and leaves it alone: programs cannot end it.
    pub(crate) fn run_interactively(&self) -> Result<(), String> {
        println!("QEMU's keys: ctrl-A X ends it, ctrl-A C is its monitor");
        let mut command = self.command();
        command.args(["-serial", "mon:stdio"]);
        command.status().map(drop).map_err(|error| format!("{QEMU}: {error}"))
    }

    fn command(&self) -> Command {
        let mut modules = String::new();
        for (name, arguments) in &self.modules {
            let comma = if modules.is_empty() { "" } else { "," };
            // QEMU wants a comma in an argument twice.
            let arguments = arguments.replace(',', ",,");
            let _ = write!(modules, "{comma}{name} {RIGHTS} {arguments}");
        }
        let mut command = Command::new(QEMU);
        command
            .current_dir(&self.programs)
            .args(["-nodefaults", "-display", "none", "-no-reboot"])
            .args(["-m", &format!("{}M", self.memory), "-smp", &self.processors.to_string()])
            .args(["-append", "console=com0"])
            .arg("-kernel")
            .arg(&self.kernel)
            .args(["-initrd", &modules]);
        for drive in &self.drives {
            command.args(["-drive", drive]);
        }
        if has_virtualization() {
            // QEMU falls back to translation by itself if it may not use the device.
            command.args(["-accel", "kvm", "-accel", "tcg"]);
        }
        command
    }

    /// Shows what the console says, and collects it, until it is clear how the machine ends.
    fn watch(&self, child: &mut Child, console: &mut String) -> End {
        let Some(output) = child.stdout.take() else { return End::Closed };
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if send.send(String::from_utf8_lossy(&line).trim_end().to_string()).is_err() {
                    break;
                }
            }
        });
        let deadline = Instant::now() + self.limit;
        loop {
            match next(&lines, deadline) {
                Ok(line) => {
                    show(&line, console);
                    if self.is_fatal(&line) {
                        // What belongs to it follows soon.
                        let soon = Instant::now() + Duration::from_millis(500);
                        while let Ok(line) = next(&lines, soon) {
                            show(&line, console);
                        }
                        return End::Fatal;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return End::Closed,
                Err(RecvTimeoutError::Timeout) => return End::Late,
            }
        }
    }

    /// Whether a line tells that nothing good can come any more.
    fn is_fatal(&self, line: &str) -> bool {
        let has = |word: &&str| line.contains(*word);
        FATAL.iter().any(has) || !self.may_fail && FAILED.iter().any(has)
    }
}

/// Whether the processor runs a virtual machine itself. A KVM without hardware behind it (`kvm_pvm`, in a
/// virtual machine) emulates a kernel's code, and does not know every instruction that GNU Mach begins with.
fn has_virtualization() -> bool {
    let exists = |path: &str| Path::new(path).exists();
    exists("/dev/kvm") && (exists("/sys/module/kvm_intel") || exists("/sys/module/kvm_amd"))
}

enum End {
    /// The machine has closed its console.
    Closed,
    /// A line told of a failure.
    Fatal,
    /// The time was over.
    Late,
}

fn next(lines: &Receiver<String>, deadline: Instant) -> Result<String, RecvTimeoutError> {
    lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
}

fn show(line: &str, console: &mut String) {
    println!("  | {line}");
    console.push_str(line);
    console.push('\n');
}
