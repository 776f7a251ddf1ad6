//! What the command has said, in variables of the environment.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use rustix::process::getppid;

/// What pages are compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Lz4,
    Zstd,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) resident: usize,
    /// Swap files, devices and exports; without any a temporary file.
    pub(crate) swap: Vec<PathBuf>,
    /// The bytes of a temporary file.
    pub(crate) swap_size: u64,
    /// Where temporary files are made. The environment may be in memory that is paged later, and is not read
    /// then.
    pub(crate) folder: PathBuf,
    pub(crate) compression: Option<Compression>,
    /// Where the command reads what was done.
    pub(crate) report: Option<PathBuf>,
}

impl Settings {
    /// `None` if this is not the program that the command has started, but one that this program has started,
    /// or none of its business.
    pub(crate) fn from_environment() -> Option<Self> {
        let parent: i32 = number("MACH_PRELOAD_PARENT")?;
        if getppid().is_none_or(|process| process.as_raw_nonzero().get() != parent) {
            return None;
        }
        let compression = variable("MACH_PRELOAD_COMPRESS").map(|name| match name.to_str() {
            Some("zstd") => Compression::Zstd,
            _ => Compression::Lz4,
        });
        Some(Self {
            resident: number("MACH_PRELOAD_RESIDENT")?,
            swap: (0..)
                .map_while(|number| variable(&format!("MACH_PRELOAD_SWAP_{number}")))
                .map(PathBuf::from)
                .collect(),
            swap_size: number("MACH_PRELOAD_SWAP_SIZE")?,
            folder: variable("TMPDIR").map_or_else(|| "/var/tmp".into(), PathBuf::from),
            compression,
            report: variable("MACH_PRELOAD_REPORT").map(PathBuf::from),
        })
    }
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    variable(name)?.to_str()?.parse().ok()
}
