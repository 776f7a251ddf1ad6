//! The systems whose C compiler, interface definitions and headers are at hand.

use std::path::{Path, PathBuf};

use super::CAbi;

/// A C MIG and the files of its system, as one release of Debian ships them for one architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct System {
    /// Its name: that of the folder that its packages are unpacked into.
    pub name: &'static str,
    /// The ABI of its messages.
    pub abi: CAbi,
    mig: &'static str,
    include: &'static str,
}

impl System {
    /// All of them.
    pub const ALL: [System; 3] = [
        System {
            name: "bookworm-i386",
            abi: CAbi::GnuI386,
            mig: "i686-gnu-migcom",
            include: "i386-linux-gnu",
        },
        System { name: "trixie-i386", abi: CAbi::GnuI386, mig: "i686-gnu-migcom", include: "i386-linux-gnu" },
        System {
            name: "trixie-amd64",
            abi: CAbi::GnuX86_64,
            mig: "x86_64-gnu-migcom",
            include: "x86_64-linux-gnu",
        },
    ];

    /// The one with this name.
    pub fn by_name(name: &str) -> Option<System> {
        System::ALL.into_iter().find(|system| system.name == name)
    }

    /// Its compiler, after the preprocessor.
    pub(super) fn mig(self, packages: &Path) -> PathBuf {
        packages.join(self.name).join("usr/lib/mig").join(self.mig)
    }

    /// Its interface definitions and headers.
    pub fn include(self, packages: &Path) -> PathBuf {
        packages.join(self.name).join("usr/include").join(self.include)
    }
}

impl From<CAbi> for System {
    /// The newest one with this ABI.
    fn from(abi: CAbi) -> Self {
        match abi {
            CAbi::GnuI386 => System::ALL[1],
            CAbi::GnuX86_64 => System::ALL[2],
        }
    }
}
