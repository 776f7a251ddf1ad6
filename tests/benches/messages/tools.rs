//! Running programs, and counting their instructions.

use std::path::Path;
use std::process::Command;

/// Runs a program and returns what it prints.
///
/// # Errors
///
/// What it complains of.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{name}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Instructions below the function `run_messages` of a program, but for its own and those below functions named `null_…`.
///
/// # Errors
///
/// The message of valgrind or of the program.
pub(crate) fn instructions(program: &Path, arguments: &[String], profile: &Path) -> Result<u64, String> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--toggle-collect=run_messages"]);
    valgrind.args(["--compress-strings=no", "--compress-pos=no"]);
    valgrind.arg(format!("--callgrind-out-file={}", profile.display()));
    run(valgrind.arg(program).args(arguments))?;
    let profile = std::fs::read_to_string(profile).map_err(|error| error.to_string())?;
    Ok(count(&profile))
}

/// Adds up a profile in the format of callgrind: lines of a function's own cost, and after `calls=` a line with that of a call.
fn count(profile: &str) -> u64 {
    let (mut function, mut callee, mut total) = ("", "", 0i64);
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("fn=") {
            function = name;
        } else if let Some(name) = line.strip_prefix("cfn=") {
            callee = name;
        } else if line.starts_with("calls=") {
            let cost = lines.next().map_or(0, cost);
            // Its functions' own costs are in the sum, too.
            total -= if is_null(callee) && !is_null(function) { cost } else { 0 };
        } else if line.starts_with(|c: char| c.is_ascii_digit()) && function != "run_messages" {
            total += cost(line);
        }
    }
    total.unsigned_abs()
}

fn is_null(function: &str) -> bool {
    function.starts_with("null_")
}

/// The cost in a line of a position and a cost.
fn cost(line: &str) -> i64 {
    line.split_whitespace().nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0)
}
