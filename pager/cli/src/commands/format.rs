//! `mach-pager format`: makes swap space.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use mach_pager::store::{file, nbd};

use super::Bytes;

/// Make a swap file, or make a block device swap space
///
/// A new file has 256 MiB unless --size says otherwise, all of them reserved on the disk. A file that is swap
/// space of this program already is made anew with the size that it has. Anything else that exists is
/// overwritten only with --force. An export of an NBD server is used whole.
#[derive(Args)]
pub(crate) struct Format {
    /// The file, block device, or NBD export: nbd://HOST:PORT/EXPORT, nbd+unix:///EXPORT?socket=PATH
    file: PathBuf,

    /// Bytes in the file: a number, with K, M, G or T for units of 1024
    #[arg(long, value_name = "N")]
    size: Option<Bytes>,

    /// Overwrite what is there
    #[arg(long)]
    force: bool,
}

impl Format {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let header = match super::export(&self.file)? {
            Some(_) if self.size.is_some() => return Err("--size: an export has the size that it has".into()),
            Some(address) => nbd::format(&address, self.force)?,
            None => file::format(&self.file, self.size.map(|size| size.0), self.force)?,
        };
        let size = Bytes(header.slots * header.page_size as u64);
        let usable = header.usable();
        let pages = usable.end - usable.start;
        let (file, page_size) = (self.file.display(), header.page_size);
        super::say(format_args!("{file}: {size} of swap space, {pages} pages of {page_size} bytes\n"))?;
        Ok(())
    }
}
