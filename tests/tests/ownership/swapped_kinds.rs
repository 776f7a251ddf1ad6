//! A send right does not stand for a receive right: the reply to `reply_to` would come to nobody.

use mach_defs::gnu::mach::memory_object_data_supply;
use mig_runtime::{CallError, Kernel, OolMemory, SendRight, abi};

fn supply<K: Kernel<Abi = abi::Gnu>>(
    control: &SendRight<K>,
    page: OolMemory<K>,
    reply_to: &SendRight<K>,
) -> Result<(), CallError<K>> {
    memory_object_data_supply(control, 0, page, 0, false, reply_to)
}

fn main() {}
