//! The `mig` command.
fn main() {}
