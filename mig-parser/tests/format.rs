//! Formatting: the style, and what it never changes.

use std::fs;
use std::path::{Path, PathBuf};

use mig_parser::{Memory, Options, format, preprocessed, unpreprocessed};
use proptest::prelude::*;

#[track_caller]
fn formatted(text: &str) -> String {
    match format("a.defs", text.as_bytes()) {
        Ok(formatted) => formatted,
        Err(wrong) => panic!("{}", wrong.diagnostics.render(&wrong.sources, false)),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(formatted(text), expected);
    assert_eq!(formatted(expected), expected, "formatting again changes it");
}

#[test]
fn a_routine_has_its_arguments_in_lines_of_their_own() {
    check(
        "routine   f ( p:port_t ;out n\n:int ; requestport\tq : port_t);\nroutine g();",
        "routine f(\n\t\tp : port_t;\n\tout\tn : int;\n\trequestport q : port_t);\nroutine g();\n",
    );
    check("function f(p : port_t):int;", "function f(\n\t\tp : port_t) : int;\n");
}

#[test]
fn a_macro_may_make_the_name_of_a_routine() {
    check("routine PREFIX( f )(p : port_t);", "routine PREFIX(f)(\n\t\tp : port_t);\n");
    check("routine f(IN p : port_t);", "routine f(\n\tIN\tp : port_t);\n");
}

#[test]
fn types_stay_in_a_line_and_their_options_do_not() {
    check("type  t=array [ * : 512 ] of  struct[3]of int ;", "type t = array[*:512] of struct[3] of int;\n");
    check(
        "type t = ^ array [] of (MACH_MSG_TYPE_BYTE , 8);",
        "type t = ^array[] of (MACH_MSG_TYPE_BYTE, 8);\n",
    );
    check(
        "type t = polymorphic|MACH_MSG_TYPE_COPY_SEND ctype:c_t intran : t_t in ( c_t );",
        "type t = polymorphic | MACH_MSG_TYPE_COPY_SEND\n\tctype: c_t\n\tintran: t_t in(c_t);\n",
    );
    check("type t = struct{ int a ; int b; } ;", "type t = struct {\n\tint a;\n\tint b;\n};\n");
}

#[test]
fn an_argument_is_broken_where_it_does_not_fit_or_has_options() {
    let flags =
        "routine f(p : port_t; out list : list_t = array[] of mach_port_send_once_t, Dealloc,CountInOut);";
    check(
        flags,
        "routine f(\n\t\tp : port_t;\n\tout\tlist : list_t =\n\t\t\tarray[] of mach_port_send_once_t, Dealloc, CountInOut);\n",
    );
    // 80 columns, and one more
    let name = |length: usize| format!("{}_t", "a".repeat(length));
    let (fits, does_not) = (name(80 - 16 - 4 - 2 - 8), name(80 - 16 - 4 - 2 - 7));
    check(&format!("routine f(p : {fits} = int);"), &format!("routine f(\n\t\tp : {fits} = int);\n"));
    check(
        &format!("routine f(p : {does_not} = int);"),
        &format!("routine f(\n\t\tp : {does_not} =\n\t\t\tint);\n"),
    );
    check("routine f(p : t = u ctype: c);", "routine f(\n\t\tp : t =\n\t\t\tu\n\t\t\tctype: c);\n");
}

#[test]
fn directives_and_macros_are_kept() {
    check(
        "#define  A(x) \\\n   x /* b\n c */ \nsubsystem\n#if X\nKernelUser\n#endif\n  s 1;  \n  #include  <a>\nIMPORTS\nOTHER( a ;\n    b );\n",
        "#define  A(x) \\\n   x /* b\n c */\nsubsystem\n#if X\n\tKernelUser\n#endif\n\ts 1;\n  #include  <a>\nIMPORTS\nOTHER( a ;\n    b );\n",
    );
    check(
        "routine f(p : t\n#ifdef S\n;msgseqno s : n\n#endif\n);",
        "routine f(\n\t\tp : t\n#ifdef S\n\t\t;\n\tmsgseqno s : n\n#endif\n\t\t);\n",
    );
    // The state of the machine is that of each branch.
    check(
        "#if A\nroutine f(\n#else\nsimpleroutine f(\n#endif\np:t);",
        "#if A\nroutine f(\n#else\nsimpleroutine f(\n#endif\n\t\tp : t);\n",
    );
    // Keywords are known in any case, so this macro looks like one.
    check("userprefix  USERPREFIX;", "userprefix USERPREFIX;\n");
}

#[test]
fn text_that_is_never_compiled_is_kept() {
    let text = "#if 0\n  it's \"what ever\n#if 1\n\t/* no\n#endif\n */\n#endif\n#else\nskip;\n#endif\n";
    check(text, text);
    check("#if 0\nnot ended  ", "#if 0\nnot ended\n");
}

#[test]
fn comments_stay_where_they_are() {
    check(
        "/* a */skip;// b\n\n\n\n/*\n* c\n    * d\n e */\nroutine f( /* g */\n /* h */ p : t; /* i */ q : t\n// j\n);",
        "/* a */ skip; // b\n\n/*\n * c\n * d\n e */\nroutine f( /* g */\n\t\t/* h */ p : t;\n\t\t/* i */ q : t\n\t\t// j\n\t\t);\n",
    );
    check("skip /* 1 */ ;skip /* 2 */\n;", "skip /* 1 */; skip /* 2 */\n;\n");
    check("type t = // why\nint;", "type t = // why\n\tint;\n");
}

#[test]
fn spaces_that_mean_something_stay() {
    // MIG takes `a-b` as one value, `a - b` as three words.
    check("msgoption a-b;\nwaittime  a  - b ;", "msgoption a-b;\nwaittime a - b;\n");
    // On one line the preprocessor would take `<a b>` as the name of a file.
    check("import\n<a  b>;", "import\n<a  b>;\n");
    check("type t = a # b;\nskip; # c", "type t = a # b;\nskip; # c\n");
}

#[test]
fn ends_of_lines_are_those_of_the_first_line() {
    check("skip;\r\n/* a \r\n b */\r\n", "skip;\r\n/* a\r\n b */\r\n");
    check("skip;\n/* a\r\n b */ ", "skip;\n/* a\n b */\n");
    check("\u{feff}skip ;", "\u{feff}skip;\n");
    check("", "");
    check(" \n\n", "");
}

#[track_caller]
fn wrong(text: &[u8], code: &str, place: &str) {
    let wrong = format("a.defs", text).unwrap_err();
    let told = wrong.diagnostics.render(&wrong.sources, false);
    assert!(told.contains(code) && told.contains(place), "{told}");
    assert_eq!(wrong.diagnostics.iter().count(), 1);
    assert!(unpreprocessed(text).is_none());
}

#[test]
fn what_is_no_text_is_an_error_with_its_place() {
    wrong(b"skip;\n  /* a", "MIG0114", "a.defs:2:3");
    wrong(b"#if A /* a\nskip;", "MIG0114", "a.defs:1:7");
    wrong(b"skip;\nrcsid \"a\n\";", "MIG0206", "a.defs:2:7");
    wrong(b"skip;\n\0", "MIG0200", "a.defs:2:1");
    wrong(b"skip;\rskip;", "MIG0200", "a.defs:1:6");
    wrong(b"/* caf\xe9 */", "MIG0208", "a.defs:1:7");
}

/// Every `.defs` file of the repository, those of the tests of errors included.
fn files() -> Vec<PathBuf> {
    fn find(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                find(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "defs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for folder in ["defs", "examples", "mig-parser/tests", "mig-codegen/tests"] {
        find(&root.join(folder), &mut files);
    }
    assert!(files.len() > 150, "{} files", files.len());
    files
}

#[test]
fn tokens_and_meaning_stay_and_a_second_time_changes_nothing() {
    let mut refused = 0;
    for file in files() {
        let text = fs::read(&file).unwrap();
        let Ok(formatted) = format("a.defs", &text) else {
            refused += 1;
            continue;
        };
        let name = file.display();
        assert_eq!(unpreprocessed(&text), unpreprocessed(formatted.as_bytes()), "{name}");
        assert_eq!(format("a.defs", formatted.as_bytes()).unwrap(), formatted, "{name}");
        let tokens = |text: &[u8]| {
            let files = Memory::new().file("a.defs", text);
            preprocessed(&Options::new(), &files, "a.defs").0
        };
        // Those that ask for their own line have moved.
        if !String::from_utf8_lossy(&text).contains("__LINE__") {
            assert_eq!(tokens(&text), tokens(formatted.as_bytes()), "{name}");
        }
    }
    // The tests of errors have a few.
    assert!(refused < 20, "{refused} files were refused");
}

/// The white space of a file in the style follows from its tokens.
#[test]
fn blanks_do_not_matter() {
    let defs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("defs");
    for file in files().iter().filter(|file| file.starts_with(&defs)) {
        let text = fs::read_to_string(file).unwrap();
        assert_eq!(formatted(&text), text, "{}: `mig fmt defs` formats it", file.display());
        assert_eq!(formatted(&text.replace('\t', "   ")), text, "{}", file.display());
    }
}

/// Punctuation that would become other punctuation keeps its space.
#[test]
fn operators_stay_apart() {
    for text in ["type t ^ = a;\n", "type t = array[a : > b] of c;\n", "type t = ^ array[] of c;\n"] {
        let formatted = formatted(text);
        assert_eq!(unpreprocessed(text.as_bytes()), unpreprocessed(formatted.as_bytes()), "{formatted}");
    }
}

/// Pieces of text whose meaning depends on what is beside them.
const PIECES: &[&str] = &[
    "routine ",
    "type ",
    "skip",
    "userprefix",
    "subsystem",
    "import",
    "struct",
    "array",
    "of",
    "ctype",
    "out ",
    "inout ",
    "a",
    "b ",
    "3",
    "1e",
    "\"s\"",
    "'",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ";",
    ";\n",
    ",",
    ":",
    "=",
    "^",
    "^ =",
    ": >",
    "|",
    "%",
    "%:",
    "*",
    "/",
    ".",
    "..",
    "-",
    "+",
    "<",
    "<<",
    ">",
    "<a>",
    "__has_include",
    "#",
    "#if 0\n",
    "#if A\n",
    "#else\n",
    "#endif\n",
    "#define x \\\n y\n",
    "\n",
    "\n",
    " ",
    "\t",
    "\r\n",
    "\\\n",
    "\\",
    "/* c */",
    "/*a\n*/",
    "/**/",
    "// d\n",
    "é",
    "\u{feff}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_text_keeps_its_tokens_and_is_formatted_once(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 1..16)
    ) {
        let text = pieces.concat();
        let tokens = unpreprocessed(text.as_bytes());
        let Ok(formatted) = format("a.defs", text.as_bytes()) else {
            prop_assert!(tokens.is_none());
            return Ok(());
        };
        prop_assert_eq!(tokens, unpreprocessed(formatted.as_bytes()));
        let again = format("a.defs", formatted.as_bytes());
        prop_assert_eq!(again.ok(), Some(formatted));
    }
}
