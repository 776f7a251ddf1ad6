//! Front end of the MIG compiler: reads `.defs` files, with all that C's preprocessor does in them, and
//! returns a syntax tree with places and comments, and diagnostics that show the marked line.
//!
//! ```
//! use mig_parser::ast::StatementKind;
//! use mig_parser::{Memory, Options, parse};
//!
//! let files = Memory::new().file(
//!     "clock.defs",
//!     "subsystem clock 3100;
//!      type clock_t = MACH_MSG_TYPE_COPY_SEND;
//!      /* Reads the clock. */
//!      ROUTINE(clock : clock_t; out now : int);",
//! );
//! let parsed = parse(&Options::new().define("ROUTINE", "routine clock_get_time"), &files, "clock.defs");
//! assert!(!parsed.diagnostics.has_errors());
//! let last = &parsed.ast.statements[2];
//! assert_eq!(last.doc, ["Reads the clock."]);
//! assert!(matches!(&last.kind, StatementKind::Routine(routine) if routine.name.name == "clock_get_time"));
//!
//! let files = Memory::new().file("wrong.defs", "subsystem clock 3100\nskip;");
//! let parsed = parse(&Options::new(), &files, "wrong.defs");
//! let text = parsed.diagnostics.render(&parsed.sources, false);
//! assert!(text.starts_with("error[MIG0201]: expected `;`, found the keyword `skip`"), "{text}");
//! assert!(text.contains("wrong.defs:2:1"));
//! ```
//!
//! The way of a file: the preprocessor follows `#include`, conditionals and macros, token by token (nothing
//! is handed to a C compiler); the grammar, on nom, takes the statements of every dialect; a statement that
//! is wrong is reported and left out, and parsing goes on after it. [`parse`] never fails as a whole and
//! never panics, whatever the bytes.

#![forbid(unsafe_code)]

pub mod ast;
pub mod codes;
pub mod diagnostics;
mod docs;
mod format;
mod grammar;
mod keyword;
mod lexer;
mod limits;
mod loader;
mod options;
mod preprocess;
mod render;
pub mod source;
pub mod suggest;
mod token;

use std::path::{Path, PathBuf};

use ast::Ast;
use diagnostics::Diagnostics;
use source::SourceMap;

pub use format::{Unformatted, format, unpreprocessed};
pub use loader::{Cached, FileSystem, Loader, Memory};
pub use options::{MacroOption, Options};

/// All that is known about a file after parsing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Parsed {
    /// The texts, to find out what a span means.
    pub sources: SourceMap,
    /// The statements without errors.
    pub ast: Ast,
    /// What is wrong. The tree may be used for further checks, but not for output, if this
    /// [has errors](Diagnostics::has_errors).
    pub diagnostics: Diagnostics,
    /// Every file that was read, each once, the one given to [`parse`] first.
    pub files: Vec<PathBuf>,
}

/// What is left of the file at `path` after the preprocessor: its tokens as they are spelled, without
/// comments and macros, and what the preprocessor had to say, as text.
///
/// ```
/// use mig_parser::{Memory, Options, preprocessed};
///
/// let files = Memory::new().file("a.defs", "#define P(x) x##_port\nsubsystem P(name) 100; /* … */");
/// let (tokens, said) = preprocessed(&Options::new(), &files, "a.defs");
/// assert_eq!(tokens.join(" "), "subsystem name_port 100 ;");
/// assert_eq!(said, "");
/// ```
pub fn preprocessed(options: &Options, loader: &dyn Loader, path: impl AsRef<Path>) -> (Vec<String>, String) {
    let mut output = preprocess::preprocess(options, loader, path.as_ref());
    output.diagnostics.sort(&output.sources);
    (preprocess::spelled(&output), output.diagnostics.render(&output.sources, false))
}

/// The words of the language, of all dialects, in their usual spelling.
pub fn keywords() -> impl Iterator<Item = &'static str> {
    keyword::Keyword::all().map(keyword::Keyword::text)
}

/// The names and words of a text with the bytes where they begin, but for those in comments and quotes; those
/// of directives and under a condition that is false are among them. None of a text that is too large to be
/// an interface.
///
/// ```
/// let text = "type a /* b */ = c; // d";
/// assert_eq!(mig_parser::words(text), [(0, "type"), (5, "a"), (17, "c")]);
/// ```
pub fn words(text: &str) -> Vec<(usize, &str)> {
    if text.len() > limits::TEXT {
        return Vec::new();
    }
    let (mut lexer, mut names) = (lexer::Lexer::new(text.into(), 0), token::Names::new());
    let mut words = Vec::new();
    loop {
        let token = lexer.next(&mut names);
        match token.kind {
            token::Kind::End => return words,
            token::Kind::Ident => {
                let (start, end) = (token.span.start as usize, token.span.end as usize);
                words.push((start, &text[start..end]));
            }
            _ => {}
        }
    }
}

/// Reads the file at `path` and all that it includes.
///
/// What cannot be read is a diagnostic, too.
pub fn parse(options: &Options, loader: &dyn Loader, path: impl AsRef<Path>) -> Parsed {
    let mut input = preprocess::preprocess(options, loader, path.as_ref());
    let mut diagnostics = std::mem::take(&mut input.diagnostics);
    let ast = grammar::parse(&input, &mut diagnostics);
    diagnostics.sort(&input.sources);
    let files = input.sources.files().map(Path::to_owned).collect();
    Parsed { sources: input.sources, ast, diagnostics, files }
}

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
