//! `cargo xtask sweep`: every interface definition below some folders through the whole compiler, and all the
//! output through rustc.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use mig_codegen::{Config, Error};
use mig_parser::ast::StatementKind;

use crate::command::{cargo, root, target};
use crate::packages;
use crate::report::{Outcome, StepResult};

/// What to compile, and how.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Folders with .defs files, at any depth; included files are looked for in them, too
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// The ABI, and with it the dialect
    #[arg(long, default_value = "gnu-x86_64", value_name = "ABI")]
    abi: String,
    /// Look for included files in this folder too
    #[arg(short = 'I', value_name = "DIR")]
    include: Vec<PathBuf>,
    /// Define a macro; its value is 1 if none is given
    #[arg(short = 'D', value_name = "NAME[=VALUE]")]
    define: Vec<String>,
    /// A lint of rustc is a failure, too
    #[arg(long)]
    deny_warnings: bool,
    /// Use a Rust type for a type of the .defs
    #[arg(long, value_name = "TYPE=PATH")]
    extern_type: Vec<String>,
}

/// `cargo xtask sweep`
pub(crate) fn run(options: &Options) -> ExitCode {
    match sweep(options) {
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::Skipped(why)) | Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The definitions of GNU Mach in the packages, for both ABIs.
pub(crate) fn check_packages() -> StepResult {
    let packages = match packages::fetch(&packages::MIG) {
        Ok(folder) => folder,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    for (folder, abi) in [
        ("bookworm-i386/usr/include/i386-linux-gnu", "gnu-i386"),
        ("trixie-i386/usr/include/i386-linux-gnu", "gnu-i386"),
        ("trixie-amd64/usr/include/x86_64-linux-gnu", "gnu-x86_64"),
    ] {
        let (folders, abi) = (vec![packages.join(folder)], abi.to_string());
        sweep(&Options {
            folders,
            abi,
            include: Vec::new(),
            define: Vec::new(),
            extern_type: Vec::new(),
            deny_warnings: true,
        })?;
    }
    Ok(Outcome::Passed)
}

/// What became of a file.
enum Fate {
    /// It declares an interface, which was generated.
    Interface(Generated),
    /// It declares types and the like, for others.
    Declarations,
    /// Something in it is wrong, or not generated: the diagnostics.
    Failed(String),
}

/// The generated code of an interface.
struct Generated {
    subsystem: String,
    base: u32,
    routines: usize,
    warnings: usize,
    code: String,
}

/// Compiles everything, prints a table, and fails if anything did.
fn sweep(options: &Options) -> StepResult {
    let files = definitions(&options.folders)?;
    let read_by_others = included(options, &files)?;
    let mut fates = Vec::new();
    for file in &files {
        fates.push(compile(options, file, read_by_others.contains(&canonical(file)))?);
    }
    let refused = rustc(options, &fates)?;
    for (file, fate) in files.iter().zip(&fates) {
        if let Fate::Failed(diagnostics) = fate {
            println!("{}:\n{}\n", file.display(), diagnostics.trim_end());
        }
    }
    print_table(&files, &fates, &refused);
    let failed = fates.iter().filter(|fate| matches!(fate, Fate::Failed(_))).count() + refused.len();
    match failed {
        0 => Ok(Outcome::Passed),
        _ => Err(format!("{failed} of {} files failed", files.len())),
    }
}

/// The `.defs` files below the folders, each once, in order. Links to folders are not followed: they are
/// second names.
fn definitions(folders: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = BTreeSet::new();
    let mut folders = folders.to_vec();
    while let Some(folder) = folders.pop() {
        let failed = |error| format!("{}: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if entry.file_type().map_err(failed)?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "defs") {
                found.insert(path);
            }
        }
    }
    match found.is_empty() {
        true => Err("there are no .defs files".to_string()),
        false => Ok(found.into_iter().collect()),
    }
}

/// The files that others include.
fn included(options: &Options, files: &[PathBuf]) -> Result<BTreeSet<PathBuf>, String> {
    let mut found = BTreeSet::new();
    for file in files {
        let parsed = mig_parser::parse(&parser_options(options)?, &mig_parser::FileSystem, file);
        found.extend(parsed.files.iter().skip(1).map(|file| canonical(file)));
    }
    Ok(found)
}

fn canonical(file: &Path) -> PathBuf {
    fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

fn compile(options: &Options, file: &Path, is_included: bool) -> Result<Fate, String> {
    let config = config(options)?;
    let parsed = mig_parser::parse(&parser_options(options)?, &mig_parser::FileSystem, file);
    let mut statements = parsed.ast.statements.iter();
    let declares = statements.any(|statement| matches!(statement.kind, StatementKind::Subsystem(_)));
    let result = match declares {
        true => generate(&config, file).map(Fate::Interface),
        // What stands before its inclusion elsewhere is not known here.
        false if is_included => return Ok(Fate::Declarations),
        false => config.check_only(file).map(|_| Fate::Declarations),
    };
    match result {
        Ok(fate) => Ok(fate),
        Err(Error::Config(message)) => Err(message),
        Err(error) => Ok(Fate::Failed(error.to_string())),
    }
}

fn generate(config: &Config, file: &Path) -> Result<Generated, Error> {
    let interface = config.interface(file)?.value;
    let output = config.text(file)?;
    Ok(Generated {
        subsystem: interface.name,
        base: interface.base,
        routines: interface.routines.len(),
        warnings: output.warnings.warnings(),
        code: output.value,
    })
}

/// The settings of the generator.
fn config(options: &Options) -> Result<Config, String> {
    let mut config = Config::new().abi(&options.abi);
    for folder in options.folders.iter().chain(&options.include) {
        config = config.include_dir(folder);
    }
    for text in &options.define {
        let (name, value) = text.split_once('=').unwrap_or((text, "1"));
        config = config.define(name, value);
    }
    for text in &options.extern_type {
        let pair = text.split_once('=');
        let (name, path) = pair.ok_or_else(|| format!("`{text}` is not of the form TYPE=PATH"))?;
        config = config.extern_type(name, path);
    }
    Ok(config)
}

/// The same settings for the parser alone.
fn parser_options(options: &Options) -> Result<mig_parser::Options, String> {
    let (abi, target) = mig_codegen::abi::Abi::with_target(&options.abi)
        .ok_or_else(|| format!("there is no ABI `{}`", options.abi))?;
    let target = target.unwrap_or_else(|| abi.default_target());
    let mut parser = mig_parser::Options::new();
    for folder in options.folders.iter().chain(&options.include) {
        parser = parser.include_dir(folder);
    }
    for lines in target.predefined {
        parser = parser.predefine(lines);
    }
    for text in &options.define {
        let (name, value) = text.split_once('=').unwrap_or((text, "1"));
        parser = parser.define(name, value);
    }
    Ok(parser)
}

/// Compiles the generated code of all interfaces as one crate. Returns what rustc says first about each file,
/// by its index.
fn rustc(options: &Options, fates: &[Fate]) -> Result<BTreeMap<usize, String>, String> {
    let folder = target().join("sweep").join(&options.abi);
    let source = folder.join("src");
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    if source.exists() {
        fs::remove_dir_all(&source).map_err(failed)?;
    }
    fs::create_dir_all(&source).map_err(failed)?;
    let mut modules = "//! Generated.\n\n".to_string();
    for (index, fate) in fates.iter().enumerate() {
        if let Fate::Interface(generated) = fate {
            fs::write(source.join(format!("m{index}.rs")), &generated.code).map_err(failed)?;
            modules += &format!("pub mod m{index};\n");
        }
    }
    fs::write(source.join("lib.rs"), modules).map_err(failed)?;
    fs::write(folder.join("Cargo.toml"), manifest()).map_err(failed)?;
    // The same versions of everything as here.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).map_err(failed)?;
    let mut cargo = cargo();
    cargo.args(["check", "--quiet", "--offline", "--message-format=short", "--manifest-path"]);
    cargo.arg(folder.join("Cargo.toml")).arg("--target-dir").arg(target().join("sweep/target"));
    let output = cargo.stdout(Stdio::null()).output().map_err(|error| format!("cargo: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let refused = complaints(&said, options.deny_warnings);
    if !output.status.success() && refused.is_empty() {
        return Err(format!("cargo check: {}\n{said}", output.status));
    }
    Ok(refused)
}

fn manifest() -> String {
    format!(
        "[package]\nname = \"sweep\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\nmig-runtime = {{ path = {:?} }}\n\n[workspace]\n",
        root().join("runtime"),
    )
}

/// The first line about each module in rustc's short messages, `src/m1.rs:2:3: error: …`; warnings count only
/// if they are denied.
fn complaints(said: &str, deny_warnings: bool) -> BTreeMap<usize, String> {
    let mut found = BTreeMap::new();
    for line in said.lines() {
        let parts = line.strip_prefix("src/m").and_then(|rest| rest.split_once(".rs:"));
        let parts = parts.filter(|(_, message)| deny_warnings || !message.contains(": warning: "));
        if let Some((Ok(index), message)) = parts.map(|(index, message)| (index.parse(), message)) {
            found.entry(index).or_insert_with(|| format!("rustc: {message}"));
        }
    }
    found
}

fn print_table(files: &[PathBuf], fates: &[Fate], refused: &BTreeMap<usize, String>) {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    println!("{:width$}  {:28} {:>7} {:>8}  result", "file", "subsystem", "base", "routines");
    let (mut interfaces, mut routines, mut declarations) = (0, 0, 0);
    for (index, (name, fate)) in names.iter().zip(fates).enumerate() {
        let (subsystem, base, count, result) = match fate {
            Fate::Interface(generated) => {
                interfaces += 1;
                routines += generated.routines;
                let warnings = match generated.warnings {
                    0 => "generated".to_string(),
                    count => format!("generated, {count} warnings"),
                };
                let result = refused.get(&index).cloned().unwrap_or(warnings);
                let count = generated.routines.to_string();
                (generated.subsystem.as_str(), generated.base.to_string(), count, result)
            }
            Fate::Declarations => {
                declarations += 1;
                ("", String::new(), String::new(), "declarations for others".to_string())
            }
            Fate::Failed(diagnostics) => {
                let first = diagnostics.trim_start().lines().next().unwrap_or_default();
                ("", String::new(), String::new(), first.to_string())
            }
        };
        println!("{name:width$}  {subsystem:28} {base:>7} {count:>8}  {result}");
    }
    let failed = files.len() - interfaces - declarations + refused.len();
    println!(
        "{} files: {interfaces} subsystems with {routines} routines, {declarations} with declarations for others, {failed} failed",
        files.len()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn files_are_told_apart() {
        let folder = target().join("tmp").join(format!("sweep-{}", std::process::id()));
        write(
            &folder,
            "a/clock.defs",
            "subsystem clock 3100;\n#include \"types.defs\"\nroutine f(p : port_t; n : num_t);",
        );
        write(&folder, "a/types.defs", "type num_t = int;\n#include \"more.defs\"\n");
        write(&folder, "a/more.defs", "type other_t = num_t;\ntype port_t = MACH_MSG_TYPE_COPY_SEND;\n");
        write(&folder, "b/alone.defs", "type x_t = y_t;\n");
        write(&folder, "b/wrong.defs", "subsystem wrong 1;\nroutine f(p : nothing_t);\n");
        let options = Options {
            folders: vec![folder.clone()],
            abi: "gnu-i386".to_string(),
            include: Vec::new(),
            define: Vec::new(),
            extern_type: Vec::new(),
            deny_warnings: false,
        };
        let files = definitions(&options.folders).unwrap();
        let others = included(&options, &files).unwrap();
        let words: Vec<_> = files
            .iter()
            .map(|file| match compile(&options, file, others.contains(&canonical(file))).unwrap() {
                Fate::Interface(generated) => format!("{} {}", generated.subsystem, generated.routines),
                Fate::Declarations => "declarations".to_string(),
                Fate::Failed(diagnostics) => diagnostics.lines().next().unwrap().to_string(),
            })
            .collect();
        fs::remove_dir_all(&folder).unwrap();
        let unknown = |name| format!("error[MIG0204]: unknown type `{name}`");
        assert_eq!(
            words,
            ["clock 1", "declarations", "declarations", &*unknown("y_t"), &*unknown("nothing_t")]
        );
    }

    #[test]
    fn rustc_is_understood() {
        let said = "src/m3.rs:1:2: error[E0308]: mismatched types\nsrc/m3.rs:9:9: error: more\nerror: could not compile\n";
        let found = complaints(said, false);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [(3, "rustc: 1:2: error[E0308]: mismatched types".into())]
        );
    }

    #[test]
    fn lints_count_only_if_they_are_denied() {
        let said = "src/m1.rs:4:5: warning: unused variable: `x`\nsrc/m2.rs:1:1: error: no\n";
        assert_eq!(complaints(said, false).into_keys().collect::<Vec<_>>(), [2]);
        assert_eq!(complaints(said, true).into_keys().collect::<Vec<_>>(), [1, 2]);
    }
}
