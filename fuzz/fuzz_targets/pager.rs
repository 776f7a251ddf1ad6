//! Any order of what the threads of a pager do, between a kernel, attackers and a failing store. Every page
//! is what it was, and nothing is left over.

#![no_main]

#[path = "../../pager/tests/chaos/mod.rs"]
mod chaos;
#[path = "../../pager/tests/world/mod.rs"]
mod world;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| chaos::run(input));
