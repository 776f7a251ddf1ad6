//! Tokens as the printer wants them: whole operators, each token with its kind, groups with their width.

use std::fmt::Write as _;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// The width of what has to stand on several lines.
pub(super) const TALL: usize = 1 << 20;

/// What a token is, as far as the space around it depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name.
    Word,
    /// A keyword that stands before something, or a lifetime.
    Keyword,
    Literal,
    Group(Delimiter),
    /// `<` and `>`: generated code compares nothing with them.
    Less,
    Greater,
    Comma,
    Semicolon,
    Colon,
    /// `::`
    Path,
    Dot,
    /// `..`
    Range,
    /// `?` after an expression.
    Question,
    /// `!` of a macro's call.
    Bang,
    /// `#` of an attribute.
    Hash,
    /// What stands before an operand, and belongs to it: `&`, `*`, `?Sized`.
    Prefix,
    /// What stands between two operands.
    Infix,
    /// `=`
    Equal,
    /// `=>`
    Arrow,
    /// The bars around the parameters of a closure, and `||` where there are none.
    OpenBar,
    CloseBar,
    NoParameters,
}

/// A token or a group of them.
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Where its text begins and ends in [`Tokens::text`].
    pub(super) text: (usize, usize),
    /// What is in a group.
    pub(super) inner: Vec<Token>,
    /// How wide it is on one line; [`TALL`] if it cannot be on one.
    pub(super) width: usize,
}

impl Token {
    /// True for the end of an expression or of a type.
    pub(super) fn is_operand(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Literal | Kind::Group(_) | Kind::Greater | Kind::Question)
    }

    pub(super) fn is_braced(&self) -> bool {
        self.kind == Kind::Group(Delimiter::Brace)
    }
}

/// Words after which a parenthesis is no call and a minus no subtraction.
const KEYWORDS: &[&str] = &[
    "as", "const", "dyn", "else", "enum", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod",
    "move", "mut", "pub", "ref", "return", "static", "struct", "trait", "type", "unsafe", "use", "where",
    "while",
];

/// Operators of more than one character. `>>` closes two lists of arguments instead.
const LONG: &[&str] = &["::", "->", "=>", "..", "..=", "==", "!=", "<=", ">=", "&&", "||"];

/// Tokens of some items, with the text of all of them.
#[derive(Default)]
pub(super) struct Tokens {
    pub(super) text: String,
}

impl Tokens {
    /// The tokens of a stream.
    pub(super) fn read(&mut self, stream: TokenStream) -> Vec<Token> {
        let mut stream = stream.into_iter().peekable();
        let mut tokens: Vec<Token> = Vec::with_capacity(stream.size_hint().0);
        let mut in_bars = false;
        while let Some(tree) = stream.next() {
            let start = self.text.len();
            let previous = tokens.last();
            let kind = match tree {
                TokenTree::Group(group) => {
                    if group.delimiter() == Delimiter::None {
                        let stream = group.stream();
                        drop(group);
                        tokens.extend(self.read(stream));
                    } else {
                        let group = self.group(group, previous);
                        tokens.push(group);
                    }
                    continue;
                }
                TokenTree::Ident(ident) => {
                    let _ = write!(self.text, "{ident}");
                    if KEYWORDS.contains(&&self.text[start..]) { Kind::Keyword } else { Kind::Word }
                }
                TokenTree::Literal(literal) => {
                    let _ = write!(self.text, "{literal}");
                    Kind::Literal
                }
                TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                    self.text.push('\'');
                    if let Some(name) = stream.next() {
                        let _ = write!(self.text, "{name}");
                    }
                    Kind::Keyword
                }
                TokenTree::Punct(punct) => {
                    self.text.push(punct.as_char());
                    let mut spacing = punct.spacing();
                    while let (Spacing::Joint, Some(TokenTree::Punct(next))) = (spacing, stream.peek()) {
                        self.text.push(next.as_char());
                        if !LONG.contains(&&self.text[start..]) {
                            self.text.pop();
                            break;
                        }
                        spacing = next.spacing();
                        stream.next();
                    }
                    let after_operand = previous.is_some_and(Token::is_operand);
                    let is_macro = matches!(stream.peek(), Some(TokenTree::Group(_)));
                    operator(&self.text[start..], after_operand, is_macro, &mut in_bars)
                }
            };
            let end = self.text.len();
            let width = match kind {
                Kind::Literal => self.text[start..].chars().count(),
                _ => end - start,
            };
            tokens.push(Token { kind, text: (start, end), inner: Vec::new(), width });
        }
        tokens
    }

    fn group(&mut self, group: proc_macro2::Group, previous: Option<&Token>) -> Token {
        let delimiter = group.delimiter();
        let stream = group.stream();
        // With the group gone the tokens have one owner, and need not be copied to be taken.
        drop(group);
        let mut inner = self.read(stream);
        let is_list = delimiter != Delimiter::Parenthesis
            || previous.is_some_and(Token::is_operand)
            || inner.iter().filter(|token| token.kind == Kind::Comma).count() > 1;
        if is_list && inner.last().is_some_and(|token| token.kind == Kind::Comma) {
            inner.pop();
        }
        let is_tall = |token: &Token| matches!(token.kind, Kind::Hash | Kind::Semicolon | Kind::Arrow);
        let width = match delimiter {
            Delimiter::Brace if inner.iter().any(is_tall) => TALL,
            Delimiter::Brace if !inner.is_empty() && !is_tight(previous) => width(&inner) + 4,
            _ => width(&inner) + 2,
        };
        Token { kind: Kind::Group(delimiter), text: (0, 0), inner, width }
    }
}

/// Braces that follow a path, in a `use`, have no space within.
pub(super) fn is_tight(previous: Option<&Token>) -> bool {
    previous.is_some_and(|previous| previous.kind == Kind::Path)
}

fn operator(text: &str, after_operand: bool, is_macro: bool, in_bars: &mut bool) -> Kind {
    match text {
        "," => Kind::Comma,
        ";" => Kind::Semicolon,
        ":" => Kind::Colon,
        "::" => Kind::Path,
        "." => Kind::Dot,
        ".." | "..=" => Kind::Range,
        "<" => Kind::Less,
        ">" => Kind::Greater,
        "#" => Kind::Hash,
        "=" => Kind::Equal,
        "=>" => Kind::Arrow,
        "||" if !after_operand => Kind::NoParameters,
        "|" if *in_bars => {
            *in_bars = false;
            Kind::CloseBar
        }
        "|" if !after_operand => {
            *in_bars = true;
            Kind::OpenBar
        }
        "!" if after_operand && is_macro => Kind::Bang,
        "?" if after_operand => Kind::Question,
        "&" | "&&" | "*" | "-" | "!" | "?" if !after_operand => Kind::Prefix,
        _ => Kind::Infix,
    }
}

/// How wide tokens are on one line.
pub(super) fn width(tokens: &[Token]) -> usize {
    let gaps = tokens.windows(2).filter(|pair| has_space(&pair[0], &pair[1])).count();
    tokens.iter().map(|token| token.width).sum::<usize>() + gaps
}

/// Whether there is a space between two tokens.
pub(super) fn has_space(left: &Token, right: &Token) -> bool {
    match (left.kind, right.kind) {
        (
            _,
            Kind::Comma
            | Kind::Semicolon
            | Kind::Colon
            | Kind::Dot
            | Kind::Greater
            | Kind::Question
            | Kind::Bang,
        )
        | (_, Kind::CloseBar)
        | (Kind::Path | Kind::Dot | Kind::Range | Kind::Less | Kind::Prefix | Kind::OpenBar, _)
        | (Kind::Hash | Kind::Bang, _) => false,
        (_, Kind::Group(Delimiter::Brace)) => true,
        (_, Kind::Path | Kind::Less | Kind::Range | Kind::Group(_)) => !left.is_operand(),
        _ => true,
    }
}
