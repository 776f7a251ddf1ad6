//! The book (`docs/book`): its pages are in its contents, its links lead somewhere, what it quotes and shows
//! is what is there, and every program in it is compiled by a test.

mod pages;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use pages::{blocks, commands, quotations, root};

const BOOK: &str = "docs/book";

/// The text of each page, by its name.
fn book() -> BTreeMap<String, String> {
    let mut book = BTreeMap::new();
    for entry in fs::read_dir(root().join(BOOK)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            book.insert(name, fs::read_to_string(path).unwrap());
        }
    }
    assert!(book.len() > 20);
    book
}

/// A text without its fenced blocks.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// Where the links of a text lead.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(target, _)| target.to_owned()).collect()
}

/// What a heading is called in a link: mdBook and GitHub agree.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let of = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|c| c.is_alphanumeric() || ['-', '_'].contains(c)).collect()
    };
    headings.map(of).collect()
}

#[test]
fn every_page_is_in_the_contents() {
    let book = book();
    let listed = links(&book["SUMMARY.md"]);
    let all: BTreeSet<&str> = book.keys().map(String::as_str).filter(|name| *name != "SUMMARY.md").collect();
    assert_eq!(listed.iter().map(String::as_str).collect::<BTreeSet<_>>(), all);
    assert_eq!(listed.len(), all.len(), "a page is listed twice");
}

#[test]
fn every_link_leads_somewhere() {
    let book = book();
    for (name, text) in &book {
        for link in links(text).iter().filter(|link| !link.starts_with("https://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { name } else { file };
            let Some(page) = book.get(target) else {
                let is_there = !file.starts_with("..") && root().join(BOOK).join(file).is_file();
                assert!(is_there, "{name} links to {link}, which the book does not have");
                continue;
            };
            assert!(anchor.is_empty() || anchors(page).contains(anchor), "{name}: {link}");
        }
    }
}

#[test]
fn quoted_files_are_as_quoted() {
    let quoted: BTreeMap<String, usize> =
        book().into_keys().map(|name| (name.clone(), quotations(&format!("{BOOK}/{name}")))).collect();
    let at_least =
        [("exception_server.md", 5), ("guide.md", 10), ("kernel.md", 5), ("macos.md", 5), ("changing.md", 2)];
    for (page, least) in at_least {
        assert!(quoted[page] >= least, "{page}: {}", quoted[page]);
    }
}

#[test]
fn commands_print_what_is_shown() {
    let shown: usize = book().keys().map(|name| commands(&format!("{BOOK}/{name}"))).sum();
    assert!(shown >= 10, "{shown}");
}

/// By `mig-tests`, or as part of the file that it quotes.
#[test]
fn every_program_is_compiled() {
    let compiled = fs::read_to_string(root().join("tests/src/lib.rs")).unwrap();
    for (name, text) in book() {
        for block in blocks(&text) {
            let mut words = block.kind.split(',');
            if words.next() != Some("rust") || block.quoted_file().is_some() {
                continue;
            }
            let first = block.content.lines().next().unwrap_or_default();
            assert!(words.all(|word| word != "ignore"), "{name}: nothing compiles `{first}`");
            assert!(compiled.contains(&format!("{name:?}")), "{name} is not in tests/src/lib.rs");
        }
    }
}
