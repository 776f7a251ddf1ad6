//! `cargo xtask gnumach`: programs on a GNU Mach kernel in QEMU.

mod kernel;
mod paging;
mod programs;
mod qemu;

use std::process::ExitCode;
use std::time::Duration;

use kernel::Kernel;
use paging::{Fault, Program, Run};
use programs::HELLO;
pub(crate) use programs::lints;
use qemu::Machine;
pub(crate) use qemu::set_up;

use crate::report::{Outcome, StepResult};

/// Boots the pager as the default memory manager of a GNU Mach kernel in QEMU, with a program that writes and
/// checks more memory than there is.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The kernel.
    #[arg(long, value_enum, default_value_t = Kernel::X86_64)]
    arch: Kernel,
    /// The machine's memory, such as 64M.
    #[arg(long, value_name = "MIB", default_value = "64M", value_parser = mebibytes)]
    mem: u32,
    /// The memory that the program uses, such as 256M.
    #[arg(long, value_name = "MIB", default_value = "256M", value_parser = mebibytes)]
    size: u32,
    /// The paging space, such as 1024M; three times the size and a little more, unless it is said.
    #[arg(long, value_name = "MIB", value_parser = mebibytes)]
    disk: Option<u32>,
    /// Processors. Only the kernel x86_64-smp uses more than one.
    #[arg(long, value_name = "N", default_value_t = 1)]
    smp: u32,
    /// What the program does: touch, sparse, fork, outgrow, lose, die, share, change, swap, osf, copy, ask,
    /// attack or exhaust.
    #[arg(long, value_name = "WORK", default_value = "touch", value_parser = WORKS)]
    work: String,
    /// One of the runs of the checks instead, such as "pages that are never written", or one of the longer
    /// ones that no check has, such as "256 MiB of memory, 1 GiB of disk". A wrong name shows them all.
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// Run the first program, `gnumach/hello`, instead.
    #[arg(long)]
    hello: bool,
    /// Make the terminal the machine's console, with QEMU's monitor behind it, and let the machine run until
    /// the monitor ends it.
    #[arg(long)]
    interactive: bool,
}

const WORKS: [&str; 13] = [
    "touch", "sparse", "fork", "outgrow", "lose", "die", "share", "change", "swap", "copy", "ask", "attack",
    "exhaust",
];

/// A number of MiB, with or without an M after it.
fn mebibytes(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix(['M', 'm']).unwrap_or(text);
    number.parse().map_err(|_| "a number of MiB, such as 64M".to_string())
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
    if options.hello {
        let machine = hello(options.arch)?;
        return if options.interactive { machine.run_interactively() } else { machine.run().map(drop) };
    }
    if let Some(name) = &options.run {
        let runs = [runs(options.arch), sizes(options.arch)].concat();
        let run = runs.iter().find(|run| run.name == name).ok_or_else(|| {
            let names: Vec<_> = runs.iter().map(|run| run.name).collect();
            format!("there is no such run; the runs are {names:?}")
        })?;
        return run.run();
    }
    let work = WORKS.into_iter().find(|work| *work == options.work).unwrap_or("touch");
    let run = Run {
        memory: options.mem,
        ballast: 0,
        processors: options.smp,
        // Objects, their copies, and what `copy` writes besides.
        space: options.disk.unwrap_or(3 * options.size + 16),
        limit: Duration::from_secs(60 + 2 * u64::from(options.size)),
        ..Run::small("paging", options.arch, &[Program::new(work, options.size)])
    };
    if options.interactive {
        let result = run.machine()?.run_interactively();
        run.remove_disks();
        return result;
    }
    run.run()
}

fn hello(kernel: Kernel) -> Result<Machine, String> {
    Ok(Machine {
        kernel: kernel.image()?,
        memory: 64,
        processors: 1,
        programs: HELLO.build(kernel)?,
        modules: vec![("hello", "$(task-create) $(task-resume)".to_string())],
        drives: Vec::new(),
        may_fail: false,
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

/// The pager on x86_64, with every program.
pub(crate) fn test_x86_64() -> StepResult {
    test(Kernel::X86_64)
}

/// The pager on i386, with every program.
pub(crate) fn test_i386() -> StepResult {
    test(Kernel::I386)
}

/// The pager on the oldest kernel, with every program.
pub(crate) fn test_i386_2022() -> StepResult {
    test(Kernel::I3862022)
}

fn test(kernel: Kernel) -> StepResult {
    runs(kernel).iter().try_for_each(Run::run)?;
    Ok(Outcome::Passed)
}

/// Other sizes of memory and disk, each with a program that uses more memory than there is. They take
/// minutes, so no check runs them.
fn sizes(kernel: Kernel) -> Vec<Run> {
    const SIZES: [(&str, u32, u32); 6] = [
        ("64 MiB of memory, 512 MiB of disk", 64, 512),
        ("64 MiB of memory, 1 GiB of disk", 64, 1024),
        ("64 MiB of memory, 4 GiB of disk", 64, 4096),
        ("256 MiB of memory, 512 MiB of disk", 256, 512),
        ("256 MiB of memory, 1 GiB of disk", 256, 1024),
        ("256 MiB of memory, 4 GiB of disk", 256, 4096),
    ];
    let run = |(name, memory, space)| Run {
        memory,
        ballast: 0,
        space,
        happens: &["data_request", "data_return", "supplied"],
        limit: Duration::from_secs(1800),
        ..Run::small(name, kernel, &[Program::new("touch", memory + memory / 2)])
    };
    let mut runs: Vec<Run> = SIZES.map(run).into();
    if kernel == Kernel::I386 {
        // The least memory in which the kernel starts. One run in some forty stops without a word.
        let least = two_programs("two programs at once in 24 MiB", kernel, [20, 8]);
        runs.push(Run { memory: 24, space: 48, ..least });
    }
    runs
}

/// A program that writes and reads this many MiB, and one that forks with this many.
fn two_programs(name: &'static str, kernel: Kernel, [touch, fork]: [u32; 2]) -> Run {
    let programs = [Program::new("touch", touch), Program::new("fork", fork)];
    Run { happens: &["supplied"], ..Run::small(name, kernel, &programs) }
}

fn runs(kernel: Kernel) -> Vec<Run> {
    let small = |name, programs: &[Program]| Run::small(name, kernel, programs);
    vec![
        Run {
            happens: &["data_request", "data_return", "supplied"],
            ..small("more memory than there is", &[Program::new("touch", 32)])
        },
        Run {
            happens: &["unavailable"],
            ..small("pages that are never written", &[Program::new("sparse", 40)])
        },
        two_programs("two programs at once", kernel, [24, 16]),
        small("questions to the pager", &[Program::new("ask", 40)]),
        small("disks that come and go", &[Program::new("swap", 32)]),
        small("backing stores as OSF has them", &[Program::new("osf", 32)]),
        small("a change of the manager", &[Program::new("change", 12)]),
        // Objects that are not the kernel's may fill half of the paging space.
        Run {
            space: 96,
            happens: &["init", "supplied"],
            ..small("an object in two tasks", &[Program::new("share", 40)])
        },
        Run {
            happens: &["data_initialize"],
            ..small("an object behind its copy", &[Program::new("copy", 12)])
        },
        Run {
            happens: &["refused", "unclaimed"],
            ..small("messages that nobody expects", &[Program::new("attack", 16)])
        },
        Run {
            happens: &["refused", "unclaimed"],
            ..small("messages that would use up everything", &[Program::new("exhaust", 24)])
        },
        Run {
            space: 8,
            happens: &["lost"],
            ..small("a disk that is too small", &[Program::new("outgrow", 40)])
        },
        // To note all of them would take the memory of the whole machine.
        Run {
            space: 10 << 10,
            of_linux: true,
            happens: &["of 10239 MiB of paging space", "supplied"],
            ..small("a disk with more pages than can be noted", &[Program::new("touch", 28)])
        },
        Run {
            faults: &[
                Fault { transfer: "write", page: 100 },
                Fault { transfer: "write", page: 101 },
                Fault { transfer: "write", page: 1000 },
            ],
            happens: &["3 bad"],
            ..small("pages that cannot be written", &[Program::new("touch", 28)])
        },
        Run {
            faults: &[Fault { transfer: "read", page: 1000 }],
            happens: &["1 reads", "1 errors"],
            ..small("a page that cannot be read", &[Program::new("lose", 32)])
        },
        Run {
            // The one that ends has copies of all that it writes.
            space: 128,
            ..small(
                "a program that ends in the middle",
                &[Program::new("die", 32), Program::new("touch", 16)],
            )
        },
    ]
}
