//! `mig check`

use std::path::PathBuf;

use clap::Args;

use crate::options::{Options, Source};
use crate::{Failure, INPUT, tell};

/// Check interface definitions and show everything that is wrong with them
#[derive(Args)]
pub(crate) struct Check {
    /// The .defs files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    options: Options,
}

impl Check {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let config = self.options.config();
        let mut failed = false;
        for file in &self.files {
            let source = Source::open(file)?;
            match config.check_only(source.input()) {
                Ok(output) => tell(&output.warnings),
                Err(error @ mig_codegen::Error::Diagnostics(_)) => {
                    let Failure(_) = error.into();
                    failed = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if failed { Err(INPUT) } else { Ok(()) }
    }
}
