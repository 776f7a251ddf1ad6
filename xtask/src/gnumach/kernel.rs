//! The kernels, and the form in which QEMU loads them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::ValueEnum;

use crate::command::target;
use crate::packages::{self, Set};

/// A kernel image of Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kernel {
    /// GNU Mach of 2025 for x86_64.
    #[value(name = "x86_64")]
    X86_64,
    /// GNU Mach of 2026 for x86_64 and several processors, which is not tested and needs more memory.
    #[value(name = "x86_64-smp")]
    X86_64Smp,
    /// GNU Mach of 2025 for i386.
    #[value(name = "i386")]
    I386,
    /// GNU Mach of 2022 for i386.
    #[value(name = "i386-2022")]
    I3862022,
}

impl Kernel {
    /// What it is called on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kernel::X86_64 => "x86_64",
            Kernel::X86_64Smp => "x86_64-smp",
            Kernel::I386 => "i386",
            Kernel::I3862022 => "i386-2022",
        }
    }

    /// Whether its programs are 32-bit ones.
    pub(crate) fn is_i386(self) -> bool {
        matches!(self, Kernel::I386 | Kernel::I3862022)
    }

    fn package(self) -> (&'static Set, &'static str) {
        match self {
            Kernel::X86_64 => (&packages::GNUMACH_X86_64, "gnumach-1.8-amd64-up.gz"),
            Kernel::X86_64Smp => (&packages::GNUMACH_X86_64_SMP, "gnumach-1.8-amd64-smp.gz"),
            Kernel::I386 => (&packages::GNUMACH_I386, "gnumach-1.8-486-up.gz"),
            Kernel::I3862022 => (&packages::GNUMACH_I386_2022, "gnumach-1.8-486.gz"),
        }
    }

    /// The image for QEMU's `-kernel`; fetches the package if it is not there yet.
    pub(crate) fn image(self) -> Result<PathBuf, String> {
        let (set, file) = self.package();
        let packed = packages::fetch(set)?.join("root/boot").join(file);
        let output = Command::new("gzip").arg("-dc").arg(&packed).output();
        let output = output.map_err(|error| format!("gzip: {error}"))?;
        if !output.status.success() {
            return Err(format!("{}: {}", packed.display(), String::from_utf8_lossy(&output.stderr)));
        }
        let mut image = output.stdout;
        if !self.is_i386() {
            narrow(&mut image).ok_or_else(|| format!("{}: not an ELF program", packed.display()))?;
        }
        let folder = target().join("gnumach");
        let path = folder.join(format!("kernel-{}", self.name()));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        fs::write(&path, image).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

/// Rewrites the headers of a 64-bit ELF program as those of a 32-bit one, with physical addresses; `None` if
/// it is not such a program.
///
/// QEMU's loader refuses 64-bit kernels, but what it jumps to is 32-bit code either way: multiboot has no
/// other. The segments stay where they are in the file, since the 32-bit headers are smaller.
fn narrow(image: &mut [u8]) -> Option<()> {
    const HEADER_64: usize = 64;
    const SEGMENT_64: usize = 56;
    const HEADER_32: usize = 52;
    const SEGMENT_32: usize = 32;
    if !image.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let read = |at: usize, len: usize| {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(image.get(at..at + len)?);
        Some(u64::from_le_bytes(bytes))
    };
    let entry = u32::try_from(read(24, 8)?).ok()?;
    let segments_at = usize::try_from(read(32, 8)?).ok()?;
    let count = read(56, 2)? as u16;

    let mut headers = image[..16].to_vec();
    headers[4] = 1; // 32 bits
    let half = |headers: &mut Vec<u8>, value: u16| headers.extend(value.to_le_bytes());
    let word = |headers: &mut Vec<u8>, value: u32| headers.extend(value.to_le_bytes());
    half(&mut headers, 2); // a program
    half(&mut headers, 3); // for i386
    for value in [1, entry, HEADER_32 as u32, 0, 0] {
        word(&mut headers, value); // version, entry, where segments are, no sections, no flags
    }
    for value in [HEADER_32 as u16, SEGMENT_32 as u16, count, 0, 0, 0] {
        half(&mut headers, value);
    }
    for segment in (0..usize::from(count)).map(|index| segments_at + index * SEGMENT_64) {
        let field = |at: usize, len: usize| u32::try_from(read(segment + at, len)?).ok();
        let (kind, flags) = (field(0, 4)?, field(4, 4)?);
        let (offset, physical) = (field(8, 8)?, field(24, 8)?);
        let (in_file, in_memory, align) = (field(32, 8)?, field(40, 8)?, field(48, 8)?);
        for value in [kind, offset, physical, physical, in_file, in_memory, flags, align] {
            word(&mut headers, value);
        }
    }
    let end_of_old = HEADER_64.max(segments_at + usize::from(count) * SEGMENT_64);
    if headers.len() > end_of_old {
        return None;
    }
    image.get_mut(..headers.len())?.copy_from_slice(&headers);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit program with one segment of 4 bytes, by hand from the ELF specification.
    fn program() -> Vec<u8> {
        let mut image = b"\x7fELF\x02\x01\x01".to_vec();
        image.resize(16, 0);
        image.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        image.extend(0x0100_0000_u64.to_le_bytes());
        image.extend(64_u64.to_le_bytes());
        image.extend(0_u64.to_le_bytes());
        image.extend(0_u32.to_le_bytes());
        for half in [64_u16, 56, 1, 64, 0, 0] {
            image.extend(half.to_le_bytes());
        }
        image.extend([1, 0, 0, 0, 5, 0, 0, 0]);
        for long in [120_u64, 0xffff_ffff_8100_0000, 0x0100_0000, 4, 8, 0x1000] {
            image.extend(long.to_le_bytes());
        }
        image.extend(*b"code");
        image
    }

    #[test]
    fn a_64_bit_program_gets_32_bit_headers_with_physical_addresses() {
        let mut image = program();
        assert_eq!(narrow(&mut image), Some(()));
        let word = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
        let half = |at: usize| u16::from_le_bytes(image[at..at + 2].try_into().unwrap());
        assert_eq!((image[4], half(16), half(18)), (1, 2, 3));
        assert_eq!((word(24), word(28), word(32)), (0x0100_0000, 52, 0));
        assert_eq!((half(40), half(42), half(44), half(48)), (52, 32, 1, 0));
        let segment: Vec<u32> = (0..8).map(|index| word(52 + 4 * index)).collect();
        assert_eq!(segment, [1, 120, 0x0100_0000, 0x0100_0000, 4, 8, 5, 0x1000]);
        assert_eq!(&image[120..], b"code");
    }

    #[test]
    fn what_is_no_64_bit_program_is_refused() {
        assert_eq!(narrow(&mut program()[..100].to_vec()), None, "cut short");
        assert_eq!(narrow(&mut b"\x7fELF\x01\x01".to_vec()), None, "32 bits");
        let mut high = program();
        high[24 + 4] = 1; // an entry above 4 GiB
        assert_eq!(narrow(&mut high), None);
    }
}
