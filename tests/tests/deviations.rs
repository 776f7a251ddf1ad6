//! The table of deviations from the C compilers names the test that holds each of them: those tests exist.

use std::fs;
use std::path::Path;

#[test]
fn each_deviation_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = fs::read_to_string(root.join("docs/book/deviations.md")).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| C |"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() > 20, "the tables were found");
    for row in rows {
        let [c, _, _, test] = row[..] else { panic!("four columns: {row:?}") };
        let quoted: Vec<&str> = test.split('`').skip(1).step_by(2).collect();
        let [file, function] = quoted[..] else { panic!("`file` and `function`: {test}") };
        let source = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let found = [format!("fn {function}("), format!("fn {function}<")];
        assert!(found.iter().any(|text| source.contains(text)), "{file} has no {function}: {c}");
    }
}
