//! Processor time and instructions to compile every interface of GNU Mach: by the `mig` command, a process a
//! file, by the library, and by the C MIG after a C preprocessor.
//!
//! ```text
//! MIG_PACKAGES=$PWD/target/packages/mig cargo bench -p mig-cli --bench compile
//! ```

mod cost;

use std::ffi::c_int;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use cost::{collected, has_valgrind, processor_time};
use mig_codegen::{Config, Error};

const ABI: &str = "gnu-x86_64";
/// Where Debian has the interfaces, and its MIG, among the packages.
const INCLUDE: &str = "trixie-amd64/usr/include/x86_64-linux-gnu";
const C_MIG: &str = "trixie-amd64/usr/lib/mig/x86_64-gnu-migcom";
/// How often everything is run: the least time of each counts.
const ROUNDS: usize = 20;

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), String> {
    let Some(packages) = std::env::var_os("MIG_PACKAGES").map(PathBuf::from) else {
        println!("skipped: MIG_PACKAGES names no folder with the C MIG; `cargo xtask packages` fetches it");
        return Ok(());
    };
    fs::create_dir_all(folder()).map_err(|error| error.to_string())?;
    // A copy, as one that is installed is: to map pages that a linker has just written costs more.
    fs::copy(env!("CARGO_BIN_EXE_mig"), folder().join("mig")).map_err(|error| error.to_string())?;
    let mut files = Vec::new();
    interfaces(&packages.join(INCLUDE), &mut files).map_err(|error| error.to_string())?;
    println!("{} files of GNU Mach, a process a file:", files.len());
    let ways = [
        Way { name: "cpp | migcom, to files in C", commands: c_mig },
        Way { name: "mig check", commands: |packages, file| vec![mig("check", packages, file)] },
        Way { name: "mig abi", commands: |packages, file| vec![mig("abi", packages, file)] },
        Way {
            name: "mig rust, to a file",
            commands: |packages, file| {
                let mut command = mig("rust", packages, file);
                command.arg("-o").arg(folder().join("both.rs"));
                vec![command]
            },
        },
    ];
    let mut times = [Duration::MAX; 4];
    // In turn, so that whatever else the machine does is in all of them.
    for _ in 0..ROUNDS {
        for (way, least) in ways.iter().zip(&mut times) {
            let all = || way.run(&packages, &files, false).map(drop);
            *least = time(libc::RUSAGE_CHILDREN, all)?.min(*least);
        }
    }
    let mut c = None;
    for (way, time) in ways.iter().zip(times) {
        let count = has_valgrind().then(|| way.run(&packages, &files, true)).transpose()?;
        let (c_time, c_count) = *c.get_or_insert((time, count));
        report(way.name, time, c_time, count.zip(c_count));
    }
    println!("the same work by the library, in one process:");
    let library: [(&str, Compile); 3] = [
        ("to tables", |config, file| config.interface(file).map(drop)),
        ("to items of Rust", |config, file| config.tokens(file).map(drop)),
        ("to formatted Rust", |config, file| config.text(file).map(drop)),
    ];
    for (name, compile) in library {
        let mut least = Duration::MAX;
        for _ in 0..ROUNDS {
            let one = |file: &PathBuf| {
                let config = Config::new().include_dir(packages.join(INCLUDE)).abi(ABI);
                compile(config, file).map_err(|error| error.to_string())
            };
            least = time(libc::RUSAGE_SELF, || files.iter().try_for_each(one))?.min(least);
        }
        report(name, least, times[0], None);
    }
    Ok(())
}

/// Compiles a file with the library.
type Compile = fn(Config, &Path) -> Result<(), Error>;

/// A way to compile a file: commands, each with the last one's output as its input.
struct Way {
    name: &'static str,
    commands: fn(packages: &Path, file: &Path) -> Vec<Command>,
}

impl Way {
    /// Compiles all files, one after the other. Returns the instructions that valgrind counts, if it is to.
    fn run(&self, packages: &Path, files: &[PathBuf], valgrind: bool) -> Result<u64, String> {
        files.iter().map(|file| pipe((self.commands)(packages, file), valgrind)).sum()
    }
}

/// Where outputs are written.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile")
}

/// The files below a folder that declare a subsystem.
fn interfaces(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        // Links to folders are not followed: a folder of the packages has a second name.
        if entry.file_type()?.is_dir() {
            interfaces(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "defs")
            && fs::read_to_string(&path)?.lines().any(|line| line.starts_with("subsystem"))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// A verb of our command, as one types it.
fn mig(verb: &str, packages: &Path, file: &Path) -> Command {
    let mut command = Command::new(folder().join("mig"));
    command.args([verb, "--abi", ABI, "-I"]).arg(packages.join(INCLUDE)).arg(file);
    command
}

/// Stubs for both sides, and the headers.
fn c_mig(packages: &Path, file: &Path) -> Vec<Command> {
    let mut preprocess = Command::new("cpp");
    preprocess.args(["-undef", "-nostdinc", "-D__x86_64__=1", "-D__LP64__=1", "-I"]);
    preprocess.arg(packages.join(INCLUDE)).arg(file);
    let mut mig = Command::new(packages.join(C_MIG));
    mig.args(["-user", "user.c", "-server", "server.c", "-header", "user.h", "-sheader", "server.h"]);
    mig.current_dir(folder());
    vec![preprocess, mig]
}

/// Runs commands, each with the last one's output as its input.
fn pipe(commands: Vec<Command>, valgrind: bool) -> Result<u64, String> {
    let (mut input, mut children) = (Stdio::null(), Vec::new());
    let last = commands.len() - 1;
    for (index, command) in commands.into_iter().enumerate() {
        let mut command = if valgrind { under_valgrind(&command) } else { command };
        command.stdin(input).stdout(if index < last { Stdio::piped() } else { Stdio::null() });
        // Both warn of what Mach has in its files.
        command.stderr(if valgrind { Stdio::piped() } else { Stdio::null() });
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

/// The processor time that something takes.
fn time(whose: c_int, run: impl FnOnce() -> Result<(), String>) -> Result<Duration, String> {
    let start = processor_time(whose);
    run()?;
    Ok(processor_time(whose) - start)
}

/// A line about a way, its time beside that of C, and instructions of both.
fn report(name: &str, time: Duration, c_time: Duration, counts: Option<(u64, u64)>) {
    let milliseconds = time.as_secs_f64() * 1000.0;
    let ratio = c_time.as_secs_f64() / time.as_secs_f64();
    print!("{name:30} {milliseconds:8.1} ms {ratio:8.1} times as fast");
    if let Some((own, c)) = counts {
        print!(" {:8.1} M instructions {:8.2} of C's", own as f64 / 1e6, own as f64 / c as f64);
    }
    println!();
}
