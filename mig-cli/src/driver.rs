//! The command line of the C `mig`, so that this command can take its place in a build system, as the value
//! of the variable `MIG`.
//!
//!     mig -I include -D SEQNOS -user /dev/null -server clock.rs -sheader clock_S.h clock.defs
//!
//! Headers are written for C, stubs in Rust, to files named `.rs`. A file of any other kind is
//! not written, and the command says so.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Parser;
use mig_codegen::{Analysis, Side, c};

use crate::options::{self, Options, Source};
use crate::{Failure, INPUT, tell};

/// The arguments that are passed on to the options which all verbs share.
#[derive(Parser)]
#[command(
    name = "mig",
    override_usage = "mig [-user FILE] [-server FILE] [-header FILE] [-sheader FILE] [OPTIONS] FILE..."
)]
struct Shared {
    #[command(flatten)]
    options: Options,
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// The files that the options name to be written.
#[derive(Default)]
struct Outputs {
    user: Option<PathBuf>,
    server: Option<PathBuf>,
    header: Option<PathBuf>,
    server_header: Option<PathBuf>,
    /// Files that have no counterpart here, with the option that names each.
    others: Vec<(String, PathBuf)>,
}

/// Whether a command line, without the command's name, is one for the C `mig`: it begins with an option or a
/// file where this command has a verb.
pub(crate) fn is_meant(arguments: &[OsString]) -> bool {
    let is_file = |word: &str| word.ends_with(".defs");
    let names_output = |word| matches!(word, "-user" | "-server" | "-header" | "-sheader");
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    arguments
        .first()
        .and_then(|first| first.to_str())
        .is_some_and(|word| word.starts_with('-') || is_file(word))
        && words.any(|word| is_file(word) || names_output(word))
}

/// Does what such a command line says.
pub(crate) fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let (outputs, shared) = read(arguments)?;
    let shared = Shared::try_parse_from(options::arguments(shared.into_iter())).map_err(|error| {
        // There is nobody left to tell if that fails.
        let _ = error.print();
        Failure(2)
    })?;
    let mut result = Ok(());
    for file in &shared.files {
        let source = shared.options.open(file)?;
        // The other files are compiled all the same, so that one run shows everything that is wrong.
        result = outputs.write(&shared.options, &source).and(result);
    }
    result
}

/// The files that are to be written, and the arguments that all verbs understand.
fn read(arguments: Vec<OsString>) -> Result<(Outputs, Vec<OsString>), Failure> {
    let mut outputs = Outputs::default();
    let mut shared = vec![OsString::from("mig")];
    let mut words = arguments.into_iter();
    while let Some(word) = words.next() {
        let Some(option) = word.to_str().map(str::to_owned) else {
            shared.push(word);
            continue;
        };
        let mut value = || {
            words.next().ok_or_else(|| {
                tell(&format!("error: `{option}` needs a value\n"));
                Failure(2)
            })
        };
        match option.as_str() {
            "-user" => outputs.user = Some(value()?.into()),
            "-server" => outputs.server = Some(value()?.into()),
            "-header" => outputs.header = Some(value()?.into()),
            "-sheader" => outputs.server_header = Some(value()?.into()),
            "-iheader" | "-dheader" | "-i" | "-list" => {
                let file = value()?.into();
                outputs.others.push((option, file));
            }
            // The preprocessor is this command's own, and so is the compiler after it.
            "-cc" | "-cpp" | "-migcom" | "-subrprefix" => drop(value()?),
            // The server's functions get a message in parts, so that a kernel need not copy it: the bytes
            // are the same, and a server in Rust reads them where they are.
            "-mach_msg2" => {}
            // These are about the files that the C `mig` writes, or about how much it says.
            "-q" | "-Q" | "-v" | "-V" | "-r" | "-R" | "-s" | "-S" | "-l" | "-L" | "-k" | "-K" | "-t"
            | "-T" | "-n" | "-X" | "-x" | "-MD" | "-novouchers" => {}
            _ => shared.push(word),
        }
    }
    Ok((outputs, shared))
}

impl Outputs {
    fn write(&self, options: &Options, source: &Source) -> Result<(), Failure> {
        let config = options.config();
        let analysis = config.analysis(source.input()).map_err(|error| options.failure(&error))?;
        let interface = analysis.require_interface().map_err(|error| options.failure(&error))?;
        options.tell(&analysis.report);
        let default_header = PathBuf::from(format!("{}.h", interface.name));
        let headers = [
            (Some(self.header.as_ref().unwrap_or(&default_header)), Side::Client),
            (self.server_header.as_ref(), Side::Server),
        ];
        for (file, side) in headers {
            if let Some(file) = file {
                options.write(&config, source, file, &c::header(interface, side))?;
            }
        }
        let user = stubs(options, source, self.user.as_deref(), &analysis, Side::Client);
        let server = stubs(options, source, self.server.as_deref(), &analysis, Side::Server);
        for (option, file) in &self.others {
            options.telling().tell_warning(&format!("`{option} {}` is not written", file.display()));
        }
        user.and(server)
    }
}

/// Writes the stubs of a side to a file for Rust. If no option names a file, that is a warning and no error.
fn stubs(
    options: &Options,
    source: &Source,
    file: Option<&Path>,
    analysis: &Analysis,
    side: Side,
) -> Result<(), Failure> {
    let reason = "stubs are written in Rust: name a file `.rs`, or `/dev/null`";
    match file {
        Some(file) if file == Path::new("/dev/null") => Ok(()),
        Some(file) if file.extension() == Some(OsStr::new("rs")) => {
            let config = options.config().side(side);
            let output = config.text_of(analysis).map_err(|error| options.failure(&error))?;
            options.write(&config, source, file, &output.value)
        }
        Some(file) => {
            options.tell_error(&format!("`{}` is not written: {reason}", file.display()));
            Err(INPUT)
        }
        None => {
            let name = analysis.interface.as_ref().map_or("", |interface| &interface.name);
            let default = if side == Side::Client { "User.c" } else { "Server.c" };
            options.telling().tell_warning(&format!("`{name}{default}` is not written: {reason}"));
            Ok(())
        }
    }
}
