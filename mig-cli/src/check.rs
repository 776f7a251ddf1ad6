//! `mig check`

use std::path::PathBuf;

use clap::Args;
use mig_codegen::{Config, Error};
use mig_parser::{Cached, FileSystem, Loader};

use crate::options::{Options, Source};
use crate::side_by_side::in_order;
use crate::{Failure, INPUT, tell};

/// Check interface definitions and show everything that is wrong with them
#[derive(Args)]
pub(crate) struct Check {
    /// The .defs files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Do not warn of what is right and probably not meant (MIG04xx)
    #[arg(long)]
    no_lints: bool,
    #[command(flatten)]
    options: Options,
}

impl Check {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let config = self.options.config().lints(!self.no_lints);
        let sources = self.files.iter().map(|file| self.options.open(file)).collect::<Result<Vec<_>, _>>()?;
        let included = Cached::new(FileSystem);
        let mut failed = false;
        in_order(
            &sources,
            |source| self.check(&config, &included, source),
            |checked| {
                let Checked { said, is_wrong } = checked.map_err(|error| self.options.failure(&error))?;
                tell(&said);
                failed |= is_wrong;
                Ok(())
            },
        )?;
        if failed { Err(INPUT) } else { Ok(()) }
    }

    fn check(&self, config: &Config, included: &dyn Loader, source: &Source) -> Result<Checked, Error> {
        let report = config.analysis(source.input_by(included))?.report;
        let said = self.options.telling().text(&report);
        Ok(Checked { said, is_wrong: report.diagnostics.has_errors() })
    }
}

/// What there is to say about a file.
struct Checked {
    said: String,
    is_wrong: bool,
}
