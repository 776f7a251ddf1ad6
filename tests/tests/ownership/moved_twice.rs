//! A receive right that was moved into one message cannot be moved into another.

use mach_defs::gnu::memory_object_default::memory_object_create;
use mig_runtime::{CallError, Kernel, ReceiveRight, SendRight, abi};

fn create_twice<K: Kernel<Abi = abi::Gnu>>(
    [first, second]: [SendRight<K>; 2],
    object: ReceiveRight<K>,
    control: &ReceiveRight<K>,
    name: &ReceiveRight<K>,
) -> Result<(), CallError<K>> {
    memory_object_create(first, object, 4096, control, name, 4096)?;
    memory_object_create(second, object, 4096, control, name, 4096)
}

fn main() {}
