//! The `mach-pager` command.

mod commands;
mod demo;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{demo::Demo, format, run::Run};

/// A default memory manager for Mach kernels.
///
/// Exit code 0: all is well. 1: something failed. 2: wrong usage.
#[derive(Parser)]
#[command(name = "mach-pager", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Demo(Demo),
    Format(format::Format),
    Run(Run),
}

fn main() -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let result: Result<ExitCode, Box<dyn Error>> = match Arguments::parse().verb {
        Verb::Demo(verb) => verb.run().map(done),
        Verb::Format(verb) => verb.run().map(done),
        Verb::Run(verb) => verb.run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
