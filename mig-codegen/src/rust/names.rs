//! Rust names for C names.

use std::borrow::Cow;

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span};

use crate::model::{Arg, Routine};

/// Names that the generated code uses itself, and names of the prelude, which an alias would hide.
const TAKEN_TYPES: &[&str] = &[
    "Abi",
    "AsMut",
    "AsRef",
    "AsyncFn",
    "AsyncFnMut",
    "AsyncFnOnce",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "DoubleEndedIterator",
    "Drop",
    "Eq",
    "Err",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Future",
    "Into",
    "IntoFuture",
    "IntoIterator",
    "Iterator",
    "K",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "S",
    "Self",
    "Send",
    "Sized",
    "Some",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "Vec",
];

/// Keywords that can't be raw identifiers.
const NEVER_RAW: &[&str] = &["crate", "self", "super", "Self", "_"];

/// All others, those that are reserved or belong to one edition among them, in the order of their letters.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// A function, argument, field or module: `snake_case`, raw if it is a keyword.
pub(super) fn snake(c_name: &str) -> Ident {
    ident(snake_text(c_name))
}

/// The same as text, not raw.
pub(super) fn snake_text(c_name: &str) -> String {
    if is_snake(c_name) { c_name.to_owned() } else { words(c_name).to_snake_case() }
}

/// Whether a name is words of small letters and digits with one underscore between them. Most names of C are,
/// and there is nothing to find out about each of their characters.
fn is_snake(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && !name.ends_with('_')
        && !name.contains("__")
}

/// A constant: `SHOUTY_SNAKE_CASE`.
pub(super) fn shouty(c_name: &str) -> Ident {
    ident(if is_snake(c_name) { c_name.to_ascii_uppercase() } else { words(c_name).to_shouty_snake_case() })
}

/// A name that has words: underscores alone are none, and neither are digits.
fn words(c_name: &str) -> Cow<'_, str> {
    if c_name.bytes().all(|byte| byte == b'_') {
        return "unnamed".into();
    }
    match c_name.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit()) {
        true => format!("number_{}", c_name.trim_matches('_')).into(),
        false => c_name.into(),
    }
}

/// A type: `UpperCamelCase` without C's `_t`, unless that is the name of something else.
pub(super) fn camel(c_name: &str) -> String {
    let stem = c_name.strip_suffix("_t").filter(|stem| !stem.is_empty()).unwrap_or(c_name);
    let name = if is_snake(stem) { joined(stem) } else { words(stem).to_upper_camel_case() };
    if TAKEN_TYPES.contains(&name.as_str()) { name + "T" } else { name }
}

/// The words of a name in small letters, each with a capital.
fn joined(name: &str) -> String {
    let mut joined = String::with_capacity(name.len());
    for word in name.split('_') {
        let (first, rest) = word.split_at(word.len().min(1));
        joined += &first.to_ascii_uppercase();
        joined += rest;
    }
    joined
}

/// An identifier of this spelling; raw where it is a keyword, of any edition.
pub(super) fn ident(name: impl Into<String>) -> Ident {
    let mut name = name.into();
    if name.starts_with("r#") {
        name.drain(..2);
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    if NEVER_RAW.contains(&name.as_str()) {
        return Ident::new(&(name + "_"), Span::call_site());
    }
    match KEYWORDS.binary_search(&name.as_str()) {
        Ok(_) => Ident::new_raw(&name, Span::call_site()),
        Err(_) => Ident::new(&name, Span::call_site()),
    }
}

/// A name that is not one of these: with underscores at its end until it is new.
pub(super) fn unlike(wanted: &str, others: &[Ident]) -> Ident {
    let mut name = wanted.to_owned();
    loop {
        let ident = ident(name.as_str());
        if !others.contains(&ident) {
            return ident;
        }
        name.push('_');
    }
}

/// The parameter that says how many elements of a `countinout` array the caller takes.
pub(super) fn limit(routine: &Routine, arg: &Arg) -> Ident {
    param_name(routine, &format!("{}_max", snake_text(&arg.name)))
}

/// A name for a parameter or variable that is no argument.
pub(super) fn param_name(routine: &Routine, wanted: &str) -> Ident {
    let taken: Vec<Ident> = routine.args.iter().map(|arg| snake(&arg.name)).collect();
    unlike(wanted, &taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_become_raw_and_prelude_names_keep_their_t() {
        assert_eq!(snake("match").to_string(), "r#match");
        assert_eq!(snake("gen").to_string(), "r#gen");
        assert_eq!(snake("self").to_string(), "self_");
        assert_eq!(snake("newSize").to_string(), "new_size");
        assert_eq!(camel("vm_size_t"), "VmSize");
        assert_eq!(camel("result_t"), "ResultT");
        assert_eq!([camel("__"), camel("_t"), snake("_").to_string()], ["Unnamed", "T", "unnamed"]);
        assert_eq!(
            [camel("_1_t"), snake("_1").to_string(), shouty("__2").to_string()],
            ["Number1", "number_1", "NUMBER_2"]
        );
        assert_eq!(shouty("memory_object_create").to_string(), "MEMORY_OBJECT_CREATE");
    }

    #[test]
    fn keywords_are_found_and_are_those_that_syn_knows() {
        assert!(KEYWORDS.is_sorted());
        for word in KEYWORDS.iter().filter(|word| **word != "gen") {
            assert!(syn::parse_str::<Ident>(word).is_err(), "{word}");
        }
    }

    #[test]
    fn names_in_small_letters_are_made_as_heck_makes_all_others() {
        let names = ["task", "vm_size", "a", "io_8_read", "mach4", "x2_y3z", "memory_object_data_request"];
        for name in names {
            assert!(is_snake(name), "{name}");
            assert_eq!(snake_text(name), name.to_snake_case());
            assert_eq!(shouty(name).to_string(), name.to_shouty_snake_case());
            assert_eq!(camel(name), name.to_upper_camel_case());
        }
        assert_eq!(["", "_a", "a_", "a__b", "aB", "4", "é"].map(is_snake), [false; 7]);
    }

    #[test]
    fn a_name_in_use_gets_an_underscore() {
        assert_eq!(unlike("request", &[snake("request"), snake("request_")]).to_string(), "request_");
        assert_eq!(unlike("reply", &[snake("request")]).to_string(), "reply");
    }
}
