//! Swap files on the file systems of this machine, by the command and by the library.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

use mach_pager::store::file::{self, FileError, Problem};
use mach_pager::store::superblock::{Format, HeaderError};
use mach_pager::store::{Slot, Store, StoreError};
use mig_runtime::platform::Std;
use tempfile::TempDir;

const COMMAND: &str = env!("CARGO_BIN_EXE_mach-pager");
const PAGE: usize = 4096;

/// Runs a shell script in a folder, with the command as `$0`. Gives its exit code, and its output with its
/// errors.
fn shell(folder: &Path, script: &str) -> (i32, String) {
    let output =
        Command::new("sh").current_dir(folder).args(["-c", script, COMMAND]).output().expect("sh runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("no signal ended it"), String::from_utf8(text).expect("UTF-8"))
}

/// Runs `mach-pager format` with these arguments.
fn format(folder: &Path, arguments: &str) -> (i32, String) {
    shell(folder, &format!("exec \"$0\" format {arguments}"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn page(seed: u8) -> Vec<u8> {
    (0..PAGE).map(|at| seed ^ (at / 7) as u8).collect()
}

fn write(store: &impl Store<Place = Slot>, page: &[u8]) -> Slot {
    let mut stored = None;
    store.write(&[page], &mut |_, result| stored = Some(result));
    stored.expect("told").expect("written")
}

fn read(store: &impl Store<Place = Slot>, stored: &Slot) -> Result<Vec<u8>, StoreError> {
    let mut page = vec![0; PAGE];
    store.read(stored, &mut page).map(|()| page)
}

#[test]
fn a_new_file_has_its_space_and_takes_pages() {
    let folder = folder();
    let told = format(folder.path(), "swap --size 1M");
    assert_eq!(told, (0, "swap: 1.0 MiB of swap space, 254 pages of 4096 bytes\n".into()));
    assert_eq!(names(folder.path()), ["swap"]);
    let path = folder.path().join("swap");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.len(), metadata.mode() & 0o777), (1 << 20, 0o600));
    assert!(metadata.blocks() * 512 >= 1 << 20, "it has holes");

    let store = file::open::<Std>(&path).unwrap();
    assert_eq!(store.header().format, Format::Ours);
    let stored: Vec<_> = (0..254).map(|seed| write(&store, &page(seed as u8))).collect();
    for (seed, stored) in stored.iter().enumerate() {
        assert_eq!(read(&store, stored), Ok(page(seed as u8)));
    }
    store.write(&[&page(1)], &mut |_, result| assert_eq!(result, Err(StoreError::Full)));
    assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 20);
    // The superblock and its backup are where they were.
    drop(store);
    assert_eq!(file::open::<Std>(&path).unwrap().header().format, Format::Ours);
}

#[test]
fn the_size_is_rounded_to_pages_and_said_or_256_mib() {
    let folder = folder();
    assert_eq!(format(folder.path(), "odd --size 20479").0, 0);
    assert_eq!(fs::metadata(folder.path().join("odd")).unwrap().len(), 16384);
    assert_eq!(format(folder.path(), "default").0, 0);
    assert_eq!(fs::metadata(folder.path().join("default")).unwrap().len(), 256 << 20);
}

#[test]
fn what_is_not_ours_is_overwritten_only_by_force() {
    let folder = folder();
    let path = folder.path().join("letter");
    for content in [vec![], b"dear reader".to_vec(), vec![0; 1 << 20]] {
        fs::write(&path, &content).unwrap();
        let told =
            "error: letter exists and is not swap space of this program; --force overwrites what is in it\n";
        assert_eq!(format(folder.path(), "letter --size 64K"), (1, told.into()));
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    assert_eq!(format(folder.path(), "letter --force").0, 0);
    assert_eq!(file::open::<Std>(&path).unwrap().space().free, 254);
    assert_eq!(names(folder.path()), ["letter"]);
}

#[test]
fn what_is_ours_is_made_anew_in_its_size_or_another() {
    let folder = folder();
    let path = folder.path().join("swap");
    assert_eq!(format(folder.path(), "swap --size 64K").0, 0);
    let first = fs::read(&path).unwrap();
    assert_eq!(format(folder.path(), "swap").0, 0);
    let second = fs::read(&path).unwrap();
    assert_eq!(first.len(), second.len());
    assert_ne!(first, second, "they have one UUID");
    // Cut short, it is ours still.
    File::options().write(true).open(&path).unwrap().set_len(32 << 10).unwrap();
    assert_eq!(format(folder.path(), "swap --size 128K").0, 0);
    assert_eq!(file::open::<Std>(&path).unwrap().space().total, 30);
}

#[test]
fn a_file_that_is_made_anew_keeps_its_mode_and_links() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let [path, link] = ["swap", "link"].map(|name| folder.path().join(name));
    assert_eq!(format(folder.path(), "swap --size 64K").0, 0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    fs::hard_link(&path, &link).unwrap();
    let before = fs::metadata(&path).unwrap();
    for size in ["", "--size 128K", "--size 32K", "--force"] {
        assert_eq!(format(folder.path(), &format!("swap {size}")).0, 0);
        let after = fs::metadata(&link).unwrap();
        assert_eq!((after.ino(), after.mode(), after.nlink()), (before.ino(), before.mode(), 2), "{size}");
        assert_eq!(file::open::<Std>(&path).unwrap().header().slots * 4096, after.len());
    }
}

#[test]
fn a_format_that_is_killed_leaves_nothing() {
    let folder = folder();
    // At any time of its work: each round kills it a bit later, until it has made the file.
    for round in 0..1000 {
        let script = format!(
            "\"$0\" format swap --size 64M & sleep 0.{round:03}; kill -9 $! 2>/dev/null; wait $! 2>/dev/null; ls -A"
        );
        let (_, left) = shell(folder.path(), &script);
        match left.lines().last() {
            None => {}
            Some("swap") => {
                assert_eq!(file::open::<Std>(&folder.path().join("swap")).unwrap().space().total, 16382);
                return;
            }
            Some(other) => panic!("{other} is left, after {round} ms"),
        }
    }
    panic!("it never ends");
}

#[test]
fn a_link_stays_and_what_it_points_to_is_replaced() {
    let folder = folder();
    fs::create_dir(folder.path().join("disk")).unwrap();
    assert_eq!(format(folder.path(), "disk/swap --size 64K").0, 0);
    symlink("disk/swap", folder.path().join("swap")).unwrap();
    assert_eq!(format(folder.path(), "swap --size 128K").0, 0);
    assert!(fs::symlink_metadata(folder.path().join("swap")).unwrap().is_symlink());
    assert_eq!(fs::metadata(folder.path().join("disk/swap")).unwrap().len(), 128 << 10);
}

#[test]
fn a_file_in_use_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("swap");
    file::format(&path, Some(64 << 10), false).unwrap();
    let store = file::open::<Std>(&path).unwrap();
    let told = (1, "error: swap is in use by another process\n".into());
    assert_eq!(format(folder.path(), "swap"), told);
    assert_eq!(format(folder.path(), "swap --force"), told);
    assert!(matches!(file::open::<Std>(&path), Err(FileError { problem: Problem::InUse, .. })));
    drop(store);
    assert_eq!(format(folder.path(), "swap").0, 0);
}

#[test]
fn what_cannot_be_swap_space_is_told_in_one_line_and_leaves_nothing() {
    let folder = folder();
    for (arguments, message) in [
        ("swap --size 0", "swap cannot have 0 bytes: swap space takes 12288 at least; say more with --size"),
        (
            "swap --size 12287",
            "swap cannot have 12287 bytes: swap space takes 12288 at least; say more with --size",
        ),
        (". --force", ". is neither a file nor a block device"),
        ("/dev/null --force", "/dev/null is neither a file nor a block device"),
    ] {
        assert_eq!(format(folder.path(), arguments), (1, format!("error: {message}\n")));
    }
    let (code, told) = format(folder.path(), "missing/swap");
    assert_eq!(code, 1);
    assert!(told.starts_with("error: missing/swap cannot be made: No such file or directory"), "{told}");
    let (code, told) = format(folder.path(), "swap --size 12P");
    assert_eq!(code, 2);
    assert!(told.starts_with("error: invalid value '12P' for '--size <N>'"), "{told}");
    assert_eq!(format(folder.path(), "").0, 2);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_limit_of_file_size_is_told_before_it_ends_the_process() {
    let folder = folder();
    let (code, told) = shell(folder.path(), "ulimit -f 100; exec \"$0\" format swap --size 1M");
    assert_eq!(code, 1);
    assert!(
        told.starts_with("error: swap cannot have 1048576 bytes: files here are limited to less"),
        "{told}"
    );
    assert!(names(folder.path()).is_empty());
}

/// Runs a script as the root of a name space of its own, with a file system of 1 MiB in the working folder.
/// Not everybody may make one.
fn on_small_file_system(options: &str, script: &str) -> Option<(i32, String)> {
    let folder = folder();
    let mount = format!("mount -t tmpfs -o size=1M,{options} none . && cd \"$PWD\"");
    let alone =
        |script: &str| shell(folder.path(), &format!("exec unshare -rm sh -c '{mount} && {script}' \"$0\""));
    if alone("true").0 != 0 {
        eprintln!("skipped: no file systems of our own here");
        return None;
    }
    Some(alone(script))
}

#[test]
fn a_full_disk_is_told_and_nothing_is_left_on_it() {
    let script = "\"$0\" format swap --size 2M; echo $?; ls -A";
    if let Some(told) = on_small_file_system("rw", script) {
        let message =
            "error: swap cannot have 2097152 bytes: the disk is full; make room, or say less with --size\n";
        assert_eq!(told, (0, format!("1\n{message}")));
    }
    // One that is there is made anew without room beside it, and keeps its content when it cannot grow.
    let script = "\"$0\" format swap --size 600K >/dev/null && \"$0\" format swap >/dev/null && before=$(cksum swap) && \"$0\" format swap --size 2M 2>&1; test \"$before\" = \"$(cksum swap)\" && ls -A";
    if let Some((_, told)) = on_small_file_system("rw", script) {
        assert!(told.starts_with("error: swap cannot have 2097152 bytes: the disk is full"), "{told}");
        assert!(told.ends_with("\nswap\n"), "{told}");
    }
}

#[test]
fn a_disk_that_cannot_be_written_is_told() {
    if let Some((code, told)) = on_small_file_system("ro", "exec \"$0\" format swap") {
        assert_eq!(code, 1);
        assert!(told.starts_with("error: swap cannot be made: Read-only file system"), "{told}");
    }
}

#[test]
fn what_is_no_swap_space_is_not_opened() {
    let folder = folder();
    let path = folder.path().join("swap");
    let told = || {
        file::open::<Std>(&path).err().expect("refused").to_string().replace(path.to_str().unwrap(), "swap")
    };
    assert_eq!(told(), "swap does not exist; `mach-pager format swap` makes it");
    for times in [0, 1, 1000] {
        fs::write(&path, "dear reader ".repeat(times)).unwrap();
        assert_eq!(
            told(),
            "swap cannot be used for swapping: it has no superblock of swap space; format it first"
        );
    }
    file::format(&path, Some(64 << 10), true).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(32 << 10).unwrap();
    assert_eq!(
        told(),
        "swap cannot be used for swapping: it was cut short: it should have 65536 bytes and has 32768; format it anew"
    );
}

#[test]
fn a_damaged_superblock_is_replaced_by_its_backup_and_both_damaged_are_refused() {
    let folder = folder();
    let path = folder.path().join("swap");
    file::format(&path, Some(64 << 10), false).unwrap();
    let scribble =
        |offset| File::options().write(true).open(&path).unwrap().write_all_at(b"?", offset).unwrap();
    scribble(100);
    assert_eq!(file::open::<Std>(&path).unwrap().header().format, Format::OursFromBackup);
    scribble(15 * 4096 + 100);
    let Err(FileError { problem: Problem::Header(HeaderError::Damaged), .. }) = file::open::<Std>(&path)
    else {
        panic!("opened with no superblock")
    };
}

#[test]
fn holes_are_filled_before_pages_are_taken() {
    let folder = folder();
    let path = folder.path().join("swap");
    file::format(&path, Some(1 << 20), false).unwrap();
    let (code, told) = shell(folder.path(), "cp --sparse=always swap copy && mv copy swap");
    assert_eq!(code, 0, "{told}");
    assert!(fs::metadata(&path).unwrap().blocks() * 512 < 1 << 20, "the copy has no holes");
    let store = file::open::<Std>(&path).unwrap();
    assert!(fs::metadata(&path).unwrap().blocks() * 512 >= 1 << 20);
    let stored = write(&store, &page(1));
    assert_eq!(read(&store, &stored), Ok(page(1)));
}

/// Whether this process has a file open past the page cache.
fn is_open_directly(path: &Path) -> bool {
    let path = fs::canonicalize(path).unwrap();
    let is_it = |fd: &fs::DirEntry| fs::read_link(fd.path()).is_ok_and(|to| to == path);
    let fd = fs::read_dir("/proc/self/fd").unwrap().map(Result::unwrap).find(is_it).expect("it is open");
    let info = fs::read_to_string(Path::new("/proc/self/fdinfo").join(fd.file_name())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("it has flags");
    let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
    flags & rustix::fs::OFlags::DIRECT.bits() != 0
}

#[test]
fn pages_go_past_the_page_cache_where_that_is_asked_for() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("swap");
    file::format(&path, Some(2 << 20), false).unwrap();
    let store = file::open_direct::<Std>(&path).unwrap();
    if !store.disk().is_direct() {
        eprintln!("skipped: the file system of the target folder has no O_DIRECT");
        return;
    }
    assert!(is_open_directly(&path));
    // Many together, and from and to any address.
    let pages: Vec<_> = (0..200).map(|seed| page(seed as u8)).collect();
    let slices: Vec<_> = pages.iter().map(|page| &page[..]).collect();
    let mut stored = Vec::new();
    store.write(&slices, &mut |_, result| stored.push(result.unwrap()));
    assert_eq!(store.counters().runs_written, 4);
    let mut back = vec![0; PAGE + 1];
    for (slot, page) in stored.iter().zip(&pages) {
        store.read(slot, &mut back[1..]).unwrap();
        assert_eq!(back[1..], page[..]);
    }
    // Who reads the file sees them, too.
    drop(store);
    assert_eq!(fs::read(&path).unwrap()[PAGE..201 * PAGE], pages.concat());
    let store = file::open::<Std>(&path).unwrap();
    assert_eq!(store.header().format, Format::Ours);
    assert!(!is_open_directly(&path));
}

#[test]
fn runs_that_lie_apart_are_written_at_once_by_io_uring() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("swap");
    for direct in [false, true] {
        file::format(&path, Some(2 << 20), false).unwrap();
        let options = file::Options { direct, ring: true, ..file::Options::default() };
        let store = options.open::<Std>(&path).unwrap();
        if !store.disk().has_ring() {
            eprintln!("the system does not permit io_uring: one run is written after the other");
        }
        let pages: Vec<_> = (0..200).map(|seed| page(seed as u8)).collect();
        let slices: Vec<_> = pages.iter().map(|page| &page[..]).collect();
        let mut held: Vec<_> = (0..200).map(|_| None).collect();
        store.write(&slices, &mut |at, result| held[at] = result.ok());
        // Every third page is written anew, where the last ones were.
        for round in 0..3 {
            let at: Vec<_> = (0..200).filter(|at| at % 3 == round).collect();
            at.iter().for_each(|at| store.free(held[*at].take().unwrap()));
            let slices: Vec<_> = at.iter().map(|at| &pages[*at][..]).collect();
            store.write(&slices, &mut |index, result| held[at[index]] = result.ok());
        }
        for (slot, page) in held.iter().zip(&pages) {
            assert_eq!(read(&store, slot.as_ref().unwrap()).as_ref(), Ok(page));
        }
        assert_eq!(store.counters().failed_slots, 0);
    }
}

#[test]
fn room_that_is_empty_goes_back_to_the_file_system_if_that_is_wanted() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("swap");
    // Four zones of 512 pages, of which the first and the last have a superblock.
    file::format(&path, Some(8 << 20), false).unwrap();
    let pages: Vec<_> = (0..2046).map(|seed| page(seed as u8)).collect();
    let slices: Vec<_> = pages.iter().map(|page| &page[..]).collect();
    for (discard, left) in [(false, 8 << 20), (true, 4 << 20)] {
        let store = file::Options { discard, ..file::Options::default() }.open::<Std>(&path).unwrap();
        let mut stored = Vec::new();
        store.write(&slices, &mut |_, result| stored.push(result.unwrap()));
        stored.into_iter().for_each(|slot| store.free(slot));
        while store.tidy() {}
        let blocks = fs::metadata(&path).unwrap().blocks() * 512;
        assert!(blocks.abs_diff(left) < 1 << 20, "{blocks} bytes of {left}");
        // It is used again.
        let slot = write(&store, &page(7));
        assert_eq!(read(&store, &slot), Ok(page(7)));
        assert_eq!(store.space().free, 2045);
    }
}

#[test]
fn content_that_changes_behind_our_back_is_told() {
    let folder = folder();
    let path = folder.path().join("swap");
    file::format(&path, Some(64 << 10), false).unwrap();
    let store = file::open::<Std>(&path).unwrap();
    let (first, second) = (write(&store, &page(1)), write(&store, &page(2)));
    File::options().write(true).open(&path).unwrap().write_all_at(b"?", PAGE as u64 + 9).unwrap();
    assert_eq!(read(&store, &first), Err(StoreError::Corrupt));
    assert_eq!(read(&store, &second), Ok(page(2)));
    File::options().write(true).open(&path).unwrap().set_len(PAGE as u64).unwrap();
    assert_eq!(read(&store, &second), Err(StoreError::Io));
}

#[test]
fn what_mkswap_makes_is_used_and_not_formatted() {
    let folder = folder();
    let (code, told) = shell(folder.path(), "PATH=$PATH:/usr/sbin:/sbin; truncate -s 1M swap && mkswap swap");
    assert_eq!(code, 0, "{told}");
    assert_eq!(format(folder.path(), "swap").0, 1);
    let path = folder.path().join("swap");
    let store = file::open::<Std>(&path).unwrap();
    assert_eq!(store.header().format, Format::Linux);
    assert_eq!(store.space().free, 255);
    let before = fs::read(&path).unwrap();
    let stored: Vec<_> = (0..255).map(|seed| write(&store, &page(seed as u8))).collect();
    for (seed, stored) in stored.iter().enumerate() {
        assert_eq!(read(&store, stored), Ok(page(seed as u8)));
    }
    assert_eq!(fs::read(&path).unwrap()[..PAGE], before[..PAGE], "Linux can use it still");
}
