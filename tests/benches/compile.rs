//! Processor time and instructions to compile every GNU Mach interface: `mig` as a library and as a command,
//! and the C MIG after a C preprocessor.
//!
//! ```text
//! cargo bench -p mig-tests --bench compile
//! ```

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use mig_codegen::Config;
use mig_tests::files_below;
use mig_tests::oracle::{CAbi, packages_or_skip};

const ABI: CAbi = CAbi::GnuX86_64;

/// How far to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// Every message laid out.
    Tables,
    /// Items of Rust, as the macro takes them.
    Items,
    /// Formatted Rust, as a build script writes it.
    Text,
}

impl Goal {
    const ALL: [Goal; 3] = [Goal::Tables, Goal::Items, Goal::Text];

    /// Compiles a file, and returns the bytes of the result where it is text.
    fn reach(self, system: &Path, file: &Path) -> Result<usize, mig_codegen::Error> {
        let config = Config::new().include_dir(system).abi(ABI.name());
        match self {
            Goal::Tables => config.interface(file).map(|_| 0),
            Goal::Items => config.tokens(file).map(|_| 0),
            Goal::Text => config.text(file).map(|output| output.value.len()),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match &arguments[..] {
        [run, goal, system, file] if run == "run" => run_one(goal, Path::new(system), Path::new(file)),
        _ if !arguments.iter().any(|argument| argument == "--bench") => Ok(()),
        _ => compare(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One file in a process of its own, as the command does it.
fn run_one(goal: &str, system: &Path, file: &Path) -> Result<(), String> {
    let goal = Goal::ALL.into_iter().find(|known| format!("{known:?}") == goal).ok_or("which goal?")?;
    goal.reach(system, file).map(drop).map_err(|error| error.to_string())
}

fn compare() -> Result<(), String> {
    let Some(packages) = packages_or_skip() else { return Ok(()) };
    let system = ABI.include(&packages);
    let files = interfaces(&system)?;
    let mut bytes = 0;
    for file in &files {
        bytes += Goal::Text.reach(&system, file).map_err(|error| error.to_string())?;
    }
    println!("{} files of GNU Mach become {} KiB of Rust", files.len(), bytes / 1024);
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let c = Cost::of_processes(&files, |file| c_mig(&packages, &system, file))?;
    c.report("cpp | migcom, a process each a file", &c);
    for goal in Goal::ALL {
        let processes = Cost::of_processes(&files, |file| {
            let mut command = Command::new(&own);
            command.arg("run").arg(format!("{goal:?}")).arg(&system).arg(file);
            vec![command]
        })?;
        processes.report(&format!("{goal:?}, a process a file"), &c);
        let one = |file: &PathBuf| goal.reach(&system, file).map(drop).map_err(|error| error.to_string());
        let time = least(libc::RUSAGE_SELF, || files.iter().try_for_each(one))?;
        Cost { time, instructions: None }.report(&format!("{goal:?}, as a library"), &c);
    }
    Ok(())
}

/// What it costs to compile all files.
struct Cost {
    /// Of processors, in user mode and in the system: on a busy machine it is the same, which the time of a
    /// clock on a wall is not.
    time: Duration,
    /// In user mode; `None` where nothing has counted them.
    instructions: Option<u64>,
}

impl Cost {
    /// The cost of commands that are run for each file, one after the other, each with the last one's output
    /// as its input.
    fn of_processes(files: &[PathBuf], commands: impl Fn(&Path) -> Vec<Command>) -> Result<Self, String> {
        let run = |file: &PathBuf, valgrind| pipe(commands(file), valgrind);
        let time =
            least(libc::RUSAGE_CHILDREN, || files.iter().try_for_each(|file| run(file, false).map(drop)))?;
        if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
            return Ok(Cost { time, instructions: None });
        }
        let counts = files.iter().map(|file| run(file, true));
        Ok(Cost { time, instructions: Some(counts.sum::<Result<u64, String>>()?) })
    }

    fn report(&self, what: &str, c: &Cost) {
        let milliseconds = self.time.as_secs_f64() * 1000.0;
        let ratio = c.time.as_secs_f64() / self.time.as_secs_f64();
        print!("{what:40} {milliseconds:8.1} ms {ratio:8.1} times as fast");
        if let (Some(own), Some(c)) = (self.instructions, c.instructions) {
            print!(" {:8.1} M instructions {:8.2} times as few", own as f64 / 1e6, c as f64 / own as f64);
        }
        println!();
    }
}

/// The files below a folder that declare a subsystem.
fn interfaces(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in files_below(folder, "defs").map_err(|error| format!("{}: {error}", folder.display()))? {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        files.extend(text.lines().any(|line| line.starts_with("subsystem")).then_some(path));
    }
    Ok(files)
}

/// Stubs for both sides, and the headers.
fn c_mig(packages: &Path, system: &Path, file: &Path) -> Vec<Command> {
    let mut preprocess = Command::new("cpp");
    preprocess.args(["-undef", "-nostdinc", "-D__x86_64__=1", "-D__LP64__=1", "-I"]).arg(system).arg(file);
    let mut mig = Command::new(packages.join("trixie-amd64/usr/lib/mig/x86_64-gnu-migcom"));
    mig.args(["-user", "user.c", "-server", "server.c", "-header", "user.h", "-sheader", "server.h"]);
    mig.current_dir(env!("CARGO_TARGET_TMPDIR"));
    vec![preprocess, mig]
}

/// Runs commands, each with the last one's output as its input. Returns the instructions that valgrind
/// counts, if it is to.
fn pipe(commands: Vec<Command>, valgrind: bool) -> Result<u64, String> {
    let (mut input, mut children) = (Stdio::null(), Vec::new());
    let last = commands.len() - 1;
    for (index, command) in commands.into_iter().enumerate() {
        let mut command = if valgrind { under_valgrind(&command) } else { command };
        command.stdin(input).stdout(if index < last { Stdio::piped() } else { Stdio::null() });
        command.stderr(if valgrind { Stdio::piped() } else { Stdio::inherit() });
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        input = child.stdout.take().map_or_else(Stdio::null, Stdio::from);
        children.push((command, child));
    }
    let mut instructions = 0;
    for (command, child) in children {
        let output = child.wait_with_output().map_err(|error| format!("{command:?}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{command:?}: {}", output.status));
        }
        instructions += collected(&String::from_utf8_lossy(&output.stderr));
    }
    Ok(instructions)
}

fn under_valgrind(command: &Command) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--trace-children=yes"]);
    valgrind.arg(command.get_program()).args(command.get_args());
    command.get_current_dir().map(|folder| valgrind.current_dir(folder));
    valgrind
}

/// The sum of what callgrind says of each process.
fn collected(said: &str) -> u64 {
    said.lines().filter_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok()).sum()
}

/// The least processor time of several runs.
fn least(whose: c_int, mut run: impl FnMut() -> Result<(), String>) -> Result<Duration, String> {
    let mut least = Duration::MAX;
    for _ in 0..10 {
        let start = processor_time(whose);
        run()?;
        least = least.min(processor_time(whose) - start);
    }
    Ok(least)
}

/// What this process or its children that have ended have taken of the processors, in user mode and in the
/// system.
fn processor_time(whose: c_int) -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a place for the answer.
    let result = unsafe { libc::getrusage(whose, usage.as_mut_ptr()) };
    assert_eq!(result, 0, "there is such a `who`");
    // SAFETY: zeros are a valid answer, too.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}
