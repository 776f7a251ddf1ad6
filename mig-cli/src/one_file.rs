//! The verbs that make one file of an interface.

use std::path::{Path, PathBuf};

use clap::Args;
use mig_codegen::is_same_file;
use mig_codegen::model::Interface;

use crate::options::Options;
use crate::rust::rule;
use crate::{Failure, print};

/// The input, and the files to write.
#[derive(Args)]
pub(crate) struct OneFile {
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
    /// Write the files that were read to this file, as a rule of make
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    depfile: Option<PathBuf>,
}

impl OneFile {
    /// Writes the text that `make` makes of the interface.
    pub(crate) fn write(
        &self,
        options: &Options,
        make: impl FnOnce(&Interface) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        let to_file = self.output != Path::new("-");
        if !to_file && (self.check || self.depfile.is_some()) {
            return Err(options.usage("`--check` and `--depfile` need a file: give `-o FILE`"));
        }
        if self.depfile.as_ref() == Some(&self.output) {
            return Err(options.usage("`--depfile` would replace the output"));
        }
        let source = options.open(&self.file)?;
        let config = options.config().check(self.check);
        let output = config.interface(source.input()).map_err(|error| options.failure(&error))?;
        options.tell(&output.warnings);
        let text = make(&output.value)?;
        if !to_file {
            return print(&text);
        }
        let written = |read: &&PathBuf| {
            [Some(&self.output), self.depfile.as_ref()]
                .into_iter()
                .flatten()
                .any(|file| is_same_file(read, file))
        };
        if let Some(read) = output.files.iter().find(written) {
            let wrong = format!("the output would replace `{}`, which was read", read.display());
            return Err(options.usage(&wrong));
        }
        options.write(&config, &source, &self.output, &text)?;
        match &self.depfile {
            Some(file) => options.write(&config, &source, file, &rule(Some(&self.output), &output.files)),
            None => Ok(()),
        }
    }
}
