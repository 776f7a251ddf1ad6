//! Fuzzing: every target for some time, from the corpora of the repository.

use std::fs;
use std::process::{Command, ExitCode};

use crate::apt;
use crate::command::{cargo, program, root, run as run_command, target, works};
use crate::report::{Outcome, StepResult};

/// What is fuzzed; each has its file in `fuzz/fuzz_targets`.
const TARGETS: [&str; 8] =
    ["front_end", "format", "requests", "replies", "pager", "messages", "programs", "tables"];

/// How to fuzz.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these targets: front_end, format, requests, replies, pager, messages, programs,
    /// tables.
    targets: Vec<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 600)]
    seconds: u32,
}

/// `cargo xtask fuzz`
pub(crate) fn run(options: &Options) -> ExitCode {
    let result = match ready() {
        Ok(Outcome::Passed) => fuzz(&options.targets, options.seconds, None),
        Ok(Outcome::Skipped(why)) | Err(why) => Err(why),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A short run of each target, which takes the same way each time: what it finds was brought by the change
/// that is checked. Inputs that nobody has tried yet are for `cargo xtask fuzz`.
pub(crate) fn check() -> StepResult {
    match ready()? {
        Outcome::Passed => fuzz(&[], 20, Some(1)).map(|()| Outcome::Passed),
        skipped => Ok(skipped),
    }
}

/// Whether the tools are there; CI installs them.
fn ready() -> StepResult {
    if !works(program("c++").arg("--version")) {
        if let Err(why) = apt::install(&["g++"]) {
            return Ok(Outcome::Skipped(format!("libFuzzer needs a C++ compiler; {why}")));
        }
    }
    let there = || works(cargo().args(["fuzz", "--version"]));
    let install = ["install", "cargo-fuzz", "--locked"];
    if !there() && std::env::var_os("CI").is_some() {
        run_command(cargo().args(install))?;
    }
    if there() {
        return Ok(Outcome::Passed);
    }
    Ok(Outcome::Skipped(format!("cargo-fuzz is not installed: cargo {}", install.join(" "))))
}

fn fuzz(only: &[String], seconds: u32, seed: Option<u32>) -> Result<(), String> {
    if let Some(unknown) = only.iter().find(|name| !TARGETS.contains(&name.as_str())) {
        return Err(format!("no fuzz target `{unknown}`; there are {}", TARGETS.join(", ")));
    }
    for name in TARGETS {
        if only.is_empty() || only.iter().any(|one| one == name) {
            run_command(&mut fuzz_target(name, seconds, seed)?)?;
        }
    }
    Ok(())
}

/// What is found on the way stays below the target folder; the corpora of the repository are only read.
fn fuzz_target(name: &str, seconds: u32, seed: Option<u32>) -> Result<Command, String> {
    let found = target().join("fuzz-corpus").join(name);
    fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    let mut command = cargo();
    // The sanitizer is an unstable option of the compiler.
    command.env("RUSTC_BOOTSTRAP", "1").args(["fuzz", "run", name]).arg(found);
    // The sanitizer keeps the stack of each allocation for ever, and the pager's thread of control takes so
    // many ways that whole stacks fill 2 GiB within an hour.
    command.env("ASAN_OPTIONS", "malloc_context_size=8");
    // libFuzzer ends where a folder is not there, and a target may have no corpus yet.
    // The formatter takes the same texts, with one more byte.
    let corpus = root().join("fuzz/corpus").join(if name == "format" { "front_end" } else { name });
    command.args(corpus.exists().then_some(corpus));
    command.arg("--target-dir").arg(target().join("fuzz"));
    command.args(["--", "-max_len=4096", "-print_final_stats=1", "-verbosity=0"]);
    command.arg(format!("-max_total_time={seconds}"));
    command.args(seed.map(|seed| format!("-seed={seed}")));
    Ok(command)
}
