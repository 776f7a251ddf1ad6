//! `mach-pager demo`: more memory than there is.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use clap::error::ErrorKind;
use mach_pager::store::Store;
use mach_pager::store::file::{self, FileDisk};
use mach_pager::store::nbd::{self, Address};
#[cfg(feature = "compression")]
use mach_pager::store::{Codec, Compressed};
use mach_vm::{Faults, Limits};
use mig_runtime::platform::Std;

use super::Bytes;
use crate::demo::{self, PAGE, Plan, Report, Swap};

/// What a temporary swap file has besides room for every page, since pages are written beside those that they
/// replace: this many, and a part of them all. With a tenth of it free the pager keeps what the kernel has
/// got back, and need not write that again.
const SLACK: usize = 1024;
const SPARE: usize = 8;

/// Page more memory than there is through the pager, and verify every byte
///
/// The kernel's half of mach-vm gives clients memory, keeps a part of it resident, and has the pager store
/// the rest. The clients write patterns and read them back, by calls that bring each page, so that it takes
/// no permission. With --faults that is memory which threads could touch as well.
#[derive(Args)]
pub(crate) struct Demo {
    /// Bytes of memory that the clients use
    #[arg(long, value_name = "N", default_value = "256M")]
    size: Bytes,

    /// How much of it may be resident
    #[arg(long, value_name = "N", default_value = "16M")]
    resident: Bytes,

    /// Swap space made by `mach-pager format`, a file, device or NBD export; without, a temporary file
    #[arg(long, value_name = "FILE")]
    swap: Option<PathBuf>,

    /// Threads that use the memory, each its own part
    #[arg(long, value_name = "N", default_value = "4")]
    clients: usize,

    /// Have memory that threads can touch, too, by userfaultfd where the system permits that
    #[arg(long)]
    faults: bool,

    /// The opposite of --faults, which was once to be said
    #[arg(long, hide = true, conflicts_with = "faults")]
    soft: bool,

    /// Keep pages compressed, several in the place of one
    #[cfg(feature = "compression")]
    #[arg(long, value_name = "CODEC", num_args = 0..=1, require_equals = true, default_missing_value = "lz4")]
    compress: Option<Compress>,

    /// Encrypt pages, with keys that are nowhere but in memory
    #[cfg(feature = "encryption")]
    #[arg(long)]
    encrypt: bool,

    /// Go past the page cache of the system (O_DIRECT)
    #[arg(long)]
    direct: bool,

    /// Write by io_uring
    #[arg(long)]
    ring: bool,

    /// Give room that is empty back to the file system or the device
    #[arg(long)]
    discard: bool,
}

/// What pages are compressed with.
#[cfg(feature = "compression")]
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Compress {
    Lz4,
    #[cfg(feature = "zstd")]
    Zstd,
}

#[cfg(feature = "compression")]
impl Compress {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }
}

impl Demo {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let plan = self.plan().unwrap_or_else(|problem| {
            clap::Error::raw(ErrorKind::ValueValidation, format!("{problem}\n")).exit()
        });
        if let Some(address) = self.swap.as_deref().map(super::export).transpose()?.flatten() {
            return self.run_on(&plan, &address);
        }
        let swap = match &self.swap {
            Some(path) => Swap::at(path),
            None => Swap::temporary(plan.pages + plan.pages / SPARE + SLACK)?,
        };
        let options = file::Options {
            direct: self.direct,
            ring: self.ring,
            discard: self.discard,
            ..file::Options::default()
        };
        #[cfg(feature = "encryption")]
        if self.encrypt {
            let store = swap.open(|path| options.open_encrypted::<Std>(path))?;
            self.note(store.disk());
            return self.page_in(&plan, store);
        }
        let store = swap.open(|path| options.open::<Std>(path))?;
        self.note(store.disk());
        self.page_in(&plan, store)
    }

    /// Pages to an export of an NBD server.
    fn run_on(&self, plan: &Plan, address: &Address) -> Result<(), Box<dyn Error>> {
        if self.direct || self.ring {
            return Err("--direct and --ring are for files and block devices, not for an export".into());
        }
        let options = nbd::Options { discard: self.discard, ..nbd::Options::default() };
        #[cfg(feature = "encryption")]
        if self.encrypt {
            return self.page_in(plan, options.open_encrypted::<Std>(address)?);
        }
        self.page_in(plan, options.open::<Std>(address)?)
    }

    /// How pages come.
    fn faults(&self) -> Faults {
        if self.soft || !self.faults {
            return Faults::Calls;
        }
        let Some(why) = demo::no_faults() else { return Faults::Thread };
        // Not `eprintln`, which panics if nobody reads.
        let _ = writeln!(std::io::stderr(), "note: only calls read and write the memory: {why}");
        Faults::Calls
    }

    /// Says what the system does not do.
    fn note(&self, disk: &FileDisk) {
        let missing = [
            (
                self.direct && !disk.is_direct(),
                "--direct: the file system has no O_DIRECT; pages go through its cache",
            ),
            (
                self.ring && !disk.has_ring(),
                "--ring: the system does not permit io_uring; writes go one by one",
            ),
        ];
        for (_, note) in missing.iter().filter(|(is_missing, _)| *is_missing) {
            // Not `eprintln`, which panics if nobody reads.
            let _ = writeln!(std::io::stderr(), "note: {note}");
        }
    }

    fn page_in<S: Store<Place: Sync>>(&self, plan: &Plan, store: S) -> Result<(), Box<dyn Error>> {
        #[cfg(feature = "compression")]
        if let Some(codec) = self.compress {
            let codec = match codec {
                Compress::Lz4 => Codec::Lz4,
                #[cfg(feature = "zstd")]
                Compress::Zstd => Codec::Zstd,
            };
            return self.run_in(plan, Compressed::<_, Std>::with_codec(store, codec));
        }
        self.run_in(plan, store)
    }

    fn run_in(&self, plan: &Plan, store: impl Store) -> Result<(), Box<dyn Error>> {
        let room = store.space().free;
        let title = format!("paging {} through {}", self.size, self.resident);
        let bar = Bar::new(&title);
        let report = demo::run(plan, store, |share| bar.show(share))?;
        bar.clear();
        super::say(format_args!("{}", Table { title: &title, report: &report }))?;
        if report.is_good() {
            return Ok(());
        }
        Err(problem(&report, room, plan.pages as u64).into())
    }

    /// The sizes in pages; what is wrong with them if they make no sense.
    fn plan(&self) -> Result<Plan, String> {
        let in_pages =
            |size: Bytes| usize::try_from(size.0 / PAGE as u64).map_err(|_| "too large".to_string());
        let (pages, resident, clients) = (in_pages(self.size)?, in_pages(self.resident)?, self.clients);
        if clients == 0 {
            return Err("--clients: there must be one at least".into());
        }
        if pages < clients {
            return Err(format!("--size: {clients} clients need a page of {PAGE} bytes each"));
        }
        if resident < clients {
            return Err(format!("--resident: {clients} clients need a page of {PAGE} bytes each at once"));
        }
        if self.resident.0 < Limits::LEAST as u64 {
            return Err(format!("--resident: {} at least must be resident", Bytes(Limits::LEAST as u64)));
        }
        Ok(Plan { pages, resident, clients, faults: self.faults() })
    }
}

/// Says what went wrong, and what to do.
fn problem(report: &Report, room: u64, pages: u64) -> String {
    let Report { wrong, errors, statistics, .. } = report;
    if *wrong > 0 {
        return format!("{wrong} pages were not as they had been written");
    }
    if *errors > 0 && statistics.write_failures > 0 && room < pages {
        return format!(
            "the swap space has room for {room} pages and {pages} are used: {errors} accesses failed, every other page was right; take a larger swap file"
        );
    }
    if report.peak_resident > report.may_be_resident {
        let [peak, limit] = [report.peak_resident, report.may_be_resident];
        return format!("{peak} pages were resident at once, and no more than {limit} may be");
    }
    if *errors > 0 {
        return format!("{errors} accesses failed, every other page was right");
    }
    format!("rights or memory are left over: before {:?}, after {:?}", report.before, report.after)
}

/// The progress: a bar where there is a terminal, a line now and then elsewhere.
struct Bar<'a> {
    title: &'a str,
    is_terminal: bool,
    last_line: Cell<Instant>,
}

const WIDTH: usize = 24;

/// How often there is a line.
const LINE: Duration = Duration::from_secs(5);

impl<'a> Bar<'a> {
    fn new(title: &'a str) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { title, is_terminal, last_line: Cell::new(Instant::now()) }
    }

    fn show(&self, share: f64) {
        if self.is_terminal {
            let full = (share * WIDTH as f64) as usize;
            let (done, left) = ("█".repeat(full), "░".repeat(WIDTH - full.min(WIDTH)));
            eprint!("\r{}   {done}{left}  {:3.0} %", self.title, share * 100.0);
            // A terminal that cannot be written to shows no progress.
            let _ = std::io::stderr().flush();
        } else if let Some(line) = self.line(share, Instant::now()) {
            // Not `eprintln`, which panics if nobody reads.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// A line, if it is time for one.
    fn line(&self, share: f64, now: Instant) -> Option<String> {
        if now.duration_since(self.last_line.get()) < LINE {
            return None;
        }
        self.last_line.set(now);
        Some(format!("{}: {:.0} %", self.title, share * 100.0))
    }

    fn clear(&self) {
        if self.is_terminal {
            eprint!("\r\x1b[2K");
        }
    }
}

/// The report as a table.
struct Table<'a> {
    title: &'a str,
    report: &'a Report,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { statistics: s, space, time, peak_resident, before, after, .. } = self.report;
        let bytes = |pages: u64| Bytes(pages * PAGE as u64);
        let moved = (s.supplied + s.returned) as f64 * PAGE as f64 / (1 << 20) as f64;
        let rate = moved / time.as_secs_f64();
        writeln!(f, "{}: {:.1} s, {rate:.0} MiB/s in and out", self.title, time.as_secs_f64())?;

        let writes: u64 = s.pages_a_write.iter().sum();
        let per_write = (s.written + s.write_failures) as f64 / writes.max(1) as f64;
        let micros = |nanos: u64| format!("{} us", nanos.div_ceil(1000));
        let messages = [
            ("memory_object_create", s.create),
            // Pages: a message has several.
            ("data_request", s.requested),
            ("data_return", s.returned),
            ("memory_object_terminate", s.terminate),
            ("refused", s.refused + s.unclaimed),
        ];
        let pages = [
            ("pages in", s.supplied),
            ("pages out", s.returned),
            ("unavailable", s.unavailable),
            ("handed back", s.handed_back),
            ("lost", s.lost),
        ];
        let store = [
            ("swap used", bytes(space.used()).to_string()),
            ("same-filled", s.same_filled.to_string()),
            ("pages a write", format!("{per_write:.1}")),
            ("memory back in, 50 %", micros(s.turnaround_within(0.5))),
            ("memory back in, 99 %", micros(s.turnaround_within(0.99))),
        ];
        for ((message, page), store) in messages.iter().zip(pages).zip(store) {
            writeln!(
                f,
                "  {:<24}{:>9}    {:<12}{:>9}    {:<21}{:>10}",
                message.0, message.1, page.0, page.1, store.0, store.1
            )?;
        }
        writeln!(f, "  in {} requests and {} returns", s.data_request, s.data_return)?;
        let count = |census: &[mig_runtime::kernel::local::Census; 2]| -> u64 {
            let rights = census
                .iter()
                .map(|task| (task.receive + task.send_once + task.port_sets) as u64 + task.send_references);
            rights.sum()
        };
        let verdict = match (self.report.wrong, self.report.errors) {
            (0, 0) => "every page right".to_string(),
            (wrong, errors) => format!("{wrong} pages wrong, {errors} accesses failed"),
        };
        let peak = Bytes((*peak_resident * PAGE) as u64);
        writeln!(
            f,
            "  {verdict} · at most {peak} resident · rights before {}, after {}",
            count(before),
            count(after)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_every_few_seconds() {
        let bar = Bar::new("paging");
        let start = bar.last_line.get();
        let mut lines = Vec::new();
        for millis in (0..=11_000_u32).step_by(50) {
            let share = f64::from(millis) / 20_000.0;
            lines.extend(bar.line(share, start + Duration::from_millis(u64::from(millis))));
        }
        assert_eq!(lines, ["paging: 25 %", "paging: 50 %"]);
    }

    #[test]
    fn more_resident_pages_than_there_may_be_are_an_error_that_says_so() {
        let report = |peak_resident| Report {
            statistics: Default::default(),
            space: Default::default(),
            time: Duration::from_secs(1),
            peak_resident,
            may_be_resident: 64,
            wrong: 0,
            errors: 0,
            before: Default::default(),
            after: Default::default(),
        };
        assert!(report(64).is_good());
        assert!(!report(65).is_good());
        assert_eq!(
            problem(&report(65), 1000, 100),
            "65 pages were resident at once, and no more than 64 may be"
        );
    }
}
