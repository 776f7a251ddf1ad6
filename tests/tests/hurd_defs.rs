//! The interface definitions in `defs/hurd`: against a list of what the Hurd's own files declare, against
//! each other, and against the C MIG.
//!
//! The list, `hurd_defs.txt`, has a line for each routine, with its number, and the names and types of its
//! arguments. It was read against the files of the Hurd (`hurd/*.defs` of its repository), which no package
//! of Debian's archive has. `BLESS=1` writes it again.

use std::path::{Path, PathBuf};
use std::{env, fs};

use mig_codegen::Config;
use mig_codegen::model::{Interface, Message, Role, Routine, SlotRole, is_one_way};
use mig_tests::jobs::Job;
use mig_tests::oracle::{CAbi, System, Variant, generate, packages_or_skip};
use mig_tests::server_text;
use mig_tests::tally::Tally;

fn defs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../defs")
}

fn config(abi: &str) -> Config {
    Config::new().abi(abi).include_dir(defs().join("hurd")).include_dir(defs().join("gnu"))
}

/// The names of the files that declare an interface.
fn names() -> Vec<String> {
    let files = fs::read_dir(defs().join("hurd/hurd")).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = files
        .filter(|file| fs::read_to_string(file).unwrap().lines().any(|line| line.starts_with("subsystem ")))
        .map(|file| file.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn interface(name: &str, abi: &str) -> Interface {
    let output = config(abi).interface(&defs().join(format!("hurd/hurd/{name}.defs")));
    let output = output.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(output.warnings.to_string(), "", "{name}");
    output.value
}

/// `number name(argument: type; …)`, a line for each routine.
fn lines(interface: &Interface) -> String {
    let line = |routine: &Routine| {
        let args: Vec<String> = routine.args.iter().map(argument).collect();
        let one_way = if is_one_way(routine.kind) { " one way" } else { "" };
        format!("{} {}({}){one_way}\n", routine.id, routine.name, args.join("; "))
    };
    interface.routines.iter().map(line).collect()
}

fn argument(arg: &mig_codegen::model::Arg) -> String {
    let direction = match arg.role {
        Role::Out => "out ",
        Role::InOut => "inout ",
        Role::ReplyPort { client: false, .. } => "sreplyport ",
        Role::ReplyPort { server: false, .. } => "ureplyport ",
        Role::ReplyPort { .. } => "replyport ",
        Role::WaitTime => "waittime ",
        Role::Trailer { .. } => "msgseqno ",
        _ => "",
    };
    format!("{direction}{}: {}", arg.name, arg.ty.name.as_deref().unwrap_or("?"))
}

#[test]
fn the_routines_are_those_of_the_list() {
    let all: String = names()
        .iter()
        .map(|name| format!("[{name}]\n{}", lines(&interface(name, "gnu-i386"))))
        .collect::<Vec<_>>()
        .join("\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hurd_defs.txt");
    if env::var_os("BLESS").is_some() {
        fs::write(path, all).unwrap();
    } else {
        assert_eq!(fs::read_to_string(path).unwrap(), all, "read the difference; BLESS=1 writes the list");
    }
}

/// The size of something in a message, and the type that its receiver asks for.
type Thing = (Option<u32>, Option<u32>);

/// What a receiver sees of a message: its size, and what is in it.
fn shape(message: &Message) -> (u32, Vec<Thing>) {
    let things = message.slots.iter().filter(|slot| !matches!(slot.role, SlotRole::Header));
    (
        message.min_size,
        things.map(|slot| (slot.size, slot.word.as_ref().and_then(|word| word.received))).collect(),
    )
}

/// `io_reply` and its kin are the replies of `io` and its kin as requests of their own, `io_request` the
/// requests: the same messages.
#[test]
fn halves_have_the_messages_of_the_whole() {
    let (mut compared, mut different) = (0, Vec::new());
    for abi in ["gnu-i386", "gnu-x86_64"] {
        for name in names() {
            let (whole, is_reply) = match (name.strip_suffix("_reply"), name.strip_suffix("_request")) {
                (Some(whole), _) => (whole, true),
                (_, Some(whole)) => (whole, false),
                _ => continue,
            };
            let whole = interface(whole, abi);
            for half in &interface(&name, abi).routines {
                let routine_name = half.name.trim_end_matches("_reply").trim_end_matches("_request");
                let routine = whole.routines.iter().find(|routine| routine.name == routine_name);
                let routine = routine.unwrap_or_else(|| panic!("{name}: {} is of no call", half.name));
                assert_eq!(half.id, routine.id + if is_reply { 100 } else { 0 }, "{}", half.name);
                if differs(&half.name) {
                    continue;
                }
                let message = if is_reply { routine.reply.as_ref().unwrap() } else { &routine.request };
                if shape(&half.request) != shape(message) {
                    different.push(format!(
                        "{}: {:?}, {:?}",
                        half.name,
                        shape(&half.request),
                        shape(message)
                    ));
                }
                compared += 1;
            }
        }
    }
    assert!(different.is_empty(), "{different:#?}");
    assert!(compared > 150, "{compared}");
}

/// Halves whose messages are not those of the call in the Hurd's own files either: the port for the answer is
/// an argument like any other, the ports of the answer are missing, or a right of any kind stands for a send
/// right.
fn differs(half: &str) -> bool {
    let of_io = half.starts_with("io_") && half.ends_with("_request") && !half.starts_with("io_select");
    let others =
        ["fsys_get_children_reply", "proc_getmsgport_reply", "proc_task2proc_reply", "proc_pid2proc_reply"];
    of_io || others.contains(&half)
}

/// A folder in which the C preprocessor finds all files, which it looks for in one place.
fn one_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hurd_defs");
    for (from, to) in [("hurd/hurd", "hurd"), ("gnu/mach", "mach"), ("gnu/device", "device")] {
        fs::create_dir_all(folder.join(to)).unwrap();
        for entry in fs::read_dir(defs().join(from)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.join(to).join(entry.file_name())).unwrap();
        }
    }
    folder
}

#[test]
fn the_c_compiler_makes_the_same_messages() {
    let Some(packages) = packages_or_skip() else { return };
    let folder = one_folder();
    let mut tally = Tally::default();
    for abi in CAbi::ALL {
        for name in names() {
            let file = format!("hurd/{name}.defs");
            let stubs = folder.join(abi.name()).join(&name);
            generate(abi, &packages, &folder, &file, Variant::Plain, &stubs).unwrap();
            let job = Job { system: System::from(abi), file, variant: Variant::Plain };
            server_text::compare(&job, &interface(&name, abi.name()), &stubs, &mut tally).unwrap();
        }
    }
    assert!(tally.failures.is_empty(), "{:#?}", tally.failures);
    assert!(tally.checks > 2000, "{}", tally.checks);
}

/// The macros with which a server has objects of its own in place of ports.
#[test]
fn a_server_may_have_files_of_its_own() {
    let config = config("gnu-i386")
        .define("FILE_INTRAN", "file_ref_t begin_using_file(file_t)")
        .define("FILE_INTRAN_PAYLOAD", "file_ref_t begin_using_payload")
        .define("FILE_DESTRUCTOR", "end_using_file(file_ref_t)")
        .extern_type("file_ref_t", "std::sync::Arc<crate::File>");
    let text = config.text(&defs().join("hurd/hurd/fs.defs")).unwrap_or_else(|error| panic!("{error}")).value;
    assert!(text.contains("fn begin_using_file"), "no method translates");
    assert!(text.contains("chown_file: std::sync::Arc<crate::File>"), "the method does not get the object");
}
