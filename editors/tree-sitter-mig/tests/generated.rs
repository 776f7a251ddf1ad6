//! The parser that is kept is the one that is made of `grammar.js`.

use std::fs;
use std::path::Path;
use std::process::Command;

use tree_sitter_generate::{ABI_VERSION_MAX, OptLevel, generate_parser_in_directory};

/// Editors compile these files, so they are kept. `BLESS=1` writes them; node evaluates the grammar.
const FILES: [&str; 6] = [
    "parser.c",
    "grammar.json",
    "node-types.json",
    "tree_sitter/parser.h",
    "tree_sitter/alloc.h",
    "tree_sitter/array.h",
];

#[test]
fn the_parser_is_made_of_the_grammar() {
    if Command::new("node").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "there is no node");
        eprintln!("skipped: there is no node");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let grammar = Some(root.join("grammar.js"));
    let out = Some(folder.join("src"));
    generate_parser_in_directory(
        root,
        out,
        grammar,
        ABI_VERSION_MAX,
        None,
        Some("node"),
        true,
        OptLevel::default(),
    )
    .unwrap();
    for file in FILES {
        let made = fs::read_to_string(folder.join("src").join(file)).unwrap();
        let kept = root.join("src").join(file);
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(kept.parent().unwrap()).unwrap();
            fs::write(&kept, made).unwrap();
        } else {
            assert!(fs::read_to_string(kept).is_ok_and(|kept| kept == made), "{file}: run it with BLESS=1");
        }
    }
}
