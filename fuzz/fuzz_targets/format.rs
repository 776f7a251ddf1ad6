//! Text of an attacker, formatted: its tokens stay, and formatting it again changes nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mig_parser::{format, unpreprocessed};

fuzz_target!(|input: &[u8]| {
    let tokens = unpreprocessed(input);
    let Ok(formatted) = format("input.defs", input) else {
        assert!(tokens.is_none(), "what has tokens can be formatted");
        return;
    };
    assert_eq!(unpreprocessed(formatted.as_bytes()), tokens, "{formatted}");
    let again = format("input.defs", formatted.as_bytes()).expect("it has been formatted before");
    assert_eq!(again, formatted);
});
