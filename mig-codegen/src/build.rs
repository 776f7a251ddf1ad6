//! The verbs that write files.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use crate::config::{Config, Input};
use crate::error::Error;

impl Config {
    /// Compiles a `.defs` file into cargo's `OUT_DIR`, for a build script.
    ///
    /// `mig_runtime::include_interface!("name")` includes the result, under the input's name without `.defs` (see
    /// [`name`](Self::name)). Cargo runs the script again when any of the files that were read changes, and shows the warnings.
    ///
    /// # Errors
    ///
    /// [`Error`], which prints what is wrong with the file and where.
    pub fn compile(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        println!("cargo::rerun-if-env-changed=CARGO_CFG_TARGET_POINTER_WIDTH");
        let Some(folder) = env::var_os("OUT_DIR") else {
            return Err(Error::Config("OUT_DIR is not set: `compile` is for build scripts".to_owned()));
        };
        let path = path.as_ref();
        let output = self.text(path)?;
        for file in &output.files {
            println!("cargo::rerun-if-changed={}", file.display());
        }
        for line in output.warnings.lines() {
            println!("cargo::warning={line}");
        }
        self.write(&self.output_file(path, Path::new(&folder)), &output.value)
    }

    /// Compiles a `.defs` file into a folder, for code that is kept with the sources. Returns the file that was written.
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
        self.write(&file, &output.value)?;
        Ok(file)
    }

    /// Compiles an input into a file, or compares it with the file.
    ///
    /// # Errors
    ///
    /// As [`compile_into`](Self::compile_into).
    pub fn write(&self, file: &Path, text: &str) -> Result<(), Error> {
        let old = match fs::read(file) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::Io { path: file.to_owned(), error }),
        };
        match old {
            Some(old) if old == text.as_bytes() => Ok(()),
            old if self.check => {
                Err(Error::Stale { path: file.to_owned(), difference: difference(old.as_deref(), text) })
            }
            _ => replace(file, text).map_err(|error| Error::Io { path: file.to_owned(), error }),
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

/// Replaces a file in one step, so that nobody ever sees half of it.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mut new = file.to_owned().into_os_string();
    new.push(format!(".{}.new", process::id()));
    let new = PathBuf::from(new);
    let result = fs::write(&new, text).and_then(|()| fs::rename(&new, file));
    if result.is_err() {
        // What is left of the attempt; it may not even exist.
        let _ = fs::remove_file(&new);
    }
    result
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
            Input::File(path) | Input::Memory { path, .. } => self.output_file(path, folder),
            Input::Text { name, .. } => self.output_file(Path::new(name), folder),
        }
    }
}

#[cfg(test)]
mod tests {
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
        let folder = env::temp_dir().join(format!("mig-codegen-{}", process::id()));
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
}
