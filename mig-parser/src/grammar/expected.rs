//! The tokens that could have stood where an error is.

use crate::keyword::Keyword;
use crate::token::Punct;

/// A set of tokens, as bits of one number: a set is noted at every token that does not fit, so it has to be
/// small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected(u128);

/// Tokens with many spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Name,
    Number,
    Value,
    FileName,
    QuotedString,
    MessageType,
}

const CLASSES: [(Class, &str); 6] = [
    (Class::Name, "a name"),
    (Class::Number, "a number"),
    (Class::Value, "a value"),
    (Class::FileName, "a file name in `\"…\"` or `<…>`"),
    (Class::QuotedString, "a string in quotes"),
    (Class::MessageType, "`MACH_MSG_TYPE_…`"),
];

/// First bit of the punctuation; keywords are below.
const PUNCTS: usize = 76;
/// First bit of the classes. Punctuation that the grammar does not use has no bit.
const FIRST_CLASS: usize = PUNCTS + GRAMMAR_PUNCTS.len();

const GRAMMAR_PUNCTS: [Punct; 17] = [
    Punct::Semicolon,
    Punct::Colon,
    Punct::Comma,
    Punct::Equal,
    Punct::LParen,
    Punct::RParen,
    Punct::LBracket,
    Punct::RBracket,
    Punct::LBrace,
    Punct::RBrace,
    Punct::Star,
    Punct::Caret,
    Punct::Bar,
    Punct::Plus,
    Punct::Minus,
    Punct::Slash,
    Punct::Less,
];

impl Expected {
    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn keyword(keyword: Keyword) -> Self {
        Self(1 << keyword as usize)
    }

    pub(super) const fn keywords(keywords: &[Keyword]) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < keywords.len() {
            set |= 1 << keywords[at] as usize;
            at += 1;
        }
        Self(set)
    }

    pub(super) fn punct(punct: Punct) -> Self {
        GRAMMAR_PUNCTS.iter().position(|p| *p == punct).map_or(Self(0), |bit| Self(1 << (PUNCTS + bit)))
    }

    pub(super) const fn class(class: Class) -> Self {
        Self(1 << (FIRST_CLASS + class as usize))
    }

    pub(super) fn contains(self, other: Self) -> bool {
        other.0 != 0 && self.0 & other.0 == other.0
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The keywords in the set.
    pub(super) fn words(self) -> impl Iterator<Item = &'static str> {
        Keyword::all().filter(move |k| self.contains(Self::keyword(*k))).map(Keyword::text)
    }

    /// The set in words, as in "a name or `,`"; sets of `groups` go by their names.
    pub(super) fn describe(mut self, groups: &[(Self, &str)]) -> String {
        let mut parts: Vec<String> = Vec::new();
        for (group, name) in groups {
            if self.contains(*group) {
                self = self.without(*group);
                parts.push((*name).to_owned());
            }
        }
        let classes = CLASSES.iter().filter(|(class, _)| self.contains(Self::class(*class)));
        parts.extend(classes.map(|(_, text)| (*text).to_owned()));
        parts.extend(self.words().map(|word| format!("`{word}`")));
        let puncts = GRAMMAR_PUNCTS.iter().filter(|punct| self.contains(Self::punct(**punct)));
        parts.extend(puncts.map(|punct| format!("`{}`", punct.text())));
        match parts.split_last() {
            None => "something else".to_owned(),
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_its_own_bit() {
        assert_eq!(Keyword::all().count(), PUNCTS);
        const { assert!(FIRST_CLASS + CLASSES.len() <= 128) };
        for (index, (class, _)) in CLASSES.iter().enumerate() {
            assert_eq!(*class as usize, index);
        }
    }

    #[test]
    fn describes_groups_first() {
        let set = Expected::class(Class::Name)
            .or(Expected::punct(Punct::Semicolon))
            .or(Expected::keywords(&[Keyword::In, Keyword::Out]));
        let group = (Expected::keywords(&[Keyword::In, Keyword::Out]), "a direction");
        assert_eq!(set.describe(&[group]), "a direction, a name or `;`");
        assert_eq!(set.describe(&[]), "a name, `in`, `out` or `;`");
    }
}
