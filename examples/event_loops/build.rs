//! Makes `tally.rs` of `defs/tally.defs`, for the ABI of macOS on every machine.

fn main() -> Result<(), mig_codegen::Error> {
    mig_codegen::Config::new().abi("apple-64").compile("defs/tally.defs")
}
