//! The macros and operators that every C compiler has without a `#define`.

use super::macros::Definition;
use super::{Preprocessor, pragma};
use crate::codes;
use crate::diagnostics::Diagnostic;
use crate::token::{Kind, Punct, Symbol, Token};

/// A macro or operator that is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuiltIn {
    /// `__FILE__`
    File,
    /// `__FILE_NAME__`: the file without its folder.
    FileName,
    /// `__BASE_FILE__`: the file that is compiled.
    BaseFile,
    /// `__LINE__`
    Line,
    /// `__INCLUDE_LEVEL__`
    IncludeLevel,
    /// `__COUNTER__`
    Counter,
    /// `__DATE__`
    Date,
    /// `__TIME__`
    Time,
    /// `__TIMESTAMP__`
    Timestamp,
    /// `defined`, in an `#if`.
    Defined,
    /// `_Pragma`
    Pragma,
    /// `__has_include` and `__has_include_next`.
    HasInclude { next: bool },
    /// `__has_feature` and its kin: whether the name is one of these.
    Has(&'static [&'static str]),
    /// `__has_builtin`
    HasBuiltin,
    /// `__is_identifier`
    IsIdentifier,
    /// `__is_target_arch` and its kin: for these names, whether these macros are defined.
    IsTarget(&'static [(&'static str, &'static str)]),
}

/// The date in all output: the same input makes the same output on every day.
const DATE: &str = "\"Jan  1 1970\"";
const TIME: &str = "\"00:00:00\"";
const TIMESTAMP: &str = "\"Thu Jan  1 00:00:00 1970\"";

const TABLE: &[(&str, BuiltIn)] = &[
    ("__FILE__", BuiltIn::File),
    ("__FILE_NAME__", BuiltIn::FileName),
    ("__BASE_FILE__", BuiltIn::BaseFile),
    ("__LINE__", BuiltIn::Line),
    ("__INCLUDE_LEVEL__", BuiltIn::IncludeLevel),
    ("__COUNTER__", BuiltIn::Counter),
    ("__DATE__", BuiltIn::Date),
    ("__TIME__", BuiltIn::Time),
    ("__TIMESTAMP__", BuiltIn::Timestamp),
    ("defined", BuiltIn::Defined),
    ("_Pragma", BuiltIn::Pragma),
    ("__has_include", BuiltIn::HasInclude { next: false }),
    ("__has_include_next", BuiltIn::HasInclude { next: true }),
    ("__has_feature", BuiltIn::Has(FEATURES)),
    ("__has_extension", BuiltIn::Has(FEATURES)),
    ("__has_attribute", BuiltIn::Has(ATTRIBUTES)),
    ("__has_c_attribute", BuiltIn::Has(&[])),
    ("__has_cpp_attribute", BuiltIn::Has(&[])),
    ("__has_declspec_attribute", BuiltIn::Has(&[])),
    ("__has_warning", BuiltIn::Has(&[])),
    ("__has_builtin", BuiltIn::HasBuiltin),
    ("__is_identifier", BuiltIn::IsIdentifier),
    ("__is_target_arch", BuiltIn::IsTarget(PROCESSORS)),
    ("__is_target_vendor", BuiltIn::IsTarget(&[("apple", "__APPLE__")])),
    (
        "__is_target_os",
        BuiltIn::IsTarget(&[("macos", "__APPLE__"), ("darwin", "__APPLE__"), ("hurd", "__gnu_hurd__")]),
    ),
    ("__is_target_environment", BuiltIn::IsTarget(&[("gnu", "__gnu_hurd__")])),
];

/// Built-in macros that clang has and gcc does not.
const CLANGS: &[&str] = &[
    "__has_declspec_attribute",
    "__has_warning",
    "__is_identifier",
    "__is_target_arch",
    "__is_target_vendor",
    "__is_target_os",
    "__is_target_environment",
];

/// Built-in macros that gcc has for C and clang does not.
const GCCS: &[&str] = &["__has_cpp_attribute"];

/// The features that gcc and clang have beyond C11, by their names in `__has_feature`.
const FEATURES: &[&str] = &[
    "attribute_availability",
    "attribute_availability_with_message",
    "attribute_deprecated_with_message",
    "attribute_unavailable_with_message",
    "c_alignas",
    "c_alignof",
    "c_atomic",
    "c_generic_selections",
    "c_static_assert",
    "c_thread_local",
    "enumerator_attributes",
];

/// Attributes that gcc and clang share.
const ATTRIBUTES: &[&str] = &[
    "alias",
    "aligned",
    "always_inline",
    "cold",
    "const",
    "constructor",
    "deprecated",
    "destructor",
    "fallthrough",
    "format",
    "gnu_inline",
    "hot",
    "malloc",
    "mode",
    "noinline",
    "nonnull",
    "noreturn",
    "nothrow",
    "packed",
    "pure",
    "returns_nonnull",
    "section",
    "sentinel",
    "transparent_union",
    "unavailable",
    "unused",
    "used",
    "vector_size",
    "visibility",
    "warn_unused_result",
    "weak",
];

const PROCESSORS: &[(&str, &str)] =
    &[("i386", "__i386__"), ("x86_64", "__x86_64__"), ("arm64", "__aarch64__"), ("aarch64", "__aarch64__")];

/// The words of C, which `__is_identifier` is asked about.
const KEYWORDS: &[&str] = &[
    "auto",
    "break",
    "case",
    "char",
    "const",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "float",
    "for",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "typedef",
    "union",
    "unsigned",
    "void",
    "volatile",
    "while",
    "_Alignas",
    "_Alignof",
    "_Atomic",
    "_Bool",
    "_Complex",
    "_Generic",
    "_Imaginary",
    "_Noreturn",
    "_Static_assert",
    "_Thread_local",
    "asm",
    "typeof",
    "__asm__",
    "__attribute__",
    "__extension__",
    "__inline__",
    "__typeof__",
];

impl BuiltIn {
    /// Whether `#ifdef` takes the name for a macro, which it does for all but `defined`.
    pub(super) fn is_macro(self) -> bool {
        self != BuiltIn::Defined
    }
}

impl Preprocessor<'_> {
    /// Enters the built-in names in the table of macros.
    pub(super) fn add_built_ins(&mut self) {
        for (name, built_in) in TABLE {
            let symbol = self.names.intern(name);
            *self.definition_of(symbol) = Some(Definition::BuiltIn(*built_in));
        }
    }

    /// Removes the names that the target's compiler does not have.
    pub(super) fn keep_the_compilers(&mut self) {
        let clang = self.names.intern("__clang__");
        for name in if self.is_macro(clang) { GCCS } else { CLANGS } {
            let symbol = self.names.intern(name);
            *self.definition_of(symbol) = None;
        }
    }

    /// The token that a use of the built-in `name` becomes; `None` if it becomes nothing.
    pub(super) fn built_in(&mut self, built_in: BuiltIn, name: Token) -> Option<Token> {
        Some(match built_in {
            BuiltIn::File => self.quoted(&self.place(name).0, name),
            BuiltIn::FileName => {
                let file = self.place(name).0;
                self.quoted(file.rsplit('/').next().unwrap_or_default(), name)
            }
            BuiltIn::BaseFile => {
                let file = self.main.to_string_lossy().into_owned();
                self.quoted(&file, name)
            }
            BuiltIn::Line => self.numbered(self.place(name).1, name),
            BuiltIn::IncludeLevel => self.numbered(self.frames.len().saturating_sub(1) as u32, name),
            BuiltIn::Counter => {
                self.counter += 1;
                self.numbered(self.counter - 1, name)
            }
            BuiltIn::Date => self.spelled_as(Kind::Str, DATE, name),
            BuiltIn::Time => self.spelled_as(Kind::Str, TIME, name),
            BuiltIn::Timestamp => self.spelled_as(Kind::Str, TIMESTAMP, name),
            BuiltIn::Defined if !self.in_condition => name,
            BuiltIn::Defined => {
                let defined = self.defined(name);
                self.truth(defined, name)
            }
            BuiltIn::Pragma => {
                self.pragma_operator(name);
                return None;
            }
            BuiltIn::HasInclude { next } => {
                let found = self.has_include(next, name);
                self.truth(found, name)
            }
            BuiltIn::Has(known) => {
                let word = self.operand_word(name);
                self.truth(word.is_some_and(|word| known.contains(&plain(&word))), name)
            }
            BuiltIn::HasBuiltin => {
                let word = self.operand_word(name);
                self.truth(word.is_some_and(|word| word.starts_with("__builtin_")), name)
            }
            BuiltIn::IsIdentifier => {
                let word = self.operand_word(name);
                self.truth(word.is_some_and(|word| !KEYWORDS.contains(&word.as_str())), name)
            }
            BuiltIn::IsTarget(macros) => {
                let word = self.operand_word(name).unwrap_or_default().to_ascii_lowercase();
                let mut asked = macros.iter().filter(|(target, _)| *target == word);
                let found = asked.any(|(_, name)| {
                    let symbol = self.names.intern(name);
                    self.is_macro(symbol)
                });
                self.truth(found, name)
            }
        })
    }

    /// The file and line of a token: of the outermost call, for what a macro made.
    fn place(&self, token: Token) -> (String, u32) {
        self.sources
            .locate(token.span)
            .map_or_else(Default::default, |place| (place.file.to_owned(), place.line))
    }

    fn spelled_as(&mut self, kind: Kind, text: &str, name: Token) -> Token {
        Token { kind, symbol: self.names.intern(text), ..name }
    }

    fn quoted(&mut self, text: &str, name: Token) -> Token {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        self.spelled_as(Kind::Str, &format!("\"{escaped}\""), name)
    }

    fn numbered(&mut self, number: u32, name: Token) -> Token {
        self.spelled_as(Kind::Number, &number.to_string(), name)
    }

    fn truth(&mut self, is: bool, name: Token) -> Token {
        self.spelled_as(Kind::Number, if is { "1" } else { "0" }, name)
    }

    /// Whether the operand of `defined`, which follows, is a macro.
    fn defined(&mut self, operator: Token) -> bool {
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
        self.is_macro(name.symbol)
    }

    fn has_include(&mut self, next: bool, operator: Token) -> bool {
        if !self.in_condition {
            let message = format!("`{}` stands outside of an `#if`", self.names.text(operator.symbol));
            self.error(Diagnostic::error(
                codes::CONDITION,
                operator.span,
                message,
                "only an `#if` can ask this",
            ));
            return false;
        }
        let Some(operand) = self.operand(operator) else { return false };
        match self.file_named(operand, operator.span) {
            Some((name, quoted)) => self.find(&name, quoted, next).is_some(),
            None => {
                self.operand_error(operator, "`\"…\"` or `<…>` was expected");
                false
            }
        }
    }

    /// The last name in the parentheses that follow: that of `__has_attribute(gnu::packed)` is `packed`.
    fn operand_word(&mut self, operator: Token) -> Option<String> {
        let operand = self.operand(operator)?;
        if operand.is_empty() {
            self.operand_error(operator, "a name was expected");
        }
        let word = operand.iter().rfind(|token| token.kind == Kind::Ident)?;
        Some(self.names.text(word.symbol).to_owned())
    }

    /// The tokens between the parentheses that follow, unexpanded. `None`, which is reported, if there are
    /// none.
    pub(super) fn operand(&mut self, operator: Token) -> Option<Vec<Token>> {
        if !self.paren_follows() {
            self.operand_error(operator, "`(` was expected after this");
            return None;
        }
        self.unexpanded();
        let mut depth = 0usize;
        let mut tokens = Vec::new();
        loop {
            let token = self.unexpanded();
            self.charge(1, operator.span);
            match token.kind {
                Kind::End => {
                    self.operand_error(operator, "no `)` for this");
                    return None;
                }
                Kind::Punct(Punct::RParen) if depth == 0 => return Some(tokens),
                Kind::Punct(Punct::RParen) => depth -= 1,
                Kind::Punct(Punct::LParen) => depth += 1,
                _ => {}
            }
            tokens.push(token);
        }
    }

    fn operand_error(&mut self, operator: Token, label: &str) {
        if !self.stopped {
            let message = format!("`{}` has no operand", self.names.text(operator.symbol));
            self.error(Diagnostic::error(codes::CONDITION, operator.span, message, label));
        }
    }

    /// `_Pragma("…")`: the directive in the string.
    fn pragma_operator(&mut self, operator: Token) {
        let Some(operand) = self.operand(operator) else { return };
        match operand.as_slice() {
            [text] if text.kind == Kind::Str => {
                let text = pragma::unquoted(self.names.text(text.symbol));
                let tokens = self.tokens_of(&text, operator.span);
                self.pragma(&tokens, operator.span);
            }
            _ => self.operand_error(operator, "a string was expected"),
        }
    }

    /// The slot of a name.
    pub(super) fn definition_of(&mut self, name: Symbol) -> &mut Option<Definition> {
        let index = name.index();
        if self.macros.len() <= index {
            self.macros.resize_with(index + 1, || None);
        }
        &mut self.macros[index]
    }

    /// Whether `#ifdef` finds this name.
    pub(super) fn is_macro(&self, name: Symbol) -> bool {
        match self.macros.get(name.index()) {
            Some(Some(Definition::BuiltIn(built_in))) => built_in.is_macro(),
            Some(Some(Definition::Written(_) | Definition::Unread(_))) => true,
            _ => false,
        }
    }
}

/// `__packed__` is `packed`.
fn plain(word: &str) -> &str {
    word.strip_prefix("__").and_then(|word| word.strip_suffix("__")).unwrap_or(word)
}
