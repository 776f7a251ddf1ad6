//! The library that is loaded into the program, which this command has in itself.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use rustix::fs::{MemfdFlags, SealFlags};

use super::program;

static IMAGE: Option<&[u8]> = mach_preload_image::image!();

/// What the dynamic linker loads before all else, and where another command like this one has its library.
const PRELOAD: &str = "LD_PRELOAD";
const LIBRARY: &str = "MACH_PRELOAD_LIBRARY";

/// A file without a name that has the library, and that nobody can change. It goes with this process, however
/// that ends.
pub(super) struct Library(File);

impl Library {
    pub(super) fn new() -> Result<Self, String> {
        let image = IMAGE.ok_or("programs can be paged on Linux with glibc and 64 bits, and nowhere else")?;
        Self::of(program::loaded(image))
            .map_err(|error| format!("the library cannot be put into memory: {error}"))
    }

    fn of(image: &[u8]) -> std::io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(rustix::fs::memfd_create("libmach_preload.so", flags)?);
        file.write_all(image)?;
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&file, seals)?;
        Ok(Self(file))
    }

    /// Has the dynamic linker load it before what the user has it load. The program and those that it becomes
    /// find it by this process, which outlives them.
    pub(super) fn load_into(&self, command: &mut Command) {
        let path = format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd());
        let others = env::var_os(PRELOAD).unwrap_or_default();
        command.env(PRELOAD, preloaded(&path, &others, env::var_os(LIBRARY).as_deref()));
        command.env(LIBRARY, path);
    }
}

/// A list of libraries with this one before the others. One is left out: that of a command in which this
/// command runs, since two of them would both be the program's `malloc`.
fn preloaded(path: &str, others: &OsStr, without: Option<&OsStr>) -> OsString {
    let mut list = OsString::from(path);
    for other in others.as_bytes().split(|byte| [b' ', b':'].contains(byte)).map(OsStr::from_bytes) {
        if !other.is_empty() && Some(other) != without {
            list.push(":");
            list.push(other);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_the_user_stay_and_those_of_other_commands_do_not() {
        let with = |others: &str, without: Option<&str>| {
            preloaded("/proc/2/fd/3", OsStr::new(others), without.map(OsStr::new))
        };
        assert_eq!(with("", None), "/proc/2/fd/3");
        assert_eq!(with("a.so b.so:", None), "/proc/2/fd/3:a.so:b.so");
        assert_eq!(with("/proc/1/fd/3:a.so", Some("/proc/1/fd/3")), "/proc/2/fd/3:a.so");
    }
}
