//! The checks of what runs on macOS, without a Mac: it is type-checked, linked, and run by `machrun` as far
//! as this machine can.

use std::process::Command;

use crate::command::{self, read, run, target};
use crate::oldest_rust::{build_std, cargo_for, cargo_with_it};
use crate::report::{Outcome, StepResult};
use crate::zig;

const ARM64: &str = "aarch64-apple-darwin";
const X86_64: &str = "x86_64-apple-darwin";

/// The programs that are for macOS, and what each prints under `machrun`, among other things.
const PROGRAMS: [(&str, &[&str]); 5] = [
    (
        "host-info-example",
        &["pages of 4096 bytes", "another flavor: host_info: the server answered KERN_INVALID_ARGUMENT"],
    ),
    ("notifications-example", &["sums 2 and 5", "after one has left: 1, sum 6", "the service is gone: true"]),
    (
        "exception-server-example",
        &[
            "bad access, code 1, address 0x18",
            ": stepped over",
            "loaded 0x0 from a null pointer",
            ": left to the server before",
            "the program ended with signal: 11 (SIGSEGV)",
        ],
    ),
    (
        "trap-handler-example",
        &[
            "a load: 7",
            "a load from outside: Trap { offset: 0, exception: 1, address: Some(24) }",
            "what is never reached: Trap { offset: 4, exception: 2, address: None }",
            "a load, again: 7",
            "traps of the other thread: 1000",
        ],
    ),
    (
        "crash-handler-example",
        &[
            "report: exception 0, codes []",
            "asked for a report, answer 1",
            "report: exception 1, codes [1, 18]",
            "report: it stands at 0x",
            "the program ended with signal: 11 (SIGSEGV)",
        ],
    ),
];

/// Programs for macOS that `machrun` cannot run: it has no kqueue and no sources of dispatch.
const ONLY_LINKED: [&str; 1] = ["event-loops-example"];

/// The arguments of cargo that name what is linked.
fn linked() -> impl Iterator<Item = &'static str> {
    programs().chain(ONLY_LINKED.into_iter().flat_map(|name| ["-p", name]))
}

/// The arguments of cargo that name the programs.
fn programs() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().flat_map(|(name, _)| ["-p", name])
}

/// Checks the libraries and the examples for macOS; nothing is linked, so only the compiler is needed.
pub(crate) fn check() -> StepResult {
    let mut cargo = match cargo_with_it() {
        Ok(cargo) => cargo,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    build_std(&mut cargo, "check", ARM64);
    cargo.args(["-p", "mig-runtime", "-p", "mach-defs", "--features", "mach-defs/apple"]);
    run(cargo.args(linked()))?;
    Ok(Outcome::Passed)
}

/// Links the programs for both architectures: every foreign name must be one that Apple's system library has.
pub(crate) fn link() -> StepResult {
    for triple in [ARM64, X86_64] {
        match cargo_that_links("build", triple) {
            Ok(mut cargo) => run(cargo.args(linked()))?,
            Err(why) => return Ok(Outcome::Skipped(why)),
        }
    }
    Ok(Outcome::Passed)
}

/// Runs the programs, their tests and those of the runtime on XNU's rules, as far as `machrun` goes.
pub(crate) fn run_programs() -> StepResult {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Outcome::Skipped("programs for macOS are run by Linux on x86_64".to_string()));
    }
    run(command::cargo().args(["build", "--quiet", "-p", "machrun"]))?;
    let cargo = |verb| {
        let mut cargo = cargo_that_links(verb, X86_64)?;
        cargo.env("CARGO_TARGET_X86_64_APPLE_DARWIN_RUNNER", target().join("debug/machrun"));
        Ok(cargo)
    };
    match cargo("test") {
        Ok(mut cargo) => run(cargo.args(["--lib", "-p", "mig-runtime"]))?,
        Err(why) => return Ok(Outcome::Skipped(why)),
    }
    run(cargo("test")?.arg("--tests").args(programs()))?;
    for (program, lines) in PROGRAMS {
        let output = read(cargo("run")?.args(["-p", program]))?;
        print!("{output}");
        if let Some(line) = lines.iter().find(|line| !output.contains(*line)) {
            return Err(format!("{program} does not print `{line}`"));
        }
    }
    Ok(Outcome::Passed)
}

/// `cargo VERB` for a target of macOS, with a standard library and a linker; the error says what is missing.
fn cargo_that_links(verb: &str, triple: &str) -> Result<Command, String> {
    let mut cargo = cargo_for(triple, verb)?;
    zig::link_with_it(&mut cargo, triple)?;
    // Nobody looks at these programs with a debugger, and they are built faster without. Debian's compiler
    // has no tool to strip what std brings.
    cargo.arg("--quiet").env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_DEV_STRIP", "none");
    Ok(cargo)
}
