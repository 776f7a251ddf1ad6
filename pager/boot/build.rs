//! The bindings of `boot.defs` and `newer.defs`, and the link of programs that the kernel loads: at fixed
//! addresses, without a C library and its start files.

fn main() -> Result<(), mig_codegen::Error> {
    println!("cargo::rerun-if-changed=build.rs");
    // The last one: a part that is made read-only after the start would leave a hole that cannot be wired.
    for argument in
        ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,norelro"]
    {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    ["boot.defs", "newer.defs"]
        .into_iter()
        .try_for_each(|file| mig_codegen::Config::new().include_dir("../../defs/gnu").compile(file))
}
