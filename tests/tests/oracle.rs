//! The generated code against the C MIG, for every interface of the system: see `docs/book/oracle.md`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use mig_tests::oracle::packages_or_skip;
use mig_tests::{jobs, run};

#[test]
fn generated_code_does_what_the_c_stubs_do() {
    let Some(packages) = packages_or_skip() else { return };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle");
    let units = folder.join("units");
    let (jobs, _) = jobs::all(&packages).unwrap();
    run::write_crate(&jobs, &packages, &folder.join("crate")).unwrap();
    run::build_units(&jobs, &packages, &units).unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["run", "--quiet", "--offline", "--manifest-path"]).arg(folder.join("crate/Cargo.toml"));
    cargo.arg("--target-dir").arg(folder.join("target")).arg("--").args([&packages, &units]);
    let output = cargo.stderr(Stdio::inherit()).output().unwrap();
    let tables = String::from_utf8(output.stdout).unwrap();
    println!("{tables}");
    assert!(output.status.success(), "{}", output.status);
    compare_with_documentation(&tables);
}

/// The tables in the documentation are those of this run.
fn compare_with_documentation(tables: &str) {
    let path = run::repository().join("docs/book/oracle.md");
    let text = fs::read_to_string(&path).unwrap();
    let (start, end) = ("<!-- tables -->\n", "<!-- end of tables -->\n");
    let (before, rest) = text.split_once(start).unwrap();
    let (old, after) = rest.split_once(end).unwrap();
    let new = format!("\n{tables}\n");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{before}{start}{new}{end}{after}")).unwrap();
    } else {
        assert_eq!(old, new, "docs/book/oracle.md: BLESS=1 writes the tables anew");
    }
}
