//! `mig dissector`

use clap::Args;
use mig_codegen::dissector;

use crate::Failure;
use crate::one_file::OneFile;
use crate::options::Options;

/// Write a dissector for Wireshark: a script in Lua that shows the messages of a subsystem
///
/// `tshark -X lua_script:clock.lua -r capture.pcap` shows a capture with one message in each packet, of the
/// link type 147 (LINKTYPE_USER0).
#[derive(Args)]
pub(crate) struct Dissector {
    #[command(flatten)]
    file: OneFile,
    #[command(flatten)]
    options: Options,
}

impl Dissector {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        self.file.write(&self.options, |interface| Ok(dissector::script(interface)))
    }
}
