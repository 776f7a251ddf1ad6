//! `#assert system(mach)`, and `#system(mach)` in an `#if`: facts about the target, as GNU's preprocessor
//! keeps them.

use std::collections::HashMap;

use super::Preprocessor;
use crate::source::Span;
use crate::token::{Kind, Punct, Symbol, Token};

/// An answer: its tokens, without their places.
type Answer = Vec<(Kind, Symbol)>;
/// The answers to each question.
pub(super) type Assertions = HashMap<Symbol, Vec<Answer>>;

impl Preprocessor<'_> {
    /// `#assert QUESTION(ANSWER)`
    pub(super) fn assert(&mut self, hash: Span) {
        let tokens = self.line_tokens();
        match assertion(&tokens) {
            Some((question, Some(answer), _)) => {
                self.charge(answer.len(), hash);
                let answers = self.assertions.entry(question).or_default();
                if !answers.contains(&answer) {
                    answers.push(answer);
                }
            }
            _ => self.malformed_assertion(hash),
        }
    }

    /// `#unassert QUESTION(ANSWER)`, or `#unassert QUESTION` for all answers.
    pub(super) fn unassert(&mut self, hash: Span) {
        let tokens = self.line_tokens();
        match assertion(&tokens) {
            Some((question, Some(answer), _)) => {
                if let Some(answers) = self.assertions.get_mut(&question) {
                    answers.retain(|known| *known != answer);
                }
            }
            Some((question, None, _)) => drop(self.assertions.remove(&question)),
            None => self.malformed_assertion(hash),
        }
    }

    fn malformed_assertion(&mut self, hash: Span) {
        if !self.stopped {
            self.malformed(hash, "this asserts nothing", "`QUESTION(ANSWER)` was expected");
        }
    }

    /// The tokens of an `#if` with each `#QUESTION(ANSWER)` as 1 or 0.
    pub(super) fn answer_assertions(&mut self, tokens: Vec<Token>) -> Vec<Token> {
        if !tokens.iter().any(|token| token.is(Punct::Hash)) {
            return tokens;
        }
        let mut answered = Vec::new();
        let mut rest = &tokens[..];
        while let [first, after @ ..] = rest {
            rest = after;
            let asked = if first.is(Punct::Hash) { assertion(after) } else { None };
            let Some((question, answer, taken)) = asked else {
                answered.push(*first);
                continue;
            };
            let known = self.assertions.get(&question);
            let holds = match answer {
                Some(answer) => known.is_some_and(|answers| answers.contains(&answer)),
                None => known.is_some_and(|answers| !answers.is_empty()),
            };
            let symbol = self.names.intern(if holds { "1" } else { "0" });
            answered.push(Token { kind: Kind::Number, symbol, ..*first });
            rest = &after[taken..];
        }
        answered
    }
}

/// The question, its answer if one is given, and how many tokens they take.
fn assertion(tokens: &[Token]) -> Option<(Symbol, Option<Answer>, usize)> {
    let question = tokens.first().filter(|token| token.kind == Kind::Ident)?.symbol;
    if !tokens.get(1).is_some_and(|token| token.is(Punct::LParen)) {
        return Some((question, None, 1));
    }
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(2) {
        match token.kind {
            Kind::Punct(Punct::RParen) if depth == 0 => {
                let answer: Answer = tokens[2..index].iter().map(|t| (t.kind, t.symbol)).collect();
                return (!answer.is_empty()).then_some((question, Some(answer), index + 1));
            }
            Kind::Punct(Punct::RParen) => depth -= 1,
            Kind::Punct(Punct::LParen) => depth += 1,
            _ => {}
        }
    }
    None
}
