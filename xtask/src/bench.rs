//! Benchmarks: against the C MIG, and of the command; and of paging, which has a module of its own.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::apt;
use crate::command::{cargo, program, run as run_command, target, works};
use crate::paging;
use crate::report::{Outcome, StepResult};

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Compare paging with the system's own swapping, and with a mapped file.
    Paging(paging::Options),
}

/// `cargo xtask bench`
pub(crate) fn run(options: &Options) -> ExitCode {
    if let Some(What::Paging(options)) = &options.what {
        return paging::run(options);
    }
    let mut bench = cargo();
    bench.args(["bench", "--package", "mig-tests", "--package", "mig-cli"]);
    if std::env::var_os("MIG_PACKAGES").is_none() {
        bench.env("MIG_PACKAGES", target().join("packages/mig"));
    }
    match run_command(&mut bench) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Instructions for a message, which no other load of the machine changes.
pub(crate) fn instructions() -> StepResult {
    if !works(program("valgrind").arg("--version")) {
        if let Err(why) = apt::install(&["valgrind"]) {
            return Ok(Outcome::Skipped(format!("valgrind counts the instructions; {why}")));
        }
    }
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "--package", "mig-tests", "--bench", "messages", "--", "count"]);
    run_command(bench.env("MIG_PACKAGES", target().join("packages/mig")))?;
    Ok(Outcome::Passed)
}
