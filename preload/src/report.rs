//! What the command is told: a file with a line for each figure, written again now and then.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::child;
use crate::paging::{self, Figures, UNPAGED};
use crate::work;

/// How old the figures of a program that is killed may be.
const OFTEN: Duration = Duration::from_millis(200);

static FILE: OnceLock<File> = OnceLock::new();

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Writes figures to this file from now on.
pub(crate) fn start(path: &Path) -> Result<(), String> {
    let file = OpenOptions::new().write(true).open(path);
    let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
    let _ = FILE.set(file);
    // A program may be over before the thread has run.
    write();
    let thread = std::thread::Builder::new().name("mach report".to_owned());
    thread
        .spawn(|| {
            loop {
                write();
                std::thread::sleep(OFTEN);
            }
        })
        .map_err(|error| format!("there is no room for a thread: {error}"))?;
    Ok(())
}

/// Writes the figures as they are.
pub(crate) fn write() {
    if child::is_child() {
        return;
    }
    // The file is in the table of the library's threads.
    work::done(|| {
        let (Some(file), Some(figures)) = (FILE.get(), paging::figures()) else { return };
        // The first and the last line say which report it is, so that nobody takes halves of two for one.
        let number = NUMBER.fetch_add(1, Relaxed);
        let text = format!("report {number}\n{}end {number}\n", lines(&figures));
        // There is nobody to tell if it fails.
        let _ = file.write_all_at(text.as_bytes(), 0);
    });
}

fn lines(figures: &Figures) -> String {
    let Figures { vm, latencies, pager, space, not_paged } = figures;
    let nanos = |share| latencies.within(share).as_nanos() as u64;
    let mut lines = String::new();
    let mut line = |name: &str, value: u64| {
        // A string takes it all.
        let _ = writeln!(lines, "{name} {value}");
    };
    line("faults", latencies.count());
    line("faults_half_within_ns", nanos(0.5));
    line("faults_90_percent_within_ns", nanos(0.9));
    line("faults_99_percent_within_ns", nanos(0.99));
    line("faults_999_permille_within_ns", nanos(0.999));
    line("resident", vm.resident as u64);
    line("peak_resident", vm.peak_resident as u64);
    line("pages_in", pager.supplied);
    line("pages_out", pager.returned);
    line("pages_dropped", vm.dropped);
    line("pages_handed_back", pager.handed_back);
    line("pages_lost", pager.lost);
    line("requests", pager.data_request);
    line("returns", pager.data_return);
    line("swap_total", space.total);
    line("swap_free", space.free);
    line("swap_bad", space.bad);
    line("same_filled", space.same_filled);
    for (name, bytes) in UNPAGED.iter().zip(not_paged) {
        line(&format!("unpaged_{name}"), *bytes);
    }
    lines
}

/// Tells the command that nothing has begun, and that it has been said why.
pub(crate) fn failed(path: &Path) {
    let _ = std::fs::write(path, "failed\n");
}
