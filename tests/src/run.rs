//! The program that compares: generated code with its glue around it, and [`main`] in the middle.
//!
//! The generated code of all interfaces is one crate that the test writes and compiles. It depends on this
//! crate and calls [`main`] with what it has.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;

use mig_codegen::model::Interface;
use mig_runtime::abi::{GnuI386, GnuX86_64, InKernel, TaskAbi};

use crate::compare::{Bindings, compare};
use crate::glue::glue;
use crate::jobs::{self, Job};
use crate::oracle::{CAbi, Variant, build, generate};
use crate::tally::Tally;
use crate::wire_kernel::Known;

/// Compiles the C stubs of all jobs, each into a folder of its own below `units`. Those of a server that is a
/// kernel are only made.
///
/// # Errors
///
/// The message of the tool that failed.
pub fn build_units(jobs: &[(Job, Interface)], packages: &Path, units: &Path) -> Result<(), String> {
    in_parallel(jobs, |(job, _)| {
        let include = job.system.include(packages);
        let folder = units.join(job.name());
        let built = match job.variant {
            Variant::KernelServer => {
                generate(job.system, packages, &include, &job.file, job.variant, &folder)
            }
            _ => build(job.system, packages, &include, &job.file, job.variant, &folder).map(drop),
        };
        built.map_err(|error| format!("{}: {error}", job.name()))
    })
    .map(drop)
}

/// Does the work of each item on as many threads as the machine has processors.
///
/// # Errors
///
/// The first one.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, String> + Sync,
) -> Result<Vec<R>, String> {
    let queue: Mutex<VecDeque<&T>> = Mutex::new(items.iter().collect());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let worker = || std::iter::from_fn(next).map(&work).collect::<Result<Vec<R>, String>>();
    let threads = thread::available_parallelism().map_or(2, |threads| threads.get());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| "a thread has panicked".to_string())??);
        }
        Ok(all)
    })
}

/// Writes the crate with the generated code of all interfaces into a folder.
///
/// # Errors
///
/// What cannot be generated or written.
pub fn write_crate(jobs: &[(Job, Interface)], packages: &Path, folder: &Path) -> Result<(), String> {
    let mut modules: BTreeMap<String, usize> = BTreeMap::new();
    let mut entries: BTreeMap<(&str, bool), String> = BTreeMap::new();
    let stubs = jobs.iter().filter(|(job, _)| job.variant != Variant::KernelServer);
    for (job, interface) in stubs {
        let output = job.config(packages).text(&job.path(packages)).map_err(|error| error.to_string())?;
        let text = output.value;
        let glue = glue(interface, &text).map_err(|error| format!("{}: {error}", job.name()))?;
        // The same interface in two systems is one module.
        let next = modules.len();
        let module = *modules.entry(format!("{text}\n{glue}")).or_insert(next);
        let entry = format!("        (\"{}\", &m{module}::glue::OracleBindings),\n", job.name());
        let in_kernel = job.variant == Variant::KernelUser;
        entries.entry((job.system.abi.name(), in_kernel)).or_default().push_str(&entry);
    }
    let source = folder.join("src");
    fs::create_dir_all(&source).map_err(|error| format!("{}: {error}", source.display()))?;
    for (text, module) in &modules {
        write(&source.join(format!("m{module}.rs")), text)?;
    }
    let declarations: String = (0..modules.len()).map(|module| format!("mod m{module};\n")).collect();
    let list = |abi: CAbi| {
        let list = |in_kernel| entries.get(&(abi.name(), in_kernel)).cloned().unwrap_or_default();
        format!(
            "mig_tests::run::Entries {{\n    tasks: &[\n{}    ],\n    kernel: &[\n{}    ],\n    }}",
            list(false),
            list(true)
        )
    };
    let main = format!(
        "{declarations}\nfn main() -> std::process::ExitCode {{\n    mig_tests::run::main(\n    &{},\n    &{},\n    )\n}}\n",
        list(CAbi::GnuI386),
        list(CAbi::GnuX86_64),
    );
    write(&source.join("main.rs"), &main)?;
    let root = repository();
    let manifest = format!(
        "[package]\nname = \"mig-oracle\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\nmig-runtime = {{ path = {:?}, features = [\"std\"] }}\nmig-tests = {{ path = {:?} }}\n\n\
         [profile.dev]\ndebug = false\n\n[workspace]\n",
        root.join("runtime"),
        root.join("tests"),
    );
    write(&folder.join("Cargo.toml"), &manifest)?;
    // The same versions of everything as in the repository.
    let lock = fs::read_to_string(root.join("Cargo.lock")).map_err(|error| error.to_string())?;
    write(&folder.join("Cargo.lock"), &lock)
}

/// Leaves a file alone that is as it should be, so that cargo need not compile it again.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is a folder of the repository")
        .to_owned()
}

/// The generated code of a job.
pub type Entry<A> = (&'static str, &'static dyn Bindings<A>);

/// The generated code for an ABI.
pub struct Entries<A: Known + TaskAbi>
where
    InKernel<A>: Known,
{
    /// That of tasks.
    pub tasks: &'static [Entry<A>],
    /// That of kernels that send.
    pub kernel: &'static [Entry<InKernel<A>>],
}

impl<A: Known + TaskAbi> Entries<A>
where
    InKernel<A>: Known,
{
    /// Compares a job; what a kernel sends is served by the code of the plain variant.
    fn compare(&self, job: &Job, packages: &Path, units: &Path, tally: &mut Tally) -> Result<(), String> {
        let plain = Job { variant: Variant::Plain, ..job.clone() };
        let (tasks, kernel) = match job.variant {
            Variant::KernelUser => (find(self.tasks, &plain), find(self.kernel, job)),
            _ => (find(self.tasks, job), None),
        };
        compare(job, packages, units, tasks, kernel, tally)
    }
}

/// Compares everything. The arguments of the program are the folder of the packages and that of the compiled
/// C stubs; with a word after them, only the interfaces with that word in their names.
pub fn main(i386: &Entries<GnuI386>, x86_64: &Entries<GnuX86_64>) -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(packages), Some(units)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: mig-oracle PACKAGES UNITS [WORD]");
        return ExitCode::from(2);
    };
    let word = arguments.next().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    match run(i386, x86_64, &packages, &units, &word) {
        Ok(tally) => report(&tally),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Compares the jobs that have a word in their names.
fn run(
    i386: &Entries<GnuI386>,
    x86_64: &Entries<GnuX86_64>,
    packages: &Path,
    units: &Path,
    word: &str,
) -> Result<Tally, String> {
    let (jobs, types_only) = jobs::all(packages)?;
    let jobs: Vec<_> = jobs.into_iter().filter(|(job, _)| job.name().contains(word)).collect();
    let tallies = in_parallel(&jobs, |(job, _)| {
        let mut tally = Tally::default();
        match job.system.abi {
            CAbi::GnuI386 => i386.compare(job, packages, units, &mut tally)?,
            CAbi::GnuX86_64 => x86_64.compare(job, packages, units, &mut tally)?,
        }
        Ok(tally)
    })?;
    let mut all = Tally { types_only, ..Tally::default() };
    all.files = jobs.iter().filter(|(job, _)| job.variant == Variant::Plain).count();
    tallies.into_iter().for_each(|tally| all.add(tally));
    Ok(all)
}

/// The generated code of a job.
fn find<A: Known>(entries: &[Entry<A>], job: &Job) -> Option<&'static dyn Bindings<A>> {
    let name = job.name();
    entries.iter().find(|(known, _)| *known == name).map(|(_, bindings)| *bindings)
}

/// Prints the tables on the standard output, and what is wrong on the other one.
fn report(tally: &Tally) -> ExitCode {
    print!("{}", tally.tables());
    let complaints = tally.complaints();
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
