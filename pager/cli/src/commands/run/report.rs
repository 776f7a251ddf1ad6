//! What the library says of the program's memory, for people and for programs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::MemfdFlags;

use super::{Bytes, End};

const PAGE: u64 = 4096;

/// The library writes no more than this.
const MOST: usize = 16 << 10;

/// A file without a name that the library writes to.
pub(super) struct Channel(File);

impl Channel {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(rustix::fs::memfd_create("mach-pager report", MemfdFlags::CLOEXEC)?.into()))
    }

    /// How the program finds it, as long as this process lives.
    pub(super) fn path(&self) -> OsString {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }

    /// The last report; `None` if there is none.
    pub(super) fn read(&self) -> Option<Figures> {
        // It may be written again at this moment.
        (0..1000).find_map(|_| {
            let mut text = vec![0; MOST];
            let len = self.0.read_at(&mut text, 0).ok()?;
            let text = String::from_utf8_lossy(&text[..len]);
            match text.starts_with("failed") {
                true => Some(Figures::Failed),
                false => numbers(&text).map(|numbers| Figures::All(Numbers(numbers))),
            }
        })
    }
}

/// What the library has written.
pub(super) enum Figures {
    /// That it did not begin, and why is on the standard error.
    Failed,
    All(Numbers),
}

/// Each figure by its name.
pub(super) struct Numbers(BTreeMap<String, u64>);

/// A whole report, the first line of which says the same as the last one.
fn numbers(text: &str) -> Option<BTreeMap<String, u64>> {
    let mut numbers = BTreeMap::new();
    let (first, rest) = text.split_once('\n')?;
    let number = first.strip_prefix("report ")?;
    for line in rest.lines() {
        match line.split_once(' ')? {
            ("end", end) => return (end == number).then_some(numbers),
            (name, value) => numbers.insert(name.to_owned(), value.parse().ok()?),
        };
    }
    None
}

impl Numbers {
    fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    fn swap_used(&self) -> u64 {
        self.get("swap_total").saturating_sub(self.get("swap_free") + self.get("swap_bad")) * PAGE
    }

    fn time(&self, name: &str) -> String {
        format!("{} us", self.get(name).div_ceil(1000))
    }
}

/// One line.
impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [faults, pages_in, pages_out] = ["faults", "pages_in", "pages_out"].map(|name| self.get(name));
        let [resident, swap] = [self.get("resident"), self.swap_used()].map(Bytes);
        write!(
            f,
            "{faults} faults, {pages_in} pages in, {pages_out} out, {resident} resident, {swap} of swap"
        )
    }
}

/// Why memory is not paged, by the library's word for it.
const REASONS: [(&str, &str); 5] = [
    ("unpaged_small", "in mappings of less than 64 KiB"),
    ("unpaged_files_and_shared", "of files and shared memory"),
    ("unpaged_protected", "mapped without access, or for reading"),
    ("unpaged_special", "at fixed addresses, stacks, locked, or in large pages"),
    ("unpaged_no_room", "for which there was no room"),
];

/// The report as a table.
pub(super) struct Table<'a> {
    pub(super) end: &'a End,
    pub(super) figures: &'a Numbers,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { end, figures } = self;
        let seconds = end.time.as_secs_f64();
        let (program, how) = (end.program.to_string_lossy(), end.how());
        let moved = (figures.get("pages_in") + figures.get("pages_out")) * PAGE;
        let rate = moved as f64 / (1 << 20) as f64 / seconds;
        writeln!(f, "{program}: {seconds:.1} s through {}, {rate:.0} MiB/s in and out, {how}", end.resident)?;
        let count = |name| figures.get(name).to_string();
        let bytes = |bytes| Bytes(bytes).to_string();
        let rows = [
            [
                ("faults", count("faults")),
                ("pages in", count("pages_in")),
                ("most resident", bytes(figures.get("peak_resident"))),
            ],
            [
                ("half within", figures.time("faults_half_within_ns")),
                ("pages out", count("pages_out")),
                ("swap used", bytes(figures.swap_used())),
            ],
            [
                ("99 % within", figures.time("faults_99_percent_within_ns")),
                ("unchanged", count("pages_dropped")),
                ("swap space", bytes(figures.get("swap_total") * PAGE)),
            ],
            [
                ("99.9 % within", figures.time("faults_999_permille_within_ns")),
                ("lost", count("pages_lost")),
                ("same-filled", count("same_filled")),
            ],
        ];
        for [a, b, c] in rows {
            writeln!(f, "  {:<14}{:>12}    {:<10}{:>10}    {:<14}{:>12}", a.0, a.1, b.0, b.1, c.0, c.1)?;
        }
        let unpaged = REASONS.iter().filter(|(name, _)| figures.get(name) != 0);
        let unpaged: Vec<_> =
            unpaged.map(|(name, why)| format!("{} {why}", Bytes(figures.get(name)))).collect();
        if !unpaged.is_empty() {
            writeln!(f, "  not paged: {}", unpaged.join("; "))?;
        }
        Ok(())
    }
}

/// The file that the report is written to. Until there is a report, it is as it was, or goes again.
pub(super) struct JsonFile {
    file: File,
    /// If it was made for this.
    new: Option<PathBuf>,
}

impl JsonFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let is_new = path.symlink_metadata().is_err();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        Ok(Self { file, new: is_new.then(|| path.to_owned()) })
    }

    pub(super) fn write(mut self, text: &str) -> io::Result<()> {
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.write_all(text.as_bytes())?;
        self.new = None;
        Ok(())
    }
}

impl Drop for JsonFile {
    fn drop(&mut self) {
        self.new.iter().for_each(|path| drop(fs::remove_file(path)));
    }
}

/// The report as JSON: an object with one figure a line.
pub(super) fn json(end: &End, figures: &Numbers) -> String {
    let or_null = |number: Option<i32>| number.map_or("null".to_owned(), |number| number.to_string());
    let mut text = format!(
        "{{\n  \"program\": {},\n  \"exit_code\": {},\n  \"signal\": {},\n  \"seconds\": {:.3},\n  \"resident_limit\": {}",
        quoted(&end.program.to_string_lossy()),
        or_null(end.status.code()),
        or_null(end.status.signal()),
        end.time.as_secs_f64(),
        end.resident.0,
    );
    for (name, value) in &figures.0 {
        // A string takes it all.
        let _ = write!(text, ",\n  {}: {value}", quoted(name));
    }
    text + "\n}\n"
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_two_reports_are_none() {
        let whole = numbers("report 7\nfaults 3\npages_in 2\nend 7\nrest of a longer one").unwrap();
        assert_eq!(whole, BTreeMap::from([("faults".to_owned(), 3), ("pages_in".to_owned(), 2)]));
        for text in [
            "",
            "report 7\n",
            "report 7\nfaults 3\n",
            "report 7\nfaults 3\nend 6\n",
            "report 7\nfaults x\nend 7\n",
        ] {
            assert_eq!(numbers(text), None, "{text}");
        }
    }

    #[test]
    fn strings_of_json_are_quoted() {
        assert_eq!(quoted("a\"b\\c\n√"), "\"a\\\"b\\\\c\\u000a√\"");
    }
}
