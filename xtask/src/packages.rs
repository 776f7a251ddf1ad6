//! Pinned packages, of Debian above all, unpacked privately under the target folder: nothing is installed, no
//! architecture is added.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::apt;
use crate::command::{read, target};

/// A package of Debian, pinned.
struct Package {
    /// Where the archive keeps it, below `pool/main`.
    file: &'static str,
    sha256: &'static str,
    /// The folder of the set that it is unpacked into.
    folder: &'static str,
}

/// What the packages have and no step reads: the source of the compiler and its tools.
const NOT_UNPACKED: [&str; 2] = ["./usr/src/rustc-1.85.0/compiler", "./usr/src/rustc-1.85.0/src"];

/// Packages that are used together.
pub(crate) struct Set {
    name: &'static str,
    packages: &'static [Package],
}

/// GNU MIG with the interface definitions and headers of GNU Mach, for both ABIs, and the release before on
/// i386.
pub(crate) const MIG: Set = Set {
    name: "mig",
    packages: &[
        Package {
            file: "m/mig/mig-i686-gnu_1.8+git20221221-3_i386.deb",
            sha256: "38db132b4120a809f5ff294fcc924e38f31ac24807b17746e3b2f72f97f6db98",
            folder: "bookworm-i386",
        },
        Package {
            file: "g/gnumach/gnumach-dev_1.8+git20221224-2_i386.deb",
            sha256: "44aafaf9fd142e5e08ddb55ac3d1e143cb7cd57560acbf65739e2e06c948d045",
            folder: "bookworm-i386",
        },
        Package {
            file: "m/mig/mig-i686-gnu_1.8+git20231217-8_i386.deb",
            sha256: "5c09e3f06cd469e9ad7a6e78400458e72aa21d4b4d5541cb6ca2612551549985",
            folder: "trixie-i386",
        },
        Package {
            file: "g/gnumach/gnumach-dev_1.8+git20250702-1_i386.deb",
            sha256: "85be6ef6e833242712a7f0a25d558e9e2bbb078ac9e00b0c974279317d0e5f15",
            folder: "trixie-i386",
        },
        Package {
            file: "m/mig/mig-x86-64-gnu_1.8+git20231217-8_amd64.deb",
            sha256: "b8ebde492856b4cd5cd1b71d6795a45d0c8e284fdfd8c1fe3d9c48828a098ff8",
            folder: "trixie-amd64",
        },
        Package {
            file: "g/gnumach/gnumach-dev_1.8+git20250702-1_amd64.deb",
            sha256: "39de7a2d8598465eb142df3d312a71821fe0bd74a9c7f3a6ec8478163df1b988",
            folder: "trixie-amd64",
        },
    ],
};

/// Rust 1.85, the oldest that builds the libraries, with a standard library for i386 and the source of that
/// library.
pub(crate) const RUST: Set = Set {
    name: "rust-1.85",
    packages: &[
        Package {
            file: "r/rustc-web/rustc-web_1.85.0+dfsg3-1~deb12u3_amd64.deb",
            sha256: "ef797a56697a0b6a82c1d704119ccaa85ab3486ccf805472de46c31971346702",
            folder: "root",
        },
        Package {
            file: "r/rustc-web/libstd-rust-web-1.85_1.85.0+dfsg3-1~deb12u3_amd64.deb",
            sha256: "c8b03bff73b2990b2a3e56b0cfb100eb4c70a9331f4232dc9783c9e50b1038be",
            folder: "root",
        },
        Package {
            file: "r/rustc-web/libstd-rust-web-dev_1.85.0+dfsg3-1~deb12u3_amd64.deb",
            sha256: "5360a1aa03979ccc4cc91dd3d9bad1d5ff30f36d615ed01e2c5209c5e8ece21b",
            folder: "root",
        },
        Package {
            file: "r/rustc-web/libstd-rust-web-dev_1.85.0+dfsg3-1~deb12u3_i386.deb",
            sha256: "70dcaaafcb38d1374c2900b0671c7ebcd7eda88135a373308f522f970aeb9e1f",
            folder: "root",
        },
        Package {
            file: "r/rustc-web/rust-web-src_1.85.0+dfsg3-1~deb12u3_all.deb",
            sha256: "48849a40ac3490b6ed45b0813c6c92d4c689448b0c4251997f56399b8f899d0d",
            folder: "root",
        },
        Package {
            file: "l/llvm-toolchain-19/libllvm19_19.1.7-3~deb12u1_amd64.deb",
            sha256: "6edf3a8b28495cdba883d9760e0dca1a81983fc497a5f989dc64d0d96d23b4aa",
            folder: "root",
        },
    ],
};

/// The kernel of GNU Mach for x86_64.
pub(crate) const GNUMACH_X86_64: Set = Set {
    name: "gnumach-x86_64",
    packages: &[Package {
        file: "g/gnumach/gnumach-image-1.8-amd64-up_1.8+git20250702-1_amd64.deb",
        sha256: "802ed4da67e3e3c9d6e42e8bd06fd2a66b8c35bd7454140bd4f306d36afe5057",
        folder: "root",
    }],
};

/// The one for several processors, from Debian's unstable distribution. The archive drops it when there is a
/// newer one.
pub(crate) const GNUMACH_X86_64_SMP: Set = Set {
    name: "gnumach-x86_64-smp",
    packages: &[Package {
        file: "g/gnumach/gnumach-image-1.8-amd64-smp_1.8+git20261028-1_amd64.deb",
        sha256: "6858ef95f6b9b7e3e47d4635b612af4700623085b9ebeea843bb0c07c767461e",
        folder: "root",
    }],
};

/// The kernel of GNU Mach for i386.
pub(crate) const GNUMACH_I386: Set = Set {
    name: "gnumach-i386",
    packages: &[Package {
        file: "g/gnumach/gnumach-image-1.8-486-up_1.8+git20250702-1_i386.deb",
        sha256: "9a51d940af8e0898a24d9bcefbf19c7d96f118cfaa12cf21f6413bf91d730172",
        folder: "root",
    }],
};

/// The same of the release before.
pub(crate) const GNUMACH_I386_2022: Set = Set {
    name: "gnumach-i386-2022",
    packages: &[Package {
        file: "g/gnumach/gnumach-image-1.8-486_1.8+git20221224-2_i386.deb",
        sha256: "165e337f9ac52a8d61af58daa729a20aee6d4063b0b3c94597057f0a0d9dbfb7",
        folder: "root",
    }],
};

/// `cargo xtask packages`
pub(crate) fn run() -> ExitCode {
    match fetch(&MIG) {
        Ok(folder) => {
            println!("{}", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The folder with a set's packages unpacked; fetches what is not there yet.
pub(crate) fn fetch(set: &Set) -> Result<PathBuf, String> {
    let pins: String =
        set.packages.iter().map(|package| format!("{}  {}\n", package.sha256, package.file)).collect();
    fetch_into(set.name, &pins, |folder| {
        if !apt::available() {
            return Err("fetching Debian packages needs apt-get, apt-helper and dpkg".to_string());
        }
        let work = folder.join("fetch");
        unpack(set, folder, &work)?;
        fs::remove_dir_all(&work).map_err(|error| format!("{}: {error}", work.display()))
    })
}

/// A folder of this name that `fill` has filled, now or before with the same pins: what is fetched, with its
/// checksums.
pub(crate) fn fetch_into(
    name: &str,
    pins: &str,
    fill: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let folder = target().join("packages").join(name);
    let stamp = folder.join("unpacked");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == pins) {
        return Ok(folder);
    }
    println!("fetching the packages of the set `{name}`");
    // In a folder of its own, so that whoever uses the set meanwhile never finds half of it.
    let fresh = folder.with_file_name(format!("{name}.{}", std::process::id()));
    empty(&fresh)?;
    fill(&fresh).inspect_err(|_| {
        let _ = fs::remove_dir_all(&fresh);
    })?;
    let put = || {
        fs::write(fresh.join("unpacked"), pins)?;
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::rename(&fresh, &folder)
    };
    put().map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

fn unpack(set: &Set, folder: &Path, work: &Path) -> Result<(), String> {
    let archive = apt::archive()?;
    for package in set.packages {
        empty(work)?;
        let file = work.join("package.deb");
        apt::download(&archive, &format!("pool/main/{}", package.file), package.sha256, &file)?;
        extract(&file, &folder.join(package.folder))?;
    }
    Ok(())
}

/// Unpacks a package into a folder.
fn extract(package: &Path, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("--fsys-tarfile").arg(package).stdout(Stdio::piped());
    let mut unpacked = dpkg.spawn().map_err(|error| format!("dpkg-deb: {error}"))?;
    let mut tar = Command::new("tar");
    tar.arg("-x").arg("-C").arg(folder).args(NOT_UNPACKED.map(|path| format!("--exclude={path}")));
    tar.stdin(unpacked.stdout.take().map_or_else(Stdio::null, Stdio::from));
    read(&mut tar)?;
    match unpacked.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`dpkg-deb` on {}: {status}", package.display())),
        Err(error) => Err(format!("dpkg-deb: {error}")),
    }
}

/// Makes a folder that is empty.
fn empty(folder: &Path) -> Result<(), String> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}
