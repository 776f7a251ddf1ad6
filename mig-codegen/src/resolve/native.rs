//! Apple's native types, which are named as in C and travel as the bytes that C gives them.

use mig_parser::ast::{Ident, Native};
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::source::Span;

use super::language;
use super::types::{Declared, Types, plain_scalar};
use crate::abi::Feature;
use crate::codes;
use crate::model::{Scalar, TypeKind};

/// C's own types: message type number, bits (0 is as many as an address has), and the name of the unsigned
/// ones.
const C_TYPES: &[(&str, u32, u32, Option<&str>)] = &[
    ("char", 8, 8, None),
    ("signed char", 9, 8, Some("int8_t")),
    ("unsigned char", 9, 8, None),
    ("short", 1, 16, None),
    ("unsigned short", 1, 16, Some("uint16_t")),
    ("int", 2, 32, None),
    ("unsigned", 2, 32, Some("uint32_t")),
    ("unsigned int", 2, 32, Some("uint32_t")),
    ("long", 2, 0, None),
    ("unsigned long", 2, 0, Some("unsigned_long")),
    ("long long", 3, 64, None),
    ("unsigned long long", 3, 64, Some("uint64_t")),
    ("float", 10, 32, None),
    ("double", 11, 64, None),
];

impl Types<'_> {
    /// `PointerTo (T)`, `ValueOf (T)`: the bytes of a `T`, which C gets by reference or by value. To Rust
    /// both are a `T`.
    pub(super) fn native(&self, native: &Native, span: Span, out: &mut Diagnostics) -> Option<Declared> {
        if !language(self.abi, Feature::NativeTypes, span, out) {
            return None;
        }
        match native {
            Native::PointerTo(words) | Native::ValueOf(words) => self.c_type(words, span, out),
            Native::PointerToIfNot(..) => {
                out.push(
                    Diagnostic::error(
                        codes::NOT_GENERATED,
                        span,
                        "`PointerToIfNot` is not generated",
                        "Apple's compiler crashes while it writes the server, and no other knows the word",
                    )
                    .with_help("use `PointerTo`, and an argument that says whether the value is there"),
                );
                None
            }
        }
    }

    fn c_type(&self, words: &[Ident], span: Span, out: &mut Diagnostics) -> Option<Declared> {
        let name = words.iter().map(|word| word.name.as_str()).collect::<Vec<_>>().join(" ");
        if let Some(declared) = self.find(&name) {
            let is_plain = self.alignment(&declared.ty).is_some();
            if !is_plain {
                out.error(
                    codes::NATIVE_TYPE,
                    span,
                    format!("`{name}` is not plain data of fixed size"),
                    "only the bytes of a value can be sent",
                );
            }
            return is_plain.then_some(declared);
        }
        if let Some((_, type_number, bits, unsigned)) = C_TYPES.iter().find(|known| known.0 == name) {
            let (type_number, bits) = match (bits, self.abi.facts.pointer) {
                (0, 8) => (3, 64),
                (0, _) => (2, 32),
                _ => (*type_number, *bits),
            };
            let is_float = matches!(name.as_str(), "float" | "double");
            let scalar = Scalar { type_number, received: type_number, bits, is_float };
            let mut declared = plain_scalar(TypeKind::Scalar(scalar));
            declared.ty.name = unsigned.map(str::to_owned);
            return Some(declared);
        }
        out.push(
            Diagnostic::error(
                codes::NATIVE_TYPE,
                span,
                format!("the size of the C type `{name}` is not known"),
                "only a C compiler knows it",
            )
            .with_help(format!("declare it above: `type {name} = …;` with the size that it has in C")),
        );
        None
    }
}
