//! Data without type words in a typed message would be type words, and type words among descriptors would be descriptors.
#![forbid(unsafe_code)]

use mig_runtime::abi::{Apple64, GnuX86_64};
use mig_runtime::kernel::local::Local;
use mig_runtime::{Body, Builder, Type};

const INTEGER_32: Type = Type::inline(2, 32, 1);

fn typed(message: &mut Builder<'_, Local<GnuX86_64>>, received: &mut Body<'_, Local<GnuX86_64>>) {
    message.descriptors(1);
    message.value(&[0u8; 12]);
    let _ = received.value::<u32>();
}

fn untyped(message: &mut Builder<'_, Local<Apple64>>, received: &mut Body<'_, Local<Apple64>>) {
    message.data(INTEGER_32, &17u32);
    let _ = received.data::<u32>(INTEGER_32);
}

fn main() {}
