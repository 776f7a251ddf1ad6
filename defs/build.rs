//! Makes the bindings of every interface but GNU Mach's `memory_object_default`, which `interface!` makes in the library.

use mig_codegen::{Config, Error};

/// A family of kernels, and what there are bindings of.
struct Family {
    /// The folder of its definitions.
    folder: &'static str,
    /// Its ABIs, and what the names of their files begin with.
    abis: &'static [(&'static str, &'static str)],
    /// Interfaces that have a second form in which the server sees sequence numbers.
    with_seqnos: &'static [&'static str],
    /// The others that tasks serve, or whose kernel does not ask what a request is for.
    plain: &'static [&'static str],
    /// The others, whose ports are objects of a kernel that asks.
    kernel_objects: &'static [&'static str],
}

const FAMILIES: [Family; 3] = [
    Family {
        folder: "gnu",
        abis: &[("gnu-i386", "gnu_i386"), ("gnu-x86_64", "gnu_x86_64")],
        with_seqnos: &["memory_object", "notify"],
        plain: &["default_pager", "device", "exc", "gnumach", "mach", "mach_host", "mach_i386", "mach_port"],
        kernel_objects: &[],
    },
    Family {
        folder: "apple",
        abis: &[("apple-32", "apple_32"), ("apple-64", "apple_64")],
        with_seqnos: &["notify"],
        plain: &["clock_reply", "exc", "mach_exc"],
        kernel_objects: &[
            "clock",
            "host_priv",
            "mach_host",
            "mach_port",
            "mach_vm",
            "semaphore",
            "task",
            "thread_act",
        ],
    },
    Family {
        folder: "osf",
        abis: &[("osf-32", "osf_32")],
        with_seqnos: &["memory_object", "memory_object_default"],
        plain: &["default_pager_object", "mach", "mach_host"],
        kernel_objects: &[],
    },
];

fn main() -> Result<(), Error> {
    println!("cargo::rerun-if-changed=build.rs");
    for family in &FAMILIES {
        for (abi, prefix) in family.abis {
            let config = Config::new().include_dir(family.folder).abi(*abi);
            for interface in family.plain.iter().chain(family.with_seqnos) {
                compile(&config, family, &format!("{prefix}_{interface}"), interface)?;
            }
            let to_kernel = config.clone().kernel_objects(true);
            for interface in family.kernel_objects {
                compile(&to_kernel, family, &format!("{prefix}_{interface}"), interface)?;
            }
            let seqnos = config.define("SEQNOS", "1");
            for interface in family.with_seqnos {
                compile(&seqnos, family, &format!("{prefix}_seqnos_{interface}"), interface)?;
            }
        }
    }
    Ok(())
}

fn compile(config: &Config, family: &Family, name: &str, interface: &str) -> Result<(), Error> {
    let folder = if interface == "device" { "device" } else { "mach" };
    config.clone().name(name).compile(format!("{}/{folder}/{interface}.defs", family.folder))
}
