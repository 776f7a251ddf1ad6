//! `cargo xtask`: the set-up and the checks of this repository, one verb a file.

mod apt;
mod bench;
mod big_endian;
mod book;
mod command;
mod darwin;
mod documents;
mod editors;
mod fuzz;
mod gnumach;
mod i386;
mod oldest_rust;
mod packages;
mod paging;
mod pip;
mod programs;
mod report;
mod sweep;
mod test;
mod width;
mod workflows;
mod zig;

use std::process::ExitCode;

use clap::Parser;

/// Set-up and checks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    /// Run every check: set-up, format, lints, tests, documentation, no_std, i386.
    Test(test::Options),
    /// Fetch the C compilers that the differential test compares with, and say where they are.
    Packages,
    /// Compare instructions and time with the C MIG, or paging with the system's own.
    Bench(bench::Options),
    /// Make the book, and say where its first page is.
    Book,
    /// Run real programs under `mach-pager run`, beside themselves as they are.
    Programs,
    /// Fuzz the compiler, the demux functions and the clients.
    Fuzz(fuzz::Options),
    /// Run programs on a GNU Mach kernel in QEMU.
    Gnumach(gnumach::Options),
    /// Compile every .defs file below some folders to Rust, and all the Rust as one crate.
    Sweep(sweep::Options),
}

fn main() -> ExitCode {
    match Verb::parse() {
        Verb::Test(options) => test::run(&options),
        Verb::Packages => packages::run(),
        Verb::Bench(options) => bench::run(&options),
        Verb::Book => book::build(),
        Verb::Programs => programs::run_all(),
        Verb::Fuzz(options) => fuzz::run(&options),
        Verb::Gnumach(options) => gnumach::run(&options),
        Verb::Sweep(options) => sweep::run(&options),
    }
}
