//! Programs of a few instructions, in files made here: what is run, what is ended as XNU ends it, and that no
//! file brings the loader down.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::arch::global_asm;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Where the code is in the file, and from the beginning of the image.
const CODE: usize = 0x1000;
/// The address that the file is made for.
const BASE: u64 = 0x1_0000_0000;

/// `LC_SEGMENT_64`, `LC_DYLD_INFO_ONLY`, `LC_MAIN`, `LC_DYLD_CHAINED_FIXUPS`
const SEGMENT: u32 = 0x19;
const DYLD_INFO: u32 = 0x8000_0022;
const MAIN: u32 = 0x8000_0028;
const CHAINED_FIXUPS: u32 = 0x8000_0034;

global_asm!(
    "returns_42:",
    "mov eax, 42",
    "ret",
    "returns_42_end:",
    // Calls through a pointer, which is at the end.
    "calls:",
    "sub rsp, 8",
    "call [rip + calls_pointer]",
    "add rsp, 8",
    "ret",
    "calls_pointer: .quad 0",
    "calls_end:",
    // A request of 24 bytes to its own task by `mach_msg`, from the reply port and to it.
    "asks_its_task:",
    "push rbx",
    "call [rip + asks_get_reply_port]",
    "mov ebx, eax",
    "mov rax, [rip + asks_task]",
    "mov eax, [rax]",
    "lea rdi, [rip + asks_message]",
    "mov [rdi + 8], eax",
    "mov [rdi + 12], ebx",
    "mov esi, 3",
    "mov edx, 24",
    "mov ecx, 256",
    "mov r8d, ebx",
    "xor r9d, r9d",
    "push 0",
    "push 0",
    "call [rip + asks_mach_msg]",
    "add rsp, 16",
    "pop rbx",
    "ret",
    "asks_get_reply_port: .quad 0",
    "asks_task: .quad 0",
    "asks_mach_msg: .quad 0",
    "asks_message: .long 0x1513, 24, 0, 0, 0, 3409",
    ".zero 256",
    "asks_its_task_end:",
    // Loads from an address that is not there.
    "loads:",
    "xor eax, eax",
    "mov rax, [rax + 0x18]",
    "ret",
    "loads_end:",
    // Follows a pointer to the pointer, as rebasing has set it.
    "rebased:",
    "mov rax, [rip + rebased_pointer]",
    "lea rdx, [rip + rebased_pointer]",
    "sub rax, rdx",
    "ret",
    "rebased_pointer: .quad 0x100001000 + rebased_pointer - rebased",
    "rebased_end:",
);

/// The bytes between two labels, and the place of each other label in them.
macro_rules! code {
    ($start:ident, $end:ident $(, $label:ident)*) => {{
        unsafe extern "C" { static $start: u8; static $end: u8; $(static $label: u8;)* }
        let (start, end) = (&raw const $start as usize, &raw const $end as usize);
        // SAFETY: the labels are those of one piece of code, above.
        let bytes = unsafe { std::slice::from_raw_parts(&raw const $start, end - start) };
        (bytes.to_vec(), [$(&raw const $label as usize - start),*] as [usize; 0 $(+ { let _ = stringify!($label); 1 })*])
    }};
}

/// A load command.
fn command(kind: u32, words: &[u32]) -> Vec<u8> {
    let all = [kind, 8 + 4 * words.len() as u32];
    all.iter().chain(words).flat_map(|word| word.to_le_bytes()).collect()
}

fn segment(name: &str, address: u64, size: u64, file_size: u64, protection: u32) -> Vec<u8> {
    let mut words = [0; 16];
    let mut text = [0; 16];
    text[..name.len()].copy_from_slice(name.as_bytes());
    for (word, bytes) in words.iter_mut().zip(text.chunks(4)) {
        *word = u32::from_le_bytes(bytes.try_into().unwrap());
    }
    for (at, wide) in [(4, address), (6, size), (10, file_size)] {
        (words[at], words[at + 1]) = (wide as u32, (wide >> 32) as u32);
    }
    (words[12], words[13]) = (protection, protection);
    command(SEGMENT, &words)
}

/// Puts an executable together from its commands; the code is at [`CODE`], the fix-ups after it.
fn file(commands: &[Vec<u8>], code: &[u8], fix_ups: &[u8]) -> Vec<u8> {
    let size = commands.iter().map(Vec::len).sum::<usize>() as u32;
    let header = [0xfeed_facf, 0x0100_0007, 3, 2, commands.len() as u32, size, 0x0020_0085, 0];
    let mut file: Vec<u8> = header.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    file.extend(commands.concat());
    file.resize(CODE, 0);
    file.extend(code);
    file.extend(fix_ups);
    file
}

/// An executable whose `main` is the first instruction, with pointers to symbols, and to places of its own.
fn program(code: &[u8], imports: &[(&str, usize)], pointers: &[usize]) -> Vec<u8> {
    let place = |place: usize| {
        let place = CODE + place;
        [(place & 0x7f | 0x80) as u8, (place >> 7) as u8]
    };
    // Type pointer; segment 1 and an offset; do it once.
    let rebase = |&pointer: &usize| [&[0x11, 0x21][..], &place(pointer), &[0x51]].concat();
    let rebases: Vec<u8> = pointers.iter().flat_map(rebase).chain([0]).collect();
    // Library 1; the symbol; type pointer; segment 1 and an offset; do it.
    let bind = |&(symbol, pointer): &(&str, usize)| {
        [&[0x11, 0x40][..], symbol.as_bytes(), &[0, 0x51, 0x71], &place(pointer), &[0x90]].concat()
    };
    let binds: Vec<u8> = imports.iter().flat_map(bind).chain([0]).collect();
    let end = (CODE + code.len()) as u32;
    let mut info = [0; 10];
    info[..4].copy_from_slice(&[end, rebases.len() as u32, end + rebases.len() as u32, binds.len() as u32]);
    let commands = [
        segment("__PAGEZERO", 0, BASE, 0, 0),
        segment("__TEXT", BASE, 0x2000, u64::from(end), 7),
        command(DYLD_INFO, &info),
        command(MAIN, &[CODE as u32, 0, 0, 0]),
    ];
    file(&commands, code, &[rebases, binds].concat())
}

/// Runs a file.
fn run(name: &str, file: &[u8]) -> Output {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("machrun");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, file).unwrap();
    Command::new(env!("CARGO_BIN_EXE_machrun")).arg(&path).output().unwrap()
}

/// Runs a file that is refused, and returns what is said.
fn refusal(name: &str, file: &[u8]) -> String {
    let output = run(name, file);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_program_runs() {
    let (code, []) = code!(returns_42, returns_42_end);
    assert_eq!(run("returns_42", &program(&code, &[], &[])).status.code(), Some(42));
}

#[test]
fn pointers_into_the_program_are_moved() {
    let (code, [pointer]) = code!(rebased, rebased_end, rebased_pointer);
    assert_eq!(run("rebased", &program(&code, &[], &[pointer])).status.code(), Some(0));
}

#[test]
fn functions_of_the_system_are_found() {
    let (code, [pointer]) = code!(calls, calls_end, calls_pointer);
    let output = run("calls", &program(&code, &[("_mig_get_reply_port", pointer)], &[]));
    assert!(output.status.code().is_some_and(|name| name != 0), "{output:?}");
}

#[test]
fn what_there_is_not_is_named_when_it_is_called() {
    let (code, [pointer]) = code!(calls, calls_end, calls_pointer);
    let output = run("missing", &program(&code, &[("_IOServiceOpen", pointer)], &[]));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("_IOServiceOpen"), "{output:?}");
}

/// Since macOS 13 `mach_msg` may not be used for what the kernel itself receives.
#[test]
fn a_call_to_the_kernel_by_mach_msg_ends_the_program() {
    let (code, [reply_port, task, mach_msg]) =
        code!(asks_its_task, asks_its_task_end, asks_get_reply_port, asks_task, asks_mach_msg);
    let imports = [("_mig_get_reply_port", reply_port), ("_mach_task_self_", task), ("_mach_msg", mach_msg)];
    let output = run("asks", &program(&code, &imports, &[]));
    assert_eq!(output.status.code(), Some(137), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("kGUARD_EXC_INVALID_OPTIONS"), "{output:?}");
}

#[test]
fn an_exception_without_a_server_is_the_signal() {
    use std::os::unix::process::ExitStatusExt as _;

    let (code, []) = code!(loads, loads_end);
    assert_eq!(run("loads", &program(&code, &[], &[])).status.signal(), Some(11));
}

#[test]
fn what_cannot_be_loaded_is_said() {
    let (code, []) = code!(returns_42, returns_42_end);
    let good = program(&code, &[], &[]);
    let mut arm64 = good.clone();
    arm64[4] = 12;
    assert!(refusal("arm64", &arm64).contains("only x86_64"));
    let mut library = good.clone();
    library[12] = 6;
    assert!(refusal("library", &library).contains("no executable"));
    assert!(refusal("text", b"#!/bin/sh\n").contains("Mach-O"));
    let text = segment("__TEXT", BASE, 0x2000, 0x1000, 7);
    let chained = file(&[text.clone(), command(CHAINED_FIXUPS, &[0, 0])], &code, &[]);
    assert!(refusal("chained", &chained).contains("LC_DYLD_CHAINED_FIXUPS"));
    let endless = segment("__TEXT", BASE, 1 << 40, 0x1000, 7);
    assert!(refusal("endless", &file(&[endless], &code, &[])).contains("__TEXT"));
    // As many rebases as there are numbers, all of the same place: type, segment and offset, times, skipping.
    let rebases = [
        0x11, 0x21, 0, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xf8, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 1,
    ];
    let mut info = [0; 10];
    info[..2].copy_from_slice(&[(CODE + code.len()) as u32, rebases.len() as u32]);
    let commands = [
        segment("__PAGEZERO", 0, BASE, 0, 0),
        text,
        command(DYLD_INFO, &info),
        command(MAIN, &[CODE as u32, 0, 0, 0]),
    ];
    assert!(refusal("rebases", &file(&commands, &code, &rebases)).contains("more rebases than pointers"));
}

/// Whatever a file says, the loader says what is wrong or does as it is told: it does not panic.
#[test]
fn no_file_brings_the_loader_down() {
    let (code, [pointer]) = code!(rebased, rebased_end, rebased_pointer);
    let good = program(&code, &[("_getpid", pointer)], &[pointer]);
    let commands_end = 32 + u32::from_le_bytes(good[20..24].try_into().unwrap()) as usize;
    let changed = (0..commands_end).step_by(4).chain(CODE + code.len()..good.len()).flat_map(|at| {
        [0xff, 0x7f].map(|byte| {
            let mut file = good.clone();
            file[at] = byte;
            file
        })
    });
    let cut = (0..good.len()).step_by(97).map(|len| good[..len].to_vec());
    for file in changed.chain(cut) {
        let output = run("changed", &file);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    }
}
