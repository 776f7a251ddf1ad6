//! The lints of `mig check`, as a user sees them.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs `mig` on a file with this text, beside which `a.defs` has two types: what it says, if its exit code
/// is 0.
fn mig(test: &str, verb: &[&str], text: &str) -> String {
    mig_with_head(test, verb, "", text)
}

/// The same with a comment before the subsystem.
fn mig_with_head(test: &str, verb: &[&str], head: &str, text: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mig-lints").join(test);
    fs::create_dir_all(&folder).unwrap();
    fs::write(
        folder.join("a.defs"),
        "type port_t = MACH_MSG_TYPE_COPY_SEND; type other_t = MACH_MSG_TYPE_INTEGER_32;",
    )
    .unwrap();
    let text = format!("{head}subsystem s 1000;\n#include \"a.defs\"\n{text}");
    fs::write(folder.join("s.defs"), text).unwrap();
    mig_at(&folder, &[verb, &["s.defs"]].concat())
}

/// Runs `mig` in a folder, for GNU Mach unless the arguments say something else.
fn mig_at(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mig"));
    command.args(arguments).current_dir(folder);
    if !arguments.contains(&"--abi") {
        command.args(["--abi", "gnu-i386"]);
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    said
}

#[test]
fn a_type_that_nothing_uses_is_a_warning_that_a_comment_allows() {
    let types = "type a_t = int;\ntype b_t = int;\ntype c_t = struct { b_t x; };\ntype d_t = int;\n\
                 type e_t = struct[8] of d_t;\nroutine f(p : port_t; x : c_t; y : q_t = ^array[] of e_t);\n";
    let said = mig("unused", &["check"], types);
    assert_eq!(said.matches("warning[MIG0401]").count(), 1, "{said}");
    assert!(said.contains("nothing uses the type `a_t`") && said.contains("s.defs:3:6"), "{said}");
    assert!(said.contains("`/* mig: allow(unused-type) */`"), "{said}");
    assert_eq!(mig("unused", &["check", "--no-lints"], types), "");
    let allowed =
        types.replacen("type a_t", "/* Once more. */\n/* mig: allow(reply-id, unused-type) */\ntype a_t", 1);
    assert_eq!(mig("unused", &["check"], &allowed), "");
    let other = types.replacen("type a_t", "/* mig: allow(reply-id) */\ntype a_t", 1);
    assert!(mig("unused", &["check"], &other).contains("MIG0401"), "another lint is allowed");
    // The includer of a file of types uses what it likes, and builds are not told at all.
    assert_eq!(mig("unused", &["rust"], types).matches("MIG0401").count(), 0);
}

/// A reply's id is that of its request and 100 more, on every MIG.
#[test]
fn a_request_with_the_id_of_a_reply_is_a_warning_that_a_comment_allows() {
    let first = "routine first(p : port_t);\n";
    let said = mig("ids", &["check"], &format!("{first}skip 99;\nroutine last(p : port_t);\n"));
    assert_eq!(said.matches("warning[MIG0402]").count(), 1, "{said}");
    assert!(said.contains("the request of `last` has the id of a reply, 1100"), "{said}");
    assert!(said.contains("the reply of `first` has it, too"), "{said}");
    for without in ["skip 98;\nroutine last(p : port_t);", "skip 100;\nroutine last(p : port_t);"] {
        assert_eq!(mig("ids", &["check"], &format!("{first}{without}")), "");
    }
    let one_way = "simpleroutine first(p : port_t);\nskip 99;\nroutine last(p : port_t);";
    assert_eq!(mig("ids", &["check"], one_way), "", "there is no reply");
    let allowed = format!(
        "{first}skip 99;\n/* The last one. */\n/* mig: allow(reply-id) */\nroutine last(p : port_t);\n"
    );
    assert_eq!(mig("ids", &["check"], &allowed), "");
    let rust = mig("ids", &["rust"], &allowed);
    assert!(rust.contains("The last one.") && !rust.contains("mig: allow"), "{rust}");
}

/// A comment before the subsystem is for all that its file has.
#[test]
fn what_the_whole_file_allows() {
    let text = "type a_t = int;\nroutine first(p : port_t);\nskip 99;\nroutine last(p : port_t);";
    assert_eq!(mig("whole", &["check"], text).matches("warning[").count(), 2);
    let file = "/* All of them. */\n/* mig: allow(unused-type, reply-id) */";
    assert_eq!(mig_with_head("whole", &["check"], file, text), "");
    let rust = mig_with_head("whole", &["rust"], file, text);
    assert!(rust.contains("All of them.") && !rust.contains("mig: allow"), "{rust}");
}

#[test]
fn an_argument_without_a_limit_is_a_warning_for_those_who_ask() {
    let text = "type byte_t = MACH_MSG_TYPE_BYTE;\ntype data_t = ^array[] of byte_t;\ntype more_t = array[] of int;\n\
                type few_t = array[*:8] of int;\ntype ports_t = ^array[] of port_t;\n\
                routine f(p : port_t; a : data_t; b : data_t; c : few_t; out d : more_t);\n\
                routine g(p : port_t; e : more_t; h : ports_t);\n";
    assert_eq!(mig("limits", &["check"], text), "");
    let said = mig("limits", &["check", "--pedantic"], text);
    assert_eq!(said.matches("warning[MIG0403]").count(), 3, "{said}");
    for arg in ["a", "e", "h"] {
        assert!(said.contains(&format!("nothing limits how much `{arg}` brings")), "{arg}: {said}");
    }
    let allow = "/* mig: allow(unbounded) */\n";
    let allowed = text.replacen("type data_t", &format!("{allow}type data_t"), 1);
    let allowed = allowed.replacen("routine g", &format!("{allow}routine g"), 1);
    // That C's servers do not look at the limit is another lint.
    let allowed = allowed.replacen("type few_t", "/* mig: allow(c-compiler) */\ntype few_t", 1);
    assert_eq!(mig("limits", &["check", "--pedantic"], &allowed), "");
}

/// What Debian's MIG makes of these: `b` a word too far, a server and stubs that gcc refuses.
#[test]
fn what_gnu_mig_mishandles_is_a_warning_that_a_comment_allows() {
    let types = "type byte_t = MACH_MSG_TYPE_CHAR;\ntype ten_t = array[*:10] of byte_t;\ntype twelve_t = array[*:12] of byte_t;\n\
                 type three_t = array[3] of port_t;\n";
    let routines = "routine one(p : port_t; a : ten_t; b : int);\n\
                    routine two(p : port_t; out c : twelve_t; out d : twelve_t);\n\
                    routine three(p : port_t; e : three_t);\n";
    let text = format!("{types}{routines}");
    let said = mig("gnu", &["check"], &text);
    assert_eq!(said.matches("warning[MIG0404]").count(), 3, "{said}");
    for part in ["what follows `a`: its 10 bytes", "server of `two`", "stubs for `e`"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The last argument may have any size, and so may one that fills whole addresses.
    let fine = "routine last(p : port_t; b : int; a : ten_t);\nroutine whole(p : port_t; a : twelve_t; b : int);\n\
                routine apart(p : port_t; x : three_t);";
    let fine = format!("{types}{fine}")
        .replace("three_t)", "twelve_t)")
        .replace("type three_t = array[3] of port_t;\n", "");
    assert_eq!(mig("gnu", &["check"], &fine), "");
    let allowed = routines.replace("routine", "/* mig: allow(c-compiler) */\nroutine");
    assert_eq!(mig("gnu", &["check"], &format!("{types}{allowed}")), "");
    // Messages for Apple's systems are not made by GNU MIG.
    assert_eq!(
        mig("gnu", &["check", "--abi", "apple-64"], &text.replace("int)", "byte_t)"))
            .matches("MIG0404")
            .count(),
        0
    );
}

/// By the sources of the compilers: no server of GNU, CMU or OSF compares a count with the declared maximum,
/// and those of OSF and Apple measure a result by `strlen`.
#[test]
fn what_a_server_in_c_must_check_is_a_warning_for_those_who_ask() {
    let text = "type few_t = array[*:8] of other_t;\ntype name_t = c_string[*:16];\n\
                routine f(p : port_t; a : few_t; b : few_t; out c : name_t);\n\
                routine g(p : port_t; d : name_t; out e : few_t);\n";
    let (count, string) = ("more than 8 elements of `a`", "more than the 16 bytes of `c`");
    for (abi, expected) in [
        ("gnu-i386", &[count][..]),
        ("gnu-x86_64", &[count]),
        ("cmu-32", &[count]),
        ("osf-32", &[count, string]),
        ("apple-64", &[string]),
    ] {
        let said = mig("unchecked", &["check", "--pedantic", "--abi", abi], text);
        assert_eq!(said.matches("warning[MIG0404]").count(), expected.len(), "{abi}: {said}");
        for part in expected {
            assert!(said.contains(part), "{abi}: {part}: {said}");
        }
        assert_eq!(mig("unchecked", &["check", "--abi", abi], text), "");
        let allowed = text.replace("type", "/* mig: allow(c-compiler) */\ntype");
        assert_eq!(mig("unchecked", &["check", "--pedantic", "--abi", abi], &allowed), "");
    }
}

#[test]
fn a_deletion_without_a_skip_is_a_warning_against_the_old_file() {
    let first = "routine one(p : port_t);\nroutine two(p : port_t);\nroutine three(p : port_t);\nroutine four(p : port_t);\n";
    mig("deleted", &["check"], first);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mig-lints/deleted");
    fs::rename(folder.join("s.defs"), folder.join("old.defs")).unwrap();
    let table = mig_at(&folder, &["abi", "--json", "old.defs"]);
    fs::write(folder.join("old.json"), table).unwrap();

    let gone = first.replace("routine two(p : port_t);\n", "");
    for old in ["old.defs", "old.json"] {
        let said = mig("deleted", &["check", "--against", old], &gone);
        assert_eq!(said.matches("warning[MIG0405]").count(), 1, "{said}");
        assert!(said.contains("`three` has the id of `two`, which was deleted: 1001"), "{said}");
        assert!(said.contains("write `skip;` where `two` was"), "{said}");
    }
    let against = |text: &str| mig("deleted", &["check", "--against", "old.defs"], text);
    assert_eq!(against(&first.replace("routine two(p : port_t);", "skip;")), "");
    assert_eq!(against(&first.replace("routine four(p : port_t);\n", "")), "", "nothing followed it");
    assert_eq!(against(&first.replace("two", "second")), "", "a new name");
    assert_eq!(against(&format!("{first}routine five(p : port_t);")), "");
    let allowed = gone.replace("routine three", "/* mig: allow(no-skip) */\nroutine three");
    assert_eq!(against(&allowed), "");
    assert_eq!(against(first), "");
}

/// As it went wrong once: a macro that was to choose names chose what the server is handed, too.
#[test]
fn a_translation_that_a_macro_takes_away_is_a_warning() {
    let text = "type file_t = MACH_MSG_TYPE_COPY_SEND\n#if KERNEL_SERVER\n\tintran: node_t node_of(file_t)\n#endif\n;\n\
                type dir_t = MACH_MSG_TYPE_COPY_SEND intran: node_t node_of(dir_t);\n\
                routine f(p : file_t; q : dir_t);\n#if KERNEL_SERVER\nroutine g(p : file_t);\n#endif\n";
    assert_eq!(mig("translations", &["check"], text), "");
    let said = mig("translations", &["check", "--beside", "KERNEL_SERVER"], text);
    assert_eq!(said.matches("warning[MIG0406]").count(), 1, "{said}");
    assert!(said.contains("`file_t` is translated by `intran` only with KERNEL_SERVER"), "{said}");
    let reverse = text.replacen("#if KERNEL", "#if !KERNEL", 1);
    let said = mig("translations", &["check", "--beside", "KERNEL_SERVER=1"], &reverse);
    assert!(said.contains("`file_t` is translated by `intran` only without KERNEL_SERVER=1"), "{said}");
    assert_eq!(mig("translations", &["check", "--beside", "OTHER"], text), "");
    let allowed = format!("/* mig: allow(lost-translation) */\n{text}");
    assert_eq!(mig("translations", &["check", "--beside", "KERNEL_SERVER"], &allowed), "");
}
