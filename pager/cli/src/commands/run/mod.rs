//! `mach-pager run`: a program in memory that is larger than what may be resident.

mod child;
mod library;
mod program;
mod report;

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

#[cfg(feature = "compression")]
use super::demo::Compress;
use clap::Args;
use clap::error::ErrorKind;

use super::Bytes;
use library::Library;
use mach_vm::Limits;
use report::{Figures, JsonFile, Table};

const LEAST: u64 = Limits::LEAST as u64;

/// A temporary swap file has room for this many times what may be resident, and at least for this.
const TIMES: u64 = 16;
const SWAP_LEAST: u64 = 1 << 30;

/// Run a program in memory that is larger than what may be resident
///
/// A library is loaded into the program: it is its malloc, and takes its place in front of mmap. What they
/// give is paged. Statics, stacks, files and shared memory are not, nor is what programs map by raw system
/// calls; programs that this program starts are not paged either. The child of a fork is, and may have as
/// much resident as its parent.
///
/// When the program ends, a table on the standard error says what was done; the exit code, or the signal, is
/// the program's.
#[derive(Args)]
pub(crate) struct Run {
    /// How much of the program's memory may be resident
    #[arg(long, value_name = "N", default_value = "64M")]
    resident: Bytes,

    /// A swap file, block device or NBD export (nbd://HOST:PORT/EXPORT, nbd+unix:///EXPORT?socket=PATH) made
    /// by `mach-pager format`, may be given several times; without, a temporary file in TMPDIR or /var/tmp
    #[arg(long, value_name = "FILE")]
    swap: Vec<PathBuf>,

    /// The size of the temporary file [default: 16 times --resident, at least 1G]
    #[arg(long, value_name = "N", conflicts_with = "swap")]
    swap_size: Option<Bytes>,

    /// Keep pages compressed, several in the place of one
    #[cfg(feature = "compression")]
    #[arg(long, value_name = "CODEC", num_args = 0..=1, require_equals = true, default_missing_value = "lz4")]
    compress: Option<Compress>,

    /// Write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Say every second what is going on
    #[arg(long)]
    progress: bool,

    /// The program and its arguments
    #[arg(value_name = "PROGRAM", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

impl Run {
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        let wrong = |problem: String| clap::Error::raw(ErrorKind::ValueValidation, problem + "\n").exit();
        if self.resident.0 < LEAST {
            wrong(format!("--resident: {} are too little, take {} at least", self.resident, Bytes(LEAST)));
        }
        let swap = self.swap.iter().map(|path| place(path)).collect::<Result<Vec<_>, _>>();
        let swap = swap.unwrap_or_else(|problem| wrong(format!("--swap: {problem}")));
        if let Some(path) = twice(&swap) {
            wrong(format!("--swap: {} is given twice", path.display()));
        }
        let program = program::find(&self.program[0])?;
        program::check(&program)?;
        let library = Library::new()?;
        // Before the program runs, so that its work is not lost for this.
        let json = self.report.as_deref().map(|path| {
            JsonFile::open(path).map_err(|error| format!("{} cannot be written: {error}", path.display()))
        });
        let json = json.transpose()?;
        let figures = report::Channel::new()?;
        let start = Instant::now();
        let mut command = Command::new(&program);
        command.args(&self.program[1..]);
        self.tell(&mut command, &swap);
        command.env("MACH_PRELOAD_REPORT", figures.path());
        library.load_into(&mut command);
        let status = child::run(&mut command, |time| {
            if self.progress {
                progress(&figures, time);
            }
        })?;
        let end =
            End { program: self.program[0].clone(), status, time: start.elapsed(), resident: self.resident };
        match figures.read() {
            Some(Figures::Failed) => return Ok(ExitCode::FAILURE),
            Some(Figures::All(figures)) => {
                // That nobody reads it is no error.
                let _ = write!(std::io::stderr(), "{}", Table { end: &end, figures: &figures });
                if let Some(file) = json {
                    file.write(&report::json(&end, &figures))?;
                }
            }
            None => {
                let _ = writeln!(
                    std::io::stderr(),
                    "note: nothing was paged: the program did not load the library"
                );
            }
        }
        Ok(child::pass_on(status))
    }

    /// Tells the library by the environment what to do.
    fn tell(&self, command: &mut Command, swap: &[PathBuf]) {
        let swap_size = self.swap_size.map_or((TIMES * self.resident.0).max(SWAP_LEAST), |size| size.0);
        command.env("MACH_PRELOAD_PARENT", std::process::id().to_string());
        command.env("MACH_PRELOAD_RESIDENT", self.resident.0.to_string());
        let variable = |number: usize| format!("MACH_PRELOAD_SWAP_{number}");
        for (number, path) in swap.iter().enumerate() {
            command.env(variable(number), path);
        }
        // Where this command is in memory that is paged, too, the list ends here all the same.
        command.env_remove(variable(swap.len()));
        command.env("MACH_PRELOAD_SWAP_SIZE", swap_size.to_string());
        command.env_remove("MACH_PRELOAD_COMPRESS");
        #[cfg(feature = "compression")]
        if let Some(codec) = self.compress {
            command.env("MACH_PRELOAD_COMPRESS", codec.name());
        }
    }
}

/// What the library opens: an export as it is written, or a file by its whole path.
fn place(path: &Path) -> Result<PathBuf, String> {
    match super::export(path)? {
        Some(_) => Ok(path.into()),
        None => std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display())),
    }
}

/// A place that is the same as one before it: by its text, or the same file.
fn twice(swap: &[PathBuf]) -> Option<&Path> {
    let file = |path: &PathBuf| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let is_same = |a: &PathBuf, b: &PathBuf| a == b || (file(a).is_some() && file(a) == file(b));
    let again = |(at, path): &(usize, &PathBuf)| swap[..*at].iter().any(|before| is_same(before, path));
    swap.iter().enumerate().find(again).map(|(_, path)| path.as_path())
}

/// How a program has ended.
struct End {
    program: OsString,
    status: ExitStatus,
    time: Duration,
    resident: Bytes,
}

impl End {
    /// As a person would say it.
    fn how(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        }
    }
}

/// A line that says what has been done so far.
fn progress(figures: &report::Channel, time: Duration) {
    if let Some(Figures::All(figures)) = figures.read() {
        let _ = writeln!(std::io::stderr(), "{:5.0} s: {figures}", time.as_secs_f64());
    }
}
