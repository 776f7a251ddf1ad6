//! `mig rust`

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use mig_codegen::Config;

use crate::options::{Options, Source};
use crate::{Failure, print, tell};

/// Generate Rust: clients, server traits and demux functions
#[derive(Args)]
pub(crate) struct Rust {
    /// The .defs file; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which side to generate
    #[arg(long, value_enum, default_value_t = Side::Both)]
    side: Side,
    /// Write to this file; `-`, the default, is standard output
    #[arg(short = 'o', value_name = "FILE", conflicts_with = "out_dir")]
    output: Option<PathBuf>,
    /// Write to a file in this folder, named after the input
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Write nothing; fail if the file that would be written is not up to date
    #[arg(long)]
    check: bool,
    /// Use a Rust type for a type of the .defs, its ctype, or what intran makes of it
    #[arg(long, value_name = "TYPE=PATH", action = clap::ArgAction::Append, value_parser = pair)]
    extern_type: Vec<(String, String)>,
    /// The ports of this interface are objects of the kernel (a task's, the host's, …), which XNU wants to be told with each request
    #[arg(long)]
    kernel_objects: bool,
    /// The name of the crate mig-runtime in the generated code
    #[arg(long, value_name = "NAME", default_value = "mig_runtime")]
    runtime_crate: String,
    #[command(flatten)]
    options: Options,
}

#[derive(Clone, Copy, ValueEnum)]
enum Side {
    Client,
    Server,
    Both,
}

impl From<Side> for mig_codegen::Side {
    fn from(side: Side) -> Self {
        match side {
            Side::Client => Self::Client,
            Side::Server => Self::Server,
            Side::Both => Self::Both,
        }
    }
}

impl Rust {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let config = self.config();
        let source = Source::open(&self.file)?;
        let file = self.output_file(&config, &source)?;
        let output = config.text(source.input())?;
        tell(&output.warnings);
        match file {
            Some(file) => Ok(config.write(&file, &output.value)?),
            None => print(&output.value),
        }
    }

    fn config(&self) -> Config {
        let config = self.options.config().side(self.side.into()).check(self.check);
        let config = config.runtime_crate(&self.runtime_crate).kernel_objects(self.kernel_objects);
        self.extern_type.iter().fold(config, |config, (name, path)| config.extern_type(name, path))
    }

    /// Where to write; `None` is standard output.
    fn output_file(&self, config: &Config, source: &Source) -> Result<Option<PathBuf>, Failure> {
        let file = match (&self.output, &self.out_dir) {
            (Some(file), _) if file != Path::new("-") => Some(file.clone()),
            (None, Some(folder)) => Some(config.output_in(source.input(), folder)),
            _ => None,
        };
        let wrong = match &file {
            None if self.check => "`--check` needs a file: give `-o FILE` or `--out-dir DIR`",
            Some(file) if source.is(file) => "the output would replace the input",
            _ => return Ok(file),
        };
        tell(&format!("error: {wrong}\n"));
        Err(Failure(2))
    }
}

/// `A=B`
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.to_owned())),
        _ => Err("expected TYPE=PATH".to_owned()),
    }
}
