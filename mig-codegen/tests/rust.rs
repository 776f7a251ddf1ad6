//! The generated text of three small interfaces, word by word. `BLESS=1` writes what is generated now; read it before it is committed.

use std::path::Path;
use std::{env, fs};

use mig_codegen::{Config, Side};

#[track_caller]
fn golden(name: &str, config: Config) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rust");
    let input = folder.join(name).with_extension("defs");
    let generated = config.text(&input).unwrap();
    assert_eq!(generated.warnings, "");
    let golden = input.with_extension("rs");
    if env::var_os("BLESS").is_some() {
        fs::write(&golden, &generated.value).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(&expected, &generated.value);
    let diff = diff.unified_diff().header("committed", "generated now").to_string();
    assert!(expected == generated.value, "{name}\n{diff}");
}

/// Both sides; rights, data out of line, sequence numbers.
#[test]
fn objects() {
    golden("objects", Config::new().abi("gnu-x86_64").define("SEQNOS", "1"));
}

/// Both sides; replies, a structure that 64-bit machines would align otherwise, a time-out, a string.
#[test]
fn clock() {
    golden("clock", Config::new().abi("gnu-i386"));
}

/// The server alone; arrays.
#[test]
fn store() {
    golden("store", Config::new().abi("gnu-x86_64").side(Side::Server));
}
