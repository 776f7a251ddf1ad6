//! `cargo xtask programs`: real programs under `mach-pager run`, beside themselves as they are.

mod redis;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::apt;
use crate::command::{cargo, program, read, run, target, works};
use crate::report::Outcome;

/// A program, and how much of its memory may be resident: about a quarter.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) resident: &'static str,
    pub(crate) line: Vec<String>,
    pub(crate) input: Option<PathBuf>,
}

/// Runs them, and prints a table in Markdown.
pub(crate) fn run_all() -> ExitCode {
    match table() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// False if a program printed something else than without the pager.
fn table() -> Result<bool, String> {
    run(cargo().args(["build", "--release", "-p", "mach-pager-cli"]))?;
    let folder = target().join("programs");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    println!("| | resident | alone | paged | faults, half within | pages in | pages out | same output |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut all = true;
    for program in programs(&folder, 1)?.into_iter().chain(numpy()?) {
        all &= row(&program, &folder)?;
    }
    Ok(all & redis::row(&folder)?)
}

/// Python with numpy, with half of its memory resident; `None` where it cannot be had.
fn numpy() -> Result<Option<Program>, String> {
    let python = "/usr/bin/python3";
    let has_it = || works(program(python).args(["-c", "import numpy"]));
    if let Outcome::Skipped(why) = apt::tool("numpy", &["python3-numpy"], has_it)? {
        eprintln!("skipped: {why}");
        return Ok(None);
    }
    let line = [python, "-c", NUMBERS].map(str::to_owned).into();
    Ok(Some(Program { name: "Python with numpy, half of it", resident: "48M", line, input: None }))
}

fn row(program: &Program, folder: &Path) -> Result<bool, String> {
    let report = folder.join("report.json");
    let (alone, expected) = timed(&mut Command::new(&program.line[0]), &program.line[1..], program)?;
    let mut pager = Command::new(target().join("release/mach-pager"));
    pager.args(["run", "--resident", program.resident, "--report"]).arg(&report).arg("--");
    let (paged, output) = timed(&mut pager, &program.line, program)?;
    let figure = figures(&report)?;
    let same = output == expected;
    print(program.name, program.resident, [alone, paged], figure, same);
    Ok(same)
}

fn print(name: &str, resident: &str, times: [Duration; 2], figure: impl Fn(&str) -> u64, same: bool) {
    let [alone, paged] = times.map(|time| time.as_secs_f64());
    println!(
        "| {name} | {resident} | {alone:.1} s | {paged:.1} s | {}, {} us | {} | {} | {} |",
        figure("faults"),
        figure("faults_half_within_ns").div_ceil(1000),
        figure("pages_in"),
        figure("pages_out"),
        if same { "yes" } else { "**no**" },
    );
}

/// A figure of a report by its name.
fn figures(report: &Path) -> Result<impl Fn(&str) -> u64, String> {
    let text = fs::read_to_string(report).map_err(|error| format!("{}: {error}", report.display()))?;
    Ok(move |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("\"{name}\": ")));
        line.and_then(|value| value.trim_end_matches(',').parse().ok()).unwrap_or(0)
    })
}

/// Runs a command with these arguments, and returns its time and what it printed.
fn timed(command: &mut Command, arguments: &[String], of: &Program) -> Result<(Duration, Vec<u8>), String> {
    let input = match &of.input {
        Some(path) => File::open(path).map_err(|error| format!("{}: {error}", path.display()))?.into(),
        None => Stdio::null(),
    };
    let start = Instant::now();
    let output = command.args(arguments).stdin(input).output();
    let output = output.map_err(|error| format!("{}: {error}", of.name))?;
    if output.status.success() {
        return Ok((start.elapsed(), output.stdout));
    }
    Err(format!("{}: {}\n{}", of.name, output.status, String::from_utf8_lossy(&output.stderr)))
}

/// The programs with their input, this many times as much of it as `cargo xtask programs` takes.
pub(crate) fn programs(folder: &Path, times: u64) -> Result<Vec<Program>, String> {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display())).map(|()| path)
    };
    let words: String =
        (0..120_000 * times).map(|number| format!("{} a line of words\n", number * 7919 % 120_011)).collect();
    let words = file("words", &words)?.display().to_string();
    let functions: String = (0..1500 * times)
        .map(|number| format!("int f{number}(int *a, int n) {{ int s = {number}; for (int i = 0; i < n; i++) s = s * 31 + a[i] % (i + {number} + 1); return s; }}\n"))
        .collect();
    let functions = file("functions.c", &functions)?.display().to_string();
    let cc1 = read(program("gcc").arg("-print-prog-name=cc1"))?.trim().to_owned();
    let words_of = |line: &[&str]| line.iter().map(|word| (*word).to_owned()).collect();
    Ok(vec![
        Program {
            name: "GNU sort",
            resident: "2M",
            line: words_of(&["sort", "-n", "--parallel=1", "-S", &format!("{}M", 64 * times), &words]),
            input: None,
        },
        Program {
            name: "SQLite, `:memory:` and `integrity_check`",
            resident: "768K",
            line: words_of(&["sqlite3", ":memory:"]),
            input: Some(file("rows.sql", &ROWS.replace("ROWS", &(20_000 * times).to_string()))?),
        },
        Program {
            name: "Python, a list and a dictionary",
            resident: "8M",
            line: words_of(&["/usr/bin/python3", "-c", DICTIONARY]),
            input: None,
        },
        Program {
            name: "GCC's `cc1 -O1`",
            resident: "16M",
            line: words_of(&[&cc1, "-quiet", "-O1", "-o", "/dev/stdout", &functions]),
            input: None,
        },
    ])
}

const ROWS: &str = "
create table t(a integer primary key, b text, c integer);
with recursive n(i) as (select 1 union all select i + 1 from n where i < ROWS)
    insert into t select i, 'row ' || (i * 7919 % 20011), i * 31 % 1009 from n;
create index tb on t(b);
create index tc on t(c, b);
select count(*), sum(c), max(b) from t where b > 'row 5';
pragma integrity_check;
";

const DICTIONARY: &str = "
words = [str(number * 7919 % 100003) * 4 for number in range(100000)]
places = {word: at for at, word in enumerate(words)}
print(sum(places[word] for word in sorted(words)))
";

const NUMBERS: &str = "
import numpy
numbers = numpy.arange(3000000) * 7919 % 3000017
ordered = numpy.sort(numbers)
print(int(numbers.sum()), int(ordered[::1000].sum()), int((numbers[:1500000] ^ ordered[:1500000]).sum()))
";
