//! `mig c-header`

use std::path::{Path, PathBuf};

use clap::Args;
use mig_codegen::c;
use mig_codegen::model::Interface;

use crate::options::{Options, Side};
use crate::{Failure, print};

/// Write a C header: message ids, structures of messages with assertions of their sizes, and prototypes
#[derive(Args)]
pub(crate) struct CHeader {
    /// The .defs file; `-` is standard input, `<mach/exc.defs>` a file of an -I folder or one that comes with
    /// mig
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose functions it declares
    #[arg(long, value_enum, default_value_t = Side::Client)]
    side: Side,
    /// Write to this file; `-`, the default, is standard output
    #[arg(short = 'o', value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Write nothing; fail if the file that would be written is not up to date
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    options: Options,
}

impl CHeader {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let to_file = self.output != Path::new("-");
        if self.check && !to_file {
            return Err(self.options.usage("`--check` needs a file: give `-o FILE`"));
        }
        let source = self.options.open(&self.file)?;
        let config = self.options.config().check(self.check);
        let output = config.interface(source.input()).map_err(|error| self.options.failure(&error))?;
        self.options.tell(&output.warnings);
        let text = text(&self.options, &output.value, self.side.into())?;
        match to_file {
            true => self.options.write(&config, &source, &self.output, &text),
            false => print(&text),
        }
    }
}

/// The header of an interface.
pub(crate) fn text(
    options: &Options,
    interface: &Interface,
    side: mig_codegen::Side,
) -> Result<String, Failure> {
    let refused = || options.usage("there are no headers for `mach-25`, whose messages have other types");
    c::header(interface, side).ok_or_else(refused)
}
