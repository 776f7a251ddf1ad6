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

/// Instructions in a function of a program, all that it calls included but for functions named `null_…`.
///
/// # Errors
///
/// The message of valgrind or of the program.
pub(crate) fn instructions(
    program: &Path,
    arguments: &[String],
    function: &str,
    profile: &Path,
) -> Result<u64, String> {
    let mut valgrind = Command::new("valgrind");
    // Rust's name has the module in front.
    valgrind.args(["--tool=callgrind".to_string(), format!("--toggle-collect=*{function}")]);
    valgrind.args(["--compress-strings=no", "--compress-pos=no"]);
    valgrind.arg(format!("--callgrind-out-file={}", profile.display()));
    run(valgrind.arg(program).args(arguments))?;
    let profile = std::fs::read_to_string(profile).map_err(|error| error.to_string())?;
    Ok(count(&profile))
}

/// Adds up a profile in the format of callgrind: lines of a function's own cost, and after `calls=` a line
/// with that of a call.
fn count(profile: &str) -> u64 {
    let (mut callee, mut total) = ("", 0);
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("cfn=") {
            callee = name;
        } else if line.starts_with("calls=") {
            let called = lines.next().map_or(0, cost);
            // What the callee and those below it cost is in the sum by itself.
            let name = callee.rsplit("::").next().unwrap_or_default();
            total -= if name.starts_with("null_") { called } else { 0 };
        } else if line.starts_with(|c: char| c.is_ascii_digit()) {
            total += cost(line);
        }
    }
    total.unsigned_abs()
}

/// The cost in a line of a position and a cost.
fn cost(line: &str) -> i64 {
    line.split_whitespace().nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0)
}
