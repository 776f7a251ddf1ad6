//! `mig check`

use std::path::PathBuf;

use clap::Args;
use mig_codegen::Error;

use crate::options::Options;
use crate::{Failure, INPUT};

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
        let mut failed = false;
        for file in &self.files {
            let source = self.options.open(file)?;
            match config.check_only(source.input()) {
                Ok(output) => self.options.tell(&output.warnings),
                Err(Error::Diagnostics(report)) => {
                    self.options.tell(&report);
                    failed = true;
                }
                Err(error) => return Err(self.options.failure(&error)),
            }
        }
        if failed { Err(INPUT) } else { Ok(()) }
    }
}
