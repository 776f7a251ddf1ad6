//! Makes `clock.rs` of `defs/clock.defs`.

fn main() -> Result<(), mig_codegen::Error> {
    mig_codegen::Config::new().compile("defs/clock.defs")
}
