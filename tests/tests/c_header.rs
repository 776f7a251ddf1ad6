//! The headers for C that `mig c-header` writes, against the C MIG and gcc, for every interface of the
//! system.

use std::fs;
use std::path::Path;

use mig_codegen::{Side, c};
use mig_tests::jobs::{self, Job};
use mig_tests::oracle::{self, Prototype, Variant, packages_or_skip};

#[test]
fn prototypes_are_those_of_migcom_and_gcc_finds_the_sizes() {
    let Some(packages) = packages_or_skip() else { return };
    let (jobs, _) = jobs::all(&packages).unwrap();
    let wrong: Vec<String> = jobs
        .iter()
        .filter_map(|(job, interface)| {
            let headers = [Side::Client, Side::Server].map(|side| c::header(interface, side));
            check(job, &packages, headers).err().map(|error| format!("{}: {error}", job.name()))
        })
        .collect();
    assert!(jobs.len() > 100, "only {} interfaces", jobs.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(job: &Job, packages: &Path, headers: [String; 2]) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_header").join(job.name());
    let include = job.system.include(packages);
    oracle::generate(job.system, packages, &include, &job.file, job.variant, &folder)?;
    let mut source = String::new();
    for (name, ours) in ["user", "server"].into_iter().zip(headers) {
        let theirs = fs::read_to_string(folder.join(format!("{name}.h"))).map_err(|e| e.to_string())?;
        let theirs = oracle::prototypes(&theirs)?;
        // The reader of prototypes knows how migcom writes `extern`.
        let ours_in_its_form = ours.replace("extern kern_return_t", "extern\n#endif\nkern_return_t");
        compare(&oracle::prototypes(&ours_in_its_form)?, &theirs)?;
        fs::write(folder.join(format!("ours_{name}.h")), &ours).map_err(|e| e.to_string())?;
        source += &format!("#include \"ours_{name}.h\"\n");
    }
    // The headers of the kernel itself, which a server in it includes, are in no package.
    if job.variant == Variant::KernelServer {
        return Ok(());
    }
    // Client and server functions may share a name and differ in their types.
    for (name, line) in ["user", "server"].into_iter().zip(source.lines()) {
        let name = format!("includes_{name}");
        fs::write(folder.join(format!("{name}.c")), line).map_err(|e| e.to_string())?;
        oracle::compile(job.system, packages, &folder, &name)?;
    }
    Ok(())
}

/// The same functions with the same parameters. `const` is not compared: migcom of 2025 writes it, and
/// earlier ones do not.
fn compare(ours: &[Prototype], theirs: &[Prototype]) -> Result<(), String> {
    let names = |list: &[Prototype]| list.iter().map(|function| function.name.clone()).collect::<Vec<_>>();
    if names(ours) != names(theirs) {
        return Err(format!("functions: {:?}, migcom: {:?}", names(ours), names(theirs)));
    }
    for (ours, theirs) in ours.iter().zip(theirs) {
        let [ours, theirs] = [without_const(ours), without_const(theirs)];
        if ours != theirs {
            return Err(format!("{}:\n  {}\nmigcom:\n  {}", ours.name, line(&ours), line(&theirs)));
        }
    }
    Ok(())
}

fn line(function: &Prototype) -> String {
    let parameters = function.parameters.iter().map(|p| format!("{} {}", p.ty, p.name));
    format!("{} ({})", function.result, parameters.collect::<Vec<_>>().join(", "))
}

fn without_const(prototype: &Prototype) -> Prototype {
    let mut prototype = prototype.clone();
    for parameter in &mut prototype.parameters {
        let ty = &parameter.ty;
        parameter.ty = ty.strip_prefix("const ").or(ty.strip_prefix("const_")).unwrap_or(ty).to_owned();
    }
    prototype
}
