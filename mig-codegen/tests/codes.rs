//! Every code has its explanation, and the page of all codes is up to date.

use std::collections::BTreeSet;
use std::path::Path;

use mig_codegen::explain;

/// The codes that the sources declare.
fn declared() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut codes = BTreeSet::new();
    for file in ["mig-parser/src/codes.rs", "mig-codegen/src/codes.rs"] {
        let text = std::fs::read_to_string(root.join(file)).expect("the codes");
        let quoted = text.lines().filter_map(|line| line.split('"').nth(1));
        codes.extend(quoted.filter(|code| code.starts_with("MIG")).map(str::to_owned));
    }
    codes
}

#[test]
fn every_code_is_explained_once() {
    let explained: Vec<&str> = explain::ALL.iter().map(|known| known.code).collect();
    assert!(explained.is_sorted_by(|a, b| a < b), "in the order of their numbers");
    let explained: BTreeSet<String> = explained.into_iter().map(str::to_owned).collect();
    assert_eq!(explained, declared());
}

#[test]
fn a_code_is_found_as_people_write_it() {
    for code in ["MIG0204", "mig0204", "0204", " MIG0204 "] {
        assert_eq!(explain::explain(code).map(|known| known.code), Some("MIG0204"), "{code}");
    }
    assert!(explain::explain("MIG9999").is_none() && explain::explain("").is_none());
}

/// `BLESS=1` writes it.
#[test]
fn the_page_of_all_codes_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/book/errors.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&page, explain::page()).expect("written");
    }
    assert!(std::fs::read_to_string(page).is_ok_and(|text| text == explain::page()), "run it with BLESS=1");
}
