//! What the command line says: `-I`, `-D`, `-U`, `-imacros`, `-include`.

use std::path::PathBuf;

/// How to preprocess.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The folders of `-I`, in the order of the search.
    pub include_dirs: Vec<PathBuf>,
    /// The macros of `-D` and `-U`; a later one overrides an earlier one.
    pub macros: Vec<MacroOption>,
    /// What the target's C compiler defines: lines of `#define` and `#assert`, obeyed before the options. A
    /// definition is read when a file uses its name, so a line that is wrong is reported only then.
    pub predefined: Vec<&'static str>,
    /// The files of `-imacros`: only the macros that they define count.
    pub macro_files: Vec<PathBuf>,
    /// The files of `-include`: read before the file itself.
    pub first_files: Vec<PathBuf>,
}

/// One `-D` or `-U`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MacroOption {
    /// `-D name=text`; the name may have parameters, as in `PREFIX(x)`.
    Define(String, String),
    /// `-U name`
    Undefine(String),
}

impl Options {
    /// No folders and no macros.
    pub fn new() -> Self {
        Self::default()
    }

    /// Searches this folder, too, after those that were added before.
    #[must_use]
    pub fn include_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.include_dirs.push(folder.into());
        self
    }

    /// Defines a macro. `-D NAME` of a C compiler means the text `1`.
    #[must_use]
    pub fn define(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.macros.push(MacroOption::Define(name.into(), text.into()));
        self
    }

    /// Makes a macro undefined that was defined before.
    #[must_use]
    pub fn undefine(mut self, name: impl Into<String>) -> Self {
        self.macros.push(MacroOption::Undefine(name.into()));
        self
    }
}

impl Options {
    /// Obeys these lines first, as a C compiler does those that describe its target.
    #[must_use]
    pub fn predefine(mut self, lines: &'static str) -> Self {
        self.predefined.push(lines);
        self
    }

    /// Takes the macros of this file, but nothing else of it (`-imacros`).
    #[must_use]
    pub fn macros_of(mut self, file: impl Into<PathBuf>) -> Self {
        self.macro_files.push(file.into());
        self
    }

    /// Reads this file before the file itself (`-include`).
    #[must_use]
    pub fn read_first(mut self, file: impl Into<PathBuf>) -> Self {
        self.first_files.push(file.into());
        self
    }
}

impl MacroOption {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Define(name, _) | Self::Undefine(name) => name,
        }
    }

    /// The directive that does the same as this option.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Define(name, text) => format!("#define {name} {text}"),
            Self::Undefine(name) => format!("#undef {name}"),
        }
    }
}
