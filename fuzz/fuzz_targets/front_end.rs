//! Text of an attacker, through the whole compiler, for every ABI. What it accepts becomes Rust that parses.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mig_codegen::abi::Abi;
use mig_codegen::{Config, Input};
use mig_parser::Memory;

/// What an input may include.
static FILES: LazyLock<Memory> = LazyLock::new(|| {
    Memory::new()
        .file("include/mach/std_types.defs", include_bytes!("../../defs/gnu/mach/std_types.defs"))
        .file("include/mach/mach_types.defs", include_bytes!("../../defs/gnu/mach/mach_types.defs"))
});

fuzz_target!(|input: &[u8]| {
    let Some((abi, text)) = input.split_first() else { return };
    let abi = Abi::ALL[usize::from(*abi) % Abi::ALL.len()];
    let files = FILES.clone().file("input.defs", text);
    let input = Input::Memory { files: &files, path: Path::new("input.defs") };
    if let Ok(output) = Config::new().include_dir("include").abi(abi.name()).text(input) {
        syn::parse_file(&output.value).expect("the output is Rust");
    }
});
