//! `mig abi --from` and `mig breaking` on compiled servers.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use object::write::{Object, StandardSection, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope};

/// The server of `<mach/exc.defs>` as Apple's stubs have it, by what is published of them: words of
/// arguments, and bytes of replies. A header of 24 bytes, 8 of the NDR record and the return code; then the
/// flavor, the count and as many words as a state of a thread may have.
const EXC: [[u32; 2]; 3] = [[6, 36], [9, 36 + 8 + 4 * 1296], [11, 36 + 8 + 4 * 1296]];

/// A program with the structure `mig_subsystem` of 64 bits.
fn program(test: &str, name: &str, start: u32, routines: &[[u32; 2]]) -> PathBuf {
    let largest = routines.iter().map(|[_, reply]| *reply).max().unwrap();
    let mut words = vec![0x1000, 0, start, start + routines.len() as u32, largest, 0, 0, 0];
    for [arguments, reply] in routines {
        words.extend([0, 0, 0x2000, 0, *arguments, 0, 0, 0, *reply, 0]);
    }
    let data: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    let mut object = Object::new(BinaryFormat::MachO, Architecture::Aarch64, Endianness::Little);
    let section = object.section_id(StandardSection::ReadOnlyData);
    let value = object.append_section_data(section, &data, 8);
    object.add_symbol(Symbol {
        name: b"catch_exc_subsystem".to_vec(),
        value,
        size: 0,
        kind: SymbolKind::Data,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    });
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mig-program").join(test);
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(name);
    fs::write(&file, object.write().unwrap()).unwrap();
    file
}

fn mig(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut mig = Command::new(env!("CARGO_BIN_EXE_mig"));
    let output = mig.args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_tables_of_a_program_are_printed() {
    let file = program("abi", "exc", 2401, &EXC);
    let (code, text, complaint) = mig(&["abi", "--from", file.to_str().unwrap()]);
    assert_eq!((code, &*complaint), (Some(0), ""));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("2401 to 2403   catch_exc_subsystem for arm64 at 0x"), "{text}");
    assert_eq!(lines[1].trim(), "2401     6 words of arguments, a reply of up to 36 bytes");
    let (code, text, _) = mig(&["abi", "--json", "--from", file.to_str().unwrap()]);
    let table: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &table["subsystems"][0]["routines"][2]["argument_words"]), (Some(0), &11.into()));
}

#[test]
fn a_program_is_held_against_a_file() {
    let same = program("breaking", "same", 2401, &EXC);
    let [same, exc] = [same.to_str().unwrap(), "<mach/exc.defs>"];
    assert_eq!(mig(&["breaking", same, exc]), (Some(0), String::new(), String::new()));
    assert_eq!(mig(&["breaking", exc, same]), (Some(0), String::new(), String::new()));

    let mut other = EXC.to_vec();
    other[0] = [7, 40];
    other.push([2, 36]);
    let other = program("breaking", "other", 2401, &other);
    let other = other.to_str().unwrap();
    let (code, text, _) = mig(&["breaking", other, exc]);
    assert_eq!(code, Some(1));
    for part in [
        "error[COMPILED_SAME_SHAPE]: `exception_raise` (2401) has 6 words of arguments for arm64, and had 7 words",
        "error[COMPILED_SAME_SHAPE]: `exception_raise` (2401) has a reply of up to 36 bytes for arm64, and had a reply of up to 40",
        "error[ROUTINE_NO_DELETE]: the routine 2404 is gone for arm64",
        "routine exception_raise(",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // What is new breaks nothing; two programs are compared as well.
    let (code, text, _) = mig(&["breaking", same, other, "--json"]);
    assert_eq!((code, text.lines().count()), (Some(1), 2), "{text}");
    let allowed = PathBuf::from(other).with_file_name("allowed");
    fs::write(&allowed, "COMPILED_SAME_SHAPE 2401 # known\n").unwrap();
    assert_eq!(mig(&["breaking", same, other, "--allow", allowed.to_str().unwrap()]).0, Some(0));
}

#[test]
fn a_program_that_cannot_be_compared_is_told() {
    let file = program("wrong", "exc", 500, &[[3, 40]]);
    let whole = fs::read(&file).unwrap();
    let file = file.to_str().unwrap();
    let (code, _, complaint) = mig(&["breaking", file, "<mach/exc.defs>"]);
    assert_eq!(code, Some(1));
    assert!(
        complaint.contains("no subsystem that begins with 2401") && complaint.contains("500 (arm64)"),
        "{complaint}"
    );
    let cut = PathBuf::from(file).with_file_name("cut");
    fs::write(&cut, &whole[..60]).unwrap();
    for arguments in [&["abi", "--from"][..], &["breaking", "<mach/exc.defs>"]] {
        let (code, _, complaint) = mig(&[arguments, &[cut.to_str().unwrap()]].concat());
        assert_eq!(code, Some(1));
        assert!(complaint.contains("the program is damaged"), "{complaint}");
    }
    let (code, _, complaint) = mig(&["abi", "--from", "Cargo.toml"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("no Mach-O file: it begins with"), "{complaint}");
    assert_eq!(mig(&["abi"]).0, Some(2));
}
