//! The preprocessor: C's directives and macros, on tokens.
//!
//! [`Preprocessor::next`] gives one token at a time, from the innermost expansion of a macro, or else from
//! the innermost file. Nothing is handed to a C compiler, and every token knows its place.

mod assertions;
mod built_in;
mod condition;
mod directives;
mod include;
mod macros;
mod pragma;
mod substitute;

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::docs::Docs;
use crate::lexer::Lexer;
use crate::source::{SourceMap, Span};
use crate::token::{Kind, Names, Punct, Symbol, Token};
use crate::{Loader, Options, codes, limits};
use assertions::Assertions;
use include::Found;
use macros::{Context, Definition};
use pragma::Pushed;

/// What is left of the input after the preprocessor.
pub(crate) struct Preprocessed {
    pub(crate) tokens: Vec<Token>,
    pub(crate) names: Names,
    pub(crate) docs: Docs,
    pub(crate) sources: SourceMap,
    pub(crate) diagnostics: Diagnostics,
    /// A limit was reached, so tokens are missing at the end.
    pub(crate) stopped: bool,
}

pub(crate) struct Preprocessor<'a> {
    options: &'a Options,
    loader: &'a dyn Loader,
    sources: SourceMap,
    diagnostics: Diagnostics,
    names: Names,
    docs: Docs,
    /// The macros by the symbol of their name.
    macros: Vec<Option<Definition>>,
    /// What `#pragma push_macro` has put away.
    pushed: Pushed,
    /// Names that must not be used any more.
    poisoned: HashSet<Symbol>,
    assertions: Assertions,
    /// The value of the next `__COUNTER__`.
    counter: u32,
    /// Names that are no macros and stood in an `#if`: each is warned of once.
    unknown_names: HashSet<Symbol>,
    /// The file that is compiled.
    main: PathBuf,
    /// The text that describes the target, and whether it is being read.
    target: Option<Lexer>,
    in_target: bool,
    /// Where the text ends that describes the target, and where that of the options ends.
    predefined_end: u32,
    command_line_end: u32,
    /// The files being read, the innermost last.
    frames: Vec<Frame>,
    /// The expansions being read, the innermost last.
    contexts: Vec<Context>,
    texts: HashMap<PathBuf, (Arc<str>, u32)>,
    /// The files that have been read, by what identifies them; and those whose identity is not known yet. To
    /// find it out takes a system call for each folder of the path, and only `#import` needs it.
    identities: HashSet<PathBuf>,
    unidentified: Vec<PathBuf>,
    /// The files that are not read again.
    once: HashSet<PathBuf>,
    /// The names of files that were not found, each of which has been reported.
    missing: HashSet<String>,
    bytes_left: usize,
    includes_left: u32,
    macro_tokens_left: usize,
    call_depth: usize,
    /// An `#if` is being read, in which `defined` is an operator.
    in_condition: bool,
    /// A limit was reached, and no further token comes.
    stopped: bool,
}

/// A file being read.
struct Frame {
    lexer: Lexer,
    path: PathBuf,
    /// In which folder of `-I` it was found.
    folder: Option<usize>,
    line_start: bool,
    conditionals: Vec<Conditional>,
}

/// An `#if` that has no `#endif` yet.
struct Conditional {
    span: Span,
    /// A branch has been taken.
    taken: bool,
    else_seen: bool,
}

/// The macros of the target as a file.
const PREDEFINED: &str = "<built-in>";
/// The text of options as a file.
const COMMAND_LINE: &str = "<command line>";

/// The tokens that come out of the preprocessor, each as it is spelled.
pub(crate) fn spelled(preprocessed: &Preprocessed) -> Vec<String> {
    let tokens = preprocessed.tokens.iter().filter(|token| token.kind != Kind::End);
    tokens.map(|token| preprocessed.names.spelled(token).to_owned()).collect()
}

/// Reads the file at `path` and all that it includes.
pub(crate) fn preprocess(options: &Options, loader: &dyn Loader, path: &Path) -> Preprocessed {
    let mut preprocessor = Preprocessor {
        options,
        loader,
        sources: SourceMap::default(),
        diagnostics: Diagnostics::default(),
        names: Names::new(),
        docs: Docs::new(),
        macros: Vec::new(),
        pushed: HashMap::new(),
        poisoned: HashSet::new(),
        assertions: HashMap::new(),
        counter: 0,
        unknown_names: HashSet::new(),
        main: path.to_owned(),
        target: None,
        in_target: false,
        predefined_end: 0,
        command_line_end: 0,
        frames: Vec::new(),
        contexts: Vec::new(),
        texts: HashMap::new(),
        identities: HashSet::new(),
        unidentified: Vec::new(),
        once: HashSet::new(),
        missing: HashSet::new(),
        bytes_left: limits::TEXT,
        includes_left: limits::INCLUDES,
        macro_tokens_left: limits::MACRO_TOKENS,
        call_depth: 0,
        in_condition: false,
        stopped: false,
    };
    let tokens = preprocessor.run(path);
    let Preprocessor { names, docs, sources, diagnostics, stopped, .. } = preprocessor;
    Preprocessed { tokens, names, docs, sources, diagnostics, stopped }
}

impl Preprocessor<'_> {
    fn run(&mut self, path: &Path) -> Vec<Token> {
        self.add_built_ins();
        self.predefined();
        self.command_line();
        // A file of the usual size has some thousand tokens.
        let mut tokens = Vec::with_capacity(1 << 11);
        let options = self.options;
        self.read_first(&options.macro_files, &mut tokens);
        tokens.clear();
        self.read_first(&options.first_files, &mut tokens);
        if !self.stopped {
            match self.loader.load(path) {
                Ok(bytes) => self.open(Found { path: path.to_owned(), folder: None, bytes }, None),
                Err(error) => self.unreadable(path, &error),
            }
        }
        let end = self.read_to_end(&mut tokens);
        tokens.push(end);
        tokens
    }

    /// Adds all that the open file has to `tokens` and returns its end.
    fn read_to_end(&mut self, tokens: &mut Vec<Token>) -> Token {
        loop {
            let token = self.next();
            if token.kind == Kind::End {
                self.docs.end_of_text();
                return token;
            }
            tokens.push(token);
            if tokens.len() == limits::TOKENS {
                self.stop(
                    codes::INPUT_LIMIT,
                    token.span,
                    "there is too much input",
                    "more than a million tokens",
                );
            }
        }
    }

    /// The files of `-imacros` and `-include`, as if a file in this folder included them.
    fn read_first(&mut self, files: &[PathBuf], tokens: &mut Vec<Token>) {
        let lines: String = files.iter().map(|file| format!("#include \"{}\"\n", file.display())).collect();
        if lines.is_empty() || self.stopped {
            return;
        }
        if let Some((text, base)) = self.sources.add(COMMAND_LINE, None, lines.into_bytes(), None) {
            self.push_frame(text, base, COMMAND_LINE.into(), None);
            self.read_to_end(tokens);
        }
    }

    /// What the target's compiler defines.
    fn predefined(&mut self) {
        let text = self.options.predefined.concat();
        if text.is_empty() {
            return;
        }
        if let Some((text, base)) = self.sources.add(PREDEFINED, None, text.into_bytes(), None) {
            self.target = Some(Lexer::new(text.clone(), base));
            self.push_frame(text, base, PathBuf::new(), None);
            self.in_target = true;
            self.read_to_end(&mut Vec::new());
            self.in_target = false;
            self.predefined_end = self.sources.last_place().start;
            self.keep_the_compilers();
        }
    }

    fn in_predefined(&self, span: Span) -> bool {
        self.sources.spelling(span).start < self.predefined_end
    }

    fn in_command_line(&self, span: Span) -> bool {
        (self.predefined_end..self.command_line_end).contains(&self.sources.spelling(span).start)
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        let path = path.display();
        let message = match error.kind() {
            ErrorKind::NotFound => format!("there is no file `{path}`"),
            ErrorKind::IsADirectory => format!("`{path}` is a folder, not a file"),
            _ => format!("cannot read `{path}`: {error}"),
        };
        self.error(Diagnostic::of_a_file(codes::UNREADABLE, message));
    }

    /// Defines what the options define, in their order, as if a file before the first said so.
    fn command_line(&mut self) {
        let mut text = String::new();
        let mut wrong = Vec::new();
        for option in &self.options.macros {
            let start = text.len();
            let name = option.name().split('(').next().unwrap_or_default();
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            text.push_str(&option.line());
            if !is_name || text[start..].contains('\n') {
                wrong.push((start, text.len()));
            }
            text.push('\n');
        }
        if text.is_empty() {
            return;
        }
        let Some((_, base)) = self.sources.add(COMMAND_LINE, None, text.clone().into_bytes(), None) else {
            return;
        };
        for (start, end) in &wrong {
            let span = Span::new(base + *start as u32, base + *end as u32);
            self.error(Diagnostic::error(codes::OPTION, span, "this defines no macro", "not a name of C"));
        }
        self.command_line_end = self.sources.last_place().start;
        if wrong.is_empty() {
            self.push_frame(text.into(), base, PathBuf::new(), None);
            self.read_to_end(&mut Vec::new());
        }
    }

    /// Reads on in a file; `site` is the `#include`.
    fn open(&mut self, Found { path, folder, bytes }: Found, site: Option<Span>) {
        if bytes.len() > self.bytes_left {
            match site {
                Some(site) => {
                    self.stop(codes::INPUT_LIMIT, site, "there is too much input", "more than 256 MiB");
                }
                None => {
                    let message = format!("`{}` has more than 256 MiB", path.display());
                    self.error(Diagnostic::of_a_file(codes::INPUT_LIMIT, message));
                    self.halt();
                }
            }
            return;
        }
        self.bytes_left -= bytes.len();
        let (text, base) = match self.texts.get(&path) {
            Some(known) => known.clone(),
            None => {
                let Some(added) = self.sources.add(&path.to_string_lossy(), Some(&path), bytes, site) else {
                    return;
                };
                self.texts.insert(path.clone(), added.clone());
                self.unidentified.push(path.clone());
                added
            }
        };
        self.push_frame(text, base, path, folder);
    }

    fn push_frame(&mut self, text: Arc<str>, base: u32, path: PathBuf, folder: Option<usize>) {
        let lexer = Lexer::new(text, base);
        self.frames.push(Frame { lexer, path, folder, line_start: true, conditionals: Vec::new() });
    }

    /// The next token, macros expanded.
    fn next(&mut self) -> Token {
        loop {
            let mut token = self.unexpanded();
            if token.kind != Kind::Ident || token.painted {
                return token;
            }
            if !self.poisoned.is_empty() && self.poisoned.contains(&token.symbol) {
                self.poisoned_name(token);
            }
            let Some(Some(definition)) = self.macros.get(token.symbol.index()) else { return token };
            let definition: Rc<_> = match definition {
                Definition::Written(definition) => definition.clone(),
                Definition::Unread(_) => match self.written(token.symbol) {
                    Some(definition) => definition,
                    None => return token,
                },
                Definition::BuiltIn(built_in) => match self.built_in(*built_in, token) {
                    Some(token) => return token,
                    None => continue,
                },
            };
            if definition.active.get() {
                token.painted = true;
                return token;
            }
            if !self.expand(&definition, token) {
                return token;
            }
        }
    }

    /// The next token of the innermost expansion, or else of the innermost file.
    fn unexpanded(&mut self) -> Token {
        while let Some(context) = self.contexts.last_mut() {
            if let Some(token) = context.next() {
                return token;
            }
            if context.is_barrier() {
                return Token::new(Kind::End, crate::token::Symbol::NONE, context.site);
            }
            self.contexts.pop();
        }
        self.file_token()
    }

    /// The next token of the innermost file; obeys the directives before it.
    fn file_token(&mut self) -> Token {
        let mut space = false;
        loop {
            let Some(frame) = self.frames.last_mut() else { return self.end() };
            let mut token = frame.lexer.next(&mut self.names);
            match token.kind {
                Kind::Newline => {
                    frame.line_start = true;
                    space = true;
                    self.docs.newline();
                }
                Kind::Comment => {
                    space = true;
                    self.docs.comment(token.span, !frame.line_start);
                }
                Kind::UnclosedComment => self.unclosed_comment(token.span),
                Kind::End => {
                    self.close_frame();
                    if self.frames.is_empty() {
                        return token;
                    }
                }
                Kind::Punct(Punct::Hash) if frame.line_start => self.directive(token),
                _ => {
                    frame.line_start = false;
                    token.space |= space;
                    token.doc = self.docs.take();
                    return token;
                }
            }
        }
    }

    /// The end of everything: after the last file.
    fn end(&self) -> Token {
        Token::new(Kind::End, crate::token::Symbol::NONE, self.sources.last_place())
    }

    fn close_frame(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        for conditional in frame.conditionals {
            let label = "no `#endif` for this";
            self.error(Diagnostic::error(
                codes::OPEN_CONDITIONAL,
                conditional.span,
                "a conditional is not closed",
                label,
            ));
        }
    }

    fn unclosed_comment(&mut self, span: Span) {
        let span = Span::new(span.start, span.start + 2);
        self.error(Diagnostic::error(
            codes::OPEN_COMMENT,
            span,
            "a comment is not closed",
            "no `*/` for this",
        ));
    }

    fn error(&mut self, diagnostic: Diagnostic) {
        if !self.diagnostics.push_bounded(diagnostic) {
            self.halt();
        }
    }

    /// Reports a limit that was reached, and ends the input.
    fn stop(&mut self, code: &'static str, span: Span, message: &str, label: &str) {
        if !self.stopped {
            self.diagnostics.push(Diagnostic::error(code, span, message, label));
            self.halt();
        }
    }

    /// Ends the input here.
    fn halt(&mut self) {
        self.stopped = true;
        self.frames.clear();
        // Barriers belong to the functions that set them.
        self.contexts.iter_mut().for_each(Context::finish);
    }
}
