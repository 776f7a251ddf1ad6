//! `cargo xtask test`: every check of this repository, with its own set-up.

use std::process::{Command, ExitCode};

use crate::command::{self, cargo, program, root, target, works};
use crate::report::{Outcome, Report, StepResult};
use crate::{
    apt, bench, big_endian, book, darwin, documents, editors, fuzz, gnumach, i386, packages, sweep, width,
    workflows,
};

/// Which checks to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only the steps whose name contains this word; may be given several times.
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
}

/// A step: its name, and what it does.
type Step = (&'static str, fn() -> StepResult);

/// In this order: what is quick and often wrong comes first.
const STEPS: &[Step] = &[
    ("set-up: a C compiler for both ABIs", c_compiler),
    ("set-up: clang, for the macros of its targets", clang),
    ("set-up: tshark, for the dissectors", tshark),
    ("set-up: SQLite and redis, programs to page", programs_to_page),
    ("set-up: the C MIG of Debian", c_mig),
    ("set-up: NBD servers", nbd_servers),
    ("format", format),
    ("lock files", lock_files),
    ("width of comments and documents", width::check),
    ("lints", lints),
    ("workflows", workflows::check),
    ("tests", tests),
    ("sweep of GNU Mach's interface definitions", sweep::check_packages),
    ("examples of the documentation", doctests),
    ("documentation", documentation),
    ("commands and settings of the documents", documents::check),
    ("the book", book::check),
    ("the book's compiler, in a browser", book::try_it),
    ("editors", editors::check),
    ("packages, packed and built against each other", packed),
    ("packages, the command mach-pager installed", installed),
    ("a program without std", no_std),
    ("instructions for a message, against C", bench::instructions),
    ("fuzzing, 20 seconds a target", fuzz::check),
    ("libraries on i386 with Rust 1.85", i386::check),
    ("the compiler on a big-endian host", big_endian::check),
    ("set-up: QEMU", gnumach::set_up),
    ("lints of programs for GNU Mach", gnumach::lints),
    ("a first program on GNU Mach", gnumach::test_hello),
    ("the pager on GNU Mach, x86_64", gnumach::test_x86_64),
    ("the pager on GNU Mach, i386", gnumach::test_i386),
    ("the pager on GNU Mach of 2022, i386", gnumach::test_i386_2022),
    ("macOS with Rust 1.85", darwin::check),
    ("macOS: programs are linked", darwin::link),
    ("macOS: programs are run on Linux", darwin::run_programs),
];

/// Runs the checks; CI, told by the variable `CI`, allows no check to be skipped.
pub(crate) fn run(options: &Options) -> ExitCode {
    let mut report = Report::new(std::env::var_os("CI").is_some());
    for (name, work) in STEPS {
        if options.only.is_empty() || options.only.iter().any(|word| name.contains(word.as_str())) {
            report.step(name, work);
        }
    }
    report.finish()
}

/// The C stubs of i386 are 32-bit programs, and so is the compiler that makes them.
fn c_compiler() -> StepResult {
    let links = || works(program("gcc").args(["-m32", "-shared", "-x", "c", "-o", "/dev/null", "/dev/null"]));
    apt::tool("gcc -m32", &["gcc", "gcc-multilib", "libc6-dev"], links)
}

/// Prints what it predefines for Apple's systems and for the Hurd.
fn clang() -> StepResult {
    apt::tool("clang", &["clang"], || works(program("clang").args(["-E", "-x", "c", "/dev/null"])))
}

/// Paging space is tested on these.
fn nbd_servers() -> StepResult {
    let starts = || ["nbdkit", "qemu-nbd"].iter().all(|server| works(program(server).arg("--version")));
    apt::tool("nbdkit or qemu-nbd", &["nbdkit", "qemu-utils"], starts)
}

/// Shows captured messages by the scripts of `mig dissector`.
fn tshark() -> StepResult {
    apt::tool("tshark", &["tshark"], || works(program("tshark").arg("--version")))
}

/// The tests of `mach-pager run` have them work in memory that is larger than what may be resident.
fn programs_to_page() -> StepResult {
    let start =
        || works(program("sqlite3").arg("-version")) && works(program("redis-server").arg("--version"));
    apt::tool("sqlite3 or redis-server", &["sqlite3", "redis-server"], start)
}

fn c_mig() -> StepResult {
    match packages::fetch(&packages::MIG) {
        Ok(_) => Ok(Outcome::Passed),
        Err(why) => Ok(Outcome::Skipped(why)),
    }
}

fn format() -> StepResult {
    done(cargo().args(["fmt", "--all", "--check"]))
}

/// Each program that is built by itself has a lock file, which must follow what the libraries depend on:
/// otherwise whoever builds it has changed the repository.
fn lock_files() -> StepResult {
    for lock in command::read(program("git").args(["ls-files", "Cargo.lock", "*/Cargo.lock"]))?.lines() {
        let manifest = std::path::Path::new(lock).with_extension("toml");
        let metadata = ["metadata", "--locked", "--quiet", "--format-version", "1", "--manifest-path"];
        command::read(cargo().args(metadata).arg(&manifest))?;
    }
    Ok(Outcome::Passed)
}

fn lints() -> StepResult {
    done(cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
}

/// With nextest where it is installed, which runs each test in a process of its own; without it by plain
/// cargo.
fn tests() -> StepResult {
    // With a feature that the others are tested without: it is on the way of every message.
    let traced = ["test", "-p", "mig-runtime", "--features", "tracing", "--test", "traced", "--quiet"];
    command::run(cargo().args(traced))?;
    if works(cargo().args(["nextest", "--version"])) {
        let mut nextest = cargo();
        nextest.args(["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "slow"]);
        done(nextest.env("MIG_PACKAGES", mig_packages()))
    } else {
        done(cargo().args(["test", "--workspace", "--all-targets"]).env("MIG_PACKAGES", mig_packages()))
    }
}

fn mig_packages() -> std::path::PathBuf {
    target().join("packages/mig")
}

fn doctests() -> StepResult {
    done(cargo().args(["test", "--workspace", "--doc", "--quiet"]))
}

fn documentation() -> StepResult {
    done(cargo().args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// What a registry would get of each package builds with what it would get of the others. The folder is
/// a new one each time: in one that cargo has packed into before, it builds against what it unpacked then,
/// because a package of the same name and version never changes to it.
fn packed() -> StepResult {
    let folder = tempfile::Builder::new().prefix("packed-").tempdir_in(target());
    let folder = folder.map_err(|e| format!("a folder in {}: {e}", target().display()))?;
    let publish = ["publish", "--workspace", "--dry-run", "--allow-dirty", "--quiet", "--target-dir"];
    done(cargo().args(publish).arg(folder.path()))
}

/// What `cargo install` installs has all that it needs: the command runs a program, or says that it is not
/// permitted to.
fn installed() -> StepResult {
    let folder = tempfile::Builder::new().prefix("installed-").tempdir_in(target());
    let folder = folder.map_err(|e| format!("a folder in {}: {e}", target().display()))?;
    let install = ["install", "--quiet", "--debug", "--locked", "--path", "pager/cli", "--root"];
    command::run(cargo().args(install).arg(folder.path()))?;
    let run = program(folder.path().join("bin/mach-pager")).args(["run", "true"]).output();
    let run = run.map_err(|error| format!("mach-pager: {error}"))?;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    match run.status.success() {
        true if said.contains("  faults  ") => Ok(Outcome::Passed),
        false if said.contains("userfaultfd") || said.contains("Linux 6.8") => Ok(Outcome::Skipped(said)),
        _ => Err(format!("`mach-pager run true`: {}\n{said}", run.status)),
    }
}

/// Links a program that has the libraries and no standard library, and runs it.
fn no_std() -> StepResult {
    let manifest = root().join("tests/no_std/Cargo.toml");
    let folder = target().join("no_std");
    done(cargo().arg("run").arg("--manifest-path").arg(manifest).arg("--target-dir").arg(folder))
}

fn done(command: &mut Command) -> StepResult {
    command::run(command).map(|()| Outcome::Passed)
}
