//! Programs in C with the header and the library.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles a program, links it with the library that cargo has built for this test, and runs it.
fn run(source: &str, arguments: &[&str]) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = Path::new(source).file_stem().unwrap().to_str().unwrap();
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let libraries = libraries();
    let compiled = Command::new("gcc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-I"])
        .arg(here.join("include"))
        .arg(here.join(source))
        .arg("-o")
        .arg(&program)
        .arg("-L")
        .arg(&libraries)
        .arg("-lmach_vm_c")
        .arg(format!("-Wl,-rpath,{}", libraries.display()))
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(&program).args(arguments).output().unwrap();
    std::fs::remove_file(&program).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{:?}: {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!text.contains("skipped: ") || std::env::var_os("CI").is_none(), "{text}");
    text
}

fn libraries() -> PathBuf {
    // The library is built for this test, beside it.
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

#[test]
fn every_way_in_which_a_call_fails() {
    for faults in ["0", "1"] {
        let text = run("tests/errors.c", &[faults]);
        if !text.contains("skipped: ") {
            assert_eq!(text, "done\n", "faults {faults}");
        }
    }
}

#[test]
fn the_example_is_the_readmes_and_works() {
    let readme = include_str!("../README.md");
    let (_, block) = readme.split_once("```c\n").unwrap();
    let (block, _) = block.split_once("```\n").unwrap();
    assert_eq!(block, include_str!("../examples/squares.c"));
    let text = run("examples/squares.c", &[]);
    if !text.contains("skipped: ") {
        assert_eq!(
            text,
            "0 of 1048576 squares are wrong, at most 1024 KiB were resident\npage 77 is full of 77\n"
        );
    }
}

/// What the library exports is what the header declares.
#[test]
fn the_header_has_all_functions() {
    let declared =
        |line: &&str| line.starts_with("kern_return_t mach_vm_") || line.contains("*mach_vm_error");
    let header = include_str!("../include/mach_vm.h");
    let names = header
        .lines()
        .filter(declared)
        .filter_map(|line| line.split(['(', '*', ' ']).find(|word| word.starts_with("mach_vm_")));
    let mut names: Vec<&str> = names.collect();
    let exported = include_str!("../src/lib.rs").split("extern \"C\" fn ").skip(1);
    let mut exported: Vec<&str> = exported.filter_map(|text| text.split('(').next()).collect();
    names.sort_unstable();
    exported.sort_unstable();
    assert_eq!(names, exported);
}
