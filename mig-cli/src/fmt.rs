//! `mig fmt`

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use mig_codegen::{Config, Error, Report};
use mig_parser::{FileSystem, Loader as _, format};

use crate::options::{STDIN, files_below};
use crate::telling::Telling;
use crate::{Failure, INPUT, print};

/// Bring .defs files into the one style
///
/// Comments, directives and macros stay as they are, and so do all tokens. Exit code 1 if a file cannot be
/// formatted, which is left untouched then, or, with `--check`, if one is in another style.
#[derive(Args)]
pub(crate) struct Fmt {
    /// The .defs files, or folders of them; `-` formats standard input to standard output
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write nothing, but show the first line of each file that is in another style
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    telling: Telling,
}

impl Fmt {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut result = Ok(());
        for path in &self.files {
            for file in self.files_of(path)? {
                // The other files are formatted all the same.
                if let Err(failure) = self.format(&file) {
                    result = Err(failure);
                }
            }
        }
        result
    }

    /// The files that a path of the command line stands for.
    fn files_of(&self, path: &Path) -> Result<Vec<PathBuf>, Failure> {
        if !path.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        let mut files = BTreeSet::new();
        files_below(&self.telling, path, Path::new(""), "defs", &mut files)?;
        Ok(files.iter().map(|file| path.join(file)).collect())
    }

    fn format(&self, path: &Path) -> Result<(), Failure> {
        let is_input = path == Path::new("-");
        let text = if is_input { self.telling.standard_input()? } else { self.read(path)? };
        let name = if is_input { STDIN.into() } else { path.to_string_lossy() };
        let formatted = format(&name, &text).map_err(|wrong| {
            self.telling.tell(&Report::from(*wrong));
            INPUT
        })?;
        match is_input {
            true if !self.check => print(&formatted),
            true if formatted.as_bytes() == text => Ok(()),
            true => Err(self.other_style(STDIN, "")),
            false => self.write(path, &formatted),
        }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Failure> {
        let is_file = fs::metadata(path).map(|metadata| metadata.is_file());
        let read = match is_file {
            Ok(false) => Err(std::io::Error::other("it is no file; `-` is standard input")),
            Ok(true) => FileSystem.load(path),
            Err(error) => Err(error),
        };
        read.map_err(|error| {
            self.telling.tell_error(&format!("`{}`: {error}", path.display()));
            INPUT
        })
    }

    fn write(&self, path: &Path, formatted: &str) -> Result<(), Failure> {
        match Config::new().check(self.check).write(path, formatted) {
            Ok(()) => Ok(()),
            Err(Error::Stale { path, difference }) => {
                Err(self.other_style(&path.to_string_lossy(), &format!(", {difference}")))
            }
            Err(error) => Err(self.telling.failure(&error)),
        }
    }

    fn other_style(&self, name: &str, difference: &str) -> Failure {
        self.telling.tell_error(&format!("`{name}` is not formatted{difference}"));
        INPUT
    }
}
