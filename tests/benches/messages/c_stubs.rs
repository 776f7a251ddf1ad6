//! The stubs of the C MIG, compiled by gcc with optimisation, in a program with `driver.c`.

use std::path::{Path, PathBuf};
use std::process::Command;

use mig_tests::oracle::{CAbi, Variant, generate};

use crate::tools::run;

const ABI: CAbi = CAbi::GnuX86_64;

/// Functions of the kernel, the C library for Mach, and the servers: what the stubs call. The driver has them
/// under other names.
const MACH: [&str; 4] = ["mach_msg", "mig_get_reply_port", "mig_put_reply_port", "mig_dealloc_reply_port"];
const SERVED: [&str; 5] = [
    "memory_object_create",
    "memory_object_data_initialize",
    "memory_object_data_request",
    "arrays_put",
    "arrays_get",
];

/// Builds the program in `folder`.
///
/// # Errors
///
/// The message of the tool that failed.
pub(crate) fn build(packages: &Path, folder: &Path) -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/messages");
    let system = ABI.include(packages);
    let mut objects = Vec::new();
    for interface in ["memory_object_default", "memory_object", "arrays"] {
        let stubs = folder.join(interface);
        let own = here.join(interface).with_extension("defs");
        let file = if own.exists() { own } else { Path::new("mach").join(interface).with_extension("defs") };
        generate(ABI, packages, &system, &file.to_string_lossy(), Variant::Plain, &stubs)?;
        let renamed: Vec<&str> = MACH.into_iter().chain(SERVED).collect();
        objects.push(compile(&stubs.join("user.c"), [&here, &system], &MACH)?);
        objects.push(compile(&stubs.join("server.c"), [&here, &system], &renamed)?);
    }
    let program = folder.join("c_stubs");
    run(Command::new("gcc").args(["-O2", "-o"]).arg(&program).arg(here.join("driver.c")).args(&objects))?;
    Ok(program)
}

/// Compiles stubs, with functions renamed to `null_…`.
fn compile(source: &Path, include: [&Path; 2], renamed: &[&str]) -> Result<PathBuf, String> {
    let own_headers = run(Command::new("gcc").arg("-print-file-name=include"))?;
    let object = source.with_extension("o");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-w", "-std=gnu11", "-ffreestanding", "-nostdinc", "-isystem"]).arg(own_headers.trim());
    gcc.arg("-I").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle/include"));
    gcc.args(include.iter().flat_map(|folder| [Path::new("-I"), folder]));
    gcc.args(renamed.iter().map(|name| format!("-D{name}=null_{name}")));
    run(gcc.arg("-c").arg(source).arg("-o").arg(&object))?;
    Ok(object)
}
