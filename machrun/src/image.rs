//! A program in memory: mapped, its pointers set, its parts protected.

use std::fs;
use std::path::Path;

use object::macho;

use crate::macho::Program;
use crate::{tls, unwind};

/// `main`, as the system's loader calls it.
pub(crate) type Main =
    unsafe extern "C" fn(i32, *const *const libc::c_char, *const *const libc::c_char) -> i32;

/// A program in memory. It stays there until this process ends: threads may run it whatever becomes of their
/// task.
pub(crate) struct Image {
    base: usize,
    size: usize,
    entry: usize,
}

impl Image {
    /// Loads a program, for which `resolve` has the addresses of the library's functions and variables.
    pub(crate) fn load(path: &Path, resolve: impl Fn(&str) -> usize) -> Result<Self, String> {
        let explain = |why: String| format!("{}: {why}", path.display());
        let file = fs::read(path).map_err(|error| explain(error.to_string()))?;
        let program = Program::parse(&file).map_err(explain)?;
        Self::map(&program, resolve).map_err(explain)
    }

    fn map(program: &Program<'_>, resolve: impl Fn(&str) -> usize) -> Result<Self, String> {
        let size = usize::try_from(program.size()).map_err(|_| "the program is too large")?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: new memory, at an address of the system's choice.
        let memory = unsafe {
            libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if memory == libc::MAP_FAILED {
            return Err(format!("no memory: {}", std::io::Error::last_os_error()));
        }
        let base = memory as usize;
        let image = Self { base, size, entry: base + program.entry as usize };
        // SAFETY: it has just been mapped, `size` bytes of zeros, and nobody else knows of it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(memory.cast::<u8>(), size) };
        for segment in &program.segments {
            bytes[segment.start as usize..][..segment.bytes.len()].copy_from_slice(segment.bytes);
        }
        image.set_pointers(program, bytes, resolve);
        if let Some(variables) = program.section_of(macho::S_THREAD_LOCAL_VARIABLES) {
            let range = variables.start as usize..(variables.start + variables.size) as usize;
            let template = tls::Template::of(program, bytes)?;
            tls::prepare(&mut bytes[range], template);
        }
        let frames = unwind::Frames::of(program, bytes, base)?;
        for segment in &program.segments {
            image.protect(segment.start as usize, segment.size as usize, segment.protection)?;
        }
        frames.register();
        Ok(image)
    }

    /// Whether the instruction is one of this program.
    pub(crate) fn contains(&self, address: u64) -> bool {
        (self.base..self.base + self.size).contains(&(address as usize))
    }

    /// The program's `main`.
    pub(crate) fn main(&self) -> Main {
        // SAFETY: the address is in the code of the image, and LC_MAIN says that it is this function.
        unsafe { std::mem::transmute::<usize, Main>(self.entry) }
    }

    /// The parser has made sure that every place is in the image, and so is what a rebase points at for a
    /// program of this linker; where it is not, it is the program that goes wrong.
    fn set_pointers(&self, program: &Program<'_>, bytes: &mut [u8], resolve: impl Fn(&str) -> usize) {
        let base_in_file = program.base;
        for &place in &program.rebases {
            let pointer = word(bytes, place).wrapping_sub(base_in_file).wrapping_add(self.base as u64);
            bytes[place as usize..][..8].copy_from_slice(&pointer.to_le_bytes());
        }
        for bind in &program.binds {
            let address = resolve(bind.symbol) as u64;
            let pointer = address.wrapping_add_signed(bind.addend);
            bytes[bind.place as usize..][..8].copy_from_slice(&pointer.to_le_bytes());
        }
    }

    fn protect(&self, start: usize, size: usize, protection: u32) -> Result<(), String> {
        let size = size.next_multiple_of(4096).min(self.size.next_multiple_of(4096) - start);
        // SAFETY: a part of the image, to which no reference is left.
        let code = unsafe { libc::mprotect((self.base + start) as *mut _, size, protection as i32) };
        if code == 0 { Ok(()) } else { Err(format!("mprotect: {}", std::io::Error::last_os_error())) }
    }
}

fn word(bytes: &[u8], place: u64) -> u64 {
    let word = bytes[place as usize..][..8].try_into().expect("8 bytes");
    u64::from_le_bytes(word)
}
