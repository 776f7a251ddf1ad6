//! The kinds of memory that are compared, their figures, and the tables of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::On;
use crate::command::{program, read};

/// A kind of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ours, whose pages are in a file that is used past the system's cache.
    Disk,
    /// The same, with faults in the thread that touches pages.
    DiskSignal,
    /// The system's, that swaps to a file, with this `vm.page-cluster`.
    Swap(u32),
    /// A file of the system that is mapped.
    Mapped,
    /// Ours, whose pages are in memory.
    Memory,
    MemorySignal,
    /// The same, compressed.
    Compressed,
    /// The system's, that swaps to memory.
    Zram,
}

impl Kind {
    /// In the order in which they are measured: the first says what all others may use.
    pub(super) const ALL: [Self; 10] = [
        Self::Disk,
        Self::DiskSignal,
        Self::Swap(0),
        Self::Swap(3),
        Self::Swap(5),
        Self::Mapped,
        Self::Memory,
        Self::MemorySignal,
        Self::Compressed,
        Self::Zram,
    ];

    pub(super) fn name(self) -> String {
        match self {
            Self::Disk => "ours, disk".into(),
            Self::DiskSignal => "ours, disk, by a signal".into(),
            Self::Swap(cluster) => format!("swap file, page-cluster {cluster}"),
            Self::Mapped => "mapped file".into(),
            Self::Memory => "ours, memory".into(),
            Self::MemorySignal => "ours, memory, by a signal".into(),
            Self::Compressed => "ours, memory, LZ4".into(),
            Self::Zram => "zram, LZ4".into(),
        }
    }

    /// As the program has it that measures.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::DiskSignal => "disk-signal",
            Self::Swap(_) | Self::Zram => "system",
            Self::Mapped => "mapped",
            Self::Memory => "memory",
            Self::MemorySignal => "memory-signal",
            Self::Compressed => "compressed",
        }
    }

    /// What the system swaps to meanwhile.
    pub(super) fn swap(self) -> Option<On> {
        match self {
            Self::Swap(cluster) => Some(On::Disk(cluster)),
            Self::Zram => Some(On::Zram),
            _ => None,
        }
    }
}

/// What was measured of a kind: rows, and the most bytes; or why nothing was.
pub(super) struct Memory {
    pub(super) kind: Kind,
    pub(super) measured: Result<(Vec<Row>, u64), String>,
}

impl Memory {
    pub(super) fn row(&self, pattern: &str, threads: u64) -> Option<&Row> {
        let (rows, _) = self.measured.as_ref().ok()?;
        rows.iter().find(|row| row.pattern == pattern && row.threads == threads)
    }
}

/// What a pattern of accesses took.
pub(super) struct Row {
    pub(super) pattern: String,
    pub(super) threads: u64,
    touches: f64,
    seconds: f64,
    faults: f64,
    /// Half, 99 % and 99.9 % of the faults took no longer, in nanoseconds.
    pub(super) within: [f64; 3],
    written: f64,
    line: String,
}

impl Row {
    /// A line of the program.
    pub(super) fn read(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split('\t').collect();
        let [pattern, threads, numbers @ ..] = &words[..] else { return None };
        let numbers: Vec<f64> = numbers.iter().map(|word| word.parse()).collect::<Result<_, _>>().ok()?;
        let [touches, seconds, faults, half, most, nearly_all, written, _] = numbers[..] else { return None };
        Some(Self {
            pattern: (*pattern).to_owned(),
            threads: threads.parse().ok()?,
            touches,
            seconds,
            faults,
            within: [half, most, nearly_all],
            written,
            line: line.to_owned(),
        })
    }

    /// Pages in order, or faults by chance, a second.
    pub(super) fn rate(&self) -> f64 {
        let done = if self.is_in_order() { self.touches } else { self.faults };
        done / self.seconds
    }

    pub(super) fn is_in_order(&self) -> bool {
        self.pattern.ends_with("in order")
    }

    /// Bytes written for each page touched.
    fn written_each(&self) -> f64 {
        self.written / self.touches
    }
}

pub(super) const PATTERNS: [&str; 5] = ["read", "write", "read and write", "read in order", "write in order"];
pub(super) const THREADS: [u64; 2] = [1, 8];

/// The plots, and their names.
const PLOTS: [(&str, &str); 3] = [
    ("Faults a second", "paging-faults.svg"),
    ("How long 99 of 100 faults take", "paging-latency.svg"),
    ("Pages in order", "paging-order.svg"),
];

/// Where and when this was measured.
fn machine() -> String {
    let said = |name: &str, argument: &str| read(program(name).arg(argument)).unwrap_or_default();
    let [day, release, processors] =
        [("date", "-uI"), ("uname", "-r"), ("nproc", "--all")].map(|(name, argument)| said(name, argument));
    format!(
        "Measured on {} with Linux {} and {} processors; all figures are in [paging.tsv](paging.tsv).\n",
        day.trim(),
        release.trim(),
        processors.trim()
    )
}

/// The tables in Markdown.
pub(super) fn text(memories: &[Memory]) -> String {
    let mut text = machine() + "\n";
    let swaps = [Kind::Swap(0), Kind::Swap(3), Kind::Swap(5), Kind::Mapped];
    ratios(&mut text, memories, "Pages on a disk", &[Kind::Disk, Kind::DiskSignal], &swaps);
    let ours = [Kind::Memory, Kind::MemorySignal, Kind::Compressed];
    ratios(&mut text, memories, "Pages in memory", &ours, &[Kind::Zram]);
    latencies(&mut text, memories);
    for (title, file) in PLOTS {
        let _ = writeln!(text, "![{title}]({file})\n");
    }
    for memory in memories {
        if let Err(why) = &memory.measured {
            let _ = writeln!(text, "Not here: {}: {why}.\n", memory.kind.name());
        }
    }
    text
}

/// What ours does, and how many times as much that is as what others do.
fn ratios(text: &mut String, memories: &[Memory], title: &str, ours: &[Kind], others: &[Kind]) {
    let find = |kind| memories.iter().find(|memory| memory.kind == kind);
    let (first, last) = (ours[0], others[others.len().min(2) - 1]);
    let _ = writeln!(text, "### {title}\n");
    let mut head = String::from("| | threads |");
    ours.iter().for_each(|kind| head += &format!(" {} |", kind.name()));
    others.iter().for_each(|kind| head += &format!(" times {} |", kind.name()));
    let _ = writeln!(text, "{head} bytes written, times {} |", last.name());
    let _ = writeln!(text, "{}", "|---".repeat(3 + ours.len() + others.len()) + "|");
    for (pattern, threads) in PATTERNS.iter().flat_map(|pattern| THREADS.map(|threads| (*pattern, threads))) {
        let row = |kind| find(kind).and_then(|memory| memory.row(pattern, threads));
        let mut line = format!("| {pattern} | {threads} |");
        for kind in ours {
            line += &row(*kind).map_or(" – |".into(), |row| format!(" {} |", rate(row)));
        }
        let ratio = |of: Option<f64>| {
            of.filter(|ratio| ratio.is_finite()).map_or(" – |".into(), |ratio| format!(" {ratio:.2} |"))
        };
        for kind in others {
            line += &ratio(row(first).zip(row(*kind)).map(|(our, their)| our.rate() / their.rate()));
        }
        let written = row(first).zip(row(last)).map(|(our, their)| our.written_each() / their.written_each());
        line += &ratio(written.filter(|_| pattern != "read"));
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
}

fn rate(row: &Row) -> String {
    match row.is_in_order() {
        true => format!("{:.0} MB/s", row.rate() * 4096.0 / 1e6),
        false => format!("{:.1} k/s", row.rate() / 1e3),
    }
}

/// How long faults take.
fn latencies(text: &mut String, memories: &[Memory]) {
    let columns = [("read", 1), ("read and write", 1), ("read", 8)];
    let _ = writeln!(text, "### How long a fault takes\n");
    let heads = columns.map(|(pattern, threads)| format!("{pattern}, threads: {threads}"));
    let _ = writeln!(text, "| p50 / p99 / p99.9, us | {} | most memory |", heads.join(" | "));
    let _ = writeln!(text, "{}|", "|---".repeat(2 + columns.len()));
    for memory in memories {
        let Ok((_, peak)) = &memory.measured else { continue };
        let cells = columns.map(|(pattern, threads)| {
            let times = memory.row(pattern, threads).map_or([0.0; 3], |row| row.within);
            times.map(|time| format!("{:.*}", usize::from(time < 1e5), time / 1e3)).join(" / ")
        });
        let _ = writeln!(text, "| {} | {} | {} MiB |", memory.kind.name(), cells.join(" | "), peak >> 20);
    }
    text.push('\n');
}

/// Writes all figures, as the program printed them.
pub(super) fn write(memories: &[Memory], path: &Path) -> Result<(), String> {
    let mut text = String::from(
        "memory\tpattern\tthreads\tpages\tseconds\tfaults\tp50 ns\tp99 ns\tp99.9 ns\tbytes written\tprocessor seconds\n",
    );
    for memory in memories {
        for row in memory.measured.iter().flat_map(|(rows, _)| rows) {
            let _ = writeln!(text, "{}\t{}", memory.kind.name(), row.line);
        }
    }
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

const BEGIN: &str = "<!-- cargo xtask bench paging --write -->\n";
const END: &str = "<!-- end -->\n";

/// Puts the tables where the page has them.
pub(super) fn replace(path: &Path, tables: &str) -> Result<(), String> {
    let told = |why: &str| format!("{}: {why}", path.display());
    let text = fs::read_to_string(path).map_err(|error| told(&error.to_string()))?;
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| told("there is no place for the tables"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| told("the place for the tables has no end"))?;
    let text = format!("{before}{BEGIN}\n{tables}{END}{after}");
    fs::write(path, text).map_err(|error| told(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_the_program_prints_them() {
        let row = Row::read("read and write\t8\t1000\t0.5000\t400\t100\t200\t300\t4096000\t0.1").unwrap();
        assert_eq!(
            (row.pattern.as_str(), row.threads, row.within),
            ("read and write", 8, [100.0, 200.0, 300.0])
        );
        assert_eq!((row.rate(), row.written_each()), (800.0, 4096.0));
        let row = Row::read("read in order\t1\t1000\t0.5000\t400\t100\t200\t300\t0\t0.1").unwrap();
        assert_eq!(row.rate(), 2000.0);
        assert!(Row::read("checked").is_none());
    }
}
