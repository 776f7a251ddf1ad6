//! The settings that all drivers share, and the way from a file to Rust text.

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::path::{Path, PathBuf};

use mig_parser::ast::Ast;
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::suggest::nearest;
use mig_parser::{FileSystem, Loader, Memory, Parsed};
use proc_macro2::TokenStream;

use crate::abi::{Abi, Target};
use crate::error::{Error, Report};
use crate::model::Interface;
use crate::rust::{self, Side};
use crate::shipped::{self, WithShipped};
use crate::{IncludePath, analyze, codes};

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
    arch: Option<String>,
    macro_files: Vec<PathBuf>,
    first_files: Vec<PathBuf>,
    prefix: String,
    side: Side,
    runtime_crate: String,
    extern_types: BTreeMap<String, String>,
    sizes: BTreeMap<String, u32>,
    kernel_objects: bool,
    mach_defs: bool,
    lints: bool,
    error_limit: usize,
    pub(crate) name: Option<String>,
    pub(crate) check: bool,
}

/// More errors than this do not help.
const ERROR_LIMIT: usize = 20;

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
#[non_exhaustive]
pub struct Output<T> {
    /// What was asked for.
    pub value: T,
    /// Every file that was read: the output is as new as the newest of them.
    pub files: Vec<PathBuf>,
    /// The warnings.
    pub warnings: Report,
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
            arch: None,
            macro_files: Vec::new(),
            first_files: Vec::new(),
            prefix: String::new(),
            side: Side::Both,
            runtime_crate: "mig_runtime".to_owned(),
            extern_types: BTreeMap::new(),
            sizes: BTreeMap::new(),
            kernel_objects: false,
            mach_defs: true,
            lints: false,
            error_limit: ERROR_LIMIT,
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

    /// Whether the definitions of the package `mach-defs` are at hand, which is the default: what no include
    /// directory has is looked for among those for the ABI.
    ///
    /// They are inputs, too, by their names in angle brackets, as are files of include directories:
    ///
    /// ```
    /// let config = mig_codegen::Config::new().abi("apple-64");
    /// assert_eq!(config.interface("<mach/mach_exc.defs>")?.value.base, 2405);
    /// # Ok::<(), mig_codegen::Error>(())
    /// ```
    #[must_use]
    pub fn mach_defs(mut self, at_hand: bool) -> Self {
        self.mach_defs = at_hand;
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
    /// Without it a build script uses that of cargo's target, anything else that of the machine it runs on:
    /// Apple's for macOS and its kin, GNU Mach's for all others.
    #[must_use]
    pub fn abi(mut self, name: impl Into<String>) -> Self {
        self.abi = Some(name.into());
        self
    }

    /// Predefines the macros of this processor, for an ABI that several have: `x86_64` or `arm64` for
    /// `apple-64`.
    ///
    /// Without it that of cargo's target in a build script for one of Apple's systems, else that of the
    /// machine, else `arm64`. The ABI's name may say it, too: `apple-64-x86_64`.
    #[must_use]
    pub fn arch(mut self, processor: impl Into<String>) -> Self {
        self.arch = Some(processor.into());
        self
    }

    /// Takes the macros that this file defines, but nothing else of it (`-imacros`). It is looked for in the
    /// working folder, then in those of [`include_dir`](Self::include_dir).
    #[must_use]
    pub fn macros_of(mut self, file: impl Into<PathBuf>) -> Self {
        self.macro_files.push(file.into());
        self
    }

    /// Reads this file before the input (`-include`), found as by [`macros_of`](Self::macros_of).
    #[must_use]
    pub fn read_first(mut self, file: impl Into<PathBuf>) -> Self {
        self.first_files.push(file.into());
        self
    }

    /// Puts this before the names of functions, on both sides, and of the demux function (`-prefix` of
    /// MIG).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
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
    /// The name is that of a type, or of its `ctype`. The Rust type must be plain data
    /// (`mig_runtime::Plain`) of the same size, which the generated code asserts. Truth values and strings
    /// keep their own types.
    ///
    /// Where the structure of C is larger than the `.defs` says, the path ends in its size in bytes:
    /// `.extern_type("info_t", "crate::Info:72")`. On the untyped ABIs C's stubs copy whole structures, so
    /// that is the size in the message.
    ///
    /// Or the name is what `intran` and `outtran` translate to, and any Rust type will do: see
    /// [the crate](crate#translations). It may depend on the kernel `K`, as `crate::Session<K>` does.
    #[must_use]
    pub fn extern_type(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        let (name, path) = (name.into(), path.into());
        match with_size(&path) {
            Some((path, size)) => {
                self.sizes.insert(name.clone(), size);
                self.extern_types.insert(name, path.to_owned());
            }
            None => {
                self.extern_types.insert(name, path);
            }
        }
        self
    }

    /// Says that the ports of this interface are objects of the kernel: a task's, a thread's, the host's and
    /// the like, not ports from which a task receives.
    ///
    /// XNU wants to know that of each request, and since macOS 13 it ends a program whose request is of the
    /// wrong kind; other kernels do not ask. Such an interface has no requests without a reply on Apple's
    /// ABIs, and none with more than three descriptors. An interface that tasks serve, as `mach_exc` and
    /// every one of your own, is not of this kind.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), mig_codegen::Error> {
    /// mig_codegen::Config::new().abi("apple-64").kernel_objects(true).compile("defs/mach/task.defs")
    /// # }
    /// ```
    #[must_use]
    pub fn kernel_objects(mut self, kernel_objects: bool) -> Self {
        self.kernel_objects = kernel_objects;
        self
    }

    /// Whether [`check_only`](Self::check_only) also warns of what is right and probably not meant, such as a
    /// type that nothing uses. `mig check` does, builds do not.
    #[must_use]
    pub fn lints(mut self, lints: bool) -> Self {
        self.lints = lints;
        self
    }

    /// Shows this many errors at most; the last line says how many there are. 20 without it.
    #[must_use]
    pub fn error_limit(mut self, most: usize) -> Self {
        self.error_limit = most;
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

    /// The syntax tree of an input, with what the parser has to say about it: for tools that want what is
    /// written, not what is meant.
    ///
    /// A statement that is wrong is missing in the tree and has its error among the diagnostics; that is no
    /// error here.
    ///
    /// ```
    /// use mig_codegen::{Config, Input};
    ///
    /// let input = Input::Text { name: "clock.defs", text: b"subsystem clock 3100; skip" };
    /// let parsed = Config::new().parse(input)?;
    /// assert_eq!(parsed.ast.statements.len(), 1);
    /// assert!(parsed.diagnostics.has_errors());
    /// # Ok::<(), mig_codegen::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for settings that are wrong.
    pub fn parse<'a>(&self, input: impl Into<Input<'a>>) -> Result<Parsed, Error> {
        let (input, abi) = (input.into(), self.find_abi()?);
        let found = self.find_input(input, abi)?;
        Ok(self.read(found.as_deref().map_or(input, Input::File), abi, self.find_target(abi)?))
    }

    /// The interface of an input, resolved and laid out.
    ///
    /// # Errors
    ///
    /// [`Error::Diagnostics`] with everything that is wrong with the input, [`Error::Config`] for an unknown
    /// ABI.
    pub fn interface<'a>(&self, input: impl Into<Input<'a>>) -> Result<Output<Interface>, Error> {
        let abi = self.find_abi()?;
        self.run(input.into(), abi, |parsed| self.analyze(&parsed.ast, abi, &mut parsed.diagnostics))
    }

    /// Only checks an input, also one that declares nothing but types.
    ///
    /// # Errors
    ///
    /// As [`interface`](Self::interface).
    pub fn check_only<'a>(&self, input: impl Into<Input<'a>>) -> Result<Output<()>, Error> {
        let abi = self.find_abi()?;
        self.run(input.into(), abi, |parsed| {
            let interface =
                crate::checked(&parsed.ast, abi, &self.declarations(abi), &mut parsed.diagnostics);
            if let Some(interface) = interface.filter(|_| self.lints && !parsed.diagnostics.has_errors()) {
                crate::lints::lint(&parsed.ast, &parsed.sources, &interface, &mut parsed.diagnostics);
            }
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
            let interface = self.analyze(ast, abi, diagnostics)?;
            self.check_extern_types(ast, &interface, diagnostics);
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
        let found = self.find_input(input, abi)?;
        let input = found.as_deref().map_or(input, Input::File);
        let mut parsed = self.read(input, abi, self.find_target(abi)?);
        let value = make(&mut parsed);
        let Parsed { sources, diagnostics, mut files, .. } = parsed;
        let report = Report { sources, diagnostics, error_limit: self.error_limit };
        match value.filter(|_| !report.diagnostics.has_errors()) {
            Some(value) => {
                files.retain(|file| !shipped::is_one(file));
                Ok(Output { value, files, warnings: report })
            }
            None => Err(Error::Diagnostics(report)),
        }
    }

    fn analyze(&self, ast: &Ast, abi: &'static Abi, diagnostics: &mut Diagnostics) -> Option<Interface> {
        let interface = analyze(ast, abi, &self.declarations(abi), diagnostics)?;
        Some(interface.with_prefix(&self.prefix))
    }

    /// The file that a name in angle brackets stands for: the first one on the include path.
    fn find_input(&self, input: Input<'_>, abi: &Abi) -> Result<Option<PathBuf>, Error> {
        let Input::File(path) = input else { return Ok(None) };
        let Some(name) = shipped::in_brackets(path) else { return Ok(None) };
        let in_folder = self.include_dirs.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
        let at_hand = || {
            let mut files = self.shipped_folders(abi).map(|folder| folder.join(name));
            files.find(|file| shipped::text(file).is_some())
        };
        in_folder.or_else(at_hand).map(Some).ok_or_else(|| {
            let also =
                if self.mach_defs { format!(", nor in mach-defs for {}", abi.name()) } else { String::new() };
            Error::Config(format!("there is no `{name}` in an include directory{also}"))
        })
    }

    fn shipped_folders(&self, abi: &Abi) -> impl Iterator<Item = PathBuf> {
        shipped::folders(abi).filter(|_| self.mach_defs)
    }

    fn read(&self, input: Input<'_>, abi: &Abi, target: &Target) -> Parsed {
        let mut options = mig_parser::Options::new();
        for directory in &self.include_dirs {
            options = options.include_dir(directory);
        }
        if !matches!(input, Input::Memory { .. }) {
            for folder in self.shipped_folders(abi) {
                options = options.include_dir(folder);
            }
        }
        for lines in target.predefined {
            options = options.predefine(lines);
        }
        options.macro_files.clone_from(&self.macro_files);
        options.first_files.clone_from(&self.first_files);
        for (name, value) in &self.macros {
            options = match value {
                Some(value) => options.define(name, value),
                None => options.undefine(name),
            };
        }
        match input {
            Input::File(path) => mig_parser::parse(&options, &WithShipped(&FileSystem), path),
            Input::Text { name, text } => {
                let inline = Inline { name: Path::new(name), text };
                mig_parser::parse(&options, &WithShipped(&inline), name)
            }
            Input::Memory { files, path } => mig_parser::parse(&options, files, path),
        }
    }

    fn declarations(&self, abi: &Abi) -> IncludePath {
        let shipped = shipped::files(abi).filter(|_| self.mach_defs);
        IncludePath::new(self.include_dirs.iter().cloned()).texts(shipped).sizes(self.sizes.clone())
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
            kernel_objects: self.kernel_objects,
        })
    }

    /// Warns of names for which a Rust type was given and that the file does not have.
    fn check_extern_types(&self, ast: &Ast, interface: &Interface, diagnostics: &mut Diagnostics) {
        if self.extern_types.is_empty() {
            return;
        }
        let mut known = ast.type_names();
        known.extend(interface.abi.built_in.iter().map(|(name, ..)| *name));
        for name in self.extern_types.keys().filter(|name| !known.contains(name.as_str())) {
            let message = format!("a Rust type is given for `{name}`, which this interface does not have");
            let label = "no type, `ctype` or translated type has this name";
            let warning = Diagnostic::warning(codes::EXTERN_TYPE, interface.span, message, label);
            let near = nearest(name, known.iter().copied());
            diagnostics.push(match near {
                Some(near) => warning.with_help(format!("did you mean `{near}`?")),
                None => warning,
            });
        }
    }

    /// The ABI: the one asked for, else that of cargo's target in a build script, else that of this machine.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if there is none with the name that was given.
    pub fn find_abi(&self) -> Result<&'static Abi, Error> {
        if let Some(name) = &self.abi {
            return Abi::with_target(name).map(|(abi, _)| abi).ok_or_else(|| {
                Error::Config(format!("unknown ABI `{name}`; there are {}", Abi::names().join(", ")))
            });
        }
        let cargo = || {
            let vendor = env::var("CARGO_CFG_TARGET_VENDOR").ok()?;
            let width = env::var("CARGO_CFG_TARGET_POINTER_WIDTH").ok()?.parse().ok()?;
            Some(Abi::for_target(&vendor, width))
        };
        Ok(cargo().unwrap_or_else(Abi::host))
    }

    /// The target: the one asked for, else that of cargo in a build script for one of Apple's systems, else
    /// this machine's or the first.
    fn find_target(&self, abi: &'static Abi) -> Result<&'static Target, Error> {
        let named = self.abi.as_deref().and_then(Abi::with_target).and_then(|(_, target)| target);
        if let Some(processor) = &self.arch {
            let target = abi.target(processor).filter(|target| named.is_none_or(|named| named == *target));
            return target.ok_or_else(|| {
                let known: Vec<&str> = abi.targets.iter().map(|target| target.processor).collect();
                let name = self.abi.as_deref().unwrap_or(abi.name());
                Error::Config(format!("`{name}` is not for `{processor}`, but for {}", known.join(" or ")))
            });
        }
        let cargo = || {
            let vendor = env::var("CARGO_CFG_TARGET_VENDOR").ok()?;
            let processor = env::var("CARGO_CFG_TARGET_ARCH").ok()?;
            abi.target(&processor).filter(|_| vendor == "apple")
        };
        Ok(named.or_else(cargo).unwrap_or_else(|| abi.default_target()))
    }

    /// The first line of the output: what it was made of, and how.
    fn banner(&self, input: Input<'_>) -> Result<String, Error> {
        let file = match input {
            Input::File(path) | Input::Memory { path, .. } => {
                let path = shipped::in_brackets(path).map_or(path, Path::new);
                path.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
            Input::Text { name, .. } => name.to_owned(),
        };
        let mut how = format!("abi {}", self.abi.as_deref().unwrap_or(self.find_abi()?.name()));
        for (option, value) in
            [("arch", self.arch.as_deref()), ("prefix", Some(&*self.prefix).filter(|p| !p.is_empty()))]
        {
            how += &value.map_or_else(String::new, |value| format!("; {option} {value}"));
        }
        for (name, value) in &self.macros {
            how += &match value {
                Some(value) => format!("; {name}={value}"),
                None => format!("; no {name}"),
            };
        }
        if self.kernel_objects {
            how += "; kernel objects";
        }
        let line = format!("@generated by mig from {file} ({how}). Do not edit.");
        Ok(format!("// {}\n\n", line.replace(['\n', '\r'], " ")))
    }
}

/// The path and the size in `crate::Info:72`.
fn with_size(text: &str) -> Option<(&str, u32)> {
    let (path, size) = text.rsplit_once(':')?;
    let size = size.trim().parse().ok().filter(|&size| size > 0)?;
    (!path.ends_with(':')).then_some((path, size))
}

/// A text under a name, and the file system for all other files.
struct Inline<'a> {
    name: &'a Path,
    text: &'a [u8],
}

impl Loader for Inline<'_> {
    fn load(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == self.name { Ok(self.text.to_vec()) } else { FileSystem.load(path) }
    }

    fn identity(&self, path: &Path) -> PathBuf {
        if path == self.name { path.to_owned() } else { FileSystem.identity(path) }
    }
}
