//! A type word cannot say that data are the name of a right.
#![forbid(unsafe_code)]

use mig_runtime::Type;

const SEND_RIGHT: Type = Type::inline(17, 32, 1);

fn main() {
    let _ = SEND_RIGHT;
}
