//! The lints of `mig check` on the definitions that come with the compiler.

use std::path::Path;

use mig_codegen::{Config, Error};
use mig_tests::files_below;

/// Whoever writes a lint sees what it says of real interfaces.
#[test]
fn our_own_files_have_nothing_to_warn_of() {
    let defs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("defs");
    for (family, abi) in [
        ("gnu", "gnu-x86_64"),
        ("hurd", "gnu-i386"),
        ("pager", "gnu-i386"),
        ("osf", "osf-32"),
        ("apple", "apple-64"),
    ] {
        let files = files_below(&defs.join(family), "defs").unwrap();
        assert!(!files.is_empty());
        for file in files {
            let report = match Config::new().abi(abi).lints(true).check_only(&*file) {
                Ok(output) => output.warnings,
                // Some files of types want others before them, which is an error here and not the question.
                Err(Error::Diagnostics(report)) => report,
                Err(error) => panic!("{}: {error}", file.display()),
            };
            let said = report.render(false);
            assert!(!said.contains("MIG04"), "{said}");
        }
    }
}
