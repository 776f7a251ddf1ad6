//! The expression of an `#if`, with the arithmetic of C: 64 bits, signed unless an operand is unsigned.

use crate::diagnostics::Diagnostic;
use crate::source::Span;
use crate::token::{Kind, Names, Punct, Token};
use crate::{codes, limits};

/// Whether the expression is not zero. `unknown` gets the names that are no macros and with whose values the
/// expression computes. As plain switches, as in `#if KERNEL && !SEQNOS`, such names are usual, and left out.
pub(super) fn evaluate(
    tokens: &[Token],
    names: &Names,
    directive: Span,
    unknown: &mut Vec<Token>,
) -> Result<bool, Diagnostic> {
    let end = tokens.last().map_or(directive, |t| t.span);
    let mut parser = Parser { tokens, names, at: 0, end, depth: 0, unevaluated: 0, unknown: Vec::new() };
    let value = parser.comma();
    unknown.append(&mut parser.unknown);
    let value = value?;
    match parser.peek() {
        None => Ok(value.bits != 0),
        Some(token) => Err(parser.wrong(token.span, "the expression ends before this")),
    }
}

#[derive(Clone, Copy, Debug)]
struct Value {
    bits: u64,
    unsigned: bool,
    /// The name, which is no macro, that this value comes from.
    unknown: Option<Token>,
}

impl Value {
    fn new(bits: u64, unsigned: bool) -> Self {
        Self { bits, unsigned, unknown: None }
    }

    fn truth(value: bool) -> Self {
        Self::new(value.into(), false)
    }

    fn signed(self) -> i64 {
        self.bits as i64
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    names: &'a Names,
    at: usize,
    /// The place of the last token, for an error about what is missing after it.
    end: Span,
    depth: usize,
    /// How many operators around here make the value irrelevant: `0 && 1/0` is fine.
    unevaluated: usize,
    unknown: Vec<Token>,
}

type Result<T, E = Diagnostic> = std::result::Result<T, E>;

impl Parser<'_> {
    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    fn take(&mut self, punct: Punct) -> bool {
        let taken = self.peek().is_some_and(|t| t.is(punct));
        self.at += usize::from(taken);
        taken
    }

    fn wrong(&self, span: Span, label: impl Into<String>) -> Diagnostic {
        Diagnostic::error(codes::CONDITION, span, "this is not an expression of `#if`", label)
    }

    fn missing(&self, what: &str) -> Diagnostic {
        match self.peek() {
            Some(token) => self.wrong(token.span, format!("{what} was expected")),
            None => self.wrong(self.end, format!("{what} was expected after this")),
        }
    }

    fn comma(&mut self) -> Result<Value> {
        let mut value = self.ternary()?;
        while self.take(Punct::Comma) {
            value = self.ternary()?;
        }
        Ok(value)
    }

    fn ternary(&mut self) -> Result<Value> {
        self.nested(|parser| {
            let condition = parser.binary(0)?;
            if !parser.take(Punct::Question) {
                return Ok(condition);
            }
            let truth = condition.bits != 0;
            let yes = parser.irrelevant(!truth, Self::comma)?;
            if !parser.take(Punct::Colon) {
                return Err(parser.missing("`:`"));
            }
            let no = parser.irrelevant(truth, Self::ternary)?;
            let chosen = if truth { yes } else { no };
            Ok(Value { unsigned: yes.unsigned || no.unsigned, ..chosen })
        })
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Result<Value>) -> Result<Value> {
        if self.depth == limits::NESTING {
            return Err(self.missing("an expression of at most 64 levels"));
        }
        self.depth += 1;
        let value = inner(self);
        self.depth -= 1;
        value
    }

    fn irrelevant(&mut self, is: bool, inner: impl FnOnce(&mut Self) -> Result<Value>) -> Result<Value> {
        self.unevaluated += usize::from(is);
        let value = inner(self);
        self.unevaluated -= usize::from(is);
        value
    }

    /// Binary operators that bind at least as tight as `level`.
    fn binary(&mut self, level: u8) -> Result<Value> {
        let mut left = self.unary()?;
        while let Some((operator, binds, span)) = self.operator(level) {
            self.at += 1;
            let irrelevant = match operator {
                Punct::AndAnd => left.bits == 0,
                Punct::OrOr => left.bits != 0,
                _ => false,
            };
            let right = self.nested(|p| p.irrelevant(irrelevant, |p| p.binary(binds + 1)))?;
            left = self.apply(operator, left, right, span)?;
        }
        Ok(left)
    }

    fn operator(&self, level: u8) -> Option<(Punct, u8, Span)> {
        let token = self.peek()?;
        let Kind::Punct(punct) = token.kind else { return None };
        let binds = match punct {
            Punct::OrOr => 0,
            Punct::AndAnd => 1,
            Punct::Bar => 2,
            Punct::Caret => 3,
            Punct::And => 4,
            Punct::EqEq | Punct::NotEq => 5,
            Punct::Less | Punct::LessEq | Punct::Greater | Punct::GreaterEq => 6,
            Punct::Shl | Punct::Shr => 7,
            Punct::Plus | Punct::Minus => 8,
            Punct::Star | Punct::Slash | Punct::Percent => 9,
            _ => return None,
        };
        (binds >= level).then_some((punct, binds, token.span))
    }

    /// Notes that the value of this operand is computed with.
    fn counts(&mut self, value: Value) {
        if self.unevaluated == 0 {
            self.unknown.extend(value.unknown);
        }
    }

    fn apply(&mut self, operator: Punct, left: Value, right: Value, span: Span) -> Result<Value> {
        if !matches!(operator, Punct::OrOr | Punct::AndAnd) {
            self.counts(left);
            self.counts(right);
        }
        let unsigned = left.unsigned || right.unsigned;
        let (a, b) = (left.bits, right.bits);
        let order = if unsigned { a.cmp(&b) } else { left.signed().cmp(&right.signed()) };
        let bits = match operator {
            Punct::OrOr => return Ok(Value::truth(a != 0 || b != 0)),
            Punct::AndAnd => return Ok(Value::truth(a != 0 && b != 0)),
            Punct::EqEq => return Ok(Value::truth(a == b)),
            Punct::NotEq => return Ok(Value::truth(a != b)),
            Punct::Less => return Ok(Value::truth(order.is_lt())),
            Punct::LessEq => return Ok(Value::truth(order.is_le())),
            Punct::Greater => return Ok(Value::truth(order.is_gt())),
            Punct::GreaterEq => return Ok(Value::truth(order.is_ge())),
            Punct::Shl | Punct::Shr => return Ok(shift(operator, left, right)),
            Punct::Bar => a | b,
            Punct::Caret => a ^ b,
            Punct::And => a & b,
            Punct::Plus => a.wrapping_add(b),
            Punct::Minus => a.wrapping_sub(b),
            Punct::Star => a.wrapping_mul(b),
            _ if b == 0 && self.unevaluated > 0 => 0,
            _ if b == 0 => {
                let message = "division by zero in an `#if`";
                return Err(Diagnostic::error(
                    codes::CONDITION_DIVISION,
                    span,
                    message,
                    "the divisor is zero",
                ));
            }
            Punct::Slash if unsigned => a / b,
            Punct::Slash => left.signed().wrapping_div(right.signed()) as u64,
            _ if unsigned => a % b,
            _ => left.signed().wrapping_rem(right.signed()) as u64,
        };
        Ok(Value::new(bits, unsigned))
    }

    /// Whether this is the `L` of `L'x'`, or one of its kin.
    fn is_wide(&self, prefix: Token) -> bool {
        let next = self.tokens.get(self.at + 1);
        next.is_some_and(|next| next.kind == Kind::Char && !next.space)
            && matches!(self.names.text(prefix.symbol), "L" | "u" | "U")
    }

    fn unary(&mut self) -> Result<Value> {
        let Some(token) = self.peek() else { return Err(self.missing("an operand")) };
        match token.kind {
            Kind::Punct(operator @ (Punct::Not | Punct::Tilde | Punct::Minus | Punct::Plus)) => {
                self.at += 1;
                let value = self.nested(Self::unary)?;
                if operator == Punct::Not {
                    return Ok(Value::truth(value.bits == 0));
                }
                self.counts(value);
                let bits = match operator {
                    Punct::Tilde => !value.bits,
                    Punct::Minus => value.bits.wrapping_neg(),
                    _ => value.bits,
                };
                Ok(Value::new(bits, value.unsigned))
            }
            Kind::Punct(Punct::LParen) => {
                self.at += 1;
                let value = self.comma()?;
                if self.take(Punct::RParen) { Ok(value) } else { Err(self.missing("`)`")) }
            }
            Kind::Ident if self.is_wide(token) => {
                self.at += 2;
                let bits = wide_character(self.names.text(self.tokens[self.at - 1].symbol));
                bits.map(|bits| Value::new(bits, false))
                    .ok_or_else(|| self.wrong(token.span, "not one character"))
            }
            // A name that is no macro counts as zero.
            Kind::Ident => {
                self.at += 1;
                if self.peek().is_some_and(|t| t.is(Punct::LParen)) {
                    let name = self.names.text(token.symbol);
                    return Err(self.wrong(token.span, format!("`{name}` is not a macro that can be called")));
                }
                Ok(Value { unknown: Some(token), ..Value::truth(false) })
            }
            Kind::Number => {
                self.at += 1;
                number(self.names.text(token.symbol))
                    .ok_or_else(|| self.wrong(token.span, "not an integer of 64 bits"))
            }
            Kind::Char => {
                self.at += 1;
                let bits = character(self.names.text(token.symbol));
                bits.map(|bits| Value::new(bits, false))
                    .ok_or_else(|| self.wrong(token.span, "not one character"))
            }
            _ => Err(self.missing("an operand")),
        }
    }
}

/// A shift by a negative number goes the other way; one by 64 or more leaves the sign.
fn shift(operator: Punct, left: Value, right: Value) -> Value {
    let backwards = !right.unsigned && right.signed() < 0;
    let by = if backwards { right.signed().unsigned_abs() } else { right.bits };
    let by = u32::try_from(by).unwrap_or(u32::MAX);
    let bits = if (operator == Punct::Shl) != backwards {
        left.bits.checked_shl(by).unwrap_or(0)
    } else if left.unsigned {
        left.bits.checked_shr(by).unwrap_or(0)
    } else {
        (left.signed() >> by.min(63)) as u64
    };
    Value::new(bits, left.unsigned)
}

/// An integer constant of C with its prefix and suffix.
fn number(text: &str) -> Option<Value> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (&lower[..], 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (digits, suffix) = digits.split_at(end);
    let unsigned = match suffix {
        "" | "l" | "ll" => false,
        "u" | "ul" | "lu" | "ull" | "llu" => true,
        _ => return None,
    };
    // `0l` and `0u` are zeros, too: the prefix of an octal number is its first digit.
    let bits = if digits.is_empty() && radix == 8 { 0 } else { u64::from_str_radix(digits, radix).ok()? };
    Some(Value::new(bits, unsigned || bits > i64::MAX as u64))
}

/// The value of a character constant: each character moves the earlier ones up by eight bits, in an `int`.
fn character(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('\'')?.strip_suffix('\'')?.as_bytes();
    let mut value = 0i32;
    let mut count = 0;
    while let Some((byte, after)) = one_character(rest)? {
        // A single character is a signed `char`.
        value = if count == 0 { i32::from(byte as i8) } else { value << 8 | i32::from(byte) };
        count += 1;
        rest = after;
    }
    (count > 0).then_some(i64::from(value) as u64)
}

/// The value of `L'x'`: that of its last character, as gcc has it.
fn wide_character(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('\'')?.strip_suffix('\'')?.as_bytes();
    let mut value = None;
    while let Some((byte, after)) = one_character(rest)? {
        value = Some(u64::from(byte));
        rest = after;
    }
    value
}

/// The first character of a constant and the text after it; `None` if the text begins with no character that
/// a constant can have.
fn one_character(text: &[u8]) -> Option<Option<(u8, &[u8])>> {
    let (first, rest) = match text {
        [] => return Some(None),
        [b'\\', escaped, rest @ ..] => (*escaped, rest),
        [plain, rest @ ..] => return plain.is_ascii().then_some(Some((*plain, rest))),
    };
    let digits = |rest: &[u8], radix: u32, most: usize| {
        rest.iter().take(most).take_while(|b| char::from(**b).is_digit(radix)).count()
    };
    let number = |digits: &[u8], radix| {
        let text = std::str::from_utf8(digits).ok()?;
        u8::try_from(u32::from_str_radix(text, radix).ok()?).ok()
    };
    Some(Some(match first {
        b'n' => (b'\n', rest),
        b't' => (b'\t', rest),
        b'r' => (b'\r', rest),
        b'a' => (0x07, rest),
        b'b' => (0x08, rest),
        b'v' => (0x0b, rest),
        b'f' => (0x0c, rest),
        b'e' => (0x1b, rest),
        b'x' => {
            let len = digits(rest, 16, usize::MAX);
            (number(&rest[..len], 16)?, &rest[len..])
        }
        b'0'..=b'7' => {
            let all = &text[1..];
            let len = digits(all, 8, 3);
            (number(&all[..len], 8)?, &all[len..])
        }
        other if other.is_ascii() => (other, rest),
        _ => return None,
    }))
}
