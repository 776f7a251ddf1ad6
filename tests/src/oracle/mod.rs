//! The C MIG as an oracle: its stubs, compiled for an ABI, in a program that this side drives.
//!
//! Debian's `migcom` makes the C stubs of a `.defs` file; gcc compiles them against GNU Mach's own headers,
//! without a C library of Mach. Client and server stubs become two programs, because their functions share
//! names. `oracle/shim.c` passes every function that a stub calls on to this side, `mach_msg` among them, so
//! what goes over the wire is seen here and nothing is decided in C.

mod build;
mod driver;
mod process;
mod prototype;
mod stubs;
mod system;

pub use build::{Broken, Unit, Variant, build, compile, generate};
pub use process::{Call, Event, Process};
pub use prototype::{Parameter, Prototype, parse as prototypes};
pub use stubs::{Answer, Arguments, Called, Client, Message, REPLY_PORT, Served, Server};
pub use system::System;

use std::path::{Path, PathBuf};

/// An ABI of which the C compiler and the headers are at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CAbi {
    /// 32-bit GNU Mach.
    GnuI386,
    /// 64-bit GNU Mach, with type words of 8 bytes.
    GnuX86_64,
}

impl CAbi {
    /// Every ABI.
    pub const ALL: [CAbi; 2] = [CAbi::GnuI386, CAbi::GnuX86_64];

    /// The name that `mig` knows it by.
    pub const fn name(self) -> &'static str {
        match self {
            CAbi::GnuI386 => "gnu-i386",
            CAbi::GnuX86_64 => "gnu-x86_64",
        }
    }

    /// Bytes in an address.
    pub const fn pointer(self) -> usize {
        match self {
            CAbi::GnuI386 => 4,
            CAbi::GnuX86_64 => 8,
        }
    }

    /// The C compiler's switch.
    const fn machine(self) -> &'static str {
        match self {
            CAbi::GnuI386 => "-m32",
            CAbi::GnuX86_64 => "-m64",
        }
    }

    /// What upstream files ask for; the C compiler of the target would define it, the host's is told.
    const fn predefined(self) -> &'static [&'static str] {
        match self {
            CAbi::GnuI386 => &["-D__i386__=1"],
            CAbi::GnuX86_64 => &["-D__x86_64__=1", "-D__LP64__=1"],
        }
    }

    /// The interface definitions and headers of the newest system with this ABI.
    pub fn include(self, packages: &Path) -> PathBuf {
        System::from(self).include(packages)
    }
}

/// The unpacked packages, if they are there: `cargo xtask packages` fetches them.
fn packages() -> Option<PathBuf> {
    let folder = match std::env::var_os("MIG_PACKAGES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.join("target/packages/mig"),
    };
    folder.join("unpacked").exists().then_some(folder)
}

/// The packages, or `None` with a line that says so; a panic in CI, where no test may be left out.
pub fn packages_or_skip() -> Option<PathBuf> {
    let found = packages();
    if found.is_none() {
        let message = "the C MIG is missing; `cargo xtask packages` fetches it";
        assert!(std::env::var_os("CI").is_none(), "{message}");
        println!("skipped: {message}");
    }
    found
}

/// The folder of this oracle's C sources.
fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/oracle"))
}
