//! A name is only a number: what puts a right into a message under it is unsafe, also by way of the format.
#![forbid(unsafe_code)]

use mig_runtime::abi::TaskAbi;
use mig_runtime::{Builder, Kernel, Name};

fn forge<K: Kernel<Abi: TaskAbi<Format = F>>, F: mig_runtime::abi::Format>(message: &mut Builder<'_, K>) {
    F::put_right(message, Name(5), 17);
}

fn main() {}
