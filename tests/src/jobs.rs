//! Which interfaces are compared with the C MIG: every file of the packages that declares one, in each
//! variant that fits.

use std::path::{Path, PathBuf};

use mig_codegen::Config;
use mig_codegen::model::{Interface, Role, TrailerField};
use mig_parser::ast::StatementKind;

use crate::files_below;
use crate::oracle::{System, Variant};

/// A file of a system, in one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The system.
    pub system: System,
    /// The file, below the system's include folder.
    pub file: String,
    /// The variant.
    pub variant: Variant,
}

impl Job {
    /// Its name in messages, which is a folder as well.
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.system.name, self.file.trim_end_matches(".defs"), self.variant.name())
    }

    /// How our compiler is told what the C compiler is told.
    pub fn config(&self, packages: &Path) -> Config {
        let config = Config::new().abi(self.system.abi.name()).include_dir(self.system.include(packages));
        match self.variant.define() {
            Some(name) => config.define(name, "1"),
            None => config,
        }
    }

    /// The file.
    pub fn path(&self, packages: &Path) -> PathBuf {
        self.system.include(packages).join(&self.file)
    }

    /// The interface.
    ///
    /// # Errors
    ///
    /// What our compiler says about the file.
    pub fn interface(&self, packages: &Path) -> Result<Interface, String> {
        let path = self.path(packages);
        let output = self.config(packages).interface(&path).map_err(|error| error.to_string())?;
        Ok(output.value)
    }
}

/// Everything that there is to compare, with the interfaces; and how many files only declare types.
///
/// # Errors
///
/// What cannot be read or compiled.
pub fn all(packages: &Path) -> Result<(Vec<(Job, Interface)>, usize), String> {
    let mut jobs = Vec::new();
    let mut without = 0;
    for system in System::ALL {
        let include = system.include(packages);
        let files =
            files_below(&include, "defs").map_err(|error| format!("{}: {error}", include.display()))?;
        for file in files {
            let file = file.strip_prefix(&include).unwrap_or(&file).to_string_lossy().into_owned();
            if !declares_interface(&include, &file) {
                without += 1;
                continue;
            }
            let job = |variant| Job { system, file: file.clone(), variant };
            for variant in Variant::ALL {
                let job = job(variant);
                let interface = job.interface(packages)?;
                if fits(&interface, variant) {
                    jobs.push((job, interface));
                }
            }
        }
    }
    Ok((jobs, without))
}

/// Whether an interface differs in a variant.
fn fits(interface: &Interface, variant: Variant) -> bool {
    match variant {
        Variant::Plain => true,
        Variant::Seqnos => {
            let is_seqno = |role| matches!(role, Role::Trailer { field: TrailerField::Seqno, .. });
            interface.routines.iter().any(|routine| routine.find(is_seqno).is_some())
        }
        Variant::KernelUser => interface.kernel_user,
        Variant::KernelServer => interface.kernel_server,
    }
}

/// Whether a file has a subsystem statement.
fn declares_interface(include: &Path, file: &str) -> bool {
    let options = mig_parser::Options::new().include_dir(include);
    let parsed = mig_parser::parse(&options, &mig_parser::FileSystem, include.join(file));
    let mut statements = parsed.ast.statements.iter();
    statements.any(|statement| matches!(statement.kind, StatementKind::Subsystem(_)))
}
