//! The array of a program that was killed while it wrote.
#![cfg(target_os = "linux")]

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use mach_defs::gnu::memory_object::memory_object;
use mach_vm::{Limits, Memory, Protection, Vm, VmError};
use mig_runtime::kernel::local::Host;
use mig_runtime::{ReceiveRight, Server};
use persistent_array_example::PersistentArray;

const PAGE: usize = 4096;
const PAGES: usize = 200;
const RECORD: u64 = PAGE as u64 + 16;

/// Maps the array, of which less than a third may be resident. False if this user may not; CI may.
fn with_array(path: &Path, work: impl FnOnce(&mut Memory)) -> bool {
    let array = PersistentArray::open(path, PAGES).unwrap();
    let host: Host = Host::new();
    let vm = match Vm::new(&host, Limits { resident: 64 * PAGE, ..Limits::default() }) {
        Err(why @ (VmError::NotPermitted | VmError::OldKernel)) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {why}");
            return false;
        }
        vm => vm.unwrap(),
    };
    let port = ReceiveRight::allocate(&host.new_task("array")).unwrap();
    Server::on(&port)
        .with(memory_object(&array))
        .serve_while(|| {
            let mapping = vm.map(port.make_send().unwrap(), 0, PAGES * PAGE, Protection::ReadWrite).unwrap();
            work(&mut mapping.into_memory().unwrap());
        })
        .unwrap();
    true
}

fn write_round(memory: &mut Memory, round: u64) {
    for page in memory.chunks_exact_mut(PAGE) {
        page.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&round.to_le_bytes()));
    }
}

/// The rounds of a page's words.
fn rounds(page: &[u8]) -> Vec<u64> {
    page.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

/// A page is what it was at one moment: words up to some place are of one round, the others of the one
/// before.
fn check(memory: &[u8]) {
    for (number, page) in memory.chunks_exact(PAGE).enumerate() {
        let rounds = rounds(page);
        let (first, last) = (rounds[0], rounds[rounds.len() - 1]);
        assert!(rounds.is_sorted_by(|a, b| a >= b), "page {number}: {rounds:?}");
        assert!(first - last <= 1, "page {number} is of rounds {first} and {last}");
    }
}

fn file(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

#[test]
fn every_page_is_whole_after_a_kill() {
    if let Some(path) = std::env::var_os("ARRAY_CHILD") {
        with_array(path.as_ref(), |memory| {
            for round in 1.. {
                write_round(memory, round);
            }
        });
        return;
    }
    let path = file("killed");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "every_page_is_whole_after_a_kill"])
        .env("ARRAY_CHILD", &path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Some rounds later; it writes for ever, if it may.
    while fs::metadata(&path).map_or(0, |file| file.len()) < 3 * PAGES as u64 * RECORD {
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success() && std::env::var_os("CI").is_none(), "{ended}");
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    const SIGKILL: i32 = 9;
    assert_eq!(child.wait().unwrap().signal(), Some(SIGKILL));

    assert!(with_array(&path, |memory| {
        check(memory);
        assert!(rounds(memory).iter().any(|round| *round > 0));
    }));
    // The record that was written last is not whole.
    let len = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len / RECORD * RECORD - 1000).unwrap();
    with_array(&path, |memory| check(memory));
    // What a program leaves that ends in peace is all that it has written.
    with_array(&path, |memory| write_round(memory, 1 << 40));
    with_array(&path, |memory| assert!(rounds(memory).iter().all(|round| *round == 1 << 40)));
    fs::remove_file(&path).unwrap();
}

#[test]
fn the_file_does_not_grow_for_ever() {
    let path = file("tidied");
    let ran = with_array(&path, |memory| (1..20).for_each(|round| write_round(memory, round)));
    if ran {
        assert!(fs::metadata(&path).unwrap().len() <= (4 * PAGES as u64 + 64 + 32) * RECORD);
        with_array(&path, |memory| assert!(rounds(memory).iter().all(|round| *round == 19)));
    }
    let _ = fs::remove_file(&path);
}
