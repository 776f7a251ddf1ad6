//! `cargo xtask gnumach`: programs on a GNU Mach kernel in QEMU.

mod kernel;
mod programs;
mod qemu;

use std::process::ExitCode;
use std::time::Duration;

use kernel::Kernel;
use programs::HELLO;
pub(crate) use programs::lints;
use qemu::Machine;
pub(crate) use qemu::set_up;

use crate::report::{Outcome, StepResult};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The kernel.
    #[arg(long, value_enum, default_value_t = Kernel::X86_64)]
    arch: Kernel,
    /// Run the first program, `gnumach/hello`.
    #[arg(long)]
    hello: bool,
    /// Make the terminal the machine's console, and let the machine run.
    #[arg(long)]
    interactive: bool,
}

/// `cargo xtask gnumach`
pub(crate) fn run(options: &Options) -> ExitCode {
    let result = match set_up() {
        Ok(Outcome::Passed) => start(options),
        Ok(Outcome::Skipped(why)) | Err(why) => Err(why),
    };
    match result {
        Ok(()) => {
            println!("passed");
            ExitCode::SUCCESS
        }
        Err(why) => {
            // The console has been shown line by line already.
            eprintln!("FAILED: {}", why.lines().next().unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

fn start(options: &Options) -> Result<(), String> {
    let machine = hello(options.arch)?;
    if options.interactive { machine.run_interactively() } else { machine.run().map(drop) }
}

fn hello(kernel: Kernel) -> Result<Machine, String> {
    Ok(Machine {
        kernel: kernel.image()?,
        memory: 64,
        processors: 1,
        programs: HELLO.build(kernel)?,
        modules: vec![("hello", String::new())],
        drive: None,
        limit: Duration::from_secs(60),
    })
}

/// The first program on every kernel.
pub(crate) fn test_hello() -> StepResult {
    for kernel in [Kernel::X86_64, Kernel::I386, Kernel::I3862022] {
        let console = hello(kernel)?.run()?;
        let said = console.contains("four threads counted to 4000");
        if !said {
            return Err(format!("{}: the program did not say what it counted", kernel.name()));
        }
    }
    Ok(Outcome::Passed)
}
