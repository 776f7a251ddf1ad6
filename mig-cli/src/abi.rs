//! `mig abi`

use std::path::{Path, PathBuf};

use clap::Args;
use mig_codegen::table;
use mig_decode::{Compiled, subsystems};
use serde_json::{Value, json};

use crate::options::Options;
use crate::{Failure, INPUT, print};

/// Print message ids, sizes and layouts of an interface, or what a compiled server has of them
#[derive(Args)]
pub(crate) struct Abi {
    /// The .defs file; `-` is standard input, `<mach/exc.defs>` a file of an -I folder or one that comes with
    /// mig
    #[arg(value_name = "FILE", required_unless_present = "from")]
    file: Option<PathBuf>,
    /// Print the tables that Apple's stubs leave in a Mach-O file: the ids that its servers take, how many
    /// words their arguments are, and how large their replies
    #[arg(long, value_name = "PROGRAM", conflicts_with = "file")]
    from: Option<PathBuf>,
    /// As JSON, which is a stable interface
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

impl Abi {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        match (&self.from, &self.file) {
            (Some(program), _) => self.of_program(program),
            (None, Some(file)) => self.of_interface(file),
            // Clap refuses a command line without either.
            (None, None) => Ok(()),
        }
    }

    fn of_interface(&self, file: &Path) -> Result<(), Failure> {
        let source = self.options.open(file)?;
        let output = self.options.config().interface(source.input());
        let output = output.map_err(|error| self.options.failure(&error))?;
        self.options.tell(&output.warnings);
        let text = match self.json {
            true => table::abi_json(&output.value),
            false => table::abi_text(&output.value),
        };
        print(&text)
    }

    fn of_program(&self, program: &Path) -> Result<(), Failure> {
        let found = self.options.read(program).and_then(|bytes| {
            subsystems(&bytes).map_err(|error| {
                self.options.tell_error(&format!("{}: {error}", program.display()));
                INPUT
            })
        })?;
        if found.is_empty() {
            self.options.tell_error(&format!("{}: no table of a server is in it", program.display()));
            return Err(INPUT);
        }
        print(&match self.json {
            true => format!("{:#}\n", as_json(&found)),
            false => found.iter().map(as_text).collect::<Vec<_>>().join("\n"),
        })
    }
}

fn as_text(one: &Compiled) -> String {
    let name = one.symbol.as_deref().unwrap_or("without a symbol");
    let mut text = format!(
        "{} to {}   {name} for {} at {:#x}, replies of up to {} bytes\n",
        one.start,
        one.end - 1,
        one.processor,
        one.address,
        one.max_reply
    );
    for routine in &one.routines {
        text += &format!(
            "{:>10}   {:>3} words of arguments, a reply of up to {} bytes\n",
            routine.id, routine.arguments, routine.max_reply
        );
    }
    text
}

fn as_json(found: &[Compiled]) -> Value {
    let routines = |one: &Compiled| -> Vec<Value> {
        let routines = one.routines.iter();
        routines
            .map(|routine| {
                json!({
                    "id": routine.id,
                    "argument_words": routine.arguments,
                    "max_reply_size": routine.max_reply,
                })
            })
            .collect()
    };
    let subsystems = found.iter().map(|one| {
        json!({
            "symbol": one.symbol,
            "processor": one.processor,
            "pointer_size": one.pointer,
            "address": one.address,
            "start": one.start,
            "end": one.end,
            "max_reply_size": one.max_reply,
            "routines": routines(one),
        })
    });
    json!({ "version": 1, "subsystems": subsystems.collect::<Vec<_>>() })
}
