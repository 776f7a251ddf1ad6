//! The interface definitions in `defs/gnu` are those of GNU Mach: the C MIG makes the same stubs of them as
//! of the system's files.

use std::path::{Path, PathBuf};

use mig_tests::oracle::{CAbi, System, Variant, generate, packages_or_skip};

/// Interfaces that are there as a whole.
const WHOLE: [&str; 17] = [
    "device/device",
    "device/device_reply",
    "device/device_request",
    "mach/default_pager",
    "mach/exc",
    "mach/experimental",
    "mach/gnumach",
    "mach/mach",
    "mach/mach4",
    "mach/mach_host",
    "mach/mach_i386",
    "mach/mach_port",
    "mach/memory_object",
    "mach/memory_object_default",
    "mach/notify",
    "mach/task_notify",
    "mach_debug/mach_debug",
];

/// Those among them whose form for a kernel, as the client, is there as well.
const SENT_BY_KERNELS: [&str; 2] = ["device/device_reply", "mach/task_notify"];

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
    let mut different = Vec::new();
    for abi in CAbi::ALL {
        for interface in WHOLE {
            let kernel = SENT_BY_KERNELS.contains(&interface).then_some(Variant::KernelUser);
            for variant in [Variant::Plain, Variant::Seqnos].into_iter().chain(kernel) {
                let [system, ours] = stubs(&packages, abi, interface, variant);
                if system != ours {
                    different.push(format!("{interface} {} {}", abi.name(), variant.name()));
                }
            }
        }
    }
    assert!(different.is_empty(), "{different:#?}");
}

#[test]
fn every_interface_of_the_system_is_there() {
    let Some(packages) = packages_or_skip() else { return };
    let (jobs, _) = mig_tests::jobs::all(&packages).unwrap();
    for (job, _) in jobs {
        if job.system == System::from(CAbi::GnuX86_64) {
            let name = job.file.trim_end_matches(".defs").replace("mach/x86_64/", "mach/");
            assert!(WHOLE.contains(&&*name), "{name}");
        }
    }
}
