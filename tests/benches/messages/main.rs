//! Instructions and time for a message: the generated Rust and the C MIG's stubs, both optimised, over a
//! kernel that does nothing.
//!
//! ```text
//! cargo bench -p mig-tests --bench messages            # instructions and time
//! cargo bench -p mig-tests --bench messages -- count   # instructions only
//! ```
//!
//! Fails where Rust takes more instructions than the table of cases allows. Time is only printed.

mod c_stubs;
mod null;
mod ours;
mod tools;
mod wire;

#[allow(missing_docs)]
mod arrays {
    mig_derive::interface! {
        path: "benches/messages/arrays.defs",
        include: ["../defs/gnu"],
        abi: "gnu-x86_64",
    }
}

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use mig_tests::oracle::packages_or_skip;

/// What is measured: a program's function that calls a client's; a demux function; and a turn of a server's
/// loop around it, from one `mach_msg` to the next.
const CASES: [Case; 15] = [
    case("client memory_object_create", 0, "send_create", 91),
    case("client memory_object_data_initialize", 1, "send_initialize", 99),
    case("client memory_object_data_request", 2, "send_request", 94),
    case("client arrays_put", 3, "call_put", 110),
    case("client arrays_get", 4, "call_get", 101),
    case("demux memory_object_create", 5, "memory_object_default_server", 96),
    case("demux memory_object_data_initialize", 6, "memory_object_default_server", 95),
    case("demux memory_object_data_request", 7, "memory_object_server", 104),
    case("demux arrays_put", 8, "arrays_server", 105),
    case("demux arrays_get", 9, "arrays_server", 85),
    case("turn memory_object_create", 5, "serve_message", 123),
    case("turn memory_object_data_initialize", 6, "serve_message", 124),
    case("turn memory_object_data_request", 7, "serve_message", 128),
    case("turn arrays_put", 8, "serve_message", 141),
    case("turn arrays_get", 9, "serve_message", 129),
];

struct Case {
    name: &'static str,
    /// The number that both programs know it by.
    which: u32,
    /// The function whose instructions count.
    function: &'static str,
    /// Instructions that Rust may take, in percent of C's: what it takes, and a tenth for what compilers
    /// inline differently.
    bound: u64,
}

const fn case(name: &'static str, which: u32, function: &'static str, bound: u64) -> Case {
    Case { name, which, function, bound }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", which, count, message] => run_ours(which, count, Path::new(message)),
        _ if !arguments.iter().any(|argument| argument == "--bench") => Ok(()),
        _ => compare(arguments.iter().all(|argument| argument != "count")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What valgrind runs: our side of one case.
fn run_ours(which: &str, count: &str, message: &Path) -> Result<(), String> {
    let message = std::fs::read(message).map_err(|error| error.to_string())?;
    null::MESSAGE.get_or_init(|| message);
    let number = |text: &str| text.parse::<u32>().map_err(|error| error.to_string());
    println!("{}", ours::run(number(which)?, number(count)?.into()).as_nanos());
    Ok(())
}

fn compare(timed: bool) -> Result<(), String> {
    let Some(packages) = packages_or_skip() else { return Ok(()) };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("messages");
    let c = Program { path: c_stubs::build(&packages, &folder)?, arguments: &[], folder: &folder };
    let ours = std::env::current_exe().map_err(|error| error.to_string())?;
    let rust = Program { path: ours, arguments: &["run"], folder: &folder };
    println!("{:40} {:>24}   {:>24}", "", "instructions", if timed { "nanoseconds" } else { "" });
    println!("{:40} {:>8}{:>8}{:>8}", "", "Rust", "C", "%");
    let mut above = Vec::new();
    for case in &CASES {
        std::fs::write(folder.join("message"), wire::message(case.which))
            .map_err(|error| error.to_string())?;
        let (ours, theirs) = (rust.instructions(case)?, c.instructions(case)?);
        print!("{:40} {ours:8}{theirs:8}{:8}", case.name, 100 * ours / theirs);
        if timed && !case.name.starts_with("demux") {
            let (ours, theirs) = times(&rust, &c, case.which)?;
            print!("   {ours:8.1}{theirs:8.1}{:8.0}", 100.0 * ours / theirs);
        }
        println!();
        if ours * 100 > theirs * case.bound {
            above.push(format!(
                "{}: {ours} instructions, allowed are {} % of C's {theirs}",
                case.name, case.bound
            ));
        }
    }
    if above.is_empty() { Ok(()) } else { Err(above.join("\n")) }
}

/// One side, as a program that makes a number of calls.
struct Program<'a> {
    path: PathBuf,
    arguments: &'a [&'a str],
    folder: &'a Path,
}

impl Program<'_> {
    fn arguments(&self, which: u32, count: u64) -> Vec<String> {
        let message = self.folder.join("message").to_string_lossy().into_owned();
        let all = self.arguments.iter().map(|argument| (*argument).to_string());
        all.chain([which.to_string(), count.to_string(), message]).collect()
    }

    /// A call's, without what only the first one does.
    fn instructions(&self, case: &Case) -> Result<u64, String> {
        let count = |calls| {
            let arguments = self.arguments(case.which, calls);
            tools::instructions(&self.path, &arguments, case.function, &self.folder.join("profile"))
        };
        Ok((count(30)? - count(10)?) / 20)
    }

    /// A call's nanoseconds.
    fn time(&self, which: u32) -> Result<f64, String> {
        let output = tools::run(Command::new(&self.path).args(self.arguments(which, TIMED_CALLS)))?;
        let total: f64 = output.trim().parse().map_err(|_| format!("no time: {output}"))?;
        Ok(total / TIMED_CALLS as f64)
    }
}

const TIMED_CALLS: u64 = 5_000_000;

/// The best of several runs of both sides in turn.
fn times(ours: &Program<'_>, theirs: &Program<'_>, which: u32) -> Result<(f64, f64), String> {
    let mut best = (f64::INFINITY, f64::INFINITY);
    for _ in 0..5 {
        best = (best.0.min(ours.time(which)?), best.1.min(theirs.time(which)?));
    }
    Ok(best)
}
