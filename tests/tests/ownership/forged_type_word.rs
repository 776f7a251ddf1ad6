//! A type word cannot say that data are an address.
#![forbid(unsafe_code)]

use mig_runtime::Type;

fn main() {
    let _ = Type { name: 9, bits: 8, number: 8, inline: false, long: true, deallocate: true };
}
