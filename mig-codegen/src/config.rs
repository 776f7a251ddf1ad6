//! The settings that all drivers share, and the way from a file to Rust text.

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::path::{Path, PathBuf};

use mig_parser::diagnostics::Diagnostics;
use mig_parser::{FileSystem, Loader, Memory, Parsed};
use proc_macro2::TokenStream;

use crate::abi::Abi;
use crate::error::Error;
use crate::model::Interface;
use crate::rust::{self, Side};
use crate::{IncludePath, analyze};

/// How to compile interface definitions: the same for build scripts, the macro and the command.
///
/// ```no_run
/// // build.rs
/// fn main() -> Result<(), mig_codegen::Error> {
///     mig_codegen::Config::new()
///         .include_dir("defs")
///         .define("SEQNOS", "1")
///         .compile("defs/mach/memory_object_default.defs")
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    include_dirs: Vec<PathBuf>,
    macros: BTreeMap<String, Option<String>>,
    abi: Option<String>,
    side: Side,
    runtime_crate: String,
    extern_types: BTreeMap<String, String>,
    colour: bool,
    pub(crate) name: Option<String>,
    pub(crate) check: bool,
}

/// A `.defs` file, or its text.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A file.
    File(&'a Path),
    /// A text that is in no file.
    Text {
        /// What to call it in messages.
        name: &'a str,
        /// The text; what it includes are files.
        text: &'a [u8],
    },
    /// A file that exists in memory only, as does everything that it includes.
    Memory {
        /// The files.
        files: &'a Memory,
        /// Which one to compile.
        path: &'a Path,
    },
}

impl<'a, P: AsRef<Path> + ?Sized> From<&'a P> for Input<'a> {
    fn from(path: &'a P) -> Self {
        Input::File(path.as_ref())
    }
}

/// What came of an input that has no errors.
#[derive(Clone, Debug)]
pub struct Output<T> {
    /// What was asked for.
    pub value: T,
    /// Every file that was read: the output is as new as the newest of them.
    pub files: Vec<PathBuf>,
    /// The warnings as text for people; empty if there are none.
    pub warnings: String,
}

impl<T> Output<T> {
    fn map<U>(self, f: impl FnOnce(T) -> U) -> Output<U> {
        Output { value: f(self.value), files: self.files, warnings: self.warnings }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// Both sides, for the ABI of the target, without macros or include directories.
    pub fn new() -> Self {
        Config {
            include_dirs: Vec::new(),
            macros: BTreeMap::new(),
            abi: None,
            side: Side::Both,
            runtime_crate: "mig_runtime".to_owned(),
            extern_types: BTreeMap::new(),
            colour: false,
            name: None,
            check: false,
        }
    }

    /// Looks for included files in this directory too (`-I`), in the order given.
    #[must_use]
    pub fn include_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.include_dirs.push(directory.into());
        self
    }

    /// Defines a macro (`-D`).
    #[must_use]
    pub fn define(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.macros.insert(name.into(), Some(value.into()));
        self
    }

    /// Removes a macro, also one that the ABI predefines (`-U`).
    #[must_use]
    pub fn undefine(mut self, name: impl Into<String>) -> Self {
        self.macros.insert(name.into(), None);
        self
    }

    /// Lays messages out for this ABI, by its name (`gnu-i386`, `gnu-x86_64`, …).
    ///
    /// Without it a build script uses GNU Mach's ABI for cargo's target, anything else that for the machine it runs on.
    #[must_use]
    pub fn abi(mut self, name: impl Into<String>) -> Self {
        self.abi = Some(name.into());
        self
    }

    /// Generates only one side.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// The name under which the user depends on `mig-runtime`, if it is not `mig_runtime`.
    #[must_use]
    pub fn runtime_crate(mut self, name: impl Into<String>) -> Self {
        self.runtime_crate = name.into();
        self
    }

    /// Uses a Rust type for a type of the `.defs`: `.extern_type("vm_prot_t", "crate::Protection")`.
    ///
    /// The name is that of a type, or of its `ctype`. The Rust type must be plain data ([`mig_runtime::Plain`]) of the same size, which
    /// the generated code asserts. Truth values and strings keep their own types.
    ///
    /// Or the name is what `intran` and `outtran` translate to, and any Rust type will do: see [the crate](crate#translations). It may depend on
    /// the kernel `K`, as `crate::Session<K>` does.
    #[must_use]
    pub fn extern_type(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        self.extern_types.insert(name.into(), path.into());
        self
    }

    /// Renders diagnostics with the colours of a terminal.
    #[must_use]
    pub fn colour(mut self, colour: bool) -> Self {
        self.colour = colour;
        self
    }

    /// Names the output file, without `.rs`; the default is the input's name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Writes nothing, but fails if the file that would be written is not there or differs.
    #[must_use]
    pub fn check(mut self, check: bool) -> Self {
        self.check = check;
        self
    }

    /// The interface of an input, resolved and laid out.
    ///
    /// # Errors
    ///
    /// [`Error::Diagnostics`] with everything that is wrong with the input, [`Error::Config`] for an unknown ABI.
    pub fn interface<'a>(&self, input: impl Into<Input<'a>>) -> Result<Output<Interface>, Error> {
        let abi = self.find_abi()?;
        self.run(input.into(), abi, |parsed| {
            analyze(&parsed.ast, abi, &self.declarations(), &mut parsed.diagnostics)
        })
    }

    /// Only checks an input, also one that declares nothing but types.
    ///
    /// # Errors
    ///
    /// As [`interface`](Self::interface).
    pub fn check_only<'a>(&self, input: impl Into<Input<'a>>) -> Result<Output<()>, Error> {
        let abi = self.find_abi()?;
        self.run(input.into(), abi, |parsed| {
            crate::check(&parsed.ast, abi, &self.declarations(), &mut parsed.diagnostics);
            Some(())
        })
    }

    /// The generated items as tokens.
    ///
    /// # Errors
    ///
    /// As [`interface`](Self::interface); also for what is not generated yet.
    pub fn tokens<'a>(&self, input: impl Into<Input<'a>>) -> Result<Output<TokenStream>, Error> {
        Ok(self.items(input.into())?.map(|items| items.into_iter().collect()))
    }

    /// The generated code as text.
    ///
    /// # Errors
    ///
    /// As [`tokens`](Self::tokens).
    pub fn text<'a>(&self, input: impl Into<Input<'a>>) -> Result<Output<String>, Error> {
        let input = input.into();
        let banner = self.banner(input)?;
        Ok(self.items(input)?.map(|items| banner + &rust::print(items)))
    }

    fn items(&self, input: Input<'_>) -> Result<Output<Vec<TokenStream>>, Error> {
        let abi = self.find_abi()?;
        let options = self.rust_options()?;
        self.run(input, abi, |parsed| {
            let Parsed { ast, diagnostics, .. } = parsed;
            let interface = analyze(ast, abi, &self.declarations(), diagnostics)?;
            rust::generate(&interface, &options, diagnostics)
        })
    }

    /// Reads an input and makes something of it; its diagnostics decide whether there is a result.
    fn run<T>(
        &self,
        input: Input<'_>,
        abi: &'static Abi,
        make: impl FnOnce(&mut Parsed) -> Option<T>,
    ) -> Result<Output<T>, Error> {
        let mut parsed = self.parse(input, abi);
        let value = make(&mut parsed);
        let rendered = self.render(&parsed, &parsed.diagnostics);
        match value.filter(|_| !parsed.diagnostics.has_errors()) {
            Some(value) => Ok(Output { value, files: parsed.files, warnings: rendered }),
            None => Err(Error::Diagnostics(rendered)),
        }
    }

    fn parse(&self, input: Input<'_>, abi: &Abi) -> Parsed {
        let mut options = mig_parser::Options::new();
        for directory in &self.include_dirs {
            options = options.include_dir(directory);
        }
        let predefined = abi.predefined.iter().filter(|(name, _)| !self.macros.contains_key(*name));
        for (name, value) in predefined {
            options = options.define(*name, *value);
        }
        for (name, value) in &self.macros {
            options = match value {
                Some(value) => options.define(name, value),
                None => options.undefine(name),
            };
        }
        match input {
            Input::File(path) => mig_parser::parse(&options, &FileSystem, path),
            Input::Text { name, text } => {
                mig_parser::parse(&options, &Inline { name: Path::new(name), text }, name)
            }
            Input::Memory { files, path } => mig_parser::parse(&options, files, path),
        }
    }

    fn render(&self, parsed: &Parsed, diagnostics: &Diagnostics) -> String {
        diagnostics.render(&parsed.sources, self.colour)
    }

    fn declarations(&self) -> IncludePath {
        IncludePath::new(self.include_dirs.iter().cloned())
    }

    fn rust_options(&self) -> Result<rust::Options, Error> {
        if syn::parse_str::<syn::Ident>(&self.runtime_crate).is_err() {
            return Err(Error::Config(format!("`{}` is not the name of a crate", self.runtime_crate)));
        }
        for (name, path) in &self.extern_types {
            if syn::parse_str::<syn::Path>(path).is_err() {
                return Err(Error::Config(format!("`{path}`, given for `{name}`, is not a path of Rust")));
            }
        }
        Ok(rust::Options {
            side: self.side,
            runtime_crate: self.runtime_crate.clone(),
            extern_types: self.extern_types.clone(),
        })
    }

    /// The ABI: the one asked for, else that of cargo's target in a build script, else that of this machine.
    fn find_abi(&self) -> Result<&'static Abi, Error> {
        if let Some(name) = &self.abi {
            return Abi::by_name(name).ok_or_else(|| {
                let known: Vec<&str> = Abi::ALL.iter().map(|abi| abi.name()).collect();
                Error::Config(format!("unknown ABI `{name}`; there are {}", known.join(", ")))
            });
        }
        let width = env::var("CARGO_CFG_TARGET_POINTER_WIDTH").ok().and_then(|width| width.parse().ok());
        Ok(width.map_or_else(Abi::host, Abi::for_pointer_width))
    }

    /// The first line of the output: what it was made of, and how.
    fn banner(&self, input: Input<'_>) -> Result<String, Error> {
        let file = match input {
            Input::File(path) | Input::Memory { path, .. } => {
                path.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
            Input::Text { name, .. } => name.to_owned(),
        };
        let mut how = format!("abi {}", self.find_abi()?.name());
        for (name, value) in &self.macros {
            how += &match value {
                Some(value) => format!("; {name}={value}"),
                None => format!("; no {name}"),
            };
        }
        let line = format!("@generated by mig from {file} ({how}). Do not edit.");
        Ok(format!("// {}\n", line.replace(['\n', '\r'], " ")))
    }
}

/// A text under a name, with the file system behind it.
struct Inline<'a> {
    name: &'a Path,
    text: &'a [u8],
}

impl Loader for Inline<'_> {
    fn load(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == self.name { Ok(self.text.to_vec()) } else { FileSystem.load(path) }
    }
}
