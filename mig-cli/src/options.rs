//! The options that all verbs share, and reading of inputs.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use mig_codegen::{Config, Error, Input, Report, is_same_file};
use mig_parser::Loader;

use crate::telling::Telling;
use crate::{Failure, INPUT};

/// How to read `.defs` files.
#[derive(Args)]
pub(crate) struct Options {
    /// Look for included files in this folder too
    #[arg(short = 'I', value_name = "DIR", action = clap::ArgAction::Append)]
    include: Vec<PathBuf>,
    /// Define a macro; its value is 1 if none is given
    #[arg(short = 'D', value_name = "NAME[=VALUE]", action = clap::ArgAction::Append)]
    define: Vec<String>,
    /// Undefine a macro that the ABI predefines
    #[arg(short = 'U', value_name = "NAME", action = clap::ArgAction::Append)]
    undefine: Vec<String>,
    /// Take the macros of this file, but nothing else of it (also -imacros FILE)
    #[arg(long, value_name = "FILE", action = clap::ArgAction::Append)]
    imacros: Vec<PathBuf>,
    /// Read this file before each input (also -include FILE)
    #[arg(long = "include", value_name = "FILE", action = clap::ArgAction::Append)]
    first: Vec<PathBuf>,
    /// Put this before the names of functions (also -prefix PREFIX)
    #[arg(long, value_name = "PREFIX", default_value = "")]
    prefix: String,
    /// Lay messages out for this ABI: gnu-i386, gnu-x86_64, gnu-x86_64-2022, gnu-i386-2021, cmu-32, mach-25,
    /// osf-32, apple-32, apple-64, apple-64-arm64, apple-64-x86_64
    #[arg(long, value_name = "ABI")]
    abi: Option<String>,
    /// Use a Rust type for a type of the .defs, its ctype, or what intran makes of it; TYPE=PATH:SIZE where
    /// the structure of C has another size than the .defs says
    #[arg(long, value_name = "TYPE=PATH", action = clap::ArgAction::Append, value_parser = pair)]
    extern_type: Vec<(String, String)>,
    /// Look for included files in the -I folders only, not among the definitions of Mach's interfaces that
    /// come with mig
    #[arg(long)]
    no_mach_defs: bool,
    #[command(flatten)]
    telling: Telling,
    /// Predefine the macros of this processor (also -arch NAME): x86_64 or arm64 for apple-64
    #[arg(long, value_name = "NAME")]
    arch: Option<String>,
}

/// Which half of an interface.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Side {
    Client,
    Server,
    Both,
}

impl From<Side> for mig_codegen::Side {
    fn from(side: Side) -> Self {
        match side {
            Side::Client => Self::Client,
            Side::Server => Self::Server,
            Side::Both => Self::Both,
        }
    }
}

impl Options {
    /// The settings of the generator.
    pub(crate) fn config(&self) -> Config {
        self.config_with(Path::to_owned)
    }

    /// The same settings, with the files and folders of options at other paths.
    pub(crate) fn config_with(&self, at: impl Fn(&Path) -> PathBuf) -> Config {
        let mut config = Config::new().error_limit(self.telling.error_limit());
        for folder in &self.include {
            config = config.include_dir(at(folder));
        }
        for macro_ in &self.define {
            let (name, value) = macro_.split_once('=').unwrap_or((macro_, "1"));
            config = config.define(name, value);
        }
        for name in &self.undefine {
            config = config.undefine(name);
        }
        for file in &self.imacros {
            config = config.macros_of(at(file));
        }
        for file in &self.first {
            config = config.read_first(at(file));
        }
        if let Some(abi) = &self.abi {
            config = config.abi(abi);
        }
        if let Some(processor) = &self.arch {
            config = config.arch(processor);
        }
        for (name, path) in &self.extern_type {
            config = config.extern_type(name, path);
        }
        config.prefix(&self.prefix).mach_defs(!self.no_mach_defs)
    }

    /// How diagnostics are written.
    pub(crate) fn telling(&self) -> &Telling {
        &self.telling
    }

    /// Whether diagnostics are coloured.
    pub(crate) fn is_coloured(&self) -> bool {
        self.telling.is_coloured()
    }

    /// Writes the diagnostics of an input.
    pub(crate) fn tell(&self, report: &Report) {
        self.telling.tell(report);
    }

    /// Writes an error that is not about a place of an input.
    pub(crate) fn tell_error(&self, message: &str) {
        self.telling.tell_error(message);
    }

    /// Writes why there is no output, and returns how the verb ends.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        self.telling.failure(error)
    }

    /// Writes what is wrong with the command line, and returns how the verb ends.
    pub(crate) fn usage(&self, wrong: &str) -> Failure {
        self.telling.usage(wrong)
    }

    /// Writes what was made of an input to a file.
    pub(crate) fn write(
        &self,
        config: &Config,
        source: &Source,
        file: &Path,
        text: &str,
    ) -> Result<(), Failure> {
        if source.is(file) {
            return Err(self.usage("the output would replace the input"));
        }
        config.write(file, text).map_err(|error| self.failure(&error))
    }

    /// Opens an input; `-` is standard input, which is read now.
    pub(crate) fn open(&self, path: &Path) -> Result<Source, Failure> {
        if path != Path::new("-") {
            return Ok(Source { path: path.to_owned(), text: None });
        }
        Ok(Source { path: STDIN.into(), text: Some(self.telling.standard_input()?) })
    }

    /// Reads a file that is no text.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, Failure> {
        let read = fs::File::open(path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(LARGEST_PROGRAM + 1).read_to_end(&mut bytes)?;
            match bytes.len() as u64 > LARGEST_PROGRAM {
                true => Err(io::Error::other("it has more than a gigabyte")),
                false => Ok(bytes),
            }
        });
        read.map_err(|error| {
            self.tell_error(&format!("{}: {error}", path.display()));
            INPUT
        })
    }

    /// Whether the command line names an ABI.
    pub(crate) fn names_abi(&self) -> bool {
        self.abi.is_some()
    }

    /// Opens an input that is read as it comes; `-` is standard input.
    pub(crate) fn open_stream(&self, path: &Path) -> Result<Box<dyn BufRead>, Failure> {
        if path == Path::new("-") {
            return Ok(Box::new(io::stdin().lock()));
        }
        match fs::File::open(path) {
            Ok(file) => Ok(Box::new(io::BufReader::new(file))),
            Err(error) => {
                self.tell_error(&format!("{}: {error}", path.display()));
                Err(INPUT)
            }
        }
    }
}

/// `A=B`
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.to_owned())),
        _ => Err("expected TYPE=PATH".to_owned()),
    }
}

/// The arguments as clap takes them: long options of C compilers and of MIG have one dash only.
pub(crate) fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut options = true;
    given
        .map(|word| {
            options &= word != "--";
            match word.to_str() {
                Some(word @ ("-imacros" | "-include" | "-prefix" | "-arch")) if options => {
                    format!("-{word}").into()
                }
                _ => word,
            }
        })
        .collect()
}

/// A program with more bytes than these is not read.
const LARGEST_PROGRAM: u64 = 1 << 30;

/// An input of the command: a file, or standard input.
pub(crate) struct Source {
    path: PathBuf,
    text: Option<Vec<u8>>,
}

/// What standard input is called in messages.
pub(crate) const STDIN: &str = "<stdin>";

impl Source {
    /// The input for the generator, which reads included files by this loader.
    pub(crate) fn input_by<'a>(&'a self, files: &'a dyn Loader) -> Input<'a> {
        match self.input() {
            Input::File(path) => Input::Loaded { files, path },
            other => other,
        }
    }

    /// The input for the generator, which reads included files by itself.
    pub(crate) fn input(&self) -> Input<'_> {
        match &self.text {
            Some(text) => Input::Text { name: STDIN, text },
            None => Input::File(&self.path),
        }
    }

    /// True for standard input, which has no name.
    pub(crate) fn is_nameless(&self) -> bool {
        self.text.is_some()
    }

    /// True if a path is the file of this input.
    pub(crate) fn is(&self, path: &Path) -> bool {
        self.text.is_none() && is_same_file(&self.path, path)
    }
}

/// The same settings with these macros besides, each of the form NAME or NAME=VALUE.
pub(crate) fn with_macros(config: Config, macros: &[String]) -> Config {
    let pairs = macros.iter().map(|one| one.split_once('=').unwrap_or((one, "1")));
    pairs.fold(config, |config, (name, value)| config.define(name, value))
}

/// The files below a folder whose names end in `.defs`, or in another extension, by their paths from there.
pub(crate) fn files_below(
    telling: &Telling,
    folder: &Path,
    below: &Path,
    extension: &str,
    files: &mut BTreeSet<PathBuf>,
) -> Result<(), Failure> {
    let path = folder.join(below);
    let failed = |error: io::Error| {
        telling.tell_error(&format!("{}: {error}", path.display()));
        INPUT
    };
    for entry in fs::read_dir(&path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = below.join(entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() {
            files_below(telling, folder, &name, extension, files)?;
        } else if name.extension().is_some_and(|other| other == extension) {
            files.insert(name);
        }
    }
    Ok(())
}
