//! Makes `mailbox.rs` and `postmaster.rs` of the `.defs` files, for the ABI of the target.

fn main() -> Result<(), mig_codegen::Error> {
    let config = mig_codegen::Config::new();
    config.compile("defs/mailbox.defs")?;
    config.compile("defs/postmaster.defs")
}
