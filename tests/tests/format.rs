//! `mig fmt` on the files that people have: those of Debian's packages.

use std::fs;
use std::path::Path;

use mig_parser::{FileSystem, Options, format, preprocessed, unpreprocessed};
use mig_tests::files_below;
use mig_tests::oracle::packages_or_skip;

#[test]
fn files_of_the_packages_keep_their_tokens_and_are_formatted_once() {
    let Some(packages) = packages_or_skip() else { return };
    let files = files_below(&packages, "defs").unwrap();
    assert!(files.len() >= 70, "{} files", files.len());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("format");
    fs::create_dir_all(&folder).unwrap();
    for file in files {
        let name = file.display();
        let text = fs::read(&file).unwrap();
        let formatted = match format(&name.to_string(), &text) {
            Ok(formatted) => formatted,
            Err(wrong) => panic!("{}", wrong.diagnostics.render(&wrong.sources, false)),
        };
        assert_eq!(unpreprocessed(&text), unpreprocessed(formatted.as_bytes()), "{name}");
        assert_eq!(format("", formatted.as_bytes()).unwrap(), formatted, "{name}");
        // What it includes is not looked for: the macros and conditionals of the file itself count.
        let copy = folder.join("formatted.defs");
        fs::write(&copy, &formatted).unwrap();
        let options = Options::new().define("KERNEL_SERVER", "1").define("SEQNOS", "1");
        let tokens = |path: &Path| preprocessed(&options, &FileSystem, path).0;
        assert_eq!(tokens(&file), tokens(&copy), "{name}");
    }
}
