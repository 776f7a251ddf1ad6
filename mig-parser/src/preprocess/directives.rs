//! Lines that start with `#`.

use std::rc::Rc;

use super::built_in::BuiltIn;
use super::include::Include;
use super::macros::{Definition, Macro};
use super::{Conditional, Preprocessor, substitute};
use crate::diagnostics::Diagnostic;
use crate::source::Span;
use crate::token::{Kind, Punct, Symbol, Token};
use crate::{codes, limits};

/// What is wrong with a `#define`, and where if that is not its name.
type Misdefined = (Option<Span>, &'static str);
/// The names, whether the last is `...`, and how many tokens they took.
type Parameters = (Vec<Symbol>, bool, usize);

/// The words after `#`.
const DIRECTIVES: &[&str] = &[
    "include",
    "include_next",
    "import",
    "define",
    "undef",
    "if",
    "ifdef",
    "ifndef",
    "elif",
    "elifdef",
    "elifndef",
    "else",
    "endif",
    "error",
    "warning",
    "pragma",
    "line",
    "ident",
    "sccs",
    "assert",
    "unassert",
];

/// Those of conditionals.
const CONDITIONALS: &[&str] = &["if", "ifdef", "ifndef", "elif", "elifdef", "elifndef", "else", "endif"];

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
            (Kind::Ident, "include") => self.include(hash.span, Include::Plain),
            (Kind::Ident, "include_next") => self.include(hash.span, Include::Next),
            (Kind::Ident, "import") => self.include(hash.span, Include::Once),
            (Kind::Ident, "define") => self.define(hash.span),
            (Kind::Ident, "undef") => self.undefine(hash.span),
            (Kind::Ident, text) if CONDITIONALS.contains(&text) => self.conditional(word),
            (Kind::Ident, "error") => self.message(word.span, true),
            (Kind::Ident, "warning") => self.message(word.span, false),
            (Kind::Ident, "pragma") => {
                let tokens = self.line_tokens();
                self.pragma(&tokens, word.span);
            }
            (Kind::Ident, "assert") => self.assert(hash.span),
            (Kind::Ident, "unassert") => self.unassert(hash.span),
            (Kind::Ident, "ident" | "sccs") => self.skip_line(),
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

    pub(super) fn malformed(&mut self, span: Span, message: &str, label: &str) {
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
    pub(super) fn line_tokens(&mut self) -> Vec<Token> {
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

    pub(super) fn skip_line(&mut self) {
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
        if self.in_target {
            return self.define_unread();
        }
        let tokens = self.line_tokens();
        if let Some(definition) = self.definition_in(&tokens, hash) {
            self.add_macro(definition);
        }
    }

    /// Notes where a `#define` of the target stands.
    fn define_unread(&mut self) {
        let name = self.line_token();
        self.skip_rest(name);
        if name.kind == Kind::Ident {
            *self.definition_of(name.symbol) = Some(Definition::Unread(name.span.start));
        }
    }

    /// The macro of this name that a `#define` has made, which may be read now.
    pub(super) fn written(&mut self, name: Symbol) -> Option<Rc<Macro>> {
        let place = match self.macros.get(name.index())?.as_ref()? {
            Definition::Written(definition) => return Some(definition.clone()),
            Definition::Unread(place) => *place,
            Definition::BuiltIn(_) => return None,
        };
        let mut lexer = self.target.as_ref()?.from(place);
        let mut tokens = Vec::new();
        loop {
            let token = lexer.next(&mut self.names);
            match token.kind {
                Kind::Newline | Kind::End => break,
                Kind::Comment => {}
                _ => tokens.push(token),
            }
        }
        let definition = self.definition_in(&tokens, Span::default()).map(Rc::new);
        *self.definition_of(name) = definition.clone().map(Definition::Written);
        definition
    }

    /// The macro that the tokens of a `#define` define; what is wrong with them is reported.
    fn definition_in(&mut self, tokens: &[Token], hash: Span) -> Option<Macro> {
        if self.stopped {
            return None;
        }
        let span = tokens.first().map_or(hash, |t| t.span);
        match self.definition(tokens) {
            Ok(definition) => Some(definition),
            Err((place, label)) => {
                let message = "this `#define` defines no macro";
                self.error(Diagnostic::error(codes::DEFINE, place.unwrap_or(span), message, label));
                None
            }
        }
    }

    fn definition(&mut self, tokens: &[Token]) -> Result<Macro, Misdefined> {
        let (name, rest) = tokens.split_first().ok_or((None, "a name is missing"))?;
        if name.kind != Kind::Ident {
            return Err((Some(name.span), "not a name"));
        }
        if let Some(Some(Definition::BuiltIn(built_in))) = self.macros.get(name.symbol.index()) {
            if matches!(built_in, BuiltIn::Defined | BuiltIn::Pragma | BuiltIn::HasInclude { .. }) {
                return Err((Some(name.span), "this operator cannot be a macro"));
            }
        }
        let called = rest.first().is_some_and(|t| t.is(Punct::LParen) && !t.space);
        let (parameters, variadic, body) = if called {
            let (parameters, variadic, taken) = self.parameters(&rest[1..])?;
            (Some(parameters), variadic, &rest[1 + taken..])
        } else {
            (None, false, rest)
        };
        let body = body.to_vec();
        let text = self.names.text(name.symbol).into();
        let Token { symbol: name, span, .. } = *name;
        let definition = Macro { name, text, span, parameters, variadic, body, active: false.into() };
        match substitute::wrong_body(&definition, &self.names) {
            Some((place, label)) => Err((Some(place), label)),
            None => Ok(definition),
        }
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
            // GNU's name for the arguments that are left: `rest...`.
            if !variadic && tokens.get(at + 1).is_some_and(|t| t.is(Punct::Ellipsis)) {
                variadic = true;
                at += 1;
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
        let old = self.written(definition.name).filter(|old| !old.same(&definition)).map(|old| old.span);
        // What the options say about the target overrides it.
        if let Some(old) =
            old.filter(|old| !(self.in_predefined(*old) && self.in_command_line(definition.span)))
        {
            let message = format!("the macro `{}` is defined again", self.names.text(definition.name));
            let diagnostic =
                Diagnostic::warning(codes::REDEFINED, definition.span, message, "from here on it means this")
                    .with_note(old, "it meant this")
                    .with_help("`#undef` in front says that this is wanted");
            self.error(diagnostic);
        }
        let name = definition.name;
        *self.definition_of(name) = Some(Definition::Written(Rc::new(definition)));
    }

    fn undefine(&mut self, hash: Span) {
        let name = self.line_token();
        if name.kind != Kind::Ident {
            self.skip_rest(name);
            return self.malformed(hash, "`#undef` without a name", "a name is missing");
        }
        if self.is_macro(name.symbol) {
            *self.definition_of(name.symbol) = None;
        }
        self.skip_line();
    }

    // Conditionals

    /// `#if` and its kin, in text that is read.
    fn conditional(&mut self, word: Token) {
        match self.conditional_word(word) {
            name @ ("if" | "ifdef" | "ifndef") => {
                let taken = match name {
                    "if" => self.condition(word.span),
                    _ => self.is_defined(word.span) == (name == "ifdef"),
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
            name => {
                if !self.branch(name, word.span) {
                    self.skip_group();
                }
            }
        }
    }

    /// The directive of a conditional that a word is, or nothing.
    fn conditional_word(&self, word: Token) -> &'static str {
        let text = if word.kind == Kind::Ident { self.names.text(word.symbol) } else { "" };
        CONDITIONALS.iter().copied().find(|name| *name == text).unwrap_or_default()
    }

    /// `#elif`, `#else` or `#endif` of the innermost conditional; true if the text after it is read.
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
            let message = format!("`#{name}` after `#else`");
            let diagnostic =
                Diagnostic::error(codes::STRAY_CONDITIONAL, span, message, "`#endif` was expected");
            self.error(diagnostic.with_note(opened, "this conditional"));
            return false;
        }
        if name == "else" || taken {
            // The condition of a branch that cannot be taken is not looked at.
            self.skip_line();
        }
        let taken_now = !taken
            && match name {
                "else" => true,
                "elifdef" => self.is_defined(span),
                "elifndef" => !self.is_defined(span),
                _ => self.condition(span),
            };
        if let Some(conditional) = self.frames.last_mut().and_then(|f| f.conditionals.last_mut()) {
            conditional.taken |= taken_now;
        }
        taken_now
    }

    /// Goes past text that is not to be read: up to the branch that is, to the end of the conditional, or to
    /// that of the file.
    fn skip_group(&mut self) {
        let mut depth = 0u64;
        while let Some(frame) = self.frames.last_mut() {
            if !frame.lexer.skip_to_directive() {
                return;
            }
            let word = self.line_token();
            match self.conditional_word(word) {
                "if" | "ifdef" | "ifndef" => depth += 1,
                "endif" if depth > 0 => depth -= 1,
                name @ ("elif" | "elifdef" | "elifndef" | "else" | "endif") if depth == 0 => {
                    if self.branch(name, word.span) {
                        return;
                    }
                    continue;
                }
                _ => {}
            }
            self.skip_rest(word);
        }
    }

    /// The name after `#ifdef`.
    fn is_defined(&mut self, span: Span) -> bool {
        let name = self.line_token();
        self.skip_rest(name);
        if name.kind != Kind::Ident {
            self.malformed(span, "this directive needs a name", "a name is missing");
            return false;
        }
        self.is_macro(name.symbol)
    }

    /// The expression after `#if`; false if it is wrong.
    fn condition(&mut self, span: Span) -> bool {
        let tokens = self.line_tokens();
        let outer = std::mem::replace(&mut self.in_condition, true);
        let tokens = self.answer_assertions(tokens);
        let expanded = self.expand_apart(tokens, span);
        self.in_condition = outer;
        if self.stopped {
            return false;
        }
        let mut unknown = Vec::new();
        let value = super::condition::evaluate(&expanded, &self.names, span, &mut unknown);
        for name in unknown {
            self.unknown_name(name);
        }
        value.unwrap_or_else(|diagnostic| {
            self.error(diagnostic);
            false
        })
    }

    /// Warns of a name that is no macro and with which an `#if` computes: it counts as 0, which is most
    /// likely not what was meant.
    fn unknown_name(&mut self, name: Token) {
        if !self.unknown_names.insert(name.symbol) {
            return;
        }
        let text = self.names.text(name.symbol).to_owned();
        let known = self.macros.iter().enumerate().filter(|(_, definition)| definition.is_some());
        let known = known.map(|(index, _)| self.names.text(Symbol::at(index)));
        let help = match crate::suggest::nearest(&text, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("define it with `-D {text}=…`, or ask `defined({text})` first"),
        };
        let message = format!("`{text}` is no macro here");
        let diagnostic = Diagnostic::warning(codes::UNKNOWN_MACRO, name.span, message, "it counts as 0");
        self.error(diagnostic.with_help(help));
    }

    // The others

    fn message(&mut self, span: Span, is_error: bool) {
        let Some(frame) = self.frames.last_mut() else { return };
        let (text, _) = frame.lexer.rest_of_line();
        self.skip_line();
        self.said(span, &text, is_error);
    }

    /// Reports what a file says by `#error` or `#warning`.
    pub(super) fn said(&mut self, span: Span, text: &str, is_error: bool) {
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
}
