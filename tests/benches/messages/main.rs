//! Instructions and time for a message: the generated Rust and the C MIG's stubs, both optimised, over a kernel that does nothing.
//!
//! ```text
//! cargo bench -p mig-tests --bench messages            # instructions and time
//! cargo bench -p mig-tests --bench messages -- count   # instructions only
//! ```
//!
//! Fails where Rust takes more instructions than the table of cases allows. Time is only printed.

mod c_stubs;
mod null;
mod ours;
mod tools;

#[allow(missing_docs)]
mod arrays {
    mig_derive::interface! {
        path: "benches/messages/arrays.defs",
        include: ["../defs/gnu"],
        abi: "gnu-x86_64",
    }
}

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use mig_tests::oracle::packages_or_skip;

/// What is measured, in the order of the numbers that both programs know it by.
const CASES: [Case; 10] = [
    Case::new("client memory_object_create", 100),
    Case::new("client memory_object_data_initialize", 100),
    Case::new("client memory_object_data_request", 100),
    Case::new("client arrays_put", 100),
    Case::new("client arrays_get", 100),
    Case::new("demux memory_object_create", 100),
    Case::new("demux memory_object_data_initialize", 100),
    Case::new("demux memory_object_data_request", 100),
    Case::new("demux arrays_put", 100),
    Case::new("demux arrays_get", 100),
];

struct Case {
    name: &'static str,
    /// Instructions that Rust may take, in percent of C's.
    bound: u64,
}

impl Case {
    const fn new(name: &'static str, bound: u64) -> Self {
        Case { name, bound }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", which, count, message] => run_ours(which, count, Path::new(message)),
        _ if !arguments.iter().any(|argument| argument == "--bench") => Ok(()),
        _ => compare(arguments.iter().all(|argument| argument != "count")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
