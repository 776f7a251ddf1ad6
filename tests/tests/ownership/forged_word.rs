//! A word of plain data in the place of a right has no disposition.
#![forbid(unsafe_code)]

use mig_runtime::abi::GnuX86_64;
use mig_runtime::kernel::local::Local;
use mig_runtime::{AnyRight, PortArray, Word};

fn main() {
    let forged: AnyRight<'_, Local<GnuX86_64>> = AnyRight::Data { name: 17, value: 5 };
    let _ = PortArray::of_one_kind(vec![forged]);
    let _ = Word { name: 17, value: 5 };
}
