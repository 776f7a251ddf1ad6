//! `mig c-header`

use clap::Args;
use mig_codegen::c;

use crate::Failure;
use crate::one_file::OneFile;
use crate::options::{Options, Side};

/// Write a C header: message ids, structures of messages with assertions of their sizes, and prototypes
#[derive(Args)]
pub(crate) struct CHeader {
    #[command(flatten)]
    file: OneFile,
    /// Whose functions it declares
    #[arg(long, value_enum, default_value_t = Side::Client)]
    side: Side,
    #[command(flatten)]
    options: Options,
}

impl CHeader {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        self.file.write(&self.options, |interface| Ok(c::header(interface, self.side.into())))
    }
}
