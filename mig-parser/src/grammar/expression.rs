//! Numbers, and the arithmetic of sizes.

use nom::multi::fold_many0;
use nom::sequence::delimited;
use nom::{Parser as _, branch::alt};

use super::expected::{Class, Expected};
use super::input::{Parsed, Tokens, invalid, punct};
use crate::ast::Number;
use crate::codes;
use crate::diagnostics::Diagnostic;
use crate::token::{Kind, Punct, Token};

/// A decimal number: neither `0x` nor octal nor a sign.
pub(super) fn number(input: Tokens<'_>) -> Parsed<'_, Number> {
    let token = input.peek();
    if token.kind != Kind::Number {
        return input.fail(Expected::class(Class::Number));
    }
    let text = input.text(token);
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return invalid(not_decimal(token, text));
    }
    match text.parse() {
        Ok(value) => input.advance(Number { value, span: token.span }),
        Err(_) => {
            let label = "the largest number is 4294967295";
            let message = "a number does not fit 32 bits";
            invalid(Diagnostic::error(codes::NUMBER_RANGE, token.span, message, label))
        }
    }
}

fn not_decimal(token: Token, text: &str) -> Diagnostic {
    let diagnostic = Diagnostic::error(
        codes::NUMBER,
        token.span,
        "a number that is not decimal",
        "MIG has only decimal numbers",
    );
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
        Some(value) => diagnostic.with_help(format!("write `{value}`")),
        None => diagnostic,
    }
}

/// Sums and products, computed as a C compiler computes `unsigned int`.
pub(super) fn expression(input: Tokens<'_>) -> Parsed<'_, Number> {
    let (rest, first) = product(input)?;
    let sum = |(value, failed): Folded, (operator, right): (Token, Number)| {
        let right = right.value;
        (if operator.is(Punct::Plus) { value.wrapping_add(right) } else { value.wrapping_sub(right) }, failed)
    };
    let operator = alt((punct(Punct::Plus), punct(Punct::Minus)));
    let (rest, (value, _)) = fold_many0((operator, product), || (first.value, None), sum).parse(rest)?;
    Ok((rest, Number { value, span: input.span_to(&rest) }))
}

/// A value so far, and the `/` that divided by zero.
type Folded = (u32, Option<Token>);

fn product(input: Tokens<'_>) -> Parsed<'_, Number> {
    let (rest, first) = factor(input)?;
    let multiply = |(value, failed): Folded, (operator, right): (Token, Number)| {
        if operator.is(Punct::Star) {
            return (value.wrapping_mul(right.value), failed);
        }
        match value.checked_div(right.value) {
            Some(quotient) => (quotient, failed),
            None => (0, failed.or(Some(operator))),
        }
    };
    let operator = alt((punct(Punct::Star), punct(Punct::Slash)));
    let (rest, (value, failed)) =
        fold_many0((operator, factor), || (first.value, None), multiply).parse(rest)?;
    if let Some(slash) = failed {
        let message = "division by zero";
        return invalid(Diagnostic::error(codes::DIVISION, slash.span, message, "the divisor is zero"));
    }
    Ok((rest, Number { value, span: input.span_to(&rest) }))
}

fn factor(input: Tokens<'_>) -> Parsed<'_, Number> {
    alt((number, in_parentheses)).parse(input)
}

fn in_parentheses<'a>(input: Tokens<'a>) -> Parsed<'a, Number> {
    let inner = |input: Tokens<'a>| input.nested(expression);
    let (rest, inner) = delimited(punct(Punct::LParen), inner, punct(Punct::RParen)).parse(input)?;
    Ok((rest, Number { value: inner.value, span: input.span_to(&rest) }))
}
