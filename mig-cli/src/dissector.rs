//! `mig dissector`

use std::path::{Path, PathBuf};

use clap::Args;
use mig_codegen::dissector;

use crate::options::Options;
use crate::{Failure, print};

/// Write a dissector for Wireshark: a script in Lua that shows the messages of a subsystem
///
/// `tshark -X lua_script:clock.lua -r capture.pcap` shows a capture with one message in each packet, of the
/// link type 147 (LINKTYPE_USER0).
#[derive(Args)]
pub(crate) struct Dissector {
    /// The .defs file; `-` is standard input, `<mach/exc.defs>` a file of an -I folder or one that comes with
    /// mig
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write to this file; `-`, the default, is standard output
    #[arg(short = 'o', value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Write nothing; fail if the file that would be written is not up to date
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    options: Options,
}

impl Dissector {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let to_file = self.output != Path::new("-");
        if self.check && !to_file {
            return Err(self.options.usage("`--check` needs a file: give `-o FILE`"));
        }
        let source = self.options.open(&self.file)?;
        let config = self.options.config().check(self.check);
        let output = config.interface(source.input()).map_err(|error| self.options.failure(&error))?;
        self.options.tell(&output.warnings);
        let refused = || self.options.usage("there is no dissector for `mach-25`");
        let text = dissector::script(&output.value).ok_or_else(refused)?;
        match to_file {
            true => self.options.write(&config, &source, &self.output, &text),
            false => print(&text),
        }
    }
}
