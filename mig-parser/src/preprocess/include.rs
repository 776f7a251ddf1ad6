//! `#include` and its kin: which file is meant, and how deep files may include one another.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Preprocessor;
use crate::diagnostics::Diagnostic;
use crate::source::Span;
use crate::token::{Kind, Token};
use crate::{codes, limits};

/// Which of the directives it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    /// `#include`
    Plain,
    /// `#include_next`: the search goes on after the folder in which this file was found.
    Next,
    /// `#import`: a file that was read is not read again.
    Once,
}

/// A file that a search may find.
struct Candidate {
    path: PathBuf,
    /// The folder of the search in which it is: none for that of the file which includes it.
    folder: Option<usize>,
}

/// A file that a search found.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) folder: Option<usize>,
    pub(super) bytes: Vec<u8>,
}

impl Preprocessor<'_> {
    pub(super) fn include(&mut self, hash: Span, kind: Include) {
        let Some((name, quoted, span)) = self.included_name(hash) else { return };
        if self.frames.len() >= limits::INCLUDE_DEPTH {
            return self.too_deep(span);
        }
        if self.includes_left == 0 {
            return self.stop(codes::INPUT_LIMIT, span, "there is too much input", "more than 10000 files");
        }
        self.includes_left -= 1;
        let next = kind == Include::Next;
        if next && self.frames.len() == 1 {
            let message = "`#include_next` in the file that is compiled";
            let label = "nothing was searched for it: this is a plain `#include`";
            self.error(Diagnostic::warning(codes::DIRECTIVE, span, message, label));
        }
        match self.search(&name, quoted, next) {
            Ok(found) => {
                if !self.is_done(&found, kind) {
                    self.open(found, Some(span));
                }
            }
            // A missing file is reported once, however many directives name it.
            Err(_) if !self.missing.insert(name) => {}
            Err(diagnostic) => self.error(diagnostic.at(span)),
        }
    }

    /// Whether a file is not to be read again.
    fn is_done(&mut self, file: &Found, kind: Include) -> bool {
        if kind != Include::Once && self.once.is_empty() {
            return false;
        }
        let identity = self.loader.identity(&file.path);
        match kind {
            Include::Once => {
                let loader = self.loader;
                self.identities.extend(self.unidentified.drain(..).map(|path| loader.identity(&path)));
                let read = self.identities.contains(&identity);
                let first_import = self.once.insert(identity);
                read || !first_import
            }
            _ => self.once.contains(&identity),
        }
    }

    /// The first file of this name.
    pub(super) fn find(&mut self, name: &str, quoted: bool, next: bool) -> Option<PathBuf> {
        // Each question reads a file: they count as includes do.
        self.includes_left = self.includes_left.checked_sub(1)?;
        self.search(name, quoted, next).ok().map(|found| found.path)
    }

    fn search(&self, name: &str, quoted: bool, next: bool) -> Result<Found, NotFound> {
        let mut tried = Vec::new();
        for Candidate { path, folder } in self.candidates(name, quoted, next) {
            match self.loader.load(&path) {
                Ok(bytes) => return Ok(Found { path, folder, bytes }),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
                    ) =>
                {
                    tried.push(path);
                }
                Err(error) => {
                    return Err(NotFound {
                        message: format!("cannot read `{}`: {error}", path.display()),
                        help: None,
                    });
                }
            }
        }
        Err(NotFound { message: format!("`{name}` is not found"), help: Some(searched(&tried, name)) })
    }

    /// The name after `#include`, and whether it stands in quotes.
    fn included_name(&mut self, hash: Span) -> Option<(String, bool, Span)> {
        if let Some(token) = self.frames.last_mut()?.lexer.file_name(&mut self.names) {
            self.skip_line();
            let text = self.names.text(token.symbol);
            return Some((text[1..text.len() - 1].to_owned(), token.kind == Kind::Str, token.span));
        }
        let tokens = self.line_tokens();
        let span = tokens.first().map_or(hash, |t| t.span);
        let found = self.file_named(tokens, hash);
        if found.is_none() && !self.stopped {
            self.malformed(span, "`#include` needs a file", "`\"…\"` or `<…>` was expected");
        }
        let (name, quoted) = found?;
        Some((name, quoted, span))
    }

    /// The name of a file in tokens, which macros may make, and whether it stands in quotes.
    pub(super) fn file_named(&mut self, tokens: Vec<Token>, site: Span) -> Option<(String, bool)> {
        let tokens = match tokens.as_slice() {
            [token] if matches!(token.kind, Kind::Str | Kind::Angled) => tokens,
            _ => self.expand_apart(tokens, site),
        };
        let mut text = String::new();
        for (index, token) in tokens.iter().enumerate() {
            if token.space && index > 0 {
                text.push(' ');
            }
            text.push_str(self.names.spelled(token));
        }
        let stripped = |open, close| text.strip_prefix(open).and_then(|t| t.strip_suffix(close));
        let found =
            stripped('"', '"').map(|name| (name, true)).or(stripped('<', '>').map(|name| (name, false)));
        found.map(|(name, quoted)| (name.to_owned(), quoted))
    }

    /// Where a file may be: `"…"` first in the folder of the file that includes it, then in those of `-I`.
    fn candidates(&self, name: &str, quoted: bool, next: bool) -> Vec<Candidate> {
        if Path::new(name).is_absolute() {
            return vec![Candidate { path: name.into(), folder: None }];
        }
        let frame = self.frames.last();
        let next = next && self.frames.len() > 1;
        let here = frame.and_then(|f| f.path.parent()).filter(|_| quoted && !next);
        let here = here.map(|folder| Candidate { path: folder.join(name), folder: None });
        let first = if next { frame.and_then(|f| f.folder).map_or(0, |folder| folder + 1) } else { 0 };
        let folders = self.options.include_dirs.iter().enumerate().skip(first);
        let folders = folders.map(|(at, folder)| Candidate { path: folder.join(name), folder: Some(at) });
        here.into_iter().chain(folders).collect()
    }

    fn too_deep(&mut self, span: Span) {
        let paths: Vec<_> = self.frames.iter().map(|f| f.path.clone()).collect();
        let last = paths.last().cloned().unwrap_or_default();
        let diagnostic = Diagnostic::error(
            codes::INCLUDE_DEPTH,
            span,
            "files include one another too deep",
            "64 files are open here",
        );
        let diagnostic = match paths[..paths.len() - 1].iter().rposition(|path| *path == last) {
            Some(first) => {
                let cycle: Vec<_> = paths[first..].iter().map(|p| format!("`{}`", p.display())).collect();
                diagnostic.with_help(format!("a cycle: {}", cycle.join(" includes ")))
            }
            None => diagnostic,
        };
        self.error(diagnostic);
        // Without an end here a cycle of two includes would double at each of 64 levels.
        self.halt();
    }
}

/// Why a search found nothing that can be read.
struct NotFound {
    message: String,
    /// Where it looked, if it looked everywhere.
    help: Option<String>,
}

impl NotFound {
    fn at(self, span: Span) -> Diagnostic {
        let label = if self.help.is_some() { "in no folder that is searched" } else { "included here" };
        let diagnostic = Diagnostic::error(codes::INCLUDE, span, self.message, label);
        match self.help {
            Some(help) => diagnostic.with_help(help),
            None => diagnostic,
        }
    }
}

fn searched(tried: &[PathBuf], name: &str) -> String {
    let folders: Vec<_> = tried
        .iter()
        .map(|path| {
            let folder = path.to_string_lossy();
            let folder = folder.strip_suffix(name).unwrap_or(&folder).trim_end_matches('/');
            if folder.is_empty() { "`.`".to_owned() } else { format!("`{folder}`") }
        })
        .collect();
    match folders.as_slice() {
        [] => "no folder is searched: add one with `-I`".to_owned(),
        _ => format!("searched {}; `-I` adds folders", folders.join(", ")),
    }
}
