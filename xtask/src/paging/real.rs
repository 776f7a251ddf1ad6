//! Real programs, ours beside the system's swapping with as much memory.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::system::{Group, On, Swap};
use super::{finish, made};
use crate::programs::{Program, programs};

/// Those that are compared, and how many times the input of `cargo xtask programs` each has.
const NAMES: [(&str, u64); 3] = [("sort", 12), ("SQLite", 12), ("cc1", 2)];

/// About half of their memory, and not a quarter as there.
const RESIDENT: u64 = 2;

/// No program takes longer.
const MOST: Duration = Duration::from_secs(40);

/// How a program has ended.
enum End {
    Done { time: Duration, output: Vec<u8>, peak: u64 },
    Not(String),
}

/// A table in Markdown.
pub(super) fn table(folder: &Path, start: Instant) -> Result<String, String> {
    let mut text = String::from("### Real programs\n\n");
    text += "| | resident | all of its memory | alone | ours | swap, page-cluster 0 | page-cluster 3 | ours / 0 | ours / 3 |\n";
    text += "|---|---|---|---|---|---|---|---|---|\n";
    for (name, times) in NAMES {
        let programs = programs(folder, times)?;
        let Some(program) = programs.iter().find(|program| program.name.contains(name)) else { continue };
        println!("{:4.0} s: {}", start.elapsed().as_secs_f64(), program.name);
        let row = row(program, RESIDENT * times, folder)?;
        print!("        {row}");
        text += &row;
    }
    text.push('\n');
    Ok(text)
}

fn row(program: &Program, times: u64, folder: &Path) -> Result<String, String> {
    let resident = bytes(program.resident).ok_or_else(|| format!("{}: no size", program.resident))? * times;
    let (alone, expected) = match run(program, &[], None)? {
        End::Done { time, output, .. } => (time, output),
        End::Not(why) => {
            return Ok(format!("| {} | alone: {why} | – | – | – | – | – | – | – |\n", program.name));
        }
    };
    let pager = made("mach-pager").display().to_string();
    let resident_word = resident.to_string();
    let paged = [pager.as_str(), "run", "--resident", &resident_word, "--"];
    let ours = run(program, &paged, None)?;
    let mut line = format!("| {} | {} MiB |", program.name, resident >> 20);
    let Some((our_time, peak)) = (match &ours {
        End::Done { time, peak, .. } => Some((*time, *peak)),
        End::Not(_) => None,
    }) else {
        let _ = writeln!(
            line,
            " – | {:.1} s | {} | – | – | – | – |",
            alone.as_secs_f64(),
            said(&ours, &expected)
        );
        return Ok(line);
    };
    let _ = write!(line, " {} MiB | {:.1} s | {} |", peak >> 20, alone.as_secs_f64(), said(&ours, &expected));
    let mut ratios = String::new();
    for cluster in [0, 3] {
        let swapped = match Swap::new(On::Disk(cluster), folder, 2 << 30) {
            Ok(_swap) => run(program, &[], Some(peak))?,
            Err(why) => End::Not(why),
        };
        let _ = write!(line, " {} |", said(&swapped, &expected));
        ratios += &match swapped {
            End::Done { time, .. } => format!(" {:.2} |", our_time.as_secs_f64() / time.as_secs_f64()),
            End::Not(_) => " – |".to_owned(),
        };
    }
    Ok(line + &ratios + "\n")
}

fn said(end: &End, expected: &[u8]) -> String {
    match end {
        End::Done { time, output, .. } if output == expected => format!("{:.1} s", time.as_secs_f64()),
        End::Done { .. } => "**other output**".to_owned(),
        End::Not(why) => why.clone(),
    }
}

/// Runs a program after these words, with no more memory than this.
///
/// What it prints goes to a pipe, since the cache of a file would count as its memory.
fn run(program: &Program, before: &[&str], limit: Option<u64>) -> Result<End, String> {
    let words: Vec<_> = before.iter().copied().chain(program.line.iter().map(String::as_str)).collect();
    let group = Group::new(limit);
    // Without a group nothing is bounded, and what is alone needs none.
    let mut command = match (&group, limit) {
        (Ok(group), _) => group.command(Path::new(words[0])),
        (Err(_), None) => Command::new(words[0]),
        (Err(why), Some(_)) => return Ok(End::Not(why.clone())),
    };
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(input) = &program.input {
        let file = File::open(input).map_err(|error| format!("{}: {error}", input.display()))?;
        command.stdin(file);
    }
    let (ended, output) = finish(&mut command, MOST)?;
    let has_killed = group.as_ref().is_ok_and(|group| group.has_killed());
    Ok(match ended {
        _ if has_killed => End::Not("OOM kill".into()),
        None => End::Not(format!("not done in {} s", MOST.as_secs())),
        Some((false, _)) => End::Not("it failed".into()),
        Some((true, time)) => {
            End::Done { time, output, peak: group.and_then(|group| group.peak()).unwrap_or(0) }
        }
    })
}

/// A number with K or M.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "K" => 1 << 10,
        "M" => 1 << 20,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * unit)
}
