//! The steps of a run: a heading for each, and a table in the end.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::command::LAST_LINES;

/// How a step that found no fault ended.
pub(crate) enum Outcome {
    /// It was done.
    Passed,
    /// It could not be done here, and why.
    Skipped(String),
}

/// The end of a step; the error says what is wrong.
pub(crate) type StepResult = Result<Outcome, String>;

/// What has been done so far.
pub(crate) struct Report {
    steps: Vec<(String, StepResult, Duration)>,
    strict: bool,
}

impl Report {
    /// An empty report. If `strict`, a step that is skipped counts as failed.
    pub(crate) fn new(strict: bool) -> Self {
        Report { steps: Vec::new(), strict }
    }

    /// Does one step.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> StepResult) {
        println!("\n==== {name}");
        let start = Instant::now();
        let result = match work() {
            Ok(Outcome::Skipped(why)) if self.strict => {
                Err(format!("skipped, which CI does not allow: {why}"))
            }
            other => other,
        };
        match &result {
            Ok(Outcome::Passed) => {}
            Ok(Outcome::Skipped(why)) => println!("skipped: {why}"),
            Err(why) => println!("FAILED: {}", why.lines().next().unwrap_or_default()),
        }
        self.steps.push((name.to_string(), result, start.elapsed()));
    }

    /// Prints the table and why steps failed, and says whether none did. The causes come last, where a log
    /// that was cut still has them.
    pub(crate) fn finish(self) -> ExitCode {
        println!("\n==== summary");
        let mut failed = 0;
        for (name, result, time) in &self.steps {
            let word = match result {
                Ok(Outcome::Passed) => "passed",
                Ok(Outcome::Skipped(_)) => "skipped",
                Err(_) => "FAILED",
            };
            failed += usize::from(result.is_err());
            println!("{word:8} {:7.1} s  {name}", time.as_secs_f64());
        }
        for (name, result, _) in &self.steps {
            if let Err(why) = result {
                println!("\n==== failed: {name}\n{}", last_lines(why));
            }
        }
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The first line of an error and at most as many of its last ones as a command's error has: a console's text
/// may be much longer, and was shown already.
fn last_lines(why: &str) -> String {
    let lines: Vec<&str> = why.lines().collect();
    let (first, rest) = lines.split_first().unwrap_or((&"", &[]));
    let rest = &rest[rest.len().saturating_sub(LAST_LINES)..];
    [&[*first], rest].concat().join("\n")
}
