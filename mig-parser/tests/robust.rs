//! No input makes the front end panic, loop, or use memory without bound.

use std::time::Duration;

use mig_parser::{Memory, Options, Parsed, parse};
use proptest::prelude::*;

fn run(bytes: impl Into<Vec<u8>>) -> Parsed {
    let files = Memory::new().file("a.defs", bytes).file("b.defs", "type b = int;\n#include \"a.defs\"\n");
    parse(&Options::new().include_dir("."), &files, "a.defs")
}

/// Parses, and renders what came out: spans must fit their texts, too.
fn survives(bytes: impl Into<Vec<u8>>) {
    let parsed = run(bytes);
    parsed.diagnostics.render(&parsed.sources, true);
    for statement in &parsed.ast.statements {
        assert!(!parsed.sources.text(statement.span).is_empty());
        assert!(parsed.sources.locate(statement.span).is_some());
    }
}

/// Every kind of token, and what surrounds them in real files.
const SOUP: &[&str] = &[
    "subsystem",
    "routine",
    "simpleroutine",
    "function",
    "type",
    "skip",
    "import",
    "rcsid",
    "waittime",
    "error",
    "array",
    "struct",
    "c_string",
    "of",
    "intran",
    "ctype",
    "in",
    "out",
    "inout",
    "msgseqno",
    "dealloc",
    "const",
    "polymorphic",
    "PointerTo",
    "MACH_MSG_TYPE_COPY_SEND",
    "a",
    "f",
    "x",
    "int",
    "0",
    "1",
    "4096",
    "0x10",
    ".5",
    "1e+",
    "99999999999",
    "\"s\"",
    "'c'",
    "<a/b.h>",
    ":",
    ";",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "=",
    "^",
    "|",
    "*",
    "+",
    "-",
    "/",
    "~",
    "#",
    "##",
    "&&",
    "||",
    "?",
    "!",
    "<<",
    "@",
    "\"",
    "'",
    "\\",
    "\\\n",
    "\n",
    "\r\n",
    "\n#define f(x) x f x\n",
    "\n#define a f(a) a\n",
    "\n#define g(x, y) x ## y #x\n",
    "g(",
    "f(",
    "\n#undef f\n",
    "\n#if a\n",
    "\n#if f(1) + 0x7f\n",
    "\n#if defined(a) || 1/0\n",
    "\n#ifdef a\n",
    "\n#elif 1 ? 2 : 3\n",
    "\n#else\n",
    "\n#endif\n",
    "\n#include \"b.defs\"\n",
    "\n#include a\n",
    "\n#line 7 \"l\"\n",
    "\n# 3 \"m\" 1\n",
    "/*",
    "*/",
    "/* c */",
    "// c\n",
    "\0",
    "é",
    "\u{feff}",
    "\t",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn token_soup(words in prop::collection::vec(prop::sample::select(SOUP), 0..80), spaces in any::<bool>()) {
        survives(words.join(if spaces { " " } else { "" }));
    }

    #[test]
    fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(bytes);
    }

    /// A good file with one place overwritten.
    #[test]
    fn damaged(at in 0usize..1800, len in 0usize..20, word in prop::sample::select(SOUP)) {
        let good = concat!(
            include_str!("ui/ok/macros.defs"), include_str!("ui/ok/types.defs"), include_str!("ui/ok/conditionals.defs"),
        );
        let start = at.min(good.len());
        let end = (at + len).min(good.len());
        survives([&good.as_bytes()[..start], word.as_bytes(), &good.as_bytes()[end..]].concat());
    }
}

/// Repeats `unit` up to this many mebibytes.
fn junk(unit: &str, mebibytes: usize) -> Vec<u8> {
    unit.as_bytes().repeat((mebibytes << 20) / unit.len())
}

/// What this thread has taken of a processor so far: unlike the time of a clock on a wall, it is the same on
/// a busy machine. Zero where there is no such clock.
fn processor_time() -> Duration {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
    }
    #[cfg(not(unix))]
    Duration::ZERO
}

#[test]
fn a_hundred_mebibytes_of_junk() {
    let start = processor_time();
    for unit in ["a", "\0", "/", "; ", "@ "] {
        let parsed = run(junk(unit, 100));
        let text = parsed.diagnostics.render(&parsed.sources, false);
        assert!(text.len() < 100_000, "{unit:?}");
        assert!(parsed.ast.statements.is_empty());
    }
    let time = processor_time() - start;
    assert!(time < Duration::from_secs(120), "{time:?}");
}

// Less of each of these: they go through slow paths, whose time in a debug build is in proportion.
#[test]
fn junk_of_each_kind() {
    let kinds = [
        "\n",
        "(",
        "\"",
        "'",
        "\\\n",
        "#",
        "a b ",
        "skip;",
        "type t=^",
        "/*",
        "// \n",
        "/**/",
        "#if 1\n",
        "#if 0\n",
        "#ifdef x\n",
        "#else\n",
        "#endif\n",
        "#define a b\n",
        "#line 1\n",
        "#pragma x\n",
        "#warning x\n",
        "#error x\n",
        "#include \"a.defs\"\n",
        "\u{e9}",
        "routine f(",
        "waittime a",
    ];
    for unit in kinds {
        let start = processor_time();
        let parsed = run(junk(unit, 2));
        parsed.diagnostics.render(&parsed.sources, false);
        let time = processor_time() - start;
        assert!(time < Duration::from_secs(20), "{unit:?}: {time:?}");
    }
    for prefix in
        ["#define f(x) x\nf(", "#if 0\n", "#define ", "#define f(", "#if ", "type t = array[1", "import <"]
    {
        let bytes = [prefix.as_bytes(), &junk("a,", 2)].concat();
        run(bytes);
    }
}

/// Found by `bytes`: a number that starts with a dot, at the very start.
#[test]
fn a_dot_and_a_digit() {
    survives(".0");
    survives("#if .5e+1\n");
}

#[test]
fn bytes_that_are_not_utf8() {
    survives(vec![0xff; 1 << 20]);
    let parsed = run([b"/* ".as_slice(), &[0xff, 0xc3], b" */ subsystem s 1;"].concat());
    assert!(!parsed.diagnostics.has_errors());
}

/// Includes that double at each level: the limit on their number ends it, long before 2^40 files.
#[test]
fn doubling_includes() {
    let mut files = Memory::new().file("f0", "skip;");
    for level in 1..40 {
        files = files.file(format!("f{level}"), format!("#include \"f{0}\"\n#include \"f{0}\"\n", level - 1));
    }
    let parsed = parse(&Options::new(), &files, "f39");
    let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, [mig_parser::codes::INPUT_LIMIT]);
}

/// After the hundredth error nobody reads on; one line says that there are more.
#[test]
fn errors_are_limited() {
    let parsed = run("type;\n".repeat(150));
    let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes.len(), 101);
    assert_eq!(codes[99..], [mig_parser::codes::SYNTAX, mig_parser::codes::TOO_MANY]);
}

#[test]
fn the_file_itself_is_missing() {
    let parsed = parse(&Options::new(), &Memory::new(), "nowhere.defs");
    let text = parsed.diagnostics.render(&parsed.sources, false);
    assert!(text.contains("MIG0100") && text.contains("nowhere.defs"), "{text}");
    assert!(parsed.files.is_empty());
}

/// What build scripts and dependency files need: each file once, the first one first.
#[test]
fn files_are_listed_once() {
    let files = Memory::new()
        .file("main.defs", "#include \"b\"\n#include \"c\"\n#include \"b\"\n")
        .file("b", "")
        .file("c", "#include \"b\"\nimport <not_read.h>;");
    let parsed = parse(&Options::new(), &files, "main.defs");
    let names: Vec<_> = parsed.files.iter().map(|f| f.to_str().expect("UTF-8")).collect();
    assert_eq!(names, ["main.defs", "b", "c"]);
}
