//! What editors know of the language: the extension of VS Code, and the grammar of tree-sitter.

use std::fs;
use std::path::PathBuf;

use crate::command::{cargo, program, read, root, run, target, works};
use crate::report::{Outcome, StepResult};
use crate::{apt, packages};

/// Tests both on the repository's `.defs` files.
pub(crate) fn check() -> StepResult {
    let modules = match node().and_then(|()| modules()) {
        Ok(modules) => modules,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let mut tests = program("node");
    tests.args(["--test", "editors/vscode/test/grammar.test.js"]).env("NODE_PATH", modules);
    run(&mut tests)?;
    // With a lock file and a target folder of its own, as the packages that are not members of the workspace.
    let manifest = root().join("editors/tree-sitter-mig/Cargo.toml");
    let mut tests = cargo();
    tests.args(["test", "--quiet", "--locked", "--manifest-path"]).arg(manifest);
    run(tests.arg("--target-dir").arg(target().join("editors")))?;
    Ok(Outcome::Passed)
}

/// `node --test` runs the extension's tests, and node evaluates the grammar of tree-sitter.
fn node() -> Result<(), String> {
    let probe =
        || works(program("node").args(["--test", "--version"])) && works(program("npm").arg("--version"));
    if probe() {
        return Ok(());
    }
    apt::install(&["nodejs", "npm"])?;
    if probe() { Ok(()) } else { Err("node or npm does not work, although both are installed".to_string()) }
}

/// The packages that the extension names, with the versions and checksums of its lock file.
fn modules() -> Result<PathBuf, String> {
    let extension = root().join("editors/vscode");
    let lock = extension.join("package-lock.json");
    let pins = fs::read_to_string(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    let folder = packages::fetch_into("vscode", &pins, |folder| {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(extension.join(file), folder.join(file)).map_err(|error| format!("{file}: {error}"))?;
        }
        let mut npm = program("npm");
        npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        read(&mut npm).map(drop)
    })?;
    Ok(folder.join("node_modules"))
}
