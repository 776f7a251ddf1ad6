//! The `mig` command.
#![cfg_attr(all(target_os = "linux", target_env = "gnu", not(test)), no_main)]

mod abi;
mod allocator;
mod breaking;
mod c_header;
mod check;
mod decode;
mod dissector;
mod doc;
mod driver;
mod encode;
mod explain;
mod fmt;
mod lsp;
mod one_file;
mod options;
mod rust;
mod shell;
mod side_by_side;
#[cfg(all(target_os = "linux", target_env = "gnu", not(test)))]
mod start;
mod telling;

use std::io::{self, Write as _};

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: allocator::Blocks = allocator::Blocks;

/// Compiles Mach interface definitions (.defs files) to Rust, and reads messages by them.
///
/// Exit code 0: all is well. 1: errors in the input, or a stale file. 2: wrong usage.
#[derive(Parser)]
#[command(name = "mig", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

// Only the verb that is asked for gets its options: to describe the options of all verbs takes longer than to
// compile a small file.
#[derive(Subcommand)]
#[command(defer = true)]
enum Verb {
    Rust(rust::Rust),
    Check(check::Check),
    Abi(abi::Abi),
    Breaking(breaking::Breaking),
    CHeader(c_header::CHeader),
    Decode(decode::Decode),
    Dissector(dissector::Dissector),
    Doc(doc::Doc),
    Encode(encode::Encode),
    Explain(explain::Explain),
    Fmt(fmt::Fmt),
    Lsp(lsp::Lsp),
    Completions(shell::Completions),
    Man(shell::Man),
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", not(test))))]
fn main() {
    std::process::exit(run());
}

/// Does what the command line says, and returns the exit code.
fn run() -> i32 {
    let given: Vec<_> = std::env::args_os().collect();
    let classic = given.get(1..).is_some_and(driver::is_meant);
    let result = if classic { driver::run(given[1..].to_vec()) } else { run_verb(given) };
    match result {
        Ok(()) => 0,
        Err(Failure(code)) => code.into(),
    }
}

fn run_verb(given: Vec<std::ffi::OsString>) -> Result<(), Failure> {
    let arguments = Arguments::parse_from(options::arguments(given.into_iter()));
    match arguments.verb {
        Verb::Rust(verb) => verb.run(),
        Verb::Check(verb) => verb.run(),
        Verb::Abi(verb) => verb.run(),
        Verb::Breaking(verb) => verb.run(),
        Verb::CHeader(verb) => verb.run(),
        Verb::Decode(verb) => verb.run(),
        Verb::Dissector(verb) => verb.run(),
        Verb::Doc(verb) => verb.run(),
        Verb::Encode(verb) => verb.run(),
        Verb::Explain(verb) => verb.run(),
        Verb::Fmt(verb) => verb.run(),
        Verb::Lsp(verb) => verb.run(),
        Verb::Completions(verb) => verb.run(),
        Verb::Man(verb) => verb.run(),
    }
}

/// A verb has failed and has said why; this is the exit code.
struct Failure(u8);

/// Errors in the input.
const INPUT: Failure = Failure(1);

/// Writes to standard error.
fn tell(text: &str) {
    // There is nobody left to tell if that fails.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes to standard output; a reader that has gone away ends the command without noise.
fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tell(&format!("error: standard output: {error}\n"));
            Err(INPUT)
        }
        _ => Ok(()),
    }
}

/// Standard output, for a verb that writes as it reads.
struct Out(io::BufWriter<io::StdoutLock<'static>>);

impl Out {
    fn new() -> Self {
        Out(io::BufWriter::with_capacity(1 << 16, io::stdout().lock()))
    }

    /// Writes a piece. False once the reader has gone away, which ends the command without noise.
    fn write(&mut self, piece: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<bool, Failure> {
        match piece(&mut self.0) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => {
                tell(&format!("error: standard output: {error}\n"));
                Err(INPUT)
            }
        }
    }

    /// Writes what is left.
    fn end(&mut self) -> Result<(), Failure> {
        self.write(|out| out.flush()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
