//! The methods of [`Config`] that write files, most of them for build scripts.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::config::{Config, Input};
use crate::error::Error;
use crate::output::{self, Target};

impl Config {
    /// Compiles a `.defs` file into cargo's `OUT_DIR`, for a build script.
    ///
    /// `mig_runtime::include_interface!("name")` includes the result, under the input's name without `.defs`
    /// (see [`name`](Self::name)). Cargo runs the script again when any of the files that were read changes,
    /// and shows the warnings.
    ///
    /// # Errors
    ///
    /// [`Error`], which prints what is wrong with the file and where.
    pub fn compile(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        for variable in ["POINTER_WIDTH", "VENDOR", "ARCH"] {
            println!("cargo::rerun-if-env-changed=CARGO_CFG_TARGET_{variable}");
        }
        let Some(folder) = env::var_os("OUT_DIR") else {
            return Err(Error::Config("OUT_DIR is not set: `compile` is for build scripts".to_owned()));
        };
        let path = path.as_ref();
        let output = self.text(path)?;
        for file in &output.files {
            println!("cargo::rerun-if-changed={}", file.display());
        }
        for line in output.warnings.to_string().lines() {
            println!("cargo::warning={line}");
        }
        let file = self.output_file(path, Path::new(&folder));
        claim(&file, path, &output.files)?;
        self.write(&file, &output.value)
    }

    /// Compiles a `.defs` file into a folder, for code that is kept with the sources. Returns the file that
    /// was written.
    ///
    /// With [`check`](Self::check) the file is only compared.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile); [`Error::Stale`] when checking.
    pub fn compile_into(&self, path: impl AsRef<Path>, folder: impl AsRef<Path>) -> Result<PathBuf, Error> {
        let path = path.as_ref();
        let output = self.text(path)?;
        let file = self.output_file(path, folder.as_ref());
        claim(&file, path, &output.files)?;
        self.write(&file, &output.value)?;
        Ok(file)
    }

    /// Writes generated text into a file, or compares it with the file.
    ///
    /// A regular file is replaced in one step, with its owner and permissions; one with several names (hard
    /// links) is written in place. A link stays, and its target is replaced. What is no regular file, such as
    /// a fifo or a device, is written to. On Linux a process that is killed leaves no part of a file behind.
    ///
    /// # Errors
    ///
    /// As [`compile_into`](Self::compile_into).
    pub fn write(&self, file: &Path, text: &str) -> Result<(), Error> {
        let failed = |error: io::Error| Error::Io { path: file.to_owned(), error };
        let target = match Target::of(file) {
            Err(error) if self.check && error.kind() == ErrorKind::NotFound => Target::New(file.to_owned()),
            target => target.map_err(failed)?,
        };
        if self.check && matches!(target, Target::Stream(_)) {
            return Err(failed(io::Error::other("it is no file, so there is nothing to compare with")));
        }
        match target.content(text.len()).map_err(failed)? {
            Some(old) if old == text.as_bytes() => Ok(()),
            old if self.check => {
                Err(Error::Stale { path: file.to_owned(), difference: difference(old.as_deref(), text) })
            }
            _ => target.write(text).map_err(failed),
        }
    }

    fn output_file(&self, input: &Path, folder: &Path) -> PathBuf {
        let stem = input.file_stem().unwrap_or_default();
        let name = self.name.as_deref().map_or(stem, AsRef::as_ref);
        let mut file = name.to_owned();
        file.push(".rs");
        folder.join(file)
    }
}

/// What each file of this process was compiled from: a second input of the same name must not replace it
/// without a word.
static WRITTEN: Mutex<BTreeMap<PathBuf, PathBuf>> = Mutex::new(BTreeMap::new());

/// Notes that an input is compiled into a file; an error if another one was, or if it is one of the files
/// that were read.
fn claim(file: &Path, input: &Path, read: &[PathBuf]) -> Result<(), Error> {
    if let Some(read) = read.iter().find(|read| output::is_same_file(read, file)) {
        return Err(Error::Config(format!("the output would replace `{}`, which was read", read.display())));
    }
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = whole(file.parent().unwrap_or(file));
    let place = folder.join(file.file_name().unwrap_or_default());
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let first = written.entry(place).or_insert_with(|| whole(input));
    if *first == whole(input) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "`{}` and `{}` would both be written to `{}`: give one of them another name",
        first.display(),
        input.display(),
        file.display()
    )))
}

/// The first lines that differ.
fn difference(old: Option<&[u8]>, new: &str) -> String {
    let Some(old) = old else { return "it does not exist".to_owned() };
    let old = String::from_utf8_lossy(old);
    let (mut old_lines, mut new_lines) = (old.lines(), new.lines());
    let mut number = 1;
    loop {
        match (old_lines.next(), new_lines.next()) {
            (Some(old), Some(new)) if old == new => number += 1,
            (None, None) => return "the ends of its lines differ".to_owned(),
            (old, new) => {
                let line = |sign: &str, line: Option<&str>| line.map(|line| format!("\n{sign} {line}"));
                let (old, new) = (line("-", old), line("+", new));
                return format!("line {number}:{}{}", old.unwrap_or_default(), new.unwrap_or_default());
            }
        }
    }
}

impl Config {
    /// The name under which [`Input`] is written into a folder.
    pub fn output_in(&self, input: Input<'_>, folder: &Path) -> PathBuf {
        match input {
            Input::File(path) | Input::Memory { path, .. } | Input::Loaded { path, .. } => {
                self.output_file(path, folder)
            }
            Input::Text { name, .. } => self.output_file(Path::new(name), folder),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_difference_is_the_first_line_that_differs() {
        assert_eq!(difference(Some(b"a\nb\nc\n"), "a\nx\nc\n"), "line 2:\n- b\n+ x");
        assert_eq!(difference(Some(b"a\n"), "a\nb\n"), "line 2:\n+ b");
        assert_eq!(difference(Some(b"a\r\n"), "a\n"), "the ends of its lines differ");
        assert_eq!(difference(None, "a\n"), "it does not exist");
    }

    #[test]
    fn a_file_is_replaced_at_once_or_not_at_all() {
        let folder = output::test_folder("replaced");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.rs");
        let config = Config::new();
        config.write(&file, "one\n").unwrap();
        config.write(&file, "two\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two\n");
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a.rs"], "nothing else is left behind");
        assert!(matches!(config.clone().check(true).write(&file, "three\n"), Err(Error::Stale { .. })));
        config.check(true).write(&file, "two\n").unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn two_inputs_do_not_share_an_output() {
        let folder = output::test_folder("stems");
        let text = "subsystem x 1; type p_t = MACH_MSG_TYPE_COPY_SEND; routine f(p : p_t);";
        for name in ["a", "b", "out"] {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("x.defs"), text).unwrap();
        }
        let (out, config) = (folder.join("out"), Config::new());
        config.compile_into(folder.join("a/x.defs"), &out).unwrap();
        config.compile_into(folder.join("a/../a/x.defs"), &out).unwrap();
        let error = config.compile_into(folder.join("b/x.defs"), &out).unwrap_err().to_string();
        assert!(
            error.contains("a/x.defs") && error.contains("b/x.defs") && error.contains("out/x.rs"),
            "{error}"
        );
        config.clone().name("other").compile_into(folder.join("b/x.defs"), &out).unwrap();
        fs::copy(folder.join("a/x.defs"), folder.join("a/x.rs")).unwrap();
        let error = config.compile_into(folder.join("a/x.rs"), folder.join("a")).unwrap_err().to_string();
        assert!(error.contains("would replace"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
