//! What the command line says: `-I`, `-D`, `-U`.

use std::path::PathBuf;

/// How to preprocess.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The folders of `-I`, in the order of the search.
    pub include_dirs: Vec<PathBuf>,
    /// The macros of `-D` and `-U`; a later one overrides an earlier one. Put what an ABI predefines first.
    pub macros: Vec<MacroOption>,
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

    /// Searches this folder, too, behind those that were added before.
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

impl MacroOption {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Define(name, _) | Self::Undefine(name) => name,
        }
    }

    /// The directive that does the same.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Define(name, text) => format!("#define {name} {text}"),
            Self::Undefine(name) => format!("#undef {name}"),
        }
    }
}
