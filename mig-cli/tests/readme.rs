//! What the README shows is what is there: the files that it quotes, and the output of the commands.

mod pages;

use std::process::Command;

use pages::{commands, quotations, root};

#[test]
fn quoted_files_are_as_quoted() {
    assert!(quotations("README.md") >= 4);
    assert!(quotations("examples/trap_handler/README.md") >= 1);
    assert!(quotations("examples/crash_handler/README.md") >= 1);
}

/// Whoever copies the first example may be on any system.
#[test]
fn the_first_example_compiles_for_every_abi() {
    for abi in ["gnu-i386", "gnu-x86_64", "gnu-x86_64-2022", "cmu-32", "apple-64", "apple-32", "osf-32"] {
        let arguments = ["check", "--abi", abi, "examples/clock/defs/clock.defs"];
        let output =
            Command::new(env!("CARGO_BIN_EXE_mig")).args(arguments).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{abi}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn commands_print_what_is_shown() {
    assert_eq!(commands("README.md"), 3);
}
