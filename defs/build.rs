//! Makes the bindings of every interface but `memory_object_default`, which `interface!` makes in the library.

use mig_codegen::{Config, Error};

/// The ABIs of GNU Mach, and what the names of their files begin with.
const GNU: &[(&str, &str)] = &[("gnu-i386", "gnu_i386"), ("gnu-x86_64", "gnu_x86_64")];

/// Interfaces that have a second form in which the server sees sequence numbers.
const WITH_SEQNOS: &[&str] = &["memory_object", "notify"];

/// The others.
const PLAIN: &[&str] =
    &["default_pager", "device", "exc", "gnumach", "mach", "mach_host", "mach_i386", "mach_port"];

fn main() -> Result<(), Error> {
    println!("cargo::rerun-if-changed=build.rs");
    for (abi, prefix) in GNU {
        let config = Config::new().include_dir("gnu").abi(*abi);
        for interface in PLAIN.iter().chain(WITH_SEQNOS) {
            compile(&config, &format!("{prefix}_{interface}"), interface)?;
        }
        let seqnos = config.define("SEQNOS", "1");
        for interface in WITH_SEQNOS {
            compile(&seqnos, &format!("{prefix}_seqnos_{interface}"), interface)?;
        }
    }
    Ok(())
}

fn compile(config: &Config, name: &str, interface: &str) -> Result<(), Error> {
    let folder = if interface == "device" { "device" } else { "mach" };
    config.clone().name(name).compile(format!("gnu/{folder}/{interface}.defs"))
}
