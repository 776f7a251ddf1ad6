//! The settings that all drivers share, and the way from a file to Rust text.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
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
use crate::table::AbiTable;
use crate::{IncludePath, codes};

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
    pedantic: bool,
    error_limit: usize,
    pub(crate) name: Option<String>,
    pub(crate) check: bool,
}

/// How many errors are shown unless a limit is given: more do not help.
const ERROR_LIMIT: usize = 20;

/// A `.defs` file, or its text.
#[derive(Clone, Copy)]
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
    /// A file that a loader reads, as it does what the file includes: some of them may be in memory.
    Loaded {
        /// Where texts come from.
        files: &'a dyn Loader,
        /// Which one to compile.
        path: &'a Path,
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

impl Input<'_> {
    /// What the first line of generated code calls it.
    fn file_name(&self) -> String {
        match self {
            Input::File(path) | Input::Memory { path, .. } | Input::Loaded { path, .. } => {
                let path = shipped::in_brackets(path).map_or(*path, Path::new);
                path.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
            Input::Text { name, .. } => (*name).to_owned(),
        }
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Input").field(&self.file_name()).finish()
    }
}

/// What the compiler has found out about an input, whether or not there is anything wrong with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Analysis {
    /// The statements without errors.
    pub ast: Ast,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
    /// The texts, and all that there is to say about them.
    pub report: Report,
    /// The interface, resolved and laid out; none if anything is wrong, or if the input declares only types.
    pub interface: Option<Interface>,
    /// The name that generated code has for the input.
    name: String,
}

impl Analysis {
    /// The interface, where there has to be one.
    ///
    /// # Errors
    ///
    /// [`Error::Diagnostics`] with everything that is wrong with the input; also if it declares only types.
    pub fn require_interface(&self) -> Result<&Interface, Error> {
        self.interface.as_ref().ok_or_else(|| self.nothing())
    }

    /// Warns of a routine that has the place of one which an older version of the interface had.
    pub fn lint_deleted(&mut self, old: &AbiTable) {
        if let Some(interface) = &self.interface {
            crate::lints::deleted(&self.ast, interface, old, &mut self.report.diagnostics);
        }
    }

    /// Warns of types that are translated in one only of two readings of a file: this one, and another one,
    /// with these macros besides.
    pub fn lint_translations(&mut self, other: &Analysis, macros: &str) {
        crate::lints::lost_translations(&self.ast, &other.ast, macros, &mut self.report.diagnostics);
    }

    /// The error that says why there is no interface.
    fn nothing(&self) -> Error {
        let mut report = self.report.clone();
        if !report.diagnostics.has_errors() {
            report.diagnostics.push(crate::no_interface(&self.ast));
        }
        Error::Diagnostics(report)
    }
}

/// What came of an input that has no errors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Output<T> {
    /// The output that was asked for.
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
            pedantic: false,
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

    /// Whether the definitions of the package `mach-defs` are at hand, which is the default: a file that no
    /// include directory has is looked for among the definitions for the ABI.
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

    /// Whether to warn also of what is valid and probably not meant, such as a type that nothing uses. `mig
    /// check` does, builds do not.
    #[must_use]
    pub fn lints(mut self, lints: bool) -> Self {
        self.lints = lints;
        self
    }

    /// Whether [`lints`](Self::lints) also warn of what is common among Mach's own interfaces: arguments
    /// without a limit, and those that a C compiler's server hands on without a check.
    #[must_use]
    pub fn pedantic(mut self, pedantic: bool) -> Self {
        self.pedantic = pedantic;
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
        let input = match (found.as_deref(), input) {
            (None, input) => input,
            (Some(path), Input::Loaded { files, .. }) => Input::Loaded { files, path },
            (Some(path), _) => Input::File(path),
        };
        Ok(self.read(input, abi, self.find_target(abi)?))
    }

    /// All that the compiler finds out about an input without making Rust of it: for tools that want the tree
    /// and the interface and what is wrong, of one reading.
    ///
    /// What is wrong with the input is no error here: the report has it.
    ///
    /// ```
    /// use mig_codegen::{Config, Input};
    ///
    /// let input = Input::Text { name: "clock.defs", text: b"subsystem clock 3100; type t = int; skip" };
    /// let analysis = Config::new().analysis(input)?;
    /// assert_eq!(analysis.ast.statements.len(), 2);
    /// assert!(analysis.interface.is_none());
    /// assert!(analysis.report.diagnostics.has_errors());
    /// # Ok::<(), mig_codegen::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for settings that are wrong.
    pub fn analysis<'a>(&self, input: impl Into<Input<'a>>) -> Result<Analysis, Error> {
        let (input, abi) = (input.into(), self.find_abi()?);
        let Parsed { sources, ast, mut diagnostics, mut files, .. } = self.parse(input)?;
        let interface = crate::checked(&ast, abi, &self.declarations(abi), &mut diagnostics);
        let interface = interface.filter(|_| !diagnostics.has_errors());
        if let Some(interface) = interface.as_ref().filter(|_| self.lints) {
            crate::lints::lint(&ast, &sources, interface, &mut diagnostics);
            if self.pedantic {
                crate::lints::pedantic(&ast, interface, &mut diagnostics);
            }
        }
        let interface = interface.map(|interface| interface.with_prefix(&self.prefix));
        files.retain(|file| !shipped::is_one(file));
        let report = Report { sources, diagnostics, error_limit: self.error_limit };
        Ok(Analysis { ast, files, report, name: input.file_name(), interface })
    }

    /// The interface of an input, resolved and laid out.
    ///
    /// # Errors
    ///
    /// [`Error::Diagnostics`] with everything that is wrong with the input, [`Error::Config`] for an unknown
    /// ABI.
    pub fn interface<'a>(&self, input: impl Into<Input<'a>>) -> Result<Output<Interface>, Error> {
        let analysis = self.analysis(input)?;
        match analysis.interface {
            Some(value) => Ok(Output { value, files: analysis.files, warnings: analysis.report }),
            None => Err(analysis.nothing()),
        }
    }

    /// Only checks an input, also one that declares nothing but types.
    ///
    /// # Errors
    ///
    /// As [`interface`](Self::interface).
    pub fn check_only<'a>(&self, input: impl Into<Input<'a>>) -> Result<Output<()>, Error> {
        let Analysis { files, report, .. } = self.analysis(input)?;
        match report.diagnostics.has_errors() {
            true => Err(Error::Diagnostics(report)),
            false => Ok(Output { value: (), files, warnings: report }),
        }
    }

    /// The generated items as tokens.
    ///
    /// # Errors
    ///
    /// As [`interface`](Self::interface); also for what is not generated yet.
    pub fn tokens<'a>(&self, input: impl Into<Input<'a>>) -> Result<Output<TokenStream>, Error> {
        let options = self.rust_options()?;
        Ok(self.items(&self.analysis(input)?, &options)?.map(|items| items.into_iter().collect()))
    }

    /// The generated code as text.
    ///
    /// # Errors
    ///
    /// As [`tokens`](Self::tokens).
    pub fn text<'a>(&self, input: impl Into<Input<'a>>) -> Result<Output<String>, Error> {
        // Mistakes in the settings are reported before anything is read.
        self.rust_options()?;
        self.text_of(&self.analysis(input)?)
    }

    /// The same of an input that has been read already, by these settings but for those of the generated
    /// code.
    ///
    /// # Errors
    ///
    /// As [`tokens`](Self::tokens).
    pub fn text_of(&self, analysis: &Analysis) -> Result<Output<String>, Error> {
        let banner = self.banner(&analysis.name)?;
        Ok(self.items(analysis, &self.rust_options()?)?.map(|items| banner + &rust::print(items)))
    }

    fn items(&self, analysis: &Analysis, options: &rust::Options) -> Result<Output<Vec<TokenStream>>, Error> {
        let interface = analysis.require_interface()?;
        let mut report = analysis.report.clone();
        self.check_extern_types(&analysis.ast, interface, &mut report.diagnostics);
        match rust::generate(interface, options, &mut report.diagnostics) {
            Some(value) if !report.diagnostics.has_errors() => {
                Ok(Output { value, files: analysis.files.clone(), warnings: report })
            }
            _ => Err(Error::Diagnostics(report)),
        }
    }

    /// The file that a name in angle brackets stands for: the first one on the include path.
    fn find_input(&self, input: Input<'_>, abi: &Abi) -> Result<Option<PathBuf>, Error> {
        let (Input::File(path) | Input::Loaded { path, .. }) = input else { return Ok(None) };
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
            Input::Loaded { files, path } => mig_parser::parse(&options, &WithShipped(files), path),
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
    fn banner(&self, file: &str) -> Result<String, Error> {
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
