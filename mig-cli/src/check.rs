//! `mig check`

use std::path::PathBuf;

use clap::Args;
use mig_codegen::table::AbiTable;
use mig_codegen::{Config, Error};
use mig_parser::{Cached, FileSystem, Loader};

use crate::breaking::table_of;
use crate::options::{Options, Source, with_macros};
use crate::side_by_side::in_order;
use crate::{Failure, INPUT, tell};

/// Check interface definitions and show everything that is wrong with them
#[derive(Args)]
pub(crate) struct Check {
    /// The .defs files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Do not warn of what is valid and probably not meant (MIG04xx)
    #[arg(long)]
    no_lints: bool,
    /// Also warn of what is common among Mach's own interfaces: arguments without a limit, and those that a
    /// server in C has to check by itself
    #[arg(long, conflicts_with = "no_lints")]
    pedantic: bool,
    /// Warn of a routine that has the place of one which was deleted: FILE as it was, or its table (.json)
    #[arg(long, value_name = "OLD", conflicts_with = "no_lints")]
    against: Option<PathBuf>,
    /// Read each file a second time with this macro, and warn of types that are translated in one reading
    /// only
    #[arg(
        long,
        value_name = "NAME[=VALUE]",
        action = clap::ArgAction::Append,
        conflicts_with = "no_lints"
    )]
    beside: Vec<String>,
    #[command(flatten)]
    options: Options,
}

impl Check {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        if self.against.is_some() && self.files.len() > 1 {
            return Err(self.options.usage("--against is about one FILE"));
        }
        let old = self.against.as_ref().map(|old| table_of(&self.options, old)).transpose()?.flatten();
        let config = self.options.config().lints(!self.no_lints).pedantic(self.pedantic);
        let sources = self.files.iter().map(|file| self.options.open(file)).collect::<Result<Vec<_>, _>>()?;
        // A single input reads each file once by itself.
        let included: &(dyn Loader + Sync) =
            if sources.len() > 1 { &Cached::new(FileSystem) } else { &FileSystem };
        let mut failed = false;
        in_order(
            &sources,
            |source| self.check(&config, old.as_ref(), included, source),
            |checked| {
                let Checked { said, is_wrong } = checked.map_err(|error| self.options.failure(&error))?;
                tell(&said);
                failed |= is_wrong;
                Ok(())
            },
        )?;
        if failed { Err(INPUT) } else { Ok(()) }
    }

    fn check(
        &self,
        config: &Config,
        old: Option<&AbiTable>,
        included: &dyn Loader,
        source: &Source,
    ) -> Result<Checked, Error> {
        let mut analysis = config.analysis(source.input_by(included))?;
        if let Some(old) = old {
            analysis.lint_deleted(old);
        }
        if !self.beside.is_empty() {
            let other = with_macros(config.clone(), &self.beside).analysis(source.input_by(included))?;
            analysis.lint_translations(&other, &self.beside.join(", "));
        }
        let report = analysis.report;
        let said = self.options.telling().text(&report);
        Ok(Checked { said, is_wrong: report.diagnostics.has_errors() })
    }
}

/// What is wrong with a file, as text.
struct Checked {
    said: String,
    is_wrong: bool,
}
