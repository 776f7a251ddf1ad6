//! Rust names for C names.

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span};

/// Names that the generated code uses itself, and names of the prelude that an alias would hide.
const TAKEN_TYPES: &[&str] = &[
    "Abi",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Eq",
    "Err",
    "Fn",
    "Into",
    "K",
    "None",
    "Ok",
    "Option",
    "PartialEq",
    "Result",
    "S",
    "Self",
    "Some",
    "String",
    "Vec",
];

/// Keywords that can't be raw identifiers.
const NEVER_RAW: &[&str] = &["crate", "self", "super", "Self", "_"];

/// A function, argument, field or module: `snake_case`, raw if it is a keyword.
pub(super) fn snake(c_name: &str) -> Ident {
    let name = c_name.to_snake_case();
    ident(if name.is_empty() { "_unnamed".to_owned() } else { name })
}

/// A constant: `SHOUTY_SNAKE_CASE`.
pub(super) fn shouty(c_name: &str) -> Ident {
    ident(c_name.to_shouty_snake_case())
}

/// A type: `UpperCamelCase` without C's `_t`, unless that is the name of something else.
pub(super) fn camel(c_name: &str) -> String {
    let name = c_name.strip_suffix("_t").unwrap_or(c_name).to_upper_camel_case();
    if TAKEN_TYPES.contains(&name.as_str()) { name + "T" } else { name }
}

/// An identifier of this spelling; raw where it is a keyword, of any edition.
pub(super) fn ident(name: impl Into<String>) -> Ident {
    let mut name = name.into();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    if NEVER_RAW.contains(&name.as_str()) {
        return Ident::new(&(name + "_"), Span::call_site());
    }
    match syn::parse_str::<Ident>(&name) {
        Ok(ident) if name != "gen" => ident,
        _ => Ident::new_raw(&name, Span::call_site()),
    }
}

/// A name that is not one of these: with underscores behind it until it is new.
pub(super) fn unlike(wanted: &str, others: &[Ident]) -> Ident {
    let mut name = wanted.to_owned();
    while others.iter().any(|other| *other == name) {
        name.push('_');
    }
    ident(name)
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
        assert_eq!(shouty("memory_object_create").to_string(), "MEMORY_OBJECT_CREATE");
    }

    #[test]
    fn a_name_in_use_gets_an_underscore() {
        assert_eq!(unlike("request", &[snake("request"), snake("request_")]).to_string(), "request_");
        assert_eq!(unlike("reply", &[snake("request")]).to_string(), "reply");
    }
}
