//! ABIs as the compiler sees them: the facts of [`mig_runtime::abi`], and what only a compiler needs.

use mig_runtime::abi::{Abi as _, Facts, GnuI386, GnuX86_64};

/// An ABI and the language of the C compiler for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Abi {
    /// What both sides of a message agree on.
    pub facts: Facts,
    /// The type in `mig_runtime::abi`.
    pub rust_name: &'static str,
    /// Macros that its C compiler or its MIG script predefines.
    pub predefined: &'static [(&'static str, &'static str)],
    /// Types that exist without a declaration: name, message type number, bits.
    pub built_in: &'static [(&'static str, u32, u32)],
}

/// `gnu-i386`
pub static GNU_I386: Abi = Abi {
    facts: GnuI386::FACTS,
    rust_name: "GnuI386",
    predefined: &[("__i386__", "1")],
    built_in: &[
        ("char", 8, 8),
        ("short", 1, 16),
        ("int", 2, 32),
        ("int64", 11, 64),
        ("uintptr_t", 2, 32),
        ("intptr_t", 2, 32),
    ],
};

/// `gnu-x86_64`
pub static GNU_X86_64: Abi = Abi {
    facts: GnuX86_64::FACTS,
    rust_name: "GnuX86_64",
    predefined: &[("__x86_64__", "1"), ("__LP64__", "1")],
    built_in: &[
        ("char", 8, 8),
        ("short", 1, 16),
        ("int", 2, 32),
        ("int64", 11, 64),
        ("uintptr_t", 11, 64),
        ("intptr_t", 11, 64),
    ],
};
