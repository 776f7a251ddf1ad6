//! The lints of `mig check`, as a user sees them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Runs `mig` on a file with this text, beside which `a.defs` has two types: what it says, if its exit code
/// is 0.
fn mig(test: &str, verb: &[&str], text: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mig-lints").join(test);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.defs"), "type port_t = MACH_MSG_TYPE_COPY_SEND; type other_t = int;").unwrap();
    let text = format!("subsystem s 1000;\n#include \"a.defs\"\n{text}");
    fs::write(folder.join("s.defs"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mig"))
        .args(verb)
        .args(["--abi", "gnu-i386", "s.defs"])
        .current_dir(folder)
        .output()
        .unwrap();
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

/// Whoever writes a lint sees what it says of real interfaces.
#[test]
fn our_own_files_have_nothing_to_warn_of() {
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
    for (family, abi) in [
        ("gnu", "gnu-x86_64"),
        ("hurd", "gnu-i386"),
        ("pager", "gnu-i386"),
        ("osf", "osf-32"),
        ("apple", "apple-64"),
    ] {
        let mut files = Vec::new();
        find(&root().join("defs").join(family), &mut files);
        assert!(!files.is_empty());
        let mut check = Command::new(env!("CARGO_BIN_EXE_mig"));
        check.args(["check", "--abi", abi]).args(&files);
        let output = check.output().unwrap();
        // Some files of types want others before them, which is an error here and not the question.
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("MIG04"), "{family}: {said}");
    }
}
