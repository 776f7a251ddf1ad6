//! What the target's C compiler defines: lines that are noted first, and read when somebody asks.

use mig_parser::{Memory, Options, preprocessed};

fn with(lines: &'static str, text: &str) -> (String, String) {
    let files = Memory::new().file("a.defs", text);
    let (tokens, said) = preprocessed(&Options::new().predefine(lines), &files, "a.defs");
    (tokens.join(" "), said)
}

#[test]
fn a_macro_means_what_its_line_says() {
    let lines = "/* A target. */\n#define ONE 1 /* one */\n#define TWICE(x) x x\n#define NONE\n#define BOTH TWICE(ONE)\n";
    let text = "ONE TWICE(a) NONE BOTH\n#ifdef NONE\ndefined\n#endif\n#if ONE == 1\nequal\n#endif";
    assert_eq!(with(lines, text), ("1 a a 1 1 defined equal".to_owned(), String::new()));
}

#[test]
fn a_later_line_for_the_same_name_wins() {
    assert_eq!(with("#define A 1\n#define A 2\n", "A").0, "2");
}

#[test]
fn a_file_may_undefine_a_macro_and_is_warned_when_it_means_something_else() {
    let (tokens, said) = with("#define A 1\n#define B 2\n", "#define A 1\n#undef B\n#define B 3\nA B");
    assert_eq!((tokens.as_str(), said.as_str()), ("1 3", ""));
    let (tokens, said) = with("#define A 1\n", "#define A 2\nA");
    assert_eq!(tokens, "2");
    assert!(said.contains("the macro `A` is defined again"), "{said}");
    assert!(said.contains("<built-in>:1:9"), "{said}");
}

#[test]
fn a_wrong_line_is_reported_once_when_its_macro_is_asked_for() {
    let lines = "#define A(x #x\n#define B 1\n";
    assert_eq!(with(lines, "B"), ("1".to_owned(), String::new()));
    let (tokens, said) = with(lines, "A(1) A(1)");
    assert_eq!(tokens, "A ( 1 ) A ( 1 )");
    assert_eq!(said.matches("this `#define` defines no macro").count(), 1, "{said}");
}
