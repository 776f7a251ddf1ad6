//! The command `mach-pager demo`, as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

fn mach_pager(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mach-pager")).args(arguments).output().unwrap()
}

/// The figure after this word in the table.
fn figure(table: &str, word: &str) -> u64 {
    let (_, after) = table.split_once(&format!("  {word} ")).unwrap_or_else(|| panic!("{word}: {table}"));
    after.split_whitespace().next().unwrap().parse().unwrap()
}

fn swap_file(folder: &Path, size: &str) -> String {
    let path = folder.join("swap").to_str().unwrap().to_owned();
    assert!(mach_pager(&["format", &path, "--size", size]).status.success());
    path
}

#[test]
fn every_page_is_right_with_sixteen_times_more_than_may_be_resident() {
    let run = mach_pager(&["demo", "--size", "4M", "--resident", "256K"]);
    let table = String::from_utf8(run.stdout).unwrap();
    assert_eq!(run.status.code(), Some(0), "{table}{}", String::from_utf8_lossy(&run.stderr));
    assert!(table.starts_with("paging 4.0 MiB through 256.0 KiB: "), "{table}");
    assert!(table.contains("  every page right · at most 256.0 KiB resident · "), "{table}");
    assert_eq!(figure(&table, "memory_object_create"), 4);
    assert_eq!(figure(&table, "memory_object_terminate"), 4);
    assert_eq!(figure(&table, "lost"), 0);
    // 960 of 1024 pages are written, and no more than 64 are resident at the end of that.
    assert!(figure(&table, "data_return") >= 896, "{table}");
    assert!(figure(&table, "data_request") >= 960, "{table}");
}

#[test]
fn a_swap_file_of_ones_own_and_one_client() {
    let folder = tempfile::tempdir().unwrap();
    let swap = swap_file(folder.path(), "4M");
    for _ in 0..2 {
        let run =
            mach_pager(&["demo", "--size", "2M", "--resident", "64K", "--clients", "1", "--swap", &swap]);
        assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn however_pages_are_kept_they_are_right() {
    for options in [
        &["--compress"][..],
        &["--encrypt"],
        &["--compress", "--encrypt", "--discard"],
        &["--direct", "--ring"],
        &["--direct", "--ring", "--compress", "--encrypt", "--discard"],
    ] {
        let run = mach_pager(&[&["demo", "--size", "2M", "--resident", "128K"], options].concat());
        let table = String::from_utf8(run.stdout).unwrap();
        let error = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(0), "{options:?}: {table}{error}");
        assert!(table.contains("  every page right · "), "{options:?}: {table}");
    }
}

#[test]
fn with_page_faults_pages_are_the_same() {
    let [faults, calls] = [&["--faults"], &["--soft"]].map(|options| {
        let run = mach_pager(&[&["demo", "--size", "2M", "--resident", "128K"], &options[..]].concat());
        let table = String::from_utf8(run.stdout).unwrap();
        assert_eq!(run.status.code(), Some(0), "{table}{}", String::from_utf8_lossy(&run.stderr));
        assert!(table.contains("  every page right · at most 128.0 KiB resident · "), "{table}");
        figure(&table, "pages out")
    });
    // 480 of 512 pages are written first; which ones leave twice is a matter of the order of threads.
    assert!(faults >= 448 && calls >= 448, "{faults} and {calls}");
}

#[test]
fn with_too_small_a_swap_file_only_pages_that_have_no_room_fail() {
    let folder = tempfile::tempdir().unwrap();
    let swap = swap_file(folder.path(), "1M");
    let run = mach_pager(&["demo", "--size", "4M", "--resident", "256K", "--swap", &swap]);
    let table = String::from_utf8(run.stdout).unwrap();
    assert_eq!(run.status.code(), Some(1), "{table}");
    assert!(figure(&table, "handed back") > 0 && figure(&table, "lost") > 0, "{table}");
    assert!(
        table.contains("  0 pages wrong, ") && table.contains(" · at most 256.0 KiB resident · "),
        "{table}"
    );
    // Whatever failed, all rights came back.
    let rights = table.split_once("rights before ").unwrap().1.trim_end();
    let (before, after) = rights.split_once(", after ").unwrap();
    assert_eq!(before, after);
    let error = String::from_utf8(run.stderr).unwrap();
    // How far it has come may stand before it, on a slow machine.
    let last = error.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: the swap space has room for 254 pages and 1024 are used: "), "{error}");
}

#[test]
fn what_is_no_swap_file_and_what_makes_no_sense() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "no swap").unwrap();
    let text = text.to_str().unwrap();
    let missing = folder.path().join("missing");
    let missing = missing.to_str().unwrap();
    for (arguments, code, says) in [
        (&["--swap", text][..], 1, "cannot be used for swapping: "),
        (&["--swap", missing], 1, "does not exist; `mach-pager format"),
        (&["--clients", "0"], 2, "--clients: there must be one at least"),
        (&["--size", "8K"], 2, "--size: 4 clients need a page of 4096 bytes each"),
        (&["--resident", "8K"], 2, "--resident: 4 clients need"),
        (&["--size", "12P"], 2, "the units are K, M, G and T"),
    ] {
        let run = mach_pager(&[&["demo"], arguments].concat());
        let error = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(says), "{arguments:?}: {error}");
        assert!(run.stdout.is_empty());
    }
    assert_eq!(std::fs::read_to_string(text).unwrap(), "no swap");
}

#[test]
fn where_the_system_has_no_room_for_all_threads_the_demo_says_so_and_ends() {
    // The system counts the threads of a user, and root's as many as there are: a user that nobody else is.
    let user = (1_000_000 + std::process::id()).to_string();
    let as_user = |script: &str| {
        let command = env!("CARGO_BIN_EXE_mach-pager");
        Command::new("setpriv")
            .args(["--reuid", &user, "--clear-groups", "bash", "-c", script, command])
            .output()
            .ok()
            .filter(|run| matches!(run.status.code(), Some(0 | 1)))
    };
    if as_user("\"$0\" --version").is_none() {
        assert!(std::env::var_os("CI").is_none(), "no other user can run it");
        eprintln!("skipped: this user cannot be another one, or that one cannot run the program");
        return;
    }
    let mut outcomes = Vec::new();
    for most in 1..=40 {
        let arguments = "demo --clients 4 --size 1M --resident 256K";
        let run =
            as_user(&format!("ulimit -u {most}; exec \"$0\" {arguments}")).expect("it says how it ended");
        // How far it has come may stand before it, on a slow machine.
        let error = String::from_utf8(run.stderr).unwrap();
        let error = error.lines().rfind(|line| !line.starts_with("paging ")).unwrap_or_default();
        let is_right = run.status.success();
        assert!(is_right && error.is_empty() || error.starts_with("error: "), "{most} threads: {error}");
        outcomes.push(is_right);
    }
    assert_eq!((outcomes[0], outcomes[39]), (false, true));
}
