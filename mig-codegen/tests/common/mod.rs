//! What the tests of this crate share.
#![allow(dead_code)] // each test file uses its part

use std::path::Path;

use mig_codegen::IncludePath;
use mig_codegen::abi::Abi;
use mig_codegen::model::{Interface, Message, Slot, SlotRole, TypeWord, is_one_way};
use mig_parser::{FileSystem, Loader, Memory, Options, parse};

/// One routine of each kind.
pub(crate) const KITCHEN_SINK: &str = "
subsystem kitchen_sink 5000;
type boolean_t = MACH_MSG_TYPE_BOOLEAN;
type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
type port_send_t = MACH_MSG_TYPE_MAKE_SEND;
type port_poly_t = polymorphic;
type byte = MACH_MSG_TYPE_BYTE;
type name5 = array[5] of char;
type str5 = struct[5] of char;
type vbytes = array[*:10] of char;
type vints = array[*:6] of int;
type vshorts = array[*:7] of short;
type s3 = struct[3] of short;
type vs3 = array[*:4] of s3;
type vi64 = array[*:3] of int64;
type indef = array[] of char;
type indefi = array[] of int;
type ool = ^array[] of byte;
type oolp = ^array[] of mach_port_t;
type cs20 = c_string[20];
type vcs20 = c_string[*:20];
type vports3 = array[*:3] of mach_port_t;

routine r_scalar(p : mach_port_t; in a : int; in b : boolean_t; in c : int64; out d : int64; inout e : int);
routine r_fix(p : mach_port_t; in a : name5; in b : str5; out c : name5; out d : str5);
routine r_vin(p : mach_port_t; in a : vbytes; in z : int);
routine r_vin2(p : mach_port_t; in a : vbytes; in b : vs3; in z : int);
routine r_vout(p : mach_port_t; out a : vints; out z : int);
routine r_vout2(p : mach_port_t; out a : vshorts, countinout; out b : vi64; out z : int);
routine r_indef_in(p : mach_port_t; in a : indef; in z : int);
routine r_indef_out(p : mach_port_t; out a : indefi; out z : int);
routine r_ool(p : mach_port_t; in a : ool; in b : ool, dealloc; in c : ool, dealloc[]; out d : ool, dealloc);
routine r_oolp(p : mach_port_t; in a : oolp; out b : oolp);
routine r_port(p : mach_port_t; in a : mach_port_t; out b : port_send_t);
routine r_poly(p : mach_port_t; in a : port_poly_t; out b : port_poly_t);
routine r_strs(p : mach_port_t; in a : cs20; in b : vcs20; out c : cs20; out d : vcs20);
simpleroutine s_none(p : mach_port_t);
routine r_none(p : mach_port_t);
routine r_reqpoly(requestport p : port_poly_t; replyport r : port_poly_t; waittime t : int; msgoption o : int; in a : int);
routine r_vports(p : mach_port_t; in a : vports3; out b : vports3);
";

/// The interface in a text, if it has no errors, and all that is said about it.
pub(crate) fn analyze(source: &str, abi: &str) -> (Option<Interface>, String) {
    let files = Memory::new().file("test.defs", source);
    run(&files, Path::new("test.defs"), Options::new(), abi)
}

/// The same for a file, whose name is shown without its folder.
pub(crate) fn analyze_file(path: &Path, abi: &str, include: Option<&Path>) -> (Option<Interface>, String) {
    let name = path.file_name().expect("a file");
    let source = std::fs::read(path).expect("it can be read");
    let files = Memory::new().file(name, source);
    let options = include.into_iter().fold(Options::new(), |options, folder| options.include_dir(folder));
    run(&files, Path::new(name), options, abi)
}

/// One of the interface definitions of this repository, without anything wrong in it.
#[track_caller]
pub(crate) fn file(path: &str, abi: &str, defines: &[&str]) -> Interface {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../defs");
    let dialect = path.split('/').next().expect("defs/DIALECT/…");
    let options = Options::new().include_dir(root.join(dialect));
    let options = defines.iter().fold(options, |options, name| options.define(*name, "1"));
    expect_clean(run(&FileSystem, &root.join(path), options, abi))
}

/// What [`mig_codegen::check`] says about a file of this repository's definitions.
pub(crate) fn check(path: &str, abi: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../defs");
    let dialect = path.split('/').next().expect("defs/DIALECT/…");
    let abi = Abi::by_name(abi).expect("an ABI of that name");
    let options = predefined(abi).include_dir(root.join(dialect));
    let mut parsed = parse(&options, &FileSystem, root.join(path));
    mig_codegen::check(&parsed.ast, abi, &(), &mut parsed.diagnostics);
    parsed.diagnostics.render(&parsed.sources, false)
}

fn predefined(abi: &Abi) -> Options {
    abi.default_target().predefined.iter().fold(Options::new(), |options, lines| options.predefine(lines))
}

fn run(files: &dyn Loader, path: &Path, options: Options, abi: &str) -> (Option<Interface>, String) {
    let abi = Abi::by_name(abi).expect("an ABI of that name");
    let mut all = predefined(abi);
    all.macros.extend(options.macros);
    all.include_dirs = options.include_dirs;
    let mut parsed = parse(&all, files, path);
    let elsewhere = IncludePath::new(all.include_dirs);
    let interface = mig_codegen::analyze(&parsed.ast, abi, &elsewhere, &mut parsed.diagnostics);
    (interface, parsed.diagnostics.render(&parsed.sources, false))
}

#[track_caller]
fn expect_clean(result: (Option<Interface>, String)) -> Interface {
    match result {
        (Some(interface), said) if said.is_empty() => interface,
        (_, said) => panic!("{said}"),
    }
}

/// The interface in a text without anything wrong in it.
#[track_caller]
pub(crate) fn interface(source: &str, abi: &str) -> Interface {
    expect_clean(analyze(source, abi))
}

/// The type word of the `n`th item of a message, from 1.
#[track_caller]
pub(crate) fn word_of(message: &Message, n: usize) -> TypeWord {
    let slot = message.slots.iter().filter(|slot| slot.role == SlotRole::Type).nth(n - 1);
    slot.and_then(|slot| slot.word).expect("the message has this many items")
}

/// The slots with the values of arguments.
pub(crate) fn data_slots(message: &Message) -> Vec<&Slot> {
    message.slots.iter().filter(|slot| slot.role == SlotRole::Data).collect()
}

/// What is true of every message, whatever is in it.
pub(crate) fn check_invariants(interface: &Interface) {
    for routine in &interface.routines {
        for message in [Some(&routine.request), routine.reply.as_ref()].into_iter().flatten() {
            check_message(message, interface.abi.facts.alignment as u32);
        }
        assert_eq!(routine.reply.is_none(), is_one_way(routine.kind), "{}", routine.name);
    }
}

fn check_message(message: &Message, alignment: u32) {
    let (mut at, mut min, mut max) = (Some(0), 0, 0u32);
    let mut roles = message.slots.iter().map(|slot| slot.role).peekable();
    assert_eq!(roles.peek(), Some(&SlotRole::Header));
    while let Some(role) = roles.next() {
        if role == SlotRole::Type {
            let next = roles.peek().expect("a type word is before something");
            assert!(matches!(next, SlotRole::Data | SlotRole::Count | SlotRole::RetCode), "{next:?}");
        }
    }
    // The trailer is the kernel's, after the message.
    for slot in message.slots.iter().filter(|slot| slot.role != SlotRole::Trailer) {
        assert_eq!(slot.offset, at, "{slot:?}: offsets are fixed up to the first slot of variable size");
        assert_eq!(slot.word.is_some(), slot.role == SlotRole::Type);
        if slot.role != SlotRole::Pad {
            assert_eq!(max % alignment, 0, "{slot:?} is aligned");
        }
        match slot.size {
            Some(size) => {
                at = at.map(|at| at + size);
                min += size;
                max += size;
            }
            None if slot.role == SlotRole::Pad => {
                at = None;
                max = max.next_multiple_of(alignment);
            }
            None => {
                at = None;
                max += slot.max.expect("a message is bounded");
                assert!(slot.element.is_some_and(|element| element > 0));
            }
        }
    }
    assert_eq!((message.min_size, message.max_size), (min, max));
    assert_eq!((min % alignment, max % alignment), (0, 0));
}
