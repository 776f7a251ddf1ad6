//! The text of generated code: laid out as rustfmt lays code out, and the same code as the macro's tokens.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::KITCHEN_SINK;
use mig_codegen::{Config, Input};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// All files with generated code that are in the repository.
fn committed() -> Vec<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![package.join("tests/rust"), package.join("../defs/src/generated")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.retain(|file| !file.ends_with("definitions.rs"));
    files
}

#[test]
fn rustfmt_has_nothing_to_change() {
    let files = committed();
    assert!(files.len() > 100, "{}", files.len());
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--edition", "2024", "--config"]);
    // These come before the file of the repository, which has longer lines.
    rustfmt.arg("max_width=100,use_small_heuristics=Max,style_edition=2024").args(files);
    let output = rustfmt.stdin(Stdio::null()).output().expect("rustfmt is part of the toolchain");
    let differences = String::from_utf8_lossy(&output.stdout);
    let beginning: String = differences.lines().take(60).collect::<Vec<_>>().join("\n");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{beginning}\n{errors}");
}

/// Tokens without what a layout may add: the comma after the last line of a list, braces around a closure's
/// or an arm's value.
fn essence(tokens: TokenStream, into: &mut Vec<String>) {
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace | Delimiter::None => ("", ""),
                };
                into.push(open.to_owned());
                essence(group.stream(), into);
                into.push(close.to_owned());
            }
            TokenTree::Punct(punct) if punct.as_char() == ',' => {}
            other => into.push(other.to_string()),
        }
    }
    into.retain(|token| !token.is_empty());
}

#[track_caller]
fn same_code(config: &Config, source: &str) {
    let input = Input::Text { name: "test.defs", text: source.as_bytes() };
    let text = config.text(input).unwrap().value;
    let (mut printed, mut made) = (Vec::new(), Vec::new());
    essence(text.parse().expect(&text), &mut printed);
    essence(config.tokens(input).unwrap().value, &mut made);
    assert!(printed.len() > 100, "{text}");
    let differs = printed.iter().zip(&made).position(|(printed, made)| printed != made);
    let at = differs.unwrap_or(printed.len().min(made.len()));
    let around = at.saturating_sub(10)..at + 10;
    let near =
        |tokens: &[String]| tokens.get(around.start..around.end.min(tokens.len())).unwrap_or(&[]).join(" ");
    assert!(printed == made, "printed {}\n   made {}", near(&printed), near(&made));
}

#[test]
fn the_text_is_the_code_of_the_macro() {
    for abi in ["gnu-i386", "gnu-x86_64"] {
        same_code(&Config::new().abi(abi), KITCHEN_SINK);
    }
    let types = "type char = MACH_MSG_TYPE_CHAR; type short = MACH_MSG_TYPE_INTEGER_16;
        type int = MACH_MSG_TYPE_INTEGER_32; type int64 = MACH_MSG_TYPE_INTEGER_64;";
    for abi in ["apple-64", "apple-32", "osf-32"] {
        same_code(&Config::new().abi(abi), &format!("{types}{KITCHEN_SINK}"));
    }
}

/// Paths of the user's are printed as they are, whatever is in them; so is a comment, whatever it says.
#[test]
fn what_the_user_writes_stays() {
    let source = r##"
        subsystem odd 10;
        type p_t = MACH_MSG_TYPE_COPY_SEND intran: r_t ref_of(p_t);
        type n_t = MACH_MSG_TYPE_INTEGER_32;
        /* "quotes", \ and \\, a tab	, é and "# #" // */
        routine f(p : p_t; n : n_t);
        /// / a slash
        routine g(p : p_t; out n : n_t);
    "##;
    let odd = "crate::A<'static, dyn Fn(u8, &[u8; 2]) -> Vec<Vec<&'static str>>, {{ 1 + 2 }}, -1, (u8,), <u8 as B>::C>";
    let config = Config::new().abi("gnu-i386").extern_type("r_t", odd);
    same_code(&config.extern_type("n_t", "r#match::N::<{ if 1 < 2 { 3 } else { 4 } }>"), source);
}

/// Every list of a routine whose names are as long as they get is opened; nothing is lost.
#[test]
fn names_that_fill_lines_stay() {
    for length in [20, 40, 60, 100, 300] {
        let name = |start: &str| format!("{start}_{}", "x".repeat(length));
        let source = format!(
            "subsystem {} 10; type {} = MACH_MSG_TYPE_COPY_SEND; type e = MACH_MSG_TYPE_INTEGER_32;
             type {} = array[*:9] of e;
             waittime 100; routine {}(p : {}; {} : {}; out {} : {}; out c : {});",
            name("s"),
            name("p"),
            name("a"),
            name("r"),
            name("p"),
            name("in"),
            name("a"),
            name("out"),
            name("a"),
            name("p"),
        );
        for abi in ["gnu-x86_64", "apple-64"] {
            same_code(&Config::new().abi(abi), &source);
        }
    }
}
