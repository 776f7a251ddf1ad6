//! The interface definitions in `defs/gnu` are those of GNU Mach: the C MIG makes the same stubs of them as of the system's files.

use std::path::{Path, PathBuf};

use mig_tests::oracle::{CAbi, Variant, generate, packages_or_skip};

/// Interfaces that are there as a whole.
const WHOLE: [&str; 11] = [
    "device/device",
    "mach/default_pager",
    "mach/exc",
    "mach/gnumach",
    "mach/mach",
    "mach/mach_host",
    "mach/mach_i386",
    "mach/mach_port",
    "mach/memory_object",
    "mach/memory_object_default",
    "mach/notify",
];

/// Where the system has an interface in a folder of its own for each machine.
const ELSEWHERE: [(&str, &str); 1] = [("mach/mach_i386", "mach/machine/mach_i386")];

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../defs/gnu")
}

/// The C stubs of both, client and server, as text.
fn stubs(packages: &Path, abi: CAbi, interface: &str, variant: Variant) -> [[String; 2]; 2] {
    let there = ELSEWHERE.iter().find(|(ours, _)| *ours == interface).map_or(interface, |(_, there)| there);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("defs").join(abi.name()).join(interface);
    [("system", abi.include(packages), there), ("ours", ours(), interface)].map(
        |(name, include, interface)| {
            let folder = folder.join(variant.name()).join(name);
            let file = format!("{interface}.defs");
            generate(abi, packages, &include, &file, variant, &folder).unwrap();
            ["user.c", "server.c"].map(|part| std::fs::read_to_string(folder.join(part)).unwrap())
        },
    )
}

#[test]
fn whole_interfaces_make_the_same_stubs() {
    let Some(packages) = packages_or_skip() else { return };
    for abi in CAbi::ALL {
        for interface in WHOLE {
            for variant in [Variant::Plain, Variant::Seqnos] {
                let [system, ours] = stubs(&packages, abi, interface, variant);
                assert!(system == ours, "{interface} {} {}", abi.name(), variant.name());
            }
        }
    }
}
