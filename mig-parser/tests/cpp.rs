//! The preprocessor against the C compiler's: `tests/cpp/*.c` give the same tokens.
//!
//! `mig.in` hands a file to `cc -E`, so whatever that makes of a macro is what users of MIG know.

use std::path::Path;
use std::process::Command;

use mig_parser::{FileSystem, Memory, Options, preprocessed};

/// The C compiler's tokens of a file; `None` without a C compiler, which continuous integration must have.
fn reference(file: &str) -> Option<Vec<String>> {
    let mut gcc = Command::new("gcc");
    gcc.args(["-E", "-P", "-undef", "-nostdinc", "-w", "-x", "c", "-I", "first", "-I", "second", file]);
    let output = match gcc.output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "gcc: {error}");
            println!("skipped: gcc: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Its output is text: the same lexer takes it apart. `_Pragma` and `#pragma` stand in it as lines of
    // their own.
    let text = String::from_utf8_lossy(&output.stdout);
    let text: String =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let files = Memory::new().file("out.c", text);
    Some(preprocessed(&Options::new(), &files, "out.c").0)
}

#[test]
fn files_give_the_tokens_of_the_c_compiler() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cpp");
    std::env::set_current_dir(&folder).expect("the folder of the cases");
    let mut files: Vec<_> =
        std::fs::read_dir(".").expect("the folder").map(|e| e.expect("entry").file_name()).collect();
    files.retain(|name| Path::new(name).extension().is_some_and(|e| e == "c"));
    files.sort();
    assert!(files.len() > 5);
    let options = Options::new().include_dir("first").include_dir("second");
    for file in files {
        let file = file.to_str().expect("a name");
        let Some(expected) = reference(file) else { return };
        let (found, said) = preprocessed(&options, &FileSystem, file);
        assert!(!said.contains("error["), "{file}: {said}");
        let differs = expected.iter().zip(&found).position(|(a, b)| a != b);
        let at = differs.unwrap_or(expected.len().min(found.len()));
        let around = |tokens: &[String]| tokens[at.saturating_sub(8)..(at + 8).min(tokens.len())].join(" ");
        assert!(
            expected == found,
            "{file}: gcc makes\n    {}\nand we make\n    {}",
            around(&expected),
            around(&found)
        );
    }
}
