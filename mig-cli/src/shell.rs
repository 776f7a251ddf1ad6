//! `mig completions` and `mig man`, both made of the declaration of the command line.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{Arguments, Failure, INPUT, print, tell};

/// Print what a shell needs to complete the command line
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "mig", &mut text);
        print(&String::from_utf8_lossy(&text))
    }
}

/// Write manual pages into a folder: mig.1, and one for each verb
#[derive(Args)]
pub(crate) struct Man {
    /// The folder, which is made if it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Man {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let written = fs::create_dir_all(&self.folder)
            .and_then(|()| clap_mangen::generate_to(Arguments::command(), &self.folder));
        written.map_err(|error| {
            tell(&format!("error: `{}`: {error}\n", self.folder.display()));
            INPUT
        })
    }
}
