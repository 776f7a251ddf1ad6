//! Goldens: every `tests/ui/*.defs` with what is said about it (`.stderr`) and with its messages (`.abi`),
//! for each ABI that its first line names: `/* abi: gnu-i386 gnu-x86_64 */`. `; include: DIR` adds an include
//! directory.
//!
//! `BLESS=1 cargo test -p mig-codegen --test ui` writes them anew: read the difference before it is
//! committed.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use mig_codegen::table::abi_text;

fn main() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut cases: Vec<PathBuf> = fs::read_dir(&directory)
        .expect("the folder of cases")
        .map(|entry| entry.expect("a case").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "defs"))
        .collect();
    cases.sort();
    let trials = cases.into_iter().map(|path| {
        let name = path.file_stem().expect("a file name").to_string_lossy().into_owned();
        Trial::test(name, move || run(&path))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn run(path: &Path) -> Result<(), Failed> {
    let source = fs::read_to_string(path)?;
    let (abis, include) = options(&source)?;
    let directory = path.parent().expect("a case is in a folder");
    let include = include.map(|include| directory.join(include));
    let (mut said, mut tables) = (String::new(), String::new());
    for abi in &abis {
        let (interface, diagnostics) = common::analyze_file(path, abi, include.as_deref());
        said += &diagnostics;
        if let Some(interface) = interface {
            common::check_invariants(&interface);
            tables += &abi_text(&interface);
        }
    }
    compare(&path.with_extension("stderr"), &said)?;
    compare(&path.with_extension("abi"), &tables)
}

/// The ABIs and the include directory that the first line asks for.
fn options(source: &str) -> Result<(Vec<String>, Option<String>), Failed> {
    let line = source.lines().next().unwrap_or_default();
    let options = line.strip_prefix("/* ").and_then(|rest| rest.strip_suffix(" */")).ok_or("no options")?;
    let mut abis = Vec::new();
    let mut include = None;
    for option in options.split("; ") {
        match option.split_once(": ") {
            Some(("abi", names)) => abis = names.split(' ').map(str::to_owned).collect(),
            Some(("include", directory)) => include = Some(directory.to_owned()),
            _ => return Err(format!("unknown option `{option}`").into()),
        }
    }
    Ok((abis, include))
}

/// Compares with a golden file; one that is not there is empty.
fn compare(golden: &Path, got: &str) -> Result<(), Failed> {
    let expected = match golden.exists() {
        true => fs::read_to_string(golden)?,
        false => String::new(),
    };
    if got == expected {
        return Ok(());
    }
    if std::env::var_os("BLESS").is_some() {
        match got.is_empty() {
            true => fs::remove_file(golden)?,
            false => fs::write(golden, got)?,
        }
        return Ok(());
    }
    let difference = similar::TextDiff::from_lines(expected.as_str(), got);
    let difference = difference.unified_diff().header(&golden.display().to_string(), "this run").to_string();
    Err(difference.into())
}
