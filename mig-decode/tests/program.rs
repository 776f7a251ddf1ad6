//! Programs as compilers and linkers leave them, and as an attacker does.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mig_decode::{Compiled, is_program, subsystems};
use object::write::{Object, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope};
use proptest::prelude::*;

/// What Apple's compiler leaves of a server, in our words, with the types that the public headers declare: an
/// id that is skipped between two routines, and one without a reply.
const SERVER: &str = r#"
typedef struct { unsigned bits, size, remote, local, voucher; int id; } header;
typedef struct { unsigned char numbers[8]; } ndr;
#pragma pack(push, 4)
typedef struct { header Head; ndr NDR; int RetCode; } failed;
typedef struct { header Head; ndr NDR; int RetCode; int flavor; unsigned count; int state[1296]; } state;
#pragma pack(pop)
typedef void (*stub)(header *, header *);
struct descriptor {
    int (*function)(void); stub stub; unsigned arguments, descriptors; void *description; unsigned reply;
};
static void _Xraise(header *in, header *out) {}
static void _Xraise_state(header *in, header *out) {}
static void _Xtell(header *in, header *out) {}
static stub find(header *in) { return 0; }
const struct {
    stub (*server)(header *); int start, end; unsigned largest; unsigned long reserved;
    struct descriptor routines[4];
} catch_exc_subsystem = {
    find, 2401, 2405, sizeof(union { failed a; state b; failed c; }), 0,
    {
        { 0, _Xraise, 6, 0, 0, sizeof(failed) },
        { 0, _Xraise_state, 9, 0, 0, sizeof(state) },
        { 0, 0, 0, 0, 0, 0 },
        { 0, _Xtell, 2, 0, 0, sizeof(failed) },
    }
};
const void *const kept[] = { &catch_exc_subsystem, (void *) 2401, (void *) 2402, 0 };
"#;

/// Compiles the server for one of Apple's processors; `None` without clang, except in CI.
fn compiled(target: &str, test: &str) -> Option<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("program").join(test);
    fs::create_dir_all(&folder).unwrap();
    let (source, object) = (folder.join("server.c"), folder.join(format!("{target}.o")));
    fs::write(&source, SERVER).unwrap();
    let mut clang = Command::new("clang");
    clang.args(["-c", "-O1", "-ffreestanding", "-w"]).arg(format!("--target={target}"));
    match clang.arg(&source).arg("-o").arg(&object).stdin(Stdio::null()).status() {
        Ok(status) => assert!(status.success(), "{target}: {status}"),
        Err(error) if std::env::var_os("CI").is_some() => panic!("clang: {error}"),
        Err(error) => {
            eprintln!("skipped: clang: {error}");
            return None;
        }
    }
    Some(fs::read(&object).unwrap())
}

fn check(found: &[Compiled], processor: &str, pointer: usize) {
    let [one] = found else { panic!("{found:?}") };
    assert_eq!((one.processor, one.pointer), (processor, pointer));
    // By hand: a header of 24 bytes, 8 of the NDR record, the return code; two words and 1296 integers.
    assert_eq!((one.start, one.end, one.max_reply), (2401, 2405, 36 + 8 + 4 * 1296));
    let routines: Vec<_> = one.routines.iter().map(|one| (one.id, one.arguments, one.max_reply)).collect();
    assert_eq!(routines, [(2401, 6, 36), (2402, 9, 36 + 8 + 4 * 1296), (2404, 2, 36)]);
}

#[test]
fn servers_that_clang_has_compiled() {
    for (target, processor, pointer) in [
        ("arm64-apple-macos", "arm64", 8),
        ("x86_64-apple-macos", "x86_64", 8),
        ("armv7k-apple-watchos", "arm", 4),
        ("i386-apple-macos", "i386", 4),
    ] {
        let Some(program) = compiled(target, "clang") else { return };
        let found = subsystems(&program).unwrap();
        check(&found, processor, pointer);
        assert_eq!(found[0].symbol.as_deref(), Some("catch_exc_subsystem"), "{target}");
    }
}

/// A file for two processors, as `lipo` writes it: big-endian, whatever the programs are.
fn fat(programs: &[(u32, &[u8])]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let mut file = words(&[0xcafe_babe, programs.len() as u32]);
    let mut at = 4096;
    for (processor, program) in programs {
        file.extend(words(&[*processor, 0, at, program.len() as u32, 12]));
        at += program.len().next_multiple_of(4096) as u32;
    }
    for (_, program) in programs {
        file.resize(file.len().next_multiple_of(4096), 0);
        file.extend(*program);
    }
    file
}

#[test]
fn a_file_for_two_processors() {
    let (Some(arm), Some(intel)) =
        (compiled("arm64-apple-macos", "fat"), compiled("x86_64-apple-macos", "fat"))
    else {
        return;
    };
    let file = fat(&[(0x0100_000c, &arm), (0x0100_0007, &intel)]);
    assert!(is_program(&file));
    let found = subsystems(&file).unwrap();
    check(&found[..1], "arm64", 8);
    check(&found[1..], "x86_64", 8);
    // Cut off within the second program.
    let error = subsystems(&file[..file.len() - intel.len() / 2]).unwrap_err();
    assert!(error.contains("program 1"), "{error}");
}

/// The words of a subsystem of 64 bits: numbers of the structures of `<mach/mig.h>`.
fn words(start: u32, routines: &[[u32; 2]]) -> Vec<u8> {
    let largest = routines.iter().map(|[_, reply]| *reply).max().unwrap();
    let mut words = vec![0x1000, 0, start, start + routines.len() as u32, largest, 0, 0, 0];
    for [arguments, reply] in routines {
        let stub = if *arguments == 0 { 0 } else { 0x2000 };
        words.extend([0, 0, stub, 0, *arguments, 0, 0, 0, *reply, 0]);
    }
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// A program whose constants are these, with a symbol at their start if it is to have one.
fn program(data: &[u8], symbol: Option<&str>) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::MachO, Architecture::Aarch64, Endianness::Little);
    let section = object.section_id(object::write::StandardSection::ReadOnlyData);
    let at = object.append_section_data(section, data, 8);
    if let Some(symbol) = symbol {
        object.add_symbol(Symbol {
            name: symbol.into(),
            value: at,
            size: 0,
            kind: SymbolKind::Data,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    object.write().unwrap()
}

#[test]
fn of_a_program_without_symbols_by_their_shape() {
    let (first, second) = (words(500, &[[3, 40]]), words(700, &[[1, 36], [0, 0], [4, 64]]));
    // Numbers that are nearly a subsystem: the largest reply is another one.
    let mut near = words(900, &[[3, 40]]);
    near[16] = 44;
    let data = [&[7; 24], &first[..], &near, &[0; 8], &second, &[1, 2, 3, 4]].concat();
    let found = subsystems(&program(&data, None)).unwrap();
    let ids: Vec<_> =
        found.iter().map(|one| (one.start, one.end, one.routines.len(), one.symbol.clone())).collect();
    assert_eq!(ids, [(500, 501, 1, None), (700, 703, 2, None)]);
    // With a symbol, only what has one.
    let found = subsystems(&program(&second, Some("do_it_subsystem"))).unwrap();
    assert_eq!((found.len(), found[0].symbol.as_deref()), (1, Some("do_it_subsystem")));
    // A symbol of that name at something else is no subsystem.
    assert_eq!(subsystems(&program(&near, Some("file_subsystem"))), Ok(Vec::new()));
}

#[test]
fn what_is_no_program_is_said() {
    assert_eq!(subsystems(b"#!/bin/sh").unwrap_err(), "no Mach-O file: it begins with [23, 21, 2f, 62]");
    assert_eq!(subsystems(b"").unwrap_err(), "no Mach-O file: it begins with []");
    let whole = program(&words(500, &[[3, 40]]), Some("x_subsystem"));
    for end in [16, 40, 100, whole.len() / 2] {
        assert!(subsystems(&whole[..end]).is_err(), "{end}");
    }
}

proptest! {
    /// A program with bytes changed is no reason to panic.
    #[test]
    fn no_program_is_too_much(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30)) {
        let mut bytes = program(&words(700, &[[1, 36], [0, 0], [4, 64]]), Some("do_subsystem"));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for one in subsystems(&bytes).unwrap_or_default() {
            prop_assert!(one.routines.iter().all(|routine| (one.start..one.end).contains(&routine.id)));
        }
    }
}
