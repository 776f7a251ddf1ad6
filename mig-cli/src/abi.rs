//! `mig abi`

use std::path::PathBuf;

use clap::Args;
use mig_codegen::table;

use crate::options::Options;
use crate::{Failure, print};

/// Print message ids, sizes and layouts of an interface
#[derive(Args)]
pub(crate) struct Abi {
    /// The .defs file; `-` is standard input, `<mach/exc.defs>` a file of an -I folder or one that comes with
    /// mig
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// As JSON, which is a stable interface
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

impl Abi {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let source = self.options.open(&self.file)?;
        let output = self.options.config().interface(source.input());
        let output = output.map_err(|error| self.options.failure(&error))?;
        self.options.tell(&output.warnings);
        let text = match self.json {
            true => table::abi_json(&output.value),
            false => table::abi_text(&output.value),
        };
        print(&text)
    }
}
