//! Memory that is lent to a message lives until the message is sent.

use mig_runtime::abi::{Abi, Typed};
use mig_runtime::{Builder, Kernel, Type};

fn build<K: Kernel<Abi: Abi<Format = Typed>>>(message: &mut Builder<'_, K>) {
    let page = vec![0; 4096];
    message.ool(Type::out_of_line(9, 8), &page[..]);
}

fn main() {}
