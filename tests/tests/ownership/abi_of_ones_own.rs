//! The facts of an ABI are where the runtime's offsets come from: nobody makes up others.
#![forbid(unsafe_code)]

use mig_runtime::Name;
use mig_runtime::abi::{Abi, Facts, GnuX86_64, Typed};

#[derive(Clone, Copy)]
struct Wide;

impl Abi for Wide {
    type Format = Typed;
    type Name = Name;
    const FACTS: Facts = Facts { header: 4096, ..GnuX86_64::FACTS };
}

fn main() {}
