//! The interface definitions in `defs/gnu` are those of GNU Mach: the C MIG makes the same stubs of them as of the system's files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mig_tests::oracle::{CAbi, Variant, generate, packages_or_skip};

/// Interfaces that are there as a whole.
const WHOLE: [&str; 4] = ["memory_object", "memory_object_default", "notify", "default_pager"];

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../defs/gnu")
}

/// The C stubs of both, client and server, as text.
fn stubs(packages: &Path, abi: CAbi, interface: &str, variant: Variant) -> [[String; 2]; 2] {
    let file = format!("mach/{interface}.defs");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("defs").join(abi.name()).join(interface);
    [("system", abi.include(packages)), ("ours", ours())].map(|(name, include)| {
        let folder = folder.join(variant.name()).join(name);
        generate(abi, packages, &include, &file, variant, &folder).unwrap();
        ["user.c", "server.c"].map(|part| std::fs::read_to_string(folder.join(part)).unwrap())
    })
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

/// The functions in generated stubs, by the routine in the comment in front of each.
fn functions(text: &str) -> BTreeMap<&str, &str> {
    let routines = text.split("\n/* ").filter_map(|chunk| {
        let rest = chunk.strip_prefix("Routine ").or_else(|| chunk.strip_prefix("SimpleRoutine "))?;
        let (name, body) = rest.split_once(" */\n")?;
        Some((name, body.split_once("\n}\n")?.0))
    });
    routines.collect()
}

#[test]
fn each_call_of_mach_makes_the_same_stub() {
    let Some(packages) = packages_or_skip() else { return };
    for abi in CAbi::ALL {
        let [system, ours] = stubs(&packages, abi, "mach", Variant::Plain);
        for (system, ours) in system.iter().zip(&ours) {
            let system = functions(system);
            let ours = functions(ours);
            assert_eq!(ours.len(), 20);
            for (routine, text) in ours {
                assert!(system.get(routine) == Some(&text), "{routine} {}", abi.name());
            }
        }
    }
}
