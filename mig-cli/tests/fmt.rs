//! `mig fmt` as a user runs it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const OTHER: &str = "subsystem  s 1 ;\n/* why */ skip;";
const FORMATTED: &str = "subsystem s 1;\n/* why */ skip;\n";

/// An empty folder for a test.
fn folder(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mig-fmt").join(test);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Runs the command: its exit code, and what it says on standard output and standard error.
fn mig(folder: &Path, arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mig"))
        .arg("fmt")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn files_and_folders_are_formatted_in_place() {
    let folder = folder("in-place");
    fs::create_dir_all(folder.join("tree/deep")).unwrap();
    for file in ["a.defs", "tree/b.defs", "tree/deep/c.defs", "tree/other.txt"] {
        fs::write(folder.join(file), OTHER).unwrap();
    }
    assert_eq!(mig(&folder, &["a.defs", "tree"], b""), (Some(0), String::new(), String::new()));
    for file in ["a.defs", "tree/b.defs", "tree/deep/c.defs"] {
        assert_eq!(fs::read_to_string(folder.join(file)).unwrap(), FORMATTED);
    }
    assert_eq!(fs::read_to_string(folder.join("tree/other.txt")).unwrap(), OTHER);
}

#[test]
fn standard_input_goes_to_standard_output() {
    let folder = folder("stdin");
    assert_eq!(mig(&folder, &["-"], OTHER.as_bytes()), (Some(0), FORMATTED.to_owned(), String::new()));
    let (code, out, told) = mig(&folder, &["--check", "-"], OTHER.as_bytes());
    assert_eq!((code, out.as_str(), told.as_str()), (Some(1), "", "error: `<stdin>` is not formatted\n"));
    assert_eq!(mig(&folder, &["--check", "-"], FORMATTED.as_bytes()).0, Some(0));
}

#[test]
fn checking_writes_nothing_and_names_every_file() {
    let folder = folder("check");
    fs::write(folder.join("a.defs"), OTHER).unwrap();
    fs::write(folder.join("b.defs"), FORMATTED).unwrap();
    fs::write(folder.join("c.defs"), "skip ;\n").unwrap();
    let (code, out, told) = mig(&folder, &["--check", "."], b"");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let expected = "error: `./a.defs` is not formatted, line 1:\n- subsystem  s 1 ;\n+ subsystem s 1;\n\
                    error: `./c.defs` is not formatted, line 1:\n- skip ;\n+ skip;\n";
    assert_eq!(told, expected);
    assert_eq!(fs::read_to_string(folder.join("a.defs")).unwrap(), OTHER);
}

#[test]
fn what_cannot_be_formatted_is_told_with_its_place_and_stays() {
    let folder = folder("wrong");
    let wrong: [(&str, &[u8], &str); 4] = [
        ("comment.defs", b"skip  ;\n /* a", "comment.defs:2:2"),
        ("string.defs", b"skip  ;\nrcsid \"a", "string.defs:2:7"),
        ("zero.defs", b"skip  ;\n\0", "zero.defs:2:1"),
        ("latin.defs", b"skip  ; /* \xe9 */", "latin.defs:1:12"),
    ];
    for (file, text, place) in wrong {
        fs::write(folder.join(file), text).unwrap();
        let (code, out, told) = mig(&folder, &[file], b"");
        assert_eq!((code, out.as_str()), (Some(1), ""), "{told}");
        assert!(told.contains(place), "{told}");
        assert_eq!(fs::read(folder.join(file)).unwrap(), text);
    }
    // The others are formatted all the same.
    fs::write(folder.join("z.defs"), OTHER).unwrap();
    let (code, _, told) = mig(&folder, &[".", "missing.defs", "--message-format", "json"], b"");
    assert_eq!(code, Some(1));
    // Four errors, each with the count of errors after it, and the missing file.
    assert_eq!(told.lines().count(), 4 * 2 + 1, "{told}");
    assert!(told.lines().all(|line| line.starts_with("{\"$message_type\"")), "{told}");
    assert_eq!(fs::read_to_string(folder.join("z.defs")).unwrap(), FORMATTED);
    assert_eq!(mig(&folder, &["/dev/null"], b"").0, Some(1), "only files are read and written");
}

#[cfg(unix)]
#[test]
fn links_stay_links() {
    let folder = folder("links");
    fs::write(folder.join("real.defs"), OTHER).unwrap();
    std::os::unix::fs::symlink("real.defs", folder.join("link.defs")).unwrap();
    assert_eq!(mig(&folder, &["link.defs"], b"").0, Some(0));
    assert!(fs::symlink_metadata(folder.join("link.defs")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(folder.join("real.defs")).unwrap(), FORMATTED);
}

#[test]
fn our_own_files_are_formatted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (code, _, told) = mig(root, &["--check", "defs", "examples"], b"");
    assert_eq!((code, told.as_str()), (Some(0), ""));
}

#[test]
fn the_example_of_the_documentation_is_in_the_style() {
    let page = include_str!("../../docs/book/format.md");
    let example = page.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = folder("example");
    assert_eq!(mig(&folder, &["-"], example.as_bytes()), (Some(0), example.to_owned(), String::new()));
}
