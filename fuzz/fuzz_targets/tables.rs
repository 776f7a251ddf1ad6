//! Text of an attacker as a table that was frozen, against that of an interface, in both directions.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mig_codegen::breaking::tables;
use mig_codegen::table::{AbiTable, abi_json};
use mig_codegen::{Config, Input};

/// A subsystem with a routine of each kind, and its table as text.
static TABLE: LazyLock<(AbiTable, String)> = LazyLock::new(|| {
    let text = b"subsystem a 100;
        type port_t = MACH_MSG_TYPE_COPY_SEND; type number_t = MACH_MSG_TYPE_INTEGER_32;
        type some_t = array[*:8] of number_t; type memory_t = ^array[] of number_t;
        routine one(p : port_t; in x : some_t; out y : number_t); simpleroutine two(p : port_t; in m : memory_t);";
    let input = Input::Text { name: "a.defs", text };
    let interface = Config::new().abi("gnu-i386").interface(input).expect("it has no errors").value;
    (AbiTable::of(&interface), abi_json(&interface))
});

fuzz_target!(|input: &[u8]| {
    let (table, text) = &*TABLE;
    // A piece of the input replaces one of a table that is right, or is all of it.
    let changed = match input {
        [at, len, new @ ..] if *len != 0 => {
            let at = usize::from(*at) * text.len() / 256;
            let end = (at + usize::from(*len)).min(text.len());
            [&text.as_bytes()[..at], new, &text.as_bytes()[end..]].concat()
        }
        _ => input.to_vec(),
    };
    if let Ok(other) = serde_json::from_slice::<AbiTable>(&changed) {
        let same = tables(&other, &other);
        assert!(same.is_empty() || other.routines.len() > 1, "{same:?}");
        tables(table, &other);
        tables(&other, table);
    }
});
