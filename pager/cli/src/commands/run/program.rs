//! Programs that a library can be loaded into.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read as _;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

/// As much of a file as its headers take.
const HEAD: u64 = 64 << 10;

/// An interpreter may be a script, too, a few times.
const SCRIPTS: usize = 4;

const ELF: &[u8] = b"\x7fELF";
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;

/// The file of a program, as a shell finds it.
pub(super) fn find(name: &OsStr) -> Result<PathBuf, String> {
    if name.as_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let path = env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
    let is_program = |file: &PathBuf| file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok();
    let found = env::split_paths(&path).map(|folder| folder.join(name)).find(is_program);
    found.ok_or_else(|| format!("there is no program {} in PATH", name.to_string_lossy()))
}

/// Refuses a program that no library can be loaded into, and one that takes none from its user.
pub(super) fn check(program: &Path) -> Result<(), String> {
    let mut file = program.to_owned();
    for _ in 0..SCRIPTS {
        let head = head(&file)?;
        match interpreter(&head) {
            Some(interpreter) => file = interpreter,
            None => return check_elf(&file, &head),
        }
    }
    Err(format!("{}: its interpreter is a script again and again", program.display()))
}

fn head(file: &Path) -> Result<Vec<u8>, String> {
    let mut head = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(HEAD).read_to_end(&mut head));
    read.map(|_| head).map_err(|error| format!("{}: {error}", file.display()))
}

/// The interpreter of a script.
fn interpreter(head: &[u8]) -> Option<PathBuf> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let word = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())?;
    Some(OsString::from_vec(word.to_vec()).into())
}

fn check_elf(file: &Path, head: &[u8]) -> Result<(), String> {
    let refused = |why: &str| Err(format!("{}: {why}", file.display()));
    if !head.starts_with(ELF) {
        return refused("this is no program");
    }
    // Class, byte order, and machine.
    let own = self::head(Path::new("/proc/self/exe"))?;
    if head.get(4..6) != own.get(4..6) || head.get(18..20) != own.get(18..20) {
        return refused("this program is for another machine, or of another word size, than this command");
    }
    match loader(head) {
        None => {
            return refused(
                "a static program takes no library, so that its memory cannot be paged: link it dynamically",
            );
        }
        Some(loader) if String::from_utf8_lossy(loader).contains("musl") => {
            return refused("this program uses musl, and only programs that use glibc can be paged");
        }
        Some(_) => {}
    }
    let mode =
        fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?.permissions().mode();
    let capabilities = rustix::fs::getxattr(file, "security.capability", &mut [0; 256][..]);
    if mode & 0o6000 != 0 || capabilities.is_ok() {
        return refused(
            "a program that has privileges of its own takes no library from its user: run a copy of it that has none",
        );
    }
    Ok(())
}

/// The program's dynamic linker, from the headers of a 64-bit program.
fn loader(head: &[u8]) -> Option<&[u8]> {
    let (_, place) = segments(head).find(|(kind, _)| *kind == PT_INTERP)?;
    // One that is further away is one all the same.
    Some(head.get(place).unwrap_or_default())
}

/// How much of a 64-bit program or library is loaded: what is after that is for debuggers.
pub(super) fn loaded(file: &[u8]) -> &[u8] {
    let end = segments(file).filter(|(kind, _)| *kind == PT_LOAD).map(|(_, place)| place.end).max();
    end.and_then(|end| file.get(..end)).unwrap_or(file)
}

/// The kind of each segment, and where it is in the file, by the headers of a 64-bit program.
fn segments(head: &[u8]) -> impl Iterator<Item = (u32, Range<usize>)> {
    let field = |at, len| usize::try_from(number(head, at, len)?).ok();
    let (offset, size, count) = (field(32, 8), field(54, 2), field(56, 2));
    (0..count.unwrap_or(0)).filter_map(move |index| {
        let start = offset?.checked_add(index.checked_mul(size?)?)?;
        let header = head.get(start..start.checked_add(56)?)?;
        let at = usize::try_from(number(header, 8, 8)?).ok()?;
        let len = usize::try_from(number(header, 32, 8)?).ok()?;
        Some((u32::try_from(number(header, 0, 4)?).ok()?, at..at.saturating_add(len)))
    })
}

/// A number of this many bytes, in the byte order of this machine.
fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(len)?)?;
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    Some(match cfg!(target_endian = "little") {
        true => bytes.iter().rev().fold(0, fold),
        false => bytes.iter().fold(0, fold),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one program header, of this kind.
    fn elf(kind: u32, len: u64) -> Vec<u8> {
        let mut head = vec![0; 200];
        head[..4].copy_from_slice(ELF);
        head[32..40].copy_from_slice(&64_u64.to_ne_bytes());
        head[54..56].copy_from_slice(&56_u16.to_ne_bytes());
        head[56..58].copy_from_slice(&1_u16.to_ne_bytes());
        head[64..68].copy_from_slice(&kind.to_ne_bytes());
        head[72..80].copy_from_slice(&120_u64.to_ne_bytes());
        head[96..104].copy_from_slice(&len.to_ne_bytes());
        head[120..124].copy_from_slice(b"/ld\0");
        head
    }

    #[test]
    fn a_dynamic_program_names_its_linker() {
        assert_eq!(loader(&elf(PT_INTERP, 4)), Some(&b"/ld\0"[..]));
        assert_eq!(loader(&elf(PT_LOAD, 4)), None);
        // Whatever the headers say, nothing is read that is not there.
        assert_eq!(loader(&elf(PT_INTERP, u64::MAX)), Some(&[][..]));
        for len in 0..200 {
            let _ = loader(&elf(PT_INTERP, 4)[..len]);
        }
    }

    #[test]
    fn what_is_after_the_last_segment_is_not_loaded() {
        assert_eq!(loaded(&elf(PT_LOAD, 40)).len(), 160);
        for whole in [elf(PT_LOAD, 80), elf(PT_LOAD, 81), elf(PT_LOAD, u64::MAX), elf(PT_INTERP, 4), vec![]] {
            assert_eq!(loaded(&whole).len(), whole.len());
        }
    }

    #[test]
    fn a_script_names_its_interpreter() {
        for (text, path) in
            [("#!/bin/sh\n", "/bin/sh"), ("#! /usr/bin/env python3\nx", "/usr/bin/env"), ("#!x", "x")]
        {
            assert_eq!(interpreter(text.as_bytes()), Some(path.into()), "{text}");
        }
        for text in ["", "#!", "#!\n/bin/sh", "x#!/bin/sh", "\x7fELF"] {
            assert_eq!(interpreter(text.as_bytes()), None, "{text}");
        }
    }
}
