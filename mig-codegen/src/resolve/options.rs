//! The values of `waittime`, `sendtime` and `msgoption`: numbers as C writes them, and the options that
//! `mach/message.h` names.

use mig_abi::MsgOption;
use mig_parser::ast::Text;
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::source::Span;
use mig_parser::suggest::nearest;

use crate::abi::Language;
use crate::codes;

/// A number that a statement gives to the routines after it.
pub(super) struct Setting {
    /// The name of the setting in a message to the user.
    what: &'static str,
    text: String,
    /// `None` if only a C compiler knows the number.
    value: Option<u32>,
    /// The name of an option that was probably meant.
    near: Option<String>,
    statement: Span,
    /// It has been reported that the number is not known. Once is enough, however many routines use it.
    reported: bool,
}

impl Setting {
    /// A time.
    pub(super) fn milliseconds(what: &'static str, text: &Text, statement: Span) -> Self {
        let (value, text) = (number(&text.text), text.text.clone());
        Setting { what, text, value, near: None, statement, reported: false }
    }

    /// Bits of options.
    pub(super) fn option_bits(text: &Text, language: &Language, statement: Span) -> Self {
        let (value, text) = (option_bits(&text.text, language), text.text.clone());
        let near = nearest(&text, names(language)).map(str::to_owned);
        Setting { what: "message option", text, value, near, statement, reported: false }
    }

    /// The number, for a routine where it has an effect. Reports a number that is not known.
    pub(super) fn value(&mut self, out: &mut Diagnostics) -> Option<u32> {
        if self.value.is_none() && !self.reported {
            self.reported = true;
            out.push(self.unknown());
        }
        self.value
    }

    fn unknown(&self) -> Diagnostic {
        let Setting { what, text, near, .. } = self;
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("give its value: `-D {text}=…`"),
        };
        let message = format!("the {what} `{text}` is not a number");
        let label = "only a C compiler knows this macro";
        Diagnostic::error(codes::C_EXPRESSION, self.statement, message, label).with_help(help)
    }
}

/// An integer as C writes it: decimal, `0x…`, or octal after a `0`; a suffix for its size has no effect.
fn number(text: &str) -> Option<u32> {
    let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
    match (digits.strip_prefix("0x").or(digits.strip_prefix("0X")), digits.strip_prefix('0')) {
        (Some(hexadecimal), _) => u32::from_str_radix(hexadecimal, 16).ok(),
        (None, Some(octal)) if !octal.is_empty() => u32::from_str_radix(octal, 8).ok(),
        _ => digits.parse().ok(),
    }
}

fn option_bits(text: &str, language: &Language) -> Option<u32> {
    let found = known(language).find(|option| option.name == short_name(text, language));
    found.map(|option| option.bits).or_else(|| number(text))
}

/// Apple's header has each option a second time, for `mach_msg2`, whose options have 64 bits. Those with bits
/// of their own are none of `mach_msg`.
fn short_name<'t>(text: &'t str, language: &Language) -> std::borrow::Cow<'t, str> {
    match text.strip_prefix("MACH64_") {
        Some(rest) if language.options == MsgOption::APPLE => format!("MACH_{rest}").into(),
        _ => text.into(),
    }
}

/// The names of a dialect's options, for a suggestion.
fn names(language: &Language) -> impl Iterator<Item = &'static str> {
    known(language).map(|option| option.name)
}

fn known(language: &Language) -> impl Iterator<Item = &'static MsgOption> {
    language.options.iter().chain(MsgOption::EVERYWHERE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_c() {
        assert_eq!(
            [number("100"), number("0x1F"), number("010"), number("0")],
            [Some(100), Some(31), Some(8), Some(0)]
        );
        assert_eq!([number("7UL"), number("08"), number("-1"), number("x")], [Some(7), None, None, None]);
    }

    #[test]
    fn options_are_those_of_the_dialect() {
        let bits = |abi: &str, text| option_bits(text, crate::abi::Abi::by_name(abi).unwrap().language);
        assert_eq!(bits("gnu-i386", "MACH_RCV_LARGE"), Some(0x800));
        assert_eq!(bits("cmu-32", "MACH_RCV_LARGE"), Some(0x800));
        assert_eq!(bits("osf-32", "MACH_RCV_LARGE"), Some(0x4));
        assert_eq!(bits("apple-64", "MACH_RCV_LARGE"), Some(0x4));
        assert_eq!(bits("apple-64", "MACH_SEND_SYNC_USE_THRPRI"), Some(0x20_0000));
        assert_eq!(bits("gnu-x86_64", "MACH_SEND_NOTIFY"), Some(0x20));
        assert_eq!(bits("apple-32", "MACH_SEND_NOTIFY"), Some(0x80));
        assert_eq!(bits("apple-64", "MACH64_SEND_NOTIFY"), Some(0x80));
        assert_eq!(bits("apple-64", "MACH64_SEND_KOBJECT_CALL"), None);
        assert_eq!(bits("osf-32", "MACH64_RCV_MSG"), None);
        assert_eq!(bits("osf-32", "MACH_SEND_NOTIFY"), None);
        assert_eq!(bits("gnu-i386", "MACH_SEND_OVERRIDE"), None);
    }
}
