//! Lines that start with `#`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::macros::Macro;
use super::{Conditional, Preprocessor};
use crate::diagnostics::Diagnostic;
use crate::source::Span;
use crate::token::{Kind, Punct, Symbol, Token};
use crate::{codes, limits};

/// What is wrong with a `#define`, and where if that is not its name.
type Misdefined = (Option<Span>, &'static str);
/// The names, whether the last is `...`, and how many tokens they took.
type Parameters = (Vec<Symbol>, bool, usize);

/// The words behind `#`.
const DIRECTIVES: &[&str] = &[
    "include", "define", "undef", "if", "ifdef", "ifndef", "elif", "else", "endif", "error", "warning",
    "pragma", "line", "ident",
];

impl Preprocessor<'_> {
    /// Obeys the directive whose `#` was just read, to the end of its line.
    pub(super) fn directive(&mut self, hash: Token) {
        if self.names.len() > limits::NAMES {
            return self.stop(
                codes::INPUT_LIMIT,
                hash.span,
                "there is too much input",
                "more than 524288 names",
            );
        }
        let word = self.line_token();
        match (word.kind, self.names.text(word.symbol)) {
            (Kind::Newline | Kind::End, _) => {}
            (Kind::Number, _) => self.line_marker(Some(word), hash.span),
            (Kind::Ident, "include") => self.include(hash.span),
            (Kind::Ident, "define") => self.define(hash.span),
            (Kind::Ident, "undef") => self.undefine(hash.span),
            (Kind::Ident, "if" | "ifdef" | "ifndef" | "elif" | "else" | "endif") => self.conditional(word),
            (Kind::Ident, "error") => self.message(word.span, true),
            (Kind::Ident, "warning") => self.message(word.span, false),
            (Kind::Ident, "pragma" | "ident") => self.skip_line(),
            (Kind::Ident, "line") => self.line_marker(None, hash.span),
            _ => self.unknown(word),
        }
        self.docs.directive();
    }

    fn unknown(&mut self, word: Token) {
        self.skip_rest(word);
        let spelled = self.names.spelled(&word).to_owned();
        let diagnostic = Diagnostic::error(
            codes::DIRECTIVE,
            word.span,
            format!("unknown directive `#{spelled}`"),
            "not known",
        );
        let diagnostic = match crate::suggest::nearest(&spelled, DIRECTIVES.iter().copied()) {
            Some(near) => diagnostic.with_help(format!("did you mean `#{near}`?")),
            None => diagnostic,
        };
        self.error(diagnostic);
    }

    fn malformed(&mut self, span: Span, message: &str, label: &str) {
        self.error(Diagnostic::error(codes::DIRECTIVE, span, message, label));
    }

    /// The next token of the directive: at its end a newline (which is taken) or the end of the file.
    fn line_token(&mut self) -> Token {
        let mut space = false;
        loop {
            let Some(frame) = self.frames.last_mut() else { return self.end() };
            let mut token = frame.lexer.next(&mut self.names);
            match token.kind {
                Kind::Comment => space = true,
                Kind::UnclosedComment => self.unclosed_comment(token.span),
                Kind::Newline => {
                    frame.line_start = true;
                    return token;
                }
                _ => {
                    token.space |= space;
                    return token;
                }
            }
        }
    }

    /// The rest of the directive.
    fn line_tokens(&mut self) -> Vec<Token> {
        let mut tokens = Vec::new();
        loop {
            let token = self.line_token();
            if matches!(token.kind, Kind::Newline | Kind::End) {
                return tokens;
            }
            tokens.push(token);
            if tokens.len() == limits::DIRECTIVE_TOKENS {
                let label = "more than 65536 tokens in one directive";
                self.stop(codes::INPUT_LIMIT, token.span, "there is too much input", label);
                return Vec::new();
            }
        }
    }

    fn skip_line(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.lexer.skip_line();
            frame.line_start = true;
        }
    }

    /// Skips the line unless `last`, the last token read, ended it.
    fn skip_rest(&mut self, last: Token) {
        if !matches!(last.kind, Kind::Newline | Kind::End) {
            self.skip_line();
        }
    }

    // Macros

    fn define(&mut self, hash: Span) {
        let tokens = self.line_tokens();
        if self.stopped {
            return;
        }
        let span = tokens.first().map_or(hash, |t| t.span);
        match self.definition(&tokens) {
            Ok(definition) => self.add_macro(definition),
            Err((place, label)) => {
                let message = "this `#define` defines no macro";
                self.error(Diagnostic::error(codes::DEFINE, place.unwrap_or(span), message, label));
            }
        }
    }

    fn definition(&mut self, tokens: &[Token]) -> Result<Macro, Misdefined> {
        let (name, rest) = tokens.split_first().ok_or((None, "a name is missing"))?;
        if name.kind != Kind::Ident {
            return Err((Some(name.span), "not a name"));
        }
        if self.names.text(name.symbol) == "defined" {
            return Err((Some(name.span), "`defined` cannot be a macro"));
        }
        let called = rest.first().is_some_and(|t| t.is(Punct::LParen) && !t.space);
        let (parameters, variadic, body) = if called {
            let (parameters, variadic, taken) = self.parameters(&rest[1..])?;
            (Some(parameters), variadic, &rest[1 + taken..])
        } else {
            (None, false, rest)
        };
        if let Some(edge) = [body.first(), body.last()].into_iter().flatten().find(|t| t.is(Punct::HashHash))
        {
            return Err((Some(edge.span), "`##` needs something on both sides"));
        }
        let body = body.to_vec();
        Ok(Macro { name: name.symbol, span: name.span, parameters, variadic, body, active: false.into() })
    }

    /// The parameters up to `)`.
    fn parameters(&mut self, tokens: &[Token]) -> Result<Parameters, Misdefined> {
        let mut names = Vec::new();
        let mut variadic = false;
        let mut at = 0;
        if tokens.first().is_some_and(|t| t.is(Punct::RParen)) {
            return Ok((names, false, 1));
        }
        loop {
            let name = tokens.get(at).ok_or((None, "the list of parameters has no `)`"))?;
            let symbol = match name.kind {
                Kind::Ident => name.symbol,
                Kind::Punct(Punct::Ellipsis) => {
                    variadic = true;
                    self.names.intern("__VA_ARGS__")
                }
                _ => return Err((Some(name.span), "not the name of a parameter")),
            };
            if names.contains(&symbol) {
                return Err((Some(name.span), "two parameters of this name"));
            }
            names.push(symbol);
            if names.len() > limits::PARAMETERS {
                return Err((Some(name.span), "more than 256 parameters"));
            }
            let end = tokens.get(at + 1).ok_or((None, "the list of parameters has no `)`"))?;
            at += 2;
            match end.kind {
                Kind::Punct(Punct::RParen) => return Ok((names, variadic, at)),
                Kind::Punct(Punct::Comma) if !variadic => {}
                _ => return Err((Some(end.span), "`,` or `)` was expected")),
            }
        }
    }

    fn add_macro(&mut self, definition: Macro) {
        let index = definition.name.index();
        if self.macros.len() <= index {
            self.macros.resize_with(index + 1, || None);
        }
        if let Some(old) = self.macros[index].as_ref().filter(|old| !old.same(&definition)) {
            let message = format!("the macro `{}` is defined again", self.names.text(definition.name));
            let diagnostic =
                Diagnostic::warning(codes::REDEFINED, definition.span, message, "from here on it means this")
                    .with_note(old.span, "it meant this")
                    .with_help("`#undef` in front says that this is wanted");
            self.error(diagnostic);
        }
        self.macros[index] = Some(Rc::new(definition));
    }

    fn undefine(&mut self, hash: Span) {
        let name = self.line_token();
        if name.kind != Kind::Ident {
            self.skip_rest(name);
            return self.malformed(hash, "`#undef` without a name", "a name is missing");
        }
        if let Some(slot) = self.macros.get_mut(name.symbol.index()) {
            *slot = None;
        }
        self.skip_line();
    }

    // Conditionals

    /// `#if` and its kin, in text that is read.
    fn conditional(&mut self, word: Token) {
        let name = self.names.shared(word.symbol);
        match &*name {
            "if" | "ifdef" | "ifndef" => {
                let taken = match &*name {
                    "if" => self.condition(word.span),
                    _ => self.is_defined(word.span) == (&*name == "ifdef"),
                };
                if let Some(frame) = self.frames.last_mut() {
                    if frame.conditionals.len() == limits::CONDITIONALS {
                        let label = "more than 1024 conditionals in one another";
                        return self.stop(codes::INPUT_LIMIT, word.span, "there is too much input", label);
                    }
                    frame.conditionals.push(Conditional { span: word.span, taken, else_seen: false });
                }
                if !taken {
                    self.skip_group();
                }
            }
            _ => {
                if !self.branch(&name, word.span) {
                    self.skip_group();
                }
            }
        }
    }

    /// `#elif`, `#else` or `#endif` of the innermost conditional; true if the text behind it is read.
    fn branch(&mut self, name: &str, span: Span) -> bool {
        let Some(conditional) = self.frames.last_mut().and_then(|f| f.conditionals.last_mut()) else {
            self.skip_line();
            let message = format!("`#{name}` without `#if`");
            self.error(Diagnostic::error(codes::STRAY_CONDITIONAL, span, message, "nothing to belong to"));
            return true;
        };
        if name == "endif" {
            self.skip_line();
            if let Some(frame) = self.frames.last_mut() {
                frame.conditionals.pop();
            }
            return true;
        }
        let (opened, else_seen, taken) = (conditional.span, conditional.else_seen, conditional.taken);
        conditional.else_seen |= name == "else";
        if else_seen {
            self.skip_line();
            let message = format!("`#{name}` behind `#else`");
            let diagnostic =
                Diagnostic::error(codes::STRAY_CONDITIONAL, span, message, "`#endif` was expected");
            self.error(diagnostic.with_note(opened, "this conditional"));
            return false;
        }
        if name == "else" || taken {
            // The condition of a branch that cannot be taken is not looked at.
            self.skip_line();
        }
        let taken_now = !taken && (name == "else" || self.condition(span));
        if let Some(conditional) = self.frames.last_mut().and_then(|f| f.conditionals.last_mut()) {
            conditional.taken |= taken_now;
        }
        taken_now
    }

    /// Goes past text that is not to be read, up to the branch that is, or the end of the conditional or file.
    fn skip_group(&mut self) {
        let mut depth = 0u64;
        while let Some(frame) = self.frames.last_mut() {
            if !frame.lexer.skip_to_directive() {
                return;
            }
            let word = self.line_token();
            let name = if word.kind == Kind::Ident { self.names.shared(word.symbol) } else { "".into() };
            match &*name {
                "if" | "ifdef" | "ifndef" => depth += 1,
                "endif" if depth > 0 => depth -= 1,
                "elif" | "else" | "endif" if depth == 0 => {
                    if self.branch(&name, word.span) {
                        return;
                    }
                    continue;
                }
                _ => {}
            }
            self.skip_rest(word);
        }
    }

    /// The name behind `#ifdef`.
    fn is_defined(&mut self, span: Span) -> bool {
        let name = self.line_token();
        self.skip_rest(name);
        if name.kind != Kind::Ident {
            self.malformed(span, "this directive needs a name", "a name is missing");
            return false;
        }
        self.macros.get(name.symbol.index()).is_some_and(Option::is_some)
    }

    /// The expression behind `#if`; false if it is wrong.
    fn condition(&mut self, span: Span) -> bool {
        let tokens = self.line_tokens();
        let outer = std::mem::replace(&mut self.in_condition, true);
        let expanded = self.expand_apart(tokens, span);
        self.in_condition = outer;
        if self.stopped {
            return false;
        }
        match super::condition::evaluate(&expanded, &self.names, span) {
            Ok(value) => value,
            Err(diagnostic) => {
                self.error(diagnostic);
                false
            }
        }
    }

    /// The operator `defined`, whose operand follows, as a number.
    pub(super) fn defined(&mut self, operator: Token) -> Token {
        let mut name = self.unexpanded();
        let paren = name.is(Punct::LParen);
        if paren {
            name = self.unexpanded();
        }
        let closed = !paren || self.unexpanded().is(Punct::RParen);
        if name.kind != Kind::Ident || !closed {
            let message = "`defined` needs the name of a macro";
            self.error(Diagnostic::error(codes::CONDITION, operator.span, message, "a name is missing"));
        }
        let defined = self.macros.get(name.symbol.index()).is_some_and(Option::is_some);
        Token { kind: Kind::Number, symbol: self.names.intern(if defined { "1" } else { "0" }), ..operator }
    }

    // The others

    fn message(&mut self, span: Span, is_error: bool) {
        let Some(frame) = self.frames.last_mut() else { return };
        let (text, _) = frame.lexer.rest_of_line();
        self.skip_line();
        let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
        self.error(if is_error {
            Diagnostic::error(codes::ERROR, span, text, "the file says so")
        } else {
            Diagnostic::warning(codes::WARNING, span, text, "the file says so")
        });
    }

    /// `#line 12 "file"` or `# 12 "file" …`, whose number may have been read.
    fn line_marker(&mut self, number: Option<Token>, hash: Span) {
        let tokens = self.line_tokens();
        if self.stopped {
            return;
        }
        let tokens = match number {
            Some(number) => [vec![number], tokens].concat(),
            None => self.expand_apart(tokens, hash),
        };
        let number = tokens.first().filter(|t| t.kind == Kind::Number);
        let Some(line) = number.and_then(|t| self.names.text(t.symbol).parse().ok()) else {
            return self.malformed(hash, "`#line` needs a line number", "a decimal number is missing");
        };
        let name = tokens
            .get(1)
            .filter(|t| t.kind == Kind::Str)
            .map(|t| self.names.text(t.symbol).trim_matches('"'));
        if let Some(frame) = self.frames.last() {
            self.sources.mark(frame.lexer.offset(), line, name);
        }
    }

    fn include(&mut self, hash: Span) {
        let Some((name, quoted, span)) = self.included_name(hash) else { return };
        if self.frames.len() >= limits::INCLUDE_DEPTH {
            return self.too_deep(span);
        }
        if self.includes_left == 0 {
            return self.stop(codes::INPUT_LIMIT, span, "there is too much input", "more than 10000 files");
        }
        self.includes_left -= 1;
        let mut tried = Vec::new();
        for path in self.candidates(&name, quoted) {
            match self.loader.load(&path) {
                Ok(bytes) => return self.open(&path, bytes, Some(span)),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    tried.push(path);
                }
                Err(error) => {
                    let message = format!("cannot read `{}`: {error}", path.display());
                    return self.error(Diagnostic::error(codes::INCLUDE, span, message, "included here"));
                }
            }
        }
        let diagnostic = Diagnostic::error(
            codes::INCLUDE,
            span,
            format!("`{name}` is not found"),
            "in no folder that is searched",
        );
        self.error(diagnostic.with_help(searched(&tried, &name)));
    }

    /// The name behind `#include`, and whether it stands in quotes.
    fn included_name(&mut self, hash: Span) -> Option<(String, bool, Span)> {
        if let Some(token) = self.frames.last_mut()?.lexer.file_name(&mut self.names) {
            self.skip_line();
            let text = self.names.text(token.symbol);
            return Some((text[1..text.len() - 1].to_owned(), token.kind == Kind::Str, token.span));
        }
        let tokens = self.line_tokens();
        let tokens = self.expand_apart(tokens, hash);
        if self.stopped {
            return None;
        }
        let span = tokens.first().map_or(hash, |t| t.span);
        let text: String = tokens.iter().map(|t| self.names.spelled(t)).collect();
        let stripped = |open, close| text.strip_prefix(open).and_then(|t| t.strip_suffix(close));
        let found =
            stripped('"', '"').map(|name| (name, true)).or(stripped('<', '>').map(|name| (name, false)));
        match found {
            Some((name, quoted)) => Some((name.to_owned(), quoted, span)),
            None => {
                self.malformed(span, "`#include` needs a file", "`\"…\"` or `<…>` was expected");
                None
            }
        }
    }

    /// Where a file may be: `"…"` first in the folder of the file that includes it, then in those of `-I`.
    fn candidates(&self, name: &str, quoted: bool) -> Vec<PathBuf> {
        let here = self.frames.last().and_then(|f| f.path.parent()).filter(|_| quoted);
        let folders = here.into_iter().chain(self.options.include_dirs.iter().map(PathBuf::as_path));
        if Path::new(name).is_absolute() {
            vec![name.into()]
        } else {
            folders.map(|f| f.join(name)).collect()
        }
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
