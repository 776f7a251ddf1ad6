//! What the README and the pages in `docs/book` show is what is there: the files that they quote, and the output
//! of the commands.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The fenced blocks of a text: the line before each, what follows its fence, and its lines.
fn blocks(text: &str) -> Vec<(&str, &str, String)> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let content = lines.by_ref().take_while(|line| *line != "```");
            blocks.push((before, kind, content.fold(String::new(), |text, line| text + line + "\n")));
        }
        before = line;
    }
    blocks
}

#[test]
fn quoted_files_are_as_quoted() {
    assert!(quotations("README.md") >= 4);
    assert!(quotations("docs/book/exception_server.md") >= 5);
    assert!(quotations("docs/book/guide.md") >= 10);
    assert!(quotations("docs/book/kernel.md") >= 5);
    assert!(quotations("docs/book/macos.md") >= 5);
    assert!(quotations("examples/trap_handler/README.md") >= 1);
    assert!(quotations("examples/crash_handler/README.md") >= 1);
}

/// Whoever copies the first example may be on any system.
#[test]
fn the_first_example_compiles_for_every_abi() {
    for abi in ["gnu-i386", "gnu-x86_64", "gnu-x86_64-2022", "cmu-32", "apple-64", "apple-32", "osf-32"] {
        let arguments = ["check", "--abi", abi, "examples/clock/defs/clock.defs"];
        let output =
            Command::new(env!("CARGO_BIN_EXE_mig")).args(arguments).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{abi}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Compares what a page quotes with the files, and returns how many quotations it has.
fn quotations(page: &str) -> usize {
    let page = fs::read_to_string(root().join(page)).unwrap();
    let mut quoted = 0;
    for (before, _, content) in blocks(&page) {
        let Some(file) = before.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(&content), "{file} does not have:\n{content}");
        quoted += 1;
    }
    quoted
}

#[test]
fn commands_print_what_is_shown() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut commands = 0;
    for (_, _, content) in blocks(&readme).into_iter().filter(|(_, kind, _)| *kind == "console") {
        for shown in content.split("$ ").filter(|shown| !shown.is_empty()) {
            let (command, expected) = shown.split_once('\n').unwrap();
            let words = command.split(' ').skip(1);
            let output =
                Command::new(env!("CARGO_BIN_EXE_mig")).args(words).current_dir(root()).output().unwrap();
            let printed =
                String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(printed.trim_end(), expected.trim_end(), "{command}");
            commands += 1;
        }
    }
    assert_eq!(commands, 3);
}
