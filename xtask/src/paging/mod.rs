//! `cargo xtask bench paging`: our paging beside the system's own swapping, and beside a mapped file.
//!
//! One program (`vm/examples/paging.rs`) does the same accesses on each kind of memory. What the system's
//! kinds may use is what ours used, everything of the process counted.

mod figures;
mod plots;
mod real;
mod soak;
mod system;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Args;

use crate::command::{cargo, root, run as run_command, target};
use figures::{Kind, Memory, Row};
use system::{Group, On, Swap};

/// Memory that is touched, and how much of it may be here, in pages.
const PAGES: u64 = 64 << 10;
const RESIDENT: u64 = 16 << 10;
const PAGE: u64 = 4096;

#[derive(Args)]
pub(crate) struct Options {
    /// Write figures and plots to docs/book
    #[arg(long)]
    write: bool,

    /// How many seconds each pattern of accesses may take
    #[arg(long, value_name = "N", default_value_t = 2.5)]
    seconds: f64,

    /// Only the memory, and no programs
    #[arg(long)]
    no_programs: bool,

    /// Nothing of this, but a program that uses its memory by chance and checks it, for so long: 90s, 10m
    #[arg(long, value_name = "TIME")]
    soak: Option<String>,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    let done = match &options.soak {
        Some(time) => soak::run_it(time),
        None => compare(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<(), String> {
    run_command(cargo().args(["build", "--release", "-p", "mach-vm", "--example", "paging"]))?;
    if !options.no_programs {
        run_command(cargo().args(["build", "--release", "-p", "mach-pager-cli"]))?;
    }
    let folder = target().join("paging");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let start = Instant::now();
    let memories = memories(&folder, options.seconds, start)?;
    let programs = match options.no_programs {
        true => String::new(),
        false => real::table(&folder, start)?,
    };
    let text = figures::text(&memories) + &programs;
    println!("\n{text}");
    let folder = if options.write { root().join("docs/book") } else { folder };
    plots::write(&memories, &folder)?;
    figures::write(&memories, &folder.join("paging.tsv"))?;
    if options.write {
        figures::replace(&folder.join("paging.md"), &text)?;
    }
    println!("{:.0} s; the plots and paging.tsv are in {}", start.elapsed().as_secs_f64(), folder.display());
    Ok(())
}

/// Measures every kind, or says why there is none of it here.
fn memories(folder: &Path, seconds: f64, start: Instant) -> Result<Vec<Memory>, String> {
    let mut limit = None;
    let mut memories = Vec::new();
    for kind in Kind::ALL {
        println!("{:4.0} s: {}", start.elapsed().as_secs_f64(), kind.name());
        let measured = measure(kind, folder, seconds, limit);
        match &measured {
            Ok((rows, peak)) => {
                limit.get_or_insert(*peak);
                println!("        {} rows, {} MiB at most", rows.len(), peak >> 20);
            }
            // Whatever is compared with it is not then.
            Err(why) => println!("        not to be had: {why}"),
        }
        memories.push(Memory { kind, measured });
    }
    match memories.iter().any(|memory| memory.measured.is_ok()) {
        true => Ok(memories),
        false => Err("there is no kind of memory that can be measured here".into()),
    }
}

/// The rows of one kind of memory, and the bytes that all of its process had at most.
fn measure(kind: Kind, folder: &Path, seconds: f64, limit: Option<u64>) -> Result<(Vec<Row>, u64), String> {
    let is_ours = kind.swap().is_none() && kind != Kind::Mapped;
    let limit = match (is_ours, limit) {
        (true, _) => None,
        (false, Some(limit)) => Some(limit),
        (false, None) => {
            return Err("what ours used, which is the limit of the system's, is not known".into());
        }
    };
    let _swap = kind.swap().map(|on| Swap::new(on, folder, 2 * PAGES * PAGE)).transpose()?;
    let group = Group::new(limit)?;
    let mut command = group.command(&target().join("release/examples/paging"));
    command.arg(kind.word()).arg(folder);
    command.args([PAGES, RESIDENT].map(|pages| pages.to_string())).arg(seconds.to_string());
    let output = folder.join("rows");
    let file = fs::File::create(&output).map_err(|error| format!("{}: {error}", output.display()))?;
    let ended = finish(command.stdout(file), Duration::from_secs(180)).map(|(ended, _)| ended);
    let _ = fs::remove_file(folder.join("pages"));
    match ended {
        Ok(None) => return Err("it was not done after 180 s".into()),
        Ok(Some(_)) if group.has_killed() => {
            return Err("the system has ended the program for want of memory (OOM kill)".into());
        }
        Ok(Some((true, _))) => {}
        Ok(Some((false, _))) => return Err("the program has failed".into()),
        Err(error) => return Err(error),
    }
    let text = fs::read_to_string(&output).map_err(|error| format!("{}: {error}", output.display()))?;
    if !text.ends_with("checked\n") {
        return Err("the program did not come to its end".into());
    }
    let rows = text.lines().filter_map(Row::read).collect();
    Ok((rows, group.peak()?))
}

/// Whether a command ended well, and after which time; `None` if it was not over in time, and has been ended.
type Ended = Option<(bool, Duration)>;

/// Runs a command, and returns its output, too, if that is a pipe.
fn finish(command: &mut Command, most: Duration) -> Result<(Ended, Vec<u8>), String> {
    let start = Instant::now();
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let reader = child.stdout.take().map(|mut pipe| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).map(|_| bytes)
        })
    });
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some((status.success(), start.elapsed())),
            Ok(None) if start.elapsed() < most => std::thread::sleep(Duration::from_millis(20)),
            _ => break None,
        }
    };
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
        // A program that this one has started has the pipe still, until its group ends.
        return Ok((None, Vec::new()));
    }
    let bytes = reader.and_then(|reader| reader.join().ok()?.ok()).unwrap_or_default();
    Ok((ended, bytes))
}

/// A file of the folder `target`, for whoever wants it.
fn made(name: &str) -> PathBuf {
    target().join("release").join(name)
}
