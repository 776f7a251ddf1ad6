//! What is checked of every page: that it quotes the files as they are, and shows what the command prints.

#![allow(dead_code, reason = "each of the tests uses a part of it")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A fenced block.
pub(crate) struct Block<'t> {
    /// The line before it.
    pub(crate) before: &'t str,
    /// What follows the fence.
    pub(crate) kind: &'t str,
    pub(crate) content: String,
}

impl Block<'_> {
    /// The file that it quotes.
    pub(crate) fn quoted_file(&self) -> Option<&str> {
        self.before.strip_prefix("<!-- file: ")?.strip_suffix(" -->")
    }
}

/// The fenced blocks of a text.
pub(crate) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let content = lines.by_ref().take_while(|line| *line != "```");
            let content = content.fold(String::new(), |text, line| text + line + "\n");
            blocks.push(Block { before, kind, content });
        }
        before = line;
    }
    blocks
}

/// Compares what a page quotes with the files, and returns how many quotations it has.
pub(crate) fn quotations(page: &str) -> usize {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let mut quoted = 0;
    for block in blocks(&text) {
        let Some(file) = block.quoted_file() else { continue };
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(&block.content), "{page}: {file} does not have:\n{}", block.content);
        quoted += 1;
    }
    quoted
}

/// Compares what a page shows of `mig` with what it prints, and returns how many commands there are.
/// `BLESS=1` writes it anew.
pub(crate) fn commands(page: &str) -> usize {
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let mut fresh = text.clone();
    let mut commands = 0;
    for block in blocks(&text).iter().filter(|block| block.kind == "console") {
        if !block.content.starts_with("$ mig ") {
            continue; // the others take a kernel, or minutes
        }
        let shown = block.content.split("$ ").filter(|shown| !shown.is_empty());
        let printed: Vec<String> = shown.map(|shown| run(shown.lines().next().unwrap())).collect();
        commands += printed.len();
        fresh = fresh.replace(&block.content, &printed.join("\n"));
    }
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &fresh).unwrap();
    } else {
        assert_eq!(fresh, text, "{page}: BLESS=1 writes it anew");
    }
    commands
}

/// A command and what it prints, as a console has it.
fn run(command: &str) -> String {
    let words = command.split(' ').skip(1);
    let output = Command::new(env!("CARGO_BIN_EXE_mig")).args(words).current_dir(root()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    let printed = printed.trim_end();
    format!("$ {command}\n{printed}{}", if printed.is_empty() { "" } else { "\n" })
}
