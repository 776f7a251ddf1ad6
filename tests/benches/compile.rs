//! Time to compile every GNU Mach interface: `mig` as a library and as a command, and the C MIG behind a C preprocessor.
//!
//! ```text
//! cargo bench -p mig-tests --bench compile
//! ```

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use mig_codegen::Config;
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
    let c = best(|| files.iter().try_for_each(|file| c_mig(&packages, &system, file)))?;
    report("cpp | migcom, a process each a file", c, c);
    for goal in Goal::ALL {
        let one = |file: &PathBuf| {
            succeed(Command::new(&own).args(["run", &format!("{goal:?}")]).arg(&system).arg(file))
        };
        report(&format!("{goal:?}, a process a file"), best(|| files.iter().try_for_each(one))?, c);
        let one = |file: &PathBuf| goal.reach(&system, file).map(drop).map_err(|error| error.to_string());
        report(&format!("{goal:?}, as a library"), best(|| files.iter().try_for_each(one))?, c);
    }
    Ok(())
}

/// The files below a folder that declare a subsystem.
fn interfaces(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() {
            files.extend(interfaces(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "defs") {
            let text =
                std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            files.extend(text.contains("\nsubsystem").then_some(path));
        }
    }
    files.sort();
    Ok(files)
}

/// Stubs for both sides, and the headers.
fn c_mig(packages: &Path, system: &Path, file: &Path) -> Result<(), String> {
    let mut preprocess = Command::new("cpp");
    preprocess.args(["-undef", "-nostdinc", "-D__x86_64__=1", "-D__LP64__=1", "-I"]).arg(system).arg(file);
    let mut preprocess =
        preprocess.stdout(Stdio::piped()).spawn().map_err(|error| format!("cpp: {error}"))?;
    let output = preprocess.stdout.take().ok_or("cpp has no output")?;
    let mut mig = Command::new(packages.join("trixie-amd64/usr/lib/mig/x86_64-gnu-migcom"));
    mig.args(["-user", "user.c", "-server", "server.c", "-header", "user.h", "-sheader", "server.h"]);
    succeed(mig.current_dir(env!("CARGO_TARGET_TMPDIR")).stdin(output))?;
    preprocess.wait().map_err(|error| format!("cpp: {error}")).map(drop)
}

fn succeed(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// The shortest of several runs.
fn best(mut run: impl FnMut() -> Result<(), String>) -> Result<Duration, String> {
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

fn report(what: &str, time: Duration, c: Duration) {
    let milliseconds = time.as_secs_f64() * 1000.0;
    println!("{what:40} {milliseconds:8.1} ms {:8.1} times as fast", c.as_secs_f64() / time.as_secs_f64());
}
